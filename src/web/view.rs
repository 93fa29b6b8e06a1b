//! Pages: the templates they are made of, read once, and the files they link to.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path as UrlPath;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use rust_embed::RustEmbed;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tracing::error;

use crate::config::Mistake;

mod filters;

/// What a page may load: files of ours and nothing else; no script or style that stands in the page itself.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Files are found under a name that changes with them.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Folder of the pages under the folder of all templates.
const FOLDER: &str = "pages";

#[derive(RustEmbed)]
#[folder = "templates/pages"]
struct Pages;

#[derive(RustEmbed)]
#[folder = "templates/assets"]
struct Assets;

/// All pages, parsed; cheap to clone.
#[derive(Clone)]
pub struct Views {
    pages: Arc<Environment<'static>>,
}

impl Views {
    /// Reads all pages, those under `dir` instead of the built-in ones of the same name; tells every mistake by file and
    /// line.
    pub fn load(dir: Option<&Path>) -> Result<Self, Vec<Mistake>> {
        let mut pages = Environment::new();
        pages.set_undefined_behavior(UndefinedBehavior::Strict);
        pages.set_auto_escape_callback(|_| AutoEscape::Html);
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        pages.set_syntax(syntax.unwrap_or_default());
        filters::add(&mut pages);
        let assets: Vec<(String, String)> = Assets::iter()
            .map(|name| (name.to_string(), address(&name)))
            .collect();
        pages.add_global("assets", minijinja::Value::from_pairs(assets));
        let mut mistakes = Vec::new();
        for name in Pages::iter() {
            let own = dir
                .map(|dir| dir.join(FOLDER).join(&*name))
                .filter(|own| own.is_file());
            let place = own.as_ref().map_or_else(
                || format!("built-in {name}"),
                |own| own.display().to_string(),
            );
            let source = match own {
                Some(own) => std::fs::read_to_string(own).map_err(|error| error.to_string()),
                None => text_of(&name),
            };
            let source = match source {
                Ok(source) => source,
                Err(problem) => {
                    mistakes.push(Mistake::new(place, "", problem));
                    continue;
                }
            };
            if let Err(error) = pages.add_template_owned(name.to_string(), source) {
                let what = match error.detail() {
                    Some(detail) => format!("{}: {detail}", error.kind()),
                    None => error.kind().to_string(),
                };
                let place = match error.line() {
                    Some(line) => format!("{place}:{line}"),
                    None => place,
                };
                mistakes.push(Mistake::new(place, "", what));
            }
        }
        if mistakes.is_empty() {
            Ok(Self {
                pages: Arc::new(pages),
            })
        } else {
            Err(mistakes)
        }
    }

    /// The names that files of a folder of templates may have to replace a page.
    pub fn files() -> impl Iterator<Item = String> {
        Pages::iter().map(|name| format!("{FOLDER}/{name}"))
    }

    /// The page `name` filled with `data`, as an answer.
    pub fn page(&self, status: StatusCode, name: &str, data: &impl Serialize) -> Response {
        let html = match self.text(name, data) {
            Ok(html) => html,
            Err(error) => {
                error!("Page {name} could not be rendered: {error:#}");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(POLICY),
            ),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (status, headers, html).into_response()
    }

    fn text(&self, name: &str, data: &impl Serialize) -> Result<String, minijinja::Error> {
        self.pages
            .get_template(name)?
            .render(minijinja::value::Serde(data))
    }
}

/// The files that pages link to.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{version}/{name}", get(asset))
}

async fn asset(UrlPath((version, name)): UrlPath<(String, String)>) -> Response {
    let found = Assets::get(&name).filter(|file| version == self::version(&file.data));
    let Some(file) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER)),
    ];
    (headers, file.data).into_response()
}

fn address(name: &str) -> String {
    let version = Assets::get(name).map_or_else(String::new, |file| version(&file.data));
    format!("/assets/{version}/{name}")
}

fn version(data: &[u8]) -> String {
    let digest = Sha256::digest(data);
    digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn text_of(name: &str) -> Result<String, String> {
    let file = Pages::get(name).ok_or("it is missing")?;
    String::from_utf8(file.data.into_owned()).map_err(|error| error.to_string())
}

//! The templates of mails: read once, strict, and unable to run what a lead wrote.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value as Filled};
use minijinja::{AutoEscape, Environment, ErrorKind, State, UndefinedBehavior};
use mrml::mjml::Mjml;
use mrml::prelude::parser::Error as MjmlError;
use mrml::prelude::render::RenderOptions;
use rust_embed::RustEmbed;
use serde_json::Value;

use super::Rendered;
use crate::effects::mail::one_line;

/// What one template may cost before it is stopped; the largest mail costs a hundredth.
const FUEL: u64 = 200_000;
/// Folder of the mails under the folder of all templates.
const FOLDER: &str = "mail";
const ENDINGS: [&str; 2] = [".txt", ".mjml"];

#[derive(RustEmbed)]
#[folder = "../templates/mail"]
struct BuiltIn;

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The file, as somebody would open it.
    pub file: String,
    /// The line, when one is to blame.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

impl std::error::Error for TemplateError {}

impl TemplateError {
    fn of(file: impl Into<String>, line: Option<usize>, what: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line,
            what: what.into(),
        }
    }

    pub(super) fn sample(key: &str, error: &dyn std::error::Error) -> Self {
        Self::of(format!("sample of {key}"), None, error.to_string())
    }
}

/// Every template that is built in, by its name under the folder of all templates.
pub(super) fn files() -> impl Iterator<Item = String> {
    BuiltIn::iter()
        .filter(|path| is_template(path))
        .map(|path| format!("{FOLDER}/{path}"))
}

fn is_template(path: &str) -> bool {
    ENDINGS.iter().any(|end| path.ends_with(end))
}

/// All templates, parsed.
pub(super) struct Templates {
    environment: Environment<'static>,
    /// Where those came from that are not built in.
    replaced: BTreeMap<String, PathBuf>,
}

impl Templates {
    pub(super) fn load(dir: Option<&Path>) -> Result<Self, Vec<TemplateError>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|name| {
            if name.ends_with(".mjml") {
                AutoEscape::Html
            } else {
                AutoEscape::None
            }
        });
        environment.set_formatter(escaped);
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.unwrap_or_default());

        let mut templates = Self {
            environment,
            replaced: BTreeMap::new(),
        };
        let mut errors = Vec::new();
        for path in BuiltIn::iter().filter(|path| is_template(path)) {
            if let Err(error) = templates.add(&path, dir) {
                errors.push(error);
            }
        }
        if errors.is_empty() {
            Ok(templates)
        } else {
            Err(errors)
        }
    }

    fn add(&mut self, path: &str, dir: Option<&Path>) -> Result<(), TemplateError> {
        let name = format!("{FOLDER}/{path}");
        let own = dir.map(|dir| dir.join(&name)).filter(|own| own.is_file());
        let source = match own {
            Some(own) => {
                let file = own.display().to_string();
                let text = std::fs::read_to_string(&own);
                self.replaced.insert(name.clone(), own);
                text.map_err(|error| TemplateError::of(file, None, error.to_string()))?
            }
            None => {
                let file = BuiltIn::get(path).map(|file| file.data.into_owned());
                String::from_utf8(file.unwrap_or_default())
                    .map_err(|error| TemplateError::of(self.file(&name), None, error.to_string()))?
            }
        };
        self.environment
            .add_template_owned(name.clone(), source)
            .map_err(|error| self.blame(&name, &error))
    }

    /// The three parts of the mail `key`, filled with `data`.
    pub(super) fn render(&self, key: &str, data: &Value) -> Result<Rendered, TemplateError> {
        let subject = one_line(&self.fill(&format!("{FOLDER}/{key}/subject.txt"), data)?);
        if subject.is_empty() {
            let file = self.file(&format!("{FOLDER}/{key}/subject.txt"));
            return Err(TemplateError::of(file, None, "the subject is empty"));
        }
        let text = self.fill(&format!("{FOLDER}/{key}/body.txt"), data)?;
        let body = format!("{FOLDER}/{key}/body.mjml");
        let mjml = self.fill(&body, data)?;
        let html = to_html(&mjml).map_err(|(line, what)| {
            TemplateError::of(format!("{} as filled", self.file(&body)), line, what)
        })?;
        Ok(Rendered {
            subject,
            text: tidy(&text),
            html,
        })
    }

    fn fill(&self, name: &str, data: &Value) -> Result<String, TemplateError> {
        let filled = || -> Result<String, minijinja::Error> {
            let template = self.environment.get_template(name)?;
            template.render(Filled::from(Serde(data)))
        };
        filled().map_err(|error| self.blame(name, &error))
    }

    /// The file and line that `error` came up in; a template that another one extends may be to blame.
    fn blame(&self, name: &str, error: &minijinja::Error) -> TemplateError {
        // The innermost cause names the place, the outer ones name who included it.
        let mut cause = error;
        while let Some(next) = std::error::Error::source(cause)
            .and_then(|source| source.downcast_ref::<minijinja::Error>())
        {
            cause = next;
        }
        let file = self.file(cause.name().unwrap_or(name));
        let what = match cause.detail() {
            Some(detail) => format!("{}: {detail}", cause.kind()),
            None if cause.kind() == ErrorKind::OutOfFuel => "it never ends".to_owned(),
            None => cause.kind().to_string(),
        };
        TemplateError::of(file, cause.line(), what)
    }

    fn file(&self, name: &str) -> String {
        match self.replaced.get(name) {
            Some(own) => own.display().to_string(),
            None => format!("templates/{name}"),
        }
    }
}

/// Escapes what HTML would take for its own; unlike the default, leaves slashes alone, so that addresses stay legible.
fn escaped(
    out: &mut minijinja::Output<'_>,
    state: &mut State<'_, '_>,
    value: &Filled,
) -> Result<(), minijinja::Error> {
    if value.is_undefined() || value.is_none() {
        return Err(minijinja::Error::new(
            ErrorKind::UndefinedError,
            "there is nothing to print",
        ));
    }
    if value.is_safe() || !matches!(state.auto_escape(), AutoEscape::Html) || value.is_number() {
        return minijinja::escape_formatter(out, state, value);
    }
    for c in value.to_string().chars() {
        let written = match c {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#39;"),
            // Not a character of XML.
            c if c.is_control() && !matches!(c, '\n' | '\t') => Ok(()),
            c => out.write_char(c),
        };
        written.map_err(minijinja::Error::from)?;
    }
    Ok(())
}

/// HTML of a filled template; the line is that of the filled one.
fn to_html(mjml: &str) -> Result<String, (Option<usize>, String)> {
    let parsed = Mjml::parse(mjml).map_err(|error| {
        let at = position(&error).unwrap_or(mjml.len());
        (Some(line_of(mjml, at)), error.to_string())
    })?;
    if let Some(warning) = parsed.warnings.first() {
        let line = line_of(mjml, warning.span.start);
        return Err((Some(line), warning.kind.to_string()));
    }
    let options = RenderOptions {
        disable_comments: true,
        // Nothing is fetched by opening a mail.
        fonts: Default::default(),
        ..RenderOptions::default()
    };
    let html = parsed
        .element
        .render(&options)
        .map_err(|error| (None, error.to_string()))?;
    // What the renderer does not know it leaves as it is; text of leads holds no bare `<`.
    if let Some(at) = html.find("<mj-") {
        let tag: String = html[at..]
            .chars()
            .take_while(|c| !c.is_whitespace() && *c != '>')
            .collect();
        let line = mjml.find(&tag).map(|at| line_of(mjml, at));
        return Err((line, format!("unknown element {tag}>")));
    }
    Ok(html)
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.bytes().take(at);
    before.filter(|byte| *byte == b'\n').count() + 1
}

fn position(error: &MjmlError) -> Option<usize> {
    match error {
        MjmlError::UnexpectedElement { position, .. }
        | MjmlError::UnexpectedToken { position, .. }
        | MjmlError::MissingAttribute { position, .. }
        | MjmlError::InvalidAttribute { position, .. }
        | MjmlError::InvalidFormat { position, .. } => Some(position.start),
        _ => None,
    }
}

/// Without the blanks and empty lines that conditions leave behind.
fn tidy(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() && lines.last().is_none_or(|last| last.is_empty()) {
            continue;
        }
        lines.push(line);
    }
    let mut tidy = lines.join("\n").trim_end().to_owned();
    tidy.push('\n');
    tidy
}

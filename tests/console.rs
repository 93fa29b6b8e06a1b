//! The console: the door, the pages of reps and of operations, through the router.

mod bell;
mod called_off;
mod chosen;
mod closing;
mod columns;
mod deleted;
mod door;
mod followed;
mod held;
mod leads;
mod lengths;
mod live;
pub(crate) mod ops;
mod overloaded;
mod refused;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use leadmill::web::session;

use crate::harness::World;

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: String,
    pub(crate) cookie: String,
    pub(crate) text: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let header = |name| {
            let value = parts.headers.get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        let bytes = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status,
            location: header(header::LOCATION),
            cookie: header(header::SET_COOKIE),
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// The text of the elements, without what is between angle brackets and with single blanks.
    pub(crate) fn words(&self) -> String {
        words_of(&self.text)
    }

    /// What a hidden or visible field of the page holds; the first of that name.
    pub(crate) fn field(&self, name: &str) -> String {
        let at = self.text.find(&format!("name=\"{name}\"")).unwrap();
        let rest = &self.text[at..];
        let rest = rest.split_once("value=\"").unwrap().1;
        rest.split_once('"').unwrap().0.to_owned()
    }
}

/// The text of elements, without what is between angle brackets and with single blanks.
fn words_of(html: &str) -> String {
    let mut words = String::new();
    let mut inside = false;
    for letter in html.chars() {
        match letter {
            '<' => inside = true,
            '>' => {
                inside = false;
                words.push(' ');
            }
            letter if !inside => words.push(letter),
            _ => {}
        }
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A browser that is signed in.
pub(crate) struct Browser<'a> {
    pub(crate) world: &'a World,
    pub(crate) cookie: String,
}

impl World {
    /// Signs `member` in by a link, as they would.
    pub(crate) async fn browser(&self, email: &str) -> Browser<'_> {
        let path = self.link(email).await;
        let answer = self.ask(Method::POST, &path, "", "").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.words());
        let cookie = answer.cookie.split_once(';').unwrap().0.to_owned();
        Browser {
            world: self,
            cookie,
        }
    }

    /// The path of a link that signs the person with this address in.
    pub(crate) async fn link(&self, email: &str) -> String {
        let base = "https://console.example.test";
        let link = session::sign_in_link(&self.db, self.clock.now(), base, email).await;
        let link = link.unwrap().expect("an account");
        link.strip_prefix(base).unwrap().to_owned()
    }

    /// What a browser with `cookie` is answered.
    pub(crate) async fn ask(&self, method: Method, path: &str, cookie: &str, form: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(form.to_owned()))
            .unwrap();
        Answer::of(self.send(request).await).await
    }
}

impl Browser<'_> {
    /// A page.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.world.ask(Method::GET, path, &self.cookie, "").await
    }

    /// A form of a page of ours: these fields, and the proof that pages carry.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.get("/dashboard/crm/notifications").await.field("csrf");
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .append_pair("csrf", &csrf)
            .finish();
        self.world
            .ask(Method::POST, path, &self.cookie, &form)
            .await
    }
}

/// Every field that a person fills in has a name that is read out.
pub(crate) fn assert_labelled(page: &Answer) {
    let html = &page.text;
    for tag in ["<input", "<select", "<textarea"] {
        for (at, _) in html.match_indices(tag) {
            let end = html[at..].find('>').unwrap() + at;
            let field = &html[at..end];
            let named = field.contains("type=\"hidden\"") || field.contains("aria-label");
            let opened = html[..at].rfind("<label");
            let closed = html[..at].rfind("</label");
            let labelled = match (opened, closed) {
                (Some(opened), Some(closed)) => opened > closed,
                (Some(_), None) => true,
                _ => false,
            };
            assert!(named || labelled, "{field} has no label");
        }
    }
    for (at, _) in html.match_indices("<img") {
        let end = html[at..].find('>').unwrap() + at;
        assert!(html[at..end].contains("alt="), "{}", &html[at..end]);
    }
    assert!(
        !html.contains(" style=\"") && !html.contains("<script>") && !html.contains(" onclick")
    );
    assert_eq!(html.matches("<h1").count(), 1);
}

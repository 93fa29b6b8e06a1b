//! A provider of facts about leads: a real HTTP server that answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status, headers and a body.
    Say(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// That, once the test lets it.
    Held(Arc<Notify>, Box<Answer>),
    /// None: the line stays open.
    Silence,
    /// None: the line is cut.
    HangUp,
}

impl Answer {
    /// A status and nothing else.
    pub(crate) fn status(status: u16) -> Self {
        Self::Say(status, Vec::new(), Vec::new())
    }

    /// A status with a header.
    pub(crate) fn with(status: u16, name: &'static str, value: &str) -> Self {
        Self::Say(status, vec![(name, value.to_owned())], Vec::new())
    }

    /// 200 with JSON.
    pub(crate) fn json(body: &Value) -> Self {
        let json = ("content-type", "application/json".to_owned());
        Self::Say(200, vec![json], body.to_string().into_bytes())
    }

    /// What is known of a manager of a large company.
    pub(crate) fn manager() -> Self {
        Self::json(&json!({
            "person": {"job_title": "Chief Executive Officer", "country": "GB"},
            "company": {"name": "Example Inc", "employees": 1200, "industry": "Software"},
            "likelihood": 0.9
        }))
    }
}

/// The server; it ends with this value.
#[derive(Debug)]
pub(crate) struct Provider {
    url: String,
    shared: Arc<Shared>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    script: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<String>>,
    times: watch::Sender<usize>,
}

impl Provider {
    /// Gives these answers in this order, and 404 from then on.
    pub(crate) async fn that_says(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/lookup", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            script: Mutex::new(answers.into_iter().collect()),
            asked: Mutex::default(),
            times: watch::Sender::default(),
        });
        let routes = Router::new().fallback(answer).with_state(shared.clone());
        let serving = tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
        Self {
            url,
            shared,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// Where it is asked.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked so far: path and query of each question.
    pub(crate) fn asked(&self) -> Vec<String> {
        lock(&self.shared.asked).clone()
    }

    /// Waits until it has been asked so many times.
    pub(crate) async fn until_asked(&self, times: usize) {
        let mut asked = self.shared.times.subscribe();
        asked.wait_for(|asked| *asked >= times).await.unwrap();
    }

    /// Gives one more answer after those that are left.
    pub(crate) fn then(&self, answer: Answer) {
        lock(&self.shared.script).push_back(answer);
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    lock(&shared.asked).push(request.uri().to_string());
    shared.times.send_modify(|times| *times += 1);
    let next = lock(&shared.script).pop_front();
    let mut next = next.unwrap_or(Answer::status(404));
    while let Answer::Held(let_go, answer) = next {
        let_go.notified().await;
        next = *answer;
    }
    match next {
        Answer::Say(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Answer::Held(..) | Answer::Silence => std::future::pending().await,
        // A body that is shorter than promised: the connection cannot be kept.
        Answer::HangUp => {
            let cut = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("cut"))]);
            Response::builder()
                .status(StatusCode::OK)
                .header(header::CONTENT_LENGTH, 100)
                .body(Body::from_stream(cut))
                .unwrap()
        }
    }
}

/// Nothing panics while it holds one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What holds for every page: no foreign form, no address told to other sites, and problems shown as pages.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Failed;
use super::referer::page_before;
use crate::app::App;
use crate::commands::Refused;
use crate::web::problem_page::ProblemPage;
use crate::web::session::same_origin;

pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_safe = request.method().is_safe();
    let path = request.uri().path().to_owned();
    let before = page_before(request.headers()).filter(|_| !is_safe);
    let mut response = if is_safe || same_origin(&app.config, request.headers()) {
        next.run(request).await
    } else {
        Failed::from(Refused::Forbidden("this form was sent by another site")).into_response()
    };
    if let Some(page) = response.extensions_mut().remove::<ProblemPage>() {
        let headers = std::mem::take(response.headers_mut());
        let status = response.status();
        let filled = page.at(&path, before, status).fill(&app.views, status);
        response = filled;
        for (name, value) in &headers {
            if *name == header::RETRY_AFTER {
                response.headers_mut().insert(name, value.clone());
            }
        }
    }
    let referrer = HeaderValue::from_static("same-origin");
    response
        .headers_mut()
        .insert(header::REFERRER_POLICY, referrer);
    response
}

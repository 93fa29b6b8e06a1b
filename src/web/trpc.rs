//! The wire of `@trpc/client`, versions 10 and 11, every link: how calls are read out of a request, and how answers and
//! refusals are written. Which procedures there are is for [`crate::api::trpc`] to say.

pub mod envelope;
pub mod error;
pub mod issue;
pub mod request;
pub mod superjson;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::web::client::Client;

use envelope::refuse;
use error::{Code, Failed};
use request::Asked;

/// What every procedure is given besides its input.
#[derive(Debug)]
pub struct Context {
    /// Who calls.
    pub client: Client,
    /// The request's body as it came.
    pub body: Bytes,
    /// Which call of the request this is.
    pub index: usize,
    /// How many calls the request has.
    pub calls: usize,
}

/// The envelope for a request that a layer refused before it came to a procedure.
pub fn refused(status: StatusCode, path: &str, query: &str, headers: &HeaderMap) -> Response {
    let code = Code::of_status(status);
    let failed = match code {
        Code::ServiceUnavailable => Failed::unavailable(),
        code => Failed::new(code, code.parts().0),
    };
    let asked = Asked::new(procedures_in(path), query, headers).ok();
    refuse(asked.as_ref(), failed)
}

/// The part of the path that names procedures.
pub fn procedures_in(path: &str) -> &str {
    path.trim_start_matches("/api/trpc").trim_start_matches('/')
}

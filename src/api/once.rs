//! `Idempotency-Key`: a request sent again is answered as it was the first time.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::store::Tx;
use domain::store::idempotency::{self, Begun};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::caller::Caller;
use crate::app::App;
use crate::commands::Refused;
use crate::web::client::Client;

/// A claim on a key, to be settled in the transaction that does the work.
#[derive(Debug)]
pub struct Once {
    scope: String,
    key: Option<String>,
}

/// Whether there is work to do.
#[derive(Debug)]
pub enum First {
    /// Do it.
    Yes(Once),
    /// It was done; this was the answer.
    No(Response),
}

impl Once {
    /// Claim the key that the client sent, if it sent one.
    pub async fn begin(
        tx: &mut Tx,
        app: &App,
        caller: &Caller,
        client: &Client,
        scope: &'static str,
        body: &[u8],
    ) -> Result<First, Refused> {
        let key = client.idempotency_key();
        // Two programs of an org may happen upon the same key.
        let scope = format!("{scope} {}", caller.key);
        if let Some(key) = &key {
            let hash = Sha256::digest(body);
            match idempotency::begin(tx, caller.org, &scope, key, &hash, app.clock.now()).await? {
                Begun::New => {}
                Begun::Answered { status, response } => {
                    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                    let mut replay = (status, Json(response)).into_response();
                    let replayed = HeaderValue::from_static("true");
                    replay
                        .headers_mut()
                        .insert("idempotency-replayed", replayed);
                    return Ok(First::No(replay));
                }
                Begun::Other => return Err(Refused::KeyReused),
            }
        }
        Ok(First::Yes(Self { scope, key }))
    }

    /// Remember the answer.
    pub async fn finish(
        self,
        tx: &mut Tx,
        caller: &Caller,
        status: StatusCode,
        answer: &Value,
    ) -> Result<(), Refused> {
        if let Some(key) = &self.key {
            idempotency::finish(tx, caller.org, &self.scope, key, status.as_u16(), answer).await?;
        }
        Ok(())
    }
}

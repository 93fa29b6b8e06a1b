//! Who sent a request, as far as it can be told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::web::layers::RequestId;

/// Headers that help to understand a submission later; none of them is a secret.
const WORTH_KEEPING: [&str; 5] = [
    "user-agent",
    "referer",
    "origin",
    "accept-language",
    "idempotency-key",
];

/// Longer keys do not fit an index.
const LONGEST_KEY: usize = 200;

/// The sender of a request.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its address; behind proxies the one that the outermost trusted proxy saw.
    pub ip: IpAddr,
    /// The id of the request in our log.
    pub request_id: String,
    /// Its headers.
    pub headers: HeaderMap,
}

impl Client {
    /// A header as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The content type as sent.
    pub fn content_type(&self) -> &str {
        self.header(header::CONTENT_TYPE.as_str())
            .unwrap_or_default()
    }

    /// The key under which the sender sends one request, however often; a long one by its hash.
    pub fn idempotency_key(&self) -> Option<String> {
        fitting_key(self.header("idempotency-key")?)
    }

    /// The headers to keep with a submission.
    pub fn kept_headers(&self) -> Value {
        let kept: Map<String, Value> = WORTH_KEEPING
            .iter()
            .filter_map(|name| {
                let text: String = self.header(name)?.chars().take(1_000).collect();
                Some(((*name).to_owned(), text.into()))
            })
            .collect();
        Value::Object(kept)
    }
}

/// A key that a sender chose, as it fits an index; none if it is empty.
pub fn fitting_key(sent: &str) -> Option<String> {
    let key = sent.trim();
    match key.len() {
        0 => None,
        1..=LONGEST_KEY => Some(key.to_owned()),
        _ => Some(URL_SAFE_NO_PAD.encode(Sha256::digest(key))),
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| {
                peer.ip()
            });
        let request_id = parts
            .extensions
            .get::<RequestId>()
            .map(|id| id.0.clone())
            .unwrap_or_default();
        Ok(Self {
            ip: forwarded(&parts.headers, app.config.http.trusted_proxies).unwrap_or(peer),
            request_id,
            headers: parts.headers.clone(),
        })
    }
}

/// The entry of `X-Forwarded-For` that the outermost of `proxies` wrote.
fn forwarded(headers: &HeaderMap, proxies: usize) -> Option<IpAddr> {
    let entries: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let at = entries.len().checked_sub(proxies)?;
    entries.get(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_entries_of_trusted_proxies_are_believed() {
        let mut headers = HeaderMap::new();
        assert_eq!(forwarded(&headers, 1), None);
        headers.append("x-forwarded-for", "6.6.6.6, 1.1.1.1".parse().unwrap());
        headers.append("x-forwarded-for", "2.2.2.2".parse().unwrap());
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(forwarded(&headers, 0), None);
        assert_eq!(forwarded(&headers, 1), ip("2.2.2.2"));
        assert_eq!(forwarded(&headers, 2), ip("1.1.1.1"));
        assert_eq!(forwarded(&headers, 9), None);
    }
}

//! Which server takes our mail, and how it is spoken to: read from one address.

use std::fmt;

use lettre::transport::smtp::authentication::Credentials;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// Where mail is handed off.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) credentials: Option<Credentials>,
    /// What we call ourselves; without it the machine's name.
    pub(super) hello: Option<String>,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    /// Not at all.
    None,
    /// If the server offers it.
    Opportunistic,
    /// By STARTTLS, or nothing is said.
    Required,
    /// From the first byte.
    Implicit,
}

/// Why the address of a mail server cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Not an address.
    #[error("not an address like smtp://user:password@mail.example.com:587")]
    Address,
    /// Some other protocol.
    #[error("{0}:// is neither smtp:// nor smtps://")]
    Scheme(String),
    /// A parameter that means nothing.
    #[error("?{0} is none of ?tls=none, ?tls=opportunistic, ?tls=required")]
    Parameter(String),
    /// A user without a password, or the other way round.
    #[error("a user and a password belong together")]
    Credentials,
}

impl Server {
    /// Reads an address; an empty one is no server.
    ///
    /// `smtps://` encrypts from the first byte. `smtp://` encrypts if the server offers it, and must be able to if there
    /// is a password, unless the address says `?tls=none`. A path is the name we greet with.
    pub(super) fn parse(address: &SecretString) -> Result<Option<Self>, ServerError> {
        let address = address.expose_secret().trim();
        if address.is_empty() {
            return Ok(None);
        }
        let url = Url::parse(address).map_err(|_| ServerError::Address)?;
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err(ServerError::Address),
        };
        let credentials = credentials(&url)?;
        let mut tls = match (url.scheme(), &credentials) {
            ("smtps", _) => Tls::Implicit,
            ("smtp", Some(_)) => Tls::Required,
            ("smtp", None) => Tls::Opportunistic,
            (other, _) => return Err(ServerError::Scheme(other.to_owned())),
        };
        for (name, value) in url.query_pairs() {
            tls = match (&*name, &*value) {
                _ if tls == Tls::Implicit => Err(()),
                ("tls", "none") => Ok(Tls::None),
                ("tls", "opportunistic") => Ok(Tls::Opportunistic),
                ("tls", "required") => Ok(Tls::Required),
                _ => Err(()),
            }
            .map_err(|()| ServerError::Parameter(format!("{name}={value}")))?;
        }
        let port = url.port().unwrap_or(match tls {
            Tls::Implicit => 465,
            Tls::Required => 587,
            Tls::None | Tls::Opportunistic => 25,
        });
        let hello = url.path().trim_matches('/');
        Ok(Some(Self {
            host,
            port,
            tls,
            credentials,
            hello: (!hello.is_empty()).then(|| hello.to_owned()),
        }))
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, ServerError> {
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| ServerError::Address)
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(ServerError::Credentials),
        (user, Some(password)) => Ok(Some(Credentials::new(decoded(user)?, decoded(password)?))),
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({:?})", self.host, self.port, self.tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: &str) -> Result<String, ServerError> {
        let server = Server::parse(&SecretString::from(address))?;
        Ok(server.map_or_else(|| "no server".into(), |server| format!("{server:?}")))
    }

    #[test]
    fn an_address_says_how_the_server_is_spoken_to() {
        for (address, expected) in [
            ("", "no server"),
            ("smtp://127.0.0.1:2525", "127.0.0.1:2525 (Opportunistic)"),
            ("smtp://relay.example", "relay.example:25 (Opportunistic)"),
            ("smtp://relay.example?tls=none", "relay.example:25 (None)"),
            (
                "smtp://me:s%40y@relay.example",
                "relay.example:587 (Required)",
            ),
            (
                "smtp://me:say@relay.example?tls=none",
                "relay.example:25 (None)",
            ),
            (
                "smtps://me:say@relay.example",
                "relay.example:465 (Implicit)",
            ),
            ("smtp://[::1]:25", "::1:25 (Opportunistic)"),
        ] {
            assert_eq!(read(address).as_deref(), Ok(expected), "{address}");
        }
    }

    #[test]
    fn an_address_that_makes_no_sense_is_refused_without_its_password() {
        for (address, why) in [
            ("relay.example", ServerError::Address),
            ("http://relay.example", ServerError::Scheme("http".into())),
            (
                "smtp://relay.example?tls=maybe",
                ServerError::Parameter("tls=maybe".into()),
            ),
            (
                "smtps://relay.example?tls=none",
                ServerError::Parameter("tls=none".into()),
            ),
            ("smtp://me@relay.example", ServerError::Credentials),
        ] {
            assert_eq!(read(address), Err(why), "{address}");
        }
    }
}

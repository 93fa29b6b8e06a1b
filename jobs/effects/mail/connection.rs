//! A connection to the mail server, greeted, encrypted and signed in.

use std::time::Duration;

use anyhow::{Context, anyhow};
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::Ehlo;
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

use super::server::{Server, Tls};

/// Most mails per connection: many servers stop taking more.
const MOST_MAILS: u16 = 100;
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// A connection that takes mails, one after the other.
pub(super) struct Connection {
    pub(super) smtp: AsyncSmtpConnection,
    /// The server reports what becomes of a message, and was to be asked.
    pub(super) reports: bool,
    mails: u16,
}

impl Connection {
    /// Connects, greets, encrypts as the server's address says and signs in; each step has `step` to answer.
    pub(super) async fn open(
        server: &Server,
        step: Duration,
        want_reports: bool,
    ) -> anyhow::Result<Self> {
        let hello = match &server.hello {
            Some(name) => ClientId::Domain(name.clone()),
            None => ClientId::default(),
        };
        let tls =
            || TlsParameters::new(server.host.clone()).context("could not prepare encryption");
        let implicit = match server.tls {
            Tls::Implicit => Some(tls()?),
            _ => None,
        };
        let place = (server.host.as_str(), server.port);
        // Connecting, the handshake, the greeting and the hello.
        let connecting =
            AsyncSmtpConnection::connect_tokio1(place, Some(step), &hello, implicit, None);
        let mut smtp = within(step * 4, connecting)
            .await
            .with_context(|| format!("could not connect to {server:?}"))?;

        let offered = smtp.can_starttls();
        if server.tls == Tls::Required || (server.tls == Tls::Opportunistic && offered) {
            within(step * 3, smtp.starttls(tls()?, &hello))
                .await
                .context("could not encrypt the connection")?;
        }
        if let Some(credentials) = &server.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            within(step * 2, smtp.auth(&mechanisms, credentials))
                .await
                .context("could not sign in")?;
        }
        let mut reports = false;
        if want_reports {
            // Asked again, as only what lettre itself uses is kept of the first answer.
            let offers = within(step, smtp.command(Ehlo::new(hello))).await?;
            reports = offers.message().any(|line| line.trim() == "DSN");
        }
        Ok(Self {
            smtp,
            reports,
            mails: 0,
        })
    }

    /// Counts a mail; says whether the connection takes more.
    pub(super) fn takes_more(&mut self) -> bool {
        self.mails += 1;
        self.mails < MOST_MAILS && !self.smtp.has_broken()
    }

    /// Says farewell, if the server listens.
    pub(super) async fn close(mut self) {
        // A server that does not answer hears it from the closed socket.
        let _ = timeout(FAREWELL, self.smtp.quit()).await;
    }
}

/// What `step` gives, if it does within `limit`.
async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> anyhow::Result<T> {
    match timeout(limit, step).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(anyhow!("the server did not answer within {limit:?}")),
    }
}

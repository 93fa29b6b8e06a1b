//! One mail through one connection, up to the server's last word.

use std::error::Error as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{
    Extension, MailBodyParameter, MailParameter, RcptParameter,
};
use lettre::transport::smtp::response::Response;
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::Connection;
use super::letter::Written;
use super::{HandOff, Inner, Letter, Mailer};

/// How much of a server's reply is kept.
const LONGEST_REPLY: usize = 500;

/// A mail whose sender and recipient the server has accepted; nothing of it has been sent.
pub struct Ready {
    inner: Arc<Inner>,
    connection: Connection,
    bytes: Vec<u8>,
}

impl Mailer {
    /// Gets everything ready but the message itself. Any failure here is on our side of the final dot, so the answer is
    /// never [`HandOff::Sent`] or [`HandOff::Unknown`].
    pub async fn begin(&self, letter: &Letter) -> Result<Ready, HandOff> {
        let inner = &self.inner;
        let settings = &inner.settings;
        let Some(server) = &inner.server else {
            return Err(HandOff::NotDelivered(anyhow!("no mail server is set")));
        };
        let written = letter
            .write(&inner.from, settings.idempotency_header.as_deref())
            .map_err(|error| HandOff::Impossible(format!("{:#}", anyhow::Error::from(error))))?;

        // A connection kept from before may be gone: then the next one, and a new one at last.
        while let Some(mut connection) = inner.reuse() {
            match self.address(&mut connection, letter, &written).await {
                Ok(()) => return Ok(self.ready(connection, written)),
                Err(HandOff::NotDelivered(_) | HandOff::Deferred { code: 421, .. }) => {}
                Err(answer) => {
                    connection.close().await;
                    return Err(answer);
                }
            }
        }
        let opened =
            Connection::open(server, settings.step_timeout, settings.delivery_reports).await;
        let mut connection = opened.map_err(HandOff::NotDelivered)?;
        match self.address(&mut connection, letter, &written).await {
            Ok(()) => Ok(self.ready(connection, written)),
            Err(answer) => {
                connection.close().await;
                Err(answer)
            }
        }
    }

    fn ready(&self, connection: Connection, written: Written) -> Ready {
        Ready {
            inner: self.inner.clone(),
            connection,
            bytes: written.bytes,
        }
    }

    /// Names sender and recipient.
    async fn address(
        &self,
        connection: &mut Connection,
        letter: &Letter,
        written: &Written,
    ) -> Result<(), HandOff> {
        let from = self.inner.from.email.clone();
        let info = connection.smtp.server_info();

        let mut mail = Vec::new();
        let mut recipient = Vec::new();
        if !written.to.to_string().is_ascii() || !from.to_string().is_ascii() {
            if !info.supports_feature(Extension::SmtpUtfEight) {
                let why = "the server does not take addresses with letters outside ASCII";
                return Err(HandOff::Impossible(why.into()));
            }
            mail.push(MailParameter::SmtpUtfEight);
        }
        if !written.bytes.is_ascii() && info.supports_feature(Extension::EightBitMime) {
            mail.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        if connection.reports {
            mail.push(other("RET", "HDRS"));
            mail.push(other("ENVID", &letter.message.to_string()));
            recipient.push(RcptParameter::Other {
                keyword: "NOTIFY".into(),
                value: Some("FAILURE,DELAY".into()),
            });
        }

        let mail = Mail::new(Some(from), mail);
        self.step(connection, mail, "the sender").await?;
        let recipient = Rcpt::new(written.to.clone(), recipient);
        self.step(connection, recipient, "the recipient").await?;
        Ok(())
    }

    async fn step<C: std::fmt::Display>(
        &self,
        connection: &mut Connection,
        command: C,
        what: &'static str,
    ) -> Result<Response, HandOff> {
        step(connection, command, what, self.inner.settings.step_timeout).await
    }
}

impl Ready {
    /// Sends the message.
    pub async fn hand_off(mut self) -> HandOff {
        let step_timeout = self.inner.settings.step_timeout;
        let answer = step(&mut self.connection, Data, "the message", step_timeout).await;
        match answer {
            Ok(reply) if reply.has_code(354) => {}
            Ok(reply) => {
                let code = reply.code();
                return HandOff::NotDelivered(anyhow!("the server answered DATA with {code}"));
            }
            Err(answer) => {
                self.connection.close().await;
                return answer;
            }
        }

        let outcome = self.send().await;
        if matches!(outcome, HandOff::Sent { .. }) && self.connection.takes_more() {
            self.inner.keep(self.connection);
        }
        outcome
    }

    /// The body, the dot and the last word.
    async fn send(&mut self) -> HandOff {
        let settings = &self.inner.settings;
        let dot = AtomicBool::new(false);
        let mut body = Some(self.bytes.as_slice());
        // Asked for more only after what it gave was written, and the dot is written only after it gave nothing: so
        // long as this flag is down, no server has the message.
        let parts = std::iter::from_fn(|| {
            let part = body.take();
            dot.store(part.is_none(), Ordering::Release);
            part
        });
        let mut sending = pin!(self.connection.smtp.message_iter(parts));

        let replied = tokio::select! {
            replied = &mut sending => Some(replied),
            () = sleep_until(Instant::now() + settings.step_timeout) => None,
        };
        let replied = match replied {
            None if dot.load(Ordering::Acquire) => {
                timeout(settings.reply_timeout, &mut sending).await.ok()
            }
            other => other,
        };
        match replied {
            Some(Ok(reply)) if is_completion(&reply) => HandOff::Sent {
                code: reply.code().into(),
                reply: shortened(reply.message().collect::<Vec<_>>().join(" ")),
            },
            Some(Ok(reply)) => {
                HandOff::Unknown(anyhow!("the server's last word was {}", reply.code()))
            }
            Some(Err(error)) => match refusal(&error) {
                Some(answer) => answer,
                None if dot.load(Ordering::Acquire) => HandOff::Unknown(
                    anyhow::Error::from(error).context("no reply to the end of the message"),
                ),
                None => HandOff::NotDelivered(
                    anyhow::Error::from(error).context("could not send the message"),
                ),
            },
            None if dot.load(Ordering::Acquire) => {
                HandOff::Unknown(anyhow!("no reply within {:?}", settings.reply_timeout))
            }
            None => HandOff::NotDelivered(anyhow!("the server stopped reading the message")),
        }
    }
}

async fn step<C: std::fmt::Display>(
    connection: &mut Connection,
    command: C,
    what: &'static str,
    limit: Duration,
) -> Result<Response, HandOff> {
    match timeout(limit, connection.smtp.command(command)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(match refusal(&error) {
            // Not about this message: we are not signed in as the server wants.
            Some(HandOff::Rejected {
                code: 530..=538,
                reply,
            }) => HandOff::NotDelivered(anyhow!("the server wants us to sign in: {reply}")),
            Some(answer) => answer,
            None => {
                let error = Err::<(), _>(error).context(what).unwrap_err();
                HandOff::NotDelivered(error.context("the connection broke"))
            }
        }),
        Err(_) => Err(HandOff::NotDelivered(anyhow!(
            "the server did not answer {what} within {limit:?}"
        ))),
    }
}

/// The server's no, if it was one.
fn refusal(error: &SmtpError) -> Option<HandOff> {
    let code: u16 = error.status()?.into();
    let reply = error.source().map(ToString::to_string).unwrap_or_default();
    let reply = shortened(reply);
    Some(if error.is_permanent() {
        HandOff::Rejected { code, reply }
    } else {
        HandOff::Deferred { code, reply }
    })
}

fn is_completion(reply: &Response) -> bool {
    let code: u16 = reply.code().into();
    (200..300).contains(&code)
}

fn other(keyword: &str, value: &str) -> MailParameter {
    MailParameter::Other {
        keyword: keyword.into(),
        value: Some(value.into()),
    }
}

fn shortened(reply: String) -> String {
    let clean = reply.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(LONGEST_REPLY).collect()
}

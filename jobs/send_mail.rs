//! Hand one mail of the ledger to the mail server.

use std::time::Duration;

use chrono::TimeDelta;
use domain::clock::Timestamp;
use domain::id::{AttemptToken, MessageId, OrgId};
use domain::mail::{Mail, MailFate, MailState};
use domain::store::mail_ledger;
use queue::{Attempt, Job, JobResult, Key, Outcome, StaleClaim, enqueue};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::context::Ctx;
use crate::effects::mail::{HandOff, Letter, OnUnknown};

/// A mail that nobody could be given for so long is given up.
const LONGEST: TimeDelta = TimeDelta::days(3);
/// Why nothing more is done about a mail whose fate nobody knows.
const MAY_HAVE_GONE: &str = "it may have been sent";
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// What a server answered is known to nobody else: for so long the attempt waits for a database that is not there.
const FATE_WAITS: Duration = Duration::from_secs(300);
/// How long it waits before it tries again.
const FATE_PAUSE: Duration = Duration::from_millis(500);

/// The ledger decides whether a mail still goes: a mail found in hand-off was interrupted there and may have gone.
///
/// Each change of state is committed before what it announces happens, so a crash at any point leaves a row that says
/// what is certain.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendMail {
    /// The org that sends it.
    pub org: OrgId,
    /// The mail.
    pub message: MessageId,
}

impl Job for SendMail {
    const NAME: &'static str = "send_mail";
    const QUEUE: &'static str = "mail";
    /// More than a server that takes its time at every step.
    const TIMEOUT: Duration = Duration::from_secs(1_800);

    type Ctx = Ctx;

    /// A mail is attempted by one job at a time.
    fn key(&self) -> Option<Key> {
        Some(Key::of(self.message))
    }

    fn lane(&self) -> Option<Uuid> {
        Some(self.org.uuid())
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let (mail, token) = match self.claim(ctx, attempt).await? {
            Claim::Ours(mail, token) => (mail, token),
            Claim::Over(outcome) => return Ok(outcome),
        };
        let letter = match write(ctx, &mail) {
            Ok(letter) => letter,
            // The next release may know how to write it.
            Err(error) => {
                let state = if attempt.is_last() {
                    MailState::Failed
                } else {
                    MailState::Deferred
                };
                let fate = MailFate {
                    error: Some(format!("{error:#}")),
                    ..MailFate::of(state)
                };
                self.settle(ctx, attempt, token, &fate).await?;
                return Err(error);
            }
        };

        let ready = match ctx.effects.mail.begin(&letter).await {
            Ok(ready) => ready,
            Err(answer) => return self.conclude(ctx, attempt, &mail, token, answer).await,
        };
        match self.announce(ctx, attempt, token).await {
            Ok(None) => {}
            Ok(Some(outcome)) => return Ok(outcome),
            // The commit may have come through without its answer; but nothing has left, and nobody but this attempt knows.
            Err(error) => {
                let fate = MailFate {
                    error: Some(format!("{error:#}")),
                    ..MailFate::of(MailState::Deferred)
                };
                self.settle(ctx, attempt, token, &fate).await?;
                return Err(error);
            }
        }
        let answer = ready.hand_off().await;
        self.conclude(ctx, attempt, &mail, token, answer).await
    }
}

/// What is to be done about a mail.
enum Claim {
    /// It is to go, and this attempt holds its token.
    Ours(Box<Mail>, AttemptToken),
    /// Nothing.
    Over(Outcome),
}

impl SendMail {
    /// Looks at what the ledger says and, if the mail is to go, begins an attempt.
    async fn claim(&self, ctx: &Ctx, attempt: &Attempt) -> anyhow::Result<Claim> {
        let now = ctx.clock.now();
        let mut tx = ctx.begin(self.org, attempt).await?;
        let Some(mail) = mail_ledger::lock(&mut tx, self.org, self.message, now).await? else {
            return Ok(Claim::Over(Outcome::skip("there is no such mail")));
        };
        if mail.state.is_final() {
            return Ok(Claim::Over(Outcome::skip(format!("it is {}", mail.state))));
        }
        let resend = ctx.effects.mail.on_unknown() == OnUnknown::Resend;
        let maybe_sent = matches!(mail.state, MailState::Handoff | MailState::Unknown);
        if maybe_sent && !resend {
            // The token stays: an attempt that is only slow may still bring its answer.
            let why = Some("the attempt was interrupted while the server was given the mail");
            mail_ledger::end(&mut tx, self.org, self.message, MailState::Unknown, why).await?;
            tx.commit().await?;
            if mail.state == MailState::Handoff {
                in_doubt();
            }
            warn!(message.id = %self.message, "Mail {} may or may not have been sent", self.message);
            return Ok(Claim::Over(Outcome::skip("it may have been sent already")));
        }
        if let Some((state, why)) = stopped(&mail, now) {
            mail_ledger::end(&mut tx, self.org, self.message, state, Some(why)).await?;
            tx.commit().await?;
            return Ok(Claim::Over(Outcome::skip(why)));
        }
        if mail.not_before > now {
            let wait = (mail.not_before - now).to_std().unwrap_or_default();
            return Ok(Claim::Over(Outcome::snooze(wait)));
        }
        let token = AttemptToken::new();
        mail_ledger::begin(&mut tx, self.org, self.message, token, now).await?;
        tx.commit().await?;
        Ok(Claim::Ours(Box::new(mail), token))
    }

    /// Writes down that the mail is about to leave, unless something has come up meanwhile.
    async fn announce(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        token: AttemptToken,
    ) -> anyhow::Result<Option<Outcome>> {
        let now = ctx.clock.now();
        let mut tx = ctx.begin(self.org, attempt).await?;
        let Some(mail) = mail_ledger::lock(&mut tx, self.org, self.message, now).await? else {
            return Ok(Some(Outcome::skip("there is no such mail")));
        };
        if mail.attempt_token == Some(token)
            && let Some((state, why)) = stopped(&mail, now)
        {
            mail_ledger::end(&mut tx, self.org, self.message, state, Some(why)).await?;
            tx.commit().await?;
            return Ok(Some(Outcome::skip(why)));
        }
        if !mail_ledger::hand_off(&mut tx, self.org, self.message, token, now).await? {
            return Ok(Some(Outcome::skip(
                "another attempt has it, or it was called off",
            )));
        }
        tx.commit().await?;
        Ok(None)
    }

    /// Writes down what came of the attempt, and says what becomes of the job.
    async fn conclude(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        mail: &Mail,
        token: AttemptToken,
        answer: HandOff,
    ) -> JobResult {
        let now = ctx.clock.now();
        let wait = wait(mail.attempts);
        let over = now - mail.created_at > LONGEST;
        let (mut fate, mut outcome) = match answer {
            HandOff::Sent { code, reply } => {
                info!(message.id = %self.message, "Sent mail {}", self.message);
                let fate = replied(MailState::Sent, code, reply);
                (fate, Outcome::Done)
            }
            HandOff::Rejected { code, reply } => {
                let why = format!("the mail server refused it: {}", refusal(code, &reply));
                (
                    replied(MailState::Failed, code, reply),
                    Outcome::discard(why),
                )
            }
            HandOff::Impossible(why) => {
                let fate = MailFate {
                    error: Some(why.clone()),
                    ..MailFate::of(MailState::Failed)
                };
                (fate, Outcome::discard(why))
            }
            HandOff::Deferred { code, reply } => (
                replied(MailState::Deferred, code, reply),
                Outcome::snooze(wait),
            ),
            HandOff::NotDelivered(error) => {
                warn!(message.id = %self.message, "Mail {} waits: {error:#}", self.message);
                let fate = MailFate {
                    error: Some(format!("{error:#}")),
                    ..MailFate::of(MailState::Deferred)
                };
                (fate, Outcome::snooze(wait))
            }
            HandOff::Unknown(error) => {
                warn!(
                    message.id = %self.message,
                    "Mail {} may or may not have been sent: {error:#}", self.message
                );
                in_doubt();
                let fate = MailFate {
                    error: Some(format!("{error:#}")),
                    ..MailFate::of(MailState::Unknown)
                };
                match ctx.effects.mail.on_unknown() {
                    OnUnknown::Hold => (fate, Outcome::skip(MAY_HAVE_GONE)),
                    OnUnknown::Resend => (fate, Outcome::snooze(wait)),
                }
            }
        };
        match fate.state {
            MailState::Deferred if over => {
                let why = "no server took it in three days";
                fate.state = MailState::Failed;
                fate.error.get_or_insert_with(|| why.to_owned());
                outcome = Outcome::discard(why);
            }
            MailState::Deferred => {
                fate.not_before = Some(now + TimeDelta::from_std(wait).unwrap_or_default());
            }
            // However often a server that knows it again is given it, no answer comes.
            MailState::Unknown if over => outcome = Outcome::skip(MAY_HAVE_GONE),
            _ => {}
        }
        self.settle(ctx, attempt, token, &fate).await?;
        Ok(outcome)
    }

    /// Writes an attempt's fate down, as soon as the database is there. Written twice it is the same.
    async fn settle(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        token: AttemptToken,
        fate: &MailFate,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            match self.write_down(ctx, attempt, token, fate).await {
                Err(error) if begun.elapsed() < FATE_WAITS && may_pass(&error) => {
                    warn!(
                        message.id = %self.message,
                        "What became of mail {} is not written down yet: {error:#}", self.message
                    );
                    tokio::time::sleep(FATE_PAUSE).await;
                }
                written => return written,
            }
        }
    }

    /// What is known about a mail is written even by a process that was taken for dead; then the job that runs in its
    /// place may be over, and another is needed for a mail that is still to go.
    async fn write_down(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        token: AttemptToken,
        fate: &MailFate,
    ) -> anyhow::Result<()> {
        let mut tx = ctx.db.org(self.org).await?;
        let now = ctx.clock.now();
        let ours = mail_ledger::settle(&mut tx, self.org, self.message, token, fate, now).await?;
        if ours && fate.state == MailState::Deferred {
            match attempt.fence(&mut tx).await {
                Ok(()) => {}
                Err(StaleClaim::Database(error)) => return Err(error.into()),
                Err(StaleClaim::Gone(_) | StaleClaim::Cancelled(_)) => {
                    enqueue(&mut tx, self).await?;
                }
            }
        }
        ctx.commit(tx).await?;
        Ok(())
    }
}

/// Counts a mail that may or may not have been sent. Whoever wants to know how many there are now asks the ledger.
fn in_doubt() {
    metrics::counter!("leadmill_mails_unknown_total").increment(1);
}

/// Whether the database is at fault, and not what it was told.
fn may_pass(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref());
    match cause {
        // Connection, transaction state (read-only for one), conflicts, resources, operator, system.
        Some(sqlx::Error::Database(error)) => error.code().is_some_and(|code| {
            ["08", "25", "40", "53", "57", "58"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        Some(_) => true,
        None => false,
    }
}

/// Why a mail does not go at all.
fn stopped(mail: &Mail, now: Timestamp) -> Option<(MailState, &'static str)> {
    if mail.suppressed {
        Some((MailState::Suppressed, "the address must not be written to"))
    } else if mail.has_expired(now) {
        Some((MailState::Expired, "it is worthless by now"))
    } else {
        None
    }
}

fn replied(state: MailState, code: u16, reply: String) -> MailFate {
    MailFate {
        code: Some(code),
        reply: Some(reply),
        ..MailFate::of(state)
    }
}

/// A server's no without its words, which may name the recipient: the code and, if it gives one, the enhanced status.
fn refusal(code: u16, reply: &str) -> String {
    let status = reply.split_whitespace().next().filter(|first| {
        let parts: Vec<_> = first.split('.').collect();
        let is_number = |part: &&str| {
            (1..=3).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit())
        };
        parts.len() == 3 && parts.iter().all(is_number)
    });
    match status {
        Some(status) => format!("{code} {status}"),
        None => code.to_string(),
    }
}

/// Twice as long after each attempt.
fn wait(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(0).min(10);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

fn write(ctx: &Ctx, mail: &Mail) -> anyhow::Result<Letter> {
    let written = ctx
        .effects
        .messages
        .render(&mail.template_key, &mail.context)?;
    Ok(Letter {
        message: mail.id,
        message_id: mail.rfc_message_id.clone(),
        to_name: mail.to_name.clone(),
        to: mail.to_email.clone(),
        subject: written.subject,
        text: written.text,
        html: written.html,
        in_reply_to: mail.in_reply_to.clone(),
        references: mail.thread_refs.clone().unwrap_or_default(),
        date: mail.created_at,
    })
}

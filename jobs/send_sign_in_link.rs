//! Send a person the link that signs them in.

use domain::command::new_sign_in_link;
use domain::id::MessageId;
use domain::mail::{MailStream, NewMail};
use domain::normalise;
use domain::session::LINK_LIFETIME;
use domain::store::scope::enter_org;
use domain::store::{mail_ledger, members, orgs};
use queue::{Attempt, Job, JobResult, Key, Outcome, enqueue};
use serde::{Deserialize, Serialize};

use crate::SendMail;
use crate::context::Ctx;
use crate::effects::messages::{Message, SignInLink};

/// Whoever asks is answered alike; only here is it found out whether the address is anybody's.
///
/// The link is made and its mail written down in one transaction, so a retry makes at most a second link that nobody has.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendSignInLink {
    /// The address that was typed.
    pub email: String,
}

impl Job for SendSignInLink {
    const NAME: &'static str = "send_sign_in_link";
    const QUEUE: &'static str = "mail";
    /// Somebody waits for it.
    const PRIORITY: i16 = -10;
    const MAX_ATTEMPTS: u16 = 5;

    type Ctx = Ctx;

    /// Asking again while the first is on its way makes no second one.
    fn key(&self) -> Option<Key> {
        Some(Key::of(normalise::address(&self.email)))
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let mut tx = ctx.db.platform().await?;
        attempt.fence(&mut tx).await?;
        let Some(user) = members::find_user_by_email(&mut tx, &self.email).await? else {
            return Ok(Outcome::skip("the address is nobody's"));
        };
        if user.disabled_at.is_some() {
            return Ok(Outcome::skip("the account is closed"));
        }
        let homes = members::of_user(&mut tx, user.id).await?;
        let Some(home) = homes.first() else {
            return Ok(Outcome::skip("the person works in no org"));
        };
        let now = ctx.clock.now();
        let token = new_sign_in_link(&mut tx, user.id, now).await?;

        enter_org(&mut tx, home.org).await?;
        let org = orgs::find(&mut tx, home.org).await?;
        let person = members::find(&mut tx, home.org, user.id).await?;
        let (Some(org), Some(person)) = (org, person) else {
            return Ok(Outcome::skip("the person works in no org any more"));
        };
        let message = SignInLink {
            frame: ctx.frame(&org, &person),
            minutes: LINK_LIFETIME.num_minutes(),
            url: ctx.effects.links.sign_in(&token),
        };
        let id = MessageId::new();
        let mail = NewMail {
            id,
            org: org.id,
            dedupe_key: format!("sign_in:{id}"),
            stream: MailStream::Transactional,
            lead: None,
            user: Some(user.id),
            to: &user.email,
            template: SignInLink::KEY,
            template_version: SignInLink::VERSION,
            context: serde_json::to_value(message)?,
            rfc_message_id: ctx.effects.mail.message_id(id),
            expires_at: Some(now + LINK_LIFETIME),
            at: now,
        };
        mail_ledger::insert(&mut tx, &mail).await?;
        let send = SendMail {
            org: org.id,
            message: id,
        };
        enqueue(&mut tx, &send).await?;
        ctx.commit(tx).await?;
        Ok(Outcome::Done)
    }
}

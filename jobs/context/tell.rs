//! Tell people: by the bell, by mail, or both, as each of them wishes, and each thing once.

use anyhow::Context;
use domain::clock::Timestamp;
use domain::id::{LeadId, MessageId, OrgId, UserId};
use domain::mail::{MailStream, NewMail};
use domain::member::Membership;
use domain::org::Org;
use domain::store::bell::{self, NewNews};
use domain::store::mail_ledger;
use queue::enqueue;
use serde_json::Value;
use sqlx::PgConnection;
use tracing::debug;

use super::Ctx;
use crate::SendMail;
use crate::effects::messages::{Frame, Message};

/// Something to tell.
#[derive(Debug, Clone)]
pub(crate) struct News<'a> {
    /// `lead_hot`, `lead_assigned`, `follow_up_due`, …
    pub(crate) kind: &'a str,
    /// One line.
    pub(crate) title: String,
    /// A little more.
    pub(crate) body: Option<String>,
    /// The lead it is about.
    pub(crate) lead: Option<LeadId>,
    /// The same for programs.
    pub(crate) data: Value,
    /// The same again has the same key.
    pub(crate) dedupe_key: String,
    /// Worthless as a mail from then on.
    pub(crate) expires_at: Option<Timestamp>,
}

/// Under which key the ledger knows a mail to `person` that tells the news of this key.
pub(crate) fn mail_key(news: &str, person: UserId) -> String {
    format!("{news}:{person}")
}

impl Ctx {
    /// Tells each of `people` in the caller's transaction, with the job that sends the mail. Answers whose bells are to
    /// be rung after the commit.
    pub(crate) async fn tell<M: Message>(
        &self,
        tx: &mut PgConnection,
        org: &Org,
        people: &[Membership],
        news: &News<'_>,
        message: impl Fn(Frame) -> M,
    ) -> anyhow::Result<Vec<UserId>> {
        let at = self.clock.now();
        let listening = people.iter().filter(|person| person.notify.in_app);
        let told: Vec<_> = listening
            .map(|person| NewNews {
                user: person.user_id,
                kind: news.kind,
                title: news.title.clone(),
                body: news.body.clone(),
                lead: news.lead,
                data: news.data.clone(),
                dedupe_key: news.dedupe_key.clone(),
                at,
            })
            .collect();
        let heard = bell::insert(tx, org.id, &told).await?;
        for person in people {
            self.write_to(tx, org, person, news, message(self.frame(org, person)))
                .await?;
        }
        Ok(heard)
    }

    /// Writes a mail to one person down, with the job that sends it, unless they want no mail or have it already.
    pub(crate) async fn write_to<M: Message>(
        &self,
        tx: &mut PgConnection,
        org: &Org,
        person: &Membership,
        news: &News<'_>,
        message: M,
    ) -> anyhow::Result<()> {
        if !person.notify.email {
            return Ok(());
        }
        let id = MessageId::new();
        let mail = NewMail {
            id,
            org: org.id,
            dedupe_key: mail_key(&news.dedupe_key, person.user_id),
            stream: MailStream::Transactional,
            lead: news.lead,
            user: Some(person.user_id),
            to: &person.email,
            template: M::KEY,
            template_version: M::VERSION,
            context: serde_json::to_value(message).context("writing a message's data")?,
            rfc_message_id: self.effects.mail.message_id(id),
            expires_at: news.expires_at,
            at: self.clock.now(),
        };
        if mail_ledger::insert(tx, &mail).await? {
            let send = SendMail {
                org: org.id,
                message: id,
            };
            enqueue(tx, &send).await?;
        }
        Ok(())
    }

    /// What stands in every mail to `person`.
    pub(crate) fn frame(&self, org: &Org, person: &Membership) -> Frame {
        Frame {
            org_name: org.name.clone(),
            reader_name: person.name.clone(),
            news_url: self.effects.links.news(),
        }
    }

    /// Lets open pages of a lead know that it was changed, after the commit; a page that does not hear it looks by itself.
    pub(crate) async fn lead_changed(&self, org: OrgId, lead: LeadId) {
        let rung = async {
            let mut db = self.db.pool().acquire().await?;
            bell::lead_changed(&mut db, org, lead).await
        };
        if let Err(error) = rung.await {
            debug!(
                "Open pages of a lead were not told of its change and will look by themselves: {error}"
            );
        }
    }

    /// Lets open pages know, after the commit; a page that does not hear it finds the news by itself.
    pub(crate) async fn ring(&self, org: OrgId, users: &[UserId]) {
        if users.is_empty() {
            return;
        }
        let rung = async {
            let mut db = self.db.pool().acquire().await?;
            bell::ring(&mut db, org, users).await
        };
        if let Err(error) = rung.await {
            debug!("Open pages were not told of news and will look by themselves: {error}");
        }
    }
}

//! Tell a rep about a lead, in the bell and by mail.

use std::time::Duration;

use chrono::TimeDelta;
use domain::clock::Timestamp;
use domain::command;
use domain::id::{LeadId, OrgId};
use domain::lead::{EnrichmentStatus, Lead};
use domain::member::Membership;
use domain::score::Factor;
use domain::store::{bell, lead_history, lead_pages, mail_ledger, members, orgs, pools};
use queue::{Attempt, Job, JobResult, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::context::{Ctx, News, mail_key};
use crate::effects::messages::{
    LeadAssigned, LeadCard, LeadQualified, LeadScored, LeadTurnedHot, words,
};

/// How long a provider is waited for, once, so that what is told is worth more.
const PROVIDERS_ARE_FAST: Duration = Duration::from_millis(600);
/// What is told of a new lead.
const NEW: &str = "lead_scored";
/// How long a lead counts as new.
const NEW_FOR: TimeDelta = TimeDelta::hours(1);
/// How long news of a lead may still be mailed.
const WORTH: TimeDelta = TimeDelta::days(2);

/// Told once per reason and lead, and of becoming hot once a day; a lead that is nobody's is told to those who run the
/// org.
#[derive(Debug, Serialize, Deserialize)]
pub struct NotifyRep {
    /// The org.
    pub org: OrgId,
    /// The lead.
    pub lead: LeadId,
    /// What happened.
    pub reason: Reason,
}

/// What a rep is told about a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is new, and scored.
    Scored,
    /// It was not hot and is now.
    TurnedHot,
    /// It met a marketing threshold.
    Qualified,
    /// It was given to the rep.
    Assigned,
}

impl Job for NotifyRep {
    const NAME: &'static str = "notify_rep";
    const QUEUE: &'static str = "notify";

    type Ctx = Ctx;

    fn lane(&self) -> Option<Uuid> {
        Some(self.org.uuid())
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let mut tx = ctx.begin(self.org, attempt).await?;
        let Some(org) = orgs::find(&mut tx, self.org).await? else {
            return Ok(Outcome::skip("there is no such organisation"));
        };
        if self.give_away(ctx, attempt, &mut tx).await? {
            // All others of the org wait for their turn until this one is written, and telling takes its time.
            tx.commit().await?;
            tx = ctx.begin(self.org, attempt).await?;
        }
        let Some(lead) = lead_pages::find(&mut tx, self.org, self.lead).await? else {
            return Ok(Outcome::skip("the lead is gone"));
        };
        let people = people(&mut tx, &lead).await?;
        if people.is_empty() {
            return Ok(Outcome::skip("there is nobody to tell"));
        }

        let reason = match self.reason {
            Reason::Scored
                if lead.enrichment_status == EnrichmentStatus::Queued && is_first(attempt) =>
            {
                return Ok(Outcome::snooze(PROVIDERS_ARE_FAST));
            }
            reason @ (Reason::TurnedHot | Reason::Qualified) => {
                match self.told_of(&mut tx, &people).await? {
                    None if ctx.clock.now() - lead.created_at < NEW_FOR => Reason::Scored,
                    Some(told) if told.says(lead.score_total, ctx.clock.now()) => {
                        return Ok(Outcome::skip(
                            "it was told with the news that the lead is there",
                        ));
                    }
                    _ => reason,
                }
            }
            reason => reason,
        };
        let card = card(ctx, &mut tx, &lead).await?;
        let news = self.news(ctx, reason, &lead, &card);
        let yours = lead.assigned_to_user_id.is_some();
        let lead = card;
        let heard = match reason {
            Reason::Scored => {
                let message = |frame| LeadScored {
                    frame,
                    lead: lead.clone(),
                    yours,
                };
                ctx.tell(&mut tx, &org, &people, &news, message).await?
            }
            Reason::TurnedHot => {
                let previous_score = previous_score(&mut tx, self.org, self.lead).await?;
                let message = |frame| LeadTurnedHot {
                    frame,
                    lead: lead.clone(),
                    previous_score,
                };
                ctx.tell(&mut tx, &org, &people, &news, message).await?
            }
            Reason::Qualified => {
                let message = |frame| LeadQualified {
                    frame,
                    lead: lead.clone(),
                };
                ctx.tell(&mut tx, &org, &people, &news, message).await?
            }
            Reason::Assigned => {
                let message = |frame| LeadAssigned {
                    frame,
                    lead: lead.clone(),
                };
                ctx.tell(&mut tx, &org, &people, &news, message).await?
            }
        };
        ctx.commit(tx).await?;
        ctx.ring(self.org, &heard).await;
        Ok(Outcome::Done)
    }
}

impl NotifyRep {
    /// Gives a lead that is nobody's to whose turn it is, if the org's pool does so for leads like this; whether it did.
    async fn give_away(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        tx: &mut PgConnection,
    ) -> anyhow::Result<bool> {
        let Some(lead) = lead_pages::find(tx, self.org, self.lead).await? else {
            return Ok(false);
        };
        if lead.assigned_to_user_id.is_some() {
            return Ok(false);
        }
        let status = format!("status:{}", lead.status);
        let on = pools::auto_on(tx, self.org).await?;
        if !on.iter().any(|on| on == "scored" || *on == status) {
            return Ok(false);
        }
        let act = ctx.act(self.org, attempt);
        let given = command::auto_assign(tx, &act, self.lead, false).await?;
        Ok(given.to.is_some())
    }

    fn key(&self, kind: &str, once: &str) -> String {
        format!("{kind}:{}:{once}", self.lead)
    }

    /// What the first of `people` who heard that the lead is there was told of it.
    async fn told_of(
        &self,
        tx: &mut PgConnection,
        people: &[Membership],
    ) -> sqlx::Result<Option<Told>> {
        let key = self.key(NEW, "ever");
        let mut first = None;
        for person in people {
            let user = person.user_id;
            let by_bell = bell::told(tx, self.org, user, &key).await?;
            let by_mail = mail_ledger::told(tx, self.org, &mail_key(&key, user)).await?;
            first = [first, by_bell, by_mail].into_iter().flatten().min();
        }
        Ok(first.map(|(at, score)| Told { at, score }))
    }

    fn news(&self, ctx: &Ctx, reason: Reason, lead: &Lead, card: &LeadCard) -> News<'static> {
        let now = ctx.clock.now();
        let (kind, title, once) = match reason {
            Reason::Scored => (NEW, "New lead", "ever".to_owned()),
            Reason::TurnedHot => ("lead_hot", "Hot lead", now.date_naive().to_string()),
            Reason::Qualified => ("lead_qualified", "Marketing qualified", "ever".to_owned()),
            Reason::Assigned => {
                let since = lead.assigned_at.unwrap_or(now).timestamp_micros();
                ("lead_assigned", "Yours now", since.to_string())
            }
        };
        let body = match &card.company {
            Some(company) => format!("{company} · score {} ({})", card.score, card.band),
            None => format!("Score {} ({})", card.score, card.band),
        };
        News {
            kind,
            title: format!("{title}: {}", card.name),
            body: Some(body),
            lead: Some(self.lead),
            data: json!({"score": card.score, "band": card.band}),
            dedupe_key: self.key(kind, &once),
            expires_at: Some(now + WORTH),
        }
    }
}

/// What was told of a new lead.
#[derive(Debug, Clone, Copy)]
struct Told {
    at: Timestamp,
    score: Option<i16>,
}

impl Told {
    /// Whether this score was told, and so lately that the lead has not lost and regained it since. When the lead got it says
    /// nothing: a score is of the time at which its job began, and may be committed after another was told.
    fn says(&self, score: Option<i16>, now: Timestamp) -> bool {
        score.is_some() && self.score == score && now - self.at < NEW_FOR
    }
}

/// Whether the job has not waited yet.
fn is_first(attempt: &Attempt) -> bool {
    attempt.scheduled_at - attempt.created_at < TimeDelta::milliseconds(100)
}

/// The lead's rep, or those who run the org.
async fn people(tx: &mut PgConnection, lead: &Lead) -> sqlx::Result<Vec<Membership>> {
    let rep = match lead.assigned_to_user_id {
        Some(rep) => members::find(tx, lead.org_id, rep).await?,
        None => None,
    };
    match rep {
        Some(rep) => Ok(vec![rep]),
        None => members::admins(tx, lead.org_id).await,
    }
}

/// The lead as a mail shows it.
async fn card(ctx: &Ctx, tx: &mut PgConnection, lead: &Lead) -> anyhow::Result<LeadCard> {
    let latest = lead_history::scores(tx, lead.org_id, lead.id, None, 1).await?;
    let factors: Vec<Factor> = match latest.first() {
        Some(latest) => serde_json::from_value(latest.factors.clone())?,
        None => Vec::new(),
    };
    let details = &lead.details;
    Ok(LeadCard {
        name: words::name(lead.display_name.as_deref()),
        job_title: details.job_title.clone(),
        company: details.company_name.clone(),
        email: details.email.clone(),
        phone: details.phone.clone(),
        source: words::source(details.source_category).to_owned(),
        message: details.message.clone(),
        score: lead.score_total.unwrap_or(0),
        band: lead
            .score_band
            .map_or("cold", |band| band.as_str())
            .to_owned(),
        factors: factors.iter().map(words::factor).collect(),
        url: ctx.effects.links.lead(lead.id),
    })
}

async fn previous_score(
    tx: &mut PgConnection,
    org: OrgId,
    lead: LeadId,
) -> sqlx::Result<Option<i16>> {
    let latest = lead_history::scores(tx, org, lead, None, 1).await?;
    Ok(latest.first().and_then(|latest| latest.previous_score))
}

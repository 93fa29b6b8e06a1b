//! Ask providers what they know about a lead.

mod asked;

use std::time::Duration;

use chrono::{NaiveTime, TimeDelta};
use domain::clock::Timestamp;
use domain::command::{self, CommandError};
use domain::company::{self, CompanyFacts};
use domain::enrichment::Outcome as Said;
use domain::id::{LeadId, OrgId};
use domain::lead::{Details, EnrichmentStatus, Lead};
use domain::org::Org;
use domain::score::Cause;
use domain::store::enrichment::{self, RunState};
use domain::store::{Tx, lead_pages, leads, members, orgs};
use queue::{Attempt, Job, JobId, JobResult, Key, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::warn;
use uuid::Uuid;

use crate::context::{Candidate, Ctx, News};
use crate::effects::enrichment::{About, Provider, Question};
use crate::effects::messages::ProviderRefused;
use crate::follow;
use crate::score_lead::score;

use asked::{Asked, Finding};

/// For how long a provider's account of somebody is good.
const KEPT: TimeDelta = TimeDelta::days(30);
/// For how long it goes on not knowing somebody.
const KEPT_UNKNOWN: TimeDelta = TimeDelta::days(7);
/// An objection stands for good: longer than anybody lives.
const KEPT_OBJECTION: TimeDelta = TimeDelta::days(150 * 365);
/// An answer that is to follow is waited for so long.
const LONGEST_POLL: TimeDelta = TimeDelta::hours(24);
/// The shortest wait for a provider, so that its clock and ours may differ.
const LEAST_WAIT: TimeDelta = TimeDelta::seconds(1);

/// Providers are asked in their order until one knows the lead. Each question is written down before it is put, and what
/// was answered is never asked again.
///
/// An answer may fill what the next question would be made of, so a lead that is known is not asked about; who wants that
/// says so in its status, in the transaction that enqueues the job.
#[derive(Debug, Serialize, Deserialize)]
pub struct EnrichLead {
    /// The org.
    pub org: OrgId,
    /// The lead.
    pub lead: LeadId,
}

impl Job for EnrichLead {
    const NAME: &'static str = "enrich_lead";
    const QUEUE: &'static str = "enrich";

    type Ctx = Ctx;

    /// One at a time; a lead that changed meanwhile is looked at again at the end.
    fn key(&self) -> Option<Key> {
        Some(Key::of(self.lead))
    }

    fn lane(&self) -> Option<Uuid> {
        Some(self.org.uuid())
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let mut tx = ctx.begin(self.org, attempt).await?;
        let Some(org) = orgs::find(&mut tx, self.org).await? else {
            return Ok(Outcome::skip("there is no such organisation"));
        };
        let Some(lead) = lead_pages::find(&mut tx, self.org, self.lead).await? else {
            return Ok(Outcome::skip("the lead is gone"));
        };
        if lead.enrichment_status == EnrichmentStatus::Done {
            return Ok(Outcome::skip("it is known already"));
        }
        if enrichment::has_objected(&mut tx, self.org, self.lead).await? {
            let skipped = EnrichmentStatus::Skipped;
            leads::set_enrichment_status(&mut tx, self.org, self.lead, skipped).await?;
            tx.commit().await?;
            ctx.lead_changed(self.org, self.lead).await;
            return Ok(Outcome::skip("the person objects to being looked up"));
        }
        let candidates = ctx.candidates(&mut tx, self.org).await?;
        tx.commit().await?;

        let about = about_lead(&lead.details);
        let mut gone = Asked::default();
        for candidate in &candidates {
            let finding = self.ask(ctx, attempt, &org, candidate, &about).await?;
            gone.note(&candidate.key, finding);
            if gone.is_settled() {
                break;
            }
        }
        self.conclude(ctx, attempt, &about, gone).await
    }
}

impl EnrichLead {
    /// Puts the lead to one provider.
    async fn ask(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        org: &Org,
        candidate: &Candidate,
        about: &About,
    ) -> anyhow::Result<Finding> {
        let now = ctx.clock.now();
        if let Some(until) = candidate.paused_until.filter(|until| *until > now) {
            return Ok(Finding::Later { until, retry: None });
        }
        let provider = match &candidate.provider {
            Ok(provider) => provider,
            Err(error) => {
                warn!(
                    provider = candidate.key,
                    "A provider cannot be asked: {error:#}"
                );
                self.refused(
                    ctx,
                    attempt.job,
                    org,
                    (&candidate.key, "its set-up has a mistake"),
                )
                .await?;
                return Ok(Finding::Failed(Said::Error));
            }
        };
        let Ok(question) = provider.config.question(about) else {
            return Ok(Finding::Unasked);
        };

        let mut tx = ctx.begin(self.org, attempt).await?;
        let hash = question.hash();
        let run =
            enrichment::begin(&mut tx, self.org, self.lead, &provider.key, &hash, now).await?;
        if run.state == RunState::Done {
            let told = provider.config.reread(run.response.as_ref());
            return Ok(match run.outcome {
                Some(Said::Matched) => Finding::Known(Box::new(told.facts)),
                _ => Finding::Unknown,
            });
        }
        let kept = enrichment::find_cached(&mut tx, self.org, &provider.key, &hash, now).await?;
        if let Some((said, body)) = kept {
            let answered = enrichment::Answered {
                response: body.as_ref(),
                ..Default::default()
            };
            enrichment::finish(&mut tx, self.org, run.id, said, &answered, now).await?;
            tx.commit().await?;
            let told = provider.config.reread(body.as_ref());
            return Ok(match said {
                Said::Matched => Finding::Known(Box::new(told.facts)),
                Said::Blocked => Finding::Objected,
                _ => Finding::Unknown,
            });
        }
        if run.state != RunState::Pending
            && let Some(until) = self.is_spent(&mut tx, attempt, candidate, now).await?
        {
            // What is not put is not written down either.
            return Ok(Finding::Later { until, retry: None });
        }
        tx.commit().await?;

        self.put(ctx, attempt, org, provider, &question, &run).await
    }

    /// Until when a provider is not asked whose answers have cost as much today as the org allows. Questions that are put at
    /// once may each be the last.
    async fn is_spent(
        &self,
        tx: &mut Tx,
        attempt: &Attempt,
        candidate: &Candidate,
        now: Timestamp,
    ) -> sqlx::Result<Option<Timestamp>> {
        let Some(cap) = candidate.daily_credit_cap else {
            return Ok(None);
        };
        let today = now.date_naive().and_time(NaiveTime::MIN).and_utc();
        let key = &candidate.key;
        let spent = enrichment::spent(tx, self.org, key, today).await?;
        if spent < cap {
            return Ok(None);
        }
        attempt.log.write(format!(
            "{key} has cost {spent} credits today of the {cap} that it may; it is asked again tomorrow"
        ));
        Ok(Some(today + TimeDelta::days(1)))
    }

    /// Puts a question and writes the answer down.
    async fn put(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        org: &Org,
        provider: &Provider,
        question: &Question,
        run: &enrichment::Run,
    ) -> anyhow::Result<Finding> {
        let reply = ctx
            .effects
            .enrich
            .ask(provider, question, ctx.clock.now())
            .await;
        let now = ctx.clock.now();
        let mut read = asked::read(&reply, now);
        if read.said.is_none() && now - run.started_at >= LONGEST_POLL {
            read = asked::overdue();
        }
        metrics::counter!("leadmill_enrichments_total", "outcome" => read.said.map_or("pending", |said| said.as_str()))
            .increment(1);

        let mut tx = ctx.begin(self.org, attempt).await?;
        match (read.said, &read.finding) {
            (None, Finding::Later { until, .. }) => {
                enrichment::wait(&mut tx, self.org, run.id, *until).await?;
            }
            (said, _) => {
                let said = said.unwrap_or(Said::Error);
                enrichment::finish(&mut tx, self.org, run.id, said, &read.answered(&reply), now)
                    .await?;
                if said.is_settled() {
                    let until = now
                        + match said {
                            Said::Matched => KEPT,
                            Said::Blocked => KEPT_OBJECTION,
                            _ => KEPT_UNKNOWN,
                        };
                    let answer = (said, reply.body.as_ref());
                    let key = &provider.key;
                    let hash = question.hash();
                    enrichment::keep(&mut tx, self.org, key, &hash, answer, now, until).await?;
                }
            }
        }
        if let Some((until, why)) = read.pause {
            enrichment::pause(&mut tx, self.org, &provider.key, until, why).await?;
        }
        tx.commit().await?;
        if let Some(why) = read.refused {
            self.refused(ctx, attempt.job, org, (&provider.key, why))
                .await?;
        }
        Ok(read.finding)
    }

    /// Writes down what all of it came to, and says what becomes of the job.
    async fn conclude(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        about: &About,
        gone: Asked,
    ) -> JobResult {
        let mut tx = ctx.begin(self.org, attempt).await?;
        if let Some((until, retry)) = gone.later().filter(|_| !gone.is_settled()) {
            let failed_often = retry.is_some() && attempt.is_last();
            if !failed_often {
                let status = EnrichmentStatus::Pending;
                leads::set_enrichment_status(&mut tx, self.org, self.lead, status).await?;
                tx.commit().await?;
                ctx.lead_changed(self.org, self.lead).await;
                return match retry {
                    Some(why) => Err(anyhow::anyhow!("{why}")),
                    None => Ok(Outcome::snooze(wait(until, ctx.clock.now()))),
                };
            }
        }
        let Some((provider, said, facts)) = gone.verdict() else {
            // Its status may be that already, and writing it anew would hold nothing.
            if leads::lock(&mut tx, self.org, self.lead).await?.is_none() {
                return Ok(Outcome::skip("the lead is gone"));
            }
            let skipped = EnrichmentStatus::Skipped;
            leads::set_enrichment_status(&mut tx, self.org, self.lead, skipped).await?;
            if self.asks_anew(&mut tx, about, &[]).await? {
                return Ok(Outcome::snooze(Duration::ZERO));
            }
            attempt.release_key(&mut tx).await?;
            tx.commit().await?;
            ctx.lead_changed(self.org, self.lead).await;
            return Ok(Outcome::skip("there is nobody to ask about it"));
        };
        let act = ctx.act(self.org, attempt);
        let recorded =
            command::record_enrichment(&mut tx, &act, self.lead, &provider, said, &facts).await;
        let enriched = match recorded {
            Ok(enriched) => enriched,
            Err(CommandError::NotFound(what)) => {
                return Ok(Outcome::skip(format!("{what} not found")));
            }
            Err(error) => return Err(error.into()),
        };
        if self.asks_anew(&mut tx, about, &enriched.filled).await? {
            return Ok(Outcome::snooze(Duration::ZERO));
        }
        attempt.release_key(&mut tx).await?;
        if enriched.auto_assign {
            let assigned = command::auto_assign(&mut tx, &act, self.lead, false).await?;
            if assigned.changed() {
                follow::after_assignment(&mut tx, self.org, self.lead).await?;
            }
        }
        if said == Said::Matched {
            score(&mut tx, &act, self.lead, Cause::Enrichment).await?;
        }
        ctx.commit(tx).await?;
        ctx.lead_changed(self.org, self.lead).await;
        Ok(Outcome::DoneWith(
            json!({"provider": provider, "outcome": said, "filled": enriched.filled}),
        ))
    }

    /// Whether somebody changed the lead meanwhile in what providers are asked by: then the answer is about what it was,
    /// and this job's key kept them from enqueueing another. `filled` is what the answer itself changed.
    ///
    /// The lead is locked by now, so whoever changes it later finds the key given away.
    async fn asks_anew(
        &self,
        tx: &mut Tx,
        about: &About,
        filled: &[String],
    ) -> anyhow::Result<bool> {
        let lead: Option<Lead> = lead_pages::find(tx, self.org, self.lead).await?;
        let Some(lead) = lead else { return Ok(false) };
        let mut details = serde_json::to_value(&lead.details)?;
        if let Some(fields) = details.as_object_mut() {
            // Only empty fields are filled.
            fields.retain(|name, _| !filled.contains(name));
        }
        Ok(about_lead(&serde_json::from_value(details)?) != *about)
    }

    /// Tells those who run the org, once a day, that a provider needs them.
    async fn refused(
        &self,
        ctx: &Ctx,
        job: JobId,
        org: &Org,
        (provider, why): (&str, &str),
    ) -> anyhow::Result<()> {
        let now = ctx.clock.now();
        let mut tx: Tx = ctx.db.org(self.org).await?;
        let people = members::admins(&mut tx, self.org).await?;
        let news = News {
            kind: "provider_refused",
            title: format!("{provider} no longer answers"),
            body: Some(why.to_owned()),
            lead: None,
            data: json!({"provider": provider}),
            dedupe_key: format!("provider_refused:{provider}:{}", now.date_naive()),
            expires_at: Some(now + TimeDelta::days(1)),
        };
        let message = |frame| ProviderRefused {
            frame,
            provider: provider.to_owned(),
            answer: why.to_owned(),
            url: ctx.effects.links.job(job),
        };
        let heard = ctx.tell(&mut tx, org, &people, &news, message).await?;
        ctx.commit(tx).await?;
        ctx.ring(self.org, &heard).await;
        Ok(())
    }
}

/// What providers may be told about a lead.
fn about_lead(lead: &Details) -> About {
    let employer = company::identify(lead, &CompanyFacts::default());
    let domain = employer.and_then(|employer| employer.domain);
    About::default()
        .with("email", lead.email.as_deref())
        .with("name", lead.display_name().as_deref())
        .with("first_name", lead.first_name.as_deref())
        .with("last_name", lead.last_name.as_deref())
        .with(
            "phone",
            lead.phone_e164.as_deref().or(lead.phone.as_deref()),
        )
        .with("company", lead.company_name.as_deref())
        .with("domain", domain.as_deref())
        .with("job_title", lead.job_title.as_deref())
        .with("linkedin_url", lead.linkedin_url.as_deref())
        .with("website", domain.as_deref())
        .with("country", lead.country.as_deref())
}

fn wait(until: Timestamp, now: Timestamp) -> Duration {
    (until - now).max(LEAST_WAIT).to_std().unwrap_or_default()
}

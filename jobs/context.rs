//! What every job may use; built once, cloned for each.

mod providers;
mod tell;

use domain::actor::{Act, Actor};
use domain::clock::Clock;
use domain::id::{LeadId, OrgId};
use domain::store::{Db, Tx, orgs};
use queue::{Attempt, Batch, Job, JobId, JobResult, Outcome, Wake};
use serde_json::json;
use sqlx::PgConnection;

use crate::effects::enrichment::Enricher;
use crate::effects::mail::Mailer;
use crate::effects::messages::Messages;
use crate::effects::sealed::MasterKeys;

pub(crate) use providers::Candidate;
pub(crate) use tell::{News, mail_key};

/// Most orgs per read.
const ORGS_AT_ONCE: i64 = 1_000;

/// The jobs' shared parts.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The business database.
    pub db: Db,
    /// Where the time comes from.
    pub clock: Clock,
    /// Tells workers of new jobs.
    pub wake: Wake,
    /// What reaches out.
    pub effects: Effects,
}

/// Everything that reaches out, or is needed to.
#[derive(Debug, Clone)]
pub struct Effects {
    /// Hands mails off.
    pub mail: Mailer,
    /// Writes them.
    pub messages: Messages,
    /// Asks providers about leads.
    pub enrich: Enricher,
    /// Opens the providers' keys.
    pub keys: MasterKeys,
    /// Where people are sent.
    pub links: Links,
}

impl Ctx {
    /// Puts the parts together.
    pub fn new(db: Db, clock: Clock, wake: Wake, effects: Effects) -> Self {
        Self {
            db,
            clock,
            wake,
            effects,
        }
    }

    /// Commits, and wakes the workers: jobs that were enqueued need not wait until somebody looks.
    pub async fn commit(&self, tx: Tx) -> sqlx::Result<()> {
        tx.commit().await?;
        self.wake.notify();
        Ok(())
    }

    /// Leaves one job for each active org, all in one transaction and one batch: the body of a sweep.
    pub(crate) async fn for_each_org<J: Job>(
        &self,
        attempt: &Attempt,
        job: impl Fn(OrgId) -> J,
    ) -> JobResult {
        let mut tx = self.db.platform().await?;
        attempt.fence(&mut tx).await?;
        let orgs = Self::active(&mut tx, None).await?;
        let jobs: Vec<_> = orgs.into_iter().map(job).collect();
        let count = jobs.len();
        let batch = Batch::new(attempt.kind).enqueue(&mut tx, jobs).await?;
        self.commit(tx).await?;
        Ok(Outcome::DoneWith(json!({"orgs": count, "batch": batch})))
    }

    /// Every active org behind `last`, for a sweep that does them one after the other and notes how far it has come.
    pub(crate) async fn active_orgs(&self, last: Option<OrgId>) -> sqlx::Result<Vec<OrgId>> {
        let mut tx = self.db.platform().await?;
        Self::active(&mut tx, last).await
    }

    /// A transaction of `org` in which an attempt that was taken for dead can do nothing.
    pub(crate) async fn begin(&self, org: OrgId, attempt: &Attempt) -> anyhow::Result<Tx> {
        let mut tx = self.db.org(org).await?;
        attempt.fence(&mut tx).await?;
        Ok(tx)
    }

    async fn active(tx: &mut PgConnection, last: Option<OrgId>) -> sqlx::Result<Vec<OrgId>> {
        let mut all = Vec::new();
        loop {
            let after = all.last().copied().or(last);
            let page = orgs::active(tx, after, ORGS_AT_ONCE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// The circumstances of what a job does in `org`.
    pub fn act(&self, org: OrgId, attempt: &Attempt) -> Act {
        Act::new(org, Actor::Job(attempt.job.0), self.clock.now())
    }
}

/// The addresses of pages that mails lead to.
#[derive(Debug, Clone)]
pub struct Links {
    base: String,
}

impl Links {
    /// Links under the address at which people reach this service.
    pub fn new(public_url: &str) -> Self {
        Self {
            base: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// The page that signs somebody in.
    pub fn sign_in(&self, token: &str) -> String {
        format!("{}/sign-in/{token}", self.base)
    }

    /// The page of a lead.
    pub fn lead(&self, lead: LeadId) -> String {
        format!("{}/dashboard/crm/leads/{lead}", self.base)
    }

    /// What a rep does first in the morning.
    pub fn today(&self) -> String {
        format!("{}/dashboard/crm/today", self.base)
    }

    /// What a person was told.
    pub fn news(&self) -> String {
        format!("{}/dashboard/crm/notifications", self.base)
    }

    /// A job, with what went wrong in it.
    pub fn job(&self, job: JobId) -> String {
        format!("{}/ops/jobs/{job}", self.base)
    }
}

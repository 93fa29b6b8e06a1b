//! Jobs run here and now, with a mail server and a provider of the test's own outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jobs::effects::enrichment::{Enricher, EnrichmentSettings};
use jobs::effects::mail::{MailSettings, Mailer};
use jobs::effects::messages::Messages;
use jobs::effects::sealed::MasterKeys;
use jobs::{Ctx, Effects, Links};
use leadmill::dev::smtp::Sink;
use queue::{Drained, Enqueued, Job, Wake};
use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;

use super::World;

/// What this world's jobs reach out to.
#[derive(Debug, Default)]
pub(super) struct Outside {
    mail: OnceCell<Sink>,
    provider: Mutex<String>,
    /// Jobs were run, so none may be left.
    worked: AtomicBool,
    /// Unless the test says so.
    leaves: AtomicBool,
}

impl World {
    /// The server that takes this world's mail.
    pub(crate) async fn mailbox(&self) -> &Sink {
        let listen = async || Sink::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        self.outside.mail.get_or_init(listen).await
    }

    /// From now on leads are looked up at `url`.
    pub(crate) fn look_up_at(&self, url: &str) {
        let provider = self.outside.provider.lock();
        url.clone_into(&mut provider.unwrap_or_else(PoisonError::into_inner));
    }

    /// How this world's mail leaves.
    pub(crate) async fn mail(&self) -> MailSettings {
        MailSettings {
            url: self.mailbox().await.url().into(),
            from: "Leadmill <leadmill@example.test>".into(),
            step_timeout: Duration::from_secs(5),
            ..MailSettings::default()
        }
    }

    /// How this world's leads are looked up.
    pub(crate) fn enrichment(&self) -> EnrichmentSettings {
        let provider = self.outside.provider.lock();
        EnrichmentSettings {
            url: provider.unwrap_or_else(PoisonError::into_inner).clone(),
            timeout: Duration::from_secs(1),
            allow_private: true,
            ..EnrichmentSettings::default()
        }
    }

    /// What this world's jobs run with.
    pub(crate) async fn ctx(&self) -> Ctx {
        let effects = Effects {
            mail: Mailer::new(self.mail().await).unwrap(),
            messages: Messages::load(None).unwrap(),
            enrich: Enricher::new(&self.enrichment()).unwrap(),
            keys: MasterKeys::default(),
            links: Links::new("https://leadmill.example.test"),
        };
        let wake = Wake::new(self.pool.clone());
        Ctx::new(self.db.clone(), self.clock.clone(), wake, effects)
    }

    /// Enqueues one job.
    pub(crate) async fn enqueue<J: Job>(&self, job: &J) -> Enqueued {
        let mut db = self.pool.acquire().await.unwrap();
        queue::enqueue(&mut db, job).await.unwrap()
    }

    /// Runs every job that is due, and those that follow from it, until none is. What then still waits must run before
    /// the world ends, or be left on purpose.
    pub(crate) async fn work(&self) -> Drained {
        self.work_with(&self.ctx().await).await
    }

    /// The same with another outside.
    pub(crate) async fn work_with(&self, ctx: &Ctx) -> Drained {
        self.outside.worked.store(true, Ordering::Relaxed);
        let drained = queue::drain(&self.pool, &jobs::registry(), ctx).await;
        drained.unwrap()
    }

    /// Runs what waits for its time as if that had come.
    pub(crate) async fn work_early(&self) -> Drained {
        sqlx::query("UPDATE queue.job SET run_at = now() WHERE run_at > now()")
            .execute(&self.pool)
            .await
            .unwrap();
        self.work().await
    }

    /// Returns when somebody waits for a lock in the database.
    pub(crate) async fn until_somebody_waits(&self) {
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock')";
        let deadline = Instant::now() + Duration::from_secs(20);
        while !sqlx::query_scalar::<_, bool>(waits)
            .fetch_one(&self.pool)
            .await
            .unwrap()
        {
            assert!(Instant::now() < deadline, "nobody waits for a lock");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Jobs that were not run, or wait for another time, are meant to be there when the world ends.
    pub(crate) fn leave_jobs(&self) {
        self.outside.leaves.store(true, Ordering::Relaxed);
    }
}

impl Drop for World {
    /// A test that works works everything.
    fn drop(&mut self) {
        let outside = &self.outside;
        let worked = outside.worked.load(Ordering::Relaxed);
        if !worked || outside.leaves.load(Ordering::Relaxed) || std::thread::panicking() {
            return;
        }
        let live = std::thread::scope(|scope| {
            let counted = scope.spawn(|| live_jobs(self.database.url()));
            counted.join().expect("counting jobs")
        });
        assert!(live.is_empty(), "jobs are left: {live:?}");
    }
}

/// The kinds of what is left in the queue.
fn live_jobs(database: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut db = PgConnection::connect(database).await.unwrap();
        sqlx::query_scalar("SELECT kind FROM queue.job ORDER BY id LIMIT 10")
            .fetch_all(&mut db)
            .await
            .unwrap()
    })
}

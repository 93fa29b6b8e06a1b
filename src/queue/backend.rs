//! The seam to apalis: its worker is fed from the desk and calls the registry.
//!
//! One worker a pool, over one type of task: what a job is decides [`execute`], not the tower stack. The backend never
//! fails and never touches the database, so nothing that happens there can stop a worker.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use apalis::prelude::*;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tower::layer::util::Identity;
use tracing::error;

use crate::cancel::Cancels;
use crate::desk::Desk;
use crate::exchange::Strange;
use crate::execute::execute;
use crate::store::claim::Claimed;
use crate::store::settle::{Fate, Settlement};
use crate::supervise::until_stopped;
use crate::{JobId, Registry};

/// What a pool works with.
pub(crate) struct Bench<Ctx> {
    pub(crate) desk: Arc<Desk>,
    pub(crate) pool: usize,
    pub(crate) registry: Arc<Registry<Ctx>>,
    pub(crate) ctx: Ctx,
    pub(crate) strange: Arc<Strange>,
    pub(crate) cancels: Arc<Cancels>,
}

/// Works on a pool's jobs until `stop`, and then until those that run have ended, or until `now`.
pub(crate) async fn work<Ctx: Clone + Send + Sync + 'static>(
    bench: Bench<Ctx>,
    stop: CancellationToken,
    now: CancellationToken,
) {
    let work = || work_on(bench.clone(), stop.clone(), now.clone());
    until_stopped("pool", &stop, work).await;
}

async fn work_on<Ctx: Clone + Send + Sync + 'static>(
    bench: Bench<Ctx>,
    stop: CancellationToken,
    now: CancellationToken,
) {
    let pool = &bench.desk.pools[bench.pool];
    let concurrency = pool.concurrency;
    let context = WorkerContext::new(&pool.name);
    let feed = Feed {
        desk: bench.desk.clone(),
        pool: bench.pool,
    };
    let worker = WorkerBuilder::new(context.clone())
        .backend(feed)
        .concurrency(concurrency)
        .build(Runner(bench));
    let stopping = async {
        stop.cancelled().await;
        if let Err(error) = context.stop() {
            error!("A pool cannot be stopped: {error}");
        }
        now.cancelled().await;
    };
    tokio::select! {
        biased;
        ended = worker.run() => if let Err(error) = ended {
            error!("A pool ended: {error}");
        },
        () = stopping => {}
    }
}

/// Hands out what was claimed for a pool.
struct Feed {
    desk: Arc<Desk>,
    pool: usize,
}

impl Backend for Feed {
    type Task = Task<Claimed>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Self::Error>>> {
        match self.desk.next(self.pool, cx.waker()) {
            Some(job) => Poll::Ready(Some(Ok(Task::new(job)))),
            None => Poll::Pending,
        }
    }

    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Self::Error>> {
        self.desk.release(self.pool);
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Feed {
    type Args = Claimed;
    type Id = i64;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &Self::Config {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        Identity::new()
    }
}

/// Runs one job a call.
struct Runner<Ctx>(Bench<Ctx>);

impl<Ctx: Clone + Send + Sync + 'static> Service<Task<Claimed>> for Runner<Ctx> {
    type Response = ();
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<(), Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Claimed>) -> Self::Future {
        let job = task.args;
        let bench = &self.0;
        let held = Held {
            desk: bench.desk.clone(),
            cancels: bench.cancels.clone(),
            pool: bench.pool,
            queue: job.queue.clone(),
            id: job.id,
            epoch: job.epoch,
            in_batch: job.batch.is_some(),
            settlement: None,
        };
        let cancel = bench.cancels.begin(job.id, job.epoch);
        let (registry, ctx) = (bench.registry.clone(), bench.ctx.clone());
        let strange = bench.strange.clone();
        Box::pin(async move {
            let executed = execute(&registry, &ctx, job, cancel).await;
            if let Some((kind, version)) = executed.strange {
                strange.pass_over(&kind, version);
            }
            held.tell(executed.settlement);
            Ok(())
        })
    }
}

impl<Ctx: Clone> Clone for Bench<Ctx> {
    fn clone(&self) -> Self {
        Self {
            desk: self.desk.clone(),
            pool: self.pool,
            registry: self.registry.clone(),
            ctx: self.ctx.clone(),
            strange: self.strange.clone(),
            cancels: self.cancels.clone(),
        }
    }
}

/// A job that runs. However its run ends, something is told of it: that it was given back, if nothing else.
struct Held {
    desk: Arc<Desk>,
    cancels: Arc<Cancels>,
    pool: usize,
    queue: Arc<str>,
    id: JobId,
    epoch: i32,
    in_batch: bool,
    settlement: Option<Settlement>,
}

impl Held {
    fn tell(mut self, settlement: Settlement) {
        self.settlement = Some(settlement);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.cancels.end(self.id, self.epoch);
        if self.settlement.is_none() {
            self.cancels.cut_off();
        }
        let given_back = || Settlement::new(self.id, self.epoch, self.in_batch, Fate::Release);
        let settlement = self.settlement.take().unwrap_or_else(given_back);
        self.desk.settle(self.pool, &self.queue, settlement);
    }
}

//! Group commit: single jobs that are enqueued at the same time share a statement and a commit.
//!
//! A commit waits for the disk, and that is most of what it costs to enqueue one job. The first call goes at once; while
//! its row is being written, further ones gather and go together. Nobody waits for company: alone, a call takes as long
//! as it would with a connection of its own.
//!
//! # When the connection breaks
//!
//! A statement whose answer is lost has been committed or has not, and the callers of that flush are told just that
//! ([`EnqueueError::Unknown`]). It is not sent again: without a mark on every row of the hot table, which all other jobs
//! would pay for, a job that has already run cannot be told from one that was never there. A caller that may ask twice, or
//! whose job has a key, asks again. What failed for certain is told as such.

mod line;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tokio::sync::{Semaphore, oneshot};

use crate::exchange::{LONGEST, is_of_the_data};
use crate::store::insert;
use crate::wake::Ride;
use crate::{Enqueue, EnqueueError, Enqueued, Wake};
use line::{Line, Waiting};

/// Flushes at once.
const AT_ONCE: usize = 2;
/// Jobs with a key that are written at once.
const KEYED_AT_ONCE: usize = 2;
/// So much may wait: a job counts one, and one more for every [`PIECE`] of its payload.
const ROOM: u32 = 16_384;
/// In bytes.
const PIECE: usize = 4096;
/// A connection that has not been used for so long is asked first whether it is still one.
const SILENCE: Duration = Duration::from_secs(1);

/// Enqueues single jobs that belong to no transaction of their caller, many of them with one commit.
///
/// Cheap to clone; clones share everything. Of the pool that it is made with it takes the address, its few connections are
/// its own.
#[derive(Debug, Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    db: PgPool,
    /// When a connection last broke: those that were there then may have broken too.
    broke: Arc<Mutex<Option<Instant>>>,
    wake: Wake,
    room: Arc<Semaphore>,
    plain: Line,
    keyed: Line,
}

impl Producer {
    /// One that writes to the database of `pool` and rings `wake` after each commit. It connects when it is first used.
    pub fn new(pool: PgPool, wake: Wake) -> Self {
        let broke = Arc::default();
        Self {
            shared: Arc::new(Shared {
                db: connections(&pool, Arc::clone(&broke)),
                broke,
                wake,
                room: Arc::new(Semaphore::new(ROOM as usize)),
                plain: Line::default(),
                keyed: Line::default(),
            }),
        }
    }

    /// Enqueues a job, given as `&job` or as what [`job`](crate::job) makes of it, and returns after the commit.
    ///
    /// Waits while very many wait already. A call that is dropped while it waits for its answer may have enqueued its job.
    pub async fn enqueue(&self, job: impl Into<Enqueue>) -> Result<Enqueued, EnqueueError> {
        let job = job.into();
        let clash = job.clash();
        let new = job.checked()?;
        let size = u32::try_from(1 + new.payload.len() / PIECE).unwrap_or(ROOM);
        let room = self.shared.room.clone().acquire_many_owned(size.min(ROOM));
        let room = room.await.map_err(|_| EnqueueError::Closed)?;
        let (answer, answered) = oneshot::channel();
        self.shared.take_in(Waiting {
            new,
            clash,
            answer,
            room,
        });
        let lost = |_| Err(EnqueueError::Unknown(Arc::new(sqlx::Error::WorkerCrashed)));
        answered.await.unwrap_or_else(lost)
    }

    /// Takes nothing more, and returns when everything that was taken is answered.
    pub async fn close(&self) {
        // Room is given back with the answer; whoever asks for some from now on waits behind this.
        let all = self.shared.room.acquire_many(ROOM).await;
        self.shared.room.close();
        drop(all);
        self.shared.db.close().await;
    }
}

impl Shared {
    fn take_in(self: &Arc<Self>, job: Waiting) {
        // A key may have to wait for another's transaction, and nobody else is to wait with it.
        if job.clash.is_some() {
            if self.keyed.push(job, KEYED_AT_ONCE) {
                tokio::spawn(keyed(self.clone()));
            }
        } else if self.plain.push(job, AT_ONCE) {
            tokio::spawn(plain(self.clone()));
        }
    }

    async fn together(&self, jobs: Vec<Waiting>) {
        let written = self
            .write(async |db| insert::group(db, jobs.iter().map(|job| &job.new)).await)
            .await;
        match written {
            Ok(ids) => {
                self.wake.notify();
                for (job, id) in jobs.into_iter().zip(ids) {
                    job.answer(Ok(Enqueued::New(id)));
                }
            }
            Err(Failure::Certain(error)) if is_of_the_data(&error) => {
                for job in jobs {
                    self.alone(job).await;
                }
            }
            Err(failure) => {
                let error = failure.shared();
                jobs.into_iter().for_each(|job| job.answer(Err(error())));
            }
        }
    }

    async fn alone(&self, job: Waiting) {
        let mut told = false;
        let written = self
            .write(async |db| match job.clash {
                None => {
                    let ride = self.wake.ride();
                    told = ride.is_some();
                    let tell = ride.as_ref().map(Ride::sender);
                    let id = insert::one(db, &job.new, tell.as_deref()).await?;
                    Ok(Enqueued::New(id))
                }
                // It may wait for another's transaction, and wake-ups are not to wait with it.
                Some(clash) => insert::keyed(db, &job.new, clash).await,
            })
            .await;
        match written {
            Ok(_) if told => self.wake.notify_local(),
            Ok(_) => self.wake.notify(),
            Err(_) => {}
        }
        job.answer(written.map_err(|failure| match failure {
            Failure::Certain(error) => error.into(),
            Failure::Unknown(error) => EnqueueError::Unknown(Arc::new(error)),
        }));
    }

    /// Makes `statement`, which commits by itself.
    async fn write<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, Failure> {
        let mut db = self.db.acquire().await.map_err(Failure::Certain)?;
        match tokio::time::timeout(LONGEST, statement(&mut db)).await {
            Ok(Ok(written)) => Ok(written),
            Ok(Err(error)) if is_answer(&error) => {
                if !is_of_the_data(&error) {
                    self.give_up(db);
                }
                Err(Failure::Certain(error))
            }
            Ok(Err(error)) => {
                self.give_up(db);
                Err(Failure::Unknown(error))
            }
            Err(_) => {
                self.give_up(db);
                Err(Failure::Unknown(sqlx::Error::PoolTimedOut))
            }
        }
    }

    /// Whatever is wrong with it, a new one is no worse.
    fn give_up(&self, db: PoolConnection<Postgres>) {
        *self.broke.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        drop(db.detach());
    }
}

/// Writes what waits, as much as there is at once, until nothing does.
async fn plain(shared: Arc<Shared>) {
    let mut turn = shared.plain.turn();
    loop {
        // Whoever has just been answered and has more to enqueue does so now.
        tokio::task::yield_now().await;
        let mut jobs = turn.next(insert::MOST_OF_A_GROUP);
        match jobs.len() {
            0 => return,
            1 => {
                for job in jobs.drain(..) {
                    shared.alone(job).await;
                }
            }
            _ => shared.together(jobs).await,
        }
    }
}

/// Writes jobs with keys, each by itself.
async fn keyed(shared: Arc<Shared>) {
    let mut turn = shared.keyed.turn();
    while let Some(job) = turn.next(1).pop() {
        shared.alone(job).await;
    }
}

/// Why something could not be written.
#[derive(Debug)]
enum Failure {
    /// It is not there.
    Certain(sqlx::Error),
    /// It may be there.
    Unknown(sqlx::Error),
}

impl Failure {
    /// Makes the error of each caller.
    fn shared(self) -> impl Fn() -> EnqueueError {
        let (is_certain, error) = match self {
            Self::Certain(error) => (true, Arc::new(error)),
            Self::Unknown(error) => (false, Arc::new(error)),
        };
        move || match is_certain {
            true => EnqueueError::NotWritten(error.clone()),
            false => EnqueueError::Unknown(error.clone()),
        }
    }
}

/// Whether the server said that it did not commit, or was never asked to.
///
/// A backend that is told to end (class 57P) may be so after its commit, before it could say so.
fn is_answer(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error
            .code()
            .is_none_or(|code| !code.starts_with("57P") && !code.starts_with("08")),
        sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

fn connections(pool: &PgPool, broke: Arc<Mutex<Option<Instant>>>) -> PgPool {
    let options = pool.connect_options().as_ref().clone();
    PgPoolOptions::new()
        .max_connections(u32::try_from(AT_ONCE + KEYED_AT_ONCE).unwrap_or(u32::MAX))
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .before_acquire(move |db, meta| {
            let broke = *broke.lock().unwrap_or_else(PoisonError::into_inner);
            Box::pin(async move {
                // Used last before that.
                let in_doubt = broke.is_some_and(|broke| broke.elapsed() <= meta.idle_for);
                if meta.idle_for > SILENCE || in_doubt {
                    db.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|db, _| Box::pin(async move { crate::store::set_up_for_inserts(db).await }))
        .connect_lazy_with(options)
}

#[cfg(test)]
mod tests;

//! Worker processes, seen from their parent.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::system::System;

/// How long a worker may take to be ready.
const READY: Duration = Duration::from_secs(20);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// The workers of one run; dropped, they die.
pub struct Crew {
    workers: Vec<Worker>,
    begins: Begins,
}

/// Jobs, each with when it began.
type Begins = Arc<Mutex<Vec<(u64, u64)>>>;

/// What a worker last said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said {
    ready: bool,
    /// Jobs run.
    pub runs: u64,
    /// When it said so.
    pub at: u64,
    /// When the first of them ran.
    pub first: u64,
}

struct Worker {
    child: Child,
    /// Closed, it tells the worker to stop.
    input: Option<ChildStdin>,
    said: watch::Receiver<Said>,
    reader: JoinHandle<()>,
}

impl Crew {
    /// Starts `count` processes that work with `system`; each is ready, none has begun.
    pub async fn start(system: &dyn System, url: &str, count: usize, begins: bool) -> Result<Self> {
        let mut crew = Self {
            workers: Vec::new(),
            begins: Arc::default(),
        };
        for _ in 0..count {
            let worker = Worker::start(system, url, begins, crew.begins.clone())?;
            crew.workers.push(worker);
        }
        for worker in &mut crew.workers {
            let ready = worker.said.wait_for(|said| said.ready);
            tokio::time::timeout(READY, ready)
                .await
                .context("a worker takes too long to be ready")?
                .context("a worker ended before it was ready")?;
        }
        Ok(crew)
    }

    /// Lets them begin.
    pub async fn go(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            let input = worker.input.as_mut().context("a worker that stops")?;
            input.write_all(b"go\n").await?;
        }
        Ok(())
    }

    /// How many jobs they have run, as of when the last of them said so, and when the first of them ran.
    pub fn said(&self) -> Said {
        let each = self.workers.iter().map(|worker| *worker.said.borrow());
        each.fold(Said::default(), |all, said| Said {
            ready: all.ready || said.ready,
            runs: all.runs + said.runs,
            at: all.at.max(said.at),
            first: match (all.first, said.first) {
                (0, first) | (first, 0) => first,
                (one, other) => one.min(other),
            },
        })
    }

    /// Waits until they have run `jobs` in all.
    pub async fn has_run(&mut self, jobs: u64) -> Result<()> {
        while self.said().runs < jobs {
            self.check()?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Fails if one of them has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            if let Some(status) = worker.child.try_wait()? {
                bail!("a worker ended by itself: {status}");
            }
        }
        Ok(())
    }

    /// Each job that has begun, with when, as far as that was asked for.
    pub fn begins(&self) -> Vec<(u64, u64)> {
        let begins = self.begins.lock().unwrap_or_else(PoisonError::into_inner);
        begins.clone()
    }

    /// Lets them end what they are at; says how many jobs they ran and when each began.
    pub async fn stop(mut self) -> Result<(Said, Vec<(u64, u64)>)> {
        for worker in &mut self.workers {
            drop(worker.input.take());
        }
        for worker in &mut self.workers {
            let status = tokio::time::timeout(STOP, worker.child.wait())
                .await
                .context("a worker does not stop")??;
            ensure!(status.success(), "a worker failed: {status}");
            (&mut worker.reader).await?;
        }
        Ok((self.said(), self.begins()))
    }
}

impl Worker {
    fn start(system: &dyn System, url: &str, begins: bool, into: Begins) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["work", system.name(), url]);
        if begins {
            command.arg("--begins");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting a worker")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("a worker has an output")?;
        let (tell, said) = watch::channel(Said::default());
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let heard = hear(&line, &into);
                tell.send_modify(|said| match heard {
                    Some(heard) => *said = heard,
                    None => said.ready = true,
                });
            }
        });
        Ok(Self {
            child,
            input,
            said,
            reader,
        })
    }
}

/// What a line says; `None` if only that the worker is ready.
fn hear(line: &str, into: &Begins) -> Option<Said> {
    let mut words = line.split(' ');
    let mut next = || words.next()?.parse().ok();
    let said = Said {
        ready: true,
        runs: next()?,
        at: next()?,
        first: next()?,
    };
    let begins = words.filter_map(|word| {
        let (number, began) = word.split_once('=')?;
        Some((number.parse().ok()?, began.parse().ok()?))
    });
    let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
    into.extend(begins);
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_heard_as_it_was_said() {
        let begins = Begins::default();
        assert!(hear("ready", &begins).is_none());
        let said = hear("2 900 300 7=300 8=400", &begins).unwrap();
        assert_eq!((said.runs, said.at, said.first), (2, 900, 300));
        assert_eq!(*begins.lock().unwrap(), [(7, 300), (8, 400)]);
    }
}

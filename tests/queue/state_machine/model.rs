//! What the queue is, in as few words as possible.

use std::collections::BTreeMap;

use queue::{Enqueued, Job, JobId};

use super::{Step, Strange};

/// A job to be enqueued.
#[derive(Debug, Clone)]
pub(super) struct New {
    pub step: Step,
    pub key: Option<(u8, Clash)>,
    pub priority: i16,
    pub later: bool,
}

/// What a job does to the one that has its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clash {
    Ignore,
    Replace,
    Postpone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// Its time has come or not.
    Scheduled {
        due: bool,
    },
    Running,
    Parked,
    Finished(&'static str),
}

#[derive(Debug, Clone)]
struct Row {
    /// `None`: nobody knows what it does.
    step: Option<Step>,
    key: Option<u8>,
    priority: i16,
    state: State,
    /// Which of two that are as urgent goes first.
    order: u64,
    attempt: i16,
    epoch: i32,
    errors: i32,
    retried_from: Option<i64>,
    to_stop: bool,
}

/// All jobs.
#[derive(Debug, Default)]
pub(super) struct Model {
    rows: BTreeMap<i64, Row>,
    /// How many numbers have been given.
    pub made: usize,
    pub paused: bool,
    clock: u64,
}

const MOST: i16 = Step::MAX_ATTEMPTS as i16;
const MOST_STRANGE: i16 = Strange::MAX_ATTEMPTS as i16;

impl Row {
    fn is_live(&self) -> bool {
        !matches!(self.state, State::Finished(_))
    }

    fn is_last(&self) -> bool {
        self.attempt
            >= if self.step.is_some() {
                MOST
            } else {
                MOST_STRANGE
            }
    }
}

impl Model {
    pub(super) fn enqueue(&mut self, new: &New) -> Enqueued {
        let order = self.tick();
        let state = match new.later {
            true => State::Scheduled { due: false },
            false => State::Ready,
        };
        // A clash uses up a number too.
        self.made += 1;
        if let Some((key, clash)) = new.key
            && let Some((id, row)) = self.holder(key)
        {
            if clash != Clash::Ignore && row.state != State::Running {
                row.step = Some(new.step);
                if clash == Clash::Postpone {
                    row.order = order;
                    row.state = state;
                }
            }
            return Enqueued::Exists(JobId(id));
        }
        let key = new.key.map(|(key, _)| key);
        let row = row(Some(new.step), key, new.priority, state, order);
        Enqueued::New(JobId(self.insert(row)))
    }

    /// Enqueued and rolled back; whether there was one with the key.
    pub(super) fn lose(&mut self, new: &New) -> bool {
        self.made += 1;
        new.key.is_some_and(|(key, _)| self.holder(key).is_some())
    }

    pub(super) fn enqueue_many(&mut self, steps: &[Step]) -> usize {
        let order = self.tick();
        for step in steps {
            self.made += 1;
            self.insert(row(Some(*step), None, 0, State::Ready, order));
        }
        steps.len()
    }

    pub(super) fn strange(&mut self) -> Enqueued {
        let order = self.tick();
        self.made += 1;
        Enqueued::New(JobId(self.insert(row(None, None, 0, State::Ready, order))))
    }

    /// Everything due is run, in rounds: what is ready again at once waits for the next one.
    pub(super) fn drain(&mut self) -> Vec<(i64, &'static str)> {
        let mut runs = Vec::new();
        loop {
            self.promote();
            let round = self.first(usize::MAX);
            if self.paused || round.is_empty() {
                return runs;
            }
            for id in round {
                let order = self.tick();
                let row = self.rows.get_mut(&id).expect("it is ready");
                row.attempt += 1;
                row.epoch += 1;
                runs.push((id, run(row, order)));
            }
        }
    }

    pub(super) fn come_due(&mut self, id: i64) -> bool {
        let order = self.tick();
        match self.rows.get_mut(&id) {
            Some(row) if matches!(row.state, State::Scheduled { .. }) => {
                row.state = State::Scheduled { due: true };
                row.order = order;
                true
            }
            _ => false,
        }
    }

    pub(super) fn retry(&mut self, id: i64) -> String {
        let order = self.tick();
        let Some(row) = self.rows.get_mut(&id) else {
            return format!("there is no job {id}");
        };
        match row.state {
            State::Ready => format!("job {id} is ready and waits for a worker"),
            State::Running => format!("job {id} is running; wait until this attempt has ended"),
            State::Parked => {
                format!("job {id} is parked until a worker knows its kind and version")
            }
            State::Scheduled { .. } => {
                row.state = State::Ready;
                row.order = order;
                "Hastened".into()
            }
            State::Finished(_) => {
                let row = row.clone();
                self.made += 1;
                if row.key.is_some_and(|key| self.holder(key).is_some()) {
                    return format!("a live job of the same kind has the key of job {id}");
                }
                self.rows.remove(&id);
                let back = Row {
                    retried_from: Some(id),
                    ..self::row(row.step, row.key, row.priority, State::Ready, order)
                };
                format!("Retried({})", self.insert(back))
            }
        }
    }

    pub(super) fn cancel(&mut self, id: i64) -> String {
        let Some(row) = self.rows.get_mut(&id) else {
            return format!("there is no job {id}");
        };
        match row.state {
            State::Finished(_) => format!("job {id} is finished"),
            State::Running => {
                row.to_stop = true;
                "Cancelling".into()
            }
            _ => {
                row.state = State::Finished("cancelled");
                "Cancelled".into()
            }
        }
    }

    pub(super) fn delete(&mut self, id: i64) -> String {
        match self.rows.get(&id).map(|row| row.state) {
            None => format!("there is no job {id}"),
            Some(State::Running) => {
                format!("job {id} is running; wait until this attempt has ended")
            }
            Some(_) => {
                self.rows.remove(&id);
                "Deleted".into()
            }
        }
    }

    pub(super) fn die(&mut self, count: usize) -> Vec<i64> {
        let mut died = self.first(count);
        for id in &died {
            let row = self.rows.get_mut(id).expect("it is ready");
            row.state = State::Running;
            row.attempt += 1;
            row.epoch += 1;
        }
        died.sort_unstable();
        died
    }

    /// Those that wait again.
    pub(super) fn rescue(&mut self) -> Vec<i64> {
        self.promote();
        let order = self.tick();
        let mut back = Vec::new();
        for (id, row) in &mut self.rows {
            if row.state != State::Running {
                continue;
            }
            row.errors += 1;
            if row.to_stop {
                row.state = State::Finished("cancelled");
            } else if row.is_last() {
                row.state = State::Finished("discarded");
            } else {
                row.state = State::Scheduled { due: false };
                row.order = order;
                back.push(*id);
            }
        }
        back
    }

    /// What there is to be seen: live jobs and finished ones, a line each.
    pub(super) fn table(&self) -> Vec<String> {
        let (mut live, mut finished) = (Vec::new(), Vec::new());
        for (id, row) in &self.rows {
            let what = match row.step {
                Some(step) => format!("{} \"{step:?}\"", Step::NAME),
                None => "strange {}".to_owned(),
            };
            let key = row.key.map(|key| key.to_string()).unwrap_or_default();
            let head =
                |state: &str| format!("{id} {what} {state} p{} a{}", row.priority, row.attempt);
            let tail = format!("k{key} {} errors", row.errors);
            let state = match row.state {
                State::Ready => "ready",
                State::Scheduled { .. } => "scheduled",
                State::Running => "running",
                State::Parked => "parked",
                State::Finished(outcome) => {
                    let from = row.retried_from.map(|from| from.to_string());
                    let from = from.unwrap_or_default();
                    finished.push(format!("{} {tail} from {from}", head(outcome)));
                    continue;
                }
            };
            let to_stop = if row.to_stop { "t" } else { "f" };
            live.push(format!(
                "{} e{} {tail} stop {to_stop}",
                head(state),
                row.epoch
            ));
        }
        live.extend(finished);
        live
    }

    fn promote(&mut self) {
        for row in self.rows.values_mut() {
            if row.state == (State::Scheduled { due: true }) {
                row.state = State::Ready;
            }
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn insert(&mut self, row: Row) -> i64 {
        let id = i64::try_from(self.made).expect("few");
        self.rows.insert(id, row);
        id
    }

    fn holder(&mut self, key: u8) -> Option<(i64, &mut Row)> {
        let mut rows = self.rows.iter_mut();
        rows.find(|(_, row)| row.is_live() && row.key == Some(key))
            .map(|(id, row)| (*id, row))
    }

    /// The ready jobs that go first.
    fn first(&self, count: usize) -> Vec<i64> {
        let ready = self
            .rows
            .iter()
            .filter(|(_, row)| row.state == State::Ready);
        let mut ready: Vec<_> = ready
            .map(|(id, row)| (row.priority, row.order, *id))
            .collect();
        ready.sort_unstable();
        ready.into_iter().take(count).map(|(.., id)| id).collect()
    }
}

fn row(step: Option<Step>, key: Option<u8>, priority: i16, state: State, order: u64) -> Row {
    Row {
        step,
        key,
        priority,
        state,
        order,
        attempt: 0,
        epoch: 0,
        errors: 0,
        retried_from: None,
        to_stop: false,
    }
}

/// One attempt that was begun; what came of it.
fn run(row: &mut Row, order: u64) -> &'static str {
    let later = State::Scheduled { due: false };
    let (state, said) = match row.step {
        None => {
            row.attempt -= 1;
            (State::Parked, "parked")
        }
        Some(Step::Done) => (State::Finished("completed"), "completed"),
        Some(Step::Skip) => (State::Finished("skipped"), "skipped"),
        Some(Step::Discard) => (State::Finished("discarded"), "discarded"),
        Some(Step::Snooze) => {
            row.attempt -= 1;
            (later, "snoozed")
        }
        Some(Step::Fail | Step::Panic | Step::Again) if row.is_last() => {
            row.errors += 1;
            (State::Finished("discarded"), "discarded")
        }
        Some(Step::Fail | Step::Panic) => {
            row.errors += 1;
            (later, "retried")
        }
        Some(Step::Again) => {
            row.errors += 1;
            (State::Ready, "retried")
        }
    };
    row.state = state;
    if said != "parked" {
        row.order = order;
    }
    said
}

//! A model of leases, epochs and the rows that tell of claims, every order of events of which is tried.
//!
//! Processes claim (and may not hear that they did), tell what came of a job (and may not hear that they were heard), die and
//! start again; one that stops for a while is one that does nothing while others go on, and its lease runs out. From then on
//! it is a node of another number, and goes on with what it runs. What runs is found by way of a row a claim alone: what a dead node held is taken back by it, what was claimed
//! and not heard of is given back by it. Rows go with what they tell of, in three ways, and one may be lost by mistake;
//! then a look at every job tells of it again. The rules are those of the statements.

use stateright::{Checker, HasDiscoveries, Model, Property};

const PROCESSES: usize = 2;
/// Numbers of nodes. Every start takes one, and every lease that ran out.
const NODES: usize = 3;
const MAX_ATTEMPTS: u8 = 2;
/// Bounds the model where nothing else does, as a snooze gives its attempt back.
const MAX_EPOCH: usize = 3;

/// The protocol, with or without its safeguards.
struct Leases {
    /// An outcome is accepted under the epoch of its claim alone.
    compare_epoch: bool,
    /// Before a row goes that nobody asked to, it is looked whether what it tells of runs.
    look_first: bool,
}

/// No rule looks at two jobs, so there is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    job: Job,
    /// For each epoch the node whose claim a row tells of.
    rows: [Option<usize>; MAX_EPOCH + 1],
    leases: [Lease; NODES],
    processes: [Process; PROCESSES],
    /// A row was lost whose job runs.
    mistaken: bool,
    /// An outcome was accepted from a process whose claim was no longer the job's.
    misattributed: bool,
    /// A claim had a second outcome accepted.
    settled_twice: bool,
    /// What is worth to be seen of the event that led here.
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Seen {
    /// A stale outcome was refused.
    Refused,
    /// A claim that was not heard of was given back.
    GivenBack,
    /// A job was found of which nothing told.
    Recalled,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Job {
    place: Place,
    epoch: usize,
    attempt: u8,
    /// One past the claim that was settled last.
    settled: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Ready,
    Running { by: usize },
    Completed,
    Discarded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Lease {
    None,
    Holds,
    RanOut,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    /// While it lives.
    node: Option<usize>,
    /// Epochs under which it believes to hold the job.
    holds: [bool; MAX_EPOCH + 1],
}

const DEAD: Process = Process {
    node: None,
    holds: [false; MAX_EPOCH + 1],
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Verdict {
    Done,
    Fail,
    Snooze,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// A process starts, or one whose lease ran out goes on as another node.
    Register(usize),
    Kill(usize),
    /// The lease of a node runs out, whether its process lives or not.
    Lapse(usize),
    Claim {
        process: usize,
        /// Whether it hears that it did.
        heard: bool,
    },
    Tell {
        process: usize,
        epoch: usize,
        verdict: Verdict,
        answer: Answer,
    },
    /// A process gives back what its node has and it does not know of.
    GiveBack(usize),
    /// A process removes rows of its node of which nothing runs.
    Tidy(usize),
    /// Somebody removes rows of nodes without a lease of which nothing runs.
    Bury,
    /// Somebody takes back what a node without a lease has.
    Rescue,
    /// The row that tells of the first claim is lost by mistake.
    Lose,
    /// Somebody finds what a node without a lease has and no row tells of.
    Recall,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It arrives, and the row of the claim is removed.
    Heard,
    /// It arrives, and the row stays, as removing it failed.
    HeardOnly,
    /// It does not arrive: the outcome is told again.
    Lost,
}

impl State {
    fn holds_lease(&self, node: usize) -> bool {
        self.leases[node] == Lease::Holds
    }

    /// The node that runs the job, if a row tells of it.
    fn told(&self) -> Option<usize> {
        match self.job.place {
            Place::Running { by } => self.rows[self.job.epoch].filter(|node| *node == by),
            _ => None,
        }
    }

    /// The node that a process is, if it lives.
    fn node(&self, process: usize) -> Option<usize> {
        self.processes[process].node
    }

    fn can(&self, event: &Event) -> bool {
        match *event {
            Event::Register(process) => {
                let lapsed = |node: usize| !self.holds_lease(node);
                // They are alike, so it does not matter which is first.
                let is_first = self.leases[0] != Lease::None || process == 0;
                is_first
                    && self.leases.contains(&Lease::None)
                    && self.node(process).is_none_or(lapsed)
            }
            Event::Kill(process) | Event::Tidy(process) => self.node(process).is_some(),
            Event::Lapse(node) => self.holds_lease(node),
            Event::Claim { process, .. } => {
                let may = |node: usize| self.holds_lease(node);
                self.node(process).is_some_and(may)
                    && self.job.place == Place::Ready
                    && self.job.epoch < MAX_EPOCH
            }
            Event::Tell { process, epoch, .. } => self.processes[process].holds[epoch],
            Event::GiveBack(process) => {
                let node = self.node(process);
                node.is_some()
                    && node == self.told()
                    && !self.processes[process].holds[self.job.epoch]
            }
            Event::Bury => true,
            Event::Rescue => self.told().is_some_and(|node| !self.holds_lease(node)),
            Event::Lose => self.told().is_some() && self.job.epoch == 1,
            Event::Recall => match self.job.place {
                Place::Running { by } => !self.holds_lease(by) && self.told().is_none(),
                _ => false,
            },
        }
    }

    /// Removes the rows of these nodes of which nothing runs, or all of them if nobody looks.
    fn remove(&mut self, look: bool, is_meant: impl Fn(usize) -> bool) {
        let runs = self.told().map(|_| self.job.epoch).filter(|_| look);
        for (epoch, row) in self.rows.iter_mut().enumerate() {
            if runs != Some(epoch) && row.is_some_and(&is_meant) {
                *row = None;
            }
        }
    }
}

impl Model for Leases {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            job: Job {
                place: Place::Ready,
                epoch: 0,
                attempt: 0,
                settled: 0,
            },
            rows: [None; MAX_EPOCH + 1],
            leases: [Lease::None; NODES],
            processes: [DEAD; PROCESSES],
            mistaken: false,
            misattributed: false,
            settled_twice: false,
            seen: None,
        }]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        for process in 0..PROCESSES {
            events.extend([
                Event::Register(process),
                Event::Kill(process),
                Event::GiveBack(process),
                Event::Tidy(process),
            ]);
            for heard in [true, false] {
                events.push(Event::Claim { process, heard });
            }
            for epoch in 1..=MAX_EPOCH {
                for verdict in [Verdict::Done, Verdict::Fail, Verdict::Snooze] {
                    for answer in [Answer::Heard, Answer::HeardOnly, Answer::Lost] {
                        events.push(Event::Tell {
                            process,
                            epoch,
                            verdict,
                            answer,
                        });
                    }
                }
            }
        }
        events.extend((0..NODES).map(Event::Lapse));
        events.extend([Event::Bury, Event::Rescue, Event::Lose, Event::Recall]);
        events.retain(|event| state.can(event));
    }

    fn next_state(&self, before: &State, event: Event) -> Option<State> {
        let mut state = State {
            seen: None,
            ..before.clone()
        };
        match event {
            Event::Register(process) => {
                let node = state.leases.iter().position(|it| *it == Lease::None)?;
                state.leases[node] = Lease::Holds;
                state.processes[process].node = Some(node);
            }
            Event::Kill(process) => state.processes[process] = DEAD,
            Event::Lapse(node) => state.leases[node] = Lease::RanOut,
            Event::Claim { process, heard } => {
                let by = state.node(process)?;
                state.job.place = Place::Running { by };
                state.job.epoch += 1;
                state.job.attempt += 1;
                state.rows[state.job.epoch] = Some(by);
                state.mistaken = false;
                state.processes[process].holds[state.job.epoch] = heard;
            }
            Event::Tell {
                process,
                epoch,
                verdict,
                answer,
            } => {
                self.tell(&mut state, epoch, verdict);
                if answer != Answer::Lost {
                    state.processes[process].holds[epoch] = false;
                }
                if answer == Answer::Heard {
                    state.rows[epoch] = None;
                }
            }
            Event::GiveBack(_) => {
                let epoch = state.job.epoch;
                self.tell(&mut state, epoch, Verdict::Snooze);
                state.seen = Some(Seen::GivenBack);
            }
            Event::Tidy(process) => {
                let own = state.node(process)?;
                state.remove(self.look_first, |node| node == own);
            }
            Event::Bury => {
                let leases = state.leases;
                state.remove(self.look_first, |node| leases[node] != Lease::Holds);
            }
            Event::Rescue => state.job.settle(Verdict::Fail),
            Event::Lose => {
                state.rows[state.job.epoch] = None;
                state.mistaken = true;
            }
            Event::Recall => {
                let Place::Running { by } = state.job.place else {
                    return None;
                };
                state.rows[state.job.epoch] = Some(by);
                state.mistaken = false;
                state.seen = Some(Seen::Recalled);
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("an outcome is the holder's", |_, state: &State| {
                !state.misattributed
            }),
            Property::always("a claim is settled once", |_, state: &State| {
                !state.settled_twice
            }),
            Property::always("attempts have an end", |_, state: &State| {
                state.job.attempt <= MAX_ATTEMPTS
            }),
            Property::always("no job is lost", |_, state: &State| match state.job.place {
                // A row tells of it, or else is missing by mistake until a look at every job finds it.
                Place::Running { .. } => state.told().is_some() || state.mistaken,
                Place::Ready => state.job.attempt < MAX_ATTEMPTS,
                Place::Completed => state.job.settled > 0,
                Place::Discarded => state.job.attempt == MAX_ATTEMPTS,
            }),
            Property::sometimes("a dead process's job is done by another", |_, state| {
                let State {
                    job,
                    processes,
                    leases,
                    ..
                }: &State = state;
                let died = processes.contains(&DEAD) && leases.contains(&Lease::RanOut);
                died && job.place == Place::Completed && job.epoch == 2
            }),
            Property::sometimes("a stale outcome is told", |_, state: &State| {
                state.seen == Some(Seen::Refused)
            }),
            Property::sometimes("a job that kills is given up", |_, state: &State| {
                state.job.place == Place::Discarded && state.job.settled == 0
            }),
            Property::sometimes("what was not heard of waits again", |_, state: &State| {
                state.seen == Some(Seen::GivenBack) && state.job.place == Place::Ready
            }),
            Property::sometimes("what nothing told of is found", |_, state: &State| {
                state.seen == Some(Seen::Recalled) && state.told().is_some()
            }),
            Property::sometimes("no row outlives what it tells of", |_, state: &State| {
                state.job.epoch == MAX_EPOCH
                    && state.job.place == Place::Completed
                    && state.rows.iter().all(Option::is_none)
            }),
        ]
    }
}

impl Leases {
    /// What came of a claim is told to the database.
    fn tell(&self, state: &mut State, epoch: usize, verdict: Verdict) {
        let job = &mut state.job;
        let is_running = matches!(job.place, Place::Running { .. });
        if is_running && (!self.compare_epoch || job.epoch == epoch) {
            state.misattributed |= job.epoch != epoch;
            state.settled_twice |= job.settled > epoch;
            job.settled = epoch + 1;
            job.settle(verdict);
        } else {
            state.seen = Some(Seen::Refused);
        }
    }
}

impl Job {
    fn settle(&mut self, verdict: Verdict) {
        self.place = match verdict {
            Verdict::Done => Place::Completed,
            Verdict::Fail if self.attempt >= MAX_ATTEMPTS => Place::Discarded,
            Verdict::Fail => Place::Ready,
            Verdict::Snooze => {
                self.attempt -= 1;
                Place::Ready
            }
        };
    }
}

#[test]
fn every_order_of_events_keeps_the_promises() {
    let checker = Leases {
        compare_epoch: true,
        look_first: true,
    }
    .checker()
    .threads(2)
    .spawn_bfs()
    .join();
    println!("{} states", checker.unique_state_count());
    assert!(checker.is_done());
    checker.assert_properties();
}

/// The events after which a promise is broken where a safeguard is missing.
#[track_caller]
fn broken(leases: Leases, promise: &'static str) -> Vec<Event> {
    let checker = leases
        .checker()
        .finish_when(HasDiscoveries::AnyOf([promise].into()))
        .spawn_bfs()
        .join();
    let path = checker.discovery(promise);
    path.expect("the model finds a counterexample")
        .into_actions()
}

#[test]
fn without_the_epoch_a_stale_outcome_is_taken_for_the_holders() {
    let leases = Leases {
        compare_epoch: false,
        look_first: true,
    };
    let events = broken(leases, "an outcome is the holder's");
    let told = |event: &Event| matches!(event, Event::Tell { .. });
    assert!(events.iter().any(told), "{events:?}");
}

#[test]
fn without_a_look_whether_it_runs_a_job_loses_what_tells_of_it() {
    let leases = Leases {
        compare_epoch: true,
        look_first: false,
    };
    let events = broken(leases, "no job is lost");
    let removes = |event: &Event| matches!(event, Event::Tidy(_) | Event::Bury);
    assert!(events.iter().any(removes), "{events:?}");
}

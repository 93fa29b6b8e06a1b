//! A model of leases and epochs, every order of events of which is tried.
//!
//! Processes claim, tell what came of a job (and may not hear that they were heard), stop for a while, die and start
//! again; what a dead or stopped process held is taken back. The rules are those of the statements: an outcome is
//! accepted for a row that is running and whose epoch is the one that was claimed.

use stateright::{Checker, HasDiscoveries, Model, Property};

/// No rule looks at two rows.
const JOBS: usize = 1;
/// Starts of processes; each start is a node of its own, also under an old name.
const NODES: usize = 3;
const MAX_ATTEMPTS: u8 = 2;
/// Bounds the model where nothing else does, as a snooze gives its attempt back.
const MAX_EPOCH: u8 = 3;

/// The protocol, with or without its safeguard.
struct Leases {
    compare_epoch: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    rows: [Row; JOBS],
    nodes: [Node; NODES],
    /// An outcome was accepted from a process whose claim was no longer the row's.
    misattributed: bool,
    /// A claim had a second outcome accepted.
    settled_twice: bool,
    /// A stale outcome was told and refused.
    refused: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    place: Place,
    epoch: u8,
    attempt: u8,
    /// One past the claim that was settled last.
    settled: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Ready,
    Running { by: usize },
    Completed,
    Discarded,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    life: Life,
    leased: bool,
    /// The epoch under which it believes to hold each job.
    holds: [Option<u8>; JOBS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Life {
    Unborn,
    Awake,
    Stopped,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Verdict {
    Done,
    Fail,
    Snooze,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Start(usize),
    Kill(usize),
    Stop(usize),
    Continue(usize),
    Renew(usize),
    /// The lease of a process that cannot renew it runs out.
    Lapse(usize),
    Claim(usize, usize),
    Tell {
        node: usize,
        job: usize,
        verdict: Verdict,
        /// Whether the answer arrives; else it is told again.
        heard: bool,
    },
    Rescue(usize),
}

impl Leases {
    fn accepts(&self, row: &Row, epoch: u8) -> bool {
        matches!(row.place, Place::Running { .. }) && (!self.compare_epoch || row.epoch == epoch)
    }

    fn can(state: &State, event: &Event) -> bool {
        let awake = |node: usize| state.nodes[node].life == Life::Awake;
        match *event {
            Event::Start(node) => state.nodes[node].life == Life::Unborn,
            Event::Kill(node) => matches!(state.nodes[node].life, Life::Awake | Life::Stopped),
            Event::Stop(node) => awake(node),
            Event::Continue(node) => state.nodes[node].life == Life::Stopped,
            Event::Renew(node) => awake(node) && !state.nodes[node].leased,
            Event::Lapse(node) => state.nodes[node].leased && !awake(node),
            Event::Claim(node, job) => {
                let row = &state.rows[job];
                awake(node)
                    && state.nodes[node].leased
                    && state.nodes[node].holds[job].is_none()
                    && row.place == Place::Ready
                    && row.epoch < MAX_EPOCH
            }
            Event::Tell { node, job, .. } => awake(node) && state.nodes[node].holds[job].is_some(),
            Event::Rescue(job) => match state.rows[job].place {
                Place::Running { by } => !state.nodes[by].leased,
                _ => false,
            },
        }
    }
}

impl Model for Leases {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let row = Row {
            place: Place::Ready,
            epoch: 0,
            attempt: 0,
            settled: 0,
        };
        let node = Node {
            life: Life::Unborn,
            leased: false,
            holds: [None; JOBS],
        };
        vec![State {
            rows: [row],
            nodes: [node.clone(), node.clone(), node],
            misattributed: false,
            settled_twice: false,
            refused: false,
        }]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        for node in 0..NODES {
            events.extend([
                Event::Start(node),
                Event::Kill(node),
                Event::Stop(node),
                Event::Continue(node),
                Event::Renew(node),
                Event::Lapse(node),
            ]);
            for job in 0..JOBS {
                events.push(Event::Claim(node, job));
                for verdict in [Verdict::Done, Verdict::Fail, Verdict::Snooze] {
                    for heard in [true, false] {
                        events.push(Event::Tell {
                            node,
                            job,
                            verdict,
                            heard,
                        });
                    }
                }
            }
        }
        events.extend((0..JOBS).map(Event::Rescue));
        events.retain(|event| Self::can(state, event));
    }

    fn next_state(&self, before: &State, event: Event) -> Option<State> {
        let mut state = before.clone();
        match event {
            Event::Start(node) => {
                state.nodes[node].life = Life::Awake;
                state.nodes[node].leased = true;
            }
            Event::Kill(node) => {
                state.nodes[node].life = Life::Dead;
                state.nodes[node].holds = [None; JOBS];
            }
            Event::Stop(node) => state.nodes[node].life = Life::Stopped,
            Event::Continue(node) => state.nodes[node].life = Life::Awake,
            Event::Renew(node) => state.nodes[node].leased = true,
            Event::Lapse(node) => state.nodes[node].leased = false,
            Event::Claim(node, job) => {
                let row = &mut state.rows[job];
                row.place = Place::Running { by: node };
                row.epoch += 1;
                row.attempt += 1;
                state.nodes[node].holds[job] = Some(row.epoch);
            }
            Event::Tell {
                node,
                job,
                verdict,
                heard,
            } => {
                let epoch = state.nodes[node].holds[job]?;
                let row = &mut state.rows[job];
                if self.accepts(row, epoch) {
                    state.misattributed |= row.epoch != epoch;
                    state.settled_twice |= row.settled > epoch;
                    row.settled = epoch + 1;
                    row.settle(verdict);
                } else {
                    state.refused = true;
                }
                if heard {
                    state.nodes[node].holds[job] = None;
                }
            }
            Event::Rescue(job) => state.rows[job].settle(Verdict::Fail),
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
                state.rows.iter().all(|row| row.attempt <= MAX_ATTEMPTS)
            }),
            Property::always("no job is lost", |_, state: &State| {
                // Its holder works on it, or will be found without a lease.
                let minded = |job: usize, by: usize| {
                    let Node {
                        life,
                        leased,
                        holds,
                    } = &state.nodes[by];
                    holds[job] == Some(state.rows[job].epoch) || *life != Life::Awake || !leased
                };
                state
                    .rows
                    .iter()
                    .enumerate()
                    .all(|(job, row)| match row.place {
                        Place::Running { by } => minded(job, by),
                        Place::Ready => row.attempt < MAX_ATTEMPTS,
                        Place::Completed => row.settled > 0,
                        Place::Discarded => row.attempt == MAX_ATTEMPTS,
                    })
            }),
            Property::sometimes("a dead process's job is done by another", |_, state| {
                let State { rows, nodes, .. }: &State = state;
                let died = nodes.iter().any(|node| node.life == Life::Dead);
                died && rows
                    .iter()
                    .all(|row| row.place == Place::Completed && row.epoch == 2)
            }),
            Property::sometimes("a stale outcome is told", |_, state: &State| state.refused),
            Property::sometimes("a job that kills is given up", |_, state: &State| {
                let mut rows = state.rows.iter();
                rows.any(|row| row.place == Place::Discarded && row.settled == 0)
            }),
        ]
    }
}

impl Row {
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
    }
    .checker()
    .threads(2)
    .spawn_bfs()
    .join();
    println!("{} states", checker.unique_state_count());
    assert!(checker.is_done());
    checker.assert_properties();
}

#[test]
fn without_the_epoch_a_stale_outcome_is_taken_for_the_holders() {
    let checker = Leases {
        compare_epoch: false,
    }
    .checker()
    .finish_when(HasDiscoveries::AnyOf(["an outcome is the holder's"].into()))
    .spawn_bfs()
    .join();
    let path = checker
        .discovery("an outcome is the holder's")
        .expect("the model finds a counterexample");
    let events = path.into_actions();
    assert!(
        matches!(events.last(), Some(Event::Tell { .. })),
        "{events:?}"
    );
}

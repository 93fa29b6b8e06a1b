//! What needs somebody, worst first, and where to look.

use queue::admin::{
    Counted, DatabaseRow, FailingRow, FailureRow, MinuteRow, NodeRow, QueueRow, ScheduleRow,
};
use serde::Serialize;

use super::filter::PATH;
use super::schedules::{PATH as SCHEDULES, is_gone};
use crate::console::moment::span;

/// How long a ready job may wait.
const LONG: f64 = 60.0;
/// How late a tick may fire.
const LATE: f64 = 60.0;
/// How long a transaction may stay open before it keeps dead rows from being cleaned away.
const OPEN: f64 = 600.0;

/// Something that needs somebody.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Alarm {
    /// Whether work stands still or is lost to sight.
    pub(super) bad: bool,
    pub(super) text: String,
    /// Where the cause can be seen.
    pub(super) url: String,
}

/// Everything that is known of how things are; there is none of what the database gave up looking for.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) minutes: Option<Vec<MinuteRow>>,
    pub(super) failures: Option<Vec<FailureRow>>,
    pub(super) failing: Option<Vec<FailingRow>>,
    /// Of the whole platform, for those who look after it.
    pub(super) machinery: Option<Machinery>,
}

/// How the queues, workers, schedules and the database are.
#[derive(Debug, Default)]
pub(super) struct Machinery {
    pub(super) queues: Option<Vec<QueueRow>>,
    pub(super) nodes: Option<Vec<NodeRow>>,
    pub(super) schedules: Option<Vec<ScheduleRow>>,
    pub(super) database: Option<DatabaseRow>,
}

impl Facts {
    /// What needs somebody.
    pub(super) fn alarms(&self) -> Vec<Alarm> {
        let mut alarms = self.unseen();
        alarms.extend(self.machinery.iter().flat_map(Machinery::alarms));
        if let Some(worst) = self.failures.iter().flatten().next() {
            alarms.push(Alarm {
                bad: false,
                text: format!(
                    "{} of {}: {}",
                    counted(worst.count, "dead letter"),
                    worst.kind,
                    worst.error
                ),
                url: format!("{PATH}?finished=true&state=discarded&kind={}", worst.kind),
            });
        }
        let database = self.machinery.iter().flat_map(|it| &it.database);
        alarms.extend(database.flat_map(of_database));
        alarms.sort_by_key(|alarm| !alarm.bad);
        alarms
    }

    /// What the database gave up looking for: where nothing is seen, nothing is known to be well.
    fn unseen(&self) -> Vec<Alarm> {
        let mut unseen = vec![
            (
                self.minutes.is_none(),
                "What was done in the last hour",
                "hour",
            ),
            (self.failures.is_none(), "The dead letters", "failures"),
            (self.failing.is_none(), "What fails now", "failing"),
        ];
        if let Some(machinery) = &self.machinery {
            unseen.extend([
                (machinery.queues.is_none(), "The queues", "queues"),
                (machinery.nodes.is_none(), "The workers", "workers"),
                (machinery.schedules.is_none(), "The schedules", "schedules"),
                (
                    machinery.database.is_none(),
                    "The database's state",
                    "database",
                ),
            ]);
        }
        let unseen = unseen.into_iter().filter(|(is_unseen, ..)| *is_unseen);
        let alarm = |(_, what, place)| Alarm {
            bad: true,
            text: format!("{what} could not be looked at within two seconds"),
            url: format!("#{place}"),
        };
        unseen.map(alarm).collect()
    }
}

impl Machinery {
    fn alarms(&self) -> Vec<Alarm> {
        let queues = || self.queues.iter().flatten();
        let mut alarms: Vec<Alarm> = queues().filter_map(of_queue).collect();
        alarms.extend(
            queues()
                .filter(|queue| queue.parked.0 > 0)
                .map(|queue| Alarm {
                    bad: true,
                    text: format!(
                        "No worker knows {} of the queue {}",
                        counted(queue.parked, "job"),
                        queue.name
                    ),
                    url: format!("{PATH}?state=parked&queue={}", queue.name),
                }),
        );
        alarms.extend(
            self.nodes
                .iter()
                .flatten()
                .filter(|node| !node.alive && !node.stopped)
                .map(|node| Alarm {
                    bad: false,
                    text: format!(
                        "The worker {} on {} stopped responding {} ago",
                        node.id,
                        node.host,
                        span(node.seen_seconds_ago)
                    ),
                    url: "#workers".into(),
                }),
        );
        alarms.extend(self.schedules.iter().flatten().filter_map(of_schedule));
        alarms
    }
}

/// A number of something.
fn counted(count: Counted, what: &str) -> String {
    let s = if count.0 == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

fn of_queue(queue: &QueueRow) -> Option<Alarm> {
    let waits = queue.oldest_ready_seconds?;
    let name = &queue.name;
    let text = match queue {
        queue if queue.paused => format!(
            "The queue {name} is paused, {} waiting",
            counted(queue.ready, "job")
        ),
        queue if queue.nodes == 0 => format!(
            "No worker serves the queue {name}, {} waiting",
            counted(queue.ready, "job")
        ),
        _ if waits > LONG => format!(
            "The first job of the queue {name} waits for {}",
            span(waits)
        ),
        _ => return None,
    };
    Some(Alarm {
        bad: true,
        text,
        url: format!("{PATH}?state=ready&queue={name}"),
    })
}

fn of_schedule(schedule: &ScheduleRow) -> Option<Alarm> {
    let name = &schedule.name;
    if is_gone(schedule) {
        return Some(Alarm {
            bad: false,
            text: format!("No program runs the schedule {name} any more; forget it"),
            url: SCHEDULES.into(),
        });
    }
    let text = match schedule.overdue_seconds {
        Some(late) if late > LATE => format!("The schedule {name} is late by {}", span(late)),
        _ if schedule.missed == 1 => format!("The schedule {name} missed a tick"),
        _ if schedule.missed > 1 => format!("The schedule {name} missed {} ticks", schedule.missed),
        _ => return None,
    };
    Some(Alarm {
        bad: schedule.overdue_seconds.is_some_and(|late| late > LATE),
        text,
        url: "#schedules".into(),
    })
}

fn of_database(database: &DatabaseRow) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let mut alarm = |bad, text| {
        alarms.push(Alarm {
            bad,
            text,
            url: "#database".into(),
        });
    };
    if database.connections * 10 > database.most_connections * 9 {
        alarm(
            true,
            format!(
                "{} of {} connections to the database are taken",
                database.connections, database.most_connections
            ),
        );
    }
    if let Some(open) = database
        .oldest_transaction_seconds
        .filter(|open| *open > OPEN)
    {
        alarm(
            false,
            format!("A transaction has been open for {}", span(open)),
        );
    }
    alarms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> QueueRow {
        QueueRow {
            name: name.into(),
            paused: false,
            ready: Counted(0),
            scheduled: Counted(0),
            running: Counted(0),
            parked: Counted(0),
            held: Counted(0),
            max_running: None,
            oldest_ready_seconds: None,
            nodes: 1,
        }
    }

    /// Facts of an org in which nothing happens.
    fn seen() -> Facts {
        Facts {
            minutes: Some(Vec::new()),
            failures: Some(Vec::new()),
            failing: Some(Vec::new()),
            machinery: None,
        }
    }

    fn told(facts: &Facts) -> Vec<(bool, String)> {
        let alarms = facts.alarms().into_iter();
        alarms.map(|alarm| (alarm.bad, alarm.text)).collect()
    }

    #[test]
    fn what_stands_still_comes_first() {
        let waiting = |name: &str, seconds: f64| QueueRow {
            ready: Counted(3),
            oldest_ready_seconds: Some(seconds),
            ..queue(name)
        };
        let machinery = Machinery {
            queues: Some(vec![
                queue("calm"),
                waiting("quick", 0.2),
                waiting("slow", 90.0),
                QueueRow {
                    paused: true,
                    ..waiting("held", 1.0)
                },
                QueueRow {
                    nodes: 0,
                    ..waiting("alone", 1.0)
                },
                QueueRow {
                    parked: Counted(2),
                    ..queue("strange")
                },
            ]),
            nodes: Some(Vec::new()),
            schedules: Some(Vec::new()),
            database: Some(DatabaseRow {
                version: "17.6".into(),
                bytes: 1,
                connections: 95,
                most_connections: 100,
                oldest_transaction_seconds: Some(4_000.0),
                dead_rows: 0,
            }),
        };
        let facts = Facts {
            machinery: Some(machinery),
            ..seen()
        };
        let told = told(&facts);
        let wanted = [
            (true, "The first job of the queue slow waits for 1 min 30 s"),
            (true, "The queue held is paused, 3 jobs waiting"),
            (true, "No worker serves the queue alone, 3 jobs waiting"),
            (true, "No worker knows 2 jobs of the queue strange"),
            (true, "95 of 100 connections to the database are taken"),
            (false, "A transaction has been open for 1 h 6 min"),
        ];
        assert_eq!(told, wanted.map(|(bad, text)| (bad, text.to_owned())));
        assert_eq!(seen().alarms(), []);
    }

    #[test]
    fn what_was_not_looked_at_is_not_said_to_be_well() {
        let facts = Facts {
            failing: None,
            machinery: Some(Machinery::default()),
            ..seen()
        };
        let wanted = [
            "What fails now could not be looked at within two seconds",
            "The queues could not be looked at within two seconds",
            "The workers could not be looked at within two seconds",
            "The schedules could not be looked at within two seconds",
            "The database's state could not be looked at within two seconds",
        ];
        assert_eq!(told(&facts), wanted.map(|text| (true, text.to_owned())));
    }
}

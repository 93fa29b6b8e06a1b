//! What needs somebody, worst first, and where to look.

use queue::admin::{Counted, DatabaseRow, FailingRow, FailureRow, NodeRow, QueueRow, ScheduleRow};
use serde::Serialize;

use super::filter::PATH;
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

/// Everything that is known of how things are.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) queues: Vec<QueueRow>,
    pub(super) nodes: Vec<NodeRow>,
    pub(super) schedules: Vec<ScheduleRow>,
    pub(super) failures: Vec<FailureRow>,
    pub(super) failing: Vec<FailingRow>,
    pub(super) database: Option<DatabaseRow>,
}

impl Facts {
    /// What needs somebody.
    pub(super) fn alarms(&self) -> Vec<Alarm> {
        let mut alarms: Vec<Alarm> = self.queues.iter().filter_map(of_queue).collect();
        alarms.extend(
            self.queues
                .iter()
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
        alarms.extend(self.schedules.iter().filter_map(of_schedule));
        if let Some(worst) = self.failures.first() {
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
        alarms.extend(self.database.iter().flat_map(of_database));
        alarms.sort_by_key(|alarm| !alarm.bad);
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

    #[test]
    fn what_stands_still_comes_first() {
        let waiting = |name: &str, seconds: f64| QueueRow {
            ready: Counted(3),
            oldest_ready_seconds: Some(seconds),
            ..queue(name)
        };
        let facts = Facts {
            queues: vec![
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
            ],
            database: Some(DatabaseRow {
                version: "17.6".into(),
                bytes: 1,
                connections: 95,
                most_connections: 100,
                oldest_transaction_seconds: Some(4_000.0),
                dead_rows: 0,
            }),
            ..Facts::default()
        };
        let told: Vec<_> = facts
            .alarms()
            .into_iter()
            .map(|alarm| (alarm.bad, alarm.text))
            .collect();
        let wanted = [
            (true, "The first job of the queue slow waits for 1 min 30 s"),
            (true, "The queue held is paused, 3 jobs waiting"),
            (true, "No worker serves the queue alone, 3 jobs waiting"),
            (true, "No worker knows 2 jobs of the queue strange"),
            (true, "95 of 100 connections to the database are taken"),
            (false, "A transaction has been open for 1 h 6 min"),
        ];
        assert_eq!(told, wanted.map(|(bad, text)| (bad, text.to_owned())));
        assert_eq!(Facts::default().alarms(), []);
    }
}

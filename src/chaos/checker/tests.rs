//! What the judge says of lives that are made up.

use std::time::Duration;

use super::{Evidence, Verdict, judge, percentile};
use crate::chaos::journal::{Build, End, Fault, Line, Order, Seen};
use crate::chaos::store::{Finished, Left};

const SECOND: i64 = 1_000_000;
const LEASE: Duration = Duration::from_secs(3);

/// A job that was accepted, and what was seen after that.
fn evidence(seen: Vec<(i64, u32, Seen)>) -> Evidence {
    let order = Order {
        version: 1,
        key: None,
        poison: false,
    };
    let mut lines = vec![
        (0, 0, Seen::Asked { number: 1, order }),
        (0, 0, Seen::Accepted { number: 1, job: 7 }),
    ];
    lines.extend(seen);
    lines.sort_by_key(|(at, _, _)| *at);
    let lines = lines.into_iter().map(|(at, by, seen)| Line {
        at: at * SECOND,
        by,
        seen,
    });
    Evidence {
        lease: LEASE,
        lines: lines.collect(),
        finished: Vec::new(),
        left: Vec::new(),
        effects: [1, 2].into(),
    }
}

fn start(at: i64, by: u32, epoch: i32, attempt: u16) -> (i64, u32, Seen) {
    let start = Seen::Start {
        number: 1,
        job: 7,
        epoch,
        attempt,
        max: 20,
        build: Build::New,
    };
    (at, by, start)
}

fn effect(at: i64, by: u32, epoch: i32, order: i64) -> (i64, u32, Seen) {
    let effect = Seen::Effect {
        number: 1,
        epoch,
        order,
    };
    (at, by, effect)
}

fn fault(at: i64, until: i64, kind: Fault) -> (i64, u32, Seen) {
    let until = until * SECOND;
    (at, 0, Seen::Fault { kind, until })
}

/// The queue says that it is completed, by this attempt under this claim, and that it is at this attempt.
fn completed(epoch: i32, told: i32, attempt: i16) -> Finished {
    Finished {
        job: 7,
        kind: "chaos_work".to_owned(),
        outcome: "completed".to_owned(),
        attempt,
        max_attempts: 20,
        finished_at: 100 * SECOND,
        epoch: Some(epoch),
        told_attempt: Some(told),
    }
}

fn counts(verdict: &Verdict) -> [usize; 5] {
    [
        verdict.lost.len(),
        verdict.stale_accepted.len(),
        verdict.unexplained_duplicates.len(),
        verdict.stuck.len(),
        verdict.other.len(),
    ]
}

/// Of a life and its end: lost, stale accepted, unexplained, stuck, other.
fn judged(seen: Vec<(i64, u32, Seen)>, finished: Finished) -> [usize; 5] {
    let mut evidence = evidence(seen);
    evidence.finished.push(finished);
    counts(&judge(&evidence))
}

#[test]
fn a_plain_life_is_good() {
    let life = vec![start(1, 1, 1, 1), effect(2, 1, 1, 1)];
    assert_eq!(judged(life, completed(1, 1, 1)), [0; 5]);
}

#[test]
fn what_was_accepted_and_is_nowhere_is_lost() {
    let verdict = judge(&evidence(Vec::new()));
    assert_eq!(counts(&verdict), [1, 0, 0, 0, 0]);
}

#[test]
fn what_is_left_is_stuck_and_not_lost() {
    let mut evidence = evidence(vec![start(1, 1, 1, 1)]);
    evidence.left.push(Left {
        job: 7,
        told: "waits".to_owned(),
    });
    assert_eq!(counts(&judge(&evidence)), [0, 0, 0, 1, 0]);
}

#[test]
fn a_completed_job_had_its_effect_and_the_database_still_has_it() {
    let life = vec![start(1, 1, 1, 1)];
    assert_eq!(judged(life, completed(1, 1, 1)), [1, 0, 0, 0, 0]);
    let life = vec![start(1, 1, 1, 1), effect(2, 1, 1, 99)];
    assert_eq!(judged(life, completed(1, 1, 1)), [1, 0, 0, 0, 0]);
}

#[test]
fn a_second_start_needs_a_reason_that_hit_the_first() {
    let life = |fault: Vec<(i64, u32, Seen)>| {
        let mut life = vec![start(1, 1, 1, 1), start(8, 2, 2, 2), effect(9, 2, 2, 1)];
        life.extend(fault);
        judged(life, completed(2, 2, 2))
    };
    assert_eq!(life(vec![]), [0, 0, 1, 0, 0]);
    assert_eq!(life(vec![fault(2, 2, Fault::Kill { worker: 1 })]), [0; 5]);
    // Another worker's death, or one after it, is no reason.
    assert_eq!(
        life(vec![fault(2, 2, Fault::Kill { worker: 2 })]),
        [0, 0, 1, 0, 0]
    );
    assert_eq!(
        life(vec![fault(9, 9, Fault::Kill { worker: 1 })]),
        [0, 0, 1, 0, 0]
    );
    assert_eq!(life(vec![fault(2, 3, Fault::Crash)]), [0; 5]);
    let failed = Seen::End {
        number: 1,
        epoch: 1,
        how: End::Failed,
    };
    assert_eq!(life(vec![(3, 1, failed)]), [0; 5]);
}

#[test]
fn one_claim_begins_once_whatever_befell_it() {
    let life = vec![
        start(1, 1, 1, 1),
        fault(2, 2, Fault::Kill { worker: 1 }),
        start(8, 2, 1, 1),
        effect(9, 2, 1, 1),
    ];
    assert_eq!(judged(life, completed(1, 1, 1)), [0, 0, 1, 0, 0]);
}

#[test]
fn an_outcome_of_an_older_claim_is_stale() {
    let paused = || {
        vec![
            start(1, 1, 1, 1),
            effect(2, 1, 1, 1),
            fault(2, 7, Fault::Pause { worker: 1 }),
            start(6, 2, 2, 2),
        ]
    };
    assert_eq!(judged(paused(), completed(1, 1, 2)), [0, 2, 0, 0, 0]);
    let mut refused = paused();
    refused.push(effect(8, 2, 2, 2));
    assert_eq!(judged(refused, completed(2, 2, 2)), [0; 5]);
}

#[test]
fn an_effect_of_an_older_claim_after_that_of_a_newer_one_is_stale() {
    let life = vec![
        start(1, 1, 1, 1),
        fault(2, 7, Fault::Pause { worker: 1 }),
        start(6, 2, 2, 2),
        effect(7, 2, 2, 1),
        effect(8, 1, 1, 2),
    ];
    assert_eq!(judged(life, completed(2, 2, 2)), [0, 1, 0, 0, 0]);
}

#[test]
fn a_deploy_takes_no_attempt() {
    let life = |attempt| {
        vec![
            start(1, 1, 1, 1),
            fault(2, 3, Fault::Deploy { worker: 1 }),
            start(4, 2, 2, attempt),
            effect(5, 2, 2, 1),
        ]
    };
    assert_eq!(judged(life(1), completed(2, 1, 1)), [0; 5]);
    assert_eq!(judged(life(2), completed(2, 2, 2)), [1, 0, 0, 0, 0]);
}

#[test]
fn two_jobs_of_a_key_do_not_live_at_once() {
    let order = || Order {
        version: 1,
        key: Some("k".to_owned()),
        poison: false,
    };
    let life = |second: i64| {
        let mut evidence = evidence(Vec::new());
        evidence.lines.clear();
        for (number, at) in [(1, 1), (2, second)] {
            let (at, by) = (at * SECOND, 0);
            let (job, epoch) = (i64::try_from(number).unwrap(), 1);
            let order = order();
            let start = Seen::Start {
                number,
                job,
                epoch,
                attempt: 1,
                max: 20,
                build: Build::New,
            };
            let effect = Seen::Effect {
                number,
                epoch,
                order: job,
            };
            for seen in [
                Seen::Asked { number, order },
                Seen::Accepted { number, job },
                start,
                effect,
            ] {
                evidence.lines.push(Line { at, by, seen });
            }
            evidence.finished.push(Finished {
                job,
                finished_at: at + 5 * SECOND,
                ..completed(1, 1, 1)
            });
        }
        counts(&judge(&evidence))
    };
    assert_eq!(life(4), [0, 0, 1, 0, 0]);
    assert_eq!(life(8), [0; 5]);
}

#[test]
fn how_soon_an_interrupted_job_begins_again_is_measured_from_the_end_of_its_process() {
    let life = evidence(vec![
        start(1, 1, 1, 1),
        fault(2, 2, Fault::Kill { worker: 1 }),
        start(6, 2, 2, 2),
    ]);
    assert_eq!(judge(&life).reruns, [Duration::from_secs(4)]);
}

#[test]
fn work_goes_on_after_an_outage_when_the_first_job_begins() {
    let life = evidence(vec![fault(2, 5, Fault::Failover), start(6, 2, 1, 1)]);
    assert_eq!(
        judge(&life).resumes,
        [(Fault::Failover, Duration::from_secs(1))]
    );
}

#[test]
fn a_percentile_is_one_of_the_values() {
    let times: Vec<Duration> = (1..=200).map(Duration::from_secs).collect();
    assert_eq!(percentile(&times, 99), Duration::from_secs(198));
    assert_eq!(percentile(&times, 50), Duration::from_secs(100));
    assert_eq!(percentile(&[], 99), Duration::ZERO);
}

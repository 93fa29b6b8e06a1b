use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::{Busy, Candidate, Decision, InForce, decide};
use crate::rule::Scope;

fn job(id: i64, kind: &str, lane: Option<u128>, key: &str) -> Candidate {
    Candidate {
        id,
        kind: kind.into(),
        lane: lane.map(Uuid::from_u128),
        limit_key: key.into(),
        held: false,
    }
}

fn rule(scope: Scope, name: &str) -> InForce {
    InForce {
        scope,
        name: name.into(),
        paused: false,
        max_running: None,
        lane_running: None,
        key_running: None,
        rate_left: None,
        rate_wait: None,
    }
}

fn busy(queue: &str, kind: &str, lane: Option<u128>, key: &str, count: i64) -> Busy {
    Busy {
        queue: queue.into(),
        kind: kind.into(),
        lane: lane.map(Uuid::from_u128),
        limit_key: key.into(),
        count,
    }
}

#[test]
fn without_rules_the_first_ones_start() {
    let jobs: Vec<_> = (1..=5).map(|id| job(id, "a", None, "")).collect();
    let decision = decide("q", 3, &jobs, &[], &[]);
    assert_eq!(decision.run, [1, 2, 3]);
    assert!(decision.hold.is_empty() && !decision.limited);
}

#[test]
fn what_runs_anywhere_counts_against_the_limit_of_the_queue() {
    let jobs: Vec<_> = (1..=5).map(|id| job(id, "a", None, "")).collect();
    let four = InForce {
        max_running: Some(4),
        ..rule(Scope::Queue, "q")
    };
    let running = [
        busy("q", "b", Some(1), "x", 2),
        busy("other", "a", None, "", 9),
    ];
    let decision = decide("q", 10, &jobs, &[four], &running);
    assert_eq!(decision.run, [1, 2]);
    assert!(decision.limited && decision.hold.is_empty());
}

#[test]
fn a_full_lane_is_passed_over_and_a_full_key_or_a_paused_kind_is_held() {
    let jobs = [
        job(1, "a", Some(1), ""),
        job(2, "a", Some(1), ""),
        job(3, "a", Some(2), "host"),
        job(4, "b", None, ""),
        job(5, "a", Some(2), "host"),
    ];
    let one_each = InForce {
        lane_running: Some(1),
        key_running: Some(1),
        ..rule(Scope::Queue, "q")
    };
    let no_b = InForce {
        paused: true,
        ..rule(Scope::Kind, "b")
    };
    let rules = [one_each.clone(), no_b];
    let decision = decide("q", 10, &jobs, &rules, &[busy("q", "a", Some(1), "", 1)]);
    assert_eq!(decision.run, [3]);
    // The fifth is kept back by its lane before its key is asked.
    assert_eq!(decision.hold, [4]);

    let jobs = [job(1, "a", None, "host"), job(2, "a", None, "host")];
    let decision = decide("q", 10, &jobs, &[one_each], &[]);
    assert_eq!((&*decision.run, &*decision.hold), (&[1][..], &[2][..]));
    assert!(decision.limited);
}

#[test]
fn a_rate_lets_so_many_start_and_says_when_the_next_may() {
    let jobs: Vec<_> = (1..=5).map(|id| job(id, "a", None, "host")).collect();
    let two = InForce {
        rate_left: Some(2),
        ..rule(Scope::Key, "host")
    };
    let decision = decide("q", 10, &jobs, &[two], &[]);
    assert_eq!(decision.run, [1, 2]);
    assert_eq!(decision.rated[&(Scope::Key, "host".into())].len(), 2);
    assert_eq!(decision.hold, [3, 4, 5]);

    let none = InForce {
        rate_left: Some(0),
        rate_wait: Some(1.5),
        ..rule(Scope::Queue, "q")
    };
    let decision = decide("q", 10, &jobs, &[none], &[]);
    let waits = Decision {
        wait: Some(Duration::from_millis(1500)),
        ..Decision::default()
    };
    assert_eq!(decision, waits);
}

proptest! {
    /// Whatever the rules: no limit is overrun, nothing is both run and held, and nothing is held twice.
    #[test]
    fn no_limit_is_overrun(
        jobs in proptest::collection::vec((0u8..3, proptest::option::of(0u128..3), 0u8..3, any::<bool>()), 0..40),
        limits in (1i32..6, 1i32..4, 1i32..4, proptest::option::of(0i32..5)),
        running in 0i64..4,
        most in 1usize..30,
    ) {
        let jobs: Vec<_> = jobs.into_iter().zip(1..).map(|((kind, lane, key, held), id)| Candidate {
            held,
            ..job(id, &kind.to_string(), lane, ["", "x", "y"][usize::from(key)])
        }).collect();
        let (whole, lane, key, rate) = limits;
        let rules = [
            InForce {
                max_running: Some(whole),
                lane_running: Some(lane),
                key_running: Some(key),
                rate_left: rate,
                ..rule(Scope::Queue, "q")
            },
            InForce { max_running: Some(2), ..rule(Scope::Kind, "1") },
        ];
        let busy = [busy("q", "1", Some(1), "x", running)];
        let decision = decide("q", most, &jobs, &rules, &busy);
        let started: Vec<_> = jobs.iter().filter(|job| decision.run.contains(&job.id)).collect();
        let count = |of: &dyn Fn(&Candidate) -> bool| {
            i64::try_from(started.iter().filter(|job| of(job)).count()).unwrap()
        };
        prop_assert!(started.len() <= most);
        prop_assert!(count(&|_| true) == 0 || count(&|_| true) + running <= i64::from(whole));
        prop_assert!(rate.is_none_or(|rate| count(&|_| true) <= i64::from(rate)));
        for (number, at_work) in [(0, 0), (1, running), (2, 0)] {
            let of = count(&|job| job.lane == Some(Uuid::from_u128(number)));
            prop_assert!(of == 0 || of + at_work <= i64::from(lane));
        }
        for (name, at_work) in [("x", running), ("y", 0)] {
            let of = count(&|job| job.limit_key == name);
            prop_assert!(of == 0 || of + at_work <= i64::from(key));
        }
        let ones = count(&|job| job.kind == "1");
        prop_assert!(ones == 0 || ones + running <= 2);
        for job in &jobs {
            let is_held = decision.hold.iter().filter(|id| **id == job.id).count();
            prop_assert!(is_held <= usize::from(!job.held && !decision.run.contains(&job.id)));
        }
    }
}

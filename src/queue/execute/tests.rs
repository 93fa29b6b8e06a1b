use anyhow::anyhow;
use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn fate(ended: Ended, number: u16) -> Fate {
    decide(ended, number, 3, &Backoff::fixed(9 * SECOND), 0.5)
}

fn returned(outcome: Outcome) -> Ended {
    Ended::Returned(Ok(outcome))
}

fn finished(outcome: &'static str, reason: Option<&str>, error: Option<&str>) -> Fate {
    Fate::Finished {
        outcome,
        reason: reason.map(str::to_owned),
        result: None,
        error: error.map(str::to_owned),
    }
}

#[test]
fn what_a_job_says_is_what_becomes_of_it() {
    assert_eq!(fate(returned(Outcome::Done), 3), Fate::Done);
    assert_eq!(
        fate(returned(Outcome::DoneWith(json!(7))), 3),
        Fate::Finished {
            outcome: COMPLETED,
            reason: None,
            result: Some(json!(7)),
            error: None
        }
    );
    assert_eq!(
        fate(returned(Outcome::skip("closed")), 1),
        finished(SKIPPED, Some("closed"), None)
    );
    assert_eq!(
        fate(returned(Outcome::discard("no such address")), 1),
        finished(DISCARDED, Some("no such address"), None)
    );
    // Also in the last attempt: waiting is no failure.
    assert_eq!(
        fate(returned(Outcome::snooze(SECOND)), 3),
        Fate::Snooze { after: SECOND }
    );
}

#[test]
fn failures_are_tried_again_until_the_attempts_are_used_up() {
    type Case = (fn() -> Ended, Duration, &'static str);
    let cases: [Case; 5] = [
        (
            || Ended::Returned(Err(anyhow!("low").context("high"))),
            9 * SECOND,
            "high: low",
        ),
        (
            || returned(Outcome::retry_after(SECOND, anyhow!("busy"))),
            SECOND,
            "busy",
        ),
        (
            || Ended::Panicked("boom".into()),
            9 * SECOND,
            "it panicked: boom",
        ),
        (
            || Ended::TimedOut(SECOND),
            9 * SECOND,
            "it took longer than 1s",
        ),
        (
            || Ended::Undecodable(serde_json::from_str::<u8>("{}").unwrap_err()),
            9 * SECOND,
            "its payload does not decode: invalid type: map, expected u8 at line 1 column 0",
        ),
    ];
    for (ended, after, error) in cases {
        let error = error.to_owned();
        for number in [1, 2] {
            let retry = Fate::Retry {
                after,
                error: error.clone(),
            };
            assert_eq!(fate(ended(), number), retry);
        }
        let last = finished(DISCARDED, Some("failed 3 times"), Some(&error));
        assert_eq!(fate(ended(), 3), last);
    }
}

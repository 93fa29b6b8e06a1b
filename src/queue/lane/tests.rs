use chrono::DateTime;

use super::*;

fn place(milliseconds: i64) -> Position {
    let at = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1_000_000 + milliseconds);
    Position::new(0, at, milliseconds)
}

fn want(after: Option<Position>) -> Want {
    Want {
        after,
        ..Want::first("q".into(), 100)
    }
}

fn got(count: usize, last: i64, search: Duration) -> Got {
    Got {
        count,
        last: Some(place(last)),
        search: Some(search),
    }
}

/// Makes the claim that is next; says where it went on.
fn claim(lane: &Lane, missing: usize, got: &Got) -> Option<Position> {
    let (after, seen) = (lane.go_on(), lane.count());
    lane.reached(&want(after), missing, got, seen);
    after
}

#[test]
fn while_a_search_is_cheap_every_claim_that_keeps_pace_is_from_the_front() {
    let lane = Lane::new("q".into());
    for number in 1..10 {
        lane.wake();
        assert!(lane.may_be_ready());
        let cheap = got(1, number, Duration::from_micros(300));
        assert_eq!(claim(&lane, 99, &cheap), None);
        assert!(!lane.may_be_ready());
        assert_eq!(lane.owes(), None);
    }
}

#[test]
fn a_backlog_is_taken_in_the_order_of_its_places_and_then_looked_at_from_the_front() {
    let lane = Lane::new("q".into());
    let cheap = Duration::from_micros(300);
    assert_eq!(claim(&lane, 0, &got(100, 100, cheap)), None);
    assert_eq!(claim(&lane, 0, &got(100, 200, cheap)), Some(place(100)));
    assert_eq!(claim(&lane, 99, &got(1, 201, cheap)), Some(place(200)));
    assert!(lane.may_be_ready());
    assert_eq!(claim(&lane, 100, &Got::default()), None);
    assert!(!lane.may_be_ready());
}

#[test]
fn a_dear_search_is_put_off_and_never_forgotten() {
    let lane = Lane::new("q".into());
    let dear = Duration::from_secs(10);
    assert_eq!(claim(&lane, 99, &got(1, 1, dear)), None);
    assert!(!lane.may_be_ready());

    // What comes in is found a little before where the last one was.
    lane.wake();
    let quick = got(1, 2, Duration::from_micros(100));
    let went_on = claim(&lane, 99, &quick).unwrap();
    assert_eq!(went_on, place(1).earlier(MARGIN));
    assert!(went_on < place(0));

    // Something may lie further in front, so a claim from there is owed, at its time and not before.
    assert!(!lane.may_be_ready());
    let due = lane.owes().unwrap();
    assert!(due > Instant::now() && due <= Instant::now() + GO_ON_AT_MOST);

    // A wake-up is followed at once, and owed still.
    lane.wake();
    assert!(lane.may_be_ready());
    assert!(claim(&lane, 100, &Got::default()).is_some());
    assert!(!lane.may_be_ready());
    assert!(lane.owes().is_some());

    // When its time has come, it goes from the front; if that was quick, all is as before.
    lane.reach().started = Instant::now() - GO_ON_AT_MOST;
    assert!(lane.may_be_ready());
    assert_eq!(claim(&lane, 99, &quick), None);
    assert_eq!(lane.owes(), None);
    assert!(!lane.may_be_ready());
    lane.wake();
    assert_eq!(claim(&lane, 99, &quick), None);
}

use std::sync::atomic::AtomicU64;

use chrono::DateTime;
use futures::FutureExt;
use uuid::Uuid;

use super::*;
use crate::JobId;
use crate::store::claim::Receipt;

/// A claimed job of the queue `q`.
pub(crate) fn job(id: i64, lane: u128) -> Claimed {
    Claimed {
        id: JobId(id),
        epoch: 1,
        queue: "q".into(),
        kind: "k".into(),
        version: 1,
        priority: 0,
        attempt: 1,
        max_attempts: 1,
        lane: Some(Uuid::from_u128(lane)),
        payload: "{}".into(),
        trace: None,
        run_at: DateTime::UNIX_EPOCH,
        created_at: DateTime::UNIX_EPOCH,
        progress: None,
        batch: None,
        search: Duration::ZERO,
        receipt: Receipt { node: 1, number: 1 },
    }
}

/// A desk of one pool for the queue `q` on which nothing is claimed.
fn desk() -> Arc<Desk> {
    let desk = Desk::new(vec![("p".into(), vec!["q".into()], 4)]);
    desk.close();
    Arc::new(desk)
}

/// A job of the pool came to its end.
fn end(desk: &Desk, id: i64) {
    desk.pools[0].held.fetch_add(1, Ordering::AcqRel);
    desk.settle(0, "q", Settlement::new(JobId(id), 1, false, Fate::Done));
}

/// A desk on which nothing is claimed, and these are not begun.
pub(crate) fn holding(jobs: Vec<Claimed>) -> Arc<Desk> {
    let desk = desk();
    let pool = &desk.pools[0];
    pool.held.fetch_add(jobs.len(), Ordering::AcqRel);
    pool.receive(jobs);
    desk
}

/// The exchange that there is to make.
pub(crate) fn exchange(desk: &Arc<Desk>) -> Option<Exchange> {
    desk.exchange(|| true).now_or_never()
}

/// Somebody asks all the time, also while an outcome is on its way from those that wait to an exchange.
#[test]
fn a_desk_with_an_outcome_that_is_not_written_is_never_quiet() {
    let desk = desk();
    // Odd while there is one.
    let round = Arc::new(AtomicU64::new(0));
    let asks = {
        let (desk, round) = (desk.clone(), round.clone());
        std::thread::spawn(move || {
            let mut asked = 0_u64;
            loop {
                let before = round.load(Ordering::SeqCst);
                if before == u64::MAX {
                    return Ok(asked);
                }
                let quiet = desk.is_quiet();
                if before % 2 == 1 && round.load(Ordering::SeqCst) == before {
                    asked += 1;
                    if quiet {
                        return Err(before);
                    }
                }
            }
        })
    };
    let began = std::time::Instant::now();
    let mut id = 0;
    while began.elapsed() < Duration::from_secs(2) && !asks.is_finished() {
        id += 1;
        end(&desk, id);
        round.fetch_add(1, Ordering::SeqCst);
        let exchange = exchange(&desk).expect("an outcome is to be written");
        round.fetch_add(1, Ordering::SeqCst);
        assert_eq!(desk.unwritten(), 1);
        exchange.made(Claims::default());
        assert!(desk.is_quiet() && desk.unwritten() == 0);
    }
    round.store(u64::MAX, Ordering::SeqCst);
    let asked = asks.join().unwrap().expect("it was quiet in between");
    assert!(asked > 0);
}

#[test]
fn what_an_exchange_did_not_write_waits_again_in_its_order() {
    let desk = desk();
    (1..=3).for_each(|id| end(&desk, id));
    let lost = exchange(&desk).unwrap();
    let ids = |exchange: &Exchange| -> Vec<i64> {
        let settlements = exchange.settlements.iter();
        settlements.map(|settlement| settlement.id.0).collect()
    };
    assert_eq!(ids(&lost), [1, 2, 3]);
    end(&desk, 4);
    drop(lost);
    let again = exchange(&desk).unwrap();
    assert_eq!(ids(&again), [1, 2, 3, 4]);
    assert_eq!(again.settlements.iter().filter(|one| one.resent).count(), 3);
    assert_eq!(desk.unwritten(), 4);
}

/// How many jobs of a queue may go ahead of more urgent ones goes by what is finished of that queue.
#[test]
fn what_is_finished_is_counted_by_queue() {
    let desk = Desk::new(vec![("p".into(), vec!["q".into(), "r".into()], 4)]);
    for (id, queue) in [(1, "q"), (2, "r"), (3, "q"), (4, "q")] {
        desk.pools[0].held.fetch_add(1, Ordering::AcqRel);
        let done = Settlement::new(JobId(id), 1, false, Fate::Done);
        desk.settle(0, queue, done);
    }
    assert_eq!((desk.pace("q"), desk.pace("r")), (3, 1));
    assert_eq!((desk.pace("q"), desk.pace("r")), (0, 0));
}

#[test]
fn a_job_that_is_called_off_before_it_begins_is_given_back() {
    let desk = holding(vec![job(1, 7), job(2, 7), job(3, 8)]);
    // Of job 3 another claim was called off.
    let claims = HashSet::from([(JobId(1), 1), (JobId(3), 2), (JobId(4), 1)]);
    desk.call_off(&claims);
    let given_back = exchange(&desk).unwrap();
    let settlements = given_back.settlements.iter();
    let settlements: Vec<_> = settlements.map(|one| (one.id.0, &one.fate)).collect();
    assert_eq!(settlements, [(1, &Fate::Release)]);
    let next = || desk.next(0, Waker::noop()).map(|job| job.id.0);
    assert_eq!([next(), next(), next()], [Some(2), Some(3), None]);
}

#[tokio::test]
async fn an_outcome_that_is_put_off_is_tried_by_itself_when_its_time_has_come() {
    let desk = desk();
    let ids = |exchange: &Exchange| -> Vec<i64> {
        let settlements = exchange.settlements.iter();
        settlements.map(|settlement| settlement.id.0).collect()
    };
    let hour = Duration::from_secs(3600);
    end(&desk, 1);
    end(&desk, 2);
    let [one, other] = <[Exchange; 2]>::try_from(exchange(&desk).unwrap().split()).unwrap();
    assert!(one.is_alone());
    one.put_off(hour);
    assert!(exchange(&desk).is_none());
    other.put_off(Duration::ZERO);
    assert_eq!((desk.is_quiet(), desk.unwritten()), (false, 2));

    // The others wait neither for the one that is tried nor for the one that is not.
    let again = exchange(&desk).unwrap();
    assert_eq!((ids(&again), again.is_alone()), (vec![2], true));
    end(&desk, 3);
    let others = exchange(&desk).unwrap();
    assert_eq!((ids(&others), others.is_alone()), (vec![3], false));
    others.made(Claims::default());
    again.put_off(hour);
    assert!(exchange(&desk).is_none());
    assert_eq!((desk.is_quiet(), desk.unwritten()), (false, 2));
}

#[test]
fn what_cannot_be_stored_is_left_out_once() {
    let error = "no".to_owned();
    let after = Duration::ZERO;
    let mut failed = Settlement::new(JobId(1), 1, false, Fate::Retry { after, error });
    assert!(failed.make_plain());
    assert!(!failed.make_plain());
    let mut done = Settlement::new(JobId(1), 1, false, Fate::Done);
    assert!(!done.make_plain());
}

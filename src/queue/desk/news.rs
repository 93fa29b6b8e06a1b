//! Claims for lanes that come while others keep their pool busy: they take their turn before all that waits here, and do not
//! wait for an exchange that writes hundreds of outcomes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{BATCH, Desk, Exchange, Manner, lock};
use crate::store::claim::Want;

impl Desk {
    /// Waits until lanes may have come that no claim has looked for, though their pool is busy; `can_claim` says whether claims
    /// are possible at all.
    pub(crate) async fn news(self: &Arc<Self>, can_claim: impl Fn() -> bool) -> Exchange {
        loop {
            let rung = self.news.notified();
            if can_claim()
                && let Some(exchange) = self.look_for_news()
            {
                return exchange;
            }
            rung.await;
        }
    }

    fn look_for_news(self: &Arc<Self>) -> Option<Exchange> {
        let (wants, seen) = self.reserve_for_news();
        if wants.is_empty() {
            return None;
        }
        let mut outcomes = lock(&self.outcomes);
        if self.closed.load(Ordering::Acquire) {
            // Whoever closed it looks whether it is quiet next, and must not find it so with a claim to come.
            self.free(&wants);
            return None;
        }
        outcomes.under_way += 1;
        Some(Exchange {
            desk: self.clone(),
            settlements: Vec::new(),
            wants,
            seen,
            manner: Manner::Together,
            turn: None,
        })
    }

    /// Room for a job of each lane that may have come, and what the count of each queue was.
    fn reserve_for_news(&self) -> (Vec<Want>, Vec<u64>) {
        let (mut wants, mut seen) = (Vec::new(), Vec::new());
        for pool in self.pools.iter().filter(|pool| pool.is_busy()) {
            let mut lanes = pool.queues.iter();
            if let Some(lane) = lanes.find(|lane| lane.has_news() && lane.may_be_ready()) {
                let most = pool.reserve_more(BATCH);
                if most > 0 {
                    seen.push(lane.count());
                    wants.push(lane.want_one_of_each(most));
                }
            }
        }
        (wants, seen)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::desk::Claims;
    use crate::desk::tests::{exchange, job};
    use crate::ruled::{Round, Way};

    #[test]
    fn one_claim_looks_for_what_came_to_a_busy_pool_and_none_where_lanes_take_no_turns() {
        let desk = Arc::new(Desk::new(vec![("p".into(), vec!["q".into()], 4)]));
        let way = Way {
            turns: true,
            ..Way::default()
        };
        desk.ruled("q", Some(way));
        let news = || desk.news(|| true).now_or_never();
        desk.wake("q");
        assert!(news().is_none(), "whoever exchanges outcomes claims for it");
        let round = Round {
            jobs: (0..4).map(|id| job(id, 7)).collect(),
            ..Round::default()
        };
        let claimed = Claims {
            rounds: vec![(0, round)],
            ..Claims::default()
        };
        exchange(&desk).unwrap().made(claimed);
        assert!(news().is_none(), "a claim has looked for it");

        desk.wake("q");
        let claim = news().expect("its pool is busy");
        assert_eq!(
            claim.wants[0].each.map(std::num::NonZeroUsize::get),
            Some(1)
        );
        assert!(news().is_none(), "a claim looks for it");
        claim.made(Claims::default());

        desk.ruled("q", None);
        desk.wake("q");
        assert!(news().is_none(), "it waits for its place");
    }
}

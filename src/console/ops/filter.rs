//! The filters of the job table: what the address says, as fields to change it.

use queue::admin::{Cursor, FINISHED_STATES, Filter, LIVE_STATES};
use serde::Serialize;
use uuid::Uuid;

use crate::commands::Refused;
use crate::commands::ops::Sight;
use crate::commands::query::Parameters;
use crate::console::frame::{address, without};
use crate::console::words::{self, Choice};

/// Most jobs on a page.
const A_PAGE: i64 = 50;
/// Where the table is.
pub(super) const PATH: &str = "/ops/jobs";

/// What the address asks for.
pub(super) struct Asked {
    pub(super) filter: Filter,
    pub(super) after: Option<Cursor>,
    /// The only job that can be meant.
    pub(super) id: Option<i64>,
    /// The address without what is not a filter.
    pub(super) clean: String,
}

/// The filters as fields.
#[derive(Debug, Serialize)]
pub(super) struct Filters {
    views: Vec<View>,
    kinds: Vec<Choice>,
    queues: Vec<Choice>,
    state: String,
    finished: bool,
    org: String,
    /// Whether there are jobs of other orgs to leave out.
    any_org: bool,
    count: usize,
}

/// Jobs in one state.
#[derive(Debug, Serialize)]
struct View {
    text: String,
    url: String,
    current: bool,
}

impl Asked {
    /// Reads a query string; nobody reaches beyond their `sight`.
    pub(super) fn read(query: &str, sight: Sight) -> Result<Self, Refused> {
        let clean = without(query, &["said", "cursor", "id"]);
        let mut given = Parameters::parse(&without(query, &["said"]));
        let finished = given.flag("finished");
        let state = given.text("state");
        let filter = Filter {
            finished,
            queue: given.text("queue"),
            kind: given.text("kind"),
            lane: given.parsed::<Uuid>("org", "the id of an organisation"),
            limit: Some(A_PAGE),
            state,
        };
        let asked = Self {
            after: given.job(),
            id: given.parsed("id", "the number of a job"),
            clean,
            filter: Filter {
                lane: sight.lane.or(filter.lane),
                ..filter
            },
        };
        given.finish()?;
        let checked = asked.filter.check_state();
        checked.map_err(|why| Refused::field("state", "invalid", why))?;
        Ok(asked)
    }

    /// The fields that say the same.
    pub(super) fn filters(&self, sight: Sight) -> Filters {
        let filter = &self.filter;
        let chosen = |given: &Option<String>, name: &str| given.as_deref() == Some(name);
        let registry = jobs::registry();
        let kinds = registry
            .names()
            .map(|kind| Choice::new(kind, kind, chosen(&filter.kind, kind)));
        let queues = registry
            .queues()
            .into_iter()
            .map(|queue| Choice::new(queue, queue, chosen(&filter.queue, queue)));
        let org = filter.lane.filter(|_| sight.lane.is_none());
        let given = [filter.kind.is_some(), filter.queue.is_some(), org.is_some()];
        Filters {
            views: self.views(),
            kinds: kinds.collect(),
            queues: queues.collect(),
            state: filter.state.clone().unwrap_or_default(),
            finished: filter.finished,
            org: org.map(|org| org.to_string()).unwrap_or_default(),
            any_org: sight.lane.is_none(),
            count: given.into_iter().filter(|given| *given).count(),
        }
    }

    /// The states to choose from; the other filters stay.
    fn views(&self) -> Vec<View> {
        let rest = without(&self.clean, &["finished", "state"]);
        let current = (self.filter.finished, self.filter.state.as_deref());
        let view = |finished: bool, state: Option<&str>| {
            let mut pairs = Vec::new();
            if finished {
                pairs.push("finished=true".to_owned());
            }
            pairs.extend(state.map(|state| format!("state={state}")));
            if !rest.is_empty() {
                pairs.push(rest.clone());
            }
            View {
                text: match (finished, state) {
                    (false, None) => "Live".into(),
                    (true, None) => "Finished".into(),
                    (_, Some("discarded")) => "Dead letters".into(),
                    (_, Some(state)) => words::spoken(state),
                },
                url: address(PATH, &pairs.join("&")),
                current: current == (finished, state),
            }
        };
        let mut views = vec![view(false, None)];
        views.extend(LIVE_STATES.map(|state| view(false, Some(state))));
        views.push(view(true, None));
        views.extend(FINISHED_STATES.map(|state| view(true, Some(state))));
        views
    }
}

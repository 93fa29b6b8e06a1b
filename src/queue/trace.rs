//! Hand a trace from what enqueues to what runs.

use std::sync::Arc;

tokio::task_local! {
    static CURRENT: Option<Arc<str>>;
}

/// Runs `inside` as part of the trace of which `parent` is the W3C trace parent: jobs that it enqueues belong to it.
pub async fn within<F: Future>(parent: Option<Arc<str>>, inside: F) -> F::Output {
    CURRENT.scope(parent, inside).await
}

/// The trace parent that a job enqueued here gets.
pub fn current() -> Option<Arc<str>> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

//! `/api/v1/admin`: the queue for those who run something, as the command line has it.
//!
//! A key needs `ops:read` to look and `ops:write` to act. It sees the jobs of its org; one that acts for somebody who runs
//! the platform sees all of it, and what holds for all orgs at once is for such keys only.

mod asked;
mod batches;
mod dead;
mod jobs;
mod limits;
mod now;
mod queues;
mod schedules;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// The routes of this module.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(jobs::router())
        .merge(queues::router())
        .merge(now::router())
        .merge(limits::router())
        .merge(batches::router())
        .merge(dead::router())
        .merge(schedules::router())
}

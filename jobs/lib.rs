//! Everything that happens in the background: one file a job, effects at the edge.
//!
//! A job reads and locks, lets the domain decide, writes, leaves the jobs that follow, and commits; whatever reaches out
//! is a job of its own, so that a retry repeats an effect and never a decision.

mod assume_sent;
pub mod context;
pub mod effects;
mod enrich_lead;
pub mod follow;
mod forget_expired;
mod notify_rep;
mod process_intake;
mod refresh_org_scores;
mod refresh_scores;
mod remind_follow_ups;
mod remind_org_follow_ups;
mod score_lead;
mod send_mail;
mod send_sign_in_link;

use queue::Registry;
use queue::schedule::Schedule;

pub use assume_sent::AssumeSent;
pub use context::{Ctx, Effects, Links};
pub use enrich_lead::EnrichLead;
pub use forget_expired::ForgetExpired;
pub use notify_rep::{NotifyRep, Reason};
pub use process_intake::ProcessIntake;
pub use refresh_org_scores::RefreshOrgScores;
pub use refresh_scores::RefreshScores;
pub use remind_follow_ups::RemindFollowUps;
pub use remind_org_follow_ups::RemindOrgFollowUps;
pub use score_lead::ScoreLead;
pub use send_mail::SendMail;
pub use send_sign_in_link::SendSignInLink;

/// Every job there is.
pub fn registry() -> Registry<Ctx> {
    Registry::new()
        .add::<ProcessIntake>()
        .add::<EnrichLead>()
        .add::<ScoreLead>()
        .add::<NotifyRep>()
        .add::<SendMail>()
        .add::<SendSignInLink>()
        .add::<RefreshScores>()
        .add::<RefreshOrgScores>()
        .add::<RemindFollowUps>()
        .add::<RemindOrgFollowUps>()
        .add::<ForgetExpired>()
        .add::<AssumeSent>()
}

/// Everything that runs by the clock.
pub fn schedules() -> Vec<Schedule> {
    vec![
        Schedule::new("refresh_scores", |due_at| RefreshScores { due_at }).daily_at(3, 0),
        Schedule::new("remind_follow_ups", |due_at| RemindFollowUps { due_at }).daily_at(8, 0),
        Schedule::new("forget_expired", |due_at| ForgetExpired { due_at }).daily_at(4, 0),
        Schedule::new("assume_sent", |due_at| AssumeSent { due_at }).hourly_at(5),
    ]
}

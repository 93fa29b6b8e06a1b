//! The queue on a real Postgres.

mod admin;
mod batches;
mod cancel;
pub(crate) mod cast;
mod checkpoints;
mod claims;
mod cost;
mod counts;
mod dead;
mod deaths;
mod enqueue;
mod halfway;
mod held;
mod history;
mod outages;
mod outcomes;
mod producer;
mod rules;
mod schedules;
mod state_machine;
mod working;
mod written;

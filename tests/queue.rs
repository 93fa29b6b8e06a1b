//! The queue on a real Postgres.

mod admin;
mod cancel;
pub mod cast;
mod cost;
mod deaths;
mod enqueue;
mod history;
mod outages;
mod outcomes;
mod producer;
mod schedules;
mod state_machine;
mod working;

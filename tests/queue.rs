//! The queue on a real Postgres.

mod admin;
mod cast;
mod cost;
mod deaths;
mod enqueue;
mod history;
mod outcomes;
mod schedules;
mod working;

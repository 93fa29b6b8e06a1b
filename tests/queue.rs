//! The queue on a real Postgres.

mod admin;
mod cast;
mod enqueue;
mod history;
mod outcomes;
mod schedules;
mod working;

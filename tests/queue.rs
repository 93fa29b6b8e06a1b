//! The queue on a real Postgres.

mod admin;
mod history;
mod schedules;

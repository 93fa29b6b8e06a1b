//! The queue on a real Postgres.

mod schedules;

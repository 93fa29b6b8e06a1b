//! A durable job queue on Postgres that knows no business.

pub mod admin;
pub mod history;
pub mod maintenance;
pub mod schedule;

#[cfg(test)]
mod model;

//! A durable job queue on Postgres that knows no business.

pub mod schedule;

#[cfg(test)]
mod model;

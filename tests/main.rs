//! The one integration test binary: behaviour through the public surface, on a real Postgres.

mod api;
mod architecture;
mod bench;
mod cli;
mod config;
mod console;
mod database;
mod flows;
mod harness;
mod intake;
mod jobs;
mod postgres_cluster;
mod processes;
mod queue;
mod requirements;
mod statements;
mod store;
mod templates;
mod web;

//! The Leadmill platform: takes leads in, works on them in the background, tells the rep.
//!
//! ```text
//! source ─► intake ─► intake_events row + ProcessIntake job   (one transaction, then 2xx)
//!                              │
//!                            queue ─► work ─► jobs ─► effects (SMTP, HTTP)
//!                              │
//!                    domain + store ◄─ api, console
//! ```
//!
//! [`cli`] starts one of the roles: [`serve`] answers HTTP, [`work`] runs jobs.
//! Both are built from [`config`]; what requests share is [`app::App`].

pub mod api;
pub mod app;
pub mod bench;
pub mod cli;
pub mod commands;
pub mod config;
pub mod console;
pub mod database;
pub mod dev;
pub mod intake;
pub mod listen;
pub mod prepare;
pub mod serve;
pub mod stop;
pub mod telemetry;
pub mod web;
pub mod work;

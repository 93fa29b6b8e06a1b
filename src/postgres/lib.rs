//! Find, start and stop a private Postgres cluster; make test databases from a template.
//!
//! `leadmill dev`, the benchmarks and every test need a Postgres; a fresh machine has none running. [`Cluster::start`] gives
//! one: it adopts the cluster that already runs in the asked directory, or starts it from installed binaries, or fetches
//! binaries into a cache after saying so, or fails with one message that says what to do. Linux and macOS only.
//!
//! # Promises
//!
//! * Only a unix socket in a directory that belongs to one user; no port is opened.
//! * Root works: Postgres refuses to run as root, so it is started as another user.
//! * Two runs at once share one cluster, and it stops with the last process that uses it, however that process ended.
//! * A [`Profile::Durable`] cluster keeps what it committed across a crash; a [`Profile::Test`] one trades that for speed.

mod account;
mod binaries;
mod cluster;
mod error;
mod fetch;
mod holders;
mod launch;
mod lock;
mod options;
mod place;
mod process;
mod server;

pub use binaries::{OLDEST_MAJOR, Search};
pub use cluster::Cluster;
pub use error::{Error, NotFound, System};
pub use fetch::{Fetch, UnknownFetch};
pub use options::{Options, Profile};
pub use server::Server;

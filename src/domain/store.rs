//! All SQL of the business: it stores and finds, it decides nothing.

pub mod forms;
pub mod intake_events;
pub mod scope;

pub use scope::{Db, Tx};

//! All SQL of the business: it stores and finds, it decides nothing.

pub mod api_keys;
pub mod bell;
pub mod forms;
pub mod idempotency;
pub mod intake_events;
pub mod lead_history;
pub mod lead_pages;
pub mod mail_ledger;
pub mod pipeline_summary;
pub mod scope;

pub use scope::{Db, Tx};

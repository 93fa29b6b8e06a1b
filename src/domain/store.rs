//! All SQL of the business: it stores and finds, it decides nothing.

pub mod api_keys;
pub mod bell;
pub mod companies;
pub mod enrichment;
pub mod events;
mod expired;
pub mod follow_ups;
pub mod forms;
pub mod idempotency;
pub mod intake_events;
pub mod journal;
pub mod lead_history;
pub mod lead_pages;
pub mod leads;
pub mod mail_ledger;
pub mod members;
pub mod orgs;
pub mod pipeline_summary;
pub mod pools;
pub mod rescore;
pub mod scope;
pub mod scoring;
pub mod sessions;
pub mod sources;
pub mod stages;
pub mod suppressions;

pub use scope::{Db, Tx};

//! What the business is: entities and pure rules; all business SQL under [`store`].
//!
//! Reads are functions of [`store`]. Writes that mean something to the business are functions of [`command`]: each
//! writes the row, its history, the timeline, the event and the audit entry in the caller's transaction.

pub mod activity;
pub mod actor;
pub mod capture;
pub mod clock;
pub mod command;
pub mod company;
pub mod contact;
pub mod custom_field;
pub mod enrichment;
pub mod form;
pub mod id;
pub mod key_scope;
pub mod lead;
pub mod mail;
pub mod member;
pub mod mql;
pub mod normalise;
pub mod org;
pub mod score;
pub mod session;
pub mod stage;
pub mod status;
pub mod store;
pub mod submission;
mod text;

pub use text::UnknownText;

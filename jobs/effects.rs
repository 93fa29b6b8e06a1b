//! The only code that reaches out: mail, messages, enrichment providers, secrets at rest.

pub mod enrichment;
pub mod mail;
pub mod messages;
pub mod sealed;

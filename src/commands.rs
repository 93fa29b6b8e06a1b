//! What people and programs do to leads, shared by REST, tRPC and the console: one transaction each, jobs included.

pub mod error;
pub mod input;
pub mod instant;
pub mod leads;
pub mod query;

pub use error::Refused;

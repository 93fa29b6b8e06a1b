//! What people and programs do to leads and to the queue, shared by REST, tRPC and the console: one transaction each, jobs included.

pub mod error;
pub mod input;
pub mod instant;
pub mod leads;
pub mod ops;
pub mod query;

pub use error::{Refused, in_time, narrow_enough};

//! All SQL of the business: it stores and finds, it decides nothing.

pub mod scope;

pub use scope::{Db, Tx};

//! How leads come in: one file a source, each reads what it is sent and decides nothing.

pub mod form;
pub mod text;
pub mod trpc_capture;

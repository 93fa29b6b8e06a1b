//! `/api/trpc/…`: the wire of `@trpc/client`, versions 10 and 11, every link.

pub mod envelope;
pub mod error;
pub mod issue;
pub mod request;
pub mod superjson;

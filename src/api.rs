//! What programs use: REST resources and the same commands for tRPC clients.

pub mod trpc;

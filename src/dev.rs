//! `leadmill dev`: everything in one process, and what the outside world would be.

pub mod smtp;

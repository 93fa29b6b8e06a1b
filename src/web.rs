//! What intake, API and console share on the way in and out.

pub mod api_key;
pub mod bells;
pub mod body;
pub mod client;
pub mod cursor;
pub mod form;
pub mod layers;
pub mod outage;
pub mod problem;
pub mod problem_page;
pub mod rate_limit;
pub mod secrets;
pub mod session;
pub mod shape;
pub mod trpc;
pub mod view;

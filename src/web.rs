//! What intake, API and console share on the way in and out.

pub mod api_key;
pub mod cursor;
pub mod layers;
pub mod problem;

//! What intake, API and console share on the way in and out.

pub mod layers;
pub mod problem;

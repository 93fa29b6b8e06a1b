//! What the business is: entities and pure rules; all business SQL under `store`.

pub mod submission;

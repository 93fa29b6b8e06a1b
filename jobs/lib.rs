//! Everything that happens in the background: one file a job, effects at the edge.

pub mod effects;

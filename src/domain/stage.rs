//! The steps a deal walks through.

use serde::Serialize;

use crate::{
    id::{PipelineId, StageId},
    status::Status,
};

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Stage {
    /// Its id.
    pub id: StageId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Its name.
    pub name: String,
    /// Its position, from 1.
    pub stage_order: i32,
    /// Chance to win in percent.
    pub probability: f64,
    /// Hex, for the console.
    pub colour: String,
    /// Entering it writes to the rep.
    pub auto_nurture: bool,
    /// Days before a stay is escalated.
    pub sla_days: Option<i32>,
    /// Status a lead takes on entry.
    pub status_on_enter: Option<Status>,
    /// Where new leads start.
    pub is_default: bool,
}

/// A stage that a new org starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultStage {
    /// Its name.
    pub name: &'static str,
    /// Chance to win in percent.
    pub probability: i32,
    /// Hex, for the console.
    pub colour: &'static str,
    /// Status a lead takes on entry.
    pub status_on_enter: Option<Status>,
}

/// The pipeline that a new org starts with.
pub const DEFAULTS: [DefaultStage; 7] = [
    stage("New", 10, "#64748b", None),
    stage("Contacted", 20, "#0ea5e9", None),
    stage("Qualified", 40, "#6366f1", None),
    stage("Proposal", 60, "#f59e0b", None),
    stage("Negotiating", 80, "#f97316", None),
    stage("Won", 100, "#22c55e", Some(Status::Won)),
    stage("Lost", 0, "#ef4444", Some(Status::Lost)),
];

const fn stage(
    name: &'static str,
    probability: i32,
    colour: &'static str,
    status_on_enter: Option<Status>,
) -> DefaultStage {
    DefaultStage {
        name,
        probability,
        colour,
        status_on_enter,
    }
}

//! What every job carries: the payload of most jobs of the product.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The same for each system, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payload {
    org: Uuid,
    lead: Uuid,
    /// Which job it is, counted from the first of the run.
    pub number: u64,
}

impl Payload {
    /// That of job `number`.
    pub fn new(number: u64) -> Self {
        Self {
            org: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
            lead: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002),
            number,
        }
    }
}

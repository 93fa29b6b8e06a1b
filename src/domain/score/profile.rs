//! How an org scores: a model and its numbers, under a version that never changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{id::ScoringProfileId, lead::SourceCategory, text::text_enum};

text_enum! {
    /// Which rules a profile follows.
    Model {
        /// Behaviour, demography and engagement, each with its limit.
        Composition = "composition",
        /// Five weighted factors.
        Factors = "factors",
        /// Nothing but the org's own rules.
        Rules = "rules",
        /// One of the first two, and the rules on top.
        Composite = "composite",
    }
}

text_enum! {
    /// What a composite builds on.
    Base {
        /// [`Model::Composition`].
        Composition = "composition",
        /// [`Model::Factors`].
        Factors = "factors",
    }
}

/// A version of how an org scores.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct ScoringProfile {
    /// Its id.
    pub id: ScoringProfileId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The rules it follows.
    pub model: Model,
    /// Its numbers.
    #[sqlx(json)]
    pub config: Config,
    /// Warm from here.
    pub band_warm: i16,
    /// Hot from here.
    pub band_hot: i16,
}

impl ScoringProfile {
    /// The first profile of an org, by this model.
    pub fn first(model: Model) -> Self {
        Self {
            id: ScoringProfileId::new(),
            name: "Default".into(),
            version: "v1.0".into(),
            model,
            config: Config::default(),
            band_warm: 40,
            band_hot: 70,
        }
    }
}

/// The numbers of a profile; what is missing has its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What [`Model::Composite`] builds on.
    pub base: Base,
    /// For [`Model::Composition`].
    pub composition: Composition,
    /// For [`Model::Factors`].
    pub factors: Factors,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base: Base::Factors,
            composition: Composition::default(),
            factors: Factors::default(),
        }
    }
}

/// Points for each, up to a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerUnit {
    /// For one.
    pub points: i32,
    /// For any number.
    pub cap: i32,
}

impl PerUnit {
    /// What `count` of them give.
    pub fn of(self, count: i32) -> i32 {
        count.max(0).saturating_mul(self.points).min(self.cap)
    }
}

/// Points from a number on; the highest step reached counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Reached from here.
    pub from: i64,
    /// What it gives.
    pub points: i32,
}

/// The points of the highest step that `value` reaches; an unknown value reaches none.
pub fn step(steps: &[Step], value: Option<i64>) -> i32 {
    let Some(value) = value else { return 0 };
    steps
        .iter()
        .filter(|step| value >= step.from)
        .map(|step| step.points)
        .max()
        .unwrap_or(0)
}

/// The most that steps can give.
pub fn most(steps: &[Step]) -> i32 {
    steps.iter().map(|step| step.points).max().unwrap_or(0)
}

/// Points by the kind of title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TitlePoints {
    /// Decides alone.
    pub chief: i32,
    /// Decides with others.
    pub head: i32,
    /// Any other title.
    pub other: i32,
}

/// Behaviour, demography and engagement; each input has a cap, and each of the three a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Composition {
    /// Limit of behaviour.
    pub behavioural_max: i32,
    /// Limit of demography.
    pub demographic_max: i32,
    /// Limit of engagement.
    pub engagement_max: i32,
    /// Visits, as behaviour.
    pub visits: PerUnit,
    /// Downloads.
    pub downloads: PerUnit,
    /// Clicks.
    pub clicks: PerUnit,
    /// A demonstration asked for.
    pub demo: i32,
    /// By pupils.
    pub enrollment: Vec<Step>,
    /// By title.
    pub title: TitlePoints,
    /// Opens.
    pub opens: PerUnit,
    /// Visits, as engagement.
    pub engaged_visits: PerUnit,
}

impl Default for Composition {
    fn default() -> Self {
        Self {
            behavioural_max: 50,
            demographic_max: 30,
            engagement_max: 20,
            visits: PerUnit { points: 2, cap: 20 },
            downloads: PerUnit { points: 5, cap: 25 },
            clicks: PerUnit { points: 3, cap: 15 },
            demo: 15,
            enrollment: steps(&[(0, 5), (1_000, 10), (5_000, 15), (20_000, 20)]),
            title: TitlePoints {
                chief: 15,
                head: 10,
                other: 5,
            },
            opens: PerUnit { points: 2, cap: 20 },
            engaged_visits: PerUnit { points: 1, cap: 10 },
        }
    }
}

/// Five factors whose most adds up to a hundred.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Factors {
    /// By how the lead was won.
    pub source: BTreeMap<SourceCategory, i32>,
    /// By employees.
    pub company_size: Vec<Step>,
    /// By deal value, in cents or pence.
    pub deal_value: Vec<Step>,
    /// By title.
    pub title: TitlePoints,
    /// For a profile with nothing missing.
    pub completeness: i32,
}

impl Default for Factors {
    fn default() -> Self {
        use SourceCategory::*;
        let source = [
            (Referral, 20),
            (Partner, 18),
            (Event, 15),
            (Website, 14),
            (OrganicSearch, 12),
            (PaidAds, 10),
            (SocialMedia, 8),
            (ColdOutreach, 4),
            (Other, 2),
        ];
        Self {
            source: source.into(),
            company_size: steps(&[(1, 4), (10, 8), (50, 12), (250, 16), (1_000, 20)]),
            deal_value: steps(&[
                (100_000, 5),
                (500_000, 10),
                (2_000_000, 15),
                (5_000_000, 20),
                (10_000_000, 25),
            ]),
            title: TitlePoints {
                chief: 20,
                head: 14,
                other: 6,
            },
            completeness: 15,
        }
    }
}

fn steps(steps: &[(i64, i32)]) -> Vec<Step> {
    steps
        .iter()
        .map(|(from, points)| Step {
            from: *from,
            points: *points,
        })
        .collect()
}

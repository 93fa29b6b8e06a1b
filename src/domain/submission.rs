//! What somebody sent us about a lead, in our words, whatever wire it came by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lead::SourceCategory;
use crate::text::text_enum;

/// The lead as its sender described it: text is trimmed, one line where one is asked for, and never holds NUL.
///
/// Stored with the raw body before the sender is answered; everything else is made from it in the background.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Submission {
    /// The name in one piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// E-mail address as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Phone number as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The employer as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// Job title as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_title: Option<String>,
    /// Profile page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linkedin_url: Option<String>,
    /// The employer's web site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// ISO 3166 code of the country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// What the person wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How the lead was won; without it the channel's default holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceCategory>,
    /// Page or advert it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// `utm_source` of that page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_source: Option<String>,
    /// `utm_medium` of that page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_medium: Option<String>,
    /// `utm_campaign` of that page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_campaign: Option<String>,
    /// `utm_term` of that page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_term: Option<String>,
    /// `utm_content` of that page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_content: Option<String>,
    /// Ids of the click that led here: `gclid`, `fbclid` and their like.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub click_ids: BTreeMap<String, String>,
    /// Deal value in cents or pence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_value_minor: Option<i64>,
    /// The org's own fields.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub custom_fields: Map<String, Value>,
    /// Every answer by the name it was posted under, also those that have no field above.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub answers: Map<String, Value>,
}

text_enum! {
    /// What became of a submission.
    IntakeState {
        /// Nothing yet.
        Received = "received",
        /// A lead was made of it, or it joined one.
        Processed = "processed",
        /// It told nothing new.
        Duplicate = "duplicate",
        /// No person sent it.
        Spam = "spam",
        /// A person must look at it.
        Quarantined = "quarantined",
    }
}

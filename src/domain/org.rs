//! The customers of the platform.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, id::OrgId, text::text_enum};

text_enum! {
    /// Whether an org is served.
    OrgStatus {
        /// Takes leads and works on them.
        Active = "active",
        /// Kept, but takes nothing.
        Suspended = "suspended",
        /// Gone.
        Deleted = "deleted",
    }
}

text_enum! {
    /// Which statuses an org uses, and which automatic moves between them.
    Profile {
        /// Every status and every move.
        Unified = "unified",
        /// Five statuses of an agency.
        Agency = "agency",
        /// From marketing to sales, as schools are sold to.
        K12 = "k12",
        /// Outbound work by reps.
        Outreach = "outreach",
        /// A deal pipeline.
        Pipeline = "pipeline",
    }
}

text_enum! {
    /// Which leads a plain member sees.
    Visibility {
        /// Every lead of the org.
        Org = "org",
        /// Those of their spaces, and their own.
        Space = "space",
        /// Their own.
        Own = "own",
    }
}

/// Whether `text` can be the short name of an org: small letters, digits and hyphens, up to 63, a hyphen not first.
pub fn is_slug(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && !text.starts_with('-') && text.chars().all(fits)
}

/// A customer of the platform.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Org {
    /// Its id.
    pub id: OrgId,
    /// Its short name in addresses.
    pub slug: String,
    /// Its name as shown.
    pub name: String,
    /// Whether it is served.
    pub status: OrgStatus,
    /// IANA name of its time zone.
    pub time_zone: String,
    /// Currency of deal values that name none.
    pub currency: String,
    /// Which statuses it uses.
    #[sqlx(rename = "lifecycle_profile")]
    pub profile: Profile,
    /// What its plain members see.
    pub lead_visibility: Visibility,
    /// Its switches.
    #[sqlx(json)]
    pub settings: OrgSettings,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Org {
    /// Takes leads at all.
    pub fn is_active(&self) -> bool {
        self.status == OrgStatus::Active
    }
}

/// Switches of an org; one that is missing has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrgSettings {
    /// Ask providers about every new lead.
    pub auto_enrich: bool,
    /// Also keep scores that came out as before.
    pub record_unchanged_scores: bool,
    /// Recycling forgets when a lead first met a marketing threshold.
    pub recycle_resets_mql: bool,
    /// Remind of leads not spoken to for a week, too, not only of dates a rep set.
    pub remind_stale_contacts: bool,
}

impl Default for OrgSettings {
    fn default() -> Self {
        Self {
            auto_enrich: true,
            record_unchanged_scores: false,
            recycle_resets_mql: false,
            remind_stale_contacts: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_slug;

    #[test]
    fn a_short_name_fits_into_an_address() {
        for good in ["acme", "a", "4-you", "acme-"] {
            assert!(is_slug(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "-acme", "Acme", "ac me", "acmé", &long] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}

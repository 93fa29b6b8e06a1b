//! A person an org wants to win.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    clock::Timestamp,
    contact::ContactMethod,
    id::{
        CampaignId, ChannelId, CompanyId, FormId, LeadId, OpportunityId, OrgId, SourceId, SpaceId,
        StageId, UserId,
    },
    score::Band,
    status::Status,
    text::text_enum,
};

pub mod merge;
pub mod patch;

text_enum! {
    /// How a lead arrived: the mechanism.
    CaptureChannel {
        /// A form on a website.
        WebsiteForm = "website_form",
        /// A form in a Facebook or Instagram advert.
        FacebookLeadAd = "facebook_lead_ad",
        /// A form in a Google advert.
        GoogleLeadForm = "google_lead_form",
        /// Typed in by a person.
        Manual = "manual",
        /// Read from a file.
        Import = "import",
        /// Sent by a program.
        Api = "api",
        /// Sent by an outside automation.
        Automation = "automation",
        /// Anything else.
        Other = "other",
    }
}

impl CaptureChannel {
    /// The acquisition a lead of this channel is credited to when it names none.
    pub fn default_source(self) -> SourceCategory {
        match self {
            Self::WebsiteForm => SourceCategory::Website,
            Self::FacebookLeadAd | Self::GoogleLeadForm => SourceCategory::PaidAds,
            _ => SourceCategory::Other,
        }
    }
}

text_enum! {
    /// How a lead was won: the axis of reports and of scoring.
    #[derive(Default)]
    SourceCategory {
        /// Found the website.
        Website = "website",
        /// Sent by somebody.
        Referral = "referral",
        /// Came by an advert.
        PaidAds = "paid_ads",
        /// Came by a search.
        OrganicSearch = "organic_search",
        /// Came by a social network.
        SocialMedia = "social_media",
        /// Was written to first.
        ColdOutreach = "cold_outreach",
        /// Was met somewhere.
        Event = "event",
        /// Sent by a partner.
        Partner = "partner",
        /// Anything else.
        #[default]
        Other = "other",
    }
}

text_enum! {
    /// How far asking providers about a lead has come.
    EnrichmentStatus {
        /// Never asked.
        None = "none",
        /// To be asked.
        Queued = "queued",
        /// Asked, answer to follow.
        Pending = "pending",
        /// Known.
        Done = "done",
        /// Nobody knows this lead.
        NotFound = "not_found",
        /// Asking failed for good.
        Failed = "failed",
        /// Not to be asked about.
        Skipped = "skipped",
    }
}

text_enum! {
    /// Where a lead is in its sequence.
    NurtureStatus {
        /// In none.
        NotEnrolled = "not_enrolled",
        /// Under way.
        Active = "active",
        /// Held.
        Paused = "paused",
        /// Through.
        Completed = "completed",
        /// Left early.
        Exited = "exited",
    }
}

text_enum! {
    /// Whether an address is worth writing to.
    EmailStatus {
        /// Not known.
        Unknown = "unknown",
        /// Accepts mail.
        Valid = "valid",
        /// May not.
        Risky = "risky",
        /// Cannot exist.
        Invalid = "invalid",
        /// Refused mail for good.
        Bounced = "bounced",
        /// Called a mail spam.
        Complained = "complained",
        /// Asked not to be written to.
        Unsubscribed = "unsubscribed",
    }
}

/// What people, forms and providers may say about a lead: the part that is edited.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, sqlx::FromRow)]
#[serde(default)]
pub struct Details {
    /// Client workspace.
    pub space_id: Option<SpaceId>,
    /// Name as given in one piece.
    pub name: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Phone as given.
    pub phone: Option<String>,
    /// Phone in international form.
    pub phone_e164: Option<String>,
    /// Job title.
    pub job_title: Option<String>,
    /// Profile page.
    pub linkedin_url: Option<String>,
    /// Employer, once resolved.
    pub company_id: Option<CompanyId>,
    /// Employer as captured.
    pub company_name: Option<String>,
    /// US state or region code.
    pub state: Option<String>,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// IANA time zone.
    pub time_zone: Option<String>,
    /// Pupils of the school or district.
    pub enrollment: Option<i32>,
    /// Size class, computed.
    pub segment: Option<String>,
    /// What the person wrote.
    pub message: Option<String>,
    /// What the org wrote.
    pub notes: Option<String>,
    /// Free labels.
    pub tags: Vec<String>,
    /// How it was won.
    pub source_category: SourceCategory,
    /// The org's own name for that.
    pub source_id: Option<SourceId>,
    /// Free addition to the source.
    pub source_detail: Option<String>,
    /// The outside automation that sent it.
    pub source_workflow: Option<String>,
    /// The connected channel.
    pub source_channel_id: Option<ChannelId>,
    /// The paid campaign.
    pub source_campaign_id: Option<CampaignId>,
    /// Landing page or advert.
    pub source_url: Option<String>,
    /// First touch.
    pub utm_source: Option<String>,
    /// First touch.
    pub utm_medium: Option<String>,
    /// First touch.
    pub utm_campaign: Option<String>,
    /// First touch.
    pub utm_term: Option<String>,
    /// First touch.
    pub utm_content: Option<String>,
    /// Google click.
    pub gclid: Option<String>,
    /// Facebook click.
    pub fbclid: Option<String>,
    /// The form it came by.
    pub form_id: Option<FormId>,
    /// What was posted, last submission.
    pub form_submission_data: Option<Value>,
    /// Deal value in cents or pence.
    pub estimated_value_minor: Option<i64>,
    /// Currency of the deal value.
    pub currency: Option<String>,
    /// In the lead's own words.
    pub budget: Option<String>,
    /// In the lead's own words.
    pub authority: Option<String>,
    /// In the lead's own words.
    pub need: Option<String>,
    /// In the lead's own words.
    pub timeline: Option<String>,
    /// When the rep wants to come back to it.
    pub next_follow_up_at: Option<Timestamp>,
    /// The org's own fields.
    #[sqlx(json)]
    pub custom_fields: Map<String, Value>,
}

impl Details {
    /// The name to greet or list somebody by, as the database computes it.
    pub fn display_name(&self) -> Option<String> {
        let filled = |text: &Option<String>| {
            text.as_deref()
                .map(str::trim)
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
        };
        let both = [filled(&self.first_name), filled(&self.last_name)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
        filled(&self.name)
            .or((!both.is_empty()).then_some(both))
            .or_else(|| self.email.clone())
    }
}

/// A lead as stored.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// The org.
    pub org_id: OrgId,
    /// Who typed it in.
    pub created_by_user_id: Option<UserId>,
    /// What is known about the person.
    #[sqlx(flatten)]
    #[serde(flatten)]
    pub details: Details,
    /// The name lists show.
    pub display_name: Option<String>,
    /// How it arrived.
    pub capture_channel: CaptureChannel,
    /// Where it stands.
    pub status: Status,
    /// Still worked on.
    pub is_open: bool,
    /// Became a customer.
    pub is_won: bool,
    /// Since when it has this status.
    pub status_changed_at: Timestamp,
    /// Where it is in the pipeline.
    pub stage_id: Option<StageId>,
    /// Since when.
    pub stage_entered_at: Option<Timestamp>,
    /// Why it was disqualified.
    pub disqualification_reason: Option<String>,
    /// Why it was lost.
    pub lost_reason: Option<String>,
    /// First met a marketing threshold.
    pub mql_at: Option<Timestamp>,
    /// First accepted by sales.
    pub sql_at: Option<Timestamp>,
    /// First became an opportunity.
    pub opportunity_at: Option<Timestamp>,
    /// The opportunity.
    pub opportunity_id: Option<OpportunityId>,
    /// Same as `is_won`.
    pub converted_to_customer: bool,
    /// When it was won.
    pub converted_at: Option<Timestamp>,
    /// Contact method that won it.
    pub conversion_source: Option<String>,
    /// The rep.
    pub assigned_to_user_id: Option<UserId>,
    /// Since when.
    pub assigned_at: Option<Timestamp>,
    /// Last outbound contact.
    pub last_contacted_at: Option<Timestamp>,
    /// How that was.
    pub last_contact_method: Option<ContactMethod>,
    /// Outbound contacts, ever.
    pub contact_count: i32,
    /// Last inbound contact.
    pub last_response_at: Option<Timestamp>,
    /// Inbound contacts, ever.
    pub response_count: i32,
    /// Latest score.
    pub score_total: Option<i16>,
    /// Its band.
    pub score_band: Option<Band>,
    /// Version of the profile that gave it.
    pub score_version: Option<String>,
    /// Last calculation.
    pub score_updated_at: Option<Timestamp>,
    /// Where it is in its sequence.
    pub nurture_status: NurtureStatus,
    /// How far enrichment has come.
    pub enrichment_status: EnrichmentStatus,
    /// What providers said, merged.
    #[sqlx(json)]
    pub enrichment_data: Map<String, Value>,
    /// Last match.
    pub enriched_at: Option<Timestamp>,
    /// Whether the address is worth writing to.
    pub email_status: EmailStatus,
    /// Left out of every figure.
    pub is_test: bool,
    /// Latest activity.
    pub last_activity_at: Option<Timestamp>,
    /// Grows with each edit.
    pub version: i32,
    /// When it was captured.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What somebody else calls a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalId {
    /// Whose id it is.
    pub provider: String,
    /// The id there.
    pub id: String,
}

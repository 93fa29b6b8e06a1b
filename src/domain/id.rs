//! Identifiers: one type per thing, so that two of them are never mixed up.

use uuid::Uuid;

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident,)+) => {$(
        $(#[$meta])*
        #[derive(
            Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, sqlx::Type,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh one (UUIDv7: later ones sort later).
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// All zeroes: stands for nobody and nothing.
            pub const fn nil() -> Self {
                Self(Uuid::nil())
            }

            /// The bare number, for generic code.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

ids! {
    /// A customer of the platform.
    OrgId,
    /// A person who signs in.
    UserId,
    /// A client workspace inside an org.
    SpaceId,
    /// A key of a program.
    ApiKeyId,
    /// A lead.
    LeadId,
    /// An employer of leads.
    CompanyId,
    /// A pipeline.
    PipelineId,
    /// A stage of a pipeline.
    StageId,
    /// A named source of leads.
    SourceId,
    /// A connected page, site or account.
    ChannelId,
    /// A form on a website.
    FormId,
    /// A question of a form.
    FormFieldId,
    /// A submission as it came in.
    IntakeEventId,
    /// A paid campaign.
    CampaignId,
    /// An opportunity.
    OpportunityId,
    /// A status a lead took, or a stage it entered.
    HistoryId,
    /// An entry of a timeline.
    ActivityId,
    /// One contact with a lead.
    ContactId,
    /// A pool of reps who take turns.
    PoolId,
    /// A hand-over of a lead.
    AssignmentId,
    /// A version of how an org scores.
    ScoringProfileId,
    /// A scoring rule.
    ScoringRuleId,
    /// A score given.
    ScoreId,
    /// A refresh of all scores of an org.
    RunId,
    /// A connected provider of facts.
    EnrichmentProviderId,
    /// A question put to a provider.
    EnrichmentRunId,
    /// A message in the mail ledger.
    MessageId,
    /// One attempt to send a message.
    AttemptToken,
    /// What the bell shows.
    NotificationId,
    /// Something that happened, for programs.
    EventId,
    /// An entry of the audit log.
    AuditId,
    /// A field an org adds to its records.
    CustomFieldId,
}

//! What programs see of the things of the business; the one place that says so for both wire formats.

use chrono::{DateTime, Utc};
use domain::activity::Activity;
use domain::lead::Lead;
use domain::store::bell::News;
use domain::store::lead_history::GivenScore;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// A lead.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Lead)]
pub struct LeadView {
    /// Its id.
    pub id: Uuid,
    /// The name lists show.
    pub display_name: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Name as given in one piece.
    pub name: Option<String>,
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
    /// Employer as captured.
    pub company: Option<String>,
    /// Employer, once resolved.
    pub company_id: Option<Uuid>,
    /// US state or region code.
    pub state: Option<String>,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// What the person wrote.
    pub message: Option<String>,
    /// What the org wrote.
    pub notes: Option<String>,
    /// Free labels.
    pub tags: Vec<String>,
    /// How it was won.
    pub source: String,
    /// Free addition to the source.
    pub source_detail: Option<String>,
    /// The outside automation that sent it.
    pub source_workflow: Option<String>,
    /// How it arrived.
    pub capture_channel: String,
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
    /// Where it stands.
    pub status: String,
    /// Since when it has this status.
    pub status_changed_at: DateTime<Utc>,
    /// Where it is in the pipeline.
    pub stage_id: Option<Uuid>,
    /// The rep.
    pub assigned_to: Option<Uuid>,
    /// Since when.
    pub assigned_at: Option<DateTime<Utc>>,
    /// Deal value in cents or pence.
    pub estimated_value: Option<i64>,
    /// Currency of the deal value; none stands for that of the org.
    pub currency: Option<String>,
    /// When the rep wants to come back to it.
    pub next_follow_up_at: Option<DateTime<Utc>>,
    /// Last outbound contact.
    pub last_contacted_at: Option<DateTime<Utc>>,
    /// How that was.
    pub last_contact_method: Option<String>,
    /// Outbound contacts, ever.
    pub contact_count: i32,
    /// Latest score, 0 to 100.
    pub score: Option<i16>,
    /// Its band: cold, warm or hot.
    pub score_band: Option<String>,
    /// Last calculation.
    pub score_updated_at: Option<DateTime<Utc>>,
    /// How far enrichment has come.
    pub enrichment_status: String,
    /// What providers said, merged.
    #[schema(value_type = Object)]
    pub enrichment_data: Map<String, Value>,
    /// Last match.
    pub enriched_at: Option<DateTime<Utc>>,
    /// First met a marketing threshold.
    pub mql_at: Option<DateTime<Utc>>,
    /// When it was won.
    pub converted_at: Option<DateTime<Utc>>,
    /// The org's own fields.
    #[schema(value_type = Object)]
    pub custom_fields: Map<String, Value>,
    /// Latest activity.
    pub last_activity_at: Option<DateTime<Utc>>,
    /// Grows with each edit; send it back as `If-Match`.
    pub version: i32,
    /// When it was captured.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<Lead> for LeadView {
    fn from(lead: Lead) -> Self {
        let details = lead.details;
        Self {
            id: lead.id.into(),
            display_name: lead.display_name,
            first_name: details.first_name,
            last_name: details.last_name,
            name: details.name,
            email: details.email,
            phone: details.phone,
            phone_e164: details.phone_e164,
            job_title: details.job_title,
            linkedin_url: details.linkedin_url,
            company: details.company_name,
            company_id: details.company_id.map(Into::into),
            state: details.state,
            country: details.country,
            message: details.message,
            notes: details.notes,
            tags: details.tags,
            source: details.source_category.to_string(),
            source_detail: details.source_detail,
            source_workflow: details.source_workflow,
            capture_channel: lead.capture_channel.to_string(),
            source_url: details.source_url,
            utm_source: details.utm_source,
            utm_medium: details.utm_medium,
            utm_campaign: details.utm_campaign,
            utm_term: details.utm_term,
            utm_content: details.utm_content,
            status: lead.status.to_string(),
            status_changed_at: lead.status_changed_at,
            stage_id: lead.stage_id.map(Into::into),
            assigned_to: lead.assigned_to_user_id.map(Into::into),
            assigned_at: lead.assigned_at,
            estimated_value: details.estimated_value_minor,
            currency: details.currency,
            next_follow_up_at: details.next_follow_up_at,
            last_contacted_at: lead.last_contacted_at,
            last_contact_method: lead.last_contact_method.map(|method| method.to_string()),
            contact_count: lead.contact_count,
            score: lead.score_total,
            score_band: lead.score_band.map(|band| band.to_string()),
            score_updated_at: lead.score_updated_at,
            enrichment_status: lead.enrichment_status.to_string(),
            enrichment_data: lead.enrichment_data,
            enriched_at: lead.enriched_at,
            mql_at: lead.mql_at,
            converted_at: lead.converted_at,
            custom_fields: details.custom_fields,
            last_activity_at: lead.last_activity_at,
            version: lead.version,
            created_at: lead.created_at,
            updated_at: lead.updated_at,
        }
    }
}

/// An entry of a lead's timeline.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Activity)]
pub struct ActivityView {
    /// Its id.
    pub id: Uuid,
    /// The lead.
    pub lead_id: Uuid,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line for people.
    pub description: String,
    /// The same for programs.
    #[schema(value_type = Object)]
    pub data: Value,
    /// Who did it; none: the platform.
    pub user_id: Option<Uuid>,
    /// Their name.
    pub user_name: Option<String>,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

impl From<Activity> for ActivityView {
    fn from(activity: Activity) -> Self {
        Self {
            id: activity.id.into(),
            lead_id: activity.lead_id.into(),
            kind: activity.kind.to_string(),
            description: activity.description,
            data: activity.activity_data,
            user_id: activity.user_id.map(Into::into),
            user_name: activity.user_name,
            occurred_at: activity.occurred_at,
        }
    }
}

/// A score a lead was given.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Score)]
pub struct ScoreView {
    /// Its id.
    pub id: Uuid,
    /// The result, 0 to 100.
    pub score: i16,
    /// How it reads: cold, warm or hot.
    pub band: String,
    /// The score before.
    pub previous_score: Option<i16>,
    /// Version of the profile.
    pub version: String,
    /// What it is made of; the points add up to the score.
    #[schema(value_type = Vec<Object>)]
    pub factors: Value,
    /// What caused the calculation.
    pub trigger: String,
    /// When.
    pub computed_at: DateTime<Utc>,
}

impl From<GivenScore> for ScoreView {
    fn from(given: GivenScore) -> Self {
        Self {
            id: given.id.into(),
            score: given.score,
            band: given.band.to_string(),
            previous_score: given.previous_score,
            version: given.version,
            factors: given.factors,
            trigger: given.trigger,
            computed_at: given.computed_at,
        }
    }
}

/// What a person is told.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Notification)]
pub struct NotificationView {
    /// Its id.
    pub id: Uuid,
    /// What kind of news.
    pub kind: String,
    /// One line.
    pub title: String,
    /// A little more.
    pub body: Option<String>,
    /// What it is about.
    pub lead_id: Option<Uuid>,
    /// The same for programs.
    #[schema(value_type = Object)]
    pub data: Value,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
}

impl From<News> for NotificationView {
    fn from(news: News) -> Self {
        Self {
            id: news.id.into(),
            kind: news.kind,
            title: news.title,
            body: news.body,
            lead_id: news.lead_id.map(Into::into),
            data: news.data,
            created_at: news.created_at,
            read_at: news.read_at,
        }
    }
}

/// What may be said about a lead; all of it may be left out.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct LeadBody {
    /// Name in one piece.
    pub name: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Phone.
    pub phone: Option<String>,
    /// Job title.
    pub job_title: Option<String>,
    /// Profile page.
    pub linkedin_url: Option<String>,
    /// Employer as text.
    pub company: Option<String>,
    /// Employer.
    pub company_id: Option<Uuid>,
    /// US state or region code.
    pub state: Option<String>,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// IANA time zone.
    pub time_zone: Option<String>,
    /// Pupils of the school or district.
    pub enrollment: Option<i32>,
    /// What the person wrote.
    pub message: Option<String>,
    /// What the org wrote.
    pub notes: Option<String>,
    /// How the lead was won.
    pub source: Option<String>,
    /// Free addition to the source.
    pub source_detail: Option<String>,
    /// Landing page or advert.
    pub source_url: Option<String>,
    /// Deal value in cents or pence.
    pub estimated_value: Option<i64>,
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
    pub next_follow_up_at: Option<DateTime<Utc>>,
    /// New set of labels.
    pub tags: Option<Vec<String>>,
    /// Own fields to set; null removes one, those not named stay.
    #[schema(value_type = Option<Object>)]
    pub custom_fields: Option<Map<String, Value>>,
    /// The status to move to.
    pub status: Option<String>,
    /// The stage to move to.
    pub stage_id: Option<Uuid>,
    /// The rep to hand it to; null takes it from whoever has it.
    pub assigned_to: Option<Uuid>,
    /// Why it is lost or disqualified.
    pub reason: Option<String>,
    /// Open a closed lead again.
    pub reopen: Option<bool>,
    /// The version that was read; a change made meanwhile is not overwritten.
    pub version: Option<i32>,
}

/// Members whose names are the org's or a provider's and not ours to change.
const THEIRS: [&str; 3] = ["custom_fields", "enrichment_data", "factors"];

/// The same value as tRPC clients read it: names in camelCase.
pub fn camel_case(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .map(|(name, value)| {
                    let value = if THEIRS.contains(&name.as_str()) {
                        value
                    } else {
                        camel_case(value)
                    };
                    (camel_name(&name), value)
                })
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(camel_case).collect(),
        other => other,
    }
}

/// The same input as REST clients write it: names in snake_case.
pub fn snake_case(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .map(|(name, value)| {
                    let name = snake(&name);
                    let value = if THEIRS.contains(&name.as_str()) {
                        value
                    } else {
                        snake_case(value)
                    };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(snake_case).collect(),
        other => other,
    }
}

/// One name in camelCase.
pub fn camel_name(name: &str) -> String {
    let mut words = name.split('_');
    let mut joined = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        joined.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        joined.push_str(letters.as_str());
    }
    joined
}

fn snake(name: &str) -> String {
    let mut split = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            split.push('_');
        }
        split.push(letter.to_ascii_lowercase());
    }
    split
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_change_and_the_orgs_own_do_not() {
        let rest = json!({"created_at": 1, "by_stage": [{"stage_id": null}], "custom_fields": {"my_field": 1}, "utm_source": ""});
        let trpc = json!({"createdAt": 1, "byStage": [{"stageId": null}], "customFields": {"my_field": 1}, "utmSource": ""});
        assert_eq!(camel_case(rest.clone()), trpc);
        assert_eq!(snake_case(trpc), rest);
    }

    #[test]
    fn the_description_of_a_lead_names_the_fields_that_are_read() {
        let described = json!(LeadBody::default());
        let mut described: Vec<&str> = described
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut known: Vec<&str> = crate::commands::input::names().collect();
        described.sort_unstable();
        known.sort_unstable();
        assert_eq!(described, known);
    }
}

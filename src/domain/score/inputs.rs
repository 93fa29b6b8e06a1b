//! Everything a score depends on, and its fingerprint.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Rule, ScoringProfile};
use crate::{
    lead::{CaptureChannel, SourceCategory},
    status::Status,
};

/// What is known about a lead that a profile may look at.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Inputs {
    /// Visits by a human.
    pub website_visits: i32,
    /// Downloads.
    pub content_downloads: i32,
    /// Opens by a human.
    pub email_opens: i32,
    /// Clicks by a human.
    pub email_clicks: i32,
    /// Asked for a demonstration.
    pub demo_requested: bool,
    /// Pupils of the school or district.
    pub enrollment: Option<i32>,
    /// Size of the employer.
    pub employees: Option<i32>,
    /// The same as given.
    pub company_size: Option<String>,
    /// What the employer does.
    pub industry: Option<String>,
    /// The employer's web address.
    pub website: Option<String>,
    /// How the lead was won.
    pub source_category: SourceCategory,
    /// What the org gives for its named source.
    pub source_points: Option<i32>,
    /// How it arrived.
    pub capture_channel: CaptureChannel,
    /// Where it stands.
    pub status: Status,
    /// Deal value in cents or pence.
    pub estimated_value_minor: Option<i64>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Phone.
    pub phone: Option<String>,
    /// Employer.
    pub company_name: Option<String>,
    /// Job title.
    pub job_title: Option<String>,
    /// Profile page.
    pub linkedin_url: Option<String>,
    /// Landing page.
    pub source_url: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Region.
    pub state: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// The org's own fields.
    #[sqlx(json)]
    pub custom_fields: Map<String, Value>,
}

impl Inputs {
    /// How many of the ten fields of a complete profile are filled.
    pub fn filled(&self) -> i32 {
        let texts = [
            &self.first_name,
            &self.last_name,
            &self.email,
            &self.phone,
            &self.company_name,
            &self.job_title,
            &self.linkedin_url,
            &self.website,
            &self.source_url,
            &self.country,
        ];
        texts
            .iter()
            .filter(|text| text.as_deref().is_some_and(|t| !t.trim().is_empty()))
            .map(|_| 1)
            .sum()
    }

    /// The field a rule calls `path`; unknown ones are not there.
    pub fn field(&self, path: &str) -> Option<Value> {
        let text = |text: &Option<String>| {
            text.clone()
                .filter(|t| !t.trim().is_empty())
                .map(Value::from)
        };
        match path {
            "email" => text(&self.email),
            "email_domain" => self
                .email
                .as_deref()
                .and_then(crate::normalise::email_domain)
                .map(Value::from),
            "first_name" => text(&self.first_name),
            "last_name" => text(&self.last_name),
            "phone" => text(&self.phone),
            "company" | "company_name" => text(&self.company_name),
            "company_size" => self
                .employees
                .map(Value::from)
                .or_else(|| text(&self.company_size)),
            "employees" | "company.employees" => self.employees.map(Value::from),
            "industry" | "company.industry" => text(&self.industry),
            "website" | "company.website" => text(&self.website),
            "job_title" | "title" => text(&self.job_title),
            "linkedin_url" => text(&self.linkedin_url),
            "source_url" => text(&self.source_url),
            "country" => text(&self.country),
            "state" => text(&self.state),
            "source" | "source_category" => Some(self.source_category.as_str().into()),
            "capture_channel" => Some(self.capture_channel.as_str().into()),
            "status" => Some(self.status.as_str().into()),
            "enrollment" => self.enrollment.map(Value::from),
            "estimated_value" | "estimated_value_minor" => {
                self.estimated_value_minor.map(Value::from)
            }
            "tags" => (!self.tags.is_empty()).then(|| self.tags.clone().into()),
            _ => match path.split_once('.') {
                Some(("custom_fields", name)) => self
                    .custom_fields
                    .get(name)
                    .filter(|v| !v.is_null())
                    .cloned(),
                Some(("behaviour", name)) => self.behaviour(name),
                _ => None,
            },
        }
    }

    fn behaviour(&self, name: &str) -> Option<Value> {
        Some(match name {
            "website_visits" => self.website_visits.into(),
            "content_downloads" => self.content_downloads.into(),
            "email_opens" => self.email_opens.into(),
            "email_clicks" => self.email_clicks.into(),
            "demo_requested" => self.demo_requested.into(),
            _ => return None,
        })
    }

    /// The fingerprint of these inputs under a profile: while it stays, so does the score.
    pub fn hash(&self, profile: &Fingerprint) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(profile.0);
        for number in [
            self.website_visits,
            self.content_downloads,
            self.email_opens,
            self.email_clicks,
        ] {
            hash.update(number.to_be_bytes());
        }
        hash.update([u8::from(self.demo_requested)]);
        for number in [self.enrollment, self.employees, self.source_points] {
            hash.update(number.map_or(i64::MIN, i64::from).to_be_bytes());
        }
        hash.update(self.estimated_value_minor.unwrap_or(i64::MIN).to_be_bytes());
        let texts = [
            &self.company_size,
            &self.industry,
            &self.website,
            &self.first_name,
            &self.last_name,
            &self.email,
            &self.phone,
            &self.company_name,
            &self.job_title,
            &self.linkedin_url,
            &self.source_url,
            &self.country,
            &self.state,
        ];
        for text in texts {
            feed(&mut hash, text.as_deref());
        }
        for text in [
            self.source_category.as_str(),
            self.capture_channel.as_str(),
            self.status.as_str(),
        ] {
            feed(&mut hash, Some(text));
        }
        for tag in &self.tags {
            feed(&mut hash, Some(tag));
        }
        feed(&mut hash, None);
        for (key, value) in &self.custom_fields {
            feed(&mut hash, Some(key));
            feed(&mut hash, Some(&value.to_string()));
        }
        hash.finalize()[..16].to_vec()
    }
}

/// Length first, so that no two lists of texts look alike.
fn feed(hash: &mut Sha256, text: Option<&str>) {
    hash.update(text.map_or(u64::MAX, |t| t.len() as u64).to_be_bytes());
    hash.update(text.unwrap_or_default());
}

/// What identifies a profile together with its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of `profile` with these rules.
    pub fn of(profile: &ScoringProfile, rules: &[Rule]) -> Self {
        let mut hash = Sha256::new();
        hash.update(profile.id.uuid().as_bytes());
        feed(&mut hash, Some(&profile.version));
        hash.update(profile.band_warm.to_be_bytes());
        hash.update(profile.band_hot.to_be_bytes());
        for rule in rules {
            hash.update(rule.id.uuid().as_bytes());
            feed(&mut hash, Some(&rule.criteria_type));
            feed(&mut hash, Some(rule.condition.as_str()));
            feed(
                &mut hash,
                rule.value.as_ref().map(ToString::to_string).as_deref(),
            );
            hash.update(rule.points.to_be_bytes());
        }
        Self(hash.finalize().into())
    }
}

impl Inputs {
    /// Those of a lead of which nothing is known.
    pub fn unknown() -> Self {
        Self {
            website_visits: 0,
            content_downloads: 0,
            email_opens: 0,
            email_clicks: 0,
            demo_requested: false,
            enrollment: None,
            employees: None,
            company_size: None,
            industry: None,
            website: None,
            source_category: SourceCategory::Other,
            source_points: None,
            capture_channel: CaptureChannel::Other,
            status: Status::New,
            estimated_value_minor: None,
            first_name: None,
            last_name: None,
            email: None,
            phone: None,
            company_name: None,
            job_title: None,
            linkedin_url: None,
            source_url: None,
            country: None,
            state: None,
            tags: Vec::new(),
            custom_fields: Map::new(),
        }
    }
}

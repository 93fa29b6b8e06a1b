//! What providers know about a lead, and how much of it is believed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    company::CompanyFacts,
    lead::{Details, EnrichmentStatus},
    normalise,
    text::text_enum,
};

text_enum! {
    /// What came of asking a provider.
    Outcome {
        /// It knows the lead.
        Matched = "matched",
        /// It does not.
        NotFound = "not_found",
        /// It asks to wait.
        RateLimited = "rate_limited",
        /// It wants money.
        OutOfCredits = "out_of_credits",
        /// It refuses the key.
        AuthError = "auth_error",
        /// It cannot read the question.
        InvalidInput = "invalid_input",
        /// The person objected to being looked up.
        Blocked = "blocked",
        /// It failed.
        Error = "error",
    }
}

impl Outcome {
    /// What the lead is told about it.
    pub fn lead_status(self) -> EnrichmentStatus {
        match self {
            Self::Matched => EnrichmentStatus::Done,
            Self::NotFound => EnrichmentStatus::NotFound,
            Self::Blocked => EnrichmentStatus::Skipped,
            Self::RateLimited | Self::OutOfCredits | Self::AuthError => EnrichmentStatus::Queued,
            Self::InvalidInput | Self::Error => EnrichmentStatus::Failed,
        }
    }

    /// The answer will be the same tomorrow.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Matched | Self::NotFound | Self::Blocked)
    }
}

/// What a provider said about a lead and its employer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Mail address, of a lead that came without one.
    pub email: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Phone.
    pub phone: Option<String>,
    /// Job title.
    pub job_title: Option<String>,
    /// Profile page.
    pub linkedin_url: Option<String>,
    /// Region code.
    pub state: Option<String>,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// IANA time zone.
    pub time_zone: Option<String>,
    /// Pupils of the school or district.
    pub enrollment: Option<i32>,
    /// The employer.
    pub company: CompanyFacts,
    /// Whatever else it said, kept under its own names.
    pub extra: Map<String, Value>,
}

impl Facts {
    /// What the lead gains: only what nobody has entered.
    pub fn fill(&self, lead: Details) -> Details {
        let told = Details {
            email: self.email.as_deref().and_then(normalise::email),
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            phone: self.phone.clone(),
            job_title: self.job_title.clone(),
            linkedin_url: self.linkedin_url.clone(),
            state: self.state.clone(),
            country: self.country.clone(),
            time_zone: self.time_zone.clone(),
            enrollment: self.enrollment,
            company_name: self.company.name.clone(),
            ..Details::default()
        };
        let (told, _) = told.cleaned();
        lead.filled_from(&told)
    }

    /// What is remembered as said, over what was said before.
    pub fn remembered(&self, mut before: Map<String, Value>) -> Map<String, Value> {
        for (key, value) in &self.extra {
            before.insert(key.clone(), value.clone());
        }
        let named = [
            ("linkedinUrl", &self.linkedin_url),
            ("jobTitle", &self.job_title),
            ("phone", &self.phone),
            ("companyName", &self.company.name),
            ("companySize", &self.company.company_size),
            ("industry", &self.company.industry),
            ("website", &self.company.website),
        ];
        for (key, value) in named {
            if let Some(value) = value {
                before.insert(key.to_owned(), value.clone().into());
            }
        }
        if let Some(employees) = self.company.employees {
            before.insert("employees".to_owned(), employees.into());
        }
        match normalise::json(Value::Object(before)) {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts() -> Facts {
        Facts {
            job_title: Some("Chief Engineer".into()),
            linkedin_url: Some("https://linkedin.example/in/ada".into()),
            phone: Some("+44 20 7946 0018".into()),
            company: CompanyFacts {
                name: Some("Analytical Engines Ltd".into()),
                website: Some("https://engines.example".into()),
                industry: Some("Machines".into()),
                company_size: Some("51-200".into()),
                ..CompanyFacts::default()
            },
            extra: json!({"seniority": "c-suite"})
                .as_object()
                .cloned()
                .unwrap(),
            ..Facts::default()
        }
    }

    #[test]
    fn what_a_person_entered_is_never_overwritten() {
        let lead = Details {
            job_title: Some("Countess".into()),
            ..Details::default()
        };

        let after = facts().fill(lead);

        assert_eq!(after.job_title.as_deref(), Some("Countess"));
        assert_eq!(
            after.linkedin_url.as_deref(),
            Some("https://linkedin.example/in/ada")
        );
        assert_eq!(after.phone_e164.as_deref(), Some("+442079460018"));
        assert_eq!(
            after.company_name.as_deref(),
            Some("Analytical Engines Ltd")
        );
    }

    #[test]
    fn what_was_said_is_remembered_under_the_names_readers_know() {
        let before = json!({"seniority": "unknown", "other": 1})
            .as_object()
            .cloned()
            .unwrap();

        let remembered = Value::Object(facts().remembered(before));

        assert_eq!(
            remembered,
            json!({
                "seniority": "c-suite", "other": 1, "linkedinUrl": "https://linkedin.example/in/ada",
                "jobTitle": "Chief Engineer", "phone": "+44 20 7946 0018", "companyName": "Analytical Engines Ltd",
                "companySize": "51-200", "industry": "Machines", "website": "https://engines.example",
            })
        );
    }

    #[test]
    fn being_told_the_same_twice_changes_nothing() {
        let once = facts().fill(Details::default());
        assert_eq!(facts().fill(once.clone()), once);
        let map = facts().remembered(Map::new());
        assert_eq!(facts().remembered(map.clone()), map);
    }
}

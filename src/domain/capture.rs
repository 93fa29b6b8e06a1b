//! A lead as it comes in, from whatever direction.

use crate::{
    company::CompanyFacts,
    id::{ChannelId, FormId, StageId, UserId},
    lead::{CaptureChannel, Details, ExternalId, SourceCategory},
    submission::Submission,
    text::text_enum,
};

text_enum! {
    /// What it means that the person is known already.
    OnDuplicate {
        /// Fill the gaps.
        Merge = "merge",
        /// The newer account wins.
        Overwrite = "overwrite",
        /// Leave the lead as it is.
        Ignore = "ignore",
    }
}

/// Everything a capture says.
#[derive(Debug, Clone)]
pub struct Capture {
    /// What is known about the person.
    pub details: Details,
    /// What is known about the employer.
    pub company: CompanyFacts,
    /// How it arrived.
    pub channel: CaptureChannel,
    /// How it was won; none: as the channel usually does.
    pub source: Option<SourceCategory>,
    /// What it means that the person is known already.
    pub on_duplicate: OnDuplicate,
    /// What others call this lead; the first that is known tells who it is.
    pub external: Vec<ExternalId>,
    /// Where it starts; none: the default stage.
    pub stage: Option<StageId>,
    /// Whose it is; none: nobody's yet.
    pub assigned_to: Option<UserId>,
    /// Left out of every figure.
    pub is_test: bool,
}

impl Capture {
    /// A capture by `channel` that says nothing yet.
    pub fn by(channel: CaptureChannel) -> Self {
        Self {
            details: Details::default(),
            company: CompanyFacts::default(),
            channel,
            source: None,
            on_duplicate: OnDuplicate::Merge,
            external: Vec::new(),
            stage: None,
            assigned_to: None,
            is_test: false,
        }
    }

    /// What a sender sent, as a capture by `channel`.
    pub fn of_submission(
        sent: &Submission,
        channel: CaptureChannel,
        form: Option<FormId>,
        by: Option<ChannelId>,
    ) -> Self {
        let click = |name: &str| sent.click_ids.get(name).cloned();
        let answers = (!sent.answers.is_empty()).then(|| sent.answers.clone().into());
        Self {
            details: Details {
                name: sent.name.clone(),
                first_name: sent.first_name.clone(),
                last_name: sent.last_name.clone(),
                email: sent.email.clone(),
                phone: sent.phone.clone(),
                job_title: sent.job_title.clone(),
                linkedin_url: sent.linkedin_url.clone(),
                company_name: sent.company.clone(),
                country: sent.country.clone(),
                message: sent.message.clone(),
                source_url: sent.source_url.clone(),
                utm_source: sent.utm_source.clone(),
                utm_medium: sent.utm_medium.clone(),
                utm_campaign: sent.utm_campaign.clone(),
                utm_term: sent.utm_term.clone(),
                utm_content: sent.utm_content.clone(),
                gclid: click("gclid"),
                fbclid: click("fbclid"),
                estimated_value_minor: sent.estimated_value_minor,
                custom_fields: sent.custom_fields.clone(),
                form_submission_data: answers,
                form_id: form,
                source_channel_id: by,
                ..Details::default()
            },
            company: CompanyFacts {
                website: sent.website.clone(),
                ..CompanyFacts::default()
            },
            source: sent.source,
            ..Self::by(channel)
        }
    }
}

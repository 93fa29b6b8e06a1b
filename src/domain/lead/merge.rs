//! Two accounts of the same person become one.

use serde_json::{Map, Value};

use super::Details;
use crate::normalise;

/// Applies an action to every optional field that a second account may fill in.
macro_rules! optional_fields {
    ($action:ident) => {
        $action!(
            space_id,
            name,
            first_name,
            last_name,
            email,
            phone,
            phone_e164,
            job_title,
            linkedin_url,
            company_id,
            company_name,
            state,
            country,
            time_zone,
            enrollment,
            segment,
            message,
            notes,
            source_id,
            source_detail,
            source_workflow,
            source_channel_id,
            source_campaign_id,
            source_url,
            utm_source,
            utm_medium,
            utm_campaign,
            utm_term,
            utm_content,
            gclid,
            fbclid,
            form_id,
            estimated_value_minor,
            currency,
            budget,
            authority,
            need,
            timeline,
            next_follow_up_at
        )
    };
}

impl Details {
    /// What is known already stays; what is new fills the gaps. The last submission is kept, labels add up.
    pub fn filled_from(mut self, new: &Self) -> Self {
        macro_rules! fill {
            ($($field:ident),+) => {$(if self.$field.is_none() { self.$field = new.$field.clone(); })+};
        }
        // Half a name from one account and half from the other would be nobody's name.
        let named = self.name.is_some() || self.first_name.is_some() || self.last_name.is_some();
        let names = (
            self.name.clone(),
            self.first_name.clone(),
            self.last_name.clone(),
        );
        let phones = self
            .phone
            .clone()
            .map(|phone| (Some(phone), self.phone_e164.clone()));
        optional_fields!(fill);
        if named {
            (self.name, self.first_name, self.last_name) = names;
        }
        if let Some(phones) = phones {
            (self.phone, self.phone_e164) = phones;
        }
        self.join(new, false);
        self
    }

    /// What is new replaces what is known; what it does not mention stays.
    pub fn overwritten_by(mut self, new: &Self) -> Self {
        macro_rules! replace {
            ($($field:ident),+) => {$(if new.$field.is_some() { self.$field = new.$field.clone(); })+};
        }
        optional_fields!(replace);
        if new.phone.is_some() {
            self.phone_e164 = new.phone_e164.clone();
        }
        self.join(new, true);
        self
    }

    fn join(&mut self, new: &Self, newer_wins: bool) {
        for tag in &new.tags {
            if !self.tags.contains(tag) {
                self.tags.push(tag.clone());
            }
        }
        for (key, value) in &new.custom_fields {
            if newer_wins || self.custom_fields.get(key).is_none_or(Value::is_null) {
                self.custom_fields.insert(key.clone(), value.clone());
            }
        }
        if new.form_submission_data.is_some() {
            self.form_submission_data = new.form_submission_data.clone();
        }
    }

    /// The same in the spelling that is stored: trimmed, no longer than its column, names split, the phone in
    /// international form. Says which texts had to be cut.
    pub fn cleaned(mut self) -> (Self, Vec<&'static str>) {
        let mut cut = Vec::new();
        macro_rules! clip {
            ($($field:ident: $most:literal),+ $(,)?) => {$(
                if let Some(given) = self.$field.take() {
                    if given.trim().chars().count() > $most {
                        cut.push(stringify!($field));
                    }
                    self.$field = normalise::text(&given, $most);
                }
            )+};
        }
        clip!(
            name: 200, first_name: 255, last_name: 255, email: 320, phone: 50, job_title: 255, linkedin_url: 1000,
            company_name: 300, time_zone: 64, message: 20_000, notes: 20_000, source_detail: 1000,
            source_workflow: 255, source_url: 1000, utm_source: 255, utm_medium: 255, utm_campaign: 255, utm_term: 255,
            utm_content: 255, gclid: 255, fbclid: 255, budget: 500, authority: 500, need: 500, timeline: 500,
        );
        // Half a code is another code: what does not fit is not kept.
        let code = |text: &Option<String>, most: usize| {
            let text = normalise::text(text.as_deref()?, most + 1)?;
            (text.chars().count() <= most).then_some(text)
        };
        let letters = |text: &Option<String>, n: usize| {
            let text = code(text, n)?;
            let fits = text.len() == n && text.bytes().all(|b| b.is_ascii_alphabetic());
            fits.then(|| text.to_uppercase())
        };
        self.state = code(&self.state, 10);
        self.country = letters(&self.country, 2);
        self.currency = letters(&self.currency, 3);
        self.enrollment = self.enrollment.filter(|n| *n >= 0);
        self.estimated_value_minor = self.estimated_value_minor.filter(|n| *n >= 0);
        self.tags = self
            .tags
            .iter()
            .filter_map(|tag| normalise::text(tag, 64))
            .collect();
        self.custom_fields = match normalise::json(Value::Object(self.custom_fields)) {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        self.form_submission_data = self.form_submission_data.map(normalise::json);
        if self.first_name.is_none() && self.last_name.is_none() {
            (self.first_name, self.last_name) = self
                .name
                .as_deref()
                .map(normalise::split_name)
                .unwrap_or_default();
        }
        self.phone_e164 = self
            .phone
            .as_deref()
            .and_then(|p| normalise::phone_e164(p, self.country.as_deref()));
        (self, cut)
    }

    /// Says who it is at all: an address, a phone, a profile or a name.
    pub fn is_somebody(&self) -> bool {
        self.email.is_some()
            || self.phone.is_some()
            || self.linkedin_url.is_some()
            || self.name.is_some()
            || self.first_name.is_some()
            || self.last_name.is_some()
    }
}

#[cfg(test)]
mod tests;

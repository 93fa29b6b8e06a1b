//! An edit of a lead: every field may be kept, set or cleared.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Details, SourceCategory};
use crate::{
    clock::Timestamp,
    id::{CompanyId, SourceId, SpaceId},
};

/// Absent keeps the field, null clears it, a value sets it.
fn some<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

macro_rules! patch {
    ($(#[$meta:meta])* $name:ident of $of:ident { $($(#[$fmeta:meta])* $field:ident: $ty:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$fmeta])*
            #[serde(deserialize_with = "some", skip_serializing_if = "Option::is_none")]
            pub $field: Option<Option<$ty>>,)+
            /// New set of labels.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub tags: Option<Vec<String>>,
            /// How the lead was won.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub source_category: Option<SourceCategory>,
            /// Own fields to set; null removes one; those not named stay.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub custom_fields: Option<Map<String, Value>>,
        }

        impl $name {
            /// `details` after the edit.
            pub fn apply(&self, mut details: $of) -> $of {
                $(if let Some(value) = &self.$field { details.$field = value.clone(); })+
                if let Some(tags) = &self.tags {
                    details.tags = tags.clone();
                }
                if let Some(category) = self.source_category {
                    details.source_category = category;
                }
                for (key, value) in self.custom_fields.iter().flatten() {
                    if value.is_null() {
                        details.custom_fields.remove(key);
                    } else {
                        details.custom_fields.insert(key.clone(), value.clone());
                    }
                }
                details
            }
        }
    };
}

patch! {
    /// The fields of a lead that may be edited by hand or by a program.
    LeadPatch of Details {
        /// Client workspace.
        space_id: SpaceId,
        /// Name in one piece.
        name: String,
        /// Given name.
        first_name: String,
        /// Family name.
        last_name: String,
        /// Mail address.
        email: String,
        /// Phone.
        phone: String,
        /// Job title.
        job_title: String,
        /// Profile page.
        linkedin_url: String,
        /// Employer.
        company_id: CompanyId,
        /// Employer as text.
        company_name: String,
        /// US state or region code.
        state: String,
        /// ISO 3166 country.
        country: String,
        /// IANA time zone.
        time_zone: String,
        /// Pupils of the school or district.
        enrollment: i32,
        /// What the person wrote.
        message: String,
        /// What the org wrote.
        notes: String,
        /// The org's own name for the source.
        source_id: SourceId,
        /// Free addition to the source.
        source_detail: String,
        /// Landing page or advert.
        source_url: String,
        /// Deal value in cents or pence.
        estimated_value_minor: i64,
        /// Currency of the deal value.
        currency: String,
        /// In the lead's own words.
        budget: String,
        /// In the lead's own words.
        authority: String,
        /// In the lead's own words.
        need: String,
        /// In the lead's own words.
        timeline: String,
        /// When the rep wants to come back to it.
        next_follow_up_at: Timestamp,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_keeps_null_clears_and_a_value_sets() {
        let before = Details {
            first_name: Some("Grace".into()),
            last_name: Some("Hopper".into()),
            custom_fields: json!({"ship": "Hopper", "rank": 1})
                .as_object()
                .unwrap()
                .clone(),
            ..Details::default()
        };
        let patch: LeadPatch =
            serde_json::from_value(json!({"last_name": null, "job_title": "Admiral", "custom_fields": {"rank": null, "navy": true}}))
                .unwrap();

        let after = patch.apply(before);

        assert_eq!(after.first_name.as_deref(), Some("Grace"));
        assert_eq!(after.last_name, None);
        assert_eq!(after.job_title.as_deref(), Some("Admiral"));
        assert_eq!(
            Value::Object(after.custom_fields),
            json!({"ship": "Hopper", "navy": true})
        );
    }
}

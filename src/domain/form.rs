//! Forms on websites: where a post goes and what it must hold.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{ChannelId, FormId, OrgId};
use crate::text::text_enum;

text_enum! {
    /// What a question asks for.
    FieldType {
        /// One line.
        Text = "text",
        /// Many lines.
        Textarea = "textarea",
        /// A mail address.
        Email = "email",
        /// A phone number.
        Phone = "phone",
        /// A number.
        Number = "number",
        /// A day.
        Date = "date",
        /// A web address.
        Url = "url",
        /// One of a list.
        Select = "select",
        /// Some of a list.
        Multiselect = "multiselect",
        /// One of a list, all shown.
        Radio = "radio",
        /// Some of a list, all shown.
        Checkbox = "checkbox",
        /// Yes or no.
        Boolean = "boolean",
        /// Filled by the page.
        Hidden = "hidden",
        /// A consent given.
        Consent = "consent",
    }
}

/// The questions of a contact form: key, which is also the lead field that it fills, kind, label, whether it must be answered.
pub const CONTACT: [(&str, FieldType, &str, bool); 5] = [
    ("first_name", FieldType::Text, "First name", true),
    ("last_name", FieldType::Text, "Last name", true),
    ("email", FieldType::Email, "E-mail", true),
    ("company", FieldType::Text, "Company", false),
    ("message", FieldType::Textarea, "What is it about?", false),
];

/// A published form of an org that is served, as a post finds it by its token.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// Its id.
    pub id: FormId,
    /// Whose it is.
    pub org: OrgId,
    /// The site it stands on.
    pub channel: Option<ChannelId>,
    /// Heading shown to visitors.
    pub title: Option<String>,
    /// How it behaves.
    pub settings: FormSettings,
    /// What it asks, in order; a form without questions takes whatever it is sent.
    pub questions: Vec<Question>,
}

/// How a form behaves; what is missing has its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FormSettings {
    /// Where a browser goes after a post.
    pub redirect_url: Option<String>,
    /// Name of a field that people do not see; whoever fills it is no person.
    pub honeypot: Option<String>,
    /// Origins a browser may post from; empty means any.
    pub allowed_origins: Vec<String>,
}

/// One question of a form.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Question {
    /// Its name in the posted body.
    #[sqlx(rename = "field_key")]
    pub key: String,
    /// What it asks for.
    #[sqlx(rename = "field_type")]
    pub kind: FieldType,
    /// As shown to visitors.
    pub label: String,
    /// Whether it must be filled.
    #[sqlx(rename = "is_required")]
    pub required: bool,
    /// The choices.
    #[sqlx(json)]
    pub options: Vec<Value>,
    /// `min`, `max`, `minLength`, `maxLength`.
    #[sqlx(rename = "validation_rules", json)]
    pub rules: Map<String, Value>,
    /// Field of the lead or `custom_fields.x` that the answer goes to.
    pub maps_to: Option<String>,
}

impl Question {
    /// The values to choose from: an option is a text, or an object with a `value`.
    pub fn choices(&self) -> Vec<String> {
        let text = |option: &Value| match option.get("value").unwrap_or(option) {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.options.iter().map(text).collect()
    }
}

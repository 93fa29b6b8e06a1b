//! Providers that we know how to speak to.

use super::config::{ConfigError, ProviderConfig};

/// `generic` is what a provider of one's own speaks: GET with what is known as parameters, 200 with `person` and
/// `company`, 404 if there is neither.
const PRESETS: [(&str, &str); 5] = [
    ("pdl", include_str!("presets/pdl.json")),
    ("apollo", include_str!("presets/apollo.json")),
    ("hunter", include_str!("presets/hunter.json")),
    ("clearbit", include_str!("presets/clearbit.json")),
    ("generic", include_str!("presets/generic.json")),
];

/// The names of all presets.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

pub(super) fn preset(name: &str) -> Result<ProviderConfig, ConfigError> {
    let found = PRESETS.iter().find(|(known, _)| *known == name);
    let (_, json) = found.ok_or_else(|| ConfigError::Preset(name.to_owned()))?;
    Ok(serde_json::from_str(json)?)
}

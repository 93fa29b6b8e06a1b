//! What may be kept under a name that is the org's own.

use serde_json::Value;

use crate::normalise;

/// Longest name, in characters.
pub const LONGEST_NAME: usize = 200;
/// Longest value, in characters; of what is no text, as JSON writes it.
pub const LONGEST_VALUE: usize = 10_000;

/// Why a field cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No text of the database holds it.
    #[error("Must not contain the NUL character")]
    Nul,
    /// The name is longer than [`LONGEST_NAME`].
    #[error("A field's name has at most {} characters", LONGEST_NAME)]
    LongName,
    /// The value is longer than [`LONGEST_VALUE`].
    #[error("Must be at most {} characters", LONGEST_VALUE)]
    LongValue,
}

impl Unfit {
    /// What programs are told.
    pub fn code(self) -> &'static str {
        match self {
            Self::Nul => "nul",
            Self::LongName => "name_too_long",
            Self::LongValue => "too_long",
        }
    }
}

/// What keeps a field from being kept, if anything does.
pub fn unfit(name: &str, value: &Value) -> Option<Unfit> {
    let longer = |text: &str, most| text.chars().nth(most).is_some();
    if name.contains('\0') || normalise::holds_nul(value) {
        return Some(Unfit::Nul);
    }
    if longer(name, LONGEST_NAME) {
        return Some(Unfit::LongName);
    }
    let is_long = match value {
        Value::String(text) => longer(text, LONGEST_VALUE),
        other => longer(&other.to_string(), LONGEST_VALUE),
    };
    is_long.then_some(Unfit::LongValue)
}

/// A name as it is told where it may be what is wrong.
pub fn shown(name: &str) -> String {
    let shown = name.chars().filter(|c| *c != '\0');
    shown.take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn characters_are_counted_in_names_and_in_values_of_every_kind() {
        let (name, text) = ("é".repeat(LONGEST_NAME), "é".repeat(LONGEST_VALUE));
        assert_eq!(unfit(&name, &json!(text)), None);
        assert_eq!(unfit(&(name + "x"), &json!(1)), Some(Unfit::LongName));
        assert_eq!(unfit("a", &json!(text + "x")), Some(Unfit::LongValue));
        let many = vec!["x"; LONGEST_VALUE / 4];
        assert_eq!(unfit("a", &json!(many)), Some(Unfit::LongValue));
        assert_eq!(unfit("a", &json!({"b": ["\0"]})), Some(Unfit::Nul));
        assert_eq!(
            shown(&("\0".to_owned() + &"x".repeat(300))).len(),
            LONGEST_NAME
        );
    }
}

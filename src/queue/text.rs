//! What the database can hold of texts and JSON that come from anywhere.

use serde_json::Value;

/// Longest error or reason that is kept, in bytes.
const LONGEST_TEXT: usize = 8 * 1024;
/// Longest result that is kept, in bytes of JSON.
const LONGEST_RESULT: usize = 256 * 1024;

/// Whether a text in this JSON has a NUL character, which `jsonb` refuses.
pub(crate) fn json_has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        // An even number of backslashes before it are backslashes of the text themselves.
        let before = json[..at].bytes().rev().take_while(|byte| *byte == b'\\');
        before.count() % 2 == 0
    })
}

/// `text` without NUL characters and not too long.
pub(crate) fn storable(text: impl Into<String>) -> String {
    cut(text.into(), LONGEST_TEXT)
}

/// `text` without NUL characters and hardly longer than `longest` bytes.
pub(crate) fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push('…');
    }
    if text.contains('\0') {
        text = text.replace('\0', "\u{fffd}");
    }
    text
}

/// `value` as JSON that `jsonb` takes; what is too long is replaced by its size.
pub(crate) fn storable_json(value: &Value) -> String {
    let json = value.to_string();
    if json.len() > LONGEST_RESULT {
        return format!(r#"{{"left_out_bytes":{}}}"#, json.len());
    }
    if json_has_nul(&json) {
        let mut value = value.clone();
        replace_nul(&mut value);
        return value.to_string();
    }
    json
}

fn replace_nul(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(replace_nul),
        Value::Object(fields) => {
            let taken = std::mem::take(fields);
            for (name, mut value) in taken {
                replace_nul(&mut value);
                fields.insert(name.replace('\0', "\u{fffd}"), value);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nul_is_told_from_the_text_that_looks_like_one() {
        for (value, has) in [
            (json!("a\0b"), true),
            (json!("\\u0000"), false),
            (json!("\\\0"), true),
            (json!({"\0": 1}), true),
            (json!("fine"), false),
        ] {
            assert_eq!(json_has_nul(&value.to_string()), has, "{value}");
            assert!(!json_has_nul(&storable_json(&value)), "{value}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let text = storable("ä".repeat(LONGEST_TEXT));
        assert!(text.ends_with("ä…") && text.len() <= LONGEST_TEXT + 4);
        let long = json!("x".repeat(LONGEST_RESULT));
        assert_eq!(storable_json(&long), r#"{"left_out_bytes":262146}"#);
    }
}

//! What jobs know and nobody is to read: left out of what people and programs see of them.

use serde_json::Value;

/// What is read instead.
const MASK: &str = "•••";
/// Names of fields that nobody is to read.
const SECRET: [&str; 5] = ["token", "secret", "password", "email", "phone"];

/// The same without what only the job itself is to know.
pub fn masked(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let value = if is_secret(name) && !value.is_null() {
                    Value::from(MASK)
                } else {
                    masked(value)
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(values) => values.iter().map(masked).collect(),
        other => other.clone(),
    }
}

/// `edited` with what `kept` has, wherever it is masked.
pub fn unmasked(edited: &Value, kept: &Value) -> Value {
    match edited {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let kept = &kept[name];
                let value = if is_secret(name) && value == MASK {
                    kept.clone()
                } else {
                    unmasked(value, kept)
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(values) => {
            let each = values.iter().enumerate();
            each.map(|(at, value)| unmasked(value, &kept[at])).collect()
        }
        other => other.clone(),
    }
}

/// A key without what the payload hides: keys are made of its fields.
pub fn masked_key(key: &str, payload: &Value) -> String {
    let lower = key.to_lowercase();
    let is_hidden = |secret: &String| !secret.is_empty() && lower.contains(&secret.to_lowercase());
    if key.contains('@') || secrets(payload).iter().any(is_hidden) {
        MASK.into()
    } else {
        key.to_owned()
    }
}

/// The texts of a payload that nobody is to read.
fn secrets(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) if is_secret(name) => vec![text.clone()],
                other => secrets(other),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(secrets).collect(),
        _ => Vec::new(),
    }
}

fn is_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    SECRET.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nobody_reads_what_is_secret() {
        let payload = json!({"org": "1", "email": "a@b.test", "auth": [{"accessToken": "x", "n": 1}], "phone": null});
        let wanted = json!({"org": "1", "email": "•••", "auth": [{"accessToken": "•••", "n": 1}], "phone": null});
        assert_eq!(masked(&payload), wanted);
        for hidden in ["a@b.test", "A@B.test:1", "1:x", "c@d.test"] {
            assert_eq!(masked_key(hidden, &payload), "•••", "{hidden}");
        }
        assert_eq!(masked_key("019", &payload), "019");
    }

    #[test]
    fn what_stays_masked_is_as_it_was() {
        let kept = json!({"org": "1", "email": "a@b.test", "auth": [{"accessToken": "x", "n": 1}], "phone": null});
        assert_eq!(unmasked(&masked(&kept), &kept), kept);
        let edited =
            json!({"org": "•••", "email": "c@d.test", "auth": [{"n": 2}, {"accessToken": "•••"}]});
        let wanted =
            json!({"org": "•••", "email": "c@d.test", "auth": [{"n": 2}, {"accessToken": null}]});
        assert_eq!(unmasked(&edited, &kept), wanted);
    }
}

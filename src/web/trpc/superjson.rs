//! The wrapping of clients that use superjson: recognise it, take it off, put it on.

use serde_json::{Map, Value, json};

/// The input inside a wrapping, if `input` is one; `Some(None)` stands for undefined.
pub fn unwrap(input: &Value) -> Option<Option<Value>> {
    let object = input.as_object()?;
    if !object.keys().all(|key| key == "json" || key == "meta") {
        return None;
    }
    let inner = object.get("json")?;
    let undefined = inner.is_null()
        && object
            .get("meta")
            .and_then(|meta| meta.get("values"))
            .is_some_and(|values| *values == json!(["undefined"]));
    Some((!undefined).then(|| inner.clone()))
}

/// `output` as superjson writes it: instants are named, so that the client makes dates of them.
pub fn wrap(output: Value) -> Value {
    let mut dates = Map::new();
    collect_dates(&output, &mut String::new(), &mut dates);
    if dates.is_empty() {
        json!({ "json": output })
    } else {
        json!({ "json": output, "meta": { "values": dates } })
    }
}

/// Members named `…At` hold instants, everywhere in our answers.
fn collect_dates(value: &Value, path: &mut String, dates: &mut Map<String, Value>) {
    let length = path.len();
    let mut visit = |key: &str, value: &Value| {
        if length > 0 {
            path.push('.');
        }
        path.push_str(&key.replace('.', "\\."));
        if value.is_string() && key.len() > 2 && key.ends_with("At") {
            dates.insert(path.clone(), json!(["Date"]));
        } else {
            collect_dates(value, path, dates);
        }
        path.truncate(length);
    };
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| visit(key, value)),
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                visit(&index.to_string(), value);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wrapping_is_taken_off() {
        assert_eq!(
            unwrap(&json!({"json": {"page": 1}})),
            Some(Some(json!({"page": 1})))
        );
        assert_eq!(
            unwrap(&json!({"json": null, "meta": {"values": ["undefined"], "v": 1}})),
            Some(None)
        );
        assert_eq!(unwrap(&json!({"json": null})), Some(Some(json!(null))));
        assert_eq!(unwrap(&json!({"json": 1, "orgId": 2})), None);
        assert_eq!(unwrap(&json!({"meta": 1})), None);
        assert_eq!(unwrap(&json!([1])), None);
    }

    #[test]
    fn instants_are_named_by_their_path() {
        let output =
            json!({"items": [{"createdAt": "2030-01-02T03:04:05Z", "at": "x", "scoredAt": null}]});
        assert_eq!(
            wrap(output.clone()),
            json!({"json": output, "meta": {"values": {"items.0.createdAt": ["Date"]}}})
        );
        assert_eq!(
            wrap(json!({"success": true})),
            json!({"json": {"success": true}})
        );
    }
}

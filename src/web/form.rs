//! The four ways in which a form can be posted, made one list of named values.

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header;
use encoding_rs::{Encoding as Charset, UTF_8, WINDOWS_1252};
use percent_encoding::percent_decode;
use serde_json::Value;

use crate::web::problem::FieldError;

/// Names and values in the order in which they were posted; a name may come twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// What the form asked for.
    pub fields: Vec<(String, Value)>,
    /// The page the form stands on, where the sender says so.
    pub page: Option<String>,
}

/// How a body is written, from its content type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    /// A JSON object, flat or as HubSpot sends it.
    Json,
    /// `a=b&c=d`.
    UrlEncoded,
    /// Parts, as a form with a file field sends them.
    Multipart,
}

impl Encoding {
    /// The encoding that `content_type` and the first byte of `body` speak of. Beacons send JSON as plain text.
    pub fn of(content_type: &str, body: &[u8]) -> Self {
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if essence == "multipart/form-data" {
            return Self::Multipart;
        }
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        if essence.ends_with("json")
            || (essence != "application/x-www-form-urlencoded" && first == Some(&b'{'))
        {
            Self::Json
        } else {
            Self::UrlEncoded
        }
    }
}

/// Reads `body`, or says what is wrong with it.
pub async fn decode(content_type: &str, body: &[u8]) -> Result<Decoded, FieldError> {
    match Encoding::of(content_type, body) {
        Encoding::Json => json(body),
        Encoding::UrlEncoded => Ok(url_encoded(content_type, body)),
        Encoding::Multipart => multipart(content_type, body).await,
    }
}

fn wrong(code: &'static str, message: impl Into<String>) -> FieldError {
    FieldError {
        field: String::new(),
        code: code.into(),
        message: message.into(),
    }
}

fn json(body: &[u8]) -> Result<Decoded, FieldError> {
    if std::str::from_utf8(body).is_err() {
        return Err(wrong("bad_encoding", "The body is not UTF-8"));
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| wrong("bad_json", format!("The body is not JSON: {error}")))?;
    let Value::Object(mut object) = value else {
        return Err(wrong("bad_json", "The body must be a JSON object"));
    };
    let is_hubspot = object
        .get("fields")
        .and_then(Value::as_array)
        .is_some_and(|fields| {
            fields
                .iter()
                .all(|field| field.get("name").is_some_and(Value::is_string))
        });
    if !is_hubspot {
        return Ok(Decoded {
            fields: object
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
            page: None,
        });
    }
    let page = object
        .get("context")
        .and_then(|context| context.get("pageUri"))
        .and_then(Value::as_str)
        .map(str::to_owned);
    let fields = match object.remove("fields") {
        Some(Value::Array(fields)) => fields,
        _ => Vec::new(),
    };
    let pair = |mut field: Value| {
        let name = field.get("name")?.as_str()?.to_owned();
        Some((name, field.get_mut("value")?.take()))
    };
    Ok(Decoded {
        fields: fields
            .into_iter()
            .filter_map(pair)
            .filter(|(_, value)| !value.is_null())
            .collect(),
        page,
    })
}

fn url_encoded(content_type: &str, body: &[u8]) -> Decoded {
    let raw: Vec<(Vec<u8>, Vec<u8>)> = body
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair
                .iter()
                .position(|byte| *byte == b'=')
                .unwrap_or(pair.len());
            (
                unescape(&pair[..at]),
                unescape(pair.get(at + 1..).unwrap_or_default()),
            )
        })
        .collect();
    let charset = charset(content_type, &raw);
    let fields = raw
        .iter()
        .map(|(name, value)| (text(charset, name), Value::String(text(charset, value))))
        .collect();
    Decoded { fields, page: None }
}

fn unescape(bytes: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = bytes
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).collect()
}

async fn multipart(content_type: &str, body: &[u8]) -> Result<Decoded, FieldError> {
    let broken = |error: &dyn std::fmt::Display| {
        wrong(
            "bad_multipart",
            format!("The parts cannot be read: {error}"),
        )
    };
    let request = Request::builder()
        .header(header::CONTENT_TYPE, content_type)
        .body(Body::from(body.to_vec()))
        .map_err(|error| broken(&error))?;
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|error| broken(&error.body_text()))?;
    let mut raw = Vec::new();
    while let Some(part) = parts
        .next_field()
        .await
        .map_err(|error| broken(&error.body_text()))?
    {
        let name = part.name().unwrap_or_default().to_owned();
        let file = part.file_name().map(str::to_owned);
        let bytes = part
            .bytes()
            .await
            .map_err(|error| broken(&error.body_text()))?;
        if let Some(file) = file {
            // A file field left empty is sent as a nameless file of no bytes.
            if file.is_empty() && bytes.is_empty() {
                continue;
            }
            return Err(FieldError {
                field: name,
                code: "file_not_allowed".into(),
                message: "This form takes no files".into(),
            });
        }
        raw.push((name.into_bytes(), bytes.to_vec()));
    }
    let charset = charset("", &raw);
    let fields = raw
        .iter()
        .map(|(name, value)| (text(charset, name), Value::String(text(charset, value))))
        .collect();
    Ok(Decoded { fields, page: None })
}

/// The charset that the header or the `_charset_` field names, else UTF-8.
fn charset(content_type: &str, fields: &[(Vec<u8>, Vec<u8>)]) -> &'static Charset {
    let in_header = content_type
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("charset"))
        .map(|(_, label)| label.trim_matches('"').as_bytes());
    let in_field = || {
        fields
            .iter()
            .find(|(name, _)| name == b"_charset_")
            .map(|(_, label)| label.as_slice())
    };
    in_header
        .or_else(in_field)
        .and_then(Charset::for_label)
        .unwrap_or(UTF_8)
}

/// Bytes as text. Old pages post Windows-1252 and do not say so: a name in it is better than none.
fn text(charset: &'static Charset, bytes: &[u8]) -> String {
    match charset.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => text.into_owned(),
        None => WINDOWS_1252
            .decode_without_bom_handling(bytes)
            .0
            .into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pairs(decoded: &Decoded) -> Value {
        json!(decoded.fields)
    }

    #[tokio::test]
    async fn json_may_be_flat_or_hubspots() {
        let flat = decode(
            "application/json",
            br#"{"email":"a@b.co","n":1,"none":null}"#,
        )
        .await
        .unwrap();
        assert_eq!(pairs(&flat), json!([["email", "a@b.co"], ["n", 1]]));

        let body = br#"{"fields":[{"name":"email","value":"a@b.co"},{"objectTypeId":"0-1","name":"x","value":"y"}],
                        "context":{"pageUri":"https://a.example/?utm_source=x","hutk":"1"}}"#;
        let hubspot = decode("text/plain;charset=UTF-8", body).await.unwrap();
        assert_eq!(pairs(&hubspot), json!([["email", "a@b.co"], ["x", "y"]]));
        assert_eq!(
            hubspot.page.as_deref(),
            Some("https://a.example/?utm_source=x")
        );
    }

    #[tokio::test]
    async fn a_charset_is_honoured_and_guessed_where_none_is_named() {
        for (kind, body) in [
            ("application/x-www-form-urlencoded", &b"name=Zo%C3%AB+B"[..]),
            ("application/x-www-form-urlencoded", b"name=Zo%EB+B"),
            (
                "application/x-www-form-urlencoded; charset=iso-8859-1",
                b"name=Zo%EB+B",
            ),
            (
                "application/x-www-form-urlencoded",
                b"_charset_=windows-1252&name=Zo%EB%20B",
            ),
            ("", b"name=Zo\xEB+B"),
        ] {
            let decoded = decode(kind, body).await.unwrap();
            assert_eq!(decoded.fields.last().unwrap().1, json!("Zoë B"), "{kind}");
        }
    }

    #[tokio::test]
    async fn parts_are_read_and_files_refused() {
        let part = |head: &str, body: &str| {
            format!("--X\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
        };
        let kind = "multipart/form-data; boundary=X";
        let body = part("name=\"email\"", "a@b.co")
            + &part("name=\"cv\"; filename=\"\"", "")
            + "--X--\r\n";
        let decoded = decode(kind, body.as_bytes()).await.unwrap();
        assert_eq!(pairs(&decoded), json!([["email", "a@b.co"]]));

        let body = part("name=\"cv\"; filename=\"cv.pdf\"", "%PDF") + "--X--\r\n";
        let refused = decode(kind, body.as_bytes()).await.unwrap_err();
        assert_eq!(
            (refused.field.as_str(), &*refused.code),
            ("cv", "file_not_allowed")
        );

        let cut = decode(kind, b"--X\r\nContent-Dispo").await.unwrap_err();
        assert_eq!(cut.code, "bad_multipart");
    }

    #[tokio::test]
    async fn what_is_no_form_is_named() {
        let code = async |kind: &str, body: &[u8]| decode(kind, body).await.unwrap_err().code;
        assert_eq!(code("application/json", b"{").await, "bad_json");
        assert_eq!(code("application/json", b"[]").await, "bad_json");
        assert_eq!(
            code("application/json", b"{\"a\":\"\xFF\"}").await,
            "bad_encoding"
        );
    }
}

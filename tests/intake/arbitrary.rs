//! Whatever is sent: nothing panics, and nothing is accepted that the database could not hold.

use axum::http::{HeaderMap, Method};
use domain::form::{Form, FormSettings};
use domain::id::{FormId, OrgId};
use domain::submission::Submission;
use leadmill::intake::form::read;
use leadmill::intake::trpc_capture;
use leadmill::web::form::decode;
use leadmill::web::trpc::request::Asked;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const KINDS: [&str; 6] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-16le",
    "multipart/form-data; boundary=X",
    "text/plain",
    "",
];

fn any_form() -> Form {
    Form {
        id: FormId::new(),
        org: OrgId::new(),
        channel: None,
        title: None,
        settings: FormSettings::default(),
        questions: Vec::new(),
    }
}

/// Any JSON, with the names that matter among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let names = [
        "orgId",
        "firstName",
        "lastName",
        "email",
        "source",
        "phone",
        "message",
        "estimatedValue",
        "customFields",
        "website",
        "utmSource",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        ".*".prop_map(Value::from),
        Just(json!("a@b.co")),
        Just(json!("01a1fb47-a49e-7695-8cd6-f09e0101edc8")),
        Just(json!("a\u{0}b")),
        Just(json!("a\r\nb")),
    ];
    let value = leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    });
    prop::collection::btree_map(prop::sample::select(names.to_vec()), value, 0..9).prop_map(|map| {
        Value::Object(
            map.into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    })
}

/// Text columns and jsonb take anything but NUL.
fn storable(submission: &Submission) -> bool {
    !json!(submission).to_string().contains("\\u0000")
}

/// What goes into the head of a mail or on one line of a list.
fn on_one_line(submission: &Submission) -> bool {
    [
        &submission.first_name,
        &submission.last_name,
        &submission.name,
        &submission.email,
        &submission.company,
    ]
    .into_iter()
    .flatten()
    .all(|text| !text.contains(char::is_control))
}

proptest! {
    #[test]
    fn a_capture_that_is_accepted_can_be_kept(input in any_json()) {
        if let Ok(capture) = trpc_capture::parse(Some(&input)) {
            prop_assert!(storable(&capture.submission));
            prop_assert!(on_one_line(&capture.submission));
        }
    }

    #[test]
    fn a_post_that_is_accepted_can_be_kept(kind in prop::sample::select(KINDS.to_vec()), body in prop::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if let Ok(decoded) = runtime.block_on(decode(kind, &body))
            && let Ok(sent) = read(&any_form(), &decoded, None)
        {
            prop_assert!(storable(&sent.submission));
        }
    }

    #[test]
    fn a_post_of_fields_that_is_accepted_can_be_kept(
        fields in prop::collection::vec((prop::sample::select(vec!["email", "name", "phone", "message", "x", "_next", "utm_source"]), ".{0,20}"), 0..6),
        referrer in proptest::option::of(".{0,40}"),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let decoded = runtime.block_on(decode("application/x-www-form-urlencoded", body.as_bytes())).unwrap();
        if let Ok(sent) = read(&any_form(), &decoded, referrer.as_deref()) {
            prop_assert!(storable(&sent.submission));
            prop_assert!(sent.spam || on_one_line(&sent.submission));
        }
    }

    #[test]
    fn a_request_is_taken_apart_or_refused(path in "[a-z.,%0-9F]{0,30}", query in "[a-z0-9=&%{}\":]{0,40}", body in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(asked) = Asked::new(&path, &query, &HeaderMap::new()) {
            for method in [Method::GET, Method::POST] {
                if let Ok(calls) = asked.calls(&method, &query, &body) {
                    prop_assert_eq!(calls.len(), asked.paths.len());
                }
            }
        }
    }
}

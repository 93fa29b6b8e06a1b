use proptest::prelude::*;
use serde_json::json;

use super::*;

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

#[test]
fn what_is_known_stays_and_gaps_are_filled() {
    let known = Details {
        first_name: Some("Grace".into()),
        email: Some("grace@navy.example".into()),
        tags: vec!["vip".into()],
        custom_fields: map(json!({"rank": "Admiral", "ship": null})),
        form_submission_data: Some(json!({"n": 1})),
        ..Details::default()
    };
    let new = Details {
        first_name: Some("G.".into()),
        last_name: Some("Hopper".into()),
        job_title: Some("Rear Admiral".into()),
        tags: vec!["vip".into(), "web".into()],
        custom_fields: map(json!({"rank": "Captain", "ship": "Hopper"})),
        form_submission_data: Some(json!({"n": 2})),
        ..Details::default()
    };

    let merged = known.filled_from(&new);

    assert_eq!(merged.first_name.as_deref(), Some("Grace"));
    assert_eq!(
        merged.last_name, None,
        "half a name of another account is not taken"
    );
    assert_eq!(merged.job_title.as_deref(), Some("Rear Admiral"));
    assert_eq!(merged.tags, ["vip", "web"]);
    assert_eq!(
        Value::Object(merged.custom_fields),
        json!({"rank": "Admiral", "ship": "Hopper"})
    );
    assert_eq!(merged.form_submission_data, Some(json!({"n": 2})));
}

#[test]
fn overwriting_replaces_what_is_mentioned_only() {
    let known = Details {
        job_title: Some("CTO".into()),
        phone: Some("1".into()),
        ..Details::default()
    };
    let new = Details {
        job_title: Some("CEO".into()),
        ..Details::default()
    };

    let merged = known.overwritten_by(&new);

    assert_eq!(
        (merged.job_title.as_deref(), merged.phone.as_deref()),
        (Some("CEO"), Some("1"))
    );
}

#[test]
fn cleaning_splits_trims_cuts_and_says_what_was_cut() {
    let (clean, cut) = Details {
        name: Some("  Grace Brewster Hopper\0 ".into()),
        phone: Some("(650) 555-0123".into()),
        country: Some("us".into()),
        source_url: Some("x".repeat(1_500)),
        company_name: Some("   ".into()),
        currency: Some("dollars".into()),
        tags: vec![" a ".into(), "".into()],
        custom_fields: map(json!({"a\0b": "c\0d"})),
        ..Details::default()
    }
    .cleaned();

    assert_eq!(clean.name.as_deref(), Some("Grace Brewster Hopper"));
    assert_eq!(
        (clean.first_name.as_deref(), clean.last_name.as_deref()),
        (Some("Grace"), Some("Brewster Hopper"))
    );
    assert_eq!(clean.phone_e164.as_deref(), Some("+16505550123"));
    assert_eq!(clean.source_url.map(|url| url.len()), Some(1_000));
    assert_eq!((clean.company_name, clean.currency), (None, None));
    assert_eq!(clean.tags, ["a"]);
    assert_eq!(Value::Object(clean.custom_fields), json!({"ab": "cd"}));
    assert_eq!(cut, ["source_url"]);
}

fn any_details() -> impl Strategy<Value = Details> {
    let text = || proptest::option::of("[a-z@. ]{1,12}");
    (
        text(),
        text(),
        text(),
        text(),
        text(),
        proptest::collection::vec("[a-c]", 0..3),
        proptest::option::of(0i32..9),
    )
        .prop_map(
            |(name, first_name, email, phone, job_title, tags, enrollment)| {
                let custom_fields = tags
                    .iter()
                    .map(|tag| (tag.clone(), Value::from(1)))
                    .collect();
                Details {
                    name,
                    first_name,
                    email,
                    phone,
                    job_title,
                    tags,
                    enrollment,
                    custom_fields,
                    ..Details::default()
                }
                .cleaned()
                .0
            },
        )
}

proptest! {
    #[test]
    fn merging_the_same_account_again_changes_nothing(known in any_details(), new in any_details()) {
        let once = known.clone().filled_from(&new);
        prop_assert_eq!(once.clone().filled_from(&new), once);
        let over = known.overwritten_by(&new);
        prop_assert_eq!(over.clone().overwritten_by(&new), over);
    }

    #[test]
    fn merging_forgets_nothing(known in any_details(), new in any_details()) {
        let merged = known.clone().filled_from(&new);
        prop_assert!(known.email.is_none() || merged.email == known.email);
        prop_assert!(known.job_title.is_none() || merged.job_title == known.job_title);
        prop_assert!(known.tags.iter().all(|tag| merged.tags.contains(tag)));
        prop_assert!(!known.is_somebody() || merged.is_somebody());
    }

    #[test]
    fn cleaning_twice_is_cleaning_once(details in any_details()) {
        prop_assert_eq!(details.clone().cleaned().0, details);
    }
}

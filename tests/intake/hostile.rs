//! Hostile text: taken as text, or refused by name; never half kept.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{answer, capture, form, inbox, jane, org, post, web};
use crate::harness::World;

#[tokio::test]
async fn template_and_markup_syntax_is_text_like_any_other() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let mut input = jane(org);
    input["firstName"] = "{{ 7*7 }}{% raw %}".into();
    input["lastName"] = "<script>alert(1)</script>'; DROP TABLE leads;--".into();
    input["message"] = "${jndi:ldap://x} %s %n =cmd|'/c calc'!A1".into();

    assert!(answer(&web, capture(&input)).await.starts_with("200"));

    let kept = &inbox(&world, org).await[0].submission;
    assert_eq!(kept["first_name"], input["firstName"]);
    assert_eq!(kept["last_name"], input["lastName"]);
    assert_eq!(kept["message"], input["message"]);
}

#[tokio::test]
async fn a_line_break_in_a_name_becomes_a_space_and_one_in_an_address_is_refused() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    let mut input = jane(org);
    input["firstName"] = "Jane\r\nBcc: all@example.com".into();
    assert!(answer(&web, capture(&input)).await.starts_with("200"));
    assert_eq!(
        inbox(&world, org).await[0].submission["first_name"],
        "Jane Bcc: all@example.com"
    );

    input["email"] = "jane@example.com\r\nBcc: all@example.com".into();
    assert_snapshot!(answer(&web, capture(&input)).await);
}

#[tokio::test]
async fn nul_is_refused_by_the_name_of_its_field() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    form(&world, org, "tok", json!({})).await;
    let mut input = jane(org);
    input["customFields"] = json!({"a": {"b": ["x\u{0}"]}});
    assert_snapshot!("nul_capture", answer(&web, capture(&input)).await);

    let posted = post(
        "/f/tok",
        "application/json",
        json!({"email": "a@b.co", "note": "x\u{0}y"}).to_string(),
    );
    assert_snapshot!("nul_form", answer(&web, posted).await);
    assert_eq!(inbox(&world, org).await.len(), 0);

    let address = post("/f/a%00b", "application/json", "{}");
    assert_snapshot!("nul_token", answer(&web, address).await);
}

#[tokio::test]
async fn a_name_of_a_megabyte_is_refused_and_named() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |config| config.http.body_limit = 4_000_000);
    let mut input = jane(org);
    input["firstName"] = "x".repeat(1_000_000).into();
    assert_snapshot!("long_name", answer(&web, capture(&input)).await);

    let small = super::web(&world, |_| {});
    input["firstName"] = "x".repeat(1_100_000).into();
    assert_snapshot!("long_body", answer(&small, capture(&input)).await);
    assert_eq!(inbox(&world, org).await.len(), 0);
}

#[tokio::test]
async fn names_of_all_scripts_are_kept_as_they_are() {
    let world = World::new().await;
    let org = org(&world, "active").await;
    let web = web(&world, |_| {});
    for name in ["Zoë", "李雷", "محمد", "👩‍👩‍👧", "e\u{301}", "\u{202e}gnp.exe"]
    {
        let mut input = jane(org);
        input["firstName"] = name.into();
        assert!(
            answer(&web, capture(&input)).await.starts_with("200"),
            "{name}"
        );
    }
    let kept: Vec<Value> = inbox(&world, org)
        .await
        .into_iter()
        .map(|mut event| event.submission["first_name"].take())
        .collect();
    assert_eq!(
        kept,
        ["Zoë", "李雷", "محمد", "👩‍👩‍👧", "e\u{301}", "\u{202e}gnp.exe"]
    );
}

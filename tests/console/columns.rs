//! What a row of the lead table tells.

use super::leads::{person, taken};
use super::{Answer, words_of};
use crate::harness::World;

#[tokio::test]
async fn a_row_tells_whose_a_lead_is_and_how_it_was_last_spoken_to() {
    let world = World::new().await;
    let org = world.org().await;
    let ada = world.rep("Ada").await.user;
    let leads = taken(
        &world,
        org,
        &[person("Grace", "Hopper"), person("Mary", "Somerville")],
    )
    .await;
    let browser = world.browser("ada@example.test").await;
    let path = |what: &str| format!("/dashboard/crm/leads/{}/{what}", leads[0]);
    for method in ["email", "call"] {
        browser.post(&path("contact"), &[("method", method)]).await;
    }
    browser
        .post(&path("assign"), &[("to", &ada.to_string())])
        .await;
    world.work().await;

    let cell = |page: &Answer, label: &str| {
        let cell = page
            .text
            .split_once(&format!("data-label=\"{label}\""))
            .unwrap()
            .1;
        let cell = cell
            .split_once('>')
            .unwrap()
            .1
            .split_once("</td>")
            .unwrap()
            .0;
        words_of(cell)
    };
    let mine = browser
        .get(&format!("/dashboard/crm/leads?assigned_to={ada}"))
        .await;
    assert_eq!(mine.text.matches("data-row").count(), 1);
    assert!(mine.words().contains("Grace Hopper"), "{}", mine.words());
    assert!(cell(&mine, "Assigned to").ends_with("Ada"));
    assert!(cell(&mine, "Last contact").ends_with("Call"));
    assert_eq!(cell(&mine, "Contacts"), "2");
    let status = mine.text.split_once("data-label=\"Status\"").unwrap().1;
    assert!(
        status.contains("class=\"tone-")
            && status.contains("<option value=\"contacted\" selected>"),
        "{status}"
    );
    let others = browser.get("/dashboard/crm/leads?q=somerville").await;
    assert_eq!(cell(&others, "Assigned to"), "Nobody");
    assert_eq!(cell(&others, "Last contact"), "Never");
    assert_eq!(cell(&others, "Contacts"), "0");
}

//! Deleting a lead on its page: asked before, for admins and owners only.

use axum::http::StatusCode;
use domain::member::Role;

use super::assert_labelled;
use super::leads::{person, taken};
use crate::harness::World;

#[tokio::test]
async fn an_admin_deletes_a_lead_and_a_rep_is_not_asked() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    world.member(org, "Olga", Role::Admin).await;
    let lead = taken(&world, org, &[person("Grace", "Hopper")]).await[0];
    let page = format!("/dashboard/crm/leads/{lead}");
    let path = format!("{page}/delete");

    let rep = world.browser("ada@example.test").await;
    assert!(!rep.get(&page).await.text.contains(&path));
    let refused = rep.post(&path, &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused
            .words()
            .contains("Leads are deleted by admins and owners"),
        "{}",
        refused.words()
    );

    let admin = world.browser("olga@example.test").await;
    let asked = admin.get(&page).await;
    assert_labelled(&asked);
    assert!(
        asked.words().contains("Delete Grace Hopper?"),
        "{}",
        asked.words()
    );
    let again = admin.get(&path).await;
    assert_eq!(
        (again.status, &*again.location),
        (StatusCode::SEE_OTHER, &*page)
    );
    let deleted = admin.post(&path, &[("back", "/ops")]).await;
    assert_eq!(
        (deleted.status, &*deleted.location),
        (
            StatusCode::SEE_OTHER,
            "/dashboard/crm/leads?said=lead_deleted"
        )
    );
    let list = admin.get(&deleted.location).await;
    assert!(
        list.words().contains("The lead is deleted."),
        "{}",
        list.words()
    );
    assert!(!list.words().contains("Grace Hopper"), "{}", list.words());
    assert_eq!(admin.get(&page).await.status, StatusCode::NOT_FOUND);
    assert_eq!(admin.post(&path, &[]).await.status, StatusCode::NOT_FOUND);
    world.work().await;
}

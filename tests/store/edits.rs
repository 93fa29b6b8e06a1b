//! Leads are edited field by field, and who edits an old version is told.

use domain::command::{self, CommandError, Updated};
use domain::id::{LeadId, OrgId};
use domain::lead::patch::LeadPatch;
use serde_json::{Value, json};

use super::{captured, done, of, read, rows, value};
use crate::harness::World;

async fn edit(
    world: &World,
    org: OrgId,
    lead: LeadId,
    patch: Value,
    version: Option<i32>,
) -> Result<Updated, CommandError> {
    let patch: LeadPatch = serde_json::from_value(patch).unwrap();
    done(world, org, async |tx, act| {
        command::update_lead(tx, act, lead, &patch, version).await
    })
    .await
}

#[tokio::test]
async fn what_is_named_changes_and_null_clears() {
    let world = World::new().await;
    let org = world.org().await;
    let mut capture = of("ada@engines.test");
    capture.details.message = Some("Call me".into());
    let lead = captured(&world, org, &capture).await;
    let version = read(&world, org, lead).await.version;

    let patch = json!({"job_title": "Countess", "message": null, "tags": ["vip"], "estimated_value_minor": 250_000});
    let updated = edit(&world, org, lead, patch, Some(version)).await.unwrap();

    let mut changed = updated.changed.clone();
    changed.sort();
    assert_eq!(
        changed,
        ["estimated_value_minor", "job_title", "message", "tags"]
    );
    assert!(updated.affects_score());
    let now = read(&world, org, lead).await;
    assert_eq!(now.details, updated.lead.details);
    assert_eq!(now.version, updated.lead.version);
    assert_eq!(now.details.first_name.as_deref(), Some("Ada"));
    assert_eq!(now.details.message, None);
    assert_eq!(
        rows(&world, org, "SELECT before || jsonb_build_object('now', after) FROM audit_log WHERE action = 'lead.update'").await,
        [json!({
            "job_title": null, "message": "Call me", "tags": [], "estimated_value_minor": null,
            "now": {"job_title": "Countess", "message": null, "tags": ["vip"], "estimated_value_minor": 250_000},
        })]
    );
}

#[tokio::test]
async fn an_edit_that_changes_nothing_leaves_no_trace() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let before = read(&world, org, lead).await;
    let updated = edit(&world, org, lead, json!({"first_name": " Ada "}), None)
        .await
        .unwrap();
    assert_eq!(updated.changed, Vec::<String>::new());
    let after = read(&world, org, lead).await;
    assert_eq!(
        (after.version, after.updated_at),
        (before.version, before.updated_at)
    );
    let edits = "SELECT count(*) FROM audit_log WHERE action = 'lead.update'";
    assert_eq!(value::<i64>(&world, org, edits).await, 0);
}

#[tokio::test]
async fn notes_are_no_reason_to_score_anew() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let updated = edit(&world, org, lead, json!({"notes": "met at the fair"}), None)
        .await
        .unwrap();
    assert!(!updated.affects_score());
    let kept = read(&world, org, lead).await.details.notes;
    assert_eq!(kept.as_deref(), Some("met at the fair"));
}

#[tokio::test]
async fn who_read_an_older_version_is_told_the_newer_one() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let version = read(&world, org, lead).await.version;
    edit(&world, org, lead, json!({"notes": "mine"}), Some(version))
        .await
        .unwrap();
    let stale = edit(&world, org, lead, json!({"notes": "yours"}), Some(version))
        .await
        .unwrap_err();
    assert!(
        matches!(stale, CommandError::Stale(now) if now == version + 1),
        "{stale:?}"
    );
    assert_eq!(
        read(&world, org, lead).await.details.notes.as_deref(),
        Some("mine")
    );
}

#[tokio::test]
async fn an_address_that_is_anothers_is_refused_and_names_them() {
    let world = World::new().await;
    let org = world.org().await;
    let ada = captured(&world, org, &of("ada@engines.test")).await;
    let bob = captured(&world, org, &of("bob@engines.test")).await;
    let refused = edit(&world, org, bob, json!({"email": "ADA@engines.test"}), None)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, CommandError::Duplicate(known) if known == ada),
        "{refused:?}"
    );
    // One's own address in another spelling is no duplicate.
    edit(&world, org, bob, json!({"email": "Bob@engines.test"}), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lead_stays_somebody() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let nobody = json!({"email": null, "first_name": null, "last_name": " "});
    let refused = edit(&world, org, lead, nobody, None).await.unwrap_err();
    assert!(
        matches!(refused, CommandError::Invalid { field: "email", .. }),
        "{refused:?}"
    );
    edit(
        &world,
        org,
        lead,
        json!({"email": null, "phone": "+44 20 7946 0018"}),
        None,
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn another_employer_is_found_by_address_or_name_and_gives_the_size_class() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let first = read(&world, org, lead).await.details.company_id;
    done(&world, org, async |tx, _| {
        sqlx::query(
            "INSERT INTO companies (id, org_id, name, domain, employees)
             VALUES (gen_random_uuid(), $1, 'Looms', 'looms.test', 4000)",
        )
        .bind(org)
        .execute(tx)
        .await
        .unwrap();
    })
    .await;

    let moved = edit(&world, org, lead, json!({"email": "ada@looms.test"}), None)
        .await
        .unwrap();
    assert_ne!(moved.lead.details.company_id, first);
    assert_eq!(moved.lead.details.segment.as_deref(), Some("Enterprise"));
    assert_eq!(
        value::<i64>(&world, org, "SELECT count(*) FROM companies").await,
        2
    );

    let pupils = edit(&world, org, lead, json!({"enrollment": 3_000}), None)
        .await
        .unwrap();
    assert_eq!(pupils.lead.details.segment.as_deref(), Some("Mid-Market"));
    let private = edit(
        &world,
        org,
        lead,
        json!({"email": "ada@gmail.com", "enrollment": null}),
        None,
    )
    .await
    .unwrap();
    assert_eq!(
        private.lead.details.company_id, moved.lead.details.company_id,
        "a private address says nothing of the employer"
    );
    assert_eq!(private.lead.details.segment.as_deref(), Some("Enterprise"));
}

#[tokio::test]
async fn another_address_leaves_the_employer_that_somebody_named() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let looms: uuid::Uuid = done(&world, org, async |tx, _| {
        sqlx::query_scalar(
            "INSERT INTO companies (id, org_id, name, domain) VALUES (gen_random_uuid(), $1, 'Looms', 'looms.test')
             RETURNING id",
        )
        .bind(org)
        .fetch_one(tx)
        .await
        .unwrap()
    })
    .await;
    edit(&world, org, lead, json!({"company_id": looms}), None)
        .await
        .unwrap();
    let companies = "SELECT count(*) FROM companies";
    let before = value::<i64>(&world, org, companies).await;

    for email in ["ada@gmail.com", "ada@mills.test", "ada@engines.test"] {
        let patch = json!({"email": email});
        let edited = edit(&world, org, lead, patch, None).await.unwrap();
        let company = edited.lead.details.company_id;
        assert_eq!(company.map(|id| id.uuid()), Some(looms), "{email}");
    }

    assert_eq!(value::<i64>(&world, org, companies).await, before);
    let named = json!({"company_name": "Mills"});
    let named = edit(&world, org, lead, named, None).await.unwrap();
    let company = named.lead.details.company_id;
    assert_ne!(company.map(|id| id.uuid()), Some(looms), "a name says so");
}

#[tokio::test]
async fn a_name_in_one_piece_and_its_parts_agree() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let whole = edit(&world, org, lead, json!({"name": "Augusta Ada King"}), None)
        .await
        .unwrap()
        .lead;
    assert_eq!(whole.details.first_name.as_deref(), Some("Augusta"));
    assert_eq!(whole.details.last_name.as_deref(), Some("Ada King"));
    let parts = edit(&world, org, lead, json!({"first_name": "Ada"}), None)
        .await
        .unwrap()
        .lead;
    assert_eq!(parts.display_name.as_deref(), Some("Ada Ada King"));
    assert_eq!(
        read(&world, org, lead).await.display_name,
        parts.display_name
    );
}

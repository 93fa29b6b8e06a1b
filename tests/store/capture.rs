//! Leads come in, once each.

use domain::capture::{Capture, OnDuplicate};
use domain::command::{self, CaptureOutcome, CommandError};
use domain::id::OrgId;
use domain::lead::{CaptureChannel, Details, ExternalId, SourceCategory};
use domain::status::Status;
use serde_json::json;

use super::{captured, done, of, read, rows, value};
use crate::harness::World;

#[tokio::test]
async fn a_captured_lead_begins_at_the_beginning() {
    let world = World::new().await;
    let org = world.org().await;
    let mut capture = of(" Ada@Engines.TEST ");
    capture.details.company_name = Some("Analytical Engines".into());
    capture.channel = CaptureChannel::WebsiteForm;

    let id = captured(&world, org, &capture).await;

    let lead = read(&world, org, id).await;
    assert_eq!(lead.status, Status::New);
    assert_eq!(lead.display_name.as_deref(), Some("Ada"));
    assert_eq!(lead.details.email.as_deref(), Some("Ada@Engines.TEST"));
    assert_eq!(lead.details.source_category, SourceCategory::Website);
    assert!(lead.details.company_id.is_some() && lead.stage_id.is_some());
    assert_eq!(lead.created_at, world.clock.now());
    assert_eq!(lead.last_activity_at, Some(world.clock.now()));
    assert_eq!(
        rows(
            &world,
            org,
            "SELECT jsonb_build_array(from_status, to_status, trigger) FROM lead_status_history"
        )
        .await,
        [json!([null, "new", "created"])]
    );
    assert_eq!(
        value::<String>(&world, org, "SELECT name FROM companies").await,
        "Analytical Engines"
    );
    assert_eq!(
        value::<String>(&world, org, "SELECT type FROM domain_events").await,
        "lead.created"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_captures_of_one_address_at_once_make_one_lead() {
    let world = std::sync::Arc::new(World::new().await);
    let org = world.org().await;
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(64));

    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let (world, barrier) = (world.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let email = if n % 2 == 0 {
                    "ada@engines.test"
                } else {
                    "ADA@Engines.test"
                };
                let mut tx = world.db.org(org).await.unwrap();
                let captured = command::capture_lead(&mut tx, &world.act(org), &of(email))
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                captured
            })
        })
        .collect();
    let mut leads = Vec::new();
    for task in tasks {
        leads.push(task.await.unwrap());
    }

    let made = leads
        .iter()
        .filter(|captured| captured.outcome == CaptureOutcome::Created)
        .count();
    assert_eq!(made, 1);
    assert!(leads.iter().all(|captured| captured.lead == leads[0].lead));
    assert_eq!(
        value::<i64>(&world, org, "SELECT count(*) FROM leads").await,
        1
    );
    assert_eq!(
        value::<i64>(&world, org, "SELECT count(*) FROM companies").await,
        1
    );
    let lines = value::<i64>(
        &world,
        org,
        "SELECT count(*) FROM activities WHERE activity_type = 'form_submit'",
    )
    .await;
    assert_eq!(lines, 63, "what the others sent is in the timeline");
}

#[tokio::test]
async fn a_second_account_of_a_person_fills_the_gaps_of_the_first() {
    let world = World::new().await;
    let org = world.org().await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let mut again = of("ADA@engines.test");
    again.details.first_name = Some("A.".into());
    again.details.job_title = Some("Countess".into());
    again.details.message = Some("Call me".into());

    assert_eq!(captured(&world, org, &again).await, id);

    let lead = read(&world, org, id).await;
    assert_eq!(lead.details.first_name.as_deref(), Some("Ada"));
    assert_eq!(lead.details.job_title.as_deref(), Some("Countess"));
    assert_eq!((lead.contact_count, lead.version), (0, 3));
    assert_eq!(
        rows(
            &world,
            org,
            "SELECT activity_data -> 'fields' FROM activities WHERE activity_type = 'form_submit'"
        )
        .await,
        [json!(["job_title", "message"])]
    );
}

#[tokio::test]
async fn what_a_known_address_means_is_for_the_channel_to_say() {
    let world = World::new().await;
    let org = world.org().await;
    let mut first = of("ada@engines.test");
    first.details.job_title = Some("Countess".into());
    let id = captured(&world, org, &first).await;
    let mut again = of("ada@engines.test");
    again.details.job_title = Some("Programmer".into());

    again.on_duplicate = OnDuplicate::Ignore;
    captured(&world, org, &again).await;
    assert_eq!(
        read(&world, org, id).await.details.job_title.as_deref(),
        Some("Countess")
    );

    again.on_duplicate = OnDuplicate::Overwrite;
    captured(&world, org, &again).await;
    assert_eq!(
        read(&world, org, id).await.details.job_title.as_deref(),
        Some("Programmer")
    );
}

#[tokio::test]
async fn a_lead_of_a_provider_is_made_once_whatever_address_it_has() {
    let world = World::new().await;
    let org = world.org().await;
    let mut capture = of("ada@engines.test");
    capture.external = vec![ExternalId {
        provider: "meta".into(),
        id: "123456789012345678".into(),
    }];
    let id = captured(&world, org, &capture).await;

    capture.details.email = Some("ada@home.test".into());
    assert_eq!(captured(&world, org, &capture).await, id);

    assert_eq!(
        read(&world, org, id).await.details.email.as_deref(),
        Some("ada@engines.test")
    );
    let made = value::<i64>(
        &world,
        org,
        "SELECT count(*) FROM activities WHERE activity_type = 'created'",
    )
    .await;
    assert_eq!(made, 1);
}

#[tokio::test]
async fn a_phone_tells_who_somebody_is_only_without_an_address() {
    let world = World::new().await;
    let org = world.org().await;
    let with = |email: Option<&str>, phone: &str| Capture {
        details: Details {
            email: email.map(Into::into),
            phone: Some(phone.into()),
            ..Details::default()
        },
        ..Capture::by(CaptureChannel::Api)
    };
    let ada = captured(
        &world,
        org,
        &with(Some("ada@engines.test"), "+44 20 7946 0018"),
    )
    .await;
    assert_eq!(
        captured(&world, org, &with(None, "0044 2079460018")).await,
        ada
    );
    assert_ne!(
        captured(
            &world,
            org,
            &with(Some("bob@engines.test"), "+44 20 7946 0018")
        )
        .await,
        ada
    );
    // The number that every test lead has is nobody's.
    let first = captured(&world, org, &with(None, "+16505550123")).await;
    assert_ne!(
        captured(&world, org, &with(None, "+16505550123")).await,
        first
    );
}

#[tokio::test]
async fn an_id_of_a_provider_that_comes_twice_at_once_makes_one_lead() {
    let world = World::new().await;
    let org = world.org().await;
    let mut capture = Capture::by(CaptureChannel::Api);
    capture.details.name = Some("Ada".into());
    capture.external = vec![ExternalId {
        provider: "meta".into(),
        id: "1".into(),
    }];

    at_once(&world, org, &capture).await;

    let made = value::<i64>(&world, org, "SELECT count(*) FROM leads").await;
    assert_eq!(made, 1);
}

/// Captures the same twice at once; the second waits for the first and is of the same lead.
async fn at_once(world: &World, org: OrgId, capture: &Capture) {
    let mut tx = world.db.org(org).await.unwrap();
    let first = command::capture_lead(&mut tx, &world.act(org), capture)
        .await
        .unwrap();
    let (second, ()) = tokio::join!(
        done(world, org, async |tx, act| {
            command::capture_lead(tx, act, capture).await.unwrap()
        }),
        async {
            world.until_somebody_waits().await;
            tx.commit().await.unwrap();
        }
    );
    assert_eq!(first.outcome, CaptureOutcome::Created);
    assert_eq!(second.outcome, CaptureOutcome::Known);
    assert_eq!(second.lead, first.lead);
}

#[tokio::test]
async fn a_phone_without_an_address_that_comes_twice_at_once_makes_one_lead() {
    let world = World::new().await;
    let org = world.org().await;
    let mut capture = Capture::by(CaptureChannel::Api);
    capture.details.phone = Some("+44 20 7946 0018".into());

    at_once(&world, org, &capture).await;

    let made = value::<i64>(&world, org, "SELECT count(*) FROM leads").await;
    assert_eq!(made, 1);
}

#[tokio::test]
async fn a_person_typed_in_twice_is_named_instead() {
    let world = World::new().await;
    let org = world.org().await;
    let id = captured(&world, org, &of("ada@engines.test")).await;

    let mut tx = world.db.org(org).await.unwrap();
    let refused = command::create_lead(&mut tx, &world.act(org), &of("ADA@engines.test"))
        .await
        .unwrap_err();

    assert!(
        matches!(refused, CommandError::Duplicate(known) if known == id),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_deleted_lead_frees_its_address_and_keeps_its_history() {
    let world = World::new().await;
    let org = world.org().await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    command::soft_delete_lead(&mut tx, &world.act(org), id)
        .await
        .unwrap();
    let gone = command::soft_delete_lead(&mut tx, &world.act(org), id)
        .await
        .unwrap_err();
    assert!(matches!(gone, CommandError::NotFound("lead")), "{gone:?}");
    tx.commit().await.unwrap();

    assert_ne!(captured(&world, org, &of("ada@engines.test")).await, id);
    assert_eq!(
        value::<i64>(
            &world,
            org,
            "SELECT count(*) FROM activities WHERE activity_type = 'created'"
        )
        .await,
        2
    );
}

#[tokio::test]
async fn nobody_is_no_lead_and_a_suspended_org_takes_none() {
    let world = World::new().await;
    let org = world.org().await;
    let mut tx = world.db.org(org).await.unwrap();
    let nobody = Capture::by(CaptureChannel::Api);
    let refused = command::capture_lead(&mut tx, &world.act(org), &nobody)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, CommandError::Invalid { field: "email", .. }),
        "{refused:?}"
    );

    sqlx::query("UPDATE orgs SET status = 'suspended'")
        .execute(&mut *tx)
        .await
        .unwrap();
    let refused = command::capture_lead(&mut tx, &world.act(org), &of("ada@engines.test"))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, CommandError::NotFound("organisation")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn hostile_text_is_kept_as_far_as_it_can_be() {
    let world = World::new().await;
    let org = world.org().await;
    let mut capture = of("ada@engines.test");
    capture.details.first_name = Some("x".repeat(1_000_000));
    capture.details.last_name = Some("O'Hara\0; DROP TABLE leads; {{ 7 * 7 }}".into());
    capture.details.source_url = Some(format!("https://example.test/?q={}", "y".repeat(5_000)));
    capture.details.custom_fields = json!({"a\0": "b\0"}).as_object().cloned().unwrap();

    let lead = read(&world, org, captured(&world, org, &capture).await).await;

    assert_eq!(lead.details.first_name.map(|name| name.len()), Some(255));
    assert_eq!(
        lead.details.last_name.as_deref(),
        Some("O'Hara; DROP TABLE leads; {{ 7 * 7 }}")
    );
    assert_eq!(lead.details.source_url.map(|url| url.len()), Some(1_000));
    assert_eq!(
        serde_json::Value::Object(lead.details.custom_fields),
        json!({"a": "b"})
    );
    let cut = rows(
        &world,
        org,
        "SELECT activity_data -> 'cut' FROM activities WHERE activity_type = 'created'",
    )
    .await;
    assert_eq!(cut, [json!(["first_name", "source_url"])]);
}

//! Counters, timeline and audit tell the same story.

use domain::activity::ActivityKind;
use domain::actor::{Act, Actor};
use domain::command::{self, CommandError, NewActivity, Transition};
use domain::contact::{Contact, ContactMethod};
use domain::lead::patch::LeadPatch;
use domain::score::Cause;
use domain::status::Status;
use serde_json::json;

use super::{captured, of, read, rows, value};
use crate::harness::World;

#[tokio::test]
async fn the_contact_count_is_the_number_of_outbound_contacts() {
    let world = World::new().await;
    let org = world.org().await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let mut mail = Contact::outbound(ContactMethod::Email);
    mail.dedupe_key = Some("message:1".into());
    let contacts = [
        (mail.clone(), true),
        (Contact::outbound(ContactMethod::Linkedin), true),
        (mail, false),
        (Contact::inbound(ContactMethod::Email), true),
        (Contact::outbound(ContactMethod::Linkedin), true),
    ];
    for (contact, counted) in contacts {
        let mut tx = world.db.org(org).await.unwrap();
        let told = command::log_contact(&mut tx, &world.act(org), id, &contact)
            .await
            .unwrap();
        assert_eq!(told.counted, counted);
        tx.commit().await.unwrap();
        world.clock.advance(chrono::TimeDelta::minutes(1));
    }

    let lead = read(&world, org, id).await;
    let count = value::<i64>(
        &world,
        org,
        "SELECT count(*) FROM contact_attempts WHERE direction = 'outbound'",
    )
    .await;
    assert_eq!(
        (i64::from(lead.contact_count), lead.response_count),
        (count, 1)
    );
    assert_eq!(lead.contact_count, 3);
    assert_eq!(lead.status, Status::Conversing);
}

#[tokio::test]
async fn a_contact_moves_only_leads_that_nobody_has_spoken_to() {
    let world = World::new().await;
    let org = world.org().await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    let act = world.act(org);
    let how = Transition {
        to: Status::Qualified,
        reason: None,
        reopen: false,
    };
    command::transition(&mut tx, &act, id, &how).await.unwrap();
    let told = command::log_contact(&mut tx, &act, id, &Contact::outbound(ContactMethod::Call))
        .await
        .unwrap();
    assert_eq!(
        (told.status.to, told.state.contact_count),
        (Status::Qualified, 1)
    );
}

#[tokio::test]
async fn every_change_is_audited_in_its_own_transaction() {
    let world = World::new().await;
    let org = world.org().await;
    let ada = world.rep("Ada").await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let mut act = world.act(org);
    act.actor = Actor::User(ada.user);
    let patch: LeadPatch = serde_json::from_value(json!({"job_title": "Countess"})).unwrap();
    let how = Transition {
        to: Status::Qualified,
        reason: None,
        reopen: false,
    };

    let mut tx = world.db.org(org).await.unwrap();
    let stage = domain::store::stages::list(&mut tx, org).await.unwrap()[2].id;
    drop(tx);
    for step in 0..8 {
        let mut tx = world.db.org(org).await.unwrap();
        match step {
            0 => drop(
                command::update_lead(&mut tx, &act, id, &patch, None)
                    .await
                    .unwrap(),
            ),
            1 => drop(command::transition(&mut tx, &act, id, &how).await.unwrap()),
            2 => drop(command::move_stage(&mut tx, &act, id, stage).await.unwrap()),
            3 => drop(
                command::assign_lead(&mut tx, &act, id, Some(ada.user))
                    .await
                    .unwrap(),
            ),
            4 => drop(
                command::log_contact(&mut tx, &act, id, &Contact::outbound(ContactMethod::Call))
                    .await
                    .unwrap(),
            ),
            5 => drop(
                command::record_score(&mut tx, &act, id, Cause::Manual)
                    .await
                    .unwrap(),
            ),
            6 => {
                let note = NewActivity {
                    kind: ActivityKind::Note,
                    description: "met at the fair".into(),
                    data: json!({}),
                    occurred_at: None,
                };
                command::log_activity(&mut tx, &act, id, &note)
                    .await
                    .unwrap();
            }
            _ => command::soft_delete_lead(&mut tx, &act, id).await.unwrap(),
        }
        let now: String = sqlx::query_scalar("SELECT pg_current_xact_id()::text")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        let written: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM audit_log WHERE entity_id = $1 AND xact::text = $2",
        )
        .bind(id)
        .bind(now)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        assert!(written >= 1, "step {step}");
        tx.commit().await.unwrap();
    }
    let actions = rows(
        &world,
        org,
        "SELECT DISTINCT to_jsonb(actor_kind || ' ' || action) FROM audit_log WHERE entity_type = 'lead' ORDER BY 1",
    )
    .await;
    assert_eq!(
        actions,
        [
            "platform lead.create",
            "user lead.assign",
            "user lead.contact",
            "user lead.delete",
            "user lead.log_activity",
            "user lead.move_stage",
            "user lead.score",
            "user lead.transition",
            "user lead.update",
        ]
    );
}

#[tokio::test]
async fn what_is_rolled_back_leaves_no_trace() {
    let world = World::new().await;
    let org = world.org().await;
    let mut tx = world.db.org(org).await.unwrap();
    command::capture_lead(&mut tx, &world.act(org), &of("ada@engines.test"))
        .await
        .unwrap();
    tx.rollback().await.unwrap();

    let left: i64 = value(
        &world,
        org,
        "SELECT (SELECT count(*) FROM leads) + (SELECT count(*) FROM activities) + (SELECT count(*) FROM domain_events)
            + (SELECT count(*) FROM audit_log WHERE entity_type = 'lead')",
    )
    .await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn people_write_only_what_people_do() {
    let world = World::new().await;
    let org = world.org().await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    for kind in ActivityKind::ALL {
        let new = NewActivity {
            kind: *kind,
            description: "x\0y".into(),
            data: json!({}),
            occurred_at: None,
        };
        let logged = command::log_activity(&mut tx, &world.act(org), id, &new).await;
        match logged {
            Ok(_) => assert!(kind.is_manual(), "{kind}"),
            Err(CommandError::Invalid { field: "type", .. }) => {
                assert!(!kind.is_manual(), "{kind}")
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    tx.commit().await.unwrap();
    let kept = rows(
        &world,
        org,
        "SELECT DISTINCT to_jsonb(description) FROM activities WHERE activity_type = 'note'",
    )
    .await;
    assert_eq!(kept, ["xy"]);
}

#[tokio::test]
async fn an_entry_is_of_who_wrote_it_and_holds_what_they_wrote() {
    let world = World::new().await;
    let org = world.org().await;
    let ada = world.rep("Ada").await.user;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let call = NewActivity {
        kind: ActivityKind::Call,
        description: "Spoke of looms".into(),
        data: json!({"minutes": 12}),
        occurred_at: None,
    };
    let act = Act::new(org, Actor::User(ada), world.clock.now());
    let mut tx = world.db.org(org).await.unwrap();
    command::log_activity(&mut tx, &act, lead, &call)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let kept = rows(
        &world,
        org,
        "SELECT jsonb_build_array(lead_id, user_id, description, activity_data) FROM activities
         WHERE activity_type = 'call'",
    )
    .await;
    assert_eq!(
        kept,
        [json!([lead, ada, "Spoke of looms", {"minutes": 12}])]
    );
}

#[tokio::test]
async fn an_activity_moves_the_moment_of_the_last_one_but_never_back() {
    let world = World::new().await;
    let org = world.org().await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let made = world.clock.now();
    world.clock.advance(chrono::TimeDelta::hours(1));
    let note = |at| NewActivity {
        kind: ActivityKind::Note,
        description: "x".into(),
        data: json!({}),
        occurred_at: at,
    };
    let mut tx = world.db.org(org).await.unwrap();
    command::log_activity(&mut tx, &world.act(org), id, &note(None))
        .await
        .unwrap();
    command::log_activity(&mut tx, &world.act(org), id, &note(Some(made)))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        read(&world, org, id).await.last_activity_at,
        Some(world.clock.now())
    );
}

#[tokio::test]
async fn updated_at_follows_edits_and_not_scores() {
    let world = World::new().await;
    let org = world.org().await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let before = read(&world, org, id).await.updated_at;
    let mut tx = world.db.org(org).await.unwrap();
    command::record_score(&mut tx, &world.act(org), id, Cause::Manual)
        .await
        .unwrap();
    sqlx::query("UPDATE leads SET score_updated_at = now() + interval '1 second'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let scored = read(&world, org, id).await.updated_at;

    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("UPDATE leads SET score_updated_at = now() + interval '2 seconds'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(read(&world, org, id).await.updated_at, scored);

    let mut tx = world.db.org(org).await.unwrap();
    let patch: LeadPatch = serde_json::from_value(json!({"notes": "x"})).unwrap();
    command::update_lead(&mut tx, &world.act(org), id, &patch, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let edited = read(&world, org, id).await.updated_at;
    assert!(edited > scored && edited > before);
}

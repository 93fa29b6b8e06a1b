//! Leads move on, by hand and by themselves, and every move is written down.

use domain::command::{self, CommandError, Transition};
use domain::contact::{Contact, ContactMethod};
use domain::enrichment::{Facts, Outcome};
use domain::id::{LeadId, OrgId};
use domain::org::Profile;
use domain::score::Cause;
use domain::status::{Refusal, Status};
use domain::store::stages;

use super::{captured, of, read, rows, value};
use crate::harness::World;

async fn to(
    world: &World,
    org: OrgId,
    lead: LeadId,
    to: Status,
    reason: Option<&str>,
    reopen: bool,
) -> Result<(), CommandError> {
    let mut tx = world.db.org(org).await.unwrap();
    command::transition(
        &mut tx,
        &world.act(org),
        lead,
        &Transition { to, reason, reopen },
    )
    .await?;
    tx.commit().await.unwrap();
    Ok(())
}

#[tokio::test]
async fn every_status_of_a_profile_can_be_taken_and_is_written_down() {
    for profile in Profile::ALL {
        let world = World::new().await;
        let org = world.org_with(|new| new.profile = *profile).await;
        let lead = captured(&world, org, &of("ada@engines.test")).await;
        for status in profile.statuses() {
            to(&world, org, lead, *status, Some("because"), true)
                .await
                .unwrap();
            let now = read(&world, org, lead).await;
            assert_eq!(
                (now.status, now.is_open, now.is_won),
                (*status, status.is_open(), status.is_won())
            );
            assert_eq!(now.converted_to_customer, status.is_won());
            let last: String = value(
                &world,
                org,
                "SELECT to_status FROM lead_status_history ORDER BY at DESC, id DESC LIMIT 1",
            )
            .await;
            assert_eq!(last, status.as_str());
        }
    }
}

#[tokio::test]
async fn the_guards_hold() {
    let world = World::new().await;
    let org = world.org_with(|new| new.profile = Profile::Agency).await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;

    let refused = |result: Result<(), CommandError>| match result {
        Err(CommandError::Refused(why)) => why,
        other => panic!("should have been refused: {other:?}"),
    };
    assert_eq!(
        refused(to(&world, org, lead, Status::Mql, None, false).await),
        Refusal::NotInProfile(Status::Mql)
    );
    assert_eq!(
        refused(to(&world, org, lead, Status::Disqualified, None, false).await),
        Refusal::NeedsReason
    );
    to(
        &world,
        org,
        lead,
        Status::Disqualified,
        Some("student"),
        false,
    )
    .await
    .unwrap();
    assert_eq!(
        read(&world, org, lead)
            .await
            .disqualification_reason
            .as_deref(),
        Some("student")
    );
    assert_eq!(
        refused(to(&world, org, lead, Status::New, None, false).await),
        Refusal::Closed(Status::Disqualified)
    );
    to(&world, org, lead, Status::New, None, true)
        .await
        .unwrap();
}

#[tokio::test]
async fn winning_remembers_when_and_by_what_and_reopening_forgets() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    let call = Contact::outbound(ContactMethod::Call);
    command::log_contact(&mut tx, &world.act(org), lead, &call)
        .await
        .unwrap();
    tx.commit().await.unwrap();

    to(&world, org, lead, Status::Won, None, false)
        .await
        .unwrap();
    let won = read(&world, org, lead).await;
    assert_eq!(won.converted_at, Some(world.clock.now()));
    assert_eq!(won.conversion_source.as_deref(), Some("call"));

    to(&world, org, lead, Status::Qualified, None, true)
        .await
        .unwrap();
    let open = read(&world, org, lead).await;
    assert_eq!(
        (
            open.converted_to_customer,
            open.converted_at,
            open.conversion_source
        ),
        (false, None, None)
    );
}

#[tokio::test]
async fn a_lead_goes_from_capture_to_customer_as_outbound_teams_work() {
    let world = World::new().await;
    let org = world.org_with(|new| new.profile = Profile::Outreach).await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    let act = world.act(org);
    let facts = Facts {
        job_title: Some("Countess".into()),
        ..Facts::default()
    };
    command::record_enrichment(&mut tx, &act, lead, "pdl", Outcome::Matched, &facts)
        .await
        .unwrap();
    command::log_contact(
        &mut tx,
        &act,
        lead,
        &Contact::outbound(ContactMethod::Email),
    )
    .await
    .unwrap();
    command::log_contact(
        &mut tx,
        &act,
        lead,
        &Contact::outbound(ContactMethod::Linkedin),
    )
    .await
    .unwrap();
    command::log_contact(
        &mut tx,
        &act,
        lead,
        &Contact::inbound(ContactMethod::Linkedin),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    to(&world, org, lead, Status::Qualified, None, false)
        .await
        .unwrap();
    to(&world, org, lead, Status::Converted, None, false)
        .await
        .unwrap();

    let moves = rows(
        &world,
        org,
        "SELECT to_jsonb(trigger || ': ' || to_status) FROM lead_status_history ORDER BY id",
    )
    .await;
    assert_eq!(
        moves,
        [
            "created: new",
            "enrichment: enriched",
            "contact: contacted",
            "reply: conversing",
            "manual: qualified",
            "manual: converted"
        ]
    );
    let lead = read(&world, org, lead).await;
    assert_eq!((lead.contact_count, lead.response_count), (2, 1));
    assert_eq!(lead.last_contact_method, Some(ContactMethod::Linkedin));
}

#[tokio::test]
async fn a_lead_goes_from_marketing_to_sales_and_back_as_schools_are_sold_to() {
    let world = World::new().await;
    let org = world.org_with(|new| new.profile = Profile::K12).await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("UPDATE lead_behaviour SET demo_requested = true")
        .execute(&mut *tx)
        .await
        .unwrap();
    let act = world.act(org);
    let scored = command::record_score(&mut tx, &act, id, Cause::Behaviour)
        .await
        .unwrap()
        .unwrap();
    assert!(scored.qualified);
    assert_eq!(
        command::accept(&mut tx, &act, id).await.unwrap().to,
        Status::Sql
    );
    tx.commit().await.unwrap();
    let stamped = read(&world, org, id).await;
    assert_eq!(
        (stamped.mql_at, stamped.sql_at),
        (Some(act.at), Some(act.at))
    );

    world.clock.advance(chrono::TimeDelta::days(1));
    to(&world, org, id, Status::Opportunity, None, false)
        .await
        .unwrap();
    assert_eq!(
        read(&world, org, id).await.opportunity_at,
        Some(world.clock.now())
    );
    let mut tx = world.db.org(org).await.unwrap();
    assert_eq!(
        command::recycle(&mut tx, &world.act(org), id)
            .await
            .unwrap()
            .to,
        Status::Recycled
    );
    let again = command::record_score(&mut tx, &world.act(org), id, Cause::Manual)
        .await
        .unwrap()
        .unwrap();
    tx.commit().await.unwrap();
    assert!(!again.qualified, "the first time stays the first time");
    assert_eq!(read(&world, org, id).await.mql_at, Some(act.at));
}

#[tokio::test]
async fn an_org_may_let_a_recycled_lead_qualify_anew() {
    let world = World::new().await;
    let org = world
        .org_with(|new| {
            new.profile = Profile::K12;
            new.settings.recycle_resets_mql = true;
        })
        .await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("UPDATE lead_behaviour SET demo_requested = true")
        .execute(&mut *tx)
        .await
        .unwrap();
    let act = world.act(org);
    command::record_score(&mut tx, &act, id, Cause::Behaviour)
        .await
        .unwrap();
    command::recycle(&mut tx, &act, id).await.unwrap();
    let again = command::record_score(&mut tx, &act, id, Cause::Behaviour)
        .await
        .unwrap()
        .unwrap();
    tx.commit().await.unwrap();
    assert!(again.qualified);
    assert_eq!(read(&world, org, id).await.status, Status::Mql);
}

#[tokio::test]
async fn a_lead_that_is_being_worked_on_is_stamped_as_qualified_but_not_moved() {
    let world = World::new().await;
    let org = world.org_with(|new| new.profile = Profile::Outreach).await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    to(&world, org, id, Status::Conversing, None, false)
        .await
        .unwrap();
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("UPDATE lead_behaviour SET content_downloads = 3")
        .execute(&mut *tx)
        .await
        .unwrap();
    let scored = command::record_score(&mut tx, &world.act(org), id, Cause::Behaviour)
        .await
        .unwrap()
        .unwrap();
    tx.commit().await.unwrap();
    assert!(scored.qualified);
    let lead = read(&world, org, id).await;
    assert_eq!(
        (lead.status, lead.mql_at.is_some()),
        (Status::Conversing, true)
    );
    assert_eq!(
        value::<i64>(
            &world,
            org,
            "SELECT count(*) FROM domain_events WHERE type = 'lead.mql'"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn a_stage_takes_the_lead_and_its_status_along() {
    let world = World::new().await;
    let org = world.org_with(|new| new.profile = Profile::Pipeline).await;
    let id = captured(&world, org, &of("ada@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    let all = stages::list(&mut tx, org).await.unwrap();
    let named = |name: &str| all.iter().find(|stage| stage.name == name).unwrap().id;
    let act = world.act(org);

    let moved = command::move_stage(&mut tx, &act, id, named("Proposal"))
        .await
        .unwrap();
    assert_eq!(
        (moved.from, moved.status.changed()),
        (Some(named("New")), false)
    );
    let won = command::move_stage(&mut tx, &act, id, named("Won"))
        .await
        .unwrap();
    assert_eq!(won.status.to, Status::Won);
    let same = command::move_stage(&mut tx, &act, id, named("Won"))
        .await
        .unwrap();
    assert_eq!(same.stay, None);
    let refused = command::move_stage(&mut tx, &act, id, domain::id::StageId::new())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, CommandError::NotFound("stage")),
        "{refused:?}"
    );
    tx.commit().await.unwrap();

    let lead = read(&world, org, id).await;
    assert_eq!(
        (lead.stage_id, lead.status),
        (Some(named("Won")), Status::Won)
    );
    let open: domain::id::StageId = value(
        &world,
        org,
        "SELECT to_stage_id FROM lead_stage_history WHERE left_at IS NULL",
    )
    .await;
    assert_eq!(Some(open), lead.stage_id);
    let lines = rows(
        &world,
        org,
        "SELECT to_jsonb(description) FROM activities WHERE activity_type = 'stage_change' ORDER BY id",
    )
    .await;
    assert_eq!(lines, ["Stage: New → Proposal", "Stage: Proposal → Won"]);
}

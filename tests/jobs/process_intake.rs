//! A submission becomes a lead, joins one, or waits for a person.

use domain::id::{IntakeEventId, SpaceId};
use domain::lead::EnrichmentStatus;
use domain::org::OrgSettings;
use domain::store::forms::{self, NewForm};
use domain::submission::{IntakeState, Submission};
use jobs::ProcessIntake;
use serde_json::json;

use super::*;

/// What became of a submission: its state, its lead, and why.
async fn fate(
    world: &World,
    org: OrgId,
    event: IntakeEventId,
) -> (IntakeState, Option<LeadId>, Option<String>) {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query_as("SELECT state, lead_id, error FROM intake_events WHERE id = $1")
        .bind(event)
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_submission_becomes_a_lead_that_is_scored_and_told() {
    let (world, org, boss) = staffed().await;
    let event = submit(&world, org, &jane()).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let ran: Vec<_> = drained.runs.iter().filter_map(|ran| ran.kind).collect();
    for kind in [
        "process_intake",
        "score_lead",
        "enrich_lead",
        "notify_rep",
        "send_mail",
    ] {
        assert_eq!(
            ran.iter().filter(|ran| **ran == kind).count(),
            1,
            "{kind} in {ran:?}"
        );
    }
    let all = leads(&world, org).await;
    assert_eq!(all.len(), 1);
    let lead = &all[0];
    assert_eq!(
        fate(&world, org, event).await,
        (IntakeState::Processed, Some(lead.id), None)
    );
    assert!(lead.score_total.is_some());
    assert_eq!(kinds(&world, org, boss).await, ["lead_scored"]);
    assert_eq!(world.mailbox().await.count(), 1);
}

#[tokio::test]
async fn the_same_address_again_fills_gaps_of_the_lead_that_is_there() {
    let (world, org, boss) = staffed().await;
    submit(&world, org, &jane()).await;
    world.work().await;
    let more = submit(
        &world,
        org,
        &Submission {
            first_name: Some("J.".into()),
            email: Some(" JANE@Example.COM ".into()),
            company: Some("Example Inc".into()),
            ..Submission::default()
        },
    )
    .await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let all = leads(&world, org).await;
    assert_eq!(all.len(), 1);
    let details = &all[0].details;
    assert_eq!(details.first_name.as_deref(), Some("Jane"));
    assert_eq!(details.company_name.as_deref(), Some("Example Inc"));
    assert_eq!(fate(&world, org, more).await.0, IntakeState::Processed);
    assert_eq!(drained.count("score_lead"), 1);
    assert_eq!(drained.count("enrich_lead"), 1);
    assert_eq!(
        kinds(&world, org, boss).await,
        ["lead_scored"],
        "it is new only once"
    );

    let same = submit(&world, org, &jane()).await;
    let drained = world.work().await;

    assert_eq!(fate(&world, org, same).await.0, IntakeState::Duplicate);
    assert_eq!(
        drained.count("enrich_lead"),
        0,
        "there is nothing new to ask by"
    );
    assert_eq!(drained.count("score_lead"), 0, "nor to calculate from");
    assert_eq!(leads(&world, org).await.len(), 1);
}

#[tokio::test]
async fn leads_of_a_form_belong_to_its_workspace_while_that_takes_any() {
    let (world, org, _) = staffed().await;
    let space = SpaceId::new();
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("INSERT INTO spaces (id, org_id, name) VALUES ($1, $2, 'Looms')")
        .bind(space)
        .bind(org)
        .execute(&mut *tx)
        .await
        .unwrap();
    let form = forms::insert(
        &mut tx,
        org,
        &NewForm {
            name: "Contact",
            title: "Contact",
            token: "looms",
            questions: &[],
        },
    )
    .await
    .unwrap();
    sqlx::query("UPDATE forms SET space_id = $1")
        .bind(space)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for (is_active, email, expected) in [
        (true, "jane@example.com", Some(space)),
        (false, "joan@example.com", None),
    ] {
        let mut tx = world.db.org(org).await.unwrap();
        sqlx::query("UPDATE spaces SET is_active = $1")
            .bind(is_active)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let mut sent = jane();
        sent.email = Some(email.into());
        let event = submit(&world, org, &sent).await;
        let mut tx = world.db.org(org).await.unwrap();
        sqlx::query("UPDATE intake_events SET form_id = $1 WHERE id = $2")
            .bind(form)
            .bind(event)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();

        world.work().await;

        let lead = fate(&world, org, event).await.1.unwrap();
        assert_eq!(find(&world, org, lead).await.details.space_id, expected);
    }
}

#[tokio::test]
async fn orgs_keep_leads_of_the_same_address_apart() {
    let (world, org, _) = staffed().await;
    let other = world.another_org().await;
    submit(&world, org, &jane()).await;
    submit(&world, other, &jane()).await;

    world.work().await;

    let (ours, theirs) = (leads(&world, org).await, leads(&world, other).await);
    assert_eq!((ours.len(), theirs.len()), (1, 1));
    assert_ne!(ours[0].id, theirs[0].id);
}

#[tokio::test]
async fn what_says_nothing_of_anybody_waits_for_a_person_who_is_told() {
    let (world, org, boss) = staffed().await;
    let rep = world.rep("Ada").await.user;
    let nobody = Submission {
        message: Some("hello?".into()),
        ..Submission::default()
    };
    let event = submit(&world, org, &nobody).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let (state, lead, why) = fate(&world, org, event).await;
    assert_eq!((state, lead), (IntakeState::Quarantined, None));
    assert!(why.is_some_and(|why| why.contains("email")));
    assert_eq!(leads(&world, org).await.len(), 0);
    let told = news(&world, org, boss).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind, "intake_quarantined");
    assert_eq!(told[0].data, json!({"event": event}));
    assert_eq!(
        kinds(&world, org, rep).await,
        [""; 0],
        "reps cannot mend it"
    );
    let mails = letters(&world).await;
    assert_eq!(mails.len(), 1);
    assert!(mails[0].text.contains("/ops/jobs/1"), "{}", mails[0].text);

    // Nobody is flooded by somebody who sends nonsense all day; each submission is kept.
    let another = Submission {
        message: Some("hello again?".into()),
        ..Submission::default()
    };
    let event = submit(&world, org, &another).await;
    change(&world, org, "UPDATE intake_events SET provider = 'form'").await;
    world.work().await;
    assert_eq!(fate(&world, org, event).await.0, IntakeState::Quarantined);
    assert_eq!(letters(&world).await.len(), 1);
}

#[tokio::test]
async fn an_org_that_was_suspended_meanwhile_keeps_what_came_in() {
    let (world, org, _) = staffed().await;
    let event = submit(&world, org, &jane()).await;
    let mut tx = world.db.platform().await.unwrap();
    sqlx::query("UPDATE orgs SET status = 'suspended' WHERE id = $1")
        .bind(org)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();

    world.work().await;

    assert_eq!(fate(&world, org, event).await.0, IntakeState::Quarantined);
    assert_eq!(leads(&world, org).await.len(), 0);

    // It is served again, and a person has what was put aside run again, twice.
    let mut tx = world.db.platform().await.unwrap();
    sqlx::query("UPDATE orgs SET status = 'active' WHERE id = $1")
        .bind(org)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for _ in 0..2 {
        world.enqueue(&ProcessIntake { org, event }).await;
        assert_eq!(world.work().await.failures(), []);
    }
    let made = leads(&world, org).await;
    assert_eq!(made.len(), 1);
    assert_eq!(
        fate(&world, org, event).await,
        (IntakeState::Processed, Some(made[0].id), None)
    );
}

#[tokio::test]
async fn an_org_that_wants_no_look_ups_gets_none() {
    let world = World::new().await;
    let org = world
        .org_with(|new| {
            new.settings = OrgSettings {
                auto_enrich: false,
                ..OrgSettings::default()
            };
        })
        .await;
    submit(&world, org, &jane()).await;

    let drained = world.work().await;

    assert_eq!(drained.count("enrich_lead"), 0);
    let lead = &leads(&world, org).await[0];
    assert_eq!(lead.enrichment_status, EnrichmentStatus::None);
    assert!(lead.score_total.is_some());
}

#[tokio::test]
async fn a_job_for_what_is_not_there_ends() {
    let (world, org, _) = staffed().await;
    let event = IntakeEventId::new();
    world.enqueue(&ProcessIntake { org, event }).await;
    let org = OrgId::new();
    world.enqueue(&ProcessIntake { org, event }).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let outcomes: Vec<_> = drained.runs.iter().map(|ran| ran.outcome).collect();
    assert_eq!(outcomes, ["skipped"]);
}

#[tokio::test]
async fn an_address_that_is_taken_and_not_found_is_put_aside_for_a_person() {
    let (world, org, boss) = staffed().await;
    // Whatever keeps the lead from being made or found: here nothing is ever inserted.
    let never =
        "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER never BEFORE INSERT ON leads FOR EACH ROW EXECUTE FUNCTION never()";
    sqlx::raw_sql(never).execute(&world.pool).await.unwrap();
    let event = submit(&world, org, &jane()).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let mut tx = world.db.org(org).await.unwrap();
    let kept = intake_events::lock(&mut tx, org, event).await.unwrap();
    assert_eq!(kept.unwrap().state, IntakeState::Quarantined);
    drop(tx);
    assert_eq!(kinds(&world, org, boss).await, ["intake_quarantined"]);
}

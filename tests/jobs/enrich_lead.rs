//! Each class of a provider's answer, and what becomes of the lead.

use std::sync::Arc;

use domain::enrichment::Outcome as Said;
use domain::lead::EnrichmentStatus;
use domain::status::Status;
use domain::store::enrichment::{self, Run};
use jobs::Ctx;
use jobs::effects::enrichment::Enricher;
use serde_json::json;
use tokio::sync::Notify;

use super::*;
use crate::harness::{Answer, Provider};

/// Every question about the lead, latest first.
async fn runs(world: &World, org: OrgId, lead: LeadId) -> Vec<Run> {
    let mut tx = world.db.org(org).await.unwrap();
    enrichment::runs(&mut tx, org, lead).await.unwrap()
}

/// A lead about whom a provider that says this was asked.
async fn asked(
    answers: impl IntoIterator<Item = Answer>,
) -> (World, OrgId, UserId, LeadId, Provider) {
    let (world, org, boss) = staffed().await;
    let provider = Provider::that_says(answers).await;
    world.look_up_at(provider.url());
    let lead = lead(&world, org).await;
    world.enqueue(&enrich(org, lead)).await;
    (world, org, boss, lead, provider)
}

#[tokio::test]
async fn what_a_provider_knows_fills_gaps_and_the_lead_is_scored_again() {
    let (world, org, _, lead, provider) = asked([Answer::manager()]).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let found = find(&world, org, lead).await;
    assert_eq!(found.enrichment_status, EnrichmentStatus::Done);
    assert_eq!(
        found.details.job_title.as_deref(),
        Some("Chief Executive Officer")
    );
    assert_eq!(
        found.details.first_name.as_deref(),
        Some("Jane"),
        "what was there stays"
    );
    assert_eq!(found.enriched_at, Some(world.clock.now()));
    assert!(found.score_total.is_some());
    let runs = runs(&world, org, lead).await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].outcome, Some(Said::Matched));
    assert_eq!(provider.asked().len(), 1);
}

#[tokio::test]
async fn without_a_provider_the_job_ends_and_nothing_is_missing() {
    let (world, org, _) = staffed().await;
    submit(&world, org, &jane()).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let lead = &leads(&world, org).await[0];
    assert_eq!(lead.enrichment_status, EnrichmentStatus::Skipped);
    assert!(lead.score_total.is_some());
}

#[tokio::test]
async fn somebody_whom_nobody_knows_is_asked_about_once() {
    let (world, org, boss, lead, provider) = asked([Answer::status(404), Answer::manager()]).await;

    world.work().await;
    world.enqueue(&enrich(org, lead)).await;
    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let found = find(&world, org, lead).await;
    assert_eq!(found.enrichment_status, EnrichmentStatus::NotFound);
    assert_eq!(found.status, Status::New);
    assert_eq!(
        provider.asked().len(),
        1,
        "what was answered is not asked again"
    );
    assert_eq!(kinds(&world, org, boss).await, [""; 0]);
}

#[tokio::test]
async fn a_provider_that_refuses_our_key_is_left_alone_and_those_who_run_the_org_hear_of_it_once() {
    for status in [401, 403] {
        let (world, org, boss, first, provider) = asked([Answer::status(status)]).await;

        world.work().await;
        let second = lead(&world, org).await;
        world.enqueue(&enrich(org, second)).await;
        let drained = world.work().await;

        assert_eq!(
            find(&world, org, first).await.enrichment_status,
            EnrichmentStatus::Pending,
            "a key that is mended needs nobody to ask again"
        );
        assert_eq!(
            provider.asked().len(),
            1,
            "it is not asked while it refuses"
        );
        assert_eq!(drained.runs[0].outcome, "snoozed");
        assert_eq!(kinds(&world, org, boss).await, ["provider_refused"]);
        let mails = letters(&world).await;
        assert_eq!(mails.len(), 1);
        assert!(
            mails[0].text.contains("it refuses our key"),
            "{}",
            mails[0].text
        );

        world.clock.advance(chrono::TimeDelta::hours(2));
        provider.then(Answer::manager());
        provider.then(Answer::manager());
        world.work_early().await;

        for lead in [first, second] {
            let found = find(&world, org, lead).await;
            assert_eq!(found.enrichment_status, EnrichmentStatus::Done);
        }
    }
}

#[tokio::test]
async fn a_provider_that_wants_rest_gets_as_much_as_it_says() {
    let (world, org, _, lead, provider) =
        asked([Answer::with(429, "retry-after", "120"), Answer::manager()]).await;

    let drained = world.work().await;

    let outcomes: Vec<_> = drained.runs.iter().map(|ran| ran.outcome).collect();
    assert_eq!(outcomes, ["snoozed"]);
    let wait: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM run_at - now())::float8 FROM queue.job WHERE kind = 'enrich_lead'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert!((100.0..=120.0).contains(&wait), "{wait}");
    assert_eq!(
        find(&world, org, lead).await.enrichment_status,
        EnrichmentStatus::Pending
    );

    world.work_early().await;
    assert_eq!(provider.asked().len(), 1, "not before the time is over");
    world.clock.advance(chrono::TimeDelta::seconds(121));
    world.work_early().await;

    assert_eq!(
        find(&world, org, lead).await.enrichment_status,
        EnrichmentStatus::Done
    );
    assert_eq!(provider.asked().len(), 2);
}

#[tokio::test]
async fn credits_that_are_used_up_are_told_and_waited_for() {
    let (world, org, boss, lead, _provider) = asked([Answer::status(402)]).await;

    let drained = world.work().await;

    assert_eq!(drained.runs[0].outcome, "snoozed");
    assert_eq!(kinds(&world, org, boss).await, ["provider_refused"]);
    assert_eq!(
        find(&world, org, lead).await.enrichment_status,
        EnrichmentStatus::Pending
    );
    world.leave_jobs();
}

#[tokio::test]
async fn an_answer_that_is_to_follow_is_asked_for_again() {
    let (world, org, _, lead, provider) = asked([Answer::status(202), Answer::manager()]).await;

    let drained = world.work().await;
    assert_eq!(drained.runs[0].outcome, "snoozed");
    world.clock.advance(chrono::TimeDelta::seconds(31));
    world.work_early().await;

    assert_eq!(
        find(&world, org, lead).await.enrichment_status,
        EnrichmentStatus::Done
    );
    assert_eq!(provider.asked().len(), 2);
    assert_eq!(runs(&world, org, lead).await.len(), 1, "it is one question");
}

#[tokio::test]
async fn an_answer_that_is_to_follow_and_does_not_in_a_day_is_given_up() {
    let (world, org, _, lead, provider) = asked(vec![Answer::status(202); 100]).await;

    let mut asked = 0;
    world.work().await;
    while find(&world, org, lead).await.enrichment_status == EnrichmentStatus::Pending {
        asked += 1;
        assert!(asked <= 24, "a day is over");
        world.clock.advance(chrono::TimeDelta::hours(1));
        world.work_early().await;
    }

    assert_eq!(asked, 24, "not before");
    assert_eq!(
        find(&world, org, lead).await.enrichment_status,
        EnrichmentStatus::Failed
    );
    let runs = runs(&world, org, lead).await;
    assert_eq!((runs.len(), runs[0].outcome), (1, Some(Said::Error)));
    let questions = provider.asked().len();
    world.work_early().await;
    assert_eq!(provider.asked().len(), questions);
}

#[tokio::test]
async fn who_objects_is_never_asked_about_again() {
    let (world, org, _) = staffed().await;
    let provider = Provider::that_says([Answer::status(451), Answer::manager()]).await;
    world.look_up_at(provider.url());
    submit(&world, org, &jane()).await;
    world.work().await;
    let first = leads(&world, org).await[0].id;

    // Many years later, by the job itself, by what the person says anew, and as a lead that was deleted and came again.
    world.clock.advance(chrono::TimeDelta::days(4_000));
    world.enqueue(&enrich(org, first)).await;
    world.work().await;
    let mut anew = jane();
    anew.job_title = Some("Engineer".into());
    submit(&world, org, &anew).await;
    world.work().await;
    assert_eq!(
        find(&world, org, first).await.enrichment_status,
        EnrichmentStatus::Skipped
    );
    let mut tx = world.db.org(org).await.unwrap();
    command::soft_delete_lead(&mut tx, &world.act(org), first)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    submit(&world, org, &jane()).await;
    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let second = &leads(&world, org).await[0];
    assert_ne!(second.id, first);
    assert_eq!(second.enrichment_status, EnrichmentStatus::Skipped);
    assert_eq!(provider.asked().len(), 1);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_ends_well() {
    for trouble in [
        Answer::status(500),
        Answer::status(503),
        Answer::HangUp,
        Answer::Silence,
    ] {
        let (world, org, _, lead, provider) = asked([trouble, Answer::manager()]).await;

        let drained = world.work().await;
        assert_eq!(drained.failures().len(), 1);
        assert_eq!(
            find(&world, org, lead).await.enrichment_status,
            EnrichmentStatus::Pending
        );
        let drained = world.work_early().await;

        assert_eq!(drained.failures(), []);
        assert_eq!(
            find(&world, org, lead).await.enrichment_status,
            EnrichmentStatus::Done
        );
        assert_eq!(provider.asked().len(), 2);
    }
}

#[tokio::test]
async fn what_does_not_pass_is_given_up_and_the_lead_says_so() {
    let (world, org, _, lead, provider) = asked(vec![Answer::status(500); 30]).await;

    let mut attempts = 0;
    while !world.work_early().await.runs.is_empty() {
        attempts += 1;
        assert!(attempts < 30, "it is given up in the end");
    }

    assert_eq!(
        find(&world, org, lead).await.enrichment_status,
        EnrichmentStatus::Failed
    );
    assert_eq!(provider.asked().len(), 20);
}

#[tokio::test]
async fn an_answer_that_is_no_answer_settles_nothing_and_breaks_nothing() {
    let huge = vec![b'x'; 2 << 20];
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for (what, answer, expected) in [
        (
            "not JSON",
            Answer::Say(200, vec![], b"<html>hello".to_vec()),
            EnrichmentStatus::NotFound,
        ),
        (
            "not text",
            Answer::Say(200, vec![], vec![0xff, 0xfe, 0]),
            EnrichmentStatus::NotFound,
        ),
        (
            "larger than it may be",
            Answer::Say(200, vec![], huge),
            EnrichmentStatus::Failed,
        ),
        (
            "too deep",
            Answer::Say(200, vec![], deep.into_bytes()),
            EnrichmentStatus::NotFound,
        ),
        (
            "an empty account",
            Answer::json(&json!({"person": {}})),
            EnrichmentStatus::NotFound,
        ),
        (
            "other types",
            Answer::json(
                &json!({"person": {"job_title": {"a": [1]}}, "company": {"employees": "many"}}),
            ),
            EnrichmentStatus::Done,
        ),
        (
            "a redirection",
            Answer::with(302, "location", "http://127.0.0.1:1/"),
            EnrichmentStatus::Failed,
        ),
        (
            "not understood",
            Answer::status(422),
            EnrichmentStatus::Failed,
        ),
        (
            "an objection",
            Answer::status(451),
            EnrichmentStatus::Skipped,
        ),
        (
            "an unknown refusal",
            Answer::status(418),
            EnrichmentStatus::Failed,
        ),
    ] {
        let (world, org, _, lead, provider) = asked([answer]).await;

        let mut drained = world.work().await;
        // What might pass gets its later attempts.
        while drained
            .failures()
            .iter()
            .any(|(kind, _)| *kind == "enrich_lead")
        {
            drained = world.work_early().await;
        }

        let found = find(&world, org, lead).await;
        assert_eq!(found.enrichment_status, expected, "{what}");
        assert_eq!(found.details.job_title, None, "{what}");
        assert_eq!(provider.asked().len(), 1, "{what}");
    }
}

#[tokio::test]
async fn texts_that_no_database_takes_or_no_header_survives_are_made_harmless() {
    let hostile = json!({"person": {"job_title": "CEO\u{0}\r\nBcc: x@example.test", "phone": "\u{0}"},
        "company": {"name": "E\u{0}vil\r\n", "website": "javascript:alert(1)"}});
    let (world, org, _, lead, _provider) = asked([Answer::json(&hostile)]).await;

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    let title = find(&world, org, lead).await.details.job_title.unwrap();
    assert!(!title.contains(['\0', '\r', '\n']), "{title:?}");
}

/// The jobs' parts, but only the internet is asked.
async fn careful(world: &World) -> Ctx {
    let mut ctx = world.ctx().await;
    let mut settings = world.enrichment();
    settings.allow_private = false;
    ctx.effects.enrich = Enricher::new(&settings).unwrap();
    ctx
}

#[tokio::test]
async fn nobody_inside_this_network_is_asked() {
    for inside in [
        "http://{}/",
        "https://{}/",
        "https://localhost:{port}/",
        "https://169.254.169.254/",
    ] {
        let (world, org, _, lead, provider) = asked([Answer::manager()]).await;
        let address = url::Url::parse(provider.url()).unwrap();
        let port = address.port().unwrap().to_string();
        let inside = inside.replace("{}", &format!("127.0.0.1:{port}"));
        world.look_up_at(&inside.replace("{port}", &port));

        let ctx = careful(&world).await;
        world.work_with(&ctx).await;

        let found = find(&world, org, lead).await;
        assert_ne!(found.enrichment_status, EnrichmentStatus::Done, "{inside}");
        assert_eq!(provider.asked().len(), 0, "{inside}");
        world.leave_jobs();
    }
}

#[tokio::test]
async fn a_lead_that_changes_while_it_is_asked_about_is_asked_about_anew() {
    let let_go = Arc::new(Notify::new());
    let outdated = json!({"person": {"job_title": "Clerk"}});
    let outdated = Answer::Held(let_go.clone(), Box::new(Answer::json(&outdated)));
    let (world, org, _, lead, provider) = asked([outdated, Answer::manager()]).await;

    // The first answer takes its time; meanwhile somebody mends the address.
    let (drained, ()) = tokio::join!(world.work(), async {
        provider.until_asked(1).await;
        change(&world, org, "UPDATE leads SET email = 'grace@example.org'").await;
        let exists = world.enqueue(&enrich(org, lead)).await;
        assert!(matches!(exists, queue::Enqueued::Exists(_)));
        let_go.notify_one();
    });

    assert_eq!(drained.failures(), []);
    let asked = provider.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1].contains("grace%40example.org"), "{asked:?}");
    let found = find(&world, org, lead).await;
    assert_eq!(found.enrichment_status, EnrichmentStatus::Done);
    assert_eq!(
        found.details.job_title.as_deref(),
        Some("Chief Executive Officer")
    );
}

#[tokio::test]
async fn a_change_that_is_under_way_when_nobody_can_be_asked_is_waited_for() {
    let (world, org, _) = staffed().await;
    let lead = lead(&world, org).await;
    change(
        &world,
        org,
        "UPDATE leads SET enrichment_status = 'skipped'",
    )
    .await;
    world.enqueue(&enrich(org, lead)).await;
    let mut tx = world.db.org(org).await.unwrap();
    let edit = sqlx::query("UPDATE leads SET email = 'grace@example.org'");
    edit.execute(&mut *tx).await.unwrap();

    let (drained, ()) = tokio::join!(world.work(), async {
        world.until_somebody_waits().await;
        tx.commit().await.unwrap();
    });

    let outcomes: Vec<_> = drained.runs.iter().map(|ran| ran.outcome).collect();
    assert_eq!(outcomes, ["snoozed", "skipped"]);
}

#[tokio::test]
async fn a_lead_that_is_gone_is_not_asked_about() {
    let (world, org, _, lead, provider) = asked([Answer::manager()]).await;
    let mut tx = world.db.org(org).await.unwrap();
    command::soft_delete_lead(&mut tx, &world.act(org), lead)
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let drained = world.work().await;

    assert_eq!(drained.failures(), []);
    assert_eq!(drained.runs[0].outcome, "skipped");
    assert_eq!(provider.asked().len(), 0);
}

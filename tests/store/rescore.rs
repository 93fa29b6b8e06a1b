//! An org is scored anew, chunk by chunk, as if each lead had been scored alone.

use std::collections::HashSet;

use domain::clock::Timestamp;
use domain::command::{self, Rescored, Stretch, Transition};
use domain::id::{LeadId, OrgId, RunId, ScoringProfileId};
use domain::org::Profile;
use domain::score::{Band, Cause};
use domain::status::Status;
use domain::store::rescore::{self, NewScores, Run};

use super::{captured, done, of, read, rows, value};
use crate::harness::World;

/// The leads of an org, at most `size` to a stretch.
async fn stretches(world: &World, org: OrgId, size: usize) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    while all.last().is_none_or(|stretch| stretch.more) {
        let after = all.last().map(|stretch| stretch.until);
        let next = done(world, org, async |tx, act| {
            command::next_stretch(tx, act, after, size).await.unwrap()
        });
        match next.await {
            Some(next) => all.push(next),
            None => break,
        }
    }
    all
}

/// Scores one stretch.
async fn score(
    world: &World,
    org: OrgId,
    run: RunId,
    due: Timestamp,
    stretch: &Stretch,
) -> Rescored {
    done(world, org, async |tx, act| {
        let mut act = act.clone();
        act.at = due;
        command::rescore_stretch(tx, &act, run, stretch)
            .await
            .unwrap()
    })
    .await
}

/// The whole of a run, in stretches of `size`.
async fn run(world: &World, org: OrgId, run: RunId, due: Timestamp, size: usize) -> Vec<Rescored> {
    let mut all = Vec::new();
    for stretch in stretches(world, org, size).await {
        all.push(score(world, org, run, due, &stretch).await);
    }
    all
}

/// How many leads got another score.
fn scored(all: &[Rescored]) -> usize {
    all.iter().map(|one| one.scored).sum()
}

async fn with_titles(world: &World, org: OrgId, count: usize) -> Vec<LeadId> {
    let mut leads = Vec::new();
    for n in 0..count {
        let mut capture = of(&format!("lead{n}@engines.test"));
        capture.details.job_title = Some(["CEO", "Director", "Clerk"][n % 3].into());
        leads.push(captured(world, org, &capture).await);
    }
    leads
}

/// Leads whose last score is not the one they show.
const APART: &str = "SELECT count(*) FROM leads WHERE score_total IS DISTINCT FROM
    (SELECT score FROM lead_scores WHERE lead_id = leads.id ORDER BY computed_at DESC, id DESC LIMIT 1)";

#[tokio::test]
async fn every_open_lead_is_seen_once_and_scored_as_it_would_be_alone() {
    let world = World::new().await;
    let org = world.org().await;
    let leads = with_titles(&world, org, 7).await;
    let closed = leads[6];
    let how = Transition {
        to: Status::Lost,
        reason: None,
        reopen: false,
    };
    done(&world, org, async |tx, act| {
        command::transition(tx, act, closed, &how).await.unwrap()
    })
    .await;
    world.clock.advance(chrono::TimeDelta::hours(1));

    let rescored = run(&world, org, RunId::new(), world.clock.now(), 2).await;

    assert_eq!(
        rescored.iter().map(|one| one.seen).collect::<Vec<_>>(),
        [2, 2, 2]
    );
    assert_eq!(scored(&rescored), 6);
    assert_eq!(read(&world, org, closed).await.score_total, None);
    world.clock.advance(chrono::TimeDelta::hours(1));
    for lead in &leads[..6] {
        let by_run = read(&world, org, *lead).await;
        assert_eq!(by_run.score_version.as_deref(), Some("v1.0"));
        let alone = done(&world, org, async |tx, act| {
            command::record_score(tx, act, *lead, Cause::Manual)
                .await
                .unwrap()
        });
        let alone = alone.await.unwrap().score;
        assert_eq!(
            (by_run.score_total, by_run.score_band),
            (Some(alone.total), Some(alone.band))
        );
    }
    assert_eq!(value::<i64>(&world, org, APART).await, 0);
}

#[tokio::test]
async fn a_score_that_comes_out_as_before_is_not_kept_again() {
    let world = World::new().await;
    let org = world.org().await;
    let leads = with_titles(&world, org, 5).await;
    run(&world, org, RunId::new(), world.clock.now(), 10).await;
    world.clock.advance(chrono::TimeDelta::days(1));
    done(&world, org, async |tx, _| {
        sqlx::query("UPDATE leads SET estimated_value_minor = 10000000 WHERE id = $1")
            .bind(leads[2])
            .execute(tx)
            .await
            .unwrap()
    })
    .await;

    let rescored = run(&world, org, RunId::new(), world.clock.now(), 10).await;

    assert_eq!((rescored[0].seen, rescored[0].scored), (5, 1));
    assert_eq!(
        value::<i64>(&world, org, "SELECT count(*) FROM lead_scores").await,
        6
    );
    for lead in leads {
        let shown = read(&world, org, lead).await.score_updated_at;
        assert_eq!(shown, Some(world.clock.now()), "looked at, changed or not");
    }
    assert_eq!(value::<i64>(&world, org, APART).await, 0);
}

#[tokio::test]
async fn an_org_may_keep_unchanged_scores_too() {
    let world = World::new().await;
    let org = world
        .org_with(|new| new.settings.record_unchanged_scores = true)
        .await;
    with_titles(&world, org, 3).await;
    run(&world, org, RunId::new(), world.clock.now(), 10).await;
    world.clock.advance(chrono::TimeDelta::days(1));
    let due = world.clock.now();
    let twice = RunId::new();
    assert_eq!(scored(&run(&world, org, twice, due, 10).await), 3);
    assert_eq!(
        scored(&run(&world, org, twice, due, 10).await),
        0,
        "a run that is done again"
    );
    assert_eq!(
        value::<i64>(&world, org, "SELECT count(*) FROM lead_scores").await,
        6
    );
}

#[tokio::test]
async fn a_run_that_is_done_again_changes_nothing_even_if_the_leads_did() {
    let world = World::new().await;
    let org = world.org().await;
    with_titles(&world, org, 4).await;
    let (again, due) = (RunId::new(), world.clock.now());
    run(&world, org, again, due, 10).await;
    done(&world, org, async |tx, _| {
        sqlx::query("UPDATE leads SET estimated_value_minor = 10000000")
            .execute(tx)
            .await
            .unwrap()
    })
    .await;
    let count = "SELECT count(*) FROM lead_scores";
    let events = "SELECT count(*) FROM domain_events WHERE type = 'lead.band_changed'";
    let before = (
        value::<i64>(&world, org, count).await,
        value::<i64>(&world, org, events).await,
    );

    let rescored = run(&world, org, again, due, 10).await;

    let after = (
        value::<i64>(&world, org, count).await,
        value::<i64>(&world, org, events).await,
    );
    assert_eq!((scored(&rescored), after), (0, before));
    assert!(rescored[0].turned_hot.is_empty());
    assert_eq!(value::<i64>(&world, org, APART).await, 0);
}

#[tokio::test]
async fn a_lead_scored_since_the_run_was_due_keeps_that_score() {
    let world = World::new().await;
    let org = world.org().await;
    let leads = with_titles(&world, org, 2).await;
    let due = world.clock.now();
    world.clock.advance(chrono::TimeDelta::minutes(5));
    done(&world, org, async |tx, act| {
        command::record_score(tx, act, leads[0], Cause::Behaviour)
            .await
            .unwrap()
    })
    .await;

    let rescored = run(&world, org, RunId::new(), due, 10).await;

    assert_eq!(scored(&rescored), 1);
    assert_eq!(
        read(&world, org, leads[0]).await.score_updated_at,
        Some(world.clock.now())
    );
    assert_eq!(value::<i64>(&world, org, APART).await, 0);
}

#[tokio::test]
async fn a_lead_that_is_closed_or_deleted_after_it_was_read_keeps_what_it_has() {
    let world = World::new().await;
    let org = world.org().await;
    let leads = with_titles(&world, org, 3).await;
    let part = &stretches(&world, org, 10).await[0];
    let (due, profile) = (world.clock.now(), ScoringProfileId::new());
    let read_first = done(&world, org, async |tx, _| {
        rescore::open(tx, org, (None, part.until), due)
            .await
            .unwrap()
    });
    let read_first = read_first.await;
    assert_eq!(read_first.len(), 3);
    let lost = Transition {
        to: Status::Lost,
        reason: None,
        reopen: false,
    };
    done(&world, org, async |tx, act| {
        command::transition(tx, act, leads[0], &lost).await.unwrap();
        command::soft_delete_lead(tx, act, leads[1]).await.unwrap();
    })
    .await;

    let taken = done(&world, org, async |tx, _| {
        let (mut new, id) = (NewScores::default(), RunId::new());
        for lead in &read_first {
            new.push(id, lead, 90, Band::Hot, vec![1], &[]).unwrap();
        }
        let run = Run {
            id,
            profile,
            version: "v1.0",
            due,
        };
        let taken = rescore::insert(tx, org, &run, new).await.unwrap();
        let later = due + chrono::TimeDelta::hours(1);
        rescore::touch(tx, org, &leads, later).await.unwrap();
        taken
    });

    assert_eq!(taken.await, [leads[2]]);
    let untouched = "SELECT count(*) FROM leads WHERE score_updated_at IS NULL";
    assert_eq!(value::<i64>(&world, org, untouched).await, 2);
    let kept = "SELECT count(*) FROM lead_scores";
    assert_eq!(value::<i64>(&world, org, kept).await, 1);
}

#[tokio::test]
async fn who_turned_hot_and_who_qualified_is_told_once() {
    let world = World::new().await;
    let org = world.org().await;
    let leads = with_titles(&world, org, 3).await;
    run(&world, org, RunId::new(), world.clock.now(), 10).await;
    // The first becomes a dream of a lead, the second asked for a demonstration.
    done(&world, org, async |tx, _| {
        let sql = "UPDATE leads SET estimated_value_minor = 10000000, source_category = 'referral', first_name = 'Ada',
            last_name = 'Lovelace', phone = '1', linkedin_url = 'x', source_url = 'x', country = 'GB',
            company_name = 'x' WHERE id = $1";
        sqlx::query(sql).bind(leads[0]).execute(&mut *tx).await.unwrap();
        let sql = "UPDATE lead_behaviour SET demo_requested = true WHERE lead_id = $1";
        sqlx::query(sql).bind(leads[1]).execute(tx).await.unwrap();
    })
    .await;

    world.clock.advance(chrono::TimeDelta::days(1));
    let first = run(&world, org, RunId::new(), world.clock.now(), 10).await;
    world.clock.advance(chrono::TimeDelta::days(1));
    let second = run(&world, org, RunId::new(), world.clock.now(), 10).await;

    assert_eq!(first[0].turned_hot, [leads[0]]);
    let qualified: HashSet<_> = first[0].qualified.iter().copied().collect();
    assert_eq!(
        qualified,
        HashSet::from([leads[0], leads[1]]),
        "a score of 60 qualifies too"
    );
    assert_eq!(
        (second[0].turned_hot.len(), second[0].qualified.len()),
        (0, 0)
    );
}

/// What is written of a lead's marks and moves, without what differs by when and by whom.
const LEFT: &str = "
    SELECT jsonb_build_object('lead', status, 'since', status_changed_at = $TIME, 'mql', mql_at = $TIME, 'version', version)
        FROM leads
    UNION ALL (SELECT jsonb_build_object('was', from_status, 'is', to_status, 'by', trigger, 'why', reason)
        FROM lead_status_history ORDER BY id)
    UNION ALL (SELECT jsonb_build_object('line', activity_type, 'text', description, 'data', activity_data)
        FROM activities WHERE activity_type = 'status_change')
    UNION ALL (SELECT jsonb_build_object('event', type, 'payload', payload)
        FROM domain_events WHERE type IN ('lead.mql', 'lead.status_changed') ORDER BY id)
    UNION ALL (SELECT jsonb_build_object('audit', action, 'by', actor_kind, 'kind', entity_type, 'lead', entity_id = (SELECT id FROM leads),
            'before', before, 'after', after - 'mql_at')
        FROM audit_log WHERE action IN ('lead.qualify', 'lead.transition') ORDER BY id)";

#[tokio::test]
async fn who_qualifies_in_a_run_leaves_what_who_qualifies_alone_leaves() {
    let world = World::new().await;
    for (profile, status) in [
        (Profile::Unified, Status::Mql),
        (Profile::Agency, Status::New),
    ] {
        let alone = world.org_with(|new| new.profile = profile).await;
        let in_run = world.org_with(|new| new.profile = profile).await;
        for org in [alone, in_run] {
            captured(&world, org, &of("ada@engines.test")).await;
            done(&world, org, async |tx, _| {
                let sql = "UPDATE lead_behaviour SET demo_requested = true";
                sqlx::query(sql).execute(tx).await.unwrap()
            })
            .await;
        }

        let qualified = done(&world, alone, async |tx, act| {
            let lead = sqlx::query_scalar("SELECT id FROM leads");
            let lead = lead.fetch_one(&mut *tx).await.unwrap();
            command::record_score(tx, act, lead, Cause::Manual)
                .await
                .unwrap()
        });
        assert!(qualified.await.unwrap().qualified);
        let rescored = run(&world, in_run, RunId::new(), world.clock.now(), 10).await;
        assert_eq!(rescored[0].qualified.len(), 1);

        let left = async |org| {
            let time = format!("'{}'::timestamptz", world.clock.now().to_rfc3339());
            let mut tx = world.db.org(org).await.unwrap();
            let sql = sqlx::AssertSqlSafe(LEFT.replace("$TIME", &time));
            let rows: Vec<serde_json::Value> =
                sqlx::query_scalar(sql).fetch_all(&mut *tx).await.unwrap();
            rows
        };
        let by_run = left(in_run).await;
        assert_eq!(by_run, left(alone).await);
        assert_eq!(by_run[0]["lead"], status.as_str());
        assert_eq!(by_run[0]["mql"], true);
    }
}

#[tokio::test]
async fn a_band_that_a_lead_never_had_is_not_told_as_the_one_before() {
    let world = World::new().await;
    let org = world.org().await;
    captured(&world, org, &of("ada@engines.test")).await;
    done(&world, org, async |tx, _| {
        let sql = "UPDATE leads SET estimated_value_minor = 10000000, source_category = 'referral', job_title = 'CEO'";
        sqlx::query(sql).execute(tx).await.unwrap()
    })
    .await;

    run(&world, org, RunId::new(), world.clock.now(), 10).await;

    let told = "SELECT payload FROM domain_events WHERE type = 'lead.band_changed'";
    let told = rows(&world, org, told).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["from"], serde_json::Value::Null);
    assert_eq!(told[0]["to"], "hot");
}

#[tokio::test]
async fn a_run_touches_one_org_only() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    with_titles(&world, here, 2).await;
    let theirs = with_titles(&world, there, 2).await;
    run(&world, here, RunId::new(), world.clock.now(), 10).await;
    for lead in theirs {
        assert_eq!(read(&world, there, lead).await.score_total, None);
    }
}

#[tokio::test]
async fn stretches_that_are_scored_at_once_share_no_lead_and_miss_none() {
    let world = World::new().await;
    let org = world.org().await;
    with_titles(&world, org, 8).await;
    let parts = stretches(&world, org, 3).await;
    let (run, due) = (RunId::new(), world.clock.now());

    let (first, second, third) = tokio::join!(
        score(&world, org, run, due, &parts[0]),
        score(&world, org, run, due, &parts[1]),
        score(&world, org, run, due, &parts[2]),
    );

    assert_eq!(parts.len(), 3);
    assert_eq!((first.scored, second.scored, third.scored), (3, 3, 2));
    assert_eq!(value::<i64>(&world, org, APART).await, 0);
}

#[tokio::test]
async fn a_run_cannot_give_a_lead_two_scores() {
    let world = World::new().await;
    let org = world.org().await;
    with_titles(&world, org, 1).await;
    let (run, due) = (RunId::new(), world.clock.now());
    let stretch = &stretches(&world, org, 10).await[0];
    score(&world, org, run, due, stretch).await;
    // As if what the lead shows had been lost.
    done(&world, org, async |tx, _| {
        let sql = "UPDATE leads SET score_updated_at = NULL, score_hash = NULL";
        sqlx::query(sql).execute(tx).await.unwrap()
    })
    .await;

    let mut tx = world.db.org(org).await.unwrap();
    let mut act = world.act(org);
    act.at = due;
    let refused = command::rescore_stretch(&mut tx, &act, run, stretch).await;

    let why = refused.unwrap_err().to_string();
    assert!(why.contains("lead_scores_default_pkey"), "{why}");
}

//! A score is kept with its reasons, and the last one is the one shown.

use domain::command;
use domain::company::CompanyFacts;
use domain::id::{LeadId, OrgId, ScoringProfileId};
use domain::org::Profile;
use domain::score::{Band, Cause, Model, ScoringProfile};
use domain::store::{lead_history, rescore, scoring};
use serde_json::json;

use super::{captured, code, done, of, read, rows, value};
use crate::harness::World;

async fn scored(world: &World, org: OrgId, lead: LeadId, cause: Cause) -> command::Scored {
    done(world, org, async |tx, act| {
        command::record_score(tx, act, lead, cause).await.unwrap()
    })
    .await
    .expect("the org has a profile")
}

/// Lets `change` be how the org scores from now on.
async fn activate(
    world: &World,
    org: OrgId,
    version: &str,
    change: impl FnOnce(&mut ScoringProfile),
) {
    let mut profile = ScoringProfile::first(Model::Composite);
    profile.id = ScoringProfileId::new();
    profile.version = version.into();
    change(&mut profile);
    done(world, org, async |tx, act| {
        scoring::activate_profile(tx, org, &profile, None, act.at)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_lead_shows_its_last_score_and_history_has_all_with_their_reasons() {
    let world = World::new().await;
    let org = world.org().await;
    let mut capture = of("ada@engines.test");
    capture.details.job_title = Some("CEO".into());
    let lead = captured(&world, org, &capture).await;

    let first = scored(&world, org, lead, Cause::Created).await;
    world.clock.advance(chrono::TimeDelta::hours(1));
    done(&world, org, async |tx, _| {
        let sql = "UPDATE leads SET source_category = 'referral', estimated_value_minor = 10000000";
        sqlx::query(sql).execute(tx).await.unwrap();
    })
    .await;
    let second = scored(&world, org, lead, Cause::Manual).await;

    assert_eq!(
        (first.previous, second.previous),
        (None, Some(first.score.total))
    );
    assert!(second.score.total > first.score.total);
    let shown = read(&world, org, lead).await;
    assert_eq!(shown.score_total, Some(second.score.total));
    assert_eq!(shown.score_band, Some(second.score.band));
    assert_eq!(shown.score_version.as_deref(), Some("v1.0"));
    assert_eq!(shown.score_updated_at, Some(world.clock.now()));
    let mut tx = world.db.org(org).await.unwrap();
    let given = lead_history::scores(&mut tx, org, lead, None, 10)
        .await
        .unwrap();
    assert_eq!(given.len(), 2);
    assert_eq!(given[0].score, second.score.total);
    let sums = rows(
        &world,
        org,
        "SELECT jsonb_build_array(score, (SELECT sum((factor ->> 'points')::int) FROM json_array_elements(factors) factor),
            trigger, previous_score) FROM lead_scores ORDER BY computed_at",
    )
    .await;
    let (a, b) = (first.score.total, second.score.total);
    assert_eq!(
        sums,
        [json!([a, a, "created", null]), json!([b, b, "manual", a])]
    );
}

#[tokio::test]
async fn a_crossing_of_bands_is_an_event_and_a_change_of_points_a_smaller_one() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    scored(&world, org, lead, Cause::Created).await;
    // Nothing is different, so nothing is told; the calculation is kept all the same.
    scored(&world, org, lead, Cause::Manual).await;
    activate(&world, org, "v2.0", |profile| {
        (profile.band_warm, profile.band_hot) = (1, 2)
    })
    .await;
    let hot = scored(&world, org, lead, Cause::ProfileChange).await;

    assert!(hot.turned_hot());
    assert_eq!(
        (hot.band_before, hot.score.band),
        (Some(Band::Cold), Band::Hot)
    );
    let told = rows(
        &world,
        org,
        "SELECT to_jsonb(type) FROM domain_events WHERE type IN ('lead.scored', 'lead.band_changed') ORDER BY id",
    )
    .await;
    assert_eq!(told, ["lead.scored", "lead.band_changed"]);
    assert_eq!(
        value::<i64>(&world, org, "SELECT count(*) FROM lead_scores").await,
        3
    );
    let lines = "SELECT count(*) FROM activities WHERE activity_type = 'score_change'";
    assert_eq!(value::<i64>(&world, org, lines).await, 1);
}

#[tokio::test]
async fn one_version_scores_at_a_time_and_the_others_stay_for_the_record() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    scored(&world, org, lead, Cause::Created).await;
    activate(&world, org, "v2.0", |profile| {
        profile.config.factors.completeness = 0
    })
    .await;
    world.clock.advance(chrono::TimeDelta::hours(1));
    scored(&world, org, lead, Cause::ProfileChange).await;

    let versions = "SELECT jsonb_agg(version ORDER BY computed_at) FROM lead_scores";
    assert_eq!(rows(&world, org, versions).await, [json!(["v1.0", "v2.0"])]);
    let profiles = "SELECT jsonb_object_agg(version, is_active) FROM scoring_profiles";
    assert_eq!(
        rows(&world, org, profiles).await,
        [json!({"v1.0": false, "v2.0": true})]
    );

    let mut tx = world.db.org(org).await.unwrap();
    let both = sqlx::query("UPDATE scoring_profiles SET is_active = true")
        .execute(&mut *tx)
        .await;
    assert_eq!(code(&both.unwrap_err()), "23505");
}

#[tokio::test]
async fn orgs_score_the_same_person_each_in_its_own_way() {
    let world = World::new().await;
    let sales = world.org_with(|new| new.profile = Profile::Pipeline).await;
    let schools = world.org_with(|new| new.profile = Profile::K12).await;
    let mut capture = of("ada@district.test");
    capture.details.enrollment = Some(20_000);
    let mut totals = Vec::new();
    for org in [sales, schools] {
        let lead = captured(&world, org, &capture).await;
        totals.push(scored(&world, org, lead, Cause::Created).await.score.total);
    }
    // First name and address of ten fields, and a source of no note; a district of the largest tier.
    assert_eq!(totals, [2 + 3, 20]);
}

#[tokio::test]
async fn rules_of_the_org_add_to_its_model() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    activate(&world, org, "v2.0", |_| {}).await;
    let before = scored(&world, org, lead, Cause::Manual).await.score.total;
    done(&world, org, async |tx, _| {
        for (active, points) in [(true, 30), (false, 50)] {
            sqlx::query(
                "INSERT INTO scoring_rules (id, org_id, criteria_type, condition, value, points, is_active)
                 VALUES (gen_random_uuid(), $1, 'email_domain', 'equals', '\"engines.test\"', $2, $3)",
            )
            .bind(org)
            .bind(points)
            .bind(active)
            .execute(&mut *tx)
            .await
            .unwrap();
        }
    })
    .await;
    assert_eq!(
        scored(&world, org, lead, Cause::Manual).await.score.total,
        before + 30
    );
}

#[tokio::test]
async fn an_org_without_a_profile_scores_nobody() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let nothing = done(&world, org, async |tx, act| {
        sqlx::query("UPDATE scoring_profiles SET is_active = false")
            .execute(&mut *tx)
            .await
            .unwrap();
        command::record_score(tx, act, lead, Cause::Manual)
            .await
            .unwrap()
    });
    assert_eq!(nothing.await, None);
    assert_eq!(read(&world, org, lead).await.score_total, None);
}

#[tokio::test]
async fn the_latest_score_is_the_one_shown_when_the_clock_goes_back() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    scored(&world, org, lead, Cause::Created).await;
    world.clock.advance(chrono::TimeDelta::hours(-2));
    done(&world, org, async |tx, _| {
        sqlx::query("UPDATE leads SET estimated_value_minor = 10000000")
            .execute(tx)
            .await
            .unwrap();
    })
    .await;
    let second = scored(&world, org, lead, Cause::Manual).await.score.total;
    let last = "SELECT score::int FROM lead_scores ORDER BY computed_at DESC, id DESC LIMIT 1";
    assert_eq!(value::<i32>(&world, org, last).await, i32::from(second));
    let times = "SELECT count(DISTINCT computed_at) FROM lead_scores";
    assert_eq!(value::<i64>(&world, org, times).await, 2, "no two at once");
}

#[tokio::test]
async fn impossible_scores_and_profiles_are_refused() {
    let world = World::new().await;
    let org = world.org().await;
    captured(&world, org, &of("ada@engines.test")).await;
    for sql in [
        "UPDATE leads SET score_total = 101",
        "UPDATE leads SET score_total = -1",
        "UPDATE leads SET score_band = 'boiling'",
        "UPDATE scoring_profiles SET band_warm = 70, band_hot = 70",
        "UPDATE scoring_profiles SET band_hot = 101",
        "UPDATE scoring_profiles SET config = '[]'",
        "INSERT INTO scoring_rules (id, org_id, criteria_type, condition, points)
            SELECT gen_random_uuid(), id, 'email', 'exists', 101 FROM orgs",
        "INSERT INTO scoring_rules (id, org_id, criteria_type, condition, points)
            SELECT gen_random_uuid(), id, 'email', 'smells_like', 1 FROM orgs",
    ] {
        let mut tx = world.db.org(org).await.unwrap();
        let refused = sqlx::query(sql).execute(&mut *tx).await.unwrap_err();
        assert_eq!(code(&refused), "23514", "{sql}");
    }
}

#[tokio::test]
async fn a_run_scores_a_lead_by_what_it_is_scored_by_alone() {
    let world = World::new().await;
    let org = world.org().await;
    let mut capture = of("ada@engines.test");
    capture.company = CompanyFacts {
        website: Some("https://engines.test".into()),
        industry: Some("Machines".into()),
        company_size: Some("51-200".into()),
        employees: Some(120),
        ..CompanyFacts::default()
    };
    let details = &mut capture.details;
    details.last_name = Some("Lovelace".into());
    details.phone = Some("+442079460018".into());
    details.company_name = Some("Engines".into());
    details.job_title = Some("Countess".into());
    details.linkedin_url = Some("https://linkedin.test/ada".into());
    details.source_url = Some("https://engines.test/contact".into());
    details.country = Some("GB".into());
    details.state = Some("LND".into());
    details.enrollment = Some(700);
    details.estimated_value_minor = Some(5);
    details.tags = vec!["vip".into()];
    details.custom_fields = json!({"wheel": 7}).as_object().cloned().unwrap();
    let known = captured(&world, org, &capture).await;
    let unknown = captured(&world, org, &of("bob@gmail.com")).await;
    done(&world, org, async |tx, _| {
        let sql = "WITH source AS (INSERT INTO lead_sources (id, org_id, name, quality_points)
                VALUES (gen_random_uuid(), $2, 'Fair', 9) RETURNING id)
            UPDATE leads SET source_id = (SELECT id FROM source) WHERE id = $1";
        sqlx::query(sql).bind(known).bind(org).execute(&mut *tx).await.unwrap();
        let sql = "UPDATE lead_behaviour SET website_visits = 1, content_downloads = 2, email_opens = 3, email_clicks = 4,
            demo_requested = true WHERE lead_id = $1";
        sqlx::query(sql).bind(known).execute(tx).await.unwrap();
    })
    .await;

    let mut tx = world.db.org(org).await.unwrap();
    let by_run = rescore::open(&mut tx, org, (None, known.max(unknown)), world.clock.now());
    let by_run = by_run.await.unwrap();

    assert_eq!(by_run.len(), 2);
    for row in by_run {
        let alone = scoring::find_inputs(&mut tx, org, row.id).await.unwrap();
        assert_eq!(Some(&row.inputs), alone.as_ref());
        let all_is_known = format!("{:?}", row.inputs).matches("None").count() == 0;
        assert_eq!(all_is_known, row.id == known, "{:?}", row.inputs);
    }
}

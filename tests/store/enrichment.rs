//! What providers say is kept once, fills what nobody entered, and moves new leads on.

use domain::command::{self, Enriched};
use domain::company::CompanyFacts;
use domain::enrichment::{Facts, Outcome};
use domain::id::{LeadId, OrgId};
use domain::lead::EnrichmentStatus;
use domain::status::Status;
use domain::store::enrichment::{self as runs, Answered, RunState};
use domain::store::pools;
use serde_json::json;

use super::{captured, done, of, read, rows, value};
use crate::harness::World;

async fn told(
    world: &World,
    org: OrgId,
    lead: LeadId,
    outcome: Outcome,
    facts: &Facts,
) -> Enriched {
    done(world, org, async |tx, act| {
        command::record_enrichment(tx, act, lead, "pdl", outcome, facts)
            .await
            .unwrap()
    })
    .await
}

fn facts() -> Facts {
    Facts {
        job_title: Some("Chief Engineer".into()),
        phone: Some("+44 20 7946 0018".into()),
        company: CompanyFacts {
            name: Some("Analytical Engines Ltd".into()),
            website: Some("https://engines.test".into()),
            industry: Some("Machines".into()),
            company_size: Some("51-200".into()),
            employees: Some(120),
            ..CompanyFacts::default()
        },
        ..Facts::default()
    }
}

#[tokio::test]
async fn a_match_fills_the_lead_and_its_employer_and_moves_it_on() {
    let world = World::new().await;
    let org = world.org().await;
    let mut capture = of("ada@engines.test");
    capture.details.job_title = Some("Countess".into());
    let lead = captured(&world, org, &capture).await;

    let enriched = told(&world, org, lead, Outcome::Matched, &facts()).await;

    assert_eq!(
        (enriched.status.from, enriched.status.to),
        (Status::New, Status::Enriched)
    );
    let now = read(&world, org, lead).await;
    assert_eq!(
        now.details.job_title.as_deref(),
        Some("Countess"),
        "what a person entered stays"
    );
    assert_eq!(now.details.phone_e164.as_deref(), Some("+442079460018"));
    assert_eq!(now.details.segment.as_deref(), Some("Mid-Market"));
    assert_eq!(now.enrichment_status, EnrichmentStatus::Done);
    assert_eq!(now.enriched_at, Some(world.clock.now()));
    assert_eq!(now.enrichment_data["jobTitle"], "Chief Engineer");
    assert_eq!(now.enrichment_data["companySize"], "51-200");
    assert_eq!(
        rows(&world, org, "SELECT jsonb_build_array(domain, website, industry, company_size, employees) FROM companies").await,
        [json!(["engines.test", "https://engines.test", "Machines", "51-200", 120])]
    );
    assert_eq!(
        rows(&world, org, "SELECT company_data FROM companies").await,
        [
            json!({"name": "Analytical Engines Ltd", "website": "https://engines.test", "industry": "Machines",
            "company_size": "51-200", "employees": 120})
        ]
    );
    let lines = rows(
        &world,
        org,
        "SELECT to_jsonb(description) FROM activities WHERE activity_type = 'enrichment'",
    )
    .await;
    assert_eq!(lines.len(), 1);

    // The same again is nothing new.
    let again = told(&world, org, lead, Outcome::Matched, &facts()).await;
    assert_eq!((again.filled.len(), again.status.changed()), (0, false));
}

#[tokio::test]
async fn what_is_no_match_is_noted_and_changes_nothing_else() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let before = read(&world, org, lead).await;
    for (outcome, status) in [
        (Outcome::NotFound, EnrichmentStatus::NotFound),
        (Outcome::Error, EnrichmentStatus::Failed),
    ] {
        told(&world, org, lead, outcome, &facts()).await;
        let now = read(&world, org, lead).await;
        assert_eq!(now.enrichment_status, status);
        assert_eq!(
            (now.details, now.status),
            (before.details.clone(), Status::New)
        );
    }
}

#[tokio::test]
async fn an_address_of_somebody_else_is_not_taken_over() {
    let world = World::new().await;
    let org = world.org().await;
    captured(&world, org, &of("ada@engines.test")).await;
    let mut capture = of("x");
    capture.details.email = None;
    capture.details.phone = Some("+44 20 7946 0018".into());
    let other = captured(&world, org, &capture).await;
    let facts = Facts {
        email: Some("Ada@Engines.TEST".into()),
        ..Facts::default()
    };
    let enriched = told(&world, org, other, Outcome::Matched, &facts).await;
    assert!(!enriched.filled.contains(&"email".to_owned()));
    assert_eq!(read(&world, org, other).await.details.email, None);
}

#[tokio::test]
async fn an_enriched_lead_goes_to_the_next_rep_where_the_org_wants_it_so() {
    let world = World::new().await;
    let org = world.org().await;
    let first = captured(&world, org, &of("one@engines.test")).await;
    assert!(
        !told(&world, org, first, Outcome::Matched, &facts())
            .await
            .auto_assign
    );
    done(&world, org, async |tx, _| {
        pools::set_auto_on(tx, org, &["status:enriched".to_owned()])
            .await
            .unwrap();
    })
    .await;
    let second = captured(&world, org, &of("two@engines.test")).await;
    assert!(
        told(&world, org, second, Outcome::Matched, &facts())
            .await
            .auto_assign
    );
    let ada = world.rep("Ada").await.user;
    let third = captured(&world, org, &of("three@engines.test")).await;
    done(&world, org, async |tx, act| {
        command::assign_lead(tx, act, third, Some(ada))
            .await
            .unwrap()
    })
    .await;
    assert!(
        !told(&world, org, third, Outcome::Matched, &facts())
            .await
            .auto_assign
    );
}

#[tokio::test]
async fn a_question_is_put_once_and_its_answer_kept() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let raw = json!({"status": 200});
    let answered = Answered {
        http_status: Some(200),
        response: Some(&raw),
        ..Answered::default()
    };
    done(&world, org, async |tx, act| {
        let first = runs::begin(tx, org, lead, "pdl", b"question", act.at)
            .await
            .unwrap();
        let same = runs::begin(tx, org, lead, "pdl", b"question", act.at)
            .await
            .unwrap();
        assert_eq!((first.id, first.state), (same.id, RunState::InFlight));
        runs::wait(tx, org, first.id, act.at).await.unwrap();
        let pending = runs::begin(tx, org, lead, "pdl", b"question", act.at)
            .await
            .unwrap();
        assert_eq!((pending.id, pending.state), (first.id, RunState::Pending));

        runs::finish(tx, org, first.id, Outcome::Matched, &answered, act.at)
            .await
            .unwrap();
        let settled = runs::begin(tx, org, lead, "pdl", b"question", act.at)
            .await
            .unwrap();
        assert_eq!(
            (settled.id, settled.outcome),
            (first.id, Some(Outcome::Matched))
        );
        assert_eq!(settled.response, Some(raw.clone()));
        // A second answer to a settled question is not taken.
        runs::finish(
            tx,
            org,
            first.id,
            Outcome::NotFound,
            &Answered::default(),
            act.at,
        )
        .await
        .unwrap();
        assert_eq!(
            runs::runs(tx, org, lead).await.unwrap()[0].outcome,
            Some(Outcome::Matched)
        );
    })
    .await;
}

#[tokio::test]
async fn a_question_that_failed_may_be_put_again() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    done(&world, org, async |tx, act| {
        let first = runs::begin(tx, org, lead, "pdl", b"question", act.at)
            .await
            .unwrap();
        runs::finish(
            tx,
            org,
            first.id,
            Outcome::Error,
            &Answered::default(),
            act.at,
        )
        .await
        .unwrap();
        let second = runs::begin(tx, org, lead, "pdl", b"question", act.at)
            .await
            .unwrap();
        assert_ne!(first.id, second.id);
    })
    .await;
    assert_eq!(
        value::<i64>(&world, org, "SELECT count(*) FROM enrichment_runs").await,
        2
    );
}

#[tokio::test]
async fn an_answer_is_bought_once_while_it_is_fresh() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    let said = json!({"title": "CEO"});
    let until = world.clock.now() + chrono::TimeDelta::days(30);
    done(&world, here, async |tx, act| {
        runs::keep(
            tx,
            here,
            "pdl",
            b"question",
            (Outcome::Matched, Some(&said)),
            act.at,
            until,
        )
        .await
        .unwrap();
    })
    .await;
    let ask = async |org| {
        done(&world, org, async |tx, act| {
            runs::find_cached(tx, org, "pdl", b"question", act.at)
                .await
                .unwrap()
        })
        .await
    };
    assert_eq!(
        ask(here).await,
        Some((Outcome::Matched, Some(said.clone())))
    );
    assert_eq!(ask(there).await, None, "another org buys its own");
    world.clock.advance(chrono::TimeDelta::days(31));
    assert_eq!(ask(here).await, None);
}

#[tokio::test]
async fn the_longer_of_two_pauses_holds() {
    let world = World::new().await;
    let org = world.org().await;
    let (soon, late) = (
        world.clock.now() + chrono::TimeDelta::minutes(1),
        world.clock.now() + chrono::TimeDelta::hours(1),
    );
    done(&world, org, async |tx, _| {
        runs::pause(tx, org, "pdl", late, "429").await.unwrap();
        runs::pause(tx, org, "pdl", soon, "429").await.unwrap();
        assert_eq!(
            runs::paused_until(tx, org, "pdl").await.unwrap(),
            Some(late)
        );
        assert_eq!(runs::paused_until(tx, org, "apollo").await.unwrap(), None);
        assert!(
            runs::providers(tx, org).await.unwrap().is_empty(),
            "a pause sets no provider up"
        );
    })
    .await;
}

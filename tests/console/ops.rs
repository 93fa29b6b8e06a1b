//! The pages of operations: who sees which jobs, what is said of them, and what may be done.

use axum::http::StatusCode;
use domain::member::Role;
use queue::admin::{self, Scope};
use serde_json::json;

use super::{Browser, assert_labelled};
use crate::harness::World;
use crate::intake::capture;

/// A person who runs the platform, signed in.
pub(crate) async fn operator(world: &World) -> Browser<'_> {
    let user = world.rep("Olga").await.user;
    let mut tx = world.db.platform().await.unwrap();
    domain::store::members::set_platform_admin(&mut tx, user, true)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.browser("olga@example.test").await
}

async fn audited(world: &World, org: domain::id::OrgId) -> Vec<(String, serde_json::Value)> {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query_as("SELECT action, after FROM audit_log WHERE entity_type = 'job' ORDER BY at, id")
        .fetch_all(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn operations_are_for_those_who_run_something() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    let rep = world.browser("ada@example.test").await;
    for path in ["/ops", "/ops/jobs", "/ops/jobs/1"] {
        let page = rep.get(path).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
        assert!(page.words().contains("ask one of yours"), "{path}");
    }
    let refused = rep
        .post("/ops/jobs/act", &[("verb", "retry"), ("id", "1")])
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        !rep.get("/dashboard/crm")
            .await
            .text
            .contains("href=\"/ops\"")
    );

    world.member(org, "Olaf", Role::Owner).await;
    let owner = world.browser("olaf@example.test").await;
    let now = owner.get("/ops").await;
    assert_eq!(now.status, StatusCode::OK);
    // How the machinery is concerns those who run it.
    assert!(now.words().contains("Jobs of Analytical Engines") && !now.words().contains("Workers"));
    let whole = operator(&world).await.get("/ops").await;
    assert!(whole.words().contains("The whole platform") && whole.words().contains("Workers"));
    assert_labelled(&whole);
}

#[tokio::test]
async fn nobody_reaches_the_jobs_of_another_org() {
    let world = World::new().await;
    world.leave_jobs();
    let (here, there) = (world.org().await, world.another_org().await);
    world.member(here, "Olaf", Role::Owner).await;
    let owner = world.browser("olaf@example.test").await;
    let (own, foreign) = (
        world.unreadable(here.uuid()).await,
        world.unreadable(there.uuid()).await,
    );

    let seen = |text: &str, id: i64| text.contains(&format!("/ops/jobs/{id}\""));
    for query in ["", &format!("?org={there}")] {
        let list = owner.get(&format!("/ops/jobs{query}")).await;
        assert!(
            seen(&list.text, own) && !seen(&list.text, foreign),
            "{query}"
        );
    }
    assert_eq!(
        owner.get(&format!("/ops/jobs/{own}")).await.status,
        StatusCode::OK
    );
    let page = owner.get(&format!("/ops/jobs/{foreign}")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    let act = [("verb", "cancel"), ("id", &*foreign.to_string())];
    assert_eq!(
        owner.post("/ops/jobs/act", &act).await.status,
        StatusCode::NOT_FOUND
    );

    let all = operator(&world).await.get("/ops/jobs").await;
    assert!(seen(&all.text, own) && seen(&all.text, foreign));
    assert_labelled(&all);
    let mut db = world.pool.acquire().await.unwrap();
    let left = admin::list(&mut db, &Default::default(), None)
        .await
        .unwrap();
    assert_eq!(left.items.len(), 2);
}

#[tokio::test]
async fn a_dead_letter_is_told_with_its_cause_and_run_again() {
    let world = World::new().await;
    let org = world.org().await;
    let job = world.unreadable(org.uuid()).await;
    world.work().await;
    let browser = operator(&world).await;

    let now = browser.get("/ops").await;
    assert!(
        now.words().contains("1 dead letter of send_mail"),
        "{}",
        now.words()
    );
    assert!(
        now.words().contains("1 dead letters, last hour"),
        "{}",
        now.words()
    );
    let list = browser.get("/ops/jobs?finished=true&state=discarded").await;
    assert!(
        list.text.contains(&format!("/ops/jobs/{job}\"")),
        "{}",
        list.text
    );
    assert!(
        list.words()
            .contains("Dead letter Analytical Engines 1 of 1"),
        "{}",
        list.words()
    );
    let page = browser.get(&format!("/ops/jobs/{job}")).await;
    assert_labelled(&page);
    assert!(
        page.words().contains("Given up after 1 attempt."),
        "{}",
        page.words()
    );
    assert!(page.words().contains("missing field"), "{}", page.words());
    assert!(!page.text.contains("s3cret"));

    let id = job.to_string();
    let fields = [
        ("verb", "retry"),
        ("id", &*id),
        ("reason", "mended"),
        ("back", "/ops/jobs?state=ready"),
    ];
    let done = browser.post("/ops/jobs/act", &fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.words());
    assert_eq!(done.location, "/ops/jobs?state=ready&said=retried.1");
    let back = browser.get(&done.location).await;
    assert!(back.words().contains("Running 1 job again."));
    let written = audited(&world, org).await;
    assert_eq!(written.len(), 1);
    assert_eq!(
        (&*written[0].0, &written[0].1["job"]),
        ("job.retry", &json!(job))
    );
    assert_eq!(written[0].1["reason"], "mended");

    // The same again is told why not.
    let again = browser.post("/ops/jobs/act", &fields).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert_eq!(world.work().await.count("send_mail"), 1);
}

#[tokio::test]
async fn chosen_jobs_are_called_off_together() {
    let world = World::new().await;
    let org = world.org().await;
    for name in ["Ada", "Bob", "Cy"] {
        let input = json!({"orgId": org, "firstName": name, "lastName": "X", "source": "website",
            "email": format!("{name}@example.com")});
        assert_eq!(world.send(capture(&input)).await.status(), 200);
    }
    let browser = operator(&world).await;
    let mut db = world.pool.acquire().await.unwrap();
    let jobs = admin::list(&mut db, &Default::default(), None)
        .await
        .unwrap();
    drop(db);
    let ids: Vec<String> = jobs.items.iter().map(|job| job.id.to_string()).collect();
    assert_eq!(ids.len(), 3);

    let fields = [
        ("verb", "cancel"),
        ("id", &*ids[0]),
        ("id", &*ids[1]),
        ("id", "999999"),
    ];
    let done = browser.post("/ops/jobs/act", &fields).await;
    assert_eq!(
        done.location,
        "/ops/jobs?said=cancelled.2,unmoved.1",
        "{}",
        done.words()
    );
    assert_eq!(audited(&world, org).await.len(), 2);
    let page = browser.get(&format!("/ops/jobs/{}", ids[0])).await;
    assert!(page.words().contains("Cancelled."), "{}", page.words());
    assert!(page.words().contains("From the console"));
    assert_eq!(world.work().await.count("process_intake"), 1);

    let nothing = browser.post("/ops/jobs/act", &[("verb", "cancel")]).await;
    assert_eq!(nothing.location, "/ops/jobs?said=nothing");
    let strange = browser.post("/ops/jobs/act", &[("verb", "explode")]).await;
    assert!(
        strange.words().contains("verb: Choose what to do"),
        "{}",
        strange.words()
    );
}

#[tokio::test]
async fn a_job_says_why_it_waits() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let job = world.unreadable(org.uuid()).await;
    let browser = operator(&world).await;
    let path = format!("/ops/jobs/{job}");
    let page = browser.get(&path).await;
    assert!(
        page.words()
            .contains("No live worker serves the queue mail"),
        "{}",
        page.words()
    );

    let mut db = world.pool.acquire().await.unwrap();
    admin::pause(&mut db, Scope::Queue, "mail").await.unwrap();
    let page = browser.get(&path).await;
    assert!(
        page.words().contains("The queue mail is paused"),
        "{}",
        page.words()
    );
    let now = browser.get("/ops").await;
    assert!(
        now.words()
            .contains("The queue mail is paused, 1 job waiting"),
        "{}",
        now.words()
    );
    let found = browser.get(&format!("/ops/jobs?id={job}")).await;
    assert_eq!(found.location, path);
}

#[tokio::test]
async fn a_mistake_in_the_address_is_named() {
    let world = World::new().await;
    let browser = operator(&world).await;
    for (query, named) in [
        (
            "state=newish",
            "state: newish is none of ready, scheduled, running, parked",
        ),
        (
            "finished=true&state=ready",
            "state: ready is none of completed",
        ),
        ("org=x", "org: Must be the id of an organisation"),
        ("cursor=x", "cursor: "),
        ("colour=red", "colour: There is no such parameter"),
        ("kind=%00", "kind: Must be text"),
    ] {
        let page = browser.get(&format!("/ops/jobs?{query}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(page.words().contains(named), "{query}: {}", page.words());
    }
    assert_eq!(
        browser.get("/ops/jobs/x").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_fails_and_is_tried_again_is_told_before_it_is_given_up() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let job = world.unreadable(org.uuid()).await;
    sqlx::query(
        r#"
        UPDATE queue.job
        SET state = 1, attempt = 2, max_attempts = 9, run_at = now() + interval '1 hour',
            errors = '[{"attempt": 2, "at": "2030-03-04T09:00:00Z", "error": "refused by 10.0.0.1"}]'
        WHERE id = $1
        "#,
    )
    .bind(job)
    .execute(&world.pool)
    .await
    .unwrap();
    let browser = operator(&world).await;
    let now = browser.get("/ops").await;
    assert!(
        now.words().contains("Failing now")
            && now.words().contains("refused by #.#.#.# send_mail 1 1 2"),
        "{}",
        now.words()
    );
    assert!(now.text.contains(&format!("/ops/jobs/{job}\"")));
    // Nobody sees what fails for others.
    let other = world.another_org().await;
    world.member(other, "Olaf", Role::Owner).await;
    let owner = world.browser("olaf@example.test").await;
    assert!(!owner.get("/ops").await.words().contains("Failing now"));

    let page = browser.get(&format!("/ops/jobs/{job}")).await;
    assert!(
        page.words().contains("Delete this job?"),
        "{}",
        page.words()
    );
    let (id, own) = (job.to_string(), format!("/ops/jobs/{job}"));
    let fields = [("verb", "delete"), ("id", &*id), ("back", &*own)];
    let done = browser.post("/ops/jobs/act", &fields).await;
    assert_eq!(done.location, "/ops/jobs?said=deleted.1");
    assert!(!browser.get("/ops").await.words().contains("Failing now"));
}

#[tokio::test]
async fn problems_lead_back_to_where_one_was() {
    let world = World::new().await;
    let browser = operator(&world).await;
    for (path, to) in [
        ("/ops/jobs/x", "href=\"/ops/jobs\">To the jobs"),
        ("/ops/jobs?state=best", "href=\"/ops/jobs\">To all jobs"),
        (
            "/dashboard/crm/leads/x",
            "href=\"/dashboard/crm\">To the leads",
        ),
    ] {
        let page = browser.get(path).await;
        let text = page.text.replace("&#x2f;", "/");
        assert!(text.contains(to), "{path}: {text}");
    }
}

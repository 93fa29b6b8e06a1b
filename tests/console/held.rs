//! Dead letters by cause, batches, limits and schedules: who sees them, and what a button does.

use axum::http::StatusCode;
use domain::id::OrgId;
use domain::member::Role;
use queue::schedule::Ticker;

use super::assert_labelled;
use super::ops::operator;
use crate::harness::World;

/// What the audit log of `org` says was done.
pub(super) async fn audited(world: &World, org: OrgId) -> Vec<String> {
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query_scalar(
        "SELECT action FROM audit_log WHERE entity_type IN ('limits', 'schedule', 'dead_letters', 'batch') ORDER BY at, id",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap()
}

/// A world with dead letters: of its org, which Olaf owns, two of one cause and one of another; of another org one.
pub(super) async fn world_with_letters() -> (World, OrgId) {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    world.member(here, "Olaf", Role::Owner).await;
    for error in ["550 no such box", "551 no such box", "timed out"] {
        world.dead_letter(here.uuid(), error).await;
    }
    world.dead_letter(there.uuid(), "550 no such box").await;
    (world, here)
}

#[tokio::test]
async fn what_holds_for_all_orgs_is_for_those_who_run_the_platform() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    world.member(org, "Olaf", Role::Owner).await;
    let rep = world.browser("ada@example.test").await;
    let owner = world.browser("olaf@example.test").await;
    for (path, own) in [
        ("/ops/dead", true),
        ("/ops/batches", true),
        ("/ops/limits", false),
        ("/ops/schedules", false),
    ] {
        assert_eq!(rep.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
        let page = owner.get(path).await;
        assert_eq!(page.status == StatusCode::OK, own, "{path}");
        assert!(!page.text.contains("href=\"/ops/limits\""), "{path}");
    }
    for (path, fields) in [
        (
            "/ops/limits/act",
            [("verb", "pause"), ("scope", "queue"), ("name", "mail")],
        ),
        (
            "/ops/schedules/act",
            [("verb", "run"), ("name", "refresh_scores"), ("x", "")],
        ),
    ] {
        for browser in [&rep, &owner] {
            let refused = browser.post(path, &fields).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    let refused = rep.post("/ops/dead/redrive", &[("fingerprint", "0")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(audited(&world, org).await, Vec::<String>::new());
}

#[tokio::test]
async fn dead_letters_of_one_cause_run_again_and_only_ones_own() {
    let (world, here) = world_with_letters().await;
    world.leave_jobs();
    let owner = world.browser("olaf@example.test").await;

    let page = owner.get("/ops/dead").await;
    assert_labelled(&page);
    assert!(
        page.words().contains("# no such box send_mail 2"),
        "{}",
        page.words()
    );
    let cause = page.field("fingerprint");
    let fields = [
        ("kind", "send_mail"),
        ("fingerprint", &*cause),
        ("rate", "1/min"),
    ];
    let done = owner.post("/ops/dead/redrive", &fields).await;
    assert_eq!(
        done.location,
        "/ops/dead?said=retried.2",
        "{}",
        done.words()
    );
    let back = owner.get(&done.location).await;
    assert!(back.words().contains("Running 2 jobs again."));
    assert!(!back.words().contains("no such box"), "{}", back.words());
    assert_eq!(audited(&world, here).await, ["dead_letters.redrive"]);

    let whole = operator(&world).await.get("/ops/dead").await;
    assert!(
        whole.words().contains("# no such box send_mail 1"),
        "{}",
        whole.words()
    );
    for (name, value, said) in [
        (
            "fingerprint",
            "x",
            "fingerprint: Must be the fingerprint of a cause",
        ),
        ("rate", "fast", "rate: `fast` is no rate"),
    ] {
        let mut fields = fields;
        let field = fields.iter_mut().find(|field| field.0 == name).unwrap();
        field.1 = value;
        let wrong = owner.post("/ops/dead/redrive", &fields).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(wrong.words().contains(said), "{}", wrong.words());
    }
}

#[tokio::test]
async fn batches_tell_how_far_they_have_got() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    world.member(here, "Olaf", Role::Owner).await;
    for org in [here, there] {
        sqlx::query("INSERT INTO queue.batch (name, lane, total, remaining) VALUES ($2, $1, 3, 1)")
            .bind(org.uuid())
            .bind(format!("sweep {org}"))
            .execute(&world.pool)
            .await
            .unwrap();
    }
    let page = world
        .browser("olaf@example.test")
        .await
        .get("/ops/batches?unfinished=true")
        .await;
    assert_labelled(&page);
    let words = page.words();
    assert!(
        words.contains("open Analytical Engines 2 of 3 0 0"),
        "{words}"
    );
    assert!(!words.contains(&there.to_string()), "{words}");
    let whole = operator(&world).await.get("/ops/batches").await;
    assert!(
        whole.words().contains(&there.to_string()),
        "{}",
        whole.words()
    );
}

#[tokio::test]
async fn limits_are_set_paused_resumed_and_cleared_by_buttons() {
    let world = World::new().await;
    let org = world.org().await;
    let browser = operator(&world).await;
    let none = browser.get("/ops/limits").await;
    assert_labelled(&none);
    assert!(none.words().contains("Nothing is held back"));
    let act = async |verb: &str| {
        let fields = [
            ("verb", verb),
            ("scope", "queue"),
            ("name", "mail"),
            ("max_running", "20"),
            ("rate", "100/min"),
        ];
        let done = browser.post("/ops/limits/act", &fields).await;
        assert_eq!(
            done.status,
            StatusCode::SEE_OTHER,
            "{verb}: {}",
            done.words()
        );
        browser
            .get(&done.location)
            .await
            .words()
            .replace("&#x2f;", "/")
    };
    let set = act("set").await;
    assert!(
        set.contains("The limits are changed.") && set.contains("queue mail 20 – – 100/min"),
        "{set}"
    );
    let paused = act("pause").await;
    assert!(
        paused.contains("queue mail paused 20 – – 100/min") && paused.contains("Resume queue mail"),
        "{paused}"
    );
    let resumed = act("resume").await;
    assert!(resumed.contains("queue mail 20 – – 100/min"), "{resumed}");
    assert!(act("clear").await.contains("Nothing is held back"));
    assert_eq!(audited(&world, org).await, ["limits.change"; 4]);

    for (field, value, said) in [
        ("verb", "explode", "verb: Choose what to do"),
        ("scope", "pool", "scope: `pool` is none of queue"),
        ("name", "", "name: Must have 1 to 1000 bytes"),
        ("max_running", "0", "max_running: Must be at least 1"),
        ("max_running", "", "limits: Type at least one limit"),
        ("max_running", "few", "max_running: Must be a number"),
        ("turns", "often", "turns: Must be true or false"),
        ("burst", "3", "burst: Has no meaning without a rate"),
        ("rate", "fast", "rate: `fast` is no rate"),
    ] {
        let mut fields = [
            ("verb", "set"),
            ("scope", "queue"),
            ("name", "mail"),
            ("max_running", "5"),
            ("burst", ""),
            ("turns", ""),
            ("rate", ""),
        ];
        fields.iter_mut().find(|pair| pair.0 == field).unwrap().1 = value;
        let wrong = browser.post("/ops/limits/act", &fields).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(wrong.words().contains(said), "{}", wrong.words());
    }
}

#[tokio::test]
async fn one_limit_is_set_or_taken_away_and_the_others_stay() {
    let world = World::new().await;
    let org = world.org().await;
    let browser = operator(&world).await;
    assert_labelled(&browser.get("/ops/limits").await);
    let set = async |more: &[(&str, &str)]| {
        let fields = [("verb", "set"), ("scope", "queue"), ("name", "mail")];
        let fields = [&fields[..], more].concat();
        let done = browser.post("/ops/limits/act", &fields).await;
        assert_eq!(
            done.location,
            "/ops/limits?said=limited",
            "{}",
            done.words()
        );
        let page = browser.get(&done.location).await;
        page.words().replace("&#x2f;", "/")
    };
    let all = set(&[
        ("max_running", "20"),
        ("lane_running", "2"),
        ("key_running", "1"),
        ("turns", "true"),
        ("rate", "100/min"),
        ("burst", "7"),
    ]);
    let all = all.await;
    let shown = "queue mail 20 2 in turns 1 100/min 7 at once after a rest";
    assert!(all.contains(shown), "{all}");
    let fewer = set(&[
        ("lane_running", "none"),
        ("turns", "false"),
        ("rate", "none"),
    ])
    .await;
    assert!(fewer.contains("queue mail 20 – 1 –"), "{fewer}");

    // Nothing is written down of what changes nothing.
    let fields = [("verb", "set"), ("scope", "queue"), ("name", "mail")];
    let nothing = browser.post("/ops/limits/act", &fields).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(audited(&world, org).await, ["limits.change"; 2]);
}

#[tokio::test]
async fn schedules_are_paused_resumed_and_run_by_buttons() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let browser = operator(&world).await;
    let ticker = Ticker::new(jobs::schedules()).unwrap();
    ticker.define(&world.pool).await.unwrap();
    let page = browser.get("/ops/schedules").await;
    assert_labelled(&page);
    assert!(
        page.words()
            .contains("Run now : refresh_scores Pause refresh_scores"),
        "{}",
        page.words()
    );
    let act = async |verb: &str| {
        let fields = [("verb", verb), ("name", "refresh_scores")];
        browser.post("/ops/schedules/act", &fields).await
    };
    let paused = browser.get(&act("pause").await.location).await.words();
    assert!(
        paused.contains("refresh_scores paused") && paused.contains("Paused until it is resumed."),
        "{paused}"
    );
    assert_eq!(act("run").await.location, "/ops/schedules?said=fired");
    let live: i64 =
        sqlx::query_scalar("SELECT count(*) FROM queue.job WHERE kind = 'refresh_scores'")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(live, 1);
    let resumed = browser.get(&act("resume").await.location).await.words();
    assert!(!resumed.contains("refresh_scores paused"), "{resumed}");
    assert_eq!(
        audited(&world, org).await,
        ["schedule.pause", "schedule.run", "schedule.resume"]
    );
    assert_eq!(
        act("explode").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let unknown = [("verb", "run"), ("name", "nightly")];
    assert_eq!(
        browser.post("/ops/schedules/act", &unknown).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_schedule_that_no_program_has_any_more_is_told_and_forgotten() {
    let world = World::new().await;
    let org = world.org().await;
    let browser = operator(&world).await;
    Ticker::new(jobs::schedules())
        .unwrap()
        .define(&world.pool)
        .await
        .unwrap();
    sqlx::raw_sql(
        r#"
        INSERT INTO queue.schedule (name, cadence, zone, described, catch_up, next_due)
        SELECT 'sweep_old', cadence, zone, described, catch_up, now() - interval '9 days'
        FROM queue.schedule WHERE name = 'refresh_scores';
        INSERT INTO queue.node (host, pid, version, queues, kinds, schedules, lease_until)
        VALUES ('old', 1, '1', '{}', '{}', '{sweep_old}', now() + interval '1 hour')
        "#,
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let forget = async |name: &str| {
        let fields = [("verb", "forget"), ("name", name)];
        browser.post("/ops/schedules/act", &fields).await
    };
    let gone = "No program runs the schedule sweep_old any more; forget it";

    // An older program that still runs has it.
    let now = browser.get("/ops").await.words();
    assert!(
        now.contains("The schedule sweep_old is late by 9 d"),
        "{now}"
    );
    let refused = forget("sweep_old").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let why = "The schedule sweep_old is in a program that runs";
    assert!(refused.words().contains(why), "{}", refused.words());

    sqlx::query("UPDATE queue.node SET lease_until = now()")
        .execute(&world.pool)
        .await
        .unwrap();
    let now = browser.get("/ops").await.words();
    assert!(now.contains(gone) && !now.contains("late by"), "{now}");
    let page = browser.get("/ops/schedules").await;
    assert_labelled(&page);
    let words = page.words();
    assert!(words.contains("sweep_old no program runs it any more"));
    assert!(words.contains("Forget sweep_old") && !words.contains("Forget refresh_scores"));
    // This program has its own, whether it runs or not.
    assert_eq!(forget("refresh_scores").await.status, StatusCode::CONFLICT);
    assert_eq!(forget("nightly").await.status, StatusCode::NOT_FOUND);
    let done = forget("sweep_old").await;
    assert_eq!(done.location, "/ops/schedules?said=schedule_forgotten");
    let after = browser.get(&done.location).await.words();
    assert!(after.contains("The schedule is forgotten."), "{after}");
    assert!(!after.contains("sweep_old"), "{after}");
    assert!(!browser.get("/ops").await.words().contains(gone));
    assert_eq!(audited(&world, org).await, ["schedule.forget"]);
}

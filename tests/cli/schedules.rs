//! Schedules from the command line: paused, resumed, run at once, made up for.

use chrono::{DateTime, TimeDelta, Utc};
use queue::schedule::Ticker;
use serde_json::json;

use super::{leadmill, value};
use crate::harness::World;

async fn live(world: &World, kind: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM queue.job WHERE kind = $1")
        .bind(kind)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_paused_resumed_run_and_made_up_for() {
    let world = World::new().await;
    world.leave_jobs();
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    let none = leadmill(&["schedules", "pause", "refresh_scores"], &env);
    assert!(
        none.starts_with("exit 64\n") && none.contains("none is known yet"),
        "{none}"
    );
    let ticker = Ticker::new(jobs::schedules()).unwrap();
    ticker.define(&world.pool).await.unwrap();

    let paused = leadmill(&["schedules", "pause", "refresh_scores", "--json"], &env);
    let wanted = json!({"name": "refresh_scores", "paused": true});
    assert_eq!(value(&paused), wanted);
    let listed = value(&leadmill(&["schedules", "ls", "--json"], &env));
    let is_paused: Vec<bool> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["paused"].as_bool().unwrap())
        .collect();
    assert_eq!(is_paused, [false, false, true, false]);
    let table = leadmill(&["schedules", "--set", "queue.keep_days=3", "ls"], &env);
    assert!(
        table
            .lines()
            .any(|line| line.contains("refresh_scores") && line.ends_with("yes")),
        "{table}"
    );

    let ran = value(&leadmill(
        &["schedules", "run", "refresh_scores", "--json"],
        &env,
    ));
    assert_eq!(ran["fired"].as_array().unwrap().len(), 1);
    assert_eq!(live(&world, "refresh_scores").await, 1);
    assert_eq!(
        leadmill(&["schedules", "resume", "refresh_scores"], &env),
        "exit 0\nrefresh_scores fires again, from its next tick on.\n"
    );
    let (next, is_to_come): (DateTime<Utc>, bool) = sqlx::query_as(
        "SELECT next_due, next_due > now() FROM queue.schedule WHERE name = 'refresh_scores'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert!(is_to_come, "{next}");

    let from = (next - TimeDelta::days(3)).to_rfc3339();
    let fill = ["schedules", "backfill", "refresh_scores", "--from", &from];
    let preview = leadmill(&[&fill[..], &["--dry-run"]].concat(), &env);
    assert!(
        preview.ends_with("3 ticks of refresh_scores would fire.\n"),
        "{preview}"
    );
    let json = [&fill[..], &["--json"]].concat();
    assert_eq!(
        value(&leadmill(&json, &env))["fired"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        leadmill(&fill, &env),
        "exit 0\nEvery tick of refresh_scores in that time has fired.\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_schedule_can_do_is_a_usage_mistake_that_names_the_mend() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    let ticker = Ticker::new(jobs::schedules()).unwrap();
    ticker.define(&world.pool).await.unwrap();
    let all = "assume_sent, forget_expired, refresh_scores, remind_follow_ups";
    let defined = "refresh_scores, remind_follow_ups, forget_expired, assume_sent";
    for (errand, said) in [
        (&["pause", "nightly"][..], all),
        (&["resume", "nightly"], all),
        (&["run", "nightly"], defined),
        (
            &["backfill", "nightly", "--from", "2030-01-01T00:00:00Z"],
            defined,
        ),
        (
            &["backfill", "assume_sent", "--from", "2020-01-01T00:00:00Z"],
            "from: is more than 399 days ago",
        ),
        (
            &[
                "backfill",
                "assume_sent",
                "--from",
                "2030-01-02T00:00:00Z",
                "--to",
                "2030-01-01T00:00:00Z",
            ],
            "to: is before from",
        ),
        (
            &["backfill", "assume_sent", "--from", "yesterday"],
            "invalid value 'yesterday'",
        ),
        (&["backfill", "assume_sent"], "--from <INSTANT>"),
    ] {
        let heard = leadmill(&[&["schedules"], errand].concat(), &env);
        assert!(
            heard.starts_with("exit 64\n") && heard.contains(said),
            "{errand:?}: {heard}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_forgotten_once_no_program_has_it() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    let ticker = Ticker::new(jobs::schedules()).unwrap();
    ticker.define(&world.pool).await.unwrap();
    sqlx::raw_sql(
        r#"
        INSERT INTO queue.schedule (name, cadence, zone, described, catch_up)
        SELECT 'sweep_old', cadence, zone, described, catch_up
        FROM queue.schedule WHERE name = 'refresh_scores';
        INSERT INTO queue.node (host, pid, version, queues, kinds, lease_until)
        VALUES ('older', 1, '1', '{}', '{}', now() + interval '1 hour')
        "#,
    )
    .execute(&world.pool)
    .await
    .unwrap();

    // A program that does not say which schedules it has may have it.
    let refused = leadmill(&["schedules", "forget", "sweep_old"], &env);
    assert!(
        refused.starts_with("exit 64\n")
            && refused.contains("is in a program that runs, or in this one"),
        "{refused}"
    );
    sqlx::query("UPDATE queue.node SET lease_until = now()")
        .execute(&world.pool)
        .await
        .unwrap();
    let own = leadmill(&["schedules", "forget", "refresh_scores"], &env);
    assert!(own.starts_with("exit 64\n"), "{own}");
    let done = leadmill(&["schedules", "forget", "sweep_old", "--json"], &env);
    assert_eq!(
        value(&done),
        json!({"name": "sweep_old", "forgotten": true})
    );
    let again = leadmill(&["schedules", "forget", "sweep_old"], &env);
    assert!(again.contains("no schedule is called sweep_old"), "{again}");
}

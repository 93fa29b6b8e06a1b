//! Commands for many jobs at once: dead letters by their cause, batches, counts.

use jobs::RefreshScores;
use queue::{Batch, Fingerprint};
use serde_json::{Value, json};

use super::leadmill;
use crate::harness::World;

/// What a command printed as JSON.
fn value(said: &str) -> Value {
    let json = said.strip_prefix("exit 0\n");
    serde_json::from_str(json.unwrap_or_else(|| panic!("{said}"))).unwrap()
}

/// A dead letter of this id.
async fn dead(world: &World, id: i64, error: &str) {
    sqlx::query(
        r#"
        INSERT INTO queue.job_history (id, queue, kind, version, priority, payload, attempt, max_attempts, errors,
            created_at, finished_at, outcome, fingerprint)
        VALUES ($1, 'sweep', 'refresh_scores', 1, 0, '{"due": 1}', 3, 3, $2, now(), now() - interval '1 hour', 'discarded', $3)
        "#,
    )
    .bind(id)
    .bind(json!([{"attempt": 3, "error": error}]))
    .bind(Fingerprint::of(error))
    .execute(&world.pool)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_grouped_run_again_edited_and_forgotten() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    let run = |args: &[&str]| leadmill(args, &env);
    assert_eq!(run(&["dead", "ls"]), "exit 0\nNo dead letters.\n");
    dead(&world, 101, "host 10.0.0.1 answered 503").await;
    dead(&world, 102, "host 10.0.0.2 answered 502").await;
    dead(&world, 103, "missing field `due_at`").await;

    let groups = value(&run(&["dead", "ls", "--json"]));
    assert_eq!(groups[0]["error"], "host #.#.#.# answered #");
    assert_eq!(
        (&groups[0]["count"], &groups[1]["sample"]),
        (&json!(2), &json!(103))
    );
    let cause = groups[0]["fingerprint"].as_str().unwrap();
    let listed = run(&["dead", "ls", "--fingerprint", cause]);
    assert!(
        listed.contains(cause) && !listed.contains("missing"),
        "{listed}"
    );

    // Nothing is done to everything by mistake, or to what is not understood.
    for (args, said) in [
        (&["dead", "redrive"][..], "say which dead letters"),
        (&["dead", "forget"], "say which dead letters"),
        (
            &["dead", "redrive", "--all", "--kind", "x"],
            "--all: leave it out",
        ),
        (
            &["dead", "redrive", "--all", "--rate", "10"],
            "write it as 10/s",
        ),
        (
            &["dead", "ls", "--fingerprint", "12"],
            "16 hexadecimal digits",
        ),
    ] {
        let refused = run(args);
        assert!(
            refused.starts_with("exit 64\n") && refused.contains(said),
            "{refused}"
        );
    }

    let which = ["dead", "redrive", "--fingerprint", cause, "--rate", "2/m"];
    let dry = run(&[&which[..], &["--dry-run"]].concat());
    assert_eq!(
        dry,
        "exit 0\n2 dead letters would run again over 60 seconds.\n"
    );
    let dry = run(&[
        "dead",
        "redrive",
        "--all",
        "--limit",
        "1",
        "--dry-run",
        "--json",
    ]);
    assert_eq!(value(&dry), json!({"would_retry": 1, "seconds": null}));
    let done = value(&run(&[&which[..], &["--json"]].concat()));
    assert_eq!(
        (&done["retried"], &done["key_taken"]),
        (&json!(2), &json!(0))
    );

    // The other one has a payload that is none of its kind.
    let wrong = run(&["jobs", "retry", "103", "--payload", r#"{"due": 2}"#]);
    assert!(
        wrong.starts_with("exit 64\n") && wrong.contains("missing field `due_at`"),
        "{wrong}"
    );
    let mended = r#"{"due_at": "2030-03-04T03:00:00Z"}"#;
    let mended = value(&run(&[
        "jobs",
        "retry",
        "103",
        "--payload",
        mended,
        "--json",
    ]));
    assert_eq!(mended["done"], "retried");
    let mended = mended["id"].to_string();
    let shown = run(&["jobs", "show", &mended]);
    assert!(
        shown.contains("2030-03-04T03:00:00Z") && shown.contains("retries     103"),
        "{shown}"
    );

    let cancelled = run(&["jobs", "cancel", &mended, "--json"]);
    assert_eq!(value(&cancelled)["done"], "cancelled");
    let gone = value(&run(&["jobs", "delete", &mended, "--json"]));
    assert_eq!(gone["id"].to_string(), mended);
    assert_eq!(gone["done"], "deleted");
    assert!(run(&["jobs", "delete", &mended]).starts_with("exit 64\n"));

    dead(&world, 104, "no").await;
    let dry = run(&["dead", "forget", "--all", "--dry-run"]);
    assert_eq!(dry, "exit 0\n1 dead letters would be removed for good.\n");
    let gone = run(&["dead", "forget", "--kind", "refresh_scores", "--json"]);
    assert_eq!(value(&gone), json!({"forgotten": 1}));
    assert_eq!(run(&["dead", "ls"]), "exit 0\nNo dead letters.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_kept_is_a_usage_mistake_and_a_database_that_cannot_write_is_not_there()
 {
    let world = World::new().await;
    let env = [
        ("DATABASE_URL", world.database_url()),
        ("RUST_LOG", "off"),
        ("LEADMILL__DATABASE__ACQUIRE_TIMEOUT", "1s"),
    ];
    let run = |args: &[&str]| leadmill(args, &env);
    for (payload, said) in [
        (r#"{"email": "a\u0000b"}"#.to_owned(), "has a NUL character"),
        (
            json!({"email": "a".repeat(1001)}).to_string(),
            "is longer than 1000 bytes",
        ),
    ] {
        let refused = run(&["enqueue", "send_sign_in_link", &payload]);
        assert!(
            refused.starts_with("exit 64\nerror: JSON: ") && refused.contains(said),
            "{refused}"
        );
    }

    // A page of jobs is named as the API names it.
    let cursor = |at: &str| leadmill::web::cursor::encode(&(at, 1));
    let page = |at: &str| run(&["jobs", "ls", "--cursor", &cursor(at)]);
    assert_eq!(page("2030-01-01T00:00:00Z"), "exit 0\nNo such jobs.\n");
    let far = page("9999-01-01T00:00:00Z");
    assert!(far.starts_with("exit 64\nerror: --cursor: "), "{far}");

    // What every server does that follows another.
    sqlx::raw_sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let commands: [&[&str]; 4] = [
        &["migrate"],
        &["jobs", "retry", "1"],
        &["dead", "redrive", "--all"],
        &[
            "enqueue",
            "send_sign_in_link",
            r#"{"email": "mira@rep.test"}"#,
        ],
    ];
    for command in commands {
        let said = run(command);
        assert!(said.starts_with("exit 69\nerror: "), "{command:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_listed_shown_and_cancelled_and_what_ended_is_counted() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    let run = |args: &[&str]| leadmill(args, &env);
    assert_eq!(run(&["batches", "ls"]), "exit 0\nNo such batches.\n");
    assert_eq!(run(&["jobs", "counts"]), "exit 0\nNo job has ended yet.\n");
    let mut db = world.pool.acquire().await.unwrap();
    let due_at = world.clock.now();
    let job = |days| RefreshScores {
        due_at: due_at + chrono::TimeDelta::days(days),
    };
    for name in ["first", "second"] {
        let batch = Batch::new(name).on_complete(&job(9));
        let days = if name == "first" { 0..2 } else { 2..4 };
        batch.enqueue(&mut db, days.map(job)).await.unwrap();
    }

    let page = run(&["batches", "ls", "--limit", "1"]);
    assert!(
        page.contains("second") && page.contains("More follow: --below 2"),
        "{page}"
    );
    let next = value(&run(&[
        "batches",
        "ls",
        "--unfinished",
        "--below",
        "2",
        "--json",
    ]));
    assert_eq!(next["items"][0]["name"], "first");
    assert_eq!(
        run(&["batches", "cancel", "1", "--reason", "not wanted"]),
        "exit 0\n2 jobs are cancelled, 0 run and are asked to stop.\n"
    );
    let called_off = value(&run(&["batches", "cancel", "2", "--json"]));
    assert_eq!(called_off, json!({"cancelled": 2, "asked": 0}));
    let shown = value(&run(&["batches", "show", "1", "--json"]));
    assert_eq!(
        (&shown["state"], &shown["cancelled"]),
        (&json!("completed"), &json!(2))
    );
    let shown = run(&["batches", "show", "1"]);
    let then = format!(
        "then        refresh_scores, job {}",
        value(&run(&["batches", "show", "1", "--json"]))["completed_job"]
    );
    assert!(shown.contains(&then), "{shown}");
    for id in ["1", "99"] {
        let refused = run(&["batches", "cancel", id]);
        assert!(refused.starts_with("exit 64\n"), "{refused}");
    }
    assert!(run(&["batches", "show", "99"]).starts_with("exit 64\n"));

    let counts = value(&run(&["jobs", "counts", "--json"]));
    let expected = json!([{"queue": "sweep", "outcome": "cancelled", "last_hour": 4, "last_day": 4, "ever": 4}]);
    assert_eq!(counts, expected);
    assert!(run(&["jobs", "counts"]).contains("cancelled"));
}

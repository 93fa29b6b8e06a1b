//! `leadmill bench` measures, prints a line a figure, and leaves nothing behind.

use serde_json::Value;
use tokio::process::Command;

use crate::harness::World;
use crate::queue::cast::until;

async fn bench(world: &World, args: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_leadmill"))
        .arg("bench")
        .args(args)
        .current_dir(std::env::temp_dir())
        .env_clear()
        .env("DATABASE_URL", world.database_url())
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn each_figure_is_a_line_beside_that_of_hand_written_sql() {
    let world = World::new().await;
    let mut names = Vec::new();
    for args in [
        ["enqueue", "--jobs", "2000", "--json"],
        ["drain", "--jobs", "2000", "--json"],
        ["latency", "--jobs", "10", "--json"],
        ["lanes", "--jobs", "2000", "--json"],
        ["intake", "--jobs", "100", "--json"],
        ["rescore", "--jobs", "200", "--json"],
    ] {
        for figure in bench(&world, &args).await {
            let number = |key: &str| figure[key].as_f64().unwrap();
            assert!(number("ours") > 0.0 && number("raw") > 0.0, "{figure}");
            let ratio = number("ours") / number("raw");
            assert!((number("ratio") / ratio - 1.0).abs() < 0.1, "{figure}");
            names.push(format!("{} in {}", figure["bench"], figure["unit"]));
        }
    }
    insta::assert_snapshot!(names.join("\n"), @r#"
    "enqueue_bulk" in "jobs/s"
    "enqueue_single" in "jobs/s"
    "enqueue_coalesced_8" in "jobs/s"
    "enqueue_coalesced_64" in "jobs/s"
    "drain" in "jobs/s"
    "latency_p50" in "ms"
    "latency_p99" in "ms"
    "latency_across_p50" in "ms"
    "latency_across_p99" in "ms"
    "lanes" in "jobs/s"
    "skew_p95" in "ms"
    "intake" in "captures/s"
    "rescore_first" in "leads/s"
    "rescore_unchanged" in "leads/s"
    "rescore_tenth" in "leads/s"
    "rescore_qualified" in "leads/s"
    "#);

    // One that is stopped leaves no database of its own either.
    let mut cut_short = Command::new(env!("CARGO_BIN_EXE_leadmill"))
        .args(["bench", "rescore", "--jobs", "10000000"])
        .current_dir(std::env::temp_dir())
        .env_clear()
        .env("DATABASE_URL", world.database_url())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until(
        &world.pool,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname LIKE 'leadmill_bench_%')",
    )
    .await;
    let pid = cut_short.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().await;
    assert!(sent.unwrap().success());
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), cut_short.wait()).await;
    let ended = ended.expect("it ends when it is asked to").unwrap();
    assert_eq!(ended.code(), Some(70));

    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM queue.job) + (SELECT count(*) FROM queue.job_history)
            + (SELECT count(*) FROM pg_namespace WHERE nspname = 'bench_raw')
            + (SELECT count(*) FROM pg_database WHERE datname LIKE 'leadmill_bench_%')",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

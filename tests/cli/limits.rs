//! Limits from the command line: listed, set, paused, resumed, taken away.

use serde_json::json;
use uuid::Uuid;

use super::{leadmill, value};
use crate::harness::World;

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_listed_and_taken_away() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    let run = |args: &[&str]| leadmill(&[&["limits"], args].concat(), &env);

    assert_eq!(
        run(&["ls"]),
        "exit 0\nNothing is paused, limited or slowed down.\n"
    );
    assert_eq!(run(&["ls", "--json"]), "exit 0\n[]\n");
    let all = [
        "set",
        "queue",
        "enrich",
        "--running",
        "20",
        "--each-lane",
        "2",
        "--each-key",
        "3",
        "--rate",
        "100/min",
        "--burst",
        "5",
        "--turns",
    ];
    assert_eq!(
        run(&all),
        "exit 0\nqueue enrich: at most 20 at once, at most 2 of each lane at once, at most 3 of each key at once, lanes take \
         turns, at most 100/min\n"
    );
    // What is not named stays; `none` takes one away.
    let less = run(&[
        "set", "queue", "enrich", "--rate", "none", "--burst", "none", "--json",
    ]);
    let wanted = json!({"paused": false, "max_running": 20, "lane_running": 2, "key_running": 3, "turns": true,
        "rate": null, "burst": null});
    assert_eq!(
        value(&less),
        json!({"scope": "queue", "name": "enrich", "limits": wanted})
    );
    assert_eq!(
        run(&["pause", "kind", "send_mail"]),
        "exit 0\nkind send_mail: paused\n"
    );

    let listed = value(&run(&["ls", "--json"]));
    let named: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["name"])
        .collect();
    assert_eq!(named, ["enrich", "send_mail"]);
    assert_eq!(listed[0]["max_running"], 20);
    assert_eq!(
        run(&["ls"]),
        "exit 0\n SCOPE  NAME       PAUSED  RUNNING  EACH LANE  EACH KEY  TURNS  RATE  BURST\n \
         queue  enrich     no      20       2          3         yes    -     -\n \
         kind   send_mail  yes     -        -          -         no     -     -\n"
    );

    assert_eq!(
        run(&["pause", "queue", "enrich", "--json"])
            .matches("\"paused\": true")
            .count(),
        1
    );
    let resumed = value(&run(&["resume", "queue", "enrich", "--json"]));
    assert_eq!(resumed["limits"], wanted, "its other limits stay");
    assert_eq!(
        run(&["resume", "kind", "send_mail"]),
        "exit 0\nkind send_mail: not limited\n"
    );
    assert_eq!(
        run(&["clear", "queue", "enrich"]),
        "exit 0\nqueue enrich: not limited\n"
    );
    assert_eq!(run(&["ls", "--json"]), "exit 0\n[]\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_counted_by_the_second_the_minute_the_hour_and_the_day() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    for (rate, seconds) in [
        ("10/s", 1.0),
        ("100/min", 60.0),
        ("5000/h", 3600.0),
        ("20000/d", 86_400.0),
    ] {
        let said = leadmill(
            &["limits", "set", "queue", "mail", "--rate", rate, "--json"],
            &env,
        );
        assert_eq!(value(&said)["limits"]["rate"], rate);
        let kept: (i32, f64) = sqlx::query_as("SELECT rate_count, rate_seconds FROM queue.rule")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        let count: i32 = rate.split('/').next().unwrap().parse().unwrap();
        assert_eq!(kept, (count, seconds), "{rate}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_makes_no_sense_is_a_usage_mistake_that_names_the_mend() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    let lane = Uuid::nil().to_string();
    for (errand, said) in [
        (
            &["set", "queue", "mail", "--rate", "fast"][..],
            "`fast` is no rate; write it as 10/s, 100/min, 5000/h or 20000/d",
        ),
        (
            &["set", "queue", "mail", "--rate", "0/s"],
            "`0/s` is no rate",
        ),
        (
            &["set", "queue", "mail", "--rate", "1/week"],
            "`1/week` is no rate",
        ),
        (
            &["set", "queue", "mail", "--running", "0"],
            "to let nothing start, pause it",
        ),
        (
            &["set", "queue", "mail", "--running", "many"],
            "invalid value 'many'",
        ),
        (&["pause", "pool", "mail"], "invalid value 'pool'"),
        (
            &["pause", "lane", "acme"],
            "name: a lane is named by its id",
        ),
        (
            &["set", "kind", "send_mail", "--each-lane", "2"],
            "lane_running: only a queue can have it",
        ),
        (
            &["set", "lane", &lane, "--turns"],
            "turns: only a queue can have it",
        ),
        (
            &["set", "queue", "mail", "--burst", "2"],
            "burst: has no meaning without a rate; give both",
        ),
        (&["clear", "queue"], "<NAME>"),
        (&[], "Usage: leadmill limits"),
    ] {
        let heard = leadmill(&[&["limits"], errand].concat(), &env);
        assert!(
            heard.starts_with("exit 64\n") && heard.contains(said),
            "{errand:?}: {heard}"
        );
    }
    assert_eq!(leadmill(&["limits", "ls", "--json"], &env), "exit 0\n[]\n");
}

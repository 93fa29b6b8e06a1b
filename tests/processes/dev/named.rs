//! `leadmill dev` on a database that was named, and a demo that was half made.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use super::{Dev, folder, text};
use crate::harness::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_named_is_taken_if_it_is_empty_and_refused_if_others_live_there() {
    let world = World::new().await;
    let url = world.database_url().to_owned();
    let folder = folder();
    let data = folder.path().join("data");
    let named = ["--ready-json", "--database-url", &url];
    let dev = Dev::start(&data, &named);
    let first = text(&dev.ready(), "org_id");
    assert!(dev.stop().success());
    // With the demo in it, it is taken again.
    let dev = Dev::start(&data, &named);
    assert_eq!(text(&dev.ready(), "org_id"), first);
    assert!(dev.stop().success());
    let users = async || -> i64 {
        let mut tx = world.db.platform().await.unwrap();
        let count = sqlx::query_scalar("SELECT count(*) FROM users");
        count.fetch_one(&mut *tx).await.unwrap()
    };
    world.org().await;
    let before = users().await;
    assert!(before >= 3, "{before}");

    let data = data.display().to_string();
    let listen = "http.listen=127.0.0.1:0";
    // Nothing at all said means the same.
    let ways: [&[&str]; 2] = [
        &["dev", "--data", &data, "--set", listen],
        &["--set", listen],
    ];
    for args in ways {
        let mut child = Command::new(env!("CARGO_BIN_EXE_leadmill"))
            .args(args)
            .current_dir(folder.path())
            .env("DATABASE_URL", &url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = child.stderr.take().unwrap();
        let (said, nothing) = mpsc::channel();
        drop(said);
        let mut dev = Dev {
            child,
            said: nothing,
        };
        assert_eq!(dev.ended().code(), Some(64), "{args:?}");
        let mut told = String::new();
        err.read_to_string(&mut told).unwrap();
        assert!(
            told.contains("error: the database has the organisation `")
                && told.contains("Run `leadmill serve` and `leadmill work` there"),
            "{told}"
        );
    }
    assert_eq!(users().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_ended_before_it_remembered_the_demo_has_sent_its_leads() {
    let world = World::new().await;
    world.leave_jobs();
    let app = crate::web::app(&world);
    let folder = folder();
    let nowhere = folder.path().join("nowhere");
    leadmill::dev::seed::ensure(&app, &nowhere)
        .await
        .unwrap_err();

    let demo = leadmill::dev::seed::ensure(&app, folder.path()).await;

    let demo = demo.unwrap();
    let mut tx = world.db.org(demo.org).await.unwrap();
    let sent: i64 = sqlx::query_scalar("SELECT count(*) FROM intake_events")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(sent, 6);
}

//! Every mail, rendered from its sample: what a rep reads, in text and in HTML. And every page by way of its route.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::Request;
use domain::member::Role;
use domain::store::members;
use insta::assert_snapshot;
use jobs::effects::messages::Messages;
use leadmill::web::view::Views;

use crate::harness::World;
use crate::jobs::{lead, score};

#[test]
fn every_mail_reads_well() {
    let messages = Messages::load(None).unwrap();
    for key in Messages::keys() {
        let mail = messages.render_sample(key).unwrap();
        assert_snapshot!(
            format!("{key}_text"),
            format!("Subject: {}\n\n{}", mail.subject, mail.text)
        );
        assert_snapshot!(format!("{key}_html"), mail.html);
    }
}

/// Every page of the console that can be looked at, from its own tables of routes.
fn routes() -> BTreeSet<String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let tables = [
        "console/rep.rs",
        "console/ops.rs",
        "console/sign_in.rs",
        "intake/form.rs",
    ];
    let mut found = BTreeSet::new();
    for table in tables {
        let text = std::fs::read_to_string(src.join(table)).unwrap();
        let table = text.split("\n}").find(|part| part.contains(".route("));
        for route in table.unwrap().split(".route(").skip(1) {
            let path = route.split('"').nth(1).unwrap();
            if route.contains("get(") && !path.ends_with("/stream") {
                found.insert(path.to_owned());
            }
        }
    }
    found
}

#[tokio::test]
async fn every_page_is_rendered_by_its_route() {
    let world = World::new().await;
    let org = world.org().await;
    let boss = world.member(org, "Boss", Role::Owner).await.user;
    let mut tx = world.db.platform().await.unwrap();
    members::set_platform_admin(&mut tx, boss, true)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let lead = lead(&world, org).await;
    let job = world.enqueue(&score(org, lead)).await.id();
    world.leave_jobs();
    let browser = world.browser("boss@example.test").await;

    let routes = routes();
    assert!(routes.len() >= 10, "{routes:?}");
    for route in routes {
        let path = match &*route {
            route if route.starts_with("/sign-in/{") => world.link("boss@example.test").await,
            route if route.starts_with("/ops/") => route
                .replace("{id}", &job.to_string())
                .replace("{name}", "refresh_scores"),
            route => route
                .replace("{id}", &lead.to_string())
                .replace("{token}", "any"),
        };
        // Whoever is signed in is led on from the door.
        let page = if route.starts_with("/sign-in") {
            world.ask(axum::http::Method::GET, &path, "", "").await
        } else {
            browser.get(&path).await
        };
        // What a form is sent to leads back to where the form is; the other leads on to a list.
        let lead_on = [
            "/dashboard/crm/leads/{id}/",
            "/dashboard/crm/notifications/read",
            "/dashboard/crm/today",
            "/ops/jobs/act",
            "/ops/batches/",
            "/ops/dead/forget",
            "/ops/dead/redrive",
            "/ops/limits/act",
            "/ops/schedules/act",
        ];
        if lead_on.iter().any(|start| route.starts_with(start)) {
            assert_eq!(page.status, 303, "{route}");
            continue;
        }
        assert_eq!(page.status, 200, "{route}: {}", page.words());
        assert!(
            page.text.starts_with("<!doctype html>") && page.text.trim_end().ends_with("</html>"),
            "{route}: {}",
            page.text
        );
    }
}

/// A folder whose page for forms is `text`.
fn own_form(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pages/intake/form.html");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

#[tokio::test]
async fn a_page_of_ones_own_stands_in_for_the_built_in_one() {
    let world = World::new().await;
    let (folder, _) = own_form("<p>{{ title }}, says {{ \"ours\" }}</p>");
    let web = crate::web::web_with(&world, Views::load(Some(folder.path())).unwrap());
    let thanks = Request::get("/f/any/thanks").body(Body::empty()).unwrap();
    let shown = crate::web::answer(&web, thanks).await;
    assert!(shown.ends_with("<p>Thank you, says ours</p>"), "{shown}");
}

#[test]
fn a_page_of_ones_own_that_does_not_parse_is_named_with_its_line() {
    let (folder, file) = own_form("<p>\n{% if %}\n</p>");
    let mistakes = Views::load(Some(folder.path())).err().unwrap();
    let said: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    let place = format!("{}:2: ", file.display());
    assert!(said.len() == 1 && said[0].starts_with(&place), "{said:?}");
}

//! An installation from nothing: an organisation, its people, keys and forms, all by the command line.

use domain::store::Db;
use insta::assert_snapshot;
use reqwest::header::COOKIE;
use reqwest::{Client, StatusCode, redirect};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{leadmill, value};
use crate::harness::{World, server};
use crate::processes::Process;
use crate::processes::dev::until;

fn text(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_begun_from_nothing() {
    let server = server().await;
    let name = format!("leadmill_test_founded_{}", std::process::id());
    server.create_database(&name).await.unwrap();
    let url = server.url(&name);
    let env = [("DATABASE_URL", &*url), ("RUST_LOG", "warn")];
    let run = |args: &[&str]| value(&leadmill(&[args, &["--json"]].concat(), &env));

    let migrated = leadmill(&["migrate"], &env);
    assert!(
        migrated.ends_with("The database is up to date.\n"),
        "{migrated}"
    );
    let org = run(&["orgs", "create", "acme", "--name", "Acme Ltd"]);
    let owner = run(&[
        "members",
        "add",
        "acme",
        "ada@acme.example",
        "--name",
        "Ada Byron",
        "--role",
        "owner",
        "--platform-admin",
    ]);
    let rep = run(&[
        "members",
        "add",
        "acme",
        "mira@acme.example",
        "--name",
        "Mira",
        "--role",
        "member",
    ]);
    let form = run(&["forms", "create", "acme", "--name", "Contact"]);
    let leads = run(&[
        "keys",
        "create",
        "acme",
        "--name",
        "crm",
        "--scope",
        "leads:read",
    ]);
    let ops = run(&[
        "keys",
        "create",
        "acme",
        "--name",
        "ops",
        "--scope",
        "ops:read",
        "--as",
        "ada@acme.example",
    ]);

    let serve = Process::start(&["serve", "--listen", "127.0.0.1:0"], &url);
    let web = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .build()
        .unwrap();
    let at = |path: &str| format!("{}{path}", serve.url);
    let get = async |path: &str, key: &Value| {
        let asked = web.get(at(path)).bearer_auth(text(key, "key")).send();
        let answer = asked.await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };

    let sent = json!({"first_name": "Jane", "last_name": "Smith", "email": "jane@example.com"});
    let path = format!("/f/{}", text(&form, "token"));
    assert!(text(&form, "url").ends_with(&path));
    let taken = web.post(at(&path)).json(&sent).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::OK);
    let sent = json!({"orgId": org["id"], "firstName": "Omar", "lastName": "Haddad", "email": "omar@example.com",
        "source": "website"});
    let taken = web.post(at("/api/trpc/crm.leads.capture")).json(&sent);
    assert_eq!(taken.send().await.unwrap().status(), StatusCode::OK);

    // The platform's own sees the jobs, and only with the scope for it.
    let (status, jobs) = get("/api/v1/admin/jobs", &ops).await;
    assert_eq!(status, StatusCode::OK);
    let kinds: Vec<_> = jobs["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["kind"])
        .collect();
    assert_eq!(kinds, ["process_intake", "process_intake"]);
    assert_eq!(get("/api/v1/leads", &ops).await.0, StatusCode::FORBIDDEN);

    // The rep is the one whose turn it is.
    let work = Process::start(&["work", "--listen", "127.0.0.1:0"], &url);
    let pool = PgPool::connect(&url).await.unwrap();
    until(&at("/api/v1/leads"), leads["key"].as_str(), |leads| {
        let leads = leads["items"].as_array().unwrap();
        leads.len() == 2
            && leads
                .iter()
                .all(|lead| lead["assigned_to"] == rep["user_id"])
    })
    .await;
    drop(work);

    // The link lets its owner in, and once.
    let link = text(&owner, "sign_in_link");
    let link = at(&link[link.find("/sign-in/").unwrap()..]);
    let entered = web.post(&link).send().await.unwrap();
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let cookie = entered.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let console = web.get(at("/ops")).header(COOKIE, cookie).send().await;
    assert_eq!(console.unwrap().status(), StatusCode::OK);
    let again = web.post(&link).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::GONE);

    // A key that is taken back opens nothing.
    let revoked = run(&["keys", "revoke", "acme", &text(&leads, "prefix")]);
    assert_eq!(revoked["revoked"], true);
    assert_eq!(
        get("/api/v1/leads", &leads).await.0,
        StatusCode::UNAUTHORIZED
    );

    let id = text(&org, "id").parse().unwrap();
    let mut tx = Db::new(pool.clone()).org(id).await.unwrap();
    let audited: Vec<String> = sqlx::query_scalar(
        "SELECT action FROM audit_log WHERE actor_kind = 'platform' ORDER BY at, id",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    drop(tx);
    assert_eq!(
        audited,
        [
            "pipeline.create",
            "org.create",
            "pool.change",
            "member.add",
            "user.platform_admin",
            "member.add",
            "form.create",
            "api_key.create",
            "api_key.create",
            "api_key.revoke",
        ]
    );
    pool.close().await;
    drop(serve);
    server.drop_database(&name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_is_told_to_people() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    let mut told = String::new();
    for errand in [
        &["orgs"][..],
        &[
            "orgs",
            "create",
            "acme",
            "--name",
            "Acme Ltd",
            "--time-zone",
            "Europe/Berlin",
        ],
        &["orgs", "ls"],
        &["members", "ls", "acme"],
        &[
            "members",
            "add",
            "acme",
            "ada@acme.example",
            "--name",
            "Ada Byron",
            "--role",
            "admin",
        ],
        &["members", "ls", "acme"],
        &["keys", "ls", "acme"],
        &[
            "keys",
            "create",
            "acme",
            "--name",
            "crm",
            "--scope",
            "leads:read,ops:read",
            "--as",
            "ADA@acme.example",
        ],
        &["keys", "ls", "acme"],
        &["forms", "ls", "acme"],
        &["forms", "create", "acme", "--name", "Old site", "--open"],
        &["forms", "ls", "acme"],
    ] {
        told += &format!(
            "$ leadmill {}\n{}\n",
            errand.join(" "),
            leadmill(errand, &env)
        );
    }
    insta::with_settings!({filters => vec![
        (r"[0-9a-f]{8}-[0-9a-f-]{27}", "[id]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "[instant]"),
        (r"lk_live_\w{8}", "[prefix]"),
        (r"\[prefix\]_\w{32}", "[key]"),
        (r"(/f/|/sign-in/)[\w-]{43}", "$1[token]"),
    ]}, { assert_snapshot!("founding", told) });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_a_usage_mistake_that_names_the_mend() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    let refused = |errand: &[&str], said: &str| {
        let heard = leadmill(errand, &env);
        assert!(
            heard.starts_with("exit 64\n") && heard.contains(said),
            "{errand:?}: {heard}"
        );
    };
    refused(
        &["keys", "ls", "acme"],
        "ORG: no organisation is called acme; there is none yet, `leadmill orgs create` makes one",
    );
    let org = ["orgs", "create", "acme", "--name", "Acme"];
    assert!(leadmill(&org, &env).starts_with("exit 0\n"));
    refused(&org, "SLUG: is taken; choose another");
    for (errand, said) in [
        (
            &["orgs", "create", "Acme", "--name", "A"][..],
            "small letters, digits and hyphens",
        ),
        (&["orgs", "create", "a", "--name", " "], "1 to 200 letters"),
        (
            &["orgs", "create", "a", "--name", "A", "--time-zone", "Mars"],
            "--time-zone",
        ),
        (
            &["orgs", "create", "a", "--name", "A", "--currency", "euro"],
            "ISO 4217",
        ),
        (
            &["orgs", "create", "a", "--name", "A", "--assign", "status:x"],
            "expected one of new,",
        ),
        (&["members", "ls", "acne"], "there are acme"),
        (
            &[
                "members", "add", "acme", "ada", "--name", "A", "--role", "owner",
            ],
            "such as ada@example.com",
        ),
        (
            &[
                "members",
                "add",
                "acme",
                "a@b.example",
                "--name",
                "A",
                "--role",
                "boss",
            ],
            "expected one of viewer, member",
        ),
        (&["keys", "create", "acme", "--name", "k"], "--scope"),
        (
            &["keys", "create", "acme", "--name", "k", "--scope", "leads"],
            "expected one of leads:read, leads:write",
        ),
        (
            &[
                "keys",
                "create",
                "acme",
                "--name",
                "k",
                "--scope",
                "admin",
                "--as",
                "x@y.example",
            ],
            "--as: x@y.example does not work in acme; `leadmill members ls acme` lists who does",
        ),
        (
            &["keys", "revoke", "acme", "lk_live_00000000"],
            "KEY: acme has no key lk_live_00000000",
        ),
        (&["forms", "create", "acme"], "--name"),
    ] {
        refused(errand, said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_already_gets_another_role_and_nothing_twice() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    let run = |args: &[&str]| value(&leadmill(&[args, &["--json"]].concat(), &env));
    let org = run(&[
        "orgs", "create", "acme", "--name", "Acme", "--assign", "never",
    ]);
    let id = text(&org, "id");
    let add = |address, role| {
        run(&[
            "members", "add", &id, address, "--name", "Ada", "--role", role,
        ])
    };
    let first = add("ada@acme.example", "member");
    let second = add("Ada@Acme.example", "admin");
    assert_eq!(first["user_id"], second["user_id"]);
    let people = run(&["members", "ls", "acme"]);
    let roles: Vec<_> = people
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["role"])
        .collect();
    assert_eq!(roles, ["admin"]);
    let mut tx = world.db.org(id.parse().unwrap()).await.unwrap();
    let auto_on: Vec<String> = sqlx::query_scalar("SELECT auto_on FROM assignment_pools")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    drop(tx);
    assert_eq!(auto_on, [""; 0]);
    let key = run(&["keys", "create", "acme", "--name", "k", "--scope", "admin"]);
    let prefix = text(&key, "prefix");
    for revoked in [true, false] {
        assert_eq!(
            run(&["keys", "revoke", "acme", &prefix])["revoked"],
            revoked
        );
    }
}

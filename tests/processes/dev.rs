//! `leadmill dev` as a new user meets it, and as scripts use it.

mod named;

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::PATIENCE;

/// The first start makes a database cluster.
const FIRST_START: Duration = Duration::from_secs(120);

/// A run of `leadmill dev`, killed when this is dropped.
struct Dev {
    child: Child,
    said: mpsc::Receiver<String>,
}

impl Dev {
    fn start(data: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_leadmill"))
            .args(["dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(args)
            .current_dir(std::env::temp_dir())
            .env_remove("DATABASE_URL")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, said }
    }

    fn line(&self) -> String {
        let line = self.said.recv_timeout(FIRST_START);
        line.expect("it should say what is ready")
    }

    /// What scripts are told.
    fn ready(&self) -> Value {
        serde_json::from_str(&self.line()).expect("one line of JSON")
    }

    /// What people are told.
    fn told(&self) -> String {
        let mut told = String::new();
        while !told.contains("Ctrl-C") {
            told += &self.line();
            told.push('\n');
        }
        told
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it should have ended");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it kindly.
    fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        self.ended()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client() -> Client {
    // The first test to come here installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .redirect(Policy::none())
        .build()
        .unwrap()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// Asks until the answer pleases.
pub(crate) async fn until(url: &str, key: Option<&str>, pleases: impl Fn(&Value) -> bool) -> Value {
    let client = client();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut request = client.get(url);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        if pleases(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{url}: {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn named<'a>(leads: &'a Value, name: &str) -> Option<&'a Value> {
    let leads = leads["items"].as_array()?;
    leads.iter().find(|lead| lead["last_name"] == name)
}

/// The process of the database of a run on `data`, if it runs.
fn postgres(data: &Path) -> Option<PathBuf> {
    let mut dirs = vec![data.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.ends_with("postmaster.pid") {
                let pid = std::fs::read_to_string(&path).ok()?;
                let pid = pid.lines().next()?.trim().to_owned();
                let alive = Command::new("kill")
                    .args(["-0", &pid])
                    .stderr(Stdio::null())
                    .status();
                return alive.unwrap().success().then_some(path);
            }
            if path.is_dir() {
                dirs.push(path);
            }
        }
    }
    None
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("lm").tempdir().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_sends_leads_and_finds_them_again_after_a_restart() {
    let folder = folder();
    let data = folder.path().join("data");
    let dev = Dev::start(&data, &["--ready-json"]);
    let ready = dev.ready();
    let names: Vec<_> = ready.as_object().unwrap().keys().cloned().collect();
    let wanted = [
        "api_key",
        "database_url",
        "form_token",
        "mailbox_url",
        "org_id",
        "smtp",
        "url",
    ];
    assert_eq!(names, wanted);
    assert!(postgres(&data).is_some());

    let (url, key) = (text(&ready, "url"), text(&ready, "api_key"));
    let sent = client()
        .post(format!("{url}/api/trpc/crm.leads.capture"))
        .json(
            &json!({"orgId": ready["org_id"], "firstName": "Jane", "lastName": "Smith",
            "email": "jane@example.com", "source": "website"}),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), StatusCode::OK);
    let posted = client()
        .post(format!("{url}/f/{}", text(&ready, "form_token")))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("first_name=Joan&last_name=Doe&email=joan%40example.com")
        .send()
        .await
        .unwrap();
    assert!(
        posted.status().is_success() || posted.status().is_redirection(),
        "{posted:?}"
    );

    let api = format!("{url}/api/v1/leads");
    for name in ["Smith", "Doe"] {
        let leads = until(&api, Some(&key), |leads| {
            named(leads, name).is_some_and(|lead| {
                lead["score"].is_number() && lead["enrichment_status"] == "done"
            })
        });
        leads.await;
        let mails = format!("{}.json", text(&ready, "mailbox_url"));
        let told = |mails: &Value| {
            mails
                .as_array()
                .unwrap()
                .iter()
                .filter(|mail| text(mail, "subject").contains(name))
                .count()
                == 1
        };
        until(&mails, None, told).await;
    }

    assert!(dev.stop().success());
    assert_eq!(postgres(&data), None, "it takes its database along");

    // A second run has the same org and the same leads.
    let dev = Dev::start(&data, &["--ready-json"]);
    let again = dev.ready();
    assert_eq!(again["org_id"], ready["org_id"]);
    let api = format!("{}/api/v1/leads", text(&again, "url"));
    let leads = until(&api, Some(&text(&again, "api_key")), |leads| {
        leads["items"].is_array()
    })
    .await;
    assert!(named(&leads, "Smith").is_some() && named(&leads, "Doe").is_some());

    // And so has one after a crash.
    dev.signal("-KILL");
    drop(dev);
    let dev = Dev::start(&data, &["--ready-json"]);
    let api = format!("{}/api/v1/leads", text(&dev.ready(), "url"));
    let key = text(&again, "api_key");
    let leads = until(&api, Some(&key), |leads| leads["items"].is_array()).await;
    assert!(named(&leads, "Smith").is_some());
    assert!(dev.stop().success());
    assert_eq!(postgres(&data), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_what_to_do_and_it_works() {
    let folder = folder();
    let data = folder.path().join("data");
    let dev = Dev::start(&data, &[]);
    let told = dev.told();
    let client = client();

    let links: Vec<_> = told
        .split_whitespace()
        .filter(|word| word.contains("/sign-in/"))
        .collect();
    let [rep, link] = links[..] else {
        panic!("{told}")
    };
    let entered = client.post(rep).send().await.unwrap();
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let page = client.get(link).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let entered = client.post(link).send().await.unwrap();
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let cookie = entered.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let base = link.split("/sign-in/").next().unwrap();
    for path in ["/dashboard/crm/leads", "/ops", "/ops/jobs"] {
        let page = client
            .get(format!("{base}{path}"))
            .header("cookie", &cookie);
        assert_eq!(
            page.send().await.unwrap().status(),
            StatusCode::OK,
            "{path}"
        );
    }
    let again = client.post(link).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::GONE);

    // The lines are made to be pasted.
    let commands = told.split("\n\n").filter(|part| part.contains("  curl"));
    let commands: Vec<_> = commands
        .map(|part| part.split_once('\n').unwrap().1)
        .collect();
    assert_eq!(commands.len(), 2, "{told}");
    let run = |command: &str| {
        let mut shell = Command::new("sh")
            .arg("-c")
            .arg(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = String::new();
        shell
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        assert!(shell.wait().unwrap().success(), "{command}");
        out
    };
    let has_curl = Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if has_curl {
        assert!(run(commands[0]).contains(r#""success":true"#));
        assert!(run(commands[1]).contains(r#""items":["#));
    } else {
        assert!(commands[0].contains("/api/trpc/crm.leads.capture"));
    }
    assert!(dev.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_on_the_same_data_share_the_database() {
    let folder = folder();
    let data = folder.path().join("data");
    let one = Dev::start(&data, &["--ready-json"]);
    let first = one.ready();
    let other = Dev::start(&data, &["--ready-json"]);
    let second = other.ready();
    assert_eq!(first["org_id"], second["org_id"]);
    assert_ne!(first["url"], second["url"]);

    assert!(one.stop().success());
    let api = format!("{}/api/v1/leads", text(&second, "url"));
    until(&api, Some(&text(&second, "api_key")), |leads| {
        leads["items"].is_array()
    })
    .await;
    assert!(other.stop().success());
    assert_eq!(
        postgres(&data),
        None,
        "the last one takes the database along"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_that_begin_at_once_on_nothing_share_what_they_make() {
    let folder = folder();
    let data = folder.path().join("data");
    let both = [0, 1].map(|_| Dev::start(&data, &["--ready-json"]));
    let ready = both.each_ref().map(Dev::ready);
    assert_eq!(ready[0]["org_id"], ready[1]["org_id"]);
    for ready in &ready {
        let api = format!("{}/api/v1/leads", text(ready, "url"));
        let key = text(ready, "api_key");
        let all = until(&api, Some(&key), |leads| {
            leads["items"]
                .as_array()
                .is_some_and(|leads| leads.len() == 6)
        });
        all.await;
    }
    for dev in both {
        assert!(dev.stop().success());
    }
    assert_eq!(postgres(&data), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_doors_stay_open_until_its_jobs_have_ended() {
    let folder = folder();
    let data = folder.path().join("data");
    let mut dev = Dev::start(&data, &["--ready-json"]);
    let ready = dev.ready();
    let url = text(&ready, "url");
    let pool = sqlx::PgPool::connect(&text(&ready, "database_url"))
        .await
        .unwrap();
    let mut holding = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE leads IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *holding)
        .await
        .unwrap();
    let sent = client()
        .post(format!("{url}/api/trpc/crm.leads.capture"))
        .json(
            &json!({"orgId": ready["org_id"], "firstName": "Jane", "lastName": "Late",
            "email": "jane@late.example", "source": "website"}),
        )
        .send();
    assert_eq!(sent.await.unwrap().status(), StatusCode::OK);
    let deadline = Instant::now() + PATIENCE;
    let waits =
        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'leads'::regclass AND NOT granted)";
    while !sqlx::query_scalar::<_, bool>(waits)
        .fetch_one(&pool)
        .await
        .unwrap()
    {
        assert!(Instant::now() < deadline, "no job came to the lead");
    }

    dev.signal("-TERM");
    loop {
        let stopping = client().get(format!("{url}/readyz")).send().await.unwrap();
        if stopping.text().await.unwrap() == "stopping\n" {
            break;
        }
        assert!(Instant::now() < deadline, "it should be stopping");
    }
    let asked = client()
        .get(format!("{url}/dev/enrich?email=jane@late.example"))
        .send();
    assert_eq!(asked.await.unwrap().status(), StatusCode::OK);

    holding.rollback().await.unwrap();
    pool.close().await;
    assert!(dev.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_removed_is_begun_anew_wherever_its_database_is() {
    // Closed to the user that runs root's Postgres, so that root's is elsewhere.
    let folder = folder();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    let is_root = std::fs::metadata(folder.path()).unwrap().uid() == 0;
    let data = folder.path().join("data");
    /// The org that a person is told, and where its database is.
    fn run(data: &Path) -> (String, PathBuf) {
        let dev = Dev::start(data, &[]);
        let told = dev.told();
        let after = |mark: &str| told.split_once(mark).unwrap().1;
        let org = after(r#""orgId":""#).split('"').next().unwrap();
        let kept = after("kept in").lines().next().unwrap().trim();
        assert!(dev.stop().success());
        (org.to_owned(), kept.into())
    }
    let (first, kept) = run(&data);
    assert_eq!(kept.starts_with("/var/lib/leadmill-dev"), is_root);
    assert!(kept.join("data/PG_VERSION").exists(), "{}", kept.display());
    assert_eq!(run(&data), (first.clone(), kept.clone()));

    std::fs::remove_dir_all(&data).unwrap();
    let (anew, same) = run(&data);
    assert_ne!(anew, first);
    assert_eq!(same, kept);
    std::fs::remove_dir_all(kept).unwrap();
}

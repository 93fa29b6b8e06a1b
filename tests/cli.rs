//! The command line: what it says, and the exit code that says it to scripts.

mod founding;
mod limits;
mod providers;
mod schedules;
mod starts;
mod together;

use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::harness::World;

/// Run the binary in an empty folder with no settings but `env`; what it printed and its exit code.
fn leadmill(args: &[&str], env: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_leadmill"))
        .args(args)
        .current_dir(folder.path())
        .env_clear()
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    format!(
        "exit {}\n{}{}",
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// The JSON of a command that went well.
fn value(said: &str) -> serde_json::Value {
    let json = said.strip_prefix("exit 0\n");
    serde_json::from_str(json.unwrap_or_else(|| panic!("{said}"))).unwrap()
}

/// Every subcommand of a command, from the program's own list.
fn subcommands(of: &[&str]) -> Vec<String> {
    let help = leadmill(&[of, &["--help"]].concat(), &[]);
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn help_reads_well() {
    let mut pages = vec![("leadmill".to_owned(), leadmill(&["--help"], &[]))];
    for name in subcommands(&[]) {
        pages.push((name.clone(), leadmill(&[&name, "--help"], &[])));
        for errand in subcommands(&[&name]) {
            let page = leadmill(&[&name, &errand, "--help"], &[]);
            pages.push((format!("{name} {errand}"), page));
        }
    }
    for (name, page) in &pages {
        assert!(page.starts_with("exit 0\n"), "{name}: {page}");
    }
    let text: Vec<String> = pages
        .iter()
        .map(|(name, page)| format!("=== {name}\n{page}"))
        .collect();
    assert_snapshot!(text.join("\n"));
}

#[test]
fn a_command_that_makes_no_sense_is_a_usage_mistake() {
    assert_snapshot!("usage_unknown", leadmill(&["jubs"], &[]));
    assert_snapshot!("usage_argument", leadmill(&["completions", "dos"], &[]));
}

#[test]
fn every_mistake_in_the_settings_is_printed_and_the_exit_code_says_settings() {
    let env = [
        ("LEADMILL__HTTP__LISTEN", "here"),
        ("LEADMILL__MAIL__FORM", "x"),
        ("DATABASE_URL", "mysql://x"),
    ];
    assert_snapshot!("check_mistakes", leadmill(&["check"], &env));
    assert_snapshot!(
        "check_file",
        leadmill(&["check", "--config", "nowhere.toml"], &[])
    );
}

#[test]
fn pools_that_do_not_fit_the_jobs_are_mistakes_in_the_settings_for_every_command() {
    let pools =
        |queues: &str| format!("[{{name = \"all\", queues = [{queues}], concurrency = 1}}]");
    let unknown = pools(r#""enrich", "intake", "mial", "mail", "notify", "score", "sweep""#);
    let missing = pools(r#""enrich", "intake", "notify", "score", "sweep""#);
    let twice = pools(r#""enrich", "intake", "mail", "mail", "notify", "score", "sweep""#);
    for (pools, said) in [
        (
            &unknown,
            "pool `all` names the queue `mial`, which no job has",
        ),
        (&missing, "no pool serves the queue `mail`"),
        (&twice, "queue `mail` is listed twice"),
    ] {
        for command in ["check", "work", "dev"] {
            let env = [
                ("LEADMILL__WORKER__POOLS", &**pools),
                ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
            ];
            let heard = leadmill(&[command], &env);
            assert!(
                heard.starts_with("exit 78\n")
                    && heard.contains("worker.pools: ")
                    && heard.contains(said),
                "{command}: {heard}"
            );
        }
    }
    let env = [
        ("LEADMILL__WORKER__POOLS", &*missing),
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
    ];
    let heard = leadmill(&["work", "--pool", "all"], &env);
    assert!(
        heard.starts_with("exit 69\n") && heard.contains("no pool serves the queue `mail`"),
        "{heard}"
    );
}

#[test]
fn the_settings_in_force_are_shown_without_secrets() {
    let env = [
        ("DATABASE_URL", "postgres://app:hunter2@db.example/leads"),
        ("SMTP_URL", "smtps://app:hunter2@mail.example"),
        ("LEADMILL__ENRICHMENT__API_KEY", "hunter2"),
    ];
    let shown = leadmill(&["check", "--show"], &env);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_snapshot!(shown);
}

#[test]
fn links_in_mails_that_lead_to_this_machine_alone_are_told() {
    let said = |public_url: &str, smtp: &str| {
        let env = [
            ("LEADMILL__HTTP__PUBLIC_URL", public_url),
            ("SMTP_URL", smtp),
        ];
        let said = leadmill(&["check"], &env);
        assert!(said.starts_with("exit 0\n"), "{said}");
        said.contains("this machine alone; set http.public_url to the address that people use")
    };
    let smtp = "smtp://mail.example";
    for here in [
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "http://[::1]",
        "http://0.0.0.0",
    ] {
        assert!(said(here, smtp), "{here}");
    }
    assert!(!said("https://leads.example.com", smtp));
    assert!(!said("http://127.0.0.1:8080", ""), "no mail is sent");
}

#[test]
fn a_database_that_is_not_named_or_not_there_is_told_apart() {
    assert_snapshot!("database_unnamed", leadmill(&["migrate"], &[]));
    let env = [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")];
    assert_snapshot!("database_missing", leadmill(&["migrate"], &env));
    for command in ["serve", "work", "dev"] {
        let said = leadmill(&[command], &env);
        assert!(
            said.starts_with("exit 69\n") && said.contains("the database cannot be reached"),
            "{command}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_says_what_it_does() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url())];
    assert_eq!(
        leadmill(&["migrate"], &env),
        "exit 0\nThe database is up to date.\n"
    );
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    assert_eq!(
        leadmill(&["check", "--database"], &env),
        "exit 0\nThe settings and templates are fine.\nNo mail is sent: mail.url is not set.\nThe database is there, new enough and migrated.\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_shown_retried_and_cancelled() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    assert_snapshot!("jobs_none", leadmill(&["jobs", "ls"], &env));
    sqlx::query(
        r#"INSERT INTO queue.job (queue, kind, state, run_at, payload, attempt, max_attempts, errors, created_at) VALUES
            ('mail', 'send_mail', 1, '2099-01-02T03:04:05Z', '{"message": 1}', 2, 20,
                '[{"attempt": 1, "at": "2030-01-01T00:00:00Z", "error": "421 busy"},
                  {"attempt": 2, "at": "2030-01-01T00:01:00Z", "error": "421 still busy"}]', '2030-01-01T00:00:00Z'),
            ('score', 'score_lead', 0, '2030-01-01T00:00:00Z', '{"lead": 7}', 0, 20, '[]', '2030-01-01T00:00:01Z')"#,
    )
    .execute(&world.pool)
    .await
    .unwrap();

    assert_snapshot!("jobs_listed", leadmill(&["jobs", "ls"], &env));
    assert_snapshot!(
        "jobs_filtered",
        leadmill(&["jobs", "ls", "--queue", "mail", "--json"], &env)
    );
    assert_snapshot!("job_shown", leadmill(&["jobs", "show", "1"], &env));
    let page = leadmill(&["jobs", "ls", "--limit", "1"], &env);
    let next = page.trim().rsplit(' ').next().unwrap();
    assert!(
        leadmill(&["jobs", "ls", "--limit", "1", "--cursor", next], &env).contains("send_mail")
    );
    assert_snapshot!(
        "jobs_cursor",
        leadmill(&["jobs", "ls", "--cursor", "x"], &env)
    );

    assert_eq!(
        leadmill(&["jobs", "retry", "1"], &env),
        "exit 0\nIt runs now.\n"
    );
    assert_snapshot!("job_ready", leadmill(&["jobs", "retry", "1"], &env));
    assert_eq!(
        leadmill(&["jobs", "cancel", "2", "--reason", "not wanted"], &env),
        "exit 0\nIt is cancelled.\n"
    );
    assert!(leadmill(&["jobs", "show", "2"], &env).contains("reason      not wanted"));
    let cancelled = leadmill(&["jobs", "ls", "--state", "cancelled"], &env);
    assert!(
        cancelled.starts_with("exit 0\n") && cancelled.contains("score_lead"),
        "{cancelled}"
    );
    assert_eq!(
        leadmill(&["jobs", "retry", "2", "--json"], &env),
        "exit 0\n{\n  \"id\": 3,\n  \"done\": \"retried\"\n}\n"
    );
    let of_no_job = leadmill(&["jobs", "ls", "--state", "canceled"], &env);
    assert!(
        of_no_job.starts_with("exit 64\n") && of_no_job.contains("discarded, cancelled"),
        "{of_no_job}"
    );
    let never = leadmill(&["jobs", "ls", "--finished", "--state", "ready"], &env);
    assert!(never.starts_with("exit 64\n"), "{never}");
    assert_snapshot!("job_unknown", leadmill(&["jobs", "show", "99"], &env));
    assert_snapshot!(
        "queues",
        leadmill(&["queues"], &env).replace(|c: char| c.is_ascii_digit(), "#")
    );
    assert_eq!(
        leadmill(&["jobs", "cancel", "3", "--json"], &env),
        "exit 0\n{\n  \"id\": 3,\n  \"done\": \"cancelled\"\n}\n"
    );
    let finished = leadmill(&["jobs", "show", "3"], &env);
    assert!(finished.contains("\nstate       cancelled\n"), "{finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_listed_for_people_and_for_scripts() {
    let world = World::new().await;
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    assert_snapshot!("schedules_none", leadmill(&["schedules"], &env));
    assert_eq!(leadmill(&["schedules", "--json"], &env), "exit 0\n[]\n");
    sqlx::query(
        "INSERT INTO queue.schedule (name, cadence, described, zone, catch_up, next_due)
         VALUES ('refresh_scores', 'daily 03:00', 'daily at 03:00', 'UTC', 'latest', '2099-01-02T03:00:00Z')",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    assert_snapshot!("schedules_one", leadmill(&["schedules"], &env));
    let listed = leadmill(&["schedules", "--json"], &env);
    let listed: serde_json::Value =
        serde_json::from_str(listed.trim_start_matches("exit 0\n")).unwrap();
    assert_eq!(listed[0]["name"], "refresh_scores");
}

#[test]
fn completions_are_written_for_each_shell() {
    for (shell, sign) in [
        ("bash", "_leadmill()"),
        ("zsh", "#compdef leadmill"),
        ("fish", "complete -c leadmill"),
    ] {
        let script = leadmill(&["completions", shell], &[]);
        assert!(
            script.starts_with("exit 0\n") && script.contains(sign),
            "{shell}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_enqueued_once_it_makes_sense() {
    let world = World::new().await;
    world.leave_jobs();
    let env = [("DATABASE_URL", world.database_url())];
    let run = |args: &[&str]| leadmill(args, &env);
    let due = r#"{"due_at": "2030-03-04T03:00:00Z"}"#;

    let made = run(&["enqueue", "refresh_scores", due]);
    assert!(made.starts_with("exit 0\nEnqueued job "), "{made}");
    let again = run(&["enqueue", "refresh_scores", due, "--json"]);
    assert!(again.contains(r#""new": false"#), "{again}");
    let unknown = run(&["enqueue", "refresh_scroes", due]);
    assert!(
        unknown.starts_with("exit 64\n") && unknown.contains("refresh_scores, "),
        "{unknown}"
    );
    let wrong = run(&["enqueue", "refresh_scores", r#"{"due": 1}"#]);
    assert!(
        wrong.starts_with("exit 64\n") && wrong.contains("missing field `due_at`"),
        "{wrong}"
    );
    let none = run(&["enqueue", "refresh_scores", "{"]);
    assert!(
        none.starts_with("exit 64\n") && none.contains("at line 1 column 1"),
        "{none}"
    );
    let more = r#"{"due_at": "2030-03-04T03:00:00Z", "due": 1}"#;
    let more = run(&["enqueue", "refresh_scores", more]);
    assert!(
        more.starts_with("exit 64\n")
            && more.contains("a payload of refresh_scores has no field due"),
        "{more}"
    );
    let never = run(&["enqueue", "remind_follow_ups", due, "--in", "87601h"]);
    assert!(
        never.starts_with("exit 64\n") && never.contains("more than ten years"),
        "{never}"
    );
    let later = run(&["enqueue", "remind_follow_ups", due, "--in", "1h"]);
    assert!(later.starts_with("exit 0\n"), "{later}");

    assert_eq!(world.work().await.count("refresh_scores"), 1);
    let waiting = run(&["jobs", "ls", "--state", "scheduled"]);
    assert!(waiting.contains("remind_follow_ups"), "{waiting}");
}

#[test]
fn a_template_that_cannot_be_filled_stops_the_start_and_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let dir = format!("templates.dir={}", folder.path().display());
    let env = [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")];

    // One that asks for what no mail of its kind has is found by filling it.
    write(
        "mail/lead_assigned/subject.txt",
        "{{ nothing_of_that_name }}",
    );
    let said = leadmill(&["check", "--set", &dir], &env);
    let wanted = "mail/lead_assigned/subject.txt:1: undefined value";
    assert!(
        said.starts_with("exit 78\n") && said.contains(wanted),
        "{said}"
    );

    write(
        "mail/lead_scored/body.txt",
        "Hello\n{% if lead %}never ends",
    );
    write("pages/console/layout.html", "one\ntwo\n{{ 1 + }}");
    for command in ["check", "serve", "work", "dev"] {
        let said = leadmill(&[command, "--set", &dir], &env);
        assert!(said.starts_with("exit 78\n"), "{command}: {said}");
        let of_mail = said.contains("mail/lead_scored/body.txt:2: syntax error: ");
        let of_page = said.contains("pages/console/layout.html:3: syntax error: ");
        // What a process has no use for does not keep it from starting.
        let wanted = match command {
            "check" | "dev" => of_mail && of_page,
            "work" => of_mail,
            _ => of_page,
        };
        assert!(wanted, "{command}: {said}");
    }
}

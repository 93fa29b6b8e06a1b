//! Settings: `worker.toml` and [`Config`] say the same, and every mistake is named at once.

use std::path::PathBuf;

use leadmill::config::{self, Config, Sources};
use leadmill::work;

fn worker_toml() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("worker.toml")
}

/// What a process would say about a file with this text.
fn mistakes(toml: &str, env: &[(&str, &str)], flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.toml");
    std::fs::write(&file, toml).unwrap();
    let pairs = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let sources = Sources {
        file: Some(file),
        env: env.iter().map(|(name, value)| pairs(name, value)).collect(),
        flags: flags.iter().map(|text| pairs("--set", text)).collect(),
    };
    let lines: Vec<String> = match config::load(&sources) {
        Ok(_) => vec!["fine".into()],
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    };
    lines
        .join("\n")
        .replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn worker_toml_holds_every_setting_with_its_default() {
    let text = std::fs::read_to_string(worker_toml()).unwrap();
    let written: toml::Table = text.parse().unwrap();
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    assert_eq!(written, defaults);
}

#[test]
fn worker_toml_says_of_each_setting_what_the_code_says() {
    let text = std::fs::read_to_string(worker_toml()).unwrap();
    let code = std::fs::read_to_string(worker_toml().with_file_name("src/config.rs")).unwrap();
    let plain = |text: &str| text.replace('`', "");

    for (at, line) in text.lines().enumerate() {
        let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let above = text.lines().nth(at - 1).unwrap();
        let in_pool = line_is_in_pool(&text, at);
        assert!(
            in_pool || above.starts_with("# "),
            "{key} has no line about it"
        );
        assert!(
            in_pool
                || key == "format"
                || plain(&code).contains(&plain(&above.replace("# ", "/// "))),
            "{key}: worker.toml and src/config.rs differ: {above}"
        );
    }
}

fn line_is_in_pool(text: &str, at: usize) -> bool {
    let section = text
        .lines()
        .take(at)
        .filter(|line| line.starts_with('['))
        .last();
    section == Some("[[worker.pools]]")
}

#[test]
fn the_shipped_file_is_fine() {
    let sources = Sources {
        file: Some(worker_toml()),
        ..Sources::default()
    };
    assert!(config::load(&sources).is_ok());
}

#[test]
fn all_mistakes_are_named_at_once_with_place_key_and_mend() {
    let toml = r#"
[databse]
url = "postgres://localhost/x"

[http]
lisen = "127.0.0.1:80"
listen = 80
body_limit = "big"
grace = "soon"
public_url = "leads.example.com"
lease = "10s"

[queue]
keep_days = 0

[worker]
lease = "1s"

[[worker.pools]]
name = "a"
queues = ["mail"]
concurrency = "many"
"#;
    let env = [
        ("LEADMILL__MAIL__TIMEOUT", "never"),
        ("LEADMILL__MIAL__URL", "smtp://x"),
        ("LEADMILL__NOTHING", "1"),
        ("DATABASE_URL", "mysql://localhost"),
        ("SMTP_URL_FILE", "/nowhere/smtp"),
        ("UNRELATED", "1"),
    ];
    insta::assert_snapshot!(mistakes(
        toml,
        &env,
        &["intake.per_ip_burst=-1", "nonsense"]
    ));
}

#[test]
fn text_that_is_no_toml_is_named_by_line() {
    insta::assert_snapshot!(mistakes("[http]\nlisten = \n\n[mail\n", &[], &[]));
}

#[test]
fn pools_are_checked_one_by_one() {
    let toml = r#"
[[worker.pools]]
name = "a"
queues = []
concurrency = 0
[[worker.pools]]
name = "a"
queues = ["mail"]
concurrency = 1
[[worker.pools]]
name = "b"
queues = ["mail"]
concurrency = 1
"#;
    insta::assert_snapshot!(mistakes(toml, &[], &[]));
}

#[test]
fn pools_serve_the_queues_that_jobs_wait_in() {
    let queue_mistakes = |config: &Config, names: &[String]| -> Vec<String> {
        let mistakes = work::queue_mistakes(config, names);
        mistakes.iter().map(ToString::to_string).collect()
    };
    let mut config = Config::default();
    assert!(queue_mistakes(&config, &[]).is_empty());

    config.worker.pools[2].queues = vec!["mial".into()];
    let unknown = "settings: worker.pools: pool `mail` names the queue `mial`, which no job has; \
                   the queues are enrich, intake, mail, notify, score, sweep";
    let unserved = "settings: worker.pools: no pool serves the queue `mail`, so its jobs would never run; \
                    add it to the queues of a pool";
    assert_eq!(queue_mistakes(&config, &[]), [unknown, unserved]);
    // Where only some pools work, other processes may serve it.
    assert_eq!(queue_mistakes(&config, &["leads".into()]), [unknown]);
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.toml");
    std::fs::write(
        &file,
        "[http]\nbody_limit = 2000\ngrace = \"1s\"\ntrusted_proxies = 1\n",
    )
    .unwrap();
    let secret = folder.path().join("key");
    std::fs::write(&secret, "from-file\n").unwrap();

    let config = config::load(&Sources {
        file: Some(file),
        env: vec![
            ("LEADMILL__HTTP__BODY_LIMIT".into(), "3000".into()),
            ("LEADMILL__HTTP__GRACE".into(), "2s".into()),
            (
                "LEADMILL__ENRICHMENT__API_KEY_FILE".into(),
                secret.display().to_string(),
            ),
            (
                "LEADMILL__WORKER__POOLS".into(),
                r#"[{name = "all", queues = ["mail"], concurrency = 2}]"#.into(),
            ),
        ],
        flags: vec![("--set".into(), "http.grace=3s".into())],
    })
    .unwrap();

    assert_eq!(config.http.trusted_proxies, 1);
    assert_eq!(config.http.body_limit, 3000);
    assert_eq!(config.http.grace.to_string(), "3s");
    assert_eq!(config.enrichment.api_key.expose(), "from-file");
    assert_eq!(config.worker.pools[0].name, "all");
}

#[test]
fn secrets_are_never_shown() {
    let config = config::load(&Sources {
        file: None,
        env: vec![
            (
                "DATABASE_URL".into(),
                "postgres://app:hunter2@db/leads?sslkey=hunter2".into(),
            ),
            (
                "SMTP_URL".into(),
                "smtps://mail:hunter2@smtp.example.com".into(),
            ),
            ("LEADMILL__ENRICHMENT__API_KEY".into(), "hunter2".into()),
        ],
        flags: Vec::new(),
    })
    .unwrap();

    let shown = format!("{config:?}\n{}", toml::to_string(&config).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("postgres://app:********@db/leads"),
        "{shown}"
    );
}

#[test]
fn a_length_of_time_stays_within_the_calendar() {
    let far = "must be at most ten years; write a length of time such as 30s or 12h";
    for key in ["session_idle", "session_lifetime"] {
        let told = mistakes(&format!("[console]\n{key} = \"9999999999h\"\n"), &[], &[]);
        assert!(told.contains(key) && told.contains(far), "{told}");
        let fine = mistakes(&format!("[console]\n{key} = \"87600h\"\n"), &[], &[]);
        assert!(!fine.contains(key), "{fine}");
    }
}

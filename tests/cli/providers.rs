//! Providers of an org from the command line: whom it asks, and that what opens them is sealed.

use jobs::effects::sealed::{MasterKeys, Sealed};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{leadmill, value};
use crate::harness::World;

const KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SECRET: &str = "a-key-that-was-paid-for";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_sealed_before_it_is_kept_and_never_shown() {
    let world = World::new().await;
    let org = world.org().await;
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets.json");
    std::fs::write(&secrets, json!({"api_key": SECRET}).to_string()).unwrap();
    let (id, secrets) = (org.to_string(), secrets.display().to_string());
    let env = [
        ("DATABASE_URL", world.database_url()),
        ("RUST_LOG", "warn"),
        ("LEADMILL_MASTER_KEYS", KEYS),
    ];
    let run = |args: &[&str]| leadmill(&[&["providers"], args].concat(), &env);
    assert!(run(&["ls", &id]).contains("It has no provider of its own"));

    let set = run(&["set", &id, "pdl", "--secrets", &secrets]);
    assert_eq!(set, "exit 0\npdl is asked about new leads.\n");
    let listed = run(&["ls", &id, "--json"]);
    let wanted = json!([{"key": "pdl", "priority": 100, "is_enabled": true, "sealed_by": "k1", "paused_until": null,
        "pause_reason": null}]);
    assert_eq!(value(&listed), wanted);

    let mut tx = world.db.org(org).await.unwrap();
    let kept: (Vec<u8>, String, Value) = sqlx::query_as(
        "SELECT credentials_enc, credentials_key_id, config FROM enrichment_providers",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    let audit: String =
        sqlx::query_scalar("SELECT after::text FROM audit_log WHERE action = 'provider.connect'")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    drop(tx);
    let (bytes, key_id, config) = kept;
    assert!(
        !bytes
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes())
    );
    for shown in [&config.to_string(), &audit, &listed] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
    let keys = MasterKeys::parse(&SecretString::from(KEYS)).unwrap();
    let opened = keys.open(org, "pdl", &Sealed { key_id, bytes }).unwrap();
    let opened: Value = serde_json::from_slice(opened.expose_secret()).unwrap();
    assert_eq!(opened, json!({"api_key": SECRET}));

    assert_eq!(
        run(&["off", &id, "pdl"]),
        "exit 0\npdl is not asked any more.\n"
    );
    let off = value(&run(&["ls", &id, "--json"]));
    assert_eq!(
        (&off[0]["is_enabled"], &off[0]["sealed_by"]),
        (&json!(false), &Value::Null)
    );
    let gone = run(&["off", &id, "own"]);
    assert!(gone.starts_with("exit 64\nerror: KEY: "), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_lacks_is_told_without_its_secrets() {
    let world = World::new().await;
    let id = world.org().await.to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = file("good.json", &json!({"api_key": SECRET}).to_string());
    let broken = file("broken.json", &format!("{{\"api_key\": {SECRET}"));
    let other = file("other.json", &json!({"key": SECRET}).to_string());
    let list = file("list.json", &json!([SECRET]).to_string());
    let nothing = file("nothing.json", "{}");
    let env = [("DATABASE_URL", world.database_url()), ("RUST_LOG", "warn")];
    for (args, code, said) in [
        (
            &["own"][..],
            64,
            "KEY: no preset is called own; there are pdl, apollo",
        ),
        (&["pdl"], 64, "--secrets: pdl needs api_key"),
        (
            &["pdl", "--secrets", &other],
            64,
            "--secrets: pdl needs api_key",
        ),
        (
            &["pdl", "--secrets", &list],
            64,
            "--secrets: write an object of texts",
        ),
        (
            &["pdl", "--secrets", &broken],
            64,
            "no JSON at line 1, column 13",
        ),
        (
            &["pdl", "--secrets", "nowhere.json"],
            64,
            "--secrets: nowhere.json: No such file",
        ),
        (&["own", "--described-by", &nothing], 64, "--described-by: "),
        (
            &["pdl", "--secrets", &good],
            78,
            "enrichment.master_keys: is not set",
        ),
    ] {
        let heard = leadmill(&[&["providers", "set", &id], args].concat(), &env);
        assert!(
            heard.starts_with(&format!("exit {code}\n")) && heard.contains(said),
            "{args:?}: {heard}"
        );
        assert!(!heard.contains(SECRET), "{heard}");
    }
    let none = leadmill(&["providers", "ls", &id, "--json"], &env);
    assert_eq!(none, "exit 0\n[]\n");
}

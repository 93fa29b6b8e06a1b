//! Addresses are compared in one spelling, also those that were kept before there was one.

use std::borrow::Cow;

use domain::id::MessageId;
use domain::mail::{MailStream, NewMail};
use domain::store::suppressions::{self, Reason, Scope};
use domain::store::{leads, mail_ledger, members};
use leadmill::database;
use serde_json::json;
use sqlx::migrate::Migrator;
use sqlx::{PgConnection, PgPool, Row};

use super::{done, value};
use crate::harness::{World, server};

#[tokio::test]
async fn a_suppressed_address_is_not_written_to_whatever_letters_it_has() {
    for [written, suppressed] in [
        ["JOSÉ@example.com", "josé@example.com "],
        ["josé@example.com", "JOSÉ@example.com"],
        ["İ@example.com", "İ@Example.com"],
        ["νικος@example.com", "ΝΙΚΟΣ@example.com"],
    ] {
        let world = World::new().await;
        let org = world.org().await;
        let mail = |key: &str| {
            let id = MessageId::new();
            NewMail {
                id,
                org,
                dedupe_key: key.to_owned(),
                stream: MailStream::Transactional,
                lead: None,
                user: None,
                to: written,
                template: "lead_scored",
                template_version: 1,
                context: json!({}),
                rfc_message_id: format!("<{id}@leadmill.test>"),
                expires_at: None,
                at: world.clock.now(),
            }
        };
        let later = mail("later");
        done(&world, org, async |tx, act| {
            mail_ledger::insert(tx, &mail("waits")).await.unwrap();
            let all = Scope::All;
            let fresh =
                suppressions::insert(tx, org, suppressed, all, Reason::Manual, None, act.at);
            assert!(fresh.await.unwrap());
            let again = suppressions::insert(tx, org, written, all, Reason::Manual, None, act.at);
            assert!(!again.await.unwrap(), "it is one address");
            mail_ledger::insert(tx, &later).await.unwrap();
        })
        .await;

        let state: String = value(
            &world,
            org,
            "SELECT state FROM email_messages WHERE dedupe_key = 'waits'",
        )
        .await;
        assert_eq!(state, "cancelled", "{written}");
        let found = done(&world, org, async |tx, act| {
            mail_ledger::lock(tx, org, later.id, act.at).await.unwrap()
        });
        assert!(found.await.unwrap().suppressed, "{written}");
    }
}

/// Whether row level security binds the owner of the tables, as which a test puts rows into all of them.
const UNBOUND: &str = "ALTER TABLE orgs NO FORCE ROW LEVEL SECURITY; ALTER TABLE users NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE leads NO FORCE ROW LEVEL SECURITY; ALTER TABLE suppressions NO FORCE ROW LEVEL SECURITY";
const BOUND: &str =
    "ALTER TABLE orgs FORCE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY;
    ALTER TABLE leads FORCE ROW LEVEL SECURITY; ALTER TABLE suppressions FORCE ROW LEVEL SECURITY";

/// What a program that came before the one spelling left behind.
const BEFORE: &str = r#"
    INSERT INTO orgs (id, slug, name) VALUES ('01950000-0000-7000-8000-000000000001', 'old', 'Old');
    INSERT INTO users (id, email, name) VALUES
        ('01950000-0000-7000-8000-0000000000a1', 'JOSÉ@example.com', 'José'),
        ('01950000-0000-7000-8000-0000000000a2', 'Ada@example.com', 'Ada');
    INSERT INTO leads (org_id, id, email, created_at) VALUES
        ('01950000-0000-7000-8000-000000000001', '01950000-0000-7000-8000-0000000000b1', 'JOSÉ@example.com', '2030-01-01Z'),
        ('01950000-0000-7000-8000-000000000001', '01950000-0000-7000-8000-0000000000b2', 'josé@example.com', '2030-01-02Z'),
        ('01950000-0000-7000-8000-000000000001', '01950000-0000-7000-8000-0000000000b3', 'ΝΙΚΟΣ@example.com', '2030-01-03Z'),
        ('01950000-0000-7000-8000-000000000001', '01950000-0000-7000-8000-0000000000b4', ' Ada@example.com', '2030-01-04Z'),
        ('01950000-0000-7000-8000-000000000001', '01950000-0000-7000-8000-0000000000b5', NULL, '2030-01-05Z'),
        ('01950000-0000-7000-8000-000000000001', '01950000-0000-7000-8000-0000000000b6', 'İ@example.com', '2030-01-06Z');
    INSERT INTO suppressions (org_id, email_norm, stream, reason, created_at, expires_at) VALUES
        ('01950000-0000-7000-8000-000000000001', 'JOSÉ@example.com', 'all', 'manual', '2030-01-01Z', NULL),
        ('01950000-0000-7000-8000-000000000001', 'josé@example.com', 'all', 'manual', '2030-01-01Z', '2030-02-01Z');
"#;

#[tokio::test]
async fn what_was_kept_before_is_found_by_the_one_spelling() {
    let server = server().await;
    let name = format!("before_{}", uuid::Uuid::now_v7().simple());
    server.create_database(&name).await.unwrap();
    let pool = PgPool::connect(&server.url(&name)).await.unwrap();
    let older = database::MIGRATOR.iter().filter(|m| m.version < 30);
    let older = Migrator {
        migrations: Cow::Owned(older.cloned().collect()),
        ..Migrator::DEFAULT
    };
    older.run(&pool).await.unwrap();
    sqlx::raw_sql(UNBOUND).execute(&pool).await.unwrap();
    sqlx::raw_sql(BEFORE).execute(&pool).await.unwrap();
    sqlx::raw_sql(BOUND).execute(&pool).await.unwrap();

    database::migrate(&pool).await.unwrap();

    let mut db = pool.acquire().await.unwrap();
    let forced: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class WHERE relname IN ('leads', 'users', 'suppressions', 'email_messages')
            AND relrowsecurity AND relforcerowsecurity",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    assert_eq!(forced, 4, "the owner is bound again");
    sqlx::raw_sql(UNBOUND).execute(&mut *db).await.unwrap();
    let keys = sqlx::query("SELECT right(id::text, 2), email_norm FROM leads ORDER BY id");
    let keys = keys.fetch_all(&mut *db).await.unwrap();
    let keys: Vec<(String, Option<String>)> =
        keys.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        // Somebody has that key already.
        ("b1", Some("josÉ@example.com")),
        ("b2", Some("josé@example.com")),
        ("b3", Some("νικοσ@example.com")),
        ("b4", Some("ada@example.com")),
        ("b5", None),
        ("b6", Some("i\u{307}@example.com")),
    ];
    let expected = expected.map(|(id, key)| (id.to_owned(), key.map(str::to_owned)));
    assert_eq!(keys, expected);
    for (address, lead) in [
        ("josé@example.com", "b2"),
        ("νικος@example.com", "b3"),
        ("ada@example.com", "b4"),
        ("İ@example.com", "b6"),
    ] {
        let org = "01950000-0000-7000-8000-000000000001".parse().unwrap();
        let found = leads::find_by_email(&mut db, org, address).await.unwrap();
        assert!(found.unwrap().to_string().ends_with(lead), "{address}");
    }
    let jose = members::find_user_by_email(&mut db, "josé@example.com").await;
    assert_eq!(jose.unwrap().unwrap().name, "José");
    assert_eq!(suppressed_for_good(&mut db).await, ["josé@example.com"]);
    let keyless = "INSERT INTO leads (org_id, id, email)
        VALUES ('01950000-0000-7000-8000-000000000001', gen_random_uuid(), 'new@example.com')";
    let refused = sqlx::query(keyless).execute(&mut *db).await.unwrap_err();
    assert_eq!(super::code(&refused), "23514", "an address has its key");

    drop(db);
    pool.close().await;
    server.drop_database(&name).await.unwrap();
}

async fn suppressed_for_good(db: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar("SELECT email_norm FROM suppressions WHERE expires_at IS NULL")
        .fetch_all(db)
        .await
        .unwrap()
}

//! What holds for every table of an org, whichever they are.

use domain::command;
use domain::id::OrgId;
use domain::score::Cause;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{captured, done, of};
use crate::harness::World;

/// The tables of which every row belongs to an org.
async fn tables(world: &World) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT table_name FROM information_schema.role_table_grants
         WHERE grantee = 'leadmill_app' AND privilege_type = 'SELECT' AND table_schema = 'public' AND table_name <> 'orgs'
         ORDER BY 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

async fn count(db: &mut PgConnection, table: &str, org: OrgId) -> i64 {
    let sql = format!("SELECT count(*) FROM {table} WHERE org_id = $1");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(org)
        .fetch_one(db)
        .await
        .unwrap()
}

/// An org at work: most tables have a row of it.
async fn at_work(world: &World, org: OrgId) {
    world
        .member(
            org,
            &format!("Rep{}", org.uuid().simple()),
            domain::member::Role::Member,
        )
        .await;
    let mut capture = of("ada@engines.test");
    capture.external = vec![domain::lead::ExternalId {
        provider: "meta".into(),
        id: "1".into(),
    }];
    let lead = captured(world, org, &capture).await;
    done(world, org, async |tx, act| {
        command::record_score(tx, act, lead, Cause::Created).await.unwrap();
        command::auto_assign(tx, act, lead, false).await.unwrap();
        let call = domain::contact::Contact::outbound(domain::contact::ContactMethod::Call);
        command::log_contact(tx, act, lead, &call).await.unwrap();
        for sql in [
            "INSERT INTO spaces (id, org_id, name) VALUES (gen_random_uuid(), $1, 'North')",
            "INSERT INTO space_members (org_id, space_id, user_id)
                SELECT $1, id, (SELECT user_id FROM memberships LIMIT 1) FROM spaces",
            "INSERT INTO suppressions (org_id, email_norm, reason, created_at) VALUES ($1, 'ada@engines.test', 'manual', now())",
            "INSERT INTO notifications (id, org_id, user_id, kind, title, dedupe_key, created_at)
                SELECT gen_random_uuid(), $1, user_id, 'lead_hot', 'x', 'x', now() FROM memberships LIMIT 1",
            "INSERT INTO enrichment_runs (id, org_id, lead_id, provider_key, request_hash, state)
                SELECT gen_random_uuid(), $1, id, 'pdl', 'x', 'queued' FROM leads LIMIT 1",
        ] {
            sqlx::query(sql).bind(org).execute(&mut *tx).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn rows_of_another_org_can_be_neither_seen_nor_changed_nor_removed() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    at_work(&world, here).await;
    at_work(&world, there).await;

    let mut filled = 0;
    for table in tables(&world).await {
        let theirs = done(&world, there, async |tx, _| count(tx, &table, there).await).await;
        filled += usize::from(theirs > 0);

        for verb in [
            format!("DELETE FROM {table} WHERE org_id = $1"),
            format!("UPDATE {table} SET org_id = org_id WHERE org_id = $1"),
        ] {
            let mut tx = world.db.org(here).await.unwrap();
            assert_eq!(
                count(&mut tx, &table, there).await,
                0,
                "{table} shows rows of another org"
            );
            match sqlx::query(AssertSqlSafe(verb))
                .bind(there)
                .execute(&mut *tx)
                .await
            {
                Ok(hit) => assert_eq!(hit.rows_affected(), 0, "{table}"),
                // History may not be touched by anybody.
                Err(refused) => assert_eq!(super::code(&refused), "42501", "{table}"),
            }
        }
        // Nor can a row of one's own be given away.
        let mut tx = world.db.org(here).await.unwrap();
        if count(&mut tx, &table, here).await > 0 {
            let give = format!("UPDATE {table} SET org_id = $1");
            let refused = sqlx::query(AssertSqlSafe(give))
                .bind(there)
                .execute(&mut *tx)
                .await
                .unwrap_err();
            assert_eq!(super::code(&refused), "42501", "{table}");
        }
        let left = done(&world, there, async |tx, _| count(tx, &table, there).await).await;
        assert_eq!(left, theirs, "{table}");
    }
    assert!(
        filled >= 20,
        "only {filled} tables had a row of the other org"
    );
}

#[tokio::test]
async fn the_roles_have_the_policies_they_need_and_no_other() {
    let world = World::new().await;
    // One policy of the same words on every table of an org, both ways.
    let words = "(org_id = (NULLIF(current_setting('app.org_id'::text, true), ''::text))::uuid)";
    let odd: Vec<String> = sqlx::query_scalar(
        "SELECT tablename || ': ' || policyname FROM pg_policies
         WHERE 'leadmill_app' = ANY(roles) AND permissive = 'PERMISSIVE' AND tablename <> 'orgs'
            AND NOT (policyname = 'org_isolation' AND cmd = 'ALL' AND qual = $1 AND with_check = $1)",
    )
    .bind(words)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(odd, Vec::<String>::new());

    // The platform, beside the tables of sign-in: what routes, and what it did itself.
    let platform: Vec<String> = sqlx::query_scalar(
        "SELECT tablename || ' ' || lower(cmd) FROM pg_policies
         WHERE 'leadmill_platform' = ANY(roles) AND tablename NOT IN ('sessions', 'sign_in_links') ORDER BY 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(
        platform,
        [
            "api_keys select",
            "audit_log all",
            "form_tokens select",
            "memberships select",
            "orgs all",
            "space_members select",
            "users all",
        ]
    );
    // The owner, for the one function that looks words up for an org.
    let others: Vec<String> = sqlx::query_scalar(
        "SELECT tablename || ' ' || lower(cmd) FROM pg_policies
         WHERE NOT roles <@ '{leadmill_app,leadmill_platform}'::name[]",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(others, ["lead_search select"]);
}

#[tokio::test]
async fn the_platform_changes_no_member_key_or_form_and_reads_only_its_own_audit() {
    let world = World::new().await;
    let org = world.org().await;
    at_work(&world, org).await;
    for sql in [
        "UPDATE memberships SET role = 'owner'",
        "DELETE FROM api_keys",
        "INSERT INTO form_tokens SELECT * FROM form_tokens",
        "DELETE FROM orgs",
        "SELECT FROM leads",
        "SELECT FROM email_messages",
    ] {
        let mut tx = world.db.platform().await.unwrap();
        let refused = sqlx::query(sql).execute(&mut *tx).await.unwrap_err();
        assert_eq!(super::code(&refused), "42501", "{sql}");
    }
    let mut tx = world.db.platform().await.unwrap();
    let audit: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(audit, 0, "what happens in an org is the org's");
}

#[tokio::test]
async fn every_table_keeps_its_ids_times_and_references_in_order() {
    let world = World::new().await;
    let wrong: Vec<String> = sqlx::query_scalar(
        r#"
        SELECT c.relname || ': id is no uuid'
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.atttypid <> 'uuid'::regtype
        UNION ALL
        SELECT c.relname || ': no trigger keeps updated_at'
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'updated_at'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
            AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = c.relname || '_updated')
        UNION ALL
        SELECT c.relname || ': ' || a.attname || ' is a time without a zone'
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.atttypid = 'timestamp'::regtype
        WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT c.relname || ': ' || k.conname || ' does not name the org'
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        WHERE k.contype = 'f' AND c.relnamespace = 'public'::regnamespace
            AND k.confrelid NOT IN ('orgs'::regclass, 'users'::regclass)
            AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id' AND a.attnum = k.conkey[1])
        UNION ALL
        SELECT c.relname || ': ' || k.conname || ' clears the org when its target goes'
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        WHERE k.contype = 'f' AND k.confdeltype = 'n' AND array_length(k.conkey, 1) > 1
        "#,
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(wrong, Vec::<String>::new());
}

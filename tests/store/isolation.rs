//! Orgs do not see each other, whatever a query forgets.

use domain::id::{LeadId, OrgId, UserId};
use domain::member::Role;
use domain::org::Visibility;
use domain::store::leads;
use domain::{command, contact};

use super::{captured, code, of, read};
use crate::harness::World;

/// Tables that belong to no org but to the platform or the machinery.
const NOT_OF_AN_ORG: [&str; 1] = ["_sqlx_migrations"];
/// Unique over all orgs on purpose: what routes a request to its org.
const ROUTING: [&str; 6] = [
    "orgs",
    "users",
    "api_keys",
    "form_tokens",
    "sessions",
    "sign_in_links",
];

#[tokio::test]
async fn every_table_of_an_org_has_row_security_that_binds_its_owner_too() {
    let world = World::new().await;
    let open: Vec<String> = sqlx::query_scalar(
        r#"
        SELECT relname::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> ALL($1)
            AND NOT (relrowsecurity AND relforcerowsecurity)
        ORDER BY relname
        "#,
    )
    .bind(NOT_OF_AN_ORG.map(str::to_owned).to_vec())
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(open, Vec::<String>::new());

    let policies: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_policies WHERE policyname = 'org_isolation' AND roles = '{leadmill_app}'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let tables: i64 = sqlx::query_scalar(
        r#"
        SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND c.relname <> ALL($1)
        "#,
    )
    .bind(["sessions".to_owned()].to_vec())
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(policies, tables);
}

#[tokio::test]
async fn every_key_of_an_org_table_begins_with_the_org() {
    let world = World::new().await;
    let strays: Vec<String> = sqlx::query_scalar(
        r#"
        SELECT i.indexrelid::regclass::text
        FROM pg_index i
        JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
        WHERE i.indisunique AND c.relname <> ALL($1) AND c.relname <> ALL($2)
            AND (SELECT attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = i.indkey[0]) <> 'org_id'
        "#,
    )
    .bind(NOT_OF_AN_ORG.map(str::to_owned).to_vec())
    .bind(ROUTING.map(str::to_owned).to_vec())
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(strays, Vec::<String>::new());
}

#[tokio::test]
async fn without_an_org_there_is_nothing_to_see() {
    let world = World::new().await;
    let org = world.org().await;
    captured(&world, org, &of("ada@engines.test")).await;

    let mut tx = world.pool.begin().await.unwrap();
    sqlx::query("SET LOCAL ROLE leadmill_app")
        .execute(&mut *tx)
        .await
        .unwrap();
    let seen: i64 =
        sqlx::query_scalar("SELECT (SELECT count(*) FROM leads) + (SELECT count(*) FROM orgs)")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    assert_eq!(seen, 0);
}

#[tokio::test]
async fn an_org_sees_its_own_leads_only_even_without_saying_so() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    captured(&world, here, &of("ada@engines.test")).await;
    // The same person may be a lead of both.
    captured(&world, there, &of("ada@engines.test")).await;

    let mut tx = world.db.org(here).await.unwrap();
    let seen: Vec<OrgId> = sqlx::query_scalar("SELECT org_id FROM leads")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert_eq!(seen, [here]);
}

#[tokio::test]
async fn a_row_for_another_org_is_refused() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    let mut tx = world.db.org(here).await.unwrap();
    let refused = sqlx::query("INSERT INTO leads (id, org_id, name) VALUES ($1, $2, 'Ada')")
        .bind(LeadId::new())
        .bind(there)
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "42501");
}

#[tokio::test]
async fn a_reference_into_another_org_is_refused() {
    let world = World::new().await;
    let (here, there) = (world.org().await, world.another_org().await);
    let stranger = world.member(there, "Eve", Role::Member).await;
    let ours = captured(&world, here, &of("ada@engines.test")).await;
    let theirs = captured(&world, there, &of("bob@engines.test")).await;

    for (sql, id) in [
        (
            "UPDATE leads SET assigned_to_user_id = $2 WHERE id = $1",
            stranger.user.uuid(),
        ),
        (
            "INSERT INTO activities (id, org_id, lead_id, activity_type, occurred_at)
             SELECT gen_random_uuid(), org_id, $2, 'note', now() FROM leads WHERE id = $1",
            theirs.uuid(),
        ),
    ] {
        let mut tx = world.db.org(here).await.unwrap();
        let refused = sqlx::query(sql)
            .bind(ours)
            .bind(id)
            .execute(&mut *tx)
            .await
            .unwrap_err();
        assert_eq!(code(&refused), "23503", "{sql}");
    }
}

#[tokio::test]
async fn the_platform_routes_and_sees_nothing_of_the_business() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;

    let mut tx = world.db.platform().await.unwrap();
    let orgs: i64 = sqlx::query_scalar("SELECT count(*) FROM orgs")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(orgs, 1);
    domain::store::scope::enter_org(&mut tx, org).await.unwrap();
    let members: i64 = sqlx::query_scalar("SELECT count(*) FROM memberships")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(members, 1);

    let mut tx = world.db.platform().await.unwrap();
    let refused = sqlx::query("SELECT FROM leads")
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "42501");
    let mut tx = world.db.org(org).await.unwrap();
    let refused = sqlx::query("SELECT FROM users")
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "42501", "accounts are the platform's");
}

#[tokio::test]
async fn a_member_sees_their_own_leads_where_the_org_wants_it_so_and_admins_see_all() {
    let world = World::new().await;
    let org = world.org().await;
    let (mut ada, mut bob) = (world.rep("Ada").await, world.rep("Bob").await);
    (ada.visibility, bob.visibility) = (Visibility::Own, Visibility::Own);
    let lead = captured(&world, org, &of("one@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    command::assign_lead(&mut tx, &world.act(org), lead, Some(ada.user))
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let sees = async |member: &domain::member::Member| {
        let mut tx = world.db.member(member).await.unwrap();
        leads::lock(&mut tx, org, lead).await.unwrap().is_some()
    };
    assert!(sees(&ada).await);
    assert!(!sees(&bob).await);
    bob.role = Role::Admin;
    assert!(sees(&bob).await);
}

#[tokio::test]
async fn a_member_of_a_space_sees_its_leads() {
    let world = World::new().await;
    let org = world.org().await;
    let mut ada = world.rep("Ada").await;
    ada.visibility = Visibility::Space;
    let space = domain::id::SpaceId::new();
    let mut tx = world.db.org(org).await.unwrap();
    sqlx::query("INSERT INTO spaces (id, org_id, name) VALUES ($1, $2, 'North')")
        .bind(space)
        .bind(org)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut inside = of("in@engines.test");
    inside.details.space_id = Some(space);
    let inside = captured(&world, org, &inside).await;
    let outside = captured(&world, org, &of("out@engines.test")).await;

    let sees = async |member: &domain::member::Member, lead| {
        let mut tx = world.db.member(member).await.unwrap();
        leads::lock(&mut tx, org, lead).await.unwrap().is_some()
    };
    assert!(!sees(&ada, inside).await);
    ada.spaces = vec![space];
    assert!(sees(&ada, inside).await);
    assert!(!sees(&ada, outside).await);
}

#[tokio::test]
async fn a_hidden_lead_cannot_be_worked_on_but_its_address_is_taken() {
    let world = World::new().await;
    let org = world.org().await;
    let mut ada = world.rep("Ada").await;
    ada.visibility = Visibility::Own;
    let lead = captured(&world, org, &of("one@engines.test")).await;

    let mut act = world.act(org);
    act.actor = domain::actor::Actor::User(ada.user);
    let mut tx = world.db.member(&ada).await.unwrap();
    let contact = contact::Contact::outbound(contact::ContactMethod::Call);
    let refused = command::log_contact(&mut tx, &act, lead, &contact)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, command::CommandError::NotFound("lead")),
        "{refused:?}"
    );
    let refused = command::create_lead(&mut tx, &act, &of("one@engines.test"))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, command::CommandError::Taken),
        "{refused:?}"
    );
    let own = command::create_lead(&mut tx, &act, &of("two@engines.test"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        read(&world, org, own).await.created_by_user_id,
        Some(ada.user)
    );
}

#[tokio::test]
async fn history_is_never_rewritten() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    command::record_score(
        &mut tx,
        &world.act(org),
        lead,
        domain::score::Cause::Created,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();

    for sql in [
        "UPDATE lead_scores SET score = 100",
        "DELETE FROM lead_scores",
        "UPDATE audit_log SET action = 'nothing'",
        "DELETE FROM audit_log",
    ] {
        let mut tx = world.db.org(org).await.unwrap();
        let refused = sqlx::query(sql).execute(&mut *tx).await.unwrap_err();
        assert_eq!(code(&refused), "42501", "{sql}");
    }
    // Whoever owns the tables and may do it is stopped by the tables themselves.
    let mut tx = world.pool.begin().await.unwrap();
    for sql in [
        "CREATE POLICY everything ON lead_scores USING (true)",
        "CREATE POLICY everything ON audit_log USING (true)",
    ] {
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
    }
    for sql in [
        "UPDATE lead_scores SET score = 100",
        "DELETE FROM audit_log",
    ] {
        sqlx::query("SAVEPOINT before")
            .execute(&mut *tx)
            .await
            .unwrap();
        let refused = sqlx::query(sql).execute(&mut *tx).await.unwrap_err();
        assert_eq!(code(&refused), "55000", "{sql}");
        sqlx::query("ROLLBACK TO before")
            .execute(&mut *tx)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_rep_who_is_nobody_cannot_be_given_a_lead() {
    let world = World::new().await;
    let org = world.org().await;
    let lead = captured(&world, org, &of("ada@engines.test")).await;
    let mut tx = world.db.org(org).await.unwrap();
    let refused = command::assign_lead(&mut tx, &world.act(org), lead, Some(UserId::new()))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, command::CommandError::NotFound("member")),
        "{refused:?}"
    );
}

//! The people of an org, and the accounts behind them.

use sqlx::PgConnection;

use crate::{
    id::{OrgId, UserId},
    member::{Member, Membership, Role, User},
    normalise,
};

/// The account with this address; asked as the platform.
pub async fn find_user_by_email(db: &mut PgConnection, email: &str) -> sqlx::Result<Option<User>> {
    sqlx::query_as(
        r#"
        SELECT id, email, name, password_hash, is_platform_admin, disabled_at
        FROM users
        WHERE email_norm = $1
        "#,
    )
    .bind(normalise::address(email))
    .fetch_optional(db)
    .await
}

/// The account with this address, made if there is none; as the platform.
pub async fn ensure_user(db: &mut PgConnection, email: &str, name: &str) -> sqlx::Result<UserId> {
    sqlx::query_scalar(
        r#"
        INSERT INTO users (id, email, email_norm, name) VALUES ($1, $2, $3, $4)
        ON CONFLICT (email_norm) DO UPDATE SET name = users.name
        RETURNING id
        "#,
    )
    .bind(UserId::new())
    .bind(email)
    .bind(normalise::address(email))
    .bind(name)
    .fetch_one(db)
    .await
}

/// Makes an account one of the platform's operator, or an ordinary one; as the platform.
pub async fn set_platform_admin(
    db: &mut PgConnection,
    id: UserId,
    is_platform_admin: bool,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE users SET is_platform_admin = $2 WHERE id = $1")
        .bind(id)
        .bind(is_platform_admin)
        .execute(db)
        .await?;
    Ok(())
}

/// Where a person works, as what transactions are opened for; asked as the platform.
pub async fn of_user(db: &mut PgConnection, user: UserId) -> sqlx::Result<Vec<Member>> {
    #[derive(sqlx::FromRow)]
    struct Row {
        org_id: OrgId,
        role: Role,
        lead_visibility: crate::org::Visibility,
        spaces: Vec<crate::id::SpaceId>,
    }
    let rows: Vec<Row> = sqlx::query_as(
        r#"
        SELECT member.org_id, member.role, org.lead_visibility,
            ARRAY(SELECT space_id FROM space_members WHERE org_id = member.org_id AND user_id = member.user_id) AS spaces
        FROM memberships member
        JOIN orgs org ON org.id = member.org_id AND org.status = 'active'
        WHERE member.user_id = $1
        ORDER BY org.name, org.id
        "#,
    )
    .bind(user)
    .fetch_all(db)
    .await?;
    let member = |row: Row| Member {
        org: row.org_id,
        user,
        role: row.role,
        visibility: row.lead_visibility,
        spaces: row.spaces,
    };
    Ok(rows.into_iter().map(member).collect())
}

/// Everybody in the org, by name.
pub async fn list(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<Membership>> {
    sqlx::query_as(
        r#"
        SELECT org_id, user_id, role, name, email, notify, ooo_until, created_at
        FROM memberships
        WHERE org_id = $1
        ORDER BY name, user_id
        "#,
    )
    .bind(org)
    .fetch_all(db)
    .await
}

/// One person of the org.
pub async fn find(
    db: &mut PgConnection,
    org: OrgId,
    user: UserId,
) -> sqlx::Result<Option<Membership>> {
    sqlx::query_as(
        r#"
        SELECT org_id, user_id, role, name, email, notify, ooo_until, created_at
        FROM memberships
        WHERE org_id = $1 AND user_id = $2
        "#,
    )
    .bind(org)
    .bind(user)
    .fetch_optional(db)
    .await
}

/// Admins and owners: who is told what concerns the org and nobody in particular.
pub async fn admins(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<Membership>> {
    sqlx::query_as(
        r#"
        SELECT org_id, user_id, role, name, email, notify, ooo_until, created_at
        FROM memberships
        WHERE org_id = $1 AND role IN ('admin', 'owner')
        ORDER BY name, user_id
        "#,
    )
    .bind(org)
    .fetch_all(db)
    .await
}

/// Takes a person in, or gives one who is in another role.
pub async fn upsert(
    db: &mut PgConnection,
    org: OrgId,
    user: UserId,
    role: Role,
    name: &str,
    email: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        INSERT INTO memberships (org_id, user_id, role, name, email) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role, name = excluded.name, email = excluded.email
        "#,
    )
    .bind(org)
    .bind(user)
    .bind(role)
    .bind(name)
    .bind(email)
    .execute(db)
    .await?;
    Ok(())
}

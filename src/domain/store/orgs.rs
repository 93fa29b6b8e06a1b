//! Orgs: found by whoever needs their rules, made by the platform.

use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    id::OrgId,
    org::{Org, OrgSettings, Profile, Visibility},
};

/// The org, as itself or as the platform; none if it is another org's transaction.
pub async fn find(db: &mut PgConnection, id: OrgId) -> sqlx::Result<Option<Org>> {
    sqlx::query_as(
        r#"
        SELECT id, slug, name, status, time_zone, currency, lifecycle_profile, lead_visibility, settings, created_at
        FROM orgs
        WHERE id = $1
        "#,
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// The org by its short name; asked as the platform.
pub async fn find_by_slug(db: &mut PgConnection, slug: &str) -> sqlx::Result<Option<Org>> {
    sqlx::query_as(
        r#"
        SELECT id, slug, name, status, time_zone, currency, lifecycle_profile, lead_visibility, settings, created_at
        FROM orgs
        WHERE slug = $1
        "#,
    )
    .bind(slug)
    .fetch_optional(db)
    .await
}

/// The short name of an org that is not called `slug`, if there is any; asked as the platform.
pub async fn find_other(db: &mut PgConnection, slug: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT slug FROM orgs WHERE slug <> $1 ORDER BY slug LIMIT 1")
        .bind(slug)
        .fetch_optional(db)
        .await
}

/// Every org, by its short name; asked as the platform.
pub async fn list(db: &mut PgConnection) -> sqlx::Result<Vec<Org>> {
    sqlx::query_as(
        r#"
        SELECT id, slug, name, status, time_zone, currency, lifecycle_profile, lead_visibility, settings, created_at
        FROM orgs
        ORDER BY slug
        "#,
    )
    .fetch_all(db)
    .await
}

/// Keeps others who would make the org of this short name waiting until the transaction ends.
pub async fn lock_slug(db: &mut PgConnection, slug: &str) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('org ' || $1, 0))")
        .bind(slug)
        .execute(db)
        .await?;
    Ok(())
}

/// The names of those of `ids` that are orgs; asked as the platform.
pub async fn names(db: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as("SELECT id, name FROM orgs WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(db)
        .await
}

/// At most `limit` active orgs behind `after`, in the order of their ids; asked as the platform.
pub async fn active(
    db: &mut PgConnection,
    after: Option<OrgId>,
    limit: i64,
) -> sqlx::Result<Vec<OrgId>> {
    sqlx::query_scalar(
        "SELECT id FROM orgs WHERE status = 'active' AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// What a new org is told.
#[derive(Debug, Clone)]
pub struct NewOrg {
    /// Its id.
    pub id: OrgId,
    /// Its short name in addresses.
    pub slug: String,
    /// Its name as shown.
    pub name: String,
    /// Which statuses it uses.
    pub profile: Profile,
    /// What its plain members see.
    pub visibility: Visibility,
    /// IANA name of its time zone.
    pub time_zone: String,
    /// Currency of deal values that name none.
    pub currency: String,
    /// Its switches.
    pub settings: OrgSettings,
}

impl NewOrg {
    /// An org with every default.
    pub fn named(slug: &str, name: &str) -> Self {
        Self {
            id: OrgId::new(),
            slug: slug.into(),
            name: name.into(),
            profile: Profile::Unified,
            visibility: Visibility::Org,
            time_zone: "UTC".into(),
            currency: "USD".into(),
            settings: OrgSettings::default(),
        }
    }
}

/// Inserts an org; as the platform. `false` if the short name is taken.
pub async fn insert(db: &mut PgConnection, new: &NewOrg) -> sqlx::Result<bool> {
    let done = sqlx::query(
        r#"
        INSERT INTO orgs (id, slug, name, lifecycle_profile, lead_visibility, time_zone, currency, settings)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (slug) DO NOTHING
        "#,
    )
    .bind(new.id)
    .bind(&new.slug)
    .bind(&new.name)
    .bind(new.profile)
    .bind(new.visibility)
    .bind(&new.time_zone)
    .bind(&new.currency)
    .bind(Json(&new.settings))
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

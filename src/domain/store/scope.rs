//! Transactions that row level security binds to an org, to a member of it, or to the platform.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::{id::OrgId, member::Member, org::Visibility};

/// A transaction; dropped without `commit` it never happened.
pub type Tx = sqlx::Transaction<'static, sqlx::Postgres>;

/// The business database. Every transaction says for whom it is; begin, role and scope are one round trip.
#[derive(Clone, Debug)]
pub struct Db {
    pool: PgPool,
}

impl Db {
    /// Business access through `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The pool itself, for the queue and for health checks; it is bound to no org.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A transaction that sees and writes the rows of `org` and no other.
    pub async fn org(&self, org: OrgId) -> sqlx::Result<Tx> {
        self.begin(format!("BEGIN; {}", enter_org_sql(org))).await
    }

    /// A transaction that sees what `member` may see of their org.
    pub async fn member(&self, member: &Member) -> sqlx::Result<Tx> {
        let spaces: Vec<_> = member.spaces.iter().map(ToString::to_string).collect();
        let visibility = member.effective_visibility();
        let armed = if visibility == Visibility::Org {
            String::new()
        } else {
            format!(
                "SET LOCAL app.visibility = '{visibility}'; SET LOCAL app.space_ids = '{{{}}}';",
                spaces.join(",")
            )
        };
        self.begin(format!(
            "BEGIN; {} SET LOCAL app.user_id = '{}'; {armed}",
            enter_org_sql(member.org),
            member.user
        ))
        .await
    }

    /// A transaction of the platform: the routing tables of all orgs, and nothing of their business.
    pub async fn platform(&self) -> sqlx::Result<Tx> {
        self.begin("BEGIN; SET LOCAL ROLE leadmill_platform;".to_owned())
            .await
    }

    async fn begin(&self, statement: String) -> sqlx::Result<Tx> {
        self.pool.begin_with(AssertSqlSafe(statement)).await
    }
}

/// Turns a platform transaction into one of `org`: route first, then do the org's work in the same transaction.
pub async fn enter_org(db: &mut PgConnection, org: OrgId) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(enter_org_sql(org)))
        .execute(db)
        .await?;
    Ok(())
}

/// Turns a transaction back into one of the platform, which the owner of the database may always do.
pub async fn enter_platform(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("SET LOCAL ROLE leadmill_platform")
        .execute(db)
        .await?;
    Ok(())
}

/// Lifts what a member may not see, for the rest of the transaction: a lead that is given away goes out of its giver's
/// sight, which row level security would refuse.
pub async fn see_whole_org(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("SET LOCAL app.visibility = 'org'")
        .execute(db)
        .await?;
    Ok(())
}

/// Ids are numbers, so nothing that a caller sends is ever part of the text.
fn enter_org_sql(org: OrgId) -> String {
    format!("SET LOCAL ROLE leadmill_app; SET LOCAL app.org_id = '{org}';")
}

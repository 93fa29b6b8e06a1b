//! Employers.

use serde_json::{Map, Value};
use sqlx::{PgConnection, types::Json};

use crate::{
    company::{Company, CompanyFacts, Identity, employees},
    id::{CompanyId, OrgId},
};

/// The employer by its domain, else by its name; made if it is new. What is known of it already stays.
///
/// Ask before locking a lead: two transactions that take employer and lead in different order would wait for each other.
pub async fn resolve(
    db: &mut PgConnection,
    org: OrgId,
    identity: &Identity,
    facts: &CompanyFacts,
    said: &Map<String, Value>,
) -> sqlx::Result<Company> {
    if let Some(known) = find(db, org, identity).await? {
        return learn(db, org, known, facts, said).await;
    }
    sqlx::query("INSERT INTO companies (id, org_id, name, domain) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
        .bind(CompanyId::new())
        .bind(org)
        .bind(&identity.name)
        .bind(&identity.domain)
        .execute(&mut *db)
        .await?;
    let known = find(db, org, identity)
        .await?
        .ok_or(sqlx::Error::RowNotFound)?;
    learn(db, org, known, facts, said).await
}

/// The employer by its domain, else by its name.
pub async fn find(
    db: &mut PgConnection,
    org: OrgId,
    identity: &Identity,
) -> sqlx::Result<Option<Company>> {
    match &identity.domain {
        Some(domain) => {
            sqlx::query_as(
                r#"
                SELECT id, name, domain, website, industry, company_size, employees
                FROM companies
                WHERE org_id = $1 AND lower(domain) = $2
                "#,
            )
            .bind(org)
            .bind(domain)
            .fetch_optional(db)
            .await
        }
        None => {
            sqlx::query_as(
                r#"
                SELECT id, name, domain, website, industry, company_size, employees
                FROM companies
                WHERE org_id = $1 AND name_norm = lower(btrim($2))
                ORDER BY domain IS NOT NULL DESC, id
                LIMIT 1
                "#,
            )
            .bind(org)
            .bind(&identity.name)
            .fetch_optional(db)
            .await
        }
    }
}

/// Fills the gaps of what is known.
async fn learn(
    db: &mut PgConnection,
    org: OrgId,
    known: Company,
    facts: &CompanyFacts,
    said: &Map<String, Value>,
) -> sqlx::Result<Company> {
    let number = facts
        .employees
        .filter(|n| *n >= 0)
        .or_else(|| facts.company_size.as_deref().and_then(employees));
    let gap = (known.website.is_none() && facts.website.is_some())
        || (known.industry.is_none() && facts.industry.is_some())
        || (known.company_size.is_none() && facts.company_size.is_some())
        || (known.employees.is_none() && number.is_some());
    if !gap && said.is_empty() {
        return Ok(known);
    }
    sqlx::query_as(
        r#"
        UPDATE companies SET website = coalesce(website, $3), industry = coalesce(industry, $4),
            company_size = coalesce(company_size, $5), employees = coalesce(employees, $6),
            company_data = company_data || $7
        WHERE org_id = $1 AND id = $2
        RETURNING id, name, domain, website, industry, company_size, employees
        "#,
    )
    .bind(org)
    .bind(known.id)
    .bind(&facts.website)
    .bind(&facts.industry)
    .bind(&facts.company_size)
    .bind(number)
    .bind(Json(said))
    .fetch_one(db)
    .await
}

/// One employer.
pub async fn find_by_id(
    db: &mut PgConnection,
    org: OrgId,
    id: CompanyId,
) -> sqlx::Result<Option<Company>> {
    sqlx::query_as(
        "SELECT id, name, domain, website, industry, company_size, employees FROM companies WHERE org_id = $1 AND id = $2",
    )
    .bind(org)
    .bind(id)
    .fetch_optional(db)
    .await
}

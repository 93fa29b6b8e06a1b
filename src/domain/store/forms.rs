//! Forms and the tokens under which they are found.

use serde::Serialize;
use sqlx::PgConnection;

use crate::clock::Timestamp;
use crate::form::{FieldType, Form, FormSettings, Question};
use crate::id::{ChannelId, FormFieldId, FormId, OrgId};

/// Whose form the token leads to, if that org is served; asked as the platform, before the org is known.
pub async fn find_route(
    db: &mut PgConnection,
    token: &str,
) -> sqlx::Result<Option<(OrgId, FormId)>> {
    sqlx::query_as(
        r#"
        SELECT token.org_id, token.form_id
        FROM form_tokens token
        JOIN orgs org ON org.id = token.org_id AND org.status = 'active'
        WHERE token.token = $1 AND token.revoked_at IS NULL
        "#,
    )
    .bind(token)
    .fetch_optional(db)
    .await
}

#[derive(sqlx::FromRow)]
struct Row {
    channel_id: Option<ChannelId>,
    title: Option<String>,
    #[sqlx(json)]
    form_settings: FormSettings,
}

/// The published form with its questions in order; asked as the org.
pub async fn find_published(
    db: &mut PgConnection,
    org: OrgId,
    form: FormId,
) -> sqlx::Result<Option<Form>> {
    let row: Option<Row> = sqlx::query_as(
        r#"
        SELECT form.channel_id, form.title,
            form.form_settings
                || CASE WHEN NOT form.form_settings ? 'allowed_origins' AND channel.allowed_origins IS NOT NULL
                        THEN jsonb_build_object('allowed_origins', to_jsonb(channel.allowed_origins))
                        ELSE '{}' END AS form_settings
        FROM forms form
        LEFT JOIN channels channel ON channel.org_id = form.org_id AND channel.id = form.channel_id
        WHERE form.org_id = $1 AND form.id = $2 AND form.status = 'published'
        "#,
    )
    .bind(org)
    .bind(form)
    .fetch_optional(&mut *db)
    .await?;
    let Some(row) = row else { return Ok(None) };

    let questions: Vec<Question> = sqlx::query_as(
        r#"
        SELECT field_key, field_type, label, is_required, options, validation_rules, maps_to
        FROM form_fields
        WHERE org_id = $1 AND form_id = $2
        ORDER BY field_order
        "#,
    )
    .bind(org)
    .bind(form)
    .fetch_all(db)
    .await?;
    Ok(Some(Form {
        id: form,
        org,
        channel: row.channel_id,
        title: row.title,
        settings: row.form_settings,
        questions,
    }))
}

/// A form about to be made.
#[derive(Debug, Clone)]
pub struct NewForm<'a> {
    /// For the org's own lists.
    pub name: &'a str,
    /// Heading shown to visitors.
    pub title: &'a str,
    /// The token under which it is found.
    pub token: &'a str,
    /// Its questions in order: key, which is also the lead field that it fills, type, label, whether it must be answered.
    pub questions: &'a [(&'a str, FieldType, &'a str, bool)],
}

/// Makes a published form; asked as its org.
pub async fn insert(db: &mut PgConnection, org: OrgId, new: &NewForm<'_>) -> sqlx::Result<FormId> {
    let form = FormId::new();
    sqlx::query("INSERT INTO forms (id, org_id, name, title) VALUES ($1, $2, $3, $4)")
        .bind(form)
        .bind(org)
        .bind(new.name)
        .bind(new.title)
        .execute(&mut *db)
        .await?;
    for (order, (key, kind, label, required)) in (1..).zip(new.questions) {
        sqlx::query(
            r#"
            INSERT INTO form_fields (id, org_id, form_id, field_key, field_type, label, is_required, field_order, maps_to)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $4)
            "#,
        )
        .bind(FormFieldId::new())
        .bind(org)
        .bind(form)
        .bind(key)
        .bind(kind)
        .bind(label)
        .bind(required)
        .bind(order)
        .execute(&mut *db)
        .await?;
    }
    sqlx::query("INSERT INTO form_tokens (token, org_id, form_id) VALUES ($1, $2, $3)")
        .bind(new.token)
        .bind(org)
        .bind(form)
        .execute(db)
        .await?;
    Ok(form)
}

/// A form as its org's people see it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct ListedForm {
    /// Its id.
    pub id: FormId,
    /// For the org's own lists.
    pub name: String,
    /// `draft`, `published` or `archived`; only a published one takes posts.
    pub status: String,
    /// How many questions it has; one without takes whatever it is sent.
    pub questions: i64,
    /// The tokens under which it is found.
    pub tokens: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Every form of the org, the oldest first; asked as the org.
pub async fn list(db: &mut PgConnection, org: OrgId) -> sqlx::Result<Vec<ListedForm>> {
    sqlx::query_as(
        r#"
        SELECT form.id, form.name, form.status, form.created_at,
            (SELECT count(*) FROM form_fields field WHERE field.org_id = form.org_id AND field.form_id = form.id) AS questions,
            ARRAY(SELECT token FROM form_tokens token
                WHERE token.org_id = form.org_id AND token.form_id = form.id AND token.revoked_at IS NULL
                ORDER BY token.created_at, token.token) AS tokens
        FROM forms form
        WHERE form.org_id = $1
        ORDER BY form.created_at, form.id
        "#,
    )
    .bind(org)
    .fetch_all(db)
    .await
}

//! What commands leave behind besides the change itself: timeline, histories, events, audit.

use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    activity::ActivityKind,
    actor::Act,
    clock::Timestamp,
    contact::Contact,
    id::{
        ActivityId, AssignmentId, AuditId, ContactId, EventId, HistoryId, LeadId, PoolId, StageId,
        UserId,
    },
    status::{Status, Trigger},
    text::text_enum,
};

/// One change, told to everybody who may ask.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The verb in the audit log, e.g. `lead.assign`.
    pub action: &'a str,
    /// What kind of thing was changed.
    pub entity: &'a str,
    /// Which.
    pub id: Option<uuid::Uuid>,
    /// The lead it concerns.
    pub lead: Option<LeadId>,
    /// What was changed, as it was.
    pub before: Option<Value>,
    /// What was changed, as it is.
    pub after: Option<Value>,
    /// The line in the timeline.
    pub activity: Option<Line<'a>>,
    /// The event for programs and its payload.
    pub event: Option<(&'a str, Value)>,
}

/// A line in the timeline.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// What happened.
    pub kind: ActivityKind,
    /// For people.
    pub description: String,
    /// For programs.
    pub data: Value,
    /// The same happening again has the same key.
    pub dedupe_key: Option<&'a str>,
    /// When it happened.
    pub at: Timestamp,
}

impl<'a> Entry<'a> {
    /// A change of a lead by the name of `action`.
    pub fn of_lead(action: &'a str, lead: LeadId) -> Self {
        Self {
            action,
            entity: "lead",
            id: Some(lead.uuid()),
            lead: Some(lead),
            before: None,
            after: None,
            activity: None,
            event: None,
        }
    }

    /// A change of something else.
    pub fn of(action: &'a str, entity: &'a str, id: uuid::Uuid) -> Self {
        Self {
            entity,
            id: Some(id),
            lead: None,
            ..Self::of_lead(action, LeadId::nil())
        }
    }

    /// What changed.
    pub fn changed(mut self, before: Value, after: Value) -> Self {
        (self.before, self.after) = (Some(before), Some(after));
        self
    }

    /// What it is now, of something that was not there before.
    pub fn after(mut self, after: Value) -> Self {
        self.after = Some(after);
        self
    }

    /// Also a line in the timeline.
    pub fn line(
        mut self,
        act: &Act,
        kind: ActivityKind,
        description: impl Into<String>,
        data: Value,
    ) -> Self {
        self.activity = Some(Line {
            kind,
            description: description.into(),
            data,
            dedupe_key: None,
            at: act.at,
        });
        self
    }

    /// Also an event.
    pub fn event(mut self, name: &'a str, payload: Value) -> Self {
        self.event = Some((name, payload));
        self
    }
}

/// Writes timeline, event and audit of one change, in one round trip.
pub async fn write(db: &mut PgConnection, act: &Act, entry: Entry<'_>) -> sqlx::Result<ActivityId> {
    let activity = ActivityId::new();
    let line = entry.activity.as_ref();
    let event = entry.event.as_ref();
    let job = match act.actor {
        crate::actor::Actor::Job(job) => Some(job.to_string()),
        _ => None,
    };
    let request = act.request.clone().unwrap_or_default();
    sqlx::query(
        r#"
        WITH line AS (
            INSERT INTO activities (id, org_id, lead_id, user_id, activity_type, description, activity_data, dedupe_key,
                occurred_at, created_at)
            SELECT $3, $1, $4, $5, $6, $7, $8, $9, $10, $2 WHERE $6::text IS NOT NULL
            ON CONFLICT (org_id, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
        ), event AS (
            INSERT INTO domain_events (id, org_id, type, lead_id, payload, occurred_at)
            SELECT $11, $1, $12, $4, $13, $2 WHERE $12::text IS NOT NULL
        )
        INSERT INTO audit_log (id, org_id, at, actor_kind, actor_id, job_id, action, entity_type, entity_id, before, after,
            request_id, ip, user_agent)
        VALUES ($14, $1, $2, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
        "#,
    )
    .bind(act.org)
    .bind(act.at)
    .bind(activity)
    .bind(entry.lead)
    .bind(act.actor.user())
    .bind(line.map(|line| line.kind))
    .bind(line.map_or("", |line| line.description.as_str()))
    .bind(line.map_or(Value::Null, |line| line.data.clone()))
    .bind(line.and_then(|line| line.dedupe_key))
    .bind(line.map_or(act.at, |line| line.at))
    .bind(EventId::new())
    .bind(event.map(|(name, _)| *name))
    .bind(event.map_or(Value::Null, |(_, payload)| payload.clone()))
    .bind(AuditId::new())
    .bind(act.actor.kind())
    .bind(act.actor.id())
    .bind(job)
    .bind(entry.action)
    .bind(entry.entity)
    .bind(entry.id)
    .bind(entry.before)
    .bind(entry.after)
    .bind(request.id)
    .bind(request.ip)
    .bind(request.user_agent)
    .execute(db)
    .await?;
    Ok(activity)
}

/// Writes timeline, event and audit of many changes, in one round trip.
pub async fn write_many(
    db: &mut PgConnection,
    act: &Act,
    entries: &[Entry<'_>],
) -> sqlx::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let job = match act.actor {
        crate::actor::Actor::Job(job) => Some(job.to_string()),
        _ => None,
    };
    let request = act.request.clone().unwrap_or_default();
    let lines = || entries.iter().map(|entry| entry.activity.as_ref());
    let events = || entries.iter().map(|entry| entry.event.as_ref());
    sqlx::query(
        r#"
        WITH given AS (
            SELECT * FROM unnest($10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::jsonb[], $15::text[],
                    $16::timestamptz[], $17::uuid[], $18::text[], $19::jsonb[], $20::uuid[], $21::text[], $22::text[],
                    $23::uuid[], $24::jsonb[], $25::jsonb[])
                AS given (activity_id, lead_id, kind, description, data, dedupe_key, occurred_at, event_id, event, payload,
                    audit_id, action, entity, entity_id, before, after)
        ), line AS (
            INSERT INTO activities (id, org_id, lead_id, user_id, activity_type, description, activity_data, dedupe_key,
                occurred_at, created_at)
            SELECT activity_id, $1, lead_id, $3, kind, description, data, dedupe_key, occurred_at, $2
            FROM given WHERE kind IS NOT NULL
            ON CONFLICT (org_id, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
        ), event AS (
            INSERT INTO domain_events (id, org_id, type, lead_id, payload, occurred_at)
            SELECT event_id, $1, event, lead_id, payload, $2 FROM given WHERE event IS NOT NULL
        )
        INSERT INTO audit_log (id, org_id, at, actor_kind, actor_id, job_id, action, entity_type, entity_id, before, after,
            request_id, ip, user_agent)
        SELECT audit_id, $1, $2, $4, $5, $6, action, entity, entity_id, before, after, $7, $8, $9 FROM given
        "#,
    )
    .bind(act.org)
    .bind(act.at)
    .bind(act.actor.user())
    .bind(act.actor.kind())
    .bind(act.actor.id())
    .bind(job)
    .bind(request.id)
    .bind(request.ip)
    .bind(request.user_agent)
    .bind(entries.iter().map(|_| ActivityId::new()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.lead).collect::<Vec<_>>())
    .bind(lines().map(|line| line.map(|line| line.kind)).collect::<Vec<_>>())
    .bind(lines().map(|line| line.map_or("", |line| &line.description)).collect::<Vec<_>>())
    .bind(lines().map(|line| line.map_or(Value::Null, |line| line.data.clone())).collect::<Vec<_>>())
    .bind(lines().map(|line| line.and_then(|line| line.dedupe_key)).collect::<Vec<_>>())
    .bind(lines().map(|line| line.map_or(act.at, |line| line.at)).collect::<Vec<_>>())
    .bind(entries.iter().map(|_| EventId::new()).collect::<Vec<_>>())
    .bind(events().map(|event| event.map(|(name, _)| *name)).collect::<Vec<_>>())
    .bind(events().map(|event| event.map(|(_, payload)| payload)).collect::<Vec<_>>())
    .bind(entries.iter().map(|_| AuditId::new()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.action).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.entity).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.id).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.before.as_ref()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.after.as_ref()).collect::<Vec<_>>())
    .persistent(false)
    .execute(db)
    .await?;
    Ok(())
}

/// Statuses taken by many leads for the same reason.
pub async fn statuses_taken(
    db: &mut PgConnection,
    act: &Act,
    moved: &[(LeadId, Status, Status)],
    trigger: Trigger,
) -> sqlx::Result<()> {
    if moved.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r#"
        INSERT INTO lead_status_history (id, org_id, lead_id, from_status, to_status, trigger, actor_user_id, at)
        SELECT id, $1, lead_id, from_status, to_status, $2, $3, $4
        FROM unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[]) AS given (id, lead_id, from_status, to_status)
        "#,
    )
    .bind(act.org)
    .bind(trigger)
    .bind(act.actor.user())
    .bind(act.at)
    .bind(moved.iter().map(|_| HistoryId::new()).collect::<Vec<_>>())
    .bind(moved.iter().map(|(lead, ..)| *lead).collect::<Vec<_>>())
    .bind(moved.iter().map(|(_, from, _)| *from).collect::<Vec<_>>())
    .bind(moved.iter().map(|(.., to)| *to).collect::<Vec<_>>())
    .persistent(false)
    .execute(db)
    .await?;
    Ok(())
}

/// A status taken.
pub async fn status_taken(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    moved: (Option<Status>, Status),
    trigger: Trigger,
    reason: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        INSERT INTO lead_status_history (id, org_id, lead_id, from_status, to_status, trigger, actor_user_id, reason, at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
    )
    .bind(HistoryId::new())
    .bind(act.org)
    .bind(lead)
    .bind(moved.0)
    .bind(moved.1)
    .bind(trigger)
    .bind(act.actor.user())
    .bind(reason)
    .bind(act.at)
    .execute(db)
    .await?;
    Ok(())
}

/// A stage entered, and the one before it left.
pub async fn stage_entered(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    from: Option<StageId>,
    to: StageId,
) -> sqlx::Result<HistoryId> {
    let id = HistoryId::new();
    sqlx::query("UPDATE lead_stage_history SET left_at = $3 WHERE org_id = $1 AND lead_id = $2 AND left_at IS NULL")
        .bind(act.org)
        .bind(lead)
        .bind(act.at)
        .execute(&mut *db)
        .await?;
    sqlx::query(
        r#"
        INSERT INTO lead_stage_history (id, org_id, lead_id, from_stage_id, to_stage_id, actor_user_id, entered_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        "#,
    )
    .bind(id)
    .bind(act.org)
    .bind(lead)
    .bind(from)
    .bind(to)
    .bind(act.actor.user())
    .bind(act.at)
    .execute(db)
    .await?;
    Ok(id)
}

text_enum! {
    /// How it was decided whose lead it is.
    AssignMethod {
        /// A person said so.
        Manual = "manual",
        /// A pool's turn.
        Auto = "auto",
        /// It stood in the file.
        Import = "import",
        /// A rule.
        Rule = "rule",
    }
}

/// A hand-over.
pub async fn handed_over(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    people: (Option<UserId>, Option<UserId>),
    method: AssignMethod,
    pool: Option<PoolId>,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        INSERT INTO lead_assignments (id, org_id, lead_id, from_user_id, to_user_id, by_user_id, method, pool_id, at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
    )
    .bind(AssignmentId::new())
    .bind(act.org)
    .bind(lead)
    .bind(people.0)
    .bind(people.1)
    .bind(act.actor.user())
    .bind(method)
    .bind(pool)
    .bind(act.at)
    .execute(db)
    .await?;
    Ok(())
}

/// A contact; `false` if it was reported before.
pub async fn contacted(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    contact: &Contact,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        r#"
        INSERT INTO contact_attempts (id, org_id, lead_id, user_id, method, direction, subject, message, notes, successful,
            email_message_id, dedupe_key, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT (org_id, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
        "#,
    )
    .bind(ContactId::new())
    .bind(act.org)
    .bind(lead)
    .bind(act.actor.user())
    .bind(contact.method)
    .bind(contact.direction)
    .bind(&contact.subject)
    .bind(&contact.message)
    .bind(&contact.notes)
    .bind(contact.successful)
    .bind(contact.email_message)
    .bind(&contact.dedupe_key)
    .bind(act.at)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

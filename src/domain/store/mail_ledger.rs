//! The mail ledger. Whoever attempts a mail holds its token, and every write about the attempt names it.

use chrono::TimeDelta;
use sqlx::PgConnection;

use crate::clock::Timestamp;
use crate::id::{AttemptToken, MessageId, OrgId};
use crate::mail::{Mail, MailFate, MailState, NewMail};
use crate::normalise;

/// Longest error that is kept.
const LONGEST_ERROR: usize = 1_000;

/// Writes a mail down; `false` if the same was written down before.
pub async fn insert(db: &mut PgConnection, new: &NewMail<'_>) -> sqlx::Result<bool> {
    let norm = normalise::address(new.to);
    let domain = norm.rsplit_once('@').map_or("", |(_, domain)| domain);
    let done = sqlx::query(
        r#"
        INSERT INTO email_messages (id, org_id, dedupe_key, stream, lead_id, user_id, to_email, to_norm, to_domain,
            template_key, template_version, context, rfc_message_id, not_before, expires_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $14)
        ON CONFLICT (org_id, dedupe_key) DO NOTHING
        "#,
    )
    .bind(new.id)
    .bind(new.org)
    .bind(&new.dedupe_key)
    .bind(new.stream)
    .bind(new.lead)
    .bind(new.user)
    .bind(new.to.trim())
    .bind(&norm)
    .bind(domain)
    .bind(new.template)
    .bind(new.template_version)
    .bind(&new.context)
    .bind(&new.rfc_message_id)
    .bind(new.at)
    .bind(new.expires_at)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// When a mail of this key about a lead was written down, and which score it names.
pub async fn told(
    db: &mut PgConnection,
    org: OrgId,
    dedupe_key: &str,
) -> sqlx::Result<Option<(Timestamp, Option<i16>)>> {
    sqlx::query_as(
        r#"
        SELECT created_at, (context -> 'lead' ->> 'score')::smallint
        FROM email_messages
        WHERE org_id = $1 AND dedupe_key = $2
        "#,
    )
    .bind(org)
    .bind(dedupe_key)
    .fetch_optional(db)
    .await
}

/// The mail, held until the transaction ends.
///
/// A suppression of the marketing stream stops marketing mail, one of all streams stops everything.
pub async fn lock(
    db: &mut PgConnection,
    org: OrgId,
    id: MessageId,
    now: Timestamp,
) -> sqlx::Result<Option<Mail>> {
    sqlx::query_as(
        r#"
        SELECT mail.id, mail.org_id, mail.lead_id, mail.user_id, member.name AS to_name, mail.to_email,
            mail.template_key, mail.context, mail.rfc_message_id, mail.in_reply_to, mail.thread_refs, mail.state,
            mail.attempts, mail.attempt_token, mail.not_before, mail.expires_at, mail.created_at,
            EXISTS (SELECT FROM suppressions no
                WHERE no.org_id = mail.org_id AND no.email_norm = mail.to_norm
                    AND (no.stream = 'all' OR no.stream = mail.stream)
                    AND (no.expires_at IS NULL OR no.expires_at > $3)) AS suppressed
        FROM email_messages mail
        LEFT JOIN memberships member ON member.org_id = mail.org_id AND member.user_id = mail.user_id
        WHERE mail.org_id = $1 AND mail.id = $2
        FOR NO KEY UPDATE OF mail
        "#,
    )
    .bind(org)
    .bind(id)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Begins an attempt at a locked mail.
pub async fn begin(
    db: &mut PgConnection,
    org: OrgId,
    id: MessageId,
    token: AttemptToken,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE email_messages
        SET state = 'sending', attempts = attempts + 1, attempt_token = $3, claimed_at = $4, handoff_at = NULL
        WHERE org_id = $1 AND id = $2
        "#,
    )
    .bind(org)
    .bind(id)
    .bind(token)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that a locked mail is about to leave; `false` if the attempt is no longer ours.
pub async fn hand_off(
    db: &mut PgConnection,
    org: OrgId,
    id: MessageId,
    token: AttemptToken,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        r#"
        UPDATE email_messages SET state = 'handoff', handoff_at = $4
        WHERE org_id = $1 AND id = $2 AND state = 'sending' AND attempt_token = $3
        "#,
    )
    .bind(org)
    .bind(id)
    .bind(token)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes down what came of an attempt; `false` if it is no longer ours.
///
/// Whoever holds the token of an attempt that was given up as `unknown` may still bring its answer.
pub async fn settle(
    db: &mut PgConnection,
    org: OrgId,
    id: MessageId,
    token: AttemptToken,
    fate: &MailFate,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let error = fate
        .error
        .as_deref()
        .map(|error| shortened(error, LONGEST_ERROR));
    let done = sqlx::query(
        r#"
        UPDATE email_messages
        SET state = $4, smtp_code = coalesce($5, smtp_code), smtp_reply = coalesce($6, smtp_reply), last_error = $7,
            not_before = coalesce($8, not_before), sent_at = CASE WHEN $4 = 'sent' THEN $9::timestamptz ELSE sent_at END
        WHERE org_id = $1 AND id = $2 AND state IN ('sending', 'handoff', 'unknown', 'assumed_sent') AND attempt_token = $3
        "#,
    )
    .bind(org)
    .bind(id)
    .bind(token)
    .bind(fate.state)
    .bind(fate.code.map(i32::from))
    .bind(fate.reply.as_deref())
    .bind(error)
    .bind(fate.not_before)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a locked mail that nobody attempts.
pub async fn end(
    db: &mut PgConnection,
    org: OrgId,
    id: MessageId,
    state: MailState,
    why: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE email_messages SET state = $3, last_error = coalesce($4, last_error) WHERE org_id = $1 AND id = $2")
        .bind(org)
        .bind(id)
        .bind(state)
        .bind(why.map(|why| shortened(why, LONGEST_ERROR)))
        .execute(db)
        .await?;
    Ok(())
}

/// Takes mails for sent of which nothing was heard since `before`, at most so many; how many those were. One that is still
/// in hand-off after that time was left there: its job is gone.
pub async fn assume_sent(
    db: &mut PgConnection,
    org: OrgId,
    before: Timestamp,
    most: i64,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        r#"
        UPDATE email_messages SET state = 'assumed_sent'
        WHERE org_id = $1 AND id IN (
            SELECT id FROM email_messages
            WHERE org_id = $1 AND state IN ('unknown', 'handoff') AND claimed_at <= $2
            ORDER BY claimed_at LIMIT $3 FOR UPDATE SKIP LOCKED)
        "#,
    )
    .bind(org)
    .bind(before)
    .bind(most)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// How long no attempt takes: whatever stands as attempted since before then was left so.
const ATTEMPTED_FOR: TimeDelta = TimeDelta::hours(1);

/// How many mails of the org may or may not have been sent.
pub async fn unknown(db: &mut PgConnection, org: OrgId, now: Timestamp) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        r#"
        SELECT count(*) FROM email_messages
        WHERE org_id = $1 AND (state = 'unknown' OR (state = 'handoff' AND claimed_at <= $2))
        "#,
    )
    .bind(org)
    .bind(now - ATTEMPTED_FOR)
    .fetch_one(db)
    .await
}

/// At most so many mails that are to go and were not attempted in time, longest-waiting first, each with when it was decided
/// on: their jobs are late or gone.
pub async fn late(
    db: &mut PgConnection,
    org: OrgId,
    now: Timestamp,
    most: i64,
) -> sqlx::Result<Vec<(MessageId, Timestamp)>> {
    sqlx::query_as(
        r#"
        SELECT id, created_at
        FROM (
            (SELECT id, created_at, not_before AS since FROM email_messages
                WHERE org_id = $1 AND state IN ('queued', 'deferred') AND not_before <= $2
                ORDER BY not_before LIMIT $3)
            UNION ALL
            (SELECT id, created_at, claimed_at FROM email_messages
                WHERE org_id = $1 AND state = 'sending' AND claimed_at <= $2
                ORDER BY claimed_at LIMIT $3)
        ) late
        ORDER BY since
        LIMIT $3
        "#,
    )
    .bind(org)
    .bind(now - ATTEMPTED_FOR)
    .bind(most)
    .fetch_all(db)
    .await
}

/// These go no more, for this reason, unless one is on its way by now.
pub async fn call_off(
    db: &mut PgConnection,
    org: OrgId,
    ids: &[MessageId],
    why: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        r#"
        UPDATE email_messages SET state = 'cancelled', last_error = $3
        WHERE org_id = $1 AND id = ANY ($2) AND state IN ('queued', 'deferred', 'sending')
        "#,
    )
    .bind(org)
    .bind(ids)
    .bind(why)
    .execute(db)
    .await?;
    Ok(())
}

fn shortened(text: &str, longest: usize) -> String {
    let clean = text.chars().filter(|c| *c != '\0');
    clean.take(longest).collect()
}

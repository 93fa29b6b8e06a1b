//! Jobs that stand in the queue as others left them.

use queue::Fingerprint;
use serde_json::json;
use uuid::Uuid;

use super::World;

impl World {
    /// A job of `lane` that ends as a dead letter: nobody can read it.
    pub(crate) async fn unreadable(&self, lane: Uuid) -> i64 {
        sqlx::query_scalar(
            r#"
            INSERT INTO queue.job (queue, kind, payload, max_attempts, lane)
            VALUES ('mail', 'send_mail', '{"token": "s3cret"}', 1, $1)
            RETURNING id
            "#,
        )
        .bind(lane)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// A dead letter of `lane` that ended with this error.
    pub(crate) async fn dead_letter(&self, lane: Uuid, error: &str) {
        sqlx::query(
            r#"
            INSERT INTO queue.job_history (id, queue, kind, version, priority, lane, payload, attempt, max_attempts, errors,
                created_at, finished_at, outcome, fingerprint)
            SELECT count(*) + 1000, 'mail', 'send_mail', 1, 0, $1, '{}', 1, 1, $2, now(), now() - interval '1 minute',
                'discarded', $3
            FROM queue.job_history
            "#,
        )
        .bind(lane)
        .bind(json!([{"attempt": 1, "at": "2030-03-04T09:00:00Z", "error": error}]))
        .bind(Fingerprint::of(error))
        .execute(&self.pool)
        .await
        .unwrap();
    }
}

//! Jobs that stand in the queue as others left them.

use domain::id::{MessageId, OrgId};
use jobs::SendMail;
use queue::{Batch, Fingerprint};
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

    /// An open batch of `org` with so many jobs that wait.
    pub(crate) async fn batch(&self, org: OrgId, size: usize) -> i64 {
        let mail = || SendMail {
            org,
            message: MessageId::new(),
        };
        let jobs: Vec<_> = std::iter::repeat_with(mail).take(size).collect();
        let mut tx = self.pool.begin().await.unwrap();
        let batch = Batch::new("sweep").lane(org.uuid());
        let batch = batch.open(&mut tx).await.unwrap();
        batch.add(&mut tx, &jobs).await.unwrap();
        tx.commit().await.unwrap();
        batch.0
    }
}

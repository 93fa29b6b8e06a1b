//! What is done to several jobs at once: each by itself, whatever becomes of the others.

use axum::http::StatusCode;

use super::ops::operator;
use crate::harness::World;
use crate::queue::cast::until;

async fn live(world: &World) -> Vec<i64> {
    sqlx::query_scalar("SELECT id FROM queue.job ORDER BY id")
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chosen_jobs_of_a_batch_do_not_lock_against_a_worker_that_ends_one() {
    let world = World::new().await;
    world.leave_jobs();
    let org = world.org().await;
    let batch = world.batch(org, 2).await;
    let browser = operator(&world).await;
    let ids: Vec<String> = live(&world).await.iter().map(i64::to_string).collect();

    // A worker has the second job and is about to tell the batch of its end.
    let mut ending = world.pool.begin().await.unwrap();
    sqlx::query("DELETE FROM queue.job WHERE id = $1::text::bigint")
        .bind(&ids[1])
        .execute(&mut *ending)
        .await
        .unwrap();
    let end = async {
        until(
            &world.pool,
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())",
        )
        .await;
        sqlx::query("UPDATE queue.batch SET remaining = remaining - 1 WHERE id = $1")
            .bind(batch)
            .execute(&mut *ending)
            .await
            .unwrap();
        ending.commit().await.unwrap();
    };
    let fields = [("verb", "cancel"), ("id", &*ids[0]), ("id", &*ids[1])];
    let (done, ()) = tokio::join!(browser.post("/ops/jobs/act", &fields), end);

    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.words());
    let remaining: i64 = sqlx::query_scalar("SELECT remaining FROM queue.batch WHERE id = $1")
        .bind(batch)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    // Of an open batch the additions are noted apart.
    assert_eq!(remaining, -2);
    assert_eq!(live(&world).await, Vec::<i64>::new());
}

use sqlx::postgres::PgPoolOptions;

use super::*;
use crate::{Attempt, Job, JobResult, Outcome};

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Big(String);

impl Job for Big {
    const NAME: &'static str = "big";
    const QUEUE: &'static str = "big";
    type Ctx = ();

    async fn run(&self, (): &(), _: &Attempt) -> JobResult {
        Ok(Outcome::Done)
    }
}

#[tokio::test]
async fn no_more_is_taken_in_than_there_is_room_for() {
    let nowhere = PgPoolOptions::new()
        .connect_lazy("postgres://nobody@localhost/none?host=/nonexistent")
        .unwrap();
    let producer = Producer::new(nowhere.clone(), Wake::new(nowhere));
    let big = Big("x".repeat(PIECE * 1000));
    let calls = (0..20).map(|_| Box::pin(producer.enqueue(&big)));
    let mut calls: Vec<_> = calls.collect();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(producer.shared.plain.waiting(), 16);
    assert!(producer.shared.room.available_permits() < 1001);
}

//! Every morning the reps of each org are reminded.

use jobs::RemindFollowUps;

use super::*;

#[tokio::test]
async fn the_reps_of_every_org_are_reminded_once_a_day() {
    let (world, org, boss) = staffed_at("2030-03-04T08:00:00Z").await;
    let other = world.another_org().await;
    let theirs = world.member(other, "Olga", Role::Owner).await.user;
    for org in [org, other] {
        lead_with(&world, org, |capture| {
            capture.details.next_follow_up_at = Some(time("2030-03-03T15:00:00Z"));
        })
        .await;
    }
    for _ in 0..2 {
        let due_at = world.clock.now();
        world.enqueue(&RemindFollowUps { due_at }).await;
        let drained = world.work().await;
        assert_eq!(drained.failures(), []);
    }

    assert_eq!(kinds(&world, org, boss).await, ["follow_ups_due"]);
    assert_eq!(kinds(&world, other, theirs).await, ["follow_ups_due"]);
    assert_eq!(world.mailbox().await.count(), 2);

    world.clock.advance(chrono::TimeDelta::days(1));
    let due_at = world.clock.now();
    world.enqueue(&RemindFollowUps { due_at }).await;
    world.work().await;

    assert_eq!(
        world.mailbox().await.count(),
        4,
        "still not spoken to on the next day"
    );
}

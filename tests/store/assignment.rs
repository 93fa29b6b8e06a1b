//! Leads are given to reps, by hand and by turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::command::{self, Assigned};
use domain::id::{LeadId, OrgId, UserId};
use domain::member::Role;
use domain::status::Status;
use serde_json::json;

use super::{captured, done, of, read, rows};
use crate::harness::World;

async fn new_lead(world: &World, org: OrgId, n: usize) -> LeadId {
    captured(world, org, &of(&format!("lead{n}@engines.test"))).await
}

async fn next_turn(world: &World, org: OrgId, lead: LeadId) -> Assigned {
    done(world, org, async |tx, act| {
        command::auto_assign(tx, act, lead, false).await.unwrap()
    })
    .await
}

/// What a manager sets up for a rep.
async fn set(world: &World, org: OrgId, sql: &'static str, user: UserId) {
    done(world, org, async |tx, _| {
        let set = sqlx::query(sql).bind(user).execute(tx).await.unwrap();
        assert_eq!(set.rows_affected(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_are_even_however_many_are_taken_at_once() {
    let world = Arc::new(World::new().await);
    let org = world.org().await;
    for name in ["Ada", "Bob", "Eve"] {
        world.rep(name).await;
    }
    let mut leads = Vec::new();
    for n in 0..30 {
        leads.push(new_lead(&world, org, n).await);
    }

    let tasks: Vec<_> = leads
        .into_iter()
        .map(|lead| {
            let world = world.clone();
            tokio::spawn(async move { next_turn(&world, org, lead).await.to })
        })
        .collect();
    let mut had = BTreeMap::new();
    for task in tasks {
        *had.entry(task.await.unwrap()).or_insert(0) += 1;
    }

    assert_eq!(had.values().copied().collect::<Vec<_>>(), [10, 10, 10]);
    assert!(!had.contains_key(&None));
}

#[tokio::test]
async fn a_lead_that_is_somebodys_stays_theirs_unless_told_otherwise() {
    let world = World::new().await;
    let org = world.org().await;
    world.rep("Ada").await;
    world.rep("Bob").await;
    let lead = new_lead(&world, org, 0).await;
    let first = next_turn(&world, org, lead).await;
    world.clock.advance(chrono::TimeDelta::hours(1));

    let again = next_turn(&world, org, lead).await;
    assert!(!again.changed());
    assert_eq!((again.to, again.at), (first.to, first.at));

    let forced = done(&world, org, async |tx, act| {
        command::auto_assign(tx, act, lead, true).await.unwrap()
    });
    let forced = forced.await;
    assert!(forced.changed());
    assert_eq!(
        (forced.from, forced.at),
        (first.to, Some(world.clock.now()))
    );
}

#[tokio::test]
async fn who_is_away_or_has_enough_or_only_looks_on_is_passed_over() {
    let world = World::new().await;
    let org = world.org().await;
    let (away, full, here) = (
        world.rep("Away").await.user,
        world.rep("Full").await.user,
        world.rep("Here").await.user,
    );
    let viewer = world.rep("Viewer").await.user;
    let sql = "UPDATE memberships SET ooo_until = now() + interval '100 years' WHERE user_id = $1";
    set(&world, org, sql, away).await;
    let sql = "UPDATE assignment_pool_members SET capacity = 1 WHERE user_id = $1";
    set(&world, org, sql, full).await;
    let sql = "UPDATE memberships SET role = 'viewer' WHERE user_id = $1";
    set(&world, org, sql, viewer).await;

    let mut given = Vec::new();
    for n in 0..4 {
        let lead = new_lead(&world, org, n).await;
        given.push(next_turn(&world, org, lead).await.to.unwrap());
    }
    assert_eq!(given.iter().filter(|user| **user == full).count(), 1);
    assert_eq!(given.iter().filter(|user| **user == here).count(), 3);

    // A lead that is closed is no work any more.
    let lead: LeadId = super::value(
        &world,
        org,
        "SELECT id FROM leads WHERE assigned_to_user_id = (SELECT user_id FROM memberships WHERE name = 'Full')",
    )
    .await;
    let how = command::Transition {
        to: Status::Lost,
        reason: None,
        reopen: false,
    };
    done(&world, org, async |tx, act| {
        command::transition(tx, act, lead, &how).await.unwrap()
    })
    .await;
    let mut given = Vec::new();
    for n in 4..6 {
        let lead = new_lead(&world, org, n).await;
        given.push(next_turn(&world, org, lead).await.to.unwrap());
    }
    assert!(given.contains(&full), "{given:?}");
}

#[tokio::test]
async fn the_idlest_is_chosen_where_the_org_wants_it_so() {
    let world = World::new().await;
    let org = world.org().await;
    let (ada, bob) = (world.rep("Ada").await.user, world.rep("Bob").await.user);
    done(&world, org, async |tx, act| {
        sqlx::query("UPDATE assignment_pools SET strategy = 'least_loaded'")
            .execute(&mut *tx)
            .await
            .unwrap();
        for n in 0..3 {
            let capture = of(&format!("ada{n}@engines.test"));
            let lead = command::capture_lead(tx, act, &capture).await.unwrap().lead;
            command::assign_lead(tx, act, lead, Some(ada))
                .await
                .unwrap();
        }
    })
    .await;

    for n in 0..3 {
        let lead = new_lead(&world, org, n).await;
        assert_eq!(next_turn(&world, org, lead).await.to, Some(bob));
    }
}

#[tokio::test]
async fn without_anybody_in_office_a_lead_waits() {
    let world = World::new().await;
    let org = world.org().await;
    // Admins look after the org; leads are not given to them by turn.
    world.member(org, "Boss", Role::Admin).await;
    let lead = new_lead(&world, org, 0).await;
    let given = next_turn(&world, org, lead).await;
    assert_eq!((given.from, given.to), (None, None));
    assert_eq!(read(&world, org, lead).await.assigned_at, None);
}

#[tokio::test]
async fn every_change_of_hands_is_written_down() {
    let world = World::new().await;
    let org = world.org().await;
    let (ada, bob) = (world.rep("Ada").await.user, world.rep("Bob").await.user);
    let lead = new_lead(&world, org, 0).await;
    for to in [Some(ada), Some(ada), Some(bob), None] {
        done(&world, org, async |tx, act| {
            command::assign_lead(tx, act, lead, to).await.unwrap()
        })
        .await;
        world.clock.advance(chrono::TimeDelta::minutes(1));
    }
    next_turn(&world, org, lead).await;

    let history = rows(
        &world,
        org,
        "SELECT jsonb_build_array((SELECT name FROM memberships WHERE user_id = from_user_id),
            (SELECT name FROM memberships WHERE user_id = to_user_id), method, pool_id IS NOT NULL)
         FROM lead_assignments ORDER BY at",
    )
    .await;
    assert_eq!(
        history.len(),
        4,
        "to whom it is given already, nothing is given"
    );
    assert_eq!(
        history[..3],
        [
            json!([null, "Ada", "manual", false]),
            json!(["Ada", "Bob", "manual", false]),
            json!(["Bob", null, "manual", false]),
        ]
    );
    assert_eq!(history[3][2], "auto");
    assert_eq!(history[3][3], true);
    let lines = rows(
        &world,
        org,
        "SELECT to_jsonb(description) FROM activities WHERE activity_type = 'assignment' ORDER BY occurred_at LIMIT 3",
    )
    .await;
    assert_eq!(
        lines,
        ["Assigned to Ada", "Assigned to Bob", "Taken from its rep"]
    );
}

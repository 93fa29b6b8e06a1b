//! Say whose lead it is, by hand or by turn.

use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::{CommandError, lock};
use crate::{
    activity::ActivityKind,
    actor::Act,
    clock::Timestamp,
    id::{LeadId, PoolId, UserId},
    lead::Lead,
    store::{
        journal::{self, AssignMethod, Entry},
        leads, members,
        pools::{self, Candidate, Strategy},
    },
};

/// Whose lead it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Assigned {
    /// Whose it was.
    pub from: Option<UserId>,
    /// Whose it is.
    pub to: Option<UserId>,
    /// Since when.
    pub at: Option<Timestamp>,
}

impl Assigned {
    /// It changed hands.
    pub fn changed(&self) -> bool {
        self.from != self.to
    }
}

/// Gives a lead to a member of the org, or to nobody.
pub async fn assign_lead(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    to: Option<UserId>,
) -> Result<Assigned, CommandError> {
    let mut lead = lock(db, act, lead).await?;
    apply(db, act, &mut lead, to, AssignMethod::Manual, None).await
}

/// Gives a lead to whoever's turn it is. One that is somebody's stays theirs unless `force`; without anybody in office it
/// stays as it is.
pub async fn auto_assign(
    db: &mut PgConnection,
    act: &Act,
    lead: LeadId,
    force: bool,
) -> Result<Assigned, CommandError> {
    let mut lead = lock(db, act, lead).await?;
    let stays = Assigned {
        from: lead.assigned_to_user_id,
        to: lead.assigned_to_user_id,
        at: lead.assigned_at,
    };
    if stays.to.is_some() && !force {
        return Ok(stays);
    }
    let Some(pool) = pools::lock_default(db, act.org).await? else {
        return Ok(stays);
    };
    let candidates = pools::candidates(db, act.org, pool.id, act.at).await?;
    let cursor = pool.cursor + 1;
    let Some(to) = pick(&candidates, pool.strategy, cursor) else {
        return Ok(stays);
    };
    pools::advance(db, act.org, pool.id, cursor).await?;
    apply(
        db,
        act,
        &mut lead,
        Some(to),
        AssignMethod::Auto,
        Some(pool.id),
    )
    .await
}

/// Whose turn it is.
fn pick(candidates: &[Candidate], strategy: Strategy, turn: i64) -> Option<UserId> {
    let turns = i64::try_from(candidates.len()).ok().filter(|n| *n > 0)?;
    let next = usize::try_from(turn.rem_euclid(turns)).ok()?;
    match strategy {
        Strategy::RoundRobin => candidates.get(next).map(|candidate| candidate.user_id),
        Strategy::LeastLoaded => candidates
            .iter()
            .min_by_key(|c| c.workload)
            .map(|candidate| candidate.user_id),
    }
}

/// Gives a locked lead to somebody.
pub(super) async fn apply(
    db: &mut PgConnection,
    act: &Act,
    lead: &mut Lead,
    to: Option<UserId>,
    method: AssignMethod,
    pool: Option<PoolId>,
) -> Result<Assigned, CommandError> {
    let from = lead.assigned_to_user_id;
    if from == to {
        return Ok(Assigned {
            from,
            to,
            at: lead.assigned_at,
        });
    }
    let name = match to {
        Some(user) => Some(
            members::find(db, act.org, user)
                .await?
                .ok_or(CommandError::NotFound("member"))?
                .name,
        ),
        None => None,
    };
    lead.assigned_to_user_id = to;
    lead.assigned_at = to.map(|_| act.at);
    lead.version += 1;
    leads::write_assignee(db, lead).await?;
    journal::handed_over(db, act, lead.id, (from, to), method, pool).await?;
    let told = json!({"from": from, "to": to, "method": method});
    let line = name.map_or("Taken from its rep".to_owned(), |name| {
        format!("Assigned to {name}")
    });
    let entry = Entry::of_lead("lead.assign", lead.id)
        .changed(
            json!({"assigned_to_user_id": from}),
            json!({"assigned_to_user_id": to}),
        )
        .line(act, ActivityKind::Assignment, line, told.clone())
        .event("lead.assigned", told);
    journal::write(db, act, entry).await?;
    Ok(Assigned {
        from,
        to,
        at: lead.assigned_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_round_and_the_idlest_is_found() {
        let people: Vec<_> = [3, 1, 2]
            .map(|workload| Candidate {
                user_id: UserId::new(),
                workload,
            })
            .into_iter()
            .collect();
        let turn = |n| pick(&people, Strategy::RoundRobin, n);
        assert_eq!(
            [turn(0), turn(1), turn(2), turn(3)],
            [0, 1, 2, 0].map(|i: usize| Some(people[i].user_id))
        );
        assert_eq!(
            pick(&people, Strategy::LeastLoaded, 7),
            Some(people[1].user_id)
        );
        assert_eq!(pick(&[], Strategy::RoundRobin, 1), None);
    }
}

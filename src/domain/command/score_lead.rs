//! Score a lead and keep the score for good.

use std::collections::HashMap;

use chrono::TimeDelta;
use serde_json::json;
use sqlx::PgConnection;

use super::{CommandError, lock, org, transition};
use crate::{
    activity::ActivityKind,
    actor::Act,
    id::LeadId,
    lead::Lead,
    mql::{self, Metric},
    org::Org,
    score::{Band, Cause, Score, inputs::Fingerprint},
    status::{self, Trigger},
    store::{
        journal::{self, Entry},
        leads, rescore,
        scoring::{self, NewScore},
    },
};

/// The least by which two times differ that the database keeps.
const TICK: TimeDelta = TimeDelta::microseconds(1);

/// A lead after it was scored.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Its score with the reasons.
    pub score: Score,
    /// The score before.
    pub previous: Option<i16>,
    /// The band before, if it is another now.
    pub band_before: Option<Band>,
    /// Marketing holds it ready since just now.
    pub qualified: bool,
}

impl Scored {
    /// It was not hot before and is now.
    pub fn turned_hot(&self) -> bool {
        self.score.band == Band::Hot && self.band_before.is_some_and(|before| before != Band::Hot)
    }
}

/// Scores a lead by the org's active profile. Nothing happens in an org that has none.
pub async fn record_score(
    db: &mut PgConnection,
    act: &Act,
    id: LeadId,
    cause: Cause,
) -> Result<Option<Scored>, CommandError> {
    let org = org(db, act).await?;
    let mut lead = lock(db, act, id).await?;
    let Some(profile) = scoring::find_active_profile(db, act.org).await? else {
        return Ok(None);
    };
    let rules = scoring::rules(db, act.org).await?;
    let triggers = scoring::mql_triggers(db, act.org).await?;
    let inputs = scoring::find_inputs(db, act.org, id)
        .await?
        .ok_or(CommandError::NotFound("lead"))?;

    let score = profile.score(&rules, &inputs);
    let new = NewScore {
        lead: id,
        total: score.total,
        band: score.band,
        previous: lead.score_total,
        profile: &profile,
        factors: &score.factors,
        cause,
        hash: &inputs.hash(&Fingerprint::of(&profile, &rules)),
        // The latest score is the one shown, also when the clock stood still or went back.
        at: lead
            .score_updated_at
            .map_or(act.at, |last| act.at.max(last + TICK)),
    };
    scoring::insert(db, act.org, &new).await?;

    let previous = lead.score_total;
    let band_before =
        Some(lead.score_band.unwrap_or(Band::Cold)).filter(|before| *before != score.band);
    let told = json!({"from": previous, "to": score.total, "band": score.band, "version": profile.version, "cause": cause});
    let mut entry = Entry::of_lead("lead.score", id)
        .changed(json!({"score": previous}), json!({"score": score.total}));
    if previous != Some(score.total) {
        let line = format!("Scored {} ({})", score.total, score.band);
        entry = entry.line(act, ActivityKind::ScoreChange, line, told.clone());
    }
    if band_before.is_some() {
        entry = entry.event(
            "lead.band_changed",
            json!({"from": lead.score_band, "to": score.band, "score": score.total}),
        );
    } else if previous != Some(score.total) {
        entry = entry.event("lead.scored", told);
    }
    journal::write(db, act, entry).await?;

    let reached = mql::reached(&triggers, &inputs, score.total);
    let qualified = qualify(db, act, &org, &mut lead, &reached).await?;
    Ok(Some(Scored {
        score,
        previous,
        band_before,
        qualified,
    }))
}

/// Stamps the first time a lead met a threshold, whatever its status, and moves it on if nobody works on it yet.
pub(super) async fn qualify(
    db: &mut PgConnection,
    act: &Act,
    org: &Org,
    lead: &mut Lead,
    reached: &[Metric],
) -> sqlx::Result<bool> {
    if reached.is_empty() || lead.mql_at.is_some() {
        return Ok(false);
    }
    lead.mql_at = Some(act.at);
    journal::write(db, act, qualified(act, lead.id, reached)).await?;
    let moved = transition::automatic(db, act, org, lead, Trigger::Mql).await?;
    if !moved.changed() {
        leads::write_status(db, lead).await?;
    }
    Ok(true)
}

/// The same for many leads in few statements; answers whom it held for.
///
/// A run does so for thousands of leads that it holds: one by one, everybody else would wait for six round trips a lead.
pub(super) async fn qualify_many(
    db: &mut PgConnection,
    act: &Act,
    org: &Org,
    reached: &HashMap<LeadId, Vec<Metric>>,
) -> sqlx::Result<Vec<LeadId>> {
    if reached.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = reached.keys().copied().collect();
    let found = rescore::lock(db, act.org, &ids).await?;
    let (mut after, mut moves, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    let not_yet = |(_, _, since): &(_, _, Option<_>)| since.is_none();
    for (lead, from, _) in found.into_iter().filter(not_yet) {
        let to = status::automatic(org.profile, from, Trigger::Mql).unwrap_or(from);
        after.push((lead, to));
        entries.push(qualified(act, lead, &reached[&lead]));
        let moved = transition::Moved { from, to };
        if moved.changed() {
            moves.push((lead, from, to));
            entries.push(transition::entry(act, lead, moved, Trigger::Mql, None));
        }
    }
    rescore::qualify(db, act.org, &after, act.at).await?;
    journal::statuses_taken(db, act, &moves, Trigger::Mql).await?;
    journal::write_many(db, act, &entries).await?;
    Ok(after.into_iter().map(|(lead, _)| lead).collect())
}

/// What is told of a lead that marketing holds ready.
fn qualified(act: &Act, lead: LeadId, reached: &[Metric]) -> Entry<'static> {
    Entry::of_lead("lead.qualify", lead)
        .changed(json!({"mql_at": null}), json!({"mql_at": act.at}))
        .event("lead.mql", json!({"reached": reached}))
}

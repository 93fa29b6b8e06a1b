//! Score all open leads of an org, stretch by stretch.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;

use super::{CommandError, org, score_lead};
use crate::{
    actor::Act,
    id::{LeadId, RunId},
    mql,
    score::{Band, inputs::Fingerprint},
    store::{
        bell, events,
        journal::{self, Entry},
        rescore::{self, NewScores, Run},
        scoring,
    },
};

/// Open leads of an org that follow each other by their ids, which is the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Before the first of them; none: it begins with the org's first lead.
    pub after: Option<LeadId>,
    /// The last of them.
    pub until: LeadId,
    /// Whether others may follow.
    pub more: bool,
}

/// The first `limit` open leads behind `after`, or as many as there are; none: there is none, or the org scores nobody.
pub async fn next_stretch(
    db: &mut PgConnection,
    act: &Act,
    after: Option<LeadId>,
    limit: usize,
) -> Result<Option<Stretch>, CommandError> {
    if !scoring::is_scored(db, act.org).await? {
        return Ok(None);
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    rescore::by_key(db).await?;
    let end = rescore::end(db, act.org, after, limit).await?;
    Ok(end.map(|(until, count)| Stretch {
        after,
        until,
        more: count == limit,
    }))
}

/// What scoring a stretch came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rescored {
    /// Leads looked at.
    pub seen: usize,
    /// Leads whose score was kept: what it is calculated from has changed.
    pub scored: usize,
    /// Leads that were not hot before.
    pub turned_hot: Vec<LeadId>,
    /// Leads that marketing holds ready since just now.
    pub qualified: Vec<LeadId>,
}

/// Scores the open leads of `stretch` as of `act.at`, the run's nominal time.
///
/// A score is kept if what it is calculated from has changed, though it may come out the same; the org may keep all. Done
/// again, a run writes nothing twice. Stretches share no lead, so several of an org can be scored at once.
pub async fn rescore_stretch(
    db: &mut PgConnection,
    act: &Act,
    run: RunId,
    stretch: &Stretch,
) -> Result<Rescored, CommandError> {
    let org = org(db, act).await?;
    let Some(profile) = scoring::find_active_profile(db, act.org).await? else {
        return Ok(Rescored::default());
    };
    let rules = scoring::rules(db, act.org).await?;
    let triggers = scoring::mql_triggers(db, act.org).await?;
    let fingerprint = Fingerprint::of(&profile, &rules);
    rescore::by_key(db).await?;
    let rows = rescore::open(db, act.org, (stretch.after, stretch.until), act.at).await?;

    let mut rescored = Rescored {
        seen: rows.len(),
        ..Rescored::default()
    };
    let mut new = NewScores::default();
    let (mut same, mut bands, mut reached) = (Vec::new(), Vec::new(), HashMap::new());
    for row in &rows {
        if row.score_updated_at.is_some_and(|at| at >= act.at) {
            continue;
        }
        let hash = row.inputs.hash(&fingerprint);
        let unchanged = row.score_hash.as_deref() == Some(&hash) && row.score_total.is_some();
        if unchanged && !org.settings.record_unchanged_scores {
            same.push(row.id);
            continue;
        }
        let score = profile.score(&rules, &row.inputs);
        if row.mql_at.is_none() {
            let hits = mql::reached(&triggers, &row.inputs, score.total);
            if !hits.is_empty() {
                reached.insert(row.id, hits);
            }
        }
        if row.score_band.unwrap_or(Band::Cold) != score.band {
            bands.push((row.id, row.score_band, score.band, score.total));
        }
        let pushed = new.push(run, row, score.total, score.band, hash, &score.factors);
        pushed.map_err(|error| sqlx::Error::Encode(error.into()))?;
    }

    rescore::touch(db, act.org, &same, act.at).await?;
    let taken: HashSet<_> = rescore::insert(
        db,
        act.org,
        &Run {
            id: run,
            profile: profile.id,
            version: &profile.version,
            due: act.at,
        },
        new,
    )
    .await?
    .into_iter()
    .collect();
    rescored.scored = taken.len();
    bands.retain(|(lead, ..)| taken.contains(lead));
    let crossed: Vec<_> = bands
        .iter()
        .map(|(lead, from, to, score)| (*lead, json!({"from": from, "to": to, "score": score})))
        .collect();
    events::insert_many(db, act.org, "lead.band_changed", &crossed, act.at).await?;
    rescored.turned_hot = bands
        .iter()
        .filter(|(_, _, to, _)| *to == Band::Hot)
        .map(|(lead, ..)| *lead)
        .collect();
    reached.retain(|lead, _| taken.contains(lead));
    rescored.qualified = score_lead::qualify_many(db, act, &org, &reached).await?;
    if rescored.scored > 0 {
        let after =
            json!({"scored": rescored.scored, "seen": rescored.seen, "version": profile.version});
        journal::write(
            db,
            act,
            Entry::of("org.rescore", "run", run.uuid()).after(after),
        )
        .await?;
        bell::leads_changed(db, act.org).await?;
    }
    Ok(rescored)
}

//! Score all open leads of an org, chunk by chunk.

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
        leads,
        rescore::{self, NewScores, Run},
        scoring,
    },
};

/// What a chunk came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Leads looked at.
    pub seen: usize,
    /// Leads that got a new score.
    pub scored: usize,
    /// Where the next chunk begins; none: this was the last.
    pub next: Option<LeadId>,
    /// Leads that were not hot before.
    pub turned_hot: Vec<LeadId>,
    /// Leads that marketing holds ready since just now.
    pub qualified: Vec<LeadId>,
}

/// Scores the `limit` open leads behind `after` as of `act.at`, the run's nominal time.
///
/// Only what comes out differently is kept, unless the org keeps all. Done again, a run writes nothing twice.
pub async fn rescore_chunk(
    db: &mut PgConnection,
    act: &Act,
    run: RunId,
    after: Option<LeadId>,
    limit: usize,
) -> Result<Chunk, CommandError> {
    let org = org(db, act).await?;
    let Some(profile) = scoring::find_active_profile(db, act.org).await? else {
        return Ok(Chunk::default());
    };
    let rules = scoring::rules(db, act.org).await?;
    let triggers = scoring::mql_triggers(db, act.org).await?;
    let fingerprint = Fingerprint::of(&profile, &rules);
    rescore::by_key(db).await?;
    let rows = rescore::chunk(db, act.org, after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;

    let mut chunk = Chunk {
        seen: rows.len(),
        ..Chunk::default()
    };
    chunk.next = rows
        .last()
        .filter(|_| rows.len() == limit)
        .map(|row| row.id);
    let mut new = NewScores::default();
    let (mut same, mut bands, mut reached) = (Vec::new(), Vec::new(), Vec::new());
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
                reached.push((row.id, hits));
            }
        }
        let before = row.score_band.unwrap_or(Band::Cold);
        if before != score.band {
            bands.push((row.id, before, score.band, score.total));
        }
        let pushed = new.push(row, score.total, score.band, hash, &score.factors);
        pushed.map_err(|error| sqlx::Error::Encode(error.into()))?;
    }

    rescore::touch(db, act.org, &same, act.at).await?;
    let taken: std::collections::HashSet<_> = rescore::insert(
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
    chunk.scored = taken.len();
    bands.retain(|(lead, ..)| taken.contains(lead));
    let crossed: Vec<_> = bands
        .iter()
        .map(|(lead, from, to, score)| (*lead, json!({"from": from, "to": to, "score": score})))
        .collect();
    events::insert_many(db, act.org, "lead.band_changed", &crossed, act.at).await?;
    chunk.turned_hot = bands
        .iter()
        .filter(|(_, _, to, _)| *to == Band::Hot)
        .map(|(lead, ..)| *lead)
        .collect();
    for (id, hits) in reached.into_iter().filter(|(lead, _)| taken.contains(lead)) {
        // Somebody may have deleted it meanwhile.
        let Some(mut lead) = leads::lock(db, act.org, id).await? else {
            continue;
        };
        if score_lead::qualify(db, act, &org, &mut lead, &hits).await? {
            chunk.qualified.push(id);
        }
    }
    if chunk.scored > 0 {
        let after = json!({"scored": chunk.scored, "seen": chunk.seen, "version": profile.version});
        journal::write(
            db,
            act,
            Entry::of("org.rescore", "run", run.uuid()).after(after),
        )
        .await?;
        bell::leads_changed(db, act.org).await?;
    }
    Ok(chunk)
}

use proptest::prelude::*;

use super::{Status::*, *};

const AUTOMATIC: [Trigger; 8] = [
    Trigger::Enrichment,
    Trigger::Engagement,
    Trigger::Contact,
    Trigger::Reply,
    Trigger::Mql,
    Trigger::Accept,
    Trigger::Opportunity,
    Trigger::Recycle,
];

/// Every automatic move of a profile, as `trigger: from → to` lines.
fn moves(profile: Profile) -> Vec<String> {
    let mut lines = Vec::new();
    for trigger in AUTOMATIC {
        for from in Status::ALL {
            if let Some(to) = automatic(profile, *from, trigger) {
                lines.push(format!("{trigger}: {from} → {to}"));
            }
        }
    }
    lines
}

#[test]
fn the_agency_profile_moves_only_on_contact() {
    assert_eq!(moves(Profile::Agency), ["contact: new → contacted"]);
}

#[test]
fn the_pipeline_profile_moves_only_on_contact() {
    assert_eq!(moves(Profile::Pipeline), ["contact: new → contacted"]);
}

#[test]
fn the_outreach_profile_moves_on_enrichment_contact_and_reply() {
    assert_eq!(
        moves(Profile::Outreach),
        [
            "enrichment: new → enriched",
            "contact: new → contacted",
            "contact: enriched → contacted",
            "reply: new → conversing",
            "reply: enriched → conversing",
            "reply: contacted → conversing",
        ]
    );
}

#[test]
fn the_k12_profile_moves_from_engagement_to_opportunity_and_back_to_marketing() {
    assert_eq!(
        moves(Profile::K12),
        [
            "engagement: new → engaged",
            "engagement: recycled → engaged",
            "mql: new → mql",
            "mql: engaged → mql",
            "mql: recycled → mql",
            "accept: mql → sql",
            "opportunity: new → opportunity",
            "opportunity: engaged → opportunity",
            "opportunity: mql → opportunity",
            "opportunity: sql → opportunity",
            "opportunity: recycled → opportunity",
            "recycle: mql → recycled",
            "recycle: sql → recycled",
            "recycle: opportunity → recycled",
            "recycle: disqualified → recycled",
        ]
    );
}

#[test]
fn the_unified_profile_knows_every_move() {
    assert_eq!(
        moves(Profile::Unified),
        [
            "enrichment: new → enriched",
            "engagement: new → engaged",
            "engagement: enriched → engaged",
            "engagement: recycled → engaged",
            "contact: new → contacted",
            "contact: enriched → contacted",
            "contact: engaged → contacted",
            "reply: new → conversing",
            "reply: enriched → conversing",
            "reply: engaged → conversing",
            "reply: contacted → conversing",
            "mql: new → mql",
            "mql: enriched → mql",
            "mql: engaged → mql",
            "mql: recycled → mql",
            "accept: mql → sql",
            "opportunity: new → opportunity",
            "opportunity: enriched → opportunity",
            "opportunity: engaged → opportunity",
            "opportunity: contacted → opportunity",
            "opportunity: conversing → opportunity",
            "opportunity: mql → opportunity",
            "opportunity: sql → opportunity",
            "opportunity: qualified → opportunity",
            "opportunity: recycled → opportunity",
            "recycle: mql → recycled",
            "recycle: sql → recycled",
            "recycle: opportunity → recycled",
            "recycle: lost → recycled",
            "recycle: disqualified → recycled",
        ]
    );
}

#[test]
fn each_profile_uses_its_own_words() {
    let words = |p: Profile| {
        p.statuses()
            .iter()
            .map(|s| s.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        words(Profile::Agency),
        "new contacted qualified converted disqualified"
    );
    assert_eq!(
        words(Profile::K12),
        "new engaged mql sql opportunity disqualified recycled"
    );
    assert_eq!(
        words(Profile::Outreach),
        "new enriched contacted conversing qualified converted lost"
    );
    assert_eq!(
        words(Profile::Pipeline),
        "new contacted qualified proposal negotiating won lost disqualified"
    );
    assert_eq!(Profile::Unified.statuses().len(), 16);
}

#[test]
fn a_stage_takes_an_open_lead_forward_only() {
    assert_eq!(on_stage(Profile::Pipeline, Qualified, Won), Some(Won));
    assert_eq!(on_stage(Profile::Pipeline, Negotiating, Proposal), None);
    assert_eq!(on_stage(Profile::Pipeline, Lost, Won), None);
    assert_eq!(
        on_stage(Profile::Outreach, Contacted, Won),
        None,
        "won is no word of this profile"
    );
}

#[test]
fn a_person_may_move_between_any_two_open_statuses_of_the_profile() {
    for profile in Profile::ALL {
        for from in profile.statuses().iter().filter(|s| s.is_open()) {
            for to in profile.statuses() {
                assert_eq!(
                    by_hand(*profile, *from, *to, Some("why"), false),
                    Ok(()),
                    "{profile}: {from} → {to}"
                );
            }
        }
    }
}

#[test]
fn a_status_of_another_profile_is_refused() {
    assert_eq!(
        by_hand(Profile::Agency, New, Mql, None, false),
        Err(Refusal::NotInProfile(Mql))
    );
}

#[test]
fn disqualifying_needs_a_reason() {
    assert_eq!(
        by_hand(Profile::Agency, New, Disqualified, None, false),
        Err(Refusal::NeedsReason)
    );
    assert_eq!(
        by_hand(Profile::Agency, New, Disqualified, Some("  "), false),
        Err(Refusal::NeedsReason)
    );
    assert_eq!(
        by_hand(Profile::Agency, New, Disqualified, Some("student"), false),
        Ok(())
    );
}

#[test]
fn a_closed_lead_is_reopened_on_purpose_only() {
    assert_eq!(
        by_hand(Profile::Pipeline, Won, Qualified, None, false),
        Err(Refusal::Closed(Won))
    );
    assert_eq!(
        by_hand(Profile::Pipeline, Won, Qualified, None, true),
        Ok(())
    );
    assert_eq!(by_hand(Profile::Pipeline, Won, Won, None, false), Ok(()));
}

proptest! {
    #[test]
    fn no_automatic_move_leaves_the_profile_or_goes_down(p in 0usize..5, f in 0usize..16, t in 0usize..8) {
        let (profile, from, trigger) = (Profile::ALL[p], Status::ALL[f], AUTOMATIC[t]);
        if let Some(to) = automatic(profile, from, trigger) {
            prop_assert!(profile.has(from) && profile.has(to));
            prop_assert!(to.rank() > from.rank() || trigger == Trigger::Recycle);
        }
    }
}

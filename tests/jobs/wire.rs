//! The name, queue, version and JSON of each kind of job, as they lie in queues of running systems: a change here needs a
//! version or an alias.

use domain::id::{IntakeEventId, MessageId};
use jobs::{
    AssumeSent, ForgetExpired, ProcessIntake, RefreshOrgScores, RefreshScores, RemindFollowUps,
    RemindOrgFollowUps, SendMail, SendSignInLink,
};
use queue::Job;
use serde_json::json;

use super::*;

const ID: &str = "01950000-0000-7000-8000-000000000001";
const OTHER: &str = "01950000-0000-7000-8000-000000000002";

/// One line on a kind: name, version, queue, key, whether it has a lane, payload.
fn line<J: Job>(job: &J) -> String {
    let payload = serde_json::to_string(job).unwrap();
    let key = job.key().map(|key| format!("{key:?}"));
    let key = key
        .as_deref()
        .and_then(|key| key.split('"').nth(1))
        .unwrap_or("-");
    let lane = if job.lane().is_some() { "lane" } else { "-" };
    format!(
        "{} v{} {} {lane} {key} {payload}",
        J::NAME,
        J::VERSION,
        J::QUEUE
    )
}

#[test]
fn every_kind_is_written_as_it_always_was() {
    let org: OrgId = ID.parse().unwrap();
    let lead: LeadId = OTHER.parse().unwrap();
    let event: IntakeEventId = OTHER.parse().unwrap();
    let message: MessageId = OTHER.parse().unwrap();
    let due_at = time("2030-03-04T03:00:00Z");
    let mut lines = vec![
        line(&ProcessIntake { org, event }),
        line(&enrich(org, lead)),
        line(&score(org, lead)),
        line(&SendMail { org, message }),
        line(&RefreshScores { due_at }),
        line(&RefreshOrgScores {
            org,
            due_at,
            after: None,
        }),
        line(&RefreshOrgScores {
            org,
            due_at,
            after: Some(lead),
        }),
        line(&RemindFollowUps { due_at }),
        line(&RemindOrgFollowUps { org, due_at }),
        line(&ForgetExpired { due_at }),
        line(&AssumeSent { due_at }),
        line(&SendSignInLink {
            email: "Mira@Rep.test".into(),
        }),
    ];
    for reason in [
        Reason::Scored,
        Reason::TurnedHot,
        Reason::Qualified,
        Reason::Assigned,
    ] {
        lines.push(line(&notify(org, lead, reason)));
    }

    let kinds: std::collections::BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let known: std::collections::BTreeSet<_> =
        jobs::registry().names().map(str::to_owned).collect();
    assert!(
        known.iter().map(String::as_str).eq(kinds),
        "a kind is missing here: {known:?}"
    );
    let none = "00000000-0000-0000-0000-000000000000";
    let text = lines
        .join("\n")
        .replace(ID, "ORG")
        .replace(OTHER, "ID")
        .replace(none, "NONE");
    insta::assert_snapshot!(text, @r#"
    process_intake v1 intake lane ID {"org":"ORG","event":"ID"}
    enrich_lead v1 enrich lane ID {"org":"ORG","lead":"ID"}
    score_lead v1 score lane - {"org":"ORG","lead":"ID","trigger":"manual"}
    send_mail v1 mail lane ID {"org":"ORG","message":"ID"}
    refresh_scores v1 sweep - 1898823600 {"due_at":"2030-03-04T03:00:00Z"}
    refresh_org_scores v1 score lane ORG:1898823600:NONE {"org":"ORG","due_at":"2030-03-04T03:00:00Z","after":null}
    refresh_org_scores v1 score lane ORG:1898823600:ID {"org":"ORG","due_at":"2030-03-04T03:00:00Z","after":"ID"}
    remind_follow_ups v1 sweep - 1898823600 {"due_at":"2030-03-04T03:00:00Z"}
    remind_org_follow_ups v1 notify lane ORG:1898823600 {"org":"ORG","due_at":"2030-03-04T03:00:00Z"}
    forget_expired v1 sweep - 1898823600 {"due_at":"2030-03-04T03:00:00Z"}
    assume_sent v1 sweep - 1898823600 {"due_at":"2030-03-04T03:00:00Z"}
    send_sign_in_link v1 mail - mira@rep.test {"email":"Mira@Rep.test"}
    notify_rep v1 notify lane - {"org":"ORG","lead":"ID","reason":"scored"}
    notify_rep v1 notify lane - {"org":"ORG","lead":"ID","reason":"turned_hot"}
    notify_rep v1 notify lane - {"org":"ORG","lead":"ID","reason":"qualified"}
    notify_rep v1 notify lane - {"org":"ORG","lead":"ID","reason":"assigned"}
    "#);
}

#[test]
fn what_lies_in_a_queue_can_be_read() {
    let registry = jobs::registry();
    let lying = [
        ("process_intake", json!({"org": ID, "event": OTHER})),
        ("enrich_lead", json!({"org": ID, "lead": OTHER})),
        (
            "score_lead",
            json!({"org": ID, "lead": OTHER, "trigger": "behaviour"}),
        ),
        (
            "notify_rep",
            json!({"org": ID, "lead": OTHER, "reason": "turned_hot"}),
        ),
        ("send_mail", json!({"org": ID, "message": OTHER})),
        ("refresh_scores", json!({"due_at": "2030-03-04T03:00:00Z"})),
        (
            "refresh_org_scores",
            json!({"org": ID, "due_at": "2030-03-04T03:00:00Z", "after": null}),
        ),
        (
            "remind_follow_ups",
            json!({"due_at": "2030-03-04T08:00:00Z"}),
        ),
        ("forget_expired", json!({"due_at": "2030-03-04T04:00:00Z"})),
        ("assume_sent", json!({"due_at": "2030-03-04T04:05:00Z"})),
        (
            "remind_org_follow_ups",
            json!({"org": ID, "due_at": "2030-03-04T08:00:00Z"}),
        ),
        ("send_sign_in_link", json!({"email": "mira@rep.test"})),
    ];
    let mut kinds: Vec<_> = lying.iter().map(|(kind, _)| *kind).collect();
    let mut known: Vec<_> = registry.names().collect();
    kinds.sort_unstable();
    known.sort_unstable();
    assert_eq!(kinds, known, "each kind that there is, once");
    for (kind, payload) in lying {
        registry
            .check(kind, &payload)
            .unwrap_or_else(|why| panic!("{kind}: {why}"));
        let mut lacking = payload.clone();
        for first in ["org", "due_at", "email"] {
            lacking.as_object_mut().unwrap().remove(first);
        }
        assert!(
            registry.check(kind, &lacking).is_err(),
            "{kind} without its first field"
        );
    }
}

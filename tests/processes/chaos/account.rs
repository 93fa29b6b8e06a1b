//! What the database and the mail server hold in the end, held against what the senders remember.

use std::collections::{BTreeMap, BTreeSet};

use leadmill::dev::smtp::Sink;
use mail_parser::MessageParser;
use sqlx::PgConnection;
use uuid::Uuid;

use super::senders::{CAPTURES, Door, Sent, door, email, message};

/// Everything there is.
#[derive(Debug)]
pub(super) struct Account {
    events: Vec<Event>,
    leads: Vec<Lead>,
    bell: Vec<Bell>,
    ledger: Vec<Row>,
    mails: Vec<Mail>,
    /// Jobs that ended as dead letters, or were called off, and why.
    dead: Vec<String>,
    /// Jobs of which two ends are told.
    ended_twice: Vec<i64>,
    /// Submissions and how many jobs made something of them.
    made: Vec<(String, i64)>,
    /// How many attempts were lost with their worker.
    pub lost: i64,
}

#[derive(Debug, sqlx::FromRow)]
struct Event {
    id: Uuid,
    state: String,
    lead_id: Option<Uuid>,
    email: Option<String>,
    message: Option<String>,
}

#[derive(Debug, sqlx::FromRow)]
struct Lead {
    id: Uuid,
    email: Option<String>,
    score_total: Option<i16>,
    assigned_to_user_id: Option<Uuid>,
    scores: i64,
    assignments: i64,
    statuses: i64,
    created: i64,
    came_again: i64,
}

#[derive(Debug, sqlx::FromRow)]
struct Bell {
    user_id: Uuid,
    lead_id: Option<Uuid>,
    kind: String,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    rfc_message_id: String,
    state: String,
    lead_id: Option<Uuid>,
    user_id: Option<Uuid>,
    template_key: String,
    to_email: String,
}

/// A mail as the server was given it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mail {
    message_id: String,
    to: String,
    /// The subject up to the name of the lead, whatever else the subject says.
    about: String,
    lead: Option<Uuid>,
}

impl Account {
    /// Reads everything.
    pub(super) async fn of(db: &mut PgConnection, sink: &Sink) -> Self {
        let mails = sink.mails();
        assert_eq!(
            mails.len() as u64,
            sink.count(),
            "the server keeps them all"
        );
        Self {
            events: rows(
                db,
                "SELECT id, state, lead_id, submission ->> 'email' AS email, submission ->> 'message' AS message
                 FROM intake_events ORDER BY id",
            )
            .await,
            leads: rows(
                db,
                "SELECT id, email::text, score_total, assigned_to_user_id,
                    (SELECT count(*) FROM lead_scores WHERE lead_id = lead.id) AS scores,
                    (SELECT count(*) FROM lead_assignments WHERE lead_id = lead.id) AS assignments,
                    (SELECT count(*) FROM lead_status_history WHERE lead_id = lead.id AND from_status IS NULL) AS statuses,
                    (SELECT count(*) FROM activities WHERE lead_id = lead.id AND activity_type = 'created') AS created,
                    (SELECT count(*) FROM activities WHERE lead_id = lead.id AND activity_type = 'form_submit') AS came_again
                 FROM leads lead ORDER BY id",
            )
            .await,
            bell: rows(db, "SELECT user_id, lead_id, kind FROM notifications").await,
            ledger: rows(
                db,
                "SELECT rfc_message_id, state, lead_id, user_id, template_key, to_email FROM email_messages",
            )
            .await,
            mails: mails.iter().map(|mail| Mail::read(&mail.raw)).collect(),
            dead: scalars(
                db,
                "SELECT format('%s %s was %s: %s %s', kind, id, outcome, reason, errors)
                 FROM queue.job_history WHERE outcome IN ('discarded', 'cancelled') ORDER BY id",
            )
            .await,
            ended_twice: scalars(db, "SELECT id FROM queue.job_history GROUP BY id HAVING count(*) > 1").await,
            made: rows(
                db,
                "SELECT payload ->> 'event', count(*) FROM queue.job_history
                 WHERE kind = 'process_intake' AND outcome <> 'cancelled' GROUP BY 1",
            )
            .await,
            lost: scalars(
                db,
                "SELECT count(*) FROM queue.job_history, jsonb_array_elements(errors) AS error
                 WHERE error ->> 'error' = 'the worker that ran it died'",
            )
            .await[0],
        }
    }

    /// How many mails may or may not have come.
    pub(super) fn unknown(&self) -> usize {
        self.ledger
            .iter()
            .filter(|row| row.state == "unknown")
            .count()
    }

    /// How many of those came.
    pub(super) fn unknown_that_came(&self) -> usize {
        let came: BTreeSet<_> = self.mails.iter().map(|mail| &*mail.message_id).collect();
        let unknown = self.ledger.iter().filter(|row| row.state == "unknown");
        unknown
            .filter(|row| came.contains(&*row.rfc_message_id))
            .count()
    }

    /// Everything that is not as it must be.
    pub(super) fn faults(&self, sent: &[Sent]) -> Vec<String> {
        let mut faults = Vec::new();
        self.check_events(sent, &mut faults);
        self.check_leads(&mut faults);
        self.check_news(&mut faults);
        self.check_mails(&mut faults);
        faults.extend(self.dead.iter().cloned());
        faults.extend(
            self.ended_twice
                .iter()
                .map(|job| format!("job {job} ended twice")),
        );
        faults
    }

    /// Every capture was kept and made something of once; without a key, once for each time that it was sent at most.
    fn check_events(&self, sent: &[Sent], faults: &mut Vec<String>) {
        let numbers: BTreeSet<_> = sent.iter().map(|sent| sent.number).collect();
        if numbers.len() != CAPTURES || sent.len() != CAPTURES {
            faults.push(format!("{} captures were sent, not each once", sent.len()));
        }
        let jobs: BTreeMap<_, _> = self
            .made
            .iter()
            .map(|(event, jobs)| (&**event, *jobs))
            .collect();
        let lead_of: BTreeMap<_, _> = self
            .leads
            .iter()
            .map(|lead| (lead.id, lead.email.as_deref()))
            .collect();
        let mut by_message: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        for event in &self.events {
            by_message
                .entry(event.message.as_deref().unwrap_or_default())
                .or_default()
                .push(event);
            let done = matches!(&*event.state, "processed" | "duplicate");
            let lead = event
                .lead_id
                .and_then(|lead| lead_of.get(&lead).copied().flatten());
            if !done || lead.is_none() || lead != event.email.as_deref() {
                faults.push(format!(
                    "submission {event:?} is not made a lead of, but {lead:?}"
                ));
            }
            if jobs.get(&*event.id.to_string()) != Some(&1) {
                faults.push(format!("submission {event:?} did not have one job"));
            }
        }
        for sent in sent {
            let found = by_message
                .remove(&*message(sent.number))
                .unwrap_or_default();
            let most = match door(sent.number) {
                Door::Keyed | Door::Form => 1,
                Door::Keyless => 1 + sent.in_vain,
            };
            let told = found.iter().any(|event| event.id == sent.id);
            let same = found
                .iter()
                .all(|event| event.email.as_deref() == Some(&*email(sent.number)));
            if !told || !same || found.len() > most {
                faults.push(format!("{sent:?} is kept as {found:?}"));
            }
        }
        faults.extend(
            by_message
                .values()
                .map(|events| format!("nobody sent {events:?}")),
        );
    }

    /// Every person is one lead, made once, scored, and given to one rep once.
    fn check_leads(&self, faults: &mut Vec<String>) {
        let mut expected: BTreeSet<_> = (0..CAPTURES).map(email).collect();
        let mut events: BTreeMap<Uuid, i64> = BTreeMap::new();
        for lead in self.events.iter().filter_map(|event| event.lead_id) {
            *events.entry(lead).or_default() += 1;
        }
        for lead in &self.leads {
            if !expected.remove(lead.email.as_deref().unwrap_or_default()) {
                faults.push(format!("{lead:?} is one too many"));
            }
            let once = (lead.created, lead.statuses, lead.assignments) == (1, 1, 1);
            let told = lead.came_again + 1 == events.get(&lead.id).copied().unwrap_or_default();
            let scored = lead.score_total.is_some() && lead.scores >= 1;
            if !once || !told || !scored || lead.assigned_to_user_id.is_none() {
                let events = events.get(&lead.id);
                faults.push(format!(
                    "{lead:?} of {events:?} submissions is not as it should be"
                ));
            }
        }
        faults.extend(expected.iter().map(|email| format!("{email} is no lead")));
    }

    /// The rep of every lead was told of it, and nobody of anything twice.
    fn check_news(&self, faults: &mut Vec<String>) {
        let mut told: BTreeMap<_, usize> = BTreeMap::new();
        for bell in &self.bell {
            *told
                .entry((Some(bell.user_id), bell.lead_id, &*bell.kind))
                .or_default() += 1;
        }
        let mut written: BTreeMap<_, usize> = BTreeMap::new();
        for row in &self.ledger {
            *written
                .entry((row.user_id, row.lead_id, &*row.template_key))
                .or_default() += 1;
        }
        for lead in &self.leads {
            let new = (lead.assigned_to_user_id, Some(lead.id), "lead_scored");
            if !told.contains_key(&new) || !written.contains_key(&new) {
                faults.push(format!("the rep of {lead:?} was not told of it"));
            }
        }
        for (what, times) in told.iter().chain(&written).filter(|(_, times)| **times > 1) {
            faults.push(format!("{what:?} was told {times} times"));
        }
    }

    /// Every mail of the ledger came once, or is unknown and came once at most; none came that is not in it.
    fn check_mails(&self, faults: &mut Vec<String>) {
        let mut came: BTreeMap<&str, Vec<&Mail>> = BTreeMap::new();
        let mut alike: BTreeMap<_, usize> = BTreeMap::new();
        for mail in &self.mails {
            came.entry(&mail.message_id).or_default().push(mail);
            *alike.entry((&mail.to, &mail.about, mail.lead)).or_default() += 1;
        }
        for row in &self.ledger {
            let mails = came.remove(&*row.rfc_message_id).unwrap_or_default();
            let as_often = match &*row.state {
                "sent" => mails.len() == 1,
                "unknown" => mails.len() <= 1,
                _ => false,
            };
            let the_same = mails
                .iter()
                .all(|mail| mail.lead == row.lead_id && mail.to == row.to_email);
            if !as_often || !the_same {
                faults.push(format!("{row:?} came as {mails:?}"));
            }
        }
        faults.extend(came.values().map(|mails| format!("nobody wrote {mails:?}")));
        let twice = alike.iter().filter(|(_, times)| **times > 1);
        faults.extend(twice.map(|(mail, times)| format!("{mail:?} came {times} times")));
    }
}

impl Mail {
    fn read(raw: &[u8]) -> Self {
        let mail = MessageParser::default().parse(raw).unwrap();
        let text = mail.body_text(0).unwrap();
        let subject = mail.subject().unwrap();
        let lead = text.split("/leads/").nth(1);
        Self {
            message_id: format!("<{}>", mail.message_id().unwrap()),
            to: mail
                .to()
                .and_then(|to| to.first()?.address())
                .unwrap()
                .to_owned(),
            about: subject.split(':').next().unwrap().to_owned(),
            lead: lead.and_then(|rest| rest.get(..36)?.parse().ok()),
        }
    }
}

async fn rows<T>(db: &mut PgConnection, statement: &'static str) -> Vec<T>
where
    T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    sqlx::query_as(statement).fetch_all(db).await.unwrap()
}

async fn scalars<T>(db: &mut PgConnection, statement: &'static str) -> Vec<T>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(statement).fetch_all(db).await.unwrap()
}

//! Remind the reps of an org of leads whose follow-up is due.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use domain::clock::Timestamp;
use domain::id::{OrgId, UserId};
use domain::member::Membership;
use domain::org::Org;
use domain::store::follow_ups::{self, Due};
use domain::store::{members, orgs};
use queue::{Attempt, Job, JobResult, Key, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::context::{Ctx, News};
use crate::effects::messages::{DueLead, FollowUpsDue, words};

/// Most leads per read.
const PAGE: usize = 1_000;
/// Most leads per mail; the page it leads to shows all.
const LISTED: usize = 20;
/// How long a lead may go without being spoken to before it is due, in orgs that want that.
const SILENT: TimeDelta = TimeDelta::days(7);
/// A reminder that is later than that would be the next day's.
const WORTH: TimeDelta = TimeDelta::hours(16);

/// One digest a rep and day; leads that are nobody's go to those who run the org.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemindOrgFollowUps {
    /// The org.
    pub org: OrgId,
    /// The nominal time of the run.
    pub due_at: Timestamp,
}

impl Job for RemindOrgFollowUps {
    const NAME: &'static str = "remind_org_follow_ups";
    const QUEUE: &'static str = "notify";

    type Ctx = Ctx;

    fn key(&self) -> Option<Key> {
        Some(Key::of(self.org).and(self.due_at.timestamp()))
    }

    fn lane(&self) -> Option<Uuid> {
        Some(self.org.uuid())
    }

    async fn run(&self, ctx: &Ctx, attempt: &Attempt) -> JobResult {
        let mut tx = ctx.begin(self.org, attempt).await?;
        let Some(org) = orgs::find(&mut tx, self.org).await?.filter(Org::is_active) else {
            return Ok(Outcome::skip("there is no such active organisation"));
        };
        let by_rep = self.due(&mut tx, &org).await?;
        let everybody = members::list(&mut tx, self.org).await?;
        let (mut people, mut heard) = (0, Vec::new());
        for person in &everybody {
            let Some(digest) = digest_of(person, &by_rep) else {
                continue;
            };
            people += 1;
            heard.extend(self.remind(ctx, &mut tx, &org, person, digest).await?);
        }
        ctx.commit(tx).await?;
        ctx.ring(self.org, &heard).await;
        Ok(Outcome::DoneWith(json!({"reminded": people})))
    }
}

/// The due leads of one person: the most urgent, and how many there are.
#[derive(Debug, Default)]
struct Pile {
    first: Vec<Due>,
    count: usize,
}

impl Pile {
    fn add(&mut self, due: Due) {
        self.count += 1;
        self.first.push(due);
        if self.first.len() >= 2 * LISTED {
            self.keep_the_most_urgent();
        }
    }

    fn add_all(&mut self, other: &Self) {
        self.count += other.count;
        self.first.extend(other.first.iter().cloned());
        self.keep_the_most_urgent();
    }

    /// The longest overdue first; among those the best score.
    fn keep_the_most_urgent(&mut self) {
        self.first.sort_by_key(|due| {
            let since = due.next_follow_up_at.or(due.last_contacted_at);
            (since, std::cmp::Reverse(due.score_total), due.lead_id)
        });
        self.first.truncate(LISTED);
    }
}

/// What a person is reminded of: their own leads; those who run the org, also of nobody's.
fn digest_of(person: &Membership, piles: &BTreeMap<Option<UserId>, Pile>) -> Option<Pile> {
    let mut pile = Pile::default();
    let own = piles.get(&Some(person.user_id));
    let nobodys = piles.get(&None).filter(|_| person.role.may_administer());
    own.into_iter()
        .chain(nobodys)
        .for_each(|theirs| pile.add_all(theirs));
    (pile.count > 0).then_some(pile)
}

impl RemindOrgFollowUps {
    /// Every lead that is due, by whose it is.
    async fn due(
        &self,
        tx: &mut PgConnection,
        org: &Org,
    ) -> sqlx::Result<BTreeMap<Option<UserId>, Pile>> {
        let silent = org
            .settings
            .remind_stale_contacts
            .then(|| self.due_at - SILENT);
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let (mut by_rep, mut after) = (BTreeMap::<_, Pile>::new(), None);
        loop {
            let page = follow_ups::due(tx, self.org, self.due_at, silent, after, limit).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|due| due.lead_id);
            for due in page {
                by_rep.entry(due.assigned_to_user_id).or_default().add(due);
            }
            if !full {
                return Ok(by_rep);
            }
        }
    }

    async fn remind(
        &self,
        ctx: &Ctx,
        tx: &mut PgConnection,
        org: &Org,
        person: &Membership,
        pile: Pile,
    ) -> anyhow::Result<Vec<UserId>> {
        let zone: Tz = org.time_zone.parse().unwrap_or(Tz::UTC);
        let today = self.due_at.with_timezone(&zone).date_naive();
        let count = pile.count;
        let leads: Vec<_> = pile
            .first
            .iter()
            .map(|due| line(ctx, due, zone, today))
            .collect();
        let title = match count {
            1 => "1 follow-up is due".to_owned(),
            count => format!("{count} follow-ups are due"),
        };
        let news = News {
            kind: "follow_ups_due",
            title,
            body: leads
                .first()
                .map(|first| format!("{}, {}", first.name, first.due)),
            lead: None,
            data: json!({"count": count}),
            dedupe_key: format!("follow_ups_due:{}", self.due_at.date_naive()),
            expires_at: Some(self.due_at + WORTH),
        };
        let message = |frame| FollowUpsDue {
            frame,
            day: words::day(today),
            more: count - leads.len(),
            leads: leads.clone(),
            url: ctx.effects.links.today(),
        };
        ctx.tell(tx, org, std::slice::from_ref(person), &news, message)
            .await
    }
}

/// A lead as the mail lists it.
fn line(ctx: &Ctx, due: &Due, zone: Tz, today: NaiveDate) -> DueLead {
    let on = |at: Timestamp| at.with_timezone(&zone).date_naive();
    let spoken = due.last_contacted_at.map(on);
    DueLead {
        name: words::name(due.display_name.as_deref()),
        company: due.company_name.clone(),
        due: match (due.next_follow_up_at, spoken) {
            (Some(at), _) => words::due(on(at), today),
            (None, Some(day)) => format!("silent for {} days", (today - day).num_days()),
            (None, None) => words::due(today, today),
        },
        overdue: due.next_follow_up_at.is_none_or(|at| on(at) < today),
        last_contact: spoken.map(|day| words::contact(due.last_contact_method, day)),
        score: due.score_total,
        url: ctx.effects.links.lead(due.lead_id),
    }
}

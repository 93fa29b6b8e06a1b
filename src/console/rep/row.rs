//! A lead as a row of the table.

use chrono_tz::Tz;
use domain::clock::Timestamp;
use domain::id::UserId;
use domain::lead::Lead;
use domain::member::Membership;
use domain::org::Org;
use serde::Serialize;

use crate::console::frame::initials;
use crate::console::moment::Moment;
use crate::console::words::{self, Choice, StatusMark};

/// A score with how it reads.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Scored {
    pub(super) points: i16,
    pub(super) band: &'static str,
    pub(super) band_text: &'static str,
}

/// A person of the org.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) initials: String,
}

/// When a lead is to be come back to.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FollowUp {
    pub(super) at: Moment,
    /// Its day has come.
    pub(super) due: bool,
}

/// A row of the table.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    id: String,
    name: String,
    company: String,
    title: String,
    email: String,
    score: Option<Scored>,
    status: StatusMark,
    statuses: Vec<Choice>,
    assigned: Option<Person>,
    contacted: Option<Moment>,
    method: &'static str,
    contacts: i32,
    follow_up: Option<FollowUp>,
    captured: Moment,
    source: &'static str,
}

/// What rows are read with.
pub(super) struct Reader<'a> {
    pub(super) org: &'a Org,
    pub(super) people: &'a [Membership],
    pub(super) now: Timestamp,
    pub(super) zone: Tz,
}

impl Reader<'_> {
    pub(super) fn row(&self, lead: &Lead) -> Row {
        let details = &lead.details;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Row {
            id: lead.id.to_string(),
            name: name(lead),
            company: text(&details.company_name),
            title: text(&details.job_title),
            email: text(&details.email),
            score: scored(lead),
            status: lead.status.into(),
            statuses: self.statuses(lead),
            assigned: lead.assigned_to_user_id.map(|user| self.person(user)),
            contacted: lead.last_contacted_at.map(|at| self.moment(at)),
            method: lead.last_contact_method.map_or("", words::method),
            contacts: lead.contact_count,
            follow_up: self.follow_up(lead),
            captured: self.moment(lead.created_at),
            source: words::source(details.source_category),
        }
    }

    /// The statuses of the org and the lead's own, which is chosen.
    pub(super) fn statuses(&self, lead: &Lead) -> Vec<Choice> {
        let offered = self.org.profile.statuses();
        let own = Some(lead.status).filter(|own| !offered.contains(own));
        let all = own.into_iter().chain(offered.iter().copied());
        words::statuses(all, |status| status == lead.status)
    }

    pub(super) fn person(&self, user: UserId) -> Person {
        let found = self.people.iter().find(|person| person.user_id == user);
        let name = found.map_or("Somebody who left", |person| person.name.as_str());
        Person {
            name: name.to_owned(),
            initials: initials(name),
        }
    }

    pub(super) fn follow_up(&self, lead: &Lead) -> Option<FollowUp> {
        let at = lead.details.next_follow_up_at?;
        let day = |at: Timestamp| at.with_timezone(&self.zone).date_naive();
        Some(FollowUp {
            at: Moment::day(at, self.now, self.zone),
            due: lead.is_open && day(at) <= day(self.now),
        })
    }

    pub(super) fn moment(&self, at: Timestamp) -> Moment {
        Moment::of(at, self.now, self.zone)
    }
}

/// What to call a lead.
pub(super) fn name(lead: &Lead) -> String {
    let known = lead.display_name.clone();
    let known = known.or_else(|| lead.details.phone.clone());
    known.unwrap_or_else(|| "Somebody without a name".to_owned())
}

pub(super) fn scored(lead: &Lead) -> Option<Scored> {
    let (points, band) = (lead.score_total?, lead.score_band?);
    Some(Scored {
        points,
        band: band.as_str(),
        band_text: words::band(band),
    })
}

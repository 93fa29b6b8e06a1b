//! One lead: what is known, why it scores as it does, what happened, and what to do about it.

mod facts;
mod score;
mod timeline;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use chrono::SecondsFormat;
use domain::activity::Activity;
use domain::contact::ContactMethod;
use domain::id::{ActivityId, LeadId};
use domain::lead::Lead;
use domain::member::Membership;
use domain::org::Org;
use domain::stage::Stage;
use domain::status::Status;
use domain::store::enrichment::Run;
use domain::store::lead_history::GivenScore;
use domain::store::{enrichment, lead_history, lead_pages, members, orgs, stages};
use serde::Serialize;

use super::row::{FollowUp, Person, Reader, Scored, name, scored};
use crate::app::App;
use crate::commands::Refused;
use crate::console::Failed;
use crate::console::frame::Frame;
use crate::console::moment::Moment;
use crate::console::posted::Fields;
use crate::console::words::{self, Choice, StatusMark};
use crate::web::cursor::{self, Page};
use crate::web::session::Session;

use facts::{Enrichment, Fact};
use score::Breakdown;
use timeline::Entry;

/// Most entries of the timeline on a page.
const ENTRIES: usize = 30;

/// A change that was refused: what was typed, and what is wrong with it.
pub(super) struct Tried {
    /// The form.
    pub(super) form: &'static str,
    /// The field to correct.
    pub(super) field: &'static str,
    /// What is wrong.
    pub(super) problem: String,
    /// What was typed.
    pub(super) fields: Fields,
    /// How the answer counts.
    pub(super) status: StatusCode,
}

/// What a form shows of the try before.
#[derive(Debug, Default, Serialize)]
struct Again {
    form: &'static str,
    field: &'static str,
    problem: String,
    reason: String,
    notes: String,
    date: String,
}

/// The page.
#[derive(Debug, Serialize)]
struct LeadPage {
    frame: Frame,
    may_delete: bool,
    id: String,
    /// When it was last edited: what comes after is told to the page.
    as_of: String,
    name: String,
    initials: String,
    job: String,
    email: String,
    phone: String,
    linkedin: String,
    status: StatusMark,
    is_open: bool,
    statuses: Vec<Choice>,
    stages: Vec<Step>,
    /// Why stage and status seem to disagree, where they do.
    apart: Option<String>,
    stage_since: Option<Moment>,
    assigned: Option<Person>,
    people: Vec<Choice>,
    methods: Vec<Choice>,
    follow_up: Option<FollowUp>,
    follow_up_day: String,
    contacts: i32,
    responses: i32,
    contacted: Option<Moment>,
    captured: Moment,
    message: String,
    tags: Vec<String>,
    facts: Vec<Fact>,
    reasons: Vec<Fact>,
    score: Option<Scored>,
    breakdown: Option<Breakdown>,
    enrichment: Enrichment,
    timeline: Vec<Entry>,
    older: Option<String>,
    /// The same contact sent twice carries the same.
    once: String,
    newest: Option<String>,
    again: Again,
}

/// A stage of the pipeline.
#[derive(Debug, Serialize)]
struct Step {
    id: String,
    name: String,
    colour: String,
    /// The lead is there.
    here: bool,
    /// It was there, or went past it.
    past: bool,
    /// The status that closes the lead on entering it, if one does.
    closes: &'static str,
}

/// `GET /dashboard/crm/leads/{id}`.
pub(super) async fn show(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let id = lead_id(&id)?;
    render(&app, &session, id, &query.unwrap_or_default(), None).await
}

/// The status that closes a lead which enters `stage`.
fn closing(stage: &Stage) -> Option<Status> {
    stage.status_on_enter.filter(|status| !status.is_open())
}

/// What to make of a lead whose status says one thing and whose stage says another.
fn apart(status: Status, stage: &Stage) -> Option<String> {
    let (is, called) = (words::status(status).to_lowercase(), &stage.name);
    match (status.is_open(), closing(stage)) {
        (false, None) => Some(format!(
            "Closed as {is}. The stage {called} tells how far it came."
        )),
        (true, Some(_)) => Some(format!(
            "Open again as {is}; choose the stage at which it goes on."
        )),
        (false, Some(goal)) if goal.is_won() != status.is_won() => Some(format!(
            "Closed as {is}, though its stage is {called}. The status counts."
        )),
        _ => None,
    }
}

/// `GET` of what only takes forms, as a page loaded again after a refusal asks: the lead itself.
pub(super) async fn again(Path(id): Path<String>) -> Result<Redirect, Failed> {
    let lead = lead_id(&id)?;
    Ok(Redirect::to(&format!("/dashboard/crm/leads/{lead}")))
}

/// An id that is none is that of no lead.
pub(super) fn lead_id(text: &str) -> Result<LeadId, Refused> {
    text.parse().map_err(|_| Refused::NotFound("lead"))
}

/// The page, with what was tried and refused if anything was.
pub(super) async fn render(
    app: &App,
    session: &Session,
    id: LeadId,
    query: &str,
    tried: Option<Tried>,
) -> Result<Response, Failed> {
    let (frame, found) = Found::read(app, session, id, query).await?;
    let reader = Reader {
        org: &found.home,
        people: &found.people,
        now: app.clock.now(),
        zone: session.zone,
    };
    let mut page = page(frame, &found, &reader)?;
    page.may_delete = session.member.role.may_administer();
    let mut status = StatusCode::OK;
    if let Some(tried) = tried {
        status = tried.status;
        page.show_again(&tried);
    }
    Ok(app.views.page(status, "console/rep/lead.html", &page))
}

/// All that the page tells, as it is stored.
struct Found {
    called: String,
    lead: Lead,
    home: Org,
    people: Vec<Membership>,
    stages: Vec<Stage>,
    scores: Vec<GivenScore>,
    runs: Vec<Run>,
    entries: Page<Activity>,
    /// The timeline does not begin with the newest.
    is_older: bool,
}

impl Found {
    async fn read(
        app: &App,
        session: &Session,
        id: LeadId,
        query: &str,
    ) -> Result<(Frame, Self), Failed> {
        let org = session.member.org;
        let mut tx = session.begin(app).await?;
        let lead = lead_pages::find(&mut tx, org, id).await?;
        let lead = lead.ok_or(Refused::NotFound("lead"))?;
        let called = name(&lead);
        let home = orgs::find(&mut tx, org).await?;
        let after = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "before")
            .and_then(|(_, sent)| cursor::decode(&sent));
        let most = cursor::one_more(ENTRIES);
        let entries = lead_history::activities(&mut tx, org, id, after, most).await?;
        let frame = Frame::new(&mut tx, session, called.clone(), "leads", query).await?;
        let found = Self {
            called,
            lead,
            home: home.ok_or(Refused::NotFound("organisation"))?,
            people: members::list(&mut tx, org).await?,
            stages: stages::list(&mut tx, org).await?,
            scores: lead_history::scores(&mut tx, org, id, None, 12).await?,
            runs: enrichment::runs(&mut tx, org, id).await?,
            entries: Page::of(entries, ENTRIES, |entry| (entry.occurred_at, entry.id)),
            is_older: after.is_some(),
        };
        Ok((frame, found))
    }
}

fn page(frame: Frame, found: &Found, reader: &Reader<'_>) -> anyhow::Result<LeadPage> {
    let lead = &found.lead;
    let path = format!("/dashboard/crm/leads/{}", lead.id);
    let next = found.entries.next.as_deref();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let details = &lead.details;
    Ok(LeadPage {
        may_delete: false,
        initials: crate::console::frame::initials(&found.called),
        job: facts::job(details),
        email: text(&details.email),
        phone: text(&details.phone),
        linkedin: facts::web_address(details.linkedin_url.as_deref()),
        status: lead.status.into(),
        is_open: lead.is_open,
        statuses: reader.statuses(lead),
        stages: steps(&found.stages, lead),
        apart: own(&found.stages, lead).and_then(|own| apart(lead.status, own)),
        stage_since: lead.stage_entered_at.map(|at| reader.moment(at)),
        assigned: lead.assigned_to_user_id.map(|user| reader.person(user)),
        people: people(&found.people, lead),
        methods: ContactMethod::ALL
            .iter()
            .map(|method| Choice::new(method, words::method(*method), false))
            .collect(),
        follow_up: reader.follow_up(lead),
        follow_up_day: details.next_follow_up_at.map_or_else(String::new, |at| {
            let local = at.with_timezone(&reader.zone);
            local.format("%Y-%m-%d").to_string()
        }),
        contacts: lead.contact_count,
        responses: lead.response_count,
        contacted: lead.last_contacted_at.map(|at| reader.moment(at)),
        captured: reader.moment(lead.created_at),
        message: text(&details.message),
        tags: details.tags.clone(),
        facts: facts::of(lead, &found.home),
        reasons: facts::closed(lead),
        score: scored(lead),
        breakdown: score::breakdown(
            &found.scores,
            details.currency.as_deref().unwrap_or(&found.home.currency),
            reader,
        )?,
        enrichment: facts::enrichment(lead, &found.runs, reader),
        timeline: found
            .entries
            .items
            .iter()
            .map(|entry| timeline::entry(entry, reader))
            .collect(),
        older: next.map(|next| format!("{path}?before={next}#timeline")),
        newest: found.is_older.then(|| format!("{path}#timeline")),
        once: ActivityId::new().to_string(),
        again: Again::default(),
        id: lead.id.to_string(),
        as_of: lead.updated_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        name: found.called.clone(),
        frame,
    })
}

/// The stages of the lead's pipeline; of all of them if it is in none.
fn steps(stages: &[Stage], lead: &Lead) -> Vec<Step> {
    let own = own(stages, lead);
    let own_order = own.map_or(0, |stage| stage.stage_order);
    stages
        .iter()
        .filter(|stage| own.is_none_or(|own| stage.pipeline_id == own.pipeline_id))
        .map(|stage| Step {
            id: stage.id.to_string(),
            name: stage.name.clone(),
            colour: stage.colour.clone(),
            here: Some(stage.id) == lead.stage_id,
            past: stage.stage_order < own_order && stage.probability > 0.0,
            closes: closing(stage).map_or("", words::status),
        })
        .collect()
}

/// The stage that the lead is in.
fn own<'a>(stages: &'a [Stage], lead: &Lead) -> Option<&'a Stage> {
    stages.iter().find(|stage| Some(stage.id) == lead.stage_id)
}

/// Whom the lead may be given to.
fn people(people: &[Membership], lead: &Lead) -> Vec<Choice> {
    let nobody = Choice::new("", "Nobody", lead.assigned_to_user_id.is_none());
    let members = people.iter().map(|person| {
        let chosen = lead.assigned_to_user_id == Some(person.user_id);
        Choice::new(person.user_id, person.name.clone(), chosen)
    });
    std::iter::once(nobody).chain(members).collect()
}

impl LeadPage {
    /// Shows what was typed once more, with what is wrong with it.
    fn show_again(&mut self, tried: &Tried) {
        let typed = |name: &str| tried.fields.text(name).to_owned();
        if tried.form == "status" {
            let wanted = typed("status");
            for choice in &mut self.statuses {
                choice.chosen = choice.value == wanted;
            }
        }
        self.again = Again {
            reason: typed("reason"),
            notes: typed("notes"),
            date: typed("date"),
            form: tried.form,
            field: tried.field,
            problem: tried.problem.clone(),
        };
    }
}

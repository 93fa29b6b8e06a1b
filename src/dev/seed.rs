//! The demo org: two reps, an owner, a form, a key, and sample leads that come in by the same door as all others.

use std::path::Path;

use anyhow::{Context, Result};
use domain::actor::{Act, Actor};
use domain::command::{self, NewMember};
use domain::form::CONTACT;
use domain::id::{IntakeEventId, OrgId};
use domain::key_scope::Scope;
use domain::lead::SourceCategory;
use domain::member::Role;
use domain::store::api_keys::NewApiKey;
use domain::store::forms::NewForm;
use domain::store::intake_events::NewEvent;
use domain::store::orgs::NewOrg;
use domain::store::{members, orgs, scope};
use domain::submission::Submission;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::App;
use crate::intake::accept::keep;
use crate::web::api_key::NewKey;

/// The short name of the demo org.
pub const SLUG: &str = "demo";
/// Where what is only shown once is remembered, beside the data.
const REMEMBERED: &str = "demo.json";
/// The form's token.
const FORM: &str = "demo-contact";

/// Who runs the demo org, and this machine's platform.
pub const OWNER: &str = "owner@demo.example";
/// One of the reps among whom its leads go round.
pub const REP: &str = "mira@demo.example";

const PEOPLE: [(&str, &str, Role); 3] = [
    ("Owner", OWNER, Role::Owner),
    ("Mira Rep", REP, Role::Member),
    ("Jonas Rep", "jonas@demo.example", Role::Member),
];

/// First and last name, address, employer, title, how it was won, deal value in cents, message.
type Sample = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    SourceCategory,
    i64,
    &'static str,
);

const SAMPLES: [Sample; 6] = [
    (
        "Helen",
        "Park",
        "helen.park@northwind.example",
        "Northwind",
        "Head of Operations",
        SourceCategory::Referral,
        2_400_000,
        "We outgrew our spreadsheet. Can we see it next week?",
    ),
    (
        "Omar",
        "Haddad",
        "omar@lakeside-schools.example",
        "Lakeside Schools",
        "Superintendent",
        SourceCategory::Event,
        6_000_000,
        "Met you at the fair; 41 schools.",
    ),
    (
        "Priya",
        "Nair",
        "priya@brightlabs.example",
        "Bright Labs",
        "Founder",
        SourceCategory::OrganicSearch,
        480_000,
        "",
    ),
    (
        "Tom",
        "Berger",
        "tom.berger@gmail.com",
        "",
        "",
        SourceCategory::Website,
        0,
        "just looking around",
    ),
    (
        "Lucia",
        "Marin",
        "lucia@solara.example",
        "Solara Energy",
        "VP Procurement",
        SourceCategory::PaidAds,
        1_200_000,
        "Please send a quote for 30 seats.",
    ),
    (
        "Ken",
        "Ito",
        "ken@kites.example",
        "Kites & Co",
        "Assistant",
        SourceCategory::SocialMedia,
        0,
        "",
    ),
];

/// How programs reach the demo org.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Demo {
    /// The org.
    pub org: OrgId,
    /// The token of its form.
    pub form_token: String,
    /// A key that works on leads as one of the reps.
    pub api_key: String,
}

/// The demo org, made if this is the first run on these data in `dir`.
pub async fn ensure(app: &App, dir: &Path) -> Result<Demo> {
    let mut tx = app.db.platform().await?;
    // Another run may begin on the same data at this very moment.
    orgs::lock_slug(&mut tx, SLUG).await?;
    let known = orgs::find_by_slug(&mut tx, SLUG).await?;
    let remembered = std::fs::read(dir.join(REMEMBERED)).ok();
    let remembered = remembered.and_then(|bytes| serde_json::from_slice::<Demo>(&bytes).ok());
    let (org, new) = match known {
        Some(org) => (org.id, false),
        None => (make(&mut tx, app).await?, true),
    };
    if let Some(demo) = remembered.filter(|demo| demo.org == org) {
        return Ok(demo);
    }
    if !new {
        scope::enter_org(&mut tx, org).await?;
    }
    let people = members::list(&mut tx, org).await?;
    let rep = people.iter().find(|person| person.role == Role::Member);
    let rep = rep.map(|person| person.user_id);
    let key = NewKey::generate();
    let kept = NewApiKey {
        name: "leadmill dev",
        prefix: &key.prefix,
        secret_hash: &key.secret_hash,
        scopes: &[Scope::LeadsRead, Scope::LeadsWrite],
        acts_as: rep,
    };
    let act = Act::new(org, Actor::Platform, app.clock.now());
    command::create_api_key(&mut tx, &act, &kept).await?;
    tx.commit().await?;
    let demo = Demo {
        org,
        form_token: FORM.to_owned(),
        api_key: key.key,
    };
    // Before anything is remembered: a run that was killed in between has its successor send them. Those that are there are
    // known by their keys.
    for sample in &SAMPLES {
        send(app, org, sample).await?;
    }
    remember(dir, &demo).context("remembering the demo's key")?;
    Ok(demo)
}

async fn make(tx: &mut domain::store::Tx, app: &App) -> Result<OrgId> {
    let new = NewOrg::named(SLUG, "Demo Company");
    let act = Act::new(new.id, Actor::Platform, app.clock.now());
    command::create_org(tx, &act, &new).await?;
    for (name, email, role) in PEOPLE {
        let person = NewMember {
            email,
            name,
            role,
            platform_admin: role == Role::Owner,
        };
        scope::enter_platform(tx).await?;
        command::admit(tx, &act, &person).await?;
    }
    command::assign_by_itself(tx, &act, &["scored".to_owned()]).await?;
    let form = NewForm {
        name: "Contact",
        title: "Talk to us",
        token: FORM,
        questions: &CONTACT,
    };
    command::create_form(tx, &act, &form).await?;
    Ok(new.id)
}

/// Sends a sample in as a visitor of the org's site would.
async fn send(app: &App, org: OrgId, sample: &Sample) -> Result<()> {
    let (first, last, email, company, title, source, value, message) = *sample;
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let submission = Submission {
        first_name: given(first),
        last_name: given(last),
        email: given(email),
        company: given(company),
        job_title: given(title),
        message: given(message),
        source: Some(source),
        estimated_value_minor: (value > 0).then_some(value),
        ..Submission::default()
    };
    let body = serde_json::to_vec(&submission)?;
    let id = IntakeEventId::new();
    let event = NewEvent {
        id,
        org,
        channel: None,
        form: None,
        provider: "trpc",
        dedupe_key: &format!("demo:{email}"),
        content_type: Some("application/json"),
        headers: json!({}),
        body: &body,
        submission: &submission,
        remote_ip: "127.0.0.1".to_owned(),
        spam: false,
        received_at: app.clock.now(),
    };
    let tx = app.db.org(org).await?;
    keep(&app.wake, tx, &event).await?;
    Ok(())
}

/// Puts the whole file in place at once: another run may be reading it, or writing its own.
fn remember(dir: &Path, demo: &Demo) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let unfinished = dir.join(format!(".{REMEMBERED}.{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(&serde_json::to_vec(demo)?)?;
    std::fs::rename(unfinished, dir.join(REMEMBERED))?;
    Ok(())
}

//! Make an org ready to work, and take people in.

use serde_json::json;
use sqlx::PgConnection;

use super::CommandError;
use crate::{
    actor::Act,
    id::UserId,
    lead::SourceCategory,
    member::Role,
    mql,
    org::Profile,
    score::{Model, ScoringProfile},
    stage,
    store::{
        journal::{self, Entry},
        members, orgs,
        orgs::NewOrg,
        pools, scope, scoring, sources, stages,
    },
};

/// The sources a new org starts with.
const SOURCES: [(&str, SourceCategory); 9] = [
    ("Website", SourceCategory::Website),
    ("Referral", SourceCategory::Referral),
    ("Paid ads", SourceCategory::PaidAds),
    ("Organic search", SourceCategory::OrganicSearch),
    ("Social media", SourceCategory::SocialMedia),
    ("Cold outreach", SourceCategory::ColdOutreach),
    ("Event", SourceCategory::Event),
    ("Partner", SourceCategory::Partner),
    ("Other", SourceCategory::Other),
];

/// Makes an org with pipeline, sources, scoring and pool. Called as the platform; afterwards the transaction is the org's.
pub async fn create_org(
    db: &mut PgConnection,
    act: &Act,
    new: &NewOrg,
) -> Result<(), CommandError> {
    if !orgs::insert(db, new).await? {
        return Err(CommandError::Invalid {
            field: "slug",
            why: "is taken",
        });
    }
    scope::enter_org(db, new.id).await?;
    let act = Act {
        org: new.id,
        ..act.clone()
    };
    ensure_default_pipeline(db, &act).await?;
    for (name, category) in SOURCES {
        sources::ensure(db, new.id, name, category).await?;
    }
    let model = if new.profile == Profile::K12 {
        Model::Composition
    } else {
        Model::Factors
    };
    scoring::activate_profile(
        db,
        new.id,
        &ScoringProfile::first(model),
        act.actor.user(),
        act.at,
    )
    .await?;
    scoring::insert_mql_triggers(db, new.id, &mql::DEFAULTS).await?;
    pools::ensure_default(db, new.id).await?;
    let after = json!({"slug": new.slug, "name": new.name, "profile": new.profile});
    journal::write(
        db,
        &act,
        Entry::of("org.create", "org", new.id.uuid()).after(after),
    )
    .await?;
    Ok(())
}

/// Gives the org a default pipeline if it has none, also when two ask at once.
pub async fn ensure_default_pipeline(db: &mut PgConnection, act: &Act) -> Result<(), CommandError> {
    let Some(pipeline) = stages::insert_default_pipeline(db, act.org, "Sales").await? else {
        return Ok(());
    };
    stages::insert(db, act.org, pipeline, &stage::DEFAULTS).await?;
    let entry =
        Entry::of("pipeline.create", "pipeline", pipeline.uuid()).after(json!({"name": "Sales"}));
    journal::write(db, act, entry).await?;
    Ok(())
}

/// Who is to be taken into an org.
#[derive(Debug, Clone)]
pub struct NewMember<'a> {
    /// Where to write to them, and how they sign in.
    pub email: &'a str,
    /// Their name.
    pub name: &'a str,
    /// What they may do.
    pub role: Role,
    /// Also make them one of those who run the platform; who is one stays one.
    pub platform_admin: bool,
}

/// Takes somebody in by their address, with an account if they have none. Called as the platform; afterwards the transaction
/// is the org's.
pub async fn admit(
    db: &mut PgConnection,
    act: &Act,
    new: &NewMember<'_>,
) -> Result<UserId, CommandError> {
    let user = members::ensure_user(db, new.email, new.name).await?;
    if new.platform_admin {
        members::set_platform_admin(db, user, true).await?;
    }
    scope::enter_org(db, act.org).await?;
    add_member(db, act, user, new.role, new.name, new.email).await?;
    if new.platform_admin {
        let entry = Entry::of("user.platform_admin", "user", user.uuid())
            .after(json!({"is_platform_admin": true}));
        journal::write(db, act, entry).await?;
    }
    Ok(user)
}

/// Says when a lead is given to whose turn it is: when it is `scored`, or at `status:` and a status; never if `on` is empty.
/// Asked as the org.
pub async fn assign_by_itself(
    db: &mut PgConnection,
    act: &Act,
    on: &[String],
) -> Result<(), CommandError> {
    let before = pools::auto_on(db, act.org).await?;
    pools::set_auto_on(db, act.org, on).await?;
    let entry = Entry::of("pool.change", "org", act.org.uuid())
        .changed(json!({"auto_on": before}), json!({"auto_on": on}));
    journal::write(db, act, entry).await?;
    Ok(())
}

/// Takes a person into the org, or gives one who is in another role. Who works on leads takes turns in the default pool.
pub async fn add_member(
    db: &mut PgConnection,
    act: &Act,
    user: UserId,
    role: Role,
    name: &str,
    email: &str,
) -> Result<(), CommandError> {
    let before = members::find(db, act.org, user).await?;
    members::upsert(db, act.org, user, role, name, email).await?;
    if role == Role::Member {
        pools::join_default(db, act.org, user).await?;
    }
    let entry = Entry::of("member.add", "membership", user.uuid()).changed(
        json!({"role": before.map(|m| m.role)}),
        json!({"role": role}),
    );
    journal::write(db, act, entry).await?;
    Ok(())
}

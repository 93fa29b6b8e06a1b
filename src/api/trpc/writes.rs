//! Procedures that write: create and update leads.

use serde_json::{Map, Value, json};

use super::reads::{fields, id};
use crate::api::caller::Caller;
use crate::api::view::{LeadView, camel_case};
use crate::app::App;
use crate::commands::input::{self, Unknown};
use crate::commands::{Refused, leads};
use crate::web::problem::FieldError;

/// What a person who types a lead in must say.
const NEEDED: [&str; 3] = ["first_name", "last_name", "email"];

/// `crm.leads.create`: a person types a lead in.
pub(super) async fn create(
    app: &App,
    caller: &Caller,
    input: Option<&Value>,
) -> Result<Value, Refused> {
    caller.may_write()?;
    let fields = fields(input)?;
    need(&fields)?;
    let input = input::lead(&fields, Unknown::Ignored)?;
    let mut tx = caller.begin(app).await?;
    let lead = leads::create(&mut tx, &caller.act(app), &input).await?;
    tx.commit().await?;
    app.wake.notify();
    Ok(camel_case(json!(LeadView::from(lead))))
}

/// `crm.leads.update`: what is named is changed.
pub(super) async fn update(
    app: &App,
    caller: &Caller,
    input: Option<&Value>,
) -> Result<Value, Refused> {
    caller.may_write()?;
    let mut fields = fields(input)?;
    let lead = id(&fields)?;
    fields.remove("id");
    let input = input::lead(&fields, Unknown::Ignored)?;
    let mut tx = caller.begin(app).await?;
    let lead = leads::change(&mut tx, &caller.act(app), lead, &input).await?;
    tx.commit().await?;
    app.wake.notify();
    app.bells.lead_changed(caller.org, lead.id).await;
    Ok(camel_case(json!(LeadView::from(lead))))
}

fn need(fields: &Map<String, Value>) -> Result<(), Refused> {
    let given = |name: &str| {
        fields
            .get(name)
            .and_then(Value::as_str)
            .is_some_and(|text| !text.trim().is_empty())
    };
    let missing = NEEDED
        .iter()
        .filter(|name| !given(name))
        .map(|name| FieldError {
            field: (*name).to_owned(),
            code: "required".into(),
            message: "Required".into(),
        });
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Refused::Invalid(missing))
    }
}

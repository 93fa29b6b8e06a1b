//! Procedures that read: leads, the pipeline's figures, notifications.

use domain::store::{bell, lead_pages, pipeline_summary};
use serde_json::{Map, Value, json};

use crate::api::caller::Caller;
use crate::api::notifications::person;
use crate::api::view::{LeadView, NotificationView, camel_case, snake_case};
use crate::app::App;
use crate::commands::Refused;
use crate::commands::query::{LeadQuery, Parameters};
use crate::web::cursor::{Page, one_more};

/// Most leads that are counted; further is not worth the wait.
const COUNTED: i64 = 10_000;

/// `crm.leads.list`: leads, newest first, by page number or by cursor.
pub async fn leads(app: &App, caller: &Caller, input: Option<&Value>) -> Result<Value, Refused> {
    caller.may_read()?;
    let query = LeadQuery::of(Parameters::of(&fields(input)?), caller.user())?;
    let mut tx = caller.begin(app).await?;
    let total = lead_pages::count(&mut tx, caller.org, &query.filter, COUNTED).await?;
    let leads = lead_pages::list(&mut tx, caller.org, &query.filter, one_more(query.limit)).await?;
    let page = Page::of(leads, query.limit, |lead| (lead.created_at, lead.id)).map(LeadView::from);
    Ok(camel_case(json!({
        "items": page.items,
        "next": page.next,
        "page": query.page,
        "limit": query.limit,
        "total": total,
    })))
}

/// `crm.leads.get`: one lead by its id.
pub async fn lead(app: &App, caller: &Caller, input: Option<&Value>) -> Result<Value, Refused> {
    caller.may_read()?;
    let id = id(&fields(input)?)?;
    let mut tx = caller.begin(app).await?;
    let lead = lead_pages::find(&mut tx, caller.org, id).await?;
    let view = LeadView::from(lead.ok_or(Refused::NotFound("lead"))?);
    Ok(camel_case(json!(view)))
}

/// `crm.leads.pipelineSummary`: the org's pipeline in a few figures.
pub async fn summary(app: &App, caller: &Caller) -> Result<Value, Refused> {
    caller.may_read()?;
    let mut tx = caller.begin(app).await?;
    let totals = pipeline_summary::totals(&mut tx, caller.org).await?;
    let stages = pipeline_summary::by_stage(&mut tx, caller.org).await?;
    let stage = |stage: pipeline_summary::StageTotals| {
        json!({
            "stageId": stage.stage_id,
            "stageName": stage.stage_name,
            "count": stage.count,
            "value": stage.value,
        })
    };
    Ok(json!({
        "total": totals.total,
        "active": totals.active,
        "won": totals.won,
        "lost": totals.lost,
        "totalPipelineValue": totals.total_pipeline_value,
        "weightedPipelineValue": totals.weighted_pipeline_value,
        "conversionRate": totals.conversion_rate,
        "avgScore": totals.avg_score,
        "byStage": stages.into_iter().map(stage).collect::<Vec<_>>(),
    }))
}

/// `crm.notifications.list`: what the person behind the call is told.
pub async fn notifications(
    app: &App,
    caller: &Caller,
    input: Option<&Value>,
) -> Result<Value, Refused> {
    caller.may_read()?;
    let user = person(caller)?;
    let mut given = Parameters::of(&fields(input)?);
    let (unread, after, limit) = (given.flag("unread"), given.moment(), given.limit());
    given.finish()?;
    let mut tx = caller.begin(app).await?;
    let news = bell::list(&mut tx, caller.org, user, unread, after, one_more(limit)).await?;
    let page = Page::of(news, limit, |news| (news.created_at, news.id));
    Ok(camel_case(json!(page.map(NotificationView::from))))
}

/// `crm.notifications.markRead`: the person has read one.
pub async fn mark_read(
    app: &App,
    caller: &Caller,
    input: Option<&Value>,
) -> Result<Value, Refused> {
    caller.may_read()?;
    let user = person(caller)?;
    let id = id(&fields(input)?)?;
    let mut tx = caller.begin(app).await?;
    let news = bell::mark_read(&mut tx, caller.org, user, id, app.clock.now()).await?;
    let news = news.ok_or(Refused::NotFound("notification"))?;
    tx.commit().await?;
    app.bells.news(caller.org, user).await;
    Ok(camel_case(json!(NotificationView::from(news))))
}

/// The fields of an input in the names of REST; no input is an empty one.
pub(super) fn fields(input: Option<&Value>) -> Result<Map<String, Value>, Refused> {
    match input.cloned().map(snake_case) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(fields)) => Ok(fields),
        Some(_) => Err(Refused::field("", "invalid_type", "Must be an object")),
    }
}

/// The id that an input names.
pub(super) fn id<T: std::str::FromStr>(fields: &Map<String, Value>) -> Result<T, Refused> {
    let text = fields.get("id").and_then(Value::as_str);
    let text = text.ok_or_else(|| Refused::field("id", "required", "Required"))?;
    text.parse()
        .map_err(|_| Refused::field("id", "invalid_id", "Must be an id"))
}

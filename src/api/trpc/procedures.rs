//! Every procedure by its name.

use serde_json::Value;

use super::{reads, refused, writes};
use crate::api::caller::Caller;
use crate::app::App;
use crate::commands::Refused;
use crate::intake;
use crate::web::trpc::Context;
use crate::web::trpc::error::Failed;

/// Whether a procedure reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Fetched with GET.
    Query,
    /// Posted.
    Mutation,
}

/// A procedure that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Procedure {
    /// Take a lead from a website; needs nobody to be signed in.
    Capture,
    /// Leads, page by page.
    ListLeads,
    /// One lead.
    GetLead,
    /// A person types a lead in.
    CreateLead,
    /// A lead is changed.
    UpdateLead,
    /// The pipeline in a few figures.
    PipelineSummary,
    /// What a person is told.
    ListNotifications,
    /// A person has read something.
    MarkNotificationRead,
}

impl Procedure {
    /// The procedure of that name.
    pub fn find(path: &str) -> Option<Self> {
        match path {
            "crm.leads.capture" => Some(Self::Capture),
            "crm.leads.list" => Some(Self::ListLeads),
            "crm.leads.get" => Some(Self::GetLead),
            "crm.leads.create" => Some(Self::CreateLead),
            "crm.leads.update" => Some(Self::UpdateLead),
            "crm.leads.pipelineSummary" => Some(Self::PipelineSummary),
            "crm.notifications.list" => Some(Self::ListNotifications),
            "crm.notifications.markRead" => Some(Self::MarkNotificationRead),
            _ => None,
        }
    }

    /// Whether it reads or writes.
    pub fn kind(self) -> Kind {
        match self {
            Self::ListLeads | Self::GetLead | Self::PipelineSummary | Self::ListNotifications => {
                Kind::Query
            }
            Self::Capture | Self::CreateLead | Self::UpdateLead | Self::MarkNotificationRead => {
                Kind::Mutation
            }
        }
    }

    /// Calls it.
    pub async fn run(
        self,
        app: &App,
        context: &Context,
        input: Option<&Value>,
    ) -> Result<Value, Failed> {
        let caller = async || Caller::identify(app, &context.client).await;
        let called = async {
            match self {
                Self::Capture => return Ok(intake::trpc_capture::accept(app, context, input).await),
                Self::ListLeads => reads::leads(app, &caller().await?, input).await,
                Self::GetLead => reads::lead(app, &caller().await?, input).await,
                Self::CreateLead => writes::create(app, &caller().await?, input).await,
                Self::UpdateLead => writes::update(app, &caller().await?, input).await,
                Self::PipelineSummary => reads::summary(app, &caller().await?).await,
                Self::ListNotifications => reads::notifications(app, &caller().await?, input).await,
                Self::MarkNotificationRead => reads::mark_read(app, &caller().await?, input).await,
            }
            .map(Ok)
        };
        let answered: Result<Result<Value, Failed>, Refused> = called.await;
        answered.unwrap_or_else(|why| Err(refused::failed(why, &context.client.request_id)))
    }
}

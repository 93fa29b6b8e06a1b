//! Why a command was not carried out, as tRPC clients read it.

use serde_json::json;

use crate::api::view::camel_name;
use crate::commands::Refused;
use crate::web::problem::FieldError;
use crate::web::trpc::error::{Code, Failed};
use crate::web::trpc::issue::Issue;

/// The same for a tRPC client.
pub(super) fn failed(refused: Refused, request_id: &str) -> Failed {
    refused.log();
    let sentence = refused.sentence();
    match refused {
        Refused::Unauthorized => Failed::new(Code::Unauthorized, sentence),
        Refused::Forbidden(_) => Failed::new(Code::Forbidden, sentence),
        Refused::NotFound(_) => Failed::new(Code::NotFound, sentence),
        Refused::Duplicate(lead) => {
            let mut failed = Failed::new(Code::Conflict, sentence);
            failed.data.insert("leadId".into(), json!(lead));
            failed
        }
        Refused::Illegal(_) | Refused::Status(_) | Refused::KeyReused => {
            Failed::new(Code::Conflict, sentence)
        }
        Refused::Stale(version) => {
            let mut failed = Failed::new(Code::PreconditionFailed, sentence);
            failed.data.insert("version".into(), version.into());
            failed
        }
        Refused::Invalid(errors) => errors.into_iter().map(issue).collect::<Vec<_>>().into(),
        Refused::TooBroad => Failed::new(Code::UnprocessableContent, sentence),
        Refused::Outage(_) | Refused::TooSlow(_) => Failed::unavailable(),
        Refused::Broken(_) => Failed::internal(request_id),
    }
}

fn issue(error: FieldError) -> Issue {
    let field = camel_name(&error.field);
    match &*error.code {
        "required" => Issue::wrong_type(&field, "string", None),
        "invalid_email" => Issue::invalid_string(&field, "email"),
        "invalid_id" => Issue::invalid_string(&field, "uuid"),
        _ => Issue::custom(&field, error.message),
    }
}

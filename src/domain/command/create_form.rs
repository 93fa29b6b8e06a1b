//! Put a form up for visitors.

use serde_json::json;
use sqlx::PgConnection;

use super::CommandError;
use crate::{
    actor::Act,
    id::FormId,
    store::{
        forms::{self, NewForm},
        journal::{self, Entry},
    },
};

/// Makes a published form, found under its token at once; asked as its org.
pub async fn create_form(
    db: &mut PgConnection,
    act: &Act,
    new: &NewForm<'_>,
) -> Result<FormId, CommandError> {
    let form = forms::insert(db, act.org, new).await?;
    let questions: Vec<_> = new.questions.iter().map(|question| question.0).collect();
    let after = json!({"name": new.name, "title": new.title, "questions": questions});
    let entry = Entry::of("form.create", "form", form.uuid()).after(after);
    journal::write(db, act, entry).await?;
    Ok(form)
}

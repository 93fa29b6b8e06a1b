//! What stands around every page: who is signed in, where they are, what was just done.

use domain::id::LeadId;
use domain::status::Status;
use domain::store::bell;
use serde::Serialize;
use sqlx::PgConnection;

use super::words;
use crate::commands::Refused;
use crate::web::session::Session;

/// Most unread news that the bell counts.
pub(super) const COUNTED_TO: i64 = 100;

/// The frame of a page.
#[derive(Debug, Serialize)]
pub(super) struct Frame {
    title: String,
    /// Which entry of the menu is this page.
    place: &'static str,
    person: String,
    initials: String,
    org: String,
    csrf: String,
    unread: i64,
    may_edit: bool,
    may_operate: bool,
    /// What was just done.
    said: Option<String>,
    /// How it is undone, if one click can.
    undo: Option<Undo>,
}

/// A status as it was before.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Undo {
    lead: LeadId,
    status: Status,
    text: &'static str,
}

impl Frame {
    /// The frame of the page `title`; `query` may carry word of what was just done.
    pub(super) async fn new(
        db: &mut PgConnection,
        session: &Session,
        title: impl Into<String>,
        place: &'static str,
        query: &str,
    ) -> Result<Self, Refused> {
        let member = &session.member;
        let unread = bell::unread(db, member.org, member.user, COUNTED_TO).await?;
        let said = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "said")
            .map_or_else(String::new, |(_, said)| said.into_owned());
        let undo = undo(&said);
        let said = match &undo {
            Some(_) => words::said("status"),
            None => words::said(&said),
        };
        Ok(Self {
            title: title.into(),
            place,
            person: session.name.clone(),
            initials: initials(&session.name),
            org: session.org_name.clone(),
            csrf: session.csrf(),
            unread,
            may_edit: session.may_edit(),
            may_operate: session.may_operate(),
            said,
            undo,
        })
    }
}

/// Word that a lead's status was changed, and what it was.
pub(super) fn status_said(lead: LeadId, was: Status) -> String {
    format!("status.{lead}.{was}")
}

fn undo(said: &str) -> Option<Undo> {
    let (lead, status) = said.strip_prefix("status.")?.split_once('.')?;
    let status: Status = status.parse().ok()?;
    Some(Undo {
        lead: lead.parse().ok()?,
        status,
        text: words::status(status),
    })
}

/// At most two letters that stand for a name.
pub(super) fn initials(name: &str) -> String {
    let mut words = name.split_whitespace();
    let first = words.next().and_then(|word| word.chars().next());
    let last = words.next_back().and_then(|word| word.chars().next());
    first
        .into_iter()
        .chain(last)
        .flat_map(char::to_uppercase)
        .collect()
}

/// `query` without the parameters of these names: what was just said, where the next page began.
pub(super) fn without(query: &str, names: &[&str]) -> String {
    let kept = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, value)| !names.contains(&&**name) && !value.is_empty());
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .finish()
}

/// A path with a query, if there is one.
pub(super) fn address(path: &str, query: &str) -> String {
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// Whether `sent` is the address of a page of the console: nobody is sent anywhere else.
pub(super) fn is_ours(sent: &str) -> bool {
    let fits = ["/dashboard/crm", "/ops"].iter().any(|start| {
        sent.strip_prefix(start)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    });
    fits && sent
        .chars()
        .all(|c| c.is_ascii_graphic() && !"\\\"#".contains(c))
}

/// The page of ours that a form names to go back to, with word of what was done; `usual` if it names none of ours.
pub(super) fn back(sent: &str, usual: &str, said: &str) -> String {
    let to = if is_ours(sent) { sent } else { usual };
    let (path, query) = to.split_once('?').unwrap_or((to, ""));
    let query = without(query, &["said"]);
    let said = format!("said={said}");
    let query = if query.is_empty() {
        said
    } else {
        format!("{query}&{said}")
    };
    address(path, &query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_pages_are_told_from_what_looks_like_them() {
        for ours in [
            "/ops",
            "/ops/jobs/7",
            "/ops?said=x",
            "/dashboard/crm",
            "/dashboard/crm/leads?q=a%20b",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for foreign in [
            "",
            "/",
            "ops",
            "/opsx",
            "/ops.evil.example",
            "/dashboard/crmX",
            "/dashboard/crm@evil.example",
            "/ops\\evil",
            "/ops#x",
            "/ops x",
            "/ops/\r\nSet-Cookie: a",
            "/ops/ä",
        ] {
            assert!(!is_ours(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_form_leads_back_to_our_pages_only() {
        let to = |sent| back(sent, "/ops", "done");
        assert_eq!(
            to("/dashboard/crm/leads?status=new&said=old"),
            "/dashboard/crm/leads?status=new&said=done"
        );
        for foreign in [
            "",
            "//evil.example",
            "https://evil.example",
            "/opsx",
            "/ops\\evil",
            "/ops\r\nx",
        ] {
            assert_eq!(to(foreign), "/ops?said=done", "{foreign}");
        }
    }

    #[test]
    fn a_status_is_undone_by_the_word_that_says_it() {
        let lead = LeadId::new();
        let found = undo(&status_said(lead, Status::Contacted)).unwrap();
        assert_eq!((found.lead, found.status), (lead, Status::Contacted));
        assert_eq!(undo("status"), None);
        assert_eq!(undo(&format!("status.{lead}.best")), None);
        assert_eq!(undo("status.x.new"), None);
    }

    #[test]
    fn a_name_has_two_letters_at_most() {
        assert_eq!(
            ["Ada", "ada king lovelace", "", "李 雷"].map(initials),
            ["A", "AL", "", "李雷"]
        );
    }
}

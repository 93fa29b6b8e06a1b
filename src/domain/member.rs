//! People of an org and what they may do.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{OrgId, SpaceId, UserId},
    org::Visibility,
    text::text_enum,
};

text_enum! {
    /// What a person may do in an org; each includes those before it.
    Role {
        /// Looks.
        Viewer = "viewer",
        /// Works on leads.
        Member = "member",
        /// Sets the org up and deletes.
        Admin = "admin",
        /// Decides about people and the org itself.
        Owner = "owner",
    }
}

impl Role {
    /// May see leads, timelines and figures.
    pub fn may_view(self) -> bool {
        self >= Self::Viewer
    }

    /// May create and change leads.
    pub fn may_edit(self) -> bool {
        self >= Self::Member
    }

    /// May delete leads and set up stages, scoring, forms and keys.
    pub fn may_administer(self) -> bool {
        self >= Self::Admin
    }

    /// May decide about members and the org itself.
    pub fn may_own(self) -> bool {
        self >= Self::Owner
    }
}

/// A signed-in person at work in one org: what a transaction is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The org.
    pub org: OrgId,
    /// The person.
    pub user: UserId,
    /// What they may do here.
    pub role: Role,
    /// What plain members of this org see.
    pub visibility: Visibility,
    /// The spaces the person belongs to.
    pub spaces: Vec<SpaceId>,
}

impl Member {
    /// What this person sees: admins and owners see the whole org, whatever plain members see.
    pub fn effective_visibility(&self) -> Visibility {
        if self.role.may_administer() {
            Visibility::Org
        } else {
            self.visibility
        }
    }
}

/// How a member wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notify {
    /// By mail.
    pub email: bool,
    /// By the bell.
    pub in_app: bool,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            email: true,
            in_app: true,
        }
    }
}

/// A person of an org as the org knows them.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Membership {
    /// The org.
    pub org_id: OrgId,
    /// The person.
    pub user_id: UserId,
    /// What they may do.
    pub role: Role,
    /// Their name.
    pub name: String,
    /// Where to write to them.
    pub email: String,
    /// How they want to be told.
    #[sqlx(json)]
    pub notify: Notify,
    /// Away until then.
    pub ooo_until: Option<Timestamp>,
    /// When they joined.
    pub created_at: Timestamp,
}

/// An account: what sign-in needs.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The address as typed.
    pub email: String,
    /// The person's name.
    pub name: String,
    /// Argon2 hash; none: sign-in by link only.
    pub password_hash: Option<String>,
    /// Staff of the platform's operator.
    pub is_platform_admin: bool,
    /// Set: no sign-in.
    pub disabled_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_one_before_it_may() {
        let table = Role::ALL
            .iter()
            .map(|r| (r.may_view(), r.may_edit(), r.may_administer(), r.may_own()));
        assert_eq!(
            table.collect::<Vec<_>>(),
            [
                (true, false, false, false),
                (true, true, false, false),
                (true, true, true, false),
                (true, true, true, true),
            ]
        );
    }

    #[test]
    fn an_admin_sees_the_whole_org_whatever_members_see() {
        let mut who = Member {
            org: OrgId::new(),
            user: UserId::new(),
            role: Role::Member,
            visibility: Visibility::Own,
            spaces: Vec::new(),
        };
        assert_eq!(who.effective_visibility(), Visibility::Own);
        who.role = Role::Admin;
        assert_eq!(who.effective_visibility(), Visibility::Org);
    }
}

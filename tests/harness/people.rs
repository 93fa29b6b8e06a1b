//! Orgs and the people in them, made as they are made for customers.

use domain::actor::{Act, Actor};
use domain::command;
use domain::id::{OrgId, UserId};
use domain::member::{Member, Role};
use domain::org::Visibility;
use domain::store::members;
use domain::store::orgs::NewOrg;
use domain::store::scope::enter_org;

use super::World;

impl World {
    /// This world's org: active, with everything a new org has. Made when it is first asked for.
    pub(crate) async fn org(&self) -> OrgId {
        *self
            .org
            .get_or_init(async || self.another_org().await)
            .await
    }

    /// One more org like that.
    pub(crate) async fn another_org(&self) -> OrgId {
        self.org_with(|_| {}).await
    }

    /// An org that differs from the usual in what `change` changes.
    pub(crate) async fn org_with(&self, change: impl FnOnce(&mut NewOrg)) -> OrgId {
        let mut new = NewOrg::named("", "Analytical Engines");
        new.slug = format!("org-{}", new.id.uuid().simple());
        change(&mut new);
        let act = self.act(new.id);
        let mut tx = self.db.platform().await.unwrap();
        command::create_org(&mut tx, &act, &new).await.unwrap();
        tx.commit().await.unwrap();
        new.id
    }

    /// A member of this world's org by the name of `name`, who is written to at `name@example.test`.
    pub(crate) async fn rep(&self, name: &str) -> Member {
        let org = self.org().await;
        self.member(org, name, Role::Member).await
    }

    /// A person of `org`; someone may work for two orgs of this world.
    pub(crate) async fn member(&self, org: OrgId, name: &str, role: Role) -> Member {
        let email = format!("{}@example.test", name.to_lowercase());
        let mut tx = self.db.platform().await.unwrap();
        let user = members::ensure_user(&mut tx, &email, name).await.unwrap();
        enter_org(&mut tx, org).await.unwrap();
        command::add_member(&mut tx, &self.act(org), user, role, name, &email)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        Member {
            org,
            user,
            role,
            visibility: Visibility::Org,
            spaces: Vec::new(),
        }
    }

    /// The platform acts in `org`, now.
    pub(crate) fn act(&self, org: OrgId) -> Act {
        Act::new(org, Actor::Platform, self.clock.now())
    }

    /// Closes the account of `user`.
    pub(crate) async fn shut_out(&self, user: UserId) {
        let mut tx = self.db.platform().await.unwrap();
        sqlx::query("UPDATE users SET disabled_at = now() WHERE id = $1")
            .bind(user)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

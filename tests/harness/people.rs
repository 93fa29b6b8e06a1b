//! Orgs and the people in them.

use domain::id::{OrgId, PipelineId, StageId, UserId};
use domain::member::{Member, Role};
use domain::org::Visibility;

use super::World;

/// The stages that a new org starts with: name, chance to win, colour, status that entering it gives.
const STAGES: [(&str, i32, &str, Option<&str>); 7] = [
    ("New", 10, "#64748b", None),
    ("Contacted", 20, "#0ea5e9", None),
    ("Qualified", 40, "#6366f1", None),
    ("Proposal", 60, "#f59e0b", None),
    ("Negotiating", 80, "#f97316", None),
    ("Won", 100, "#22c55e", Some("won")),
    ("Lost", 0, "#ef4444", Some("lost")),
];

impl World {
    /// This world's org: active, with a default pipeline. Made when it is first asked for.
    pub async fn org(&self) -> OrgId {
        *self
            .org
            .get_or_init(async || self.another_org().await)
            .await
    }

    /// One more org like that.
    pub async fn another_org(&self) -> OrgId {
        let org = OrgId::new();
        let mut tx = self.db.platform().await.unwrap();
        sqlx::query("INSERT INTO orgs (id, slug, name) VALUES ($1, $2, 'Analytical Engines')")
            .bind(org)
            .bind(format!("org-{}", org.uuid().simple()))
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        self.make_pipeline(org).await;
        org
    }

    /// A member of this world's org by the name of `name`, who is written to at `name@example.test`.
    pub async fn rep(&self, name: &str) -> Member {
        let org = self.org().await;
        self.member(org, name, Role::Member).await
    }

    /// A person of `org`.
    pub async fn member(&self, org: OrgId, name: &str, role: Role) -> Member {
        let user = UserId::new();
        let email = format!("{}@example.test", name.to_lowercase());
        let mut tx = self.db.platform().await.unwrap();
        // Someone may work for two orgs of this world.
        let user: UserId = sqlx::query_scalar(
            "INSERT INTO users (id, email, name) VALUES ($1, $2, $3)
             ON CONFLICT (email_norm) DO UPDATE SET name = excluded.name RETURNING id",
        )
        .bind(user)
        .bind(&email)
        .bind(name)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();

        let mut tx = self.db.org(org).await.unwrap();
        sqlx::query("INSERT INTO memberships (org_id, user_id, role, name, email) VALUES ($1, $2, $3, $4, $5)")
            .bind(org)
            .bind(user)
            .bind(role)
            .bind(name)
            .bind(&email)
            .execute(&mut *tx)
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

    async fn make_pipeline(&self, org: OrgId) {
        let pipeline = PipelineId::new();
        let mut tx = self.db.org(org).await.unwrap();
        sqlx::query(
            "INSERT INTO pipelines (id, org_id, name, is_default) VALUES ($1, $2, 'Sales', true)",
        )
        .bind(pipeline)
        .bind(org)
        .execute(&mut *tx)
        .await
        .unwrap();
        for (position, (name, probability, colour, status)) in (1..).zip(STAGES) {
            sqlx::query(
                "INSERT INTO pipeline_stages
                    (id, org_id, pipeline_id, name, stage_order, probability, colour, status_on_enter, is_default)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $5 = 1)",
            )
            .bind(StageId::new())
            .bind(org)
            .bind(pipeline)
            .bind(name)
            .bind(position)
            .bind(probability)
            .bind(colour)
            .bind(status)
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
    }
}

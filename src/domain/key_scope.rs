//! What a program with a key may do.

use crate::text::text_enum;

text_enum! {
    /// One thing that a key opens.
    Scope {
        /// Look at leads.
        LeadsRead = "leads:read",
        /// Create and change leads.
        LeadsWrite = "leads:write",
        /// Put leads out of sight.
        LeadsDelete = "leads:delete",
        /// Look at jobs, queues and schedules.
        OpsRead = "ops:read",
        /// Act on them.
        OpsWrite = "ops:write",
        /// All of these.
        Admin = "admin",
    }
}

impl Scope {
    /// Whether a key with `scopes` opens this.
    pub fn is_among(self, scopes: &[String]) -> bool {
        let opens = |scope: &String| scope == self.as_str() || scope == Self::Admin.as_str();
        scopes.iter().any(opens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_opens_itself_and_admin_opens_all() {
        let only = [Scope::OpsRead.to_string()];
        let opened: Vec<_> = Scope::ALL.iter().filter(|s| s.is_among(&only)).collect();
        assert_eq!(opened, [&Scope::OpsRead]);
        let all = [Scope::Admin.to_string()];
        assert!(Scope::ALL.iter().all(|scope| scope.is_among(&all)));
        assert!(!Scope::LeadsRead.is_among(&[]));
    }
}

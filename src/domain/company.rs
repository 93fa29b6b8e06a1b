//! Employers of leads.

use serde::{Deserialize, Serialize};

use crate::{id::CompanyId, lead::Details, normalise};

/// What is told about an employer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompanyFacts {
    /// Its name.
    pub name: Option<String>,
    /// Its domain, or a web address that has it.
    pub domain: Option<String>,
    /// Its web address.
    pub website: Option<String>,
    /// What it does.
    pub industry: Option<String>,
    /// Its size as given, e.g. `51-200`.
    pub company_size: Option<String>,
    /// Its size as a number.
    pub employees: Option<i32>,
}

/// An employer as stored.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Company {
    /// Its id.
    pub id: CompanyId,
    /// Its name as first seen.
    pub name: String,
    /// Its domain.
    pub domain: Option<String>,
    /// Its web address.
    pub website: Option<String>,
    /// What it does.
    pub industry: Option<String>,
    /// Its size as given.
    pub company_size: Option<String>,
    /// Its size as a number.
    pub employees: Option<i32>,
}

/// How an employer is recognised: by its domain, else by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Never one of a free mail provider.
    pub domain: Option<String>,
    /// As captured; of a lead that names none, the domain.
    pub name: String,
}

/// The employer of a lead, if anything tells: its web site, its mail address, its name.
pub fn identify(lead: &Details, facts: &CompanyFacts) -> Option<Identity> {
    let told = facts
        .domain
        .as_deref()
        .or(facts.website.as_deref())
        .and_then(normalise::host);
    let by_mail = || lead.email.as_deref().and_then(normalise::email_domain);
    let domain = told
        .or_else(by_mail)
        .filter(|domain| !normalise::is_free_mail(domain) && domain.contains('.'));
    let name = facts
        .name
        .as_deref()
        .or(lead.company_name.as_deref())
        .and_then(|name| normalise::text(name, 300));
    let name = name.or_else(|| domain.clone())?;
    Some(Identity { domain, name })
}

/// The number in a size such as `51-200`, `1,000+` or `about 40`: the middle of a range.
pub fn employees(size: &str) -> Option<i32> {
    let mut numbers = size
        .replace([',', '\''], "")
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse::<i32>().unwrap_or(i32::MAX))
        .collect::<Vec<_>>()
        .into_iter();
    match (numbers.next(), numbers.next()) {
        (Some(low), Some(high)) if high >= low => Some(low + (high - low) / 2),
        (first, _) => first,
    }
}

/// The size class of a lead: by pupils, else by employees, else unknown.
pub fn segment(enrollment: Option<i32>, employees: Option<i32>) -> Option<&'static str> {
    let class = |n: i32, large: i32, middle: i32| {
        if n >= large {
            "Enterprise"
        } else if n >= middle {
            "Mid-Market"
        } else {
            "SMB"
        }
    };
    enrollment
        .map(|n| class(n, 10_000, 2_500))
        .or_else(|| employees.map(|n| class(n, 1_000, 100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(email: &str, company: Option<&str>) -> Details {
        Details {
            email: Some(email.into()),
            company_name: company.map(Into::into),
            ..Details::default()
        }
    }

    #[test]
    fn an_employer_is_told_by_site_then_mail_then_name() {
        let site = CompanyFacts {
            website: Some("https://www.acme.example/team".into()),
            ..CompanyFacts::default()
        };
        let none = CompanyFacts::default();
        let of = |lead: &Details, facts: &CompanyFacts| {
            identify(lead, facts).map(|i| (i.domain, i.name))
        };

        assert_eq!(
            of(&lead("a@mail.acme.test", None), &site),
            Some((Some("acme.example".into()), "acme.example".into()))
        );
        assert_eq!(
            of(&lead("a@acme.test", Some("Acme")), &none),
            Some((Some("acme.test".into()), "Acme".into()))
        );
        assert_eq!(
            of(&lead("a@gmail.com", Some("Acme")), &none),
            Some((None, "Acme".into()))
        );
        assert_eq!(of(&lead("a@gmail.com", None), &none), None);
    }

    #[test]
    fn a_size_is_the_middle_of_its_range() {
        let cases = [
            ("51-200", Some(125)),
            ("1,000+", Some(1000)),
            ("about 40", Some(40)),
            ("unknown", None),
            ("10001", Some(10001)),
        ];
        for (text, expected) in cases {
            assert_eq!(employees(text), expected, "{text}");
        }
        assert_eq!(employees("99999999999"), Some(i32::MAX));
    }

    #[test]
    fn pupils_count_before_employees() {
        assert_eq!(segment(Some(10_000), None), Some("Enterprise"));
        assert_eq!(segment(Some(9_999), Some(5_000)), Some("Mid-Market"));
        assert_eq!(segment(Some(2_499), None), Some("SMB"));
        assert_eq!(segment(None, Some(1_000)), Some("Enterprise"));
        assert_eq!(segment(None, Some(100)), Some("Mid-Market"));
        assert_eq!(segment(None, Some(99)), Some("SMB"));
        assert_eq!(segment(None, None), None);
    }
}

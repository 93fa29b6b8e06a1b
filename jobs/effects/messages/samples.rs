//! The people that samples are about.

use super::{DueLead, FactorLine, Frame, LeadCard};

pub(super) fn frame() -> Frame {
    Frame {
        org_name: "Analytical Engines".into(),
        reader_name: "Ada".into(),
        news_url: "https://leadmill.example/dashboard/crm/notifications".into(),
    }
}

pub(super) fn lead() -> LeadCard {
    LeadCard {
        name: "Grace Hopper".into(),
        job_title: Some("Director of Engineering".into()),
        company: Some("Compiler Works".into()),
        email: Some("grace@compiler.example".into()),
        phone: Some("+1 202 555 0143".into()),
        source: "website".into(),
        message: Some(
            "We would like to see how your mill handles looms of ours.\nIs Thursday good?".into(),
        ),
        score: 56,
        band: "warm".into(),
        factors: factors(&[14, 12, 5, 14, 11]),
        url: "https://leadmill.example/dashboard/crm/leads/01930000-0000-7000-8000-000000000007"
            .into(),
    }
}

pub(super) fn hot_lead() -> LeadCard {
    LeadCard {
        name: "Katherine Johnson".into(),
        job_title: Some("Chief Mathematician".into()),
        company: Some("Orbital Mechanics".into()),
        email: Some("katherine@orbital.example".into()),
        phone: None,
        source: "referral".into(),
        message: None,
        score: 84,
        band: "hot".into(),
        factors: factors(&[20, 16, 15, 20, 13]),
        url: "https://leadmill.example/dashboard/crm/leads/01930000-0000-7000-8000-000000000008"
            .into(),
    }
}

fn factors(points: &[i32; 5]) -> Vec<FactorLine> {
    let most = [
        ("Source quality", 20),
        ("Company size", 20),
        ("Estimated deal value", 25),
        ("Decision-maker title", 20),
        ("Profile completeness", 15),
    ];
    let lines = most.iter().zip(points);
    lines
        .map(|((label, cap), points)| FactorLine {
            label: (*label).into(),
            points: *points,
            cap: Some(*cap),
        })
        .collect()
}

pub(super) fn due_leads() -> Vec<DueLead> {
    let url = |n: u8| {
        format!(
            "https://leadmill.example/dashboard/crm/leads/01930000-0000-7000-8000-00000000000{n}"
        )
    };
    vec![
        DueLead {
            name: "Annie Easley".into(),
            company: Some("Centaur Rockets".into()),
            due: "3 days ago".into(),
            overdue: true,
            last_contact: Some("call on 26 February".into()),
            score: Some(78),
            url: url(1),
        },
        DueLead {
            name: "Radia Perlman".into(),
            company: None,
            due: "since yesterday".into(),
            overdue: true,
            last_contact: None,
            score: Some(41),
            url: url(2),
        },
        DueLead {
            name: "Karen Spärck Jones".into(),
            company: Some("Inverse Documents".into()),
            due: "today".into(),
            overdue: false,
            last_contact: Some("email on 1 March".into()),
            score: None,
            url: url(3),
        },
    ]
}

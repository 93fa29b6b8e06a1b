mod properties;

use serde_json::json;

use super::{
    profile::{Config, Factors},
    rules::Condition,
    *,
};
use crate::{id::ScoringRuleId, lead::SourceCategory, mql};

fn profile(model: Model) -> ScoringProfile {
    ScoringProfile::first(model)
}

fn points(score: &Score, component: &str) -> i32 {
    let of = |factor: &&Factor| factor.key.starts_with(component);
    score
        .factors
        .iter()
        .filter(of)
        .map(|factor| factor.points)
        .sum()
}

/// Visits, downloads, clicks, opens, demo, pupils, title → behavioural, demographic, engagement, total, thresholds.
#[test]
fn the_composition_comes_out_as_worked_by_hand() {
    use crate::mql::Metric::*;
    type Row<'a> = (
        i32,
        i32,
        i32,
        i32,
        bool,
        Option<i32>,
        Option<&'a str>,
        (i32, i32, i32, i16),
        &'a [mql::Metric],
    );
    let table: [Row; 5] = [
        (0, 0, 0, 0, false, None, None, (0, 0, 0, 0), &[]),
        (
            10,
            0,
            0,
            0,
            false,
            None,
            None,
            (20, 0, 10, 30),
            &[WebsiteVisits],
        ),
        (
            9,
            2,
            2,
            4,
            false,
            Some(20_000),
            Some("Superintendent"),
            (34, 30, 17, 81),
            &[LeadScore],
        ),
        (
            50,
            9,
            9,
            50,
            true,
            Some(20_000),
            Some("Superintendent"),
            (50, 30, 20, 100),
            &[
                DemoRequested,
                ContentDownloads,
                WebsiteVisits,
                EmailClicks,
                EmailOpens,
                LeadScore,
            ],
        ),
        (
            0,
            0,
            0,
            0,
            true,
            None,
            None,
            (15, 0, 0, 15),
            &[DemoRequested],
        ),
    ];
    for (visits, downloads, clicks, opens, demo, enrollment, title, expected, thresholds) in table {
        let inputs = Inputs {
            website_visits: visits,
            content_downloads: downloads,
            email_clicks: clicks,
            email_opens: opens,
            demo_requested: demo,
            enrollment,
            job_title: title.map(Into::into),
            ..Inputs::unknown()
        };
        let score = profile(Model::Composition).score(&[], &inputs);
        let got = (
            points(&score, "behavioural"),
            points(&score, "demographic"),
            points(&score, "engagement"),
            score.total,
        );
        assert_eq!(got, expected, "{inputs:?}");
        assert_eq!(
            mql::reached(&mql::DEFAULTS, &inputs, score.total),
            thresholds
        );
    }
}

#[test]
fn a_hundred_visits_stop_at_their_caps() {
    let inputs = Inputs {
        website_visits: 100,
        ..Inputs::unknown()
    };
    let score = profile(Model::Composition).score(&[], &inputs);
    assert_eq!(
        (
            points(&score, "behavioural"),
            points(&score, "engagement"),
            score.total
        ),
        (20, 10, 30)
    );
}

#[test]
fn pupils_and_titles_give_by_tier() {
    let of = |enrollment, title: Option<&str>| {
        let inputs = Inputs {
            enrollment,
            job_title: title.map(Into::into),
            ..Inputs::unknown()
        };
        profile(Model::Composition).score(&[], &inputs).total
    };
    assert_eq!(
        [
            of(Some(999), None),
            of(Some(1_000), None),
            of(Some(5_000), None),
            of(Some(20_000), None)
        ],
        [5, 10, 15, 20]
    );
    assert_eq!(
        [
            of(None, Some("Teacher")),
            of(None, Some("Principal")),
            of(None, Some("Superintendent"))
        ],
        [5, 10, 15]
    );
    assert_eq!(of(None, None), 0);
}

#[test]
fn the_limit_of_a_component_is_shown_as_what_it_takes() {
    let inputs = Inputs {
        enrollment: Some(20_000),
        job_title: Some("President".into()),
        ..Inputs::unknown()
    };
    let score = profile(Model::Composition).score(&[], &inputs);
    let limit = score
        .factors
        .iter()
        .find(|factor| factor.key == "demographic.limit");
    assert_eq!(
        limit,
        Some(&Factor {
            key: "demographic.limit".into(),
            raw: json!(35),
            points: -5,
            cap: Some(30)
        })
    );
}

#[test]
fn the_five_factors_give_a_hundred_at_their_best() {
    let text = || Some("x".to_owned());
    let best = Inputs {
        source_category: SourceCategory::Referral,
        employees: Some(1_000),
        estimated_value_minor: Some(10_000_000),
        job_title: Some("CEO".into()),
        first_name: text(),
        last_name: text(),
        email: text(),
        phone: text(),
        company_name: text(),
        linkedin_url: text(),
        website: text(),
        source_url: text(),
        country: text(),
        ..Inputs::unknown()
    };
    let score = profile(Model::Factors).score(&[], &best);
    let given: Vec<_> = score
        .factors
        .iter()
        .map(|f| (f.key.as_str(), f.points, f.cap))
        .collect();
    assert_eq!(
        given,
        [
            ("source", 20, Some(20)),
            ("company_size", 20, Some(20)),
            ("deal_value", 25, Some(25)),
            ("title", 20, Some(20)),
            ("completeness", 15, Some(15)),
        ]
    );
    assert_eq!((score.total, score.band), (100, Band::Hot));
}

#[test]
fn sources_are_ranked_and_an_org_may_rank_its_own() {
    let of = |category, own| {
        let inputs = Inputs {
            source_category: category,
            source_points: own,
            ..Inputs::unknown()
        };
        points(&profile(Model::Factors).score(&[], &inputs), "source")
    };
    let ranked: Vec<_> = SourceCategory::ALL
        .iter()
        .map(|category| of(*category, None))
        .collect();
    assert_eq!(ranked, [14, 20, 10, 12, 8, 4, 15, 18, 2]);
    assert_eq!(of(SourceCategory::Other, Some(19)), 19);
}

#[test]
fn company_size_and_deal_value_go_by_steps() {
    let size = |employees| {
        points(
            &profile(Model::Factors).score(
                &[],
                &Inputs {
                    employees,
                    ..Inputs::unknown()
                },
            ),
            "company_size",
        )
    };
    let sizes = [
        None,
        Some(0),
        Some(1),
        Some(10),
        Some(50),
        Some(250),
        Some(1_000),
    ];
    assert_eq!(sizes.map(size), [0, 0, 4, 8, 12, 16, 20]);

    let value = |estimated_value_minor| {
        let inputs = Inputs {
            estimated_value_minor,
            ..Inputs::unknown()
        };
        points(&profile(Model::Factors).score(&[], &inputs), "deal_value")
    };
    let values = [
        None,
        Some(99_999),
        Some(100_000),
        Some(500_000),
        Some(2_000_000),
        Some(5_000_000),
        Some(10_000_000),
    ];
    assert_eq!(values.map(value), [0, 0, 5, 10, 15, 20, 25]);
}

#[test]
fn bands_change_at_forty_and_seventy() {
    let profile = profile(Model::Factors);
    assert_eq!([0, 39, 40, 69, 70, 100].map(|score| profile.band(score)), {
        use Band::*;
        [Cold, Cold, Warm, Warm, Hot, Hot]
    });
}

fn rule(field: &str, condition: Condition, value: Value, points: i32) -> Rule {
    Rule {
        id: ScoringRuleId::new(),
        name: None,
        criteria_type: field.into(),
        condition,
        value: Some(value),
        points,
    }
}

#[test]
fn every_condition_compares_as_its_name_says() {
    use Condition::*;
    let inputs = Inputs {
        email: Some("ada@Engines.example".into()),
        job_title: Some("Chief Engineer".into()),
        employees: Some(120),
        email_clicks: 3,
        tags: vec!["VIP".into(), "web".into()],
        custom_fields: json!({"plan": "gold", "seats": "40"})
            .as_object()
            .cloned()
            .unwrap(),
        ..Inputs::unknown()
    };
    let cases = [
        ("email_domain", Equals, json!("engines.EXAMPLE"), true),
        ("email_domain", NotEquals, json!("engines.example"), false),
        ("job_title", Contains, json!("engineer"), true),
        ("job_title", NotContains, json!("sales"), true),
        ("job_title", StartsWith, json!("chief"), true),
        ("job_title", EndsWith, json!("chief"), false),
        ("company_size", GreaterThan, json!(119), true),
        ("company_size", GreaterOrEqual, json!(120), true),
        ("company_size", LessThan, json!(120), false),
        ("company_size", LessOrEqual, json!("120"), true),
        ("behaviour.email_clicks", GreaterOrEqual, json!(3), true),
        ("custom_fields.plan", In, json!(["silver", "gold"]), true),
        ("custom_fields.plan", NotIn, json!(["silver"]), true),
        ("custom_fields.seats", GreaterThan, json!(39), true),
        ("tags", Contains, json!("vip"), true),
        ("tags", In, json!(["x", "web"]), true),
        ("country", Exists, Value::Null, false),
        ("country", NotExists, Value::Null, true),
        ("country", NotEquals, json!("US"), false),
        ("no.such.field", Equals, json!("x"), false),
        ("job_title", GreaterThan, json!(3), false),
    ];
    for (field, condition, value, expected) in cases {
        let rule = rule(field, condition, value, 1);
        assert_eq!(rule.holds(&inputs), expected, "{rule:?}");
    }
}

#[test]
fn a_composite_adds_rules_to_its_base_within_the_limits() {
    let inputs = Inputs {
        source_category: SourceCategory::Referral,
        ..Inputs::unknown()
    };
    let bonus = [rule("source", Condition::Equals, json!("referral"), 100)];
    let malus = [rule("source", Condition::Equals, json!("referral"), -100)];

    let base = profile(Model::Factors).score(&bonus, &inputs).total;
    assert_eq!(base, 20, "rules are no part of the factor model");
    let up = profile(Model::Composite).score(&bonus, &inputs);
    assert_eq!(
        (up.total, up.factors.last().map(|f| f.points)),
        (100, Some(-20))
    );
    let down = profile(Model::Composite).score(&malus, &inputs);
    assert_eq!(
        (down.total, down.factors.last().map(|f| f.points)),
        (0, Some(80))
    );
    assert_eq!(profile(Model::Rules).score(&[], &inputs).total, 0);
}

#[test]
fn two_orgs_may_score_the_same_lead_differently() {
    let mut config = Config::default();
    config.composition.visits = profile::PerUnit { points: 1, cap: 5 };
    let other = ScoringProfile {
        config,
        ..profile(Model::Composition)
    };
    let inputs = Inputs {
        website_visits: 10,
        ..Inputs::unknown()
    };
    assert_eq!(profile(Model::Composition).score(&[], &inputs).total, 30);
    assert_eq!(other.score(&[], &inputs).total, 15);
}

#[test]
fn a_config_that_says_little_has_defaults_for_the_rest() {
    let config: Config = serde_json::from_value(json!({"composition": {"demo": 10}})).unwrap();
    assert_eq!(
        (config.composition.demo, config.composition.behavioural_max),
        (10, 50)
    );
    assert_eq!(config.factors, Factors::default());
}

use proptest::prelude::*;
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

fn any_inputs() -> impl Strategy<Value = Inputs> {
    let behaviour = (0..200i32, 0..50i32, 0..50i32, 0..200i32, any::<bool>());
    let size = (
        proptest::option::of(0..100_000i32),
        proptest::option::of(0..5_000i32),
    );
    let money = proptest::option::of(0..20_000_000i64);
    let text = || proptest::option::of("[A-Za-z ]{0,12}");
    (behaviour, size, money, 0..9usize, text(), text(), text()).prop_map(
        |(
            (visits, downloads, clicks, opens, demo),
            (enrollment, employees),
            money,
            source,
            title,
            phone,
            country,
        )| Inputs {
            website_visits: visits,
            content_downloads: downloads,
            email_clicks: clicks,
            email_opens: opens,
            demo_requested: demo,
            enrollment,
            employees,
            estimated_value_minor: money,
            source_category: SourceCategory::ALL[source],
            job_title: title,
            phone,
            country,
            ..Inputs::unknown()
        },
    )
}

fn any_profile() -> impl Strategy<Value = ScoringProfile> {
    (0..4usize).prop_map(|model| profile(Model::ALL[model]))
}

proptest! {
    #[test]
    fn a_score_is_within_bounds_and_its_factors_add_up(profile in any_profile(), inputs in any_inputs(), points in -100..=100i32) {
        let rules = [rule("source", Condition::Exists, Value::Null, points)];
        let score = profile.score(&rules, &inputs);
        prop_assert!((0..=100).contains(&score.total));
        prop_assert_eq!(i32::from(score.total), sum(&score.factors));
        prop_assert_eq!(profile.score(&rules, &inputs), score);
    }

    #[test]
    fn no_component_exceeds_its_limit(inputs in any_inputs()) {
        let score = profile(Model::Composition).score(&[], &inputs);
        prop_assert!(points(&score, "behavioural") <= 50);
        prop_assert!(points(&score, "demographic") <= 30);
        prop_assert!(points(&score, "engagement") <= 20);
    }

    #[test]
    fn more_of_anything_never_scores_less(profile in any_profile(), inputs in any_inputs(), more in 1..5_000i32) {
        let before = profile.score(&[], &inputs).total;
        let changes: [fn(&mut Inputs, i32); 8] = [
            |i, more| i.website_visits += more,
            |i, more| i.content_downloads += more,
            |i, more| i.email_clicks += more,
            |i, more| i.email_opens += more,
            |i, _| i.demo_requested = true,
            |i, more| i.enrollment = Some(i.enrollment.unwrap_or(0) + more),
            |i, more| i.employees = Some(i.employees.unwrap_or(0) + more),
            |i, more| i.estimated_value_minor = Some(i.estimated_value_minor.unwrap_or(0) + i64::from(more)),
        ];
        for change in changes {
            let mut richer = inputs.clone();
            change(&mut richer, more);
            prop_assert!(profile.score(&[], &richer).total >= before);
        }
        let mut complete = inputs;
        complete.linkedin_url = Some("https://linkedin.example/in/x".into());
        prop_assert!(profile.score(&[], &complete).total >= before);
    }

    #[test]
    fn the_fingerprint_follows_every_input(inputs in any_inputs()) {
        let profile = profile(Model::Factors);
        let of = inputs::Fingerprint::of(&profile, &[]);
        let same = inputs.hash(&of);
        prop_assert_eq!(inputs.clone().hash(&of), same.clone());
        let mut other = inputs.clone();
        other.tags.push("x".into());
        prop_assert_ne!(other.hash(&of), same.clone());
        let rules = [rule("source", Condition::Exists, Value::Null, 1)];
        prop_assert_ne!(inputs.hash(&inputs::Fingerprint::of(&profile, &rules)), same);
    }
}

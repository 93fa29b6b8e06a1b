use proptest::prelude::*;

use super::{super::*, points, profile, rule};
use crate::{lead::SourceCategory, score::rules::Condition};

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
        prop_assert_eq!(&inputs.hash(&of), &same);
        let mut other = inputs.clone();
        other.tags.push("x".into());
        prop_assert_ne!(&other.hash(&of), &same);
        let rules = [rule("source", Condition::Exists, Value::Null, 1)];
        prop_assert_ne!(inputs.hash(&inputs::Fingerprint::of(&profile, &rules)), same);
    }
}

//! What makes a lead ready for sales in marketing's eyes.

use serde::Serialize;

use crate::{score::Inputs, text::text_enum};

text_enum! {
    /// What is counted.
    Metric {
        /// Asked for a demonstration.
        DemoRequested = "demo_requested",
        /// Downloads.
        ContentDownloads = "content_downloads",
        /// Visits.
        WebsiteVisits = "website_visits",
        /// Clicks.
        EmailClicks = "email_clicks",
        /// Opens.
        EmailOpens = "email_opens",
        /// The score.
        LeadScore = "lead_score",
    }
}

/// One threshold; reaching any one of them is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct MqlTrigger {
    /// What is counted.
    pub metric: Metric,
    /// Reached from here.
    pub threshold: i32,
}

/// The thresholds an org starts with.
pub const DEFAULTS: [MqlTrigger; 6] = [
    MqlTrigger {
        metric: Metric::DemoRequested,
        threshold: 1,
    },
    MqlTrigger {
        metric: Metric::ContentDownloads,
        threshold: 3,
    },
    MqlTrigger {
        metric: Metric::WebsiteVisits,
        threshold: 10,
    },
    MqlTrigger {
        metric: Metric::EmailClicks,
        threshold: 3,
    },
    MqlTrigger {
        metric: Metric::EmailOpens,
        threshold: 5,
    },
    MqlTrigger {
        metric: Metric::LeadScore,
        threshold: 60,
    },
];

/// The thresholds that a lead with these inputs and this score has reached.
pub fn reached(triggers: &[MqlTrigger], of: &Inputs, score: i16) -> Vec<Metric> {
    let value = |metric| match metric {
        Metric::DemoRequested => i32::from(of.demo_requested),
        Metric::ContentDownloads => of.content_downloads,
        Metric::WebsiteVisits => of.website_visits,
        Metric::EmailClicks => of.email_clicks,
        Metric::EmailOpens => of.email_opens,
        Metric::LeadScore => i32::from(score),
    };
    triggers
        .iter()
        .filter(|t| value(t.metric) >= t.threshold)
        .map(|t| t.metric)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_threshold_alone_is_enough_and_one_less_is_not() {
        let none = Inputs::unknown();
        assert_eq!(reached(&DEFAULTS, &none, 59), []);
        assert_eq!(reached(&DEFAULTS, &none, 60), [Metric::LeadScore]);
        let with = |change: fn(&mut Inputs)| {
            let mut inputs = Inputs::unknown();
            change(&mut inputs);
            reached(&DEFAULTS, &inputs, 0)
        };
        assert_eq!(with(|i| i.demo_requested = true), [Metric::DemoRequested]);
        assert_eq!(with(|i| i.content_downloads = 2), []);
        assert_eq!(
            with(|i| i.content_downloads = 3),
            [Metric::ContentDownloads]
        );
        assert_eq!(with(|i| i.website_visits = 9), []);
        assert_eq!(with(|i| i.website_visits = 10), [Metric::WebsiteVisits]);
        assert_eq!(with(|i| i.email_clicks = 2), []);
        assert_eq!(with(|i| i.email_clicks = 3), [Metric::EmailClicks]);
        assert_eq!(with(|i| i.email_opens = 4), []);
        assert_eq!(with(|i| i.email_opens = 5), [Metric::EmailOpens]);
    }

    #[test]
    fn an_org_may_set_its_own_thresholds() {
        let own = [MqlTrigger {
            metric: Metric::WebsiteVisits,
            threshold: 2,
        }];
        let mut inputs = Inputs::unknown();
        inputs.website_visits = 2;
        assert_eq!(reached(&own, &inputs, 100), [Metric::WebsiteVisits]);
    }
}

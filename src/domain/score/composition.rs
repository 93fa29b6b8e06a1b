//! Behaviour, demography and engagement: a cap per input, a limit per component.

use serde_json::Value;

use super::{
    Factor, Inputs, component,
    profile::{Composition, most, step},
    title::title_points,
};

impl Composition {
    /// The reasons, component by component. Visits count twice on purpose: as behaviour and as engagement.
    pub(super) fn factors(&self, of: &Inputs) -> Vec<Factor> {
        let demo = if of.demo_requested { self.demo } else { 0 };
        let behavioural = vec![
            Factor::new(
                "behavioural.website_visits",
                of.website_visits,
                self.visits.of(of.website_visits),
                self.visits.cap,
            ),
            Factor::new(
                "behavioural.content_downloads",
                of.content_downloads,
                self.downloads.of(of.content_downloads),
                self.downloads.cap,
            ),
            Factor::new(
                "behavioural.email_clicks",
                of.email_clicks,
                self.clicks.of(of.email_clicks),
                self.clicks.cap,
            ),
            Factor::new(
                "behavioural.demo_requested",
                of.demo_requested,
                demo,
                self.demo,
            ),
        ];
        let enrollment = of.enrollment.map(i64::from);
        let demographic = vec![
            Factor::new(
                "demographic.enrollment",
                enrollment,
                step(&self.enrollment, enrollment),
                most(&self.enrollment),
            ),
            Factor::new(
                "demographic.title",
                of.job_title.clone().map_or(Value::Null, Value::from),
                title_points(self.title, of.job_title.as_deref()),
                self.title.chief,
            ),
        ];
        let engagement = vec![
            Factor::new(
                "engagement.email_opens",
                of.email_opens,
                self.opens.of(of.email_opens),
                self.opens.cap,
            ),
            Factor::new(
                "engagement.website_visits",
                of.website_visits,
                self.engaged_visits.of(of.website_visits),
                self.engaged_visits.cap,
            ),
        ];
        let mut factors = Vec::with_capacity(11);
        component(
            &mut factors,
            "behavioural",
            behavioural,
            self.behavioural_max,
        );
        component(
            &mut factors,
            "demographic",
            demographic,
            self.demographic_max,
        );
        component(&mut factors, "engagement", engagement, self.engagement_max);
        factors
    }
}

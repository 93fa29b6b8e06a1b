//! Five weighted factors: source, company size, deal value, title, completeness.

use serde_json::Value;

use super::{
    Factor, Inputs,
    profile::{Factors, most, step},
    title::title_points,
};

/// Fields of a complete profile.
const FIELDS: i32 = 10;

impl Factors {
    pub(super) fn factors(&self, of: &Inputs) -> Vec<Factor> {
        let best_source = self.source.values().copied().max().unwrap_or(0);
        let source = of
            .source_points
            .or_else(|| self.source.get(&of.source_category).copied())
            .unwrap_or(0);
        let employees = of.employees.map(i64::from);
        let filled = of.filled();
        vec![
            Factor::new(
                "source",
                of.source_category.as_str(),
                source,
                best_source.max(source),
            ),
            Factor::new(
                "company_size",
                employees,
                step(&self.company_size, employees),
                most(&self.company_size),
            ),
            Factor::new(
                "deal_value",
                of.estimated_value_minor,
                step(&self.deal_value, of.estimated_value_minor),
                most(&self.deal_value),
            ),
            Factor::new(
                "title",
                of.job_title.clone().map_or(Value::Null, Value::from),
                title_points(self.title, of.job_title.as_deref()),
                self.title.chief,
            ),
            // Rounded to the nearest point.
            Factor::new(
                "completeness",
                filled,
                (self.completeness * filled * 2 + FIELDS) / (FIELDS * 2),
                self.completeness,
            ),
        ]
    }
}

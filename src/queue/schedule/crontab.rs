//! Read the five fields that `crontab(5)` knows, and say in the field's own name what is wrong with one.

use std::collections::BTreeSet;
use std::str::FromStr;

/// Why an expression was refused; the text names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// There are not five fields.
    #[error(
        "a cron expression has five fields (minute, hour, day of month, month, day of week); {given:?} has {count}"
    )]
    Fields {
        /// What was given.
        given: String,
        /// How many fields it has.
        count: usize,
    },
    /// One field makes no sense.
    #[error("{field}: {why} (in {given:?})")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What is wrong.
        why: String,
        /// The field's text.
        given: String,
    },
    /// Two limits on the day: some systems take either, some take both.
    #[error(
        "day of month ({day_of_month:?}) and day of week ({day_of_week:?}) cannot both be limited: \
         it is unclear whether either or both must hold; use two schedules"
    )]
    TwoDays {
        /// The third field.
        day_of_month: String,
        /// The fifth field.
        day_of_week: String,
    },
    /// Every field is fine and no day has them all, such as the 30th of February.
    #[error("{0:?} never comes")]
    Never(String),
}

/// An expression of five fields, understood.
#[derive(Debug, Clone)]
pub struct Cron {
    /// As it was written, with single spaces.
    pub(super) text: String,
    pub(super) minutes: BTreeSet<u32>,
    pub(super) hours: BTreeSet<u32>,
    pub(super) days: BTreeSet<u32>,
    pub(super) months: BTreeSet<u32>,
    /// Sunday is 0.
    pub(super) weekdays: BTreeSet<u32>,
    pub(super) schedule: cron::Schedule,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.schedule.timeunitspec_eq(&other.schedule)
    }
}

struct Field {
    name: &'static str,
    from: u32,
    to: u32,
    /// Names of the values, from `from` on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field {
    name: "minute",
    from: 0,
    to: 59,
    names: &[],
};
const HOUR: Field = Field {
    name: "hour",
    from: 0,
    to: 23,
    names: &[],
};
const DAY: Field = Field {
    name: "day of month",
    from: 1,
    to: 31,
    names: &[],
};
const MONTH: Field = Field {
    name: "month",
    from: 1,
    to: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
/// Sunday may be written 0 or 7.
const WEEKDAY: Field = Field {
    name: "day of week",
    from: 0,
    to: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(given: &str) -> Result<Self, CronError> {
        let written: Vec<&str> = given.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = written[..] else {
            return Err(CronError::Fields {
                given: given.to_owned(),
                count: written.len(),
            });
        };
        let minutes = MINUTE.read(minute)?;
        let hours = HOUR.read(hour)?;
        let days = DAY.read(day)?;
        let months = MONTH.read(month)?;
        let weekdays: BTreeSet<u32> = WEEKDAY.read(weekday)?.iter().map(|day| day % 7).collect();
        if day != "*" && weekday != "*" {
            return Err(CronError::TwoDays {
                day_of_month: day.to_owned(),
                day_of_week: weekday.to_owned(),
            });
        }

        // The library counts seconds first and weekdays from Sunday = 1.
        let library = format!(
            "0 {} {} {} {} {}",
            list(&minutes, 0),
            list(&hours, 0),
            if day == "*" {
                "*".to_owned()
            } else {
                list(&days, 0)
            },
            list(&months, 0),
            list(&weekdays, 1),
        );
        let text = written.join(" ");
        let never = || CronError::Never(text.clone());
        let schedule = cron::Schedule::from_str(&library).map_err(|_| never())?;
        let any_leap_year = chrono::DateTime::from_timestamp(946_684_799, 0).ok_or_else(never)?;
        schedule.after(&any_leap_year).next().ok_or_else(never)?;
        Ok(Self {
            text,
            minutes,
            hours,
            days,
            months,
            weekdays,
            schedule,
        })
    }
}

impl Cron {
    /// Whether it names every hour of the day, so that it counts hours that pass and not hours on a clock.
    pub(super) fn is_every_hour(&self) -> bool {
        self.hours.len() == 24
    }
}

impl Field {
    fn read(&self, given: &str) -> Result<BTreeSet<u32>, CronError> {
        let mut set = BTreeSet::new();
        for part in given.split(',') {
            set.extend(self.part(part).map_err(|why| CronError::Field {
                field: self.name,
                why,
                given: given.to_owned(),
            })?);
        }
        Ok(set)
    }

    fn part(&self, part: &str) -> Result<Vec<u32>, String> {
        let (range, step) = match part.split_once('/') {
            None => (part, None),
            Some((range, step)) => (range, Some(step)),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.from, self.to),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None => {
                let one = self.value(range)?;
                if step.is_some() {
                    return Err(format!(
                        "a step needs a range; write {one}-{}/{}",
                        self.to,
                        step.unwrap_or_default()
                    ));
                }
                (one, one)
            }
        };
        if first > last {
            return Err(format!("the range {range} runs backwards"));
        }
        let step = match step {
            None => 1,
            Some(step) => match step.parse::<u32>() {
                Ok(step) if step >= 1 && step <= self.to => step,
                _ => return Err(format!("the step must be 1 to {}, not {step:?}", self.to)),
            },
        };
        // A star's Sunday is counted once, as 0, also when days are stepped over.
        let last = if range == "*" && self.to == 7 {
            6
        } else {
            last
        };
        Ok((first..=last).step_by(step as usize).collect())
    }

    fn value(&self, given: &str) -> Result<u32, String> {
        let name = given.to_ascii_lowercase();
        let place = self.names.iter().position(|known| *known == name);
        let value = match place.and_then(|place| u32::try_from(place).ok()) {
            Some(place) => Some(self.from + place),
            None if given.bytes().all(|byte| byte.is_ascii_digit()) => given.parse().ok(),
            None => None,
        };
        match value {
            Some(value) if (self.from..=self.to).contains(&value) => Ok(value),
            _ if given.is_empty() => Err("a value is missing".to_owned()),
            _ => Err(format!(
                "{given:?} is not one of {} to {}",
                self.from, self.to
            )),
        }
    }
}

fn list(values: &BTreeSet<u32>, shift: u32) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|value| (value + shift).to_string())
        .collect();
    values.join(",")
}

#[cfg(test)]
mod tests {
    use super::Cron;

    fn refusal(given: &str) -> String {
        given.parse::<Cron>().unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_said_in_the_fields_name() {
        assert_eq!(
            refusal("61 * * * *"),
            r#"minute: "61" is not one of 0 to 59 (in "61")"#
        );
        assert_eq!(
            refusal("0 9-5 * * *"),
            r#"hour: the range 9-5 runs backwards (in "9-5")"#
        );
        assert_eq!(
            refusal("0 3 0 * *"),
            r#"day of month: "0" is not one of 1 to 31 (in "0")"#
        );
        assert_eq!(
            refusal("0 3 * foo *"),
            r#"month: "foo" is not one of 1 to 12 (in "foo")"#
        );
        assert_eq!(
            refusal("0 3 * * 1,8"),
            r#"day of week: "8" is not one of 0 to 7 (in "1,8")"#
        );
        assert_eq!(
            refusal("*/0 * * * *"),
            r#"minute: the step must be 1 to 59, not "0" (in "*/0")"#
        );
        assert_eq!(
            refusal("5/15 * * * *"),
            r#"minute: a step needs a range; write 5-59/15 (in "5/15")"#
        );
        assert_eq!(
            refusal("1,,2 * * * *"),
            r#"minute: a value is missing (in "1,,2")"#
        );
        assert!(refusal("0 0 3 * * *").contains("has 6"));
        assert!(refusal("").contains("has 0"));
    }

    #[test]
    fn two_limits_on_the_day_and_days_that_never_come_are_refused() {
        assert!(refusal("0 3 1,15 * 1").starts_with("day of month (\"1,15\") and day of week"));
        assert_eq!(refusal("0 0 30 2 *"), r#""0 0 30 2 *" never comes"#);
        assert!("0 0 29 2 *".parse::<Cron>().is_ok());
    }

    #[test]
    fn sunday_is_0_and_7_and_has_a_name() {
        let zero: Cron = "0 3 * * 0".parse().unwrap();
        for same in ["0 3 * * 7", "0 3 * * sun", "0  3 * * SUN"] {
            assert_eq!(same.parse::<Cron>().unwrap(), zero, "{same}");
        }
        let late: Cron = "0 3 * * 5-7".parse().unwrap();
        assert_eq!(late, "0 3 * * 0,5,6".parse().unwrap());
        let all: Cron = "0 3 * * */2".parse().unwrap();
        assert_eq!(all, "0 3 * * 0,2,4,6".parse().unwrap());
    }

    proptest::proptest! {
        #[test]
        fn no_text_at_all_makes_it_panic(given in "[-0-9*/, a-z\\PC]{0,24}") {
            let _ = given.parse::<Cron>();
        }
    }
}

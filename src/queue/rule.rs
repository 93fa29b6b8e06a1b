//! What ops allow while the workers run: pauses, limits and rates.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a rule restricts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Scope {
    /// The jobs of a queue.
    Queue,
    /// The jobs of a kind, in whatever queue.
    Kind,
    /// The jobs of a lane, by its id, in whatever queue.
    Lane,
    /// The jobs of a limit key, in whatever queue.
    Key,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Queue, Self::Kind, Self::Lane, Self::Key];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Kind => "kind",
            Self::Lane => "lane",
            Self::Key => "key",
        }
    }
}

impl Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|scope| scope.as_str() == text)
            .ok_or_else(|| format!("`{text}` is none of queue, kind, lane and key"))
    }
}

/// At most so many starts within so long, evened out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// Within how many seconds.
    pub seconds: f64,
}

/// The units of time in which a rate is written.
const UNITS: [(&str, f64); 5] = [
    ("s", 1.0),
    ("min", 60.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
];

impl Rate {
    /// The time from one to the next.
    pub fn every(self) -> Duration {
        Duration::from_secs_f64(self.seconds / f64::from(self.count))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` is no rate; write it as 10/s, 100/min, 5000/h or 20000/d, with a number above 0"
            )
        };
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let count: u32 = count.trim().parse().map_err(|_| wrong())?;
        let unit = unit.trim();
        let unit = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, seconds) = unit
            .filter(|_| (1..=1_000_000).contains(&count))
            .ok_or_else(wrong)?;
        Ok(Self {
            count,
            seconds: *seconds,
        })
    }
}

impl Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, seconds)| (seconds - self.seconds).abs() < f64::EPSILON);
        match unit {
            Some((name, _)) => write!(f, "{}/{name}", self.count),
            None => write!(f, "{}/{}s", self.count, self.seconds),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What is allowed of one queue, kind, lane or key. A limit that is `None` does not limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rule {
    /// What it restricts.
    pub scope: Scope,
    /// The name of what it restricts.
    pub name: String,
    /// What it allows.
    #[serde(flatten)]
    pub limits: Limits,
    /// When it was last changed.
    pub changed_at: DateTime<Utc>,
}

/// What a rule allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Nothing of it starts.
    pub paused: bool,
    /// Most jobs of it that run at once, in all processes together.
    pub max_running: Option<u32>,
    /// Of a queue: most jobs of each lane that run at once.
    pub lane_running: Option<u32>,
    /// Of a queue: most jobs of each limit key that run at once.
    pub key_running: Option<u32>,
    /// Of a queue: its lanes take turns, however many jobs one of them has. A rule of a single lane implies it. A job without
    /// a lane waits until those in front of it have gone.
    pub turns: bool,
    /// Most jobs of it that start within a time, such as `100/min`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub rate: Option<Rate>,
    /// How many may start at once after a quiet time; otherwise as many as the rate allows in a tenth of a second.
    pub burst: Option<u32>,
}

/// Which limits are to change; what is not given stays, what is given as `None` no longer limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LimitsChange {
    /// Nothing of it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Most jobs of it that run at once, in all processes together; null: as many as like.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub max_running: Option<Option<u32>>,
    /// Of a queue: most jobs of each lane that run at once.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub lane_running: Option<Option<u32>>,
    /// Of a queue: most jobs of each limit key that run at once.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub key_running: Option<Option<u32>>,
    /// Of a queue: its lanes take turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<bool>,
    /// Most jobs of it that start within a time, such as `100/min`.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub rate: Option<Option<Rate>>,
    /// How many may start at once after a quiet time.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub burst: Option<Option<u32>>,
}

impl LimitsChange {
    /// Nothing starts.
    pub const PAUSE: Self = Self::pausing(true);
    /// It starts again.
    pub const RESUME: Self = Self::pausing(false);

    const fn pausing(paused: bool) -> Self {
        Self {
            paused: Some(paused),
            max_running: None,
            lane_running: None,
            key_running: None,
            turns: None,
            rate: None,
            burst: None,
        }
    }

    /// Changes `limits`; a burst goes with its rate.
    pub fn apply(self, limits: &mut Limits) {
        limits.paused = self.paused.unwrap_or(limits.paused);
        limits.turns = self.turns.unwrap_or(limits.turns);
        limits.max_running = self.max_running.unwrap_or(limits.max_running);
        limits.lane_running = self.lane_running.unwrap_or(limits.lane_running);
        limits.key_running = self.key_running.unwrap_or(limits.key_running);
        limits.burst = self.burst.unwrap_or(limits.burst);
        if let Some(rate) = self.rate {
            limits.rate = rate;
            limits.burst = limits.burst.filter(|_| rate.is_some());
        }
    }
}

/// A value that was given, be it null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Why limits cannot stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// Only a queue has lanes and keys of its own.
    #[error("{0}: only a queue can have it; this rule is of another scope")]
    OnlyQueues(&'static str),
    /// A limit of nothing is a pause.
    #[error("{0}: must be at least 1 and at most 1000000; to let nothing start, pause it")]
    OutOfRange(&'static str),
    /// A burst of no rate.
    #[error("burst: has no meaning without a rate; give both")]
    BurstWithoutRate,
    /// A lane is named by something else.
    #[error("name: a lane is named by its id, such as 0190a8c4-7c6e-7000-8000-000000000000")]
    NoLane,
    /// There is no name.
    #[error("name: must have 1 to 1000 bytes and no NUL character")]
    NoName,
}

impl Limits {
    /// Whether they restrict anything.
    pub fn restrict(&self) -> bool {
        *self != Self::default()
    }

    /// Whether they can stand for `name` of `scope`.
    pub fn check(&self, scope: Scope, name: &str) -> Result<(), LimitsError> {
        if name.is_empty() || name.len() > crate::key::LONGEST || name.contains('\0') {
            return Err(LimitsError::NoName);
        }
        if scope == Scope::Lane && uuid::Uuid::parse_str(name).is_err() {
            return Err(LimitsError::NoLane);
        }
        let counts = [
            ("max_running", self.max_running),
            ("lane_running", self.lane_running),
            ("key_running", self.key_running),
            ("burst", self.burst),
        ];
        for (field, count) in counts {
            if count.is_some_and(|count| !(1..=1_000_000).contains(&count)) {
                return Err(LimitsError::OutOfRange(field));
            }
        }
        if scope != Scope::Queue {
            let parts = [
                ("lane_running", self.lane_running.is_some()),
                ("key_running", self.key_running.is_some()),
                ("turns", self.turns),
            ];
            if let Some((field, _)) = parts.into_iter().find(|(_, set)| *set) {
                return Err(LimitsError::OnlyQueues(field));
            }
        }
        if self.burst.is_some() && self.rate.is_none() {
            return Err(LimitsError::BurstWithoutRate);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, LimitsError, Rate, Scope};

    #[test]
    fn rates_are_written_as_they_are_read() {
        for text in ["10/s", "100/min", "5000/h", "20000/d"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("100/m".parse::<Rate>().unwrap().to_string(), "100/min");
        let every = |text: &str| text.parse::<Rate>().unwrap().every().as_millis();
        assert_eq!(["10/s", "100/min", "1000/h"].map(every), [100, 600, 3600]);
        for text in [
            "10",
            "0/s",
            "-1/s",
            "1.5/s",
            "10/week",
            "x/s",
            "1000001/s",
            "10/",
        ] {
            let why = text.parse::<Rate>().unwrap_err();
            assert!(why.contains("write it as 10/s"), "{why}");
        }
    }

    #[test]
    fn what_only_a_queue_has_is_refused_elsewhere() {
        let turns = Limits {
            turns: true,
            ..Limits::default()
        };
        assert_eq!(turns.check(Scope::Queue, "mail"), Ok(()));
        assert_eq!(
            turns.check(Scope::Kind, "send_mail"),
            Err(LimitsError::OnlyQueues("turns"))
        );
        let none = Limits {
            max_running: Some(0),
            ..Limits::default()
        };
        assert_eq!(
            none.check(Scope::Queue, "mail"),
            Err(LimitsError::OutOfRange("max_running"))
        );
        assert_eq!(none.check(Scope::Lane, "mail"), Err(LimitsError::NoLane));
        let burst = Limits {
            burst: Some(3),
            ..Limits::default()
        };
        assert_eq!(
            burst.check(Scope::Key, "x"),
            Err(LimitsError::BurstWithoutRate)
        );
        assert_eq!(burst.check(Scope::Key, ""), Err(LimitsError::NoName));
    }
}

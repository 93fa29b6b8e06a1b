//! The last hour as a chart: what came in, what was done, what was given up.

use chrono_tz::Tz;
use queue::admin::MinuteRow;
use serde::Serialize;

/// Size of the drawing; it is scaled to its place.
const WIDTH: i64 = 720;
const HEIGHT: i64 = 120;
/// Width of a minute, its gap included.
const MINUTE: i64 = 12;

/// The drawing, ready to be written down.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    width: i64,
    height: i64,
    bars: Vec<Bar>,
    /// What came in, as the points of a line.
    line: String,
    /// What the whole height stands for.
    top: i64,
    /// The same in words.
    words: String,
}

/// A minute.
#[derive(Debug, Serialize)]
struct Bar {
    x: i64,
    done: i64,
    done_y: i64,
    discarded: i64,
    discarded_y: i64,
    title: String,
}

impl Chart {
    /// The chart of an hour, its times on the clock of `zone`.
    pub(super) fn of(minutes: &[MinuteRow], zone: Tz) -> Self {
        let most = minutes
            .iter()
            .map(|minute| minute.made.max(minute.done + minute.discarded))
            .max()
            .unwrap_or_default();
        let top = nice(most);
        let tall = |count: i64| {
            let scaled = (count * HEIGHT + top - 1) / top;
            scaled.min(HEIGHT)
        };
        let bars = minutes.iter().zip(0..).map(|(minute, place)| {
            let (done, discarded) = (tall(minute.done), tall(minute.discarded));
            let at = minute.minute.with_timezone(&zone).format("%H:%M");
            let MinuteRow {
                made,
                done: finished,
                discarded: given_up,
                ..
            } = minute;
            Bar {
                x: place * MINUTE,
                done,
                done_y: HEIGHT - done,
                discarded,
                discarded_y: (HEIGHT - done - discarded).max(0),
                title: format!("{at}: {made} in, {finished} done, {given_up} dead letters"),
            }
        });
        let points = minutes.iter().zip(0..).map(|(minute, place)| {
            format!(
                "{},{}",
                place * MINUTE + MINUTE / 2,
                HEIGHT - tall(minute.made)
            )
        });
        let sum = |of: fn(&MinuteRow) -> i64| minutes.iter().map(of).sum::<i64>();
        Self {
            width: WIDTH,
            height: HEIGHT,
            bars: bars.collect(),
            line: points.collect::<Vec<_>>().join(" "),
            top,
            words: format!(
                "In the last hour {} jobs came in, {} were done, {} became dead letters.",
                sum(|minute| minute.made),
                sum(|minute| minute.done),
                sum(|minute| minute.discarded)
            ),
        }
    }
}

/// The next round number: 1, 2 or 5 times a power of ten.
fn nice(most: i64) -> i64 {
    let mut power = 1;
    loop {
        for times in [1, 2, 5] {
            if times * power >= most.max(1) {
                return times * power;
            }
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_the_ground_and_fit() {
        let minute = |made, done, discarded| MinuteRow {
            minute: "2030-03-04T09:05:00Z".parse().unwrap(),
            made,
            done,
            discarded,
        };
        let chart = Chart::of(&[minute(3, 150, 30), minute(0, 0, 0)], Tz::UTC);
        assert_eq!(chart.top, 200);
        let bar = &chart.bars[0];
        assert_eq!((bar.done, bar.done_y), (90, 30));
        assert_eq!((bar.discarded, bar.discarded_y), (18, 12));
        assert_eq!(bar.title, "09:05: 3 in, 150 done, 30 dead letters");
        assert_eq!((chart.bars[1].done, chart.bars[1].x), (0, 12));
        assert_eq!(chart.line, "6,118 18,120");
        assert_eq!([0, 1, 3, 11, 50, 51].map(nice), [1, 1, 5, 20, 50, 100]);
    }
}

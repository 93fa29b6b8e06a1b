//! How long to wait after a failed attempt.

use std::time::Duration;

/// The wait after the first failure, doubled after each further one up to a longest wait, spread by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    doubles: bool,
}

/// Each wait is longer or shorter by up to this part of itself, so that what failed together does not return together.
const SPREAD: f64 = 0.2;

impl Backoff {
    /// From 2 seconds up to an hour.
    pub const DEFAULT: Self = Self::exponential(Duration::from_secs(2), Duration::from_secs(3600));

    /// `first`, then twice as long each time, never longer than `longest`.
    pub const fn exponential(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            doubles: true,
        }
    }

    /// Always about `wait`.
    pub const fn fixed(wait: Duration) -> Self {
        Self {
            first: wait,
            longest: wait,
            doubles: false,
        }
    }

    /// The wait after the failure of attempt `number`, the first being 1; `chance` is between 0 and 1.
    pub fn wait(&self, number: u16, chance: f64) -> Duration {
        let doublings = if self.doubles {
            u32::from(number.saturating_sub(1)).min(31)
        } else {
            0
        };
        let wait = self.first.saturating_mul(1 << doublings).min(self.longest);
        wait.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * chance.clamp(0.0, 1.0))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_spread_by_a_fifth() {
        let seconds = |number, chance| Backoff::DEFAULT.wait(number, chance).as_secs_f64();
        let middle: Vec<f64> = [1, 2, 3, 11, 12, 20, u16::MAX]
            .map(|number| seconds(number, 0.5))
            .to_vec();
        assert_eq!(middle, [2.0, 4.0, 8.0, 2048.0, 3600.0, 3600.0, 3600.0]);
        assert!((seconds(1, 0.0) - 1.6).abs() < 1e-9);
        assert!((seconds(1, 1.0) - 2.4).abs() < 1e-9);
        let fixed = Backoff::fixed(Duration::from_secs(9));
        assert_eq!(fixed.wait(7, 0.5), Duration::from_secs(9));
    }
}

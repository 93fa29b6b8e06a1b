//! How often one address, and everybody together for one org, may send leads.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use crate::config::Intake;

/// After so many questions, keys that have long been quiet are forgotten.
const TIDY_EVERY: u32 = 10_000;

/// Seconds to wait before the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub u64);

/// The limits of intake, kept in this process.
pub struct Limits {
    per_ip: DefaultKeyedRateLimiter<IpAddr>,
    per_org: DefaultKeyedRateLimiter<Uuid>,
    asked: AtomicU32,
}

impl Limits {
    /// Limits as the settings say.
    pub fn new(settings: &Intake) -> Self {
        let at_least_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let per_ip = Quota::per_minute(at_least_one(settings.per_ip_per_minute))
            .allow_burst(at_least_one(settings.per_ip_burst));
        let per_org = Quota::per_minute(at_least_one(settings.per_org_per_minute));
        Self {
            per_ip: RateLimiter::keyed(per_ip),
            per_org: RateLimiter::keyed(per_org),
            asked: AtomicU32::new(0),
        }
    }

    /// Count one submission of an address; a household behind IPv6 counts as one.
    pub fn ip(&self, ip: IpAddr) -> Result<(), Wait> {
        let key = match ip {
            IpAddr::V6(ip) => ip
                .to_ipv4_mapped()
                .map_or_else(|| IpAddr::V6(network_of(ip)), IpAddr::V4),
            v4 => v4,
        };
        self.tidy();
        check(&self.per_ip, &key)
    }

    /// Count one submission for an org.
    pub fn org(&self, org: Uuid) -> Result<(), Wait> {
        check(&self.per_org, &org)
    }

    fn tidy(&self) {
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.per_ip.retain_recent();
            self.per_org.retain_recent();
        }
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

fn network_of(ip: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))
}

fn check<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Wait> {
    limiter.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now());
        Wait(wait.as_secs() + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_counts_as_one_address() {
        let limits = Limits::new(&Intake {
            per_ip_per_minute: 1,
            per_ip_burst: 2,
            ..Intake::default()
        });
        let ask = |ip: &str| limits.ip(ip.parse().unwrap());
        assert_eq!(ask("2001:db8::1"), Ok(()));
        assert_eq!(ask("2001:db8::2"), Ok(()));
        let Err(Wait(seconds)) = ask("2001:db8::3") else {
            panic!("a third one should have to wait");
        };
        assert!((1..=61).contains(&seconds), "{seconds}");
        assert_eq!(ask("2001:db8:0:1::1"), Ok(()));
        assert_eq!(ask("::ffff:10.0.0.1"), Ok(()));
        assert_eq!(ask("10.0.0.1"), Ok(()));
        assert!(ask("10.0.0.1").is_err());
    }
}

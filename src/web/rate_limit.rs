//! How often one address, and everybody together for one org, may send leads; and how often sign-in may be asked for.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use crate::config::Intake;

/// How many questions pass before keys that have long been quiet are forgotten.
const TIDY_EVERY: u32 = 10_000;

/// Most sign-in links one address may ask for per minute.
const SIGN_IN_PER_IP: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Most sign-in links one mailbox is sent at once; then one every five minutes.
const SIGN_IN_TO: NonZeroU32 = NonZeroU32::new(3).unwrap();
const SIGN_IN_TO_AGAIN: Duration = Duration::from_secs(300);

/// Seconds to wait before the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub u64);

/// The limits of what anybody may send, kept in this process.
pub struct Limits {
    per_ip: DefaultKeyedRateLimiter<IpAddr>,
    per_org: DefaultKeyedRateLimiter<Uuid>,
    sign_in: DefaultKeyedRateLimiter<IpAddr>,
    sign_in_to: DefaultKeyedRateLimiter<String>,
    asked: AtomicU32,
}

impl Limits {
    /// Limits as the settings say.
    pub fn new(settings: &Intake) -> Self {
        let at_least_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let per_ip = Quota::per_minute(at_least_one(settings.per_ip_per_minute))
            .allow_burst(at_least_one(settings.per_ip_burst));
        let sign_in_to = Quota::with_period(SIGN_IN_TO_AGAIN)
            .unwrap_or(Quota::per_hour(SIGN_IN_TO))
            .allow_burst(SIGN_IN_TO);
        let per_org = Quota::per_minute(at_least_one(settings.per_org_per_minute));
        Self {
            per_ip: RateLimiter::keyed(per_ip),
            per_org: RateLimiter::keyed(per_org),
            sign_in: RateLimiter::keyed(Quota::per_minute(SIGN_IN_PER_IP)),
            sign_in_to: RateLimiter::keyed(sign_in_to),
            asked: AtomicU32::new(0),
        }
    }

    /// Counts one submission of an address; a household behind IPv6 counts as one.
    pub fn ip(&self, ip: IpAddr) -> Result<(), Wait> {
        self.tidy();
        check(&self.per_ip, &network(ip))
    }

    /// Counts one submission for an org.
    pub fn org(&self, org: Uuid) -> Result<(), Wait> {
        check(&self.per_org, &org)
    }

    /// Counts one sign-in that an address asked for.
    pub fn sign_in(&self, ip: IpAddr) -> Result<(), Wait> {
        self.tidy();
        check(&self.sign_in, &network(ip))
    }

    /// Counts one sign-in link for a mailbox.
    pub fn sign_in_to(&self, email: &str) -> Result<(), Wait> {
        check(&self.sign_in_to, &email.to_owned())
    }

    fn tidy(&self) {
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.per_ip.retain_recent();
            self.per_org.retain_recent();
            self.sign_in.retain_recent();
            self.sign_in_to.retain_recent();
        }
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

/// What counts as one address.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(ip) => ip
            .to_ipv4_mapped()
            .map_or_else(|| IpAddr::V6(network_of(ip)), IpAddr::V4),
        v4 => v4,
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

//! Keys of programs: `lk_live_<8 letters>_<32 letters>`, shown once, kept as a hash.

use rand::RngExt;
use rand::distr::Alphanumeric;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const START: &str = "lk_live_";
const NAME: usize = 8;
const SECRET: usize = 32;

/// A key just made.
#[derive(Clone)]
pub struct NewKey {
    /// The whole key, for its owner and nobody else.
    pub key: String,
    /// The part by which it is recognised in a list.
    pub prefix: String,
    /// What is kept of the rest.
    pub secret_hash: Vec<u8>,
}

/// The parts of a key that a caller sent.
pub struct SentKey<'a> {
    prefix: &'a str,
    /// What is kept of the secret.
    pub secret_hash: Vec<u8>,
}

impl NewKey {
    /// A key that nobody has.
    pub fn generate() -> Self {
        let letters = |count| -> String {
            rand::rng()
                .sample_iter(Alphanumeric)
                .take(count)
                .map(char::from)
                .collect()
        };
        let prefix = format!("{START}{}", letters(NAME));
        let secret = letters(SECRET);
        Self {
            key: format!("{prefix}_{secret}"),
            secret_hash: hash(&secret),
            prefix,
        }
    }
}

impl<'a> SentKey<'a> {
    /// The parts of `key`, if it has the form of one.
    pub fn parse(key: &'a str) -> Option<Self> {
        let (prefix, secret) = key.rsplit_once('_')?;
        let name = prefix.strip_prefix(START)?;
        let fits = |part: &str, length| {
            part.len() == length && part.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        (fits(name, NAME) && fits(secret, SECRET)).then(|| Self {
            prefix,
            secret_hash: hash(secret),
        })
    }

    /// Whether this is the key kept as `prefix` and `secret_hash`; takes as long whatever the answer.
    pub fn matches(&self, prefix: &str, secret_hash: &[u8]) -> bool {
        let same =
            self.prefix.as_bytes().ct_eq(prefix.as_bytes()) & self.secret_hash.ct_eq(secret_hash);
        same.into()
    }
}

fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_parts() {
        let made = NewKey::generate();
        let sent = SentKey::parse(&made.key).unwrap();
        assert!(sent.matches(&made.prefix, &made.secret_hash));
        let other = NewKey::generate();
        assert!(!sent.matches(&other.prefix, &made.secret_hash));
        assert!(!sent.matches(&made.prefix, &other.secret_hash));
        for bad in [
            "",
            "lk_live_",
            "lk_live_12345678_short",
            &made.key[1..],
            "lk_live_1234567__aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(SentKey::parse(bad).is_none(), "{bad}");
        }
    }
}

//! Secrets at rest: sealed with AES-256-GCM, bound to the org and the provider that they are for.
//!
//! A sealed secret copied to another org or provider does not open. Keys are named, so that a new one can be put first
//! while the old ones still open what they sealed.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::id::OrgId;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 12;

/// The keys that seal and open, the first of which seals; cheap to clone.
#[derive(Clone, Default)]
pub struct MasterKeys {
    keys: Vec<(String, SecretSlice<u8>)>,
}

/// A secret as the database keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which key sealed it.
    pub key_id: String,
    /// Nonce and ciphertext.
    pub bytes: Vec<u8>,
}

/// Why a secret cannot be sealed or opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The list of keys is not one.
    #[error("{0:?} is not a name, a colon and 32 bytes in base64")]
    Key(String),
    /// Two keys have one name.
    #[error("there are two keys called {0:?}")]
    Twice(String),
    /// There is no key to seal with.
    #[error("LEADMILL_MASTER_KEYS is not set")]
    NoKey,
    /// The key that sealed it is gone.
    #[error("the key {0:?} is not among LEADMILL_MASTER_KEYS")]
    UnknownKey(String),
    /// It was changed, or sealed for somebody else.
    #[error("the secret does not open: changed, or sealed for another org or provider")]
    Broken,
}

impl MasterKeys {
    /// Reads `k2:BASE64,k1:BASE64`; an empty text is no key.
    pub fn parse(text: &SecretString) -> Result<Self, SealError> {
        let mut keys: Vec<(String, SecretSlice<u8>)> = Vec::new();
        for entry in text.expose_secret().split(',').map(str::trim) {
            if entry.is_empty() {
                continue;
            }
            let (name, key) = entry.split_once(':').unwrap_or((entry, ""));
            // What is told must not hold a key: an entry without a name might be one.
            let told = || {
                SealError::Key(if key.is_empty() {
                    "…".into()
                } else {
                    name.to_owned()
                })
            };
            let bytes = STANDARD.decode(key).map_err(|_| told())?;
            if name.is_empty() || bytes.len() != KEY_LENGTH {
                return Err(told());
            }
            if keys.iter().any(|(other, _)| other == name) {
                return Err(SealError::Twice(name.to_owned()));
            }
            keys.push((name.to_owned(), bytes.into()));
        }
        Ok(Self { keys })
    }

    /// Seals `secret` for `provider` of `org`.
    pub fn seal(&self, org: OrgId, provider: &str, secret: &[u8]) -> Result<Sealed, SealError> {
        let (key_id, key) = self.keys.first().ok_or(SealError::NoKey)?;
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let payload = Payload {
            msg: secret,
            aad: &bound_to(org, provider),
        };
        let sealed = cipher(key)
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| SealError::Broken)?;
        Ok(Sealed {
            key_id: key_id.clone(),
            bytes: [&nonce[..], &sealed].concat(),
        })
    }

    /// Opens what was sealed for `provider` of `org`.
    pub fn open(
        &self,
        org: OrgId,
        provider: &str,
        sealed: &Sealed,
    ) -> Result<SecretSlice<u8>, SealError> {
        let key = self.keys.iter().find(|(name, _)| *name == sealed.key_id);
        let (_, key) = key.ok_or_else(|| SealError::UnknownKey(sealed.key_id.clone()))?;
        let (nonce, bytes) = sealed
            .bytes
            .split_first_chunk::<NONCE_LENGTH>()
            .ok_or(SealError::Broken)?;
        let payload = Payload {
            msg: bytes,
            aad: &bound_to(org, provider),
        };
        let opened = cipher(key).decrypt(&Nonce::from(*nonce), payload);
        Ok(opened.map_err(|_| SealError::Broken)?.into())
    }
}

fn cipher(key: &SecretSlice<u8>) -> Aes256Gcm {
    let mut bytes = [0; KEY_LENGTH];
    // Keys have this length since they were parsed.
    bytes.copy_from_slice(key.expose_secret());
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(bytes))
}

/// An org's id has a fixed length, so no two pairs give the same bytes.
fn bound_to(org: OrgId, provider: &str) -> Vec<u8> {
    [org.uuid().as_bytes(), provider.as_bytes()].concat()
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|(name, _)| name))
            .finish()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sealed with {}", self.key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Result<MasterKeys, SealError> {
        MasterKeys::parse(&text.into())
    }

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; KEY_LENGTH])
    }

    #[test]
    fn a_secret_opens_for_whom_it_was_sealed_and_for_nobody_else() {
        let keys = keys(&format!("k1:{}", key(1))).unwrap();
        let org = OrgId::new();
        let sealed = keys.seal(org, "pdl", b"secret").unwrap();

        let opened = keys.open(org, "pdl", &sealed).unwrap();
        assert_eq!(opened.expose_secret(), b"secret");

        let refused = |org, provider, sealed: &Sealed| keys.open(org, provider, sealed).err();
        assert_eq!(
            refused(OrgId::new(), "pdl", &sealed),
            Some(SealError::Broken)
        );
        assert_eq!(refused(org, "apollo", &sealed), Some(SealError::Broken));
        for byte in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[byte] ^= 1;
            assert_eq!(refused(org, "pdl", &changed), Some(SealError::Broken));
        }
        let cut = Sealed {
            bytes: vec![1; 5],
            ..sealed
        };
        assert_eq!(refused(org, "pdl", &cut), Some(SealError::Broken));
    }

    #[test]
    fn no_two_seals_are_the_same() {
        let keys = keys(&format!("k1:{}", key(1))).unwrap();
        let org = OrgId::new();
        let seal = || keys.seal(org, "pdl", b"secret").unwrap();
        assert_ne!(seal().bytes, seal().bytes);
    }

    #[test]
    fn a_new_key_seals_while_the_old_one_still_opens() {
        let org = OrgId::new();
        let old = keys(&format!("k1:{}", key(1))).unwrap();
        let both = keys(&format!("k2:{}, k1:{}", key(2), key(1))).unwrap();
        let new = keys(&format!("k2:{}", key(2))).unwrap();
        let sealed = old.seal(org, "pdl", b"secret").unwrap();

        assert!(both.open(org, "pdl", &sealed).is_ok());
        assert_eq!(both.seal(org, "pdl", b"secret").unwrap().key_id, "k2");
        let gone = new.open(org, "pdl", &sealed).err();
        assert_eq!(gone, Some(SealError::UnknownKey("k1".into())));
    }

    #[test]
    fn keys_that_are_none_are_refused_without_being_shown() {
        assert_eq!(
            keys("").unwrap().seal(OrgId::new(), "pdl", b"").err(),
            Some(SealError::NoKey)
        );
        for (text, why) in [
            ("k1".to_owned(), SealError::Key("…".into())),
            ("k1:short".to_owned(), SealError::Key("k1".into())),
            (
                format!("k1:{0},k1:{0}", key(1)),
                SealError::Twice("k1".into()),
            ),
        ] {
            assert_eq!(keys(&text).err(), Some(why));
        }
    }
}

//! What signs a person in: a token that only they have, of which we keep a hash.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use rand::RngExt;
use sha2::{Digest, Sha256};

/// How long a link by mail signs somebody in.
pub const LINK_LIFETIME: TimeDelta = TimeDelta::minutes(15);

/// 256 bits that nobody guesses.
pub fn new_token() -> String {
    let bits: [u8; 32] = rand::rng().random();
    URL_SAFE_NO_PAD.encode(bits)
}

/// What is kept of a token.
pub fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

//! What errors of one cause have in common: their text without what differs from job to job.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Of a text only its beginning counts, in bytes; what follows is often a body that was received.
const LOOKED_AT: usize = 500;
/// Stands for what was left out.
const LEFT_OUT: char = '#';
/// Hexadecimal digits from this many on are an address, a hash or an id, and no word.
const HEX: usize = 8;

/// The fingerprint of an error; errors of one cause have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct Fingerprint(i64);

impl Fingerprint {
    /// The fingerprint of this error.
    pub fn of(error: &str) -> Self {
        Self(of(error))
    }
}

/// The fingerprint of an error as it is stored: it must stay the same for ever.
pub(crate) fn of(error: &str) -> i64 {
    // FNV-1a, of 64 bits.
    let hash = plain(error)
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    hash.cast_signed()
}

/// An error without what differs from job to job or names people: numbers, ids, addresses, what is in quotation marks.
pub(crate) fn plain(error: &str) -> String {
    let looked_at = &error[..error.floor_char_boundary(LOOKED_AT)];
    let mut plain = String::with_capacity(looked_at.len());
    let mut rest = looked_at;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' | '`' | '\'' => quoted(rest, first, plain.chars().last()),
            first if first.is_alphanumeric() && address(rest).is_some() => {
                address(rest).map(|length| (length, true))
            }
            first if first.is_ascii_alphanumeric() => word(rest),
            _ => None,
        };
        match taken {
            Some((length, true)) => {
                if !plain.ends_with(LEFT_OUT) {
                    plain.push(LEFT_OUT);
                }
                rest = &rest[length..];
            }
            Some((length, false)) => {
                plain.push_str(&rest[..length]);
                rest = &rest[length..];
            }
            None if first.is_whitespace() => {
                if !plain.is_empty() && !plain.ends_with(' ') {
                    plain.push(' ');
                }
                rest = &rest[first.len_utf8()..];
            }
            None => {
                plain.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    plain.truncate(plain.trim_end().len());
    plain
}

/// The length of what is in quotation marks, them included; an apostrophe begins nothing.
fn quoted(rest: &str, mark: char, before: Option<char>) -> Option<(usize, bool)> {
    if mark == '\'' && before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let inside = &rest[1..];
    let mut escaped = false;
    for (at, character) in inside.char_indices() {
        match character {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == mark => return Some((at + 2, true)),
            _ => {}
        }
    }
    None
}

/// The length of an e-mail address.
fn address(rest: &str) -> Option<usize> {
    let name = |c: char| c.is_alphanumeric() || ".+-_%'&=".contains(c);
    let host = |c: char| c.is_alphanumeric() || ".-".contains(c);
    let (before, after) = rest.split_once('@')?;
    let after = &after[..after.find(|c| !host(c)).unwrap_or(after.len())];
    let after = after.trim_end_matches(['.', '-']);
    let is_one = before.chars().all(name) && !after.is_empty();
    is_one.then_some(before.len() + 1 + after.len())
}

/// The length of a word, and whether it differs from job to job: a uuid, a hexadecimal number, one with a digit in it is
/// left out from the digit on.
fn word(rest: &str) -> Option<(usize, bool)> {
    if is_uuid(rest) {
        return Some((36, true));
    }
    let end = |of: &str, is: fn(char) -> bool| of.find(|c| !is(c)).unwrap_or(of.len());
    let whole = end(rest, |c| c.is_ascii_alphanumeric());
    let prefix = rest.starts_with("0x") || rest.starts_with("0X");
    if prefix && whole > 2 && rest[2..whole].bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some((whole, true));
    }
    let has_digit = rest[..whole].bytes().any(|b| b.is_ascii_digit());
    let all_hex = rest[..whole].bytes().all(|b| b.is_ascii_hexdigit());
    if whole >= HEX && has_digit && all_hex {
        return Some((whole, true));
    }
    let digits = end(rest, |c| c.is_ascii_digit());
    if digits > 0 {
        return Some((digits, true));
    }
    let letters = end(rest, |c| c.is_ascii_alphabetic());
    Some((letters, false))
}

fn is_uuid(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    bytes.len() >= 36
        && bytes
            .get(36)
            .is_none_or(|next| !next.is_ascii_alphanumeric())
        && bytes[..36].iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

impl Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0.cast_unsigned())
    }
}

/// A text that is no fingerprint.
#[derive(Debug, thiserror::Error)]
#[error("a fingerprint has 16 hexadecimal digits, such as 00f3a9c2b17e4d55")]
pub struct NoFingerprint;

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let hash = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        hash.map(|hash| Self(hash.cast_signed()))
            .ok_or(NoFingerprint)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_from_job_to_job_is_left_out_and_words_are_kept() {
        for (error, expected) in [
            ("host 10.0.0.1 answered 503", "host #.#.#.# answered #"),
            (
                "lead 018f0000-0000-7000-8000-00000000000a is gone",
                "lead # is gone",
            ),
            ("at 0x7ffdeadbeef: bad", "at #: bad"),
            ("commit 9fceb02d0ae598e9 is unknown", "commit # is unknown"),
            (
                r#"no column "na\"me" in 'leads' or `x`"#,
                "no column # in # or #",
            ),
            ("can't read the user's file", "can't read the user's file"),
            ("an open \" mark", "an open \" mark"),
            ("took 12ms of 30s", "took #ms of #s"),
            ("a\n\n  b\t", "a b"),
            (
                "deadbeef is a word, facade too",
                "deadbeef is a word, facade too",
            ),
            ("größe 5 überschritten", "größe # überschritten"),
            (
                "no mailbox ada@example.com, told <o'hara+x.y@mail.example.co.uk>.",
                "no mailbox #, told <#>.",
            ),
            ("jörg.müller@bücher.example: full", "#: full"),
            (
                "meet me @ noon, or @home, or a@",
                "meet me @ noon, or @home, or a@",
            ),
            ("", ""),
        ] {
            assert_eq!(plain(error), expected, "{error}");
        }
    }

    #[test]
    fn a_fingerprint_stays_what_it_is_in_the_database() {
        let died = Fingerprint::of("the worker that ran it died");
        assert_eq!(died.to_string(), DIED);
        assert_eq!(DIED.parse::<Fingerprint>().unwrap(), died);
        for wrong in [
            "",
            "12",
            "00000000000000000",
            "zzzzzzzzzzzzzzzz",
            "+0000000000000ff",
        ] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }

    const DIED: &str = "f3d539c21ac3b127";

    proptest! {
        #[test]
        fn numbers_do_not_matter_and_no_text_is_too_odd(
            error in any::<String>(), one in any::<u32>(), other in any::<u32>(),
        ) {
            prop_assert_eq!(of(&error), of(&error));
            prop_assert_eq!(of(&format!("row {one} is bad")), of(&format!("row {other} is bad")));
            prop_assert!(!plain(&error).contains(|c: char| c.is_ascii_digit()));
            prop_assert_eq!(plain(&format!("to x{one}.y@host{other}.example: no")), "to #: no");
        }
    }
}

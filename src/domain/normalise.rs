//! One spelling for what people write in many: addresses, numbers, names.

use std::str::FromStr;

use email_address::EmailAddress;
use serde_json::Value;

/// Mail providers for everybody: an address there says nothing about the employer.
const FREE_MAIL: [&str; 40] = [
    "163.com",
    "aol.com",
    "att.net",
    "bigpond.com",
    "bluewin.ch",
    "btinternet.com",
    "comcast.net",
    "fastmail.com",
    "free.fr",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hey.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.fr",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "live.com",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "orange.fr",
    "outlook.com",
    "pm.me",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rocketmail.com",
    "t-online.de",
    "web.de",
    "yahoo.com",
    "ymail.com",
];

/// The address as it is compared, if it is one at all.
pub fn email(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() <= 320 && EmailAddress::from_str(text).is_ok()).then(|| address(text))
}

/// What an address is looked up by, whether or not it is a good one: the only spelling that is stored and compared.
///
/// Letter by letter, so that what a letter becomes does not hang on its neighbours; a final sigma is a sigma.
pub fn address(text: &str) -> String {
    let lower = text.trim().chars().flat_map(char::to_lowercase);
    lower.map(|c| if c == 'ς' { 'σ' } else { c }).collect()
}

/// What stands behind the `@`, in lower case.
pub fn email_domain(email: &str) -> Option<String> {
    let (_, domain) = email.trim().rsplit_once('@')?;
    (!domain.is_empty()).then(|| domain.to_lowercase())
}

/// Whether everybody can have an address there.
pub fn is_free_mail(domain: &str) -> bool {
    let yahoo = domain
        .strip_prefix("yahoo.")
        .is_some_and(|rest| rest.len() <= 6);
    yahoo || FREE_MAIL.binary_search(&domain).is_ok()
}

/// The host of a web address, without `www.`; also of one that names no scheme.
pub fn host(address: &str) -> Option<String> {
    let address = address.trim();
    let full = if address.contains("://") {
        address.to_owned()
    } else {
        format!("https://{address}")
    };
    let host = url::Url::parse(&full).ok()?.host_str()?.to_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    (host.contains('.') && !host.ends_with('.')).then(|| host.to_owned())
}

/// A phone number in international form, when it says where it belongs or `country` tells.
pub fn phone_e164(text: &str, country: Option<&str>) -> Option<String> {
    let text = text.trim();
    let known = |c: char| c.is_ascii_digit() || " +-./()\u{a0}".contains(c);
    let number = text
        .split(['x', 'X', ';', ','])
        .next()
        .filter(|n| n.chars().all(known))?;
    let number = number.replacen("(0)", "", 1);
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let full = if number.trim_start().starts_with('+') {
        digits
    } else if let Some(rest) = digits.strip_prefix("00") {
        rest.to_owned()
    } else {
        let code = calling_code(country?)?;
        match code {
            "1" => match digits.len() {
                10 => format!("1{digits}"),
                11 if digits.starts_with('1') => digits,
                _ => return None,
            },
            // Italy keeps its leading zero.
            "39" => format!("39{digits}"),
            _ => format!("{code}{}", digits.strip_prefix('0').unwrap_or(&digits)),
        }
    };
    ((8..=15).contains(&full.len()) && !full.starts_with('0')).then(|| format!("+{full}"))
}

fn calling_code(country: &str) -> Option<&'static str> {
    Some(match country {
        "US" | "CA" => "1",
        "NL" => "31",
        "BE" => "32",
        "FR" => "33",
        "ES" => "34",
        "IT" => "39",
        "CH" => "41",
        "AT" => "43",
        "GB" => "44",
        "DK" => "45",
        "SE" => "46",
        "NO" => "47",
        "PL" => "48",
        "DE" => "49",
        "AU" => "61",
        "NZ" => "64",
        "IN" => "91",
        "IE" => "353",
        "PT" => "351",
        "FI" => "358",
        _ => return None,
    })
}

/// First word and the rest; a single word is a first name.
pub fn split_name(name: &str) -> (Option<String>, Option<String>) {
    let mut words = name.split_whitespace();
    let first = words.next().map(str::to_owned);
    let rest = words.collect::<Vec<_>>().join(" ");
    (first, (!rest.is_empty()).then_some(rest))
}

/// Text as it can be stored: trimmed, without NUL, at most `most` characters; `None` if nothing is left.
pub fn text(text: &str, most: usize) -> Option<String> {
    let clean = text.replace('\0', "");
    let clean = clean.trim();
    let end = clean
        .char_indices()
        .nth(most)
        .map_or(clean.len(), |(at, _)| at);
    let clean = clean[..end].trim_end();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// JSON as Postgres can store it: without NUL in any text or key.
pub fn json(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(text.replace('\0', "")),
        Value::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(k, v)| (k.replace('\0', ""), json(v)))
                .collect(),
        ),
        other => other,
    }
}

/// Whether any text inside `value` holds the NUL character.
pub fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(object) => object
            .iter()
            .any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// `text` on one line: what controls the flow of text becomes a space, ends are trimmed.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}') {
        let word = word.trim();
        if !word.is_empty() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    line
}

/// `text` with line ends of one kind and no other control characters, ends trimmed.
pub fn many_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Whether `text` is an address that mail can be sent to over the internet.
///
/// Quoted local parts and address literals are legal and never those of a lead; they count as slips.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let local_char = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
    let dotted =
        |part: &str| !part.starts_with('.') && !part.ends_with('.') && !part.contains("..");
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top = domain.rsplit('.').next().unwrap_or_default();
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && local.chars().all(local_char)
        && dotted(local)
        && domain.contains('.')
        && domain.split('.').all(label)
        && top.chars().count() >= 2
        && !top.chars().all(|c| c.is_ascii_digit())
}

/// `text` with its first letter large.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_keeps_its_words() {
        assert_eq!(
            one_line("  Ada\r\nBcc: x@y.z \t Lovelace\u{2028}"),
            "Ada Bcc: x@y.z Lovelace"
        );
        assert_eq!(
            one_line("{{ 7*7 }} <b>O'Neil</b>"),
            "{{ 7*7 }} <b>O'Neil</b>"
        );
        assert_eq!(one_line(" \n "), "");
    }

    #[test]
    fn lines_end_alike() {
        assert_eq!(many_lines(" a\r\nb\rc\u{7}\n"), "a\nb\nc");
    }

    #[test]
    fn an_address_is_told_from_a_slip() {
        for good in [
            "a@b.co",
            "jane.o'neil+x@sub.example.com",
            "jürgen@exämple.de",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "@b.co",
            "a@",
            "a b@c.de",
            "a@b..de",
            ".a@b.de",
            "a.@b.de",
            "a@-b.de",
            "a@b.c",
            "a@1.2.3.4",
            "a@b.de\r\nBcc: c@d.ef",
            "<a@b.de>",
            "\"a b\"@c.de",
            "a@b@c.de,",
            "a@b.de,c@d.ef",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn a_first_letter_is_made_large_whatever_it_is() {
        let made = ["paid ads", "Ada", "", "élan", "ßa", "1st"].map(capitalised);
        assert_eq!(made, ["Paid ads", "Ada", "", "Élan", "SSa", "1st"]);
    }

    #[test]
    fn the_list_of_free_mail_is_sorted_for_its_search() {
        assert!(FREE_MAIL.is_sorted());
        assert!(is_free_mail("gmail.com") && is_free_mail("yahoo.co.uk") && is_free_mail("web.de"));
        assert!(!is_free_mail("example.com") && !is_free_mail("yahoo.engineering"));
    }

    #[test]
    fn an_address_is_compared_in_lower_case_and_must_be_one() {
        assert_eq!(
            email(" Grace.Hopper@Navy.MIL "),
            Some("grace.hopper@navy.mil".into())
        );
        assert_eq!(email("no at sign"), None);
        assert_eq!(email("a@b@c"), None);
        assert_eq!(email(&format!("{}@example.com", "a".repeat(400))), None);
    }

    #[test]
    fn a_phone_number_is_told_by_its_prefix_or_by_the_country() {
        let cases = [
            ("+1 (650) 555-0123", None, Some("+16505550123")),
            ("0049 30 901820", None, Some("+4930901820")),
            ("(650) 555-0123", Some("US"), Some("+16505550123")),
            ("1-650-555-0123", Some("US"), Some("+16505550123")),
            ("030 901820", Some("DE"), Some("+4930901820")),
            ("+44 (0)20 7946 0018", None, Some("+442079460018")),
            ("06 698 12345", Some("IT"), Some("+390669812345")),
            ("650 555 0123", None, None),
            ("555-0123", Some("US"), None),
            ("call me", Some("US"), None),
            ("+1", None, None),
        ];
        for (text, country, expected) in cases {
            assert_eq!(
                phone_e164(text, country).as_deref(),
                expected,
                "{text} in {country:?}"
            );
        }
    }

    #[test]
    fn a_name_is_split_after_its_first_word() {
        assert_eq!(
            split_name(" Grace  Brewster Hopper"),
            (Some("Grace".into()), Some("Brewster Hopper".into()))
        );
        assert_eq!(split_name("Plato"), (Some("Plato".into()), None));
        assert_eq!(split_name("  "), (None, None));
    }

    #[test]
    fn a_host_is_found_with_and_without_scheme() {
        assert_eq!(
            host("https://www.Example.com/contact?x=1").as_deref(),
            Some("example.com")
        );
        assert_eq!(
            host("shop.example.co.uk").as_deref(),
            Some("shop.example.co.uk")
        );
        assert_eq!(host("not a host"), None);
        assert_eq!(host("localhost"), None);
    }

    proptest! {
        #[test]
        fn stored_text_is_short_clean_and_stays_as_it_is(any in ".{0,300}", most in 1usize..200) {
            if let Some(once) = text(&any, most) {
                prop_assert!(once.chars().count() <= most && !once.contains('\0') && !once.is_empty());
                prop_assert_eq!(text(&once, most), Some(once));
            }
        }

        #[test]
        fn an_international_number_has_only_digits(any in "[0-9 +()-]{0,25}") {
            if let Some(number) = phone_e164(&any, Some("DE")) {
                prop_assert!(number.starts_with('+') && number[1..].bytes().all(|b| b.is_ascii_digit()));
                prop_assert_eq!(phone_e164(&number, None), Some(number));
            }
        }
    }
}

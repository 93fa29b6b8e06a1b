//! Text as strangers send it, made fit to keep.

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

#[cfg(test)]
mod tests {
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
}

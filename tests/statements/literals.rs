//! The string literals of a Rust source.

/// One string literal.
pub(super) struct Literal {
    /// The line on which it starts, from 1.
    pub line: usize,
    /// The code before it on the way back to the last string or comment, without white space.
    pub before: String,
    /// What it says; of the escapes only the quote, the backslash and the line's end are undone.
    pub text: String,
}

/// Every string literal of `source`, in order.
pub(super) fn literals(source: &str) -> Vec<Literal> {
    let mut found = Vec::new();
    let mut before = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = &rest[rest.find("*/").map_or(rest.len(), |end| end + 2)..];
        } else if let Some(length) = char_literal(rest) {
            rest = &rest[length..];
        } else if let Some((text, length)) = string(rest, &before) {
            found.push(Literal {
                line: source[..source.len() - rest.len()].matches('\n').count() + 1,
                before: std::mem::take(&mut before),
                text,
            });
            rest = &rest[length..];
        } else {
            if !first.is_whitespace() {
                before.push(first);
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// The length of a character literal that `rest` starts with; a lifetime is none.
fn char_literal(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if inner.starts_with('\\') {
        return Some(inner[2..].find('\'')? + 4);
    }
    let first = inner.chars().next()?.len_utf8();
    inner[first..].starts_with('\'').then_some(first + 2)
}

/// The text and length of a string literal that `rest` starts with.
fn string(rest: &str, before: &str) -> Option<(String, usize)> {
    let in_a_word = before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !in_a_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let inner = raw[hashes..].strip_prefix('"')?;
        let end = inner.find(&format!("\"{}", "#".repeat(hashes)))?;
        return Some((inner[..end].to_owned(), 1 + hashes + 1 + end + 1 + hashes));
    }
    let inner = rest.strip_prefix('"')?;
    let mut text = String::new();
    let mut characters = inner.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((text, place + 2)),
            '\\' => match characters.next()?.1 {
                '\n' => text.push(' '),
                escaped => text.push(escaped),
            },
            other => text.push(other),
        }
    }
    None
}

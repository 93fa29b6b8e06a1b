//! What a job title says about who decides.

use super::profile::TitlePoints;

/// How much somebody of that title decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// No title given.
    None,
    /// Any title that is none of the others.
    Other,
    /// Decides with others.
    Head,
    /// Decides alone.
    Chief,
}

const CHIEF: [&str; 22] = [
    "ceo",
    "cfo",
    "chief",
    "chro",
    "cio",
    "ciso",
    "cmo",
    "cofounder",
    "coo",
    "cpo",
    "cro",
    "cso",
    "cto",
    "founder",
    "inhaber",
    "owner",
    "president",
    "proprietor",
    "superintendent",
    "chairman",
    "chairwoman",
    "geschäftsführer",
];
const HEAD: [&str; 12] = [
    "vp",
    "svp",
    "evp",
    "avp",
    "director",
    "principal",
    "head",
    "leiter",
    "leiterin",
    "vice-president",
    "headmaster",
    "headmistress",
];
/// In front of a chief's title they make it that of a head.
const DEPUTIES: [&str; 5] = [
    "assistant",
    "associate",
    "deputy",
    "vice",
    "stellvertretender",
];

/// The rank of a title.
pub fn rank(title: &str) -> Rank {
    let lower = title.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !(c.is_alphanumeric() || c == '-'))
        .filter(|word| !word.is_empty())
        .collect();
    let mut best = if words.is_empty() {
        Rank::None
    } else {
        Rank::Other
    };
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        // "Assistant to the CEO" and "office of the president" name somebody else.
        if matches!(*word, "to" | "of")
            && words[..at]
                .iter()
                .any(|w| matches!(*w, "assistant" | "office" | "secretary"))
        {
            break;
        }
        let found = if CHIEF.contains(word) || *word == "co-founder" {
            if DEPUTIES.contains(&before) {
                Rank::Head
            } else {
                Rank::Chief
            }
        } else if HEAD.contains(word) {
            Rank::Head
        } else {
            continue;
        };
        best = best.max(found);
    }
    best
}

/// The points a profile gives for a title.
pub(super) fn title_points(points: TitlePoints, title: Option<&str>) -> i32 {
    match title.map_or(Rank::None, rank) {
        Rank::Chief => points.chief,
        Rank::Head => points.head,
        Rank::Other => points.other,
        Rank::None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_tell_who_decides() {
        let cases = [
            ("CEO", Rank::Chief),
            ("Chief Technology Officer", Rank::Chief),
            ("Co-Founder & CTO", Rank::Chief),
            ("Superintendent of Schools", Rank::Chief),
            ("President", Rank::Chief),
            ("Owner", Rank::Chief),
            ("Vice President, Sales", Rank::Head),
            ("VP Engineering", Rank::Head),
            ("Assistant Superintendent", Rank::Head),
            ("Director of Curriculum", Rank::Head),
            ("Principal", Rank::Head),
            ("Head of Growth", Rank::Head),
            ("Executive Assistant to the CEO", Rank::Other),
            ("Teacher", Rank::Other),
            ("Director and Owner", Rank::Chief),
            ("  ", Rank::None),
        ];
        for (title, expected) in cases {
            assert_eq!(rank(title), expected, "{title}");
        }
    }
}

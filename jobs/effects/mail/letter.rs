//! A mail as bytes: the same bytes on every attempt.

use domain::clock::Timestamp;
use domain::id::MessageId;
use domain::normalise;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

/// Longest name or subject, in characters.
const LONGEST_LINE: usize = 200;

/// A mail to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The row of the ledger that it comes from.
    pub message: MessageId,
    /// Its Message-ID, in angle brackets.
    pub message_id: String,
    /// The recipient's name.
    pub to_name: Option<String>,
    /// The recipient's address.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// For people who read text.
    pub text: String,
    /// For everybody else.
    pub html: String,
    /// The Message-ID that it answers.
    pub in_reply_to: Option<String>,
    /// The thread that it belongs to, oldest first.
    pub references: Vec<String>,
    /// When it was written.
    pub date: Timestamp,
}

/// Why no server can be given a letter.
#[derive(Debug, thiserror::Error)]
pub(super) enum LetterError {
    #[error("the address is not one that mail can be sent to")]
    Address,
    #[error("the mail cannot be put together")]
    Format(#[from] lettre::error::Error),
}

/// What goes over the wire.
pub(super) struct Written {
    pub(super) to: Address,
    pub(super) bytes: Vec<u8>,
}

impl Letter {
    /// The bytes of this letter from `from`.
    pub(super) fn write(
        &self,
        from: &Mailbox,
        idempotency_header: Option<&str>,
    ) -> Result<Written, LetterError> {
        let to: Address = self.to.trim().parse().map_err(|_| LetterError::Address)?;
        let name = self.to_name.as_deref().map(one_line);
        let name = name.filter(|name| !name.is_empty());

        let mut builder = Message::builder()
            .from(from.clone())
            .to(Mailbox::new(name, to.clone()))
            .subject(one_line(&self.subject))
            .date(self.date.into())
            .message_id(Some(self.message_id.clone()))
            .raw_header(raw("Auto-Submitted", "auto-generated"));
        if let Some(id) = &self.in_reply_to {
            builder = builder.in_reply_to(one_line(id));
        }
        if !self.references.is_empty() {
            builder = builder.references(one_line(&self.references.join(" ")));
        }
        if let Some(header) = idempotency_header {
            builder = builder.raw_header(raw(header, &self.message.to_string()));
        }
        let parts = MultiPart::alternative()
            .boundary(format!("part-{}", self.message.uuid().simple()))
            .singlepart(SinglePart::plain(self.text.clone()))
            .singlepart(SinglePart::html(self.html.clone()));
        let bytes = builder.multipart(parts)?.formatted();
        Ok(Written { to, bytes })
    }
}

/// `text` as one line of bounded length: what stands in a header can neither end it nor start another.
pub fn one_line(text: &str) -> String {
    let line = normalise::one_line(text);
    line.chars().take(LONGEST_LINE).collect()
}

/// Whether a header may be called that.
pub(super) fn is_header_name(name: &str) -> bool {
    let printable = name.bytes().all(|b| b.is_ascii_graphic());
    printable && HeaderName::new_from_ascii(name.to_owned()).is_ok()
}

fn raw(name: &str, value: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii(name.to_owned());
    // Names are constants or were checked when the settings were read.
    let name = name.unwrap_or_else(|_| HeaderName::new_from_ascii_str("X-Leadmill"));
    HeaderValue::new(name, one_line(value))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn letter() -> Letter {
        Letter {
            message: MessageId::from(uuid::Uuid::from_u128(7)),
            message_id: "<7@leadmill.example>".into(),
            to_name: Some("Ada Lovelace".into()),
            to: "ada@example.test".into(),
            subject: "A new lead".into(),
            text: "Hello\n".into(),
            html: "<p>Hello</p>".into(),
            in_reply_to: None,
            references: Vec::new(),
            date: DateTime::from_timestamp(1_900_000_000, 0).unwrap(),
        }
    }

    fn written(letter: &Letter) -> String {
        let from: Mailbox = "Leadmill <leadmill@example.com>".parse().unwrap();
        let written = letter.write(&from, Some("Resend-Idempotency-Key")).unwrap();
        String::from_utf8(written.bytes).unwrap()
    }

    fn header_names(mail: &str) -> Vec<&str> {
        let head = mail.split("\r\n\r\n").next().unwrap();
        let lines = head
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']));
        lines.map(|line| line.split(':').next().unwrap()).collect()
    }

    #[test]
    fn the_same_letter_is_the_same_bytes() {
        insta::assert_snapshot!(written(&letter()).replace('\r', ""), @r#"
        From: Leadmill <leadmill@example.com>
        To: "Ada Lovelace" <ada@example.test>
        Subject: A new lead
        Date: Sun, 17 Mar 2030 17:46:40 +0000
        Message-ID: <7@leadmill.example>
        Auto-Submitted: auto-generated
        Resend-Idempotency-Key: 00000000-0000-0000-0000-000000000007
        MIME-Version: 1.0
        Content-Type: multipart/alternative;
         boundary="part-00000000000000000000000000000007"

        --part-00000000000000000000000000000007
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 7bit

        Hello

        --part-00000000000000000000000000000007
        Content-Type: text/html; charset=utf-8
        Content-Transfer-Encoding: 7bit

        <p>Hello</p>
        --part-00000000000000000000000000000007--
        "#);
        assert_eq!(written(&letter()), written(&letter()));
    }

    #[test]
    fn nothing_in_a_name_or_a_subject_starts_a_header() {
        let plain = written(&letter());
        let hostile = written(&Letter {
            to_name: Some("Ada\r\nBcc: all@example.test\r\n\r\nBody".into()),
            subject: "New\nX-Evil: 1\u{2028}\u{85}lead".into(),
            in_reply_to: None,
            ..letter()
        });

        assert_eq!(header_names(&hostile), header_names(&plain));
        assert_eq!(
            hostile.matches("\r\n\r\n").count(),
            plain.matches("\r\n\r\n").count()
        );
    }

    #[test]
    fn an_address_that_is_none_is_told_before_anything_is_connected() {
        for to in [
            "",
            "ada",
            "ada@",
            "a\r\nRCPT TO:<b@c>@d",
            "ada@example.test>, <eve@example.test",
            "a b@c.d",
        ] {
            let letter = Letter {
                to: to.into(),
                ..letter()
            };
            let from: Mailbox = "leadmill@example.com".parse().unwrap();
            assert!(letter.write(&from, None).is_err(), "{to}");
        }
    }

    #[test]
    fn lines_are_short_and_ascii_whatever_the_letter_holds() {
        let long = written(&Letter {
            subject: "Grüße ✓ ".repeat(100),
            text: "ä".repeat(5_000),
            html: "x".repeat(50_000),
            ..letter()
        });

        assert!(long.is_ascii());
        assert!(long.split("\r\n").all(|line| line.len() <= 998));
    }
}

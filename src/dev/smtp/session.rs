//! One client's conversation.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Shared, Trouble};

/// RFC 5321 §4.5.3.1: a command line is 512 bytes, and extensions add to it.
const LONGEST_LINE: usize = 2_048;
/// The largest message that is taken.
const LARGEST: usize = 25 << 20;
/// RFC 5321 §4.5.3.1.8: the fewest recipients a server must take.
const MOST_RECIPIENTS: usize = 100;
/// RFC 5321 §4.5.3.2.7: how long to wait for a command.
const PATIENCE: Duration = Duration::from_secs(300);

/// The mail being given.
#[derive(Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
}

pub(super) async fn run(stream: TcpStream, shared: Arc<Shared>) {
    let mut session = Session {
        stream: BufReader::new(stream),
        shared,
        greeted: false,
        envelope: Envelope::default(),
    };
    // A client that breaks off is no matter of ours.
    let _ = tokio::time::timeout(PATIENCE, session.converse()).await;
}

struct Session {
    stream: BufReader<TcpStream>,
    shared: Arc<Shared>,
    greeted: bool,
    envelope: Envelope,
}

impl Session {
    async fn converse(&mut self) -> io::Result<()> {
        self.say("220 leadmill dev mail sink").await?;
        while let Some(line) = self.line().await? {
            let Ok(line) = String::from_utf8(line) else {
                self.say("500 a command is text").await?;
                continue;
            };
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" if !rest.is_empty() => {
                    self.greeted = true;
                    self.envelope = Envelope::default();
                    let size = format!("250 SIZE {LARGEST}");
                    self.say("250-leadmill\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-PIPELINING")
                        .await?;
                    self.say(&size).await?;
                }
                "HELO" if !rest.is_empty() => {
                    self.greeted = true;
                    self.envelope = Envelope::default();
                    self.say("250 leadmill").await?;
                }
                "EHLO" | "HELO" => self.say("501 say who you are").await?,
                "NOOP" => self.say("250 ok").await?,
                "RSET" => {
                    self.envelope = Envelope::default();
                    self.say("250 ok").await?;
                }
                "QUIT" => return self.say("221 bye").await,
                "MAIL" => self.mail(rest).await?,
                "RCPT" => self.recipient(rest).await?,
                "DATA" => {
                    if !self.data().await? {
                        return Ok(());
                    }
                }
                "VRFY" => self.say("252 send it and see").await?,
                "STARTTLS" | "AUTH" => self.say("502 not here").await?,
                _ => self.say("500 no such command").await?,
            }
        }
        Ok(())
    }

    async fn mail(&mut self, rest: &str) -> io::Result<()> {
        if !self.greeted {
            return self.say("503 greet first").await;
        }
        if self.envelope.from.is_some() {
            return self.say("503 a mail is being given already").await;
        }
        match path(rest, "FROM:") {
            Some(from) if size(rest) > LARGEST => {
                drop(from);
                self.say("552 too large").await
            }
            Some(from) => {
                self.envelope.from = Some(from);
                self.say("250 ok").await
            }
            None => self.say("501 MAIL FROM:<address>").await,
        }
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<()> {
        if self.envelope.from.is_none() {
            return self.say("503 MAIL first").await;
        }
        let Some(to) = path(rest, "TO:").filter(|to| !to.is_empty()) else {
            return self.say("501 RCPT TO:<address>").await;
        };
        if self.envelope.to.len() == MOST_RECIPIENTS {
            return self.say("452 too many recipients").await;
        }
        let trouble = self
            .shared
            .take_trouble(|trouble| matches!(trouble, Trouble::Refuse(_)));
        if let Some(Trouble::Refuse(code)) = trouble {
            return self.say(&format!("{code} <{to}> not for now")).await;
        }
        self.envelope.to.push(to);
        self.say("250 ok").await
    }

    /// `false`: the connection is to end.
    async fn data(&mut self) -> io::Result<bool> {
        if self.envelope.to.is_empty() {
            self.say("503 RCPT first").await?;
            return Ok(true);
        }
        self.say("354 end with a dot").await?;
        let mut raw = Vec::new();
        let mut too_large = false;
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(false);
            }
            if line == b".\r\n" || line == b".\n" {
                break;
            }
            let line = line.strip_prefix(b".").unwrap_or(&line);
            too_large |= raw.len() + line.len() > LARGEST;
            if !too_large {
                raw.extend_from_slice(line);
            }
        }
        let Envelope { from, to } = std::mem::take(&mut self.envelope);
        if too_large {
            self.say("552 too large").await?;
            return Ok(true);
        }
        let number = self.shared.keep(from.unwrap_or_default(), to, raw);
        let hang_up = |trouble: &Trouble| *trouble == Trouble::HangUpAfterDot;
        if self.shared.take_trouble(hang_up).is_some() {
            return Ok(false);
        }
        self.say(&format!("250 kept as {number}")).await?;
        Ok(true)
    }

    /// A line without its end; none when the client has gone. A line that is too long is none that we know.
    async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
        let read = (&mut self.stream)
            .take(most)
            .read_until(b'\n', &mut line)
            .await?;
        if read == 0 {
            return Ok(None);
        }
        while line.last().is_some_and(u8::is_ascii_whitespace) {
            line.pop();
        }
        Ok(Some(line))
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream
            .write_all(format!("{text}\r\n").as_bytes())
            .await
    }
}

/// The address between angle brackets behind `what`.
fn path(rest: &str, what: &str) -> Option<String> {
    let head = rest.get(..what.len())?;
    if !head.eq_ignore_ascii_case(what) {
        return None;
    }
    let rest = rest[what.len()..].trim_start().strip_prefix('<')?;
    let (address, _) = rest.split_once('>')?;
    Some(address.to_owned())
}

/// What the client says of the message's size.
fn size(rest: &str) -> usize {
    let said = rest.split(' ').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.eq_ignore_ascii_case("SIZE").then_some(value)
    });
    said.and_then(|said| said.parse().ok()).unwrap_or(0)
}

//! Standard output. A reader who has seen enough, such as `head`, ends a command, and that is no mistake.

use std::fmt::Display;
use std::io::{self, Write};

use super::Failure;

/// Prints a line.
pub(super) fn line(text: impl Display) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Prints a text that has its own end of line.
pub(super) fn text(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    Ok(out.flush()?)
}

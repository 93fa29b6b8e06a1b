//! Why a command ended badly, and the exit code that says so (the ones of sysexits.h).

use std::fmt::Display;
use std::process::ExitCode;

use crate::config::Mistake;
use crate::database::DatabaseError;

const USAGE: u8 = 64;
const UNAVAILABLE: u8 = 69;
const SOFTWARE: u8 = 70;
const CONFIG: u8 = 78;

/// A message for people and a code for scripts.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    lines: Vec<String>,
}

impl Failure {
    /// The command was asked for something that makes no sense.
    pub fn usage(message: impl Display) -> Self {
        Self::one(USAGE, message)
    }

    /// Something that the command needs is not there, the database for one.
    pub fn unavailable(message: impl Display) -> Self {
        Self::one(UNAVAILABLE, message)
    }

    /// Settings or templates cannot be used as they are.
    pub fn config(message: impl Display) -> Self {
        Self::one(CONFIG, message)
    }

    /// Something went wrong of which nothing else is known.
    pub fn software(error: &anyhow::Error) -> Self {
        Self::one(SOFTWARE, format!("{error:#}"))
    }

    /// The settings have these mistakes.
    pub fn mistakes(mistakes: &[Mistake]) -> Self {
        Self {
            code: CONFIG,
            lines: mistakes.iter().map(Mistake::to_string).collect(),
        }
    }

    fn one(code: u8, message: impl Display) -> Self {
        Self {
            code,
            lines: vec![message.to_string()],
        }
    }

    /// Tells it on standard error.
    pub fn report(self) -> ExitCode {
        for line in &self.lines {
            eprintln!("error: {line}");
        }
        ExitCode::from(self.code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<DatabaseError>() {
            Ok(error) => Self::from(error),
            Err(error) => Self::software(&error),
        }
    }
}

/// Prints what clap has to say: help on standard output, mistakes on standard error.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    if error.print().is_err() {
        return ExitCode::from(SOFTWARE);
    }
    if error.use_stderr() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

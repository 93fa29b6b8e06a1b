//! Why a command ended badly, and the exit code that says so (the ones of sysexits.h).

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use queue::admin::Refused;

use crate::config::Mistake;
use crate::database::DatabaseError;
use crate::listen::ListenError;
use crate::web::outage::is_outage;

const FINE: u8 = 0;
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

    /// A database that is away or cannot write just now, if that is at the bottom of it, else who knows what.
    pub fn outage_or_software(error: &anyhow::Error) -> Self {
        let refused = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<sqlx::Error>());
        match refused {
            Some(refused) if is_outage(refused) => Self::unavailable(format!("{error:#}")),
            _ => Self::software(error),
        }
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
        let mut out = io::stderr().lock();
        for line in &self.lines {
            // If nobody reads it, the code has to do.
            let _ = writeln!(out, "error: {line}");
        }
        ExitCode::from(self.code)
    }
}

impl From<Refused> for Failure {
    /// Of a job or a batch that cannot be dealt with as it was asked.
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Database(error) => anyhow::Error::new(error).into(),
            refused => Self::usage(refused),
        }
    }
}

impl From<io::Error> for Failure {
    /// Of a write to standard output: one that nobody reads any more ends the command well.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self {
                code: FINE,
                lines: Vec::new(),
            }
        } else {
            Self::one(SOFTWARE, format!("cannot write: {error}"))
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<DatabaseError>() {
            Ok(error) => return Self::from(error),
            Err(error) => error,
        };
        let missing = error.downcast_ref::<postgres::Error>();
        match missing.filter(|missing| missing.is_unavailable()) {
            Some(missing) => Self::unavailable(missing),
            None => match error.downcast_ref::<ListenError>() {
                Some(taken) => Self::unavailable(taken),
                None => Self::outage_or_software(&error),
            },
        }
    }
}

/// Prints what clap has to say: help on standard output, mistakes on standard error.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    if let Err(error) = error.print() {
        return Failure::from(error).report();
    }
    if error.use_stderr() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

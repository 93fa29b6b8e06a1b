//! `leadmill completions`: what a shell needs to complete our command line.

use clap_complete::Shell;

use super::{Failure, say};

/// Arguments of `leadmill completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that is to read the script
    shell: Shell,
}

pub(super) fn run(args: &Args, command: &mut clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "leadmill", &mut script);
    say::text(String::from_utf8_lossy(&script))
}

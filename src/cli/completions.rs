//! `leadmill completions`: what a shell needs to complete our command line.

use clap_complete::Shell;

/// Arguments of `leadmill completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that is to read the script
    shell: Shell,
}

pub(super) fn run(args: &Args, command: &mut clap::Command) {
    clap_complete::generate(args.shell, command, "leadmill", &mut std::io::stdout());
}

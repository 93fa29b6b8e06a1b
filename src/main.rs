//! One binary, every process role.

use std::process::ExitCode;

fn main() -> ExitCode {
    leadmill::cli::main()
}

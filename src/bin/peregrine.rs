//! The trader and everything around it; `peregrine --help` lists the commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    peregrine::runtime::cli::main()
}

//! The journal inspector as a program of its own: the commands of `peregrine journal`.

use std::process::ExitCode;

fn main() -> ExitCode {
    peregrine::runtime::cli::journal_main()
}

//! The command line.

pub mod args;

pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}

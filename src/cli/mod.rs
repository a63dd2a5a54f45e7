//! The command line.

pub mod args;
pub mod errors;

pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}

//! The command line: parse, do, print, exit.
//!
//! [`args`] is what may be typed; each command's own part is in the module of its name.

mod accept;
pub mod args;
mod beginning;
mod commands;
mod ctl;
mod definitions;
pub mod errors;
mod guarded;
mod halt;
mod keys;
mod log;
mod output;
mod reaper;
mod settling;
mod since;
mod start;
mod steering;
mod taking_back;
mod terminal;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Cli, Command};
use crate::ops::exit::{Exit, Kind};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors.
            let code = if error.use_stderr() { Kind::Usage.code() } else { 0 };
            output::said_of_the_command_line(&error);
            return ExitCode::from(code);
        }
    };
    panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let trace = Backtrace::capture();
        let trace = if trace.status() == BacktraceStatus::Captured { format!("\n{trace}") } else { String::new() };
        output::said(&format!("thread '{}' {panic}{trace}", thread.name().unwrap_or("?")));
    }));
    let output = output::Output::new(&cli.global);
    // A panic is a bug of ours, which has an exit code of its own; the hook has already said where it was.
    let ended = panic::catch_unwind(AssertUnwindSafe(|| run(cli, &output))).unwrap_or_else(|_| Err(broken()));
    let code = match ended {
        Ok(0) if output::is_lost() => Kind::Environment.code(),
        Ok(code) => code,
        Err(exit) => {
            log::flush();
            output.error(&exit);
            exit.kind.code()
        }
    };
    log::ended(code);
    ExitCode::from(code)
}

fn broken() -> Exit {
    Exit::new(Kind::Internal, "Lifeboat itself failed")
        .hint("please report the lines above; `lifeboat runs` tells whether a run was left, `lifeboat abort RUN` takes it back")
}

fn run(cli: Cli, output: &output::Output) -> Result<u8, Exit> {
    let global = &cli.global;
    log::start(global.verbose)?;
    if let Some(folder) = &global.directory {
        let failed = |error: std::io::Error| Exit::new(Kind::Usage, format!("-C {}: {error}", folder.display()));
        std::env::set_current_dir(folder).map_err(failed)?;
    }
    match cli.command {
        Command::Drill(args) => start::drill(&args, global, output),
        Command::Execute(args) => start::execute(&args, global, output),
        Command::Plan(args) => start::plan(&args, global, output),
        Command::Resume(args) => {
            let how = start::How::GoOn { approve: &args.approve, patience: args.patience, overrides: &args.overrides };
            start::recover(&args.recover, &how, global, output)
        }
        Command::Abort(args) => {
            let from_marks = args.from_marks.then_some(args.env.as_deref());
            start::recover(&args.recover, &start::How::TakeBack { yes_because: args.yes_because.as_deref(), from_marks }, global, output)
        }
        Command::Accept(args) => accept::accept(&args, global, output),
        Command::Approve(args) => guarded::approve(&args, global, output),
        Command::Reaper(args) => reaper::reaper(&args, global, output),
        Command::Ctl(args) => ctl::ctl(&args, global, output),
        Command::Halt(args) => halt::halt(&args, global, output),
        Command::Release(args) => halt::release(&args, global, output),
        Command::Lab(args) => start::lab(&args, output),
        Command::Validate(args) => definitions::validate(&args, output),
        Command::Report(args) => commands::report(&args, global, output),
        Command::Samples(args) => commands::samples(&args, global, output),
        Command::Runs => commands::runs(global, output),
        Command::Actions(args) => definitions::actions(&args, output),
        Command::Schema(args) => definitions::schema(&args, output),
        Command::Completions(args) => commands::completions(&args, output),
    }
}

//! Which lines of the log are wanted, as `-v` and the variable `LIFEBOAT_LOG` say it.
//!
//! `-v` speaks of Lifeboat's own lines, `-vvv` of everybody's. The variable's directives are added: of Lifeboat itself whoever wants more is heard, so a
//! variable that stays set takes nothing from a `-v` that is typed, and of a library its own directive counts, so `hyper=off` quiets one beside `-vvv`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::model::diagnostic::{Diagnostic, Source, nearest};
use crate::ops::exit::{Exit, Kind};
use crate::ops::variables::LOG;

/// How Lifeboat's own lines begin.
const OWN: &str = "lifeboat";
/// What a level is called.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is wanted; `None` when nothing is.
///
/// # Errors
/// When a directive of the variable is none, with its place.
pub(super) fn wanted(verbose: u8, variable: Option<&OsStr>) -> Result<Option<Targets>, Exit> {
    let text = variable.map(OsStr::to_string_lossy).unwrap_or_default();
    let (mut usual, mut named) = directives(&text).map_err(refused)?;
    let own = match verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    if verbose > 0 {
        let written = named.get(OWN).copied().unwrap_or(usual);
        named.insert(OWN.to_owned(), own.max(written));
    }
    if own == LevelFilter::TRACE {
        usual = LevelFilter::TRACE;
    }
    let is_silent = named.values().all(|level| *level == LevelFilter::OFF) && usual == LevelFilter::OFF;
    Ok((!is_silent).then(|| Targets::new().with_default(usual).with_targets(named)))
}

/// The level for everything, and those for what begins with a name.
fn directives(text: &str) -> Result<(LevelFilter, BTreeMap<String, LevelFilter>), Diagnostic> {
    let source = Source::new(LOG, text);
    let (mut usual, mut named) = (LevelFilter::OFF, BTreeMap::new());
    let mut from = 0;
    for directive in text.split(',') {
        let (name, level) = directive.split_once('=').map_or((None, directive), |(name, level)| (Some(name), level));
        let at = from + (directive.len() - level.len());
        let read = Level { source: &source, at, text: level };
        match name.map(str::trim) {
            // A comma too many says nothing.
            None if level.trim().is_empty() => {}
            None => usual = read.level()?,
            Some("") => {
                return Err(Diagnostic::new(&source, from..at, "there is no name before `=`").hint("write `TARGET=LEVEL`, such as `lifeboat=debug`"));
            }
            Some(name) => {
                named.insert(name.to_owned(), read.level()?);
            }
        }
        from += directive.len() + 1;
    }
    Ok((usual, named))
}

/// What should be a level, and where it stands.
struct Level<'a> {
    source: &'a Arc<Source>,
    at: usize,
    text: &'a str,
}

impl Level<'_> {
    fn level(&self) -> Result<LevelFilter, Diagnostic> {
        let word = self.text.trim();
        if let Some(known) = LEVELS.iter().find(|known| known.eq_ignore_ascii_case(word)) {
            return Ok(known.parse().expect("the names of the levels are the library's"));
        }
        let start = self.at + (self.text.len() - self.text.trim_start().len());
        let hint = match nearest(&word.to_ascii_lowercase(), LEVELS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write a level ({}), or `TARGET=LEVEL`, such as `lifeboat=debug`", LEVELS.join(", ")),
        };
        Err(Diagnostic::new(self.source, start..start + word.len(), format!("`{word}` is no level")).hint(hint))
    }
}

fn refused(problem: Diagnostic) -> Exit {
    Exit { diagnostics: vec![problem], ..Exit::new(Kind::Usage, format!("{LOG} cannot be understood; nothing was done")) }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter as Is;

    use super::*;

    fn levels(verbose: u8, variable: &str) -> Option<[Is; 3]> {
        let targets = wanted(verbose, Some(OsStr::new(variable))).unwrap()?;
        let named: BTreeMap<&str, Is> = targets.iter().collect();
        let usual = targets.default_level().unwrap_or(Is::OFF);
        Some(["lifeboat", "hyper", "other"].map(|name| named.get(name).copied().unwrap_or(usual)))
    }

    #[test]
    fn the_option_and_the_variable_add_up() {
        for (verbose, variable, expected) in [
            (0, "", None),
            (0, "off", None),
            (0, "lifeboat=off,", None),
            (1, "", Some([Is::INFO, Is::OFF, Is::OFF])),
            (2, "", Some([Is::DEBUG, Is::OFF, Is::OFF])),
            (3, "", Some([Is::TRACE, Is::TRACE, Is::TRACE])),
            (9, "hyper=off", Some([Is::TRACE, Is::OFF, Is::TRACE])),
            (0, "debug", Some([Is::DEBUG, Is::DEBUG, Is::DEBUG])),
            (0, "lifeboat=trace, hyper=INFO", Some([Is::TRACE, Is::INFO, Is::OFF])),
            (1, "lifeboat=trace", Some([Is::TRACE, Is::OFF, Is::OFF])),
            (1, "warn", Some([Is::INFO, Is::WARN, Is::WARN])),
        ] {
            assert_eq!(levels(verbose, variable), expected, "-v {verbose} times, `{variable}`");
        }
    }

    #[test]
    fn a_directive_that_is_none_is_refused_with_its_place() {
        for (variable, place, about) in [
            ("debgu", "LIFEBOAT_LOG:1:1", "did you mean `debug`?"),
            ("info, lifeboat = loud", "LIFEBOAT_LOG:1:18", "write a level (off, error, warn, info, debug, trace)"),
            ("切换=debug,=info", "LIFEBOAT_LOG:1:10", "write `TARGET=LEVEL`"),
            ("lifeboat", "LIFEBOAT_LOG:1:1", "such as `lifeboat=debug`"),
            ("hyper=", "LIFEBOAT_LOG:1:7", "write a level"),
        ] {
            let exit = wanted(1, Some(OsStr::new(variable))).unwrap_err();
            let problem = &exit.diagnostics[0];
            assert_eq!((exit.kind, problem.to_string().starts_with(place)), (Kind::Usage, true), "{variable}: {problem}");
            assert!(problem.hint.as_deref().is_some_and(|hint| hint.contains(about)), "{variable}: {problem:?}");
        }
    }
}

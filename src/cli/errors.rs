//! temp
use crate::model::diagnostic::Diagnostic;
use crate::ops::exit::{Exit, Kind};

pub fn definitions(found: &[Diagnostic]) -> Exit {
    let mut exit = Exit::new(Kind::Definitions, format!("{} problems", found.len()));
    for one in found {
        exit.causes.push(format!("{one} {}", one.hint.as_deref().unwrap_or("")));
    }
    exit
}

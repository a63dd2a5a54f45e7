//! Variables that were set on the command line and that nobody uses: a typing error in an emergency must not pass in silence.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::exit::{Exit, Kind};
use super::run::DefinitionFile;
use crate::model::diagnostic::suggest;

/// Refuses a name in `set` that is none of the environment's variables (`own`) and that no file of the plan mentions as `vars.NAME`.
///
/// # Errors
/// [`Kind::Usage`] with the nearest name there is.
pub fn check(set: &Map<String, Value>, own: &Map<String, Value>, files: &[DefinitionFile]) -> Result<(), Exit> {
    if set.is_empty() {
        return Ok(());
    }
    let texts: Vec<_> = files.iter().map(|file| String::from_utf8_lossy(&file.bytes)).collect();
    let known: BTreeSet<&str> = own.keys().map(String::as_str).chain(texts.iter().flat_map(|text| mentioned(text))).collect();
    let Some(name) = set.keys().find(|name| !known.contains(name.as_str())) else { return Ok(()) };
    let shown: String = name.chars().take(64).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let hint = suggest(name, known.iter().copied(), "variables").unwrap_or_else(|| "the files name them as `vars.NAME`".to_owned());
    Err(Exit::new(Kind::Usage, format!("--set {shown}: nobody uses a variable of this name; nothing was changed")).hint(hint))
}

/// Every NAME of `vars.NAME` and `vars["NAME"]` in a text.
fn mentioned(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("vars").filter_map(|(at, word)| {
        if text[..at].ends_with(is_name) {
            return None;
        }
        let rest = text[at + word.len()..].trim_start();
        let name = match rest.strip_prefix('.') {
            Some(rest) => rest,
            None => rest.strip_prefix('[')?.trim_start().strip_prefix(['"', '\''])?,
        };
        let end = name.find(|c| !is_name(c)).unwrap_or(name.len());
        (end > 0).then(|| &name[..end])
    })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_file_mentions_is_refused_with_what_is_near() {
        let files =
            [DefinitionFile { path: "a.yaml".into(), bytes: b"x: ${{ vars.image }} ${{ vars['sync_job'] }} ${{ myvars.no }}\nvars:\n".to_vec() }];
        let own: Map<String, Value> = serde_json::from_str(r#"{"zone":"example.com."}"#).unwrap();
        let said = |name: &str| {
            let set = Map::from_iter([(name.to_owned(), Value::Null)]);
            check(&set, &own, &files).map_err(|exit| (exit.kind, exit.hint.unwrap_or_default()))
        };
        for known in ["image", "sync_job", "zone"] {
            assert_eq!(said(known), Ok(()));
        }
        assert_eq!(said("imagee"), Err((Kind::Usage, "did you mean `image`?".to_owned())));
        assert_eq!(said("no"), Err((Kind::Usage, "variables: image, sync_job, zone".to_owned())));
    }
}

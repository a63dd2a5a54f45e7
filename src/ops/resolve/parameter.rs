//! Parameters, held against what an action or a probe makes of them.

use serde_json::Value;

use super::value::Evaluated;
use super::{Resolver, Site};
use crate::engine::action::ParamError;
use crate::engine::secrets;
use crate::model::yaml::Seg;
use crate::ops::words::explain;

impl<W: Send + Sync> Resolver<'_, W> {
    /// Whether a secret stands where it would decide something, and says so. The parameters `with` stand at `site` under `with`.
    pub(super) fn is_misplaced(&mut self, allowed: &[&str], with: &Value, site: &Site, word: &str) -> bool {
        let words = self.words;
        let Some(way) = secrets::misplaced(allowed, with, &|uses| words.probe(uses).ok().map(|row| row.secrets)) else { return false };
        let hint = match allowed {
            [] => format!("`{word}` takes no secret; write what it is, or a variable that holds no reference"),
            some => format!("`{word}` takes one under {}", some.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        };
        self.say(site.under(&[Seg::from("with")]).under(&way).problem(secrets::MISPLACED).hint(hint));
        true
    }

    /// Says what is wrong with `with`, whose parameters stand at `site` under `with`.
    pub(super) fn say_parameter(&mut self, error: &ParamError, with: &Evaluated, schema: &Value, site: &Site, word: &str) {
        let bad = explain(error, &with.check, schema);
        // An example has at most the right type: no other rule can be held against it.
        if !bad.path.is_empty()
            && !bad.on_key
            && let Some(typed) = with.example(&bad.path)
            && !(bad.is_type && typed)
        {
            return;
        }
        let at = site.under(&[Seg::from("with")]).under(&bad.path);
        let problem = if bad.on_key { at.key_problem(bad.message) } else { at.problem(bad.message) };
        self.say(problem.hint(format!("`lifeboat actions {word}` explains the parameters")).maybe_hint(bad.hint));
    }
}

//! What waits for what: ids, `needs`, cycles.

use std::collections::{BTreeMap, BTreeSet};

use super::{Resolver, Site};
use crate::model::diagnostic::suggest;
use crate::model::ids::is_name;
use crate::model::runbook::StepFile;
use crate::model::yaml::way;
use crate::ops::project::bad_id;

impl<W: Send + Sync> Resolver<'_, W> {
    /// Checks ids and `needs` of the steps at `site`; whether they can be put in an order.
    pub(super) fn check_order(&mut self, steps: &[StepFile], site: &Site) -> bool {
        let before = self.problems.len();
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, step) in steps.iter().enumerate() {
            let at = site.under(&way![index, "id"]);
            if !is_name(&step.id) {
                self.say(bad_id(at.problem(format!("`{}` cannot be the id of a step", step.id))));
            }
            if let Some(other) = first.get(step.id.as_str()) {
                let (line, _) = at.file.doc.source.position(at.file.doc.value_at(&site.under(&way![*other, "id"]).path).start);
                self.say(
                    at.problem(format!("the id `{}` is here twice", step.id))
                        .hint(format!("the first one is on line {line}; ids are unique in a runbook")),
                );
            }
            first.entry(&step.id).or_insert(index);
        }
        for (index, step) in steps.iter().enumerate() {
            for (number, need) in step.needs.iter().enumerate() {
                let at = site.under(&way![index, "needs", number]);
                if need == &step.id {
                    self.say(at.problem(format!("the step `{need}` needs itself")).hint("remove it"));
                } else if !first.contains_key(need.as_str()) {
                    let known = steps.iter().map(|step| step.id.as_str()).filter(|id| *id != step.id);
                    let hint = suggest(need, known, "steps here");
                    self.say(at.problem(format!("there is no step `{need}`")).maybe_hint(hint));
                }
            }
        }
        if self.problems.len() > before {
            return false;
        }
        if let Some(cycle) = find_cycle(steps) {
            let (last, need) = (cycle[cycle.len() - 2], cycle[cycle.len() - 1]);
            let index = first.get(last).copied().unwrap_or(0);
            let number = steps[index].needs.iter().position(|found| found == need).unwrap_or(0);
            let problem = site.under(&way![index, "needs", number]).problem(format!("steps wait for each other: {}", cycle.join(" -> ")));
            self.say(problem.hint("read `->` as `needs`; take one of these needs out"));
            return false;
        }
        true
    }
}

/// A circle of needs, its first step again at the end.
fn find_cycle(steps: &[StepFile]) -> Option<Vec<&str>> {
    let needs: BTreeMap<&str, &[String]> = steps.iter().map(|step| (step.id.as_str(), step.needs.as_slice())).collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for step in steps {
        // Depth first without recursion: a runbook may have thousands of steps in a row.
        let mut trail: Vec<(&str, usize)> = vec![(&step.id, 0)];
        let mut on_trail: BTreeSet<&str> = BTreeSet::from([step.id.as_str()]);
        while let Some((id, next)) = trail.last_mut() {
            let need = needs.get(id).and_then(|all| all.get(*next)).map(String::as_str);
            *next += 1;
            match need {
                None => {
                    done.insert(id);
                    on_trail.remove(id);
                    trail.pop();
                }
                Some(need) if on_trail.contains(need) => {
                    let start = trail.iter().position(|(id, _)| *id == need).unwrap_or(0);
                    let mut cycle: Vec<&str> = trail[start..].iter().map(|(id, _)| *id).collect();
                    cycle.push(need);
                    return Some(cycle);
                }
                Some(need) if done.contains(need) => {}
                Some(need) => {
                    on_trail.insert(need);
                    trail.push((need, 0));
                }
            }
        }
    }
    None
}

//! Which probes a plan has: those of its files, and those that are named somewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::value::Scope;
use super::{Resolver, Site};
use crate::model::diagnostic::suggest;
use crate::model::ids::is_name;
use crate::model::plan::{CloserPlan, ProbePlan};
use crate::model::time::Span;
use crate::model::written::ProbeFile;
use crate::model::yaml::{Seg, way};
use crate::ops::project::{NO_PROJECT, bad_id};

/// A probe as found in a file, with what its expressions may use.
#[derive(Clone, Debug)]
pub(super) struct Found {
    probe: ProbeFile,
    site: Site,
    scope: Scope,
}

/// A place that names a probe.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    id: String,
    site: Site,
    on_key: bool,
}

/// The shortest time between two samples: shorter ones measure the machine they run on.
const SHORTEST: Span = Span::from_millis(10);

impl<W: Send + Sync> Resolver<'_, W> {
    /// Takes the probes of a file into the pool; the first of a name stays.
    pub(super) fn collect_probes(
        &mut self,
        probes: &BTreeMap<String, ProbeFile>,
        site: &Site,
        parameters: &Map<String, Value>,
        open: &BTreeSet<String>,
    ) {
        for (id, probe) in probes {
            let site = site.under(&way![id]);
            if !is_name(id) {
                self.say(bad_id(site.key_problem(format!("`{id}` cannot be the name of a probe"))));
            }
            let scope = Scope { parameters: parameters.clone(), open: open.clone(), ..Scope::default() };
            self.pool.entry(id.clone()).or_insert_with(|| Found { probe: probe.clone(), site, scope });
        }
    }

    /// Notes that the value at `site` names the probe `id`.
    pub(super) fn mention(&mut self, id: &str, site: Site) {
        self.mentions.push(Mention { id: id.to_owned(), site, on_key: false });
    }

    /// Notes that the key at `site` names the probe `id`.
    pub(super) fn mention_key(&mut self, id: &str, site: Site) {
        self.mentions.push(Mention { id: id.to_owned(), site, on_key: true });
    }

    /// Notes the probes of the list at `site`.
    pub(super) fn mention_all(&mut self, ids: &[String], site: &Site) {
        if ids.is_empty() {
            self.say(site.problem("name at least one probe").hint("probes are written under `probes:`, here or in lifeboat.yaml"));
        }
        for (index, id) in ids.iter().enumerate() {
            if ids[..index].contains(id) {
                self.say(site.under(&way![index]).problem(format!("the probe `{id}` is here twice")).hint("keep one of them"));
            }
            self.mention(id, site.under(&way![index]));
        }
    }

    /// The probes of the plan, in order of their ids. Everything that names a probe has been noted before.
    pub(super) fn probe_plans(&mut self) -> Vec<ProbePlan> {
        if let Some(file) = self.project.loaded.clone() {
            let probes = &self.project.settings.probes;
            self.collect_probes(probes, &Site::new(&file, &way!["probes"]), &Map::new(), &BTreeSet::new());
        }
        let mut ids = self.own_probes.clone();
        let (known, unknown): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.mentions).into_iter().partition(|mention| self.pool.contains_key(&mention.id));
        ids.extend(known.into_iter().map(|mention| mention.id));
        // Where there is no project file, all of them have one reason, which is told once.
        let bare = self.project.loaded.is_none() && self.pool.is_empty();
        let others = unknown.iter().map(|mention| mention.id.as_str()).collect::<BTreeSet<_>>().len().saturating_sub(1);
        for mention in unknown.iter().take(if bare { 1 } else { usize::MAX }) {
            let more = match others {
                1 if bare => ", nor another one that is named here".to_owned(),
                2.. if bare => format!(", nor {others} others that are named here"),
                _ => String::new(),
            };
            let message = format!("there is no probe `{}`{more}", mention.id);
            let problem = if mention.on_key { mention.site.key_problem(message) } else { mention.site.problem(message) };
            let hint = if bare {
                Some(format!("{NO_PROJECT}, where shared probes are written, was found in {} or above it", self.project.root.display()))
            } else {
                suggest(&mention.id, self.pool.keys().map(String::as_str), "probes")
            };
            self.say(problem.maybe_hint(hint));
        }
        ids.iter().filter_map(|id| self.probe_plan(id)).collect()
    }

    fn probe_plan(&mut self, id: &str) -> Option<ProbePlan> {
        let Found { probe, site, scope } = self.pool.get(id)?.clone();
        if probe.every < SHORTEST {
            self.say(
                site.under(&way!["every"]).problem(format!("{} is too short; the shortest is {SHORTEST}", probe.every)).hint("200ms to 5s is usual"),
            );
        }
        if let Some(closer) = &probe.while_bad {
            let site = site.under(&way!["while_bad", "every"]);
            if closer.every < SHORTEST {
                self.say(site.problem(format!("{} is too short; the shortest is {SHORTEST}", closer.every)).hint("10ms to 100ms is usual"));
            } else if closer.every >= probe.every {
                self.say(
                    site.problem(format!("{} is no closer than every {}", closer.every, probe.every))
                        .hint("make it shorter, or leave `while_bad` out"),
                );
            }
        }
        for (name, count) in [("bad_after", probe.bad_after), ("good_after", probe.good_after)] {
            if !(1..=1000).contains(&count) {
                self.say(site.under(&way![name]).problem(format!("{count} is out of range")).hint("1 to 1000"));
            }
        }
        let row = match self.words.probe(&probe.uses) {
            Ok(row) => row,
            Err((message, hint)) => {
                self.say(site.under(&way!["uses"]).problem(message).maybe_hint(hint));
                return None;
            }
        };
        let with = self.evaluate(&site.under(&way!["with"]), &scope);
        if with.is_refused || self.is_misplaced(row.secrets, &with.plan, &site, row.kind) {
            return None;
        }
        let parsed = match (row.parse)(&with.check) {
            Ok(parsed) => parsed,
            Err(error) => {
                let schema = Value::from((row.schema)());
                self.say_parameter(&error, &with, &schema, &site, row.kind);
                return None;
            }
        };
        Some(ProbePlan {
            id: id.to_owned(),
            title: probe.title.0,
            uses: probe.uses,
            with: if with.plan.is_null() { Value::Object(Map::new()) } else { with.plan },
            every: probe.every,
            while_bad: probe.while_bad.map(|closer| CloserPlan { every: closer.every, budget: closer.budget }),
            timeout: Span::from(parsed.timeout()),
            bad_after: probe.bad_after,
            good_after: probe.good_after,
            service: probe.service.unwrap_or(row.service),
            on_duty: parsed.is_on_duty(),
            clients: parsed.clients(),
        })
    }

    /// Notes the probes that the parameters of a step name: the parameter `probe`, and the list `probes`.
    pub(super) fn mention_parameters(&mut self, with: &super::value::Evaluated, site: &Site) {
        let site = site.under(&[Seg::from("with")]);
        let known = |path: &[Seg]| with.example(path).is_none();
        if let Some(Value::String(id)) = with.check.get("probe")
            && known(&way!["probe"])
        {
            self.mention(id, site.under(&way!["probe"]));
        }
        if let Some(Value::Array(ids)) = with.check.get("probes") {
            for (index, id) in ids.iter().enumerate() {
                if let (Value::String(id), true) = (id, known(&way!["probes", index])) {
                    self.mention(id, site.under(&way!["probes", index]));
                }
            }
        }
    }
}

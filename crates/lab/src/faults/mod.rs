//! Hostility on demand: rules by which the vendor endpoints misbehave, at the wire, so that clients and runs can be rehearsed against it.
//!
//! A rule ([`FaultRule`]) says which calls, when, and what goes wrong. `sighting` finds out what a request asks for, this file decides
//! whether a rule fires, `strike` carries it out, with `refusal` for the vendors' words, `line` for connections that are reset and `during`
//! for what the services themselves see differently while one call is looked at. Time is real time here: whatever the world's time scale,
//! clients wait in seconds of their own.

pub(super) mod during;
mod line;
mod refusal;
mod sighting;
mod strike;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lifeboat_notation::lab::{Count, Effect, FaultRule, Trouble};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use self::sighting::Sighting;
use super::world::World;

pub(super) use sighting::Vendor;
pub(super) use strike::serve;

/// How many worlds of the past are kept for stale answers.
const PAST: usize = 64;

/// How old the state is that stale answers tell of, unless the rule says it.
const AGE: Duration = Duration::from_secs(5);

/// The rules in force, in the order in which they were given.
#[derive(Debug, Default)]
pub struct Faults {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rules: Vec<Active>,
    /// The world before each change, oldest first; kept while there is a rule for stale answers.
    past: VecDeque<(Instant, Arc<World>)>,
}

/// A rule and what came of it so far.
#[derive(Debug)]
struct Active {
    rule: FaultRule,
    given: Instant,
    luck: StdRng,
    /// Calls that it is about.
    seen: u64,
    /// Calls that it spoilt.
    fired: u64,
    /// Of expired credentials: the key that was shown first.
    expired: Option<String>,
}

/// What is to be done to one call.
#[derive(Debug)]
struct Strike {
    rule: FaultRule,
    /// For a stale answer: the world it tells of.
    past: Option<Arc<World>>,
}

impl Faults {
    /// With these rules to begin with.
    #[must_use]
    pub fn new(rules: Vec<FaultRule>) -> Self {
        let faults = Self::default();
        faults.add(rules);
        faults
    }

    /// Puts further rules behind those that are in force.
    pub fn add(&self, rules: Vec<FaultRule>) {
        let active = rules.into_iter().map(|rule| Active {
            luck: StdRng::seed_from_u64(rule.seed),
            rule,
            given: Instant::now(),
            seen: 0,
            fired: 0,
            expired: None,
        });
        self.lock().rules.extend(active);
    }

    /// Ends all rules.
    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }

    /// Every rule with how many calls it was about (`seen`) and how many it spoilt (`fired`).
    #[must_use]
    pub fn view(&self) -> Value {
        let rules = self.lock();
        let rows = rules.rules.iter().map(|active| {
            let mut row = json!(active.rule);
            row["seen"] = json!(active.seen);
            row["fired"] = json!(active.fired);
            row
        });
        Value::Array(rows.collect())
    }

    fn is_idle(&self) -> bool {
        self.lock().rules.is_empty()
    }

    /// What the first rule that fires wants done to a call.
    fn meet(&self, call: &Sighting) -> Option<Strike> {
        let mut inner = self.lock();
        let Inner { rules, past } = &mut *inner;
        rules.iter_mut().find_map(|active| {
            let past = match active.rule.does {
                Trouble::Stale => Some(as_of(past, active.rule.age.map_or(AGE, |age| age.duration()))?),
                _ => None,
            };
            active.fires(call).then(|| Strike { rule: active.rule.clone(), past })
        })
    }

    /// To be called before every call that may change something: keeps the world as it is, if anybody will ask for it.
    fn remember(&self, world: &World) {
        let mut inner = self.lock();
        if inner.rules.iter().any(|active| active.rule.does == Trouble::Stale) {
            if inner.past.len() == PAST {
                inner.past.pop_front();
            }
            inner.past.push_back((Instant::now(), Arc::new(world.copy())));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Rules are whole after any panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The world as it was `age` ago: as it was kept before the first change since then. None when nothing was changed since.
fn as_of(past: &VecDeque<(Instant, Arc<World>)>, age: Duration) -> Option<Arc<World>> {
    past.iter().find(|(at, _)| at.elapsed() <= age).map(|(_, world)| Arc::clone(world))
}

impl Active {
    /// Whether this call is spoilt. Counts, and draws lots only for calls that the rule is about.
    fn fires(&mut self, call: &Sighting) -> bool {
        let rule = &self.rule;
        let is_about = rule.cloud.is_none_or(|cloud| cloud == call.cloud)
            && rule.region.as_ref().is_none_or(|region| *region == call.region)
            && rule.only.is_none_or(|effect| effect == call.effect)
            && fits(&rule.calls, &format!("{}:{}", call.service, call.operation))
            && match rule.does {
                Trouble::Stale => call.effect == Effect::Reads,
                Trouble::Partial => call.instances.len() > 1,
                Trouble::ExpiredCredentials => self.expired.as_ref().is_none_or(|key| *key == call.key),
                _ => true,
            };
        if !is_about || rule.within.is_some_and(|within| self.given.elapsed() > within.duration()) {
            return false;
        }
        self.seen += 1;
        let is_left = match rule.count {
            Count::Times(times) => self.fired < u64::from(times),
            Count::Forever => true,
        };
        let fires = self.seen > u64::from(rule.skip) && is_left && (rule.probability >= 1.0 || self.luck.random::<f64>() < rule.probability);
        if fires {
            self.fired += 1;
            self.expired.get_or_insert_with(|| call.key.clone());
        }
        fires
    }
}

/// Whether a text is what a pattern says; `*` stands for any number of any characters.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => {
            text.strip_prefix(start).is_some_and(|text| text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(rest, &text[at..])))
        }
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_notation::lab::Cloud;

    use super::*;

    fn call(name: &str) -> Sighting {
        Sighting::example(Cloud::Aws, name)
    }

    fn fired(rule: FaultRule, calls: &[&str]) -> Vec<bool> {
        let faults = Faults::new(vec![rule]);
        calls.iter().map(|name| faults.meet(&call(name)).is_some()).collect()
    }

    #[test]
    fn patterns_stand_for_calls() {
        for (pattern, text, expected) in [
            ("*", "ec2:StopInstances", true),
            ("ec2:Stop*", "ec2:StopInstances", true),
            ("ec2:*", "s3:GetObject", false),
            ("*:Describe*", "vpc:DescribeVpcs", true),
            ("ec2:*Instances", "ec2:StopInstances", true),
            ("ec2:*Instances", "ec2:StopInstance", false),
            ("ec2:Stop", "ec2:StopInstances", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_rule_skips_counts_and_leaves_other_calls_alone() {
        let rule = FaultRule { calls: "ec2:Stop*".into(), skip: 1, count: Count::Times(2), ..FaultRule::new(Trouble::Denied) };
        let calls = ["ec2:StopInstances", "ec2:StartInstances", "ec2:StopInstances", "ec2:StopInstances", "ec2:StopInstances"];
        assert_eq!(fired(rule.clone(), &calls), [false, false, true, true, false]);
        let other_cloud = FaultRule { cloud: Some(Cloud::Aliyun), ..rule.clone() };
        assert_eq!(fired(other_cloud, &calls), [false; 5]);
        let reads = FaultRule { only: Some(Effect::Reads), calls: "*".into(), skip: 0, ..rule };
        assert_eq!(fired(reads, &["ec2:StopInstances", "ec2:DescribeInstances"]), [false, true]);
    }

    #[test]
    fn equal_seeds_draw_equal_fates() {
        let rule = |seed| FaultRule { probability: 0.5, seed, count: Count::Forever, ..FaultRule::new(Trouble::Throttle) };
        let fates = |seed| fired(rule(seed), &["ec2:StopInstances"; 64]);
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
        assert!(fates(7).contains(&true) && fates(7).contains(&false));
    }

    #[test]
    fn credentials_stay_expired_until_others_are_shown() {
        let faults = Faults::new(vec![FaultRule { count: Count::Forever, ..FaultRule::new(Trouble::ExpiredCredentials) }]);
        let with = |key: &str| Sighting { key: key.to_owned(), ..call("ec2:StopInstances") };
        assert!(faults.meet(&with("A")).is_some() && faults.meet(&with("A")).is_some());
        assert!(faults.meet(&with("B")).is_none());
        assert_eq!(faults.view()[0]["fired"], 2);
    }
}

//! From guards and facts to decisions, one for each guard that is written. Pure: the same facts give the same decisions.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{AccountFact, Answer, Approval, Carries, Confirmed, Facts, Guards, NeighbourFact, TargetFact, Voucher};
use super::file::{ActionLists, Approvals, RegionLists};
use super::{Decision, Guard, Outcome, Override};
use crate::model::plan::Mode;
use crate::model::time::Span;

/// Good, or the objection.
type Opinion = Result<String, String>;

/// How each guard decides, in their order; guards that are not written say nothing.
#[must_use]
pub fn evaluate(guards: &Guards, facts: &Facts) -> Vec<Decision> {
    let file = &guards.file;
    let mut decisions: Vec<Decision> = account(facts).into_iter().collect();
    let mut say = |guard: Guard, said: Option<Opinion>| decisions.extend(said.map(|said| decided(guard, said, facts)));
    say(Guard::Approvals, file.approvals.as_ref().map(|wanted| approvals(wanted, facts)));
    say(Guard::Windows, (!file.windows.is_empty()).then(|| windows(guards, facts)));
    say(Guard::Freeze, file.freeze.as_ref().map(|_| freeze(guards, facts)));
    say(Guard::Actions, file.actions.as_ref().map(|lists| actions(lists, facts)));
    say(Guard::Regions, file.regions.as_ref().map(|lists| regions(lists, facts)));
    say(Guard::Tags, (!file.tags.is_empty()).then(|| tags(guards, facts)));
    say(Guard::MaxTargets, file.max_targets.map(|most| max_targets(most, facts)));
    say(Guard::MaxFault, file.max_fault.map(|longest| max_fault(longest, facts)));
    say(Guard::MaxFaults, file.max_faults.map(|most| max_faults(most, facts)));
    say(Guard::Overlap, (!facts.neighbours.is_empty()).then(|| overlap(facts)));
    say(Guard::Confirm, file.confirm.map(|_| confirm(facts)));
    decisions
}

fn decided(guard: Guard, said: Opinion, facts: &Facts) -> Decision {
    let (outcome, detail) = match said {
        Ok(detail) => (Outcome::Allows, detail),
        Err(detail) if facts.mode == Mode::Emergency && guard.may_be_overridden(facts.mode) => (Outcome::Warns, detail),
        Err(detail) => (Outcome::Refuses, detail),
    };
    let why = facts.overrides.of.get(&guard).or(facts.overrides.all.as_ref());
    let overridden = why
        .filter(|_| outcome != Outcome::Allows && guard.may_be_overridden(facts.mode))
        .map(|why| Override { by: facts.starter.me.name.clone(), why: why.clone() });
    Decision { guard: guard.name().to_owned(), outcome, detail, overridden }
}

/// In an emergency a cloud that cannot say whose account it is refuses nothing: it may be the one that fails.
fn account(facts: &Facts) -> Option<Decision> {
    let emergency = facts.mode == Mode::Emergency;
    let mut good = Vec::new();
    let mut silent = Vec::new();
    let mut bad = Vec::new();
    let has_other = |cloud| {
        let can_act = |fact: &&AccountFact| fact.cloud != cloud && fact.is_needed && !matches!(fact.answer, Answer::NoCredentials(_));
        facts.accounts.iter().any(|fact| can_act(&fact))
    };
    for AccountFact { cloud, meant, answer, is_needed } in &facts.accounts {
        match (answer, meant) {
            (Answer::Is(found), Some(meant)) if found == meant => good.push(format!("{cloud} {found}")),
            (Answer::Is(found), Some(meant)) => {
                bad.push(format!("the credentials for {cloud} belong to account {found}, the environment names {meant}"));
            }
            // The other cloud's steps go on; those of this one fail and are said.
            (Answer::NoCredentials(why), _) if *is_needed && emergency && has_other(*cloud) => silent.push(format!("{cloud}: {why}")),
            (Answer::NoCredentials(why), _) if *is_needed => bad.push(format!("{cloud}: {why}")),
            (_, None) if facts.is_real && !emergency => bad.push(format!("the environment names no account for {cloud}")),
            (_, None) => {}
            (Answer::Silent(why) | Answer::NoCredentials(why), Some(_)) if emergency => {
                silent.push(format!("the {cloud} account cannot be checked: {why}"));
            }
            (Answer::Silent(why) | Answer::NoCredentials(why), Some(_)) => bad.push(format!("the {cloud} account cannot be checked: {why}")),
            (Answer::NotAsked, Some(meant)) => good.push(format!("{cloud} {meant}, not asked")),
        }
    }
    if !bad.is_empty() {
        return Some(decided(Guard::Account, Err(bad.join("; ")), facts));
    }
    if !silent.is_empty() {
        let overridden = Override { by: "lifeboat".into(), why: "in an emergency the cloud that is silent may be the one that fails".into() };
        let guard = Guard::Account.name().to_owned();
        return Some(Decision { guard, outcome: Outcome::Warns, detail: silent.join("; "), overridden: Some(overridden) });
    }
    (!good.is_empty()).then(|| decided(Guard::Account, Ok(good.join(", ")), facts))
}

fn approvals(wanted: &Approvals, facts: &Facts) -> Opinion {
    let mut counted = BTreeMap::new();
    let mut not = Vec::new();
    for approval in &facts.approvals {
        match objection(approval, wanted, facts) {
            // Names are distinct among the users of a system and among the approvers of an environment: ids and keys of one person may be several.
            None => drop(counted.insert(approval.who.name.clone(), &approval.voucher)),
            Some(why) => not.push(format!("{} ({why})", approval.who.name)),
        }
    }
    let word = |(name, voucher): (&String, &&Voucher)| match voucher {
        Voucher::Key(fingerprint) => format!("{name} (signed with {fingerprint})"),
        _ => name.clone(),
    };
    let names: Vec<String> = counted.iter().map(word).collect();
    let by = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    let uncounted = if not.is_empty() { String::new() } else { format!("; not counted: {}", some(&not)) };
    let said = format!("{} of {} approvals by other people{by}{uncounted}", names.len(), wanted.count);
    if names.len() >= wanted.count as usize { Ok(said) } else { Err(said) }
}

/// Why an approval does not count.
fn objection(approval: &Approval, wanted: &Approvals, facts: &Facts) -> Option<String> {
    let Approval { who, voucher, at, until, differs } = approval;
    let last = wanted.deadline.map_or(*until, |deadline| at.plus(deadline.duration()).min(*until));
    if let Voucher::Nobody(why) = voucher {
        Some(why.clone())
    } else if !differs.is_empty() {
        Some(format!("approved something else: {}", differs.join("; ")))
    } else if facts.starter.is(approval) {
        Some("whoever starts the run cannot approve it".into())
    } else if !wanted.of.is_empty() && !wanted.of.contains(&who.name) {
        Some(format!("not one of {}", wanted.of.join(", ")))
    } else if *at > facts.now {
        Some("given in the future".into())
    } else if last <= facts.now {
        Some(format!("ran out at {}", last.to_utc().format("%Y-%m-%d %H:%M:%SZ")))
    } else {
        None
    }
}

fn windows(guards: &Guards, facts: &Facts) -> Opinion {
    let windows = &guards.file.windows;
    if let Some(open) = windows.iter().find(|window| window.contains(facts.now)) {
        return Ok(format!("inside {open}"));
    }
    let texts: Vec<String> = windows.iter().map(ToString::to_string).collect();
    // Which opens first, told by the clock of its own zone.
    let next = windows.iter().filter_map(|window| Some((window.next(facts.now)?, window.zone())));
    let next = next.min_by_key(|(open, zone)| open.and_local_timezone(*zone).earliest().map_or(i64::MAX, |open| open.timestamp()));
    let next = next.map(|(open, zone)| format!("; opens {} {}", open.format("%a %Y-%m-%d %H:%M"), zone.name())).unwrap_or_default();
    Err(format!("outside {}{next}", texts.join(" and ")))
}

fn freeze(guards: &Guards, facts: &Facts) -> Opinion {
    let held: Vec<String> = guards.freezes.iter().filter_map(|freeze| freeze.at(facts.now)).collect();
    if held.is_empty() { Ok(format!("none of {} holds", count(guards.freezes.len(), "freeze"))) } else { Err(some(&held)) }
}

fn actions(lists: &ActionLists, facts: &Facts) -> Opinion {
    let mut bad = Vec::new();
    for (step, word) in &facts.actions {
        if let Some(glob) = lists.deny.iter().find(|glob| glob.fits(word)) {
            bad.push(format!("{word} ({step}) is denied by {glob}"));
        } else if lists.allow.as_ref().is_some_and(|allow| !allow.iter().any(|glob| glob.fits(word))) {
            bad.push(format!("{word} ({step}) is not allowed"));
        }
    }
    if bad.is_empty() { Ok(format!("all {} may be used", count(facts.actions.len(), "action"))) } else { Err(some(&bad)) }
}

fn regions(lists: &RegionLists, facts: &Facts) -> Opinion {
    let mut bad = Vec::new();
    let mut seen = BTreeSet::new();
    for fact in &facts.regions {
        let step = if fact.step.is_empty() { "the environment" } else { &fact.step };
        let Some(allowed) = lists.of(fact.cloud) else { continue };
        match &fact.region {
            None => bad.push(format!("{step} names its region only during the run")),
            Some(region) if allowed.contains(region) => drop(seen.insert(region.as_str())),
            Some(region) => bad.push(format!("{step} is in {region}")),
        }
    }
    let seen: Vec<&str> = seen.into_iter().collect();
    if bad.is_empty() { Ok(if seen.is_empty() { "no region is named".to_owned() } else { seen.join(", ") }) } else { Err(some(&bad)) }
}

fn tags(guards: &Guards, facts: &Facts) -> Opinion {
    let wanted: Vec<String> = guards.file.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let wanted = wanted.join(" ");
    let mut bad = Vec::new();
    let mut carrying = 0;
    let mut without = BTreeSet::new();
    for TargetFact { step, target, carries } in &facts.targets {
        match carries {
            Carries::All => carrying += 1,
            Carries::NotAll => bad.push(format!("{target} ({step}) does not carry {wanted}")),
            Carries::Unread(why) => bad.push(format!("the tags of {target} cannot be read: {why}")),
            Carries::NoTags => drop(without.insert(target.kind.word())),
            Carries::Untold => bad.push(format!("nothing tells what {target} ({step}) acts on, nor whether that carries {wanted}")),
        }
    }
    bad.extend(facts.untold.iter().map(|step| format!("{step} cannot tell yet what it acts on")));
    let without: Vec<&str> = without.into_iter().collect();
    let without = if without.is_empty() { String::new() } else { format!("; of what cannot carry any: {}", without.join(", ")) };
    if bad.is_empty() { Ok(format!("{wanted} on {}{without}", count(carrying, "thing"))) } else { Err(some(&bad)) }
}

fn max_targets(most: u32, facts: &Facts) -> Opinion {
    // What is known only during the run may be any number of things.
    let known = facts.targets.len();
    let untold =
        if facts.untold.is_empty() { String::new() } else { format!(" at least, and {} cannot be counted before the run", some(&facts.untold)) };
    let said = format!("{} may be acted on{untold}; the most is {most}", count(known, "thing"));
    if known <= most as usize && facts.untold.is_empty() { Ok(said) } else { Err(said) }
}

fn max_fault(longest: Span, facts: &Facts) -> Opinion {
    let Some(fault) = &facts.fault else { return Ok("no fault is injected".into()) };
    let asked = [("limit", fault.limit), ("lease", fault.lease)];
    let over: Vec<String> = asked.iter().filter(|(_, span)| *span > longest).map(|(key, span)| format!("the fault's {key} is {span}")).collect();
    if over.is_empty() {
        Ok(format!("the fault stands {} at most", fault.limit))
    } else {
        Err(format!("{}; the longest is {longest}", over.join(", ")))
    }
}

fn max_faults(most: u32, facts: &Facts) -> Opinion {
    if facts.fault.is_none() {
        return Ok("no fault is injected".into());
    }
    let (open, unseen) = (&facts.open_faults, &facts.unseen_faults);
    let said = match open.as_slice() {
        [] if !unseen.is_empty() => "no other fault is known".to_owned(),
        [] => "no other fault stands".to_owned(),
        [run] => format!("the fault of run {run} may still stand"),
        several => format!("faults of runs {} may still stand", some(several)),
    };
    match (open.len() < most as usize, unseen.is_empty()) {
        (true, true) => Ok(said),
        (true, false) => Err(format!("{said}, but not all can be: {}", some(unseen))),
        (false, _) => Err(format!("{said}; the most at once is {most}")),
    }
}

fn overlap(facts: &Facts) -> Opinion {
    let named = |neighbour: &NeighbourFact| format!("run {}, which {}", neighbour.run, if neighbour.running { "goes on" } else { "was left" });
    let sharing: Vec<String> = facts
        .neighbours
        .iter()
        .filter(|neighbour| !neighbour.shared.is_empty())
        .map(|neighbour| format!("{}, acts on {} too", named(neighbour), some(&neighbour.shared)))
        .collect();
    if !sharing.is_empty() {
        return Err(some(&sharing));
    }
    let untold = if facts.untold.is_empty() { String::new() } else { format!(", as far as can be told before {}", some(&facts.untold)) };
    Ok(format!("nothing is shared with {}{untold}", some(&facts.neighbours.iter().map(named).collect::<Vec<_>>())))
}

fn confirm(facts: &Facts) -> Opinion {
    match &facts.confirmed {
        Confirmed::Given(name) if *name == facts.environment => Ok("the name was given".into()),
        Confirmed::Given(name) => Err(format!("`{}` was given as the name of {}", name.chars().take(64).collect::<String>(), facts.environment)),
        Confirmed::No => Err(format!("the name {} was not given", facts.environment)),
        Confirmed::Later => Ok(format!("asks for the name {}", facts.environment)),
    }
}

/// The first few of a list, and how many more.
fn some(all: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = all.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN { format!("{shown} and {} more", all.len() - SHOWN) } else { shown }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

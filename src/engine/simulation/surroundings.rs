//! What is around a run: registers that changes arrive at, samples, other people, a reaper.

use super::*;

impl Simulation {
    pub(super) fn lands(&mut self, register: &str, over: i64, value: i64) {
        if let Some(count) = self.under_way.get_mut(register) {
            *count = count.saturating_sub(1);
        }
        let foreign = self.registers.get(register) == Some(&FOREIGN);
        assert!(!foreign || [over, value].contains(&FOREIGN), "seed {}: {register} was overwritten", self.seed);
        if register == "fault" && value == 1 {
            assert!(self.marks.is_some(), "seed {}: the fault stands without marks", self.seed);
        }
        let was = self.registers.insert(register.to_owned(), value);
        if was != Some(value) {
            self.changed = self.now;
            self.broken |= self.story.fragile && register != "fault" && value == 0;
        }
    }

    pub(super) fn is_good(&self) -> bool {
        if self.broken {
            return false;
        }
        let led =
            self.story.plan.failover.steps.last().is_some_and(|last| registers_of(last).iter().any(|name| self.registers.get(name) == Some(&1)));
        self.registers.get("fault") == Some(&0) || led
    }

    pub(super) fn samples(&mut self, owner: usize, probe: usize) {
        if !self.owners[owner].lives || owner + 1 != self.owners.len() {
            return;
        }
        let Some(number) = self.owners[owner].watch[probe].send(0) else { return };
        let trouble = self.story.trouble.clone().filter(|(when, _)| probe == 1 && when.contains(&self.now));
        let good = match trouble {
            Some((_, is_blind)) => (!is_blind).then_some(false),
            None if self.chance(self.story.blindness) => None,
            None if probe == 1 => Some(true),
            None => Some(self.is_good()),
        };
        let (sent, answered) = (self.now, self.now + self.between(1, 900));
        self.at(answered, Happening::Answers { owner, probe, number, sent, good });
        let every = ms(self.story.plan.probes[probe].every.duration());
        self.at(self.now + every, Happening::Samples(owner, probe));
    }

    pub(super) fn answers(&mut self, owner: usize, probe: usize, number: u64, sent: Ms, good: Option<bool>) {
        let now = self.now;
        let own = &mut self.owners[owner];
        let at = |ms: Ms| own.clock.instant(Duration::from_millis(ms - own.began));
        let sample = match good {
            Some(true) => Sample::good("good"),
            Some(false) => Sample::bad("bad"),
            None => Sample::unknown("cannot tell"),
        };
        if probe == 0 && good == Some(true) {
            own.last_good = own.last_good.max(Some(sent));
        }
        let taken = Taken { sent: at(sent), done: at(now), late: false, sample };
        if let Some(report) = own.watch[probe].answered(number, taken, |_| {}).report {
            self.reports(owner, report);
        }
    }

    /// As the shell does with what the watch tells.
    pub(super) fn reports(&mut self, owner: usize, report: Report) {
        if !self.owners[owner].lives {
            return;
        }
        let Report { probe, events, standing } = report;
        for kind in events {
            if !self.record(owner, Body::Probe(ProbeEvent { probe: probe.clone(), kind })) {
                return;
            }
        }
        let own = &mut self.owners[owner];
        let Some(standing) = standing else { return };
        let standing = Standing::told(&standing, own.clock);
        if own.told.get(&probe) != Some(&standing) {
            own.told.insert(probe.clone(), standing.clone());
            self.feed(owner, Input::Probe(probe, standing));
        }
    }

    /// Before the fault: every stop condition is watched, and none holds.
    pub(super) fn assert_watched(&self, owner: usize) {
        for condition in &self.story.plan.stop_conditions {
            let told = self.owners[owner].told.get(&condition.probe);
            let is_well = told.is_some_and(|told| told.state == Some(ProbeState::Good) && told.good.is_some());
            assert!(is_well, "seed {}: injected although {} is {told:?}", self.seed, condition.probe);
        }
    }

    pub(super) fn guards(&mut self, owner: usize) {
        let refuses = Decision { guard: "windows".into(), outcome: Outcome::Refuses, detail: "closed by now".into(), overridden: None };
        let ruling = match self.between(0, 40) {
            0 => Ok(vec![refuses]),
            1 => Err("no answer".to_owned()),
            _ => Ok(Vec::new()),
        };
        self.owners[owner].leave = ruling.as_ref().is_ok_and(Vec::is_empty);
        self.feed(owner, Input::Guarded(ruling));
    }

    pub(super) fn renews(&mut self, owner: usize, until: Ms) {
        let result = if self.chance(self.story.hostility / 2) {
            Err(Failure { retry: true, ..Failure::new(FailureKind::Cloud, "throttled") })
        } else if self.marks.is_none() {
            Err(Failure::new(FailureKind::Conflict, "the marks are gone"))
        } else {
            // A renewal of an owner that is gone may still arrive: never later than what a living one wrote.
            self.marks = self.marks.max(Some(until));
            Ok(stamp(until))
        };
        self.feed(owner, Input::Renewed(result));
    }

    pub(super) fn meddles(&mut self) {
        let names: Vec<String> = self.registers.keys().filter(|name| *name != "fault").cloned().collect();
        let Some(name) = names.get(usize::try_from(self.between(0, names.len().max(1) as u64)).unwrap_or(0)) else { return };
        // Whoever changes something between another one's look and the arrival of its change is overwritten on every cloud.
        let busy = self.under_way.get(name).is_some_and(|count| *count > 0) || self.tasks.values().any(|task| task.register == *name);
        if busy {
            self.at(self.now + 100, Happening::Meddles);
        } else {
            self.registers.insert(name.clone(), FOREIGN);
            self.meddled = true;
        }
    }

    pub(super) fn reaps(&mut self) {
        if self.marks.is_some_and(|until| self.now > until + REAPER) && self.under_way.get("fault").is_none_or(|count| *count == 0) {
            self.registers.insert("fault".into(), 0);
            self.marks = None;
        }
        if !self.finished {
            self.at(self.now + 20_000, Happening::Reaps);
        }
    }
}

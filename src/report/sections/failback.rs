//! The way back and the state at the end.

use crate::model::event::run::Awaited;
use crate::model::measure::differs;
use crate::model::plan::{ProbeState, Stage};
use crate::report::document::{Block, Fact, Line};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::page::Page;

impl Page<'_> {
    /// When and how, or why not.
    pub(super) fn failback(&self) -> Vec<Block> {
        let began = self.state.stage_began(Stage::Failback);
        let why = match began {
            _ if self.is_emergency() => Err(Label::FailbackEmergency),
            _ if self.plan.leave => Err(Label::FailbackLeft),
            _ if self.plan.failback.is_none() => Err(Label::FailbackNone),
            None => Err(Label::FailbackNotReached),
            Some(began) => Ok(began),
        };
        let (mut blocks, mut facts) = (Vec::new(), Vec::new());
        match why {
            Ok(began) => {
                let ended = self.state.stage_ended(Stage::Failback).map_or_else(|| self.not_recorded(), |at| self.at_utc(at));
                facts.push(Fact::new("began", self.t(Label::FailbackFrom), self.at_utc(began).holding(Field::FailbackResult)));
                facts.push(Fact::new("ended", self.t(Label::FailbackTo), ended));
            }
            Err(why) => blocks.push(Block::Paragraph(Line::from(self.t(why)).holding(Field::FailbackResult))),
        }
        if self.plan.fault.is_some() {
            let known = if self.is_as_before() { self.word("as_before", Label::KnownYes) } else { self.word("not_reached", Label::KnownNo) };
            facts.push(Fact::new("known_state", self.t(Label::Known), known));
        }
        if !facts.is_empty() {
            blocks.push(Block::facts("failback", facts));
        }
        blocks
    }

    /// Whether the steady state was seen to hold at the end and everything reads as before the run.
    fn is_as_before(&self) -> bool {
        let is_good = |probe: &String| {
            let standing = self.state.probes.get(probe);
            standing.is_some_and(|standing| standing.is_current() && standing.raw == Some(ProbeState::Good))
        };
        let holds = self.plan.steady_state.as_ref().is_some_and(|steady| steady.probes.iter().all(is_good));
        let is_back = self.standing.is_empty() && differs(self.state).is_empty();
        self.state.ended.is_some() && holds && is_back && self.state.unseen(Awaited::Normal).is_none()
    }
}

//! The picture of where the requests went: the target's share over the run.

use super::svg::{ALARM, FAINT, INK, RULE, Svg, TextAnchor, width_of};
use super::timeline::{Axis, COLORS, LEFT, RIGHT};
use crate::model::measure::{ALL, share};
use crate::report::document::{Figure, text};
use crate::report::labels::Label;
use crate::report::numbers;
use crate::report::page::Page;

const TOP: f64 = 44.0;
const BOTTOM: f64 = 176.0;
/// Where the shares are written, left of the area.
const SCALE: f64 = 64.0;
/// What did not go to the target.
const REST: &str = "#eef2f6";

impl Page<'_> {
    /// When the target had which share, in parts of a million; empty when no probe reads it.
    fn shares(&self) -> Vec<(i64, u64)> {
        let standing = self.plan.traffic.as_ref().and_then(|id| self.state.probes.get(id));
        let readings = standing.map(|standing| standing.readings.as_slice()).unwrap_or_default();
        readings.iter().filter_map(|reading| Some((reading.done.as_nanos(), share(&reading.value)?))).collect()
    }

    /// Whether the share of the traffic is counted where users' requests are, by monitoring, and not of requests that Lifeboat sends.
    pub(in crate::report) fn counts_users(&self) -> bool {
        let probe = self.plan.traffic.as_ref().and_then(|id| self.probe_plan(id));
        probe.is_some_and(|probe| probe.uses == "prometheus" || probe.uses.ends_with(".metric"))
    }

    fn share_head(&self) -> &'static str {
        self.t(if self.counts_users() { Label::TrafficChart } else { Label::OwnChart })
    }

    /// What the picture shows, in words.
    fn share_words(&self) -> String {
        let head = self.share_head();
        let Some(traffic) = self.measures.traffic else { return head.to_owned() };
        let now = format!("{}{}", numbers::percent(traffic.last), numbers::percent_sign(self.lang));
        let took = self
            .measures
            .instants
            .moved
            .zip(self.measures.instants.shifted)
            .map(|(moved, acted)| numbers::length(moved.since(acted).likely, self.lang));
        let took = took
            .map(|took| format!(" · {}{}{took}", self.t(if self.counts_users() { Label::TrafficMoved } else { Label::OwnMoved }), self.colon()))
            .unwrap_or_default();
        format!("{head}{}{now}{took}", self.colon())
    }

    /// The target's share as an area, with the moments at which the change was accepted and the traffic had moved; none when no probe reads it.
    pub(in crate::report) fn share_of_traffic(&self) -> Option<Figure> {
        let shares = self.shares();
        let (first, last) = (shares.first()?.0, shares.last()?.0);
        let title = self.share_head();
        let mut svg = Svg::new(760, 240, title, &self.share_words());
        svg.bold((LEFT, 24.0), TextAnchor::Start, 14, INK, title);
        let time = Axis { from: self.start.at.as_nanos(), to: self.end().as_nanos(), left: SCALE, right: RIGHT };
        let y = |share: u64| BOTTOM - (BOTTOM - TOP) * (share as f64 / ALL as f64);
        svg.rect((time.x(first), TOP), (time.x(last) - time.x(first), BOTTOM - TOP), REST);
        // Between two readings the first one holds: nothing else is known.
        let mut outline = vec![(time.x(first), BOTTOM)];
        let mut before = BOTTOM;
        for (at, share) in &shares {
            outline.extend([(time.x(*at), before), (time.x(*at), y(*share))]);
            before = y(*share);
        }
        outline.push((time.x(last), BOTTOM));
        svg.area(&outline, COLORS[4]);
        self.time_axis(&mut svg, &time, (TOP, BOTTOM));
        for percent in [0, 50, 95, 100] {
            let y = y(percent * ALL / 100);
            svg.line(&[(SCALE, y), (RIGHT, y)], RULE, 1);
            // 95 and 100 would stand in each other.
            if percent != 95 {
                svg.text((SCALE - 6.0, y + 4.0), TextAnchor::End, 11, FAINT, &format!("{percent}{}", numbers::percent_sign(self.lang)));
            }
        }
        let instants = &self.measures.instants;
        let marks = [(instants.shifted, Label::EvShifted, ALARM), (instants.moved, Label::EvMoved, INK)];
        let mut x = LEFT;
        for (moment, label, color) in marks {
            let Some(moment) = moment else { continue };
            svg.rule(time.x(moment.likely.as_nanos()), (TOP, BOTTOM), color, true);
            let words = self.t(label);
            svg.rect((x, 219.0), (14.0, 4.0), color);
            svg.text((x + 20.0, 226.0), TextAnchor::Start, 11, INK, words);
            x += 20.0 + width_of(words, 11) + 22.0;
        }
        Some(Figure { name: "share", alt: text(&self.share_words()), svg: svg.finish() })
    }
}

//! Where the requests went: the picture of the target's share over the run, and how the change of DNS spread.

use std::fmt::Write;

use super::Page;
use super::chart::{Axis, COLORS, LEFT, RIGHT};
use super::fields::Field;
use super::labels::Label;
use super::markdown::{Align, Table, code, text};
use super::numbers;
use super::svg::{ALARM, Anchor, FAINT, INK, RULE, Svg};
use crate::model::interval::Length;
use crate::model::measure::{ALL, Propagation, share};

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
    pub(super) fn counts_users(&self) -> bool {
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

    /// The picture's alternative text, as Markdown; none when no probe reads the share.
    pub(super) fn share_alt(&self) -> Option<String> {
        (!self.shares().is_empty()).then(|| text(&self.share_words()))
    }

    /// The target's share as an area, with the moments at which the change was accepted and the traffic had moved; none when no probe reads it.
    pub(super) fn share(&self) -> Option<String> {
        let shares = self.shares();
        let (first, last) = (shares.first()?.0, shares.last()?.0);
        let title = self.share_head();
        let mut svg = Svg::new(760, 240, title, &self.share_words());
        svg.bold((LEFT, 24.0), Anchor::Start, 14, INK, title);
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
                svg.text((SCALE - 6.0, y + 4.0), Anchor::End, 11, FAINT, &format!("{percent}{}", numbers::percent_sign(self.lang)));
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
            svg.text((x + 20.0, 226.0), Anchor::Start, 11, INK, words);
            x += 20.0 + super::svg::width_of(words, 11) + 22.0;
        }
        Some(svg.finish())
    }

    /// Picture of the shift and the spread of DNS, in the section on availability.
    pub(super) fn traffic(&self, out: &mut String) {
        // Writing to a string cannot fail.
        if let Some(alt) = self.share_alt() {
            let _ = writeln!(out, "![{alt}]({})\n", self.file("share"));
        }
        for (id, propagation) in &self.measures.propagations {
            self.written.add(Field::MetricDns);
            let _ = writeln!(out, "**{}** {}\n", self.t(Label::DnsSpread), self.bracketed(&self.probe_name(id)).trim());
            let mut table = Table::new(&[(self.t(Label::DnsServer), Align::Left), (self.t(Label::DnsTook), Align::Right)]);
            for (server, took) in &propagation.servers {
                let value = took.map_or_else(|| format!("▲ {}", self.t(Label::DnsStale)), |took| numbers::interval(took, self.lang));
                table.row(&[code(server), value]);
            }
            out.push_str(&table.finish());
            let _ = writeln!(out, "{}\n\n{}\n", self.spread_words(propagation), self.t(Label::DnsRule));
        }
    }

    /// Percentiles, how many were late, and of how many.
    fn spread_words(&self, propagation: &Propagation) -> String {
        let shown = |took: Option<Length>| took.map_or_else(|| self.t(Label::DnsStale).to_owned(), |took| numbers::length(took.likely, self.lang));
        let percentiles = [50, 95, 100].map(|percent| shown(propagation.percentile(percent))).join(" / ");
        let mut words = vec![
            format!("{}{}{}", self.t(Label::DnsOf), self.colon(), propagation.servers.len()),
            format!("{}{}{percentiles}", self.t(Label::DnsSummary), self.colon()),
            format!("{}{}{}", self.t(Label::DnsStale), self.colon(), propagation.stale()),
        ];
        if let (Some(seconds), Some(beyond)) = (propagation.ttl_s, propagation.beyond_ttl()) {
            words.push(format!("{}{}{seconds} {}", self.t(Label::DnsTtl), self.colon(), self.t(Label::Seconds)));
            words.push(format!("{}{}{beyond}", self.t(Label::DnsBeyond), self.colon()));
        }
        words.join(" · ")
    }
}

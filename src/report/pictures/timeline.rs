//! Two pictures: the phases of the outage as one bar on a time axis, and the waterfall of the recovery time against its RTO.
//! Numbers stand in the picture's description and in the report's alternative text; no meaning is told by a colour alone.

use super::svg::{ALARM, FAINT, INK, RULE, Svg, TextAnchor, width_of};
use crate::model::interval::MILLISECOND;
use crate::model::measure::{PHASES, Split};
use crate::model::state::Status;
use crate::model::time::Timestamp;
use crate::report::document::{Figure, text};
use crate::report::labels::Label;
use crate::report::numbers;
use crate::report::page::Page;
use crate::report::sections::{phase_label, shown};

const WIDTH: f64 = 760.0;
pub(super) const LEFT: f64 = 16.0;
pub(super) const RIGHT: f64 = 744.0;
/// Colours of the phases; their numbers stand beside them.
pub(super) const COLORS: [&str; 5] = ["#2f6fb3", "#d17b0f", "#7a5ea8", "#0f7b8a", "#1a7f4b"];
const NUMBERS: [&str; 5] = ["1", "2", "3", "4", "5"];
/// Steps of an axis, milliseconds.
const STEPS: [i64; 22] = [
    10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000,
    21_600_000, 86_400_000,
];

/// A linear axis in nanoseconds.
pub(super) struct Axis {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) left: f64,
    pub(super) right: f64,
}

impl Axis {
    pub(super) fn x(&self, at: i64) -> f64 {
        let span = (self.to - self.from).max(1) as f64;
        self.left + (self.right - self.left) * ((at - self.from) as f64 / span).clamp(0.0, 1.0)
    }

    /// At most eight round values.
    pub(super) fn ticks(&self) -> Vec<i64> {
        let span = (self.to - self.from).max(1);
        let step = STEPS.iter().map(|step| step * MILLISECOND).find(|step| span / step <= 8).unwrap_or(span);
        let first = self.from.div_euclid(step) * step + if self.from.rem_euclid(step) == 0 { 0 } else { step };
        (0..=8).map(|index| first + index * step).take_while(|tick| *tick <= self.to).collect()
    }

    /// `12 s` or `2:30` on an axis of lengths.
    pub(super) fn label(&self, nanos: i64, seconds: &str) -> String {
        let millis = nanos / MILLISECOND;
        if self.to / MILLISECOND >= 120_000 {
            return format!("{}:{:02}", millis / 60_000, millis % 60_000 / 1000);
        }
        if millis % 1000 == 0 { format!("{} {seconds}", millis / 1000) } else { format!("{}.{:02} {seconds}", millis / 1000, millis % 1000 / 10) }
    }
}

impl Page<'_> {
    fn split(&self) -> Option<&Split> {
        self.measures.split.as_ref()
    }

    fn rto(&self) -> Option<i64> {
        let rto = self.plan.objectives.get(&self.split()?.probe)?.rto?;
        Some(i64::try_from(rto.as_millis()).unwrap_or(i64::MAX).saturating_mul(MILLISECOND))
    }

    fn target(&self, rto: i64) -> String {
        numbers::target(u64::try_from(rto / MILLISECOND).unwrap_or(0), self.lang)
    }

    /// The phases that were entered, with their numbers: `Detect 0.60 s, Decide 0.02 s, …`.
    fn parts(&self, split: &Split) -> Vec<String> {
        let unit = numbers::unit(split.total());
        PHASES
            .iter()
            .zip(shown(split))
            .take(split.entered)
            .map(|(phase, part)| format!("{} {}", self.t(phase_label(*phase)), numbers::length_in(part, unit, self.lang)))
            .collect()
    }

    fn list(&self, parts: &[String]) -> String {
        parts.join(self.comma())
    }

    /// What the timeline shows, in words.
    fn timeline_words(&self) -> String {
        let words = self.split().map_or_else(|| self.t(Label::NoOutageChart).to_owned(), |split| self.list(&self.parts(split)));
        format!("{}{}{words}", self.t(Label::TimelineChart), self.colon())
    }

    /// What the waterfall shows, in words.
    fn waterfall_words(&self) -> Option<String> {
        let split = self.split()?;
        let unit = numbers::unit(split.total());
        let rto = self.rto().map(|rto| format!(" / {} {}", self.t(Label::RtoLine), self.target(rto))).unwrap_or_default();
        let sum: Vec<String> = shown(split).iter().take(split.entered).map(|part| numbers::digits(*part, unit)).collect();
        let total = self.total(split);
        let total = if split.open {
            format!(" {}{}{}{}{total}", self.t(Label::Seconds), self.comma(), self.t(Label::DownMark), self.semicolon())
        } else {
            format!(" {total}")
        };
        Some(format!("{}{}{}{total}{rto}", self.t(Label::WaterfallChart), self.colon(), sum.join(" + ")))
    }

    /// `= 13.00 s`, or of what was not restored the time that is proved: `≥ 60.99 s`.
    fn total(&self, split: &Split) -> String {
        match split.proved {
            Some(proved) => format!("≥ {}", numbers::lower(proved, self.lang)),
            None => format!("= {}", numbers::length_in(split.total(), numbers::unit(split.total()), self.lang)),
        }
    }

    /// One bar over the time of the run: before, the phases, restored; marks for the fault, a line for the RTO.
    pub(in crate::report) fn timeline(&self) -> Figure {
        let title =
            format!("{}{}{} (UTC, {})", self.t(Label::TimelineChart), self.colon(), self.plan.title.get(self.lang), self.zones.offset(self.start.at));
        let mut svg = Svg::new(760, 206, &title, &self.timeline_words());
        svg.bold((LEFT, 24.0), TextAnchor::Start, 14, INK, &title);
        let (from, to) = self.window();
        let axis = Axis { from: from.as_nanos(), to: to.as_nanos(), left: LEFT, right: RIGHT };
        self.time_axis(&mut svg, &axis, (58.0, 120.0));
        match self.split() {
            Some(split) => self.bar(&mut svg, &axis, split),
            None => {
                svg.rect((LEFT, 66.0), (RIGHT - LEFT, 26.0), "#eef2f6");
                svg.text((f64::midpoint(LEFT, RIGHT), 83.0), TextAnchor::Middle, 11, FAINT, self.t(Label::NoOutageChart));
            }
        }
        self.fault_marks(&mut svg, &axis);
        Figure { name: "timeline", alt: text(&self.timeline_words()), svg: svg.finish() }
    }

    /// What the timeline covers: from shortly before the fault or the impact until the recovery was verified or given up, and the RTO if it is not far off.
    fn window(&self) -> (Timestamp, Timestamp) {
        let instants = &self.measures.instants;
        let begin = instants.impact.map(|impact| impact.lo).into_iter().chain(instants.fault.map(|fault| fault.lo)).min().unwrap_or(self.start.at);
        let restored = self.split().map(|split| Timestamp::from_nanos(split.begin.as_nanos() + split.total()));
        let end = instants.verified.map(|at| at.hi).or(restored).into_iter().chain(restored).max().unwrap_or_else(|| self.end()).max(begin);
        let span = end.nanos_since(begin).max(MILLISECOND);
        let limit = self.split().zip(self.rto()).map(|(split, rto)| split.begin.as_nanos().saturating_add(rto));
        // A limit far beyond what happened would leave nothing to see.
        let end =
            limit.filter(|limit| *limit - begin.as_nanos() <= span.saturating_mul(6)).map_or(end, |limit| end.max(Timestamp::from_nanos(limit)));
        let margin = end.nanos_since(begin).max(MILLISECOND) / 25;
        (Timestamp::from_nanos(begin.as_nanos().saturating_sub(margin)), Timestamp::from_nanos(end.as_nanos().saturating_add(margin)))
    }

    /// Lines at round times from `top` to `bottom`, and below them the times in both zones.
    pub(super) fn time_axis(&self, svg: &mut Svg, axis: &Axis, (top, bottom): (f64, f64)) {
        let mut free = f64::MIN;
        for tick in axis.ticks() {
            let x = axis.x(tick);
            svg.rule(x, (top, bottom), RULE, false);
            // Labels at the edges stay inside the picture.
            let anchor = if x < LEFT + 34.0 {
                TextAnchor::Start
            } else if x > RIGHT - 34.0 {
                TextAnchor::End
            } else {
                TextAnchor::Middle
            };
            let at = Timestamp::from_nanos(tick);
            let fine = (axis.to - axis.from) < 8000 * MILLISECOND;
            let cut = |text: String| {
                let time = text.rsplit(' ').next().unwrap_or_default().to_owned();
                if fine { time } else { time.split('.').next().unwrap_or_default().to_owned() }
            };
            let (utc, zoned) = (cut(self.zones.utc(at)), cut(self.zones.zoned(at)));
            let width = width_of(&utc, 11);
            let left = match anchor {
                TextAnchor::Start => x,
                TextAnchor::Middle => x - width / 2.0,
                TextAnchor::End => x - width,
            };
            if left < free {
                continue;
            }
            free = left + width + 8.0;
            svg.text((x, bottom + 15.0), anchor, 11, FAINT, &utc);
            svg.text((x, bottom + 29.0), anchor, 11, FAINT, &zoned);
        }
    }

    fn bar(&self, svg: &mut Svg, axis: &Axis, split: &Split) {
        const TOP: f64 = 66.0;
        const HEIGHT: f64 = 26.0;
        let begin = axis.x(split.begin.as_nanos());
        if begin > LEFT {
            svg.rect((LEFT, TOP), (begin - LEFT, HEIGHT), "#eef2f6");
        }
        let mut at = split.begin.as_nanos();
        for ((part, color), (number, phase)) in split.parts.iter().zip(COLORS).zip(NUMBERS.iter().zip(PHASES)) {
            let (x, end) = (axis.x(at), axis.x(at + part));
            let last = at + part == split.begin.as_nanos() + split.total();
            // Every phase that took time is seen, however short.
            let width = if *part > 0 { (end - x).max(1.0) } else { 0.0 };
            svg.rect((x, TOP), (width, HEIGHT), if split.open && last && *part > 0 { "url(#down)" } else { color });
            if width >= 14.0 && !(split.open && last) {
                svg.bold((x + width / 2.0, 84.0), TextAnchor::Middle, 12, "#fff", number);
            }
            let label = self.t(phase_label(phase));
            if width >= width_of(label, 11) + 4.0 {
                svg.text((x + width / 2.0, 106.0), TextAnchor::Middle, 11, INK, label);
            }
            at += part;
        }
        let end = axis.x(at);
        // Restored as far as anybody looked.
        let seen = axis.x(self.measures.instants.verified.map_or_else(|| self.end(), |verified| verified.hi).as_nanos());
        if !split.open && seen - end > 1.0 {
            svg.rect((end, TOP), (seen - end, HEIGHT), "#e3f1e8");
            let label = self.t(Label::StableMark);
            if seen - end > width_of(label, 11) + 8.0 {
                svg.text((f64::midpoint(end, seen), 83.0), TextAnchor::Middle, 11, FAINT, label);
            }
        }
        if split.open {
            let label = self.t(Label::DownMark);
            let limit = self
                .rto()
                .map(|rto| axis.x(split.begin.as_nanos().saturating_add(rto)))
                .filter(|limit| (end - width_of(label, 11)..=end).contains(limit));
            svg.text((limit.map_or(end, |limit| limit - 4.0), 106.0), TextAnchor::End, 11, ALARM, label);
        }
        if let Some(rto) = self.rto() {
            let limit = split.begin.as_nanos().saturating_add(rto);
            let label = format!("{} {}", self.t(Label::RtoLine), self.target(rto));
            if limit <= axis.to {
                let x = axis.x(limit);
                svg.rule(x, (58.0, 120.0), ALARM, true);
                let half = width_of(&label, 11) / 2.0;
                svg.text((x.clamp(LEFT + half, RIGHT - half), 166.0), TextAnchor::Middle, 11, ALARM, &label);
            } else {
                svg.text((RIGHT, 166.0), TextAnchor::End, 11, ALARM, &format!("{label} →"));
            }
        }
        self.legend(svg, split);
    }

    /// All phases with their numbers, whether or not they can be seen in the bar.
    fn legend(&self, svg: &mut Svg, split: &Split) {
        let mut x = LEFT;
        for ((words, color), number) in self.parts(split).iter().zip(COLORS).zip(NUMBERS) {
            svg.rect((x, 181.0), (14.0, 14.0), color);
            svg.bold((x + 7.0, 192.0), TextAnchor::Middle, 10, "#fff", number);
            svg.text((x + 20.0, 192.0), TextAnchor::Start, 11, INK, words);
            x += 20.0 + width_of(words, 11) + 22.0;
        }
    }

    fn fault_marks(&self, svg: &mut Svg, axis: &Axis) {
        let Some(fault) = self.state.fault() else { return };
        let begun = fault.intent.as_ref().map(|intent| (intent.at, Label::FaultMark));
        let healed = fault.undo_ended.filter(|_| fault.status == Status::Undone).map(|at| (at, Label::HealMark));
        for (at, label) in begun.into_iter().chain(healed) {
            if at.as_nanos() < axis.from || at.as_nanos() > axis.to {
                continue;
            }
            let x = axis.x(at.as_nanos());
            svg.pointer((x, 64.0), INK);
            let label = self.t(label);
            let half = width_of(label, 11) / 2.0;
            svg.text((x.clamp(LEFT + half, RIGHT - half), 52.0), TextAnchor::Middle, 11, INK, label);
        }
    }

    /// Where the recovery time went, one row a phase, against the RTO. None when nothing was down.
    pub(in crate::report) fn waterfall(&self) -> Option<Figure> {
        const TOP: f64 = 44.0;
        const ROW: f64 = 28.0;
        let split = self.split()?;
        let total = split.total();
        let title = format!("{}{}{}", self.t(Label::WaterfallChart), self.colon(), self.probe_title(&split.probe));
        let mut svg = Svg::new(760, 220, &title, &self.waterfall_words()?);
        svg.bold((LEFT, 24.0), TextAnchor::Start, 14, INK, &title);
        let unit = numbers::unit(total);
        svg.bold((RIGHT, 24.0), TextAnchor::End, 14, INK, &self.total(split));
        let rto = self.rto();
        // As in the timeline: a limit far off would leave nothing to see.
        let near = rto.filter(|rto| *rto <= total.saturating_mul(6));
        let axis = Axis { from: 0, to: total.max(near.unwrap_or(0)).max(MILLISECOND), left: 120.0, right: WIDTH - 80.0 };
        for tick in axis.ticks() {
            svg.rule(axis.x(tick), (38.0, 188.0), RULE, false);
            svg.text((axis.x(tick), 204.0), TextAnchor::Middle, 11, FAINT, &axis.label(tick, self.t(Label::Seconds)));
        }
        let mut at = 0;
        for (index, ((phase, part), shown)) in PHASES.iter().zip(split.parts).zip(shown(split)).enumerate() {
            let row = TOP + ROW * f64::from(u32::try_from(index).unwrap_or(0));
            let (x, end) = (axis.x(at), axis.x(at + part));
            let width = if part > 0 { (end - x).max(1.0) } else { 0.0 };
            svg.text((112.0, row + 15.0), TextAnchor::End, 12, INK, self.t(phase_label(*phase)));
            let open = split.open && at + part == total && part > 0;
            svg.rect((x, row), (width, 20.0), if open { "url(#down)" } else { COLORS[index] });
            let time = if index < split.entered { numbers::length_in(shown, unit, self.lang) } else { "–".to_owned() };
            svg.text((x + width + 6.0, row + 15.0), TextAnchor::Start, 12, FAINT, &time);
            at += part;
        }
        if let Some(rto) = rto {
            let label = format!("{} {}", self.t(Label::RtoLine), self.target(rto));
            match near {
                Some(rto) => {
                    svg.rule(axis.x(rto), (38.0, 190.0), ALARM, true);
                    let x = (axis.x(rto) - 4.0).max(LEFT + width_of(&label, 11));
                    svg.text((x, 184.0), TextAnchor::End, 11, ALARM, &label);
                }
                None => svg.text((RIGHT, 184.0), TextAnchor::End, 11, ALARM, &format!("{label} →")),
            }
        }
        Some(Figure { name: "waterfall", alt: text(&self.waterfall_words()?), svg: svg.finish() })
    }
}

//! The picture of how far every replica was behind, over the time of the run.

use super::svg::{FAINT, INK, RULE, Svg, TextAnchor, width_of};
use super::timeline::{Axis, COLORS, LEFT, RIGHT};
use crate::model::interval::MILLISECOND;
use crate::model::measure::lag_ms;
use crate::report::document::{Figure, text};
use crate::report::labels::Label;
use crate::report::numbers;
use crate::report::page::Page;

const TOP: f64 = 44.0;
const BOTTOM: f64 = 176.0;
/// Where the lags are written, left of the lines.
const SCALE: f64 = 64.0;

impl Page<'_> {
    /// What each probe read: its id, and when which lag, in nanoseconds.
    fn lags(&self) -> Vec<(&str, Vec<(i64, i64)>)> {
        let of = |id: &'_ String| {
            let readings = self.state.probes.get(id).map(|standing| standing.readings.as_slice()).unwrap_or_default();
            let lag = |value| lag_ms(value).map(|lag| i64::try_from(lag).unwrap_or(i64::MAX).saturating_mul(MILLISECOND));
            readings.iter().filter_map(|reading| Some((reading.done.as_nanos(), lag(&reading.value)?))).collect::<Vec<_>>()
        };
        self.measures.exposures.keys().map(|id| (id.as_str(), of(id))).collect()
    }

    /// What the picture shows, in words: the largest lag of each probe.
    fn lag_words(&self) -> String {
        let peaks =
            self.measures.exposures.iter().map(|(id, exposure)| format!("{} {}", self.probe_title(id), numbers::upper(exposure.peak.hi, self.lang)));
        format!("{}{}{}", self.t(Label::LagChart), self.colon(), peaks.collect::<Vec<_>>().join(" · "))
    }

    /// One line a probe; none when no lag was read.
    pub(in crate::report) fn lag(&self) -> Option<Figure> {
        let lags = self.lags();
        let most = lags.iter().flat_map(|(_, lags)| lags).map(|(_, lag)| *lag).max()?;
        let title = self.t(Label::LagChart);
        let mut svg = Svg::new(760, 240, title, &self.lag_words());
        svg.bold((LEFT, 24.0), TextAnchor::Start, 14, INK, title);
        let time = Axis { from: self.start.at.as_nanos(), to: self.end().as_nanos(), left: SCALE, right: RIGHT };
        self.time_axis(&mut svg, &time, (TOP, BOTTOM));
        let scale = Axis { from: 0, to: most.max(MILLISECOND), left: BOTTOM, right: TOP };
        // Half of them: beside a line there is less room than below one.
        for tick in scale.ticks().into_iter().step_by(2) {
            let y = scale.x(tick);
            svg.line(&[(SCALE, y), (RIGHT, y)], RULE, 1);
            svg.text((SCALE - 6.0, y + 4.0), TextAnchor::End, 11, FAINT, &scale.label(tick, self.t(Label::Seconds)));
        }
        let mut x = LEFT;
        for ((id, lags), color) in lags.iter().zip(COLORS.iter().cycle()) {
            let points: Vec<(f64, f64)> = lags.iter().map(|(at, lag)| (time.x(*at), scale.x(*lag))).collect();
            svg.line(&points, color, 2);
            let name = self.probe_title(id);
            svg.rect((x, 219.0), (14.0, 4.0), color);
            svg.text((x + 20.0, 226.0), TextAnchor::Start, 11, INK, name);
            x += 20.0 + width_of(name, 11) + 22.0;
        }
        Some(Figure { name: "lag", alt: text(&self.lag_words()), svg: svg.finish() })
    }
}

//! What a run came to, in one table: the last screen.

use unicode_width::UnicodeWidthStr;

use super::words::{TENTH, fitted, seconds};
use crate::model::measure::{Criterion, Judgement, Measure, Measured, Measures, UNWATCHED, count, is_unwatched, standing};
use crate::model::phrases::phrase;
use crate::model::plan::Verdict;
use crate::model::state::RunState;
use crate::model::text::{Lang, span_in};
use crate::model::time::Span;

/// The rows of the table, aligned; none for a run without objectives that has left nothing and was watched. Two columns of blanks stand before each.
#[must_use]
pub fn results(state: &RunState, lang: Lang) -> Vec<String> {
    let measures = Measures::of(state);
    let mut rows: Vec<[String; 4]> = measures.criteria.iter().map(|criterion| row(criterion, lang)).collect();
    if !rows.is_empty() {
        let head = match lang {
            Lang::En => ["", "asked for", "measured", "result"],
            Lang::Zh => ["", "目标", "实测", "结果"],
        };
        rows.insert(0, head.map(str::to_owned));
    }
    let width = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
    let widths = [width(0).min(40), width(1), width(2)];
    let mut lines: Vec<String> = rows
        .iter()
        .map(|[what, asked, measured, result]| {
            let cells = [fitted(what, widths[0]), fitted(asked, widths[1]), fitted(measured, widths[2]), result.clone()];
            format!("  {}", cells.join("  ")).trim_end().to_owned()
        })
        .collect();
    let stands = count(&standing(state));
    if stands > 0 {
        lines.push(match lang {
            Lang::En => format!("  {stands} change{} stand{}", if stands == 1 { "" } else { "s" }, if stands == 1 { "s" } else { "" }),
            Lang::Zh => format!("  {stands} 项变更仍然保留"),
        });
    }
    let has_passed = state.ended.as_ref().is_some_and(|end| end.verdict == Verdict::Pass);
    if has_passed && state.plan().is_some_and(is_unwatched) {
        lines.push(format!("  {}", phrase(UNWATCHED, lang)));
    }
    lines
}

/// What was asked for, of what, what was measured, how it came out.
fn row(criterion: &Criterion, lang: Lang) -> [String; 4] {
    let of = match (criterion.measure, lang) {
        (Measure::Rto, _) => "RTO",
        (Measure::RtoCached, Lang::En) => "RTO with caches",
        (Measure::RtoCached, Lang::Zh) => "RTO（缓存域名）",
        (Measure::Rpo, _) => "RPO",
        (Measure::Missing, Lang::En) => "missing",
        (Measure::Missing, Lang::Zh) => "缺失",
        (Measure::Doubled, Lang::En) => "doubled",
        (Measure::Doubled, Lang::Zh) => "重复",
    };
    let unit = if lang == Lang::En { "s" } else { "秒" };
    let asked = match criterion.count {
        Some(_) => criterion.target.to_string(),
        None => span_in(Span::from_millis(criterion.target), lang),
    };
    // Bounds are rounded outwards.
    let upper = |nanos: i64| seconds(nanos + TENTH / 2 - 1);
    let measured = match (criterion.count, criterion.measured) {
        (Some(count), _) => count.to_string(),
        (None, None) => "–".to_owned(),
        (None, Some(Measured::Known(length))) if criterion.measure == Measure::RtoCached || criterion.no_impact => {
            format!("≤ {} {unit}", upper(length.hi))
        }
        (None, Some(Measured::Known(length))) => {
            format!("{} {unit} ({}–{})", seconds(length.likely), seconds(length.lo - TENTH / 2), upper(length.hi))
        }
        (None, Some(Measured::AtLeast(lo))) => format!("≥ {} {unit}", seconds(lo - TENTH / 2)),
    };
    let result = match (criterion.judgement, lang) {
        (Judgement::Met, Lang::En) => "met",
        (Judgement::Met, Lang::Zh) => "达成",
        (Judgement::NotMet, Lang::En) => "MISSED",
        (Judgement::NotMet, Lang::Zh) => "未达成",
        (Judgement::Indeterminate, Lang::En) => "cannot be told",
        (Judgement::Indeterminate, Lang::Zh) => "无法判定",
        (Judgement::NotTested, Lang::En) => "not tested",
        (Judgement::NotTested, Lang::Zh) => "未测试",
    };
    [format!("{of}  {}", criterion.subject), asked, measured, result.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::samples;

    #[test]
    fn the_last_screen_is_one_aligned_table_in_both_languages() {
        let of = |events: &[crate::model::event::Event], lang| results(&RunState::from_events(events).unwrap(), lang).join("\n");
        insta::assert_snapshot!("results.success", of(&samples::success(), Lang::En));
        insta::assert_snapshot!("results.failure", of(&samples::failure(), Lang::En));
        insta::assert_snapshot!("results.emergency.zh", of(&samples::emergency(), Lang::Zh));
        for events in [samples::success(), samples::failure(), samples::aborted(), samples::emergency(), samples::steered()] {
            for lang in [Lang::En, Lang::Zh] {
                assert!(of(&events, lang).lines().all(|line| line.width() <= 80), "{}", of(&events, lang));
            }
        }
    }
}

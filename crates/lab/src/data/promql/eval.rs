//! A PromQL tree at one moment, over the history.
//!
//! One thing is simpler than in Prometheus: binary operations between vectors match series with equal labels, one to one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lifeboat_notation::time::Timestamp;

use super::parse::{Aggregation, Expr, Grouping, Operator, Over, Selector};
use crate::data::metrics::History;

/// A series without a point this young has no value (Prometheus's lookback).
const LOOKBACK: Duration = Duration::from_secs(300);

type Labels = BTreeMap<String, String>;

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Scalar(f64),
    /// Labels (the metric's name among them as `__name__`) and value.
    Vector(Vec<(Labels, f64)>),
}

/// Evaluates an expression; the error is a sentence for the person who wrote it.
pub(crate) fn eval(expr: &Expr, at: Timestamp, history: &History) -> Result<Value, String> {
    Ok(match expr {
        Expr::Number(number) => Value::Scalar(*number),
        Expr::Time => Value::Scalar(seconds(at)),
        Expr::Instant(selector) => Value::Vector(instant(selector, at, history)),
        Expr::Over { function, selector, range } => Value::Vector(over(*function, selector, *range, at, history)),
        Expr::Vector(of) => match eval(of, at, history)? {
            Value::Scalar(number) => Value::Vector(vec![(Labels::new(), number)]),
            vector @ Value::Vector(_) => vector,
        },
        Expr::Negative(of) => match eval(of, at, history)? {
            Value::Scalar(number) => Value::Scalar(-number),
            Value::Vector(vector) => Value::Vector(vector.into_iter().map(|(labels, value)| (nameless(labels), -value)).collect()),
        },
        Expr::Aggregate { operation, grouping, of } => match eval(of, at, history)? {
            Value::Vector(vector) => Value::Vector(aggregate(*operation, grouping, vector)),
            Value::Scalar(_) => return Err("expected type instant vector in aggregation expression, got scalar".to_owned()),
        },
        Expr::Binary { operator, is_bool, left, right } => binary(*operator, *is_bool, eval(left, at, history)?, eval(right, at, history)?)?,
    })
}

/// Seconds since the epoch.
#[expect(clippy::cast_precision_loss, reason = "Prometheus's timestamps are seconds in floating point")]
pub(crate) fn seconds(at: Timestamp) -> f64 {
    at.as_nanos() as f64 / 1e9
}

fn instant(selector: &Selector, at: Timestamp, history: &History) -> Vec<(Labels, f64)> {
    history.select(
        |series| selector.chooses(series),
        |series, points| {
            let latest = points.partition_point(|(time, _)| *time <= at).checked_sub(1)?;
            let (time, value) = *points.get(latest)?;
            let mut labels = series.labels.clone();
            labels.insert("__name__".to_owned(), series.name.clone());
            (at.since(time) < LOOKBACK).then_some((labels, value))
        },
    )
}

fn over(function: Over, selector: &Selector, range: Duration, at: Timestamp, history: &History) -> Vec<(Labels, f64)> {
    let from = Timestamp::from_nanos(at.as_nanos().saturating_sub(i64::try_from(range.as_nanos()).unwrap_or(i64::MAX)));
    history.select(
        |series| selector.chooses(series),
        |series, points| {
            let window = window(points, from, at);
            Some((series.labels.clone(), over_points(function, &window, from, at)?))
        },
    )
}

/// The points after `from` and up to `to`.
fn window(points: &VecDeque<(Timestamp, f64)>, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, f64)> {
    let first = points.partition_point(|(time, _)| *time <= from);
    let end = points.partition_point(|(time, _)| *time <= to);
    points.range(first..end.max(first)).copied().collect()
}

/// What a function makes of the points after `from` and up to `to`.
#[expect(clippy::cast_precision_loss, reason = "a window never has 2^53 points")]
fn over_points(function: Over, points: &[(Timestamp, f64)], from: Timestamp, to: Timestamp) -> Option<f64> {
    let values = || points.iter().map(|(_, value)| *value);
    if points.is_empty() {
        return None;
    }
    Some(match function {
        Over::Rate => extrapolated(points, from, to, true)? / to.since(from).as_secs_f64(),
        Over::Increase => extrapolated(points, from, to, true)?,
        Over::Delta => extrapolated(points, from, to, false)?,
        Over::Average => values().sum::<f64>() / points.len() as f64,
        Over::Minimum => values().fold(f64::INFINITY, f64::min),
        Over::Maximum => values().fold(f64::NEG_INFINITY, f64::max),
        Over::Sum => values().sum(),
        Over::Count => points.len() as f64,
    })
}

/// By how much the points changed, carried on to the ends of their window as Prometheus does: `extrapolatedRate` in
/// <https://github.com/prometheus/prometheus/blob/main/promql/functions.go>. `None` for fewer than two points.
///
/// An end of the window that is about as near as the next point would be is reached in full. One that is farther away is where the series began or ended, half a
/// step from the point. A counter is never carried back to below zero.
#[expect(clippy::cast_precision_loss, reason = "a window never has 2^53 points")]
fn extrapolated(points: &[(Timestamp, f64)], from: Timestamp, to: Timestamp, is_counter: bool) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    let covered = last.0.since(first.0).as_secs_f64();
    if covered == 0.0 {
        return None;
    }
    // A counter that goes back was restarted: it has grown by what it shows.
    let grown = || points.windows(2).map(|pair| if pair[1].1 < pair[0].1 { pair[1].1 } else { pair[1].1 - pair[0].1 }).sum::<f64>();
    let change = if is_counter { grown() } else { last.1 - first.1 };
    let step = covered / (points.len() - 1) as f64;
    let carried = |distance: f64| if distance < step * 1.1 { distance } else { step / 2.0 };
    let mut before = carried(first.0.since(from).as_secs_f64());
    if is_counter && change > 0.0 && first.1 >= 0.0 {
        before = before.min(covered * first.1 / change);
    }
    let after = carried(to.since(last.0).as_secs_f64());
    Some(change * (covered + before + after) / covered)
}

#[expect(clippy::cast_precision_loss, reason = "a group never has 2^53 series")]
fn aggregate(operation: Aggregation, grouping: &Grouping, vector: Vec<(Labels, f64)>) -> Vec<(Labels, f64)> {
    let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
    for (mut labels, value) in vector {
        match grouping {
            Grouping::By(kept) => labels.retain(|label, _| kept.contains(label)),
            Grouping::Without(dropped) => labels.retain(|label, _| label != "__name__" && !dropped.contains(label)),
        }
        groups.entry(labels).or_default().push(value);
    }
    let one = |values: &[f64]| match operation {
        Aggregation::Sum => values.iter().sum(),
        Aggregation::Average => values.iter().sum::<f64>() / values.len() as f64,
        Aggregation::Minimum => values.iter().copied().fold(f64::INFINITY, f64::min),
        Aggregation::Maximum => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Aggregation::Count => values.len() as f64,
    };
    groups.into_iter().map(|(labels, values)| (labels, one(&values))).collect()
}

fn binary(operator: Operator, is_bool: bool, left: Value, right: Value) -> Result<Value, String> {
    // A comparison without `bool` filters: the series stays as it is or goes.
    let combine = |labels: Labels, kept: f64, left: f64, right: f64| {
        let result = compute(operator, left, right);
        match (operator.is_comparison(), is_bool) {
            (true, false) => (result != 0.0).then_some((labels, kept)),
            _ => Some((nameless(labels), result)),
        }
    };
    Ok(match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => Value::Scalar(compute(operator, left, right)),
        (Value::Vector(vector), Value::Scalar(right)) => {
            Value::Vector(vector.into_iter().filter_map(|(labels, value)| combine(labels, value, value, right)).collect())
        }
        (Value::Scalar(left), Value::Vector(vector)) => {
            Value::Vector(vector.into_iter().filter_map(|(labels, value)| combine(labels, value, left, value)).collect())
        }
        (Value::Vector(left), Value::Vector(right)) => {
            let mut others = BTreeMap::new();
            for (labels, value) in right {
                if others.insert(nameless(labels), value).is_some() {
                    return Err("found duplicate series for the match group on the right hand-side of the operation".to_owned());
                }
            }
            let pairs = left.into_iter().filter_map(|(labels, value)| {
                let other = *others.get(&nameless(labels.clone()))?;
                combine(labels, value, value, other)
            });
            Value::Vector(pairs.collect())
        }
    })
}

fn nameless(mut labels: Labels) -> Labels {
    labels.remove("__name__");
    labels
}

#[expect(clippy::float_cmp, reason = "PromQL compares exactly")]
fn compute(operator: Operator, left: f64, right: f64) -> f64 {
    let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Remainder => left % right,
        Operator::Equal => truth(left == right),
        Operator::NotEqual => truth(left != right),
        Operator::Less => truth(left < right),
        Operator::LessOrEqual => truth(left <= right),
        Operator::Greater => truth(left > right),
        Operator::GreaterOrEqual => truth(left >= right),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;
    use crate::data::metrics::Series;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_nanos(second * 1_000_000_000)
    }

    fn series(name: &str, labels: &[(&str, &str)]) -> Series {
        Series { name: name.into(), labels: labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect() }
    }

    /// Two counters that grow by 10 and by 1 a second, and a gauge.
    fn history() -> History {
        let history = History::default();
        for second in 0..=20_i32 {
            history.push(
                at(second.into()),
                vec![
                    (series("requests", &[("outcome", "ok"), ("service", "shop")]), f64::from(second) * 10.0),
                    (series("requests", &[("outcome", "error"), ("service", "shop")]), f64::from(second)),
                    (series("lag", &[]), f64::from(second % 5)),
                ],
            );
        }
        history
    }

    fn check(query: &str, expected: &[(&str, f64)]) {
        let Value::Vector(vector) = eval(&parse(query).unwrap(), at(20), &history()).unwrap() else { panic!("{query} is no vector") };
        let shown: Vec<_> = vector
            .iter()
            .map(|(labels, value)| (labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","), *value))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(labels, value)| ((*labels).to_owned(), *value)).collect();
        assert_eq!(shown, expected, "{query}");
    }

    #[test]
    fn selectors_choose_series_and_keep_their_names() {
        check("lag", &[("__name__=lag", 0.0)]);
        check("requests{outcome=\"ok\"}", &[("__name__=requests,outcome=ok,service=shop", 200.0)]);
        check("requests{outcome!=\"ok\"}", &[("__name__=requests,outcome=error,service=shop", 20.0)]);
        check("requests{outcome=~\"o.\"}", &[("__name__=requests,outcome=ok,service=shop", 200.0)]);
        check("requests{outcome!~\"o|err\"} > 100", &[("__name__=requests,outcome=ok,service=shop", 200.0)]);
        check("nothing", &[]);
    }

    #[test]
    fn rates_sums_and_ratios() {
        check("rate(requests{outcome=\"ok\"}[5s])", &[("outcome=ok,service=shop", 10.0)]);
        check("sum(rate(requests[5s]))", &[("", 11.0)]);
        check("sum by (outcome) (increase(requests[5s]))", &[("outcome=error", 5.0), ("outcome=ok", 50.0)]);
        check("sum without (outcome) (requests)", &[("service=shop", 220.0)]);
        check("sum(rate(requests{outcome=\"error\"}[5s])) / sum(rate(requests[5s])) * 11", &[("", 1.0)]);
        check("max_over_time(lag[10s])", &[("", 4.0)]);
        check("avg(requests) >= bool 110", &[("", 1.0)]);
        check("sum(requests) < 10", &[]);
    }

    /// What a query over one series comes to at `now`.
    fn alone(points: &[(i64, f64)], query: &str, now: i64) -> f64 {
        let history = History::default();
        for (second, value) in points {
            history.push(at(*second), vec![(series("c", &[]), *value)]);
        }
        match eval(&parse(query).unwrap(), at(now), &history) {
            Ok(Value::Vector(vector)) if vector.len() == 1 => vector[0].1,
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn a_counter_that_restarts_does_not_count_backwards() {
        let points = [(0, 10.0), (1, 12.0), (2, 1.0), (3, 3.0)];
        assert_eq!(alone(&points, "increase(c[3500ms])", 3), 5.0 * 3.5 / 3.0);
        assert_eq!(alone(&points, "delta(c[3500ms])", 3), -7.0 * 3.5 / 3.0);
    }

    /// By the rules of Prometheus's `extrapolatedRate`, each at its border.
    #[test]
    fn changes_are_carried_on_to_the_ends_of_the_window_or_half_a_step() {
        let steady: Vec<(i64, f64)> = (0..=4).map(|step| (100 + step * 10, 1000.0 + f64::from(i32::try_from(step).unwrap()) * 10.0)).collect();
        // Both ends are within 1.1 steps of a point: the whole window.
        assert_eq!(alone(&steady, "increase(c[60s])", 150), 60.0);
        // The series begins long after the window does: half a step before its first point.
        assert_eq!(alone(&steady, "increase(c[100s])", 140), 45.0);
        // And it ended long ago: half a step at that end too, and the rate is by the whole window.
        assert_eq!(alone(&steady, "increase(c[100s])", 160), 50.0);
        assert_eq!(alone(&steady, "rate(c[100s])", 160), 0.5);
        // A counter that was 3 at its first point and grew by 1 a second began three seconds before it, not five.
        let young = [(100, 3.0), (110, 13.0), (120, 23.0)];
        assert_eq!(alone(&young, "increase(c[100s])", 120), 23.0);
        assert_eq!(alone(&young, "delta(c[100s])", 120), 25.0, "a gauge may have been anything");
    }

    #[test]
    fn scalars_stay_scalars() {
        assert_eq!(eval(&parse("1 + 2 * -3").unwrap(), at(20), &history()), Ok(Value::Scalar(-5.0)));
        assert_eq!(eval(&parse("time()").unwrap(), at(20), &history()), Ok(Value::Scalar(20.0)));
    }

    #[test]
    fn old_series_and_single_points_have_no_value() {
        assert_eq!(eval(&parse("lag").unwrap(), at(320), &history()), Ok(Value::Vector(vec![])));
        assert_eq!(eval(&parse("rate(lag[1s])").unwrap(), at(20), &history()), Ok(Value::Vector(vec![])));
    }
}

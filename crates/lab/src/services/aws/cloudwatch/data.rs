//! Numbers: put, and read back by period. Periods are in real time, as callers give times.

use std::time::Duration;

use lifeboat_notation::time::Timestamp;

use super::{dimensions, metric, page, shown_dimensions};
use crate::wire::aws_answer::ApiError;
use crate::wire::smithy::{Input, Shape};
use crate::world::monitoring::{Datum, MOST_METRICS, Metric};
use crate::world::state::{Cloud, State};

const STATISTICS: [&str; 5] = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"];

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValue", message.into())
}

/// Begin and end, and a period that the vendor has.
fn span(input: &Input) -> Result<(Timestamp, Timestamp), ApiError> {
    let missing = |name: &str| ApiError::new("MissingParameter", format!("The parameter {name} is required."));
    let from = input.time("StartTime")?.ok_or_else(|| missing("StartTime"))?;
    let to = input.time("EndTime")?.ok_or_else(|| missing("EndTime"))?;
    if from >= to {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    Ok((from, to))
}

fn period(input: &Input) -> Result<Duration, ApiError> {
    let seconds = input.integer("Period", 1..=86_400)?.ok_or_else(|| ApiError::new("MissingParameter", "The parameter Period is required."))?;
    if !matches!(seconds, 1 | 5 | 10 | 20 | 30) && seconds % 60 != 0 {
        return Err(invalid("The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60."));
    }
    Ok(Duration::from_secs(seconds.unsigned_abs()))
}

pub(super) fn put(state: &mut State, input: &Input) -> Result<Option<Shape>, ApiError> {
    let namespace = input.need("Namespace")?;
    if namespace.starts_with("AWS/") {
        return Err(invalid("The value AWS/ for parameter Namespace is invalid."));
    }
    let mut put = Vec::new();
    for datum in input.parts("MetricData")? {
        let metric = Metric {
            cloud: Cloud::Aws,
            namespace: namespace.to_owned(),
            name: datum.need("MetricName")?.to_owned(),
            dimensions: dimensions(&datum)?,
        };
        let at = datum.time("Timestamp")?.unwrap_or(state.now);
        let number = |input: &Input, name: &str| {
            input.number(name)?.ok_or_else(|| ApiError::new("MissingParameter", format!("The parameter {name} is required.")))
        };
        let value = match datum.part("StatisticValues") {
            Some(set) => {
                let count = number(&set, "SampleCount")?;
                if count <= 0.0 {
                    return Err(invalid("The parameter SampleCount must be greater than 0."));
                }
                Datum { at, sum: number(&set, "Sum")?, count, least: number(&set, "Minimum")?, most: number(&set, "Maximum")? }
            }
            None if datum.has("Values") => return Err(invalid("The lab takes one value or statistic values, no lists of values.")),
            None => Datum::one(at, number(&datum, "Value")?),
        };
        put.push((metric, value));
    }
    for (metric, value) in put {
        if !state.monitoring.put(metric, value) {
            return Err(ApiError::new("LimitExceeded", format!("The lab keeps {MOST_METRICS} metrics.")));
        }
    }
    Ok(None)
}

pub(super) fn get(state: &mut State, input: &Input) -> Result<Option<Shape>, ApiError> {
    let (from, to) = span(input)?;
    let is_oldest_first = match input.text("ScanBy")? {
        None | Some("TimestampDescending") => false,
        Some("TimestampAscending") => true,
        Some(_) => return Err(invalid("The parameter ScanBy must be TimestampAscending or TimestampDescending.")),
    };
    let most = input.integer("MaxDatapoints", 1..=100_800)?.and_then(|most| usize::try_from(most).ok()).unwrap_or(100_800);
    let start: usize = match input.text("NextToken")? {
        None => 0,
        Some(token) => token.parse().map_err(|_| ApiError::new("InvalidNextToken", "The next token specified is invalid."))?,
    };
    let queries = input.parts("MetricDataQueries")?;
    if queries.is_empty() || queries.len() > 500 {
        return Err(invalid("The collection MetricDataQueries must have a size from 1 to 500."));
    }
    let (mut results, mut seen, mut is_partial) = (Vec::new(), 0, false);
    for query in queries {
        let id = query.need("Id")?.to_owned();
        let Some(stat) = query.part("MetricStat") else {
            return Err(invalid(format!("The lab evaluates no expressions (query {id}).")));
        };
        let metric = metric(&stat.part("Metric").ok_or_else(|| ApiError::new("MissingParameter", "The parameter Metric is required."))?)?;
        let statistic = stat.need("Stat")?;
        if !STATISTICS.contains(&statistic) {
            return Err(invalid(format!("The value {statistic} for parameter Stat is not supported.")));
        }
        let mut data = state.by_period(&metric, from, to, period(&stat)?);
        if !is_oldest_first {
            data.reverse();
        }
        let (mut times, mut values) = (Vec::new(), Vec::new());
        let mut left = false;
        // A page is cut over all results together.
        for datum in data {
            seen += 1;
            if seen <= start {
                continue;
            }
            if seen > start + most {
                left = true;
                break;
            }
            times.push(Shape::Time(datum.at));
            values.extend(datum.statistic(statistic).map(Shape::Number));
        }
        is_partial |= left;
        if query.flag("ReturnData")?.unwrap_or(true) {
            results.push(Shape::Fields(vec![
                ("Id", id.into()),
                ("Label", query.text("Label")?.unwrap_or(&metric.name).into()),
                ("Timestamps", Shape::List(times)),
                ("Values", Shape::List(values)),
                ("StatusCode", if left { "PartialData" } else { "Complete" }.into()),
            ]));
        }
    }
    let mut fields = vec![("MetricDataResults", Shape::List(results)), ("Messages", Shape::List(Vec::new()))];
    if is_partial {
        fields.push(("NextToken", (start + most).to_string().into()));
    }
    Ok(Some(Shape::Fields(fields)))
}

pub(super) fn statistics(state: &mut State, input: &Input) -> Result<Option<Shape>, ApiError> {
    let metric = metric(input)?;
    let ((from, to), period) = (span(input)?, period(input)?);
    let wanted = input.texts("Statistics")?;
    if wanted.is_empty() {
        return Err(ApiError::new("InvalidParameterCombination", "The lab has no extended statistics: at least one of Statistics is required."));
    }
    let known =
        |name: &String| STATISTICS.iter().find(|known| **known == name.as_str()).ok_or_else(|| invalid(format!("The value {name} is invalid.")));
    let wanted = wanted.iter().map(known).collect::<Result<Vec<_>, _>>()?;
    let unit = state.metrics(Cloud::Aws).into_iter().find(|(known, _)| *known == metric).map_or("None", |(_, unit)| unit);
    let shown = |datum: Datum| {
        let values = wanted.iter().filter_map(|name| Some((**name, Shape::Number(datum.statistic(name)?))));
        Shape::Fields(std::iter::once(("Timestamp", Shape::Time(datum.at))).chain(values).chain([("Unit", unit.into())]).collect())
    };
    let data: Vec<Shape> = state.by_period(&metric, from, to, period).into_iter().map(shown).collect();
    if data.len() > 1440 {
        let message = format!("You have requested up to {} datapoints, which exceeds the limit of 1,440.", data.len());
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    Ok(Some(Shape::Fields(vec![("Label", metric.name.into()), ("Datapoints", Shape::List(data))])))
}

pub(super) fn list(state: &mut State, input: &Input) -> Result<Option<Shape>, ApiError> {
    let (namespace, name) = (input.text("Namespace")?, input.text("MetricName")?);
    let filters: Vec<(String, Option<String>)> = input
        .parts("Dimensions")?
        .iter()
        .map(|one| Ok((one.need("Name")?.to_owned(), one.text("Value")?.map(str::to_owned))))
        .collect::<Result<_, ApiError>>()?;
    let has = |metric: &Metric, (name, value): &(String, Option<String>)| {
        metric.dimensions.get(name).is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
    };
    let all: Vec<Shape> = state
        .metrics(Cloud::Aws)
        .iter()
        .map(|(metric, _)| metric)
        .filter(|metric| namespace.is_none_or(|namespace| namespace == metric.namespace) && name.is_none_or(|name| name == metric.name))
        .filter(|metric| filters.iter().all(|filter| has(metric, filter)))
        .map(|metric| {
            let names = [("Namespace", metric.namespace.as_str().into()), ("MetricName", metric.name.as_str().into())];
            Shape::Fields(names.into_iter().chain([("Dimensions", shown_dimensions(metric))]).collect())
        })
        .collect();
    let (metrics, next) = page(all, input.text("NextToken")?, 500)?;
    let mut fields = vec![("Metrics", Shape::List(metrics))];
    fields.extend(next.map(|next| ("NextToken", next.into())));
    Ok(Some(Shape::Fields(fields)))
}

//! Alarms: made, told of, set by hand, removed.

use lifeboat_notation::time::Span;

use super::{metric, page, shown_dimensions};
use crate::wire::aws_answer::ApiError;
use crate::wire::smithy::{Input, Shape};
use crate::world::monitoring::{Alarm, AlarmState, Comparison, FIRST_LOOK, Missing, Verdict};
use crate::world::state::{Cloud, State};

/// The quota of alarms of an account is 5,000; a lab needs few.
const MOST: usize = 500;

/// A word of the API as the world has it.
fn word<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, ApiError> {
    serde_json::from_value(text.into()).map_err(|_| {
        ApiError::new("ValidationError", format!("1 validation error detected: Value '{text}' at '{name}' failed to satisfy constraint."))
    })
}

/// A word of the world as the API has it.
fn written<T: serde::Serialize>(value: T) -> Shape {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(Shape::from)).unwrap_or_else(|| "".into())
}

pub(super) fn describe(state: &mut State, input: &Input) -> Result<Option<Shape>, ApiError> {
    let (names, prefix) = (input.texts("AlarmNames")?, input.text("AlarmNamePrefix")?);
    if names.len() > 100 {
        return Err(ApiError::new("ValidationError", "Member must have length less than or equal to 100"));
    }
    if !names.is_empty() && prefix.is_some() {
        return Err(ApiError::new("ValidationError", "AlarmNamePrefix and AlarmNames cannot both be specified."));
    }
    let types = input.texts("AlarmTypes")?;
    let with_metrics = types.is_empty() || types.iter().any(|kind| kind == "MetricAlarm");
    let wanted: Option<AlarmState> = input.text("StateValue")?.map(|text| word("stateValue", text)).transpose()?;
    let size = input.integer("MaxRecords", 1..=100)?.and_then(|size| usize::try_from(size).ok()).unwrap_or(50);
    state.judge_alarms();
    let found: Vec<Shape> = state
        .monitoring
        .alarms
        .values()
        .filter(|alarm| alarm.metric.cloud == Cloud::Aws && with_metrics)
        .filter(|alarm| names.is_empty() || names.contains(&alarm.name))
        .filter(|alarm| prefix.is_none_or(|prefix| alarm.name.starts_with(prefix)))
        .filter(|alarm| wanted.is_none_or(|wanted| alarm.verdict.state == wanted))
        .map(|alarm| shown(state, alarm))
        .collect();
    let (alarms, next) = page(found, input.text("NextToken")?, size)?;
    let mut fields = vec![("MetricAlarms", Shape::List(alarms)), ("CompositeAlarms", Shape::List(Vec::new()))];
    fields.extend(next.map(|next| ("NextToken", next.into())));
    Ok(Some(Shape::Fields(fields)))
}

fn shown(state: &State, alarm: &Alarm) -> Shape {
    let account = &state.accounts;
    let mut fields = vec![
        ("AlarmName", alarm.name.as_str().into()),
        ("AlarmArn", format!("arn:aws:cloudwatch:{}:{}:alarm:{}", alarm.region, account.aws, alarm.name).into()),
    ];
    if !alarm.description.is_empty() {
        fields.push(("AlarmDescription", alarm.description.as_str().into()));
    }
    fields.extend([
        ("AlarmConfigurationUpdatedTimestamp", Shape::Time(alarm.verdict.configured)),
        ("ActionsEnabled", Shape::Flag(alarm.enabled)),
        ("OKActions", Shape::List(Vec::new())),
        ("AlarmActions", Shape::List(Vec::new())),
        ("InsufficientDataActions", Shape::List(Vec::new())),
        ("StateValue", written(alarm.verdict.state)),
        ("StateReason", alarm.verdict.reason.as_str().into()),
        ("StateUpdatedTimestamp", Shape::Time(alarm.verdict.since)),
        ("MetricName", alarm.metric.name.as_str().into()),
        ("Namespace", alarm.metric.namespace.as_str().into()),
        ("Statistic", alarm.statistic.as_str().into()),
        ("Dimensions", shown_dimensions(&alarm.metric)),
        ("Period", Shape::Integer(i64::try_from(alarm.period.as_millis() / 1000).unwrap_or(i64::MAX))),
        ("EvaluationPeriods", Shape::Integer(alarm.evaluations.into())),
    ]);
    if alarm.to_alarm != alarm.evaluations {
        fields.push(("DatapointsToAlarm", Shape::Integer(alarm.to_alarm.into())));
    }
    fields.extend([("Threshold", Shape::Number(alarm.threshold)), ("ComparisonOperator", written(alarm.comparison))]);
    if alarm.missing != Missing::Missing {
        fields.push(("TreatMissingData", written(alarm.missing)));
    }
    fields.push(("StateTransitionedTimestamp", Shape::Time(alarm.verdict.since)));
    Shape::Fields(fields)
}

pub(super) fn put(state: &mut State, input: &Input) -> Result<Option<Shape>, ApiError> {
    let required = |name: &str| ApiError::new("ValidationError", format!("{name} is required: the lab has alarms over one metric only."));
    for unknown in ["Metrics", "ExtendedStatistic", "EvaluationCriteria"] {
        if input.has(unknown) {
            return Err(ApiError::new("ValidationError", format!("The lab has no alarms with {unknown}.")));
        }
    }
    let name = input.need("AlarmName")?.to_owned();
    let period = input.integer("Period", 1..=86_400)?.ok_or_else(|| required("Period"))?;
    if !matches!(period, 1 | 5 | 10 | 20 | 30) && period % 60 != 0 {
        return Err(ApiError::new("ValidationError", "Metric alarm periods must be 10, 20, 30 or a multiple of 60 seconds."));
    }
    let statistic = input.text("Statistic")?.ok_or_else(|| required("Statistic"))?;
    if !matches!(statistic, "SampleCount" | "Average" | "Sum" | "Minimum" | "Maximum") {
        return Err(ApiError::new("ValidationError", format!("Value '{statistic}' at 'statistic' failed to satisfy constraint.")));
    }
    let whole = |name: &str| Ok::<_, ApiError>(input.integer(name, 1..=1000)?.and_then(|number| u32::try_from(number).ok()));
    let evaluations = whole("EvaluationPeriods")?.ok_or_else(|| ApiError::new("MissingParameter", "The parameter EvaluationPeriods is required."))?;
    let to_alarm = whole("DatapointsToAlarm")?.unwrap_or(evaluations);
    if to_alarm > evaluations {
        return Err(ApiError::new("ValidationError", "DatapointsToAlarm must not be greater than EvaluationPeriods."));
    }
    let comparison: Comparison = word("comparisonOperator", input.need("ComparisonOperator")?)?;
    let mut alarm = Alarm {
        id: String::new(),
        name: name.clone(),
        region: state.here(Cloud::Aws).to_owned(),
        description: input.text("AlarmDescription")?.unwrap_or_default().to_owned(),
        metric: metric(input)?,
        statistic: statistic.to_owned(),
        period: Span::from_secs(period.unsigned_abs()),
        to_alarm,
        evaluations,
        comparison,
        threshold: input.number("Threshold")?.ok_or_else(|| required("Threshold"))?,
        missing: input.text("TreatMissingData")?.map(|text| word("treatMissingData", text)).transpose()?.unwrap_or_default(),
        enabled: input.flag("ActionsEnabled")?.unwrap_or(true),
        verdict: Verdict::default(),
    };
    let key = (Cloud::Aws, name);
    // A changed alarm keeps its state until it is judged.
    let before = state.monitoring.alarms.get(&key).map(|alarm| alarm.verdict.clone());
    if before.is_none() && state.monitoring.alarms.len() >= MOST {
        return Err(ApiError::new("LimitExceeded", "The maximum limit of alarms was reached."));
    }
    alarm.verdict = before.unwrap_or_else(|| Verdict { since: state.now, ..Verdict::default() });
    alarm.verdict.configured = state.now;
    alarm.verdict.next = state.now.plus(FIRST_LOOK);
    state.monitoring.alarms.insert(key, alarm);
    Ok(None)
}

pub(super) fn set_state(state: &mut State, input: &Input) -> Result<Option<Shape>, ApiError> {
    let (name, reason) = (input.need("AlarmName")?.to_owned(), input.need("StateReason")?.to_owned());
    let wanted: AlarmState = word("stateValue", input.need("StateValue")?)?;
    state.judge_alarms();
    let now = state.now;
    let key = (Cloud::Aws, name);
    let absent = || ApiError::new("ResourceNotFound", "Unknown").with_status(http::StatusCode::NOT_FOUND);
    let window = state.monitoring.alarms.get(&key).map(|alarm| state.window(alarm)).ok_or_else(absent)?;
    let alarm = state.monitoring.alarms.get_mut(&key).ok_or_else(absent)?;
    let since = if alarm.verdict.state == wanted { alarm.verdict.since } else { now };
    // It stays so until the alarm is next judged.
    alarm.verdict = Verdict { state: wanted, reason, since, next: now.plus(window), configured: alarm.verdict.configured };
    Ok(None)
}

pub(super) fn delete(state: &mut State, input: &Input) -> Result<Option<Shape>, ApiError> {
    let names = input.texts("AlarmNames")?;
    let keys: Vec<_> = names.iter().map(|name| (Cloud::Aws, name.clone())).collect();
    // One that is not there makes the whole call fail.
    if let Some((_, absent)) = keys.iter().find(|key| !state.monitoring.alarms.contains_key(key)) {
        let message = format!("Alarm [{absent}] was not found.");
        return Err(ApiError::new("ResourceNotFound", message).with_status(http::StatusCode::NOT_FOUND));
    }
    for key in keys {
        state.monitoring.alarms.remove(&key);
    }
    Ok(None)
}

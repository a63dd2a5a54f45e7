//! Between DTS calls and the world's synchronisation jobs. Failures of this product come with HTTP 200 and `Success: false`.

use serde_json::{Value, json};

use super::{Action, changes, reads, tags};
use crate::wire::aliyun_rpc::{ApiError, Call, invalid};
use crate::world::state::{Cloud, Database, State, SyncJob};
use crate::world::sync::{PAUSED, RUNNING};

pub(super) const ACTIONS: &[Action] = &[
    reads("DescribeDtsJobs", describe_jobs).anywhere(),
    reads("DescribeDtsJobDetail", describe_job_detail).anywhere(),
    changes("SuspendDtsJob", suspend).anywhere(),
    changes("StartDtsJob", start).anywhere(),
    changes("TagResources", |state, call| Ok(said(tags::tag(state, call, tags::OF_DTS)))),
    changes("UntagResources", |state, call| Ok(said(tags::untag(state, call, tags::OF_DTS)))),
    reads("ListTagResources", |state, call| Ok(said(tags::list(state, call, tags::OF_DTS)))),
];

/// The outer fields of every answer, `fields` among them.
fn outcome(code: &str, message: &str, fields: Value) -> Value {
    let mut outcome = json!({
        "Success": code.is_empty(),
        "HttpStatusCode": "200",
        "ErrCode": code,
        "ErrMessage": message,
        "DynamicCode": "",
        "DynamicMessage": "",
    });
    if let (Some(outcome), Value::Object(fields)) = (outcome.as_object_mut(), fields) {
        outcome.extend(fields);
    }
    outcome
}

fn refused(code: &str, message: &str) -> Value {
    outcome(code, message, json!({}))
}

/// What the calls about tags come to, in this product's way.
fn said(result: Result<Value, ApiError>) -> Value {
    result.map_or_else(|error| refused(&error.code, &error.message), |fields| outcome("", "", fields))
}

fn find<'a>(state: &'a State, call: &Call) -> Result<&'a SyncJob, Value> {
    let job = match (call.text("DtsJobId"), call.text("DtsInstanceId").or_else(|| call.text("DtsInstanceID"))) {
        (Some(id), _) => state.jobs.get(id),
        (None, Some(instance)) => state.jobs.values().find(|job| job.instance == instance),
        (None, None) => return Err(refused("MissingParameter", "DtsJobId or DtsInstanceId is required")),
    };
    // The rows go one way.
    if call.text("SynchronizationDirection").is_some_and(|direction| direction != "Forward") {
        return Err(refused("InvalidParameter", "The Value of Input Parameter SynchronizationDirection is not valid."));
    }
    job.ok_or_else(|| refused("Forbidden.InstanceNotFound", "The specified instance does not exist."))
}

fn endpoint(region: &str, end: &Database) -> Value {
    let mut endpoint = json!({ "EngineName": end.engine, "DatabaseName": end.name, "InstanceType": end.kind });
    if end.cloud == Cloud::Aliyun {
        endpoint["Region"] = json!(region);
    }
    for (name, value) in [("InstanceID", &end.instance), ("Ip", &end.ip), ("Port", &end.port)] {
        if !value.is_empty() {
            endpoint[name] = json!(value);
        }
    }
    endpoint
}

/// A job; `Delay` has another unit in each of the two calls.
fn shown(job: &SyncJob, delay: u128) -> Value {
    json!({
        "DtsJobId": job.id,
        "DtsInstanceID": job.instance,
        "DtsJobName": job.name,
        "DtsJobClass": "medium",
        "JobType": "sync",
        "PayType": "PostPaid",
        "Status": job.status,
        "Delay": u64::try_from(delay).unwrap_or(u64::MAX),
        // Seconds since the epoch.
        "Checkpoint": job.checkpoint.to_utc().timestamp(),
        "SourceEndpoint": endpoint(&job.region, &job.source),
        "DestinationEndpoint": endpoint(&job.region, &job.target),
        // Of the incremental part alone.
        "DataSynchronizationStatus": { "Status": part(job), "Percent": "100" },
        "ErrorMessage": "",
    })
}

/// What the incremental part of a job shows: `Catched` is without delay.
fn part(job: &SyncJob) -> &'static str {
    if job.moves { "Catched" } else { "NotStarted" }
}

fn describe_jobs(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let size = call.number("PageSize", 10..=30)?.unwrap_or(20);
    if size % 10 != 0 {
        return Err(invalid("PageSize"));
    }
    let page = call.page(20, 30)?;
    // The type that is meant when none is given is not synchronisation.
    let is_sync = call.text("JobType").unwrap_or("MIGRATION").eq_ignore_ascii_case("SYNC");
    let names = |name: &str, value: &str| call.text(name).is_none_or(|list| list.split(',').any(|one| one == value));
    let all: Vec<Value> = state
        .jobs
        .values()
        .filter(|job| is_sync && names("DtsJobId", &job.id) && names("DtsInstanceId", &job.instance))
        .filter(|job| call.text("Status").is_none_or(|status| status.eq_ignore_ascii_case(&job.status)))
        .map(|job| shown(job, state.now.since(job.checkpoint).as_secs().into()))
        .collect();
    let total = all.len();
    let jobs = page.cut(all);
    let fields =
        json!({ "TotalRecordCount": total, "PageNumber": page.number, "PageRecordCount": jobs.len(), "DtsJobList": jobs, "EtlDemoList": [] });
    Ok(outcome("", "", fields))
}

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail; this product says so inside its answers")]
fn describe_job_detail(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    Ok(find(state, call).map_or_else(|refusal| refusal, |job| outcome("", "", shown(job, state.now.since(job.checkpoint).as_millis()))))
}

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail; this product says so inside its answers")]
fn suspend(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    Ok(step(state, call, RUNNING, PAUSED))
}

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail; this product says so inside its answers")]
fn start(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    Ok(step(state, call, PAUSED, RUNNING))
}

fn step(state: &mut State, call: &Call, from: &str, to: &str) -> Value {
    let id = match find(state, call) {
        // A paused job that still hands over what was in hand shows the same word as one that rests.
        Ok(job) if job.status == from && job.moves == (from == RUNNING) => job.id.clone(),
        Ok(job) => {
            let message = format!("The operation is not permitted due to Dts job status is {}.", job.status);
            return refused("OperationDenied.JobStatus", &message);
        }
        Err(refusal) => return refusal,
    };
    state.job_status(&id, to);
    outcome("", "", json!({}))
}

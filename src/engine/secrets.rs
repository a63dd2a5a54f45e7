//! Secrets by reference: `{ secret: "env:NAME" }` or `{ secret: "file:PATH" }` in parameters becomes its text only in the moment of use.
//! Plans, journals and errors hold the reference; what clouds, commands and services make of a secret is masked before it is an event.

use std::io::Read as _;
use std::sync::Arc;

use serde_json::Value;

use super::action::{ActionType, DynAction};
use crate::model::credentials::{has_reference, is_reference};
use crate::model::event::probe::ProbeKind;
use crate::model::event::step::StepKind;
use crate::model::event::{Body, RunEvent};
use crate::model::failure::{Failure, FailureKind};
use crate::ports::secrets::{self, mask, mask_value};

/// More than this is no secret but a file given by mistake.
const LONGEST: u64 = 64 * 1024;

/// `value` with every reference replaced by its secret.
///
/// # Errors
/// When a reference leads nowhere; the message names the reference, never a secret.
pub(crate) fn reveal(value: &Value) -> Result<Value, Failure> {
    Ok(match value {
        reference if is_reference(reference) => {
            let place = reference["secret"].as_str().unwrap_or_default();
            let secret = read(place).map_err(|why| Failure::new(FailureKind::Parameters, format!("secret `{place}`: {why}")))?;
            secrets::keep(&secret);
            Value::String(secret)
        }
        Value::Object(map) => map.iter().map(|(key, value)| Ok((key.clone(), reveal(value)?))).collect::<Result<_, Failure>>().map(Value::Object)?,
        Value::Array(items) => items.iter().map(reveal).collect::<Result<_, Failure>>().map(Value::Array)?,
        other => other.clone(),
    })
}

/// What stands where a secret is not asked for: a text that fits where an address is wanted, too.
const UNASKED: &str = "http://not-asked-for.invalid/";

/// The action that undoes what one with these parameters did. Its secrets are read only if it needs them: what was changed weeks ago must not stay because
/// a token of then is gone.
///
/// # Errors
/// When a secret that is needed leads nowhere, or the parameters do not fit.
pub(crate) fn action_for_undo<W>(row: &ActionType<W>, with: &Value) -> Result<Arc<dyn DynAction<W>>, Failure> {
    are_not_shown(row.shown, with)?;
    if has_reference(with)
        && let Ok(action) = (row.parse)(&unasked(with))
        && !action.undo_needs_secrets()
    {
        return Ok(action);
    }
    parsed(row, with)
}

/// The action with these parameters, its secrets read.
///
/// # Errors
/// As [`action_for_undo`].
pub(crate) fn parsed<W>(row: &ActionType<W>, with: &Value) -> Result<Arc<dyn DynAction<W>>, Failure> {
    are_not_shown(row.shown, with)?;
    let revealed = reveal(with)?;
    (row.parse)(&revealed).map_err(|error| {
        // What does not fit is quoted in the message: a secret must not be.
        let message = if revealed == *with { error.message } else { "does not fit (not shown: the parameters hold a secret)".to_owned() };
        Failure::new(FailureKind::Parameters, if error.path.is_empty() { message } else { format!("{}: {message}", error.path) })
    })
}

/// `value` with every reference replaced by a text that is no secret.
fn unasked(value: &Value) -> Value {
    match value {
        reference if is_reference(reference) => Value::from(UNASKED),
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), unasked(value))).collect()),
        Value::Array(items) => Value::Array(items.iter().map(unasked).collect()),
        other => other.clone(),
    }
}

/// Refuses `resolved` when it holds references that `written` does not: what a service or a command answered must not choose which secret is read.
///
/// # Errors
/// When there is one.
pub(crate) fn are_as_written(written: &Value, resolved: &Value) -> Result<(), Failure> {
    let is_new = match (written, resolved) {
        (Value::String(_), resolved) => has_reference(resolved),
        (Value::Object(written), Value::Object(resolved)) if written.keys().eq(resolved.keys()) && !resolved.keys().eq(["secret"]) => {
            return written.values().zip(resolved.values()).try_for_each(|(written, resolved)| are_as_written(written, resolved));
        }
        (Value::Array(written), Value::Array(resolved)) if written.len() == resolved.len() => {
            return written.iter().zip(resolved).try_for_each(|(written, resolved)| are_as_written(written, resolved));
        }
        (written, resolved) => written != resolved && has_reference(resolved),
    };
    if is_new {
        let why = "a reference to a secret came out of what an earlier step gave: it is not followed; write the reference into the step itself";
        return Err(Failure::new(FailureKind::Parameters, why));
    }
    Ok(())
}

/// Refuses parameters with a secret in one of `shown`, which everybody on the machine can read while the step runs.
///
/// # Errors
/// When there is one.
pub(crate) fn are_not_shown(shown: &[&str], with: &Value) -> Result<(), Failure> {
    match shown.iter().find(|name| with.get(**name).is_some_and(has_reference)) {
        Some(name) => Err(Failure::new(FailureKind::Parameters, format!("{name}: {SHOWN}"))),
        None => Ok(()),
    }
}

/// Why a secret cannot stand in some parameters.
pub(crate) const SHOWN: &str = "a secret would be read here by everybody who lists the processes of this machine";

/// Takes every secret out of what an event says in words of others. What the plan and the fold of events go by stays: it never held one.
pub(crate) fn hide(body: &mut Body) {
    match body {
        Body::Run(event) => hide_run(event),
        Body::Step(event) => hide_step(&mut event.kind),
        Body::Probe(event) => match &mut event.kind {
            ProbeKind::Edge { detail, .. } | ProbeKind::Changed { detail, .. } => mask(detail),
            ProbeKind::Reading { value, .. } => mask_value(value),
            ProbeKind::Tally { .. } | ProbeKind::Unknown => {}
        },
        Body::Unknown => {}
    }
}

fn hide_run(event: &mut RunEvent) {
    match event {
        RunEvent::Decided { basis, .. } => mask(basis),
        RunEvent::StopRequested { why, .. } | RunEvent::Ordered { why, .. } => mask(why),
        RunEvent::Guarded { decisions } => decisions.iter_mut().for_each(|decision| mask(&mut decision.detail)),
        RunEvent::Baseline { differences, .. } | RunEvent::Kept { moved: differences, .. } => {
            differences.iter_mut().flat_map(|one| [&mut one.what, &mut one.before, &mut one.after]).for_each(mask);
        }
        RunEvent::Snapshot { targets, .. } => targets.iter_mut().flat_map(|one| [&mut one.id, &mut one.change]).for_each(mask),
        RunEvent::Note { text } => mask(text),
        RunEvent::Unseen { lacking, .. } => lacking.iter_mut().for_each(|one| mask(&mut one.detail)),
        RunEvent::Ended { reasons, .. } => reasons.iter_mut().for_each(mask),
        _ => {}
    }
}

fn hide_step(kind: &mut StepKind) {
    match kind {
        StepKind::Intended { targets, .. } => targets.iter_mut().flat_map(|one| [&mut one.id, &mut one.change]).for_each(mask),
        StepKind::Call { call } => [&mut call.region, &mut call.outcome].into_iter().chain(&mut call.request_id).for_each(mask),
        StepKind::Progress { text } | StepKind::Warned { text } => mask(text),
        StepKind::Irrevocable { what, .. } => what.iter_mut().for_each(mask),
        StepKind::Asked { question } => mask(&mut question.text),
        StepKind::Answered { note, .. } => mask(note),
        StepKind::Found { detail, .. } => mask(detail),
        StepKind::AttemptFailed { failure, .. } | StepKind::Failed { failure } | StepKind::UndoFailed { failure } => {
            mask(&mut failure.message);
            failure.causes.iter_mut().for_each(mask);
        }
        StepKind::Applied { output, .. } => mask_value(output),
        StepKind::Skipped { why } => mask(why),
        StepKind::Accepted { why, there, is, .. } => {
            [why, there].into_iter().for_each(mask);
            is.iter_mut().for_each(mask_value);
        }
        _ => {}
    }
}

/// Refuses a `before` with a secret in it: masked it could not be restored, and as it is it must not be kept.
///
/// # Errors
/// When there is one.
pub(crate) fn can_be_kept(before: &Value) -> Result<(), Failure> {
    if secrets::are_in(before) {
        return Err(Failure::new(
            FailureKind::Parameters,
            "what is there now holds a secret, so it cannot be kept to be restored; nothing was changed",
        ));
    }
    Ok(())
}

fn read(reference: &str) -> Result<String, String> {
    match reference.split_once(':') {
        Some(("env", name)) => std::env::var(name).map_err(|_| "this environment variable is not set, or not text".to_owned()),
        Some(("file", path)) => {
            let mut text = String::new();
            std::fs::File::open(path)
                .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
                .map_err(|error| format!("the file cannot be read: {error}"))?;
            if text.len() as u64 > LONGEST {
                Err("the file is longer than 64 KiB".to_owned())
            } else {
                Ok(text.trim_end_matches(['\n', '\r']).to_owned())
            }
        }
        _ => Err("write env:NAME or file:PATH".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::event::StepEvent;

    #[test]
    fn a_file_is_read_and_its_last_line_break_dropped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let reference = format!("file:{}", file.path().display());
        assert_eq!(reveal(&json!({"headers": [{"secret": reference}]})).unwrap(), json!({"headers": ["s3cret"]}));
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_named() {
        let failure = reveal(&json!({"secret": "env:LIFEBOAT_NO_SUCH_VARIABLE"})).unwrap_err();
        assert!(failure.message.contains("env:LIFEBOAT_NO_SUCH_VARIABLE"), "{failure}");
        assert!(reveal(&json!({"secret": "vault:x"})).is_err());
    }

    #[test]
    fn a_reference_that_an_answer_brought_along_is_not_followed() {
        let check = |written: Value, resolved: Value| are_as_written(&written, &resolved).is_ok();
        let reference = json!({"secret": "env:AWS_SECRET_ACCESS_KEY"});
        assert!(check(json!({"a": reference, "b": "${{ steps.x.output.body }}"}), json!({"a": reference, "b": "text"})));
        assert!(!check(json!({"body": "${{ steps.x.output.json }}"}), json!({"body": reference})));
        assert!(!check(json!({"body": ["${{ steps.x.output.json }}"]}), json!({"body": [{"deep": [reference]}]})));
        assert!(!check(json!({"body": {"secret": "env:A"}}), json!({"body": reference})));
    }

    #[test]
    fn an_event_says_nothing_of_a_secret_and_keeps_what_the_fold_goes_by() {
        secrets::keep("engine-canary-1");
        let mut failure = Failure::new(FailureKind::Cloud, "refused: engine-canary-1");
        failure.causes.push("because engine-canary-1".into());
        let mut body = Body::Step(StepEvent { step: "failover/x".into(), kind: StepKind::Failed { failure } });
        hide(&mut body);
        let said = serde_json::to_string(&body).unwrap();
        assert!(!said.contains("canary") && said.contains("refused: ***") && said.contains("failover/x"), "{said}");
        let mut body = Body::Step(StepEvent {
            step: "failover/x".into(),
            kind: StepKind::Applied { attempt: 1, output: json!({"stdout": "engine-canary-1"}), already: false, accepted_ms: None },
        });
        hide(&mut body);
        assert!(!serde_json::to_string(&body).unwrap().contains("canary"));
        assert!(can_be_kept(&json!({"acl": "acl-1"})).is_ok());
        assert!(can_be_kept(&json!({"acl": ["engine-canary-1"]})).is_err());
    }
}

//! Secrets by reference: `{ secret: "env:NAME" }` or `{ secret: "file:PATH" }` in parameters becomes its text only in the moment of use.
//! Plans, journals and errors hold the reference; what clouds, commands and services make of a secret is masked before it is an event.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tracing::debug;

use crate::model::credentials::{has_reference, is_name, is_reference};
use crate::model::event::probe::ProbeKind;
use crate::model::event::step::StepKind;
use crate::model::event::{Body, RunEvent};
use crate::model::failure::{Failure, FailureKind};
use crate::model::plan::Plan;
use crate::model::target::Target;
use crate::model::yaml::Seg;
use crate::ports::secrets::{self, mask, mask_value};

/// More than this is no secret but a file given by mistake.
const LONGEST: u64 = 64 * 1024;

/// Whether references are followed.
static FOLLOWED: AtomicBool = AtomicBool::new(true);

/// Says whether references are followed from now on: those of a run that was begun by somebody else, or elsewhere, are not. What it would be led to read is
/// the caller's.
pub(crate) fn follow(is_followed: bool) {
    FOLLOWED.store(is_followed, Ordering::Relaxed);
}

/// From now on every secret that `plan` refers to is masked, used or not: a program that prints what it finds may come long before whoever needs the secret.
/// One that leads nowhere is told by whoever uses it.
pub(crate) fn know(plan: &Plan) {
    know_the_operators();
    if FOLLOWED.load(Ordering::Relaxed) {
        // A plan always has a JSON form.
        let plan = serde_json::to_value(plan).unwrap_or_default();
        references(&plan, &mut |place| {
            if let Ok(secret) = read(place) {
                secrets::keep(&secret);
            }
        });
    }
}

fn references(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        reference if is_reference(reference) => each(reference["secret"].as_str().unwrap_or_default()),
        Value::Object(map) => map.values().for_each(|value| references(value, each)),
        Value::Array(items) => items.iter().for_each(|value| references(value, each)),
        _ => {}
    }
}

/// Names of variables, and of keys in the clouds' own files, that hold secrets of whoever runs this process.
const OPERATORS: [&str; 10] = [
    "aws_secret_access_key",
    "aws_session_token",
    "aws_security_token",
    "alibaba_cloud_access_key_secret",
    "alibaba_cloud_security_token",
    "access_key_secret",
    "accesskeysecret",
    "sts_token",
    "security_token",
    "refresh_token",
];
/// Shorter values of variables that only look like secrets are none.
const SHORTEST: usize = 8;

/// From now on the operator's own keys are masked, whether a cloud is asked with them or not: in a lab nobody is, and yet programs see them.
pub(crate) fn know_the_operators() {
    // The current folder is called `PWD`.
    let is_secret = |name: &str| OPERATORS.contains(&&*name.to_ascii_lowercase()) || is_name(name) && !name.ends_with("PWD");
    for (name, value) in std::env::vars_os() {
        if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
            && is_secret(name)
            && value.len() >= SHORTEST
            && !value.starts_with('/')
        {
            secrets::keep(value);
        }
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let named = |name: &str, usual: &str| std::env::var_os(name).map(PathBuf::from).or_else(|| in_home(usual));
    let files = [
        named("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        named("AWS_CONFIG_FILE", ".aws/config"),
        named("ALIBABA_CLOUD_CREDENTIALS_FILE", ".alibabacloud/credentials"),
        named("ALIBABA_CLOUD_CONFIG_FILE", ".aliyun/config.json"),
    ];
    for file in files.into_iter().flatten() {
        let text = read(&format!("file:{}", file.display())).unwrap_or_default();
        values(&text).for_each(secrets::keep);
    }
}

/// The secrets in a file of `key = value` or `"key": "value"`.
fn values(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', ',', '{', '}']).filter_map(|pair| {
        let (key, value) = pair.split_once(['=', ':'])?;
        let (key, value) = (key.trim().trim_matches('"'), value.trim().trim_matches('"'));
        (OPERATORS.contains(&&*key.to_ascii_lowercase()) && value.len() >= SHORTEST).then_some(value)
    })
}

/// `with` as a probe gets it: where references are not followed, with a text in their place that is no secret, so that the probe fails and the run goes on.
///
/// # Errors
/// As [`reveal`].
pub(super) fn reveal_for_probe(with: &Value) -> Result<Value, Failure> {
    if FOLLOWED.load(Ordering::Relaxed) { reveal(with) } else { Ok(unasked(with)) }
}

/// `value` with every reference replaced by its secret.
///
/// # Errors
/// When a reference leads nowhere; the message names the reference, never a secret.
pub(super) fn reveal(value: &Value) -> Result<Value, Failure> {
    Ok(match value {
        reference if is_reference(reference) => {
            let place = reference["secret"].as_str().unwrap_or_default();
            Value::String(text_at(place).map_err(|why| Failure::new(FailureKind::Parameters, format!("secret `{place}`: {why}")))?)
        }
        Value::Object(map) => map.iter().map(|(key, value)| Ok((key.clone(), reveal(value)?))).collect::<Result<_, Failure>>().map(Value::Object)?,
        Value::Array(items) => items.iter().map(reveal).collect::<Result<_, Failure>>().map(Value::Array)?,
        other => other.clone(),
    })
}

/// The secret at `place`, such as `env:NAME`; from now on it is masked.
///
/// # Errors
/// Why it cannot be read, without the place.
pub(crate) fn text_at(place: &str) -> Result<String, String> {
    if !FOLLOWED.load(Ordering::Relaxed) {
        return Err("it is not read: the run was begun by another user, or this is a copy of its folder".to_owned());
    }
    let secret = read(place)?;
    secrets::keep(&secret);
    Ok(secret)
}

/// What stands where a secret is not asked for: a text that fits where an address is wanted, too.
const UNASKED: &str = "http://not-asked-for.invalid/";

/// `value` with every reference replaced by a text that is no secret.
pub(super) fn unasked(value: &Value) -> Value {
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
pub(super) fn are_as_written(written: &Value, resolved: &Value) -> Result<(), Failure> {
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
pub(super) fn are_not_shown(shown: &[&str], with: &Value) -> Result<(), Failure> {
    match shown.iter().find(|name| with.get(**name).is_some_and(has_reference)) {
        Some(name) => Err(Failure::new(FailureKind::Parameters, format!("{name}: {SHOWN}"))),
        None => Ok(()),
    }
}

/// Where in parameters a reference to a secret stands that is none of `allowed`, the parameters in which one may; `probes`: the same for a kind of probe,
/// whose parameters a group holds.
pub(crate) fn misplaced(allowed: &[&str], with: &Value, probes: &dyn Fn(&str) -> Option<&'static [&'static str]>) -> Option<Vec<Seg>> {
    fn walk(allowed: &[&str], value: &Value, way: &[Seg], probes: &dyn Fn(&str) -> Option<&'static [&'static str]>) -> Option<Vec<Seg>> {
        let may_hold = |key: &str| allowed.iter().filter_map(|one| one.strip_prefix(key)?.strip_prefix('.')).collect::<Vec<_>>();
        let further = |seg: Seg| [way, &[seg]].concat();
        match value {
            value if is_reference(value) => Some(way.to_vec()),
            Value::Object(map) => {
                let own = map.get("uses").and_then(Value::as_str).and_then(probes);
                map.iter().filter(|(key, _)| !allowed.contains(&key.as_str())).find_map(|(key, value)| match own.filter(|_| key == "with") {
                    Some(own) => walk(own, value, &further(Seg::from(key)), probes),
                    None => walk(&may_hold(key), value, &further(Seg::from(key)), probes),
                })
            }
            Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| walk(&[], item, &further(Seg::Index(index)), probes)),
            _ => None,
        }
    }
    walk(allowed, with, &[], probes)
}

/// Refuses parameters with a secret where it would decide what is acted on: whoever starts the run would choose that by their environment, after everybody
/// has approved it.
///
/// # Errors
/// When there is one.
pub(super) fn are_placed(allowed: &[&str], with: &Value) -> Result<(), Failure> {
    match misplaced(allowed, with, &|_| None) {
        Some(way) => Err(Failure::new(FailureKind::Parameters, format!("{}: {MISPLACED}", shown(&way)))),
        None => Ok(()),
    }
}

/// A way for people: `instances.ids[1]`.
fn shown(way: &[Seg]) -> String {
    let mut text = String::new();
    for seg in way {
        match seg {
            Seg::Key(key) if text.is_empty() => text.push_str(key),
            Seg::Key(key) => text.extend([".", key]),
            Seg::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// Why a secret cannot stand where something is decided.
pub(crate) const MISPLACED: &str =
    "a secret must not decide this: whoever starts the run would choose it by their own environment, unseen by guards and approvers";

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
            ProbeKind::Tally { .. } => {}
        },
    }
}

fn hide_run(event: &mut RunEvent) {
    match event {
        RunEvent::Decided { basis, .. } => mask(basis),
        RunEvent::StopRequested { why, .. } | RunEvent::Ordered { why, .. } => mask(why),
        RunEvent::Guarded { decisions, .. } => decisions.iter_mut().for_each(|decision| mask(&mut decision.detail)),
        RunEvent::Baseline { differences, .. } | RunEvent::Kept { moved: differences, .. } => {
            differences.iter_mut().flat_map(|one| [&mut one.what, &mut one.before, &mut one.after]).for_each(mask);
        }
        RunEvent::Snapshot { targets, .. } => targets.iter_mut().flat_map(Target::texts_mut).for_each(mask),
        RunEvent::Note { text } => mask(text),
        RunEvent::Unseen { lacking, .. } => lacking.iter_mut().for_each(|one| mask(&mut one.detail)),
        RunEvent::Ended { reasons, .. } => reasons.iter_mut().for_each(mask),
        _ => {}
    }
}

fn hide_step(kind: &mut StepKind) {
    match kind {
        StepKind::Intended { targets, .. } => targets.iter_mut().flat_map(Target::texts_mut).for_each(mask),
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
    let secret = read_at(reference);
    match &secret {
        Ok(_) => debug!(reference, "secret read"),
        Err(why) => debug!(reference, why, "secret not read"),
    }
    secret
}

fn read_at(reference: &str) -> Result<String, String> {
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
    fn every_secret_of_a_plan_is_known_before_it_is_used() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "engine-canary-of-a-late-step").unwrap();
        let reference = json!({ "secret": format!("file:{}", file.path().display()) });
        let mut plan = crate::model::event::samples::plan(crate::model::plan::Mode::Drill);
        plan.failover.steps.last_mut().unwrap().with = json!({ "deep": [{ "token": reference }, { "secret": "env:LIFEBOAT_NO_SUCH_VARIABLE" }] });
        let before = "it said engine-canary-of-a-late-step";
        assert_eq!(secrets::masked(before), before);
        know(&plan);
        assert_eq!(secrets::masked(before), "it said ***");
    }

    #[test]
    fn keys_are_found_in_the_files_of_both_clouds() {
        let found = |text: &str| values(text).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(found("[default]\naws_access_key_id = AKIDONE\naws_secret_access_key = abc/def+ghi=\nregion=x\n"), ["abc/def+ghi="]);
        let json = r#"{"profiles":[{"access_key_id":"LTAI","access_key_secret":"0123456789ab","sts_token": "tokentoken"}]}"#;
        assert_eq!(found(json), ["0123456789ab", "tokentoken"]);
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
    fn a_secret_stands_only_where_it_decides_nothing() {
        let secret = json!({"secret": "env:A"});
        let http: &'static [&'static str] = &["headers"];
        let probes = |uses: &str| (uses == "http").then_some(http);
        let check = |with: Value| misplaced(&["headers", "source.password"], &with, &probes).map(|way| shown(&way));
        for fits in [
            json!({"headers": secret}),
            json!({"headers": {"a": [secret]}}),
            json!({"source": {"password": secret}}),
            json!({"of": {"one": {"uses": "http", "with": {"headers": {"a": secret}}}}}),
        ] {
            assert_eq!(check(fits.clone()), None, "{fits}");
        }
        for (wrong, way) in [
            (secret.clone(), ""),
            (json!({"region": secret}), "region"),
            (json!({"source": secret}), "source"),
            (json!({"source": {"address": secret}}), "source.address"),
            (json!({"password": secret}), "password"),
            (json!({"instances": {"ids": ["i-1", secret]}}), "instances.ids[1]"),
            (json!({"of": {"one": {"uses": "http", "with": {"url": secret}}}}), "of.one.with.url"),
            (json!({"of": {"one": {"uses": "dns", "with": {"headers": secret}}}}), "of.one.with.headers"),
        ] {
            assert_eq!(check(wrong.clone()).as_deref(), Some(way), "{wrong}");
        }
        assert!(are_placed(&[], &json!({"region": secret})).unwrap_err().message.starts_with("region: a secret must not decide this"));
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

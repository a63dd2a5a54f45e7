//! `exec`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::catalogue::expect::json;
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::Span;
use crate::world::{World, command};

/// Runs a command on this machine, without a shell. Good when it ends with status 0. If it prints a JSON object, its `state` (`good`, `bad` or `unknown`)
/// decides instead, `detail` says why, and `value` is what was read. Unknown when the command cannot be run (statuses 126 and 127 of a shell), is killed or does
/// not end in time, and when what is expected of its JSON is not there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecProbe {
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    command: Vec<String>,
    /// What it reads on standard input, as JSON; nothing unless written. A secret may stand here.
    #[serde(default)]
    input: Value,
    /// Environment variables. Of those of Lifeboat itself a command finds only `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`, `LANGUAGE`, `LC_ALL`,
    /// `LC_CTYPE`, `LC_MESSAGES`, `TZ`, `TERM` and `TMPDIR`. A secret may stand here, never in `command`, which others on the machine can read.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// How long it may take; 5s unless written. It is killed then, with everything it started.
    #[serde(default = "five_seconds")]
    timeout: Span,
    /// What its JSON must hold: paths (`items.0.state` or `/items/0/state`) and values.
    #[serde(default)]
    expect: BTreeMap<String, Value>,
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

/// What a command may print.
#[derive(Debug, Default, Deserialize)]
struct CommandAnswer {
    state: Option<State>,
    detail: Option<String>,
    value: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    Bad,
    Unknown,
}

impl Probe<World> for ExecProbe {
    const KIND: &'static str = "exec";
    const EXAMPLE: &'static str = "{ command: [./check-stock, --region, us-east-1], timeout: 5s }";
    const CALLS: &'static [&'static str] = &[];
    const SECRETS: &'static [&'static str] = &["env", "input"];
    const SILENCE: Reading = Reading::Unknown;
    const READS: &'static [&'static str] = &["command", "env"];

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    async fn sample(&self, world: &World) -> Sample {
        let program = self.command.first().map_or("", String::as_str);
        let input = if self.input.is_null() { String::new() } else { self.input.to_string() };
        match world.command(&self.command, &self.env, &[], &input).await {
            Ok(ended) => self.judge(program, &ended),
            Err(error) => Sample::unknown(format!("`{program}` cannot be run: {error}")),
        }
    }
}

impl ExecProbe {
    fn judge(&self, program: &str, ended: &command::Ended) -> Sample {
        let said = match serde_json::from_str::<Value>(&ended.stdout) {
            Ok(value @ Value::Object(_)) => match serde_json::from_value::<CommandAnswer>(value) {
                Ok(said) => said,
                Err(error) => return Sample::unknown(format!("`{program}` printed no answer: {error}")),
            },
            _ => CommandAnswer::default(),
        };
        let state = said.state.unwrap_or(match ended.status.code() {
            Some(0) => State::Good,
            // What shells say of a command that they could not run; and a command that was killed has not come to its answer.
            Some(126 | 127) | None => State::Unknown,
            Some(_) => State::Bad,
        });
        let unmet = (state == State::Good).then(|| json::unmet(ended.stdout.as_bytes(), &self.expect)).flatten();
        let detail = said.detail.unwrap_or_else(|| if ended.status.success() { "status 0".to_owned() } else { ended.failure(program) });
        let detail = ended.warning(program).map_or_else(|| detail.clone(), |warning| format!("{detail}; {warning}"));
        let sample = match (state, unmet) {
            (State::Good, None) => Sample::good(detail),
            (State::Good, Some(unmet)) => unmet.into(),
            (State::Bad, _) => Sample::bad(detail),
            (State::Unknown, _) => Sample::unknown(detail),
        };
        Sample { value: said.value, ..sample }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::probe::Reading;

    async fn check(script: &str, expect: Value, reading: Reading, detail: &str) -> Option<Value> {
        let with = json!({ "command": ["/bin/sh", "-c", script], "input": { "limit": 3 }, "env": { "WORD": "boat" }, "expect": expect });
        let probe: ExecProbe = serde_json::from_value(with).unwrap();
        let ended = command::run(&probe.command, &probe.env, &[], &probe.input.to_string()).await.unwrap();
        let sample = probe.judge("/bin/sh", &ended);
        assert_eq!((sample.reading, sample.detail.as_str()), (reading, detail), "{script}");
        sample.value
    }

    #[tokio::test]
    async fn its_status_decides_unless_it_says_otherwise() {
        check("exit 0", json!({}), Reading::Good, "status 0").await;
        check("echo no >&2; exit 3", json!({}), Reading::Bad, "`/bin/sh` ended with exit status: 3: no").await;
        let value = check(r#"echo '{"state":"bad","detail":"7 of 3","value":7}'"#, json!({}), Reading::Bad, "7 of 3").await;
        assert_eq!(value, Some(json!(7)));
        check(r#"echo '{"state":"good","detail":"fine"}'; exit 1"#, json!({}), Reading::Good, "fine").await;
        check(r#"echo '{"state":"unknown"}'"#, json!({}), Reading::Unknown, "status 0").await;
        let message = "`/bin/sh` printed no answer: unknown variant `up`, expected one of `good`, `bad`, `unknown`";
        check(r#"echo '{"state":"up"}'"#, json!({}), Reading::Unknown, message).await;
    }

    #[tokio::test]
    async fn json_goes_in_and_what_comes_out_is_held_against_what_is_expected() {
        assert_eq!(check(r#"printf '{"value":'; cat; printf '}'"#, json!({ "value.limit": 3 }), Reading::Good, "status 0").await, Some(json!({ "limit": 3 })));
        check(r#"echo "{\"value\":\"$WORD\"}""#, json!({ "value": "ship" }), Reading::Bad, "value is \"boat\", expected \"ship\"").await;
        check("echo text", json!({ "value": 1 }), Reading::Unknown, "the answer is not JSON").await;
        check("true", json!({ "value": 1 }), Reading::Unknown, "the answer is not JSON").await;
        check("echo '{}'", json!({ "value": 1 }), Reading::Unknown, "there is no value, expected 1").await;
    }

    #[tokio::test]
    async fn a_command_that_was_not_run_to_its_end_has_said_nothing() {
        check("no-such-command-here 2>/dev/null", json!({}), Reading::Unknown, "`/bin/sh` ended with exit status: 127").await;
        check("/dev/null 2>/dev/null", json!({}), Reading::Unknown, "`/bin/sh` ended with exit status: 126").await;
        check("kill -9 $$", json!({}), Reading::Unknown, "`/bin/sh` ended with signal: 9 (SIGKILL)").await;
    }
}

//! `exec`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::world::{World, command};
use crate::model::target::{Target, TargetKind};

/// Runs a command on this machine, without a shell, and fails unless it ends with status 0. It is killed, with everything it started, when the
/// step's time is up. Its status counts as soon as it has ended: what it left running in a session of its own is not waited for, and is told of.
///
/// The command finds the run's id in `LIFEBOAT_RUN` and the step's key in `LIFEBOAT_STEP`. A retried step runs it again. When another process takes the run
/// over it is run only for the user, and in the folder, that began the run.
///
/// Undo runs the command that `undo` names; without one nothing takes back what `command` did.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exec {
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    command: Vec<String>,
    /// The program and its arguments that take back what `command` did; without it the step cannot be undone.
    #[serde(default)]
    undo: Vec<String>,
    /// Environment variables. Of those of Lifeboat itself a command finds only `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`, `LANGUAGE`, `LC_ALL`,
    /// `LC_CTYPE`, `LC_MESSAGES`, `TZ`, `TERM` and `TMPDIR`. A secret may stand here, never in `command`, which others on the machine can read.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// What it reads on standard input; nothing unless written. A secret may stand here.
    #[serde(default)]
    stdin: String,
}

/// What it printed.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The first 64 KiB of what it printed on standard output, without a final line break.
    stdout: String,
    /// The same, when it is JSON.
    stdout_json: Value,
}

impl Action<World> for Exec {
    const KIND: &'static str = "exec";
    const EXAMPLE: &'static str = r#"{ command: [./switch-cache, --to, aws], undo: [./switch-cache, --to, aliyun], env: { TOKEN: { secret: "env:CACHE_TOKEN" } } }"#;
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const SECRETS: &'static [&'static str] = &["env", "stdin"];
    const READS: &'static [&'static str] = &["command", "undo", "env"];
    const SHOWN: &'static [&'static str] = &["command", "undo"];
    type Before = ();
    type Output = Output;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        let program = self.command.first().ok_or_else(|| ActionError::Parameters("`command` is empty".to_owned()))?;
        let call = PlannedCall::write("exec", self.command.join(" "));
        let planned = Planned::new((), vec![Target::outside(TargetKind::Command, program)], vec![call]);
        Ok(if self.undo.is_empty() { planned.irrevocable(format!("what `{program}` did")) } else { planned })
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &()) -> Result<Applied<Output>, ActionError> {
        let stdout = self.run(&self.command, cx).await?;
        (cx.accepted)();
        let stdout = stdout.trim_end_matches(['\n', '\r']).to_owned();
        Ok(Applied::changed(Output { stdout_json: serde_json::from_str(&stdout).unwrap_or(Value::Null), stdout }))
    }

    fn undo_needs_secrets(&self) -> bool {
        !self.undo.is_empty()
    }

    async fn undo(&self, cx: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        if self.undo.is_empty() {
            return Ok(Undone::Impossible);
        }
        self.run(&self.undo, cx).await?;
        Ok(Undone::Restored)
    }
}

impl Exec {
    async fn run(&self, command: &[String], cx: &Cx<'_, World>) -> Result<String, ActionError> {
        let ours = [("LIFEBOAT_RUN", cx.run), ("LIFEBOAT_STEP", cx.step)];
        ended(command, cx.world.command(command, &self.env, &ours, &self.stdin).await, cx.warn)
    }
}

/// What a command printed, if it went well.
fn ended(command: &[String], ended: std::io::Result<command::Ended>, warn: &(dyn Fn(String) + Send + Sync)) -> Result<String, ActionError> {
    let program = command.first().map_or("", String::as_str);
    let failed = |error: std::io::Error| ActionError::Other { message: format!("`{program}` cannot be run: {error}"), retry: false };
    let ended = ended.map_err(failed)?;
    ended.warning(program).into_iter().for_each(warn);
    if ended.status.success() { Ok(ended.stdout) } else { Err(ActionError::Check(ended.failure(program))) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rustix::process::Pid;

    use super::*;

    async fn run(
        command: &[String],
        env: &BTreeMap<String, String>,
        ours: &[(&str, &str)],
        input: &str,
        warn: &(dyn Fn(String) + Send + Sync),
    ) -> Result<String, ActionError> {
        ended(command, command::run(command, env, ours, input).await, warn)
    }

    async fn sh(script: &str) -> Result<String, ActionError> {
        heard(script).await.0
    }

    /// What a script comes to, and what is said of it beside that.
    async fn heard(script: &str) -> (Result<String, ActionError>, Vec<String>) {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        let said = Mutex::new(Vec::new());
        let warn = |text| said.lock().unwrap().push(text);
        let done = run(&command, &BTreeMap::from([("WORD".to_owned(), "boat".to_owned())]), &[("LIFEBOAT_RUN", "r1")], "", &warn).await;
        (done, said.into_inner().unwrap())
    }

    #[tokio::test]
    async fn a_grandchild_that_has_left_the_group_holds_nobody_up_and_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        // It holds both streams, or one, and the exit code counts in each case.
        for (number, streams, status) in [(1, "", 0), (2, ">/dev/null", 0), (3, "2>/dev/null", 3)] {
            let up = folder.path().join(number.to_string());
            let up = up.display();
            let script = format!(
                "setsid sh -c 'echo > {up}; exec sleep 5' {streams} & while [ ! -e {up} ]; do sleep 0.01; done; echo ready; exit {status}"
            );
            let (done, said) = heard(&script).await;
            match status {
                0 => assert_eq!(done.unwrap(), "ready\n", "{script}"),
                _ => assert!(done.unwrap_err().to_string().contains("exit status: 3"), "{script}"),
            }
            assert!(said.len() == 1 && said[0].contains("still holds its output"), "{script}: {said:?}");
        }
        assert_eq!(heard("echo ready").await.1, [""; 0]);
    }

    #[tokio::test]
    async fn output_and_environment_go_through() {
        assert_eq!(sh("echo $WORD $LIFEBOAT_RUN").await.unwrap(), "boat r1\n");
    }

    #[tokio::test]
    async fn of_our_own_environment_a_command_finds_only_what_is_passed() {
        let found = sh("env").await.unwrap();
        let names: Vec<&str> = found.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let of_the_shell = ["PWD", "SHLVL", "_", "OLDPWD"];
        let is_known = |name: &&&str| !command::PASSED.contains(name) && !of_the_shell.contains(name) && !["WORD", "LIFEBOAT_RUN"].contains(name);
        assert_eq!(names.iter().find(is_known), None, "{found}");
        assert!(names.contains(&"PATH") && names.contains(&"WORD"), "{found}");
    }

    #[tokio::test]
    async fn input_is_read_by_who_wants_it_and_holds_up_nobody_else() {
        let with_input = async |script: &str| {
            let command = ["/bin/sh", "-c", script].map(str::to_owned);
            run(&command, &BTreeMap::new(), &[], &"x".repeat(1 << 20), &|_| {}).await
        };
        assert_eq!(with_input("wc -c").await.unwrap().trim(), (1 << 20).to_string());
        assert_eq!(with_input("echo done").await.unwrap(), "done\n");
    }

    #[tokio::test]
    async fn a_failing_command_says_its_last_line() {
        let error = sh("echo one >&2; echo two >&2; exit 3").await.unwrap_err();
        assert_eq!(error.to_string(), "`/bin/sh` ended with exit status: 3: two");
        assert!(matches!(run(&["/nowhere/at/all".to_owned()], &BTreeMap::new(), &[], "", &|_| {}).await, Err(ActionError::Other { retry: false, .. })));
    }

    #[tokio::test]
    async fn much_output_is_cut_and_blocks_nothing() {
        let text = sh("head -c 1000000 /dev/zero | tr '\\0' x").await.unwrap();
        assert_eq!(text.len(), 64 << 10);
    }

    #[tokio::test]
    async fn a_command_that_leaves_something_running_ends_all_the_same() {
        let done = tokio::time::timeout(std::time::Duration::from_secs(30), sh("sleep 600 & echo ready")).await;
        assert_eq!(done.expect("nobody waits for what was left").unwrap(), "ready\n");
    }

    #[tokio::test]
    async fn what_the_command_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let wait = async {
            while !file.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::select! { _ = sh(&script) => panic!("it ended by itself"), () = wait => {} }
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let pid = Pid::from_raw(pid).unwrap();
        // A killed process stays visible until its new parent has noticed.
        let is_alive = || std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).is_ok_and(|stat| !stat.contains(") Z "));
        for _ in 0..1000 {
            if !is_alive() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("{pid:?} still runs");
    }
}

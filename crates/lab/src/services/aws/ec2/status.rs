//! `DescribeInstanceStatus`: the two status checks.

use super::INSTANCE;
use super::instances::{all, code, write_state};
use super::page::Page;
use super::select::Selection;
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::{Instance, InstanceState, State};

/// The most instances of one page, however many ids were asked for.
const PAGE: usize = 50;

/// The word for a check, and for its only detail.
fn check(state: &State, instance: &Instance) -> (&'static str, Option<&'static str>) {
    match instance.state {
        InstanceState::Running if state.is_healthy(instance) => ("ok", Some("passed")),
        InstanceState::Running => ("initializing", Some("initializing")),
        _ => ("not-applicable", None),
    }
}

fn attribute(state: &State, instance: &Instance, name: &str) -> Option<Vec<String>> {
    let one = |value: &str| Some(vec![value.to_owned()]);
    match name {
        "availability-zone" => one(state.subnets.get(&instance.subnet).map_or("", |subnet| &subnet.zone)),
        "instance-state-name" => one(code(instance.state).1),
        "instance-state-code" => one(&code(instance.state).0.to_string()),
        "instance-status.status" | "system-status.status" => one(check(state, instance).0),
        "instance-status.reachability" | "system-status.reachability" => Some(check(state, instance).1.into_iter().map(str::to_owned).collect()),
        _ => None,
    }
}

pub(super) fn describe(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    if parameters.get("MaxResults").is_some() && !parameters.list("InstanceId").is_empty() {
        return Err(ApiError::new("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults"));
    }
    let with_all = parameters.flag("IncludeAllInstances")?;
    let state = &*state;
    let selection = Selection { ids: "InstanceId", kind: &INSTANCE, parameters };
    let mut picked = selection.pick(all(state), |instance| &instance.id, |instance, name| attribute(state, instance, name))?;
    picked.retain(|instance| with_all || instance.state == InstanceState::Running);
    let page = Page::cut(parameters, picked, PAGE, |instance| &instance.id)?;
    answer.items("instanceStatusSet", &page.items, |answer, instance| {
        answer.text("instanceId", &instance.id);
        answer.text("availabilityZone", state.subnets.get(&instance.subnet).map_or("", |subnet| &subnet.zone));
        write_state(answer, "instanceState", code(instance.state));
        let (word, detail) = check(state, instance);
        for name in ["systemStatus", "instanceStatus"] {
            answer.element(name, |answer| {
                answer.text("status", word);
                if let Some(detail) = detail {
                    answer.items("details", [detail], |answer, detail| {
                        answer.text("name", "reachability");
                        answer.text("status", detail);
                    });
                }
            });
        }
    });
    page.write_token(answer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{ask, world};
    use super::*;
    use crate::world::transition::settle;

    #[test]
    fn checks_begin_when_it_runs_and_pass_later() {
        let mut state = world();
        let id = "i-0a11febe0a7500001";
        let status = |state: &mut State| {
            let answer = ask(state, &format!("Action=DescribeInstanceStatus&InstanceId.1={id}&IncludeAllInstances=true")).unwrap();
            answer.child("instanceStatusSet").unwrap().children[0].child("instanceStatus").unwrap().text_of("status").unwrap().to_owned()
        };
        assert_eq!(status(&mut state), "not-applicable");
        state.instance_start(id);
        for (seconds, word) in [(1, "not-applicable"), (4, "initializing"), (3, "ok")] {
            state.now = state.now.plus(Duration::from_secs(seconds));
            settle(&mut state);
            assert_eq!(status(&mut state), word);
        }
        let running = ask(&mut state, "Action=DescribeInstanceStatus").unwrap();
        assert_eq!(running.child("instanceStatusSet").unwrap().children.len(), 4, "stopped ones only when asked for");
    }
}

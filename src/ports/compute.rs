//! Virtual machines, whichever cloud runs them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CloudError, Kind, PortFuture};

/// Which machines: by id, by tags (all must match), or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// Instance ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Tags that must all be there with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Life of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MachineState {
    /// On its way to running.
    Starting,
    /// Running; whether it is healthy is said apart.
    Running,
    /// On its way to stopped.
    Stopping,
    /// Stopped, can be started.
    Stopped,
    /// Terminated or being so: cannot be started.
    Gone,
}

/// One machine as the cloud describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Instance id.
    pub id: String,
    /// Its name tag, or the id.
    pub name: String,
    /// Where it is in its life.
    pub state: MachineState,
    /// The auto scaling group it belongs to: one that takes a stopped machine for a broken one, ends it and puts another in its place.
    pub group: Option<String>,
    /// Its public address, where a stop takes that away and a start brings another one.
    pub fleeting_address: Option<String>,
    /// How it rests, or would rest if a stop put it back: only a stopped machine tells.
    pub rest: Rest,
    /// What its description says that keeps it from following, by what is asked.
    pub obstacles: Vec<Obstacle>,
}

/// What can be asked of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// To run.
    Start,
    /// To rest.
    Stop,
}

/// How a stopped machine rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// With its place, and on Alibaba its charges, kept.
    #[default]
    Kept,
    /// With its capacity given back, which costs less and may not come back.
    Released,
    /// With its memory on its disk, from which it goes on. A plain stop would lose that.
    Hibernated,
}

/// What keeps a single machine from following.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// Whether it keeps it from being started.
    pub start: bool,
    /// Whether it keeps it from being stopped.
    pub stop: bool,
    /// What it is, in one line.
    pub why: String,
}

impl Obstacle {
    /// Whether it is in the way of `asked`.
    #[must_use]
    pub const fn is_in_the_way_of(&self, asked: Power) -> bool {
        match asked {
            Power::Start => self.start,
            Power::Stop => self.stop,
        }
    }
}

/// What each machine of a request answered that did not do as asked. All others do.
pub type Refused = BTreeMap<String, CloudError>;

/// Those of some running machines that do not pass their cloud's checks, with what each says.
pub type Ailing = BTreeMap<String, String>;

/// Starting and stopping machines. No machine of a request decides about the others.
pub trait Compute: Send + Sync {
    /// The machines that match, ordered by id; terminated ones are left out. Pages are followed to the end. Asks nothing about their health.
    fn find<'a>(&'a self, selector: &'a Selector) -> PortFuture<'a, Vec<Machine>>;

    /// Which of these running machines do not pass the cloud's own status checks; none where the cloud has no such checks.
    fn ailing<'a>(&'a self, running: &'a [String]) -> PortFuture<'a, Ailing>;

    /// Asks for start; returns when the request is accepted. Machines that already run are left as they are.
    fn start<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, Refused>;

    /// Asks for stop; returns when the request is accepted. What the cloud has no such rest for rests [`Rest::Kept`].
    fn stop<'a>(&'a self, ids: &'a [String], rest: Rest) -> PortFuture<'a, Refused>;

    /// Asks, without changing anything, what else would keep these machines from following; by id. What cannot be asked is left out.
    ///
    /// # Errors
    /// [`Kind::Denied`] when nobody may ask that of any of them.
    fn obstacles<'a>(&'a self, ids: &'a [String], asked: Power) -> PortFuture<'a, BTreeMap<String, String>> {
        let _ = (ids, asked);
        Box::pin(async { Ok(BTreeMap::new()) })
    }

    /// The calls behind all that, for the plan.
    fn calls(&self) -> ComputeCalls;
}

/// Asks for all, and where that is refused for each half again, until the culprits are alone: for clouds that refuse a whole request for one of its
/// machines. Those that can follow are asked as early as those that cannot.
///
/// # Errors
/// What concerns no single machine: nobody answered, too many requests, nobody may ask that at all. Ambiguous if others were asked by then.
pub(crate) async fn halved<Ask, Asking>(ids: &[String], mut ask: Ask) -> Result<Refused, CloudError>
where
    Ask: FnMut(Vec<String>) -> Asking + Send,
    Asking: Future<Output = Result<(), CloudError>> + Send,
{
    let mut refused = Refused::new();
    let mut parts = std::collections::VecDeque::from([ids.to_vec()]);
    let (mut is_any_asked, mut denied) = (false, 0);
    while let Some(mut part) = parts.pop_front() {
        let Some(first) = part.first().cloned() else { continue };
        let Err(error) = ask(part.clone()).await else {
            is_any_asked = true;
            continue;
        };
        denied += u32::from(error.kind == Kind::Denied && !is_protection(&error));
        // A right that is missing for all is not asked for machine by machine.
        if !may_be_one_of_many(&error) || (denied >= DENIALS && !is_any_asked) {
            let doubt = error.ambiguous || is_any_asked;
            return Err(error.ambiguous(doubt));
        }
        if part.len() == 1 {
            refused.insert(first, error);
        } else {
            let second = part.split_off(part.len() / 2);
            parts.extend([part, second]);
        }
    }
    Ok(refused)
}

/// Denials with nobody accepted after which nobody will be.
const DENIALS: u32 = 8;

/// Whether it is a machine's own protection that refuses, for which EC2 has the kind of code that it has for missing rights:
/// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_StopProtection.html
fn is_protection(error: &CloudError) -> bool {
    error.code.as_deref() == Some("OperationNotPermitted")
}

/// Whether one machine of several may be the reason for a refusal: the vendor gave one, and it is none about the request as such.
fn may_be_one_of_many(error: &CloudError) -> bool {
    let is_about_it = match error.kind {
        Kind::NotFound | Kind::Denied | Kind::Invalid | Kind::Conflict | Kind::Unexpected => true,
        // A lack of stock is the machine's kind's; trouble of the service is not.
        Kind::Unavailable => error.code.as_deref().is_some_and(|code| code.starts_with("Insufficient") || code.ends_with("NoStock")),
        _ => false,
    };
    is_about_it && error.code.is_some()
}

/// Names of the vendor calls behind [`Compute`].
#[derive(Clone, Copy, Debug)]
pub struct ComputeCalls {
    /// Reads the machines.
    pub find: &'static str,
    /// Reads their health; `None` where there is nothing to read.
    pub ailing: Option<&'static str>,
    /// Starts.
    pub start: &'static str,
    /// Stops.
    pub stop: &'static str,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::*;
    use crate::ports::Cloud;

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("i-{number:03}")).collect()
    }

    fn error(kind: Kind, code: &str) -> CloudError {
        CloudError::new(Cloud::Aws, "ec2:StartInstances", kind, "no").code(code)
    }

    /// Asks for `ids` where a request with one of `bad` in it is refused as a whole; gives what came out, who was accepted and how many calls it took.
    async fn ask(ids: &[String], bad: &[&str], refusal: CloudError) -> (Result<Refused, CloudError>, BTreeSet<String>, usize) {
        let (accepted, calls) = (Mutex::new(BTreeSet::new()), Mutex::new(0));
        let result = halved(ids, |part| {
            *calls.lock().unwrap() += 1;
            let is_refused = part.iter().any(|id| bad.contains(&id.as_str()));
            if !is_refused {
                accepted.lock().unwrap().extend(part);
            }
            let refusal = refusal.clone();
            async move { if is_refused { Err(refusal) } else { Ok(()) } }
        })
        .await;
        (result, accepted.into_inner().unwrap(), calls.into_inner().unwrap())
    }

    #[tokio::test]
    async fn culprits_end_up_alone_and_all_others_are_asked() {
        let all = ids(300);
        for bad in [vec!["i-007"], vec!["i-000", "i-299"], vec!["i-150", "i-151", "i-152"]] {
            for refusal in [
                error(Kind::Unavailable, "InsufficientInstanceCapacity"),
                error(Kind::Denied, "OperationNotPermitted"),
                error(Kind::Invalid, "UnsupportedOperation"),
            ] {
                let (result, accepted, calls) = ask(&all, &bad, refusal).await;
                let refused = result.unwrap();
                assert_eq!(refused.keys().map(String::as_str).collect::<Vec<_>>(), bad);
                assert_eq!(accepted.len(), all.len() - bad.len());
                assert!(calls < 60, "{bad:?}: {calls} calls");
            }
        }
    }

    #[tokio::test]
    async fn a_right_that_nobody_has_is_not_asked_for_machine_by_machine() {
        let all = ids(300);
        let everybody: Vec<&str> = all.iter().map(String::as_str).collect();
        let (result, accepted, calls) = ask(&all, &everybody, error(Kind::Denied, "UnauthorizedOperation")).await;
        assert_eq!((result.unwrap_err().kind, accepted.len(), calls), (Kind::Denied, 0, 8));
        let (result, _, calls) = ask(&ids(1), &everybody, error(Kind::Denied, "UnauthorizedOperation")).await;
        assert_eq!((result.unwrap().len(), calls), (1, 1));
    }

    #[tokio::test]
    async fn what_concerns_no_machine_ends_it_at_once() {
        for kind in [Kind::Throttled, Kind::Transport, Kind::Timeout, Kind::Gated, Kind::Unavailable] {
            let (result, _, calls) = ask(&ids(8), &["i-003"], error(kind, "RequestLimitExceeded")).await;
            assert_eq!((result.unwrap_err().kind, calls), (kind, 1));
        }
    }
}

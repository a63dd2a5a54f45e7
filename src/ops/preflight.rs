//! What is checked before a run begins: that there are credentials, and that they belong to the accounts that the environment names.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::environment::Environment;
use super::exit::{Exit, Kind};
use crate::catalogue;
use crate::model::guard::{AccountFact, Answer};
use crate::model::plan::{Mode, Plan};
use crate::model::project::Zones;
use crate::ports::gate::Gate;
use crate::ports::{self, Cloud, CloudError};
use crate::world::World;

/// How much an emergency waits for an answer: the cloud that fails may be the one that is asked. So long, too, waits whoever only wants to know
/// whether there are credentials.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks both clouds at once whose credentials these are. A cloud is asked when its account is named, or when `plan` certainly calls it: then
/// credentials must at least be there. A lab is nobody's account.
pub async fn ask(environment: &Environment, plan: Option<&Plan>, mode: Mode) -> Vec<AccountFact> {
    if environment.is_lab {
        return Vec::new();
    }
    let needed = plan.map(|plan| needed(environment, plan)).unwrap_or_default();
    let world = World::connect(&environment.settings, &Gate::default()).await;
    let one = async |cloud: Cloud, settings: &Option<crate::world::settings::CloudSettings>| {
        let meant = settings.as_ref()?.account.clone();
        let is_needed = needed.contains(&cloud);
        let answer = match (&meant, is_needed) {
            (None, false) => Answer::NotAsked,
            (Some(_), _) if mode != Mode::Emergency => answer(world.account(cloud).await),
            _ => match timeout(PATIENCE, world.account(cloud)).await {
                Ok(asked) => answer(asked),
                Err(_) => Answer::Silent(format!("no answer within {} s", PATIENCE.as_secs())),
            },
        };
        Some(AccountFact { cloud, meant, answer, is_needed })
    };
    let (aws, aliyun) = tokio::join!(one(Cloud::Aws, &environment.settings.aws), one(Cloud::Aliyun, &environment.settings.aliyun));
    aws.into_iter().chain(aliyun).collect()
}

/// The accounts of the clouds that `plan` calls and of which the environment names none, as far as they say so soon: a run is taken up only where it was made.
pub async fn unnamed(environment: &Environment, plan: &Plan) -> Vec<(Cloud, String)> {
    let sides = [&environment.settings.aws, &environment.settings.aliyun];
    if sides.into_iter().flatten().all(|side| side.account.is_some()) {
        return Vec::new();
    }
    let told = |fact: AccountFact| match (fact.meant, fact.answer) {
        (None, Answer::Is(found)) => Some((fact.cloud, found)),
        _ => None,
    };
    ask(environment, Some(plan), Mode::Emergency).await.into_iter().filter_map(told).collect()
}

fn answer(asked: Result<String, CloudError>) -> Answer {
    match asked {
        Ok(found) => Answer::Is(found),
        Err(error) if has_no_credentials(&error) => Answer::NoCredentials(error.message),
        Err(error) => Answer::Silent(error.to_string()),
    }
}

/// Whether a call failed for want of credentials: nothing was sent, so no vendor's code is there.
#[must_use]
pub fn has_no_credentials(error: &CloudError) -> bool {
    error.kind == ports::Kind::Denied && error.code.is_none() && error.request_id.is_none() && error.message.starts_with("no credentials")
}

/// The clouds that some step of the plan certainly calls. Words of neither cloud may call one or the other.
fn needed(environment: &Environment, plan: &Plan) -> BTreeSet<Cloud> {
    let zones = &environment.settings.zones;
    let books = [Some(&plan.failover), plan.failback.as_ref()];
    let steps = books.into_iter().flatten().flat_map(|book| &book.steps).map(|step| (step.uses.as_str(), &step.with));
    steps.chain(plan.fault.iter().map(|fault| (fault.uses.as_str(), &fault.with))).filter_map(|(uses, with)| cloud_of(zones, uses, with)).collect()
}

/// The cloud that an action certainly calls.
pub(super) fn cloud_of(zones: &Zones, uses: &str, with: &Value) -> Option<Cloud> {
    catalogue::action(uses)?.acts.cloud(zones, with)
}

/// Refuses to undo anything in another account than the run's environment names: a wrong undo is an outage, too. A cloud that does not answer
/// refuses nothing; clouds without an account in the project file are not asked.
///
/// # Errors
/// [`Kind::Environment`]: the wrong account.
pub async fn accounts(environment: &Environment, plan: Option<&Plan>) -> Result<(), Exit> {
    for AccountFact { cloud, meant, answer, .. } in ask(environment, plan, Mode::Emergency).await {
        if let (Some(meant), Answer::Is(found)) = (meant, answer)
            && found != meant
        {
            let message = format!("the credentials for {cloud} belong to account {found}, the environment names {meant}; nothing was changed");
            return Err(Exit::new(Kind::Environment, message).hint(hint(environment)));
        }
    }
    Ok(())
}

/// What to do about a wrong account.
#[must_use]
pub fn hint(environment: &Environment) -> String {
    format!("correct `{}` under `environments` in lifeboat.yaml, or use the credentials that belong to it", environment.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_that_denies_is_not_missing_credentials() {
        let error = |message: &str| CloudError::new(Cloud::Aws, "sts:GetCallerIdentity", ports::Kind::Denied, message);
        assert!(matches!(answer(Err(error("no credentials from the chain: nothing"))), Answer::NoCredentials(_)));
        assert!(matches!(answer(Err(error("no credentials today").code("AccessDenied"))), Answer::Silent(_)));
        assert!(matches!(answer(Err(error("the key is disabled"))), Answer::Silent(_)));
        assert_eq!(answer(Ok("1".into())), Answer::Is("1".into()));
    }
}

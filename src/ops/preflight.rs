//! What is checked before a run begins: that the credentials belong to the accounts that the environment names.

use std::time::Duration;

use tokio::time::timeout;

use super::environment::Environment;
use super::exit::{Exit, Kind};
use crate::ports::gate::Gate;
use crate::ports::{Cloud, CloudError};
use crate::world::World;

/// How much an emergency waits for an answer: the cloud that fails may be the one that is asked.
const EMERGENCY_PATIENCE: Duration = Duration::from_secs(2);

/// How an account that cannot be asked is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rigour {
    /// No answer refuses the run: a drill can wait.
    Drill,
    /// Only a wrong account refuses it; what cannot be asked may be what the emergency is about.
    Emergency,
}

/// Refuses an environment whose credentials belong to another account than it names: a runbook in the wrong account is an outage. Clouds
/// without an account in the project file are not asked.
///
/// # Errors
/// [`Kind::Environment`]: the wrong account, or, before a drill, none that could be asked.
pub async fn accounts(environment: &Environment, rigour: Rigour) -> Result<(), Exit> {
    let named = |settings: &Option<crate::world::settings::CloudSettings>| settings.as_ref().and_then(|cloud| cloud.account.clone());
    let (aws, aliyun) = (named(&environment.settings.aws), named(&environment.settings.aliyun));
    if environment.is_lab || (aws.is_none() && aliyun.is_none()) {
        return Ok(());
    }
    let world = World::connect(&environment.settings, &Gate::default()).await;
    let (aws, aliyun) = tokio::join!(check(&world, Cloud::Aws, aws, rigour), check(&world, Cloud::Aliyun, aliyun, rigour));
    aws.and(aliyun).map_err(|exit| {
        exit.hint(format!("correct `{}` under `environments` in lifeboat.yaml, or use the credentials that belong to it", environment.name))
    })
}

async fn check(world: &World, cloud: Cloud, meant: Option<String>, rigour: Rigour) -> Result<(), Exit> {
    let Some(meant) = meant else { return Ok(()) };
    let asked = match rigour {
        Rigour::Drill => world.account(cloud).await,
        Rigour::Emergency => match timeout(EMERGENCY_PATIENCE, world.account(cloud)).await {
            Ok(asked) => asked,
            Err(_) => return Ok(()),
        },
    };
    judge(cloud, &meant, asked, rigour)
}

fn judge(cloud: Cloud, meant: &str, asked: Result<String, CloudError>, rigour: Rigour) -> Result<(), Exit> {
    match asked {
        Ok(found) if found == meant => Ok(()),
        Ok(found) => Err(Exit::new(
            Kind::Environment,
            format!("the credentials for {cloud} belong to account {found}, the environment names {meant}; nothing was changed"),
        )),
        Err(_) if rigour == Rigour::Emergency => Ok(()),
        Err(error) => {
            Err(Exit::new(Kind::Environment, format!("the {cloud} account cannot be checked; nothing was changed")).cause(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports;

    #[test]
    fn another_account_is_refused_always_and_silence_only_before_a_drill() {
        let verdict = |asked: Result<&str, ports::Kind>, rigour| {
            let asked = asked.map(str::to_owned).map_err(|kind| CloudError::new(Cloud::Aws, "sts:GetCallerIdentity", kind, "no"));
            judge(Cloud::Aws, "111122223333", asked, rigour).map_err(|exit| exit.kind)
        };
        for rigour in [Rigour::Drill, Rigour::Emergency] {
            assert_eq!(verdict(Ok("111122223333"), rigour), Ok(()));
            assert_eq!(verdict(Ok("444455556666"), rigour), Err(Kind::Environment));
        }
        assert_eq!(verdict(Err(ports::Kind::Transport), Rigour::Drill), Err(Kind::Environment));
        assert_eq!(verdict(Err(ports::Kind::Transport), Rigour::Emergency), Ok(()));
    }
}

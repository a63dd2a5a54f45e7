//! Who we are: the account behind the credentials.

use serde::Deserialize;

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::ports::{CloudError, Kind};

const IDENTITY: Api = Api::reads("sts:GetCallerIdentity");

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Identity {
    account_id: String,
}

impl Aliyun {
    /// The account number that the credentials belong to.
    ///
    /// # Errors
    /// Any failed call; [`Kind::Malformed`] when the answer names no account.
    pub async fn account(&self) -> Result<String, CloudError> {
        Ok(self.rpc::<Identity>(IDENTITY, &Params::new()).await?.account_id)
    }

    /// The account number, refused when the settings name another one: a drill in the wrong account is an outage.
    ///
    /// # Errors
    /// As [`Aliyun::account`]; [`Kind::Denied`] when it is the wrong account.
    pub async fn check_account(&self) -> Result<String, CloudError> {
        let found = self.account().await?;
        match &self.shared.account {
            Some(meant) if *meant != found => {
                Err(IDENTITY.error(Kind::Denied, format!("the credentials belong to account {found}, the environment names {meant}")))
            }
            _ => Ok(found),
        }
    }
}

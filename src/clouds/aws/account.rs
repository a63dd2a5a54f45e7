//! Who we are: the account behind the credentials.

use super::Aws;
use super::call::send;
use crate::ports::{Cloud, CloudError, Kind};

impl Aws {
    /// The account number that the credentials belong to.
    ///
    /// # Errors
    /// Any failed call; [`Kind::Malformed`] when the answer names no account.
    pub async fn account(&self) -> Result<String, CloudError> {
        let operation = self.reading("sts:GetCallerIdentity")?;
        let answer = send!(operation, aws_sdk_sts, self.shared.sts.get_caller_identity())?;
        answer.account.ok_or_else(|| CloudError::new(Cloud::Aws, operation.name, Kind::Malformed, "the answer names no account"))
    }

    /// The account number, refused when the settings name another one: a drill in the wrong account is an outage.
    ///
    /// # Errors
    /// As [`Aws::account`]; [`Kind::Denied`] when it is the wrong account.
    pub async fn check_account(&self) -> Result<String, CloudError> {
        let found = self.account().await?;
        match &self.shared.account {
            Some(meant) if *meant != found => Err(CloudError::new(
                Cloud::Aws,
                "sts:GetCallerIdentity",
                Kind::Denied,
                format!("the credentials belong to account {found}, the environment names {meant}"),
            )),
            _ => Ok(found),
        }
    }
}

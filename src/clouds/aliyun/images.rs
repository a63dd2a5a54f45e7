//! Who may launch a machine image.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::ports::{CloudError, Kind};

const READ: Api = Api::reads("ecs:DescribeImageSharePermission");
const WRITE: Api = Api::changes("ecs:ModifyImageSharePermission");

/// The vendor ignores every account of a list after the tenth without a word.
const AT_ONCE: usize = 10;
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shares {
    accounts: Accounts,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Accounts {
    account: Vec<Account>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Account {
    aliyun_id: String,
}

impl Aliyun {
    /// The accounts that may launch an image beside its owner.
    ///
    /// # Errors
    /// Any failed call.
    pub async fn launch_permissions(&self, image: &str) -> Result<BTreeSet<String>, CloudError> {
        let mut found = BTreeSet::new();
        let mut pages = READ.pages();
        for page in 1_u32.. {
            let params = Params::new().set("RegionId", &self.region).set("ImageId", image).set("PageSize", PAGE).set("PageNumber", page);
            let accounts = self.rpc::<Shares>(READ, &params).await?.accounts.account;
            let first = accounts.first().filter(|_| accounts.len() >= PAGE).map(|account| account.aliyun_id.clone());
            found.extend(accounts.into_iter().map(|account| account.aliyun_id));
            match first {
                Some(first) => pages.turn(&first)?,
                None => break,
            }
        }
        Ok(found)
    }

    /// Lets the accounts in `add` launch an image and takes it from those in `remove`, ten of each a call. What is so already stays so;
    /// with nothing to do nothing is sent.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for anything but sixteen-digit accounts; any failed call, ambiguous when an earlier one had an effect.
    pub async fn modify_launch_permissions(&self, image: &str, add: &BTreeSet<String>, remove: &BTreeSet<String>) -> Result<(), CloudError> {
        if let Some(wrong) = add.iter().chain(remove).find(|account| !is_account(account)) {
            return Err(WRITE.error(Kind::Invalid, format!("`{wrong}` is not an account number")));
        }
        let (add, remove): (Vec<_>, Vec<_>) = (add.iter().collect(), remove.iter().collect());
        for round in 0..add.len().max(remove.len()).div_ceil(AT_ONCE) {
            let part = |all: &[&String]| -> Vec<String> { all.iter().skip(round * AT_ONCE).take(AT_ONCE).map(|one| (*one).clone()).collect() };
            let params =
                Params::new().set("RegionId", &self.region).set("ImageId", image).list("AddAccount", part(&add)).list("RemoveAccount", part(&remove));
            let done = self.rpc::<IgnoredAny>(WRITE, &params).await;
            done.map_err(|error| if round > 0 { error.ambiguous(true) } else { error })?;
        }
        Ok(())
    }
}

/// Alibaba's have up to sixteen digits; twelve, as AWS has them, are let through for the service to judge.
fn is_account(text: &str) -> bool {
    (10..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

//! Who may launch a machine image.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{ImageAttributeName, LaunchPermission, LaunchPermissionModifications};

use super::Aws;
use super::call::send;
use crate::ports::{Cloud, CloudError, Kind};

const READ: &str = "ec2:DescribeImageAttribute";
const WRITE: &str = "ec2:ModifyImageAttribute";

impl Aws {
    /// The accounts that may launch an image beside its owner. A public image lists `all`; shares with organisations are not listed.
    ///
    /// # Errors
    /// Any failed call.
    pub async fn launch_permissions(&self, image: &str) -> Result<BTreeSet<String>, CloudError> {
        let operation = self.reading(READ)?;
        let request = self.shared.ec2.describe_image_attribute().image_id(image).attribute(ImageAttributeName::LaunchPermission);
        let answer = send!(operation, aws_sdk_ec2, request)?;
        let permissions = answer.launch_permissions();
        let accounts = permissions.iter().filter_map(|permission| permission.user_id()).map(str::to_owned);
        let groups = permissions.iter().filter_map(|permission| permission.group()).map(|group| group.as_str().to_owned());
        Ok(accounts.chain(groups).collect())
    }

    /// Lets the accounts in `add` launch an image and takes it from those in `remove`, in one call. What is so already stays so;
    /// with nothing to do nothing is sent.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for anything but twelve-digit accounts, so that no slip makes an image public; any failed call.
    pub async fn modify_launch_permissions(&self, image: &str, add: &BTreeSet<String>, remove: &BTreeSet<String>) -> Result<(), CloudError> {
        if let Some(wrong) = add.iter().chain(remove).find(|account| !is_account(account)) {
            return Err(CloudError::new(Cloud::Aws, WRITE, Kind::Invalid, format!("`{wrong}` is not a twelve-digit account number")));
        }
        if add.is_empty() && remove.is_empty() {
            return Ok(());
        }
        let operation = self.changing(WRITE)?;
        let changes = LaunchPermissionModifications::builder().set_add(permissions(add)).set_remove(permissions(remove)).build();
        send!(operation, aws_sdk_ec2, self.shared.ec2.modify_image_attribute().image_id(image).launch_permission(changes))?;
        Ok(())
    }
}

fn permissions(accounts: &BTreeSet<String>) -> Option<Vec<LaunchPermission>> {
    let list: Vec<_> = accounts.iter().map(|account| LaunchPermission::builder().user_id(account).build()).collect();
    (!list.is_empty()).then_some(list)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

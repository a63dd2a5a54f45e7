//! Which security groups an ECS instance is in.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Aliyun;
use super::call::Api;
use super::compute::{FIND, InstancePage};
use super::rpc::Params;
use crate::ports::CloudError;

const WRITE: Api = Api::changes("ecs:ModifyInstanceAttribute");

/// The most ids in one call, all of which come on one page.
const AT_ONCE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    instance_id: String,
    security_group_ids: Groups,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Groups {
    security_group_id: BTreeSet<String>,
}

impl Aliyun {
    /// The security groups that the first interface of each instance is in, by the instance's id. One that does not exist is left out.
    ///
    /// # Errors
    /// Any failed call.
    pub async fn security_groups(&self, ids: &[String]) -> Result<BTreeMap<String, BTreeSet<String>>, CloudError> {
        let mut groups = BTreeMap::new();
        for ids in ids.chunks(AT_ONCE) {
            let params = Params::new().set("RegionId", &self.region).set("MaxResults", AT_ONCE).set("InstanceIds", serde_json::json!(ids));
            let found = self.rpc::<InstancePage<Instance>>(FIND, &params).await?.instances.instance;
            groups.extend(found.into_iter().map(|one| (one.instance_id, one.security_group_ids.security_group_id)));
        }
        Ok(groups)
    }

    /// Puts an instance into these security groups and takes it out of all others.
    ///
    /// # Errors
    /// Any failed call, such as for a group of another VPC.
    pub async fn set_security_groups(&self, id: &str, groups: &BTreeSet<String>) -> Result<(), CloudError> {
        let params = Params::new().set("InstanceId", id).list("SecurityGroupIds", groups);
        self.rpc::<IgnoredAny>(WRITE, &params).await.map(drop)
    }
}

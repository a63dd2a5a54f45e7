//! Where an action acts, as far as its word and its parameters tell before anything is asked. An action states it; nobody guesses it from a name.

use serde_json::Value;

use crate::model::call::Cloud;
use crate::model::project::Zones;

/// Where an action acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    /// In no one cloud: on this machine, on servers that its parameters name, or nowhere.
    Outside,
    /// In this cloud, in the environment's region.
    In(Cloud),
    /// In this cloud, in the region that this parameter names.
    InRegion(Cloud, &'static str),
    /// In the DNS of the cloud that serves the zone of the parameter `zone`, where `provider` does not say which; in no region.
    Dns {
        /// The parameter with the zone.
        zone: &'static str,
        /// The parameter with the cloud.
        provider: &'static str,
    },
}

/// A region that parameters name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// This one.
    Region(String),
    /// One that only the run can tell.
    Later,
}

impl Acts {
    /// The cloud that an action with these parameters certainly calls; `None` where nothing tells, or it is none.
    #[must_use]
    pub fn cloud(self, zones: &Zones, with: &Value) -> Option<Cloud> {
        match self {
            Self::Outside => None,
            Self::In(cloud) | Self::InRegion(cloud, _) => Some(cloud),
            Self::Dns { zone, provider } => {
                let zone = with.get(zone).and_then(Value::as_str).filter(|zone| !is_later(zone))?;
                let written = with.get(provider).and_then(|provider| serde_json::from_value(provider.clone()).ok());
                zones.provider(zone, written).ok().map(|(cloud, _)| cloud)
            }
        }
    }

    /// The region that these parameters name beside the environment's own.
    #[must_use]
    pub fn named(self, with: &Value) -> Option<Named> {
        let Self::InRegion(_, parameter) = self else { return None };
        let region = with.get(parameter)?;
        Some(region.as_str().filter(|region| !is_later(region)).map_or(Named::Later, |region| Named::Region(region.to_owned())))
    }
}

/// Whether a text of a plan still waits for what steps give.
fn is_later(text: &str) -> bool {
    text.contains("${{")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::project::ZoneFile;

    const DNS: Acts = Acts::Dns { zone: "zone", provider: "provider" };

    #[test]
    fn a_region_is_the_parameter_that_the_action_says() {
        let acts = Acts::InRegion(Cloud::Aliyun, "region");
        assert_eq!(acts.named(&json!({ "region": "cn-hangzhou" })), Some(Named::Region("cn-hangzhou".into())));
        for later in [json!("${{ steps.x.output.region }}"), json!(["cn-x"]), json!(null)] {
            assert_eq!(acts.named(&json!({ "region": later })), Some(Named::Later), "what cannot be read is not passed");
        }
        assert_eq!(acts.named(&json!({ "note": { "region": "cn-x" } })), None);
        assert_eq!(Acts::In(Cloud::Aws).named(&json!({ "region": "us-east-1" })), None);
    }

    #[test]
    fn the_cloud_of_a_zone_is_told_only_where_it_is_certain() {
        let zone = |provider| ZoneFile { provider, id: None };
        let written = [("example.com".to_owned(), zone(Cloud::Aws)), ("example.cn".to_owned(), zone(Cloud::Aliyun))].into();
        let zones = Zones::of("staging", [Cloud::Aws, Cloud::Aliyun], &written);
        assert_eq!(DNS.cloud(&zones, &json!({ "zone": "example.cn" })), Some(Cloud::Aliyun));
        assert_eq!(DNS.cloud(&zones, &json!({ "zone": "example.org" })), None);
        assert_eq!(DNS.cloud(&zones, &json!({ "zone": "example.org", "provider": "aws" })), Some(Cloud::Aws));
        assert_eq!(DNS.cloud(&zones, &json!({ "zone": "${{ steps.x.output.zone }}" })), None);
        assert_eq!(Acts::Outside.cloud(&zones, &json!({ "zone": "example.cn" })), None);
    }
}

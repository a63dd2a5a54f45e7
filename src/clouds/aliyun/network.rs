//! vSwitches and the network ACLs that cut them off.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::ports::CloudError;

const VSWITCHES: Api = Api::reads("vpc:DescribeVSwitches");
const VSWITCH: Api = Api::reads("vpc:DescribeVSwitchAttributes");
const ACLS: Api = Api::reads("vpc:DescribeNetworkAcls");
const ACL: Api = Api::reads("vpc:DescribeNetworkAclAttributes");
const CREATE: Api = Api::changes_by_token("vpc:CreateNetworkAcl");
const ENTRIES: Api = Api::changes_by_token("vpc:UpdateNetworkAclEntries");
const ASSOCIATE: Api = Api::changes_by_token("vpc:AssociateNetworkAcl");
const UNASSOCIATE: Api = Api::changes_by_token("vpc:UnassociateNetworkAcl");
const DELETE: Api = Api::changes("vpc:DeleteNetworkAcl");

/// The most of a page.
const PAGE: usize = 50;
/// The most vSwitches that one call associates.
const AT_ONCE: usize = 30;

/// A vSwitch, and which ACL it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VSwitch {
    /// Such as `vsw-bp1…`.
    pub id: String,
    /// May be empty.
    pub name: String,
    /// The VPC it is in.
    pub vpc: String,
    /// The zone it is in.
    pub zone: String,
    /// Its IPv4 block, such as `172.16.1.0/24`; empty when the cloud says none.
    #[serde(default)]
    pub cidr: String,
    /// The ACL of its own, when it has one.
    pub acl: Option<String>,
    /// Whether it has an IPv6 block as well.
    #[serde(default)]
    pub ipv6: bool,
}

/// A network ACL as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAcl {
    /// Such as `nacl-bp1…`.
    pub id: String,
    /// May be empty.
    pub name: String,
    /// The VPC it is in.
    pub vpc: String,
    /// `Available`, or `Modifying` while a change of it or of an association is under way.
    pub status: String,
    /// The vSwitches it is associated with, each with `BINDED`, `BINDING` or `UNBINDING`.
    pub vswitches: Vec<(String, String)>,
    /// Rules for what comes in, in their order.
    pub ingress: Vec<AclEntry>,
    /// Rules for what goes out, in their order.
    pub egress: Vec<AclEntry>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    /// May be empty.
    #[serde(default)]
    pub name: String,
    /// Whether it lets through what it fits.
    pub policy: Policy,
    /// Which protocol.
    pub protocol: Protocol,
    /// `1/200`; `-1/-1` for all and where there are no ports.
    pub port: String,
    /// The other side, such as `0.0.0.0/0`; empty when the cloud says none.
    pub cidr: String,
}

/// A word of the vendor's, of which those that matter here are told apart. Any other is kept as it came and is written back so.
macro_rules! vendor_words {
    ($(#[$doc:meta])* $name:ident { $($(#[$known_doc:meta])* $known:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$known_doc])* $known,)*
            /// Any other, as it came.
            Other(String),
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$known,)*
                    _ => Self::Other(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                match word {
                    $($name::$known => $word.to_owned(),)*
                    $name::Other(word) => word,
                }
            }
        }
    };
}

vendor_words! {
    /// What becomes of what a rule fits.
    Policy {
        /// It goes through.
        Accept = "accept",
        /// It does not.
        Drop = "drop",
    }
}

vendor_words! {
    /// What a rule is about.
    Protocol {
        /// Everything.
        All = "all",
        /// ICMP of IPv4.
        Icmp = "icmp",
        /// ICMP of IPv6.
        Icmpv6 = "icmpv6",
        /// GRE.
        Gre = "gre",
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
    }
}

/// An ACL without its rules: what is needed to find one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclName {
    /// Such as `nacl-bp1…`.
    pub id: String,
    /// May be empty.
    pub name: String,
}

impl AclEntry {
    /// A rule for every protocol and every IPv4 address.
    #[must_use]
    pub fn everything(policy: Policy, name: &str) -> Self {
        Self { name: name.to_owned(), policy, protocol: Protocol::All, port: "-1/-1".to_owned(), cidr: "0.0.0.0/0".to_owned() }
    }

    /// As [`AclEntry::everything`], for IPv6: only in a VPC that has it.
    #[must_use]
    pub fn everything6(policy: Policy, name: &str) -> Self {
        Self { cidr: "::/0".to_owned(), ..Self::everything(policy, name) }
    }

    fn fields(&self, far_end: &'static str) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("Policy", self.policy.clone().into()),
            ("Protocol", self.protocol.clone().into()),
            ("Port", self.port.clone()),
            (far_end, self.cidr.clone()),
            ("EntryType", "custom".to_owned()),
            ("IpVersion", if self.cidr.contains(':') { "IPv6" } else { "IPv4" }.to_owned()),
        ];
        if !self.name.is_empty() {
            fields.push(("NetworkAclEntryName", self.name.clone()));
        }
        fields
    }
}

impl Aliyun {
    /// The vSwitches of a VPC, by id. Pages are followed to the end.
    ///
    /// # Errors
    /// Any failed call.
    pub async fn vswitches(&self, vpc: &str) -> Result<Vec<VSwitch>, CloudError> {
        let mut found: Vec<VSwitch> =
            self.pages::<VSwitchPage, _>(VSWITCHES, &self.regional().set("VpcId", vpc)).await?.into_iter().map(VSwitch::from).collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    /// One vSwitch.
    ///
    /// # Errors
    /// [`crate::ports::Kind::NotFound`] when there is none of this id; any failed call.
    pub async fn vswitch(&self, id: &str) -> Result<VSwitch, CloudError> {
        Ok(self.rpc::<RawVSwitch>(VSWITCH, &self.regional().set("VSwitchId", id)).await?.into())
    }

    /// The network ACLs of a VPC, by id, without what is in them: whatever rules others have there does not matter here. Pages are followed to
    /// the end.
    ///
    /// # Errors
    /// Any failed call.
    pub async fn network_acls(&self, vpc: &str) -> Result<Vec<AclName>, CloudError> {
        let found = self.pages::<AclPage, _>(ACLS, &self.regional().set("VpcId", vpc)).await?;
        let mut acls: Vec<AclName> =
            found.into_iter().map(|acl| AclName { id: acl.network_acl_id, name: acl.network_acl_name.unwrap_or_default() }).collect();
        acls.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(acls)
    }

    /// One network ACL.
    ///
    /// # Errors
    /// [`crate::ports::Kind::NotFound`] when there is none of this id; any failed call.
    pub async fn network_acl(&self, id: &str) -> Result<NetworkAcl, CloudError> {
        Ok(self.rpc::<AclAnswer>(ACL, &self.regional().set("NetworkAclId", id)).await?.network_acl_attribute.into())
    }

    /// Makes a network ACL and gives its id. It lets everything through until its entries are set. `token` (at most 64 ASCII characters) is
    /// the caller's name for this act: with the same one no second ACL is made.
    ///
    /// # Errors
    /// Any failed call.
    pub async fn create_network_acl(&self, vpc: &str, name: &str, token: &str) -> Result<String, CloudError> {
        let params = self.regional().set("VpcId", vpc).set("NetworkAclName", name).set("ClientToken", token);
        Ok(self.rpc::<Created>(CREATE, &params).await?.network_acl_id)
    }

    /// Makes the entries of both directions exactly these; what was there is gone.
    ///
    /// # Errors
    /// [`crate::ports::Kind::Conflict`] while another change of the ACL is under way; any failed call.
    pub async fn set_network_acl_entries(&self, acl: &str, ingress: &[AclEntry], egress: &[AclEntry], token: &str) -> Result<(), CloudError> {
        let params = self
            .regional()
            .set("NetworkAclId", acl)
            .set("UpdateIngressAclEntries", true)
            .set("UpdateEgressAclEntries", true)
            .structs("IngressAclEntries", ingress.iter().map(|entry| entry.fields("SourceCidrIp")))
            .structs("EgressAclEntries", egress.iter().map(|entry| entry.fields("DestinationCidrIp")))
            .set("ClientToken", token);
        self.rpc::<IgnoredAny>(ENTRIES, &params).await.map(|_| ())
    }

    /// Begins to associate vSwitches, none of which may have an ACL, with one; done when [`Aliyun::network_acl`] says `Available`.
    ///
    /// # Errors
    /// [`crate::ports::Kind::Conflict`] when one has an ACL already or another change is under way; any failed call, ambiguous when some are done.
    pub async fn associate_network_acl(&self, acl: &str, vswitches: &[String], token: &str) -> Result<(), CloudError> {
        self.associations(ASSOCIATE, acl, vswitches, token).await
    }

    /// Begins to take an ACL from vSwitches; done when the ACL no longer lists them.
    ///
    /// # Errors
    /// As [`Aliyun::associate_network_acl`].
    pub async fn unassociate_network_acl(&self, acl: &str, vswitches: &[String], token: &str) -> Result<(), CloudError> {
        self.associations(UNASSOCIATE, acl, vswitches, token).await
    }

    /// Removes an ACL that is associated with nothing.
    ///
    /// # Errors
    /// [`crate::ports::Kind::Conflict`] while it is associated, also when the last association is only on its way out; any failed call.
    pub async fn delete_network_acl(&self, acl: &str) -> Result<(), CloudError> {
        self.rpc::<IgnoredAny>(DELETE, &self.regional().set("NetworkAclId", acl)).await.map(|_| ())
    }

    fn regional(&self) -> Params {
        Params::new().set("RegionId", &self.region)
    }

    async fn associations(&self, api: Api, acl: &str, vswitches: &[String], token: &str) -> Result<(), CloudError> {
        for (round, some) in vswitches.chunks(AT_ONCE).enumerate() {
            let token = if round == 0 { token.to_owned() } else { format!("{token}-{round}") };
            let resources = some.iter().map(|id| [("ResourceId", id.as_str()), ("ResourceType", "VSwitch")]);
            let params = self.regional().set("NetworkAclId", acl).structs("Resource", resources).set("ClientToken", token);
            let done = self.rpc::<IgnoredAny>(api, &params).await;
            done.map_err(|error| if round > 0 { error.ambiguous(true) } else { error })?;
        }
        Ok(())
    }

    async fn pages<P: Page<Item = T> + DeserializeOwned, T>(&self, api: Api, params: &Params) -> Result<Vec<T>, CloudError> {
        let mut found = Vec::new();
        let mut pages = api.pages();
        for number in 1_u32.. {
            let page = self.rpc::<P>(api, &params.clone().set("PageSize", PAGE).set("PageNumber", number)).await?.items();
            let first = page.first().filter(|_| page.len() >= PAGE).map(|item| P::id(item).to_owned());
            found.extend(page);
            match first {
                Some(first) => pages.turn(&first)?,
                None => break,
            }
        }
        Ok(found)
    }
}

/// The list inside one page of an answer.
trait Page {
    type Item;
    fn items(self) -> Vec<Self::Item>;
    fn id(item: &Self::Item) -> &str;
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VSwitchPage {
    #[serde(rename = "VSwitches")]
    vswitches: VSwitchList,
}

#[derive(Deserialize)]
struct VSwitchList {
    #[serde(rename = "VSwitch")]
    vswitch: Vec<RawVSwitch>,
}

impl Page for VSwitchPage {
    type Item = RawVSwitch;

    fn items(self) -> Vec<RawVSwitch> {
        self.vswitches.vswitch
    }

    fn id(item: &RawVSwitch) -> &str {
        &item.id
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawVSwitch {
    #[serde(rename = "VSwitchId")]
    id: String,
    #[serde(rename = "VSwitchName")]
    name: Option<String>,
    vpc_id: String,
    #[serde(default)]
    zone_id: String,
    cidr_block: Option<String>,
    network_acl_id: Option<String>,
    ipv6_cidr_block: Option<String>,
}

impl From<RawVSwitch> for VSwitch {
    fn from(raw: RawVSwitch) -> Self {
        let acl = raw.network_acl_id.filter(|acl| !acl.is_empty());
        let ipv6 = raw.ipv6_cidr_block.is_some_and(|block| !block.is_empty());
        let cidr = raw.cidr_block.unwrap_or_default();
        Self { id: raw.id, name: raw.name.unwrap_or_default(), vpc: raw.vpc_id, zone: raw.zone_id, cidr, acl, ipv6 }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    network_acl_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AclAnswer {
    network_acl_attribute: RawAcl,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AclPage {
    network_acls: AclList,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AclList {
    network_acl: Vec<RawAclName>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAclName {
    network_acl_id: String,
    network_acl_name: Option<String>,
}

impl Page for AclPage {
    type Item = RawAclName;

    fn items(self) -> Vec<RawAclName> {
        self.network_acls.network_acl
    }

    fn id(item: &RawAclName) -> &str {
        &item.network_acl_id
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAcl {
    network_acl_id: String,
    network_acl_name: Option<String>,
    #[serde(default)]
    vpc_id: String,
    status: String,
    resources: Resources,
    ingress_acl_entries: Option<Ingress>,
    egress_acl_entries: Option<Egress>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resources {
    resource: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    resource_id: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ingress {
    ingress_acl_entry: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Egress {
    egress_acl_entry: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawEntry {
    network_acl_entry_name: Option<String>,
    policy: Policy,
    protocol: Protocol,
    port: Option<String>,
    source_cidr_ip: Option<String>,
    destination_cidr_ip: Option<String>,
    entry_type: Option<String>,
}

impl From<RawAcl> for NetworkAcl {
    fn from(raw: RawAcl) -> Self {
        // Rules of the service itself cannot be set, so they are not what has to be put back.
        let custom = |entry: &RawEntry| entry.entry_type.as_deref().is_none_or(|kind| kind == "custom");
        let entries = |list: Vec<RawEntry>| list.into_iter().filter(custom).map(AclEntry::from).collect();
        Self {
            ingress: entries(raw.ingress_acl_entries.map(|list| list.ingress_acl_entry).unwrap_or_default()),
            egress: entries(raw.egress_acl_entries.map(|list| list.egress_acl_entry).unwrap_or_default()),
            id: raw.network_acl_id,
            name: raw.network_acl_name.unwrap_or_default(),
            vpc: raw.vpc_id,
            status: raw.status,
            vswitches: raw.resources.resource.into_iter().map(|resource| (resource.resource_id, resource.status)).collect(),
        }
    }
}

impl From<RawEntry> for AclEntry {
    fn from(raw: RawEntry) -> Self {
        let far_end = [raw.source_cidr_ip, raw.destination_cidr_ip].into_iter().flatten().find(|cidr| !cidr.is_empty());
        Self {
            name: raw.network_acl_entry_name.unwrap_or_default(),
            policy: raw.policy,
            protocol: raw.protocol,
            port: raw.port.unwrap_or_else(|| "-1/-1".to_owned()),
            cidr: far_end.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_that_nobody_has_heard_of_are_kept_and_written_back_as_they_came() {
        for (protocol, policy, known) in
            [("icmpv6", "accept", Protocol::Icmpv6), ("sctp", "log", Protocol::Other("sctp".into())), ("TCP", "drop", Protocol::Other("TCP".into()))]
        {
            let raw = json!({ "Policy": policy, "Protocol": protocol, "Port": "-1/-1", "SourceCidrIp": "::/0", "EntryType": "custom" });
            let entry = AclEntry::from(serde_json::from_value::<RawEntry>(raw).unwrap());
            assert_eq!(entry.protocol, known);
            let fields = entry.fields("SourceCidrIp");
            assert!(fields.contains(&("Protocol", protocol.to_owned())) && fields.contains(&("Policy", policy.to_owned())), "{fields:?}");
            let text = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<AclEntry>(&text).unwrap(), entry, "also through the journal");
        }
    }

    #[test]
    fn an_acl_is_read_whatever_its_rules_lack() {
        let raw = json!({ "NetworkAclId": "nacl-1", "Status": "Available", "Resources": { "Resource": [] },
            "IngressAclEntries": { "IngressAclEntry": [{ "Policy": "drop", "Protocol": "all" }, { "Policy": "accept", "Protocol": "all", "EntryType": "system" }] } });
        let acl = NetworkAcl::from(serde_json::from_value::<RawAcl>(raw).unwrap());
        assert_eq!((acl.ingress.len(), acl.ingress[0].cidr.as_str(), acl.egress.len()), (1, "", 0));
        let listed = json!({ "NetworkAcls": { "NetworkAcl": [{ "NetworkAclId": "nacl-1", "IngressAclEntries": "anything at all" }] } });
        assert_eq!(serde_json::from_value::<AclPage>(listed).unwrap().items()[0].network_acl_id, "nacl-1");
    }
}

//! vSwitches and the network ACLs that cut them off.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::ports::{CloudError, Kind};

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
    pub allow: bool,
    /// Which protocol.
    pub protocol: Protocol,
    /// `1/200`; `-1/-1` for all and where there are no ports.
    pub port: String,
    /// The other side, such as `0.0.0.0/0`.
    pub cidr: String,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Protocol {
    All,
    Icmp,
    Gre,
    Tcp,
    Udp,
}

impl AclEntry {
    /// A rule for every protocol and every IPv4 address.
    #[must_use]
    pub fn everything(allow: bool, name: &str) -> Self {
        Self { name: name.to_owned(), allow, protocol: Protocol::All, port: "-1/-1".to_owned(), cidr: "0.0.0.0/0".to_owned() }
    }

    /// As [`AclEntry::everything`], for IPv6: only in a VPC that has it.
    #[must_use]
    pub fn everything6(allow: bool, name: &str) -> Self {
        Self { cidr: "::/0".to_owned(), ..Self::everything(allow, name) }
    }

    fn fields(&self, far_end: &'static str) -> Vec<(&'static str, String)> {
        let protocol = match self.protocol {
            Protocol::All => "all",
            Protocol::Icmp => "icmp",
            Protocol::Gre => "gre",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let mut fields = vec![
            ("Policy", if self.allow { "accept" } else { "drop" }.to_owned()),
            ("Protocol", protocol.to_owned()),
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
    /// [`Kind::NotFound`] when there is none of this id; any failed call.
    pub async fn vswitch(&self, id: &str) -> Result<VSwitch, CloudError> {
        Ok(self.rpc::<RawVSwitch>(VSWITCH, &self.regional().set("VSwitchId", id)).await?.into())
    }

    /// The network ACLs of a VPC, by id. Pages are followed to the end.
    ///
    /// # Errors
    /// Any failed call.
    pub async fn network_acls(&self, vpc: &str) -> Result<Vec<NetworkAcl>, CloudError> {
        let found = self.pages::<AclPage, _>(ACLS, &self.regional().set("VpcId", vpc)).await?;
        let mut acls = found.into_iter().map(|acl| acl.known(ACLS)).collect::<Result<Vec<_>, _>>()?;
        acls.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(acls)
    }

    /// One network ACL.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none of this id; any failed call.
    pub async fn network_acl(&self, id: &str) -> Result<NetworkAcl, CloudError> {
        self.rpc::<AclAnswer>(ACL, &self.regional().set("NetworkAclId", id)).await?.network_acl_attribute.known(ACL)
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
    /// [`Kind::Conflict`] while another change of the ACL is under way; any failed call.
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
    /// [`Kind::Conflict`] when one has an ACL already or another change is under way; any failed call, ambiguous when some are done.
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
    /// [`Kind::Conflict`] while it is associated, also when the last association is only on its way out; any failed call.
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
    zone_id: String,
    network_acl_id: Option<String>,
    ipv6_cidr_block: Option<String>,
}

impl From<RawVSwitch> for VSwitch {
    fn from(raw: RawVSwitch) -> Self {
        let acl = raw.network_acl_id.filter(|acl| !acl.is_empty());
        let ipv6 = raw.ipv6_cidr_block.is_some_and(|block| !block.is_empty());
        Self { id: raw.id, name: raw.name.unwrap_or_default(), vpc: raw.vpc_id, zone: raw.zone_id, acl, ipv6 }
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
    network_acl: Vec<RawAcl>,
}

impl Page for AclPage {
    type Item = RawAcl;

    fn items(self) -> Vec<RawAcl> {
        self.network_acls.network_acl
    }

    fn id(item: &RawAcl) -> &str {
        &item.network_acl_id
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAcl {
    network_acl_id: String,
    network_acl_name: Option<String>,
    vpc_id: String,
    status: String,
    resources: Resources,
    ingress_acl_entries: Ingress,
    egress_acl_entries: Egress,
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
    policy: String,
    protocol: Protocol,
    port: String,
    source_cidr_ip: Option<String>,
    destination_cidr_ip: Option<String>,
    entry_type: Option<String>,
}

impl RawAcl {
    fn known(self, api: Api) -> Result<NetworkAcl, CloudError> {
        let entries = |list: Vec<RawEntry>| -> Result<Vec<AclEntry>, CloudError> {
            // Rules of the service itself cannot be set, so they are not what has to be put back.
            list.into_iter().filter(|entry| entry.entry_type.as_deref().is_none_or(|kind| kind == "custom")).map(|entry| entry.known(api)).collect()
        };
        Ok(NetworkAcl {
            ingress: entries(self.ingress_acl_entries.ingress_acl_entry)?,
            egress: entries(self.egress_acl_entries.egress_acl_entry)?,
            id: self.network_acl_id,
            name: self.network_acl_name.unwrap_or_default(),
            vpc: self.vpc_id,
            status: self.status,
            vswitches: self.resources.resource.into_iter().map(|resource| (resource.resource_id, resource.status)).collect(),
        })
    }
}

impl RawEntry {
    fn known(self, api: Api) -> Result<AclEntry, CloudError> {
        let malformed = |what: String| api.error(Kind::Malformed, what);
        let allow = match self.policy.as_str() {
            "accept" => true,
            "drop" => false,
            other => return Err(malformed(format!("an ACL entry with the unknown policy `{other}`"))),
        };
        let far_end = [self.source_cidr_ip, self.destination_cidr_ip].into_iter().flatten().find(|cidr| !cidr.is_empty());
        let cidr = far_end.ok_or_else(|| malformed("an ACL entry without an address block".to_owned()))?;
        Ok(AclEntry { name: self.network_acl_entry_name.unwrap_or_default(), allow, protocol: self.protocol, port: self.port, cidr })
    }
}

//! EC2 over the world: the Query protocol, version 2016-11-15.
//!
//! One row of [`ACTIONS`] per call. A handler reads its parameters, judges them, and only then changes the world: between the two it
//! calls [`commit`], which ends a dry run. [`select`](mod@select) and [`page`] are what all `Describe…` calls share.

mod acls;
mod attributes;
mod groups;
mod images;
mod instances;
mod launch;
mod page;
mod places;
mod routes;
mod select;
mod status;
mod tags;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::{admit, count};
use crate::wire::aws_answer::{self, ApiError, Dialect};
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::calls::{self, Changing};
use crate::world::state::{Cloud, State};

/// Writes the content of the answer.
type Handler = fn(&mut State, &Parameters, &mut Answer) -> Result<(), ApiError>;

/// The calls there are.
const ACTIONS: &[(&str, Handler)] = &[
    ("AuthorizeSecurityGroupEgress", groups::authorize_egress),
    ("AuthorizeSecurityGroupIngress", groups::authorize_ingress),
    ("CreateNetworkAcl", acls::create),
    ("CreateNetworkAclEntry", acls::create_entry),
    ("CreateRoute", routes::create),
    ("CreateTags", tags::create),
    ("DeleteNetworkAcl", acls::delete),
    ("DeleteNetworkAclEntry", acls::delete_entry),
    ("DeleteRoute", routes::delete),
    ("DeleteTags", tags::delete),
    ("DescribeAvailabilityZones", places::describe_zones),
    ("DescribeImageAttribute", images::describe_attribute),
    ("DescribeImages", images::describe),
    ("DescribeInstanceAttribute", attributes::describe_instance),
    ("DescribeInstanceStatus", status::describe),
    ("DescribeInstances", instances::describe),
    ("DescribeNetworkAcls", acls::describe),
    ("DescribeNetworkInterfaces", places::describe_interfaces),
    ("DescribeRegions", places::describe_regions),
    ("DescribeRouteTables", routes::describe),
    ("DescribeSecurityGroupRules", groups::describe_rules),
    ("DescribeSecurityGroups", groups::describe),
    ("DescribeSubnets", places::describe_subnets),
    ("DescribeTags", tags::describe),
    ("DescribeVpcs", places::describe_vpcs),
    ("ModifyImageAttribute", images::modify_attribute),
    ("ModifyInstanceAttribute", attributes::modify_instance),
    ("ModifyNetworkInterfaceAttribute", attributes::modify_interface),
    ("ReplaceNetworkAclAssociation", acls::replace_association),
    ("ReplaceNetworkAclEntry", acls::replace_entry),
    ("ReplaceRoute", routes::replace),
    ("ResetImageAttribute", images::reset_attribute),
    ("RevokeSecurityGroupEgress", groups::revoke_egress),
    ("RevokeSecurityGroupIngress", groups::revoke_ingress),
    ("RunInstances", launch::run),
    ("StartInstances", instances::start),
    ("StopInstances", instances::stop),
    ("TerminateInstances", launch::terminate),
];

/// Reads of these without any narrowing parameter have a rate limit of their own.
const LIMITED_UNFILTERED: [&str; 4] = ["DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces", "DescribeSecurityGroups"];

pub(super) fn respond(state: &mut State, parts: &Parts, body: &[u8], request_id: &str) -> Result<Response<Full<Bytes>>, ApiError> {
    let parameters = Parameters::read(parts, body)?;
    let action = parameters.get("Action").ok_or_else(|| ApiError::new("MissingAction", "The request must contain the parameter Action"))?;
    let content = call(state, action, &parameters)?;
    Ok(aws_answer::query(Dialect::Ec2, action, content, request_id))
}

/// One call, limited and counted.
fn call(state: &mut State, action: &str, parameters: &Parameters) -> Result<Answer, ApiError> {
    let Some((action, handler)) = ACTIONS.iter().find(|(name, _)| *name == action) else {
        // Not by the name that was sent: what clients invent must not become series.
        count(state, "ec2", "(unknown)", "InvalidAction");
        return Err(ApiError::new("InvalidAction", format!("The action {action} is not valid for this web service.")));
    };
    let is_unfiltered = LIMITED_UNFILTERED.contains(action)
        && parameters.get("MaxResults").is_none()
        && ["Filter", "InstanceId", "NetworkInterfaceId", "GroupId", "GroupName"].iter().all(|list| parameters.members(list).is_empty());
    let limited_as = if is_unfiltered { format!("{action} (unfiltered)") } else { (*action).to_owned() };
    let token = parameters.get("ClientToken");
    let replayed = token.is_some_and(|token| state.tokens.contains_key(&format!("ec2/{action}/{token}")));
    let mut answer = Answer::fragment();
    let outcome = admit(state, "ec2", &limited_as)
        .and_then(|()| handler(state, parameters, &mut answer))
        // Reads have nothing to hold back; they only say that they would have read.
        .and_then(|()| commit(parameters));
    let code = outcome.as_ref().map_or_else(|error| &*error.code, |()| "OK");
    count(state, "ec2", action, code);
    if !action.starts_with("Describe") {
        let asked = calls::fingerprint(parameters.iter().filter(|(name, _)| *name != "ClientToken"));
        state.calls.record(state.now, &Changing { cloud: Cloud::Aws, service: "ec2", operation: action, token, replayed, asked, code });
    }
    outcome.map(|()| answer)
}

/// Ends a dry run: everything was checked, nothing changed yet.
///
/// # Errors
/// `DryRunOperation` with status 412 when `DryRun` is true.
fn commit(parameters: &Parameters) -> Result<(), ApiError> {
    if parameters.flag("DryRun")? {
        return Err(
            ApiError::new("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").with_status(StatusCode::PRECONDITION_FAILED)
        );
    }
    Ok(())
}

/// A kind of resource: how its ids begin, and how EC2 names it in errors.
struct Kind {
    prefix: &'static str,
    not_found: &'static str,
    malformed: &'static str,
    noun: &'static str,
}

const INSTANCE: Kind = Kind { prefix: "i-", not_found: "InvalidInstanceID.NotFound", malformed: "InvalidInstanceID.Malformed", noun: "instance" };
const IMAGE: Kind = Kind { prefix: "ami-", not_found: "InvalidAMIID.NotFound", malformed: "InvalidAMIID.Malformed", noun: "image" };
const SUBNET: Kind = Kind { prefix: "subnet-", not_found: "InvalidSubnetID.NotFound", malformed: "InvalidSubnetID.Malformed", noun: "subnet" };
const VPC: Kind = Kind { prefix: "vpc-", not_found: "InvalidVpcID.NotFound", malformed: "InvalidVpcID.Malformed", noun: "vpc" };
const ROUTE_TABLE: Kind =
    Kind { prefix: "rtb-", not_found: "InvalidRouteTableID.NotFound", malformed: "InvalidRouteTableId.Malformed", noun: "routeTable" };
const NETWORK_ACL: Kind =
    Kind { prefix: "acl-", not_found: "InvalidNetworkAclID.NotFound", malformed: "InvalidNetworkAclId.Malformed", noun: "networkAcl" };
const GROUP: Kind = Kind { prefix: "sg-", not_found: "InvalidGroup.NotFound", malformed: "InvalidGroupId.Malformed", noun: "security group" };
const INTERFACE: Kind = Kind {
    prefix: "eni-",
    not_found: "InvalidNetworkInterfaceID.NotFound",
    malformed: "InvalidNetworkInterfaceId.Malformed",
    noun: "networkInterface",
};

impl Kind {
    /// The thing that was looked up by `id`, or EC2's error.
    ///
    /// # Errors
    /// `….Malformed` when the id cannot be one, `….NotFound` when there is nothing under it.
    fn found<T>(&self, id: &str, found: Option<T>) -> Result<T, ApiError> {
        found.ok_or_else(|| match id.strip_prefix(self.prefix) {
            Some(hex) if (8..=17).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) => {
                let message = match self.prefix {
                    "ami-" => format!("The image id '[{id}]' does not exist"),
                    "sg-" => format!("The security group '{id}' does not exist"),
                    _ => format!("The {} ID '{id}' does not exist", self.noun),
                };
                ApiError::new(self.not_found, message)
            }
            _ => ApiError::new(self.malformed, format!("Invalid id: \"{id}\" (expecting \"{}...\")", self.prefix)),
        })
    }
}

/// A moment as EC2 tells it: to the second, with three zeros (`2018-05-08T16:46:19.000Z` in the API reference of DescribeInstances).
fn moment(at: lifeboat_notation::time::Timestamp) -> String {
    at.to_utc().format("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// The tags as EC2 lists them.
fn write_tags(answer: &mut Answer, tags: &std::collections::BTreeMap<String, String>) {
    answer.items("tagSet", tags, |answer, (key, value)| {
        answer.text("key", key);
        answer.text("value", value);
    });
}

#[cfg(test)]
mod tests {

    use lifeboat_notation::time::Timestamp;

    use super::*;
    use crate::wire::xml::Element;
    use crate::world::build::build;

    /// The world as it begins.
    pub(super) fn world() -> State {
        build(42, 1.0, 10, Timestamp::from_nanos(1_790_000_000_000_000_000))
    }

    /// One call with a form body; the answer's content or the error's code.
    pub(super) fn ask(state: &mut State, body: &str) -> Result<Element, String> {
        let parts = http::Request::builder().uri("/").body(()).unwrap().into_parts().0;
        let parameters = Parameters::read(&parts, body.as_bytes()).unwrap();
        let answer = call(state, parameters.get("Action").unwrap(), &parameters).map_err(|error| error.code.into_owned())?;
        Ok(Element::parse(&format!("<answer>{}</answer>", String::from_utf8(answer.finish()).unwrap())).unwrap())
    }

    #[test]
    fn actions_are_sorted_and_unknown_ones_are_refused() {
        assert!(ACTIONS.is_sorted_by_key(|(name, _)| *name));
        assert_eq!(ask(&mut world(), "Action=MakeCoffee").unwrap_err(), "InvalidAction");
    }

    #[test]
    fn a_dry_run_checks_and_changes_nothing() {
        let mut state = world();
        for call in [
            "Action=StartInstances&InstanceId.1=i-0a11febe0a7500001",
            "Action=StopInstances&InstanceId.1=i-0a11febe0a7c00001",
            "Action=ReplaceRoute&RouteTableId=rtb-0a11febe0a7b00002&DestinationCidrBlock=10.20.0.0/16&NetworkInterfaceId=eni-0a11febe0a75ba4e0",
            "Action=DeleteRoute&RouteTableId=rtb-0a11febe0a7b00002&DestinationCidrBlock=10.20.0.0/16",
            "Action=CreateRoute&RouteTableId=rtb-0a11febe0a7b00002&DestinationCidrBlock=10.30.0.0/16&NetworkInterfaceId=eni-0a11febe0a75ba4e0",
            "Action=ModifyImageAttribute&ImageId=ami-0a11febe0a7000001&LaunchPermission.Add.1.UserId=444455556666",
            "Action=ResetImageAttribute&ImageId=ami-0a11febe0a7000001&Attribute=launchPermission",
            "Action=CreateNetworkAcl&VpcId=vpc-0a11febe0a7000001",
            "Action=CreateNetworkAclEntry&NetworkAclId=acl-0a11febe0a7de4001&RuleNumber=1&Protocol=-1&RuleAction=deny&Egress=false&CidrBlock=0.0.0.0/0",
            "Action=DeleteNetworkAclEntry&NetworkAclId=acl-0a11febe0a7de4001&RuleNumber=100&Egress=false",
            "Action=ReplaceNetworkAclAssociation&AssociationId=aclassoc-0a11febe0a7a50001&NetworkAclId=acl-0a11febe0a7de4001",
            "Action=AuthorizeSecurityGroupIngress&GroupId=sg-0a11febe0a7000001&IpProtocol=tcp&FromPort=22&ToPort=22&CidrIp=10.0.0.0/8",
            "Action=RevokeSecurityGroupIngress&GroupId=sg-0a11febe0a7000001&IpProtocol=tcp&FromPort=8080&ToPort=8080&CidrIp=0.0.0.0/0",
            "Action=ModifyInstanceAttribute&InstanceId=i-0a11febe0a7c00001&GroupId.1=sg-0a11febe0a7000001",
            "Action=CreateTags&ResourceId.1=i-0a11febe0a7c00001&Tag.1.Key=a&Tag.1.Value=b",
            "Action=RunInstances&ImageId=ami-0a11febe0a7000001&MinCount=1&MaxCount=1",
            "Action=TerminateInstances&InstanceId.1=i-0a11febe0a7c00001",
            "Action=DescribeInstances",
        ] {
            let before = (state.view(), state.serial);
            assert_eq!(ask(&mut state, &format!("{call}&DryRun=true")).unwrap_err(), "DryRunOperation", "{call}");
            assert_eq!((state.view(), state.serial), before, "{call}");
        }
        // Wrong calls stay wrong in a dry run.
        assert_eq!(ask(&mut state, "Action=StartInstances&InstanceId.1=i-0123456789abcdef0&DryRun=true").unwrap_err(), "InvalidInstanceID.NotFound");
    }

    #[test]
    fn calls_beyond_the_rate_are_refused_and_counted() {
        let mut state = world();
        let call = "Action=StartInstances&InstanceId.1=i-0a11febe0a7500001";
        for _ in 0..5 {
            ask(&mut state, call).unwrap();
        }
        assert_eq!(ask(&mut state, call).unwrap_err(), "RequestLimitExceeded");
        state.now = state.now.plus(std::time::Duration::from_millis(500));
        ask(&mut state, call).unwrap();
        let counted = |code: &str| state.counters.api_calls[&("aws".into(), "ec2".into(), "StartInstances".into(), code.into())];
        assert_eq!((counted("OK"), counted("RequestLimitExceeded")), (6, 1));
    }
}

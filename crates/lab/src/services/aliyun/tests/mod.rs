//! The actions over the shipped world, at its first moment; only the signature is left out where it is not what is tested.

mod tags;

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_notation::time::Timestamp;

use super::*;
use crate::wire::vectors::{self, Vector};
use crate::world::build::build;
use crate::world::transition::settle;

const VSWITCH: &str = "vsw-bp1lifeboat0app000001";
const VPC: &str = "vpc-bp1lifeboat0shop00001";
const TABLE: &str = "vtb-bp1lifeboat0main00001";
const STORE: [&str; 2] = ["i-bp1lifeboat0store0001", "i-bp1lifeboat0store0002"];
const CHECK: [&str; 2] = ["i-bp1lifeboat0check0001", "i-bp1lifeboat0check0002"];

fn world() -> State {
    build(7, 1.0, 10, Timestamp::from_nanos(1_800_000_000_000_000_000))
}

fn pass(state: &mut State, millis: u64) {
    state.now = state.now.plus(Duration::from_millis(millis));
    settle(state);
}

/// Calls `product:Action` with parameters, RegionId added.
fn call(state: &mut State, name: &str, params: &[(&str, &str)]) -> Result<Value, ApiError> {
    let (product, action) = name.split_once(':').unwrap();
    let product = PRODUCTS.iter().find(|row| row.name == product).unwrap();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("RegionId", "cn-hangzhou").extend_pairs(params);
    let request = Request::post(format!("/?{}", query.finish())).header("x-acs-version", product.version).header("x-acs-action", action);
    let call = Call::read(&request.body(()).unwrap().into_parts().0, b"");
    perform(state, Some(product), product.actions.iter().find(|row| row.name == action), &call)
}

fn ok(state: &mut State, name: &str, params: &[(&str, &str)]) -> Value {
    call(state, name, params).unwrap_or_else(|error| panic!("{name}: {error:?}"))
}

fn code(state: &mut State, name: &str, params: &[(&str, &str)]) -> String {
    call(state, name, params).map(|answer| answer.to_string()).unwrap_err().code
}

fn statuses(state: &mut State) -> BTreeMap<String, String> {
    let answer = ok(state, "ecs:DescribeInstanceStatus", &[("PageSize", "50")]);
    let list = answer["InstanceStatuses"]["InstanceStatus"].as_array().unwrap().clone();
    list.iter().map(|one| (one["InstanceId"].as_str().unwrap().to_owned(), one["Status"].as_str().unwrap().to_owned())).collect()
}

/// A world that knows the vector's key and stands at its moment.
fn world_of(vector: &Vector) -> State {
    let mut state = build(7, 1.0, 10, vector.clock.parse().unwrap());
    state.accounts.access_key_id.clone_from(&vector.access_key_id);
    state.accounts.secret_access_key.clone_from(&vector.access_key_secret);
    state
}

fn send(state: &mut State, vector: &Vector) -> (u16, http::HeaderMap, Value) {
    let (parts, body) = vector.request();
    let response = answer(state, &parts, body.as_bytes());
    let (parts, body) = response.into_parts();
    let body = futures_util::FutureExt::now_or_never(body.collect()).unwrap().unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap())
}

#[test]
fn a_call_sees_the_region_that_it_names() {
    let mut state = world();
    state.regions.aliyun.push("cn-beijing".to_owned());
    let total = |state: &mut State| ok(state, "ecs:DescribeInstances", &[])["TotalCount"].clone();
    assert_eq!(total(&mut state), 4);
    state.vpcs.get_mut("vpc-bp1lifeboat0shop00001").unwrap().region = "cn-beijing".to_owned();
    assert_eq!(total(&mut state), 0);
    assert_eq!(state.instances.len(), 9, "nothing is lost");
    state.regions.aliyun.remove(0);
    assert_eq!(code(&mut state, "ecs:DescribeInstances", &[]), "InvalidRegionId.NotFound");
}

#[test]
fn a_signed_request_is_answered_once() {
    let vector = vectors::named("ecs-describe-instances");
    let mut state = world_of(&vector);
    let (status, headers, body) = send(&mut state, &vector);
    assert_eq!((status, &body["TotalCount"]), (200, &json!(0)), "no such ids here");
    assert_eq!(headers["x-acs-request-id"].to_str().unwrap(), body["RequestId"].as_str().unwrap());

    let (status, _, body) = send(&mut state, &vector);
    assert_eq!((status, &body["Code"]), (400, &json!("SignatureNonceUsed")));

    let mut wrong = vector.clone();
    wrong.set("x-acs-action", "StopInstances");
    let (status, headers, body) = send(&mut state, &wrong);
    assert_eq!((status, &body["Code"]), (400, &json!("SignatureDoesNotMatch")));
    assert_eq!(headers["x-acs-request-id"].to_str().unwrap(), body["RequestId"].as_str().unwrap());

    state.accounts.access_key_id.push('x');
    let (status, _, body) = send(&mut state, &vector);
    assert_eq!((status, &body["Code"]), (404, &json!("InvalidAccessKeyId.NotFound")));

    let mut late = world_of(&vector);
    late.now = late.now.plus(Duration::from_secs(16 * 60));
    assert_eq!(send(&mut late, &vector).2["Code"], "InvalidTimeStamp.Expired");

    let older = vectors::named("v1-ecs-start-instances");
    let (status, _, body) = send(&mut world_of(&older), &older);
    assert_eq!((status, &body["InstanceResponses"]["InstanceResponse"][0]["Code"]), (200, &json!("InvalidInstanceId.NotFound")));
}

#[test]
fn every_answer_has_the_shape_the_official_sdk_parses() {
    // Left: an action over this world; right: the captured answer that the SDK is known to parse. Every field of ours that the other
    // has too must have the same kind of value, and lists must be wrapped alike.
    fn alike(path: &str, ours: &Value, theirs: &Value) {
        match (ours, theirs) {
            (Value::Object(ours), Value::Object(theirs)) => {
                for (name, value) in ours {
                    if let Some(other) = theirs.get(name) {
                        alike(&format!("{path}.{name}"), value, other);
                    }
                }
                for name in theirs.iter().filter(|(_, value)| value.is_object() || value.is_array()).map(|(name, _)| name) {
                    assert!(ours.contains_key(name), "{path}.{name} is missing");
                }
            }
            (Value::Array(ours), Value::Array(theirs)) => {
                if let (Some(one), Some(other)) = (ours.first(), theirs.first()) {
                    alike(&format!("{path}[]"), one, other);
                }
            }
            (Value::Null, _) | (_, Value::Null) => {}
            (ours, theirs) => assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(theirs), "{path}: {ours} {theirs}"),
        }
    }
    type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str);
    let table: &[Row] = &[
        ("ecs:DescribeInstances", &[("MaxResults", "10")], "ecs-describe-instances"),
        ("ecs:DescribeInstanceStatus", &[], "ecs-describe-instance-status"),
        ("ecs:StartInstances", &[("InstanceId.1", CHECK[0])], "ecs-start-instances"),
        ("ecs:StopInstances", &[("InstanceId.1", STORE[0])], "ecs-stop-instances"),
        ("ecs:DescribeImageSharePermission", &[("ImageId", "m-bp1lifeboat0shop00001")], "ecs-describe-image-share-permission"),
        ("vpc:DescribeNetworkAclAttributes", &[("NetworkAclId", "nacl-bp1lifeboat0data0001")], "vpc-describe-network-acl-attributes"),
        ("vpc:DescribeRouteEntryList", &[("RouteTableId", TABLE)], "vpc-describe-route-entry-list"),
        ("alidns:DescribeDomainRecords", &[("DomainName", "example.cn")], "alidns-describe-domain-records"),
        ("alidns:DescribeDNSSLBSubDomains", &[("DomainName", "example.cn")], "alidns-describe-dnsslb-sub-domains"),
        ("alidns:SetDNSSLBStatus", &[("SubDomain", "shop.example.cn"), ("Open", "True")], "alidns-set-dnsslb-status"),
        ("alidns:UpdateDNSSLBWeight", &[("RecordId", "920100000000000001"), ("Weight", "50")], "alidns-update-dnsslb-weight"),
        ("alidns:SetDomainRecordStatus", &[("RecordId", "920100000000000001"), ("Status", "Disable")], "alidns-set-domain-record-status"),
        ("dts:DescribeDtsJobDetail", &[("DtsJobId", "dtsorders-primary")], "dts-describe-dts-job-detail"),
        ("dts:DescribeDtsJobDetail", &[("DtsJobId", "nope")], "dts-business-failure-http200"),
        ("dts:SuspendDtsJob", &[("DtsJobId", "dtsorders-primary")], "dts-suspend-dts-job"),
        ("sts:GetCallerIdentity", &[], "sts-get-caller-identity"),
    ];
    for (name, params, vector) in table {
        let ours = ok(&mut world(), name, params);
        let text = std::fs::read_to_string(format!("{}/../../tests/vectors/aliyun/{vector}.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let theirs: Value = serde_json::from_str(&text).unwrap();
        let theirs: Value = serde_json::from_str(theirs["response"]["body"].as_str().unwrap()).unwrap();
        alike(name, &ours, &theirs);
    }
}

#[test]
fn machines_are_found_by_id_tag_status_and_page() {
    let mut state = world();
    let ids = |answer: &Value| -> Vec<String> {
        answer["Instances"]["Instance"].as_array().unwrap().iter().map(|one| one["InstanceId"].as_str().unwrap().to_owned()).collect()
    };
    let answer = ok(&mut state, "ecs:DescribeInstances", &[("Tag.1.Key", "role"), ("Tag.1.Value", "checkout"), ("Status", "Stopped")]);
    assert_eq!(ids(&answer), CHECK);
    let answer = ok(&mut state, "ecs:DescribeInstances", &[("InstanceIds", r#"["i-bp1lifeboat0store0002","nope"]"#)]);
    assert_eq!(ids(&answer), [STORE[1]]);
    let answer = ok(&mut state, "ecs:DescribeInstances", &[("PageSize", "3"), ("PageNumber", "2")]);
    assert_eq!((ids(&answer).len(), &answer["TotalCount"]), (1, &json!(4)));

    let first = ok(&mut state, "ecs:DescribeInstances", &[("MaxResults", "3")]);
    let rest = ok(&mut state, "ecs:DescribeInstances", &[("MaxResults", "3"), ("NextToken", first["NextToken"].as_str().unwrap())]);
    assert_eq!((ids(&first).len(), ids(&rest).len(), &rest["NextToken"]), (3, 1, &json!("")));
    assert_eq!(code(&mut state, "ecs:DescribeInstances", &[("InstanceIds", "i-1")]), "InvalidParameter");
    assert_eq!(code(&mut state, "ecs:DescribeInstanceStatus", &[("PageSize", "51")]), "InvalidParameter");
    assert_eq!(code(&mut state, "ecs:DescribeInstances", &[("RegionId", "cn-beijing")]), "InvalidRegionId.NotFound");
}

#[test]
fn a_batch_starts_all_together_or_what_it_can() {
    let mut state = world();
    let mixed = [("InstanceId.1", CHECK[0]), ("InstanceId.2", STORE[0])];
    assert_eq!(code(&mut state, "ecs:StartInstances", &mixed), "IncorrectInstanceStatus");
    assert_eq!(statuses(&mut state)[CHECK[0]], "Stopped", "all or none");

    let answer = ok(&mut state, "ecs:StartInstances", &[mixed[0], mixed[1], ("BatchOptimization", "SuccessFirst")]);
    let responses = &answer["InstanceResponses"]["InstanceResponse"];
    assert_eq!((&responses[0]["Code"], &responses[0]["CurrentStatus"]), (&json!("200"), &json!("Starting")));
    assert_eq!((&responses[1]["Code"], &responses[1]["CurrentStatus"]), (&json!("IncorrectInstanceStatus"), &json!("Running")));
    pass(&mut state, 10_000);
    assert_eq!(statuses(&mut state)[CHECK[0]], "Running");

    assert_eq!(code(&mut state, "ecs:StopInstances", &[("InstanceId.1", STORE[0]), ("DryRun", "true")]), "DryRunOperation");
    assert_eq!(statuses(&mut state)[STORE[0]], "Running", "a dry run changes nothing");
    ok(&mut state, "ecs:StopInstances", &[("InstanceId.1", STORE[0]), ("StoppedMode", "KeepCharging")]);
    assert_eq!(statuses(&mut state)[STORE[0]], "Stopping");
    assert_eq!(code(&mut state, "ecs:StartInstance", &[("InstanceId", "i-none")]), "InvalidInstanceId.NotFound");
    assert_eq!(code(&mut state, "ecs:StartInstances", &[]), "MissingParameter");
}

#[test]
fn an_image_is_shared_with_ten_accounts_a_call_at_most() {
    let mut state = world();
    let image = ("ImageId", "m-bp1lifeboat0shop00001");
    let names: Vec<(String, String)> = (1..=12).map(|n| (format!("AddAccount.{n}"), format!("10000000000000{n:02}"))).collect();
    let mut params: Vec<(&str, &str)> = names.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    params.push(image);
    ok(&mut state, "ecs:ModifyImageSharePermission", &params);
    assert_eq!(ok(&mut state, "ecs:DescribeImageSharePermission", &[image])["TotalCount"], 10);
    ok(&mut state, "ecs:ModifyImageSharePermission", &[image, ("RemoveAccount.1", "1000000000000001")]);
    assert_eq!(ok(&mut state, "ecs:DescribeImageSharePermission", &[image])["TotalCount"], 9);
}

#[test]
fn an_acl_cuts_a_vswitch_off_and_leaves_no_trace() {
    let mut state = world();
    let vswitch = [("Resource.1.ResourceId", VSWITCH), ("Resource.1.ResourceType", "VSwitch")];
    let created = ok(&mut state, "vpc:CreateNetworkAcl", &[("VpcId", VPC), ("NetworkAclName", "drill"), ("ClientToken", "t1")]);
    let again = ok(&mut state, "vpc:CreateNetworkAcl", &[("VpcId", VPC), ("NetworkAclName", "drill"), ("ClientToken", "t1")]);
    assert_eq!(created, again, "the same token makes one ACL");
    let other = [("VpcId", VPC), ("NetworkAclName", "another"), ("ClientToken", "t1")];
    assert_eq!(code(&mut state, "vpc:CreateNetworkAcl", &other), "IdempotentParameterMismatch");
    let id = created["NetworkAclId"].as_str().unwrap().to_owned();
    let acl = ("NetworkAclId", id.as_str());
    assert_eq!(created["NetworkAclAttribute"]["IngressAclEntries"]["IngressAclEntry"][0]["Policy"], "accept", "open until set");

    let mut entries = vec![acl, ("UpdateIngressAclEntries", "true"), ("UpdateEgressAclEntries", "True")];
    for direction in ["Ingress", "Egress"] {
        let far_end = if direction == "Ingress" { "SourceCidrIp" } else { "DestinationCidrIp" };
        for (field, value) in [("Policy", "drop"), ("Protocol", "all"), ("Port", "-1/-1"), (far_end, "0.0.0.0/0"), ("EntryType", "custom")] {
            entries.push((Box::leak(format!("{direction}AclEntries.1.{field}").into_boxed_str()), value));
        }
    }
    ok(&mut state, "vpc:UpdateNetworkAclEntries", &entries);
    ok(&mut state, "vpc:AssociateNetworkAcl", &[acl, vswitch[0], vswitch[1]]);
    let binding = |state: &mut State| {
        let attribute = ok(state, "vpc:DescribeNetworkAclAttributes", &[acl])["NetworkAclAttribute"].clone();
        (attribute["Status"].as_str().unwrap().to_owned(), attribute["Resources"]["Resource"][0]["Status"].as_str().map(str::to_owned))
    };
    assert_eq!(binding(&mut state), ("Modifying".to_owned(), Some("BINDING".to_owned())));
    assert!(state.services["storefront"].up);
    pass(&mut state, 300);
    assert_eq!(binding(&mut state), ("Available".to_owned(), Some("BINDED".to_owned())));
    assert!(!state.services["storefront"].up, "packets follow");
    assert_eq!(ok(&mut state, "vpc:DescribeVSwitchAttributes", &[("VSwitchId", VSWITCH)])["NetworkAclId"], id.as_str());
    let listed = ok(&mut state, "vpc:DescribeNetworkAcls", &[("ResourceId", VSWITCH), ("ResourceType", "VSwitch")]);
    assert_eq!(listed["TotalCount"], "1");

    assert_eq!(code(&mut state, "vpc:DeleteNetworkAcl", &[acl]), "NetworkAclExistBinding");
    assert_eq!(code(&mut state, "vpc:AssociateNetworkAcl", &[acl, vswitch[0], vswitch[1]]), "InvalidResource.BindingExist");
    ok(&mut state, "vpc:UnassociateNetworkAcl", &[acl, vswitch[0], vswitch[1]]);
    assert_eq!(binding(&mut state).1.as_deref(), Some("UNBINDING"));
    assert_eq!(code(&mut state, "vpc:DeleteNetworkAcl", &[acl]), "NetworkAclExistBinding");
    pass(&mut state, 300);
    assert!(state.services["storefront"].up);
    assert_eq!(ok(&mut state, "vpc:DescribeVSwitchAttributes", &[("VSwitchId", VSWITCH)])["NetworkAclId"], "");
    ok(&mut state, "vpc:DeleteNetworkAcl", &[acl]);
    assert_eq!(code(&mut state, "vpc:DescribeNetworkAclAttributes", &[acl]), "InvalidNetworkAcl.NotFound");
}

#[test]
fn entries_replace_what_was_there_and_are_checked() {
    let mut state = world();
    let acl = ("NetworkAclId", "nacl-bp1lifeboat0data0001");
    let update = |state: &mut State, policy: &str, protocol: &str, port: &str, cidr: &str| {
        let entry = [("IngressAclEntries.1.Policy", policy), ("IngressAclEntries.1.Protocol", protocol), ("IngressAclEntries.1.Port", port)];
        let rest = [("IngressAclEntries.1.SourceCidrIp", cidr), ("UpdateIngressAclEntries", "true"), acl];
        call(state, "vpc:UpdateNetworkAclEntries", &[entry, rest].concat()).map_err(|error| error.message)
    };
    for (policy, protocol, port, cidr, field) in [
        ("deny", "all", "-1/-1", "0.0.0.0/0", "Policy"),
        ("drop", "ip", "-1/-1", "0.0.0.0/0", "Protocol"),
        ("drop", "all", "1/2", "0.0.0.0/0", "Port"),
        ("drop", "tcp", "9/2", "0.0.0.0/0", "Port"),
        ("drop", "all", "-1/-1", "0.0.0.0/33", "SourceCidrIp"),
    ] {
        let message = update(&mut state, policy, protocol, port, cidr).unwrap_err();
        assert!(message.contains(&format!("IngressAclEntries.1.{field}")), "{message}");
    }
    update(&mut state, "drop", "tcp", "80/90", "10.0.0.0/8").unwrap();
    let attribute = ok(&mut state, "vpc:DescribeNetworkAclAttributes", &[acl])["NetworkAclAttribute"].clone();
    assert_eq!(attribute["IngressAclEntries"]["IngressAclEntry"].as_array().unwrap().len(), 1);
    assert_eq!(attribute["IngressAclEntries"]["IngressAclEntry"][0]["Port"], "80/90");
    assert_eq!(attribute["EgressAclEntries"]["EgressAclEntry"][0]["Policy"], "accept", "the other direction stays");
    ok(&mut state, "vpc:UpdateNetworkAclEntries", &[acl, ("UpdateIngressAclEntries", "true")]);
    let attribute = ok(&mut state, "vpc:DescribeNetworkAclAttributes", &[acl])["NetworkAclAttribute"].clone();
    assert_eq!(attribute["IngressAclEntries"]["IngressAclEntry"], json!([]));
}

#[test]
fn a_route_table_takes_one_change_at_a_time() {
    let mut state = world();
    let route = |state: &mut State| {
        let answer = ok(state, "vpc:DescribeRouteEntryList", &[("RouteTableId", TABLE), ("RouteEntryType", "Custom"), ("MaxResult", "100")]);
        answer["RouteEntrys"]["RouteEntry"].as_array().unwrap().clone()
    };
    let before = route(&mut state)[0].clone();
    assert_eq!(before["NextHops"]["NextHop"][0]["NextHopType"], "Instance");
    ok(&mut state, "vpc:DeleteRouteEntry", &[("RouteEntryId", before["RouteEntryId"].as_str().unwrap())]);
    let create = [("RouteTableId", TABLE), ("DestinationCidrBlock", "10.30.0.0/16"), ("NextHopType", "Instance"), ("NextHopId", STORE[0])];
    assert_eq!(code(&mut state, "vpc:CreateRouteEntry", &create), "TaskConflict");
    pass(&mut state, 300);
    let created = ok(&mut state, "vpc:CreateRouteEntry", &create)["RouteEntryId"].clone();
    assert_ne!(created, before["RouteEntryId"], "a new entry has a new id");
    assert_eq!(route(&mut state)[0]["Status"], "Pending");
    pass(&mut state, 300);
    assert_eq!(route(&mut state)[0]["Status"], "Available");
    assert_eq!(code(&mut state, "vpc:CreateRouteEntry", &create), "RouterEntryConflict.Duplicated");
    let change = [("RouteEntryId", created.as_str().unwrap()), ("NewNextHopType", "Instance"), ("NewNextHopId", CHECK[0])];
    ok(&mut state, "vpc:ModifyRouteEntry", &change);
    pass(&mut state, 300);
    assert_eq!(route(&mut state)[0]["NextHops"]["NextHop"][0]["NextHopId"], CHECK[0]);
    let system = [("RouteTableId", TABLE), ("DestinationCidrBlock", "172.16.1.0/24")];
    assert_eq!(code(&mut state, "vpc:DeleteRouteEntry", &system), "OperationDenied");
}

#[test]
fn traffic_moves_by_enabling_weighing_and_disabling_records() {
    let mut state = world();
    let records = |state: &mut State, extra: &[(&str, &str)]| {
        let params = [&[("DomainName", "example.cn")], extra].concat();
        ok(state, "alidns:DescribeDomainRecords", &params)["DomainRecords"]["Record"].as_array().unwrap().clone()
    };
    let shop = records(&mut state, &[("RRKeyWord", "shop"), ("TypeKeyWord", "A")]);
    assert_eq!(shop.len(), 4);
    assert!(records(&mut state, &[("RRKeyWord", "sho"), ("SearchMode", "COMBINATION")]).is_empty(), "exact");
    assert_eq!(records(&mut state, &[("KeyWord", "pay"), ("SearchMode", "EXACT")]).len(), 4);
    assert_eq!(records(&mut state, &[("Status", "Disable")]).len(), 4);
    assert_eq!(records(&mut state, &[("PageSize", "3"), ("PageNumber", "3")]).len(), 2);
    assert_eq!(ok(&mut state, "alidns:DescribeSubDomainRecords", &[("SubDomain", "pay.example.cn")])["TotalCount"], 4);
    assert_eq!((&shop[2]["Status"], &shop[2]["Weight"], &shop[2]["Remark"]), (&json!("DISABLE"), &json!(1), &json!("aws")));

    let idle = ("RecordId", "920100000000000003");
    assert_eq!(code(&mut state, "alidns:UpdateDNSSLBWeight", &[idle, ("Weight", "100")]), "DomainRecordDisable");
    let answer = ok(&mut state, "alidns:SetDomainRecordStatus", &[idle, ("Status", "Enable")]);
    assert_eq!(answer["Status"], "Enable", "told as asked, listed as ENABLE");
    assert_eq!(code(&mut state, "alidns:UpdateDNSSLBWeight", &[idle, ("Weight", "0")]), "InvalidWeigth");
    assert_eq!(code(&mut state, "alidns:UpdateDNSSLBWeight", &[idle, ("Weight", "101")]), "InvalidWeigth");
    ok(&mut state, "alidns:UpdateDNSSLBWeight", &[idle, ("Weight", "100")]);
    for id in ["920100000000000001", "920100000000000002"] {
        ok(&mut state, "alidns:SetDomainRecordStatus", &[("RecordId", id), ("Status", "Disable")]);
    }
    pass(&mut state, 500);
    let key = ("shop.example.cn".to_owned(), "A".to_owned());
    assert_eq!(state.dns_view[&key].len(), 1);
    assert_eq!(state.dns_view[&key][0].values, ["127.10.1.11"]);

    ok(&mut state, "alidns:SetDNSSLBStatus", &[("SubDomain", "pay.example.cn"), ("Open", "false")]);
    assert_eq!(code(&mut state, "alidns:UpdateDNSSLBWeight", &[("RecordId", "920100000000000005"), ("Weight", "5")]), "DisableDNSSLB");
}

#[test]
fn a_record_is_added_changed_and_removed() {
    let mut state = world();
    let add = [("DomainName", "example.cn"), ("RR", "www"), ("Type", "A"), ("Value", "192.0.2.1")];
    let id = ok(&mut state, "alidns:AddDomainRecord", &add)["RecordId"].as_str().unwrap().to_owned();
    assert_eq!(code(&mut state, "alidns:AddDomainRecord", &add), "DomainRecordDuplicate");
    let record = ("RecordId", id.as_str());
    let unchanged = [record, add[1], add[2], add[3]];
    assert_eq!(code(&mut state, "alidns:UpdateDomainRecord", &unchanged), "DomainRecordDuplicate");
    ok(&mut state, "alidns:UpdateDomainRecord", &[record, add[1], add[2], ("Value", "192.0.2.2"), ("TTL", "60")]);
    let info = ok(&mut state, "alidns:DescribeDomainRecordInfo", &[record]);
    assert_eq!((&info["Value"], &info["TTL"], &info["DomainName"]), (&json!("192.0.2.2"), &json!(60), &json!("example.cn")));
    pass(&mut state, 500);
    assert!(state.dns_view.contains_key(&("www.example.cn".to_owned(), "A".to_owned())));
    ok(&mut state, "alidns:DeleteDomainRecord", &[record]);
    assert_eq!(code(&mut state, "alidns:DeleteDomainRecord", &[record]), "DomainRecordNotBelongToUser");
    assert_eq!(code(&mut state, "alidns:DescribeDomainRecords", &[("DomainName", "example.com")]), "InvalidDomainName.NoExist");
    assert_eq!(code(&mut state, "alidns:AddDomainRecord", &[add[0], ("RR", "x y"), add[2], add[3]]), "InvalidParameter");
}

#[test]
fn a_job_is_paused_and_started_and_failures_come_as_success() {
    let mut state = world();
    let job = ("DtsJobId", "dtsorders-primary");
    let status = |state: &mut State| ok(state, "dts:DescribeDtsJobDetail", &[job])["Status"].as_str().unwrap().to_owned();
    let refused = ok(&mut state, "dts:StartDtsJob", &[job]);
    assert_eq!((&refused["Success"], &refused["ErrCode"]), (&json!(false), &json!("OperationDenied.JobStatus")));
    assert_eq!(ok(&mut state, "dts:SuspendDtsJob", &[job])["Success"], true);
    assert_eq!(status(&mut state), "Suspending");
    assert_eq!(ok(&mut state, "dts:StartDtsJob", &[job])["ErrCode"], "OperationDenied.JobStatus", "it still hands over what was in hand");
    pass(&mut state, 500);
    assert_eq!(status(&mut state), "Suspending");
    assert_eq!(ok(&mut state, "dts:StartDtsJob", &[job])["Success"], true);
    assert_eq!(status(&mut state), "Prechecking");
    assert_eq!(ok(&mut state, "dts:SuspendDtsJob", &[job])["ErrCode"], "OperationDenied.JobStatus");
    pass(&mut state, 800);
    assert_eq!(status(&mut state), "Synchronizing");
    assert_eq!(ok(&mut state, "dts:DescribeDtsJobs", &[])["TotalRecordCount"], 0, "the type meant by default is migration");
    let listed = ok(&mut state, "dts:DescribeDtsJobs", &[("JobType", "SYNC"), ("Status", "Suspending")]);
    assert_eq!(listed["DtsJobList"][0]["DtsJobId"], "dtsorders-standby");
    let ends = |end: &str| (listed["DtsJobList"][0][end]["EngineName"].clone(), listed["DtsJobList"][0][end]["InstanceType"].clone());
    assert_eq!((ends("SourceEndpoint"), ends("DestinationEndpoint")), ((json!("MYSQL"), json!("RDS")), (json!("MYSQL"), json!("OTHER"))));
    let reverse = ok(&mut state, "dts:SuspendDtsJob", &[job, ("SynchronizationDirection", "Reverse")]);
    assert_eq!(reverse["ErrCode"], "InvalidParameter", "it has one direction");
    assert_eq!(ok(&mut state, "dts:DescribeDtsJobDetail", &[("DtsJobId", "nobody")])["ErrCode"], "Forbidden.InstanceNotFound");
}

#[test]
fn rates_are_limited_and_the_wait_is_told() {
    let mut state = world();
    for _ in 0..30 {
        ok(&mut state, "vpc:DescribeNetworkAcls", &[]);
    }
    let error = call(&mut state, "vpc:DescribeNetworkAcls", &[]).unwrap_err();
    assert_eq!((error.status, error.code.as_str()), (400, "Throttling.User"));
    assert!(error.retry_after_ms.is_some_and(|millis| millis > 0));
}

#[test]
fn numbers_and_rules_are_told_inside_http_200() {
    use crate::world::monitoring::{Datum, Metric};
    use crate::world::state::Cloud;

    let mut state = world();
    let dimensions = |service: &str| BTreeMap::from([("service".to_owned(), service.to_owned())]);
    for (service, value) in [("a", 7.5), ("b", 2.5)] {
        let metric = Metric { cloud: Cloud::Aliyun, namespace: "own".into(), name: "Queue".into(), dimensions: dimensions(service) };
        let at = state.now.plus(Duration::from_secs(5));
        assert!(state.monitoring.put(metric, Datum::one(at, value)));
    }
    pass(&mut state, 20_000);
    let asked = [("Namespace", "own"), ("MetricName", "Queue"), ("Period", "15")];
    let last = ok(&mut state, "cms:DescribeMetricLast", &asked);
    let points: Value = serde_json::from_str(last["Datapoints"].as_str().unwrap()).unwrap();
    assert_eq!((&last["Code"], &last["Success"], points.as_array().unwrap().len()), (&json!("200"), &json!(true), 2));
    assert_eq!((&points[0]["service"], &points[0]["Average"]), (&json!("a"), &json!(7.5)));
    let of = |service: &'static str| [asked[0], asked[1], asked[2], ("Dimensions", service)];
    let one = ok(&mut state, "cms:DescribeMetricLast", &of(r#"[{"service":"b"}]"#));
    assert_eq!(serde_json::from_str::<Value>(one["Datapoints"].as_str().unwrap()).unwrap()[0]["Maximum"], 2.5);
    let first = ok(&mut state, "cms:DescribeMetricList", &[asked[0], asked[1], asked[2], ("Length", "1")]);
    let rest = ok(&mut state, "cms:DescribeMetricList", &[asked[0], asked[1], asked[2], ("NextToken", first["NextToken"].as_str().unwrap())]);
    assert_eq!(rest["NextToken"], Value::Null);
    assert_ne!(first["Datapoints"], rest["Datapoints"]);
    let failed = ok(&mut state, "cms:DescribeMetricLast", &[("Namespace", "own"), ("MetricName", "nope")]);
    assert_eq!((&failed["Code"], &failed["Success"]), (&json!("400"), &json!(false)));
    let failed = ok(&mut state, "cms:DescribeMetricLast", &of("service=b"));
    assert_eq!(failed["Success"], json!(false));

    let rules = |state: &mut State, params: &[(&str, &str)]| {
        let answer = ok(state, "cms:DescribeMetricRuleList", params);
        let of = |rule: &Value| format!("{} {}", rule["RuleName"].as_str().unwrap(), rule["AlertState"].as_str().unwrap());
        answer["Alarms"]["Alarm"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(rules(&mut state, &[("RuleName", "checkout")]), ["shop-checkout-errors OK"]);
    let put = [
        ("RuleId", "own-1"),
        ("RuleName", "own-queue"),
        ("Namespace", "own"),
        ("MetricName", "Queue"),
        ("Resources", r#"[{"service":"a"}]"#),
        ("ContactGroups", "lab"),
        ("Period", "15"),
        ("Escalations.Critical.Statistics", "Average"),
        ("Escalations.Critical.ComparisonOperator", "GreaterThanThreshold"),
        ("Escalations.Critical.Threshold", "5"),
        ("Escalations.Critical.Times", "1"),
    ];
    assert_eq!(ok(&mut state, "cms:PutResourceMetricRule", &put[..6])["Success"], json!(false), "without escalation");
    assert_eq!(ok(&mut state, "cms:PutResourceMetricRule", &put)["Success"], json!(true));
    assert_eq!(rules(&mut state, &[("RuleIds", "own-1")]), ["own-queue INSUFFICIENT_DATA"], "not judged yet");
    let metric = Metric { cloud: Cloud::Aliyun, namespace: "own".into(), name: "Queue".into(), dimensions: dimensions("a") };
    pass(&mut state, 15_000);
    let at = state.now;
    assert!(state.monitoring.put(metric, Datum::one(at, 9.0)));
    pass(&mut state, 1_000);
    assert_eq!(rules(&mut state, &[("AlertState", "ALARM")]), ["own-queue ALARM"]);
    ok(&mut state, "cms:DisableMetricRules", &[("RuleId.1", "own-1")]);
    assert_eq!(rules(&mut state, &[("EnableState", "false")]), ["own-queue ALARM"], "its last state stays");
    ok(&mut state, "cms:DeleteMetricRules", &[("Id.1", "own-1")]);
    assert_eq!(ok(&mut state, "cms:DeleteMetricRules", &[("Id.1", "own-1")])["Code"], json!("404"));
}

//! Security groups and their rules.

use super::page::Page;
use super::routes::cidr;
use super::select::{Selection, tag_attribute};
use super::{GROUP, commit};
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::{Cloud, SecurityGroup, SecurityRule, State};

fn all(state: &State) -> impl Iterator<Item = &SecurityGroup> {
    state.security_groups.values().filter(|group| group.cloud == Cloud::Aws)
}

/// The group that a call names by id or by name.
fn get<'a>(state: &'a State, parameters: &Parameters) -> Result<&'a SecurityGroup, ApiError> {
    if let (None, Some(name)) = (parameters.get("GroupId"), parameters.get("GroupName")) {
        return GROUP
            .found("sg-00000000", all(state).find(|group| group.name == name))
            .map_err(|_| ApiError::new(GROUP.not_found, format!("The security group '{name}' does not exist")));
    }
    let id = parameters.required("GroupId")?;
    GROUP.found(id, all(state).find(|group| group.id == id))
}

fn attribute(state: &State, group: &SecurityGroup, name: &str) -> Option<Vec<String>> {
    let ingress = |value: fn(&SecurityRule) -> String| Some(group.ingress.iter().map(value).collect());
    match name {
        "group-id" => Some(vec![group.id.clone()]),
        "group-name" | "description" => Some(vec![group.name.clone()]),
        "vpc-id" => Some(vec![group.vpc.clone()]),
        "owner-id" => Some(vec![state.accounts.aws.clone()]),
        "ip-permission.cidr" => ingress(|rule| rule.cidr.clone()),
        "ip-permission.from-port" => ingress(|rule| rule.from_port.to_string()),
        "ip-permission.to-port" => ingress(|rule| rule.to_port.to_string()),
        "ip-permission.protocol" => ingress(|rule| rule.protocol.clone()),
        _ => tag_attribute(&std::collections::BTreeMap::new(), name),
    }
}

/// Rules with equal protocol and ports are one permission with several ranges.
fn write_permissions(answer: &mut Answer, name: &str, rules: &[SecurityRule]) {
    let key = |rule: &SecurityRule| (rule.protocol.clone(), rule.from_port, rule.to_port);
    let mut rules: Vec<&SecurityRule> = rules.iter().collect();
    rules.sort_by_key(|rule| (key(rule), rule.cidr.clone()));
    answer.items(name, rules.chunk_by(|one, two| key(one) == key(two)), |answer, permission| {
        write_protocol(answer, permission[0]);
        answer.element("groups", |_| {});
        answer.items("ipRanges", permission, |answer, rule| answer.text("cidrIp", &rule.cidr));
        answer.element("ipv6Ranges", |_| {});
        answer.element("prefixListIds", |_| {});
    });
}

fn write_protocol(answer: &mut Answer, rule: &SecurityRule) {
    answer.text("ipProtocol", &rule.protocol);
    if rule.protocol != "-1" {
        answer.text("fromPort", rule.from_port);
        answer.text("toPort", rule.to_port);
    }
}

/// `DescribeSecurityGroups`.
pub(super) fn describe(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let state = &*state;
    let selection = Selection { ids: "GroupId", kind: &GROUP, parameters };
    let mut picked = selection.pick(all(state), |group| &group.id, |group, name| attribute(state, group, name))?;
    let names = parameters.list("GroupName");
    for name in &names {
        if !all(state).any(|group| group.name == *name) {
            return Err(ApiError::new(GROUP.not_found, format!("The security group '{name}' does not exist")));
        }
    }
    picked.retain(|group| names.is_empty() || names.contains(&group.name.as_str()));
    let page = Page::cut(parameters, picked, 1000, |group| &group.id)?;
    answer.items("securityGroupInfo", &page.items, |answer, group| {
        answer.text("ownerId", &state.accounts.aws);
        answer.text("groupId", &group.id);
        answer.text("groupName", &group.name);
        answer.text("groupDescription", &group.name);
        answer.text("vpcId", &group.vpc);
        write_permissions(answer, "ipPermissions", &group.ingress);
        write_permissions(answer, "ipPermissionsEgress", &group.egress);
        answer.element("tagSet", |_| {});
    });
    page.write_token(answer);
    Ok(())
}

fn write_rule(answer: &mut Answer, state: &State, group: &str, rule: &SecurityRule, egress: bool) {
    answer.text("securityGroupRuleId", &rule.id);
    answer.text("groupId", group);
    answer.text("groupOwnerId", &state.accounts.aws);
    answer.text("isEgress", egress);
    answer.text("ipProtocol", &rule.protocol);
    answer.text("fromPort", rule.from_port);
    answer.text("toPort", rule.to_port);
    answer.text("cidrIpv4", &rule.cidr);
    answer.element("tagSet", |_| {});
}

/// `DescribeSecurityGroupRules`, by `group-id` or by rule id.
pub(super) fn describe_rules(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let state = &*state;
    let ids = parameters.list("SecurityGroupRuleId");
    // Filters here are of the group or of the rule; only those of the group are known.
    let selection = Selection { ids: "GroupId", kind: &GROUP, parameters };
    let picked = selection.pick(all(state), |group| &group.id, |group, name| matches!(name, "group-id").then(|| vec![group.id.clone()]))?;
    let rules = picked.iter().flat_map(|group| {
        let ingress = group.ingress.iter().map(|rule| (&group.id, rule, false));
        ingress.chain(group.egress.iter().map(|rule| (&group.id, rule, true)))
    });
    let rules: Vec<_> = rules.filter(|(_, rule, _)| ids.is_empty() || ids.contains(&rule.id.as_str())).collect();
    if let Some(missing) = ids.iter().find(|id| !rules.iter().any(|(_, rule, _)| rule.id == **id)) {
        return Err(ApiError::new("InvalidSecurityGroupRuleId.NotFound", format!("The security group rule ID '{missing}' does not exist")));
    }
    answer.items("securityGroupRuleSet", rules, |answer, (group, rule, egress)| write_rule(answer, state, group, rule, egress));
    Ok(())
}

/// The rules that a call describes, in its long form (`IpPermissions.N`) or its short one (`IpProtocol`, `CidrIp`). Ids are empty.
fn described(parameters: &Parameters) -> Result<Vec<SecurityRule>, ApiError> {
    let mut rules = Vec::new();
    for prefix in parameters.members("IpPermissions") {
        let ranges = parameters.members(&format!("{prefix}.IpRanges"));
        if ranges.is_empty() {
            return Err(ApiError::new("InvalidParameterValue", "The lab has only rules with IPv4 ranges; give IpRanges."));
        }
        for range in ranges {
            rules.push(rule(parameters, &format!("{prefix}."), parameters.required(&format!("{range}.CidrIp"))?)?);
        }
    }
    if let Some(range) = parameters.get("CidrIp") {
        rules.push(rule(parameters, "", range)?);
    }
    Ok(rules)
}

fn rule(parameters: &Parameters, prefix: &str, range: &str) -> Result<SecurityRule, ApiError> {
    let protocol = match parameters.required(&format!("{prefix}IpProtocol"))?.to_ascii_lowercase().as_str() {
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "1" => "icmp".to_owned(),
        "all" => "-1".to_owned(),
        known @ ("tcp" | "udp" | "icmp" | "-1") => known.to_owned(),
        other => return Err(ApiError::new("InvalidParameterValue", format!("Invalid value '{other}' for IP protocol. Unknown protocol."))),
    };
    let port = |name: &str| parameters.number::<i32>(&format!("{prefix}{name}"));
    let (from_port, to_port) = match (protocol.as_str(), port("FromPort")?, port("ToPort")?) {
        ("-1", ..) => (-1, -1),
        ("icmp", from, to) => (from.unwrap_or(-1), to.unwrap_or(-1)),
        (_, Some(from), Some(to)) if (0..=65535).contains(&from) && (from..=65535).contains(&to) => (from, to),
        (_, from, to) => {
            let text = |port: Option<i32>| port.map_or("none".to_owned(), |port| port.to_string());
            return Err(ApiError::new("InvalidParameterValue", format!("Invalid TCP/UDP port range ({}:{})", text(from), text(to))));
        }
    };
    Ok(SecurityRule { id: String::new(), protocol, from_port, to_port, cidr: cidr(range, "cidrIp")? })
}

fn same(one: &SecurityRule, two: &SecurityRule) -> bool {
    (&one.protocol, one.from_port, one.to_port, &one.cidr) == (&two.protocol, two.from_port, two.to_port, &two.cidr)
}

fn rules(group: &SecurityGroup, egress: bool) -> &Vec<SecurityRule> {
    if egress { &group.egress } else { &group.ingress }
}

fn rules_mut(group: &mut SecurityGroup, egress: bool) -> &mut Vec<SecurityRule> {
    if egress { &mut group.egress } else { &mut group.ingress }
}

/// `AuthorizeSecurityGroupIngress`.
pub(super) fn authorize_ingress(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    authorize(state, parameters, answer, false)
}

/// `AuthorizeSecurityGroupEgress`.
pub(super) fn authorize_egress(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    authorize(state, parameters, answer, true)
}

fn authorize(state: &mut State, parameters: &Parameters, answer: &mut Answer, egress: bool) -> Result<(), ApiError> {
    let group = get(state, parameters)?;
    let id = group.id.clone();
    let mut wanted = described(parameters)?;
    if wanted.is_empty() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter ipPermissions"));
    }
    if let Some(known) = wanted.iter().find(|rule| rules(group, egress).iter().any(|known| same(known, rule))) {
        let SecurityRule { cidr, protocol, from_port, to_port, .. } = known;
        let protocol = if protocol == "-1" { "ALL".to_owned() } else { protocol.to_uppercase() };
        let ports = if *from_port < 0 { String::new() } else { format!(", from port: {from_port}, to port: {to_port}") };
        return Err(ApiError::new(
            "InvalidPermission.Duplicate",
            format!("the specified rule \"peer: {cidr}, {protocol}{ports}, ALLOW\" already exists"),
        ));
    }
    commit(parameters)?;
    for rule in &mut wanted {
        rule.id = state.fresh_id("sgr-");
    }
    answer.text("return", true);
    answer.items("securityGroupRuleSet", &wanted, |answer, rule| write_rule(answer, state, &id, rule, egress));
    if let Some(group) = state.security_groups.get_mut(&id) {
        rules_mut(group, egress).extend(wanted);
    }
    Ok(())
}

/// `RevokeSecurityGroupIngress`.
pub(super) fn revoke_ingress(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    revoke(state, parameters, answer, false)
}

/// `RevokeSecurityGroupEgress`.
pub(super) fn revoke_egress(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    revoke(state, parameters, answer, true)
}

fn revoke(state: &mut State, parameters: &Parameters, answer: &mut Answer, egress: bool) -> Result<(), ApiError> {
    let group = get(state, parameters)?;
    let id = group.id.clone();
    let known = rules(group, egress);
    let mut gone: Vec<SecurityRule> = Vec::new();
    for rule_id in parameters.list("SecurityGroupRuleId") {
        let rule = known.iter().find(|rule| rule.id == rule_id);
        gone.push(
            rule.cloned().ok_or_else(|| {
                ApiError::new("InvalidSecurityGroupRuleId.NotFound", format!("The security group rule ID '{rule_id}' does not exist"))
            })?,
        );
    }
    for wanted in described(parameters)? {
        let rule = known.iter().find(|rule| same(rule, &wanted));
        gone.push(
            rule.cloned().ok_or_else(|| ApiError::new("InvalidPermission.NotFound", "The specified rule does not exist in this security group."))?,
        );
    }
    if gone.is_empty() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter ipPermissions or securityGroupRuleIds"));
    }
    commit(parameters)?;
    if let Some(group) = state.security_groups.get_mut(&id) {
        rules_mut(group, egress).retain(|rule| !gone.iter().any(|gone| gone.id == rule.id));
    }
    answer.text("return", true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    const GROUP_ID: &str = "sg-0a11febe0a7000001";

    #[test]
    fn a_revoked_rule_can_be_authorized_again() {
        let mut state = world();
        let before = state.view();
        let rule =
            "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=8080&IpPermissions.1.ToPort=8080&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0";
        let call = |state: &mut State, action: &str, rest: &str| ask(state, &format!("Action={action}&GroupId={GROUP_ID}&{rest}"));
        assert_eq!(call(&mut state, "AuthorizeSecurityGroupIngress", rule).unwrap_err(), "InvalidPermission.Duplicate");
        call(&mut state, "RevokeSecurityGroupIngress", rule).unwrap();
        assert_eq!(call(&mut state, "RevokeSecurityGroupIngress", rule).unwrap_err(), "InvalidPermission.NotFound");
        let new = call(&mut state, "AuthorizeSecurityGroupIngress", rule).unwrap();
        let id = new.child("securityGroupRuleSet").unwrap().children[0].text_of("securityGroupRuleId").unwrap().to_owned();
        assert_ne!(id, "sgr-0a11febe0a7000001");
        call(&mut state, "RevokeSecurityGroupIngress", &format!("SecurityGroupRuleId.1={id}")).unwrap();
        call(&mut state, "AuthorizeSecurityGroupIngress", "IpProtocol=tcp&FromPort=8080&ToPort=8080&CidrIp=0.0.0.0/0").unwrap();
        let ingress = |view: &serde_json::Value| view["security_groups"][GROUP_ID]["ingress"][0]["cidr"].clone();
        assert_eq!(ingress(&state.view()), ingress(&before));
    }

    #[test]
    fn wrong_rules_are_refused() {
        let mut state = world();
        for (rest, code) in [
            ("IpProtocol=tcp&FromPort=80&ToPort=70&CidrIp=0.0.0.0/0", "InvalidParameterValue"),
            ("IpProtocol=tcp&CidrIp=0.0.0.0/0", "InvalidParameterValue"),
            ("IpProtocol=bogus&CidrIp=0.0.0.0/0", "InvalidParameterValue"),
            ("IpProtocol=tcp&FromPort=80&ToPort=80&CidrIp=nonsense", "InvalidParameterValue"),
            ("", "MissingParameter"),
        ] {
            assert_eq!(ask(&mut state, &format!("Action=AuthorizeSecurityGroupIngress&GroupId={GROUP_ID}&{rest}")).unwrap_err(), code, "{rest}");
        }
        assert_eq!(ask(&mut state, "Action=DescribeSecurityGroups&GroupId.1=sg-0123456789abcdef0").unwrap_err(), "InvalidGroup.NotFound");
    }
}

//! What a request asks for, found out before any service looks at it: enough to tell whether a rule is about it and how to refuse it.

use http::Method;
use http::request::Parts;
use lifeboat_notation::lab::{Cloud, Effect};

use crate::services;
use crate::wire::acs3::form_pairs;
use crate::wire::aliyun_rpc::Call;
use crate::wire::oss_v4::Resource;
use crate::wire::sigv4::Authorization;

/// The endpoints that can misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    Aws,
    Aliyun,
    Oss,
}

/// How a service writes its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `<Response><Errors>…`
    Ec2,
    /// `<ErrorResponse>…`: STS and Route 53.
    Xml,
    /// `<Error>…`: S3 and OSS.
    Objects,
    /// JSON of AWS.
    Json,
    /// RPC v2 CBOR of AWS.
    Cbor,
    /// JSON of Alibaba Cloud.
    Rpc,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) cloud: Cloud,
    /// As in policies: `ec2`, `vpc`.
    pub(super) service: String,
    /// As the vendor calls it: `StopInstances`.
    pub(super) operation: String,
    pub(super) region: String,
    pub(super) effect: Effect,
    pub(super) dialect: Dialect,
    /// The id of the key that signed.
    pub(super) key: String,
    /// The instances that it names in a batch that starts or stops.
    pub(super) instances: Vec<String>,
    /// An answer to it has no body.
    pub(super) is_head: bool,
}

/// How calls that change nothing begin.
const READS: [&str; 9] = ["Describe", "Get", "List", "Head", "Query", "Check", "Lookup", "Search", "Filter"];

impl Sighting {
    pub(super) fn of(vendor: Vendor, parts: &Parts, body: &[u8]) -> Self {
        let mut seen = match vendor {
            Vendor::Aws => aws(parts, body),
            Vendor::Aliyun => aliyun(parts, body),
            Vendor::Oss => oss(parts),
        };
        seen.is_head = parts.method == Method::HEAD;
        if READS.iter().any(|start| seen.operation.starts_with(start)) {
            seen.effect = Effect::Reads;
        }
        seen
    }

    fn new(cloud: Cloud, service: &str, operation: &str, dialect: Dialect) -> Self {
        Self {
            cloud,
            service: service.to_owned(),
            operation: operation.to_owned(),
            region: String::new(),
            effect: Effect::Changes,
            dialect,
            key: String::new(),
            instances: Vec::new(),
            is_head: false,
        }
    }

    #[cfg(test)]
    pub(super) fn example(cloud: Cloud, call: &str) -> Self {
        let (service, operation) = call.split_once(':').unwrap();
        let effect = if READS.iter().any(|start| operation.starts_with(start)) { Effect::Reads } else { Effect::Changes };
        Self { effect, ..Self::new(cloud, service, operation, Dialect::Ec2) }
    }
}

fn header<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn aws(parts: &Parts, body: &[u8]) -> Sighting {
    let signed = Authorization::parse(header(parts, "authorization")).ok();
    let (service, region, key) = signed
        .map_or_else(|| ("(unsigned)".to_owned(), String::new(), String::new()), |signed| (signed.service, signed.region, signed.access_key_id));
    // EC2, STS and their kind name the operation in the form or the query.
    let mut form = form_pairs(parts.uri.query().unwrap_or_default());
    form.extend(form_pairs(&String::from_utf8_lossy(body)));
    let action = form.iter().find(|(name, _)| name == "Action").map(|(_, action)| action.clone());
    let (dialect, operation) = match service.as_str() {
        "route53" => (Dialect::Xml, route53(parts)),
        "s3" => (Dialect::Objects, objects(parts, parts.uri.path())),
        "ec2" => (Dialect::Ec2, action.unwrap_or_default()),
        _ => match (action, parts.uri.path().rsplit_once("/operation/"), header(parts, "x-amz-target").rsplit_once('.')) {
            (_, Some((_, operation)), _) => (Dialect::Cbor, operation.to_owned()),
            (_, _, Some((_, operation))) => (Dialect::Json, operation.to_owned()),
            (action, ..) => (Dialect::Xml, action.unwrap_or_default()),
        },
    };
    let instances = match operation.as_str() {
        "StartInstances" | "StopInstances" => form.iter().filter(|(name, _)| name.starts_with("InstanceId.")).map(|(_, id)| id.clone()).collect(),
        _ => Vec::new(),
    };
    Sighting { region, key, instances, ..Sighting::new(Cloud::Aws, &service, &operation, dialect) }
}

/// Route 53's operation by method and path.
fn route53(parts: &Parts) -> String {
    let segments: Vec<&str> = parts.uri.path().trim_start_matches("/2013-04-01/").split('/').collect();
    let read = parts.method == Method::GET;
    match (segments.as_slice(), read) {
        (["hostedzone", _, "rrset", ..], false) => "ChangeResourceRecordSets",
        (["hostedzone", _, "rrset", ..], true) => "ListResourceRecordSets",
        (["hostedzonesbyname", ..], _) => "ListHostedZonesByName",
        (["hostedzonecount", ..], _) => "GetHostedZoneCount",
        (["change", ..], _) => "GetChange",
        (["tags", ..], true) => "ListTagsForResource",
        (["tags", ..], false) => "ChangeTagsForResource",
        (["hostedzone", _, ..], true) => "GetHostedZone",
        (["hostedzone"], true) => "ListHostedZones",
        (_, true) => "GetOther",
        (_, false) => "ChangeOther",
    }
    .to_owned()
}

/// The operation of an object store by method and path; `path` begins with the bucket.
fn objects(parts: &Parts, path: &str) -> String {
    let mut segments = path.trim_start_matches('/').splitn(2, '/').filter(|segment| !segment.is_empty());
    let (bucket, key) = (segments.next(), segments.next());
    let kind = match (bucket, key) {
        (None, _) => "Buckets",
        (Some(_), None) => "Bucket",
        (Some(_), Some(_)) => "Object",
    };
    let query = parts.uri.query().unwrap_or_default();
    match (parts.method.as_str(), kind) {
        ("GET", "Buckets") => "ListBuckets".to_owned(),
        ("GET", "Bucket") if query.contains("list-type=2") => "ListObjectsV2".to_owned(),
        ("GET", "Bucket") if query.contains("location") => "GetBucketLocation".to_owned(),
        ("GET", "Bucket") => "ListObjects".to_owned(),
        ("POST", "Bucket") if query.contains("delete") => "DeleteObjects".to_owned(),
        (method, kind) => format!("{}{}{kind}", &method[..1], method[1..].to_ascii_lowercase()),
    }
}

fn aliyun(parts: &Parts, body: &[u8]) -> Sighting {
    let call = Call::read(parts, body);
    let service = services::aliyun::product_of(&call.version).unwrap_or("(unknown)");
    let authorization = header(parts, "authorization");
    let key = authorization.split_once("Credential=").map(|(_, rest)| rest.split(',').next().unwrap_or_default());
    let key = key.or_else(|| call.text("AccessKeyId")).unwrap_or_default().to_owned();
    let instances = match call.action.as_str() {
        "StartInstances" | "StopInstances" => call.list("InstanceId").into_iter().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let region = call.text("RegionId").unwrap_or_default().to_owned();
    Sighting { region, key, instances, ..Sighting::new(Cloud::Aliyun, service, &call.action, Dialect::Rpc) }
}

fn oss(parts: &Parts) -> Sighting {
    let resource = Resource::of(parts);
    let authorization = header(parts, "authorization");
    // Credential=ID/20261122/cn-hangzhou/oss/aliyun_v4_request
    let credential = authorization.split_once("Credential=").map_or("", |(_, rest)| rest.split(',').next().unwrap_or_default());
    let mut scope = credential.split('/');
    let key = scope.next().unwrap_or_default().to_owned();
    let region = scope.nth(1).unwrap_or_default().to_owned();
    let operation = objects(parts, &format!("/{}/{}", resource.bucket, resource.key));
    Sighting { region, key, ..Sighting::new(Cloud::Aliyun, "oss", &operation, Dialect::Objects) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::vectors;

    #[test]
    fn requests_of_the_official_sdks_are_told_apart() {
        let seen = |name: &str, vendor| {
            let (parts, body) = vectors::named(name).request();
            let seen = Sighting::of(vendor, &parts, body.as_bytes());
            (format!("{}:{}", seen.service, seen.operation), seen.effect, seen.instances.len())
        };
        let check = |name, call: &str, effect, instances| assert_eq!(seen(name, Vendor::Aliyun), (call.to_owned(), effect, instances), "{name}");
        check("ecs-stop-instances", "ecs:StopInstances", Effect::Changes, 2);
        check("ecs-describe-instances", "ecs:DescribeInstances", Effect::Reads, 0);
        check("vpc-associate-network-acl", "vpc:AssociateNetworkAcl", Effect::Changes, 0);
        check("dts-suspend-dts-job", "dts:SuspendDtsJob", Effect::Changes, 0);
    }

    #[test]
    fn requests_of_aws_are_told_apart() {
        let seen = |method: &str, target: &str, service: &str, body: &str| {
            let authorization =
                format!("AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=00");
            let request = http::Request::builder().method(method).uri(target).header("authorization", authorization).body(()).unwrap();
            let seen = Sighting::of(Vendor::Aws, &request.into_parts().0, body.as_bytes());
            assert_eq!((seen.region.as_str(), seen.key.as_str()), ("eu-west-1", "AKID"));
            (seen.operation, seen.effect)
        };
        let check = |found: (String, Effect), operation: &str, effect| assert_eq!(found, (operation.to_owned(), effect));
        check(seen("POST", "/", "ec2", "Action=StopInstances&InstanceId.1=i-1"), "StopInstances", Effect::Changes);
        check(seen("POST", "/", "sts", "Action=GetCallerIdentity"), "GetCallerIdentity", Effect::Reads);
        check(seen("POST", "/2013-04-01/hostedzone/Z1/rrset/", "route53", "<x/>"), "ChangeResourceRecordSets", Effect::Changes);
        check(seen("GET", "/2013-04-01/hostedzone/Z1/rrset?a=b", "route53", ""), "ListResourceRecordSets", Effect::Reads);
        check(seen("GET", "/2013-04-01/change/C1", "route53", ""), "GetChange", Effect::Reads);
        check(seen("GET", "/bucket?list-type=2", "s3", ""), "ListObjectsV2", Effect::Reads);
        check(seen("PUT", "/bucket/a/b", "s3", "x"), "PutObject", Effect::Changes);
        check(seen("HEAD", "/bucket/a/b", "s3", ""), "HeadObject", Effect::Reads);
        check(seen("POST", "/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "monitoring", ""), "DescribeAlarms", Effect::Reads);
    }
}

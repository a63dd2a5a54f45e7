"""The official Alibaba Cloud SDKs for Python against the lab: unchanged clients, only their endpoint is set.

LIFEBOAT_LAB is the line of `lifeboat lab --output json`. What the arm changes it puts back, and at the end the lab's world is as before.
"""

import datetime
import hashlib
import json
import os
import time
import urllib.request
import uuid

import alibabacloud_oss_v2 as oss
from alibabacloud_alidns20150109 import models as alidns_models
from alibabacloud_alidns20150109.client import Client as Alidns
from alibabacloud_cms20190101 import models as cms_models
from alibabacloud_cms20190101.client import Client as Cms
from alibabacloud_dts20200101 import models as dts_models
from alibabacloud_dts20200101.client import Client as Dts
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi import models as open_models
from alibabacloud_vpc20160428 import models as vpc_models
from alibabacloud_vpc20160428.client import Client as Vpc
from checks import Checks

LAB = json.loads(os.environ["LIFEBOAT_LAB"])
REGION = "cn-hangzhou"
VPC = "vpc-bp1lifeboat0shop00001"
VSWITCH = "vsw-bp1lifeboat0app000001"
TABLE = "vtb-bp1lifeboat0main00001"
IMAGE = "m-bp1lifeboat0shop00001"
GROUP = "sg-bp1lifeboat0shop00001"
STORE = ["i-bp1lifeboat0store0001", "i-bp1lifeboat0store0002"]
CHECK = ["i-bp1lifeboat0check0001", "i-bp1lifeboat0check0002"]
# What moves by itself, or is new after every swap.
MOVING = {"now", "clock", "time", "traffic", "objects", "orders", "requests", "metrics", "changes", "events", "seq", "log"}

checks = Checks()


def client(kind, **changes):
    """A client of one product; all of them have one endpoint here."""
    fields = {
        "access_key_id": LAB["access_key_id"],
        "access_key_secret": LAB["secret_access_key"],
        "region_id": REGION,
        "endpoint": LAB["aliyun"].removeprefix("http://"),
        "protocol": "HTTP",
    }
    return kind(open_models.Config(**{**fields, **changes}))


def world():
    """The world without what moves."""

    def still(value):
        if isinstance(value, dict):
            return {name: still(inner) for name, inner in value.items() if name not in MOVING}
        return [still(inner) for inner in value] if isinstance(value, list) else value

    with urllib.request.urlopen(LAB["control"] + "/world", timeout=10) as answer:
        return still(json.load(answer))


def until(condition, seconds=30):
    """Whether `condition` comes to hold in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def refused(call):
    """The code with which a call is refused; None when it is not."""
    try:
        call()
    except Exception as error:  # The SDKs have no common ancestor of their errors
        if getattr(error, "code", None) is None and isinstance(error, oss.exceptions.OperationError):
            error = error.unwrap()
        return getattr(error, "code", None) or type(error).__name__
    return None


# ---------------------------------------------------------------- who, and whether signatures are verified
def signatures():
    sts = client(Sts)
    identity = sts.get_caller_identity().body
    checks.equal("STS names the account", identity.account_id, "1234567890123456")
    checks.that("answers carry their request id", bool(uuid.UUID(identity.request_id)))
    wrong = client(Sts, access_key_secret="wrong")
    checks.equal("a wrong secret is refused", refused(wrong.get_caller_identity), "SignatureDoesNotMatch")
    unknown = client(Sts, access_key_id="LTAInobody")
    checks.equal("an unknown key is refused", refused(unknown.get_caller_identity), "InvalidAccessKeyId.NotFound")


# ---------------------------------------------------------------- ECS
def status(ecs, instance):
    request = ecs_models.DescribeInstanceStatusRequest(region_id=REGION, instance_id=[instance])
    return ecs.describe_instance_status(request).body.instance_statuses.instance_status[0].status


def machines():
    ecs = client(Ecs)

    def find(**fields):
        body = ecs.describe_instances(ecs_models.DescribeInstancesRequest(region_id=REGION, **fields)).body
        return sorted(one.instance_id for one in body.instances.instance), body

    checks.equal("instances are found by tag", find(tag=[ecs_models.DescribeInstancesRequestTag(key="role", value="storefront")])[0], STORE)
    checks.equal("and by id and status", find(instance_ids=json.dumps(STORE + CHECK), status="Stopped")[0], CHECK)
    seen, token = [], None
    while True:
        page, body = find(max_results=3, next_token=token)
        seen += page
        token = body.next_token
        if not token:
            break
    checks.equal("pages cover everything once", sorted(seen), sorted(STORE + CHECK))
    one = find(instance_ids=json.dumps(STORE[:1]))[1].instances.instance[0]
    checks.equal("an instance is described", [one.status, one.image_id, one.vpc_attributes.v_switch_id, one.security_group_ids.security_group_id], ["Running", IMAGE, VSWITCH, [GROUP]])
    checks.that("with a public address", one.public_ip_address.ip_address[0].startswith("127."))

    start = ecs_models.StartInstancesRequest(region_id=REGION, instance_id=CHECK, batch_optimization="AllTogether")
    dry = ecs_models.StartInstancesRequest(region_id=REGION, instance_id=CHECK, dry_run=True)
    checks.equal("a dry run says so by its error", refused(lambda: ecs.start_instances(dry)), "DryRunOperation")
    checks.equal("and changes nothing", status(ecs, CHECK[0]), "Stopped")
    mixed = ecs_models.StartInstancesRequest(region_id=REGION, instance_id=[CHECK[0], STORE[0]])
    checks.equal("all together or none", refused(lambda: ecs.start_instances(mixed)), "IncorrectInstanceStatus")
    mixed.batch_optimization = "SuccessFirst"
    codes = {one.instance_id: one.code for one in ecs.start_instances(mixed).body.instance_responses.instance_response}
    checks.equal("or each for itself", codes, {CHECK[0]: "200", STORE[0]: "IncorrectInstanceStatus"})
    checks.equal("a start takes time", status(ecs, CHECK[0]), "Starting")
    checks.that("then it runs", until(lambda: status(ecs, CHECK[0]) == "Running"))
    checks.equal("what runs cannot be started", refused(lambda: ecs.start_instances(start)), "IncorrectInstanceStatus")
    stop = ecs_models.StopInstancesRequest(region_id=REGION, instance_id=CHECK[:1], stopped_mode="KeepCharging")
    answer = ecs.stop_instances(stop).body.instance_responses.instance_response[0]
    checks.equal("a stop begins", [answer.previous_status, answer.current_status], ["Running", "Stopping"])
    checks.that("and ends", until(lambda: status(ecs, CHECK[0]) == "Stopped"))
    absent = ecs_models.StartInstanceRequest(instance_id="i-absent")
    checks.equal("what is not there is said not to be", refused(lambda: ecs.start_instance(absent)), "InvalidInstanceId.NotFound")
    elsewhere = ecs_models.DescribeInstancesRequest(region_id="cn-nowhere")
    checks.equal("so is another region", refused(lambda: ecs.describe_instances(elsewhere)), "InvalidRegionId.NotFound")

    def shared():
        body = ecs.describe_image_share_permission(ecs_models.DescribeImageSharePermissionRequest(region_id=REGION, image_id=IMAGE)).body
        return [one.aliyun_id for one in body.accounts.account]

    share = ecs_models.ModifyImageSharePermissionRequest(region_id=REGION, image_id=IMAGE, add_account=["6543210987654321"])
    ecs.modify_image_share_permission(share)
    checks.equal("an image is shared", shared(), ["6543210987654321"])
    ecs.modify_image_share_permission(ecs_models.ModifyImageSharePermissionRequest(region_id=REGION, image_id=IMAGE, remove_account=["6543210987654321"]))
    checks.equal("and not shared any more", shared(), [])
    images = ecs.describe_images(ecs_models.DescribeImagesRequest(region_id=REGION)).body.images.image
    checks.equal("images are listed", [one.image_id for one in images], [IMAGE])
    group = ecs.describe_security_group_attribute(ecs_models.DescribeSecurityGroupAttributeRequest(region_id=REGION, security_group_id=GROUP)).body
    checks.equal("a security group shows its rules", [one.port_range for one in group.permissions.permission], ["8080/8080"])


# ---------------------------------------------------------------- VPC
def networks():
    vpc = client(Vpc)
    vswitches = vpc.describe_vswitches(vpc_models.DescribeVSwitchesRequest(region_id=REGION, vpc_id=VPC)).body.v_switches.v_switch
    acls = {one.v_switch_name: one.network_acl_id for one in vswitches}
    checks.equal("vSwitches and their ACLs", acls, {"app": "", "data": "nacl-bp1lifeboat0data0001"})

    create = vpc_models.CreateNetworkAclRequest(region_id=REGION, vpc_id=VPC, network_acl_name="arm", client_token="arm-create")
    acl = vpc.create_network_acl(create).body.network_acl_id
    checks.equal("a client token makes one ACL", vpc.create_network_acl(create).body.network_acl_id, acl)

    def attribute():
        return vpc.describe_network_acl_attributes(vpc_models.DescribeNetworkAclAttributesRequest(region_id=REGION, network_acl_id=acl)).body.network_acl_attribute

    checks.equal("a new ACL lets everything through", [one.policy for one in attribute().ingress_acl_entries.ingress_acl_entry], ["accept"])
    rule = {"policy": "drop", "protocol": "all", "port": "-1/-1", "entry_type": "custom", "ip_version": "IPv4"}
    vpc.update_network_acl_entries(
        vpc_models.UpdateNetworkAclEntriesRequest(
            region_id=REGION,
            network_acl_id=acl,
            update_ingress_acl_entries=True,
            update_egress_acl_entries=True,
            ingress_acl_entries=[vpc_models.UpdateNetworkAclEntriesRequestIngressAclEntries(source_cidr_ip="0.0.0.0/0", **rule)],
            egress_acl_entries=[vpc_models.UpdateNetworkAclEntriesRequestEgressAclEntries(destination_cidr_ip="0.0.0.0/0", **rule)],
        )
    )
    checks.equal("entries are replaced", [one.policy for one in attribute().egress_acl_entries.egress_acl_entry], ["drop"])
    resource = [vpc_models.AssociateNetworkAclRequestResource(resource_id=VSWITCH, resource_type="VSwitch")]
    vpc.associate_network_acl(vpc_models.AssociateNetworkAclRequest(region_id=REGION, network_acl_id=acl, resource=resource))
    checks.that("an association takes effect", until(lambda: attribute().status == "Available"))
    checks.equal("and is shown", [one.status for one in attribute().resources.resource], ["BINDED"])
    delete = vpc_models.DeleteNetworkAclRequest(region_id=REGION, network_acl_id=acl)
    checks.equal("an ACL in use is not deleted", refused(lambda: vpc.delete_network_acl(delete)), "NetworkAclExistBinding")
    resource = [vpc_models.UnassociateNetworkAclRequestResource(resource_id=VSWITCH, resource_type="VSwitch")]
    vpc.unassociate_network_acl(vpc_models.UnassociateNetworkAclRequest(region_id=REGION, network_acl_id=acl, resource=resource))
    checks.that("its end takes effect too", until(lambda: not attribute().resources.resource))
    vpc.delete_network_acl(delete)
    listed = vpc.describe_network_acls(vpc_models.DescribeNetworkAclsRequest(region_id=REGION, vpc_id=VPC)).body.network_acls.network_acl
    checks.equal("then it is gone", [one.network_acl_id for one in listed], ["nacl-bp1lifeboat0data0001"])

    def routes():
        body = vpc.describe_route_entry_list(vpc_models.DescribeRouteEntryListRequest(region_id=REGION, route_table_id=TABLE, route_entry_type="Custom")).body
        return [(one.destination_cidr_block, one.next_hops.next_hop[0].next_hop_id, one.status) for one in body.route_entrys.route_entry]

    before = routes()
    made = vpc.create_route_entry(
        vpc_models.CreateRouteEntryRequest(
            region_id=REGION, route_table_id=TABLE, destination_cidr_block="10.99.0.0/16", next_hop_type="Instance", next_hop_id=STORE[0]
        )
    ).body.route_entry_id
    checks.that("a route becomes available", until(lambda: ("10.99.0.0/16", STORE[0], "Available") in routes()))
    change = vpc_models.ModifyRouteEntryRequest(region_id=REGION, route_entry_id=made, new_next_hop_type="Instance", new_next_hop_id=STORE[1])
    vpc.modify_route_entry(change)
    again = vpc_models.DeleteRouteEntryRequest(region_id=REGION, route_entry_id=made)
    checks.equal("a table takes one change at a time", refused(lambda: vpc.delete_route_entry(again)), "TaskConflict")
    checks.that("a route is led elsewhere", until(lambda: ("10.99.0.0/16", STORE[1], "Available") in routes()))
    vpc.delete_route_entry(again)
    checks.that("and removed", until(lambda: routes() == before))
    tables = vpc.describe_route_table_list(vpc_models.DescribeRouteTableListRequest(region_id=REGION, vpc_id=VPC)).body
    checks.equal("route tables are listed", [one.route_table_id for one in tables.router_table_list.router_table_list_type], [TABLE])


# ---------------------------------------------------------------- Alidns
def names():
    dns = client(Alidns)

    def records(**fields):
        body = dns.describe_domain_records(alidns_models.DescribeDomainRecordsRequest(domain_name="example.cn", **fields)).body
        return body.domain_records.record

    def shop():
        found = records(rrkey_word="shop", type="A", search_mode="COMBINATION")
        return sorted([one.record_id, one.remark, one.status, one.weight] for one in found)

    before = shop()
    checks.equal("records with their weights", [one[1:] for one in before], [["aliyun", "ENABLE", 100]] * 2 + [["aws", "DISABLE", 1]] * 2)
    idle, active = before[2][0], before[0][0]

    def weigh(record, weight):
        return dns.update_dnsslbweight(alidns_models.UpdateDNSSLBWeightRequest(record_id=record, weight=weight))

    def switch(record, word):
        return dns.set_domain_record_status(alidns_models.SetDomainRecordStatusRequest(record_id=record, status=word)).body.status

    checks.equal("a weight of nothing is refused", refused(lambda: weigh(active, 0)), "InvalidWeigth")
    checks.equal("a paused record has no weight to change", refused(lambda: weigh(idle, 50)), "DomainRecordDisable")
    checks.equal("a record is enabled", switch(idle, "Enable"), "Enable")
    weigh(idle, 50)
    weigh(active, 1)
    switch(active, "Disable")
    moved = {one[0]: one[2:] for one in shop()}
    checks.equal("weights and statuses move", [moved[idle], moved[active]], [["ENABLE", 50], ["DISABLE", 1]])
    switch(active, "Enable")
    weigh(active, 100)
    weigh(idle, 1)
    switch(idle, "Disable")
    checks.equal("and back exactly", shop(), before)

    add = alidns_models.AddDomainRecordRequest(domain_name="example.cn", rr="arm", type="A", value="192.0.2.1", ttl=60)
    made = dns.add_domain_record(add).body.record_id
    checks.equal("a record is there once", refused(lambda: dns.add_domain_record(add)), "DomainRecordDuplicate")
    update = alidns_models.UpdateDomainRecordRequest(record_id=made, rr="arm", type="A", value="192.0.2.2", ttl=60)
    dns.update_domain_record(update)
    checks.equal("an update without change is refused", refused(lambda: dns.update_domain_record(update)), "DomainRecordDuplicate")
    checks.equal("a record is found by its id", dns.describe_domain_record_info(alidns_models.DescribeDomainRecordInfoRequest(record_id=made)).body.value, "192.0.2.2")
    dns.delete_domain_record(alidns_models.DeleteDomainRecordRequest(record_id=made))
    checks.equal("and gone after its removal", records(rrkey_word="arm"), [])
    weighted = dns.describe_dnsslbsub_domains(alidns_models.DescribeDNSSLBSubDomainsRequest(domain_name="example.cn")).body.slb_sub_domains.slb_sub_domain
    checks.equal("weights are switched on", {one.sub_domain: one.open for one in weighted}, {"shop.example.cn": True, "pay.example.cn": True})
    absent = alidns_models.DescribeDomainRecordsRequest(domain_name="example.net")
    checks.equal("another's domain is refused", refused(lambda: dns.describe_domain_records(absent)), "InvalidDomainName.NoExist")


# ---------------------------------------------------------------- DTS
def still(job):
    first = job().checkpoint
    time.sleep(1.1)
    return job().checkpoint == first


def jobs():
    dts = client(Dts)

    def job(name="dtsorders-primary"):
        return dts.describe_dts_job_detail(dts_models.DescribeDtsJobDetailRequest(region_id=REGION, dts_job_id=name)).body

    checks.equal("a job synchronises", [job().status, job().success], ["Synchronizing", True])
    body = job("nothing")
    checks.equal("a failure comes with HTTP 200", [body.success, body.err_code], [False, "Forbidden.InstanceNotFound"])
    dts.suspend_dts_job(dts_models.SuspendDtsJobRequest(region_id=REGION, dts_job_id="dtsorders-primary"))
    checks.equal("a paused job reads Suspending", job().status, "Suspending")
    checks.that("and rests once its checkpoint stands still", until(lambda: still(job)))
    first = job().delay
    checks.that("and falls behind", until(lambda: job().delay > first))
    dts.start_dts_job(dts_models.StartDtsJobRequest(region_id=REGION, dts_job_id="dtsorders-primary"))
    shown = []
    checks.that("until it is started", until(lambda: (shown.append(job().status), shown[-1] == "Synchronizing")[1]))
    checks.that("through what the vendor goes through", set(shown) <= {"Prechecking", "PreCheckPass", "Initializing", "Synchronizing"})
    checks.equal("it takes rows from one database to another", [job().source_endpoint.engine_name, job().destination_endpoint.engine_name], ["MYSQL", "MYSQL"])
    listed = dts.describe_dts_jobs(dts_models.DescribeDtsJobsRequest(region_id=REGION, job_type="SYNC")).body.dts_job_list
    checks.equal("jobs are listed", sorted(one.dts_job_id for one in listed), ["dtsorders-primary", "dtsorders-standby"])


# ---------------------------------------------------------------- tags of ECS, VPC and DTS
def tags():
    instance = client(Dts).describe_dts_job_detail(dts_models.DescribeDtsJobDetailRequest(region_id=REGION, dts_job_id="dtsorders-primary")).body
    # What the three SDKs call the same call.
    for name, cloud, models, untag, kind, thing in (
        ("ECS", client(Ecs), ecs_models, "untag_resources", "instance", STORE[0]),
        ("VPC", client(Vpc), vpc_models, "un_tag_resources", "VSWITCH", VSWITCH),
        ("DTS", client(Dts), dts_models, "untag_resources", "ALIYUN::DTS::INSTANCE", instance.dts_instance_id),
    ):
        where = {"region_id": REGION, "resource_type": kind}
        removal = "UnTagResourcesRequest" if untag == "un_tag_resources" else "UntagResourcesRequest"

        def put(things, values):
            tag = [models.TagResourcesRequestTag(key=key, value=value) for key, value in values.items()]
            return cloud.tag_resources(models.TagResourcesRequest(resource_id=things, tag=tag, **where)).body

        def take(*keys):
            return getattr(cloud, untag)(getattr(models, removal)(resource_id=[thing], tag_key=list(keys), **where)).body

        def rows(**fields):
            body = cloud.list_tag_resources(models.ListTagResourcesRequest(**{"resource_id": [thing], **where, **fields})).body
            found = body.tag_resources.tag_resource if body.tag_resources else []
            return {row.tag_key: row.tag_value for row in found or [] if row.tag_key.startswith("arm")}, body.next_token

        put([thing], {"arm-run": "a b+c=/*~", "arm-说明": "心跳"})
        checks.equal(f"{name}: tags are put and read back", rows()[0], {"arm-run": "a b+c=/*~", "arm-说明": "心跳"})
        put([thing], {"arm-run": "b"})
        checks.equal(f"{name}: the same key has one value", rows()[0]["arm-run"], "b")
        filtered = [models.ListTagResourcesRequestTag(key="arm-run", value="b")]
        checks.equal(f"{name}: found by a tag alone", rows(resource_id=None, tag=filtered)[0], {"arm-run": "b"})
        take("arm-run", "arm-说明")
        checks.equal(f"{name}: taken off again", rows()[0], {})

        def code(call):
            """DTS says its failures in an answer that looks like success."""
            answers = []
            return refused(lambda: answers.append(call())) or getattr(answers[0], "err_code", None)

        checks.equal(f"{name}: nobody cannot be tagged", code(lambda: put([thing, "nobody"], {"arm-run": "a"})), "InvalidResourceId.NotFound")
        checks.equal(f"{name}: a long key is refused", code(lambda: put([thing], {"arm" * 43: "a"})), "InvalidTagKey.Malformed")
        checks.equal(f"{name}: neither left a tag", rows()[0], {})


# ---------------------------------------------------------------- CloudMonitor
def monitoring():
    cms = client(Cms)
    namespace = "acs_customMetric_1234567890123456"

    def last(name="Errors", service="checkout"):
        return cms.describe_metric_last(
            cms_models.DescribeMetricLastRequest(namespace=namespace, metric_name=name, period="15", dimensions=json.dumps([{"service": service}]))
        ).body

    checks.that("numbers come with the first whole period", until(lambda: last().datapoints not in (None, "[]")))
    checks.equal("in a string, with their dimensions", [[one["service"], one["Average"]] for one in json.loads(last().datapoints)], [["checkout", 0.0]])
    body = last("nope")
    checks.equal("a failure comes with HTTP 200", [body.code, body.success], ["400", False])
    listed = cms.describe_metric_list(cms_models.DescribeMetricListRequest(namespace=namespace, metric_name="Errors", period="15", length="1")).body
    checks.equal("a list is cut where asked", [len(json.loads(listed.datapoints)), listed.next_token], [1, "1"])

    def rules(**fields):
        body = cms.describe_metric_rule_list(cms_models.DescribeMetricRuleListRequest(**fields)).body
        return [[one.rule_name, one.alert_state, one.enable_state] for one in body.alarms.alarm]

    checks.equal("rules are found by part of their name", rules(rule_name="checkout"), [["shop-checkout-errors", "OK", True]])
    critical = cms_models.PutResourceMetricRuleRequestEscalationsCritical(
        statistics="Average", comparison_operator="GreaterThanOrEqualToThreshold", threshold="0", times=1
    )
    put = cms_models.PutResourceMetricRuleRequest(
        rule_id="arm-1", rule_name="arm", namespace=namespace, metric_name="Errors", resources=json.dumps([{"service": "checkout"}]),
        contact_groups="lab", period="15", escalations=cms_models.PutResourceMetricRuleRequestEscalations(critical=critical),
    )
    checks.equal("a rule is made", cms.put_resource_metric_rule(put).body.success, True)
    checks.that("and judged", until(lambda: rules(rule_ids="arm-1") == [["arm", "ALARM", True]]))
    cms.disable_metric_rules(cms_models.DisableMetricRulesRequest(rule_id=["arm-1"]))
    checks.equal("or switched off", rules(rule_ids="arm-1")[0][2], False)
    remove = cms_models.DeleteMetricRulesRequest(id=["arm-1"])
    checks.equal("and removed", cms.delete_metric_rules(remove).body.success, True)
    checks.equal("once", cms.delete_metric_rules(remove).body.success, False)


# ---------------------------------------------------------------- OSS
def objects():
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(LAB["access_key_id"], LAB["secret_access_key"])
    config.region = REGION
    config.endpoint = LAB["oss"]
    config.use_path_style = True
    store = oss.Client(config)
    bucket, key, body = "shop-orders", "arm/心跳 a+b.json", json.dumps({"at": str(datetime.datetime.now(datetime.timezone.utc))}).encode()

    checks.equal("buckets are listed", [one.name for one in store.list_buckets(oss.ListBucketsRequest()).buckets], [bucket])
    # The SDK compares the object's CRC-64 with its own.
    put = store.put_object(oss.PutObjectRequest(bucket=bucket, key=key, body=body, metadata={"arm": "yes"}))
    checks.equal("an object is put", put.etag.strip('"').lower(), hashlib.md5(body).hexdigest())
    got = store.get_object(oss.GetObjectRequest(bucket=bucket, key=key))
    checks.equal("and comes back", got.body.read().decode(), body.decode())
    head = store.head_object(oss.HeadObjectRequest(bucket=bucket, key=key))
    checks.equal("with its description", [head.content_length, head.metadata.get("arm")], [len(body), "yes"])
    part = store.get_object(oss.GetObjectRequest(bucket=bucket, key=key, range_header="bytes=0-3"))
    checks.equal("or a part of it", part.body.read(), body[:4])
    for number in range(5):
        store.put_object(oss.PutObjectRequest(bucket=bucket, key=f"arm/list/{number}", body=b"x"))
    pages = store.list_objects_v2_paginator().iter_page(oss.ListObjectsV2Request(bucket=bucket, prefix="arm/", max_keys=2))
    listed = [one.key for page in pages for one in page.contents or []]
    checks.equal("pages cover everything once", listed, [*(f"arm/list/{number}" for number in range(5)), key])
    grouped = store.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket, prefix="arm/", delimiter="/"))
    checks.equal("keys are grouped", [one.prefix for one in grouped.common_prefixes], ["arm/list/"])
    checks.equal("the older list too", [one.key for one in store.list_objects(oss.ListObjectsRequest(bucket=bucket, prefix="arm/", delimiter="/")).contents], [key])
    for one in listed:
        store.delete_object(oss.DeleteObjectRequest(bucket=bucket, key=one))
    checks.equal("a removed object is not there", refused(lambda: store.get_object(oss.GetObjectRequest(bucket=bucket, key=key))), "NoSuchKey")
    checks.equal("for HEAD neither", refused(lambda: store.head_object(oss.HeadObjectRequest(bucket=bucket, key=key))), "NoSuchKey")
    checks.equal("nor is another bucket", refused(lambda: store.get_bucket_info(oss.GetBucketInfoRequest(bucket="nobodys-bucket"))), "NoSuchBucket")
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(LAB["access_key_id"], "wrong")
    wrong = oss.Client(config)
    checks.equal("a wrong secret is refused", refused(lambda: wrong.head_object(oss.HeadObjectRequest(bucket=bucket, key=key))), "SignatureDoesNotMatch")


before = world()
for part in (signatures, machines, networks, names, jobs, tags, monitoring, objects):
    print(part.__name__, flush=True)
    try:
        part()
    except Exception as error:  # One product's failure must not hide the others
        checks.that(f"{part.__name__} runs to its end", False, f"{type(error).__name__}: {error}")
checks.equal("the world is as it was", world(), before)
checks.end()

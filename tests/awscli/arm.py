"""The aws CLI against the lab, with the same answers that moto gives to the same calls where moto is right.

LIFEBOAT_LAB is the line of `lifeboat lab --output json`, LIFEBOAT_MOTO a moto server filled by tests/moto/seed.py, LIFEBOAT_LAB_IDS and
LIFEBOAT_MOTO_IDS the ids on both sides. Answers are compared after ids are replaced by what they are called and the lab's loopback prefix by a star. Where moto
is known to be wrong, the lab is held to what AWS documents instead; those checks say so.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from checks import Checks

KEYS = {"AWS_ACCESS_KEY_ID": "LIFEBOATLAB000000001", "AWS_SECRET_ACCESS_KEY": "lab-secret-not-for-real-clouds"}
HOME = tempfile.mkdtemp(prefix="lifeboat-awscli-")


class Side:
    """One server that the CLI is pointed at."""

    def __init__(self, url, ids):
        self.url, self.ids = url, ids
        names = {}
        for name, value in ids.items():
            if value is True:
                continue
            for number, one in enumerate(value if isinstance(value, list) else [value]):
                names[one] = f"<{name}{number if isinstance(value, list) else ''}>"
        self.names = names

    def aws(self, *arguments, query=None, keys=KEYS):
        """One CLI call with `{name}` replaced by this side's ids. Gives the answer's JSON, or {"error": code}."""
        words = [sys.executable, "-m", "awscli", "--endpoint-url", self.url, "--region", "us-east-1", "--output", "json"]
        words += ["--query", query] if query else []
        words += [re.sub(r"\{(\w+?)(\d?)\}", self.fill, word) for word in arguments]
        environment = {"PATH": os.environ["PATH"], "HOME": HOME, "AWS_MAX_ATTEMPTS": "3", "NO_PROXY": "127.0.0.1", **keys}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
        if done.returncode:
            code = re.search(r"An error occurred \(([^)]+)\)", done.stderr)
            return {"error": code.group(1) if code else done.stderr.strip()}
        return json.loads(self.plain(done.stdout)) if done.stdout.strip() else None

    def fill(self, match):
        value = self.ids[match.group(1)]
        return value[int(match.group(2))] if match.group(2) else value

    def plain(self, text):
        """The text without what differs between two worlds for no reason."""
        for one, name in self.names.items():
            text = text.replace(one, name)
        return re.sub(r"\b127\.\d+\.(\d+\.\d+)", r"127.*.\1", text)


checks = Checks()
pool = ThreadPoolExecutor(2)
lab = Side(json.loads(os.environ["LIFEBOAT_LAB"])["aws"], json.loads(os.environ["LIFEBOAT_LAB_IDS"]))
moto = Side(os.environ["LIFEBOAT_MOTO"], json.loads(os.environ["LIFEBOAT_MOTO_IDS"]))


def both(*arguments, query=None):
    """The same call on the lab and on moto, at once."""
    calls = [pool.submit(side.aws, *arguments, query=query) for side in (lab, moto)]
    return [call.result() for call in calls]


def same(claim, *arguments, query=None):
    """Claims that the lab answers as moto does."""
    ours, theirs = both(*arguments, query=query)
    checks.equal(claim, ours, theirs)


def refused(claim, code, *arguments):
    """Claims that both refuse with this code, so that agreeing on a wrong one is not enough."""
    checks.equal(claim, both(*arguments), [{"error": code}] * 2)


def only_lab(claim, expected, *arguments, query=None):
    """Claims what AWS documents and moto does not do."""
    checks.equal(f"{claim} (moto is wrong here)", lab.aws(*arguments, query=query), expected)


def until(claim, expected, *arguments, query=None, sides=(lab, moto)):
    """Claims that an answer becomes as expected within half a minute."""
    deadline = time.monotonic() + 30
    while True:
        answers = [side.aws(*arguments, query=query) for side in sides]
        if all(answer == expected for answer in answers) or time.monotonic() > deadline:
            checks.equal(claim, answers, [expected] * len(sides))
            return
        time.sleep(0.3)


def batch(action, name="shop.example.com.", label="aws", weight=30, values=("127.1.1.11", "127.1.1.12")):
    """A change batch with one weighted A record set."""
    records = [{"Value": value} for value in values]
    one = {"Name": name, "Type": "A", "SetIdentifier": label, "Weight": weight, "TTL": 5, "ResourceRecords": records}
    return json.dumps({"Changes": [{"Action": action, "ResourceRecordSet": one}]})


def identity():
    same("get-caller-identity names the account", "sts", "get-caller-identity", query="Account")
    for claim, keys, code in [
        ("an unknown key is refused", {**KEYS, "AWS_ACCESS_KEY_ID": "AKIDUNKNOWN000000000"}, "InvalidClientTokenId"),
        ("a wrong secret is refused", {**KEYS, "AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
    ]:
        checks.equal(f"{claim} (moto does not look)", lab.aws("sts", "get-caller-identity", keys=keys), {"error": code})


def route53():
    change = ("route53", "change-resource-record-sets", "--hosted-zone-id", "{zone}", "--change-batch")
    sets = ("route53", "list-resource-record-sets", "--hosted-zone-id", "{zone}")
    weighted = "ResourceRecordSets[?Weight!=null].{n:Name,t:Type,l:SetIdentifier,w:Weight,ttl:TTL,v:ResourceRecords[].Value}"
    same("list-hosted-zones has both zones in order", "route53", "list-hosted-zones", query="HostedZones[].{n:Name,p:Config.PrivateZone}")
    same("list-hosted-zones-by-name finds the zone", "route53", "list-hosted-zones-by-name", "--dns-name", "example.com", "--max-items", "1",
         query="HostedZones[].{id:Id,n:Name}")
    same("list-resource-record-sets has the weighted sets in order", *sets, query=weighted)
    same("list-resource-record-sets starts where asked", *sets, "--start-record-name", "shop.example.com", "--start-record-type", "A",
         query="ResourceRecordSets[].{n:Name,l:SetIdentifier}")
    same("list-resource-record-sets pages by --max-items", *sets, "--start-record-name", "pay.example.com.", "--max-items", "2",
         query="{n:ResourceRecordSets[].SetIdentifier,t:NextToken!=null}")

    # The whole set is replaced, so the addresses must be each side's own: read them first.
    def give(side, weight):
        mine = side.aws(*sets, query="ResourceRecordSets[?SetIdentifier=='aws'&&Name=='shop.example.com.']|[0]")
        prefix = {lab: json.loads(os.environ["LIFEBOAT_LAB"])["dns"].split(".")[1], moto: "1"}[side]
        records = [{"Value": record["Value"].replace("*", prefix)} for record in mine["ResourceRecords"]]
        one = {**mine, "Weight": weight, "ResourceRecords": records}
        return side.aws(*change, json.dumps({"Changes": [{"Action": "UPSERT", "ResourceRecordSet": one}]}), query="ChangeInfo")

    answers = [give(side, 30) for side in (lab, moto)]
    checks.that("a change is taken and has an id", all(re.match(r"/change/\w+", answer.get("Id", "")) for answer in answers), answers)
    checks.equal("a change begins PENDING (moto is wrong here)", answers[0].get("Status"), "PENDING")
    number = answers[0].get("Id", "/change/C0")
    until("the change becomes INSYNC", "INSYNC", "route53", "get-change", "--id", number, query="ChangeInfo.Status", sides=(lab,))
    same("the changed weight is listed, everything else as before", *sets, query=weighted)

    only_lab("an unknown change is NoSuchChange", {"error": "NoSuchChange"}, "route53", "get-change", "--id", "C0000000000000")
    refused("an unknown zone is NoSuchHostedZone", "NoSuchHostedZone", "route53", "list-resource-record-sets", "--hosted-zone-id", "Z00000000000000")
    for claim, one in [
        ("CREATE of what exists", batch("CREATE")),
        ("DELETE with other values", batch("DELETE", values=("192.0.2.1",))),
    ]:
        only_lab(f"{claim} is InvalidChangeBatch", {"error": "InvalidChangeBatch"}, *change, one)
    checks.that("weight 256 is refused (moto is wrong here)", "error" in (lab.aws(*change, batch("UPSERT", weight=256)) or {}))
    same("nothing of the refused batches came through", *sets, query=weighted)
    # Its instances are stopped: what goes there now is not served, and the shop's alarm would rightly say so.
    for side in (lab, moto):
        give(side, 0)
    same("the weight is put back", *sets, query=weighted)


def instances():
    describe = ("ec2", "describe-instances")
    shape = "sort_by(Reservations[].Instances[],&InstanceId)[].{id:InstanceId,s:State,sub:SubnetId,vpc:VpcId,tags:sort_by(Tags,&Key)}"
    by_name = "sort_by(Reservations[].Instances[].{n:Tags[?Key=='Name']|[0].Value,s:State.Name,c:State.Code,sub:SubnetId,vpc:VpcId,tags:sort_by(Tags,&Key)},&n)"
    standby = ("--filters", "Name=tag:role,Values=storefront", "Name=tag:posture,Values=standby")
    states = "sort(Reservations[].Instances[].State.Name)"
    same("describe-instances by tags", *describe, *standby, query=by_name)
    same("describe-instances by id", *describe, "--instance-ids", "{database}", query=shape)
    same("describe-instances by state", *describe, "--filters", "Name=instance-state-name,Values=stopped", query=by_name)
    same("describe-instances without a match is empty", *describe, "--filters", "Name=tag:role,Values=nobody", query="Reservations")
    same("describe-instance-status of a running one", "ec2", "describe-instance-status", "--instance-ids", "{checkout0}",
         query="InstanceStatuses[].{id:InstanceId,s:InstanceState,i:InstanceStatus.Status,y:SystemStatus.Status}")
    same("describe-instance-status leaves stopped ones out", "ec2", "describe-instance-status", "--instance-ids", "{storefront0}", query="InstanceStatuses")
    same("describe-instance-status shows them when asked", "ec2", "describe-instance-status", "--instance-ids", "{storefront0}", "--include-all-instances",
         query="InstanceStatuses[].InstanceState.Name")

    change = "[0].{id:InstanceId,from:PreviousState,to:CurrentState}"
    refused("a dry run of start-instances", "DryRunOperation", "ec2", "start-instances", "--instance-ids", "{storefront0}", "--dry-run")
    same("start-instances goes from stopped to pending", "ec2", "start-instances", "--instance-ids", "{storefront0}", query=f"StartingInstances|{change}")
    until("it is running", ["running"], *describe, "--instance-ids", "{storefront0}", query=states)
    until("both status checks pass", [["ok", "ok"]], "ec2", "describe-instance-status", "--instance-ids", "{storefront0}",
          query="InstanceStatuses[].[InstanceStatus.Status,SystemStatus.Status]")
    only_lab("start-instances of a running one changes nothing", ["running", "running"], "ec2", "start-instances", "--instance-ids", "{storefront0}",
             query="StartingInstances[0].[PreviousState.Name,CurrentState.Name]")
    same("stop-instances goes from running to stopping", "ec2", "stop-instances", "--instance-ids", "{storefront0}", query=f"StoppingInstances|{change}")
    until("it is stopped", ["stopped"], *describe, "--instance-ids", "{storefront0}", query=states)
    refused("an unknown instance is not found", "InvalidInstanceID.NotFound", "ec2", "start-instances", "--instance-ids", "i-0123456789abcdef0")
    refused("nor described", "InvalidInstanceID.NotFound", *describe, "--instance-ids", "i-0123456789abcdef0")


def images():
    attribute = ("ec2", "describe-image-attribute", "--image-id", "{image}", "--attribute", "launchPermission")
    modify = ("ec2", "modify-image-attribute", "--image-id", "{image}", "--launch-permission")
    same("describe-images finds the standby image", "ec2", "describe-images", "--image-ids", "{image}", query="Images[].{id:ImageId,n:Name,o:OwnerId,s:State}")
    same("it is shared with nobody", *attribute)
    same("modify-image-attribute shares it", *modify, "Add=[{UserId=444455556666}]")
    same("it is shared", *attribute)
    same("modify-image-attribute takes it back", *modify, "Remove=[{UserId=444455556666}]")
    same("it is shared with nobody again", *attribute)
    refused("an unknown image is not found", "InvalidAMIID.NotFound", "ec2", "describe-images", "--image-ids", "ami-0123456789abcdef0")


def routes():
    table = ("--route-table-id", "{table}", "--destination-cidr-block", "10.20.0.0/16")
    # Of the lab's table moto has everything but the way to the internet.
    ours = "RouteTables[].Routes[?DestinationCidrBlock!='0.0.0.0/0'][].{d:DestinationCidrBlock,g:GatewayId,e:NetworkInterfaceId,o:Origin}"
    state = "RouteTables[].Routes[?DestinationCidrBlock=='10.20.0.0/16'][].State"
    read = ("ec2", "describe-route-tables", "--route-table-ids", "{table}")
    same("describe-route-tables", *read, query=ours)
    same("the route is active", *read, query=state)
    same("replace-route to the spare interface", "ec2", "replace-route", *table, "--network-interface-id", "{spare}")
    same("it leads there", *read, query=ours)
    only_lab("a route to an unattached interface is a blackhole", ["blackhole"], *read, query=state)
    same("replace-route back", "ec2", "replace-route", *table, "--network-interface-id", "{interface}")
    same("delete-route", "ec2", "delete-route", *table)
    same("it is gone", *read, query=ours)
    refused("deleting it again is not found", "InvalidRoute.NotFound", "ec2", "delete-route", *table)
    refused("replacing what is not there is refused", "InvalidParameterValue", "ec2", "replace-route", *table, "--network-interface-id", "{interface}")
    same("create-route", "ec2", "create-route", *table, "--network-interface-id", "{interface}")
    only_lab("creating another one is refused", {"error": "RouteAlreadyExists"}, "ec2", "create-route", *table, "--network-interface-id", "{spare}")
    same("it is as it was", *read, query=ours)
    same("describe-network-interfaces of the attached one", "ec2", "describe-network-interfaces", "--network-interface-ids", "{interface}",
         query="NetworkInterfaces[].{id:NetworkInterfaceId,i:Attachment.InstanceId,s:Attachment.Status,sub:SubnetId}")
    same("and of the spare one", "ec2", "describe-network-interfaces", "--network-interface-ids", "{spare}",
         query="NetworkInterfaces[].{id:NetworkInterfaceId,s:Status,a:Attachment}")
    same("describe-subnets", "ec2", "describe-subnets", "--subnet-ids", "{subnet_checkout}", query="Subnets[].{id:SubnetId,v:VpcId,s:State}")


def objects():
    bucket = ("--bucket", "shop-assets")
    key = (*bucket, "--key", "cli/a b+c.txt")
    body, back = os.path.join(HOME, "body"), os.path.join(HOME, "back")
    with open(body, "w", encoding="utf-8") as file:
        file.write("Lifeboat 演练\n")
    same("list-buckets", "s3api", "list-buckets", query="sort(Buckets[].Name||[`none`])")
    same("put-object", "s3api", "put-object", *key, "--body", body, "--content-type", "text/plain", "--metadata", "committed=2026-11-22",
         query="ETag")
    same("head-object", "s3api", "head-object", *key, query="{e:ETag,l:ContentLength,t:ContentType,m:Metadata}")
    for side in (lab, moto):
        side.aws("s3api", "get-object", *key, back)
        with open(back, encoding="utf-8") as file:
            checks.equal(f"get-object from {'the lab' if side is lab else 'moto'} gives what was put", file.read(), "Lifeboat 演练\n")
        os.remove(back)
    same("list-objects-v2", "s3api", "list-objects-v2", *bucket, "--prefix", "cli/", query="Contents[].{k:Key,e:ETag,s:Size}")
    same("list-objects-v2 with a delimiter", "s3api", "list-objects-v2", *bucket, "--prefix", "cli", "--delimiter", "/", query="CommonPrefixes")
    same("delete-object", "s3api", "delete-object", *key)
    same("deleting it again is no error", "s3api", "delete-object", *key)
    refused("head of an absent object", "404", "s3api", "head-object", *key)
    refused("an absent object", "NoSuchKey", "s3api", "get-object", *key, back)
    refused("an absent bucket", "NoSuchBucket", "s3api", "list-objects-v2", "--bucket", "no-such-bucket-of-ours")


def monitoring():
    alarm = ("cloudwatch", "put-metric-alarm", "--alarm-name", "arm-queue", "--namespace", "Arm", "--metric-name", "Queue", "--statistic", "Sum",
             "--dimensions", "Name=Side,Value=a", "--period", "60", "--evaluation-periods", "2", "--datapoints-to-alarm", "1", "--threshold", "9.5",
             "--comparison-operator", "GreaterThanThreshold", "--treat-missing-data", "notBreaching", "--alarm-description", "队列")
    read = ("cloudwatch", "describe-alarms", "--alarm-names", "arm-queue")
    whole = ("MetricAlarms[].{n:AlarmName,d:AlarmDescription,on:ActionsEnabled,m:MetricName,ns:Namespace,st:Statistic,di:Dimensions,p:Period,"
             "e:EvaluationPeriods,of:DatapointsToAlarm,t:Threshold,c:ComparisonOperator,miss:TreatMissingData,ok:OKActions,al:AlarmActions}")
    same("put-metric-alarm says nothing", *alarm)
    same("describe-alarms shows it whole", *read, query=whole)
    same("set-alarm-state says nothing", "cloudwatch", "set-alarm-state", "--alarm-name", "arm-queue", "--state-value", "ALARM", "--state-reason", "by hand")
    same("the alarm is as it was set", *read, query="MetricAlarms[].[StateValue,StateReason]")
    same("alarms are found by state and prefix", "cloudwatch", "describe-alarms", "--alarm-name-prefix", "arm-", "--state-value", "ALARM",
         query="MetricAlarms[].AlarmName")
    same("an unknown alarm is not listed", "cloudwatch", "describe-alarms", "--alarm-names", "nobody", query="MetricAlarms")
    refused("nor set", "ResourceNotFound", "cloudwatch", "set-alarm-state", "--alarm-name", "nobody", "--state-value", "OK", "--state-reason", "x")

    now = int(time.time()) // 60 * 60
    for value in ("4", "6"):
        same(f"put-metric-data of {value} says nothing", "cloudwatch", "put-metric-data", "--namespace", "Arm", "--metric-data",
             json.dumps([{"MetricName": "Queue", "Value": float(value), "Timestamp": now - 90, "Dimensions": [{"Name": "Side", "Value": "a"}]}]))
    of = ("--namespace", "Arm", "--metric-name", "Queue", "--dimensions", "Name=Side,Value=a")
    span = ("--start-time", str(now - 300), "--end-time", str(now))
    same("get-metric-statistics adds up", "cloudwatch", "get-metric-statistics", *of, *span, "--period", "300", "--statistics", "Sum", "Maximum", "SampleCount",
         query="{l:Label,d:Datapoints[].{s:Sum,m:Maximum,n:SampleCount}}")
    metric = {"Namespace": "Arm", "MetricName": "Queue", "Dimensions": [{"Name": "Side", "Value": "a"}]}
    queries = json.dumps([{"Id": "q", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}}])
    numbers = lab.aws("cloudwatch", "get-metric-data", "--metric-data-queries", queries, *span, query="MetricDataResults[0].{v:Values,t:length(Timestamps),s:StatusCode}")
    checks.equal("get-metric-data gives the average of a period", numbers, {"v": [5.0], "t": 1, "s": "Complete"})
    same("list-metrics names it", "cloudwatch", "list-metrics", "--namespace", "Arm", query="Metrics")
    same("delete-alarms says nothing", "cloudwatch", "delete-alarms", "--alarm-names", "arm-queue")
    same("it is gone", *read, query="MetricAlarms")
    until("the shop's own alarms say OK", [["shop-checkout-errors", "OK"], ["shop-storefront-errors", "OK"]], "cloudwatch", "describe-alarms",
          query="MetricAlarms[].[AlarmName,StateValue]", sides=(lab,))


for part in (identity, route53, instances, images, routes, objects, monitoring):
    print(f" {part.__name__}", flush=True)
    part()
checks.end()

"""BIND's `dig` against the lab's name server, over UDP and TCP: weights, TTL, AA, NXDOMAIN, what is not ours.

LIFEBOAT_LAB is the line of `lifeboat lab --output json`. Weights are changed through Route 53, as anyone would.
"""

import json
import os
import re
import subprocess
import tempfile
import time

import boto3
from checks import Checks

checks = Checks()
lab = json.loads(os.environ["LIFEBOAT_LAB"])
host, port = lab["dns"].rsplit(":", 1)
net = ".".join(host.split(".")[:2])
AWS = {f"{net}.1.11", f"{net}.1.12"}
ALIYUN = {f"{net}.2.11", f"{net}.2.12"}


def dig(*words):
    done = subprocess.run(
        ["dig", f"@{host}", "-p", port, "+tries=1", "+time=3", "+norecurse", *words], capture_output=True, text=True, timeout=120
    )
    return done.stdout


def parse(text):
    """Status, flags, answers [(name, ttl, type, value)] and authority types of one dig output."""
    status = re.search(r"status: (\w+)", text)
    flags = re.search(r";; flags: ([a-z ]*);", text)
    sections = {name: re.findall(r"^(\S+)\s+(\d+)\s+IN\s+(\S+)\s+(.*)$", body, re.M)
                for name, body in re.findall(r";; (ANSWER|AUTHORITY) SECTION:\n((?:.+\n)*)", text)}
    return {
        "status": status and status.group(1),
        "flags": flags.group(1).split() if flags else [],
        "answers": [(name, int(ttl), kind, value) for name, ttl, kind, value in sections.get("ANSWER", [])],
        "authority": [kind for _, _, kind, _ in sections.get("AUTHORITY", [])],
    }


def values(answer):
    return {value for _, _, _, value in answer["answers"]}


def many(name, count):
    """The address sets of `count` answers to one question, asked by one dig."""
    with tempfile.NamedTemporaryFile("w", suffix=".dig") as file:
        file.write(f"{name} A\n" * count)
        file.flush()
        text = dig("-f", file.name)
    answers = [parse(part) for part in re.split(r"(?=;; ->>HEADER)", text) if "->>HEADER" in part]
    return [values(answer) for answer in answers]


def weigh(weights):
    """Sets the weights of shop.example.com. through Route 53."""
    route53 = boto3.client("route53", endpoint_url=lab["aws"], region_name="us-east-1",
                           aws_access_key_id=lab["access_key_id"], aws_secret_access_key=lab["secret_access_key"])
    zone = route53.list_hosted_zones()["HostedZones"][0]["Id"]
    sets = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    changes = [{"Action": "UPSERT", "ResourceRecordSet": {**one, "Weight": weights[one["SetIdentifier"]]}}
               for one in sets if one["Name"] == "shop.example.com." and one["Type"] == "A"]
    change = route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})["ChangeInfo"]["Id"]
    deadline = time.monotonic() + 30
    while route53.get_change(Id=change)["ChangeInfo"]["Status"] != "INSYNC" and time.monotonic() < deadline:
        time.sleep(0.2)


for transport in ("+notcp", "+tcp"):
    over = transport.strip("+").replace("notcp", "udp")
    answer = parse(dig(transport, "shop.example.com", "A"))
    checks.equal(f"{over}: a weighted name is answered", answer["status"], "NOERROR")
    checks.that(f"{over}: with authority", "aa" in answer["flags"] and "ra" not in answer["flags"], answer["flags"])
    checks.equal(f"{over}: with the set of the side that has the weight", sorted(values(answer)), sorted(ALIYUN))
    checks.equal(f"{over}: with the record set's TTL", {ttl for _, ttl, _, _ in answer["answers"]} and [ttl for _, ttl, _, _ in answer["answers"]], [5, 5])
    absent = parse(dig(transport, "nobody.example.com", "A"))
    checks.equal(f"{over}: a name that does not exist is NXDOMAIN", (absent["status"], absent["answers"]), ("NXDOMAIN", []))
    checks.that(f"{over}: with the zone's SOA and authority", absent["authority"] == ["SOA"] and "aa" in absent["flags"], absent)
    empty = parse(dig(transport, "shop.example.com", "AAAA"))
    checks.equal(f"{over}: a type that does not exist is no error", (empty["status"], empty["answers"], empty["authority"]), ("NOERROR", [], ["SOA"]))
    foreign = parse(dig(transport, "www.example.net", "A"))
    checks.that(f"{over}: a zone that is not ours is refused", foreign["status"] == "REFUSED" and "aa" not in foreign["flags"], foreign)
    chinese = parse(dig(transport, "shop.example.cn", "A"))
    checks.that(f"{over}: Alidns names are answered by enabled records only",
                chinese["status"] == "NOERROR" and "aa" in chinese["flags"] and values(chinese) and values(chinese) <= ALIYUN, chinese)

checks.equal("names are equal in any case", sorted(values(parse(dig("ShOp.ExAmPlE.cOm", "A")))), sorted(ALIYUN))
checks.equal("NS of the zone", parse(dig("example.com", "NS"))["answers"][0][2], "NS")
checks.equal("SOA of the zone", parse(dig("example.com", "SOA"))["answers"][0][2], "SOA")

idle = many("shop.example.com", 200)
checks.that("weight 0 is never answered, in 200 answers", len(idle) == 200 and all(one == ALIYUN for one in idle), len(idle))
weigh({"aws": 30, "aliyun": 70})
mixed = many("shop.example.com", 400)
share = sum(one == AWS for one in mixed)
checks.that("every answer is one side, never a mixture", len(mixed) == 400 and all(one in (AWS, ALIYUN) for one in mixed))
# 120 expected; five standard deviations are 46.
checks.that("weights 30 to 70 give about that share of 400 answers", 74 <= share <= 166, f"{share} of 400")
weigh({"aws": 0, "aliyun": 0})
checks.that("all weights 0 means all sides alike", {frozenset(one) for one in many("shop.example.com", 100)} == {frozenset(AWS), frozenset(ALIYUN)})
weigh({"aws": 0, "aliyun": 100})
checks.that("and back", all(one == ALIYUN for one in many("shop.example.com", 100)))
checks.end()

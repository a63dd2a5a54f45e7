"""The product's AWS steps against a real moto server: execute, execute again, fail back, repair, drill; what is left is read with boto3.

LIFEBOAT is the binary, LIFEBOAT_MOTO a fresh moto server filled by tests/moto/seed.py, LIFEBOAT_MOTO_IDS the seeded ids.
"""

import collections
import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading

from checks import Checks
from seed import client

URL = os.environ["LIFEBOAT_MOTO"]
IDS = json.loads(os.environ["LIFEBOAT_MOTO_IDS"])
checks = Checks()
ec2, route53 = client(URL, "ec2"), client(URL, "route53")


def sets():
    """The weighted record sets, whole, by (name, identifier)."""
    listed = route53.list_resource_record_sets(HostedZoneId=IDS["zone"])["ResourceRecordSets"]
    return {(one["Name"], one["SetIdentifier"]): one for one in listed if "Weight" in one}


def states():
    found = ec2.describe_instances(InstanceIds=IDS["storefront"])["Reservations"]
    return sorted(instance["State"]["Name"] for reservation in found for instance in reservation["Instances"])


def shared_with():
    answer = ec2.describe_image_attribute(ImageId=IDS["image"], Attribute="launchPermission")
    return [permission["UserId"] for permission in answer["LaunchPermissions"]]


def route_target():
    table = ec2.describe_route_tables(RouteTableIds=[IDS["table"]])["RouteTables"][0]
    return next(route["NetworkInterfaceId"] for route in table["Routes"] if route.get("DestinationCidrBlock") == "10.20.0.0/16")


class Service(http.server.BaseHTTPRequestHandler):
    """The data plane that moto lacks: answers by what moto's control plane says at that moment."""

    refused = 0

    def do_GET(self):
        if self.path == "/storefront":
            up = states() == ["running", "running"] and sets()["shop.example.com.", "aws"]["Weight"] > 0
        else:
            up = route_target() == IDS["interface"]
        Service.refused += not up
        self.send_response(200 if up else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=service.serve_forever, daemon=True).start()

# A copy with its blanks filled in, so that runs leave nothing in the sources.
project = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-moto-"))
blanks = {f"@{name}@": str(value) for name, value in IDS.items()}
blanks |= {"http://moto.invalid": URL, "http://service.invalid": f"http://127.0.0.1:{service.server_port}"}
for source in pathlib.Path(__file__).parent.glob("*.yaml"):
    text = source.read_text(encoding="utf-8")
    for blank, value in blanks.items():
        text = text.replace(blank, value)
    (project / source.name).write_text(text, encoding="utf-8")

ENVIRONMENT = {
    **os.environ,
    "HOME": str(project),
    "AWS_ACCESS_KEY_ID": "LIFEBOATLAB000000001",
    "AWS_SECRET_ACCESS_KEY": "lab-secret-not-for-real-clouds",
}


def lifeboat(*words):
    """Runs the product in the project; gives its exit code and, with --output json, its last line."""
    done = subprocess.run([os.environ["LIFEBOAT"], *words], cwd=project, env=ENVIRONMENT, capture_output=True, text=True, timeout=180)
    print("    $ lifeboat " + " ".join(words) + f"   -> {done.returncode}", flush=True)
    if done.returncode:
        print("\n".join("      " + line for line in (done.stdout + done.stderr).splitlines()[-40:]), flush=True)
    try:
        return done.returncode, json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return done.returncode, {}


def journal_calls(result):
    """Every recorded call of a run, wherever its event keeps it."""
    found = []

    def walk(value):
        if isinstance(value, dict):
            if {"operation", "outcome", "elapsed_ms"} <= value.keys():
                found.append(value)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    for line in (project / result["journal"]).read_text(encoding="utf-8").splitlines():
        walk(json.loads(line))
    return found


def with_weights(before, **weights):
    return {key: {**one, "Weight": weights[key[1]]} if key[0] == "shop.example.com." else one for key, one in before.items()}


before = sets()
code, _ = lifeboat("validate", ".", "--env", "moto")
checks.equal("the project is valid", code, 0)

code, result = lifeboat("execute", "fail-over-to-aws.yaml", "--env", "moto", "--output", "json")
checks.equal("the failover runbook recovers the storefront, which was down", (code, result.get("verdict")), (0, "pass"))
checks.equal("the image is shared with the standby account", shared_with(), ["444455556666"])
checks.equal("the standby instances run", states(), ["running", "running"])
after = sets()
checks.that("the weights are shifted and nothing else of the record sets is", after == with_weights(before, aws=100, aliyun=0), after)
changes = [call for call in (journal_calls(result) if "journal" in result else []) if call.get("mutating")]
checks.equal("the journal has each change once, with the vendor's names", sorted(call["operation"] for call in changes),
             ["ec2:ModifyImageAttribute", "ec2:StartInstances", "route53:ChangeResourceRecordSets"])
checks.that("and the request id that moto gave to each EC2 change",
            all(call.get("request_id") for call in changes if call["operation"].startswith("ec2:")) and changes, changes)

code, result = lifeboat("execute", "fail-over-to-aws.yaml", "--env", "moto", "--output", "json")
checks.equal("executed again it ends well too; as nothing was down, there is nothing to judge", (code, result.get("verdict")), (3, "inconclusive"))
checks.equal("and changes nothing", [call for call in (journal_calls(result) if "journal" in result else [{}]) if call.get("mutating")], [])

code, result = lifeboat("execute", "fail-back.yaml", "--env", "moto", "--output", "json")
checks.equal("the failback runbook ends well; without a probe it is judged by its steps", (code, result.get("verdict")), (0, "pass"))
checks.equal("the weights are as at the beginning", {str(key): one for key, one in sets().items()}, {str(key): one for key, one in before.items()})
checks.equal("the standby instances are stopped", states(), ["stopped", "stopped"])

# Many names are one change: read in pages, written in batches, read back; the calls do not grow with the names.
NAMES = 100
many = route53.create_hosted_zone(Name="many.example.com.", CallerReference="many")["HostedZone"]["Id"]
route53.change_resource_record_sets(HostedZoneId=many, ChangeBatch={"Changes": [
    {"Action": "CREATE", "ResourceRecordSet": {
        "Name": f"app-{number:03}.many.example.com.", "Type": "A", "SetIdentifier": label, "Weight": weight, "TTL": 5,
        "ResourceRecords": [{"Value": address}]}}
    for number in range(NAMES) for label, weight, address in [("aliyun", 100, "192.0.2.1"), ("aws", 0, "198.51.100.1")]
]})
code, result = lifeboat("execute", "shift-many.yaml", "--env", "moto", "--yes", "--output", "json")
checks.equal(f"the weights of {NAMES} names are shifted", (code, result.get("verdict")), (0, "pass"))
listed = route53.list_resource_record_sets(HostedZoneId=many)["ResourceRecordSets"]
checks.equal("each of them", sorted((one["SetIdentifier"], one["Weight"]) for one in listed if "Weight" in one),
             [("aliyun", 0)] * NAMES + [("aws", 100)] * NAMES)
counted = collections.Counter(call["operation"] for call in (journal_calls(result) if "journal" in result else []))
checks.equal("in one batch, which is waited for", (counted["route53:ChangeResourceRecordSets"], counted["route53:GetChange"]), (1, 1))
checks.that("and read once to plan, once to begin, once to send, once to read back", 2 <= counted["route53:ListResourceRecordSets"] <= 4, counted)

ec2.replace_route(RouteTableId=IDS["table"], DestinationCidrBlock="10.20.0.0/16", NetworkInterfaceId=IDS["spare"])
code, result = lifeboat("execute", "repair-route.yaml", "--env", "moto", "--output", "json")
checks.equal("the repair of a broken route passes", (code, result.get("verdict")), (0, "pass"))
checks.equal("the route leads to the database again", route_target(), IDS["interface"])

Service.refused = 0
code, result = lifeboat("drill", "route-failure.yaml", "--env", "moto", "--output", "json")
checks.equal("a drill of the route failure and its repair passes", (code, result.get("verdict")), (0, "pass"))
checks.that("its fault was felt", Service.refused > 0)
checks.equal("and did not come back with the undo of the repair", route_target(), IDS["interface"])
changes = [call["operation"] for call in (journal_calls(result) if "journal" in result else []) if call.get("mutating")]
checks.equal("by two replacements of the route, marked before and unmarked after, and nothing else", changes,
             ["ec2:CreateTags", "ec2:ReplaceRoute", "ec2:ReplaceRoute", "ec2:DeleteTags"])

code, _ = lifeboat("drill", "route-failure.yaml", "--env", "nowhere")
checks.that("an environment that does not exist is refused", code in (65, 69), code)
checks.end()

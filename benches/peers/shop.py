"""The steps of the experiment through boto3: functions for Chaos Toolkit, words on the command line for Ansible.

A call may take as long as Lifeboat gives one; boto3 would wait a minute. How often it tries again is left as it comes.
"""

import sys

import boto3
from botocore.config import Config

TABLE, DESTINATION = "rtb-0a11febe0a7b00002", "10.20.0.0/16"
DATABASE, SPARE = "eni-0a11febe0a7000db0", "eni-0a11febe0a75ba4e0"
STANDBY = ["i-0a11febe0a7500001", "i-0a11febe0a7500002"]
ZONE, RECORD = "Z0LIFEBOATEXAMPLECOM", "pay.example.com."
PATIENCE = {"Delay": 1, "MaxAttempts": 30}


def client(service):
    return boto3.client(service, config=Config(connect_timeout=3, read_timeout=10))


def lead(interface):
    client("ec2").replace_route(RouteTableId=TABLE, DestinationCidrBlock=DESTINATION, NetworkInterfaceId=interface)


def weigh(weights):
    route53 = client("route53")
    listed = route53.list_resource_record_sets(HostedZoneId=ZONE)["ResourceRecordSets"]
    sets = [one for one in listed if one["Name"] == RECORD and one.get("SetIdentifier") in weights]
    changes = [{"Action": "UPSERT", "ResourceRecordSet": {**one, "Weight": weights[one["SetIdentifier"]]}} for one in sets]
    made = route53.change_resource_record_sets(HostedZoneId=ZONE, ChangeBatch={"Changes": changes})
    route53.get_waiter("resource_record_sets_changed").wait(Id=made["ChangeInfo"]["Id"], WaiterConfig=PATIENCE)


def inject():
    lead(SPARE)


def start():
    ec2 = client("ec2")
    ec2.start_instances(InstanceIds=STANDBY)
    ec2.get_waiter("instance_running").wait(InstanceIds=STANDBY, WaiterConfig=PATIENCE)


def shift():
    weigh({"aws": 0, "aliyun": 100})


def heal():
    lead(DATABASE)


def unshift():
    weigh({"aws": 100, "aliyun": 0})


def stop():
    ec2 = client("ec2")
    ec2.stop_instances(InstanceIds=STANDBY)
    ec2.get_waiter("instance_stopped").wait(InstanceIds=STANDBY, WaiterConfig=PATIENCE)


if __name__ == "__main__":
    {step.__name__: step for step in (inject, start, shift, heal, unshift, stop)}[sys.argv[1]]()

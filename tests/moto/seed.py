"""Fills a moto server with the AWS half of the lab's world and prints the ids as one JSON object.

usage: seed.py URL

The names, tags, weights and addresses are those of the lab; ids are moto's own. The same function seeds the comparison of the
aws CLI's answers, so it makes everything through public calls.
"""

import json
import sys

import boto3


def client(url, service):
    """A boto3 client of one service at `url`, with any keys: moto checks none."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="LIFEBOATLAB000000001",
        aws_secret_access_key="lab-secret-not-for-real-clouds",
    )


def seed(url):
    """Makes the world; returns its ids by name."""
    ec2, ids = client(url, "ec2"), {}
    ids["vpc"] = ec2.create_vpc(CidrBlock="10.10.0.0/16")["Vpc"]["VpcId"]
    for name, block in [("storefront", "10.10.1.0/24"), ("checkout", "10.10.2.0/24"), ("data", "10.10.3.0/24")]:
        ids[f"subnet_{name}"] = ec2.create_subnet(VpcId=ids["vpc"], CidrBlock=block)["Subnet"]["SubnetId"]

    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]

    def run(name, subnet, role, posture):
        tags = {"Name": name, "role": role, "posture": posture}
        answer = ec2.run_instances(
            ImageId=image,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            SubnetId=ids[subnet],
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}],
        )
        return answer["Instances"][0]

    ids["storefront"] = [run(f"storefront-aws-{n}", "subnet_storefront", "storefront", "standby")["InstanceId"] for n in (1, 2)]
    ids["checkout"] = [run(f"checkout-aws-{n}", "subnet_checkout", "checkout", "active")["InstanceId"] for n in (1, 2)]
    database = run("orders-db", "subnet_data", "orders-db", "active")
    ids["database"] = database["InstanceId"]
    ids["interface"] = database["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.stop_instances(InstanceIds=ids["storefront"])
    ids["spare"] = ec2.create_network_interface(SubnetId=ids["subnet_data"])["NetworkInterface"]["NetworkInterfaceId"]

    ids["table"] = ec2.create_route_table(VpcId=ids["vpc"])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=ids["table"], SubnetId=ids["subnet_checkout"])
    ec2.create_route(RouteTableId=ids["table"], DestinationCidrBlock="10.20.0.0/16", NetworkInterfaceId=ids["interface"])

    ids["image"] = ec2.create_image(InstanceId=ids["storefront"][0], Name="shop-standby-2026-11")["ImageId"]

    route53 = client(url, "route53")
    for name in ("example.com.", "example.org."):
        zone = route53.create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"]
        ids.setdefault("zone", zone.removeprefix("/hostedzone/"))
    # In the order in which Route 53 lists them; moto keeps the order of creation.
    sets = [
        ("pay", "aliyun", 0, ["127.1.2.21", "127.1.2.22"]),
        ("pay", "aws", 100, ["127.1.1.21", "127.1.1.22"]),
        ("shop", "aliyun", 100, ["127.1.2.11", "127.1.2.12"]),
        ("shop", "aws", 0, ["127.1.1.11", "127.1.1.12"]),
    ]
    changes = [
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": f"{name}.example.com.",
                "Type": "A",
                "SetIdentifier": label,
                "Weight": weight,
                "TTL": 5,
                "ResourceRecords": [{"Value": value} for value in values],
            },
        }
        for name, label, weight, values in sets
    ]
    route53.change_resource_record_sets(HostedZoneId=ids["zone"], ChangeBatch={"Changes": changes})

    s3 = client(url, "s3")
    for bucket in ("shop-orders-mirror", "shop-assets"):
        s3.create_bucket(Bucket=bucket)
    return ids


if __name__ == "__main__":
    print(json.dumps(seed(sys.argv[1])))

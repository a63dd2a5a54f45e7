"""Makes sdk.tsv: for each word of the list that `LIFEBOAT_WORDS=FILE cargo test --test it words` wrote, where the vendor's own SDK has it.
Words that stand in documented.tsv are left out; those that are nowhere are printed, and the exit code is then 1.

    python tests/words/find.py FILE        (with the packages of tests/requirements.txt)
"""
import gzip
import importlib.util
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[.-][A-Za-z0-9]+)*")
ALIYUN = ["ecs20140526", "vpc20160428", "alidns20150109", "dts20200101", "cms20190101", "sts20150401", "oss_v2"]
AWS = ["ec2", "route53", "s3", "sts", "cloudwatch"]


def folder(package):
    return pathlib.Path(importlib.util.find_spec(package).origin).parent


def aliyun():
    for product in ALIYUN:
        base = folder(f"alibabacloud_{product}")
        for file in sorted(base.rglob("*.py")):
            yield f"{base.name}/{file.relative_to(base)}", file.read_text(errors="replace")


def aws():
    for service in AWS:
        for file in sorted((folder("botocore") / "data" / service).glob("*/service-2.json*")):
            data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            yield f"botocore {service} {file.parent.name}", data.decode()
    for name in ["retries/standard.py", "data/_retry.json", "auth.py", "parsers.py"]:
        yield f"botocore {name}", (folder("botocore") / name).read_text()


def index(texts):
    """Word to the first place that has it; a place where it is a value or a name of its own goes before one that only mentions it."""
    quoted, mentioned = {}, {}
    for place, text in texts:
        for word in set(re.findall(r"""['"`*]([A-Za-z][A-Za-z0-9.-]*)['"`*]""", text)):
            quoted.setdefault(word, place)
        for word in set(WORD.findall(text)):
            mentioned.setdefault(word, place)
    return mentioned | quoted


def main():
    wanted = [line.split("\t") for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
    documented = {tuple(line.split("\t")[:2]) for line in (HERE / "documented.tsv").read_text().splitlines() if not line.startswith("#")}
    known = {"aliyun": index(aliyun()), "aws": index(aws())}
    rows, missing = [], []
    for cloud, word in wanted:
        if (cloud, word) in documented:
            continue
        # Only words of its own: a pattern says nothing about which codes there are.
        place = known[cloud].get(word)
        rows.append(f"{cloud}\t{word}\t{place}") if place else missing.append(f"{cloud}\t{word}")
    head = "# Words of the vendors, and the file of their own SDK that has each. Made by find.py.\n"
    (HERE / "sdk.tsv").write_text(head + "\n".join(rows) + "\n")
    print("\n".join(missing))
    sys.exit(bool(missing))


main()

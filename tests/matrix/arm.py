"""Eleven runs, and for each the whole world beside what was said: the state of the clouds, the exit code, the sentences of the report, every figure again.

LIFEBOAT is the binary. Each run has a lab of its own. `arm.py NAME…` makes only these.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import recompute
from checks import Checks

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIFEBOAT = os.environ["LIFEBOAT"]
MOVES = {"now", "clock", "time", "traffic", "objects", "orders", "requests", "metrics", "changes", "events", "seq", "log"}
NEVER_AFTER_A_LEFTOVER = ["Nothing is left over", "everything put back"]


def settled(value):
    if isinstance(value, dict):
        return {key: settled(one) for key, one in value.items() if key not in MOVES}
    return [settled(one) for one in value] if isinstance(value, list) else value


class Place:
    """A lab, a copy of the shipped project, and what a run in them came to."""

    def __init__(self, name, seed=7):
        self.name = name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"lifeboat-matrix-{name}-"))
        for part in ("scenarios", "runbooks"):
            shutil.copytree(ROOT / part, self.folder / part)
        for part in ("lifeboat.yaml", "freezes.yaml"):
            shutil.copy(ROOT / part, self.folder / part)
        command = [LIFEBOAT, "lab", "--output", "json", "--seed", str(seed)]
        self.lab = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.endpoints = json.loads(self.lab.stdout.readline())
        self.control = self.endpoints["control"]
        self.environment = {**os.environ, "NO_COLOR": "1", "HOME": str(self.folder), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}

    def get(self, path):
        with urllib.request.urlopen(f"{self.control}{path}", timeout=10) as answer:
            return answer.read().decode()

    def world(self):
        """The clouds as they are, without what moves by itself: orders go on all the while, and alarms look at them."""
        return settled(json.loads(self.get("/world")))

    def rule(self, **rule):
        """Lets the clouds misbehave."""
        request = urllib.request.Request(f"{self.control}/faults", data=json.dumps(rule).encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def edit(self, file, old, new):
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} does not hold {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def write(self, file, text):
        (self.folder / file).write_text(text, encoding="utf-8")

    def begin(self, *arguments, reports="reports", env=None):
        command = [LIFEBOAT, *arguments, "--reports", str(self.folder / reports)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments, **more):
        """Runs to the end: the exit code and all that was said."""
        process = self.begin(*arguments, **more)
        said, _ = process.communicate(timeout=240)
        return process.returncode, said

    def kept(self, reports="reports"):
        """The folder of the newest run."""
        return max(path for path in (self.folder / reports).iterdir() if (path / "journal.jsonl").exists())

    def wait_for(self, event, step, reports="reports", seconds=120):
        """Waits until the journal has an event of a step."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for journal in (self.folder / reports).glob("*/journal.jsonl"):
                if any(f'"event":"{event}"' in line and f'"step":"{step}"' in line for line in journal.read_text(encoding="utf-8").splitlines()):
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{step} was never {event}")

    def end(self):
        self.lab.terminate()
        self.lab.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


class Claims(Checks):
    """Claims of one run, kept until it is over: runs go on side by side."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def that(self, claim, holds, detail=""):
        if holds:
            self.passed += 1
            self.lines.append(f"  ok      {claim}")
        else:
            self.failed += 1
            self.lines.append(f"  FAILED  {claim}" + (f"\n          {detail}" if detail else ""))
        return holds


def judged(claims, place, code, said, expected, must=(), never=(), figures=True):
    """The exit code, the sentences and the figures of the run that has just ended; gives its report."""
    claims.that(f"exit code {expected}", code == expected, f"{code}: {said[-1500:]}")
    folder = place.kept()
    report = (folder / "report.en.md").read_text(encoding="utf-8")
    for sentence in must:
        claims.that(f"the report says: {sentence}", sentence in report, report[:1500])
    for sentence in never:
        claims.that(f"the report does not say: {sentence}", sentence not in report)
    if figures:
        recompute.recompute(folder, claims)
    return report


def shipped(scenario):
    def drill(claims, place):
        before = place.world()
        code, said = place.run("drill", f"scenarios/{scenario}.yaml", "--lab", place.control)
        judged(claims, place, code, said, 0, ["● **PASS**", "Nothing is left over", "simulated"], ["▲ not met", "not by the failover"])
        claims.equal("the world is as it was before", place.world(), before)

    return drill


def no_failback(claims, place):
    before = place.world()
    code, said = place.run("drill", "scenarios/aliyun-region-outage.yaml", "--no-failback", "--lab", place.control)
    judged(claims, place, code, said, 0, ["failback not tested"], NEVER_AFTER_A_LEFTOVER)
    claims.that("the failover stays in the clouds", place.world() != before)
    code, said = place.run("abort", "latest", "--lab", place.control, "--yes-because", "the exercise is over")
    claims.that("abort takes it back", code == 0, said[-1500:])
    claims.equal("then the world is as it was before", place.world(), before)


def rto_missed(claims, place):
    before = place.world()
    place.edit("scenarios/aliyun-region-outage.yaml", "storefront: { rto: 60s", "storefront: { rto: 1s")
    code, said = place.run("drill", "scenarios/aliyun-region-outage.yaml", "--lab", place.control)
    judged(claims, place, code, said, 2, ["▲ **FAIL**", "▲ not met"], ["● **PASS**"])
    claims.equal("the world is as it was before", place.world(), before)


def terminated(claims, place):
    before = place.world()
    process = place.begin("drill", "scenarios/aliyun-region-outage.yaml", "--lab", place.control)
    place.wait_for("applied", "failover/share-image")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    judged(claims, place, process.returncode, said, 4, ["**ABORTED**"], ["● **PASS**"])
    claims.equal("the world is as it was before", place.world(), before)


def emergency(claims, place):
    # The disaster: somebody else stopped every host of the storefront on Alibaba Cloud.
    place.write(
        "disaster.yaml",
        "lifeboat: 1\nkind: runbook\ntitle: Disaster\nsteps:\n  - id: stop\n    uses: aliyun.ecs.stop-instances\n"
        "    with: { instances: { tags: { role: storefront, posture: active } } }\n",
    )
    code, said = place.run("execute", "disaster.yaml", "--env", "lab", "--lab", place.control, reports="others")
    claims.that("the disaster happens", code in (0, 3), said[-800:])
    broken = place.world()
    code, said = place.run("execute", "runbooks/fail-over-to-aws.yaml", "--env", "lab", "--lab", place.control)
    judged(claims, place, code, said, 0, ["● **PASS**"], NEVER_AFTER_A_LEFTOVER)
    claims.that("the failover stays in the clouds", place.world() != broken)
    claims.that("the screen names a way back", "abort" in said or "fail-back" in said, said[-800:])


def failed_step(claims, place):
    before = place.world()
    place.rule(does="denied", calls="route53:ChangeResourceRecordSets", count=200)
    code, said = place.run("drill", "scenarios/aliyun-region-outage.yaml", "--lab", place.control)
    judged(claims, place, code, said, 2, ["▲ **FAIL**", "failover/shift-dns"], ["● **PASS**", "every required step done"])
    claims.equal("the world is as it was before", place.world(), before)


def blind_source(claims, place):
    before = place.world()
    place.edit("scenarios/sync-stop.yaml", "orders: { rpo: 20s }", "orders: { rpo: 3s }")
    place.rule(does="server-error", calls="oss:ListObjects*", skip=9, count="forever", **{"for": "8300ms"})
    code, said = place.run("drill", "scenarios/sync-stop.yaml", "--lab", place.control)
    claims.that("a source that nobody could read meets no objective", code in (2, 3), f"{code}: {said[-1500:]}")
    judged(claims, place, code, said, code, [], ["● **PASS**"])
    claims.equal("the world is as it was before", place.world(), before)


def custom_endpoint(claims, place):
    before = place.world()
    ends = place.endpoints
    vars_of_lab = json.loads(place.get("/environment"))["vars"]
    environment = {
        "aws": {"region": "us-east-1", "account": "111122223333", "endpoint": ends["aws"]},
        "aliyun": {"region": "cn-hangzhou", "account": "1234567890123456", "endpoint": ends["aliyun"], "oss_endpoint": ends["oss"]},
        "dns": {"server": ends["dns"]},
        "zones": {"example.com": {"provider": "aws"}, "example.cn": {"provider": "aliyun"}},
        "guards": {"max_targets": 100},
        "vars": vars_of_lab,
    }
    project = (place.folder / "lifeboat.yaml").read_text(encoding="utf-8")
    ours = "environments:\n  ours: " + json.dumps(environment) + "\n"
    place.write("lifeboat.yaml", project.replace("environments:\n", ours, 1))
    keys = {
        "AWS_ACCESS_KEY_ID": ends["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ends["secret_access_key"],
        "ALIBABA_CLOUD_ACCESS_KEY_ID": ends["access_key_id"],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ends["secret_access_key"],
    }
    code, said = place.run("drill", "scenarios/aws-route-failure.yaml", "--env", "ours", env=keys)
    judged(claims, place, code, said, 0, ["● **PASS**", "simulated"], ["| full |", "◐ full"])
    claims.equal("the world is as it was before", place.world(), before)


def bad_day(claims, place):
    """The environment of the guide in which the clouds misbehave, as it stands there."""
    guide = (ROOT / "docs/guide/own-world.md").read_text(encoding="utf-8")
    block = next(block for block in re.findall(r"```yaml\n(.*?)```", guide, flags=re.S) if "bad-day:" in block)
    project = (place.folder / "lifeboat.yaml").read_text(encoding="utf-8")
    place.write("lifeboat.yaml", project.replace("environments:\n", block, 1))
    code, said = place.run("drill", "scenarios/aliyun-region-outage.yaml", "--env", "bad-day")
    judged(claims, place, code, said, 0, ["● **PASS**", "Nothing is left over"], ["▲ not met"])


RUNS = {
    "region-outage": shipped("aliyun-region-outage"),
    "route-failure": shipped("aws-route-failure"),
    "sync-stop": shipped("sync-stop"),
    "no-failback": no_failback,
    "rto-missed": rto_missed,
    "sigterm": terminated,
    "emergency": emergency,
    "failed-step": failed_step,
    "blind-source": blind_source,
    "custom-endpoint": custom_endpoint,
    "bad-day": bad_day,
}


def one(name):
    claims, place = Claims(), None
    try:
        place = Place(name)
        RUNS[name](claims, place)
    except Exception as error:  # A run that cannot even be looked at is a claim that failed.
        claims.that("the run can be looked at", False, repr(error))
    finally:
        if place:
            place.end()
    return name, claims


if __name__ == "__main__":
    checks = Checks()
    names = sys.argv[1:] or list(RUNS)
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        for name, claims in pool.map(one, names):
            print(f"{name}:\n" + "\n".join(claims.lines), flush=True)
            checks.passed += claims.passed
            checks.failed += claims.failed
    checks.end()

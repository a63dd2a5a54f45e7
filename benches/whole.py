"""What the programs of this folder share: whole processes, timed; a lab; the peers, installed."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("LIFEBOAT", str(ROOT / "target/release/lifeboat"))
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# What is in a lab's world and moves by itself.
MOVES = ("now", "clock", "time", "traffic", "objects", "orders", "requests", "metrics", "changes", "events", "seq", "log")


class Spent:
    """What one process took: wall and CPU seconds, its children's CPU too, and its peak memory in MiB."""

    def __init__(self, command, expected=(0,), **options):
        begun = time.perf_counter()
        process = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.wall, self.cpu, self.memory = time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        if expected and process.returncode not in expected:
            raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}")


class Lab:
    """Simulated clouds in a process of their own."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([BINARY, "lab", "--output", "json", *arguments], stdout=subprocess.PIPE, text=True)
        self.at = json.loads(self.process.stdout.readline())
        self.control = self.at["control"]

    def get(self, path):
        return DIRECT.open(self.control + path).read().decode()

    def truth(self):
        return [json.loads(line) for line in self.get("/truth").splitlines()]

    def calls(self):
        return [json.loads(line) for line in self.get("/calls").splitlines()]

    def faults(self, method, *rules):
        request = urllib.request.Request(self.control + "/faults", json.dumps(rules).encode() if rules else None, method=method)
        return json.loads(DIRECT.open(request).read())

    def world(self):
        """What is in it, without what moves by itself."""

        def settled(value):
            if isinstance(value, dict):
                return {key: settled(inner) for key, inner in value.items() if key not in MOVES}
            return [settled(inner) for inner in value] if isinstance(value, list) else value

        return settled(json.loads(self.get("/world")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def nanos(moment):
    """Nanoseconds since 1970 of a moment as Lifeboat writes it; TZ must be UTC."""
    whole, part = moment.rstrip("Z").split(".")
    return int(time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))) * 10**9 + int(part)


def install_peers():
    """The Python of an environment with the peers in it."""
    wanted = ROOT / "benches/peers/requirements.txt"
    venv = ROOT / ".cache" / ("peers-" + hashlib.sha256(wanted.read_bytes()).hexdigest()[:12])
    python = venv / "bin/python"
    if not (venv / "complete").exists():
        print("installing the peers", file=sys.stderr)
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(wanted)], check=True)
        (venv / "complete").touch()
    return python

"""A real Prometheus scraping the lab's /metrics, and the product's prometheus probe asking it.

LIFEBOAT is the product's binary, PROMETHEUS Prometheus', LIFEBOAT_LAB the line of `lifeboat lab --output json`.
"""

import atexit
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

import boto3
from checks import Checks

checks = Checks()
lab = json.loads(os.environ["LIFEBOAT_LAB"])
work = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-prometheus-"))
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(base, query):
    """The instant vector of a query: [(labels, value)]."""
    with direct.open(f"{base}/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout=5) as answer:
        body = json.load(answer)
    return [(sample["metric"], float(sample["value"][1])) for sample in body["data"]["result"]]


def until(read, good, seconds=40):
    """What `read` gives once it is good, or at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = read()
        except OSError as error:
            value = error
        if (not isinstance(value, OSError) and good(value)) or time.monotonic() > deadline:
            return value
        time.sleep(0.3)


# A counter of API calls has no series before the first call.
boto3.client("sts", endpoint_url=lab["aws"], region_name="us-east-1", aws_access_key_id=lab["access_key_id"],
             aws_secret_access_key=lab["secret_access_key"]).get_caller_identity()

metrics = urllib.parse.urlsplit(lab["prometheus"])
with direct.open(f"{lab['prometheus'].rstrip('/')}/metrics", timeout=5) as answer:
    kind, page = answer.headers["Content-Type"], answer.read().decode()
checks.that("the page says that it is the text format", kind.startswith("text/plain") and "version=0.0.4" in kind, kind)
checks.that("every metric has its help and its type", page.count("# HELP ") == page.count("# TYPE ") > 0)

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
(work / "prometheus.yml").write_text(
    json.dumps(
        {
            "global": {"scrape_interval": "1s", "scrape_timeout": "900ms"},
            "scrape_configs": [{"job_name": "lab", "scheme": metrics.scheme, "static_configs": [{"targets": [metrics.netloc]}]}],
        }
    ),
    encoding="utf-8",
)
log = open(work / "log", "w", encoding="utf-8")
server = subprocess.Popen(
    [
        os.environ["PROMETHEUS"],
        f"--config.file={work}/prometheus.yml",
        f"--storage.tsdb.path={work}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ],
    stdout=log,
    stderr=subprocess.STDOUT,
)
atexit.register(server.wait)
atexit.register(server.terminate)
base = f"http://127.0.0.1:{port}"

up = until(lambda: ask(base, 'up{job="lab"}'), lambda found: found and found[0][1] == 1)
checks.that("Prometheus reads the lab's page", isinstance(up, list) and up and up[0][1] == 1, up)
names = sorted({line.split()[2] for line in page.splitlines() if line.startswith("# TYPE ")})
counters = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE ") and line.endswith(" counter")]
for name in names:
    found = until(lambda name=name: ask(base, f'count({{__name__=~"{name}(_sum|_count|_bucket)?"}})'), bool, 10)
    checks.that(f"{name} is stored", bool(found) and not isinstance(found, OSError), found)

# Counters that move with the load: over the same ten seconds Prometheus' rate and the lab's own must tell the same story.
scrapes = until(lambda: ask(base, 'count_over_time(up{job="lab"}[10s])'), lambda found: found and found[0][1] >= 9)
checks.that("it has read it for ten seconds", isinstance(scrapes, list) and scrapes and scrapes[0][1] >= 9, scrapes)
for name in counters:
    query = f"sum(rate({name}[10s]))"
    theirs, ours = ask(base, query), ask(lab["prometheus"], query)
    near = theirs and ours and abs(theirs[0][1] - ours[0][1]) <= max(0.5, 0.25 * theirs[0][1])
    checks.that(f"the lab's own answer to {query} is near Prometheus'", near, f"lab {ours}, Prometheus {theirs}")

for source in pathlib.Path(__file__).parent.glob("*.yaml"):
    (work / source.name).write_text(source.read_text(encoding="utf-8").replace("http://prometheus.invalid", base), encoding="utf-8")


def lifeboat(query, above):
    words = ["execute", "scraped.yaml", "--env", "lab", "--lab", lab["control"], "--with", f"query={query}", "--with", f"above={above}", "--output", "json"]
    done = subprocess.run([os.environ["LIFEBOAT"], *words], cwd=work, capture_output=True, text=True, timeout=120)
    return done.returncode, (done.stdout + done.stderr)[-1500:]


code, output = lifeboat('up{job="lab"}', 0)
# 3: it ended well, and as nothing was down there is nothing to judge.
checks.that("the product's probe reads it", code == 3, output)
code, output = lifeboat('up{job="lab"}', 1)
checks.that("and finds too small what is", code == 2, output)
code, output = lifeboat('up{job="nobody"}', 0)
checks.that("and an empty answer is not good", code == 2, output)
checks.end()

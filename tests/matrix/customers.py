"""Whether those whom the bound for users who keep names is about are inside it: the lab's own customers, who keep what DNS answered for its TTL.

    customers.py [COUNT]     COUNT drills with different seeds, three at once; the last line is `N passed, N failed`
"""

import concurrent.futures
import re
import sys
import threading
import time
import urllib.request

import recompute
from arm import Place
from checks import Checks

# A request that nobody answers counts as failed this long after it was sent.
CUSTOMERS_TIMEOUT = 1.0


def failures(place, service):
    """How many requests of customers of a service have failed so far."""
    with urllib.request.urlopen(place.endpoints["prometheus"] + "/metrics", timeout=10) as answer:
        text = answer.read().decode()
    lines = re.findall(rf'^shop_requests_total{{[^}}]*outcome="(?:error|timeout)"[^}}]*service="{service}"}} (\d+)', text, flags=re.M)
    return sum(map(int, lines))


def watched(place, service, seen, over):
    """Notes when the count of failures was seen to have grown."""
    last = failures(place, service)
    while not over.wait(0.05):
        now = failures(place, service)
        if now > last:
            seen.append(time.time())
        last = now


def one(seed):
    place = Place(f"customers-{seed}", seed=seed)
    try:
        seen, over = [], threading.Event()
        watcher = threading.Thread(target=watched, args=(place, "storefront", seen, over))
        watcher.start()
        code, said = place.run("drill", "scenarios/aliyun-region-outage.yaml", "--no-failback", "--lab", place.control)
        over.set()
        watcher.join()
        run = recompute.Run(place.kept())
        probe = next(probe for probe in run.plan["probes"] if probe["id"] == "storefront")
        outage = recompute.of_disruption(run, probe)
        row = next(row for row in run.tables("Result against objectives") if "`storefront`" in row[0])
        bound = re.search(r"≤ ([\d.]+) s", row[3])
        # The fault is taken out at the end; what follows is not the failover's.
        until = run.until() / recompute.SECOND
        failed = [at for at in seen if at <= until]
        took = max(failed) - CUSTOMERS_TIMEOUT - outage[0] / recompute.SECOND if failed and outage else None
        return seed, took, float(bound[1]) if bound else None, f"exit {code}; {row}"
    finally:
        place.end()


if __name__ == "__main__":
    checks = Checks()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        for seed, took, bound, detail in pool.map(one, range(1, count + 1)):
            holds = took is not None and bound is not None and took <= bound
            checks.that(f"seed {seed}: customers were served again within the bound ({took and round(took, 2)} s of {bound} s)", holds, detail)
    checks.end()

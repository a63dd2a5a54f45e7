"""Computes the figures of a run's report again, from its samples, its journal and its definitions, without a line of the product.

    recompute.py RUN_FOLDER…     the last line is `N passed, N failed`

What the report says must be what follows from the samples: counts, outages with their bounds, objectives, phases, lags, steps, calls, digests.
"""

import hashlib
import itertools
import json
import pathlib
import re
import sys

import pyarrow.ipc
import rfc8785
from checks import Checks

SECOND = 1_000_000_000


def nanos(text):
    """RFC 3339 in UTC, to the nanosecond, as nanoseconds since 1970."""
    import calendar
    import time

    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * SECOND + int(fraction.ljust(9, "0")[:9])


def span(text):
    """A written span in nanoseconds."""
    units = {"d": 86400 * SECOND, "h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": SECOND // 1000}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|[dhms])", text))


class Run:
    """What is kept of a run."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.lines = (self.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()
        self.events = [json.loads(line) for line in self.lines]
        self.plan = self.events[0]["plan"]
        self.report = (self.folder / "report.en.md").read_text(encoding="utf-8")
        self.samples = {}
        for file in sorted(self.folder.glob("samples-*.arrows")):
            table = pyarrow.ipc.open_stream(file.read_bytes()).read_all()
            columns = {name: table.column(name) for name in ("probe", "sent", "done", "reading", "late")}
            columns["sent"], columns["done"] = (columns[name].cast("int64") for name in ("sent", "done"))
            for row in zip(*(columns[name].to_pylist() for name in ("probe", "sent", "done", "reading", "late"))):
                self.samples.setdefault(row[0], []).append(dict(zip(("sent", "done", "reading", "late"), row[1:])))
        for rows in self.samples.values():
            rows.sort(key=lambda row: row["sent"])

    def of(self, kind, **fields):
        return [event for event in self.events if event["event"] == kind and all(event.get(key) == value for key, value in fields.items())]

    def stage(self, name):
        found = self.of("stage", stage=name)
        return nanos(found[0]["at"]) if found else None

    def until(self):
        """The end of what is measured: the way back or the cleaning up begins, or the run ends."""
        begun = [at for at in (self.stage("failback"), self.stage("cleanup")) if at is not None]
        return min(begun) if begun else nanos(self.events[-1]["at"])

    def since(self):
        """The beginning of what is measured: the fault's intent, or the start of an emergency."""
        intents = self.of("intended", step="fault")
        return nanos(intents[0]["at"]) if intents else nanos(self.events[0]["at"])

    def tables(self, title):
        """The rows of the tables below a heading, as lists of cells without their marks."""
        section = re.split(r"^## ", self.report, flags=re.M)
        body = next((part for part in section if re.match(rf"\d+ {re.escape(title)}\n", part)), "")
        rows = [line for line in body.splitlines() if line.startswith("| ") and not re.match(r"^\|[ :|-]+\|$", line)]
        return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip("|"))] for row in rows]


def outages(rows, bad_after, good_after):
    """Outages by the samples: (down lo, down hi, confirmed, up lo, up hi); the end is None when there was none."""
    raw = last_sent = edge = None
    run_length, state, found, edges = 0, None, [], []
    for row in rows:
        if row["reading"] == "unknown":
            continue
        now = row["reading"]
        if now == raw:
            run_length += 1
        else:
            if raw is not None or now == "bad":
                edge = (last_sent if last_sent is not None else row["sent"], row["done"])
                edges.append((now, edge, run_length))
            raw, run_length = now, 1
        last_sent = row["sent"]
        if state != now and run_length >= (bad_after if now == "bad" else good_after):
            if now == "bad":
                index = len(edges) - 1
                while index >= 2 and edges[index][2] < good_after:
                    index -= 2
                found.append([*edges[index][1], row["done"], None, None])
            elif found:
                found[-1][3:] = edge
            state = now
    if found and found[-1][3] is None and edges[-1][0] == "good":
        found[-1][3:] = edges[-1][1]
    return found


def of_disruption(run, probe):
    """The outage that belongs to the disruption, from the first one that began in it to the end of the last."""
    since, until = run.since(), run.until()
    rows = run.samples.get(probe["id"], [])
    found = [one for one in outages(rows, probe["bad_after"], probe["good_after"]) if one[2] >= since and since <= one[1] <= until]
    if not found:
        return None
    first, last = found[0], found[-1]
    return [*first[:3], *last[3:]]


def blur(run, probe):
    """By how much a probe that compares with a store's clock may be off."""
    values = [event["value"] for event in run.of("reading", probe=probe["id"]) if isinstance(event["value"], dict)]
    steps = max((value.get("resolution_ms", 0) for value in values), default=0) * 1_000_000
    clock = run.events[0].get("clock_error_ms") or 0
    return steps + (round(2 * clock * 1_000_000) if any("age_ms" in value for value in values) else 0)


def shown(text):
    """The first `likely (lo–hi)` in a cell, in nanoseconds; `at least x` has no end."""
    number = r"(?:(\d+):)?(\d+(?:\.\d+)?)"
    as_nanos = lambda minutes, seconds: round((int(minutes or 0) * 60 + float(seconds)) * SECOND)
    if match := re.search(rf"at least {number}", text):
        return (as_nanos(*match.groups()), None, None)
    if match := re.search(rf"{number} s? ?\({number}–{number}\)", text):
        groups = match.groups()
        return (as_nanos(*groups[2:4]), as_nanos(*groups[0:2]), as_nanos(*groups[4:6]))
    if match := re.search(rf"{number} s", text):
        exact = as_nanos(*match.groups())
        return (exact, exact, exact)
    return None


def steps_of(nanoseconds):
    """In what steps a length is shown, outwards."""
    return SECOND // 100 if nanoseconds < 60 * SECOND else SECOND // 10


def outwards(lo, hi):
    unit = steps_of(hi)
    return (lo // unit * unit, -(-hi // unit) * unit)


def check_bounds(checks, claim, cell, bounds):
    """What is shown must be these bounds, rounded outwards, with its likeliest value inside."""
    said = shown(cell)
    if said is None:
        return checks.that(claim, False, f"no figure in {cell!r}")
    lo, likely, hi = said
    want = outwards(*bounds)
    checks.equal(f"{claim}: bounds", [lo, hi], list(want))
    return checks.that(f"{claim}: the likeliest value lies inside", lo <= likely <= hi, cell)


def check_chain(run, checks):
    previous = hashlib.sha256(b"drill-genesis/v1\0" + run.events[0]["run"].encode()).hexdigest()
    for number, event in enumerate(run.events, 1):
        body = {key: value for key, value in event.items() if key != "hash"}
        digest = hashlib.sha256(b"drill-event/v1\0" + rfc8785.dumps(body)).hexdigest()
        if not (event["prev"] == previous and event["hash"] == digest and event["seq"] == number):
            return checks.that("every event's hash follows from it and the one before", False, f"event {number}")
        previous = digest
    checks.that("every event's hash follows from it and the one before", True)
    checks.that("the report names the journal's head", f"`{previous}`" in run.report)
    return checks.that("the report counts the events", f"{len(run.events)}, 1–{len(run.events)}, no gap" in run.report)


def check_files(run, checks):
    for event in run.of("samples"):
        digest = hashlib.sha256((run.folder / event["file"]).read_bytes()).hexdigest()
        checks.that(f"{event['file']} has the digest of the journal and of the report", digest == event["sha256"] and digest in run.report)
        rows = pyarrow.ipc.open_stream((run.folder / event["file"]).read_bytes()).read_all().num_rows
        checks.equal(f"{event['file']} has as many samples as the journal says", rows, event["rows"])
    for definition in run.plan["definitions"]:
        copy = run.folder / "definitions" / definition["path"].replace("../", "")
        checks.that(f"the copy of {definition['path']} has its digest", hashlib.sha256(copy.read_bytes()).hexdigest() == definition["sha256"])


def check_availability(run, checks):
    until = run.until()
    probes = {probe["id"]: probe for probe in run.plan["probes"]}
    for row in run.tables("Availability"):
        match = re.search(r"`([^`]+)`$", row[0])
        if not match or match[1] not in probes or len(row) < 6 or "/" not in row[3]:
            continue
        probe, claim = probes[match[1]], f"availability of {match[1]}"
        # Samples are counted together from one tally to the next; the one in which the recovery ended is told at that moment, and counts whole.
        tallies = [tally for tally in run.of("tally", probe=probe["id"]) if nanos(tally["from"]) < until]
        end = max((nanos(tally["to"]) for tally in tallies), default=until)
        # They are counted in the order in which they were sent: one that waits for an earlier one's answer is not counted yet.
        all_sent = run.samples.get(probe["id"], [])
        rows = [one for one, done in zip(all_sent, itertools.accumulate((one["done"] for one in all_sent), max)) if done <= end]
        told = [sum(tally[key] for tally in tallies) for key in ("good", "bad", "unknown", "missed", "late")]
        said = [int(number) for number in row[3].split("/")]
        checks.equal(f"{claim}: the counts are those of the journal", said, told)
        counted = [sum(one["reading"] == word for one in rows) for word in ("good", "bad", "unknown")]
        off = max(abs(one - other) for one, other in zip(counted, said))
        # A sample whose answer came in while the count was written may stand on either side.
        checks.that(f"{claim}: the counts are those of the samples", off <= 1, f"{counted} {said}")
        good, bad, unknown, missed = said[:4]
        all_known, everything = good + bad, good + bad + unknown + missed
        part = lambda whole: int(good * 1_000_000 / whole) / 10_000 if whole else 0.0
        figures = [float(figure) for figure in re.findall(r"(\d+\.\d+)", row[4])]
        want = sorted({int(part(everything) * 100) / 100, int(part(all_known) * 100) / 100})
        checks.equal(f"{claim}: the share of good samples", sorted(set(figures)), want)
        check_outage(run, checks, probe, row[5], f"outage of {match[1]}")


def nobody_saw_it_begin(run, probe, down_hi):
    """Whether the outage began before the probe's samples did: fewer of them were good before its first bad one than confirm a service as good."""
    known = [row for row in run.samples[probe["id"]] if row["reading"] != "unknown"]
    before = list(itertools.takewhile(lambda row: row["reading"] == "good", known))
    return len(before) < probe["good_after"] and known[len(before)]["done"] == down_hi


def check_outage(run, checks, probe, cell, claim):
    found = of_disruption(run, probe)
    if found is None or found[3] is None:
        return checks.that(f"{claim}: none that ended in the recovery", shown(cell) is None or "at least" in cell or "none" in cell, cell)
    down_lo, down_hi, _, up_lo, up_hi = found
    if nobody_saw_it_begin(run, probe, down_hi):
        # Nobody saw it begin: what is known is a lower bound, in an emergency from the run's start, before which it was noticed.
        said = shown(cell)
        began = nanos(run.events[0]["at"]) if run.plan["mode"] == "emergency" else down_hi
        held = "at least" in cell and said[0] <= up_lo - began + SECOND // 100
        return checks.that(f"{claim}: at least what was seen of it", held, f"{cell}; seen {up_lo - began} ns")
    if shown(cell) is None or "at least" in cell:
        return checks.that(f"{claim}: it ended in the run", False, cell)
    widened = blur(run, probe)
    return check_bounds(checks, claim, cell, (max(0, up_lo - down_hi - widened), up_hi - down_lo + widened))


def check_objectives(run, checks):
    probes = {probe["id"]: probe for probe in run.plan["probes"]}
    rows = [row for row in run.tables("Result against objectives") if len(row) >= 5]
    until = run.until()
    for name, objective in run.plan.get("objectives", {}).items():
        if "rto" not in objective:
            continue
        row = next((row for row in rows if row[0].startswith("RTO") and f"`{name}`" in row[0] and "caches" not in row[0] and "keep" not in row[0]), None)
        if row is None:
            checks.that(f"the RTO of {name} is in the report", False)
            continue
        found = of_disruption(run, probes[name])
        if found and found[3] is not None and found[4] <= until:
            widened = blur(run, probes[name])
            bounds = (max(0, found[3] - found[1] - widened), found[4] - found[0] + widened)
            check_bounds(checks, f"RTA of {name}", row[3], bounds)
            target = span(objective["rto"])
            judged = "met" if bounds[1] <= target else "not met" if bounds[0] > target else None
            if judged:
                checks.that(f"RTO of {name} is {judged}", row[-1].endswith(f" {judged}"), row[-1])
    phases = re.findall(r"^\| (Detect|Decide|Act|Spread|Settle) \|.*\| ([\d:.]+)(?: s)? \| [\d.]+ % \|$", run.report, flags=re.M)
    total = re.search(r"^\| \*\*Total\*\* \|.*\| \*\*([\d:.]+)(?: s)?\*\* \|", run.report, flags=re.M)
    if phases and total:
        seconds = lambda text: sum(float(part) * 60**power for power, part in enumerate(reversed(text.split(":"))))
        checks.equal("the phases sum to the recovery time as shown", round(sum(seconds(time) for _, time in phases), 2), round(seconds(total[1]), 2))


def check_steps(run, checks):
    started = {}
    for event in run.events:
        if event["event"] == "started" and "step" in event and event["attempt"] == 1:
            started[event["step"]] = nanos(event["at"])
    for row in run.tables("What happened"):
        match = re.search(r"`((?:failover|failback)/[^`]+)`$", row[0])
        if not match or len(row) != 8 or match[1] not in started:
            continue
        done = run.of("applied", step=match[1])
        if not done:
            continue
        took = nanos(done[0]["at"]) - started[match[1]]
        parts = [shown(cell) for cell in row[3:5]]
        said = sum(part[1] for part in parts if part)
        checks.that(f"run and verification of {match[1]} are its time", abs(said - took) <= 25_000_000, f"{said} {took} {row}")
    wanted = sorted(event["call"]["request_id"] for event in run.of("call") if event["call"]["mutating"] and event["call"].get("request_id"))
    listed = sorted(re.findall(r"^\| \d+ \| [\d:.]+ \| `[a-z0-9]+:\w+`(?: ×\d+)? \| `[^`]*` \| `([^`]+)` \|", run.report, flags=re.M))
    if wanted:
        checks.equal("every changing call is in the report by its request id", listed, wanted)


def check_verdict(run, checks):
    ended = run.of("ended")
    if not ended:
        return
    verdict = ended[-1]["verdict"].upper()
    checks.that(f"the report's verdict is the journal's, {verdict}", f"**{verdict}**" in run.report)
    if verdict == "PASS":
        checks.that("nothing is missed in a run that passed", "▲ not met" not in run.report and "◐ cannot be told" not in run.report)


def recompute(folder, checks):
    """Every figure of one run."""
    run = Run(folder)
    for check in (check_chain, check_files, check_availability, check_objectives, check_steps, check_verdict):
        check(run, checks)


if __name__ == "__main__":
    checks = Checks()
    for folder in sys.argv[1:]:
        print(f"{folder}:")
        recompute(folder, checks)
    checks.end()

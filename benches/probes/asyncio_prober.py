"""A bare prober as anybody would write it: asyncio, a new connection a sample, open loop, edges by the samples' own times.

It does not ask a name server: `DnsMove` outages are not for it. Prints what it found when its standard input ends.
"""

import asyncio
import json
import resource
import sys
import time

options = json.loads(sys.argv[1])
edges = [[] for _ in options["targets"]]
sent = 0


async def exchange(port):
    reader, writer = await asyncio.open_connection("127.0.0.2", port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n")
        answer = await reader.read(1024)
        return answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"ok")
    finally:
        writer.close()


async def sample(number, port, state):
    global sent
    sent += 1
    begun = time.time_ns()
    try:
        good = await asyncio.wait_for(exchange(port), options["timeout"])
    except (OSError, asyncio.TimeoutError):
        good = False
    if good == state.get("good", True) or begun < state.get("begun", 0):
        return
    state.update(good=good, begun=begun)
    # What goes down did so before this was sent, what comes up did so before the answer.
    half = int(options["every"] * 5e8)
    edges[number].append(["good", time.time_ns() - half] if good else ["bad", begun - half])


async def watch(number, port):
    state, tasks, due = {}, set(), time.monotonic()
    while True:
        task = asyncio.create_task(sample(number, port, state))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        due += options["every"]
        await asyncio.sleep(max(0, due - time.monotonic()))


async def main():
    tasks = [asyncio.create_task(watch(number, port)) for number, (_, port) in enumerate(options["targets"])]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


asyncio.run(main())
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"edges": edges, "cpu": usage.ru_utime + usage.ru_stime, "sent": sent}))

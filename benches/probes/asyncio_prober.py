"""A bare prober as anybody would write it: asyncio, a name resolved and a new connection made for every sample, open loop, edges by the samples' own times.

Prints what it found when its standard input ends.
"""

import asyncio
import json
import random
import resource
import struct
import sys
import time

options = json.loads(sys.argv[1])
host, port = options["names"].rsplit(":", 1)
server = (host, int(port))
edges = [[] for _ in options["targets"]]
sent = 0


class Question(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self.answer = answer

    def datagram_received(self, data, _):
        if not self.answer.done():
            self.answer.set_result(data)


async def resolve(name):
    answer = asyncio.get_running_loop().create_future()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Question(answer), remote_addr=server)
    try:
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        transport.sendto(struct.pack(">HHHHHH", random.getrandbits(16), 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1")
        return ".".join(str(byte) for byte in (await answer)[-4:])
    finally:
        transport.close()


async def exchange(name, port):
    reader, writer = await asyncio.open_connection(await resolve(name), port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n")
        answer = await reader.read(1024)
        return answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"ok")
    finally:
        writer.close()


async def sample(number, target, state):
    global sent
    sent += 1
    begun = time.time_ns()
    try:
        good = await asyncio.wait_for(exchange(*target), options["timeout"])
    except (OSError, asyncio.TimeoutError):
        good = False
    if good == state.get("good", True) or begun < state.get("begun", 0):
        return
    state.update(good=good, begun=begun)
    # What goes down did so before this was sent, what comes up did so before the answer.
    half = int(options["every"] * 5e8)
    edges[number].append(["good", time.time_ns() - half] if good else ["bad", begun - half])


async def watch(number, target):
    state, tasks, due = {}, set(), time.monotonic()
    while True:
        task = asyncio.create_task(sample(number, target, state))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        due += options["every"]
        await asyncio.sleep(max(0, due - time.monotonic()))


async def main():
    tasks = [asyncio.create_task(watch(number, target)) for number, target in enumerate(options["targets"])]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


asyncio.run(main())
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"edges": edges, "cpu": usage.ru_utime + usage.ru_stime, "sent": sent}))

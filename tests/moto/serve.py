"""A moto server on a free loopback port: prints its address, serves until it is stopped."""

import os
import signal

os.environ["MOTO_ACCOUNT_ID"] = "111122223333"

from moto.server import ThreadedMotoServer  # noqa: E402  (reads the account at import)

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(f"http://{host}:{port}", flush=True)
signal.sigwait({signal.SIGINT, signal.SIGTERM})
server.stop()

"""Ports that stay one's own while the process that has them is down: below those that the kernel hands out, and apart for each of several test runners."""
import itertools
import os
import random
import socket

FIRST_PORT = 10000
PORTS_PER_RUNNER = 2500  # the kernel's begin at 32768

runner = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
ports = itertools.cycle(range(FIRST_PORT + runner * PORTS_PER_RUNNER, FIRST_PORT + (runner + 1) * PORTS_PER_RUNNER))
for _ in range(random.randrange(PORTS_PER_RUNNER)):  # another run on this machine begins elsewhere
    next(ports)


def free_port():
    for port in itertools.islice(ports, PORTS_PER_RUNNER):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise RuntimeError("every port of this test runner is taken")

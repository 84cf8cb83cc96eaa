"""A few megabytes can name terabytes: a file may repeat one xorb without end, and reading it for its digest takes as long as it is said to be long.
That is done while somebody waits for it, once for all who want the same, and by few threads; everybody else is served meanwhile."""
import contextlib
import http.client
import json
import select
import struct
import time

import pytest

from chaos_proxy import PATIENCE, eventually
from xet_wire import (DATA_KEY, FILE_KEY, LZ4, VERIFICATION_KEY, Xorb, chunk_bytes, keyed, merkle_root, shard, swapped)

CHUNK = bytes(131072)
CHUNKS = 8192  # of the xorb: 1 GiB that takes 4.6 MB
CLIENTS = 24
IDLE_SECONDS_MAX = PATIENCE * 15
TIMES = 64  # which takes longer than that
LIE = bytes(range(32))


@pytest.fixture
def small_drain(make_hub, tmp_path):
    return make_hub(tmp_path / "data", "--drain", "1")


class Repeated:
    """A file that is the same xorb again and again, and is said to have a digest that it has not."""

    def __init__(self, hub, user, times, whole=True):
        self.repo = user.repo()
        self.bytes = times * CHUNKS * len(CHUNK)
        hash = keyed(DATA_KEY, CHUNK)
        xorb = Xorb.__new__(Xorb)
        xorb.chunks, xorb.hashes = [CHUNK] * CHUNKS, [hash] * CHUNKS
        xorb.hash, xorb.body = merkle_root([(hash, len(CHUNK))] * CHUNKS), chunk_bytes(CHUNK, LZ4) * CHUNKS
        self.token = hub.xet_token(user.token, self.repo)["accessToken"]
        assert hub.request("POST", xorb.path, xorb.body, token=self.token).status == 200
        root = merkle_root([(hash, len(CHUNK))] * (CHUNKS * times)) if whole else bytes(32)
        block = keyed(FILE_KEY, root) + struct.pack("<2I8x", 0xC0000000, times)
        block += (xorb.hash + struct.pack("<4I", 0, CHUNKS * len(CHUNK), 0, CHUNKS)) * times
        block += (keyed(VERIFICATION_KEY, hash * CHUNKS) + bytes(16)) * times + swapped(LIE) + bytes(16)
        self.shard = shard([block])


def send(hub, path, body, token, type="application/x-ndjson"):
    """A request whose answer is waited for later, or never."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=300)
    connection.request("POST", path, body, {"Authorization": f"Bearer {token}", "Content-Type": type})
    return connection


def send_commit(hub, user, file):
    lines = [{"key": "header", "value": {"summary": "x"}}, {"key": "lfsFile", "value": {"path": "x", "algo": "sha256", "oid": LIE.hex(), "size": file.bytes}}]
    return send(hub, f"/api/models/{file.repo}/commit/main", "".join(json.dumps(line) + "\n" for line in lines).encode(), user.token)


def answered_at_once(connections, seconds=2):
    """Those that are, with status and Retry-After; the rest goes on waiting."""
    eventually(lambda: select.select([connection.sock for connection in connections], [], [], 0)[0], 10, "an answer")
    time.sleep(seconds)
    answers = []
    for connection in connections:
        connection.sock.settimeout(0.01)
        with contextlib.suppress(TimeoutError):
            answer = connection.getresponse()
            answers.append((answer.status, answer.headers["Retry-After"]))
    return answers


def becomes_idle(hub):
    deadline = time.monotonic() + IDLE_SECONDS_MAX
    while time.monotonic() < deadline:
        before = hub.cpu_seconds()
        time.sleep(0.5)
        if hub.cpu_seconds() - before < 0.2:
            return True
    return False


def test_others_are_served_while_a_lie_is_looked_into(hub):
    user, other = hub.make_user("mal"), hub.make_user("vic")
    file, repo = Repeated(hub, user, TIMES), other.repo()
    assert hub.request("POST", "/v1/shards", file.shard, token=file.token).status == 200
    clients = [send_commit(hub, user, file) for _ in range(CLIENTS)]
    answers = answered_at_once(clients)
    assert set(answers) == {(503, "1")} and len(answers) < CLIENTS, answers
    for path in (f"/api/models/{repo}", f"/{repo}/resolve/main/.gitattributes"):
        assert hub.request("GET", path, timeout=60).status == 200
    assert hub.commit(other.token, repo, {"a.txt": b"hi" * 5000})
    for client in clients:
        client.close()
    # nobody waits any more: it ends, and stands in nobody's way
    assert becomes_idle(hub)
    assert hub.operation("gc", grace_ms=86400000)["state"] == "done"
    assert hub.stop() == 0


def test_a_lie_is_found_out_once_for_all_who_wait(hub):
    user = hub.make_user("mal")
    file = Repeated(hub, user, 1)
    assert hub.request("POST", "/v1/shards", file.shard, token=file.token).status == 200
    clients = [send_commit(hub, user, file) for _ in range(4)]
    assert {client.getresponse().status for client in clients} <= {400, 422}  # 400: what is known to be a lie is not there


def test_a_stopping_hub_does_not_wait_for_it(small_drain):
    user = small_drain.make_user("mal")
    file = Repeated(small_drain, user, TIMES)
    assert small_drain.request("POST", "/v1/shards", file.shard, token=file.token).status == 200
    clients = [send_commit(small_drain, user, file) for _ in range(CLIENTS)]
    time.sleep(1)
    small_drain.process.terminate()
    assert small_drain.process.wait(IDLE_SECONDS_MAX) == 0
    for client in clients:
        client.close()


def test_a_shard_that_nobody_waits_for_is_not_checked_to_its_end(hub):
    user = hub.make_user("mal")
    file = Repeated(hub, user, 1 << 14, whole=False)  # as many chunks as a shard may name: 16 TiB
    clients = [send(hub, "/v1/shards", file.shard, file.token, "application/octet-stream") for _ in range(CLIENTS)]
    answers = answered_at_once(clients)
    assert set(answers) == {(503, "1")} and len(answers) < CLIENTS, answers
    assert hub.request("GET", f"/api/models/{file.repo}", timeout=60).status == 200
    for client in clients:
        client.close()
    assert becomes_idle(hub)
    assert hub.stop() == 0

"""A file may have terms of a single byte, so that what tells how to put it together is larger than the file: such answers have one budget, and are not made
without it."""
import hashlib
import http.client
import json
import struct
import threading
import time

import pytest

from chaos_proxy import eventually
from xet_wire import FILE_KEY, VERIFICATION_KEY, Xorb, keyed, merkle_root, shard, swapped, text

TERMS = 100_000
CLIENTS = 64
RESIDENT_BYTES_MAX = 400 << 20


class Crumbs:
    """A file of TERMS terms of one byte, none of which goes on where the one before ended."""

    def __init__(self, hub, user):
        self.hub = hub
        self.token = hub.xet_token(user.token, user.repo())["accessToken"]
        xorb = Xorb([b"a", b"b", b"c", b"d"])
        assert hub.request("POST", xorb.path, xorb.body, token=self.token).status == 200
        order = [0, 2] * (TERMS // 2)
        hash = keyed(FILE_KEY, merkle_root([(xorb.hashes[i], 1) for i in order]))
        term = [xorb.hash + struct.pack("<4I", 0, 1, i, i + 1) for i in range(4)]
        verification = [keyed(VERIFICATION_KEY, xorb.hashes[i]) + bytes(16) for i in range(4)]
        digest = hashlib.sha256(bytes(b"abcd"[i] for i in order)).digest()
        block = hash + struct.pack("<2I8x", 0xC0000000, TERMS) + b"".join(term[i] for i in order) + b"".join(verification[i] for i in order)
        answer = hub.request("POST", "/v1/shards", shard([block + swapped(digest) + bytes(16)]), token=self.token)
        assert answer.status == 200, answer
        self.path = f"reconstructions/{text(hash)}"

    def ask(self, version=1, range="bytes=0-"):
        """The answer, of which only the head is read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=300)
        connection.request("GET", f"/v{version}/{self.path}", headers={"Authorization": f"Bearer {self.token}", "Range": range})
        return connection.getresponse()

    def ask_again(self, version):
        """The same, and again while there is no room: what answers took is given back a moment after they were read."""
        return eventually(lambda: next((answer for answer in [self.ask(version)] if answer.status != 503), None), 20, "room for one answer")


@pytest.fixture
def crumbs(hub):
    return Crumbs(hub, hub.make_user("mal"))


def test_many_large_reconstructions_take_bounded_memory(hub, crumbs):
    statuses, resident, done = [], [], threading.Event()

    def watch():
        while not done.is_set():
            resident.append(hub.resident_bytes())
            time.sleep(0.02)

    def ask(version):
        answer = crumbs.ask(version)
        while answer.read(1 << 16):
            pass
        statuses.append((answer.status, answer.headers["Retry-After"]))
    watcher = threading.Thread(target=watch)
    askers = [threading.Thread(target=ask, args=(1 + i % 2,)) for i in range(CLIENTS)]
    for thread in (watcher, *askers):
        thread.start()
    for asker in askers:
        asker.join()
    done.set()
    watcher.join()
    assert max(resident) < RESIDENT_BYTES_MAX, f"{max(resident) >> 20} MiB"
    assert len(statuses) == CLIENTS and set(statuses) <= {(200, None), (503, "1")} and (200, None) in statuses, statuses
    # one at a time they are as they should be
    for version in (1, 2):
        assert len(json.loads(crumbs.ask_again(version).read())["terms"]) == TERMS
    batch = hub.answered("GET", f"/v1/reconstructions?file_id={crumbs.path.split('/')[1]}", token=crumbs.token).json()
    assert [len(terms) for terms in batch["files"].values()] == [TERMS]


def test_answers_that_nobody_reads_leave_room_for_others(hub, crumbs):
    other, stuck = Crumbs(hub, hub.make_user("vic")), []
    askers = [threading.Thread(target=lambda: stuck.append(crumbs.ask())) for _ in range(8)]
    for asker in askers:
        asker.start()
    assert len(json.loads(other.ask().read())["terms"]) == TERMS
    # ordinary stretches are not counted
    answers = [crumbs.ask(version, "bytes=70000-70099") for version in (1, 2)]
    assert [len(json.loads(answer.read())["terms"]) for answer in answers] == [100, 100]
    for asker in askers:
        asker.join()
    assert {answer.status for answer in stuck} == {200, 503}

"""Reads through a node that does not hold the bytes: they pass through, checked, whoever dies meanwhile, and nothing stays."""
import http.client
import socket
import time

import pytest

from chaos_proxy import eventually
from cluster_process import Cluster, cairn_again
from placed import Placed, large_xorbs

MIB = 1 << 20
LENGTH = 40 * MIB  # one xorb
NODES = 4
COPIES = 2


@pytest.fixture
def cluster(tmp_path):
    with Cluster.running(tmp_path / "cluster", NODES) as cluster:
        cairn_again(cluster.nodes[0], "cluster", "set", "--replication-factor", str(COPIES))
        yield cluster


class Refused(Exception):
    """503: no node that has the bytes is reached."""


class Reading:
    """A download that takes no more than it is told to."""

    def __init__(self, node, pushed):
        self.pushed, self.got = pushed, bytearray()
        self.connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        self.connection.request("GET", pushed.target, headers={"Authorization": f"Bearer {pushed.user.token}"})
        self.answer = self.connection.getresponse()
        if self.answer.status == 503:
            raise Refused
        assert self.answer.status == 200, (self.answer.status, self.answer.read())

    def read(self, length):
        """At most so many bytes more; all that came so far is right. False: it was cut off."""
        until = min(len(self.got) + length, LENGTH)
        try:
            while len(self.got) < until:
                some = self.answer.read(min(MIB, until - len(self.got)))
                if not some:
                    return False
                self.got += some
        except (OSError, http.client.IncompleteRead) as error:
            self.got += getattr(error, "partial", b"")
            return False
        finally:
            assert self.got == self.pushed.data[:len(self.got)], "wrong bytes"
        return True

    def close(self):
        self.connection.close()


def read_all(node, pushed):
    reading = Reading(node, pushed)
    whole = reading.read(LENGTH)
    reading.close()
    return whole and len(reading.got) == LENGTH


def read_all_unless_refused(node, pushed):
    try:
        return read_all(node, pushed)
    except Refused:
        return False


def counted(node):
    return node.status()["copies"]


@pytest.fixture
def push(cluster, chance):
    user = cluster.nodes[0].make_user("alice")
    repo = user.repo()
    return lambda name: Placed(cluster, COPIES, user, repo, name, chance.randbytes(LENGTH))


def test_what_lies_elsewhere_passes_through_as_far_as_it_is_read_and_does_not_stay(cluster, push):
    pushed = push("a.bin")
    node = pushed.others[0]
    before = counted(node)
    reading = Reading(node, pushed)
    assert reading.read(MIB)
    time.sleep(1)
    slow = counted(node)["read_runs"] - before["read_runs"]
    assert reading.read(LENGTH)
    reading.close()
    runs = counted(node)["read_runs"] - before["read_runs"]
    assert 0 < slow < runs and slow <= 6, (slow, runs)  # a reader who takes nothing has nothing fetched for him
    assert read_all(node, pushed)
    after = counted(node)
    assert after["read_runs"] - before["read_runs"] == runs and after["read_xorbs"] - before["read_xorbs"] == 1
    assert after["fetched_xorbs"] == before["fetched_xorbs"] and pushed.xorb not in large_xorbs(node)


@pytest.mark.parametrize("victim", range(COPIES))
def test_a_read_goes_on_when_a_node_that_has_the_bytes_is_killed(cluster, push, victim):
    pushed = push("b.bin")
    reading = Reading(pushed.others[0], pushed)
    assert reading.read(2 * MIB)
    pushed.holders[victim].kill()
    assert reading.read(LENGTH) and len(reading.got) == LENGTH
    reading.close()


def test_a_read_goes_on_when_the_node_that_sends_hangs(cluster, push):
    pushed = push("c.bin")
    for holder, node in zip(pushed.holders, pushed.others):
        reading = Reading(node, pushed)
        assert reading.read(2 * MIB)
        holder.pause()
        assert reading.read(LENGTH) and len(reading.got) == LENGTH
        holder.resume()
        reading.close()


def test_a_read_is_cut_off_when_nobody_has_the_bytes_any_more_and_none_of_them_is_wrong(cluster, push):
    pushed = push("d.bin")
    reading = Reading(pushed.others[0], pushed)
    assert reading.read(2 * MIB)
    for holder in pushed.holders:
        holder.kill()
    assert not reading.read(LENGTH) and 2 * MIB <= len(reading.got) < LENGTH
    reading.close()
    for holder in pushed.holders:
        holder.start()
    for node in cluster.nodes:
        eventually(lambda: node.request("GET", "/readyz").status == 200, 60, "ready")
    eventually(lambda: read_all_unless_refused(pushed.others[0], pushed), 60, "all of it again")  # once they have found each other

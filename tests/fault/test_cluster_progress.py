"""How far the copies of a cluster are, in bytes and in time: while a new node is filled, and while nodes make up for copies or give them up."""
import re
import threading
import time

import pytest

from chaos_proxy import eventually
from cluster_process import Cluster, Patient, cairn_again, refused
from ledger import ask, digest

CONVERGE_SECONDS_MAX = 120
MIB = 1 << 20
FAR_BEHIND_MIB = 256  # REPLICA_FAR_BEHIND_BYTES: a node is held back as long as it is further behind


@pytest.fixture
def make_cluster(tmp_path):
    made = []

    def make(count, *flags):
        cluster = Cluster(tmp_path / f"cluster{len(made)}", False, "--volume-size", "64M", *flags)
        cluster.dir.mkdir()
        made.append(cluster)
        for _ in range(count):
            cluster.grow()
        cluster.wait_for_voters(count)
        return cluster
    yield make
    for cluster in made:
        cluster.close()


def push_objects(node, count, size, chance):
    """Large objects, each claimed by a repository; how many bytes they have."""
    node = Patient(node)
    user = node.make_user("alice")
    repo = user.repo()
    for i in range(count):
        data = chance.randbytes(size)
        oid = digest(data)
        entry = node.lfs_batch(user.token, repo, [(oid, size)]).json()["objects"][0]
        ask(node, "PUT", entry["actions"]["upload"]["href"], data)
        answer = node.commit(user.token, repo, [("lfsFile", {"path": f"{i}.bin", "algo": "sha256", "oid": oid, "size": size})])
        assert answer.status == 200, answer
    return count * size


def held_of(asked):
    """What each node says of what it holds, by name, as the one that is asked tells it."""
    return {node["name"]: node["held"] for node in asked.status()["nodes"] if "held" in node}


def metric(node, name):
    text = node.request("GET", "/metrics").body.decode()
    found = re.search(rf"^{re.escape(name)} ([0-9.]+)$", text, re.MULTILINE)
    assert found, f"{name} is not in\n{text}"
    return float(found[1])


class Watch(threading.Thread):
    """Looks again and again how far every node is with one kind of work."""

    def __init__(self, asked, work):
        super().__init__(daemon=True)
        self.asked, self.work = asked, work
        self.seen = {}
        self.stopping = threading.Event()
        self.failure = None
        self.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                for name, held in held_of(self.asked).items():
                    self.seen.setdefault(name, []).append(held[self.work])
                time.sleep(0.05)
        except BaseException as error:
            self.failure = error

    def stop(self):
        self.stopping.set()
        self.join(300)
        if self.failure:
            raise self.failure
        return self.seen


def assert_grows(seen, total_bytes_min):
    """It was seen under way, with a speed and a time left, and never went back."""
    large = [each for each in seen if each["total_bytes"] >= total_bytes_min]
    done = [each["done_bytes"] for each in large]
    assert done == sorted(done), seen
    under_way = [each for each in large if 0 < each["done_bytes"] < each["total_bytes"]]
    assert len({each["done_bytes"] for each in under_way}) > 1, seen
    assert any(each["bytes_per_s"] > 0 and each["left_ms"] is not None for each in under_way), seen
    assert all(each["left_ms"] == 0 for each in large if each["done_bytes"] == each["total_bytes"]), seen


def assert_done(work):
    """The last of it may have been small: more came meanwhile."""
    assert work["done_bytes"] == work["total_bytes"] > 0 and work["left_ms"] == 0, work


def wait_until_nobody_has_too_many(asked):
    cairn_again(asked, "cluster", "repair", "--wait")
    eventually(lambda: all(held["surplus"] == 0 and not held["walking"] for held in held_of(asked).values()), CONVERGE_SECONDS_MAX, "nothing that is one too many")


def test_a_new_node_that_is_held_back_is_seen_to_be_filled(make_cluster, chance):
    cluster = make_cluster(1, "--copy-rate", "12M")
    first = cluster.nodes[0]
    total_bytes = push_objects(first, 25, 16 * MIB, chance)
    assert total_bytes > FAR_BEHIND_MIB * MIB
    watch = Watch(first, "catching_up")
    second = cluster.grow("learner")
    eventually(lambda: first.status()["bytes_replicated"], CONVERGE_SECONDS_MAX, "all bytes on the new node")
    assert_grows(watch.stop()[second.name], total_bytes)
    held = held_of(first)[second.name]
    assert_done(held["catching_up"])
    listed = second.admin("GET", "/xorbs")
    assert held["bytes"] == sum(each["body_length"] for each in listed) >= total_bytes  # as it is now, not at the last walk
    assert held["xorbs"] == len(listed) and held["missing_bytes"] == 0
    assert metric(second, "cairn_store_stored_bytes") == held["bytes"]
    assert metric(second, "cairn_replica_received_bytes_total") >= total_bytes
    assert metric(second, "cairn_replica_limit_bytes_per_second") == 12 * MIB
    assert metric(second, 'cairn_replica_work_left_bytes{work="catch_up"}') == 0


def test_what_nodes_make_up_for_and_give_up_is_told_in_bytes(make_cluster, chance):
    cluster = make_cluster(3, "--copy-rate", "1M")
    asked = cluster.nodes[0]
    cairn_again(asked, "cluster", "set", "--replication-factor", "2")
    total_bytes = push_objects(asked, 24, MIB, chance)
    wait_until_nobody_has_too_many(asked)
    before = held_of(asked)
    assert all(held["bytes"] < total_bytes and isinstance(held["counted_ms"], int) for held in before.values()), before

    # A third copy of everything: each node lacks what is on the two others.
    watch = Watch(asked, "fetching")
    cairn_again(asked, "cluster", "set", "--replication-factor", "3")
    said = cairn_again(asked, "cluster", "repair", "--wait")
    seen = watch.stop()
    assert all(f"{node.name} holds" in said for node in cluster.nodes) and "has what it should" in said, said
    came_bytes = {}
    for node in cluster.nodes:
        held = held_of(asked)[node.name]
        came_bytes[node.name] = held["bytes"] - before[node.name]["bytes"]
        assert held["bytes"] >= total_bytes and held["missing_xorbs"] == 0 and held["complete"], held
        assert_done(held["fetching"])
        assert metric(node, "cairn_replica_walk_fetched_bytes_total") >= held["fetching"]["total_bytes"]
        assert metric(node, "cairn_replica_missing_bytes") == 0
    assert sum(came_bytes.values()) >= total_bytes
    assert_grows(seen[max(came_bytes, key=came_bytes.get)], 2 * MIB)

    # And only two again: each gives up its part.
    cairn_again(asked, "cluster", "set", "--replication-factor", "2")
    wait_until_nobody_has_too_many(asked)
    for node in cluster.nodes:
        held = held_of(asked)[node.name]
        assert_done(held["giving_up"])
        assert held["bytes"] < total_bytes
        assert metric(node, "cairn_replica_given_up_bytes_total") > MIB
        assert metric(node, "cairn_replica_surplus_bytes") == 0

    cluster.nodes[2].kill()
    assert "node3 was not reached" in refused(asked, "cluster", "repair", "--wait")

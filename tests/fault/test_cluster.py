"""Several nodes as one hub, ill-treated: what was acknowledged is on every node, whoever dies, stops or is cut off."""
import contextlib
import shutil
import socket
import threading
import time

import pytest

from chaos_proxy import PATIENCE, eventually
from cluster_process import Cluster, Node, Patient, cairn_again, cairn_of, refused
from hub_process import Hub
from name_ledger import NameLedger

ELECTION_SECONDS = 2.0  # at most, of one round
READ_WAIT_SECONDS = 4   # for a leader, until a read is answered from what a node knows
READS = 10
GAP_SECONDS_MAX = PATIENCE * 15  # a client without an acknowledgement, though a majority lives: several elections on a busy machine


@pytest.fixture
def make_cluster(tmp_path):
    made = []

    def make(count, with_proxy=False):
        cluster = Cluster(tmp_path / f"cluster{len(made)}", with_proxy)
        cluster.dir.mkdir()
        made.append(cluster)
        for _ in range(count):
            cluster.grow()
        cluster.wait_for_voters(count)
        return cluster
    yield make
    for cluster in made:
        cluster.close()


def settle(cluster, ledger, chance):
    ledger.stop()
    cluster.wait_until_same()
    ledger.check(chance)


def test_nothing_acknowledged_is_lost_when_nodes_are_killed(make_cluster, chance, seed):
    cluster = make_cluster(3)
    ledger = NameLedger(cluster, seed)
    for kill in range(6):
        ledger.start()
        time.sleep(chance.uniform(0.5, 1.5))
        leader = cluster.leader(chance.randrange(2))
        victims = {0: [leader], 1: [next(node for node in cluster.nodes if node is not leader)], 2: list(cluster.nodes)}[kill % 3]
        for node in victims:
            node.kill()
        if len(victims) == 1:
            time.sleep(chance.uniform(2, 4))  # the others go on
        ledger.stop()
        starters = [threading.Thread(target=node.start) for node in victims]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()
        ledger.check(chance, limit=10)
    ledger.start()
    ledger.go_on_until(60)
    settle(cluster, ledger, chance)
    print(f"{len(ledger.users)} users, {len(ledger.revoked)} revoked tokens, {ledger.refused} refusals, gaps {sorted(ledger.gaps)[-3:]}")
    assert max(ledger.gaps, default=0) < GAP_SECONDS_MAX


def test_a_leader_that_stands_still_is_replaced_and_wakes_as_a_follower(make_cluster, chance, seed):
    cluster = make_cluster(3)
    ledger = NameLedger(cluster, seed)
    for _ in range(2):
        leader = cluster.leader()
        leader.pause()
        others = [node for node in cluster.nodes if node is not leader]
        eventually(lambda: all(node.status()["groups"][0]["leader"] not in (None, leader_id(cluster, leader, others[0])) for node in others), 15, "a new leader")
        ledger.users.append(others[0].make_user(f"while-asleep-{time.monotonic_ns()}").name)
        leader.resume()
        eventually(lambda: leader.request("GET", "/readyz").status == 200, 20, "the sleeper is ready")
        # What it believes of its leadership is asked for, not trusted.
        assert ledger.users[-1] in {user["name"] for user in Patient(leader).admin("GET", "/users")}
    settle(cluster, ledger, chance)


@pytest.mark.parametrize("survivor", ("leader", "follower"))
def test_reads_wait_once_while_a_majority_is_down(make_cluster, survivor):
    cluster = make_cluster(3)
    leader = cluster.leader()
    left = leader if survivor == "leader" else next(node for node in cluster.nodes if node is not leader)
    user = left.make_user("alice")
    others = [node for node in cluster.nodes if node is not left]

    def read():
        answer = left.request("GET", f"/api/users/{user.name}/overview", token=user.token)
        assert answer.status == 200, answer
        return answer
    eventually(lambda: "x-cairn-stale" not in read().headers, 30, "a leader confirms reads")
    for node in others:
        node.kill()
    begin = time.monotonic()
    ages = [int(read().headers["x-cairn-stale"]) for _ in range(READS)]
    assert time.monotonic() - begin < READS * READ_WAIT_SECONDS / 2
    assert ages == sorted(ages)
    others[0].start()
    eventually(lambda: "x-cairn-stale" not in read().headers, 30, "a leader confirms reads again")
    others[0].make_user("bob")
    answer = Patient(left).request("GET", "/api/users/bob/overview", token=user.token)
    assert answer.status == 200, answer


def leader_id(cluster, node, witness):
    return next(each["id"] for each in witness.status()["nodes"] if each["name"] == node.name)


def test_notifications_go_on_where_the_leader_that_died_was(make_cluster):
    cluster = make_cluster(3)
    first = cluster.leader()
    owner, guest = first.make_user("owner"), first.make_user("guest")
    repo = owner.repo()

    def discuss(node, title):
        answer = node.answered("POST", f"/api/models/{repo}/discussions", {"title": title, "description": ""}, token=guest.token)
        assert answer.status == 200, answer

    def told(node):
        page = node.request("GET", "/api/notifications", token=owner.token)
        return [item["discussion"]["title"] for item in page.json()["notifications"]] if page.status == 200 else None

    for number in range(5):
        discuss(first, f"Topic {number}")
    first.kill()  # whatever it had not told yet is told by the next one
    others = [node for node in cluster.nodes if node is not first]
    eventually(lambda: others[0].request("POST", "/api/admin/users", {"name": f"after-{time.monotonic_ns()}"}, token=first.admin_token).status == 200, 30, "a new leader")
    discuss(others[0], "Topic 5")
    wanted = [f"Topic {number}" for number in range(5, -1, -1)]
    for node in others:
        try:
            eventually(lambda: told(node) == wanted, 30, "everything is told, once")
        except AssertionError:
            raise AssertionError(f"{node.name} tells {told(node)}") from None
    first.start()
    discuss(others[1], "Topic 6")
    for node in cluster.nodes:
        eventually(lambda: told(node) == ["Topic 6", *wanted], 30, "also the one that came back shows it")


def test_partitions(make_cluster, chance, seed):
    cluster = make_cluster(3, with_proxy=True)
    ledger = NameLedger(cluster, seed)
    names = [node.name for node in cluster.nodes]

    # The leader alone: the others go on, it answers no change, and no read that it takes for the newest.
    leader = cluster.leader()
    others = [node for node in cluster.nodes if node is not leader]
    cluster.proxy.isolate(leader.name)
    others[0].make_user("in-the-majority")
    refused = leader.request("POST", "/api/admin/users", {"name": "in-the-minority"}, token=leader.admin_token)
    assert refused.status == 503 and "retry-after" in refused.headers, refused
    stale = leader.request("GET", "/api/admin/users", token=leader.admin_token)
    assert stale.status == 503 or "x-cairn-stale" in stale.headers, stale
    cluster.proxy.mend()
    eventually(lambda: "in-the-majority" in {user["name"] for user in leader.admin("GET", "/users")}, 30, "the leader of before has caught up")

    ledger.start()
    for round in range(6):
        kind = chance.choice(("isolate", "one way", "one link", "flap"))
        one, other = chance.sample(names, 2)
        if kind == "isolate":
            cluster.proxy.isolate(one)
        elif kind == "one way":
            for name in names:
                if name != one:
                    cluster.proxy.cut(one, name)
        elif kind == "one link":
            cluster.proxy.cut(one, other)
            cluster.proxy.cut(other, one)
        else:
            for _ in range(8):
                cluster.proxy.isolate(one)
                time.sleep(0.15)
                cluster.proxy.mend()
                time.sleep(0.1)
        time.sleep(chance.uniform(1, 4))
        cluster.proxy.mend()
        time.sleep(chance.uniform(0.5, 2))
    cluster.proxy.delay_seconds = 0.03
    time.sleep(2)
    cluster.proxy.delay_seconds = 0
    ledger.go_on_until(30)
    settle(cluster, ledger, chance)
    print(f"{len(ledger.users)} users, {ledger.refused} refusals, gaps {sorted(ledger.gaps)[-3:]}")


def test_grow_roll_replace_and_shrink(make_cluster, chance, seed, tmp_path):
    cluster = make_cluster(1)
    ledger = NameLedger(cluster, seed)
    ledger.start(2)
    for count in (2, 3):
        cluster.grow()
    cluster.wait_for_voters(3)

    # A rolling restart: leadership is handed on before each stop, so nobody waits for an election.
    for node in list(cluster.nodes):
        assert node.stop() == 0, node.tail()
        node.start()
        eventually(lambda: node.request("GET", "/readyz").status == 200, 20, "ready")
    cluster.wait_for_voters(3)

    # A disk is gone for good: the node comes back as another one, as a learner first.
    gone = cluster.nodes[2]
    gone_id = gone.me()["id"]
    gone.kill()
    cluster.nodes.remove(gone)
    refused = cairn_of(cluster.nodes[0], "cluster", "remove", gone_id, status=64)
    cairn_again(cluster.nodes[0], "cluster", "remove", gone_id, "--yes")
    cluster.wait_for_voters(2)
    cluster.nodes.append(None)  # numbers go on: its name is not used again
    cluster.nodes.pop()
    fresh = Cluster.grow(Renamed(cluster), "learner")
    fresh_id = fresh.me()["id"]
    eventually(lambda: [group["role"] for group in fresh.me()["groups"]] == ["learner", "learner"], 20, "a learner")
    cairn_again(fresh, "cluster", "promote", fresh_id)
    cluster.wait_for_voters(3)
    ledger.stop()

    # Under its old id nobody is let in again, and a used token is worth nothing.
    again = Hub(gone.data_dir, *gone.flags)
    again.log = tmp_path / "again.log"
    with pytest.raises(RuntimeError, match="removed"):
        again.start()
    cairn_again(cluster.nodes[0], "cluster", "demote", fresh_id)
    cluster.wait_for_voters(2)
    settle(cluster, ledger, chance)


def test_voters_leave_one_at_a_time_and_never_without_a_majority(make_cluster, chance, seed):
    cluster = make_cluster(3)
    first, second, third = cluster.nodes
    ids = [node.me()["id"] for node in cluster.nodes]
    for leave in (("remove", "--force", "--yes"), ("demote",)):
        assert "one at a time" in refused(first, "cluster", leave[0], *ids[1:], *leave[1:])
        assert "no voter would be left" in refused(first, "cluster", leave[0], *ids, *leave[1:])
    third.kill()
    for node in (first, second):
        eventually(lambda: [each["connected"] for each in node.status()["nodes"] if each["id"] == ids[2]] == [False], 30, "that it is noticed")
    for leave in (("remove", "--force", "--yes"), ("demote",)):
        for node in (first, second):
            assert "no majority" in refused(node, "cluster", leave[0], ids[1], *leave[1:])
    first.make_user("it-goes-on")
    cairn_again(second, "cluster", "remove", ids[2], "--force", "--yes")
    cluster.nodes.remove(third)
    cluster.wait_for_voters(2)
    cairn_again(second, "cluster", "demote", ids[0])  # whoever leads
    eventually(lambda: [group["role"] for group in first.me()["groups"]] == ["learner", "learner"], 30, "a learner")
    assert "no voter would be left" in refused(first, "cluster", "demote", ids[1])
    first.make_user("it-goes-on-still")


@pytest.mark.parametrize("leaver_leads", (True, False))
def test_one_of_two_voters_is_removed_whoever_leads(make_cluster, leaver_leads):
    cluster = make_cluster(2)
    leader = cluster.leader()
    leaver = leader if leaver_leads else next(node for node in cluster.nodes if node is not leader)
    left = next(node for node in cluster.nodes if node is not leaver)
    leaver_id = leaver.me()["id"]
    cairn_again(left, "cluster", "remove", leaver_id, "--yes")
    cluster.nodes.remove(leaver)
    try:
        cluster.wait_for_voters(1)
    finally:
        leaver.kill()
    left.make_user("it-goes-on")
    assert cluster.leader() is left and cluster.leader(1) is left


class Renamed:
    """The cluster, with one more number used than it has nodes."""

    def __init__(self, cluster):
        self.cluster = cluster

    def __getattr__(self, name):
        if name == "nodes":
            return Padded(self.cluster.nodes)
        return getattr(self.cluster, name)


class Padded(list):
    def __init__(self, nodes):
        super().__init__(nodes)
        self.real = nodes

    def __len__(self):
        return len(self.real) + 1

    def append(self, node):
        self.real.append(node)


def test_a_full_disk_on_one_node_stops_nobody_and_heals(make_cluster, make_disk, chance, seed):
    disk = make_disk(700 << 20)
    cluster = make_cluster(2)
    full = cluster.grow(data_dir=disk.path / "node3")
    cluster.wait_for_voters(3)
    ledger = NameLedger(cluster, seed)
    ledger.nodes = lambda: [node for node in cluster.living() if node is not full]
    disk.fill(60 << 20)  # less than its log may touch
    ledger.start()
    time.sleep(4)
    ledger.go_on_until(20)
    ledger.stop()
    disk.empty()
    settle(cluster, ledger, chance)


def test_a_stranger_on_the_port_of_the_nodes_learns_nothing(make_cluster, chance):
    cluster = make_cluster(1)
    port = cluster.nodes[0].cluster_port
    for data in (b"", b"\0", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes([1]) + chance.randbytes(176), chance.randbytes(100_000)):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as stranger:
            with contextlib.suppress(OSError):  # it may be hung up on already
                stranger.sendall(data)
                stranger.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                assert stranger.recv(1) == b""
    # Many who say nothing are hung up on, and keep nobody from serving.
    crowd = []
    for _ in range(200):
        crowd.append(socket.create_connection(("127.0.0.1", port), timeout=60))
    hung_up = 0
    for each in crowd:
        each.settimeout(60)
        try:
            hung_up += each.recv(1) == b""
        except ConnectionError:
            hung_up += 1
        each.close()
    assert hung_up == len(crowd)
    cluster.grow()
    cluster.wait_for_voters(2)
    assert cluster.nodes[0].resident_bytes() < 400 << 20


def test_the_copy_of_a_node_is_refused_and_changes_nothing(make_cluster, chance, seed, tmp_path):
    cluster = make_cluster(3)
    ledger = NameLedger(cluster, seed)
    ledger.start()
    leader = cluster.leader()
    node = next(each for each in cluster.nodes if each is not leader)
    assert node.stop() == 0, node.tail()
    twin = Node(cluster, 4, data_dir=tmp_path / "copied")
    shutil.copytree(node.data_dir, twin.data_dir)
    node.start()
    eventually(lambda: node.request("GET", "/readyz").status == 200, 20, "ready")
    twin.spawn()
    try:
        eventually(lambda: "a data directory was copied: wipe one of the two and join it anew" in twin.tail(), 30, f"the copy is told: {twin.tail()}")
        users = len(ledger.users)
        eventually(lambda: len(ledger.users) > users + 20, 60, "the others go on")
        with pytest.raises(OSError):
            twin.request("GET", "/readyz", timeout=5)  # it never came so far as to listen
    finally:
        twin.kill()
    node.make_user("through-the-first")
    settle(cluster, ledger, chance)


def test_join_is_refused_with_a_reason(make_cluster, tmp_path):
    cluster = make_cluster(1)
    token = cairn_again(cluster.nodes[0], "cluster", "token").strip()
    for number, (bad, reason) in enumerate(((token[:-8] + "AAAAAAAA", "token"), ("cairn-join-x", "not a join token"), ("hello", "not a join token"))):
        hub = Hub(tmp_path / f"bad{number}", "--cluster-listen", "127.0.0.1:0", "--join", bad)
        hub.log = tmp_path / f"bad{number}.log"
        with pytest.raises(RuntimeError, match=reason):
            hub.start()
    cluster.grow()
    used = cluster.nodes[1].flags[cluster.nodes[1].flags.index("--join") + 1]
    late = Hub(tmp_path / "late", "--cluster-listen", "127.0.0.1:0", "--join", used)
    late.log = tmp_path / "late.log"
    with pytest.raises(RuntimeError, match="used already"):
        late.start()
    alone = Hub(tmp_path / "alone", "--join", token)
    alone.log = tmp_path / "alone.log"
    with pytest.raises(RuntimeError, match="--cluster-listen"):
        alone.start()
    # A node of another cluster is not talked into this one.
    other = make_cluster(1)
    other.nodes[0].stop()
    other.nodes[0].flags += ["--join", token]
    with pytest.raises(RuntimeError, match="another cluster"):
        other.nodes[0].start()


def test_a_node_that_died_before_it_heard_that_it_was_let_in_joins_with_the_same_token(make_cluster):
    cluster = make_cluster(1, with_proxy=True)
    [first] = cluster.nodes
    token = cairn_again(first, "cluster", "token").strip()
    second = Node(cluster, 2)
    second.flags += ["--join", token]
    cluster.nodes.append(second)
    cluster.proxy.slow["node1"] = 1
    second.spawn()
    eventually(lambda: len(first.status()["nodes"]) == 2, 30, "the node to be let in")
    cluster.proxy.cut("node1", "node2")  # the answer is on its way
    second.kill()
    cluster.proxy.mend()
    second.start()
    eventually(lambda: [group["role"] for group in second.me()["groups"]] == ["learner", "learner"], 20, "a learner")
    assert len(first.status()["nodes"]) == 2
    # To another node it is worth nothing.
    other = Node(cluster, 3)
    other.flags += ["--join", token]
    with pytest.raises(RuntimeError, match="used already"):
        other.start()

"""Nodes of two versions in one cluster: they decide alike while all of them may be there, and who knows too little is kept out with a sentence and
loses nothing.

The newer program is this one as if of the next feature level (cairnd_next in CMakeLists.txt). CAIRND_OLDER=PATH takes that cairnd for the older one."""
import json
import os
import pathlib

import pytest

from chaos_proxy import eventually
from cluster_process import Cluster, Node, cairn_again, cairn_of, refused
from hub_process import BUILD, CAIRND
from ledger import Lost
from name_ledger import NameLedger
from nemesis import Nemesis
from ref_clients import RefClients
from test_cluster_bytes import Look, make_ledger, push_one_of_each, wait_for_bytes

OLDER = pathlib.Path(os.environ.get("CAIRND_OLDER", CAIRND))
NEWER = BUILD / "cairnd_next"
TOO_OLD = "the cluster is at feature level 2, this program knows 1: install a newer one" if OLDER == CAIRND else "feature level 2"
NODE_STOP_STATUS = 70
READY_SECONDS_MAX = 60
NEW_USERS = 10
NEW_CALLS = 20


class Hubbub:
    """A cluster of older nodes, clients that never pause, and what was acknowledged to them."""

    def __init__(self, dir, chance, seed, tmp_path):
        self.chance, self.pushes = chance, 0
        self.cluster = Cluster(dir, False, "--volume-size", "32M")
        self.cluster.dir.mkdir()
        self.cluster.prepare = lambda node: self.runs(node, OLDER)
        for _ in range(3):
            self.cluster.grow()
        self.cluster.wait_for_voters(3)
        self.ledger = make_ledger(self.cluster, self.cluster.nodes[0], tmp_path)
        self.names = NameLedger(self.cluster, seed)
        self.refs = RefClients(self.cluster, self.ledger.user, [self.ledger.user.repo()], seed)
        self.start()

    def runs(self, node, program):
        node.program = program

    def start(self):
        self.names.start(2)
        self.refs.start(2)

    def exchange(self, node, program):
        assert node.stop() == 0, node.tail()
        self.runs(node, program)
        node.start()
        eventually(lambda: Nemesis.is_ready(node), READY_SECONDS_MAX, f"{node.name} is ready: {node.tail(1500)}")

    def goes_on(self):
        """Names and branches move, bytes are taken by every node and read through all."""
        users, calls = len(self.names.users), self.refs.counts()["calls"]
        facts = []
        for node in self.cluster.living():
            facts.append(eventually(lambda: self.push(node), 60, f"{node.name} takes bytes"))
        eventually(lambda: len(self.names.users) >= users + NEW_USERS and self.refs.counts()["calls"] >= calls + NEW_CALLS, 60, "changes are acknowledged")
        for node in self.cluster.living():
            Look(self.ledger, node).check(facts)

    def push(self, node):
        self.pushes += 1
        try:
            return push_one_of_each(node, self.ledger, f"push-{self.pushes}", self.chance)
        except Lost:
            return None

    def settle(self):
        """All nodes have made the same of the same log, and it is what clients were told."""
        self.names.stop()
        self.refs.stop()
        self.cluster.wait_until_same()
        self.names.check(self.chance, limit=20)
        self.refs.check()
        for node in self.cluster.living():
            Look(self.ledger, node).check(self.ledger.facts)

    def raise_level_while_one_stands_still(self, node):
        """All know the next level. This one is connected and has heard nothing of the raising when it is killed: it may be older when it meets that."""
        def raised():
            eventually(lambda: set(levels_known(self.cluster.nodes[0]).values()) == {2}, READY_SECONDS_MAX, "all tell that they know level 2")
            node.pause()
            try:
                return "the cluster is at feature level 2 now" in cairn_again(self.cluster.nodes[0], "cluster", "upgrade")
            except AssertionError:  # too long: it counts as away by now
                node.resume()
        eventually(raised, 120, "the level is raised")
        node.kill()


@pytest.fixture
def hubbub(tmp_path, chance, seed):
    hubbub = Hubbub(tmp_path / "cluster", chance, seed, tmp_path)
    yield hubbub
    hubbub.names.stopping.set()
    hubbub.refs.stopping.set()
    hubbub.cluster.close()


def levels_known(node):
    return {each["name"]: each["feature_level"] for each in node.status()["nodes"]}


def refusal_of(node):
    with pytest.raises(RuntimeError, match="ended with") as raised:
        node.start()
    return str(raised.value)


def check_refusals(first, third):
    """The third node has the older program, and is stopped here. No level is raised, and why not is said."""
    eventually(lambda: levels_known(first) == {"node1": 2, "node2": 2, "node3": 1}, READY_SECONDS_MAX, "each tells what it knows")
    assert "node3 knows level 1 only: install a newer program there first" in refused(first, "cluster", "upgrade")
    assert third.stop() == 0, third.tail()
    eventually(lambda: "node3 is away: nobody knows which level it knows" in refused(first, "cluster", "upgrade"), READY_SECONDS_MAX, "it is away")
    status = first.status()
    assert status["feature_level"] == 1 and status["feature_level_next"] is None
    assert levels_known(first) == {"node1": 2, "node2": 2, "node3": None}
    text = cairn_of(first, "cluster", "status")
    assert "the cluster is at feature level 1\n" in text and "unknown" in text


def check_raising(first, second, user):
    eventually(lambda: second.status()["feature_level_next"] == 2, READY_SECONDS_MAX, "every node knows the next level")
    assert "the cluster is at feature level 1; every node knows 2: `cairn cluster upgrade` raises it" in cairn_of(second, "cluster", "status")
    assert second.request("POST", "/api/admin/cluster/upgrade").status == 401
    assert second.request("POST", "/api/admin/cluster/upgrade", token=user.token).status == 403
    assert second.status()["feature_level"] == 1
    assert "the cluster is at feature level 2 now" in cairn_again(second, "cluster", "upgrade")
    status = second.status()
    assert status["feature_level"] == 2 and [group["feature_level"] for group in status["groups"]] == [2, 2]
    assert "there is nothing to raise: the cluster is at feature level 2" in cairn_of(first, "cluster", "upgrade")
    assert json.loads(cairn_of(first, "--json", "cluster", "upgrade")) == {"feature_level": 2, "raised": False}
    assert "the cluster is at feature level 2\n" in cairn_of(first, "cluster", "status")
    for node in (first, second):
        told = eventually(lambda: json.loads(cairn_of(node, "--json", "audit", "--event", "cluster-upgrade")), READY_SECONDS_MAX, "it is in the audit log")
        assert [(each["actor"], each["feature_level"]) for each in told] == [("admin", 2)]
    assert "feature level 2" in cairn_of(first, "audit", "--event", "cluster-upgrade")


def test_nodes_of_two_versions_decide_alike_and_an_older_one_is_kept_out_afterwards(hubbub):
    cluster = hubbub.cluster
    first, second, third = cluster.nodes
    for node in (first, second):
        hubbub.exchange(node, NEWER)
        hubbub.goes_on()
        hubbub.settle()
        hubbub.start()
    hubbub.exchange(second, OLDER)  # there is a way back as long as the level was not raised
    hubbub.goes_on()
    hubbub.exchange(second, NEWER)
    check_refusals(first, third)
    hubbub.runs(third, NEWER)
    third.start()
    check_raising(first, second, hubbub.ledger.user)
    hubbub.goes_on()
    hubbub.settle()
    wait_for_bytes(cluster)
    hubbub.start()

    assert third.stop() == 0, third.tail()
    third.program = OLDER
    assert TOO_OLD in refusal_of(third)
    third.program = NEWER
    third.start()
    # Another one as old as that is told so by whoever it asks, and becomes no member.
    late = Node(cluster, 4, *cluster.flags)
    hubbub.runs(late, OLDER)
    late.flags += ["--join", cairn_again(first, "cluster", "token", "--voter").strip()]
    assert "the cluster is at a feature level that this program does not know: install a newer one" in refusal_of(late)
    assert {each["name"] for each in first.status()["nodes"]} == {"node1", "node2", "node3"}
    late.program = NEWER  # the token is good still
    cluster.nodes.append(late)
    late.start()
    cluster.wait_for_voters(4)
    hubbub.goes_on()
    hubbub.settle()


def assert_older_one_does_not_serve(node):
    """It meets the command, or is refused by the others, and loses nothing: a newer program goes on from there."""
    node.program = OLDER
    told = node.log.stat().st_size
    node.spawn()
    eventually(lambda: node.process.poll() == NODE_STOP_STATUS or b"refuses this node: the cluster is at a feature level" in node.log.read_bytes()[told:],
               READY_SECONDS_MAX, f"it says why it cannot go on: {node.tail(1500)}")
    assert node.is_running() or TOO_OLD in node.tail()
    assert not Nemesis.is_ready(node)
    if node.is_running():
        node.kill()


def test_a_node_that_is_older_again_in_the_moment_the_level_is_raised_does_not_serve(hubbub):
    cluster = hubbub.cluster
    third = cluster.nodes[2]
    for node in cluster.nodes:
        hubbub.exchange(node, NEWER)
    hubbub.raise_level_while_one_stands_still(third)
    assert_older_one_does_not_serve(third)
    hubbub.goes_on()
    assert_older_one_does_not_serve(third)
    hubbub.runs(third, NEWER)
    third.start()
    hubbub.goes_on()
    hubbub.settle()
    wait_for_bytes(cluster)


def test_an_older_node_that_was_away_since_the_level_was_raised_does_not_serve(hubbub):
    cluster = hubbub.cluster
    first, second, third = cluster.nodes
    for node in cluster.nodes:
        hubbub.exchange(node, NEWER)
    hubbub.raise_level_while_one_stands_still(third)
    hubbub.goes_on()
    for node in (first, second):  # none that has seen it happen
        hubbub.exchange(node, NEWER)
    assert_older_one_does_not_serve(third)
    hubbub.runs(third, NEWER)
    third.start()
    hubbub.goes_on()
    hubbub.settle()
    wait_for_bytes(cluster)

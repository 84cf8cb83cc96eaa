"""Nodes of two versions in one cluster: they decide alike while all of them may be there, and who knows too little is kept out with a sentence and
loses nothing.

The newer program is this one as if of the next feature level (next_level.c). CAIRND_OLDER=PATH takes that cairnd for the older one."""
import os
import pathlib

import pytest

from chaos_proxy import eventually
from cluster_process import Cluster, Node, cairn_of
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
        self.chance, self.raising, self.pushes = chance, tmp_path / "raise", 0
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
        node.environment = {"RAISE_LEVEL": str(self.raising) + f"-{node.number}"}

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

    def raise_level(self):
        path = pathlib.Path(f"{self.raising}-1")
        path.write_text("")
        eventually(lambda: not path.exists(), 60, f"the level is raised: {self.cluster.nodes[0].tail(1500)}")


@pytest.fixture
def hubbub(tmp_path, chance, seed):
    hubbub = Hubbub(tmp_path / "cluster", chance, seed, tmp_path)
    yield hubbub
    hubbub.names.stopping.set()
    hubbub.refs.stopping.set()
    hubbub.cluster.close()


def refusal_of(node):
    with pytest.raises(RuntimeError, match="ended with") as raised:
        node.start()
    return str(raised.value)


def test_nodes_of_two_versions_decide_alike_and_an_older_one_is_kept_out_afterwards(hubbub):
    cluster = hubbub.cluster
    first, second, third = cluster.nodes
    for node in (first, second):
        hubbub.exchange(node, NEWER)
        hubbub.goes_on()
        hubbub.settle()
        hubbub.start()
    hubbub.exchange(second, OLDER)  # there is a way back as long as nothing new was used
    hubbub.goes_on()
    for node in (second, third):
        hubbub.exchange(node, NEWER)
    hubbub.raise_level()
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
    late.flags += ["--join", cairn_of(first, "cluster", "token", "--voter").strip()]
    assert "the cluster is at a feature level that this program does not know: install a newer one" in refusal_of(late)
    assert {each["name"] for each in first.status()["nodes"]} == {"node1", "node2", "node3"}
    late.program = NEWER  # the token is good still
    cluster.nodes.append(late)
    late.start()
    cluster.wait_for_voters(4)
    hubbub.goes_on()
    hubbub.settle()


def test_an_older_node_stops_when_the_level_is_raised_and_goes_on_once_it_is_newer(hubbub):
    cluster = hubbub.cluster
    first, second, third = cluster.nodes
    for node in (first, second):
        hubbub.exchange(node, NEWER)
    hubbub.raise_level()
    assert third.process.wait(READY_SECONDS_MAX) == NODE_STOP_STATUS, third.tail()
    assert TOO_OLD in third.tail()
    hubbub.goes_on()
    # Started again it meets the same entry, or is refused by the others, and never serves.
    third.spawn()
    told = third.log.stat().st_size
    eventually(lambda: third.process.poll() == NODE_STOP_STATUS or b"refuses this node" in third.log.read_bytes()[told:], READY_SECONDS_MAX,
               f"it says why it cannot go on: {third.tail(1500)}")
    assert not Nemesis.is_ready(third)
    if third.is_running():
        third.kill()
    hubbub.runs(third, NEWER)
    third.start()
    hubbub.goes_on()
    hubbub.settle()
    wait_for_bytes(cluster)


def test_an_older_node_that_was_away_when_the_level_was_raised_does_not_serve(hubbub):
    cluster = hubbub.cluster
    first, second, third = cluster.nodes
    for node in (first, second):
        hubbub.exchange(node, NEWER)
    third.kill()
    hubbub.goes_on()
    hubbub.raise_level()
    hubbub.goes_on()
    for node in (first, second):  # none that has seen it happen
        hubbub.exchange(node, NEWER)
    told = third.log.stat().st_size
    third.spawn()
    eventually(lambda: third.process.poll() == NODE_STOP_STATUS or b"refuses this node: the cluster is at a feature level" in third.log.read_bytes()[told:],
               READY_SECONDS_MAX, f"it says why it cannot go on: {third.tail(1500)}")
    assert not Nemesis.is_ready(third)
    if third.is_running():
        third.kill()
    hubbub.runs(third, NEWER)
    third.start()
    hubbub.goes_on()
    hubbub.settle()
    wait_for_bytes(cluster)

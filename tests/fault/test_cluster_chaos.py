"""Everything at once: branches move, tokens are revoked and bytes are pushed through all nodes of a cluster, while its network, processes, clocks and disks fail.

Nothing acknowledged is lost, nothing is half there, and the histories of branches and tokens are linearizable (harness/linearizability.py)."""
import time

import pytest

import nemesis
from cluster_process import Cluster, cairn_of
from nemesis import Nemesis
from pushers import Crowd
from ref_clients import RefClients
from test_cluster_bytes import AnyNode, Look, make_ledger, wait_for_bytes

FAULT_SECONDS = {"NETWORK": 12, "PROCESS": 14, "DISK": 8}


@pytest.fixture
def make_chaos(tmp_path):
    made = []

    def make(count):
        cluster = Cluster(tmp_path / f"cluster{len(made)}", True, "--volume-size", "32M")
        cluster.dir.mkdir()
        cluster.prepare = nemesis.prepare
        made.append(cluster)
        for _ in range(count):
            cluster.grow()
        cluster.wait_for_voters(count)
        return cluster
    yield make
    for cluster in made:
        cluster.close()


def check_everything(cluster, ledger, refs, check_disk, chance):
    wait_for_bytes(cluster)
    cluster.wait_until_same()
    refs.check()
    for node in cluster.nodes:
        look = Look(ledger, node)
        look.check(chance.sample(ledger.facts, min(40, len(ledger.facts))))
        look.ledger.repos, look.ledger.intended = set(ledger.repos), ledger.intended
        look.ledger.check_heads(chance, 10)
    node = chance.choice(cluster.nodes)  # one disk is looked at whole
    assert node.stop() == 0, node.tail()
    check_disk(node)


@pytest.mark.parametrize("kinds", list(FAULT_SECONDS))
def test_what_was_acknowledged_holds_while_it_fails(make_chaos, check_disk, chance, seed, tmp_path, kinds):
    cluster = make_chaos(3)
    hub = AnyNode(cluster, seed)
    ledger = make_ledger(cluster, hub, tmp_path)
    repos = [ledger.user.repo() for _ in range(2)]
    refs = RefClients(cluster, ledger.user, repos, seed)
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    crowd.may_be_refused()
    refs.start()
    faults = Nemesis(cluster, chance, getattr(Nemesis, kinds), hold_seconds=(1.0, 2.5))
    faults.run(FAULT_SECONDS[kinds])
    refs.stop()
    crowd.stop()
    print(faults.done, refs.counts(), ledger.counts())
    check_everything(cluster, ledger, refs, check_disk, chance)
    assert refs.counts()["calls"] > 60 and len(ledger.facts) > 15

"""A learner fails: a node without a vote that holds copies of the bytes. Nobody waits for it, nothing that was acknowledged goes with it, and everything is
read through it once it is back."""
import time

import pytest

from chaos_proxy import eventually
from cluster_process import Cluster, cairn_again
from pushers import Crowd
from ref_clients import RefClients
from test_cluster_bytes import AnyNode, Look, make_ledger, wait_for_bytes
from test_cluster_placement import held_by, id_of

ELECTION_SECONDS = 2.0  # at most, of one round
NEW_FACTS = 8           # acknowledged while a fault lasts
ACKNOWLEDGED_SECONDS_MAX = 60


class ThoseInService:
    """The cluster as a load balancer shows it: without the node that is ill-treated."""

    def __init__(self, cluster):
        self.cluster, self.dir, self.out = cluster, cluster.dir, None

    @property
    def nodes(self):
        return self.cluster.nodes

    def living(self):
        return [node for node in self.cluster.living() if node is not self.out]


@pytest.fixture
def cluster(tmp_path):
    """Three voters and a learner, each of which should hold everything."""
    cluster = Cluster(tmp_path / "cluster", True, "--volume-size", "32M")
    cluster.dir.mkdir()
    try:
        for _ in range(3):
            cluster.grow()
        cluster.wait_for_voters(3)
        cluster.grow("learner")
        cairn_again(cluster.nodes[0], "cluster", "set", "--replication-factor", "4")
        yield cluster
    finally:
        cluster.close()


def roles(node):
    return [group["role"] for group in node.me()["groups"]]


def pause(cluster, learner):
    learner.pause()
    yield
    learner.resume()


def kill(cluster, learner):
    learner.kill()
    yield
    learner.start()


def cut_off(cluster, learner):
    cluster.proxy.isolate(learner.name)
    yield
    cluster.proxy.mend()


def mute(cluster, learner):
    for node in cluster.nodes:
        if node is not learner:
            cluster.proxy.cut(learner.name, node.name)
    yield
    cluster.proxy.mend()


def deaf(cluster, learner):
    for node in cluster.nodes:
        if node is not learner:
            cluster.proxy.cut(node.name, learner.name)
    yield
    cluster.proxy.mend()


def test_whatever_happens_to_a_learner_uploads_go_on_and_it_serves_them_afterwards(cluster, check_disk, chance, seed, tmp_path):
    learner, service = cluster.nodes[3], ThoseInService(cluster)
    ledger = make_ledger(cluster, AnyNode(service, seed), tmp_path)
    refs = RefClients(cluster, ledger.user, [ledger.user.repo()], seed)
    refs.nodes = service.living
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    crowd.may_be_refused()
    refs.start(2)
    eventually(lambda: held_by(learner), ACKNOWLEDGED_SECONDS_MAX, "the learner holds bytes")
    for fault in chance.sample((kill, pause, cut_off, mute, deaf), 5):
        print(f"{time.strftime('%H:%M:%S')} fault: {fault.__name__}", flush=True)
        service.out = learner
        time.sleep(0.5)  # whoever asks it already mostly has an answer
        ill = fault(cluster, learner)
        next(ill)
        begin, calls = len(ledger.facts), refs.counts()["calls"]
        time.sleep(1.5 * ELECTION_SECONDS)
        eventually(lambda: len(ledger.facts) >= begin + NEW_FACTS and refs.counts()["calls"] > calls, ACKNOWLEDGED_SECONDS_MAX,
                   f"uploads go on: {len(ledger.facts) - begin} were acknowledged")
        during = ledger.facts[begin:]
        next(ill, None)
        Look(ledger, learner).check(chance.sample(during, NEW_FACTS))
        assert roles(learner) == ["learner", "learner"]
        service.out = None
    refs.stop()
    crowd.stop()
    print(refs.counts(), ledger.counts())
    wait_for_bytes(cluster)
    cluster.wait_until_same()
    refs.check()
    look = Look(ledger, learner)
    look.check(ledger.facts)
    look.ledger.repos, look.ledger.intended = set(ledger.repos), ledger.intended
    look.ledger.check_heads(chance, 10)
    assert roles(learner) == ["learner", "learner"]
    assert learner.stop() == 0, learner.tail()
    check_disk(learner)


def test_what_a_learner_acknowledged_is_not_lost_with_its_disk(cluster, check_disk, chance, seed, tmp_path):
    learner = cluster.nodes[3]
    ledger = make_ledger(cluster, learner, tmp_path)
    cluster.proxy.slow[learner.name] = 0.03  # what has left it when it dies is not yet with the others
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    crowd.may_be_refused()
    eventually(lambda: len(ledger.facts) > 20, ACKNOWLEDGED_SECONDS_MAX, "uploads through the learner are acknowledged")
    gone = id_of(cluster, learner)
    learner.kill()
    crowd.stop()
    print(ledger.counts())
    cluster.nodes.remove(learner)
    cairn_again(cluster.nodes[0], "cluster", "remove", gone, "--force", "--yes")
    for i, node in enumerate(cluster.nodes):
        Look(ledger, node).check(ledger.facts[i::3])

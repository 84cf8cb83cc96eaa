"""Everything at once: branches move, tokens are revoked and bytes are pushed through all nodes of a cluster, while its network, processes, clocks and disks fail.

Nothing acknowledged is lost, nothing is half there, and the histories of branches and tokens are linearizable (harness/linearizability.py)."""
import time

import pytest

import nemesis
from chaos_proxy import PATIENCE, eventually
from cluster_process import Cluster, cairn_again, cairn_of
from nemesis import Nemesis
from pushers import Crowd
from ref_clients import RefClients
from test_cluster_bytes import AnyNode, Look, make_ledger, wait_for_bytes
from test_cluster_placement import id_of, wait_for_copies

TAKEN_OVER_SECONDS_MAX = 120
BEHIND_MS_MAX = PATIENCE * 3000
UNACKNOWLEDGED_MAX = 8  # that can have been under way through two nodes when they died


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


@pytest.mark.parametrize("kinds", ("NETWORK", "PROCESS", "DISK"))
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
    faults.run_each()
    refs.go_on_until(60)
    crowd.go_on_until(15)
    refs.stop()
    crowd.stop()
    print(faults.done, refs.counts(), ledger.counts())
    check_everything(cluster, ledger, refs, check_disk, chance)


@pytest.mark.timeout(1800)  # five nodes, clients and a proxy on two cores
def test_growing_to_five_and_shrinking_to_three_under_load(make_chaos, check_disk, chance, seed, tmp_path):
    cluster = make_chaos(1)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    refs = RefClients(cluster, ledger.user, [ledger.user.repo()], seed)
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    crowd.may_be_refused()
    refs.start(3)
    for _ in range(4):
        cluster.grow()
    cluster.wait_for_voters(5)
    Nemesis(cluster, chance, ("restart",)).strike()
    # Two die for good, one after the other: their disks are not asked any more.
    for count in (4, 3):
        wait_until_taken_over(cluster)
        print(f"{time.strftime('%H:%M:%S')} all taken over by {count + 1} nodes, {len(ledger.facts)} facts", flush=True)
        lose_for_good(cluster, cluster.nodes[chance.randrange(1, count + 1)])
    wait_until_taken_over(cluster)
    refs.go_on_until(50)
    crowd.go_on_until(50)
    refs.stop()
    crowd.stop()
    print(refs.counts(), ledger.counts())
    check_mirror(cluster, ledger, refs, check_disk)


def test_leaving_until_one_is_left_under_load(make_chaos, check_disk, chance, seed, tmp_path):
    cluster = make_chaos(3)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    refs = RefClients(cluster, ledger.user, [ledger.user.repo()], seed)
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    crowd.may_be_refused()
    refs.start(3)
    facts = 0
    for _ in range(2):
        eventually(lambda: len(ledger.facts) > facts + 10, 60, "uploads go on")
        facts = len(ledger.facts)
        leave(cluster, chance.choice(cluster.nodes))
    eventually(lambda: len(ledger.facts) > facts + 10, 60, "uploads go on with one node")
    refs.stop()
    crowd.stop()
    print(refs.counts(), ledger.counts())
    check_mirror(cluster, ledger, refs, check_disk)


def test_a_node_is_replaced_under_load(make_chaos, check_disk, chance, seed, tmp_path):
    cluster = make_chaos(3)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    refs = RefClients(cluster, ledger.user, [ledger.user.repo()], seed)
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    crowd.may_be_refused()
    refs.start(3)
    time.sleep(4)
    crowd.go_on_until(15)
    wait_until_taken_over(cluster)
    before, gone = len(ledger.facts), cluster.nodes[2]
    lose_for_good(cluster, gone)
    gone.data_dir.rename(gone.data_dir.with_name("gone"))
    cluster.grow()
    cluster.wait_for_voters(3)
    wait_until_taken_over(cluster)
    crowd.go_on_until(before)
    refs.stop()
    crowd.stop()
    print(refs.counts(), ledger.counts())
    check_mirror(cluster, ledger, refs, check_disk)


def leave(cluster, node):
    """As an operator lets a node go: out of the load balancer, drained, removed."""
    other = next(each for each in cluster.nodes if each is not node)
    leaver = id_of(cluster, node)
    cluster.nodes.remove(node)
    try:
        cairn_again(other, "cluster", "drain", leaver)
        eventually(lambda: "is drained: it may be removed" in cairn_of(other, "cluster", "status"), TAKEN_OVER_SECONDS_MAX, f"{node.name} is drained")
        cairn_again(other, "cluster", "remove", leaver, "--yes")
        cluster.wait_for_voters(len(cluster.nodes))
    finally:
        node.kill()


def lose_for_good(cluster, node):
    ids = {each["name"]: each["id"] for each in cluster.nodes[0].status()["nodes"] if each["role"] != "removed"}
    cluster.nodes.remove(node)
    node.kill()
    # An upload that it had begun and nobody has acknowledged may be nowhere else; what was acknowledged is checked afterwards.
    cairn_again(cluster.nodes[0], "cluster", "remove", ids[node.name], "--force", "--yes")
    cluster.wait_for_voters(len(cluster.nodes))


def wait_until_taken_over(cluster):
    """While clients push nobody is ever level; but each has had everything a moment ago, and what it should by who is there now."""
    def so():
        for node in cluster.living():
            members = [each for each in node.status()["nodes"] if each["role"] != "removed"]
            held = [each.get("held") for each in members]  # of one that answers
            behind_ms = [each["bytes"]["behind_ms"] for each in members if not each["self"]]
            if not all(each and each["complete"] for each in held) or len({each["epoch"] for each in held}) > 1:
                return False
            if not all(ms is not None and ms < BEHIND_MS_MAX for ms in behind_ms):
                return False
        return len({each["id"] for each in members}) == len(cluster.nodes)
    try:
        eventually(so, TAKEN_OVER_SECONDS_MAX, "all taken over")
    except AssertionError:
        raise AssertionError("\n".join(f"{node.status()}\n{node.tail(800)}" for node in cluster.living())) from None


def check_mirror(cluster, ledger, refs, check_disk):
    """All that was acknowledged is on each of the nodes that are left: they have the same xorbs, one of them serves each upload, and the disks say that they are whole."""
    wait_for_bytes(cluster)
    cluster.wait_until_same()
    refs.check()
    wait_for_copies(cluster, len(cluster.nodes))  # packs are merged a while after the last push
    for i, node in enumerate(cluster.nodes):
        Look(ledger, node).check(ledger.facts[i::len(cluster.nodes)])
    for node in cluster.nodes:
        assert node.stop() == 0, node.tail()
        check_disk(node, lost=UNACKNOWLEDGED_MAX)

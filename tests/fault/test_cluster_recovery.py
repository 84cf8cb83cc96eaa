"""A majority that is lost for good: the node that is left goes on with everything it had, the lost ones are kept out, and the cluster grows again."""
import json
import shutil
import subprocess
import time

import pytest

from chaos_proxy import eventually
from cluster_process import Patient, cairn_again, cairn_of
from hub_process import CAIRN, Hub
from ledger import Lost, ask, digest
from name_ledger import NameLedger
from placed import MIB, Placed
from store_index import StoreIndex
from test_cluster_bytes import AnyNode, Look, make_cluster, make_ledger, push_one_of_each, stop_and_check, wait_for_bytes  # noqa: F401
from xet_wire import swapped


def recover(node, *flags, status=0):
    done = subprocess.run([CAIRN, "cluster", "recover", "--data", node.data_dir, *flags], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def lose(cluster, survivor):
    """Everybody dies; the others' disks are gone, but for that of one, which is kept aside. Its node."""
    for node in cluster.nodes:
        node.kill()
    others = [node for node in cluster.nodes if node is not survivor]
    token = survivor.admin_token
    for node in others:
        node.data_dir.rename(node.data_dir.with_name(f"lost-{node.name}"))
    shutil.rmtree(others[1].data_dir.with_name(f"lost-{others[1].name}"))
    (cluster.dir / "node1").mkdir(exist_ok=True)
    (cluster.dir / "node1" / "admin-token").write_text(token)
    lost = Hub(others[0].data_dir.with_name(f"lost-{others[0].name}"), *others[0].flags)
    cluster.nodes = [survivor]
    return lost


def grow(cluster, numbers):
    """Nodes in place of those that were lost; nothing but the first one's token is left in their way."""
    for number in numbers:
        token = (cluster.dir / "node1" / "admin-token").read_text()
        node = cluster.grow(data_dir=cluster.dir / f"fresh{number}")
        (cluster.dir / "node1" / "admin-token").write_text(token)
        assert node.is_running()


def test_one_that_is_left_goes_on_and_the_cluster_grows_again(make_cluster, check_disk, chance, seed, tmp_path):  # noqa: F811
    cluster = make_cluster(3)
    survivor = chance.choice(cluster.nodes)
    names = NameLedger(cluster, seed)
    names.start(2)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    for i in range(6):
        try:
            push_one_of_each(chance.choice(cluster.nodes), ledger, f"before-{i}", chance)
        except Lost:
            pass
    time.sleep(1)
    names.stop()
    wait_for_bytes(cluster)
    assert "a server uses" in recover(survivor, "--yes", status=1)

    lost = lose(cluster, survivor)
    # Without the others it waits, and says for whom.
    survivor.spawn()
    eventually(lambda: "waiting for a majority" in survivor.tail(), 30, "that it waits")
    survivor.kill()
    look = json.loads(recover(survivor, "--json"))
    assert len(look["others"]) == 2 and not look["alone"], look
    assert "WARNING" in recover(survivor)
    assert "is the only voter of its cluster now" in recover(survivor, "--yes")
    assert "only voter of its cluster already" in recover(survivor, "--yes", status=1)
    survivor.start()
    names.check(chance)
    Look(ledger, survivor).check(ledger.facts)
    push_one_of_each(survivor, ledger, "alone", chance)

    # A disk that was not lost after all is not let in, and is told why.
    lost.log = tmp_path / "lost.log"
    lost.spawn()
    eventually(lambda: "this node was removed from the cluster" in lost.tail(), 30, "that it was removed")
    lost.kill()

    grow(cluster, (1, 2))
    cluster.wait_for_voters(3)
    push_one_of_each(cluster.nodes[2], ledger, "grown", chance)
    wait_for_bytes(cluster)
    cluster.wait_until_same()
    names.check(chance)
    for node in cluster.nodes:
        Look(ledger, node).check(ledger.facts)
    # With two of three it goes on: what was recovered is a cluster like any other.
    survivor.kill()
    eventually(lambda: cluster.nodes[1].request("GET", "/readyz").status == 200 and cluster.leader() is not survivor, 20, "another leader")
    push_one_of_each(cluster.nodes[1], ledger, "without the survivor", chance)
    survivor.start()
    wait_for_bytes(cluster)
    stop_and_check(cluster, check_disk)


@pytest.mark.parametrize("which", ["alone", "empty"])
def test_recovery_is_refused_where_there_is_nothing_to_recover(make_cluster, tmp_path, which):  # noqa: F811
    if which == "empty":
        empty = Hub(tmp_path / "empty")
        assert "no data directory of a node" in recover(empty, status=1)
        assert not empty.data_dir.exists()
        return
    cluster = make_cluster(1)
    [node] = cluster.nodes
    node.stop()
    assert "only voter of its cluster" in recover(node, "--yes", status=1)
    node.start()
    assert cairn_of(node, "cluster", "status")


def test_what_only_another_node_has_is_read_from_it_recovered_apart(make_cluster, chance):  # noqa: F811
    cluster = make_cluster(3)
    first, other = cluster.nodes[:2]
    user = first.make_user("ada")
    repo = f"{user.name}/stones"
    assert first.create_repo(user.token, "stones").status == 200
    cairn_again(first, "cluster", "set", "--replication-factor", "1", "--copies", "1")
    for number in range(40):
        placed = Placed(cluster, 1, user, repo, f"weights-{number}", chance.randbytes(2 * MIB))
        if placed.holders == [other]:
            break
    assert placed.holders == [other]
    eventually(lambda: all(node.status()["groups"][1]["applied"] >= first.status()["groups"][1]["applied"] for node in cluster.nodes), 30, "the same names")
    for node in cluster.nodes:
        node.kill()
    cluster.nodes = [first, other]
    for node in cluster.nodes:
        recover(node, "--yes")
        node.start()

    def download(node):
        """By LFS: what the commit consists of may be lost with the third node."""
        [entry] = Patient(node).lfs_batch(user.token, repo, [(placed.oid, placed.length)], operation="download").json()["objects"]
        return node.request("GET", entry["actions"]["download"]["href"])

    assert download(first).status != 200
    eventually(lambda: download(other).body == placed.data, 30, "what this node has")

    push_again(first, user, repo, placed.data)
    assert download(first).body == placed.data


def push_again(node, user, repo, data):
    """Once the node has found out that it has no copy, it asks for the bytes of a file that it knows."""
    oid = digest(data)

    def asked_for():
        [entry] = Patient(node).lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"]
        return entry.get("actions")
    actions = eventually(asked_for, 30, "a request for the bytes")
    ask(node, "PUT", actions["upload"]["href"], data)


def test_a_node_that_never_had_others_asks_again_for_bytes_that_are_gone(make_cluster, chance):  # noqa: F811
    cluster = make_cluster(1)
    [node] = cluster.nodes
    user = node.make_user("ada")
    repo = f"{user.name}/stones"
    assert node.create_repo(user.token, "stones").status == 200
    placed = Placed(cluster, 1, user, repo, "weights", chance.randbytes(2 * MIB))
    assert node.stop() == 0, node.tail()
    with StoreIndex(node) as index:
        index.drop("x", swapped(bytes.fromhex(placed.xorb)))
    node.start()
    assert placed.get(node).status != 200
    push_again(node, user, repo, placed.data)
    assert placed.get(node).body == placed.data

"""Cold content as 4 + 2 parts on as many nodes: half of the room of three copies, read through every node bit for bit, also when two nodes are gone; and back to whole copies.
A node that comes takes parts and no whole copies; one that has lost the records of codings gets them again."""
import itertools
import json
import time

from chaos_proxy import eventually
from cluster_process import Patient, cairn_again, cairn_of, refused
from ledger import Commit, ask, digest
from store_index import StoreIndex
from test_cluster_bytes import AnyNode, Look, make_ledger
from test_cluster_digest import repair_and_wait
from test_cluster_placement import held_by, holders, id_of, make_cluster  # noqa: F401
from xet_wire import File, Xorb, shard

NODES = 7
PIECES = 5
CODED_BYTES_MIN = 1 << 20
CONVERGE_SECONDS_MAX = 90


def push_bytes(cluster, ledger, data, chance):
    """One LFS object of that content, in a commit of its own."""
    repo, oid = sorted(ledger.repos)[0], digest(data)
    for attempt in range(20):
        try:
            node = Patient(chance.choice(cluster.living()))
            entry = node.lfs_batch(ledger.user.token, repo, [(oid, len(data))]).json()["objects"][0]
            if "actions" in entry:
                ask(node, "PUT", entry["actions"]["upload"]["href"], data)
            path = f"{oid[:12]}.bin"
            answer = node.commit(ledger.user.token, repo, [("lfsFile", {"path": path, "algo": "sha256", "oid": oid, "size": len(data)})])
            assert answer.status == 200, answer
            return ledger.keep(Commit(repo, answer.json()["commitOid"], {path: oid}))
        except AssertionError:
            if attempt == 19:
                raise
            time.sleep(0.5)


def push_many_records(node, ledger, chance):
    """More files, each with a claim, than one answer to a node that follows has records."""
    node = Patient(node)
    token = ask(node, "GET", f"/api/models/{sorted(ledger.repos)[0]}/xet-write-token/main", token=ledger.user.token).json()["accessToken"]
    xorb = Xorb([chance.randbytes(1000) for _ in range(36)])
    ask(node, "POST", xorb.path, xorb.body, token=token)
    ask(node, "POST", "/v1/shards", shard([File([(xorb, *ends)]) for ends in itertools.combinations(range(37), 2)], [xorb]), token=token)


def stored(cluster):
    """Bytes of bodies on each living node."""
    return {node.name: sum(held_by(node).values()) for node in cluster.living()}


def wait_for_room(cluster, total, low, high, why):
    """All of it takes between `low` and `high` times its size on all nodes."""
    asked = [time.monotonic() - 12]

    def right():
        if time.monotonic() - asked[0] > 12:  # by themselves they look every minute
            cairn_again(cluster.any_node(), "cluster", "repair")
            asked[0] = time.monotonic()
        return low * total <= sum(stored(cluster).values()) <= high * total
    began = time.monotonic()
    try:
        eventually(right, CONVERGE_SECONDS_MAX, why)
    except AssertionError:
        told = "\n".join(f"{node.name}: {[each.get('held') for each in node.status()['nodes'] if each['self']]} {node.tail(600)}" for node in cluster.living())
        raise AssertionError(f"{why}: {stored(cluster)} for {total}\n{told}") from None
    print(f"{why}: {sum(stored(cluster).values()) / total:.2f} times the content after {time.monotonic() - began:.1f} s")


def check_through_all(cluster, ledger):
    for node in cluster.living():
        Look(ledger, node).check(ledger.facts)


def leaver_of(cluster, down):
    return next(node for node in reversed(cluster.nodes) if node not in (cluster.nodes[0], down))


def remove_another(cluster, down):
    """For good, and without force."""
    leaver = leaver_of(cluster, down)
    cairn_again(cluster.nodes[0], "cluster", "remove", id_of(cluster, leaver), "--yes")
    cluster.nodes.remove(leaver)
    eventually(lambda: sum(each["role"] != "removed" for each in cluster.nodes[0].status()["nodes"]) == len(cluster.nodes), 30, "out")
    leaver.kill()


def wait_until_complete(cluster):
    eventually(lambda: all(node.status()["bytes_replicated"] for node in cluster.living()), CONVERGE_SECONDS_MAX, "all fully replicated")


def grow_and_push(cluster, ledger, chance):
    """Seven nodes, and pieces that are large enough to be coded; their bytes in all."""
    while len(cluster.nodes) < NODES:
        cluster.grow("learner")
    cluster.wait_for_voters(3)
    total = 0
    for _ in range(PIECES):
        data = chance.randbytes(chance.randint(1_200_000, 3_000_000))
        total += len(data)
        push_bytes(cluster, ledger, data, chance)
    return total


def make_coded_cluster(make_cluster, seed, chance, tmp_path):  # noqa: F811
    """Seven nodes and what was pushed to them, all of it coded; the names of the xorbs that were large enough, which nobody holds whole any more."""
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    total = grow_and_push(cluster, ledger, chance)
    push_many_records(cluster.nodes[0], ledger, chance)
    wholes = {xorb for node in cluster.nodes for xorb, length in held_by(node).items() if length >= CODED_BYTES_MIN}
    cairn_again(cluster.nodes[0], "cluster", "set", "--erasure", "4+2", "--erasure-after", "0", "--grace", "5")
    wait_for_room(cluster, total, 1.45, 1.55, "coded")
    assert len(wholes) >= PIECES and not wholes & set(holders(cluster))
    return cluster, ledger, total, wholes


def watch_until_level(cluster, fresh, total):
    """Every xorb that was seen on a new node until it has its share."""
    seen, peak = set(), 0

    def level():
        nonlocal peak
        answer = fresh.request("GET", "/api/admin/xorbs", token=fresh.admin_token)
        if answer.status != 200:  # it may have heard of no leader yet
            return False
        held = {each["xorb"]: each["body_length"] for each in json.loads(answer.body)}
        seen.update(held)
        peak = max(peak, sum(held.values()))
        return sum(held.values()) > 0.05 * total and all(node.status()["bytes_replicated"] for node in cluster.living())
    began = time.monotonic()
    eventually(level, CONVERGE_SECONDS_MAX, "a new node has its share")
    print(f"a new node has its share after {time.monotonic() - began:.1f} s: {sum(held_by(fresh).values()) / total:.2f} times the content, {peak / total:.2f} at most")
    return seen


def codings(node):
    """{xorb: records of its codings} as a node that is stopped knows it."""
    with StoreIndex(node) as index:
        return index.entries("e")


def test_a_new_node_takes_parts_and_one_that_lost_records_of_codings_gets_them_again(make_cluster, chance, seed, tmp_path):  # noqa: F811
    cluster, ledger, total, wholes = make_coded_cluster(make_cluster, seed, chance, tmp_path)

    # One more node: it takes its share of parts, and never a whole xorb on the way.
    fresh = cluster.grow("learner")
    seen = watch_until_level(cluster, fresh, total)
    wait_for_room(cluster, total, 1.45, 1.55, "shared with a new one")
    assert seen and not seen & wholes, (seen & wholes, fresh.tail())
    assert sum(each.get("taken_xorbs", 0) for each in fresh.status()["nodes"]) == 0, fresh.status()

    # One goes for good while another one comes.
    gone = chance.choice(cluster.nodes[3:NODES])
    gone_id = id_of(cluster, gone)
    gone.kill()
    cluster.nodes.remove(gone)
    cairn_again(cluster.nodes[0], "cluster", "remove", gone_id, "--force", "--yes")
    fresh = cluster.grow("learner")
    watch_until_level(cluster, fresh, total)
    wait_for_room(cluster, total, 1.45, 1.55, "made up for the node that is gone, and shared with a new one")
    wait_until_complete(cluster)

    # A node has lost how everything was coded, behind the places that it remembers: nobody asks for it, and it is there again.
    victim = chance.choice(cluster.nodes[1:3])
    assert victim.stop() == 0, victim.tail()
    known = codings(victim)
    assert len(known) == len(wholes), known.keys()
    with StoreIndex(victim) as index:
        for letter in "ep":
            for key in index.entries(letter):
                index.drop(letter, key)
    victim.start()
    eventually(lambda: victim.request("GET", "/readyz").status == 200, 30, "ready")
    repair_and_wait(cluster, [victim], CONVERGE_SECONDS_MAX)
    wait_for_room(cluster, total, 1.45, 1.55, "with the records of codings again")
    wait_until_complete(cluster)
    check_through_all(cluster, ledger)
    assert victim.stop() == 0, victim.tail()
    assert codings(victim) == known


def test_cold_content_lies_as_parts_and_any_two_nodes_may_go(make_cluster, chance, seed, tmp_path):  # noqa: F811
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    said = refused(cluster.nodes[0], "cluster", "set", "--erasure", "4+2")
    assert "4+2 parts cannot lie on different nodes: there are only 3" in said, said
    assert "or off" in refused(cluster.nodes[0], "cluster", "set", "--erasure", "11+2")
    total = grow_and_push(cluster, ledger, chance)
    cairn_again(cluster.nodes[0], "cluster", "set", "--erasure", "4+2", "--erasure-after", "0", "--grace", "5")
    eventually(lambda: "but 4+2 parts of what is older than 0 s" in cairn_of(cluster.nodes[1], "cluster", "status"), 10, "known to all")
    wait_for_room(cluster, total, 1.45, 1.7, "coded")
    check_through_all(cluster, ledger)
    wait_for_room(cluster, total, 1.45, 1.7, "what was joined for readers went again")

    # Two nodes die at once: everything is read, and parts are made again on those that are left.
    first, second = chance.choice(cluster.nodes[1:3]), chance.choice(cluster.nodes[3:])
    first.kill()
    second.kill()
    check_through_all(cluster, ledger)
    second.start()
    cairn_again(cluster.nodes[0], "cluster", "remove", id_of(cluster, first), "--force", "--yes")
    cluster.nodes.remove(first)
    wait_for_room(cluster, total, 1.45, 1.75, "made up for the node that is gone")
    wait_until_complete(cluster)
    check_through_all(cluster, ledger)

    # A removal that the parts bear is no loss, though one more is down.
    second.kill()
    remove_another(cluster, second)
    second.start()
    remove_another(cluster, second)
    wait_for_room(cluster, total, 1.45, 1.7, "on four nodes")
    check_through_all(cluster, ledger)
    wait_for_room(cluster, total, 1.45, 1.7, "on four nodes, after reading")
    # With two of four down it is: they have two parts each of most of it, and cannot hand them on.
    other = leaver_of(cluster, second)
    second.kill()
    other.kill()
    said = refused(cluster.nodes[0], "cluster", "remove", id_of(cluster, other), "--yes")
    assert "force it and lose them" in said, said
    second.start()
    other.start()
    wait_until_complete(cluster)

    cairn_again(cluster.nodes[0], "cluster", "set", "--erasure", "off")
    wait_for_room(cluster, total, 2.95, 3.05, "whole copies again")
    check_through_all(cluster, ledger)

"""More nodes than copies: each xorb lies on as many nodes as it should, any node serves any file, and nobody gives up a last copy."""
import hashlib
import re
import time

import pytest

from chaos_proxy import eventually
from cluster_process import Cluster, Patient, cairn_again, cairn_of, refused
from ledger import StoredXorb, ask
from placed import Placed
from test_cluster_bytes import AnyNode, Look, make_ledger, push_one_of_each
from hub_process import BUILD
from xet_wire import Xorb, random_xorb, text

CONVERGE_SECONDS_MAX = 120
FIRST_NODES = 5
HOUR_MS = 60 * 60 * 1000


@pytest.fixture
def make_cluster(tmp_path):
    made = []

    def make(count, *flags):
        cluster = Cluster(tmp_path / f"cluster{len(made)}", False, "--volume-size", "32M", *flags)
        cluster.dir.mkdir()
        made.append(cluster)
        for _ in range(count):
            cluster.grow()
        return cluster
    yield make
    for cluster in made:
        cluster.close()


def held_by(node):
    return {each["xorb"]: each["body_length"] for each in node.admin("GET", "/xorbs")}


def holders(cluster):
    """Every xorb of the cluster, and the names of the nodes that have it."""
    found = {}
    for node in cluster.living():
        for xorb in held_by(node):
            found.setdefault(xorb, set()).add(node.name)
    return found


def wait_for_copies(cluster, copies, never=()):
    """Every xorb is on exactly that many nodes, none of them one of `never`."""
    asked = [0.0]

    def right():
        if time.monotonic() - asked[0] > 15:  # by themselves they look every minute
            cairn_again(cluster.any_node(), "cluster", "repair")
            asked[0] = time.monotonic()
        return all(len(names) == copies and not names & set(never) for names in holders(cluster).values())
    try:
        eventually(right, CONVERGE_SECONDS_MAX, f"{copies} copies of everything")
    except AssertionError:
        wrong = {xorb[:8]: sorted(names) for xorb, names in holders(cluster).items() if len(names) != copies or names & set(never)}
        told = "\n".join(f"{node.name}: {[each.get('held') for each in node.status()['nodes'] if each['self']]} {node.tail(800)}" for node in cluster.living())
        raise AssertionError(f"{len(holders(cluster))} xorbs, wrong: {wrong}\n{told}") from None


def id_of(cluster, node):
    return next(each["id"] for each in cluster.any_node().status()["nodes"] if each["name"] == node.name)


def push_some(cluster, ledger, name, count, chance):
    for i in range(count):
        for attempt in range(20):
            try:
                push_one_of_each(chance.choice(cluster.living()), ledger, f"{name}-{i}-{attempt}", chance)
                break
            except AssertionError:
                if attempt == 19:
                    raise
                time.sleep(0.5)


def check_through_all(cluster, ledger, facts=None):
    for node in cluster.living():
        Look(ledger, node).check(facts or ledger.facts)


def test_each_xorb_is_on_three_of_five_nodes_and_every_node_serves_every_file(make_cluster, chance, seed, tmp_path):
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    push_some(cluster, ledger, "three", 6, chance)
    wait_for_copies(cluster, 3)
    cluster.grow()
    cluster.grow()
    cluster.wait_for_voters(FIRST_NODES)
    push_some(cluster, ledger, "five", 10, chance)
    check_through_all(cluster, ledger, ledger.facts[-6:])  # at once, wherever the bytes are
    wait_for_copies(cluster, 3)
    counts = {node.name: len(held_by(node)) for node in cluster.nodes}
    total = len(holders(cluster))
    assert all(0 < count < total for count in counts.values()), (counts, total)
    check_through_all(cluster, ledger)
    wait_for_copies(cluster, 3)  # what was fetched for readers goes again


def test_every_node_acknowledges_what_others_hold(make_cluster, chance, seed, tmp_path):
    """A commit that names what was stored through another node asks those who should have it; neither that nor sending it again makes copies that stay."""
    cluster = make_cluster(FIRST_NODES)
    cluster.wait_for_voters(FIRST_NODES)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    user, repos = ledger.user, [ledger.user.repo() for _ in cluster.nodes]
    objects = {hashlib.sha256(data).hexdigest(): data for data in (chance.randbytes(30_000) for _ in range(40))}
    for oid, data in objects.items():
        put_object(chance.choice(cluster.nodes), user, repos[0], oid, data)
    wait_for_copies(cluster, 3)
    for node, repo in zip(map(Patient, cluster.nodes), repos):
        assert all(put_object(node, user, repo, oid, data) for oid, data in objects.items())
        assert node.commit(user.token, repo, {f"sent again/{oid}": data for oid, data in objects.items()}).status == 200
        operations = [("lfsFile", {"path": f"{node.name}/{oid}", "algo": "sha256", "oid": oid, "size": len(data)}) for oid, data in objects.items()]
        assert node.commit(user.token, repo, operations).status == 200
    wait_for_copies(cluster, 3)
    packs = 2 * len(cluster.nodes)
    assert len(holders(cluster)) <= len(objects) + packs + 2 * len(cluster.nodes)


def test_what_a_holder_has_collected_is_copied_again_for_who_sends_it_to_another(make_cluster, chance):
    """Each node collects garbage for itself: what one still has may have no other copy any more."""
    cluster = make_cluster(3)
    cluster.wait_for_voters(3)
    cairn_of(cluster.nodes[0], "cluster", "set", "--replication-factor", "2")
    user = cluster.nodes[0].make_user("ada")
    repo, again = user.repo(), user.repo()
    placed = Placed(cluster, 2, user, repo, "weights.bin", chance.randbytes(2 << 20))
    keeps, collects = placed.holders
    [other] = placed.others
    owner, name = repo.split("/")
    ask(keeps, "DELETE", "/api/repos/delete", {"name": name, "organization": owner, "type": "model"}, token=user.token)
    collects.operation("gc", grace_ms=0, any_grace=True)
    assert placed.xorb in held_by(keeps) and placed.xorb not in held_by(collects)
    collects.pause()
    eventually(lambda: keeps.request("GET", "/readyz").status == 200, 30, "a leader")
    operations = [("lfsFile", {"path": "weights.bin", "algo": "sha256", "oid": placed.oid, "size": placed.length})]
    put_object(keeps, user, again, placed.oid, placed.data)
    assert Patient(keeps).commit(user.token, again, operations).status == 200
    assert placed.xorb in held_by(other)
    keeps.kill()
    collects.resume()
    eventually(lambda: other.request("GET", f"/{again}/resolve/main/weights.bin", token=user.token).body == placed.data, 30, "it is read without the node that took it")


def put_object(node, user, repo, oid, data):
    """True: it was known."""
    node = Patient(node)
    object = node.lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0]
    if "actions" in object:
        ask(node, "PUT", object["actions"]["upload"]["href"], data)
    return "actions" not in object


def test_what_a_node_held_that_is_gone_for_good_is_copied_again(make_cluster, chance, seed, tmp_path):
    cluster = make_cluster(FIRST_NODES)
    cluster.wait_for_voters(FIRST_NODES)
    cairn_again(cluster.nodes[0], "cluster", "set", "--grace", "5")
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    push_some(cluster, ledger, "before", 8, chance)
    wait_for_copies(cluster, 3)
    victim = cluster.nodes[chance.randrange(1, FIRST_NODES)]
    victim.kill()
    push_some(cluster, ledger, "without", 3, chance)  # writes go on though some of them should lie there
    wait_for_copies(cluster, 3)
    check_through_all(cluster, ledger)
    # It comes back, with what it had: nothing is lost and nothing is kept twice.
    victim.start()
    wait_for_copies(cluster, 3)
    check_through_all(cluster, ledger)


def push_xorbs(cluster, ledger, count, chance):
    """Xorbs that no shard names yet, through any node."""
    repo = sorted(ledger.repos)[0]
    for _ in range(count):
        xorb = Xorb([chance.randbytes(chance.randint(9000, 60_000))])
        node = Patient(chance.choice(cluster.living()))
        token = ask(node, "GET", f"/api/models/{repo}/xet-write-token/main", token=ledger.user.token).json()["accessToken"]
        ask(node, "POST", xorb.path, xorb.body, token=token)
        ledger.keep(StoredXorb(repo, xorb))


def test_what_is_acknowledged_and_in_no_file_yet_is_copied_again(make_cluster, chance, seed, tmp_path):
    cluster = make_cluster(FIRST_NODES)
    cluster.wait_for_voters(FIRST_NODES)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    push_xorbs(cluster, ledger, 40, chance)
    wait_until_complete(cluster)
    # Every one of the three that held a xorb at first may be among those that go, one after the other.
    for count in (4, 3, 2):
        victim = cluster.nodes.pop(1)
        victim_id = next(each["id"] for each in cluster.nodes[0].status()["nodes"] if each["name"] == victim.name)
        victim.kill()
        cairn_again(cluster.nodes[0], "cluster", "remove", victim_id, "--force", "--yes")
        cluster.wait_for_voters(count)
        wait_until_complete(cluster)
        held = holders(cluster)
        xorbs = [text(fact.xorb.hash) for fact in ledger.facts]
        few = {xorb[:8]: held.get(xorb) for xorb in xorbs if len(held.get(xorb, ())) < min(3, count)}
        assert not few, few
    check_through_all(cluster, ledger)


def wait_until_complete(cluster):
    """Each node says of all that they have what they should."""
    eventually(lambda: all(node.status()["bytes_replicated"] for node in cluster.living()), CONVERGE_SECONDS_MAX, "all fully replicated")


def test_a_drained_node_holds_nothing_that_is_needed_and_may_be_removed(make_cluster, chance, seed, tmp_path):
    cluster = make_cluster(FIRST_NODES - 1)
    cluster.wait_for_voters(FIRST_NODES - 1)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    push_some(cluster, ledger, "drain", 8, chance)
    wait_for_copies(cluster, 3)
    leaver = cluster.nodes[3]
    cairn_again(cluster.nodes[0], "cluster", "drain", id_of(cluster, leaver))
    push_some(cluster, ledger, "draining", 3, chance)
    wait_for_copies(cluster, 3, never={leaver.name})
    assert held_by(leaver) == {}
    eventually(lambda: "is drained: it may be removed" in cairn_of(cluster.nodes[0], "cluster", "status"), 30, "drained")
    assert "no node would be left" in refused(cluster.nodes[0], "cluster", "drain", *(id_of(cluster, node) for node in cluster.nodes[:3]))
    cairn_again(cluster.nodes[0], "cluster", "remove", id_of(cluster, leaver), "--yes")
    leaver.kill()
    cluster.nodes.remove(leaver)
    cluster.wait_for_voters(3)
    check_through_all(cluster, ledger)
    assert "3 copies of everything" in cairn_of(cluster.nodes[0], "cluster", "status")
    cairn_again(cluster.nodes[0], "cluster", "drain", id_of(cluster, cluster.nodes[2]))
    eventually(lambda: "2 of 3 copies of everything" in cairn_of(cluster.nodes[0], "cluster", "status"), 30, "that there are fewer")


def test_the_last_copy_of_anything_is_not_removed(make_cluster, chance, seed, tmp_path):
    cluster = make_cluster(3)
    cluster.wait_for_voters(3)
    said = refused(cluster.nodes[0], "cluster", "set", "--replication-factor", "4")
    assert "4 copies of everything cannot lie in different failure domains: there are only 3" in said, said
    said = refused(cluster.nodes[0], "cluster", "set", "--replication-factor", "2", "--copies", "3")
    assert "3 copies cannot be waited for when only 2 are made" in said, said
    cairn_again(cluster.nodes[0], "cluster", "set", "--replication-factor", "1", "--copies", "1")
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    push_some(cluster, ledger, "one", 10, chance)
    wait_for_copies(cluster, 1)
    victim = max(cluster.nodes[1:], key=lambda node: len(held_by(node)))
    number, bytes = len(held_by(victim)), sum(held_by(victim).values())
    victim_id = id_of(cluster, victim)
    before = cluster.nodes[0].status()
    victim.kill()  # so the others cannot take over what it has
    said = refused(cluster.nodes[0], "cluster", "remove", victim_id, "--yes")
    told = re.search(r"(\d+) xorbs, which \d+ files need, .* force it and lose them", said)
    assert told and 0 < int(told[1]) <= number, (number, said)  # an upload that was tried again may have left one that no file needs
    victim.start()
    after = next(each for each in cluster.nodes[0].status()["nodes"] if each["id"] == victim_id)
    assert after["role"] == "voter" and not after["drained"], (before, after)
    assert number > 0 and bytes > 0
    wait_until_complete(cluster)  # nobody reads from a node that is not reached yet
    # The node that came back has read what it needs for lists and search: that goes at the next walk, a minute later.
    eventually(lambda: all(len(names) == 1 for names in holders(cluster).values()), 180, "as it was")
    check_through_all(cluster, ledger)
    # Drained first, it may go.
    cairn_again(cluster.nodes[0], "cluster", "drain", victim_id)
    wait_for_copies(cluster, 1, never={victim.name})
    cairn_again(cluster.nodes[0], "cluster", "remove", victim_id, "--yes")
    victim.kill()
    cluster.nodes.remove(victim)
    cluster.wait_for_voters(2)
    check_through_all(cluster, ledger)


class OfAge:
    """A cluster whose clocks can be set together, and a xorb that no file needs: garbage once it is old."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.clock = cluster.dir / "clock"
        self.clock.write_text("0\n")
        cluster.prepare = lambda node: setattr(node, "environment", {"LD_PRELOAD": str(BUILD / "libclock_fault.so"), "CLOCK_FAULT": str(self.clock)})
        for _ in range(3):
            cluster.grow()
        cluster.wait_for_voters(3)
        wait_until_complete(cluster)  # or a walk may yet offer what a test has had collected
        self.user = cluster.nodes[0].make_user("ada")
        self.repo = self.user.repo()
        self.xorb = random_xorb("of age", 3, 60_000)

    def send(self, node):
        ask(node, "POST", self.xorb.path, self.xorb.body, token=node.xet_token(self.user.token, self.repo)["accessToken"])

    def on(self):
        return [node for node in self.cluster.nodes if node.has_xorb(self.xorb)]

    def wait_for(self, count):
        eventually(lambda: len(self.on()) == count, CONVERGE_SECONDS_MAX, f"{count} copies")

    def grow_old(self):
        """Two hours pass."""
        self.clock.write_text(f"{2 * HOUR_MS}\n")
        time.sleep(0.5)  # each process looks by itself

    @staticmethod
    def collect(*nodes, grace_ms=HOUR_MS):
        for node in nodes:
            done = node.operation("gc", grace_ms=grace_ms, any_grace=True)
            assert done["state"] == "done", done

    def garbage_on(self):
        """What would be collected stays, so that nobody gives it back."""
        return [node for node in self.cluster.nodes
                if node.operation("gc", grace_ms=HOUR_MS, any_grace=True, dry_run=True)["result"]["xorbs_dropped"]]


@pytest.fixture
def of_age(make_cluster):
    return OfAge(make_cluster(0))


def test_what_is_sent_to_one_node_again_is_garbage_on_no_other(of_age):
    first, second, third = of_age.cluster.nodes
    of_age.send(first)
    of_age.wait_for(3)
    of_age.collect(first, grace_ms=0)
    assert of_age.on() == [second, third]
    of_age.grow_old()
    of_age.send(first)
    of_age.wait_for(3)
    wait_until_complete(of_age.cluster)
    of_age.collect(second, third)
    assert of_age.on() == [first, second, third]


def test_what_is_sent_again_to_a_node_that_has_it_is_copied_again_to_those_that_collected_it(of_age):
    first, second, third = of_age.cluster.nodes
    of_age.send(first)
    of_age.wait_for(3)
    of_age.grow_old()
    of_age.collect(second, third)
    assert of_age.on() == [first]
    of_age.send(first)
    assert len(of_age.on()) >= 2
    of_age.wait_for(3)


def test_who_should_have_what_was_acknowledged_does_not_collect_it(of_age):
    """The node that took it gives it up, as it belongs to two others; they have had it for long, and say so."""
    cluster = of_age.cluster
    cairn_of(cluster.nodes[0], "cluster", "set", "--replication-factor", "2")
    of_age.send(cluster.nodes[0])
    asked = [0.0]

    def repaired():
        if time.monotonic() - asked[0] > 5:
            cairn_again(cluster.nodes[0], "cluster", "repair")
            asked[0] = time.monotonic()
        return len(of_age.on()) == 2
    eventually(repaired, CONVERGE_SECONDS_MAX, "two copies")
    holders = of_age.on()
    [other] = [node for node in cluster.nodes if node not in holders]
    of_age.grow_old()
    of_age.send(other)
    of_age.collect(*holders)
    assert set(holders) <= set(of_age.on())
    eventually(repaired, CONVERGE_SECONDS_MAX, "two copies")
    of_age.collect(*cluster.nodes)
    assert of_age.on() == holders


def test_garbage_that_is_copied_is_as_old_as_before_where_it_was(of_age):
    first, second, third = of_age.cluster.nodes
    of_age.send(first)
    of_age.wait_for(3)
    of_age.grow_old()
    of_age.collect(first)
    assert of_age.on() == [second, third]
    cairn_again(first, "cluster", "repair")  # the others offer what they have
    of_age.wait_for(3)
    wait_until_complete(of_age.cluster)
    assert of_age.garbage_on() == [second, third]

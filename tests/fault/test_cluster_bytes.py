"""The bytes of a cluster: on every node, readable through every node at once, and not lost with the node that took them."""
import base64
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from chaos_proxy import PATIENCE, eventually
from cluster_process import Cluster, Patient, cairn_again
from git_client import Git
from hub_process import Hub
from ledger import Commit, Ledger, RegisteredFile, StoredObject, ask, digest, heard
from pushers import Crowd
from samples import random_bytes
from volumes import find_bytes, flip_bit
from xet_wire import File, Xorb, shard, text

CONVERGE_SECONDS_MAX = 60


class AnyNode(Hub):
    """What a client behind a load balancer sees: each request goes to one of the nodes that live."""

    def __init__(self, cluster, seed):
        super().__init__(cluster.dir / "node1")
        self.cluster = cluster
        self.random = random.Random(f"any node {seed}")
        self.lock = threading.Lock()

    def request(self, method, path, *arguments, **more):
        for node in self.cluster.nodes:
            if path.startswith(node.url + "/"):
                path = path[len(node.url):]
        living = self.cluster.living()
        if not living:
            raise ConnectionRefusedError("no node lives")
        with self.lock:
            node = self.random.choice(living)
        return node.request(method, path, *arguments, **more)


class Look:
    """The ledger's facts, looked at through one node, which may say that it cannot tell yet; never anything wrong."""

    def __init__(self, ledger, node):
        self.ledger = Ledger(Patient(node), ledger.user, ledger.log.name + f".{node.name}")
        self.node = node

    def check(self, facts):
        self.ledger.forget_answers()
        for fact in facts:
            try:
                fact.check(self.ledger)
            except AssertionError as error:
                raise AssertionError(f"through {self.node.name}: {error}\n{self.node.tail(2000)}") from None


class Readers(threading.Thread):
    """Whatever is acknowledged is read through another node at once."""

    def __init__(self, ledger, cluster, seed):
        super().__init__(daemon=True)
        self.ledger, self.cluster = ledger, cluster
        self.random = random.Random(f"readers {seed}")
        self.stopping = threading.Event()
        self.failure, self.seen = None, 0
        self.start()

    def run(self):
        at = len(self.ledger.facts)
        while not self.stopping.is_set():
            facts = self.ledger.facts[at:]
            at += len(facts)
            for fact in facts[-8:]:
                try:
                    Look(self.ledger, self.random.choice(self.cluster.living())).check([fact])
                    self.seen += 1
                except BaseException as error:
                    self.failure = error
                    return
            time.sleep(0.01)

    def stop(self):
        self.stopping.set()
        self.join(300)
        assert not self.is_alive(), "a reader hangs"
        if self.failure:
            raise self.failure


@pytest.fixture
def make_cluster(tmp_path):
    made = []

    def make(count, *flags, with_proxy=False):
        cluster = Cluster(tmp_path / f"cluster{len(made)}", with_proxy, "--volume-size", "32M", *flags)
        cluster.dir.mkdir()
        made.append(cluster)
        for _ in range(count):
            cluster.grow()
        cluster.wait_for_voters(count)
        return cluster
    yield make
    for cluster in made:
        cluster.close()


def wait_for_bytes(cluster, seconds=CONVERGE_SECONDS_MAX):
    """Every node says that nothing is missing anywhere, and all count the same."""
    def same():
        counts = []
        for node in cluster.living():
            if not node.status()["bytes_replicated"]:
                return False
            stats = node.stats()
            counts.append((stats["files"], stats["xorbs"]))
        return len(set(counts)) == 1
    try:
        eventually(same, seconds, "all bytes on every node")
    except AssertionError:
        raise AssertionError("\n".join(f"{node.name}: {node.stats()}\n{node.status()}\n{node.tail(1500)}" for node in cluster.living())) from None


def stop_and_check(cluster, check_disk):
    for node in cluster.living():
        assert node.stop() == 0, node.tail()
    for node in cluster.nodes:
        if (node.data_dir / "store").exists():
            check_disk(node)


def make_ledger(cluster, hub, tmp_path, name="alice"):
    user = hub.make_user(name)
    ledger = Ledger(hub, user, tmp_path / f"acknowledged-{name}.jsonl")
    ledger.repos.update(user.repo() for _ in range(3))
    return ledger


def push_one_of_each(node, ledger, name, chance):
    """An object, then a commit that names it, all through one node; nothing else is asked of it afterwards."""
    node, repo = Patient(node), sorted(ledger.repos)[chance.randrange(3)]
    data = chance.randbytes(chance.choice((5_000, 300_000, 3_000_000)))
    oid = digest(data)
    entry = heard(lambda: node.lfs_batch(ledger.user.token, repo, [(oid, len(data))])).json()["objects"][0]
    ask(node, "PUT", entry["actions"]["upload"]["href"], data)
    small = chance.randbytes(chance.choice((10, 20_000)))
    files = {f"{name}.bin": oid, f"{name}.txt": digest(small)}
    ledger.intend(repo, files)
    answer = node.commit(ledger.user.token, repo, [
        ("lfsFile", {"path": f"{name}.bin", "algo": "sha256", "oid": oid, "size": len(data)}),
        ("file", {"path": f"{name}.txt", "content": base64.b64encode(small).decode(), "encoding": "base64"})])
    assert answer.status == 200, answer
    fact = Commit(repo, answer.json()["commitOid"], files)
    ledger.keep(fact)
    return fact


def test_what_is_pushed_through_any_node_is_read_through_every_other_at_once(make_cluster, check_disk, chance, seed, tmp_path):
    cluster = make_cluster(3)
    hub = AnyNode(cluster, seed)
    ledger = make_ledger(cluster, hub, tmp_path)
    readers = Readers(ledger, cluster, seed)
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    time.sleep(12)
    crowd.go_on_until(20, kinds=6)
    crowd.stop()
    for node in cluster.nodes:
        Look(ledger, node).check(ledger.facts[-15:])
    readers.stop()
    print(f"{ledger.counts()}, {readers.seen} read at once")
    wait_for_bytes(cluster)
    for node in cluster.nodes:
        Look(ledger, node).check(chance.sample(ledger.facts, min(40, len(ledger.facts))))
    stop_and_check(cluster, check_disk)


def test_what_a_node_acknowledged_before_it_was_killed_is_on_the_others(make_cluster, check_disk, chance, seed, tmp_path):
    cluster = make_cluster(3)
    hub = AnyNode(cluster, seed)
    ledger = make_ledger(cluster, hub, tmp_path)
    for round in range(5):
        victim = cluster.nodes[round % 3]
        facts = []
        for i in range(chance.randint(1, 4)):
            facts.append(push_one_of_each(victim, ledger, f"round-{round}-{i}", chance))
        victim.kill()
        others = cluster.living()
        assert len(others) == 2
        for node in others:
            eventually(lambda: node.request("GET", "/readyz").status == 200, 20, "ready")
            Look(ledger, node).check(facts)
        victim.start()
    assert len(ledger.facts) >= 5
    wait_for_bytes(cluster)
    for node in cluster.nodes:
        Look(ledger, node).check(ledger.facts)
    stop_and_check(cluster, check_disk)


def push_unnamed(node, ledger, chance):
    """An LFS object and a Xet file that no commit names."""
    node, repo = Patient(node), sorted(ledger.repos)[chance.randrange(3)]
    data = chance.randbytes(5_000)
    entry = node.lfs_batch(ledger.user.token, repo, [(digest(data), len(data))]).json()["objects"][0]
    ask(node, "PUT", entry["actions"]["upload"]["href"], data)
    xorb = Xorb([chance.randbytes(20_000) for _ in range(3)])
    file = File([(xorb, 0, 3)])
    token = node.xet_token(ledger.user.token, repo, "write")["accessToken"]
    ask(node, "POST", xorb.path, xorb.body, token=token)
    ask(node, "POST", "/v1/shards", shard([file], [xorb]), token=token)
    return [StoredObject(repo, digest(data), len(data)), RegisteredFile(repo, file)]


def test_a_node_that_is_cut_off_does_not_say_that_what_it_has_not_heard_of_is_gone(make_cluster, check_disk, chance, tmp_path):
    cluster = make_cluster(3, with_proxy=True)
    pushing, _, alone = cluster.nodes
    ledger = make_ledger(cluster, pushing, tmp_path)
    read = {repo: Patient(alone).xet_token(ledger.user.token, repo, "read")["accessToken"] for repo in ledger.repos}
    cluster.proxy.isolate(alone.name)
    object, registered = push_unnamed(pushing, ledger, chance)
    unknown = chance.randbytes(32).hex()
    entry = Patient(pushing).lfs_batch(ledger.user.token, object.repo, [(object.oid, object.size)], "download").json()["objects"][0]
    paths = [f"/v2/reconstructions/{name}" for name in (text(registered.file.hash), unknown)]
    asked = [entry["actions"]["download"]["href"].replace(pushing.url, "")] + paths
    with ThreadPoolExecutor() as pool:  # each waits for nodes that do not answer
        for answer in pool.map(lambda path: alone.request("GET", path, token=read[registered.repo]), asked):
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0, answer
    cluster.proxy.mend()
    Look(ledger, alone).check([object, registered])
    for path in paths:
        answer = Patient(alone).request("GET", path, token=read[registered.repo])
        assert answer.status == (404 if unknown in path else 200), (path, answer)
    stop_and_check(cluster, check_disk)


def test_packs_that_cannot_be_reached_make_no_revision_unknown_and_nothing_damaged(make_cluster, chance, tmp_path):
    cluster = make_cluster(3, with_proxy=True)
    cairn_again(cluster.nodes[0], "cluster", "set", "--replication-factor", "1", "--copies", "1")
    leader = cluster.leader()
    pushing, reading = [node for node in cluster.nodes if node is not leader]
    user = pushing.make_user("alice")
    cluster.proxy.cut(pushing.name, reading.name)
    cluster.proxy.cut(reading.name, pushing.name)
    seen, paths = set(), {}
    while 503 not in seen or len(paths) < 3:  # who holds a pack is by its hash
        assert len(paths) < 40, "all packs came to lie where they can be reached"
        repo = user.repo()
        sha = Patient(pushing).commit(user.token, repo, {"a.txt": chance.randbytes(50)}).json()["commitOid"]
        paths[repo] = [f"/api/models/{repo}/tree/{sha}", f"/api/models/{repo}/revision/{sha[:8]}", f"/{repo}/resolve/main/a.txt",
                       f"/{repo}/raw/{sha}/a.txt", f"/api/models/{repo}/commits/{sha}", f"/{repo}.git/info/refs?service=git-upload-pack"]
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda path: reading.request("GET", path, token=user.token), paths[repo]))
        assert {answer.status for answer in answers} <= {200, 503}, answers
        seen |= {answer.status for answer in answers}
    cluster.proxy.mend()
    for path in (path for all in paths.values() for path in all):
        answer = Patient(reading).request("GET", path, token=user.token)
        assert answer.status == 200, (path, answer)


def test_a_node_that_was_away_catches_up_and_one_that_was_wiped_is_filled_again(make_cluster, check_disk, chance, seed, tmp_path):
    cluster = make_cluster(3)
    hub = AnyNode(cluster, seed)
    ledger = make_ledger(cluster, hub, tmp_path)
    away = cluster.nodes[2]
    away.kill()
    for i in range(6):
        push_one_of_each(cluster.nodes[i % 2], ledger, f"away-{i}", chance)
    away.start()
    # It answers for what it does not have yet.
    Look(ledger, away).check(ledger.facts)
    wait_for_bytes(cluster)

    away.kill()
    lost = next(each["id"] for each in cluster.nodes[0].status()["nodes"] if each["name"] == away.name)
    cairn_again(cluster.nodes[0], "cluster", "remove", lost, "--yes")
    cluster.nodes.remove(away)
    cluster.wait_for_voters(2)
    away.data_dir.rename(away.data_dir.with_name("wiped"))
    fresh = cluster.grow()
    Look(ledger, fresh).check(ledger.facts[:3])
    cluster.wait_for_voters(3)
    wait_for_bytes(cluster)

    # It has everything itself: its own disk says so.
    stop_and_check(cluster, check_disk)
    sizes = {sum(path.stat().st_size for path in (node.data_dir / "store" / "volumes").iterdir()) > 0 for node in cluster.nodes}
    assert sizes == {True}


def test_too_few_copies_are_told_and_nothing_is_lost(make_cluster, check_disk, chance, seed, tmp_path):
    cluster = make_cluster(3, "--copies", "3")
    ledger = make_ledger(cluster, cluster.nodes[0], tmp_path)
    push_one_of_each(cluster.nodes[0], ledger, "before", chance)
    repo = sorted(ledger.repos)[0]
    cluster.nodes[2].kill()
    node = cluster.nodes[0]
    data = random_bytes("too few", 200_000)
    entry = Patient(node).lfs_batch(ledger.user.token, repo, [(digest(data), len(data))]).json()["objects"][0]
    began = time.monotonic()
    answer = node.request("PUT", entry["actions"]["upload"]["href"], data)
    assert answer.status == 503 and "retry-after" in answer.headers, answer
    assert time.monotonic() - began < PATIENCE * 25
    answer = node.commit(ledger.user.token, repo, {"inline.txt": b"some text"})
    assert answer.status == 503, answer
    assert node.request("GET", f"/{repo}/resolve/main/inline.txt", token=ledger.user.token).status == 404
    cluster.nodes[2].start()
    node = Patient(node)
    answer = node.request("PUT", entry["actions"]["upload"]["href"], data)
    assert answer.status == 200, answer
    ledger.intend(repo, {"after.bin": digest(data)})
    answer = node.commit(ledger.user.token, repo, [("lfsFile", {"path": "after.bin", "algo": "sha256", "oid": digest(data), "size": len(data)})])
    assert answer.status == 200, answer
    ledger.keep(Commit(repo, answer.json()["commitOid"], {"after.bin": digest(data)}))
    wait_for_bytes(cluster)
    for node in cluster.nodes:
        Look(ledger, node).check(ledger.facts)
    stop_and_check(cluster, check_disk)


def test_a_node_that_is_far_behind_is_waited_for_also_after_a_restart(make_cluster, chance):
    cluster = make_cluster(3, "--copies", "3")
    first, second, away = cluster.nodes
    user = first.make_user("ada")
    repo = user.repo()

    def put(data):
        entry = Patient(first).lfs_batch(user.token, repo, [(digest(data), len(data))]).json()["objects"][0]
        return Patient(first).request("PUT", entry["actions"]["upload"]["href"], data).status

    def seen(node):
        """As the first node sees it."""
        return next(each["bytes"] for each in first.status()["nodes"] if each["name"] == node.name)
    assert put(chance.randbytes(100_000)) == 200
    eventually(lambda: all(seen(node).get("lacks") == 0 for node in (second, away)), 20, "all to have all")
    away.kill()
    cairn_again(first, "cluster", "set", "--copies", "2")
    for _ in range(5):
        assert put(chance.randbytes(60 << 20)) == 200
    cairn_again(first, "cluster", "set", "--copies", "3")
    assert first.stop() == 0, first.tail()
    first.start()
    away.flags += ["--copy-rate", "64K"]
    away.start()
    eventually(lambda: seen(away)["follows"] and (seen(away).get("lacks") or 0) > 256 << 20, 30, "the node to follow, far behind")
    assert first.status()["copies"]["needed"] == 3


def test_damage_is_repaired_from_another_node(make_cluster, check_disk, chance, seed, tmp_path):
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, cluster.nodes[0], tmp_path)
    repo, token = sorted(ledger.repos)[0], ledger.user.token
    files, first = {}, Patient(cluster.nodes[0])
    for name in ("read.bin", "scrubbed.bin"):
        data = files[name] = random_bytes(name, 1_500_000)
        entry = first.lfs_batch(token, repo, [(digest(data), len(data))]).json()["objects"][0]
        assert first.request("PUT", entry["actions"]["upload"]["href"], data).status == 200
        answer = first.commit(token, repo, [("lfsFile", {"path": name, "algo": "sha256", "oid": digest(data), "size": len(data)})])
        assert answer.status == 200, answer
    wait_for_bytes(cluster)
    victim = cluster.nodes[1]
    assert victim.stop() == 0, victim.tail()
    for data in files.values():
        [(path, offset)] = find_bytes(victim, data[700_000:700_064])
        flip_bit(path, offset + 11)
    victim.start()
    for _ in range(2):
        answer = Patient(victim).request("GET", f"/{repo}/resolve/main/read.bin", token=token)
        assert answer.status == 200 and answer.body == files["read.bin"]
    scrub = victim.operation("scrub")["result"]
    assert (scrub["corrupt"], scrub["repaired"]) == (1, 1), scrub
    assert victim.operation("scrub")["result"]["corrupt"] == 0
    assert victim.status()["copies"]["repaired_xorbs"] == 2
    answer = Patient(victim).request("GET", f"/{repo}/resolve/main/scrubbed.bin", token=token)
    assert answer.status == 200 and answer.body == files["scrubbed.bin"]


def test_garbage_is_collected_on_each_node_and_nothing_that_is_needed(make_cluster, check_disk, chance, seed, tmp_path):
    cluster = make_cluster(3)
    hub = AnyNode(cluster, seed)
    ledger = make_ledger(cluster, hub, tmp_path)
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    # What no name has yet may go with a grace of nothing, from all nodes; the pushers name all soon, and send again what they must.
    crowd.may_be_refused()
    for round in range(6):
        time.sleep(1)
        node = cluster.nodes[round % 3]
        result = node.operation("gc", grace_ms=0, any_grace=round % 2 == 0)
        assert result["state"] == "done" or "try again" in result.get("error", ""), result
        if round % 2 and result["state"] == "done":
            assert result["result"]["grace_ms"] == 3_600_000
    crowd.stop()
    commits = [fact for fact in ledger.facts if isinstance(fact, Commit)]
    wait_for = time.monotonic() + PATIENCE * 20
    while time.monotonic() < wait_for and not all(node.status()["bytes_replicated"] for node in cluster.nodes):
        time.sleep(0.2)
    for node in cluster.nodes:
        Look(ledger, node).check(commits)
    for node in cluster.nodes:
        assert node.operation("gc", grace_ms=0, any_grace=True)["state"] == "done"
    for node in cluster.nodes:
        Look(ledger, node).check(commits)
    stop_and_check(cluster, check_disk)


def test_a_repository_is_duplicated_whole_or_not_at_all_through_a_node_that_is_behind(make_cluster, chance):
    cluster = make_cluster(3)
    late, node, _ = cluster.nodes
    user = late.make_user("alice")
    repo, before = user.repo(), user.repo()
    late.pause()
    eventually(lambda: node.request("GET", "/readyz").status == 200, 30, "a cluster without the node that is paused")

    def push(to, data):
        entry = node.lfs_batch(user.token, to, [(digest(data), len(data))]).json()["objects"][0]
        ask(node, "PUT", entry["actions"]["upload"]["href"], data)
        return ("lfsFile", {"path": "w.bin", "algo": "sha256", "oid": digest(data), "size": len(data)})
    for _ in range(3):
        push(before, chance.randbytes(60 << 20))  # which it takes first
    data = chance.randbytes(2 << 20)
    assert node.commit(user.token, repo, [push(repo, data)]).status == 200
    late.resume()

    def duplicated():
        answer = late.request("POST", f"/api/models/{repo}/duplicate", {"repository": f"{user.name}/copy"}, token=user.token)
        assert answer.status in (200, 503), answer
        if answer.status == 503:
            assert node.request("GET", f"/api/models/{user.name}/copy", token=user.token).status == 404
        return answer.status == 200
    eventually(duplicated, CONVERGE_SECONDS_MAX, "a copy of the repository")
    wait_for_bytes(cluster)
    for each in cluster.nodes:
        answer = each.request("GET", f"/{user.name}/copy/resolve/main/w.bin", token=user.token)
        assert answer.status == 200 and answer.body == data, f"{each.name}: {answer}"


def test_git_pushes_and_clones_through_different_nodes(make_cluster, check_disk, chance, seed, tmp_path):
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, cluster.nodes[0], tmp_path)
    repo, token = sorted(ledger.repos)[0], ledger.user.token
    writer = Git(cluster.nodes[0], tmp_path, ledger.user.name, token)
    work = writer.clone(repo)
    for round in range(4):
        node, reader = cluster.nodes[round % 3], cluster.nodes[(round + 1) % 3]
        (work / f"file-{round}.bin").write_bytes(chance.randbytes(200_000))
        (work / "text.txt").write_text("\n".join(str(chance.random()) for _ in range(200)))
        writer.run("add", "-A", cwd=work)
        writer.run("commit", "-qm", f"round {round}", cwd=work)
        writer.hub = node
        writer.run("push", "-q", writer.url(repo), "HEAD:main", cwd=work)
        head = writer.run("rev-parse", "HEAD", cwd=work).strip()
        # By its id, which this node has never heard of in any other way.
        answer = Patient(cluster.nodes[(round + 2) % 3]).request("GET", f"/{repo}/resolve/{head}/file-{round}.bin", token=token)
        assert answer.status == 200 and answer.body == (work / f"file-{round}.bin").read_bytes(), answer
        copy = Git(reader, tmp_path, ledger.user.name, token).clone(repo)
        for path in work.iterdir():
            if path.is_file():
                assert (copy / path.name).read_bytes() == path.read_bytes()
    wait_for_bytes(cluster)
    stop_and_check(cluster, check_disk)

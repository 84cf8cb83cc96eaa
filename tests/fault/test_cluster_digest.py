"""What one node of three has lost behind the places that it remembers comes back without being read, and garbage that it has collected does not."""
import threading
import time

from chaos_proxy import eventually
from cluster_process import Patient, cairn_again, cairn_of
from ledger import ask, digest
from samples import random_bytes
from store_index import HASH, StoreIndex
from test_cluster_bytes import make_cluster, make_ledger, push_one_of_each, wait_for_bytes  # noqa: F401
from volumes import flip_bit, overwrite, volume_files


def compared(node):
    """What the node tells of its rounds with the others."""
    return [each["compared"] for each in node.status()["nodes"] if "compared" in each]


def taken(node):
    return sum(each["taken_records"] for each in compared(node))


def repair_and_wait(cluster, nodes, seconds=60):
    """A round of each of these nodes with each other one that began after the request."""
    before = {node.name: node.status()["copies"]["rounds"] for node in nodes}
    cairn_again(cluster.nodes[0], "cluster", "repair")
    for node in nodes:
        eventually(lambda: node.status()["copies"]["rounds"] >= before[node.name] + len(cluster.nodes) - 1, seconds, f"rounds of {node.name}")


def put_object(node, token, repo, data):
    node = Patient(node)
    entry = node.lfs_batch(token, repo, [(digest(data), len(data))]).json()["objects"][0]
    if "actions" in entry:
        ask(node, "PUT", entry["actions"]["upload"]["href"], data)


def commit_object(node, token, repo, name, data):
    put_object(node, token, repo, data)
    answer = Patient(node).commit(token, repo, [("lfsFile", {"path": name, "algo": "sha256", "oid": digest(data), "size": len(data)})])
    assert answer.status == 200, answer


def stop(node):
    assert node.stop() == 0, node.tail()


def test_records_that_a_node_has_lost_come_back_without_being_read(make_cluster, chance, tmp_path):  # noqa: F811
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, cluster.nodes[0], tmp_path)
    for i in range(6):
        push_one_of_each(cluster.nodes[i % 3], ledger, f"before-{i}", chance)
    wait_for_bytes(cluster)
    victim = cluster.nodes[2]
    stop(victim)
    with StoreIndex(victim) as index:
        files, claims = index.files(), index.claims()
        lost_files = chance.sample(sorted(files), 2)
        lost_claim = chance.choice(sorted(claim for claim in claims if claim[:HASH] not in lost_files))
        both = next(claim for claim in claims if claim[:HASH] == lost_files[1])
        for file in lost_files:  # the claim on the first one stays
            index.drop("f", file)
        index.drop_claim(lost_claim)
        index.drop_claim(both)
    time.sleep(6)  # what came just now is left to following
    victim.start()
    repair_and_wait(cluster, [victim])
    assert taken(victim) == 4, victim.status()
    repair_and_wait(cluster, [victim])
    assert taken(victim) == 4 and all(each["ranges"] == 0 for each in compared(victim)), victim.status()
    assert all(taken(node) == 0 for node in cluster.nodes[:2])
    text = cairn_of(victim, "cluster", "status")
    assert text.count("compared with node") == 2 and "lost records were taken again" in text, text
    metrics = victim.request("GET", "/metrics").body.decode()
    assert "\ncairn_replica_records_taken_total 4\n" in metrics and "cairn_replica_rounds_total" in metrics
    stop(victim)
    with StoreIndex(victim) as index:
        assert set(index.files()) == set(files) and index.claims() == claims


def push_of_many_terms(node, token, repo):
    """A file of pieces that lie in as many xorbs: its terms stand in its record alone."""
    content = random_bytes("many terms", 24 * 200_000)
    for i in range(24):
        put_object(node, token, repo, content[i * 200_000:(i + 1) * 200_000])
    commit_object(node, token, repo, "many.bin", content)
    return content


def test_a_damaged_record_of_a_file_is_replaced_by_a_scrub_and_by_a_reader(make_cluster, tmp_path):  # noqa: F811
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, cluster.nodes[0], tmp_path)
    repo, token = sorted(ledger.repos)[0], ledger.user.token
    content = push_of_many_terms(cluster.nodes[0], token, repo)
    wait_for_bytes(cluster)
    victim = cluster.nodes[2]
    for way in ("scrub", "wiped", "reader"):
        stop(victim)
        with StoreIndex(victim) as index:
            file = max(index.files(), key=lambda file: index.record_of(file)[0])
            terms, volume, offset = index.record_of(file)
        assert terms > 16
        path = next(path for path in volume_files(victim) if path.name == f"{volume:08x}.vol")
        if way == "wiped":
            overwrite(path, offset, bytes(64))
        else:
            flip_bit(path, offset + 64 + 200)
        victim.start()
        if way != "reader":
            scrub = victim.operation("scrub")["result"]
            assert scrub["repaired"] == 1 and scrub["corrupt"] >= 1, scrub
            assert any("the record of file" in finding for finding in scrub["findings"]), scrub
        answer = Patient(victim).request("GET", f"/{repo}/resolve/main/many.bin", token=token)
        assert answer.status == 200 and answer.body == content, (way, answer)
    stop(victim)
    with StoreIndex(victim) as index:
        assert index.record_of(file)[1:] != (volume, offset)


def test_a_collection_is_not_undone_and_what_names_need_is_had_again(make_cluster, tmp_path):  # noqa: F811
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, cluster.nodes[0], tmp_path)
    repo, token = sorted(ledger.repos)[0], ledger.user.token
    garbage = [random_bytes(f"garbage {i}", 300_000) for i in range(4)]
    for data in garbage:
        put_object(cluster.nodes[0], token, repo, data)
    named = random_bytes("named", 400_000)
    commit_object(cluster.nodes[0], token, repo, "named.bin", named)
    wait_for_bytes(cluster)
    victim = cluster.nodes[2]
    time.sleep(6)
    result = victim.operation("gc", grace_ms=0, any_grace=True)
    assert result["state"] == "done" and result["result"]["claims_dropped"] >= 4, result
    for _ in range(2):
        repair_and_wait(cluster, cluster.nodes)
        assert taken(victim) == 0, victim.status()
        assert all(each["ranges"] >= 4 and each["left_records"] >= 4 for each in compared(victim)), compared(victim)

    # The same for what is old: it is asked of the names, which need one of them.
    for node in cluster.nodes:
        stop(node)
    with StoreIndex(victim) as index:
        here = index.claims()
        wanted = next(claim for claim in here if index.files()[claim[:HASH]][40 - 4:].startswith((400_000).to_bytes(8, "little")))
        index.drop_claim(wanted)
        index.drop("f", wanted[:HASH])
    for node in cluster.nodes[:2]:
        with StoreIndex(node) as index:
            assert wanted in index.claims()
            for claim in index.claims():
                index.age_claim(claim, 30)
    starts = [threading.Thread(target=node.start) for node in cluster.nodes]  # none serves before a majority is there
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    cluster.wait_for_voters(3)
    eventually(lambda: all(node.status()["bytes_replicated"] for node in cluster.nodes), 60, "all bytes")
    repair_and_wait(cluster, [victim], 90)
    assert taken(victim) >= 1, victim.status()
    stop(victim)
    with StoreIndex(victim) as index:
        assert set(index.claims()) == set(here) and wanted[:HASH] in index.files()
    victim.start()

    # What was collected here and is named after all is found.
    commit_object(cluster.nodes[0], token, repo, "after.bin", garbage[0])
    eventually(lambda: victim.request("GET", f"/{repo}/resolve/main/after.bin", token=token).body == garbage[0], 30, "what was collected here")

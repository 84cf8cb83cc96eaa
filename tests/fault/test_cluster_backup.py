"""A backup of a cluster, taken through any of its nodes while clients push, becomes a cluster of one that grows; the old cluster lives on beside it."""
import json
import time

from cluster_process import Cluster, Patient, cairn_again, cairn_of
from hub_process import Hub, cairn
from ledger import Commit, digest
from pushers import Crowd
from samples import random_bytes
from test_backup import assert_holds, fill, make_equally_long, restore
from test_cluster_bytes import AnyNode, Look, make_cluster, make_ledger, push_one_of_each, stop_and_check, wait_for_bytes  # noqa: F401
from volumes import newest_written


def test_what_was_acknowledged_through_any_node_is_in_a_backup_through_another(make_cluster, make_hub, check_disk, chance, seed, tmp_path):  # noqa: F811
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    backup = tmp_path / "backup"
    kept = []
    node = chance.choice(cluster.nodes)
    for _ in range(3):
        time.sleep(1.5)
        kept.append(json.loads(cairn_again(node, "backup", backup, "--json"))["kept_bytes"])
    # One node is away: the others still have everything.
    away = chance.choice([each for each in cluster.nodes if each is not node])
    away.kill()
    time.sleep(1)
    crowd.go_on_until(5)
    count = len(ledger.facts)
    assert json.loads(cairn_again(node, "backup", backup, "--json"))["kept_bytes"] >= kept[-1]
    crowd.may_be_refused()
    crowd.stop()
    assert kept[0] == 0, kept
    # Whatever the clients managed to push: a volume that is full is not copied again.
    for i in range(5):
        answer = Patient(node).commit(ledger.user.token, sorted(ledger.repos)[0], {f"fill-{i}.bin": random_bytes(f"fill {i}", 8_000_000)})
        assert answer.status == 200, answer
        ledger.intend(sorted(ledger.repos)[0], {f"fill-{i}.bin": digest(random_bytes(f"fill {i}", 8_000_000))})
    for _ in range(2):
        again = json.loads(cairn_again(node, "backup", backup, "--json"))["kept_bytes"]
    assert again >= 16 << 20, again
    facts = ledger.facts[:count]

    # It starts alone, though it comes from a node of three, and is nobody's node.
    other = Cluster(tmp_path / "other", False, "--volume-size", "32M")
    other.dir.mkdir()
    try:
        restore(backup, other.dir / "node1")
        # Whichever node the copy was of: the first node's token is the operator's.
        (other.dir / "node1" / "admin-token").write_text(cluster.nodes[0].admin_token)
        first = other.grow()
        assert len(first.status()["nodes"]) == 1 and first.status()["node"] not in {each["id"] for each in node.status()["nodes"]}
        Look(ledger, first).check(facts)
        push_one_of_each(first, ledger, "restored", chance)
        other.grow()
        other.grow()
        other.wait_for_voters(3)
        wait_for_bytes(other)
        other.wait_until_same()
        for each in other.nodes:
            Look(ledger, each).check([fact for fact in facts if isinstance(fact, Commit)])
        # The cluster that the copy was of goes on, and neither knows of the other.
        away.start()
        push_one_of_each(cluster.nodes[0], ledger, "the old one", chance)
        assert len(cluster.nodes[0].status()["nodes"]) == 3
        stop_and_check(other, check_disk)
    finally:
        other.close()


def test_a_node_waits_for_bytes_that_its_names_need_already(make_cluster, make_hub, tmp_path):  # noqa: F811
    """One copy is enough here and the link is slow: names are on the other node long before bytes are."""
    cluster = make_cluster(2, "--copies", "1", with_proxy=True)
    one, other = cluster.nodes
    ledger = make_ledger(cluster, one, tmp_path)
    wait_for_bytes(cluster)
    cluster.proxy.delay_seconds = 0.05
    data = random_bytes("on one node", 8_000_000)
    repo, token = sorted(ledger.repos)[0], ledger.user.token
    one = Patient(one)
    entry = one.lfs_batch(token, repo, [(digest(data), len(data))]).json()["objects"][0]
    assert one.request("PUT", entry["actions"]["upload"]["href"], data).status == 200
    answer = one.commit(token, repo, [("lfsFile", {"path": "large.bin", "algo": "sha256", "oid": digest(data), "size": len(data)})])
    assert answer.status == 200, answer
    cairn_again(other, "backup", tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "restored")
    hub = make_hub(tmp_path / "restored")
    answer = hub.request("GET", f"/{repo}/resolve/main/large.bin", token=token)
    assert answer.status == 200 and answer.body == data, answer


def test_a_node_that_fills_up_to_a_higher_factor_fetches_what_it_lacks(make_cluster, make_hub, tmp_path):  # noqa: F811
    """From now on it should have everything, by the newest placement, and copies go out slowly."""
    cluster = make_cluster(3, "--copy-rate", "64K")
    one = Patient(cluster.nodes[0])
    user = one.make_user("ada")
    repo = user.repo()
    cairn_again(one, "cluster", "set", "--replication-factor", "1", "--copies", "1")
    files = {f"{i}.bin": random_bytes(f"file {i}", 500_000) for i in range(16)}
    for path, data in files.items():
        assert one.commit(user.token, repo, {path: data}).status == 200
    cairn_again(one, "cluster", "set", "--replication-factor", "3")
    node = min(cluster.nodes, key=lambda each: each.stats()["xorbs"])
    cairn_again(node, "backup", tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "restored")
    assert_holds(make_hub(tmp_path / "restored"), user, repo, files)


def test_a_node_whose_volume_is_not_there_gets_it_back_from_the_others(make_cluster, make_hub, tmp_path):  # noqa: F811
    cluster = make_cluster(3)
    one, other = map(Patient, cluster.nodes[:2])
    user = one.make_user("ada")
    repo = user.repo()
    files = fill(one, user, repo, "some", 4)
    wait_for_bytes(cluster)
    assert cluster.nodes[1].stop() == 0
    newest_written(cluster.nodes[1])[0].unlink()
    cluster.nodes[1].start()
    cairn_again(other, "backup", tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "restored")
    assert_holds(make_hub(tmp_path / "restored", "--volume-size", "32M"), user, repo, files)
    cairn_of(other, "scrub")


def test_backups_of_two_nodes_into_one_place_are_whole(make_cluster, make_hub, tmp_path):  # noqa: F811
    """Their volumes have the same ids, and other bytes in them."""
    cluster = make_cluster(2)
    one, other = map(Patient, cluster.nodes)
    user = one.make_user("alice")
    repo = user.repo()
    files = fill(one, user, repo, "first") | fill(other, user, repo, "second")
    wait_for_bytes(cluster)
    backup = tmp_path / "backup"
    cairn_again(one, "backup", backup)
    cairn_again(other, "backup", tmp_path / "apart")
    assert make_equally_long(backup, tmp_path / "apart") > 0
    assert json.loads(cairn_again(other, "backup", backup, "--json"))["kept_bytes"] == 0
    restore(backup, tmp_path / "restored")
    assert_holds(make_hub(tmp_path / "restored", "--volume-size", "32M"), user, repo, files)

    # Of two nodes on one machine, names of one and volumes of the other are no backup.
    told = cairn_of(one, "--data", other.data_dir, "backup", tmp_path / "mixed", status=1, stderr=True)
    assert f"does not have its data in {other.data_dir}" in told, told
    restore(tmp_path / "mixed", tmp_path / "from-mixed", status=1)


def test_a_node_that_joined_does_not_point_at_a_token_that_it_lacks(make_cluster, tmp_path):  # noqa: F811
    one, other = make_cluster(2).nodes
    assert f"cat {one.data_dir}/admin-token" in one.log.read_text()
    assert "hf auth login" in other.log.read_text() and "admin-token" not in other.log.read_text()
    assert "--token-file" in cairn(other, "backup", tmp_path / "backup", status=1, stderr=True)
    cairn(other, "--token-file", one.data_dir / "admin-token", "backup", tmp_path / "backup")

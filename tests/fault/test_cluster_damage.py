"""One node of three wakes up with a damaged disk: it repairs itself from the others, or refuses to start with a sentence and is replaced. It never serves what is wrong,
and the others never notice."""
import http.client
import os
import pathlib
import subprocess

from cluster_process import cairn_again
from test_cluster_bytes import Look, make_cluster, make_ledger, push_one_of_each, wait_for_bytes  # noqa: F401
from volumes import flip_bit, newest_written


def files(node, folder, *suffixes):
    return sorted(path for path in (pathlib.Path(node.data_dir) / folder).iterdir() if path.suffix in suffixes and path.stat().st_size > 0)


def any_file(node, chance, folder):
    """With data, if there is one yet; the list of files else."""
    return chance.choice(files(node, folder, ".sst", ".log") or files(node, folder, ""))


def tear(path, length):
    os.truncate(path, max(0, path.stat().st_size - length))


def flip_in(path, chance, skip=0):
    size = path.stat().st_size
    flip_bit(path, chance.randrange(min(skip, size - 1), size), chance.randrange(8))


def torn_volume(node, chance):
    path, end = newest_written(node)
    os.truncate(path, max(0, end - chance.choice((1, 100, 5000, 200_000))))


def torn_log(node, chance):
    tear(files(node, "meta/raftlog", ".log", ".sst")[-1], chance.choice((1, 37, 500, 5000)))


def flipped_log(node, chance):
    flip_in(files(node, "meta/raftlog", ".log", ".sst")[-1], chance)


def flipped_log_table(node, chance):
    flip_in(any_file(node, chance, "meta/raftlog"), chance)


def flipped_state(node, chance):
    flip_in(any_file(node, chance, "meta/meta"), chance)


def flipped_index(node, chance):
    flip_in(any_file(node, chance, "store/index"), chance)


def flipped_volume(node, chance):
    path, end = newest_written(node)
    flip_bit(path, chance.randrange(end), chance.randrange(8))


DAMAGES = (torn_volume, flipped_volume, torn_log, flipped_log, flipped_log_table, flipped_state, flipped_index)
REFUSALS = ("cairnd: ", "this node stops")


def refusal(node):
    """None: it serves. Else why it says that it does not."""
    try:
        node.start()
        return None
    except RuntimeError as error:
        node.process.kill()
        node.process.wait()
        assert any(word in str(error) for word in REFUSALS) and "Sanitizer" not in str(error), error
        return next(line for line in str(error).splitlines() if any(word in line for word in REFUSALS) and "ended with" not in line)


def stops(node):
    """A connection may break a moment before the process is gone."""
    try:
        node.process.wait(timeout=60)
        return True
    except subprocess.TimeoutExpired:
        return False


def replace(cluster, node, number):
    gone = next(each["id"] for each in cluster.nodes[0].status()["nodes"] if each["name"] == node.name and each["role"] != "removed")
    cairn_again(cluster.nodes[0], "cluster", "remove", gone, "--yes")
    cluster.nodes.remove(node)
    cluster.wait_for_voters(2)
    node.data_dir.rename(node.data_dir.with_name(f"damaged-{number}"))
    cluster.grow()
    cluster.wait_for_voters(3)


def test_a_damaged_disk_is_repaired_or_refused(make_cluster, check_disk, chance, seed, tmp_path):  # noqa: F811
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, cluster.nodes[0], tmp_path)
    for i in range(4):
        push_one_of_each(cluster.nodes[i % 3], ledger, f"before-{i}", chance)
    wait_for_bytes(cluster)
    outcome = {}
    for number, damage in enumerate(chance.sample(DAMAGES, len(DAMAGES))):
        node = cluster.nodes[2]
        node.kill() if chance.random() < 0.5 else node.stop()
        damage(node, chance)
        push_one_of_each(cluster.nodes[0], ledger, f"during-{number}", chance)
        print(f"{damage.__name__} of {node.data_dir.name}", flush=True)
        refused = refusal(node)
        if refused:
            outcome[damage.__name__] = "refused: " + refused
            replace(cluster, node, number)
            node = cluster.nodes[2]
        else:
            outcome[damage.__name__] = "served"
        try:
            Look(ledger, node).check(ledger.facts)
            node.admin("GET", "/cluster/digest")  # reads all names, those too that nobody asks for
        except (AssertionError, OSError, http.client.HTTPException):
            # It may stop when it meets the damage, but an answer is right or an error.
            if not stops(node):
                raise
            outcome[damage.__name__] = "stopped: " + node.tail(300).strip().splitlines()[-1]
            replace(cluster, node, number)
        for other in cluster.nodes[:2]:
            Look(ledger, other).check(ledger.facts[-2:])
        push_one_of_each(cluster.nodes[2], ledger, f"after-{number}", chance)
    for name, word in outcome.items():
        print(f"{name}: {word}")
    wait_for_bytes(cluster)
    cluster.wait_until_same()
    for node in cluster.nodes:
        Look(ledger, node).check(ledger.facts)



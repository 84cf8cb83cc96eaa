"""What a node answers that hears of a leader and has no confirmation that it is up to date; and one to which confirmations take long."""
import pytest

from chaos_proxy import eventually
from cluster_process import Cluster, cairn_again

NODES = 3
READY_LAG_SECONDS_MAX = 10
SLOW_SECONDS = 0.2  # of each piece to or from a node: a question and its answer take longer than a question waits before it is repeated


@pytest.fixture
def cluster(tmp_path):
    with Cluster.running(tmp_path / "cluster", NODES, True) as cluster:
        yield cluster


def follower_of(cluster):
    leaders = {cluster.leader(group).name for group in (0, 1)}
    return next(node for node in cluster.nodes if node.name not in leaders)


def is_ready(node):
    return node.request("GET", "/readyz").status == 200


def whoami(node, user):
    return node.request("GET", "/api/whoami-v2", token=user.token)


def test_a_node_that_hears_and_is_not_heard_says_how_old_its_answers_are(cluster):
    mute = follower_of(cluster)
    user = mute.make_user("alice")
    others = [node for node in cluster.nodes if node is not mute]
    eventually(lambda: is_ready(mute), 30, "ready though nobody reads")
    for node in others:
        cluster.proxy.cut(mute.name, node.name)
    eventually(lambda: not is_ready(mute), 30, "not ready while nobody confirms that it is up to date")
    stale = whoami(mute, user)
    assert stale.status == 503 or int(stale.headers["x-cairn-stale"]) >= 1000 * READY_LAG_SECONDS_MAX, stale
    assert all(is_ready(node) for node in others)
    cluster.proxy.mend()
    eventually(lambda: is_ready(mute), 30, "ready again")
    eventually(lambda: whoami(mute, user).status == 200 and "x-cairn-stale" not in whoami(mute, user).headers, 30, "up to date")


def test_a_node_that_is_far_away_confirms_its_reads_and_starts(cluster):
    far = follower_of(cluster)
    user = cluster.leader().make_user("alice")
    cluster.proxy.slow[far.name] = SLOW_SECONDS
    eventually(lambda: whoami(far, user).status == 200 and "x-cairn-stale" not in whoami(far, user).headers, 30, "a confirmed read")
    assert is_ready(far)
    far.stop()
    far.start()
    eventually(lambda: is_ready(far), 30, "ready after its restart")
    assert whoami(far, user).status == 200


def test_a_node_that_was_removed_is_not_ready_and_says_why(cluster):
    gone = follower_of(cluster)
    user = gone.make_user("alice")
    cairn_again(cluster.leader(), "cluster", "remove", gone.me()["id"], "--yes", "--force")
    eventually(lambda: gone.request("GET", "/readyz").body == b"removed\n", 30, "that it was removed")
    assert not is_ready(gone)
    answer = whoami(gone, user)
    assert answer.status == 503 and b"was removed from the cluster" in answer.body, answer

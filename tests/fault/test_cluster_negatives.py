"""That something is not there, or not allowed, is said by a node that knows: else by none as a final answer."""
import hashlib
import os
import shutil
import urllib.parse

import pytest

from chaos_proxy import eventually
from cluster_process import Cluster, Patient
from hub_process import BUILD
from ledger import ask

NODES = 3
TIMES = 40  # of a race that is lost more often than not
REPOS = 100  # whose README a slow disk reads, each in a tenth of a second


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster.running(tmp_path_factory.mktemp("negatives") / "cluster", NODES, True) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def all_hear_each_other(cluster):
    yield
    cluster.proxy.mend()
    for node in cluster.nodes:
        eventually(lambda: "x-cairn-stale" not in node.request("GET", "/api/whoami-v2", token=node.admin_token).headers, 60, "a leader")


@pytest.fixture(scope="module")
def user(cluster):
    return cluster.nodes[0].make_user("alice")


@pytest.fixture(scope="module")
def pushed(cluster, user):
    """A private repository with one file of a megabyte."""
    node, repo, data = Patient(cluster.nodes[0]), user.repo(private=True), os.urandom(1 << 20)
    oid = hashlib.sha256(data).hexdigest()
    entry = node.lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0]
    ask(node, "PUT", entry["actions"]["upload"]["href"], data)
    answer = node.commit(user.token, repo, [("lfsFile", {"path": "big.bin", "algo": "sha256", "oid": oid, "size": len(data)})])
    assert answer.status == 200, answer
    return repo


def data_call(node, repo, token):
    """Where a client of this token is told that the bytes are, and the range that it asks for."""
    read = node.xet_token(token, repo, "read")["accessToken"]
    file = node.request("HEAD", f"/{repo}/resolve/main/big.bin", token=token).headers["x-xet-hash"]
    answer = node.request("GET", f"/v1/reconstructions/{file}", token=read)
    assert answer.status == 200, answer
    part = next(iter(answer.json()["fetch_info"].values()))[0]
    url = urllib.parse.urlsplit(part["url"])
    return f"{url.path}?{url.query}", {"Range": f"bytes={part['url_range']['start']}-{part['url_range']['end']}"}


def not_told(answer):
    """Neither granted nor refused."""
    assert answer.status == 503 and "retry-after" in answer.headers and "x-cairn-stale" in answer.headers, answer
    assert "x-error-code" not in answer.headers and "x-repo-commit" not in answer.headers, answer


def test_the_address_of_data_is_good_at_every_node_at_once(cluster, user, pushed):
    leader = cluster.leader()
    other = next(node for node in cluster.nodes if node is not leader)
    for _ in range(TIMES):
        path, part = data_call(leader, pushed, leader.make_token("alice", "read"))
        answer = other.request("GET", path, headers=part)
        assert answer.status == 206, answer


def test_a_node_that_is_cut_off_refuses_nothing_for_what_it_does_not_know(cluster, user, pushed):
    leader = cluster.leader()
    behind = next(node for node in cluster.nodes if node is not leader and node is not cluster.leader(1))
    before = Patient(leader).commit(user.token, pushed, {"old.txt": b"old"})
    assert before.status == 200, before
    eventually(lambda: behind.request("GET", f"/{pushed}/resolve/main/old.txt", token=user.token).body == b"old", 30, "the node knows of it")
    cluster.proxy.isolate(behind.name)
    majority = Patient(next(node for node in cluster.nodes if node is not behind and node is not leader))
    new_repo = user.repo()
    new_token, new_operator = majority.make_token("alice", "read"), majority.make_token("admin", "write")
    after = majority.commit(user.token, pushed, {"new.txt": b"new"})
    assert after.status == 200, after
    sha = after.json()["commitOid"]
    data, part = data_call(majority, pushed, new_token)
    calls = [("GET", f"/api/models/{new_repo}", user.token, {}), ("HEAD", f"/{pushed}/resolve/main/new.txt", user.token, {}),
             ("GET", f"/{pushed}/resolve/main/new.txt", user.token, {}), ("GET", f"/api/models/{pushed}/revision/{sha}", user.token, {}),
             ("GET", f"/{new_repo}.git/info/refs?service=git-upload-pack", user.token, {}),
             ("GET", "/api/whoami-v2", new_token, {}), ("GET", "/api/admin/status", new_operator, {}), ("GET", "/api/admin/cluster", new_operator, {}), ("GET", data, None, part)]
    for method, path, token, headers in calls:
        not_told(behind.request(method, path, token=token, headers=headers))
    # What it knows it tells, and says how old that may be; an operator sees what is wrong.
    known = behind.request("GET", f"/{pushed}/resolve/main/old.txt", token=user.token)
    assert known.status == 200 and known.body == b"old" and "x-cairn-stale" in known.headers, known
    assert behind.status()["node"]
    cluster.proxy.mend()
    for method, path, token, headers in calls:
        answer = Patient(behind).request(method, path, token=token, headers=headers)
        assert answer.status in (200, 206), answer
    for path, token, status in ((f"/{pushed}/resolve/main/none.txt", user.token, 404), ("/api/whoami-v2", "hf_none", 401)):
        assert Patient(behind).request("GET", path, token=token).status == status


def test_a_node_lists_nothing_until_it_knows_all_repositories(cluster, tmp_path):
    node = next(node for node in cluster.nodes if node is not cluster.nodes[0])
    user = cluster.nodes[0].make_user("lister")
    repos = [user.repo() for _ in range(REPOS)]
    for repo in repos:
        answer = Patient(cluster.nodes[0]).commit(user.token, repo, {"README.md": f"---\ntags: [zebra]\n---\n{repo}".encode()})
        assert answer.status == 200, answer
    eventually(lambda: len(Patient(node).request("GET", "/api/models?filter=zebra", token=user.token).json()) == REPOS, 60, "the node has all of them")
    node.stop()
    shutil.rmtree(node.data_dir / "search")  # as of a node that is new
    disk = tmp_path / "io-fault"
    disk.write_text("read volume 1 SLOW\n")
    node.environment = {"LD_PRELOAD": str(BUILD / "libio_fault.so"), "IO_FAULT": str(disk)}
    node.start()
    try:
        paths = ["/api/models?author=lister", "/api/models?search=repo", "/api/models?filter=zebra",
                 "/api/quicksearch?q=repo", "/api/users/lister/overview", "/api/models-tags-by-type"]
        for path in paths:
            answer = node.request("GET", path, token=user.token)
            assert answer.status == 503 and "retry-after" in answer.headers, (path, answer)
        assert node.request("GET", "/readyz").status == 503
        assert node.request("GET", f"/api/models/{repos[0]}", token=user.token).status == 200
        disk.write_text("")
        eventually(lambda: node.request("GET", "/readyz").status == 200, 60, "the node knows all")
        for path in paths:
            assert node.request("GET", path, token=user.token).status == 200, path
        for path in paths[:1] + paths[2:3]:
            assert len(node.request("GET", path, token=user.token).json()) == REPOS
        assert node.request("GET", paths[4], token=user.token).json()["numModels"] == REPOS
    finally:
        node.environment = {}


def test_an_operation_is_of_one_node_and_its_id_says_of_which(cluster):
    one, other = cluster.nodes[:2]
    for node in (one, other):  # the other one has its first operation, too
        operation = node.operation("scrub")
        assert operation["state"] == "done" and operation["operation"] == f"{node.me()['id']}-{operation['operation'].split('-')[1]}", operation
    operation = one.operation("scrub")["operation"]
    for method in ("GET", "DELETE"):
        answer = other.request(method, f"/api/admin/operations/{operation}", token=other.admin_token)
        assert answer.status == 404 and one.name in answer.json()["error"], answer
        assert one.request(method, f"/api/admin/operations/{operation}", token=one.admin_token).status == 200
    for wrong in ("1", f"{one.me()['id']}-99", f"{one.me()['id']}-", "0-1", "x", f"{'0' * 15}1-1", f"{operation}x"):
        answer = one.request("GET", f"/api/admin/operations/{wrong}", token=one.admin_token)
        assert answer.status == 404 and "operation" in answer.json()["error"], answer

"""A data directory whose names are gone: no new hub takes the place of the one that was there."""
import shutil
import subprocess

import pytest

from chaos_proxy import eventually
from cluster_process import Cluster, Patient, cairn_again
from hub_process import CAIRN
from samples import random_bytes

SECONDS_MAX = 60
REFUSED = "the names of this hub are gone"


@pytest.fixture
def stopped(hub):
    """A hub with a file, stopped: (hub, who reads, repository)."""
    user = hub.make_user("ada")
    repo = user.repo()
    assert hub.commit(user.token, repo, {"a.bin": random_bytes("a", 300_000)}).status == 200
    assert hub.stop() == 0
    return hub, user, repo


def assert_refused(hub):
    token = hub.admin_token
    with pytest.raises(RuntimeError, match=REFUSED) as told:
        hub.start()
    assert hub.process.returncode == 1
    assert "put the names back" in str(told.value) and "restore a backup" in str(told.value)
    assert hub.admin_token == token


@pytest.mark.parametrize("left", ["store", "store/index", "store/volumes"])
def test_no_hub_is_founded_over_the_bytes_of_another(stopped, tmp_path, left):
    hub, user, repo = stopped
    (hub.data_dir / "meta").rename(tmp_path / "names")
    if left != "store":
        other = {"store/index": "store/volumes", "store/volumes": "store/index"}[left]
        (hub.data_dir / other).rename(tmp_path / "bytes")
    for _ in range(2):
        assert_refused(hub)
    assert not (hub.data_dir / "meta").exists()  # what is put back finds its place free
    (tmp_path / "names").rename(hub.data_dir / "meta")
    if left != "store":
        shutil.rmtree(hub.data_dir / other, ignore_errors=True)
        (tmp_path / "bytes").rename(hub.data_dir / other)
    hub.start()
    assert hub.request("GET", f"/{repo}/resolve/main/a.bin", token=user.token).body == random_bytes("a", 300_000)


def test_names_that_hold_nothing_are_no_names(stopped):
    hub, _, _ = stopped
    shutil.rmtree(hub.data_dir / "meta")
    (hub.data_dir / "meta").mkdir()
    assert_refused(hub)
    looked = subprocess.run([CAIRN, "--data", hub.data_dir, "cluster", "recover"], capture_output=True, text=True)
    assert looked.returncode == 1 and (hub.data_dir / "meta/raftlog/CURRENT").exists()  # it opens what it looks at
    assert_refused(hub)


def test_a_first_start_takes_a_directory_that_holds_no_bytes(make_hub, tmp_path):
    for name in ("lost+found", "meta", "store/volumes", "store/index", "store/lost+found"):
        (tmp_path / "new" / name).mkdir(parents=True)
    (tmp_path / "new/lock").touch()  # as one that was killed leaves it
    (tmp_path / "new/store/lock").touch()
    hub = make_hub(tmp_path / "new")
    assert hub.request("GET", "/api/whoami-v2", token=hub.admin_token).status == 200


def test_a_hub_without_content_is_not_founded_again(make_hub, tmp_path):
    hub = make_hub(tmp_path / "new")
    assert hub.stop() == 0
    shutil.rmtree(hub.data_dir / "meta")
    assert_refused(hub)


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path, False, "--volume-size", "32M")
    for _ in range(3):
        cluster.grow()
    cluster.wait_for_voters(3)
    yield cluster
    cluster.close()


def test_the_first_node_of_a_cluster_founds_no_second_one(cluster, tmp_path):
    first, other = cluster.nodes[:2]
    before = first.status()["node"]
    first.stop()
    (first.data_dir / "meta").rename(tmp_path / "names")
    assert_refused(first)
    (tmp_path / "names").rename(first.data_dir / "meta")
    first.start()
    assert first.status()["node"] == before
    assert before in [node["id"] for node in other.status()["nodes"]]


def test_a_node_whose_names_are_gone_joins_anew_and_brings_its_bytes(cluster):
    first, _, last = cluster.nodes
    user = Patient(first).make_user("ada")
    repo, data = user.repo(), random_bytes("a", 300_000)
    assert Patient(first).commit(user.token, repo, {"a.bin": data}).status == 200
    eventually(lambda: first.status()["bytes_replicated"], SECONDS_MAX, "all copies")
    before = last.me()["id"]
    last.stop()
    shutil.rmtree(last.data_dir / "meta")
    at = last.flags.index("--join")
    del last.flags[at:at + 2]
    with pytest.raises(RuntimeError, match=REFUSED):
        last.start()
    cairn_again(first, "cluster", "remove", before, "--yes", "--force")
    last.flags += ["--join", cairn_again(first, "cluster", "token", "--voter").strip()]
    last.start()
    assert last.status()["node"] != before
    cluster.wait_for_voters(3)
    assert Patient(last).request("GET", f"/{repo}/resolve/main/a.bin", token=user.token).body == data

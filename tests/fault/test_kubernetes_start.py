"""start.sh of the Kubernetes manifests, with real nodes: pods come, are killed at bad moments and lose their disks, and never is there a second hub."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from chaos_proxy import eventually
from hub_process import BUILD, CAIRND, ROOT, Hub
from ports import free_port

START = ROOT / "ops/packaging/kubernetes/start.sh"
SECONDS_MAX = 60


class Pod(Hub):
    """start.sh as the kubelet runs it: its name, a disk, the secret if there is one, and a Service, which here is the address of one pod."""

    def __init__(self, pods, number):
        super().__init__(pods.dir / f"disk{number}/data")
        self.pods = pods
        self.disk = self.data_dir.parent
        self.name = f"cairn-{number}"
        self.log = pods.dir / f"{self.name}.log"
        self.cluster_port = free_port()
        self.disk.mkdir()

    def spawn(self):
        mark = self.log.stat().st_size if self.log.exists() else 0
        cluster = f"127.0.0.1:{self.cluster_port}"
        options = f"--listen 127.0.0.1:{self.port} --cluster-listen {cluster} --cluster-address {cluster} --node-name {self.name}"
        environment = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "POD_NAME": self.name, "CAIRN_HOME": str(self.disk), "CAIRND_OPTIONS": options,
                       "CAIRN_URL": f"http://127.0.0.1:{self.pods.service}", "CAIRN_TOKEN_FILE": str(self.pods.secret), "CAIRN_VOTERS": str(self.pods.voters),
                       "CAIRN_TOKEN_MINUTES": str(self.pods.token_minutes), "CAIRN_RETRY_SECONDS": "0.2"}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["/bin/sh", START], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)
        return mark

    def kill(self):
        """With all that start.sh has started, as a container dies."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def waits_for(self, words):
        """It says so, and has made nothing."""
        eventually(lambda: words in self.tail(), SECONDS_MAX, f"{self.name} to say {words!r}")
        assert self.is_running() and not (self.data_dir / "admin-token").exists() and "founding" not in self.tail()

    def lose_disk(self):
        shutil.rmtree(self.disk)
        self.disk.mkdir()
        self.log.unlink()

    @property
    def admin_token(self):
        return self.pods.secret.read_text().strip()

    def members(self):
        """By name, what each is in the configurations of both groups."""
        return {node["name"]: "/".join(sorted({group["role"] for group in node["groups"]})) for node in self.admin("GET", "/cluster")["nodes"]}


class Pods:
    def __init__(self, dir):
        self.dir = dir
        self.secret = dir / "secret"
        self.voters, self.token_minutes = 3, 10
        self.nowhere = free_port()
        self.service = self.nowhere
        self.all = []

    def add(self):
        self.all.append(Pod(self, len(self.all)))
        return self.all[-1]

    def found(self):
        """The first start as the guide has it: pod 0, then the secret."""
        first = self.add()
        first.start()
        shutil.copy(first.data_dir / "admin-token", self.secret)
        self.service = first.port
        return first

    def close(self):
        for pod in self.all:
            if pod.is_running():
                pod.kill()


@pytest.fixture
def pods(tmp_path):
    made = Pods(tmp_path)
    yield made
    made.close()


def wait_for_members(pod, wanted):
    eventually(lambda: pod.members() == wanted, SECONDS_MAX, f"the nodes {wanted}")


def test_pod_0_founds_and_all_others_wait_for_the_secret_and_join_it(pods):
    first = pods.add()
    others = [pods.add() for _ in range(3)]
    for pod in others:
        pod.spawn()
    first.start()
    for pod in others:
        pod.waits_for("waiting for the secret")
    pods.service = first.port
    for pod in others:  # where the Service leads is fixed when a pod starts, here alone
        assert pod.stop() == 0
    shutil.copy(first.data_dir / "admin-token", pods.secret)
    for pod in others:
        pod.start()
    wait_for_members(first, {"cairn-0": "voter", "cairn-1": "voter", "cairn-2": "voter", "cairn-3": "learner"})
    # All go, and come back at once, with nobody to ask.
    for pod in pods.all:
        pod.stop()
    pods.service = pods.nowhere
    for pod in pods.all:
        pod.spawn()
    eventually(lambda: all(len(re.findall("serves .* at http", pod.log.read_text())) >= 2 for pod in pods.all), SECONDS_MAX, "all to serve again")
    assert len(first.members()) == 4
    assert not any((pod.data_dir / "join-token").exists() for pod in pods.all)


def test_pod_0_with_an_empty_disk_joins_the_cluster_that_is_there(pods):
    first = pods.found()
    second = pods.add()
    second.start()
    third = pods.add()
    third.start()
    wait_for_members(second, {"cairn-0": "voter", "cairn-1": "voter", "cairn-2": "voter"})
    second.admin("POST", "/users", {"name": "ada"})
    lost = first.admin("GET", "/cluster")["node"]
    first.kill()
    first.lose_disk()
    # With nobody to ask it waits.
    pods.service = pods.nowhere
    first.spawn()
    first.waits_for("there is a cluster to join")
    first.kill()
    # Without the secret too, as long as another pod serves.
    pods.service = second.port
    kept = pods.secret.rename(pods.dir / "kept")
    first.lose_disk()
    first.spawn()
    first.waits_for("another pod serves")
    first.kill()
    kept.rename(pods.secret)
    # And then it is a new node of the same hub.
    first.start()
    assert "ada" in [user["name"] for user in first.admin("GET", "/users")]
    assert lost in [node["id"] for node in first.admin("GET", "/cluster")["nodes"]]
    assert first.admin("GET", "/cluster")["node"] != lost


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
        return True
    except OSError:
        return False


def test_a_pod_that_is_killed_in_its_first_start_joins_in_its_next(pods):
    first = pods.found()
    second = pods.add()
    # Before anything was written down.
    (second.data_dir / "meta").mkdir(parents=True)
    (second.data_dir / "lock").touch()
    # After it has a token and has written down that it joins: nobody lets it in meanwhile.
    token = second.data_dir / "join-token"
    token.write_text(first.admin("POST", "/cluster/token", {"role": "voter"})["token"])
    first.stop()
    second.spawn()
    eventually(lambda: listens(second.cluster_port), SECONDS_MAX, "the node to begin")
    second.kill()
    alone = subprocess.run([CAIRND, "--data", second.data_dir, "--listen", "127.0.0.1:0"], capture_output=True, text=True)
    assert "began to join a cluster" in alone.stderr  # what a start without the token says
    # By then the token is too old.
    old = token.read_text()
    os.utime(token, (time.time() - 86400, time.time() - 86400))
    first.start()
    second.start()
    assert token.read_text() != old
    wait_for_members(first, {"cairn-0": "voter", "cairn-1": "voter"})


def test_a_pod_that_is_killed_again_and_again_founds_nothing(pods, chance):
    pods.token_minutes = 0  # the one before may be used up
    pods.voters = 1  # of two voters one that dies takes the leader along, until it is back
    first = pods.found()
    second = pods.add()
    for _ in range(8):
        second.spawn()
        time.sleep(chance.uniform(0.02, 0.8))
        second.kill()
        assert not (second.data_dir / "admin-token").exists()
    second.start()
    wait_for_members(first, {"cairn-0": "voter", "cairn-1": "learner"})


def test_a_founder_that_is_killed_in_its_first_start_founds_in_its_next(pods):
    first = pods.add()
    (first.data_dir / "meta/raftlog").mkdir(parents=True)
    first.start()
    assert (first.data_dir / "admin-token").exists()


def test_a_pod_that_waits_stops_at_once(pods):
    pods.add()
    second = pods.add()
    second.spawn()
    second.waits_for("waiting for the secret")
    assert second.stop() == 0

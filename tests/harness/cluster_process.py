"""A cluster of cairnd processes of one's own."""
import contextlib
import json
import os
import signal
import subprocess
import time

from chaos_proxy import PATIENCE, ChaosProxy, eventually
from hub_process import CAIRN, Hub, cairn
from ports import free_port

CONVERGE_SECONDS_MAX = 60
AGAIN_SECONDS_MAX = PATIENCE * 60  # for a command that is told to try again
FOR_THE_MOMENT = ("; try again", ", try again")  # no refusal: a node cannot tell yet


class Node(Hub):
    """One process. Its operator's token is that of the cluster."""

    def __init__(self, cluster, number, *flags, data_dir=None):
        super().__init__(data_dir or cluster.dir / f"node{number}", *flags)
        self.log = cluster.dir / f"node{number}.log"
        self.cluster = cluster
        self.number = number
        self.name = f"node{number}"
        self.cluster_port = free_port()
        address = cluster.proxy.add(self.name, self.cluster_port) if cluster.proxy else self.cluster_port
        self.flags += ["--cluster-listen", f"127.0.0.1:{self.cluster_port}", "--cluster-address", f"127.0.0.1:{address}", "--node-name", self.name]

    def spawn(self):
        mark = super().spawn()
        if self.cluster.proxy:
            self.cluster.proxy.pids[self.name] = self.process.pid
        return mark

    @property
    def admin_token(self):
        return (self.cluster.dir / "node1" / "admin-token").read_text().strip()

    def status(self):
        return self.admin("GET", "/cluster")

    def me(self):
        return next(node for node in self.status()["nodes"] if node["self"])

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class Patient(Node):
    """A node whose answers count only once it says neither that they may be old nor to try again."""

    def __init__(self, node):
        vars(self).update(vars(node))

    def request(self, *arguments, **more):
        deadline = time.monotonic() + PATIENCE * CONVERGE_SECONDS_MAX
        while True:
            answer = super().request(*arguments, **more)
            if "x-cairn-stale" not in answer.headers and answer.status != 503:
                return answer
            assert time.monotonic() < deadline, f"{self.log}: {answer}"
            time.sleep(0.2)


class Cluster:
    def __init__(self, dir, with_proxy=False, *flags):
        self.dir = dir
        self.proxy = ChaosProxy() if with_proxy else None
        self.flags = flags
        self.nodes = []
        self.prepare = None  # called with each node before its first start

    @classmethod
    @contextlib.contextmanager
    def running(cls, dir, voters, with_proxy=False, *flags):
        """One with so many voters, all of which agree; nothing of it runs afterwards."""
        cluster = cls(dir, with_proxy, *flags)
        dir.mkdir()
        try:
            for _ in range(voters):
                cluster.grow()
            cluster.wait_for_voters(voters)
            yield cluster
        finally:
            cluster.close()

    def grow(self, role="voter", data_dir=None):
        """One more node; the first founds the cluster. Its number is that of none that is there."""
        number = 1 + max([len(self.nodes), *(node.number for node in self.nodes)])
        node = Node(self, number, *self.flags, data_dir=data_dir)
        if self.nodes:
            token = cairn_again(self.any_node(), "cluster", "token", *(["--voter"] if role == "voter" else [])).strip()
            node.flags += ["--join", token]
        if self.prepare:
            self.prepare(node)
        self.nodes.append(node)
        node.start()
        return node

    def close(self):
        for node in self.nodes:
            if node.is_running():
                node.resume()
                node.kill()
        if self.proxy:
            self.proxy.close()

    def any_node(self):
        return next(node for node in self.nodes if node.is_running())

    def living(self):
        return [node for node in self.nodes if node.is_running()]

    # ---- who does what

    def leader(self, group=0):
        """The node that leads a group, once one does."""
        def find():
            for node in self.living():
                status = node.status()
                if status["groups"][group]["leader"] == status["node"]:
                    return node
            return None
        return eventually(find, CONVERGE_SECONDS_MAX, "a leader")

    def wait_for_voters(self, count):
        """So many vote in every group, and nobody else in any: a node that one group still has may be needed there."""
        def agree():
            roles = [[{group["role"] for group in each["groups"]} for each in node.status()["nodes"]] for node in self.living()]
            return all(of_all.count({"voter"}) == sum("voter" in each for each in of_all) == count for of_all in roles)
        try:
            eventually(agree, CONVERGE_SECONDS_MAX, f"{count} voters")
        except AssertionError as error:
            raise AssertionError(f"{error}: {json.dumps([node.status() for node in self.nodes], indent=1)}") from None

    def digests(self):
        return {node.name: node.admin("GET", "/cluster/digest")["groups"] for node in self.living()}

    def wait_until_same(self):
        """Every node has applied the same log to the same state."""
        def same():
            found = [json.dumps(digest, sort_keys=True) for digest in self.digests().values()]
            return len(set(found)) == 1
        try:
            eventually(same, CONVERGE_SECONDS_MAX, "equal states")
        except AssertionError:
            raise AssertionError(f"states differ: {json.dumps(self.digests(), indent=1)}") from None


def cairn_of(node, *arguments, **more):
    """The operator's command against one node, with the cluster's token."""
    os.environ["CAIRN_TOKEN_FILE"] = str(node.cluster.dir / "node1" / "admin-token")
    try:
        return cairn(node, *arguments, **more)
    finally:
        del os.environ["CAIRN_TOKEN_FILE"]


def refused(node, *arguments):
    """What an operator's command says that is not done."""
    environment = {**os.environ, "CAIRN_TOKEN_FILE": str(node.cluster.dir / "node1" / "admin-token")}
    end = time.monotonic() + AGAIN_SECONDS_MAX
    while True:
        done = subprocess.run([CAIRN, "--url", node.url, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, env=environment)
        assert done.returncode != 0, done.stdout
        if not any(words in done.stderr for words in FOR_THE_MOMENT) or time.monotonic() > end:
            return done.stdout + done.stderr
        time.sleep(0.5)


def cairn_again(node, *arguments):
    """The same, and again while the answer says so: a leader may be far away just now, or a node behind."""
    end = time.monotonic() + AGAIN_SECONDS_MAX
    while True:
        try:
            return cairn_of(node, *arguments)
        except AssertionError as error:
            if "try again" not in str(error) or time.monotonic() > end:
                raise
        time.sleep(0.5)

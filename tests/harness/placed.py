"""A file whose one xorb lies on some nodes of a cluster and not on the others."""
import time
import urllib.parse

from chaos_proxy import settled
from cluster_process import Patient, cairn_again
from ledger import ask, digest

MIB = 1 << 20
REPAIR_SECONDS = 10


def large_xorbs(node):
    return {each["xorb"] for each in node.admin("GET", "/xorbs") if each["body_length"] > MIB}


class Placed:
    """Pushed through the first node. `length` of weights is more than a MiB and less than a xorb holds; a cluster keeps `copies` of what it holds."""

    def __init__(self, cluster, copies, user, repo, name, data):
        self.cluster, self.copies, self.user, self.repo, self.name, self.data = cluster, copies, user, repo, name, data
        self.oid, self.length = digest(data), len(data)
        self.target = f"/{repo}/resolve/main/{urllib.parse.quote(name)}"
        before = set().union(*(large_xorbs(node) for node in cluster.nodes))
        node = Patient(cluster.nodes[0])
        entry = node.lfs_batch(user.token, repo, [(self.oid, self.length)]).json()["objects"][0]
        ask(node, "PUT", entry["actions"]["upload"]["href"], data)
        answer = node.commit(user.token, repo, [("lfsFile", {"path": name, "algo": "sha256", "oid": self.oid, "size": self.length})])
        assert answer.status == 200, answer
        self.looked = 0
        self.xorb, self.holders = settled(lambda: self.find(before), 60, f"{copies} copies")  # one more may be on its way, and one go
        self.others = [node for node in cluster.nodes if node not in self.holders]

    def find(self, before):
        held = [large_xorbs(node) - before for node in self.cluster.nodes]
        new = set().union(*held)
        found = [(xorb, [node for node, each in zip(self.cluster.nodes, held) if xorb in each]) for xorb in new]
        right = next(((xorb, nodes) for xorb, nodes in found if len(nodes) == self.copies), None)
        if not right and time.monotonic() > self.looked + REPAIR_SECONDS:  # a copy that came after a walk stays until the next one
            cairn_again(self.cluster.nodes[0], "cluster", "repair")
            self.looked = time.monotonic()
        return right

    def get(self, node, token=None, **headers):
        return node.request("GET", self.target, token=token or self.user.token, headers=headers)

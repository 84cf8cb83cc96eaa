"""How many copies a repository's content has: as many as it wants, what it shares as many as the most demanding wants, and acknowledged with enough of them."""
import time

from chaos_proxy import eventually
from cluster_process import Patient, cairn_again, cairn_of, refused
from ledger import Commit, ask, digest
from test_cluster_bytes import AnyNode, Look, make_ledger
from test_cluster_placement import CONVERGE_SECONDS_MAX, holders, make_cluster  # noqa: F401

NODES = 5


class Content:
    """What was pushed, to one repository or more, and the xorbs that it was stored in."""

    def __init__(self, cluster, ledger, chance):
        self.cluster, self.ledger, self.chance = cluster, ledger, chance
        self.data = chance.randbytes(1_500_000)
        self.oid = digest(self.data)
        self.xorbs = set()

    def push(self, repo, through=None):
        for attempt in range(20):
            try:
                return self.push_once(through or self.chance.choice(self.cluster.living()), repo)
            except AssertionError:
                if attempt == 19:
                    raise
                time.sleep(0.5)

    def push_once(self, node, repo):
        node, before = Patient(node), set(holders(self.cluster))
        entry = node.lfs_batch(self.ledger.user.token, repo, [(self.oid, len(self.data))]).json()["objects"][0]
        if "actions" in entry:  # else the hub has it, and this user may read it
            ask(node, "PUT", entry["actions"]["upload"]["href"], self.data)
        self.xorbs = self.xorbs or set(holders(self.cluster)) - before
        assert self.xorbs
        path = f"{self.oid[:12]}.bin"
        answer = node.commit(self.ledger.user.token, repo, [("lfsFile", {"path": path, "algo": "sha256", "oid": self.oid, "size": len(self.data)})])
        assert answer.status == 200, answer
        self.ledger.keep(Commit(repo, answer.json()["commitOid"], {path: self.oid}))

    def copies(self, found):
        return {len(found.get(xorb, ())) for xorb in self.xorbs}


def wait_for(cluster, wanted):
    """{content: copies}"""
    asked = [time.monotonic()]

    def right():
        if time.monotonic() - asked[0] > 15:  # by themselves they look every minute
            cairn_again(cluster.any_node(), "cluster", "repair")
            asked[0] = time.monotonic()
        found = holders(cluster)
        return all(content.copies(found) == {copies} for content, copies in wanted.items())
    try:
        eventually(right, CONVERGE_SECONDS_MAX, "as many copies as are wanted")
    except AssertionError:
        found = holders(cluster)
        told = "\n".join(f"{node.name}: {[each.get('held') for each in node.status()['nodes'] if each['self']]} {node.tail(800)}" for node in cluster.living())
        raise AssertionError(f"{[(content.copies(found), copies) for content, copies in wanted.items()]}\n{told}") from None


def check_through_all(cluster, ledger):
    for node in cluster.living():
        Look(ledger, node).check(ledger.facts)


def test_content_lies_on_as_many_nodes_as_its_most_demanding_repository_wants(make_cluster, chance, seed, tmp_path):  # noqa: F811
    cluster = make_cluster(3)
    ledger = make_ledger(cluster, AnyNode(cluster, seed), tmp_path)
    one, five, plain = sorted(ledger.repos)
    said = refused(cluster.nodes[0], "repo", "set", five, "--copies", "4")
    assert "4 copies of a repository cannot lie in different failure domains: there are only 3" in said, said
    said = refused(cluster.nodes[0], "repo", "set", five, "--copies", "6")
    assert "must be 1 to 5" in said, said
    cluster.grow()
    cluster.grow()
    cluster.wait_for_voters(NODES)
    cairn_again(cluster.nodes[0], "repo", "set", one, "--copies", "1")
    # Who administers the repository may say it, no operator is needed.
    answer = cluster.nodes[1].request("PUT", f"/api/models/{five}/settings", {"copies": 5}, token=ledger.user.token)
    assert (answer.status, answer.json()["copies"]) == (200, 5), answer
    assert "copies        5\n" in cairn_of(cluster.nodes[2], "repo", "info", five)
    assert "copies        as many as the cluster makes\n" in cairn_of(cluster.nodes[2], "repo", "info", plain)

    alone, wide, normal, shared, widely_shared = contents = [Content(cluster, ledger, chance) for _ in range(5)]
    for content, repos in zip(contents, ([one], [five], [plain], [one, plain], [one, five])):
        for repo in repos:
            content.push(repo)
    wait_for(cluster, {alone: 1, wide: 5, normal: 3, shared: 3, widely_shared: 5})
    check_through_all(cluster, ledger)  # who fetched something for that gives it up again:
    wait_for(cluster, {alone: 1, wide: 5, normal: 3, shared: 3, widely_shared: 5})

    # What lies on one node is claimed, through it, by a repository that wants more: that is acknowledged with two copies, and gets its third.
    (holder,) = set.union(*(holders(cluster)[xorb] for xorb in alone.xorbs))
    alone.push(plain, next(node for node in cluster.nodes if node.name == holder))
    assert min(alone.copies(holders(cluster))) >= 2, holders(cluster)
    wait_for(cluster, {alone: 3})

    cairn_again(cluster.nodes[0], "repo", "set", five, "--copies", "2")
    wait_for(cluster, {alone: 3, wide: 2, normal: 3, shared: 3, widely_shared: 2})
    check_through_all(cluster, ledger)

    # A node that goes has its copies made up for, however many each has.
    cairn_again(cluster.nodes[0], "cluster", "set", "--grace", "5")
    wait_for(cluster, {alone: 3, wide: 2, normal: 3, shared: 3, widely_shared: 2})
    found = holders(cluster)
    victim = next(node for node in cluster.nodes[1:] if any(node.name in found[xorb] for xorb in wide.xorbs | widely_shared.xorbs))
    victim.kill()
    wait_for(cluster, {alone: 3, wide: 2, normal: 3, shared: 3, widely_shared: 2})
    check_through_all(cluster, ledger)
    victim.start()
    cairn_again(cluster.any_node(), "repo", "set", five, "--copies", "default")
    wait_for(cluster, {content: 3 for content in contents})
    check_through_all(cluster, ledger)

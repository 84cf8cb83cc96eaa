"""Nodes that clients can reach one by one: a node that lacks the bytes sends them straight to one that has them, by a signed link, and everything reads as from one hub."""
import pytest

from chaos_proxy import eventually
from clients import Client
from cluster_process import Cluster, Patient, cairn_again, cairn_of
from hub_process import BUILD
from placed import Placed

MIB = 1 << 20
LENGTH = 6 * MIB  # one xorb
NODES = 4
COPIES = 2
HOUR_MS = 3600 * 1000


def reachable(node):
    """Tells the others how clients reach it. Its clock can be set."""
    node.flags += ["--node-url", node.url]
    node.clock = node.cluster.dir / f"{node.name}.clock"
    node.clock.write_text("0\n")
    node.environment = {"LD_PRELOAD": str(BUILD / "libclock_fault.so"), "CLOCK_FAULT": str(node.clock)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("links") / "cluster", False)
    cluster.dir.mkdir()
    cluster.prepare = reachable
    for _ in range(NODES):
        cluster.grow()
    cluster.wait_for_voters(NODES)
    cairn_again(cluster.nodes[0], "cluster", "set", "--replication-factor", str(COPIES))
    yield cluster
    cluster.close()


@pytest.fixture(autouse=True)
def all_are_there(cluster):
    yield
    for node in cluster.nodes:
        node.clock.write_text("0\n")
        if not node.is_running():
            node.start()
    for node in cluster.nodes:
        eventually(lambda: node.request("GET", "/readyz").status == 200 and all(each["connected"] or each["self"] for each in node.status()["nodes"]), 60, "all nodes")


@pytest.fixture(scope="module")
def user(cluster):
    return cluster.nodes[0].make_user("alice")


class Linked(Placed):
    def link(self, node):
        answer = self.get(node)
        assert answer.status == 302, answer
        return answer.headers["location"]

    def node_of(self, link):
        return next(node for node in self.holders if link.startswith(node.url + "/"))


@pytest.fixture
def push(cluster, user, chance):
    return lambda name, **more: Linked(cluster, COPIES, user, user.repo(**more), name, chance.randbytes(LENGTH))


def follow(cluster, link, **headers):
    """As a client does: without credentials, at whatever node it names."""
    node = next(node for node in cluster.nodes if link.startswith(node.url + "/"))
    return node.request("GET", link, headers=headers)


def counted(node):
    return node.status()["copies"]


def passed_through(cluster):
    return sum(counted(node)["read_runs"] + counted(node)["fetched_xorbs"] for node in cluster.living())


def test_every_node_tells_its_url(cluster):
    for node in cluster.nodes:
        assert sorted(each["node_url"] for each in node.status()["nodes"]) == sorted(each.url for each in cluster.nodes)
    assert f"clients may be sent to it at {cluster.nodes[3].url}\n" in cairn_of(cluster.nodes[1], "cluster", "status")


def test_a_file_that_lies_elsewhere_is_read_there_by_a_signed_link(cluster, push):
    pushed = push("weights é & b?.bin", private=True)
    before = passed_through(cluster)
    for node in pushed.others:
        assert node.request("GET", pushed.target).status == 401
        answer = pushed.get(node)
        link = answer.headers["location"]
        assert answer.status == 302 and answer.headers["cache-control"] == "no-store", answer
        head = node.request("HEAD", pushed.target, token=pushed.user.token)
        assert head.status == 200 and "location" not in head.headers and int(head.headers["content-length"]) == LENGTH
        for name in ("x-repo-commit", "x-linked-etag", "x-linked-size", "etag", "x-xet-hash"):
            assert answer.headers[name] == head.headers[name], name
        there = follow(cluster, link)
        assert there.status == 200 and there.body == pushed.data
        for name in ("etag", "content-type", "content-disposition", "accept-ranges", "content-length"):
            assert there.headers[name] == head.headers[name], name
        part = follow(cluster, link, Range=f"bytes={MIB}-{MIB + 99}")
        assert part.status == 206 and part.body == pushed.data[MIB:MIB + 100] and part.headers["content-range"] == f"bytes {MIB}-{MIB + 99}/{LENGTH}"
        assert follow(cluster, link, Range="bytes=0-9", **{"If-Range": head.headers["etag"]}).status == 206
        assert pushed.get(node, **{"If-None-Match": head.headers["etag"]}).status == 304
        assert pushed.get(node, Range="bytes=5-9").status == 302
        assert counted(node)["linked_files"] >= 2
    for node in pushed.holders:
        assert pushed.get(node).body == pushed.data
    assert passed_through(cluster) == before


def test_a_link_is_good_for_its_file_its_name_and_its_holder_only(cluster, push):
    pushed, other = push("a.bin", private=True), push("b.bin", private=True)
    node = pushed.others[0]
    link = pushed.link(node)
    assert follow(cluster, link).status == 200
    other_file = other.get(other.holders[0]).headers["x-xet-hash"]
    file = pushed.get(node).headers["x-xet-hash"]
    for wrong in (link[:-2] + ("AA" if link[-2:] != "AA" else "BB"), link.replace(file, other_file), link.replace("a.bin", "a.html"), link.replace("?e=", "?e=0"), link.split("&g=")[0],
                  link.replace(file, "zz")):
        assert wrong != link and follow(cluster, wrong).status == 403, wrong
    grant = link.split("&g=")[1]
    assert pushed.holders[0].request("GET", f"/api/lfs/download/{grant}").status == 403
    lfs = node.lfs_batch(pushed.user.token, pushed.repo, [(pushed.oid, LENGTH)], "download").json()["objects"][0]["actions"]["download"]["href"]
    assert follow(cluster, link.split("&g=")[0] + "&g=" + lfs.rsplit("/", 1)[1]).status == 403
    token = pushed.cluster.nodes[0].admin("POST", "/tokens", {"user": pushed.user.name, "role": "read"})
    link = pushed.get(node, token["token"]).headers["location"]
    assert follow(cluster, link).status == 200
    cairn_again(node, "token", "delete", token["id"])
    assert follow(cluster, link).status == 403


def test_a_link_expires(cluster, push):
    pushed = push("c.bin")
    node = pushed.others[0]
    node.clock.write_text(f"{-2 * HOUR_MS}\n")
    late = eventually(lambda: next((link for link in [pushed.link(node)] if follow(cluster, link).status == 403), None), 10, "a link that was signed two hours ago")
    node.clock.write_text("0\n")
    eventually(lambda: follow(cluster, pushed.link(node)).status == 200, 10, "a link that is signed now")
    assert follow(cluster, late).status == 403


def test_nobody_is_sent_on_from_a_link(cluster, push):
    pushed = push("d.bin")
    node, another = pushed.others
    link = pushed.link(node)
    moved = link.replace(pushed.node_of(link).url, another.url)
    answer = follow(cluster, moved)
    assert answer.status == 200 and answer.body == pushed.data
    href = node.lfs_batch(pushed.user.token, pushed.repo, [(pushed.oid, LENGTH)], "download").json()["objects"][0]["actions"]["download"]["href"]
    answer = follow(cluster, href.replace(pushed.node_of(href).url, another.url))
    assert answer.status == 200 and answer.body == pushed.data


def test_git_lfs_is_told_the_node_that_has_an_object(cluster, push):
    pushed = push("e.bin")
    before = passed_through(cluster)
    for node in cluster.nodes:
        answer = node.lfs_batch(pushed.user.token, pushed.repo, [(pushed.oid, LENGTH)], "download").json()
        href = answer["objects"][0]["actions"]["download"]["href"]
        assert href.startswith(node.url if node in pushed.holders else pushed.node_of(href).url)
        assert follow(cluster, href).body == pushed.data
    assert passed_through(cluster) == before


@pytest.mark.parametrize("version", (1, 2))
def test_xet_clients_are_told_the_node_that_has_a_xorb(cluster, push, version):
    pushed = push("f.bin")
    file = pushed.get(pushed.holders[0]).headers["x-xet-hash"]
    for node in cluster.nodes:
        token = node.xet_token(pushed.user.token, pushed.repo, "read")["accessToken"]
        answer = node.request("GET", f"/v{version}/reconstructions/{file}", token=token)
        assert answer.status == 200, answer
        entries = answer.json()["xorbs" if version == 2 else "fetch_info"]
        urls = [each["url"] for runs in entries.values() for each in runs]
        assert urls
        for url in urls:
            assert url.startswith(node.url + "/" if node in pushed.holders else pushed.node_of(url).url + "/")
            assert follow(cluster, url).status == 200
            assert follow(cluster, url[:-2] + ("AA" if url[-2:] != "AA" else "BB")).status == 403


@pytest.mark.parametrize("generation", ("newest", "newest-without-xet", "hub-0.36", "hub-0.32-without-xet"))
def test_clients_read_through_a_node_that_has_nothing(cluster, push, tmp_path, generation):
    pushed = push("model.safetensors", private=True)
    node, before = pushed.others[0], passed_through(cluster)
    counts = counted(node)
    got = Client(node, pushed.user.token, tmp_path, generation).run("download", repo=pushed.repo, filename=pushed.name)
    assert got["sha256"] == pushed.oid
    assert passed_through(cluster) == before
    after = counted(node)
    assert after["linked_files"] + after["linked_xorbs"] > counts["linked_files"] + counts["linked_xorbs"]
    pushed.holders[0].kill()
    for each in pushed.others:
        assert Client(each, pushed.user.token, tmp_path, generation).run("download", repo=pushed.repo, filename=pushed.name)["sha256"] == pushed.oid


def test_only_nodes_that_live_are_named(cluster, push):
    pushed = push("h.bin")
    node = pushed.others[0]
    old = pushed.link(node)
    first = pushed.node_of(old)
    first.kill()
    with pytest.raises(OSError):
        follow(cluster, old)
    link = eventually(lambda: next((link for link in [pushed.link(node)] if pushed.node_of(link) is not first), None), 20, "a link to the other node")
    assert follow(cluster, link).body == pushed.data
    second = pushed.node_of(link)
    second.pause()  # it does not answer, and is connected still
    try:
        assert pushed.get(node).status == 503
    finally:
        second.resume()
    eventually(lambda: pushed.get(node).status in (200, 302), 60, "the bytes again")


def test_a_node_that_tells_no_url_any_more_is_not_named(cluster, push):
    pushed = push("i.bin")
    node, other = pushed.others

    def read():
        answer = pushed.get(node)
        assert answer.status in (200, 503) or answer.headers["location"].startswith(other.url + "/"), answer  # a third copy may lie there for a while
        return answer if answer.status == 200 else None
    for holder in pushed.holders:
        assert holder.stop() == 0
        at = holder.flags.index("--node-url")
        del holder.flags[at:at + 2]
        holder.start()
    try:
        eventually(lambda: [each["node_url"] for each in node.status()["nodes"]].count("") == COPIES, 20, "two URLs less")
        answer = eventually(read, 60, "the bytes")
        assert answer.body == pushed.data
        token = node.xet_token(pushed.user.token, pushed.repo, "read")["accessToken"]
        entries = Patient(node).request("GET", f"/v2/reconstructions/{answer.headers['x-xet-hash']}", token=token).json()["xorbs"]
        named = [each["url"] for runs in entries.values() for each in runs]
        assert named and all(url.startswith((node.url + "/", other.url + "/")) for url in named), named
    finally:
        for holder in pushed.holders:
            assert holder.stop() == 0
            holder.flags += ["--node-url", holder.url]
            holder.start()

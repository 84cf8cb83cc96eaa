"""What must still hold when the refs of a push move: the rights of who pushes, and all that the push rests on although it did not bring it."""
import contextlib
import hashlib
import http.client
import json
import socket

import pytest

from git_work import ZERO, Work, pack_of, pkt, receive_pack, refs, report_of
from hub_process import cairn
from samples import random_bytes


@pytest.fixture
def repo(user):
    return user.repo()


@pytest.fixture
def work(hub, user, repo, tmp_path):
    return Work(hub, repo, user, tmp_path / "work", clone=True)


# ---- rights that go while a pack comes

@contextlib.contextmanager
def half_sent(hub, repo, token, body):
    """A push of which half is under way; yields what sends the rest and returns (lines of the report, text for the terminal)."""
    head = (f"POST /{repo}/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/x-git-receive-pack-request\r\nConnection: close\r\n\r\n").encode()

    class Answer:
        def __init__(self, response):
            self.status, self.body = response.status, response.read()

    def finish():
        connection.sendall(body[len(body) // 2:])
        response = http.client.HTTPResponse(connection)
        response.begin()
        return report_of(Answer(response))

    with socket.create_connection(("127.0.0.1", hub.port), timeout=120) as connection:
        connection.sendall(head + body[:len(body) // 2])
        yield finish


def push_body(work, ref):
    work.commit({"late.txt": random_bytes(f"late {ref}", 200_000)})
    pack = work.run("pack-objects", "--revs", "--stdout", input=b"HEAD\n").stdout
    return pkt(f"{ZERO} {work.head()} {ref}\0report-status side-band-64k") + b"0000" + pack


def test_a_token_that_is_revoked_while_the_pack_comes_moves_nothing(hub, user, repo, work):
    made = hub.admin("POST", "/tokens", {"user": user.name, "role": "write"})
    with half_sent(hub, repo, made["token"], push_body(work, "refs/heads/late")) as finish:
        cairn(hub, "token", "delete", made["id"])
        lines, _ = finish()
    assert lines == ["unpack ok", "ng refs/heads/late the token or key of this push was revoked, or has expired"]
    assert "refs/heads/late" not in refs(hub, repo, user.token)


def test_a_token_that_stays_moves_it(hub, user, repo, work):
    with half_sent(hub, repo, user.token, push_body(work, "refs/heads/late")) as finish:
        lines, _ = finish()
    assert lines == ["unpack ok", "ok refs/heads/late"]
    assert refs(hub, repo)["refs/heads/late"] == work.head()


def test_who_lost_their_role_meanwhile_moves_nothing(hub, user, bob, tmp_path):
    organisation = f"{user.name}-org"
    cairn(hub, "org", "create", organisation, "--admin", user.name)
    cairn(hub, "org", "member", "set", organisation, bob.name, "write")
    repo = f"{organisation}/late"
    assert hub.request("POST", "/api/repos/create", {"name": "late", "organization": organisation, "type": "model"}, token=bob.token).status == 200
    work = Work(hub, repo, bob, tmp_path / "of-org", clone=True)
    with half_sent(hub, repo, bob.token, push_body(work, "refs/heads/late")) as finish:
        cairn(hub, "org", "member", "set", organisation, bob.name, "read")
        lines, _ = finish()
    assert lines == ["unpack ok", "ng refs/heads/late you may not write to it"]
    assert "refs/heads/late" not in refs(hub, repo, bob.token)


# ---- what is here already, and becomes reachable again

@pytest.fixture
def forgotten(hub, user, repo, work):
    """A commit with d/lost.bin that no ref reaches any more, and whose LFS object the repository has let go of."""
    content = random_bytes(f"forgotten {repo}", 5000)
    work.git("lfs", "install", "--local")
    work.git("lfs", "track", "*.bin")
    work.commit({"kept.txt": "1"})
    work.push()
    work.git("checkout", "-q", "-b", "side")
    commit = work.commit({"d/lost.bin": content})
    work.push("origin", "side")
    work.push("origin", "--delete", "side")
    work.git("checkout", "-q", "main")
    dropped = json.loads(cairn(hub, "repo", "lfs-gc", repo, "--json", "--grace", "0"))["result"]
    assert [entry["oid"] for entry in dropped["objects"]] == [hashlib.sha256(content).hexdigest()]
    return commit


def push_objects(hub, user, repo, work, new, names, ref="refs/heads/again"):
    """A push of these objects alone, whatever they lean on."""
    pack = work.run("pack-objects", "--stdout", input="".join(f"{name}\n" for name in names).encode()).stdout if names else pack_of([])
    return report_of(receive_pack(hub, repo, user.token, [(ZERO, new, ref)], pack))


def test_a_ref_to_an_old_commit_needs_the_lfs_objects_of_it(hub, user, repo, work, forgotten):
    lines, said = push_objects(hub, user, repo, work, forgotten, [])
    assert lines[1] == "ng refs/heads/again LFS objects are missing", lines
    assert "error: d/lost.bin: the LFS object" in said and "git lfs push --all" in said, said
    assert "refs/heads/again" not in refs(hub, repo)
    work.git("lfs", "push", "--all", "origin")
    lines, _ = push_objects(hub, user, repo, work, forgotten, [])
    assert lines == ["unpack ok", "ok refs/heads/again"]


def test_so_does_a_tag_of_it(hub, user, repo, work, forgotten):
    work.git("tag", "-a", "outer", "-m", "x", forgotten)
    tag = work.head("outer")
    lines, said = push_objects(hub, user, repo, work, tag, [tag], "refs/tags/outer")
    assert lines[1] == "ng refs/tags/outer LFS objects are missing" and "d/lost.bin" in said


@pytest.mark.parametrize("how", ["parent", "root", "folder", "file"])
def test_so_does_a_new_commit_that_rests_on_it(hub, user, repo, work, forgotten, how):
    root, folder, pointer = (work.head(f"{forgotten}{path}") for path in ("^{tree}", ":d", ":d/lost.bin"))
    path = "d/lost.bin"
    if how == "parent":
        tree = work.head("main^{tree}")
        names = [commit := work.commit_tree(tree, forgotten)]
    elif how == "root":
        names = [commit := work.commit_tree(root, work.head("main"))]
    elif how == "folder":
        tree = work.tree([("40000", "new", folder)])
        names, path = [commit := work.commit_tree(tree, work.head("main")), tree], "new/lost.bin"
    else:
        tree = work.tree([("100644", "x.bin", pointer)])
        names, path = [commit := work.commit_tree(tree, work.head("main")), tree], "x.bin"
    lines, said = push_objects(hub, user, repo, work, commit, names)
    assert lines[1] == "ng refs/heads/again LFS objects are missing" and f"error: {path}: the LFS object" in said, (lines, said)
    work.git("lfs", "push", "--all", "origin")
    assert push_objects(hub, user, repo, work, commit, names)[0] == ["unpack ok", "ok refs/heads/again"]


def test_old_commits_that_are_reached_need_nothing(hub, user, repo, work):
    first = work.commit({"a": "1"})
    work.commit({"a": "2", "b/c": "3"})
    work.push()
    assert push_objects(hub, user, repo, work, first, [])[0] == ["unpack ok", "ok refs/heads/again"]
    onto = work.commit_tree(work.head("main^{tree}"), first)
    assert push_objects(hub, user, repo, work, onto, [onto], "refs/heads/onto")[0] == ["unpack ok", "ok refs/heads/onto"]


# ---- depth, on every way to a folder

def chain(work, tree, count, name="n"):
    for _ in range(count):
        tree = work.tree([("40000", name, tree)])
    return tree


@pytest.mark.parametrize("shallow, deep", [("a", "b"), ("b", "a")])
def test_a_folder_may_be_too_deep_on_one_of_two_ways(hub, user, repo, work, shallow, deep):
    tall = chain(work, work.tree([("100644", "leaf", work.blob("x"))]), 40)
    below = chain(work, tall, 30)
    tree = work.tree(sorted([("40000", shallow, tall), ("40000", deep, below)], key=lambda entry: entry[1]))
    assert "deeper than 64 folders" in work.refused("origin", f"{work.commit_tree(tree)}:refs/heads/deep")
    fitting = work.tree(sorted([("40000", shallow, tall), ("40000", deep, chain(work, tall, 20))], key=lambda entry: entry[1]))
    work.push("origin", f"{work.commit_tree(fitting)}:refs/heads/fits")


def test_a_folder_that_is_here_may_be_put_too_deep(hub, user, repo, work):
    tall = chain(work, work.tree([("100644", "leaf", work.blob("x"))]), 40)
    first = work.commit_tree(work.tree([("40000", "a", tall)]))
    work.push("origin", f"{first}:refs/heads/tall")
    trees, tree = [], tall
    for _ in range(30):
        trees.append(tree := chain(work, tree, 1))
    deep = work.commit_tree(tree, first)
    lines, said = push_objects(hub, user, repo, work, deep, [deep, *trees])
    assert lines[1] == "ng refs/heads/again a path is not allowed" and "deeper than 64 folders" in said, (lines, said)
    fits = work.commit_tree(trees[9], first)
    assert push_objects(hub, user, repo, work, fits, [fits, *trees[:10]])[0] == ["unpack ok", "ok refs/heads/again"]


def test_a_pack_of_many_ways_that_leans_on_nothing_is_measured_too(hub, user, repo, work):
    """The longest way is neither the first nor the last: 64 folders fit, one more does not."""
    def made(height):
        tree = work.tree([("100644", "leaf", work.blob("x"))])
        for i in range(height - 1):
            tree = work.tree([("40000", "a", work.head(tree)), ("40000", "m", tree), ("40000", "z", work.tree([("100644", "leaf", work.blob("x"))]))])
        return work.commit_tree(tree)
    work.push("origin", f"{made(64)}:refs/heads/fits")
    said = work.refused("origin", f"{made(65)}:refs/heads/deep")
    assert "deeper than 64 folders" in said and "push again" in said, said


def test_links_are_never_followed(hub, user, repo, work):
    """A link is its text; what lies behind it is neither read nor written, whatever a tree claims."""
    target = work.blob("../../../../../../etc/passwd")
    folder = work.tree([("100644", "passwd", work.blob("mine"))])
    commit = work.commit_tree(work.tree([("120000", "link", target), ("40000", "safe", folder)]))
    work.push("origin", f"{commit}:refs/heads/links")
    answer = hub.request("GET", f"/{repo}/resolve/links/link", token=user.token)
    assert answer.body in (b"../../../../../../etc/passwd", b"") and b"root:" not in answer.body
    assert hub.request("GET", f"/{repo}/resolve/links/link/passwd", token=user.token).status == 404
    both = work.commit_tree(work.tree([("120000", "safe", target), ("40000", "safe", folder)]))
    modules = work.commit_tree(work.tree([("120000", ".gitmodules", target)]))
    for bad in (both, modules):
        work.refused("origin", f"{bad}:refs/heads/bad")
    assert "refs/heads/bad" not in refs(hub, repo)


def test_folders_that_contain_each_other_many_times_are_walked_once(hub, user, repo, work):
    """2**50 paths to one file, beside a parent of the same kind."""
    def bomb(leaf):
        tree = work.tree([("100644", "leaf", work.blob(leaf))])
        for _ in range(50):
            tree = work.tree([("40000", "a", tree), ("40000", "b", tree)])
        return tree
    first = work.commit_tree(bomb("1"))
    second = work.commit_tree(bomb("2"), first)
    started = hub.cpu_seconds()
    work.push("origin", f"{second}:refs/heads/bomb", timeout=120)
    assert refs(hub, repo)["refs/heads/bomb"] == second
    assert hub.cpu_seconds() - started < 60

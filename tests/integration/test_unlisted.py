"""Commits that were sent and not taken: the hub has their bytes for a while, and nothing can be named by them."""
import json

import pytest

from git_work import Work, check_clone, refs


@pytest.fixture
def repo(hub, user):
    repo = user.repo()
    assert hub.commit(user.token, repo, {"x": b"hello"}).status == 200
    assert hub.request("POST", f"/api/models/{repo}/branch/a", {}, token=user.token).status == 200
    return repo


@pytest.fixture
def work(hub, user, repo, tmp_path):
    return Work(hub, repo, user, tmp_path / "work", clone=True)


@pytest.fixture
def oid(work):
    """Of a commit whose pack was stored before its ref was refused: the branch would be a folder of another."""
    oid = work.commit({"dir/new.txt": "something new\n"})
    assert "cannot be created while" in work.refused("origin", "HEAD:refs/heads/a/b")
    return oid


def branch(hub, user, repo, oid):
    return hub.request("POST", f"/api/models/{repo}/branch/rescue", {"startingPoint": oid}, token=user.token)


def tag(hub, user, repo, oid):
    return hub.request("POST", f"/api/models/{repo}/tag/{oid}", {"tag": "v1"}, token=user.token)


def tag_with_message(hub, user, repo, oid):
    return hub.request("POST", f"/api/models/{repo}/tag/{oid}", {"tag": "v2", "message": "a release"}, token=user.token)


def pull_request(hub, user, repo, oid):
    return hub.commit(user.token, repo, {"z": b"zz"}, parent=oid, revision="main?create_pr=1")


def copy_from(hub, user, repo, oid):
    copy = {"path": "copied.txt", "srcPath": "dir/new.txt", "srcRevision": oid}
    lines = [{"key": "header", "value": {"summary": "a copy"}}, {"key": "copyFile", "value": copy}]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return hub.request("POST", f"/api/models/{repo}/commit/main", body, token=user.token, headers={"Content-Type": "application/x-ndjson"})


NAMINGS = [branch, tag, tag_with_message, pull_request, copy_from]


@pytest.mark.parametrize("name", NAMINGS)
def test_a_commit_whose_push_was_refused_is_unknown(hub, user, repo, oid, tmp_path, name):
    before = refs(hub, repo)
    unknown = name(hub, user, repo, "0123456789" * 4)
    answer = name(hub, user, repo, oid)
    assert (answer.status, answer.code) == (unknown.status, unknown.code) == (404, "RevisionNotFound"), answer
    assert oid in answer.json()["error"]
    assert refs(hub, repo) == before
    assert hub.request("GET", f"/{repo}/resolve/{oid}/dir/new.txt").status == 404
    check_clone(hub, repo, user, tmp_path / "clone")


def test_no_commit_goes_upon_it(hub, user, repo, oid, tmp_path):
    before = refs(hub, repo)
    assert hub.commit(user.token, repo, {"y": b"on top"}, revision=oid).status == 404
    assert hub.commit(user.token, repo, {"y": b"on top"}, parent=oid).status == 412
    assert refs(hub, repo) == before
    check_clone(hub, repo, user, tmp_path / "clone")


@pytest.mark.parametrize("name", NAMINGS)
def test_the_same_commit_is_known_once_a_push_of_it_was_taken(hub, user, repo, work, oid, tmp_path, name):
    assert name(hub, user, repo, oid).status == 404
    work.push("origin", "HEAD:refs/heads/b")
    answer = name(hub, user, repo, oid)
    assert answer.status == 200, answer
    assert hub.request("GET", f"/{repo}/resolve/{oid}/dir/new.txt").body == b"something new\n"
    work.push("origin", ":refs/heads/b")
    clone = check_clone(hub, repo, user, tmp_path / "clone", ["--mirror"])
    assert clone.ask("rev-parse", "refs/heads/main") == refs(hub, repo)["refs/heads/main"]


def test_a_commit_that_was_taken_stays_known_without_a_ref(hub, user, repo, work, tmp_path):
    """What counts is the list of packs: a branch may begin where one that was deleted ended."""
    oid = work.commit({"dir/new.txt": "something new\n"})
    work.push("origin", "HEAD:refs/heads/b")
    work.push("origin", ":refs/heads/b")
    assert branch(hub, user, repo, oid).status == 200
    clone = check_clone(hub, repo, user, tmp_path / "clone", ["-b", "rescue"])
    assert clone.head() == oid


def test_one_push_lists_what_its_refused_refs_lead_to_when_another_ref_moves(hub, user, repo, work, tmp_path):
    oid = work.commit({"dir/new.txt": "something new\n"})
    assert "cannot be created while" in work.refused("origin", "HEAD:refs/heads/a/b", "HEAD:refs/heads/b")
    assert refs(hub, repo)["refs/heads/b"] == oid
    assert branch(hub, user, repo, oid).status == 200
    assert check_clone(hub, repo, user, tmp_path / "clone", ["-b", "rescue"]).head() == oid

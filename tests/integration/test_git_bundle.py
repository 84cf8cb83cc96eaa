"""Bundles: what clones may fetch as plain files before they ask git for the rest. They are offered where there are some, served with ranges, to whoever may
read the repository, and never needed."""
import json
import re
import subprocess
import threading
import time

import pytest

from git_client import NEWER, Git
from hub_process import Hub, cairn
from samples import random_bytes

ABILITIES = "/info/refs?service=git-upload-pack"
ASK = b"0017command=bundle-uri\n0012agent=git/2.470017object-format=sha1\n00010000"


@pytest.fixture
def git(hub, tmp_path):
    """Makes gits: git(user); without one: anonymous."""
    def make(user=None, **more):
        return Git(more.pop("hub", hub), tmp_path, user.name if user else "anyone", user.token if user else None, **more)
    return make


@pytest.fixture
def own_hub(tmp_path):
    hub = Hub(tmp_path / "own" / "data", "--access-log", str(tmp_path / "access.log"))
    hub.data_dir.parent.mkdir()
    yield hub.start()
    hub.stop()


def fill(hub, user, repo, name, count=3, size=100_000):
    for i in range(count):
        assert hub.commit(user.token, repo, {f"{name}-{i}.bin.txt": random_bytes(f"{repo} {name} {i}", size).hex().encode()}).status == 200


def bundle(hub, repo):
    return json.loads(cairn(hub, "repo", "bundle", repo, "--json"))


def offers(hub, repo, token=None):
    answer = hub.request("GET", f"/{repo}{ABILITIES}", token=token, headers={"Git-Protocol": "version=2"})
    assert answer.status == 200 and answer.body.endswith(b"0000"), answer
    return b"000fbundle-uri\n0000" in answer.body


def packets(body):
    out = []
    while body:
        length = int(body[:4], 16)
        out.append(body[4:length].decode() if length else None)
        body = body[length or 4:]
    return out


def asked(hub, repo, token=None):
    """What git's command "bundle-uri" is answered: {key: value}."""
    answer = hub.request("POST", f"/{repo}/git-upload-pack", ASK, token=token,
                         headers={"Git-Protocol": "version=2", "Content-Type": "application/x-git-upload-pack-request"})
    assert answer.status == 200 and answer.headers["content-type"] == "application/x-git-upload-pack-result", answer
    lines = packets(answer.body)
    assert lines.pop() is None
    return dict(line.rstrip("\n").split("=", 1) for line in lines)


def urls(hub, repo, token=None):
    """Newest last."""
    found = asked(hub, repo, token)
    tokens = {key.split(".")[1]: int(value) for key, value in found.items() if key.endswith(".creationtoken")}
    return [found[f"bundle.{name}.uri"] for name in sorted(tokens, key=tokens.get)]


def heads(git, tmp_path, data):
    path = tmp_path / "one.bundle"
    path.write_bytes(data)
    return dict(reversed(line.split()) for line in git.run("bundle", "list-heads", path).splitlines())


def test_nothing_is_offered_without_a_bundle(hub, user, git):
    repo = user.repo()
    assert not offers(hub, repo) and asked(hub, repo) == {}
    assert hub.request("GET", f"/{repo}.git/info/bundles").status == 404
    git().fsck(git().clone(repo))


def test_a_bundle_has_branches_and_tags_and_is_offered(hub, user, git, tmp_path):
    repo = user.repo()
    fill(hub, user, repo, "a")
    assert hub.request("POST", f"/api/models/{repo}/tag/main", {"tag": "v1", "message": "one"}, token=user.token).status == 200
    assert hub.request("POST", f"/api/models/{repo}/discussions", {"title": "a draft", "pullRequest": True, "description": ""}, token=user.token).status == 200
    report = bundle(hub, repo)
    assert report["bundles"] == 1 and report["made_bytes"] == report["bytes"] > 300_000
    assert bundle(hub, repo)["made_bytes"] == 0  # nothing new
    assert offers(hub, repo)
    found = asked(hub, repo)
    assert found["bundle.version"] == "1" and found["bundle.mode"] == "all" and found["bundle.heuristic"] == "creationToken"
    url, = urls(hub, repo)
    data = hub.request("GET", url).body
    tool = git()
    refs = tool.ls_remote(repo)
    assert any(name.startswith("refs/pr/") for name in refs)
    assert heads(tool, tmp_path, data) == {name: oid for name, oid in refs.items() if name.startswith("refs/heads/") or (
        name.startswith("refs/tags/") and not name.endswith("^{}"))}


def test_protocols_0_and_1_and_fetches_are_as_before(hub, user, git):
    repo = user.repo()
    fill(hub, user, repo, "a")
    bundle(hub, repo)
    for protocol in (0, 1, 2):
        tool = git(protocol=protocol)
        clone = tool.clone(repo)
        fill(hub, user, repo, f"more-{protocol}", 1)
        tool.run("pull", "-q", "--ff-only", cwd=clone)
        tool.fsck(clone)
        tool.fsck(tool.clone(repo, "--depth", "1"))


def test_ranges_tags_and_conditions(hub, user):
    repo = user.repo()
    fill(hub, user, repo, "a")
    bundle(hub, repo)
    url, = urls(hub, repo)
    whole = hub.request("GET", url)
    assert whole.status == 200 and whole.body.startswith(b"# v2 git bundle\n") and whole.headers["content-type"] == "application/x-git-bundle"
    part = hub.request("GET", url, headers={"Range": "bytes=1000-1999"})
    assert part.status == 206 and part.body == whole.body[1000:2000]
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(whole.body)}" and part.headers["etag"] == whole.headers["etag"]
    rest = hub.request("GET", url, headers={"Range": f"bytes={len(whole.body) - 10}-"})
    assert rest.status == 206 and rest.body == whole.body[-10:]
    assert hub.request("GET", url, headers={"Range": f"bytes={len(whole.body)}-"}).status == 416
    assert hub.request("GET", url, headers={"If-None-Match": whole.headers["etag"]}).status == 304
    assert int(hub.request("HEAD", url).headers["content-length"]) == len(whole.body)
    # Neither a word of it changed, nor a grant for something else.
    assert hub.request("GET", url[:-4] + ("AAAA" if url[-4:] != "AAAA" else "BBBB")).status == 403
    assert hub.request("GET", "/api/git/bundles/none").status == 403
    token = hub.xet_token(user.token, repo)["accessToken"]
    assert hub.request("GET", f"/api/git/bundles/{token}").status == 403


def test_a_clone_by_the_address_of_a_bundle_or_of_the_list(hub, user, git):
    repo = user.repo()
    fill(hub, user, repo, "a")
    bundle(hub, repo)
    fill(hub, user, repo, "b", 1)
    tool = git()
    for uri in (urls(hub, repo)[0], f"{hub.url}/{repo}.git/info/bundles"):
        clone = tool.clone(repo, f"--bundle-uri={uri}")
        tool.fsck(clone)
        assert "refs/bundles/" in tool.run("for-each-ref", cwd=clone)
        assert tool.head(clone) == tool.ls_remote(repo)["refs/heads/main"]


def test_a_bundle_that_cannot_be_had_is_done_without(hub, user, git):
    repo = user.repo()
    fill(hub, user, repo, "a", 1)
    tool = git()
    for uri in (f"{hub.url}/api/git/bundles/none", f"{hub.url}/{repo}.git/info/bundles", "http://127.0.0.1:1/x"):
        tool.fsck(tool.clone(repo, f"--bundle-uri={uri}"))


def test_increments_follow_and_are_merged(hub, user, git, tmp_path):
    repo = user.repo()
    fill(hub, user, repo, "a", 6)
    full = bundle(hub, repo)["bytes"]
    for i in range(10):
        fill(hub, user, repo, f"b{i}", 1, 10_000)
        report = bundle(hub, repo)
        assert report["bundles"] <= 8 and report["made_bytes"] < full / 2
    tokens = [int(value) for key, value in asked(hub, repo).items() if key.endswith(".creationtoken")]
    assert tokens == sorted(set(tokens)) and len(tokens) == report["bundles"] < 8  # merged once
    # In order of their tokens they make the repository.
    tool = git()
    empty = tmp_path / "empty"
    tool.run("init", "-q", "--bare", empty)
    for url in urls(hub, repo):
        path = tmp_path / "next.bundle"
        path.write_bytes(hub.request("GET", url).body)
        tool.run("bundle", "unbundle", path, cwd=empty)
    head = tool.ls_remote(repo)["refs/heads/main"]
    assert len(tool.run("rev-list", "--objects", head, cwd=empty).splitlines()) > 30
    # Too much came for increments: a full one again.
    fill(hub, user, repo, "c", 6)
    bundle(hub, repo)
    fill(hub, user, repo, "d", 1)
    assert bundle(hub, repo)["bundles"] == 1


def test_a_rewritten_branch_ends_its_bundles(hub, user, git):
    repo = user.repo()
    fill(hub, user, repo, "a")
    bundle(hub, repo)
    tool = git(user)
    clone = tool.clone(repo)
    tool.run("commit", "-q", "--amend", "-m", "another", cwd=clone)
    tool.run("push", "-q", "--force", "origin", "main", cwd=clone)
    assert not offers(hub, repo) and asked(hub, repo) == {}
    assert bundle(hub, repo)["bundles"] == 1 and offers(hub, repo)
    # A branch that comes and stays does not; one that goes does.
    tool.run("push", "-q", "origin", "HEAD:refs/heads/side", cwd=clone)
    assert offers(hub, repo)
    tool.run("push", "-q", "origin", ":refs/heads/side", cwd=clone)
    assert not offers(hub, repo)


def test_private_bundles_are_for_those_who_may_read(hub, user, alice, git):
    repo = user.repo(private=True)
    fill(hub, user, repo, "a")
    bundle(hub, repo)
    assert hub.request("GET", f"/{repo}.git/info/bundles").status == 401
    assert hub.request("GET", f"/{repo}.git/info/bundles", token=alice.token).status == 404
    url, = urls(hub, repo, user.token)
    assert hub.request("GET", url).status == 200  # the address carries its rights
    tool = git(user)
    clone = tool.clone(repo, f"--bundle-uri={tool.url(repo, '.git/info/bundles')}")
    tool.fsck(clone)
    assert "refs/bundles/" in tool.run("for-each-ref", cwd=clone)
    # A token that is gone takes its addresses along.
    made = hub.admin("POST", "/tokens", {"user": user.name, "role": "read"})
    url, = urls(hub, repo, made["token"])
    assert hub.request("GET", url).status == 200
    hub.admin("DELETE", f"/tokens/{made['id']}")
    assert hub.request("GET", url).status == 403


def test_what_becomes_private_or_gated_is_closed_to_old_addresses(hub, user, alice):
    repo = user.repo()
    fill(hub, user, repo, "a", 1)
    bundle(hub, repo)
    url, = urls(hub, repo, alice.token)
    for settings, status in (({"gated": "manual"}, 403), ({"gated": False}, 200), ({"private": True}, 403)):
        assert hub.request("PUT", f"/api/models/{repo}/settings", settings, token=user.token).status == 200
        assert hub.request("GET", url).status == status, settings
    assert hub.request("DELETE", "/api/repos/delete", {"name": repo, "type": "model"}, token=user.token).status == 200
    assert hub.request("GET", url).status == 404


def test_garbage_collection_keeps_bundles_and_takes_what_they_replaced(own_hub, git, tmp_path):
    user = own_hub.make_user("ada")
    repo = user.repo()
    fill(own_hub, user, repo, "a")
    bundle(own_hub, repo)
    old, = urls(own_hub, repo)
    fill(own_hub, user, repo, "b", 4)
    bundle(own_hub, repo)
    fill(own_hub, user, repo, "c", 1)
    assert bundle(own_hub, repo)["bundles"] == 1
    new, = urls(own_hub, repo)
    assert own_hub.request("GET", old).status == 200  # until it is collected
    own_hub.operation("gc", grace_ms=0)
    assert own_hub.request("GET", old).status == 404
    assert own_hub.request("GET", new).body.startswith(b"# v2 git bundle\n")
    own_hub.stop()
    own_hub.start()
    assert offers(own_hub, repo)
    tool = git(hub=own_hub)
    tool.fsck(tool.clone(repo, f"--bundle-uri={own_hub.url}/{repo}.git/info/bundles"))


def test_two_that_make_one_at_once_leave_one_list(hub, user):
    repo = user.repo()
    fill(hub, user, repo, "a")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(hub.request("POST", f"/api/admin/repos/model/{repo}/bundle", token=hub.admin_token)))
               for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} <= {200, 409, 412} and 200 in [answer.status for answer in answers], answers
    assert len(urls(hub, repo)) == 1


def test_only_an_administrator_may_ask_for_one(hub, user):
    repo = user.repo()
    assert hub.request("POST", f"/api/admin/repos/model/{repo}/bundle", token=user.token).status == 403
    assert hub.request("POST", f"/api/admin/repos/model/{user.name}/none/bundle", token=hub.admin_token).status == 404


def test_what_is_cloned_often_gets_a_bundle_by_itself(hub, user, git):
    large, small = user.repo(), user.repo()
    fill(hub, user, large, "a", 3, 4_500_000)
    fill(hub, user, small, "a", 1)
    tool = git()
    for repo in (small, large):
        for _ in range(4):
            tool.remove(tool.clone(repo, "--bare"))
    deadline = time.time() + 60
    while not offers(hub, large) and time.time() < deadline:
        time.sleep(0.2)
    assert offers(hub, large) and not offers(hub, small)
    metrics = hub.request("GET", "/metrics").body.decode()
    assert int(re.search(r"^cairn_git_bundles_made_total (\d+)$", metrics, re.M)[1]) >= 1
    assert int(re.search(r"^cairn_git_stored_answers_given_again_total (\d+)$", metrics, re.M)[1]) >= 3


def sent_for_packs(log, repo):
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return sum(entry["bytes_out"] for entry in entries if entry["path"] == f"/{repo}/git-upload-pack")


@pytest.mark.skipif(not NEWER.exists(), reason="git 2.39 does not ask for bundles, and there is no newer one for this machine")
def test_a_git_that_asks_uses_them_and_is_sent_little_else(own_hub, git, tmp_path):
    user = own_hub.make_user("ada")
    repo = user.repo()
    fill(own_hub, user, repo, "a", 5, 400_000)
    bundle(own_hub, repo)
    fill(own_hub, user, repo, "b", 2, 20_000)
    assert bundle(own_hub, repo)["bundles"] == 2
    fill(own_hub, user, repo, "c", 1, 1000)
    tool = git(hub=own_hub, program=NEWER)
    clone = tool.clone(repo, "-c", "transfer.bundleURI=true")
    tool.fsck(clone)
    assert tool.head(clone) == tool.ls_remote(repo)["refs/heads/main"]
    assert "refs/bundles/" in tool.run("for-each-ref", cwd=clone)
    time.sleep(0.5)
    assert sent_for_packs(tmp_path / "access.log", repo) < 20_000

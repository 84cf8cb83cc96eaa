"""Squashing histories, comparing revisions, copying repositories with all they have."""
import hashlib
import json

import pytest

from clients import ClientError
from hub_process import cairn
from samples import random_bytes, write

GENERATIONS = ["newest", "hub-1.19", "hub-0.36"]
DRIVER = "rights_driver.py"


@pytest.fixture
def history(user, client, folder):
    """A repository with three commits, a branch and a tag, and files of every kind."""
    repo = user.repo()
    mine = client(user.token)
    data = random_bytes(repo, 400_000)
    mine.run("upload_folder", repo=repo, folder=write(folder("first"), {"model.bin": data, "a.txt": b"one\ntwo\nthree\n", "deep/er/b.json": b"{}\n"}))
    first = mine.run("info", repo=repo)["sha"]
    mine.run("create_tag", repo=repo, tag="v1")
    mine.run("create_branch", repo=repo, branch="side")
    mine.run("create_commit", repo=repo, add={"a.txt": {"text": "one\n2\nthree\n"}, "new.txt": {"text": "new\n"}}, delete=["deep/er/b.json"], message="change")
    return repo, data, first


@pytest.mark.parametrize("generation", GENERATIONS)
def test_super_squash_leaves_one_commit_and_the_same_tree(hub, user, client, history, generation):
    repo, data, first = history
    mine = client(user.token, generation)
    before = {item["path"]: item["oid"] for item in mine.run("tree", repo=repo, recursive=True)}
    mine.run("super_squash", driver=DRIVER, repo=repo, commit_message="All in one")
    commits = mine.run("commits", repo=repo)
    assert [commit["title"] for commit in commits] == ["All in one"] and commits[0]["authors"] == [user.name]
    assert {item["path"]: item["oid"] for item in mine.run("tree", repo=repo, recursive=True)} == before
    assert mine.run("download", repo=repo, filename="model.bin")["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(mine.run("commits", repo=repo, revision="side")) > 1  # others keep their history
    mine.run("super_squash", driver=DRIVER, repo=repo, branch="side")
    assert [commit["title"] for commit in mine.run("commits", repo=repo, revision="side")] == ["Super-squash branch 'side' using huggingface_hub"]
    mine.run("upload_text", repo=repo, text="after\n", path_in_repo="after.txt")
    assert len(mine.run("commits", repo=repo)) == 2


def test_squashing_wants_a_branch_and_the_right(hub, user, bob, history):
    repo, _, first = history
    path = f"/api/models/{repo}/super-squash"
    assert hub.request("POST", f"{path}/absent", {}, token=user.token).code == "RevisionNotFound"
    assert hub.request("POST", f"{path}/{first}", {}, token=user.token).code == "RevisionNotFound"
    assert hub.request("POST", f"{path}/v1", {}, token=user.token).code == "RevisionNotFound"  # a tag stays what it is
    assert hub.request("POST", f"{path}/main", {}, token=bob.token).status == 403
    assert hub.request("POST", f"{path}/main", {}, token=user.read_token).status == 403
    assert hub.request("POST", f"{path}/main", {}).status == 401
    assert hub.request("POST", f"{path}/main", {"message": "x" * 70000}, token=user.token).status == 400
    answer = hub.request("POST", f"{path}/refs%2Fheads%2Fmain", {"message": "title\n\nbody"}, token=user.token)
    assert len(answer.json()["commitId"]) == 40
    assert hub.request("GET", f"/api/models/{repo}").json()["sha"] == answer.json()["commitId"]


def test_compare_tells_what_changed(hub, user, bob, history):
    repo, _, first = history
    raw = hub.request("GET", f"/api/models/{repo}/compare/v1..main?raw=true")
    assert raw.headers["content-type"].startswith("text/plain")
    text = raw.body.decode()
    assert "--- a/a.txt" in text and "+++ b/a.txt" in text and "-two" in text and "+2" in text
    assert "+new" in text and "deep/er/b.json" in text and "model.bin" not in text
    assert hub.request("GET", f"/api/models/{repo}/compare/v1..main?raw").body == raw.body
    whole = hub.request("GET", f"/api/models/{repo}/compare/{first}..refs%2Fheads%2Fmain").json()
    assert whole["diff"] == text and whole["base"] == first and whole["truncated"] is False
    assert hub.request("GET", f"/api/models/{repo}/compare/main..main?raw=1").body == b""
    assert hub.request("GET", f"/api/models/{repo}/compare/main..absent").code == "RevisionNotFound"
    for wrong in ("main", "main..", "..main", "main...side"):
        assert hub.request("GET", f"/api/models/{repo}/compare/{wrong}").status == 400, wrong
    hidden = user.repo(private=True)
    assert hub.request("GET", f"/api/models/{hidden}/compare/main..main", token=bob.token).status == 404


@pytest.mark.parametrize("generation", ["newest", "hub-1.19"])
def test_a_copy_has_everything_and_costs_nothing(hub, user, bob, client, history, generation):
    repo, data, first = history
    before = hub.stats()
    other = client(bob.token, generation)
    name = f"{bob.name}/copy-of-{repo.split('/')[0]}-{generation}"
    copy = other.run("duplicate_repo", driver=DRIVER, source=repo, target=name)
    assert copy == {"url": f"{hub.url}/{name}", "repo_id": name}
    assert hub.stats()["stored_bytes"] - before["stored_bytes"] < 10_000
    for revision in ("main", "side", "v1", first):
        mine = [(commit["id"], commit["title"]) for commit in client(user.token).run("commits", repo=repo, revision=revision)]
        assert [(commit["id"], commit["title"]) for commit in other.run("commits", repo=name, revision=revision)] == mine
    assert other.run("refs", repo=name) == client(user.token).run("refs", repo=repo)
    assert other.run("download", repo=name, filename="model.bin", revision="v1")["sha256"] == hashlib.sha256(data).hexdigest()
    other.run("upload_text", repo=name, text="mine\n", path_in_repo="mine.txt")
    assert "mine.txt" not in client(user.token).run("files", repo=repo)
    # the copy lives on without its source, and through a garbage collection
    assert hub.request("DELETE", "/api/repos/delete", {"name": repo.split("/")[1]}, token=user.token).status == 200
    hub.operation("gc", grace_ms=0)
    other = client(bob.token, generation)
    assert other.run("download", repo=name, filename="model.bin")["sha256"] == hashlib.sha256(data).hexdigest()
    assert other.run("download", repo=name, filename="a.txt", revision=first)["size"] == len(b"one\ntwo\nthree\n")


def test_copies_are_as_visible_as_their_source_unless_told(hub, user, bob, client):
    public, private = user.repo(), user.repo(private=True)

    def copy(source, token, **body):
        return hub.request("POST", f"/api/models/{source}/duplicate", body, token=token)
    def is_private(name):
        return hub.request("GET", f"/api/models/{name}", token=hub.admin_token).json()["private"]
    assert copy(public, bob.token, repository="from-public").status == 200
    assert is_private(f"{bob.name}/from-public") is False
    assert copy(public, user.token, repository="hidden", visibility="private").status == 200
    assert is_private(f"{user.name}/hidden") is True
    assert copy(private, user.token, repository="from-private").status == 200
    assert is_private(f"{user.name}/from-private") is True
    clash = copy(public, bob.token, repository="from-public")
    assert clash.status == 409 and clash.json()["url"] == f"{hub.url}/{bob.name}/from-public"
    assert client(bob.token).run("duplicate_repo", driver=DRIVER, source=public, target=f"{bob.name}/from-public", exist_ok=True)
    assert copy(private, bob.token, repository="stolen").status == 404
    assert copy(public, bob.token, repository=f"{user.name}/planted").status == 403
    assert copy(public, bob.read_token, repository="x").status == 403
    assert copy(public, None, repository="x").status == 401
    assert copy(public, bob.token, repository="bad--name").status == 400
    assert copy(public, bob.token, repository="nowhere-at-all/x").status == 403
    assert copy(public, bob.token, repository="wishes", hardware="t4-small").status == 501


@pytest.mark.parametrize("type, api", [("dataset", "datasets"), ("space", "spaces"), ("kernel", "kernels")])
def test_every_type_can_be_copied(hub, user, bob, type, api):
    repo = user.repo(type, **({"sdk": "static"} if type == "space" else {}))
    answer = hub.request("POST", f"/api/{api}/{repo}/duplicate", {"repository": f"{bob.name}/{type}-copy-of-{user.name}"}, token=bob.token)
    assert answer.status == 200 and answer.json()["url"] == f"{hub.url}/{api}/{bob.name}/{type}-copy-of-{user.name}"
    info = [hub.request("GET", f"/api/{api}/{name}").json() for name in (repo, answer.json()["name"])]
    assert info[0]["sha"] == info[1]["sha"] and info[0].get("sdk") == info[1].get("sdk")

"""Copying between repositories without moving bytes: what clients call before a commit that names files of elsewhere."""
import hashlib

import pytest

from samples import random_bytes

CONTENT = random_bytes("copies", 300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def source(hub, user):
    """A private repository that holds one LFS file."""
    repo = user.repo(private=True)
    uploaded = hub.lfs_batch(user.token, repo, [(SHA256, len(CONTENT))]).json()["objects"][0]
    if "actions" in uploaded:  # no public repository has it yet
        assert hub.request("PUT", uploaded["actions"]["upload"]["href"], CONTENT).status == 200
    assert commit_lfs(hub, user, repo).status == 200
    return repo


def commit_lfs(hub, user, repo):
    return hub.commit(user.token, repo, [("lfsFile", {"path": "model.bin", "algo": "sha256", "oid": SHA256})])


def duplicate(hub, user, source, target, files=({"sha256": SHA256, "filename": "model.bin"},)):
    return hub.request("POST", f"/api/models/{source}/lfs-files/duplicate",
                       {"target": {"type": "model", "name": target}, "files": list(files)}, token=user.token)


def test_a_duplicated_file_may_be_committed_elsewhere(hub, user, source):
    target = user.repo()
    assert 400 <= commit_lfs(hub, user, target).status < 500
    answer = duplicate(hub, user, source, target)
    assert (answer.status, answer.json()) == (200, {"success": True, "processed": 1, "succeeded": 1, "failed": []})
    assert commit_lfs(hub, user, target).status == 200
    assert hub.request("GET", f"/{target}/resolve/main/model.bin").body == CONTENT


def test_what_is_not_in_the_source_is_named_as_failed(hub, user, source):
    answer = duplicate(hub, user, source, user.repo(), [{"sha256": SHA256}, {"sha256": "0" * 64}, {"sha256": "x"}])
    assert answer.status == 207
    assert [failed["sha256"] for failed in answer.json()["failed"]] == ["0" * 64, "x"]
    assert answer.json()["succeeded"] == 1


def test_nobody_copies_from_what_they_cannot_read_or_to_where_they_cannot_write(hub, user, bob, source):
    public = bob.repo()
    hidden = duplicate(hub, bob, source, public)
    assert (hidden.status, hidden.code) == (404, "RepoNotFound")
    refused = duplicate(hub, user, source, public)
    assert refused.status == 403
    assert 400 <= hub.commit(bob.token, public, [("lfsFile", {"path": "m", "algo": "sha256", "oid": SHA256})]).status < 500


def test_a_folder_is_deleted_with_and_without_its_slash(hub, user):
    repo = user.repo()
    assert hub.commit(user.token, repo, {"a/x": b"1", "b/x": b"1"}).status == 200
    deleted = hub.commit(user.token, repo, [("deletedFolder", {"path": "a/"}), ("deletedFolder", {"path": "b"})])
    assert deleted.status == 200, deleted
    paths = [entry["path"] for entry in hub.request("GET", f"/api/models/{repo}/tree/main?recursive=true").json()]
    assert paths == [".gitattributes"]


def test_a_space_is_not_created_with_what_nothing_here_honours(hub, user):
    refused = hub.request("POST", "/api/repos/create", {"name": "space", "type": "space", "sdk": "static",
                                                        "secrets": [{"key": "k", "value": "v"}]}, token=user.token)
    assert (refused.status, refused.code) == (501, "NotImplemented")
    assert hub.request("GET", f"/api/spaces/{user.name}/space", token=user.token).status == 404

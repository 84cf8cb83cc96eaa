"""What every generation of the Python client must be able to do: push a repository and get the same bytes back."""
import hashlib
import re

import pytest

from clients import GENERATIONS, PINS, ClientError
from samples import digests, digests_of, random_bytes


def failure(call, *arguments, **more):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **more)
    return caught.value


def calls(hub, routes):
    """How often the hub has answered calls of these routes."""
    text = hub.request("GET", "/metrics").body.decode()
    return sum(int(count) for route, count in re.findall(r'^cairn_http_requests_total\{route="([^"]+)",class="2xx"\} (\d+)', text, re.M) if route in routes)


def test_every_generation_is_what_it_says_and_moves_bytes_as_it_should(hub, user, client, generation, tmp_path):
    """Or all of them could be the same client, and Xet have been left out without a word."""
    venv, extra = GENERATIONS[generation]
    pins = dict(re.findall(r"^([A-Za-z_-]+)==(\S+)", (PINS / f"{venv}.txt").read_text().replace("huggingface-hub", "huggingface_hub"), re.M))
    writer, reader = client(user.token, generation), client(user.read_token, generation)
    assert writer.run("versions") == {"huggingface_hub": pins["huggingface_hub"], "hf_xet": pins["hf-xet"]}
    with_xet = "HF_HUB_DISABLE_XET" not in extra
    xet, lfs = ("xet-xorb-post", "xet-shard-post"), ("lfs-upload",)
    (tmp_path / "weights.bin").write_bytes(random_bytes(generation, 1_000_000))
    before = calls(hub, xet), calls(hub, lfs)
    repo = user.repo()
    writer.run("upload_file", repo=repo, path=tmp_path / "weights.bin", path_in_repo="weights.bin")
    assert (calls(hub, xet) - before[0], calls(hub, lfs) - before[1]) == ((2, 0) if with_xet else (0, 1))
    before = calls(hub, ("xet-data",))
    reader.run("download", repo=repo, filename="weights.bin")
    assert (calls(hub, ("xet-data",)) > before) == with_xet


def test_a_pushed_folder_comes_back_bit_for_bit_into_an_empty_cache(hub, user, client, generation, sample):
    directory, files = sample
    repo = f"{user.name}/model"
    writer = client(user.token, generation)
    assert writer.run("create_repo", repo=repo)["repo_id"] == repo
    commit = writer.run("upload_folder", repo=repo, folder=directory)
    assert commit["commit_url"] == f"{hub.url}/{repo}/commit/{commit['oid']}"

    got = client(user.read_token, generation).run("snapshot", repo=repo)

    found = digests(got)
    found.pop(".gitattributes")
    assert found == digests_of(files)


def test_what_one_generation_pushed_every_other_can_pull(user, client, generation, sample):
    directory, files = sample
    repo = user.repo()
    client(user.token, generation).run("upload_folder", repo=repo, folder=directory)
    for reader in ("newest", "newest-without-xet", "hub-0.32"):
        found = digests(client(user.read_token, reader).run("snapshot", repo=repo))
        found.pop(".gitattributes")
        assert found == digests_of(files), reader


def test_single_files_are_pushed_replaced_and_deleted(user, client, generation, tmp_path):
    repo = user.repo()
    writer, reader = client(user.token, generation), client(user.read_token, generation)
    weights = tmp_path / "weights.bin"
    for seed in ("first", "second"):
        weights.write_bytes(random_bytes(seed, 2_000_000))
        writer.run("upload_file", repo=repo, path=weights, path_in_repo="weights.bin")
        got = reader.run("download", repo=repo, filename="weights.bin")
        assert got["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    writer.run("upload_text", repo=repo, text="a note\n", path_in_repo="notes/today.txt")
    assert sorted(reader.run("files", repo=repo)) == [".gitattributes", "notes/today.txt", "weights.bin"]
    writer.run("delete_file", repo=repo, path_in_repo="weights.bin")
    writer.run("delete_folder", repo=repo, path_in_repo="notes")
    assert reader.run("files", repo=repo) == [".gitattributes"]
    assert failure(reader.run, "download", repo=repo, filename="weights.bin").name in ("EntryNotFoundError", "RemoteEntryNotFoundError")


def test_one_commit_adds_deletes_and_copies(user, client, generation, tmp_path):
    repo = user.repo()
    writer = client(user.token, generation)
    large = tmp_path / "large.bin"
    large.write_bytes(random_bytes("copied", 1_500_000))
    writer.run("create_commit", repo=repo, add={"large.bin": str(large), "old.txt": {"text": "old"}})
    writer.run("create_commit", repo=repo, add={"new.txt": {"text": "new"}}, delete=["old.txt"], copy={"large.bin": "moved/large.bin"})
    entries = {item["path"]: item for item in writer.run("tree", repo=repo, recursive=True)}
    assert sorted(entries) == [".gitattributes", "large.bin", "moved", "moved/large.bin", "new.txt"]
    assert entries["moved/large.bin"]["oid"] == entries["large.bin"]["oid"]
    got = client(user.read_token, generation).run("download", repo=repo, filename="moved/large.bin")
    assert got["sha256"] == hashlib.sha256(large.read_bytes()).hexdigest()


def test_a_commit_on_a_parent_that_has_moved_is_refused(user, client, generation):
    repo = user.repo()
    writer = client(user.token, generation)
    first = writer.run("upload_text", repo=repo, text="1", path_in_repo="a.txt")["oid"]
    second = writer.run("create_commit", repo=repo, add={"a.txt": {"text": "2"}}, parent_commit=first)["oid"]
    refused = failure(writer.run, "create_commit", repo=repo, add={"a.txt": {"text": "3"}}, parent_commit=first)
    assert refused.status == 412
    assert writer.run("refs", repo=repo)["branches"] == {"main": second}


def test_branches_tags_and_commits_name_what_they_named(user, client, generation):
    repo = user.repo()
    writer = client(user.token, generation)
    one = writer.run("upload_text", repo=repo, text="one", path_in_repo="a.txt")["oid"]
    writer.run("create_tag", repo=repo, tag="v1")
    writer.run("create_branch", repo=repo, branch="dev/next", revision=one)
    two = writer.run("upload_text", repo=repo, text="two", path_in_repo="a.txt", revision="dev/next")["oid"]
    three = writer.run("upload_text", repo=repo, text="three", path_in_repo="a.txt")["oid"]

    refs = writer.run("refs", repo=repo)
    assert refs["branches"] == {"main": three, "dev/next": two}
    assert refs["tags"] == {"v1": one}
    wanted = {"main": b"three", "dev/next": b"two", "v1": b"one", one: b"one", two: b"two"}
    for revision, text in wanted.items():
        got = client(user.read_token, generation).run("download", repo=repo, filename="a.txt", revision=revision)
        assert got["sha256"] == hashlib.sha256(text).hexdigest(), revision
    listed = writer.run("commits", repo=repo)
    assert [commit["id"] for commit in listed[:2]] == [three, one]
    assert listed[-1]["title"] == "initial commit"
    assert all(commit["authors"] == [user.name] for commit in listed)

    writer.run("delete_branch", repo=repo, branch="dev/next")
    writer.run("delete_tag", repo=repo, tag="v1")
    assert writer.run("refs", repo=repo) == {"branches": {"main": three}, "tags": {}}
    missing = failure(client(user.read_token, generation).run, "download", repo=repo, filename="a.txt", revision="dev/next")
    assert missing.name == "RevisionNotFoundError"


def test_a_private_repository_does_not_exist_for_others(user, bob, client, generation):
    repo = user.repo(private=True)
    client(user.token, generation).run("upload_text", repo=repo, text="mine", path_in_repo="a.txt")
    assert client(user.read_token, generation).run("download", repo=repo, filename="a.txt")["size"] == 4
    assert not client(bob.token, generation).run("repo_exists", repo=repo)
    for other in (bob.token, None):
        refused = failure(client(other, generation).run, "download", repo=repo, filename="a.txt")
        assert refused.name == "RepositoryNotFoundError"
        assert (refused.status, refused.code) == ((404 if other else 401), "RepoNotFound")


def test_a_wrong_token_is_told_apart_from_a_missing_repository(user, client, generation):
    repo = user.repo()
    refused = failure(client("hf_" + "x" * 34, generation).run, "info", repo=repo)
    assert refused.status == 401
    assert refused.name != "RepositoryNotFoundError"


def test_a_read_token_cannot_write(user, client, generation):
    repo = user.repo()
    refused = failure(client(user.read_token, generation).run, "upload_text", repo=repo, text="x", path_in_repo="a.txt")
    assert refused.status == 403


def test_creating_twice_is_a_conflict_unless_that_is_fine(user, client, generation):
    repo = user.repo()
    writer = client(user.token, generation)
    assert failure(writer.run, "create_repo", repo=repo).status == 409
    assert writer.run("create_repo", repo=repo, exist_ok=True)["repo_id"] == repo


def test_a_deleted_repository_is_gone(user, client, generation):
    repo = user.repo()
    writer = client(user.token, generation)
    assert writer.run("repo_exists", repo=repo)
    writer.run("delete_repo", repo=repo)
    assert not writer.run("repo_exists", repo=repo)
    # The name is free again, and what comes now has no past.
    writer.run("create_repo", repo=repo)
    assert len(writer.run("commits", repo=repo)) == 1


def test_datasets_and_spaces_are_repositories_too(user, client, generation):
    writer = client(user.token, generation)
    for repo_type, more in (("dataset", {}), ("space", {"space_sdk": "static"})):
        repo = f"{user.name}/same-name"
        writer.run("create_repo", repo=repo, repo_type=repo_type, **more)
        writer.run("upload_text", repo=repo, text=repo_type, path_in_repo="kind.txt", repo_type=repo_type)
        got = client(user.read_token, generation).run("download", repo=repo, filename="kind.txt", repo_type=repo_type)
        assert got["sha256"] == hashlib.sha256(repo_type.encode()).hexdigest()
    assert not writer.run("repo_exists", repo=f"{user.name}/same-name")

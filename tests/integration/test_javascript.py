"""npm's @huggingface/hub: another implementation of everything, Xet included."""
import hashlib

import pytest

from clients import ClientError
from samples import digests, digests_of


ODD = "odd/a b&c#d%e?f+g'h.txt"


@pytest.fixture
def js(client, user):
    return client(user.token)


@pytest.mark.parametrize("xet", [True, False])
def test_a_pushed_folder_comes_back_bit_for_bit(js, user, client, sample, xet):
    directory, files = sample
    repo = user.repo()
    commit = js.run_js("uploadFolder", repo=repo, folder=str(directory), useXet=xet)
    assert len(commit["oid"]) == 40
    for from_xet in (True, False):
        found = js.run_js("downloadAll", repo=repo, xet=from_xet)
        found.pop(".gitattributes")
        assert found == digests_of(files), f"downloaded with xet={from_xet}"
    found = digests(client(user.read_token).run("snapshot", repo=repo))
    found.pop(".gitattributes")
    assert found == digests_of(files), "downloaded by Python"


def test_what_python_pushed_javascript_pulls(js, user, client, sample, folder):
    directory, files = sample
    repo = user.repo()
    client(user.token).run("upload_folder", repo=repo, folder=directory)
    found = js.run_js("downloadAll", repo=repo)
    found.pop(".gitattributes")
    assert found == digests_of(files)
    # A snapshot cannot be told how to spell a path: the library's addresses end at a "#".
    client(user.token).run("delete_file", repo=repo, path_in_repo=ODD)
    files.pop(ODD)
    got = js.run_js("snapshotDownload", repo=repo, cacheDir=str(folder("cache")))
    found = digests(got)
    found.pop(".gitattributes")
    assert found == digests_of(files)


def test_a_slice_of_a_large_file_is_its_bytes(js, user, client, sample):
    directory, files = sample
    repo = user.repo()
    client(user.token).run("upload_folder", repo=repo, folder=directory)
    for name in ("model.safetensors", "repeated.bin", "zeros.bin"):
        for begin, end in ((0, 10), (1_000_000, 1_200_000), (299_999, 2_000_001)):
            wanted = hashlib.sha256(files[name][begin:end]).hexdigest()
            assert js.run_js("downloadSlice", repo=repo, path=name, begin=begin, end=end) == wanted, (name, begin, end)


def test_repositories_branches_and_commits(js, user):
    repo = f"{user.name}/from-js"
    assert js.run_js("createRepo", repo=repo, options={"license": "mit", "files": []})["repoUrl"].endswith(repo)
    assert js.run_js("whoAmI") == user.name
    assert js.run_js("repoExists", repo=repo)
    first = js.run_js("uploadText", repo=repo, path="a.txt", text="one")["oid"]
    js.run_js("createBranch", repo=repo, branch="dev")
    js.run_js("uploadText", repo=repo, path="b.txt", text="two", branch="dev")
    assert [item["path"] for item in js.run_js("listFiles", repo=repo)] == [".gitattributes", "README.md", "a.txt"]
    on_dev = js.run_js("listFiles", repo=repo, revision="dev", recursive=True)
    assert [item["path"] for item in on_dev] == [".gitattributes", "README.md", "a.txt", "b.txt"]
    js.run_js("deleteBranch", repo=repo, branch="dev")
    js.run_js("createBranch", repo=repo, branch="bare", empty=True)
    assert js.run_js("listFiles", repo=repo, revision="bare") == []
    js.run_js("uploadText", repo=repo, path="c.txt", text="three", branch="bare")
    assert [item["path"] for item in js.run_js("listFiles", repo=repo, revision="bare")] == ["c.txt"]
    js.run_js("deleteBranch", repo=repo, branch="bare")
    js.run_js("deleteFiles", repo=repo, paths=["a.txt"])
    assert js.run_js("fileExists", repo=repo, path="README.md")
    assert not js.run_js("fileExists", repo=repo, path="a.txt")
    commits = js.run_js("listCommits", repo=repo)
    assert commits[1]["oid"] == first
    assert js.run_js("countCommits", repo=repo) == len(commits) == 3
    assert js.run_js("modelInfo", repo=repo, name=repo)["name"] == repo
    assert js.run_js("listModels", owner=user.name) == [{"name": repo, "private": False}]
    js.run_js("deleteRepo", repo=repo)
    assert not js.run_js("repoExists", repo=repo)


def test_download_information_needs_no_download(js, user, client, sample):
    directory, files = sample
    repo = user.repo()
    client(user.token).run("upload_folder", repo=repo, folder=directory)
    info = js.run_js("fileDownloadInfo", repo=repo, path="model.safetensors")
    assert info["size"] == len(files["model.safetensors"]) and info["xet"]
    assert js.run_js("fileDownloadInfo", repo=repo, path="empty.txt")["size"] == 0
    assert js.run_js("fileDownloadInfo", repo=repo, path="absent.txt") is None


def test_the_raw_form_of_a_file_is_what_git_keeps(js, user, client, sample):
    directory, files = sample
    repo = user.repo()
    client(user.token).run("upload_folder", repo=repo, folder=directory)
    content = files["model.safetensors"]
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(content).hexdigest()}\nsize {len(content)}\n"
    assert js.run_js("downloadRaw", repo=repo, path="model.safetensors") == pointer
    assert "model.safetensors" not in js.run_js("downloadRaw", repo=repo, path=".gitattributes")


def test_errors_carry_status_and_request_id(js, user, bob, client):
    repo = user.repo(private=True)
    with pytest.raises(ClientError) as caught:
        client(bob.token).run_js("listFiles", repo=repo)
    assert caught.value.status == 404
    with pytest.raises(ClientError) as caught:
        client(None).run_js("listFiles", repo=repo)
    assert caught.value.status == 401


def test_the_other_calls_of_the_library(js, hub, user, folder):
    model, data, space, bucket = ({"type": type, "name": f"{user.name}/js-{type}"} for type in ("model", "dataset", "space", "bucket"))
    path = [{"path": "a.bin", "content": {"bytes": 300_000}}, {"path": "d/b.txt", "content": {"bytes": 3}}]
    outcomes = js.run_js("calls", calls=[
        ["createRepo", {"repo": model, "license": "mit"}], ["createRepo", {"repo": data}], ["createRepo", {"repo": space, "sdk": "static"}],
        ["uploadFilesWithProgress", {"repo": model, "files": path}],
        ["commitIter", {"repo": model, "title": "t", "operations": [{"operation": "addOrUpdate", **path[1], "path": "c.txt"}, {"operation": "delete", "path": "d/b.txt"}]}],
        ["pathsInfo", {"repo": model, "paths": ["a.bin", "absent"], "expand": True}],
        ["deleteFile", {"repo": model, "path": "c.txt"}], ["checkRepoAccess", {"repo": model}],
        ["modelInfo", {"name": model["name"], "additionalFields": ["author", "cardData", "downloadsAllTime", "sha", "tags", "safetensors", "spaces"]}],
        ["datasetInfo", {"name": data["name"], "additionalFields": ["author", "tags"]}],
        ["spaceInfo", {"name": space["name"], "additionalFields": ["author", "models", "datasets", "tags"]}],
        ["downloadFileToCacheDir", {"repo": model, "path": "a.bin", "cacheDir": str(folder("cache"))}],
        ["createRepo", {"repo": bucket}], ["uploadFile", {"repo": bucket, "file": path[0]}], ["listFiles", {"repo": bucket, "recursive": True}],
        ["downloadFile", {"repo": bucket, "path": "a.bin"}], ["copyFile", {"source": {"repo": model, "path": "a.bin"}, "destination": {"repo": bucket, "path": "z.bin"}}],
        ["listFiles", {"repo": bucket}], ["deleteFile", {"repo": bucket, "path": "a.bin"}], ["repoExists", {"repo": bucket}], ["deleteRepo", {"repo": bucket}],
        ["countCommits", {"repo": model}], ["listJobs", {"namespace": user.name}]])
    assert outcomes[-1][1]["status"] == 501
    assert not [(name, outcome) for name, outcome in outcomes[:-1] if "result" not in outcome]
    found = {name: outcome["result"] for name, outcome in outcomes[:-1]}
    assert [item["path"] for item in found["pathsInfo"]] == ["a.bin"] and found["modelInfo"]["cardData"] == {"license": "mit"}
    assert found["downloadFile"] == {"size": 300_000} and [item["path"] for item in found["listFiles"]] == ["a.bin", "z.bin"]
    assert found["repoExists"] is True and found["countCommits"] == 4 and found["spaceInfo"]["sdk"] == "static"

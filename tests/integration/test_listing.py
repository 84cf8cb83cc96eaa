"""Trees, histories and lists, as the newest client reads them; ids as git would compute them."""
import hashlib

from samples import random_bytes, write


def git_id(kind, payload):
    return hashlib.sha1(b"%s %d\0" % (kind, len(payload)) + payload).hexdigest()


def pointer(data):
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (hashlib.sha256(data).hexdigest().encode(), len(data))


def test_ids_are_those_of_git(user, client, sample):
    directory, files = sample
    repo = user.repo()
    client(user.token).run("upload_folder", repo=repo, folder=directory)
    entries = {item["path"]: item for item in client(user.token).run("tree", repo=repo, recursive=True)}
    for path, data in files.items():
        entry = entries[path]
        assert entry["size"] == len(data), path
        if entry["sha256"]:
            assert entry["sha256"] == hashlib.sha256(data).hexdigest()
            assert entry["xet_hash"]
            assert entry["oid"] == git_id(b"blob", pointer(data)), path
        else:
            assert entry["oid"] == git_id(b"blob", data), path

    def tree_id(prefix):
        """Of a directory, from the ids of what is in it."""
        inside = [(path[len(prefix):], item) for path, item in entries.items()
                  if path.startswith(prefix) and "/" not in path[len(prefix):]]
        inside.sort(key=lambda pair: pair[0].encode() + (b"/" if pair[1]["type"] == "directory" else b""))
        return git_id(b"tree", b"".join((b"40000 " if item["type"] == "directory" else b"100644 ") + name.encode() + b"\0" +
                                        bytes.fromhex(item["oid"]) for name, item in inside))

    directories = [path for path, item in entries.items() if item["type"] == "directory"]
    assert "deep/er/and" in directories
    for path in directories:
        assert entries[path]["oid"] == tree_id(path + "/"), path


def test_trees_are_listed_by_folder_and_whole(user, client, sample):
    directory, files = sample
    repo = user.repo()
    reader = client(user.token)
    reader.run("upload_folder", repo=repo, folder=directory)
    whole = reader.run("tree", repo=repo, recursive=True)
    assert sorted(item["path"] for item in whole if item["type"] == "file") == sorted([".gitattributes", *files])
    folder = reader.run("tree", repo=repo, path_in_repo="odd")
    assert [item["path"] for item in folder] == ["odd/a b&c#d%e?f+g'h.txt"]
    expanded = reader.run("tree", repo=repo, path_in_repo="deep", expand=True)
    assert [item["path"] for item in expanded] == ["deep/er"]
    odd = ["odd/a b&c#d%e?f+g'h.txt", "déjà vu – 文件.txt", "absent.txt", "deep"]
    assert [item["path"] for item in reader.run("paths_info", repo=repo, paths=odd)] == [odd[0], odd[1], "deep"]


def test_ten_thousand_files_go_into_one_commit_and_come_back_by_pages(user, client):
    repo = user.repo()
    writer = client(user.token)
    commit = writer.run("many_files", repo=repo, count=10_000, timeout=280)
    assert writer.run("tree_count", repo=repo) == {"count": 10_001, "unique": 10_001}
    assert writer.run("commits", repo=repo)[0] == {"id": commit["oid"], "title": "10000 files", "message": "", "authors": [user.name]}
    got = writer.run("download", repo=repo, filename="data/77/file-09977.json")
    assert got["sha256"] == hashlib.sha256(b'{"number": 9977}\n').hexdigest()


def test_history_is_paged_and_counted(hub, user, client):
    repo = user.repo()
    for i in range(60):
        assert hub.commit(user.token, repo, {"a.txt": b"%d" % i}, summary=f"commit {i}").status == 200
    titles = [commit["title"] for commit in client(user.token).run("commits", repo=repo)]
    assert titles == [f"commit {i}" for i in reversed(range(60))] + ["initial commit"]
    page = hub.request("GET", f"/api/models/{repo}/commits/main?limit=25", token=user.token)
    assert page.headers["x-total-count"] == "61"
    assert len(page.json()) == 25
    assert page.headers["link"].startswith(f"<{hub.url}/api/models/{repo}/commits/main?")
    assert page.headers["link"].endswith('>; rel="next"')


def test_info_names_the_commit_the_files_and_the_card(hub, user, client):
    repo = user.repo()
    writer = client(user.token)
    writer.run("upload_text", repo=repo, text="---\nlicense: apache-2.0\ntags:\n- tiny\n---\n# Hello\n", path_in_repo="README.md")
    oid = writer.run("upload_text", repo=repo, text="x", path_in_repo="a.txt")["oid"]
    info = writer.run("info", repo=repo)
    assert (info["id"], info["sha"], info["private"], info["author"]) == (repo, oid, False, user.name)
    assert sorted(info["siblings"]) == [".gitattributes", "README.md", "a.txt"]
    assert {"tiny", "license:apache-2.0"} <= set(info["tags"])
    with_blobs = hub.request("GET", f"/api/models/{repo}?blobs=true", token=user.token).json()
    assert {item["rfilename"]: item["size"] for item in with_blobs["siblings"]}["a.txt"] == 1


def test_lists_show_public_repositories_and_ones_own(user, bob, client):
    public, private = user.repo(), user.repo(private=True)
    assert set(client(user.token).run("list_models", author=user.name)) == {public, private}
    assert client(bob.token).run("list_models", author=user.name) == [public]
    assert client(None).run("list_models", author=user.name) == [public]


def test_names_are_found_in_any_case_and_answered_in_theirs(hub, user, client):
    repo = user.repo()
    answer = hub.request("GET", f"/api/models/{repo.upper()}", token=user.token)
    assert answer.status == 200 and answer.json()["id"] == repo


def test_whoami_tells_the_user(user, client):
    assert client(user.token).run("whoami")["name"] == user.name


def test_the_file_system_interface_reads_and_writes(user, client):
    repo = user.repo()
    found = client(user.token).run("file_system", repo=repo)
    data = bytes(range(256)) * 4096
    assert found["ls"] == [f"{repo}/folder/data.bin", f"{repo}/folder/written.txt"]
    assert found["text"] == "first line\nsecond line\n"
    assert found["middle"] == data[100_000:100_016].hex()
    assert found["size"] == len(data)
    assert found["glob"] == [f"{repo}/folder/data.bin"]
    assert found["exists"] == [True, False]
    assert found["after"] == [f"{repo}/.gitattributes", f"{repo}/copy.bin", f"{repo}/folder/data.bin"]


def test_safetensors_headers_are_read_by_range(user, client, tmp_path):
    repo = user.repo()
    writer = client(user.token)
    writer.run("make_safetensors", driver="data_driver.py", path=tmp_path / "model.safetensors")
    writer.run("upload_file", repo=repo, path=tmp_path / "model.safetensors", path_in_repo="model.safetensors")
    assert client(user.read_token).run("safetensors_metadata", repo=repo) == {
        "parameters": {"F32": 32000, "F16": 640}, "tensors": ["embed", "head"]}
    assert client(user.read_token).run("read_safetensors", driver="data_driver.py", repo=repo, filename="model.safetensors") == {
        "embed": [500, 64], "head": [64, 10]}


def test_ranges_of_a_file_are_its_bytes(hub, user, client, tmp_path):
    repo = user.repo()
    data = random_bytes("ranges", 3_000_000)
    write(tmp_path, {"data.bin": data})
    client(user.token).run("upload_file", repo=repo, path=tmp_path / "data.bin", path_in_repo="data.bin")
    path = f"/{repo}/resolve/main/data.bin"

    def get(value):
        return hub.request("GET", path, token=user.token, headers={"Range": value})

    for value, begin, end in (("bytes=0-0", 0, 1), ("bytes=0-99999", 0, 100_000), ("bytes=65530-200000", 65530, 200_001),
                              ("bytes=2999999-", 2_999_999, 3_000_000), ("bytes=-1000", 2_999_000, 3_000_000),
                              ("bytes=1000000-99999999", 1_000_000, 3_000_000)):
        got = get(value)
        assert got.status == 206, value
        assert got.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(data)}"
        assert got.body == data[begin:end], value
    beyond = get("bytes=3000000-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */3000000")
    whole = hub.request("GET", path, token=user.token)
    assert whole.status == 200 and whole.body == data
    again = hub.request("GET", path, token=user.token, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_head_tells_all_that_clients_need(hub, user, client, tmp_path):
    repo = user.repo()
    data = random_bytes("head", 1_000_000)
    write(tmp_path, {"data.bin": data})
    oid = client(user.token).run("upload_file", repo=repo, path=tmp_path / "data.bin", path_in_repo="data.bin")["oid"]
    head = hub.request("HEAD", f"/{repo}/resolve/main/data.bin", token=user.token)
    assert head.status in (200, 302) and head.body == b""
    assert head.headers["x-repo-commit"] == oid
    assert head.headers["x-linked-size"] == "1000000"
    assert head.headers["x-linked-etag"].strip('"') == hashlib.sha256(data).hexdigest()
    assert len(head.headers["x-xet-hash"]) == 64
    assert 'rel="xet-auth"' in head.headers["link"]
    empty = hub.request("HEAD", f"/{repo}/resolve/main/absent.txt", token=user.token)
    assert (empty.status, empty.code, empty.headers["x-repo-commit"]) == (404, "EntryNotFound", oid)
    raw = hub.request("GET", f"/{repo}/raw/main/data.bin", token=user.token)
    assert raw.body == pointer(data)
    size = len(raw.body)
    for asked, begin, end in (("0-0", 0, 1), ("8-", 8, size), ("-5", size - 5, size), ("3-9999", 3, size)):
        part = hub.request("GET", f"/{repo}/raw/main/data.bin", token=user.token, headers={"Range": f"bytes={asked}"})
        assert (part.status, part.headers["content-range"], part.body) == (206, f"bytes {begin}-{end - 1}/{size}", raw.body[begin:end])
    outside = hub.request("GET", f"/{repo}/raw/main/data.bin", token=user.token, headers={"Range": "bytes=1000-"})
    assert (outside.status, outside.headers["content-range"]) == (416, f"bytes */{size}")


def test_a_tag_with_a_message_names_a_commit_everywhere(hub, user, client, tmp_path):
    from git_client import Git
    repo = user.repo()
    hub.commit(user.token, repo, {"a.txt": b"a"})
    sha = hub.request("GET", f"/api/models/{repo}").json()["sha"]
    client(user.token).run("create_tag", repo=repo, tag="v1", tag_message="The first one\n\nand its story")
    client(user.token).run("create_tag", repo=repo, tag="v2")
    assert client(user.token).run("refs", repo=repo)["tags"] == {"v1": sha, "v2": sha}
    assert hub.request("GET", f"/{repo}/resolve/v1/a.txt").body == b"a"
    assert hub.request("GET", f"/api/models/{repo}/revision/v1").json()["sha"] == sha
    again = hub.request("POST", f"/api/models/{repo}/tag/main", {"tag": "v1", "message": "again"}, token=user.token)
    assert again.status == 409 and "refs/tags/v1 already exists" in again.json()["error"]
    git = Git(hub, tmp_path, user.name, user.token)
    clone = git.clone(repo)
    assert git.run("tag", "-l", "-n9", "v1", cwd=clone).split() == "v1 The first one and its story".split()
    assert git.run("rev-parse", "v1^{commit}", cwd=clone).strip() == sha
    git.run("fsck", "--strict", cwd=clone)
    client(user.token).run("delete_tag", repo=repo, tag="v1")
    assert client(user.token).run("refs", repo=repo)["tags"] == {"v2": sha}


def test_a_branch_begins_empty(hub, user, tmp_path):
    repo = user.repo()
    hub.commit(user.token, repo, {"a.txt": b"a"})
    path = f"/api/models/{repo}/branch/bare"
    assert hub.request("POST", path, {"emptyBranch": True}, token=user.token).status == 200
    assert hub.request("GET", f"/api/models/{repo}/tree/bare").json() == []
    assert [item["title"] for item in hub.request("GET", f"/api/models/{repo}/commits/bare").json()] == ["initial commit"]
    assert hub.request("POST", path, {"emptyBranch": True}, token=user.token).status == 409
    assert hub.commit(user.token, repo, {"b.txt": b"b"}, revision="bare").status == 200
    assert hub.request("POST", path, {"emptyBranch": True, "overwrite": True}, token=user.token).status == 200
    assert hub.request("GET", f"/api/models/{repo}/tree/bare").json() == []
    assert hub.request("GET", f"/{repo}/resolve/main/a.txt").body == b"a"

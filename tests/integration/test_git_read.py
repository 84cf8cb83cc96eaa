"""Clones and fetches by stock git: what the Hub API made is what git gets, in every protocol and of every part, and a gateway's cache may vanish at any time."""
import gzip
import hashlib
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from git_client import Git, GitError, children_of
from hub_process import Hub
from samples import random_bytes

PROTOCOLS = (0, 1, 2)


@pytest.fixture
def git(hub, tmp_path):
    """Makes gits: git(user, protocol=2); without a user: anonymous."""
    def make(user=None, protocol=2, **more):
        return Git(more.pop("hub", hub), tmp_path, user.name if user else "anyone", more.pop("token", user.token if user else None), protocol, **more)
    return make


@pytest.fixture
def own_hub(tmp_path):
    """Makes a server that a test may break: own_hub(*flags)."""
    hubs = []

    def make(*flags):
        hub = Hub(tmp_path / f"own-{len(hubs)}" / "data", *flags)
        hub.data_dir.parent.mkdir()
        hubs.append(hub)
        return hub.start()
    yield make
    for hub in hubs:
        hub.stop()


def history(hub, user, repo, count, prefix="file"):
    """`count` commits; the last one's id and {path: bytes}."""
    files, oid = {}, None
    for i in range(count):
        data = {f"{prefix}-{i % 7}.txt": f"{prefix} {i}\n".encode() * (i % 5 + 1)}
        oid = hub.commit(user.token, repo, data, summary=f"{prefix} {i}").json()["commitOid"]
        files.update(data)
    return oid, files


def without_attributes(files):
    return {path: data for path, data in files.items() if path != ".gitattributes"}


def served_files(hub, token, repo, revision="main"):
    """{path: bytes} as the Hub API has them (raw: pointers of LFS files)."""
    tree = hub.request("GET", f"/api/models/{repo}/tree/{revision}?recursive=true&limit=1000", token=token).json()
    return {entry["path"]: hub.request("GET", f"/{repo}/raw/{revision}/{urllib.parse.quote(entry['path'])}", token=token).body
            for entry in tree if entry["type"] == "file"}


def cache_of(hub, repo):
    """The directory of a repository in the gateway's cache; there is only one in these tests."""
    return next((hub.data_dir / "git").glob("*.git"))


# ---- clones


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_clone_is_what_the_hub_api_serves(hub, user, git, protocol, client, sample):
    directory, files = sample
    repo = user.repo()
    client(user.token).run("upload_folder", repo=repo, folder=directory)
    head, _ = history(hub, user, repo, 5)

    tool = git(user, protocol)
    clone = tool.clone(repo)

    assert tool.head(clone) == head
    tool.fsck(clone)
    assert tool.files(clone) == served_files(hub, user.token, repo)
    assert [entry["id"] for entry in hub.request("GET", f"/api/models/{repo}/commits/main", token=user.token).json()] == tool.log(clone)


@pytest.mark.parametrize("kind,prefix", [("model", ""), ("dataset", "datasets/"), ("space", "spaces/"), ("kernel", "kernels/")])
@pytest.mark.parametrize("suffix", ["", ".git"])
def test_every_kind_of_repository_has_its_address_with_and_without_git(hub, user, git, kind, prefix, suffix):
    more = {"sdk": "static"} if kind == "space" else {}
    repo = user.repo(kind, **more)
    tool = git(user)
    refs = tool.ls_remote(prefix + repo, suffix=suffix)
    assert refs["refs/heads/main"] == refs["HEAD"]
    tool.fsck(tool.clone(prefix + repo, suffix=suffix))


def test_names_are_found_in_any_case(hub, user, git):
    repo = user.repo()
    assert git(user).ls_remote(repo.upper()) == git(user).ls_remote(repo)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shallow_clones_deepen_and_become_whole(hub, user, git, protocol):
    repo = user.repo()
    history(hub, user, repo, 12)
    tool = git(user, protocol)
    clone = tool.clone(repo, "--depth", "2")
    assert len(tool.log(clone)) == 2
    tool.run("fetch", "-q", "--deepen", "3", cwd=clone)
    assert len(tool.log(clone)) == 5
    tool.run("fetch", "-q", "--unshallow", cwd=clone)
    assert len(tool.log(clone)) == 13
    tool.fsck(clone)
    since = tool.clone(repo, "--shallow-since", "2020-01-01")
    assert len(tool.log(since)) == 13


def test_filters_that_cost_memory_for_each_of_many_are_refused(hub, user, git):
    repo = user.repo()
    history(hub, user, repo, 2)
    with pytest.raises(GitError) as refused:
        git(user).clone(repo, "--filter=combine:" + "+".join(["blob:limit=1k"] * 40), "--no-checkout")
    assert "not supported" in str(refused.value)


@pytest.mark.parametrize("wanted", ["blob:none", "tree:0", "blob:limit=20"])
def test_partial_clones_fetch_what_is_missing_later(hub, user, git, wanted):
    repo = user.repo()
    head, files = history(hub, user, repo, 8)
    tool = git(user)
    clone = tool.clone(repo, f"--filter={wanted}", "--no-checkout")
    assert tool.run("rev-list", "--objects", "--missing=print", "HEAD", cwd=clone).count("\n?") > 0
    tool.run("checkout", "-q", "main", cwd=clone)
    for path, data in files.items():
        assert (clone / path).read_bytes() == data


def test_any_commit_can_be_fetched_by_its_id(hub, user, git):
    repo = user.repo()
    history(hub, user, repo, 3)
    old = hub.request("GET", f"/api/models/{repo}/commits/main", token=user.token).json()[2]["id"]
    for protocol in PROTOCOLS:
        tool = git(user, protocol)
        tool.run("init", "-q", "here")
        tool.run("fetch", "-q", "--depth", "1", tool.url(repo), old, cwd=tool.directory / "here")
        assert tool.run("rev-parse", "FETCH_HEAD", cwd=tool.directory / "here").strip() == old


def test_a_commit_that_does_not_exist_is_an_error_that_git_shows(hub, user, git):
    repo = user.repo()
    tool = git(user)
    tool.run("init", "-q", "here")
    with pytest.raises(GitError) as caught:
        tool.run("fetch", "-q", tool.url(repo), "1" * 40, cwd=tool.directory / "here")
    assert "not our ref" in caught.value.said


def test_branches_tags_and_other_refs_are_there_under_their_names(hub, user, git):
    repo = user.repo()
    head, _ = history(hub, user, repo, 2)
    for path, body in ((f"/api/models/{repo}/branch/next", {}), (f"/api/models/{repo}/tag/main", {"tag": "v1", "message": ""}),
                       (f"/api/models/{repo}/tag/main", {"tag": "v2", "message": "annotated"})):
        answer = hub.request("POST", path, body, token=user.token)
        assert answer.status in (200, 201), answer
    tool = git(user)
    refs = tool.ls_remote(repo)
    assert refs["refs/heads/next"] == head and {"refs/tags/v1", "refs/tags/v2"} <= set(refs)
    clone = tool.clone(repo)
    assert tool.run("tag", cwd=clone).split() == ["v1", "v2"]
    assert tool.run("rev-parse", "v2^{commit}", cwd=clone).strip() == head
    tool.fsck(clone)


def test_refs_of_pull_requests_are_fetched_by_name(hub, user, git):
    repo = user.repo()
    history(hub, user, repo, 2)
    made = hub.request("POST", f"/api/models/{repo}/branch/refs%2Fpr%2F1", {}, token=user.token)
    if made.status not in (200, 201):
        pytest.skip("the Hub API makes no such ref")
    tool = git(user)
    refs = tool.ls_remote(repo)
    name = next((ref for ref in refs if "pr/1" in ref), None)
    assert name, refs
    clone = tool.clone(repo)
    tool.run("fetch", "-q", "origin", f"{name}:pr-1", cwd=clone)
    assert tool.run("rev-parse", "pr-1", cwd=clone).strip() == refs[name]


def test_a_fetch_brings_what_the_api_committed_meanwhile(hub, user, git):
    repo = user.repo()
    history(hub, user, repo, 3)
    for protocol in PROTOCOLS:
        tool = git(user, protocol)
        clone = tool.clone(repo)
        for i in range(3):
            head, _ = history(hub, user, repo, 2, f"more-{protocol}-{i}")
            tool.run("pull", "-q", "--ff-only", cwd=clone)
            assert tool.head(clone) == head
        tool.fsck(clone)
        assert tool.files(clone) == served_files(hub, user.token, repo)


def test_a_clone_of_many_commits_needs_few_packs(own_hub, git):
    hub = own_hub()
    user = hub.make_user("ada")
    repo = user.repo()
    head, files = history(hub, user, repo, 300)
    tool = git(user, hub=hub)
    clone = tool.clone(repo)
    assert tool.head(clone) == head and len(tool.log(clone)) == 301
    tool.fsck(clone)
    assert len(list((cache_of(hub, repo) / "objects/pack").glob("*.pack"))) == 1
    for i in range(60):  # a fetch after every commit
        head, _ = history(hub, user, repo, 1, f"later-{i}")
        tool.run("fetch", "-q", cwd=clone)
        assert len(list((cache_of(hub, repo) / "objects/pack").glob("*.pack"))) <= 41
    assert tool.run("rev-parse", "origin/main", cwd=clone).strip() == head
    tool.fsck(tool.clone(repo))


# ---- LFS


def test_lfs_files_come_with_git_lfs(hub, user, git, client, tmp_path):
    repo = user.repo()
    weights = tmp_path / "weights.bin"
    weights.write_bytes(random_bytes("lfs", 3_000_000))
    client(user.token).run("upload_file", repo=repo, path=weights, path_in_repo="weights.bin")
    tool = git(user)
    tool.run("lfs", "install", "--skip-repo")
    clone = tool.clone(repo, suffix=".git")
    assert (clone / "weights.bin").read_bytes().startswith(b"version https://git-lfs.github.com/spec/v1\n")
    tool.run("lfs", "pull", cwd=clone)
    assert (clone / "weights.bin").read_bytes() == weights.read_bytes()
    tool.run("lfs", "fsck", cwd=clone)
    tool.run("lfs", "clone", "-q", tool.url(repo), "by-lfs", environment={"GIT_LFS_SKIP_SMUDGE": "0"})
    assert (tool.directory / "by-lfs" / "weights.bin").read_bytes() == weights.read_bytes()


# ---- who may


def test_the_public_can_be_read_without_credentials_and_the_private_not(hub, user, git):
    public, private = user.repo(), user.repo(private=True)
    git().clone(public)
    for repo in (private, f"{user.name}/nothing-of-this-name"):
        with pytest.raises(GitError) as caught:
            git().clone(repo)
        assert "uthentication failed" in caught.value.said
    git(user).clone(private)
    git(user, token=user.read_token).clone(private)


def test_strangers_do_not_see_the_private_and_bad_tokens_are_refused(hub, user, git):
    private = user.repo(private=True)
    stranger = hub.make_user(user.name + "-stranger")
    for repo in (private, f"{user.name}/nothing-of-this-name"):
        with pytest.raises(GitError) as caught:
            git(stranger).clone(repo)
        assert "not found" in caught.value.said
    with pytest.raises(GitError) as caught:
        git(user, token="hf_" + "x" * 34).clone(private)
    assert "uthentication failed" in caught.value.said


def test_a_401_names_the_scheme(hub, user):
    private = user.repo(private=True)
    path = f"/{private}/info/refs?service=git-upload-pack"
    for headers in ({}, {"Authorization": "Bearer hf_" + "x" * 34}):
        answer = hub.request("GET", path, headers=headers)
        assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Basic realm="), answer
    answer = hub.request("GET", path, token=user.token)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-git-upload-pack-advertisement" and "no-cache" in answer.headers["cache-control"]
    assert answer.body.startswith(b"001e# service=git-upload-pack\n0000")


# ---- what no git sends


def post(hub, repo, body, token=None, **headers):
    return hub.request("POST", f"/{repo}/git-upload-pack", body, token=token, headers={
        "Content-Type": "application/x-git-upload-pack-request", **{key.replace("_", "-"): value for key, value in headers.items()}})


LS_REFS = b"0014command=ls-refs\n00010009peel\n0000"


def test_bad_requests_are_refused_with_a_reason(hub, user):
    repo = user.repo()
    assert post(hub, repo, LS_REFS, Git_Protocol="version=2").status == 200
    assert hub.request("GET", f"/{repo}/info/refs").status == 403
    assert hub.request("GET", f"/{repo}.git/HEAD").status == 403
    assert hub.request("GET", f"/{repo}.git/objects/info/packs").status == 403
    assert hub.request("GET", f"/{repo}/info/refs?service=git-upload-archive").status == 403
    assert hub.request("POST", f"/{repo}/git-upload-pack", LS_REFS, headers={"Content-Type": "text/plain"}).status == 415
    assert post(hub, repo, LS_REFS, Content_Encoding="br").status == 415
    assert post(hub, repo, b"this is no packet").status == 400
    assert post(hub, repo, LS_REFS[:-2], Git_Protocol="version=2").status == 400
    assert post(hub, repo, gzip.compress(LS_REFS)[:-9], Content_Encoding="gzip", Git_Protocol="version=2").status == 400
    assert post(hub, repo, b"not gzip", Content_Encoding="gzip").status == 400
    assert post(hub, repo, b"0000").status == 200


def test_a_small_body_does_not_become_a_large_one(hub, user):
    repo = user.repo()
    line = b"0032want " + b"1" * 40 + b"\n"
    bomb = gzip.compress(line * (40 << 20 >> 5))
    assert len(bomb) < 1 << 20
    assert post(hub, repo, bomb, Content_Encoding="gzip").status == 413


def test_compressed_and_chunked_requests_are_understood(hub, user):
    repo = user.repo()
    plain = post(hub, repo, LS_REFS, Git_Protocol="version=2")
    assert b"refs/heads/main" in plain.body
    assert post(hub, repo, gzip.compress(LS_REFS), Content_Encoding="gzip", Git_Protocol="version=2").body == plain.body
    assert post(hub, repo, iter([LS_REFS[:7], LS_REFS[7:]]), Git_Protocol="version=2").body == plain.body
    many = b"0014command=ls-refs\n0001" + b"".join(b"%04xref-prefix refs/heads/x%06d\n" % (34, i) for i in range(5000)) + b"001bref-prefix refs/heads/\n0000"
    assert b"refs/heads/main" in post(hub, repo, gzip.compress(many), Content_Encoding="gzip", Git_Protocol="version=2").body


def test_a_header_of_a_client_does_not_reach_the_environment_as_it_is(hub, user):
    repo = user.repo()
    for value in ("version=2:x=$(id)", "version=99", "x" * 1000, "version=2:version=1"):
        answer = hub.request("GET", f"/{repo}/info/refs?service=git-upload-pack", headers={"Git-Protocol": value})
        assert answer.status == 200, value
        assert (b"version 2" in answer.body) == value.startswith("version=2"), value


# ---- the cache may vanish


def test_the_cache_may_be_deleted_or_damaged_while_the_server_runs(own_hub, git):
    hub = own_hub()
    user = hub.make_user("ada")
    repo = user.repo()
    head, _ = history(hub, user, repo, 20)
    expected = served_files(hub, user.token, repo)

    def check():
        nonlocal head
        head, _ = history(hub, user, repo, 1, f"f{time.monotonic_ns()}")  # so that no stored answer serves
        tool = git(user, hub=hub)
        clone = tool.clone(repo)
        tool.fsck(clone)
        assert tool.head(clone) == head
        assert expected.items() <= tool.files(clone).items()

    def overwrite(path):
        os.chmod(path, 0o600)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xff
        path.write_bytes(data)

    check()
    shutil.rmtree(cache_of(hub, repo))
    check()
    for pattern in ("objects/pack/*.pack", "objects/pack/*.idx", "packed-refs", "HEAD", "config", "cairn-state"):
        for path in cache_of(hub, repo).glob(pattern):
            overwrite(path)
        check()
    for path in (hub.data_dir / "git").iterdir():
        shutil.rmtree(path)
    check()


def test_damage_that_keeps_size_and_time_is_found_by_git_and_repaired(own_hub, git):
    hub = own_hub()
    user = hub.make_user("ada")
    repo = user.repo()
    head, _ = history(hub, user, repo, 20)
    tool = git(user, hub=hub)
    tool.clone(repo)
    for path in cache_of(hub, repo).glob("objects/pack/*.pack"):
        times = path.stat()
        os.chmod(path, 0o600)
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(b"\xff" * (times.st_size - 60))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    for _ in range(3):
        try:
            clone = tool.clone(repo, "--depth", "3")  # an answer that is not stored yet
            break
        except GitError:
            pass
    tool.fsck(clone)
    assert tool.head(clone) == head


def test_a_server_killed_while_it_builds_the_cache_starts_again(own_hub, git):
    hub = own_hub()
    user = hub.make_user("ada")
    repo = user.repo()
    data = {f"data-{i}.bin": random_bytes(f"kill {i}", 600_000) for i in range(30)}
    assert hub.commit(user.token, repo, data).status == 200
    head, _ = history(hub, user, repo, 100)
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3):
        tool = git(user, hub=hub)
        clone = tool.start("clone", "-q", tool.url(repo), "cut", stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 5
        while not list((hub.data_dir / "git").glob("*.git/tmp/*")) and time.monotonic() < deadline and clone.poll() is None:
            time.sleep(0.002)
        time.sleep(delay)
        hub.kill()
        clone.wait()
        hub.start()
    tool = git(user, hub=hub)
    clone = tool.clone(repo)
    tool.fsck(clone)
    assert tool.head(clone) == head
    assert without_attributes(tool.files(clone)) == without_attributes(served_files(hub, user.token, repo))
    assert not list((hub.data_dir / "git").glob("*.git/tmp/*"))


def test_a_restart_keeps_the_cache(own_hub, git):
    hub = own_hub()
    user = hub.make_user("ada")
    repo = user.repo()
    head, _ = history(hub, user, repo, 10)
    tool = git(user, hub=hub)
    tool.clone(repo)
    before = {path.name: path.stat().st_ino for path in (cache_of(hub, repo) / "objects/pack").iterdir()}
    assert hub.stop() == 0
    hub.start()
    assert tool.head(tool.clone(repo)) == head
    assert {path.name: path.stat().st_ino for path in (cache_of(hub, repo) / "objects/pack").iterdir()} == before


def test_the_longest_unused_caches_go_first(own_hub, git):
    hub = own_hub("--git-cache-bytes", "3M")
    user = hub.make_user("ada")
    repos = [user.repo() for _ in range(6)]
    for i, repo in enumerate(repos):
        assert hub.commit(user.token, repo, {"data.bin": random_bytes(f"evict {i}", 900_000)}).status == 200
    tool = git(user, hub=hub)
    for _ in range(2):
        for repo in repos:
            tool.fsck(tool.clone(repo))
            size = sum(path.stat().st_size for path in (hub.data_dir / "git").rglob("*") if path.is_file())
            assert size < 3 << 20


def test_a_deleted_repository_is_gone_for_git_at_once(hub, user, git):
    repo = user.repo()
    tool = git(user)
    tool.clone(repo)
    name = repo.split("/")[1]
    assert hub.request("DELETE", "/api/repos/delete", {"name": name, "type": "model"}, token=user.token).status == 200
    with pytest.raises(GitError) as caught:
        tool.ls_remote(repo)
    assert "not found" in caught.value.said
    hub.create_repo(user.token, name)
    head, _ = history(hub, user, repo, 1)
    assert tool.ls_remote(repo)["HEAD"] == head


def test_a_repository_that_moved_is_found_under_its_old_name(hub, user, git):
    repo = user.repo()
    history(hub, user, repo, 2)
    new = f"{user.name}/moved-here"
    answer = hub.request("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": new, "type": "model"}, token=user.token)
    assert answer.status == 200, answer
    tool = git(user)
    for suffix in ("", ".git"):
        assert tool.ls_remote(repo, suffix=suffix) == tool.ls_remote(new)
        tool.fsck(tool.clone(repo, suffix=suffix))


# ---- many at once


def test_sixteen_clones_at_once_beside_commits(hub, user, git):
    repo = user.repo()
    history(hub, user, repo, 30)
    results, stopping = [], threading.Event()

    def clone(number):
        tool = git(user, PROTOCOLS[number % 3])
        for _ in range(2):
            try:
                path = tool.clone(repo, *(["--depth", str(number)] if number % 4 == 3 else []))
                tool.fsck(path)
                results.append(True)
            except BaseException as error:
                results.append(error)

    def commit():
        i = 0
        while not stopping.is_set():
            history(hub, user, repo, 1, f"beside-{i}")
            i += 1
            time.sleep(0.05)

    writer = threading.Thread(target=commit)
    writer.start()
    threads = [threading.Thread(target=clone, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stopping.set()
    writer.join()
    assert [result for result in results if result is not True] == [] and len(results) == 32


def test_equal_clones_are_made_once(own_hub, git):
    hub = own_hub()
    user = hub.make_user("ada")
    repo = user.repo()
    assert hub.commit(user.token, repo, {f"data-{i}.bin": random_bytes(f"equal {i}", 500_000) for i in range(20)}).status == 200
    tool = git(user, hub=hub)
    first = tool.clone(repo)
    before = hub.cpu_seconds()
    clones = [tool.start("clone", "-q", tool.url(repo), f"equal-{i}") for i in range(8)]
    assert [clone.wait() for clone in clones] == [0] * 8
    for i in range(8):
        assert tool.head(tool.directory / f"equal-{i}") == tool.head(first)
    assert not [line for _, line in children_of(hub.process.pid) if "upload-pack" in line]
    assert hub.cpu_seconds() - before < 5


def wait_until_gone(hub, seconds=15):
    deadline = time.monotonic() + seconds
    while children_of(hub.process.pid):
        assert time.monotonic() < deadline, children_of(hub.process.pid)
        time.sleep(0.05)


def test_a_client_that_goes_away_leaves_no_process(own_hub, git):
    hub = own_hub()
    user = hub.make_user("ada")
    repo = user.repo()
    for part in range(6):
        data = {f"data-{part}-{i}.bin": random_bytes(f"leave {part} {i}", 2_000_000) for i in range(10)}
        assert hub.commit(user.token, repo, data).status == 200
    head, _ = history(hub, user, repo, 3)
    tool = git(user, hub=hub)
    tool.ls_remote(repo)
    request = (b"0011command=fetch0001" + b"000fno-progress" + b"0032want " + head.encode() + b"\n" + b"0009done\n" + b"0000")
    for haves in (b"", b"0032have " + b"1" * 40 + b"\n"):  # a stored answer; one of its own
        body = request.replace(b"0009done\n", haves + b"0009done\n")
        text = (f"POST /{repo}/git-upload-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\nGit-Protocol: version=2\r\n"
                f"Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
        with socket.create_connection(("127.0.0.1", hub.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(text)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        wait_until_gone(hub)
    clone = tool.start("clone", "-q", tool.url(repo), "killed", stderr=subprocess.DEVNULL)
    time.sleep(0.4)
    clone.kill()
    clone.wait()
    wait_until_gone(hub)
    tool.fsck(tool.clone(repo))


class SlowFetch(threading.Thread):
    """A fetch that nobody else wants, of a client that takes little of it at a time until it is told to hurry."""

    def __init__(self, hub, user, repo, head, bytes_per_second):
        super().__init__(daemon=True)
        self.step, self.taken, self.hurry = max(1, bytes_per_second // 10), bytearray(), threading.Event()
        self.pause = self.step / bytes_per_second
        body = b"0011command=fetch0001000fno-progress0032want " + head.encode() + b"\n0032have " + b"1" * 40 + b"\n0009done\n0000"
        self.socket = socket.create_connection(("127.0.0.1", hub.port))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        request = (f"POST /{repo}/git-upload-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\nGit-Protocol: version=2\r\n"
                   f"Connection: close\r\nContent-Type: application/x-git-upload-pack-request\r\nContent-Length: {len(body)}\r\n\r\n")
        self.socket.sendall(request.encode() + body)
        self.taken += self.socket.recv(1)  # it has begun
        self.start()

    def run(self):
        with self.socket:
            while part := self.socket.recv(1 << 20 if self.hurry.is_set() else self.step):
                self.taken += part
                self.hurry.wait(self.pause)

    def pack(self):
        """What came, once the rest was read at once."""
        self.hurry.set()
        self.join()
        head, _, chunks = bytes(self.taken).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        return pack_of_answer(body_of_chunks(chunks))


def body_of_chunks(text):
    body, at = bytearray(), 0
    while length := int(text[at:(line := text.index(b"\r\n", at))], 16):
        body += text[line + 2:line + 2 + length]
        at = line + 4 + length
    return bytes(body)


def pack_of_answer(body):
    pack, at = bytearray(), body.index(b"packfile\n") + len(b"packfile\n")
    while (length := int(body[at:at + 4], 16)) > 4:
        if body[at + 4] == 1:
            pack += body[at + 5:at + length]
        at += length
    return bytes(pack)


@pytest.mark.slow
def test_clients_that_read_slowly_do_not_keep_others_out_and_get_all_the_same(own_hub, git):
    hub = own_hub("--git-processes", "2")
    users = [hub.make_user(name) for name in ("ada", "bob", "carol")]
    repo = users[0].repo()
    for part in range(3):
        data = {f"data-{part}-{i}.bin": random_bytes(f"slow {part} {i}", 2_000_000) for i in range(4)}
        assert hub.commit(users[0].token, repo, data).status == 200
    head = hub.request("GET", f"/api/models/{repo}").json()["sha"]
    slow = [SlowFetch(hub, user, repo, head, 64 << 10) for user in users[:2]]  # all places
    tool = git(users[2], hub=hub)
    tool.fsck(tool.clone(repo))
    assert all(fetch.is_alive() for fetch in slow)
    for fetch in slow:
        pack = fetch.pack()
        assert pack[:4] == b"PACK" and hashlib.sha1(pack[:-20]).digest() == pack[-20:]


def test_a_full_disk_is_a_clear_answer(own_hub, git):
    free = shutil.disk_usage("/tmp").free
    hub = own_hub("--reserve", str(free // 2 + (512 << 20)))  # the cache leaves twice that
    user = hub.make_user("ada")
    repo = user.repo()
    answer = hub.request("GET", f"/{repo}/info/refs?service=git-upload-pack", token=user.token)
    assert answer.status == 507 and "disk" in answer.json()["error"], answer
    assert hub.commit(user.token, repo, {"still": b"works"}).status == 200


def test_what_tags_lead_to_is_in_the_list_of_refs(own_hub, git):
    """Tags of commits, of tags, of folders and of files; git lists them without reading one."""
    hub = own_hub()
    user = hub.make_user("ada")
    repo = user.repo()
    history(hub, user, repo, 2)
    tool = git(user, hub=hub)
    clone = tool.clone(repo)
    tool.run("tag", "plain", cwd=clone)
    tool.run("tag", "-a", "-m", "one", "one", cwd=clone)
    tool.run("tag", "-a", "-m", "two", "two", "one", cwd=clone)
    tool.run("tag", "-a", "-m", "folder", "folder", "HEAD^{tree}", cwd=clone)
    tool.run("tag", "-a", "-m", "file", "file", "HEAD:file-0.txt", cwd=clone)
    tool.run("push", "-q", "--tags", cwd=clone)
    local = dict(reversed(line.split()) for line in tool.run("show-ref", "-d", "--tags", cwd=clone).splitlines())
    served = {name: oid for name, oid in tool.ls_remote(repo).items() if name.startswith("refs/tags/")}
    assert served == local and len(served) == 9
    lines = (cache_of(hub, repo) / "packed-refs").read_text().splitlines()
    assert "fully-peeled" in lines[0] and len([line for line in lines if line.startswith("^")]) == 4

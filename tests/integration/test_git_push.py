"""git push against the hub: what goes in, what is refused and with which words, and that every other view shows it."""
import concurrent.futures
import gzip
import hashlib
import os
import shutil
import socket
import threading
import time
import urllib.parse

import pytest

from git_work import ZERO, Work, check_clone, entry, pack_of, pkt, receive_pack, refs, report_of, url_of, varint
from hub_process import Hub
from samples import random_bytes


@pytest.fixture
def repo(user):
    return user.repo()


@pytest.fixture
def work(hub, user, repo, tmp_path):
    return Work(hub, repo, user, tmp_path / "work", clone=True)


@pytest.fixture
def fresh(hub, user, repo, tmp_path):
    """Clones of the hub's repository, each looked over by fsck."""
    numbers = iter(range(100))
    return lambda *arguments: check_clone(hub, repo, user, tmp_path / f"fresh-{next(numbers)}", arguments)


def tree_of(hub, repo, revision="main"):
    return {e["path"]: e for e in hub.request("GET", f"/api/models/{repo}/tree/{revision}?recursive=true").json()}


# ---- what goes in

def test_a_push_is_in_every_view_at_once(hub, user, repo, work, fresh, client, folder):
    files = {"readme.txt": "hello\n", "deep/er/file.bin": random_bytes("view", 3_000_000), "empty": b"", "run.sh": "#!/bin/sh\n"}
    work.write(files)
    os.chmod(work.path / "run.sh", 0o755)
    os.symlink("readme.txt", work.path / "link")
    head = work.commit({})
    work.push()
    tree = tree_of(hub, repo)
    assert set(files) <= set(tree) and tree["deep/er/file.bin"]["size"] == 3_000_000
    assert refs(hub, repo)["refs/heads/main"] == head
    assert hub.request("GET", f"/api/models/{repo}").json()["sha"] == head
    assert hub.request("GET", f"/api/models/{repo}/commits/main").json()[0]["id"] == head
    for path, data in files.items():
        answer = hub.request("GET", f"/{repo}/resolve/main/{path}")
        assert answer.status == 200 and answer.body == (data if isinstance(data, bytes) else data.encode()), path
    local = folder("download")
    client(user.token).run("snapshot_download", repo_id=repo, local_dir=str(local))
    for path, data in files.items():
        assert (local / path).read_bytes() == (data if isinstance(data, bytes) else data.encode())
    clone = fresh()
    assert clone.head() == head and os.readlink(clone.path / "link") == "readme.txt" and os.access(clone.path / "run.sh", os.X_OK)


def test_pushes_and_commits_of_the_api_build_on_each_other(hub, user, repo, work, fresh):
    heads = []
    for i in range(3):
        heads.append(work.commit({f"git-{i}.txt": f"{i}\n", "both.txt": f"git {i}\n"}))
        work.push()
        answer = hub.commit(user.token, repo, {f"api-{i}.txt": b"api\n", "both.txt": b"api %d\n" % i})
        assert answer.status == 200, answer
        heads.append(answer.json()["commitOid"])
        work.git("pull", "-q", "--rebase", "origin", "main")
        assert work.head() == heads[-1]
    clone = fresh()
    log = clone.ask("log", "--format=%H").split()
    assert log[:6] == heads[::-1]
    assert (clone.path / "both.txt").read_text() == "api 2\n" and len(list(clone.path.glob("git-*"))) == 3


def test_the_first_push_to_an_empty_repository_names_its_default_branch(hub, user, tmp_path):
    for branches, default in ((["trunk", "other"], "trunk"), (["other", "main"], "main")):
        name = f"empty-{default}"
        answer = hub.create_repo(user.token, name, empty=True)
        assert answer.status == 200, answer
        repo = f"{user.name}/{name}"
        work = Work(hub, repo, user, tmp_path / default)
        head = work.commit({"a": "1"})
        advertised = hub.request("GET", f"/{repo}/info/refs?service=git-receive-pack", token=user.token).body
        assert ZERO.encode() + b" capabilities^{}\0report-status" in advertised
        text = work.push("origin", *[f"HEAD:refs/heads/{branch}" for branch in branches])
        assert ("the default branch is now trunk" in text) == (default == "trunk"), text
        clone = check_clone(hub, repo, user, tmp_path / f"clone-{default}")
        assert clone.head() == head and clone.ask("symbolic-ref", "HEAD") == f"refs/heads/{default}"
        assert hub.request("GET", f"/{repo}/resolve/{default}/a").body == b"1"


def test_force_delete_tags_and_other_branches(hub, user, repo, work, fresh):
    first = work.commit({"a": "1"})
    work.push()
    work.git("commit", "-q", "--amend", "-m", "rewritten")
    assert "non-fast-forward" in work.refused("origin", "HEAD:main")
    assert "forced update" in work.push("--force", "origin", "HEAD:main")
    second = work.head()
    assert second != first
    work.git("tag", "light")
    work.git("tag", "-a", "annotated", "-m", "with words")
    work.git("tag", "-a", "twice", "-m", "of a tag", "annotated")
    work.push("origin", "HEAD:refs/heads/feature/one", "light", "annotated", "twice", "HEAD:refs/pr/7")
    now = refs(hub, repo)
    assert now["refs/heads/feature/one"] == second == now["refs/tags/light"] and now["refs/pr/7"] == second
    assert hub.request("GET", f"/{repo}/resolve/annotated/a").body == b"1"
    assert hub.request("GET", f"/{repo}/resolve/twice/a").body == b"1"
    clone = fresh("--mirror")
    assert clone.ask("cat-file", "-t", "refs/tags/annotated") == "tag"
    work.push("origin", "--delete", "feature/one", "light")
    now = refs(hub, repo)
    assert "refs/heads/feature/one" not in now and "refs/tags/light" not in now
    assert "the default branch cannot be deleted" in work.refused("origin", "--delete", "main")
    assert "refs/heads/main" in refs(hub, repo)


def test_a_name_cannot_be_a_folder_of_another(hub, repo, work):
    work.commit({"a": "1"})
    work.push("origin", "HEAD:refs/heads/x")
    text = work.refused("origin", "HEAD:refs/heads/x/y", "HEAD:refs/heads/z")
    assert "cannot be created while" in text
    now = refs(hub, repo)
    assert "refs/heads/z" in now and "refs/heads/x/y" not in now


def test_atomic_is_all_or_nothing(hub, repo, work):
    work.commit({"a": "1"})
    work.push()
    before = refs(hub, repo)
    work.commit({"a": "2"})
    text = work.refused("--atomic", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/other", "HEAD:refs/strange/name")
    assert "atomic push failure" in text and refs(hub, repo) == before
    work.push("--atomic", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/other")
    assert refs(hub, repo)["refs/heads/other"] == work.head()


def test_stale_refs_do_not_hold_up_the_others(hub, user, repo, work, tmp_path):
    work.commit({"a": "1"})
    work.push("origin", "HEAD:main", "HEAD:refs/heads/other")
    old = work.head()
    work.commit({"a": "2"})
    new = work.head()
    # Somebody else moves main between our look and our push.
    pack = work.run("pack-objects", "--revs", "--stdout", "--thin", input=f"{new}\n^{old}\n".encode()).stdout
    work.push()
    commands = [(old, new, "refs/heads/main"), (old, new, "refs/heads/other"), (ZERO, new, "refs/heads/new")]
    lines, _ = report_of(receive_pack(hub, repo, user.token, commands, pack))
    assert lines == ["unpack ok", "ng refs/heads/main fetch first", "ok refs/heads/other", "ok refs/heads/new"]


def test_push_options_shallow_clones_and_compressed_bodies(hub, user, repo, work, fresh, tmp_path):
    for i in range(5):
        work.commit({"n": f"{i}\n", f"f{i}": random_bytes(f"shallow {i}", 1000)})
    work.push("-o", "ci.skip", "-o", "words with blanks", "origin", "HEAD:main")
    shallow = Work(hub, repo, user, tmp_path / "shallow", clone=True, arguments=("--depth", "1"))
    assert len(shallow.ask("log", "--format=%H").split()) == 1
    head = shallow.commit({"from": "a shallow clone"})
    shallow.push()
    assert refs(hub, repo)["refs/heads/main"] == head
    shallow.git("commit", "-q", "--allow-empty", "-m", "nothing")
    pack = shallow.run("pack-objects", "--revs", "--stdout", "--thin", input=f"HEAD\n^{head}\n".encode()).stdout
    new = shallow.head()
    body = pkt(f"shallow {'1' * 40}") + pkt(f"{head} {new} refs/heads/main\0report-status") + b"0000" + pack
    answer = hub.request("POST", f"/{repo}.git/git-receive-pack", gzip.compress(body), token=user.token,
                         headers={"Content-Type": "application/x-git-receive-pack-request", "Content-Encoding": "gzip"})
    assert answer.status == 200 and answer.body == pkt("unpack ok\n") + pkt("ok refs/heads/main\n") + b"0000", answer
    assert fresh().head() == new


def test_large_pushes_come_chunked(hub, user, repo, work, fresh):
    files = {f"{i}.bin": random_bytes(f"chunked {i}", 4_000_000) for i in range(6)}
    head = work.commit(files)
    work.push()  # more than http.postBuffer: the client asks first whether it may, then sends chunks
    clone = fresh()
    assert clone.head() == head and all((clone.path / path).read_bytes() == data for path, data in files.items())


def test_many_files_and_versions_come_as_deltas(hub, repo, work, fresh):
    lines = [f"line {i}\n" for i in range(3000)]
    for version in range(15):
        lines[version * 7] = f"changed in {version}\n"
        work.write({"big.txt": "".join(lines), **{f"d{version}/{i}": f"{version} {i}\n" for i in range(40)}})
        work.commit({}, f"version {version}")
    work.git("repack", "-adfq", "--depth=50")
    work.push()
    assert hub.request("GET", f"/{repo}/resolve/main/big.txt").body.decode() == "".join(lines)
    assert hub.request("GET", f"/{repo}/resolve/main/d14/39").body == b"14 39\n" and len(tree_of(hub, repo)) > 600
    fresh()


def test_datasets_spaces_and_kernels(hub, user, tmp_path):
    for kind, prefix in (("dataset", "datasets"), ("space", "spaces"), ("kernel", "kernels")):
        more = {"sdk": "static"} if kind == "space" else {}
        repo = f"{prefix}/{user.repo(kind, **more)}"
        work = Work(hub, repo, user, tmp_path / kind, clone=True)
        head = work.commit({"x": kind})
        work.push()
        answer = hub.request("GET", f"/{repo}/resolve/main/x")
        assert answer.body == kind.encode() and answer.headers["x-repo-commit"] == head


def test_submodules_and_notes_are_kept(hub, repo, work, fresh):
    work.commit({"a": "1"})
    work.git("update-index", "--add", "--cacheinfo", f"160000,{'3' * 40},module")
    work.git("commit", "-q", "-m", "with a submodule")
    work.git("notes", "add", "-m", "a note")
    work.push("origin", "HEAD:main", "refs/notes/commits")
    assert "module" in fresh().ask("ls-tree", "HEAD")
    assert hub.request("GET", f"/api/models/{repo}/tree/main").status == 200


# ---- LFS

def lfs(work):
    work.git("lfs", "install", "--local")
    work.git("config", "lfs.locksverify", "false")
    work.git("lfs", "track", "*.bin")


def test_lfs_files_are_pushed_and_downloaded_by_every_client(hub, user, repo, work, fresh, client, folder):
    lfs(work)
    data = {f"weights/{i}.bin": random_bytes(f"lfs push {i}", 11_000_000 + i) for i in range(2)}
    head = work.commit({**data, "config.json": "{}"})
    work.push()
    tree = tree_of(hub, repo)
    for path, content in data.items():
        assert tree[path]["lfs"]["oid"] == hashlib.sha256(content).hexdigest() and tree[path]["size"] == len(content)
    local = folder("download")
    client(user.token).run("snapshot_download", repo_id=repo, local_dir=str(local))
    assert all((local / path).read_bytes() == content for path, content in data.items())
    clone = fresh()
    assert clone.head() == head and all((clone.path / path).read_bytes() == content for path, content in data.items())


def test_a_pointer_without_its_object_is_refused(hub, repo, work):
    lfs(work)
    work.commit({"kept.bin": random_bytes("missing lfs", 1000)})
    before = refs(hub, repo)
    text = work.refused("--no-verify", "origin", "HEAD:main")  # no hook: the object stays here
    assert "remote: error: kept.bin: the LFS object" in text and "git lfs push --all" in text and "LFS objects are missing" in text, text
    assert refs(hub, repo) == before
    work.git("lfs", "push", "--all", "origin")
    work.push("--no-verify", "origin", "HEAD:main")


def test_a_pointer_to_an_object_of_another_size_is_refused(hub, user, repo, work):
    lfs(work)
    content = random_bytes("wrong size", 1000)
    work.commit({"a.bin": content})
    work.git("lfs", "push", "--all", "origin")
    oid = hashlib.sha256(content).hexdigest()
    pointer = work.blob(f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 999\n")
    commit = work.commit_tree(work.tree([("100644", "a.bin", pointer)]))
    assert "another size" in work.refused("--no-verify", "origin", f"{commit}:refs/heads/wrong")


def test_an_object_of_another_repository_is_not_enough(hub, user, repo, work, tmp_path):
    lfs(work)
    work.commit({"a.bin": random_bytes("other repo", 1000)})
    work.push()
    other = user.repo()
    text = work.refused("--no-verify", url_of(hub, other, user), "HEAD:refs/heads/copy")
    assert "was not uploaded to this repository" in text


def test_a_locked_file_is_not_changed_by_others(hub, user, repo, work, fresh):
    admin_url = url_of(hub, repo)
    admin_url = admin_url.replace("http://", f"http://admin:{hub.admin_token}@")
    assert hub.request("PUT", f"/api/models/{repo}/settings", {"lfsLocks": True}, token=user.token).status == 200
    lfs(work)
    work.commit({"a.bin": random_bytes("locked a", 1000), "b.bin": random_bytes("locked b", 1000)})
    work.push()
    work.git("lfs", "lock", "a.bin")
    work.commit({"a.bin": random_bytes("locked a 2", 1000)})
    work.push()  # one's own lock
    other = fresh()
    other.git("remote", "set-url", "origin", admin_url)
    other.commit({"b.bin": random_bytes("locked b 2", 1000)})
    other.push()
    head = other.commit({"a.bin": random_bytes("locked a 3", 1000)})
    other.git("config", "lfs.locksverify", "false")
    text = other.refused("origin", "HEAD:main", "HEAD:refs/heads/beside")
    assert f'"a.bin" is locked by {user.name}' in text, text
    assert refs(hub, repo)["refs/heads/beside"] == head  # a new branch changes nothing that is there
    work.git("lfs", "unlock", "a.bin")
    other.push()


def test_a_quota_is_named_on_the_terminal(hub, user, repo, work):
    from hub_process import cairn
    work.commit({"big": random_bytes("quota", 3_000_000)})
    cairn(hub, "quota", user.name, "1M")
    assert "storage quota of" in work.refused("origin", "HEAD:main")
    cairn(hub, "quota", user.name, "none")
    work.push()
    # Versions that differ little are little on the wire, and files of full size here.
    many = bytearray(random_bytes("versions", 1_000_000))
    for i in range(12):
        many[1000 * i] ^= 1
        work.commit({"versions": bytes(many)}, f"version {i}")
    cairn(hub, "quota", user.name, "12M")
    assert "storage quota of" in work.refused("origin", "HEAD:main")
    cairn(hub, "quota", user.name, "none")
    work.push()


def set_aside(hub):
    return list((hub.data_dir / "tmp").glob("scratch-push*"))


def wait_until(is_true):
    while not is_true():  # the time limit of the test is the only one
        time.sleep(0.05)


def vanish(hub, data, is_time=lambda: True):
    """A client that sends this and then is gone without a goodbye."""
    with socket.create_connection(("127.0.0.1", hub.port)) as connection:
        connection.sendall(data)
        wait_until(is_time)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def push_request(repo, user, body):
    return (f"POST /{repo}/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/x-git-receive-pack-request\r\n\r\n").encode() + body


def test_a_client_that_goes_away_leaves_nothing(hub, user, repo, work):
    work.commit({"a": random_bytes("gone", 2_000_000)})
    pack = work.run("pack-objects", "--revs", "--stdout", input=b"HEAD\n").stdout
    body = pkt(f"{ZERO} {work.head()} refs/heads/gone\0report-status") + b"0000" + pack
    before = refs(hub, repo)
    request = push_request(repo, user, body)
    vanish(hub, request[:len(request) // 2], lambda: set_aside(hub))
    wait_until(lambda: not set_aside(hub))
    assert refs(hub, repo) == before
    vanish(hub, request)  # before the answer
    wait_until(lambda: not set_aside(hub))


@pytest.fixture
def hub_with_slow_git(tmp_path):
    """A hub whose git takes in no pack of a push as long as the file `held` is there; the file `started` says that one has come."""
    held, started, folder = tmp_path / "held", tmp_path / "started", tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(f"""#!/bin/sh
case " $* " in *" index-pack --stdin --fix-thin "*)
    echo $$ >{started}.new && mv {started}.new {started}
    while [ -e {held} ]; do sleep 0.05; done
esac
exec {shutil.which("git")} "$@"
""")
    (folder / "git").chmod(0o755)
    hub = Hub(tmp_path / "data")
    hub.environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    hub.held, hub.started = held, started
    yield hub.start()
    held.unlink(missing_ok=True)
    assert hub.stop() == 0, hub.tail()


@pytest.mark.parametrize("abilities", ["report-status", "report-status side-band-64k"])
def test_a_push_whose_client_goes_away_is_given_up(hub_with_slow_git, tmp_path, abilities):
    hub = hub_with_slow_git
    user = hub.make_user("ada")
    repo = user.repo()
    work = Work(hub, repo, user, tmp_path / "work", clone=True)
    work.commit({"a": "1"})
    pack = work.run("pack-objects", "--revs", "--stdout", input=b"HEAD\n").stdout
    before = refs(hub, repo, user.token)
    hub.held.touch()
    request = push_request(repo, user, pkt(f"{ZERO} {work.head()} refs/heads/gone\0{abilities}") + b"0000" + pack)
    vanish(hub, request, hub.started.exists)
    wait_until(lambda: not set_aside(hub))  # its git would wait for ever
    wait_until(lambda: not os.path.exists(f"/proc/{hub.started.read_text().strip()}"))
    assert refs(hub, repo, user.token) == before
    hub.held.unlink()
    work.push()
    assert refs(hub, repo, user.token)["refs/heads/main"] == work.head()


# ---- what is refused

def test_large_regular_files_are_refused_with_path_and_remedy(hub, repo, work):
    work.commit({"models/big.dat": random_bytes("large", 11 << 20), "small": "1"})
    work.commit({"another": "2"})
    before = refs(hub, repo)
    text = work.refused("origin", "HEAD:main")
    assert "remote: error: models/big.dat has 11.0 MiB" in text and 'git lfs migrate import --include="models/big.dat"' in text, text
    assert "files larger than 10 MiB must be stored with Git LFS" in text and refs(hub, repo) == before
    work.git("lfs", "install", "--local")
    work.git("config", "lfs.locksverify", "false")
    work.git("lfs", "migrate", "import", "--yes", "--include=models/big.dat")
    work.push()
    assert tree_of(hub, repo)["models/big.dat"]["lfs"]["size"] == 11 << 20


BAD_NAMES = [b".git", b".GIT", b".git ", b"..", b".", b"git~1", b".g\xe2\x80\x8cit", b"a\\..\\.git", b".git\\config", b"bell\x07", b"latin-\xe9",
             b"n" * 256, b".git::$INDEX_ALLOCATION"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=[repr(name)[2:20] for name in BAD_NAMES])
def test_bad_names_are_refused(hub, repo, work, name):
    before = refs(hub, repo)
    blob = work.blob("x")
    inner = work.tree([("100644", name, blob)])
    commit = work.commit_tree(work.tree([("40000", "folder", inner)]))
    text = work.refused("origin", f"{commit}:refs/heads/bad")
    assert "[remote rejected]" in text or "unpack failed" in text, text
    assert "is not a valid path" not in text or ("folder" in text and "rename it" in text), text
    assert refs(hub, repo) == before
    work.git("fetch", "-q", "origin")
    assert hub.request("GET", f"/api/models/{repo}/revision/{commit}").status == 404


def test_only_a_path_may_not_begin_with_a_step_up_before_a_backslash(hub, repo, work):
    before = refs(hub, repo)
    top = work.tree([("100644", b"..\\x", work.blob("x"))])
    text = work.refused("origin", f"{work.commit_tree(top)}:refs/heads/bad")
    assert '"..\\x" is not a valid path' in text and "rename it" in text, text
    assert refs(hub, repo) == before
    work.git("push", "origin", f"{work.commit_tree(work.tree([('40000', 'folder', top)]))}:refs/heads/good")
    assert set(tree_of(hub, repo, "good")) == {"folder", "folder/..\\x"}
    assert hub.request("GET", f"/{repo}/resolve/good/folder/..%5Cx").body == b"x"


def test_folders_deeper_than_paths_may_be_are_refused(hub, repo, work):
    tree = work.tree([("100644", "leaf", work.blob("x"))])
    for i in range(70):
        tree = work.tree([("40000", f"d{i}", tree)])
    assert "deeper than 64 folders" in work.refused("origin", f"{work.commit_tree(tree)}:refs/heads/deep")


def test_names_that_differ_by_case_are_taken_with_a_warning(hub, repo, work):
    blob = work.blob("x")
    commit = work.commit_tree(work.tree([("100644", "README", blob), ("100644", "readme", blob)]))
    assert "differ only by case" in work.push("origin", f"{commit}:refs/heads/cases")


def test_unsorted_and_broken_trees_are_refused(hub, repo, work):
    blob = work.blob("x")
    for entries in ([("100644", "b", blob), ("100644", "a", blob)], [("100644", "a", blob), ("100644", "a", blob)], [("60644", "a", blob)]):
        commit = work.commit_tree(work.tree(entries))
        work.refused("origin", f"{commit}:refs/heads/broken")
    assert "refs/heads/broken" not in refs(hub, repo)


def test_refs_that_are_not_for_pushing(hub, user, repo, work):
    work.commit({"a": "1"})
    for name in ("refs/convert/parquet", "refs/internal/x", "refs/pr/0", "refs/pr/1/head", "refs/pr/x"):
        assert "only branches, tags, notes and refs/pr/NUMBER" in work.refused("origin", f"HEAD:{name}")
    tree = work.head("HEAD^{tree}")
    work.git("tag", "-a", "for-branch", "-m", "x")
    lines, _ = report_of(receive_pack(hub, repo, user.token, [(ZERO, tree, "refs/heads/tree")],
                                      work.run("pack-objects", "--revs", "--stdout", input=b"HEAD\n").stdout))
    assert lines[1] == "ng refs/heads/tree it must point to a commit"
    for bad in ("refs/heads/a..b", "refs/heads/a b", "refs/heads/", "refs/heads/x.lock", "HEAD", "refs/heads/\x1b[31m"):
        lines, _ = report_of(receive_pack(hub, repo, user.token, [(ZERO, "1" * 40, bad)]))
        assert lines[1].startswith("ng ") and "\x1b" not in lines[1], lines
    work.git("update-ref", "refs/heads/caf\udce9", "HEAD")
    assert "its name is not UTF-8" in work.refused("origin", "refs/heads/caf\udce9")
    answer = hub.request("POST", f"/api/models/{repo}/branch/caf%E9", {}, token=user.token)
    assert answer.status == 400 and "Invalid rev id" in answer.json()["error"], answer


def test_no_branch_or_tag_stands_before_another_ref(hub, user, repo, work):
    head, before = work.commit({"a": "1"}), refs(hub, repo)
    for name in ("HEAD", "refs/heads/main", "refs/pr/1", "refs/x"):
        for kind in ("heads", "tags"):
            lines, _ = report_of(receive_pack(hub, repo, user.token, [(ZERO, head, f"refs/{kind}/{name}")],
                                              work.run("pack-objects", "--revs", "--stdout", input=b"HEAD\n").stdout))
            assert lines[1] == f"ng refs/{kind}/{name} a branch or tag cannot be named HEAD or refs/...", lines
    quoted = urllib.parse.quote
    for call, body in ([(f"branch/{quoted(name, safe='')}", {}) for name in ("HEAD", "refs/pr/1", "refs/heads/HEAD", "refs/heads/refs/heads/main")] +
                       [(f"branch/{quoted('refs/x', safe='')}", {"emptyBranch": True})] +
                       [("tag/main", {"tag": name, "message": message}) for name in ("HEAD", "refs/tags/v1") for message in ("", "words")]):
        answer = hub.request("POST", f"/api/models/{repo}/{call}", body, token=user.token)
        assert answer.status == 400 and "cannot be named HEAD or refs/..." in answer.json()["error"], (call, body, answer)
    assert refs(hub, repo) == before
    assert hub.request("DELETE", f"/api/models/{repo}/branch/HEAD", token=user.token).status == 404


def test_damaged_packs_are_refused(hub, user, repo, work):
    work.commit({"a": random_bytes("damaged", 50_000), "b": "text"})
    new, before = work.head(), refs(hub, repo)
    good = work.run("pack-objects", "--revs", "--stdout", input=b"HEAD\n").stdout
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0x40
    bad_packs = {"cut": good[:-100], "no trailer": good[:-20], "flipped": bytes(flipped), "none": b"", "no pack": b"PACX" + good[4:],
                 "more objects": good[:8] + b"\0\0\x01\0" + good[12:], "trailing": good + b"more"}
    for name, pack in bad_packs.items():
        lines, _ = report_of(receive_pack(hub, repo, user.token, [(ZERO, new, "refs/heads/damaged")], pack))
        assert lines[0] != "unpack ok" and lines[1] == "ng refs/heads/damaged unpacker error", (name, lines)
    assert refs(hub, repo) == before
    lines, _ = report_of(receive_pack(hub, repo, user.token, [(ZERO, new, "refs/heads/good")], good))
    assert lines == ["unpack ok", "ok refs/heads/good"]


def test_what_a_pack_leans_on_must_be_here(hub, user, repo, work):
    """Objects that were neither sent nor are in a pack of the repository: a parent, a folder, a file; also those of a push that failed."""
    first = work.commit({"d/a": "1", "b": "2"})
    second = work.commit({"d/a": "1", "b": "3"})
    wanted = work.head()
    objects = {name: work.ask("rev-parse", name) for name in ("HEAD^{tree}", "HEAD:d", "HEAD:b")}
    for names in ([wanted], [wanted, objects["HEAD^{tree}"]], [wanted, objects["HEAD^{tree}"], objects["HEAD:d"]]):
        pack = work.run("pack-objects", "--stdout", input="".join(f"{name}\n" for name in names).encode()).stdout
        lines, _ = report_of(receive_pack(hub, repo, user.token, [(ZERO, wanted, "refs/heads/hole")], pack))
        assert lines[1].startswith("ng refs/heads/hole"), lines
    assert "refs/heads/hole" not in refs(hub, repo)
    lines, _ = report_of(receive_pack(hub, repo, user.token, [(ZERO, "4" * 40, "refs/heads/hole")], pack_of([])))
    assert lines[1] == "ng refs/heads/hole missing necessary objects"
    assert first != second


def test_bombs_are_refused_within_bounds(hub, user, repo, work):
    resident = hub.resident_bytes()
    # A blob of 200 MiB that is 200 KB on the wire.
    blob = b"\0" * (200 << 20)
    pack = entry(3, blob)
    oid = hashlib.sha1(b"blob %d\0" % len(blob) + blob).hexdigest()
    del blob
    tree_raw = b"100644 bomb\0" + bytes.fromhex(oid)
    tree = hashlib.sha1(b"tree %d\0" % len(tree_raw) + tree_raw).hexdigest()
    commit_raw = f"tree {tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n".encode()
    commit = hashlib.sha1(b"commit %d\0" % len(commit_raw) + commit_raw).hexdigest()
    lines, text = report_of(receive_pack(hub, repo, user.token, [(ZERO, commit, "refs/heads/bomb")],
                                         pack_of([pack, entry(2, tree_raw), entry(1, commit_raw)])))
    assert "files larger than 10 MiB" in lines[1] and "bomb has 200.0 MiB" in text, (lines, text)
    # A delta that makes four gigabytes of one megabyte.
    base = entry(3, b"\0" * (1 << 20))
    delta = varint(1 << 20) + varint(4 << 30) + b"\xf0\x00\x00\x10" * 4096
    lines, _ = report_of(receive_pack(hub, repo, user.token, [(ZERO, "5" * 40, "refs/heads/bomb")], pack_of([base, entry(6, delta, len(base))])))
    assert lines == ["unpack index-pack failed", "ng refs/heads/bomb unpacker error"], lines
    assert hub.resident_bytes() - resident < 200 << 20


def test_folders_without_end_keep_nobody_busy(hub, user, bob, repo, work):
    """Ten folders of ten folders of ... that are all the same: ten trees, and ten billion files."""
    work.commit({"ours": "1\n"})
    work.push()
    base = work.head()
    tree = work.ask("mktree", input="".join(f"100644 blob {work.ask('rev-parse', 'HEAD:ours')}\tf{i}\n" for i in range(10)).encode())
    for _ in range(9):
        tree = work.ask("mktree", input="".join(f"040000 tree {tree}\td{i}\n" for i in range(10)).encode())
    bomb = work.ask("commit-tree", tree, "-m", "without end", "-p", "HEAD")
    work.push("origin", f"{bomb}:refs/heads/bomb")
    made = hub.request("POST", f"/api/models/{repo}/discussions", {"title": "Without end", "description": "", "pullRequest": True}, token=user.token)
    number = made.json()["num"]
    work.push("--force", "origin", f"{bomb}:refs/pr/{number}")
    work.commit({"ours": "2\n"})
    work.push()  # both sides have changed since
    calls = [("GET", "treesize/bomb", None, {413}), ("GET", "revision/bomb", None, {200, 413}), ("GET", "tree/bomb?recursive=true", None, {200}),
             ("GET", f"compare/{base}..{bomb}", None, {200, 404, 413}), ("GET", f"discussions/{number}", None, {200, 413}),
             ("POST", f"discussions/{number}/merge", {}, {409, 413}), ("GET", "lfs-files", None, {200})]
    for method, path, body, statuses in calls:
        begun = time.monotonic()
        answer = hub.request(method, f"/api/models/{repo}/{path}", body, token=user.token, timeout=200)
        assert answer.status in statuses and len(answer.body) < 32 << 20, (path, answer)
        print(path, answer.status, round(time.monotonic() - begun, 2))
    assert hub.request("GET", f"/{repo}/resolve/bomb/d1/d2/d3/d4/d5/d6/d7/d8/d9/f1").body == b"1\n"


def test_malformed_requests(hub, user, repo):
    type = {"Content-Type": "application/x-git-receive-pack-request"}
    post = lambda body, **headers: hub.request("POST", f"/{repo}/git-receive-pack", body, token=user.token, headers={**type, **headers})
    probe = post(b"0000")
    assert (probe.status, probe.body) == (200, b"")
    assert post(b"").status == 400
    assert post(b"0003").status == 400
    assert post(b"PACK").status == 400
    assert post(pkt("nonsense") + b"0000").status == 400
    assert post(pkt("push-cert\0") + b"0000").status == 415
    assert post(pkt(f"{ZERO} {'1' * 40} refs/heads/x\0object-format=sha256") + b"0000").status == 415
    assert post(b"0000", **{"Content-Encoding": "br"}).status == 415
    assert post(b"0000", **{"Content-Encoding": "gzip"}).status == 400
    assert post(b"0000", **{"Content-Type": "text/plain"}).status == 415
    many = b"".join(pkt(f"{ZERO} {'1' * 40} refs/heads/b{i}") for i in range(1001)) + b"0000"
    assert post(many).status == 413


# ---- who may

def test_rights(hub, user, bob, repo, work, tmp_path):
    work.commit({"a": "1"})
    info = f"/{repo}.git/info/refs?service=git-receive-pack"
    anonymous = hub.request("GET", info)
    assert anonymous.status == 401 and anonymous.headers["www-authenticate"].startswith("Basic")
    assert hub.request("GET", info, token=user.read_token).status == 403
    assert hub.request("GET", info, token="hf_wrong").status == 401
    assert hub.request("POST", f"/{repo}/git-receive-pack", b"0000", headers={"Content-Type": "application/x-git-receive-pack-request"}).status == 401
    assert "403" in work.refused(url_of(hub, repo, user, user.read_token), "HEAD:main")
    text = work.refused(url_of(hub, repo, bob), "HEAD:main")
    assert "403" in text or "you may not write to it" in text, text
    private = user.repo(private=True)
    assert hub.request("GET", f"/{private}/info/refs?service=git-receive-pack", token=bob.token).status == 404
    assert hub.request("GET", f"/{private}/info/refs?service=git-receive-pack").status == 401


def test_the_advertisement(hub, user, repo):
    answer = hub.request("GET", f"/{repo}/info/refs?service=git-receive-pack", token=user.token, headers={"Git-Protocol": "version=2"})
    assert answer.headers["content-type"] == "application/x-git-receive-pack-advertisement" and "no-cache" in answer.headers["cache-control"]
    main = refs(hub, repo)["refs/heads/main"]
    assert answer.body.startswith(pkt("# service=git-receive-pack\n") + b"0000")
    assert f"{main} refs/heads/main\0report-status".encode() in answer.body and answer.body.endswith(b"0000")


def test_protected_branches(hub, user, repo, work):
    from hub_process import cairn
    base = work.commit({"a": "1"})
    work.push("origin", "HEAD:main", "HEAD:refs/heads/release/1", "HEAD:refs/heads/free")
    cairn(hub, "repo", "protect", repo, "release/*")
    cairn(hub, "repo", "protect", repo, "main", "--allow-force")
    assert "release/*" in cairn(hub, "repo", "protect", repo)
    work.commit({"a": "2"})
    work.push("origin", "HEAD:refs/heads/release/1")  # adding is fine
    work.git("commit", "-q", "--amend", "-m", "rewritten")
    assert "release/1 is protected: its history cannot be rewritten" in work.refused("--force", "origin", "HEAD:refs/heads/release/1", "HEAD:refs/heads/free")
    assert refs(hub, repo)["refs/heads/free"] == work.head()
    assert "release/1 is protected: it cannot be deleted" in work.refused("origin", "--delete", "release/1")
    assert hub.request("DELETE", f"/api/models/{repo}/branch/release%2F1", token=user.token).status == 403
    work.push("--force", "origin", "HEAD:main")
    assert hub.commit(user.token, repo, {"api": b"1"}, revision="release%2F1").status == 200  # a commit only adds
    cairn(hub, "repo", "unprotect", repo, "release/*")
    work.push("--force", "origin", f"{base}:refs/heads/release/1")
    work.push("origin", "--delete", "release/1")


def test_a_pull_request_is_pushed_to_by_its_author_and_by_writers_while_it_is_open(hub, user, bob, repo, work, tmp_path):
    work.commit({"a": "1\n"})
    work.push()
    made = hub.request("POST", f"/api/models/{repo}/discussions", {"title": "From outside", "description": "why", "pullRequest": True}, token=bob.token)
    number = made.json()["num"]
    ref = f"refs/pr/{number}"
    author = Work(hub, repo, bob, tmp_path / "author", clone=True)
    author.git("fetch", "-q", "origin", f"{ref}:pr")
    author.git("checkout", "-q", "pr")
    author.commit({"b": "2\n", ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "b.bin": random_bytes("proposed", 50_000)})
    author.push("origin", f"pr:{ref}")
    assert refs(hub, repo)[ref] == author.head()
    author.git("commit", "-q", "--amend", "-m", "again")
    assert "non-fast-forward" in author.refused("origin", f"pr:{ref}")
    author.push("--force", "origin", f"pr:{ref}")
    work.git("fetch", "-q", "origin", ref)
    work.git("reset", "-q", "--hard", "FETCH_HEAD")
    work.commit({"c": "3\n"})
    work.push("origin", f"HEAD:{ref}")
    assert "not deleted by a push" in work.refused("origin", "--delete", ref)
    assert "you may not write to it" in author.refused("origin", "pr:main")
    assert hub.request("POST", f"/api/models/{repo}/discussions/{number}/merge", token=user.token).status == 200
    assert hub.request("GET", f"/{repo}/resolve/main/b.bin").body == random_bytes("proposed", 50_000)
    assert "merged or closed" in author.refused("--force", "origin", f"pr:{ref}")


# ---- many at once

def test_eight_pushers_on_one_branch_lose_nothing(hub, user, repo, tmp_path):
    pushed, lock = [], threading.Lock()

    def pusher(number):
        work = Work(hub, repo, user, tmp_path / f"p{number}", clone=True)
        for i in range(2):
            work.commit({f"{number}/{i}": f"{number} {i}\n"})
            for _ in range(60):
                if work.run("push", "origin", "HEAD:main").returncode == 0:
                    break
                work.git("pull", "-q", "--rebase", "origin", "main")
            else:
                raise AssertionError("never got through")
            with lock:
                pushed.append((work.head(), f"{number}/{i}"))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(pusher, range(8)))
    clone = check_clone(hub, repo, user, tmp_path / "end")
    log = set(clone.ask("log", "--format=%H").split())
    assert len(pushed) == 16 and all(oid in log and (clone.path / path).exists() for oid, path in pushed)


def test_pushers_on_branches_of_their_own_and_an_api_beside_them(hub, user, repo, tmp_path):
    def pusher(number):
        work = Work(hub, repo, user, tmp_path / f"p{number}", clone=True)
        for i in range(3):
            work.commit({f"{number}-{i}": random_bytes(f"branch {number} {i}", 20_000)})
            work.push("origin", f"HEAD:refs/heads/b{number}")
        return work.head()

    def committer():
        for i in range(6):
            assert hub.commit(user.token, repo, {f"api-{i}": b"x"}).status == 200

    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        api = pool.submit(committer)
        heads = list(pool.map(pusher, range(8)))
        api.result()
    now = refs(hub, repo)
    assert [now[f"refs/heads/b{n}"] for n in range(8)] == heads
    clone = check_clone(hub, repo, user, tmp_path / "end", ("--mirror",))
    assert clone.ask("rev-list", "--count", "main") == str(6 + int(clone.ask("rev-list", "--count", "--max-parents=0", "main")))

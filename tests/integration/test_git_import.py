"""Whole repositories in and out: `cairn repo import` and `cairn repo mirror` with stock git and git-lfs."""
import hashlib
import http.server
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from git_samples import Source, fsck, refs_of
from hub_process import CAIRN
from samples import random_bytes


@pytest.fixture
def run(hub, tmp_path):
    """`cairn repo ...` with a home of its own; the whole process."""
    home = tmp_path / "operator"
    home.mkdir()

    def start(*arguments):
        return subprocess.Popen([CAIRN, "--url", hub.url, "--data", hub.data_dir, "repo", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                                env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"})

    def call(*arguments, status=0, timeout=240):
        process = start(*arguments)
        out, err = process.communicate(timeout=timeout)
        assert process.returncode == status, f"cairn repo {arguments}: {process.returncode}\n{out}\n{err}"
        return out if status == 0 else err
    call.start = start
    call.home = home
    return call


def hub_refs(hub, repo, token=None):
    address = f"http://user:{token}@127.0.0.1:{hub.port}" if token else hub.url
    return refs_of(f"{address}/{repo}")


# ------------------------------------------------------------------ in

def test_branches_tags_and_merges_come_in(hub, user, run, tmp_path):
    source = Source(tmp_path / "source")
    source.make_history()
    repo = f"{user.name}/imported"
    assert json.loads(run("import", source.bare, repo, "--json"))["changed"] == len(source.refs())
    assert hub_refs(hub, repo) == source.refs()
    assert hub.request("GET", f"/{repo}/resolve/main/side.txt").body == b"from the side\n"
    assert hub.request("GET", f"/{repo}/resolve/v1/README.md").body == b"# 3\n"
    titles = [commit["title"] for commit in hub.request("GET", f"/api/models/{repo}/commits/main").json()]
    assert titles[0] == "merge the side" and "commit 0" in titles
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "-q", "--mirror", f"{hub.url}/{repo}", copy], check=True, timeout=60)
    fsck(copy)


def test_a_second_import_moves_only_what_differs(hub, user, run, tmp_path):
    source = Source(tmp_path / "source")
    source.make_history()
    repo = f"{user.name}/imported"
    run("import", source.bare, repo)
    assert json.loads(run("import", source.bare, repo, "--json"))["changed"] == 0
    source.commit({"new.txt": b"new\n"})
    source.git("branch", "-f", "other", "HEAD~1")  # moved by force
    source.git("push", "-q", "origin", "--delete", "side/one")
    source.git("branch", "-D", "side/one")
    source.push()
    assert json.loads(run("import", source.bare, repo, "--json"))["changed"] == 2
    assert "refs/heads/side/one" in hub_refs(hub, repo)
    run("import", source.bare, repo, "--prune")
    assert hub_refs(hub, repo) == source.refs()


def test_datasets_and_private_repositories_are_made_as_asked(hub, user, run, tmp_path):
    source = Source(tmp_path / "source")
    source.make_history(6)
    repo = f"{user.name}/numbers"
    run("import", source.bare, repo, "--type", "dataset", "--private")
    info = hub.request("GET", f"/api/datasets/{repo}", token=user.token).json()
    assert info["private"] is True and info["sha"] == source.refs()["refs/heads/main"]


def test_a_repository_that_was_just_made_is_filled(hub, user, run, tmp_path):
    source = Source(tmp_path / "source")
    source.make_history(6)
    repo = user.repo()  # it has its first commit already
    run("import", source.bare, repo)
    assert hub_refs(hub, repo) == source.refs()


def test_hundreds_of_refs_come_in_by_the_hundred(hub, user, run, tmp_path):
    source = Source(tmp_path / "source")
    source.make_history(6)
    head = source.refs()["refs/heads/main"]
    subprocess.run(["git", "update-ref", "--stdin"], cwd=source.bare, check=True, input="".join(f"create refs/tags/t{i} {head}\n" for i in range(450)).encode())
    repo = f"{user.name}/many"
    assert json.loads(run("import", source.bare, repo, "--json"))["changed"] == len(source.refs()) > 450
    assert hub_refs(hub, repo) == source.refs()


def test_refs_that_no_hub_may_have_are_left_out(hub, user, run, tmp_path):
    source = Source(tmp_path / "source")
    source.make_history(6)
    wanted = source.refs()
    for name in ("refs/heads/HEAD", "refs/tags/refs/pr/1"):
        subprocess.run(["git", "update-ref", name, wanted["refs/heads/main"]], cwd=source.bare, check=True)
    process = run.start("import", source.bare, f"{user.name}/shadows")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "refs/heads/HEAD is left out" in err and "refs/tags/refs/pr/1 is left out" in err
    assert hub_refs(hub, f"{user.name}/shadows") == wanted


def test_another_default_branch_becomes_main_too(hub, user, run, tmp_path):
    source = Source(tmp_path / "source", branch="trunk")
    source.make_history(6)
    repo = f"{user.name}/trunk"
    run("import", source.bare, repo)
    refs = hub_refs(hub, repo)
    assert refs == {**source.refs(), "refs/heads/main": source.refs()["refs/heads/trunk"]}
    assert json.loads(run("import", source.bare, repo, "--prune", "--json"))["changed"] == 0


def test_commits_made_on_the_hub_are_not_overwritten(hub, user, run, tmp_path):
    source = Source(tmp_path / "source")
    source.make_history(6)
    repo = f"{user.name}/both"
    run("import", source.bare, repo)
    assert hub.commit(user.token, repo, {"here.txt": b"made on the hub\n"}).status == 200
    before = hub_refs(hub, repo)
    source.commit({"there.txt": b"made there\n"})
    source.push()
    assert "refs/heads/main has commits on the hub" in run("import", source.bare, repo, status=1)
    assert hub_refs(hub, repo) == before
    run("import", source.bare, repo, "--force")
    assert hub_refs(hub, repo)["refs/heads/main"] == source.refs()["refs/heads/main"]
    filled = user.repo()
    assert hub.commit(user.token, filled, {"a": b"a"}).status == 200
    assert "never had" in run("import", source.bare, filled, status=1)


def test_lfs_objects_come_in_and_are_sent_once(hub, user, run, tmp_path):
    source = Source(tmp_path / "source", lfs=True)
    contents = [random_bytes(f"import-{i}", 700_000 + i) for i in range(3)]
    for i, data in enumerate(contents):
        source.commit({"weights.bin": data}, f"weights {i}")
    source.git("branch", "old", "HEAD~2")
    source.push()
    repo = f"{user.name}/weights"
    assert "--lfs" in run("import", source.bare, repo, status=1)
    run("import", source.bare, repo, "--lfs")
    assert hub_refs(hub, repo) == source.refs()
    assert hub.request("GET", f"/{repo}/resolve/main/weights.bin").body == contents[2]
    assert hub.request("GET", f"/{repo}/resolve/old/weights.bin").body == contents[0]
    before = hub.stats()["acknowledged"]
    assert json.loads(run("import", source.bare, repo, "--lfs", "--json"))["changed"] == 0
    assert hub.stats()["acknowledged"] == before


def test_files_too_large_for_git_are_refused_with_the_remedy(hub, user, run, tmp_path):
    source = Source(tmp_path / "source")
    data = random_bytes("too large", 11 << 20)
    source.commit({"small.txt": b"small\n", "large.dat": data})
    source.push()
    repo = f"{user.name}/large"
    refusal = run("import", source.bare, repo, status=1)
    assert "large.dat" in refusal and "--lfs-migrate" in refusal
    run("import", source.bare, repo, "--lfs-migrate", "10MiB")
    assert hub.request("GET", f"/{repo}/resolve/main/large.dat").body == data
    assert hub.request("GET", f"/{repo}/resolve/main/small.txt").body == b"small\n"
    info = hub.request("POST", f"/api/models/{repo}/paths-info/main", {"paths": ["large.dat"]}).json()
    assert info[0]["lfs"]["oid"] == hashlib.sha256(data).hexdigest()
    assert json.loads(run("import", source.bare, repo, "--lfs-migrate", "10MiB", "--json"))["changed"] == 0


def test_an_import_that_was_killed_goes_on(hub, user, run, tmp_path):
    source = Source(tmp_path / "source", lfs=True)
    source.make_history(20)
    for i in range(8):
        source.commit({f"weights-{i}.bin": random_bytes(f"killed-{i}", 2_000_000)}, f"weights {i}")
        source.git("branch", f"branch-{i}")
    source.push()
    repo = f"{user.name}/killed"
    for delay in (0.05, 0.3, 0.6, 1.0):
        process = run.start("import", source.bare, repo, "--lfs")
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    run("import", source.bare, repo, "--lfs")
    assert hub_refs(hub, repo) == source.refs()
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "-q", "--mirror", f"{hub.url}/{repo}", copy], check=True, timeout=60)
    fsck(copy)
    for i in range(8):
        assert hub.request("GET", f"/{repo}/resolve/main/weights-{i}.bin").body == random_bytes(f"killed-{i}", 2_000_000)


def test_two_runs_on_one_mirror_do_not_meet(run, user, tmp_path):
    import fcntl
    source = Source(tmp_path / "source")
    source.make_history(6)
    work = tmp_path / "mirror"
    run("import", source.bare, f"{user.name}/locked", "--work", work)
    with open(work / "cairn.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another run" in run("import", source.bare, f"{user.name}/locked", "--work", work, status=1)
    assert "is used for" in run("import", source.bare, f"{user.name}/elsewhere", "--work", work, status=1)
    assert "not empty" in run("import", source.bare, f"{user.name}/locked", "--work", source.work, status=1)


class LoginHandler(http.server.SimpleHTTPRequestHandler):
    """A folder over HTTP, for whoever gives the right password."""
    folder = None
    seen = []

    def __init__(self, *arguments):
        super().__init__(*arguments, directory=str(self.folder))

    def do_GET(self):
        import base64
        self.seen.append(self.headers.get("Authorization"))
        if self.headers.get("Authorization") == "Basic " + base64.b64encode("ada:päss word@1".encode()).decode():
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic realm=x")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_credentials_in_the_address_are_used_and_never_shown(hub, user, run, tmp_path):
    source = Source(tmp_path / "source")
    source.make_history(6)
    source.git("update-server-info", cwd=source.bare)
    handler = type("Handler", (LoginHandler,), {"folder": source.home, "seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        place = f"127.0.0.1:{server.server_address[1]}/source.git"
        repo = f"{user.name}/secret"
        process = run.start("import", f"http://ada:p%C3%A4ss%20word%401@{place}", repo)
        lists = []
        while process.poll() is None:
            done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True)
            lists.append(done.stdout)
            time.sleep(0.02)
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert hub_refs(hub, repo) == source.refs()
        assert f"http://{place}" in err
        shown = out + err + "".join(path.read_text(errors="replace") for path in run.home.rglob("*") if path.is_file() and path.stat().st_size < 100_000)
        for secret in ("p%C3%A4ss", "päss", hub.admin_token):
            assert secret not in shown
        assert all(hub.admin_token not in text for text in lists)
        assert all("p%C3%A4ss" not in text for text in lists[1:])
        run("import", f"http://ada:wrong@{place}", repo, status=1)
    finally:
        server.shutdown()


def lfs_file(hub, user, repo, data, path="weights.bin"):
    oid = hashlib.sha256(data).hexdigest()
    action = hub.lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0]["actions"]["upload"]
    assert hub.request("PUT", action["href"], data).status == 200
    answer = hub.commit(user.token, repo, [("lfsFile", {"path": path, "algo": "sha256", "oid": oid, "size": len(data)})])
    assert answer.status == 200, answer
    return oid


def test_another_hub_is_a_source_and_a_target_with_lfs_and_credentials(hub, user, run):
    data = random_bytes("from hub to hub", 500_000)
    source, copy, back = user.repo(private=True), f"{user.name}/copy", user.repo(private=True)
    lfs_file(hub, user, source, data)
    run("import", f"http://{user.name}:{user.token}@127.0.0.1:{hub.port}/{source}", copy, "--private", "--lfs")
    assert hub_refs(hub, copy, user.token) == hub_refs(hub, source, user.token)
    assert hub.request("GET", f"/{copy}/resolve/main/weights.bin", token=user.token).body == data
    run("mirror", copy, f"http://x:{user.token}@127.0.0.1:{hub.port}/{back}.git", "--lfs")
    assert hub_refs(hub, back, user.token) == hub_refs(hub, source, user.token)
    assert hub.request("GET", f"/{back}/resolve/main/weights.bin", token=user.token).body == data
    run("import", f"http://x:{user.token}wrong@127.0.0.1:{hub.port}/{source}", f"{user.name}/not-made", status=1)
    assert hub.request("GET", f"/api/models/{user.name}/not-made", token=user.token).status == 404


def test_addresses_that_are_none_are_refused(run, user, tmp_path):
    repo = f"{user.name}/none"
    for source in ("ext::sh -c id", "ftp://example.org/x", "-x", tmp_path / "absent", "", "http://a%zz:b@127.0.0.1:1/x"):
        run("import", source, repo, status=64)
    run("import", tmp_path, repo, status=1)  # a folder, but no repository
    run("import", "x", status=64)
    run("import", tmp_path, "no-owner", status=64)
    run("import", tmp_path, repo, "--type", "nonsense", status=64)


# ------------------------------------------------------------------ out

def test_a_mirror_has_the_same_branches_tags_and_objects(hub, user, run, tmp_path):
    repo = user.repo()
    for i in range(3):
        assert hub.commit(user.token, repo, {f"file-{i}.txt": b"%d\n" % i}).status == 200
    assert hub.request("POST", f"/api/models/{repo}/branch/side", {}, token=user.token).status == 200
    assert hub.request("POST", f"/api/models/{repo}/tag/main", {"tag": "v1"}, token=user.token).status == 200
    target = tmp_path / "target.git"
    subprocess.run(["git", "init", "-q", "--bare", target], check=True)
    run("mirror", repo, target)
    assert refs_of(target) == hub_refs(hub, repo) and set(refs_of(target)) == {"refs/heads/main", "refs/heads/side", "refs/tags/v1"}
    fsck(target)
    assert json.loads(run("mirror", repo, target, "--json"))["refs"] == 3
    subprocess.run(["git", "-C", target, "update-ref", "refs/heads/foreign", "refs/heads/main"], check=True)
    assert hub.request("DELETE", f"/api/models/{repo}/branch/side", token=user.token).status == 200
    run("mirror", repo, target)
    assert refs_of(target) == hub_refs(hub, repo)


def test_lfs_objects_go_out_with_a_mirror(hub, user, run, tmp_path):
    repo = user.repo(private=True)
    data = random_bytes("mirrored", 300_000)
    oid = lfs_file(hub, user, repo, data)
    target = tmp_path / "target.git"
    subprocess.run(["git", "init", "-q", "--bare", target], check=True)
    run("mirror", repo, target, "--lfs")
    assert refs_of(target) == hub_refs(hub, repo, user.token)
    assert (target / "lfs" / "objects" / oid[:2] / oid[2:4] / oid).read_bytes() == data
    assert json.loads(run("mirror", repo, target, "--lfs", "--json"))["refs"] == 1


def test_pull_requests_stay_at_home(hub, user, run, tmp_path):
    repo = user.repo()
    answer = hub.request("POST", f"/api/models/{repo}/commit/main?create_pr=1", b'{"key":"header","value":{"summary":"a proposal"}}\n'
                         b'{"key":"file","value":{"path":"x","content":"eA==","encoding":"base64"}}\n', token=user.token,
                         headers={"Content-Type": "application/x-ndjson"})
    target = tmp_path / "target.git"
    subprocess.run(["git", "init", "-q", "--bare", target], check=True)
    run("mirror", repo, target)
    assert set(refs_of(target, "refs/*")) == {"refs/heads/main"}, answer

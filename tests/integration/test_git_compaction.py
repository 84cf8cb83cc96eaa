"""Merging packs: fewer of them, the same repository to everybody, also while others push and after the index has been made anew."""
import json
import os
import re
import shutil
import subprocess
import threading
import time

import pytest

from hub_process import Hub, cairn
from samples import random_bytes

COMMITS = 60


def git(*arguments, cwd=None, status=0):
    done = subprocess.run(["git", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                          env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", "GIT_CONFIG_GLOBAL": os.devnull,
                               "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
                               "GIT_COMMITTER_EMAIL": "a@example.org"})
    assert done.returncode == status, f"git {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def address(hub, user, repo):
    return f"http://{user.name}:{user.token}@127.0.0.1:{hub.port}/{repo}"


def compact(hub, repo):
    return json.loads(cairn(hub, "repo", "compact", repo, "--json"))


def clone(hub, user, repo, target):
    git("clone", "-q", address(hub, user, repo), target)
    git("fsck", "--full", "--strict", cwd=target)
    return target


@pytest.fixture
def forget_cache(hub):
    """Clones after this are made from packs alone."""
    def forget():
        for path in (hub.data_dir / "git").glob("*.git"):
            shutil.rmtree(path, ignore_errors=True)
    return forget


def test_packs_of_hub_commits_are_merged(hub, user, tmp_path, forget_cache):
    repo = user.repo()
    for i in range(COMMITS // 2):
        answer = hub.commit(user.token, repo, {f"folder/{i % 7}/file.txt": f"{i}\n".encode(), "README.md": f"# {i}\n".encode()})
        assert answer.status == 200, answer
    before = git("rev-parse", "HEAD^{tree}", cwd=clone(hub, user, repo, tmp_path / "before"))
    report = compact(hub, repo)
    assert report["packs_before"] > COMMITS // 2 and report["packs_after"] < 5, report
    forget_cache()
    after = clone(hub, user, repo, tmp_path / "after")
    assert git("rev-parse", "HEAD^{tree}", cwd=after) == before
    assert int(git("rev-list", "--count", "HEAD", cwd=after)) == COMMITS // 2 + 1
    assert hub.request("GET", f"/{repo}/resolve/main/README.md", token=user.token).body == f"# {COMMITS // 2 - 1}\n".encode()
    assert compact(hub, repo)["packs_after"] >= 1


def test_packs_of_pushes_are_merged(hub, user, tmp_path, forget_cache):
    repo = user.repo()
    work = clone(hub, user, repo, tmp_path / "work")
    for i in range(COMMITS // 2):
        (work / f"{i % 5}.txt").write_text("line\n" * 500 + f"{i}\n")
        (work / "data.json").write_bytes(random_bytes(f"json {i}", 3000))
        git("add", "-A", cwd=work)
        git("commit", "-q", "-m", f"{i}", cwd=work)
        git("push", "-q", "origin", "HEAD", cwd=work)
    assert hub.commit(user.token, repo, {"by-hub.txt": b"between\n"}).status == 200
    report = compact(hub, repo)
    assert report["packs_before"] > COMMITS // 2 and report["packs_after"] < 6, report
    forget_cache()
    after = clone(hub, user, repo, tmp_path / "after")
    git("pull", "-q", "--ff-only", cwd=work)
    assert git("rev-parse", "HEAD", cwd=after) == git("rev-parse", "HEAD", cwd=work)
    for path in ("0.txt", "data.json", "by-hub.txt"):
        assert hub.request("GET", f"/{repo}/resolve/main/{path}", token=user.token).body == (work / path).read_bytes()
    # And on from there: thin against what was merged.
    (work / "0.txt").write_text("line\n" * 501)
    git("commit", "-q", "-a", "-m", "after", cwd=work)
    git("push", "-q", "origin", "HEAD", cwd=work)
    clone(hub, user, repo, tmp_path / "last")


def test_pushes_go_on_while_packs_are_merged(hub, user, tmp_path, forget_cache):
    repo = user.repo()
    clone(hub, user, repo, tmp_path / "a")
    failures, done = [], threading.Event()

    def push_by_git():
        work = tmp_path / "a"
        for i in range(20):
            (work / "git.txt").write_text(f"{i}\n")
            git("add", "-A", cwd=work)
            git("commit", "-q", "-m", f"{i}", cwd=work)
            git("push", "-q", "origin", "HEAD:refs/heads/by-git", cwd=work)

    def push_by_hub():
        for i in range(60):
            assert hub.commit(user.token, repo, {"hub.txt": f"{i}\n".encode()}).status == 200

    def guarded(work):
        try:
            work()
        except BaseException as error:
            failures.append(error)

    def merge():
        while not done.is_set():
            answer = hub.request("POST", f"/api/admin/repos/model/{repo}/compact", token=hub.admin_token)
            assert answer.status in (200, 409), answer

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (push_by_git, push_by_hub)]
    merger = threading.Thread(target=guarded, args=(merge,))
    for thread in [*threads, merger]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    merger.join()
    assert not failures, failures
    forget_cache()
    after = clone(hub, user, repo, tmp_path / "after")
    assert int(git("rev-list", "--count", "origin/main", cwd=after)) == 61
    assert git("rev-parse", "origin/by-git", cwd=after) == git("rev-parse", "HEAD", cwd=tmp_path / "a")


@pytest.fixture
def own_hub(tmp_path):
    hub = Hub(tmp_path / "own" / "data")
    hub.data_dir.parent.mkdir()
    yield hub.start()
    hub.stop()


def metric(hub, name):
    return int(re.search(rf"^{name} (\d+)$", hub.request("GET", "/metrics").body.decode(), re.M)[1])


def reused(hub, user, repo, target):
    """Objects that git sent of a clone without looking at them: only bitmaps allow that."""
    done = subprocess.run(["git", "clone", "--bare", "--progress", address(hub, user, repo), target], capture_output=True, text=True, check=True, timeout=120)
    return int(re.search(r"pack-reused (\d+)", done.stderr)[1])


def wait_until(condition, seconds=90):
    deadline = time.time() + seconds
    while not condition() and time.time() < deadline:
        time.sleep(0.2)
    assert condition()


def test_clones_are_counted_with_bitmaps_also_after_a_merge(own_hub, tmp_path):
    hub = own_hub
    user = hub.make_user("ada")
    repo = user.repo()
    work = clone(hub, user, repo, tmp_path / "work")
    for i in range(12):
        for k in range(250):
            path = work / f"{i}" / f"{k % 10}" / f"{k}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{i} {k}\n")
        git("add", "-A", cwd=work)
        git("commit", "-q", "-m", f"{i}", cwd=work)
        git("push", "-q", "origin", "HEAD", cwd=work)
    wait_until(lambda: metric(hub, "cairn_git_bitmaps_made_total") > 0)
    git("clone", "-q", "--bare", address(hub, user, repo), tmp_path / "first")
    assert compact(hub, repo)["packs_after"] < 5

    def clones_reuse(name, objects):
        """Of a new version each time, as answers are stored; bitmaps come some time later."""
        for i in range(30):
            (work / "later.txt").write_text(f"{name} {i}\n")
            git("add", "-A", cwd=work)
            git("commit", "-q", "-m", "later", cwd=work)
            git("push", "-q", "origin", "HEAD", cwd=work)
            if reused(hub, user, repo, tmp_path / f"{name}-{i}") > objects:
                return
            time.sleep(1)
        raise AssertionError(f"no clone reuses {objects} objects")

    clones_reuse("second", 200)  # of the largest pack
    assert metric(hub, "cairn_git_cache_rebuilds_total") == 0
    for path in (hub.data_dir / "git").glob("*.git"):
        shutil.rmtree(path)
    clone(hub, user, repo, tmp_path / "third")
    clones_reuse("fourth", 3000)  # all of the merged pack
    last = clone(hub, user, repo, tmp_path / "last")
    assert git("rev-parse", "HEAD", cwd=last) == git("rev-parse", "HEAD", cwd=work)
    assert metric(hub, "cairn_git_bitmaps_failed_total") == 0


def test_the_hub_merges_packs_by_itself(hub, user):
    repo = user.repo()
    for i in range(COMMITS + 20):
        assert hub.commit(user.token, repo, {"a.txt": f"{i}\n".encode()}).status == 200
    time.sleep(3)
    assert compact(hub, repo)["packs_before"] < COMMITS


def test_only_an_administrator_may_ask_for_it(hub, user):
    repo = user.repo()
    assert hub.request("POST", f"/api/admin/repos/model/{repo}/compact", token=user.token).status == 403
    assert hub.request("POST", f"/api/admin/repos/model/{user.name}/none/compact", token=hub.admin_token).status == 404

"""A long history of many files, generated: pushed at once, cloned whole, shallow and partly, and read by the Hub API. (ops/bench has the same at full length.)"""
import subprocess

import pytest

from git_client import Git
from git_history import make_history
from git_work import url_of

COMMITS, FILES = 1500, 3000


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("history") / "source.git"
    make_history(path, COMMITS, FILES)
    return path


@pytest.fixture(scope="module")
def pushed(hub, source):
    user = hub.make_user("historian")
    repo = user.repo()
    subprocess.run(["git", "push", "-q", "--force", url_of(hub, repo, user), "main"], cwd=source, check=True, timeout=300)
    return repo


def ask(path, *arguments):
    return subprocess.run(["git", *arguments], cwd=path, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_a_whole_clone_is_the_source(hub, pushed, source, tmp_path, protocol):
    git = Git(hub, tmp_path, protocol=protocol)
    clone = git.clone(pushed, "--bare")
    git.fsck(clone)
    assert ask(clone, "rev-parse", "main") == ask(source, "rev-parse", "main")
    assert ask(clone, "rev-list", "--count", "main") == str(COMMITS)
    assert ask(clone, "rev-list", "--objects", "--no-object-names", "main") == ask(source, "rev-list", "--objects", "--no-object-names", "main")


def test_a_shallow_clone_deepens_step_by_step(hub, pushed, source, tmp_path):
    git = Git(hub, tmp_path)
    clone = git.clone(pushed, "--depth", "1")
    git.fsck(clone)
    assert len(git.log(clone)) == 1 and len(ask(clone, "ls-files").splitlines()) == len(ask(source, "ls-tree", "-r", "--name-only", "main").splitlines())
    git.run("fetch", "-q", "--deepen", "100", cwd=clone)
    assert len(git.log(clone)) == 101
    git.run("fetch", "-q", "--shallow-since", "1600000000 +0000", cwd=clone)
    git.run("fetch", "-q", "--depth", "10", cwd=clone)
    assert len(git.log(clone, "origin/main")) == 10
    git.run("fetch", "-q", "--unshallow", cwd=clone)
    git.fsck(clone)
    assert git.log(clone) == ask(source, "rev-list", "main").split()


@pytest.mark.parametrize("wanted", ["blob:none", "tree:0", "blob:limit=200"])
def test_a_partial_clone_gets_the_rest_later(hub, pushed, source, tmp_path, wanted):
    git = Git(hub, tmp_path)
    clone = git.clone(pushed, f"--filter={wanted}", "--no-checkout")
    missing = ask(clone, "rev-list", "--objects", "--missing=print", "main").splitlines()
    assert sum(line.startswith("?") for line in missing) > 0
    git.run("checkout", "-q", "main", cwd=clone)
    git.fsck(clone)
    assert ask(clone, "rev-parse", "HEAD^{tree}") == ask(source, "rev-parse", "main^{tree}")
    assert git.run("status", "--porcelain", cwd=clone) == ""
    old = ask(source, "rev-parse", "main~700")
    assert ask(clone, "show", f"{old}:folder-000/part-00/file-000000.txt") == ask(source, "show", f"{old}:folder-000/part-00/file-000000.txt")


def test_the_api_tells_the_same_history(hub, pushed, source):
    commits = hub.request("GET", f"/api/models/{pushed}/commits/main?limit=1000").json()
    assert [commit["id"] for commit in commits] == ask(source, "rev-list", "-n", str(len(commits)), "main").split() and len(commits) > 40
    assert len(hub.request("GET", f"/api/models/{pushed}").json()["siblings"]) == len(ask(source, "ls-tree", "-r", "--name-only", "main").splitlines())

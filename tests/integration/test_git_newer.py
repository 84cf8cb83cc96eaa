"""A newer generation of git than the one that serves: clones of every kind, fetches and pushes, in every protocol."""
import pytest

from git_client import NEWER, Git, GitError
from samples import random_bytes

pytestmark = pytest.mark.skipif(not NEWER.exists(), reason="there is no newer git for this machine")


@pytest.fixture(params=(0, 1, 2))
def tool(hub, user, tmp_path, request):
    return Git(hub, tmp_path, user.name, user.token, request.param, program=NEWER)


def write_and_commit(tool, clone, path, data):
    (clone / path).write_bytes(data)
    tool.run("add", "-A", cwd=clone)
    tool.run("commit", "-q", "-m", path, cwd=clone)
    return tool.head(clone)


def test_it_is_newer(tool):
    assert tuple(map(int, tool.run("version").split()[2].split(".")[:2])) >= (2, 47)


def test_clones_fetches_and_pushes(hub, user, tool):
    repo = user.repo()
    for i in range(5):
        assert hub.commit(user.token, repo, {"a.txt": f"{i}\n".encode()}).status == 200
    clone, shallow, partial = (tool.clone(repo, *options) for options in ((), ("--depth", "2"), ("--filter=blob:none",)))
    assert len(tool.log(clone)) == 6 and len(tool.log(shallow)) == 2
    tool.run("fetch", "-q", "--unshallow", cwd=shallow)
    assert tool.log(shallow) == tool.log(clone)
    assert (partial / "a.txt").read_text() == "4\n"
    head = write_and_commit(tool, clone, "b.bin.txt", random_bytes(f"newer {repo}", 300_000))
    tool.run("push", "-q", "origin", "HEAD:main", cwd=clone)
    assert tool.ls_remote(repo)["refs/heads/main"] == head
    assert hub.request("GET", f"/{repo}/resolve/main/b.bin.txt", token=user.token).body == (clone / "b.bin.txt").read_bytes()
    for other in (shallow, partial):
        tool.run("pull", "-q", "--ff-only", cwd=other)
        assert tool.head(other) == head
    tool.run("push", "-q", "--atomic", "origin", "HEAD:refs/heads/one", "HEAD:refs/heads/two", "HEAD:refs/tags/t", cwd=shallow)
    tool.run("push", "-q", "origin", "--delete", "one", cwd=shallow)
    assert set(tool.ls_remote(repo)) >= {"refs/heads/main", "refs/heads/two", "refs/tags/t"}
    for each in (clone, shallow):
        tool.fsck(each)


def test_a_refusal_is_shown(hub, user, tool):
    repo = user.repo()
    clone = tool.clone(repo)
    write_and_commit(tool, clone, "large.dat", random_bytes("newer large", 11 << 20))
    with pytest.raises(GitError) as refused:
        tool.run("push", "origin", "HEAD:main", cwd=clone)
    assert "large.dat" in refused.value.said and "git lfs migrate import" in refused.value.said

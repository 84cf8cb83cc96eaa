"""What git pushes and what the Hub API commits are one history: races between both, and what follows from a push elsewhere."""
import concurrent.futures
import itertools

import pytest

from git_work import Work, check_clone, refs
from hub_process import Hub
from test_webhooks import Receiver, hook

ROUNDS = 12
CARD = "---\ntags: [{tag}]\nlicense: mit\n---\n# Card of a push\n"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    hub = Hub(tmp_path_factory.mktemp("truth") / "data")
    hub.environment = {"CAIRN_WEBHOOKS_PRIVATE": "1"}  # it may deliver to this machine
    yield hub.start()
    assert hub.stop() == 0, hub.tail()


@pytest.fixture
def user(hub):
    return hub.make_user(f"truth-{next(numbers)}")


def test_of_a_push_and_a_commit_on_one_parent_one_wins_and_the_other_is_told(hub, user, tmp_path):
    repo = user.repo()
    work = Work(hub, repo, user, tmp_path / "work", clone=True)
    winners = {"git": 0, "api": 0}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            base = work.head()
            pushed = work.commit({"both.txt": f"git {number}\n", f"git-{number}.txt": "x\n"})
            # The push is the slower one: it needs a head start to win some rounds.
            push = pool.submit(work.run, "push", "origin", "HEAD:main")
            if number % 2:
                concurrent.futures.wait([push], timeout=0.05 * (number % 5))
            commit = hub.commit(user.token, repo, {"both.txt": b"api %d\n" % number, f"api-{number}.txt": b"x\n"}, parent=base)
            push = push.result()
            said, head = push.stderr.decode(), refs(hub, repo)["refs/heads/main"]
            if push.returncode == 0:
                assert commit.status == 412 and head == pushed, (commit, head)
                winners["git"] += 1
            else:
                assert commit.status == 200 and head == commit.json()["commitOid"], (commit, said)
                assert "fetch first" in said or "cannot lock ref" in said, said
                winners["api"] += 1
            work.git("fetch", "-q", "origin", "main")
            work.git("reset", "-q", "--hard", "FETCH_HEAD")
    clone = check_clone(hub, repo, user, tmp_path / "clone")
    names = clone.ask("ls-files").splitlines()
    assert sum(name.startswith("git-") for name in names) == winners["git"] and sum(name.startswith("api-") for name in names) == winners["api"], winners
    assert sum(winners.values()) == ROUNDS


def test_a_push_is_told_to_webhooks_and_found_by_search(hub, user, tmp_path):
    receiver = Receiver()
    try:
        hook(hub, user, receiver, [{"type": "user", "name": user.name}], domains=["repo"])
        repo = user.repo()
        receiver.wait(2)
        work = Work(hub, repo, user, tmp_path / "work", clone=True)
        before, tag = work.head(), f"pushed-{user.name}"
        head = work.commit({"README.md": CARD.format(tag=tag)})
        work.push("origin", "HEAD:main", "HEAD:refs/tags/v1")
        assert tag in hub.request("GET", f"/api/models/{repo}").json()["tags"]
        hub.index_settled()  # a blink of an eye
        found = hub.request("GET", f"/api/models?filter={tag}").json()
        assert [model["id"] for model in found] == [repo]
        updated = {ref["ref"]: ref for payload in receiver.wait(4)[2:] for ref in payload["updatedRefs"]}
        assert updated["refs/heads/main"]["oldSha"] == before and updated["refs/heads/main"]["newSha"] == head
        assert updated["refs/tags/v1"]["newSha"] == head
    finally:
        receiver.close()

"""Garbage is collected without any grace beside calls that name what is stored: what they answer for stays, and what is gone already they refuse to name."""
import base64
import contextlib
import hashlib
import json
import random
import shutil
import threading
import time

import pytest

from hub_process import BUILD
from git_work import Work, check_clone
from samples import random_bytes
from xet_wire import File, Xorb, shard, text

SECONDS, SECONDS_MAX = 6, 180  # more when the machine is busy
FILES = 150   # of a batch, put there one by one
OBJECTS = 10  # of a repository that is duplicated
PACKS = 8
RESTORED = 6
ROUNDS_MIN = 3
SLOW_NAMES = "sync raftlog 1 SLOW"


@pytest.fixture
def hub(make_hub, tmp_path):
    """It takes long until a proposal is durable: a collection fits between what a call looks at and its name."""
    fault = tmp_path / "io-fault"
    fault.write_text("")
    hub = make_hub(tmp_path / "data", "--volume-size", "32M")
    hub.stop()
    hub.environment = {"LD_PRELOAD": str(BUILD / "libio_fault.so"), "IO_FAULT": str(fault)}
    hub.fault = fault
    return hub.start()


@contextlib.contextmanager
def collections(hub):
    """One after the other; the list of their reports."""
    reports, stopping = [], threading.Event()

    def collect():
        while not stopping.is_set():
            reports.append(hub.operation("gc", grace_ms=0))
    collector = threading.Thread(target=collect, daemon=True)
    hub.fault.write_text(SLOW_NAMES)
    collector.start()
    try:
        yield reports
    finally:
        hub.fault.write_text("")
        stopping.set()
        collector.join(300)
    assert reports and all(report["state"] == "done" for report in reports), reports


def until_over(reached=lambda: True):
    """Numbers, for so long, at least a few, and until that is reached."""
    begin, number = time.monotonic(), 0
    while number < ROUNDS_MIN or time.monotonic() < begin + SECONDS or (not reached() and time.monotonic() < begin + SECONDS_MAX):
        yield number
        number += 1


def put_lfs(hub, user, repo, data):
    """Its line in a commit."""
    oid = hashlib.sha256(data).hexdigest()
    actions = hub.lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0].get("actions")
    if actions:
        assert hub.request("PUT", actions["upload"]["href"], data).status == 200
    return oid, len(data)


def commit_lfs(hub, user, repo, path, data, **more):
    oid, size = put_lfs(hub, user, repo, data)
    answer = hub.commit(user.token, repo, [("lfsFile", {"path": path, "algo": "sha256", "oid": oid, "size": size})], **more)
    assert answer.status == 200, answer
    return answer.json()["commitOid"]


def call(hub, user, method, repo, path, body=None):
    return hub.request(method, f"/api/models/{repo}/{path}", body, token=user.token)


def leave_on_a_branch(hub, user, repo, branch, data):
    """A commit that no ref reaches any more."""
    assert call(hub, user, "POST", repo, f"branch/{branch}", {}).status == 200
    commit = commit_lfs(hub, user, repo, "weights.bin", data, revision=branch)
    assert call(hub, user, "DELETE", repo, f"branch/{branch}").status == 200
    return commit


def content(hub, repo, revision, path="weights.bin"):
    answer = hub.request("GET", f"/{repo}/resolve/{revision}/{path}")
    return answer.body if answer.status == 200 else answer


def test_the_pack_of_a_squash_stays(hub, tmp_path):
    user = hub.make_user("squasher")
    repos = [user.repo() for _ in range(4)]
    failures = []

    def squash(repo):
        for number in until_over():
            answer = call(hub, user, "POST", repo, "super-squash/main", {"message": f"{repo} {number}"})
            if answer.status != 200:
                failures.append(answer)
                return
    for number, repo in enumerate(repos):
        assert hub.commit(user.token, repo, {"a.txt": b"of %d" % number}).status == 200
    with collections(hub):
        squashers = [threading.Thread(target=squash, args=(repo,)) for repo in repos]
        for squasher in squashers:
            squasher.start()
        for squasher in squashers:
            squasher.join(300)
    assert not failures, failures
    assert hub.stop() == 0, hub.tail()
    shutil.rmtree(hub.data_dir / "git", ignore_errors=True)
    hub.start()
    for number, repo in enumerate(repos):
        assert (check_clone(hub, repo, user, tmp_path / f"clone-{number}").path / "a.txt").read_bytes() == b"of %d" % number


def test_files_put_into_a_bucket_stay(hub):
    user = hub.make_user("filler")
    assert hub.request("POST", f"/api/buckets/{user.name}/box", {}, token=user.token).status == 200
    acknowledged = 0
    with collections(hub):
        for number in until_over(lambda: acknowledged > 0):
            token = hub.request("GET", f"/api/buckets/{user.name}/box/xet-write-token", token=user.token).json()["accessToken"]
            xorb = Xorb([random.Random(f"{number}").randbytes(9000 + i) for i in range(FILES)])
            files = [File([(xorb, i, i + 1)]) for i in range(FILES)]
            hub.request("POST", xorb.path, xorb.body, token=token)
            if hub.request("POST", "/v1/shards", shard(files, [xorb]), token=token).status != 200:
                continue  # the xorb went before the shard named it
            lines = [{"type": "addFile", "path": f"{number}/{i}", "xetHash": text(file.hash)} for i, file in enumerate(files)]
            answer = hub.request("POST", f"/api/buckets/{user.name}/box/batch", "".join(json.dumps(line) + "\n" for line in lines).encode(),
                                 token=user.token, headers={"Content-Type": "application/x-ndjson"}).json()
            refused = {failure["path"] for failure in answer["failed"]}
            time.sleep(0.2)
            for i, file in enumerate(files):
                if f"{number}/{i}" not in refused:
                    acknowledged += 1
                    got = hub.request("GET", f"/buckets/{user.name}/box/resolve/{number}/{i}")
                    assert got.status == 200 and got.body == file.data, (number, i, got)
    assert acknowledged > 0


def test_a_duplicate_is_whole(hub):
    user = hub.make_user("copier")
    source = user.repo()
    objects = {f"l{i}.bin": random_bytes(f"copied {i}", 20_000) for i in range(OBJECTS)}
    lines = []
    for path, data in objects.items():
        oid, size = put_lfs(hub, user, source, data)
        lines.append(("lfsFile", {"path": path, "algo": "sha256", "oid": oid, "size": size}))
    assert hub.commit(user.token, source, lines).status == 200
    for i in range(PACKS):  # each is taken by itself, between the claims and the refs
        assert hub.commit(user.token, source, {f"e{i}.txt": b"%d" % i}).status == 200
    with collections(hub):
        for number in until_over():
            answer = call(hub, user, "POST", source, "duplicate", {"repository": f"{user.name}/copy-{number}"})
            assert answer.status == 200, answer
            for path, data in objects.items():
                assert content(hub, f"{user.name}/copy-{number}", "main", path) == data, (number, path)


@pytest.mark.parametrize("kind", ["branch", "tag"])
def test_a_ref_that_is_restored_while_garbage_is_collected_keeps_what_it_names(hub, kind):
    user = hub.make_user("restorer")
    repo, large = user.repo(), user.repo()
    assert hub.commit(user.token, repo, {"a.txt": b"a"}).status == 200
    for i in range(4):  # so that a collection has something to look at between this repository and its sweep
        assert hub.commit(user.token, large, {f"{i}/{k}.txt": b"%d %d" % (i, k) for k in range(1000)}).status == 200
    restored = 0
    for number in range(RESTORED):
        data = random_bytes(f"{kind} {number}", 50_000)
        commit = leave_on_a_branch(hub, user, repo, f"left-{number}", data)
        with contextlib.ExitStack() as stack:
            collector = threading.Thread(target=hub.operation, args=("gc",), kwargs={"grace_ms": 0})
            collector.start()
            stack.callback(collector.join)
            time.sleep(0.02 * number)
            if kind == "branch":
                answer = call(hub, user, "POST", repo, f"branch/back-{number}", {"startingPoint": commit})
            else:
                answer = call(hub, user, "POST", repo, f"tag/{commit}", {"tag": f"back-{number}", "message": "annotated" if number % 2 else ""})
        assert answer.status in (200, 409), answer
        if answer.status == 200:
            restored += 1
            assert content(hub, repo, f"back-{number}") == data, number
    assert restored > 0


def test_what_is_gone_is_not_named_again_before_it_is_sent_again(hub, tmp_path):
    user = hub.make_user("late")
    repo = user.repo()
    assert hub.commit(user.token, repo, {"a.txt": b"a"}).status == 200
    data = random_bytes("late", 50_000)
    commit = leave_on_a_branch(hub, user, repo, "left", data)
    assert hub.operation("gc", grace_ms=0)["result"]["claims_dropped"] >= 1
    line = {"key": "file", "value": {"path": "b.txt", "content": base64.b64encode(b"b").decode(), "encoding": "base64"}}
    on_it = "\n".join(json.dumps(each) for each in ({"key": "header", "value": {"summary": "on it", "parentCommit": commit}}, line)).encode()

    def calls():
        yield call(hub, user, "POST", repo, "branch/back", {"startingPoint": commit})
        yield call(hub, user, "POST", repo, "branch/main", {"startingPoint": commit, "overwrite": True})
        yield call(hub, user, "POST", repo, f"tag/{commit}", {"tag": "light"})
        yield call(hub, user, "POST", repo, f"tag/{commit}", {"tag": "heavy", "message": "annotated"})
        yield hub.request("POST", f"/api/models/{repo}/commit/main?create_pr=1", on_it, token=user.token, headers={"Content-Type": "application/x-ndjson"})
    for answer in calls():
        assert answer.status == 409 and f"the LFS object {hashlib.sha256(data).hexdigest()}" in answer.json()["error"], answer
    put_lfs(hub, user, repo, data)
    assert [answer.status for answer in calls()] == [200] * 5
    assert hub.operation("gc", grace_ms=0)["state"] == "done"
    for revision in ("back", "main", "light", "heavy", "refs%2Fpr%2F1"):
        assert content(hub, repo, revision) == data, revision


def test_commits_that_are_made_again_on_a_branch_that_moved_keep_their_files(hub):
    """Squashes move the branch between a commit's look and its command."""
    user = hub.make_user("rebaser")
    repo = user.repo()
    assert hub.commit(user.token, repo, {"a.txt": b"a"}).status == 200
    acknowledged, stopping = {}, threading.Event()

    def squash():
        while not stopping.is_set():
            call(hub, user, "POST", repo, "super-squash/main", {"message": f"{time.monotonic()}"})
            stopping.wait(random.uniform(0.1, 0.3))  # a commit gets through

    with collections(hub):
        squashers = [threading.Thread(target=squash) for _ in range(2)]
        for squasher in squashers:
            squasher.start()
        for number in until_over(lambda: acknowledged):
            data = random_bytes(f"rebased {number}", 2000)
            if hub.commit(user.token, repo, {f"{number}.txt": data}).status == 200:
                acknowledged[f"{number}.txt"] = data
        stopping.set()
        for squasher in squashers:
            squasher.join(300)
    assert hub.operation("gc", grace_ms=0)["state"] == "done"
    assert acknowledged
    for path, data in acknowledged.items():
        assert content(hub, repo, "main", path) == data, path


def test_a_branch_keeps_what_another_one_reached_that_is_deleted_meanwhile(hub):
    user = hub.make_user("brancher")
    repo = user.repo()
    assert hub.commit(user.token, repo, {"a.txt": b"a"}).status == 200
    data = random_bytes("branched", 50_000)
    commit = leave_on_a_branch(hub, user, repo, "left", data)
    made = 0
    for number in until_over(lambda: made > 0):
        put_lfs(hub, user, repo, data)
        assert call(hub, user, "POST", repo, "branch/left", {"startingPoint": commit}).status == 200
        hub.fault.write_text(SLOW_NAMES)
        answers = []
        deleter = threading.Thread(target=call, args=(hub, user, "DELETE", repo, "branch/left"))
        maker = threading.Thread(target=lambda: answers.append(call(hub, user, "POST", repo, "branch/here", {"startingPoint": commit})))
        deleter.start()
        time.sleep(random.uniform(0, 0.1))
        maker.start()
        deleter.join(300)
        assert hub.operation("gc", grace_ms=0)["state"] == "done"
        maker.join(300)
        hub.fault.write_text("")
        assert answers[0].status in (200, 409), answers
        if answers[0].status == 200:
            made += 1
            assert content(hub, repo, "here") == data, number
            assert call(hub, user, "DELETE", repo, "branch/here").status == 200
    assert made > 0


def test_a_push_without_a_pack_keeps_what_it_names(hub, tmp_path):
    """The commit is known, and reached by a ref that is deleted meanwhile."""
    user = hub.make_user("pusher")
    repo = user.repo()
    assert hub.commit(user.token, repo, {"a.txt": b"a"}).status == 200
    work = Work(hub, repo, user, tmp_path / "work", clone=True)
    data = random_bytes("pushed alone", 50_000)
    commit = leave_on_a_branch(hub, user, repo, "left", data)
    accepted, seconds = 0, 0.5  # of a push; the ref goes somewhere in its second half
    for number in until_over(lambda: accepted > 0):
        put_lfs(hub, user, repo, data)
        assert call(hub, user, "POST", repo, "branch/left", {"startingPoint": commit}).status == 200
        work.git("fetch", "-q", "origin", "left")
        hub.fault.write_text(SLOW_NAMES)
        begun, pushed = time.monotonic(), []

        def push():
            pushed.append((work.run("push", "-q", "--no-verify", "origin", f"{commit}:refs/heads/here"), time.monotonic()))
        pusher = threading.Thread(target=push)
        pusher.start()
        time.sleep(seconds * random.uniform(0.3, 0.8))
        assert call(hub, user, "DELETE", repo, "branch/left").status == 200
        assert hub.operation("gc", grace_ms=0)["state"] == "done"
        pusher.join(300)
        hub.fault.write_text("")
        done, ended = pushed[0]
        seconds = ended - begun
        assert done.returncode == 0 or b"LFS objects are missing" in done.stderr, done.stderr
        if done.returncode == 0:
            accepted += 1
            assert content(hub, repo, "here") == data, number
            assert call(hub, user, "DELETE", repo, "branch/here").status == 200
    assert accepted > 0

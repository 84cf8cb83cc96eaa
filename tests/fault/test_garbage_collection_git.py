"""Garbage is collected without any grace while git pushes, rewrites and deletes branches: nothing that a ref reaches goes."""
import base64
import json
import shutil
import threading
import time

from git_work import Work, check_clone, refs
from samples import random_bytes

SECONDS, SECONDS_MAX = 12, 240  # more when the machine is busy


class Pusher(threading.Thread):
    def __init__(self, hub, repo, user, directory, number, stopping):
        super().__init__(daemon=True)
        self.number, self.stopping, self.failure, self.pushes = number, stopping, None, 0
        self.work = Work(hub, repo, user, directory / f"gc-{number}", clone=True)
        self.work.write({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})

    def run(self):
        try:
            while not self.stopping.is_set():
                self.pushes += 1
                name = f"{self.number}-{self.pushes}"
                self.work.commit({"changes.txt": name, f"{name}.txt": random_bytes(f"gc {name}", 30_000), "large.bin": random_bytes(f"gc lfs {name}", 150_000)}, name)
                self.push(f"HEAD:refs/heads/b{self.number}", f"HEAD:refs/heads/gone{self.number}")
                self.work.push("-q", "origin", "--delete", f"gone{self.number}")
                if self.pushes % 4 == 0:  # the last three commits are reached by nothing any more
                    self.work.git("reset", "-q", "--soft", "HEAD~3")
        except BaseException as error:  # noqa: BLE001 - told by whoever waits
            self.failure = error

    def push(self, *refspecs):
        """Without grace an LFS object may be collected before the push that names it: that is said, and it is sent again."""
        for _ in range(30):
            done = self.work.run("push", "-q", "--force", "origin", *refspecs)
            text = done.stderr.decode(errors="replace")
            if done.returncode == 0:
                return
            assert any(reason in text for reason in ("LFS objects are missing", "The object is not stored", "send it once more")), text
            self.work.run("lfs", "push", "--all", "origin")
        raise AssertionError("never got through")


def test_no_collection_takes_what_a_push_brings(hub, tmp_path):
    user = hub.make_user("git-gc")
    repo = user.repo()
    stopping = threading.Event()
    pushers = [Pusher(hub, repo, user, tmp_path, number, stopping) for number in range(3)]
    for pusher in pushers:
        pusher.start()
    collections = 0
    begun = time.monotonic()
    while (seconds := time.monotonic() - begun) < SECONDS or (seconds < SECONDS_MAX and any(pusher.pushes <= 3 for pusher in pushers)):
        operation = hub.operation("gc", grace_ms=0)
        assert operation["state"] == "done", operation
        collections += 1
    stopping.set()
    for pusher in pushers:
        pusher.join(300)
        assert not pusher.is_alive() and pusher.failure is None, pusher.failure
    assert hub.operation("gc", grace_ms=0)["state"] == "done"
    print(collections, "collections,", sum(pusher.pushes for pusher in pushers), "pushes")
    assert collections > 2 and all(pusher.pushes > 2 for pusher in pushers)
    for pusher in pushers:
        branch = f"b{pusher.number}"
        clone = check_clone(hub, repo, user, tmp_path / f"clone-{branch}", ("--branch", branch))
        assert clone.head() == refs(hub, repo)[f"refs/heads/{branch}"]
        for path in clone.ask("ls-files").split():
            answer = hub.request("GET", f"/{repo}/resolve/{branch}/{path}")
            assert answer.status == 200 and answer.body == (clone.path / path).read_bytes(), (path, answer)
    assert hub.stop() == 0, hub.tail()


def test_history_that_no_ref_reaches_keeps_its_files(hub, tmp_path):
    """Clones are made of whole packs, so these stay complete; and a ref may be set back to an old commit."""
    user = hub.make_user("git-old")
    repo = user.repo()
    committed, pushed = random_bytes("old committed", 30_000), random_bytes("old pushed", 30_000)
    hub.commit(user.token, repo, [("file", {"path": "kept.txt", "content": "kept"})])
    work = Work(hub, repo, user, tmp_path / "work", clone=True)
    work.commit({"pushed.txt": pushed}, "pushed")
    work.push("-q", "origin", "HEAD:refs/heads/old-pushed")
    assert hub.request("POST", f"/api/models/{repo}/branch/old-committed", {}, token=user.token).status == 200
    content = base64.b64encode(committed).decode()
    lines = [{"key": "header", "value": {"summary": "old"}}, {"key": "file", "value": {"path": "committed.txt", "content": content, "encoding": "base64"}}]
    answer = hub.request("POST", f"/api/models/{repo}/commit/old-committed", "\n".join(map(json.dumps, lines)).encode(), token=user.token,
                         headers={"Content-Type": "application/x-ndjson"})
    old = {"committed": answer.json()["commitOid"], "pushed": work.head()}
    for branch in old:
        work.push("-q", "origin", "--delete", f"old-{branch}")
    for _ in range(2):
        assert hub.operation("gc", grace_ms=0)["state"] == "done"
    assert hub.stop() == 0, hub.tail()
    shutil.rmtree(hub.data_dir / "git")
    hub.start()
    assert check_clone(hub, repo, user, tmp_path / "clone").head() == refs(hub, repo)["refs/heads/main"]
    for name, oid in old.items():
        assert hub.request("POST", f"/api/models/{repo}/branch/back-{name}", {"startingPoint": oid}, token=user.token).status == 200
        assert hub.request("GET", f"/{repo}/resolve/back-{name}/{name}.txt").body == {"committed": committed, "pushed": pushed}[name]
    check_clone(hub, repo, user, tmp_path / "clone-all", ("--mirror",))
    assert hub.stop() == 0, hub.tail()

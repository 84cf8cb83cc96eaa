"""Garbage is collected without any grace while git pushes, rewrites and deletes branches: nothing that a ref reaches goes."""
import threading

from git_work import Work, check_clone, refs
from samples import random_bytes

SECONDS = 12


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
    timer = threading.Timer(SECONDS, stopping.set)
    timer.start()
    while not stopping.is_set():
        operation = hub.operation("gc", grace_ms=0)
        assert operation["state"] == "done", operation
        collections += 1
    for pusher in pushers:
        pusher.join(120)
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

"""kill -9 of the server while several clients push with git: every push that was acknowledged is there, clones are sound, and an index that is made anew serves
the same."""
import shutil
import threading
import time

from git_work import Work, check_clone, refs
from samples import random_bytes

KILLS = 7
PUSHERS = 4


class Pusher(threading.Thread):
    """Pushes to a branch of its own and to one that all share; notes what git says has arrived."""

    def __init__(self, hub, repo, user, directory, number, acknowledged):
        super().__init__(daemon=True)
        self.number, self.acknowledged = number, acknowledged
        self.work = Work(hub, repo, user, directory / f"pusher-{number}", clone=True)
        self.work.write({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
        self.work.git("config", "lfs.transfer.maxretries", "1")
        self.stopping = threading.Event()
        self.round = 0
        self.failure = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.push_once()
        except BaseException as error:  # noqa: BLE001 - told by whoever waits
            self.failure = error

    def push_once(self):
        self.round += 1
        name = f"{self.number}-{self.round}"
        files = {f"d{self.round % 7}/{name}.txt": random_bytes(f"killed {name}", 100 * self.round % 60_000), f"all-{self.number}.txt": "x\n" * self.round}
        if self.round % 5 == 0:
            files[f"{name}.bin"] = random_bytes(f"killed lfs {name}", 200_000)
        self.work.commit(files, name)
        self.push(f"branch-{self.number}", files, "--force")  # others' commits come in below ours, so its history changes
        for _ in range(4):
            if self.stopping.is_set() or self.push("main", files):
                return
            if self.work.run("pull", "-q", "--rebase", "origin", "main").returncode != 0:
                self.work.run("rebase", "--abort")
                self.stopping.wait(0.1)

    def push(self, branch, files, *flags):
        oid = self.work.head()
        done = self.work.run("push", "-q", *flags, "origin", f"HEAD:refs/heads/{branch}")
        if done.returncode == 0:
            self.acknowledged.append((branch, oid, files))
        return done.returncode == 0


def check(hub, repo, user, directory, acknowledged):
    clone = check_clone(hub, repo, user, directory, ("--mirror",))
    main = set(clone.ask("rev-list", "main").split())
    lost = [(target, oid) for target, oid, _ in acknowledged if target == "main" and oid not in main]
    assert not lost, f"acknowledged and gone: {lost}"
    for _, oid, files in acknowledged[-10:]:
        if oid not in main:
            continue
        for path, data in files.items():
            answer = hub.request("GET", f"/{repo}/resolve/{oid}/{path}")
            assert answer.status == 200 and answer.body == (data if isinstance(data, bytes) else data.encode()), (path, answer)
    shutil.rmtree(directory)


def test_every_acknowledged_push_survives_kills_and_a_new_index(hub, check_disk, tmp_path, chance):
    user = hub.make_user("git-pusher")
    repo = user.repo()
    acknowledged = []
    pushers = [Pusher(hub, repo, user, tmp_path, number, acknowledged) for number in range(PUSHERS)]
    for pusher in pushers:
        pusher.start()
    for kill in range(KILLS):
        time.sleep(chance.uniform(1, 3.5))
        hub.kill()
        hub.start()
        if kill % 3 == 2:
            check(hub, repo, user, tmp_path / f"check-{kill}", list(acknowledged))
    time.sleep(2)
    for pusher in pushers:
        pusher.stopping.set()
    for pusher in pushers:
        pusher.join(120)
        assert not pusher.is_alive() and pusher.failure is None, pusher.failure
    print(len(acknowledged), "pushes acknowledged")
    assert sum(target == "main" for target, _, _ in acknowledged) > 10
    assert not list((hub.data_dir / "tmp").glob("scratch-push*")), "directories of pushes were left behind"
    check(hub, repo, user, tmp_path / "check-end", acknowledged)
    before = refs(hub, repo)
    assert hub.stop() == 0, hub.tail()
    check_disk(hub)  # makes the index anew, too
    shutil.rmtree(hub.data_dir / "git", ignore_errors=True)
    hub.start()
    assert refs(hub, repo) == before
    check(hub, repo, user, tmp_path / "check-rebuilt", acknowledged)
    clone = Work(hub, repo, user, tmp_path / "lfs", clone=True)
    assert all((clone.path / path).stat().st_size == 200_000 for path in clone.ask("ls-files", "*.bin").split())
    assert hub.stop() == 0, hub.tail()

"""kill -9 of the server while many clients push and clone with git: every push that was acknowledged is there, clones are sound, and an index that is made
anew serves the same."""
import shutil
import threading
import time

from chaos_proxy import eventually
from git_client import Git, GitError
from git_work import Work, check_clone, refs
from samples import random_bytes

KILLS = 7
PUSHERS = 8
CLONERS = 16
ACKNOWLEDGED_MIN = 10  # on the branch that all share
KINDS = ((), ("--mirror",), ("--depth", "3"), ("--filter=blob:none", "--bare"))  # of clones
UNSOUND = ("corrupt", "bad object", "missing blob", "missing tree", "missing commit", "did not send all", "did not receive expected", "inflate", "not found",
           "unresolved", "index-pack failed: ", "broken link")


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


class Cloner(threading.Thread):
    """Clones all the time. A clone may fail, since the server does; one that git calls whole is."""

    def __init__(self, hub, repo, directory, number):
        super().__init__(daemon=True)
        self.git, self.repo, self.number = Git(hub, directory, protocol=number % 3), repo, number
        self.stopping = threading.Event()
        self.clones = 0
        self.failure = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.clone_once(KINDS[(self.number + self.clones) % len(KINDS)])
        except BaseException as error:  # noqa: BLE001 - told by whoever waits
            self.failure = error

    def clone_once(self, options):
        try:
            path = self.git.clone(self.repo, *options)
        except GitError as error:
            assert not any(word in error.said for word in UNSOUND), error
            self.stopping.wait(0.3)
            return
        self.git.fsck(path)
        self.git.remove(path)
        self.clones += 1
        self.stopping.wait(0.5)


def stop(threads):
    for thread in threads:
        thread.stopping.set()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive() and thread.failure is None, thread.failure


def has_failed(threads):
    return any(thread.failure for thread in threads)


def to_main(acknowledged):
    return [oid for branch, oid, _ in list(acknowledged) if branch == "main"]


def clone_unless_busy(hub, repo, user, directory):
    """None: the others leave no room for one more."""
    try:
        return check_clone(hub, repo, user, directory, ("--mirror",))
    except AssertionError as error:
        if "error: 503" not in str(error):
            raise
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(directory.with_name(directory.name + "-home"))
        return None


def check(hub, repo, user, directory, acknowledged):
    clone = eventually(lambda: clone_unless_busy(hub, repo, user, directory), 60, "a clone")
    main = set(clone.ask("rev-list", "main").split())
    lost = [oid for oid in to_main(acknowledged) if oid not in main]
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
    cloners = [Cloner(hub, repo, tmp_path / "clones", number) for number in range(CLONERS)]
    for thread in pushers + cloners:
        thread.start()
    for kill in range(KILLS):
        time.sleep(chance.uniform(1, 3.5))
        hub.kill()
        hub.start()
        if kill % 3 == 2:
            check(hub, repo, user, tmp_path / f"check-{kill}", list(acknowledged))
    eventually(lambda: has_failed(cloners) or sum(cloner.clones for cloner in cloners) >= CLONERS, 60, "clones")
    stop(cloners)
    eventually(lambda: has_failed(pushers) or len(to_main(acknowledged)) > ACKNOWLEDGED_MIN, 60, "pushes are acknowledged")
    stop(pushers)
    clones = [cloner.clones for cloner in cloners]
    print(len(acknowledged), "pushes acknowledged,", clones, "clones")
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

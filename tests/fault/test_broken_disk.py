"""A disk that answers with errors: syncs, writes and reads fail one by one while clients push; nothing acknowledged is lost, nothing wrong is handed out."""
import time

import pytest

from hub_process import BUILD, STOP_SECONDS_MAX
from ledger import Lost, digest, heard
from pushers import Crowd
from samples import random_bytes

SECONDS = 3
EXIT_STORE_FAILED = 70
LOOK_SECONDS = 0.2  # until a process has read that its disk is another one now


class Disk:
    """Breaks calls of one hub on files whose path contains a word."""

    def __init__(self, path):
        self.path = path

    def breaks(self, call, files, every, error):
        self.path.write_text(f"{call} {files} {every} {error}\n")
        time.sleep(LOOK_SECONDS)

    def is_sound(self):
        self.path.write_text("")
        time.sleep(LOOK_SECONDS)


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path / "io-fault")


@pytest.fixture
def hub(make_hub, disk, tmp_path):
    library = BUILD / "libio_fault.so"
    assert library.exists(), f"{library} is not built"
    disk.path.write_text("")
    hub = make_hub(tmp_path / "data", "--volume-size", "32M")
    hub.stop()
    hub.environment = {"LD_PRELOAD": str(library), "IO_FAULT": str(disk.path)}
    return hub.start()


def push_while(ledger, seed, broken):
    """Clients push, the disk breaks, and they go on for a while."""
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    time.sleep(SECONDS / 2)
    crowd.may_be_refused()
    broken()
    time.sleep(SECONDS)
    crowd.stop()


def check_after_restart(hub, disk, ledger, check_disk):
    disk.is_sound()
    hub.start()
    ledger.check_all()
    user = ledger.user
    assert hub.commit(user.token, sorted(ledger.repos)[0], {"after.txt": b"sound again\n"}).status == 200
    assert hub.stop() == 0, hub.tail()
    check_disk(hub)


@pytest.mark.parametrize("call, files, every, error", [
    ("sync", "store/volumes", 1, "EIO"), ("sync", "store/volumes", 5, "EIO"), ("write", "store/volumes", 1, "EIO"),
    ("write", "store/volumes", 20, "EIO"), ("write", "store/volumes", 10, "ENOSPC"), ("write", "store/index", 1, "EIO"),
])
def test_errors_of_the_store_are_told_and_lose_nothing(hub, disk, make_ledger, check_disk, seed, call, files, every, error):
    ledger = make_ledger(hub)
    push_while(ledger, seed, lambda: disk.breaks(call, files, every, error))
    if files != "store/index":  # Debian's RocksDB aborts, sooner or later, when its own files fail under it
        ledger.check_all()      # reading goes on
    if hub.is_running():
        hub.kill()
    check_after_restart(hub, disk, ledger, check_disk)


def test_after_a_failed_sync_nothing_is_written_any_more(hub, disk, make_ledger):
    """What the kernel dropped may have been anything: only a start that reads what is there knows."""
    user = hub.make_user("ada")
    repo = user.repo()
    disk.breaks("sync", "store/volumes", 1, "EIO")
    assert hub.commit(user.token, repo, {"a.txt": b"a\n"}).status >= 500
    disk.is_sound()
    assert hub.commit(user.token, repo, {"a.txt": b"a\n"}).status >= 500
    assert hub.request("GET", f"/{repo}/resolve/main/.gitattributes").status == 200
    hub.stop()
    hub.start()
    assert hub.commit(user.token, repo, {"a.txt": b"a\n"}).status == 200


def test_the_node_stops_when_its_log_cannot_be_made_durable(hub, disk, make_ledger, check_disk, seed):
    ledger = make_ledger(hub)
    push_while(ledger, seed, lambda: disk.breaks("sync", "meta/raftlog", 3, "EIO"))
    assert hub.process.wait(STOP_SECONDS_MAX) == EXIT_STORE_FAILED, hub.tail()
    check_after_restart(hub, disk, ledger, check_disk)


@pytest.mark.parametrize("call", ["write", "read"])
def test_half_done_calls_are_finished(hub, disk, make_ledger, check_disk, seed, call):
    ledger = make_ledger(hub)
    disk.breaks(call, "store/volumes", 2, "SHORT")
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    time.sleep(SECONDS)
    crowd.stop()
    ledger.check_all()
    assert hub.stop() == 0, hub.tail()
    check_after_restart(hub, disk, ledger, check_disk)


def test_what_cannot_be_read_is_never_made_up(hub, disk):
    user = hub.make_user("ada")
    repo = user.repo()
    data = random_bytes("unreadable", 3_000_000)
    [entry] = hub.lfs_batch(user.token, repo, [(digest(data), len(data))]).json()["objects"]
    assert hub.request("PUT", entry["actions"]["upload"]["href"], data).status == 200
    assert hub.commit(user.token, repo, [("lfsFile", {"path": "large.bin", "algo": "sha256", "oid": digest(data), "size": len(data)})]).status == 200
    good = bad = 0
    for every in (1, 2, 3, 7):
        disk.breaks("read", "store/volumes", every, "EIO")
        for _ in range(6):
            try:
                answer = heard(lambda: hub.request("GET", f"/{repo}/resolve/main/large.bin"), (200, 500))
                assert answer.status == 500 or answer.body == data
                good += answer.status == 200
                bad += answer.status == 500
            except Lost:
                bad += 1
    assert bad > 0, (good, bad)
    disk.is_sound()
    assert hub.request("GET", f"/{repo}/resolve/main/large.bin").body == data
    assert hub.operation("scrub")["result"]["corrupt"] == 0
    assert "actions" not in hub.lfs_batch(user.token, repo, [(digest(data), len(data))]).json()["objects"][0]
    assert hub.stop() == 0, hub.tail()

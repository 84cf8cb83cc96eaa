"""A restore that does not end: no server takes the half for a hub, and the next restore goes on from it."""
import json
import os
import resource
import shutil
import subprocess

import pytest

from chaos_proxy import eventually
from hub_process import CAIRN, Hub, cairn
from test_backup import assert_holds, fill, restore

SECONDS_MAX = 60
HALF = "a restore into {} did not end"


@pytest.fixture
def kept(hub, tmp_path):
    """A backup of three volumes: (directory, who reads, repository, files). The hub has stopped."""
    user = hub.make_user("ada")
    repo = user.repo()
    files = fill(hub, user, repo, "some", 8)
    cairn(hub, "backup", tmp_path / "backup")
    assert hub.stop() == 0
    assert len(list((tmp_path / "backup/volumes").iterdir())) >= 3
    return tmp_path / "backup", user, repo, files


def started(data_dir, log):
    """What a server says that does not start."""
    hub = Hub(data_dir)
    hub.log = log
    try:
        with pytest.raises(RuntimeError) as told:
            hub.start()
    finally:
        hub.kill()
    assert hub.process.returncode == 1
    return str(told.value)


def volumes_of(data_dir):
    return {path.name: path.stat().st_ino for path in (data_dir / "store/volumes").iterdir() if path.suffix == ".vol"}


def test_a_restore_that_was_killed_goes_on(kept, make_hub, tmp_path):
    backup, user, repo, files = kept
    target = tmp_path / "restored"
    (backup / "admin-token").rename(tmp_path / "token")
    os.mkfifo(backup / "admin-token")  # is read behind the volumes, and waits there
    child = subprocess.Popen([CAIRN, "restore", backup, "--data", target], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wanted = len(json.loads((backup / "manifest.json").read_text())["volumes"])
    try:
        eventually(lambda: (target / "store/volumes").exists() and len(volumes_of(target)) == wanted, SECONDS_MAX, "the volumes")
        assert "another process uses" in started(target, tmp_path / "log")
        assert "another process uses" in restore(backup, target, status=1)
    finally:
        child.kill()
        child.wait()
    assert HALF.format(target) in started(target, tmp_path / "log")
    assert not (target / "meta").exists() and not (target / "store/index").exists()
    subprocess.run([CAIRN, "fsck", "--data", target], capture_output=True)  # makes an index of what is there
    before = volumes_of(target)

    (backup / "admin-token").unlink()
    (tmp_path / "token").rename(backup / "admin-token")
    told = restore(backup, target)
    assert HALF.format(target) in told and "going on with it" in told and "restored the hub" in told
    assert volumes_of(target) == before  # none was copied again
    assert not (target / "restoring").exists()
    hub = make_hub(target, "--volume-size", "32M")
    assert_holds(hub, user, repo, files)
    hub.stop()
    assert "is not empty" in restore(backup, target, status=1)


def test_a_restore_that_fails_says_that_it_can_go_on(kept, make_hub, tmp_path):
    backup, user, repo, files = kept
    target = tmp_path / "restored"
    last = sorted((backup / "volumes").iterdir())[-1]
    last.rename(tmp_path / "last")
    told = restore(backup, target, status=1)
    assert f"cannot read {last}" in told and "the same command goes on" in told
    assert HALF.format(target) in started(target, tmp_path / "log")
    before = volumes_of(target)
    assert len(before) >= 2
    (tmp_path / "last").rename(last)
    restore(backup, target)
    after = volumes_of(target)
    assert len(after) == len(before) + 1 and before.items() <= after.items()
    assert_holds(make_hub(target, "--volume-size", "32M"), user, repo, files)


def test_a_restore_that_was_killed_within_a_file_goes_on(kept, make_hub, tmp_path):
    backup, user, repo, files = kept
    target = tmp_path / "restored"
    (target / "lost+found").mkdir(parents=True)

    def few_bytes():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10 << 20, 10 << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    assert subprocess.run([CAIRN, "restore", backup, "--data", target], preexec_fn=few_bytes, capture_output=True).returncode < 0
    assert [path.suffix for path in (target / "store/volumes").iterdir()] == [".part"]
    restore(backup, target)
    assert_holds(make_hub(target, "--volume-size", "32M"), user, repo, files)


def test_the_half_of_another_backup_is_replaced(kept, make_hub, tmp_path):
    backup, _, _, _ = kept
    target = tmp_path / "restored"
    next((backup / "volumes").glob("00000001*")).rename(tmp_path / "first")
    restore(backup, target, status=1)
    other = make_hub(tmp_path / "other-data", "--volume-size", "32M")
    user = other.make_user("grace")
    repo = user.repo()
    files = fill(other, user, repo, "others", 1)
    cairn(other, "backup", tmp_path / "apart")
    assert "beginning anew" in restore(tmp_path / "apart", target)
    assert_holds(make_hub(target, "--volume-size", "32M"), user, repo, files)


def test_a_restore_that_lacks_only_its_end_is_ended(kept, make_hub, tmp_path):
    backup, user, repo, files = kept
    target = tmp_path / "restored"
    last = sorted((backup / "volumes").iterdir())[-1]
    last.rename(tmp_path / "last")
    restore(backup, target, status=1)
    mark = (target / "restoring").read_bytes()
    (tmp_path / "last").rename(last)
    restore(backup, target)
    (target / "restoring").write_bytes(mark)  # killed before it was gone
    assert HALF.format(target) in started(target, tmp_path / "log")
    manifest = json.loads((backup / "manifest.json").read_text())
    shutil.copytree(backup, tmp_path / "later")
    (tmp_path / "later/manifest.json").write_text(json.dumps(manifest | {"created_at": "2030-01-01T00:00:00Z"}))
    assert "holds another backup" in restore(tmp_path / "later", target, status=1)
    names = (target / "meta").stat().st_ino
    assert "going on with it" in restore(backup, target)
    assert (target / "meta").stat().st_ino == names
    assert_holds(make_hub(target, "--volume-size", "32M"), user, repo, files)


def test_nothing_is_made_in_a_directory_that_is_not_empty(kept, tmp_path):
    backup, _, _, _ = kept
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("not yours")
    assert "is not empty" in restore(backup, tmp_path / "mine", status=1)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]

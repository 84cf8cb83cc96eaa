"""The index that a rebuild replaces may know what is damaged in the volumes: it is kept."""
import shutil
import subprocess

from hub_process import CAIRN
from samples import random_bytes


def rebuild(hub):
    done = subprocess.run([CAIRN, "fsck", "--data", hub.data_dir, "--rebuild-index"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_index_before_a_rebuild_is_kept_until_it_is_removed(hub):
    user = hub.make_user("ada")
    repo, data = user.repo(), random_bytes("a", 300_000)
    assert hub.commit(user.token, repo, {"a.bin": data}).status == 200
    assert hub.stop() == 0
    index, before = hub.data_dir / "store/index", hub.data_dir / "store/index-before"
    first = index.stat().st_ino
    assert f"the one before is in {before}" in rebuild(hub)
    assert before.stat().st_ino == first
    rebuild(hub)  # what was made of the volumes does not take its place
    assert before.stat().st_ino == first
    shutil.rmtree(index)
    before.rename(index)  # the way back
    hub.start()
    assert hub.request("GET", f"/{repo}/resolve/main/a.bin", token=user.token).body == data
    assert hub.stop() == 0
    rebuild(hub)
    shutil.rmtree(before)
    hub.start()
    assert hub.request("GET", f"/{repo}/resolve/main/a.bin", token=user.token).body == data
    assert hub.stop() == 0
    shutil.rmtree(index)
    assert "the one before" not in rebuild(hub)  # there was none
    assert not before.exists()

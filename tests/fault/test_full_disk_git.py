"""A full disk and git: a push that does not fit is refused with a reason and leaves nothing; what is there is still served, and room is all that is needed to
push again."""
import shutil

from chaos_proxy import eventually
from git_work import Work, check_clone
from samples import random_bytes

DISK_BYTES = 1 << 30


def test_a_push_that_does_not_fit_is_refused_and_leaves_nothing(make_disk, make_hub, tmp_path):
    disk = make_disk(DISK_BYTES)
    hub = make_hub(disk.path / "data", "--volume-size", "32M", "--reserve", "64M")
    user = hub.make_user("git-full")
    repo = user.repo()
    work = Work(hub, repo, user, tmp_path / "work", clone=True)
    kept = work.commit({"kept": random_bytes("kept", 2_000_000)})
    work.push()
    disk.fill(leave_bytes=150 << 20)
    head = work.commit({f"{i}.bin": random_bytes(f"full {i}", 8_000_000) for i in range(16)})
    text = work.refused("origin", "HEAD:main", timeout=300)
    assert "remote rejected" in text and "out of disk space" in text, text
    assert not list((hub.data_dir / "tmp").glob("scratch-push*"))
    assert hub.request("GET", f"/api/models/{repo}").json()["sha"] == kept
    assert hub.request("GET", f"/{repo}/resolve/main/kept").body == random_bytes("kept", 2_000_000)
    disk.empty()
    eventually(lambda: work.run("push", "origin", "HEAD:main").returncode == 0, 20, "room for a push")
    clone = check_clone(hub, repo, user, tmp_path / "clone")
    assert clone.head() == head
    shutil.rmtree(clone.path)

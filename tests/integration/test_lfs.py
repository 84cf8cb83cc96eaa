"""git-lfs itself: objects of every size, transfers that are cut on either side, locks of two people."""
import hashlib
import json
import os
import shutil
import signal
import time

import pytest

from cutting_proxy import CuttingProxy
from hub_process import Hub, cairn
from lfs_client import Clone, batch, call, oid_of
from samples import digests, random_bytes

MIB = 1 << 20
# One object that is cut half-way. CAIRN_LFS_BYTES=5368709120 is the size that people have.
LARGE = int(os.environ.get("CAIRN_LFS_BYTES", 256 * MIB))
SIZES = [0, 1, 127, 1023, 1024, 65_536, 131_072, MIB - 1, MIB, 3 * MIB + 17, 8 * MIB, 12 * MIB]


@pytest.fixture
def people(hub, user, bob, tmp_path):
    """clone(user, repo): work trees of one shared repository."""
    made = []

    def clone(person, repo):
        made.append(person)
        return Clone(hub, person, repo, tmp_path / "shared.git", tmp_path / f"clone-{len(made)}")
    return clone


def downloads(hub):
    """What the access log has of them. It is written a little later than the answers."""
    time.sleep(1.5)
    log = open(hub.flags[hub.flags.index("--access-log") + 1])
    return [line for line in map(json.loads, log) if line["path"].startswith("/api/lfs/download/")]


def switch_locks(hub, repo, on=True):
    cairn(hub, "repo", "set", repo, "--lfs-locks", "on" if on else "off")


def test_files_of_every_size_go_up_and_come_back(hub, user, people, tmp_path):
    repo = user.repo()
    files = {f"size-{size}.bin": random_bytes(f"size {size}", size) for size in SIZES}
    writer = people(user, repo)
    writer.lfs("track", "*.bin")
    writer.commit(files)
    said = writer.git("push", "origin", "main")
    assert f"({len(SIZES) - 1}/{len(SIZES) - 1})" in said, said  # an empty file is no LFS object
    # The hub is asked for each of them, and nothing is sent twice.
    before = hub.stats()["acknowledged"]
    writer.lfs("push", "--all", "origin")
    assert hub.stats()["acknowledged"] == before
    reader = people(user, repo)
    reader.lfs("pull")
    assert {path: data for path, data in digests(reader.path).items() if path.endswith(".bin")} == {
        name: oid_of(data) for name, data in files.items()}
    reader.lfs("fsck")
    # A second reader fetches only what it checks out.
    other = people(user, repo)
    other.lfs("fetch", "--include", "size-1.bin")
    assert len([path for path in (other.path / ".git" / "lfs" / "objects").rglob("*") if path.is_file()]) == 1


def test_what_was_pushed_by_git_lfs_is_a_file_of_the_hub(hub, user, client, people, tmp_path):
    repo = user.repo()
    data = random_bytes("shown", 2 * MIB)
    writer = people(user, repo)
    writer.lfs("track", "*.bin")
    writer.commit({"a.bin": data})
    writer.git("push", "origin", "main")
    assert hub.commit(user.token, repo, [("lfsFile", {"path": "a.bin", "algo": "sha256", "oid": oid_of(data), "size": len(data)})]).status == 200
    assert client(user.token).run("download", repo=repo, filename="a.bin")["size"] == len(data)


@pytest.fixture
def own_hub(tmp_path):
    """A server of this test alone, which it may kill."""
    hub = Hub(tmp_path / "hub" / "data", "--access-log", str(tmp_path / "access.log"))
    (tmp_path / "hub").mkdir()
    hub.start()
    yield hub
    if hub.is_running():
        hub.stop()


def large_file(tmp_path):
    """LARGE random bytes; the path and the SHA-256."""
    path, digest = tmp_path / "large.bin", hashlib.sha256()
    with open(path, "wb") as file:
        for start in range(0, LARGE, 16 * MIB):
            block = os.urandom(min(16 * MIB, LARGE - start))
            digest.update(block)
            file.write(block)
    return path, digest.hexdigest()


def wait_for(condition, process, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"it ended before it could be cut:\n{process.stdout.read().decode()}"
        assert time.monotonic() < end
        time.sleep(0.002)


def finish(process, seconds=600):
    said = process.communicate(timeout=seconds)[0].decode()
    assert process.returncode == 0, said
    return said


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_large_file_is_resumed_after_either_side_died(own_hub, tmp_path):
    hub = own_hub
    user = hub.make_user("alice")
    repo = user.repo()
    path, oid = large_file(tmp_path)
    shared = tmp_path / "shared.git"
    writer = Clone(hub, user, repo, shared, tmp_path / "writer")
    writer.lfs("track", "*.bin")
    path.rename(writer.path / "large.bin")
    writer.git("add", "-A", timeout=600)
    writer.git("commit", "-q", "-m", "large")
    (writer.path / "large.bin").unlink()

    # Upload: the server dies half-way. Asked again, the client sends the object anew, and nothing is left of the first try.
    push = writer.start("push", "origin", "main")
    wait_for(lambda: hub.stats()["disk_bytes"] > LARGE // 3, push)
    hub.kill()
    push.communicate(timeout=300)
    hub.start()
    assert "upload" in batch(hub, repo, user.token, [(oid, LARGE)]).json()["objects"][0]["actions"]
    # The wire breaks half-way: the client tries again by itself.
    proxy = CuttingProxy(hub.port)
    writer.git("config", "lfs.url", writer.endpoint.replace(f":{hub.port}/", f":{proxy.port}/"))
    proxy.cut_after = LARGE // 2
    writer.git("push", "origin", "main", timeout=600)
    assert proxy.cuts == 1
    assert "actions" not in batch(hub, repo, user.token, [(oid, LARGE)]).json()["objects"][0]
    assert hub.stats()["logical_bytes"] < LARGE * 1.01

    # Download: the wire breaks, and the client goes on where it was.
    reader = Clone(hub, user, repo, shared, tmp_path / "reader", proxy.port)
    proxy.cut_after = LARGE // 3
    reader.lfs("pull", timeout=600)
    assert proxy.cuts == 2
    assert digests(reader.path)["large.bin"] == oid
    last = downloads(hub)[-1]
    assert last["status"] == 206 and last["bytes_out"] < LARGE * 0.7, downloads(hub)
    shutil.rmtree(reader.path)
    proxy.close()

    # The server dies and stays away until the client has given up: the next one goes on.
    late = Clone(hub, user, repo, shared, tmp_path / "late")
    late.git("config", "lfs.transfer.maxretries", "1")
    pull = late.start("lfs", "pull")
    wait_for(lambda: late.incomplete(oid) > LARGE // 4, pull)
    hub.kill()
    pull.communicate(timeout=300)
    kept = late.incomplete(oid)
    assert LARGE // 4 < kept < LARGE and pull.returncode != 0
    hub.start()
    late.lfs("pull", timeout=600)
    assert digests(late.path)["large.bin"] == oid
    last = downloads(hub)[-1]
    assert last["status"] == 206 and abs(last["bytes_out"] - (LARGE - kept)) < 10_000, (last, kept)
    shutil.rmtree(late.path)

    # A client that is killed leaves nothing that it would trust; the next one gets it all the same.
    killed = Clone(hub, user, repo, shared, tmp_path / "killed")
    pull = killed.start("lfs", "pull")
    wait_for(lambda: killed.incomplete(oid) > LARGE // 4, pull)
    os.killpg(pull.pid, signal.SIGKILL)
    pull.communicate()
    killed.lfs("pull", timeout=600)
    assert digests(killed.path)["large.bin"] == oid


# ---- locks

def test_locks_that_are_off_are_not_asked_for_again(hub, user, people):
    repo = user.repo()
    writer = people(user, repo)
    writer.lfs("track", "*.bin")
    writer.commit({"a.bin": b"a" * 1000})
    said = writer.git("push", "origin", "main")
    assert "Locking support detected" not in said
    assert writer.git("config", f"lfs.{writer.endpoint}.locksverify", status=None).strip() in ("", "false")
    assert "not switched on" in writer.lfs("lock", "a.bin", status=2)
    for path, body in (("locks", {"path": "a"}), ("locks/verify", {}), ("locks/0/unlock", {})):
        answer = call(hub, "POST", f"/{repo}.git/info/lfs/{path}", body, user.token)
        assert answer.status == 404 and "not switched on" in answer.json()["message"]
    assert call(hub, "GET", f"/{repo}.git/info/lfs/locks", token=user.token).status == 404


class Admin:
    """Who may write anywhere, and is somebody else."""

    def __init__(self, hub):
        self.name, self.token = "admin", hub.admin_token


def test_a_lock_of_one_keeps_the_other_from_pushing(hub, user, people):
    repo = user.repo()
    switch_locks(hub, repo)
    mine = people(user, repo)
    mine.lfs("track", "--lockable", "*.bin")
    mine.commit({"a.bin": b"a" * 1000, "b.bin": b"b" * 1000, "dir/ c \u00e9.bin": b"c" * 1000})
    assert "Locking support detected" in mine.git("push", "origin", "main")
    mine.git("config", f"lfs.{mine.endpoint}.locksverify", "true")

    assert "Locked a.bin" in mine.lfs("lock", "a.bin")
    assert "Locked dir/ c \u00e9.bin" in mine.lfs("lock", "dir/ c \u00e9.bin")
    assert "already locked" in mine.lfs("lock", "a.bin", status=2).lower()
    listed = json.loads(mine.lfs("locks", "--json"))
    assert {(lock["path"], lock["owner"]["name"]) for lock in listed} == {("a.bin", user.name), ("dir/ c \u00e9.bin", user.name)}
    assert all(len(lock["locked_at"]) == 20 and lock["locked_at"].endswith("Z") for lock in listed)
    verified = json.loads(mine.lfs("locks", "--verify", "--json"))
    assert len(verified["ours"]) == 2 and verified["theirs"] == []
    assert "a.bin" in mine.lfs("locks", "--path", "a.bin") and "dir/" not in mine.lfs("locks", "--path", "a.bin")

    theirs = people(Admin(hub), repo)
    theirs.lfs("pull")
    theirs.git("config", f"lfs.{theirs.endpoint}.locksverify", "true")
    assert "a.bin" in theirs.lfs("locks")
    (theirs.path / "a.bin").chmod(0o644)  # what is lockable and not locked is read-only
    theirs.commit({"a.bin": b"x" * 1000})
    refused = theirs.git("push", "origin", "main", status=1)
    assert f"a.bin - {user.name}" in refused and "Unable to push locked files" in refused
    assert f"held by {user.name}" in theirs.lfs("unlock", "a.bin", status=2)
    theirs.lfs("unlock", "--force", "a.bin")
    theirs.git("push", "origin", "main")

    # One's own locks do not stand in one's way.
    mine.git("pull", "-q", "--rebase", "origin", "main")
    mine.commit({"dir/ c \u00e9.bin": b"C" * 1000})
    mine.git("push", "origin", "main")
    assert "Unlocked dir/ c \u00e9.bin" in mine.lfs("unlock", "dir/ c \u00e9.bin")
    assert mine.lfs("locks").strip() == ""


def operate(hub, repo, verb, person, *arguments):
    return call(hub, "POST", f"/{repo}.git/info/lfs/locks{verb}", *arguments, person.token)


def test_the_life_of_a_lock(hub, user, bob):
    repo = user.repo()
    switch_locks(hub, repo)
    made = operate(hub, repo, "", user, {"path": "models/a.bin", "ref": {"name": "refs/heads/main"}})
    assert made.status == 201, made
    lock = made.json()["lock"]
    assert lock["path"] == "models/a.bin" and lock["owner"] == {"name": user.name} and lock["id"]
    again = operate(hub, repo, "", user, {"path": "models/a.bin"})
    assert again.status == 409 and again.json()["lock"] == lock and again.json()["message"]
    # Those who may not write lock, verify and unlock nothing; those who may read see them.
    for verb, body in (("", {"path": "x"}), ("/verify", {}), (f"/{lock['id']}/unlock", {"force": True})):
        assert operate(hub, repo, verb, bob, body).status == 403
    assert call(hub, "GET", f"/{repo}.git/info/lfs/locks", token=bob.token).json() == {"locks": [lock]}
    assert call(hub, "POST", f"/{repo}.git/info/lfs/locks/verify", {}).status == 401
    assert operate(hub, repo, "/verify", user, {"ref": {"name": "refs/heads/main"}}).json() == {"ours": [lock], "theirs": []}
    assert operate(hub, repo, f"/{'0' * 40}/unlock", user, {}).status == 404
    assert operate(hub, repo, "/nonsense/unlock", user, {}).status == 404
    gone = operate(hub, repo, f"/{lock['id']}/unlock", user, {"force": False, "ref": {"name": "refs/heads/main"}})
    assert gone.status == 200 and gone.json()["lock"] == lock
    assert operate(hub, repo, "/verify", user, {}).json() == {"ours": [], "theirs": []}
    assert call(hub, "GET", f"/{repo}.git/info/lfs/locks", token=user.token).json() == {"locks": []}


@pytest.mark.parametrize("body", [{}, {"path": ""}, {"path": "../up"}, {"path": "/etc/passwd"}, {"path": 5}, {"path": "a" * 5000}, {"path": "a", "ref": 7},
                                  b"{", b"[]"], ids=lambda body: str(body)[:20])
def test_a_lock_on_what_is_no_path_is_refused(hub, user, body):
    repo = user.repo()
    switch_locks(hub, repo)
    assert operate(hub, repo, "", user, body).status == 422


def test_locks_are_listed_in_pages_newest_first(hub, user):
    repo = user.repo()
    switch_locks(hub, repo)
    made = [operate(hub, repo, "", user, {"path": f"{i}.bin"}).json()["lock"] for i in range(7)]

    def pages(limit):
        cursor, seen = "", []
        while True:
            page = call(hub, "GET", f"/{repo}.git/info/lfs/locks?limit={limit}&cursor={cursor}&refspec=refs/heads/main", token=user.token).json()
            seen += page["locks"]
            assert len(page["locks"]) <= limit
            cursor = page.get("next_cursor", "")
            if not cursor:
                return seen
    everything = pages(100)
    assert sorted(lock["id"] for lock in everything) == sorted(lock["id"] for lock in made)
    assert [lock["locked_at"] for lock in everything] == sorted((lock["locked_at"] for lock in made), reverse=True)
    for limit in (1, 2, 3, 7):
        assert pages(limit) == everything
    first = operate(hub, repo, "/verify", user, {"limit": 3}).json()
    assert first["ours"] == everything[:3] and first["theirs"] == []
    # The cursor holds when its lock goes and a new one comes.
    operate(hub, repo, f"/{first['next_cursor']}/unlock", user, {})
    operate(hub, repo, "", user, {"path": "new.bin"})
    rest = operate(hub, repo, "/verify", user, {"cursor": first["next_cursor"]}).json()
    assert rest["ours"] == everything[4:] and "next_cursor" not in rest

    def found(query):
        return call(hub, "GET", f"/{repo}.git/info/lfs/locks?{query}", token=user.token).json()["locks"]
    assert found("path=2.bin") == [made[2]] and found("path=absent") == []
    assert found(f"id={made[2]['id']}") == [made[2]] and found("id=absent") == []
    assert found(f"id={made[2]['id']}&path=1.bin") == []
    assert call(hub, "GET", f"/{repo}.git/info/lfs/locks?cursor=nonsense", token=user.token).status == 422
    assert call(hub, "GET", f"/{repo}.git/info/lfs/locks?limit=many", token=user.token).status == 422


def test_a_commit_that_changes_what_another_has_locked_is_refused(hub, user):
    repo = user.repo()
    hub.commit(user.token, repo, {"a.txt": b"a", "dir/b.txt": b"b", "free.txt": b"f"})
    switch_locks(hub, repo)
    operate(hub, repo, "", user, {"path": "a.txt"})
    operate(hub, repo, "", user, {"path": "dir/b.txt"})
    admin = hub.admin_token
    for operations in ({"a.txt": b"changed"}, [("deletedFile", {"path": "a.txt"})], [("deletedFolder", {"path": "dir/"})],
                       [("file", {"path": "new.txt", "oldPath": "dir/b.txt", "content": "Yg==", "encoding": "base64"})]):
        refused = hub.commit(admin, repo, operations)
        assert refused.status == 403, refused
        assert user.name in refused.json()["error"] and ("a.txt" in refused.json()["error"] or "dir/b.txt" in refused.json()["error"])
    assert hub.commit(admin, repo, {"free.txt": b"g"}).status == 200
    assert hub.commit(admin, repo, {"a.txt": b"a", "free.txt": b"h"}).status == 200  # "a.txt" stays as it is
    assert hub.commit(user.token, repo, {"a.txt": b"mine"}).status == 200
    switch_locks(hub, repo, False)
    assert hub.commit(admin, repo, {"a.txt": b"off"}).status == 200
    switch_locks(hub, repo)
    # An administrator takes a lock away by force, and only by force.
    lock = call(hub, "GET", f"/{repo}.git/info/lfs/locks?path=a.txt", token=user.token).json()["locks"][0]
    assert call(hub, "POST", f"/{repo}.git/info/lfs/locks/{lock['id']}/unlock", {}, admin).status == 403
    assert call(hub, "POST", f"/{repo}.git/info/lfs/locks/{lock['id']}/unlock", {"force": True}, admin).status == 200
    assert hub.commit(admin, repo, {"a.txt": b"free"}).status == 200


@pytest.mark.parametrize("parted", [False, True], ids=["fast-forward", "merge commit"])
def test_a_pull_request_that_changes_what_another_has_locked_is_not_merged(hub, user, parted):
    repo = user.repo()
    assert hub.commit(user.token, repo, {"a.txt": b"a", "b.txt": b"b"}).status == 200
    admin = hub.admin_token
    proposed = hub.request("POST", f"/api/models/{repo}/commit/main?create_pr=1", b"".join(json.dumps(line).encode() + b"\n" for line in (
        {"key": "header", "value": {"summary": "change a"}},
        {"key": "file", "value": {"path": "a.txt", "content": "Yw==", "encoding": "base64"}})), token=admin, headers={"Content-Type": "application/x-ndjson"})
    assert proposed.status == 200, proposed
    if parted:
        assert hub.commit(user.token, repo, {"b.txt": b"changed"}).status == 200
    switch_locks(hub, repo)
    lock = operate(hub, repo, "", user, {"path": "a.txt"}).json()["lock"]
    merge = f"/api/models/{repo}/discussions/1/merge"
    refused = hub.request("POST", merge, {}, token=admin)
    assert refused.status == 403 and "a.txt" in refused.json()["error"] and user.name in refused.json()["error"]
    assert hub.request("GET", f"/{repo}/raw/main/a.txt", token=user.token).body == b"a"
    operate(hub, repo, f"/{lock['id']}/unlock", user, {})
    assert hub.request("POST", merge, {}, token=admin).status == 200
    assert hub.request("GET", f"/{repo}/raw/main/a.txt", token=user.token).body == b"c"

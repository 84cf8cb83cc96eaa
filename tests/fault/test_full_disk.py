"""A full disk: uploads are refused with 507 and a sentence, everything else goes on, and room is all that is needed to go on with uploads."""
import concurrent.futures

import pytest

from ledger import digest
from samples import random_bytes
from xet_wire import random_xorb

DISK_BYTES = 1 << 30
OBJECT_BYTES = 24 << 20  # more than any buffer could hide
OBJECTS_MAX = 8          # the server may have taken room in advance: so many fill it


@pytest.fixture
def disk(make_disk):
    return make_disk(DISK_BYTES)


def lfs_put(hub, user, repo, data):
    """The answer of the PUT, or of the batch when that refuses already."""
    oid = digest(data)
    batch = hub.lfs_batch(user.token, repo, [(oid, len(data))])
    if batch.status != 200:
        return batch
    return hub.request("PUT", batch.json()["objects"][0]["actions"]["upload"]["href"], data)


def push_lfs(hub, user, repo, path, data):
    assert lfs_put(hub, user, repo, data).status == 200
    answer = hub.commit(user.token, repo, [("lfsFile", {"path": path, "algo": "sha256", "oid": digest(data), "size": len(data)})])
    assert answer.status == 200, answer


def assert_no_room(answer):
    assert answer.status == 507, answer
    body = answer.json()
    sentence = body.get("error") or body.get("message")
    assert sentence and " " in sentence, answer


def assert_readable(hub, user, repo, files):
    for path, data in files.items():
        answer = hub.request("GET", f"/{repo}/resolve/main/{path}", token=user.token)
        assert answer.status == 200 and answer.body == data, f"{path}: {answer.status}, {len(answer.body)} bytes"


def every_upload(hub, user, repo, name, token):
    """One answer for every way in: (what, answer). `token`: for Xet, asked for while there was room."""
    xorb = random_xorb(f"{name} xorb", 300, 100_000)  # does not fit where an object did not
    return [
        ("LFS", lfs_put(hub, user, repo, random_bytes(f"{name} lfs", OBJECT_BYTES))),
        ("commit", hub.commit(user.token, repo, {f"{name}.txt": random_bytes(f"{name} text", 3_000_000)})),
        ("xorb", hub.request("POST", xorb.path, xorb.body, token=token)),
    ]


# The default reserve is felt long before the disk refuses to write; with a tiny one it is the disk that refuses.
@pytest.mark.parametrize("reserve", ["256M", "1M"])
def test_a_full_disk_refuses_uploads_and_serves_what_is_there(disk, make_hub, make_ledger, reserve):
    hub = make_hub(disk.path / "data", "--volume-size", "64M", "--reserve", reserve)
    user = hub.make_user("alice")
    repo = user.repo()
    files = {"before.bin": random_bytes("before", 5_000_000), "small.txt": b"small\n"}
    push_lfs(hub, user, repo, "before.bin", files["before.bin"])
    assert hub.commit(user.token, repo, {"small.txt": files["small.txt"]}).status == 200
    head = hub.request("GET", f"/api/models/{repo}", token=user.token).json()["sha"]

    token = hub.xet_token(user.token, repo)["accessToken"]
    disk.fill(leave_bytes=(250 << 20) if reserve == "256M" else 2 << 20)

    for i in range(OBJECTS_MAX):
        if lfs_put(hub, user, repo, random_bytes(f"fill {i}", OBJECT_BYTES)).status != 200:
            break
    before = hub.stats()
    for what, answer in every_upload(hub, user, repo, "refused", token):
        print(what, answer.status, answer.body[:200])
        assert_no_room(answer)
    if reserve == "256M":  # a Xet client would repeat a refused xorb for minutes
        assert_no_room(hub.request("GET", f"/api/models/{repo}/xet-write-token/main", token=user.token))
    assert_readable(hub, user, repo, files)
    assert hub.request("GET", f"/api/models/{repo}", token=user.token).json()["sha"] == head
    assert hub.request("GET", "/healthz").status == 200
    after = hub.stats()
    assert after["files"] == before["files"]

    disk.empty()

    for what, answer in every_upload(hub, user, repo, "welcome", token):
        assert answer.status == 200, (what, answer)
    files["after.bin"] = random_bytes("refused lfs", OBJECT_BYTES)  # what was refused can be sent again
    push_lfs(hub, user, repo, "after.bin", files["after.bin"])
    assert_readable(hub, user, repo, files)
    assert hub.is_running() and hub.stop() == 0, hub.tail()


def test_a_collection_makes_room_on_a_full_disk(disk, make_hub, check_disk):
    """Below the reserve nothing is stored any more, but what was deleted is dropped, and volumes are compacted."""
    hub = make_hub(disk.path / "data", "--volume-size", "64M")
    user = hub.make_user("alice")
    kept, gone = user.repo(), user.repo()
    files = {}
    for i in range(6):  # each volume has something of both
        files[f"{i}.bin"] = random_bytes(f"kept {i}", 8_000_000)
        push_lfs(hub, user, kept, f"{i}.bin", files[f"{i}.bin"])
        push_lfs(hub, user, gone, f"{i}.bin", random_bytes(f"gone {i}", OBJECT_BYTES))
    disk.fill(leave_bytes=200 << 20)
    assert_no_room(lfs_put(hub, user, kept, random_bytes("refused", OBJECT_BYTES)))
    owner, name = gone.split("/")
    assert hub.request("DELETE", "/api/repos/delete", {"name": name, "organization": owner, "type": "model"}, token=user.token).status == 200
    result = hub.operation("gc", grace_ms=0)["result"]
    assert result["bytes_freed"] > 6 * OBJECT_BYTES * 0.9 and result["volumes_compacted"] >= 2, result
    assert_readable(hub, user, kept, files)
    disk.empty()
    push_lfs(hub, user, kept, "more.bin", random_bytes("more", OBJECT_BYTES))
    assert hub.stop() == 0, hub.tail()
    check_disk(hub)


def test_names_are_refused_before_the_log_has_no_room(disk, make_hub):
    """Tokens, repositories and branches are answered with 507 too, and deleting still works."""
    hub = make_hub(disk.path / "data", "--reserve", "1M")
    user = hub.make_user("alice")
    repo, spare = user.repo(), user.repo()
    disk.fill(leave_bytes=200 << 20)
    assert_no_room(hub.request("POST", "/api/admin/tokens", {"user": "alice", "role": "read"}, token=hub.admin_token))
    assert_no_room(hub.create_repo(user.token, "another"))
    owner, name = spare.split("/")
    assert hub.request("DELETE", "/api/repos/delete", {"name": name, "organization": owner, "type": "model"}, token=user.token).status == 200
    assert hub.request("GET", f"/api/models/{spare}", token=user.token).status == 404
    disk.empty()
    assert hub.create_repo(user.token, "another").status == 200
    assert hub.commit(user.token, repo, {"a.txt": b"a"}).status == 200
    assert hub.stop() == 0, hub.tail()


def test_the_disk_fills_under_many_uploads(disk, make_hub, check_disk):
    """Whoever was told 200 has his bytes, whoever was told 507 has not, nobody is told anything else."""
    hub = make_hub(disk.path / "data", "--volume-size", "64M", "--reserve", "1M")
    user = hub.make_user("alice")
    repo = user.repo()
    disk.fill(leave_bytes=150 << 20)
    objects = [random_bytes(f"object {i}", (4 << 20) + i) for i in range(60)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda data: lfs_put(hub, user, repo, data).status, objects))
    print(statuses)
    assert set(statuses) == {200, 507}

    def check_downloads():
        for data, status in zip(objects, statuses):
            entry = hub.lfs_batch(user.token, repo, [(digest(data), len(data))], "download").json()["objects"][0]
            if status == 200:
                answer = hub.request("GET", entry["actions"]["download"]["href"])
                assert answer.status == 200 and digest(answer.body) == digest(data)
            else:
                assert entry["error"]["code"] == 404

    check_downloads()
    disk.empty()
    for i in [i for i, status in enumerate(statuses) if status == 507][:3]:
        assert lfs_put(hub, user, repo, objects[i]).status == 200
        statuses[i] = 200
    assert hub.stop() == 0, hub.tail()
    check_disk(hub)
    hub.start()
    check_downloads()
    assert hub.stop() == 0, hub.tail()


def test_a_killed_hub_comes_back_on_a_disk_that_is_full_for_uploads(disk, make_hub):
    hub = make_hub(disk.path / "data", "--volume-size", "64M", "--reserve", "256M")
    user = hub.make_user("alice")
    repo = user.repo()
    data = random_bytes("before", 5_000_000)
    push_lfs(hub, user, repo, "before.bin", data)
    disk.fill(leave_bytes=200 << 20)
    hub.kill()
    hub.start()
    assert_readable(hub, user, repo, {"before.bin": data})
    assert_no_room(lfs_put(hub, user, repo, random_bytes("more", OBJECT_BYTES)))
    disk.empty()
    push_lfs(hub, user, repo, "more.bin", random_bytes("more", OBJECT_BYTES))
    assert hub.stop() == 0, hub.tail()

"""Buckets: storage without history, through the clients that know them."""
import base64
import itertools
import json
import re

import pytest

from clients import ClientError
from hub_process import Hub
from samples import random_bytes, write

numbers = itertools.count(1)


@pytest.fixture
def other(hub):
    return hub.make_user(f"stranger-to-buckets-{next(numbers)}")


@pytest.fixture
def person(client):
    return lambda user: lambda action, **arguments: client(user.token).run(action, driver="community_driver.py", **arguments)


def batch(hub, token, bucket, lines):
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return hub.request("POST", f"/api/buckets/{bucket}/batch", body, token=token, headers={"Content-Type": "application/x-ndjson"})


def test_files_are_put_listed_read_replaced_and_removed(hub, user, person, tmp_path):
    mine = person(user)
    bucket = f"{user.name}/box-{next(numbers)}"
    assert mine("create_bucket", bucket=bucket) == f"{hub.url}/buckets/{bucket}"
    assert mine("create_bucket", bucket=bucket, exist_ok=True)
    with pytest.raises(ClientError) as again:
        mine("create_bucket", bucket=bucket)
    assert again.value.status == 409
    data = random_bytes(bucket, 3_000_000)
    write(tmp_path, {"big.bin": data})
    mine("fill_bucket", bucket=bucket, files={"data/big.bin": tmp_path / "big.bin"}, text={"notes.txt": "first", "data/deep/a.txt": "a", "empty.txt": ""})
    assert mine("bucket_info", bucket=bucket) == {"id": bucket, "private": False, "size": 3_000_006, "files": 4}
    assert [(item["type"], item["path"], item["size"]) for item in mine("bucket_tree", bucket=bucket)] == [
        ("directory", "data", None), ("file", "empty.txt", 0), ("file", "notes.txt", 5)]
    assert [item["path"] for item in mine("bucket_tree", bucket=bucket, prefix="data")] == ["data/big.bin", "data/deep"]
    everything = mine("bucket_tree", bucket=bucket, recursive=True)
    assert [item["path"] for item in everything] == ["data/big.bin", "data/deep/a.txt", "empty.txt", "notes.txt"]
    assert mine("bucket_paths", bucket=bucket, paths=["notes.txt", "absent.txt", "data"]) == ["notes.txt"]
    mine("download_bucket", bucket=bucket, files={"data/big.bin": tmp_path / "copy.bin", "empty.txt": tmp_path / "empty"})
    assert (tmp_path / "copy.bin").read_bytes() == data and (tmp_path / "empty").read_bytes() == b""

    mine("fill_bucket", bucket=bucket, text={"notes.txt": "second!"}, delete=["data/deep/a.txt", "absent.txt"])
    assert hub.request("GET", f"/buckets/{bucket}/resolve/notes.txt").body == b"second!"
    head = hub.request("HEAD", f"/buckets/{bucket}/resolve/data%2Fbig.bin")
    assert head.headers["content-length"] == "3000000" and len(head.headers["x-xet-hash"]) == 64 and "x-repo-commit" not in head.headers
    part = hub.request("GET", f"/buckets/{bucket}/resolve/data/big.bin", headers={"Range": "bytes=1000000-1000009"})
    assert part.status == 206 and part.body == data[1_000_000:1_000_010]
    assert mine("bucket_info", bucket=bucket)["size"] == 3_000_007
    assert hub.request("GET", f"/buckets/{bucket}/resolve/absent").code == "EntryNotFound"
    hub.operation("gc", grace_ms=0)
    assert hub.request("GET", f"/buckets/{bucket}/resolve/data/big.bin").body == data
    moved = bucket + "-moved"
    mine("move_bucket", old=bucket, new=moved)
    assert mine("bucket_info", bucket=moved)["files"] == 3
    mine("delete_bucket", bucket=moved)
    mine("delete_bucket", bucket=moved, missing_ok=True)
    assert hub.request("GET", f"/api/buckets/{moved}", token=user.token).code == "RepoNotFound"


def test_a_private_bucket_is_its_owners_and_lists_show_what_may_be_seen(hub, user, other, person):
    mine, anybody = person(user), person(other)
    private, public = f"{user.name}/private-box", f"{user.name}/public-box"
    mine("create_bucket", bucket=private, private=True)
    mine("create_bucket", bucket=public)
    mine("fill_bucket", bucket=private, text={"a.txt": "a"})
    assert mine("list_buckets") == [private, public] and mine("list_buckets", search="priv") == [private]
    assert anybody("list_buckets", namespace=user.name) == [public]
    for path in (f"/api/buckets/{private}", f"/api/buckets/{private}/tree", f"/buckets/{private}/resolve/a.txt", f"/api/buckets/{private}/xet-read-token"):
        assert hub.request("GET", path, token=other.token).code == "RepoNotFound"
        assert hub.request("GET", path).status == 401
    assert hub.request("GET", f"/api/buckets/{public}/xet-write-token", token=other.token).status == 403
    assert batch(hub, other.token, public, [{"type": "deleteFile", "path": "a"}]).status == 403
    assert hub.request("DELETE", f"/api/buckets/{public}", token=other.token).status == 403
    assert hub.request("POST", f"/api/buckets/{user.name}/x", {}, token=other.token).status == 403
    mine("change_bucket", bucket=private, private=False)
    assert hub.request("GET", f"/buckets/{private}/resolve/a.txt").body == b"a"
    # Other lists go on without them.
    assert hub.request("GET", "/").status == 200
    assert hub.request("GET", f"/api/users/{user.name}/overview").json()["numModels"] == 0
    assert hub.request("GET", "/api/settings/repositories", token=user.token).status == 200
    assert hub.request("GET", f"/api/models?author={user.name}").json() == []


def test_nobody_stores_what_they_cannot_show(hub, user, other, person):
    mine, anybody = person(user), person(other)
    secret, own = f"{user.name}/secret-box", f"{other.name}/own-box"
    mine("create_bucket", bucket=secret, private=True)
    anybody("create_bucket", bucket=own)
    mine("fill_bucket", bucket=secret, text={"a.txt": "only for me " * 1000})
    stolen = mine("bucket_tree", bucket=secret)[0]["hash"]
    for line in ({"type": "addFile", "path": "a.txt", "xetHash": stolen},
                 {"type": "copyFile", "path": "a.txt", "xetHash": stolen, "sourceRepoType": "bucket", "sourceRepoId": secret}):
        answer = batch(hub, other.token, own, [line])
        assert answer.status == 422
        assert answer.json() == {"success": False, "processed": 1, "succeeded": 0, "failed": [{"path": "a.txt", "error": "The file was not uploaded"}]}
    assert hub.request("GET", f"/buckets/{own}/resolve/a.txt").status == 404
    mine("change_bucket", bucket=secret, private=False)
    anybody("fill_bucket", bucket=own, copy=[["bucket", secret, stolen, "copied.txt"]])
    assert hub.request("GET", f"/buckets/{own}/resolve/copied.txt").body == b"only for me " * 1000


def test_a_page_of_a_folder_goes_on_in_that_folder_only(hub, user, person):
    bucket = f"{user.name}/pages-{next(numbers)}"
    person(user)("create_bucket", bucket=bucket)
    names = ["a.txt", "b/c/1.txt", "b/c/2.txt", "b/c/d/3.txt", "b/c/z.txt", "b/d.txt", "zz.txt"]
    assert batch(hub, user.token, bucket, [{"type": "addFile", "path": name, "xetHash": "0" * 64} for name in names]).status == 200

    def page(folder, cursor, more=""):
        return hub.request("GET", f"/api/buckets/{bucket}/tree{folder}?cursor={cursor}{more}")

    def cursor(path):
        return base64.urlsafe_b64encode(path).decode().rstrip("=")

    for path in (b"a", b"b", b"b/b", b"b/c", b"b/d", b"zzz", b"b/c\0", b"b/c/1\0", b"\0", b"b/c0"):
        answer = page("/b/c", cursor(path))
        assert answer.status == 400 and "the cursor is not of this folder" in answer.json()["error"], (path, answer)
    assert page("", "%21").status == 400
    for folder, wanted in (("/b/c", ["b/c/1.txt", "b/c/2.txt", "b/c/d", "b/c/z.txt"]), ("", ["a.txt", "b", "zz.txt"])):
        found, next_cursor = [], ""
        while next_cursor is not None:
            answer = page(folder, next_cursor, "&limit=1")
            assert answer.status == 200, answer
            found += [item["path"] for item in answer.json()]
            told = re.search(r"[?&]cursor=([^&>]*)", answer.headers.get("link", ""))
            next_cursor = told and told.group(1)
        assert found == wanted


def test_a_batch_does_what_can_be_done_and_names_the_rest(hub, user, person):
    mine = person(user)
    bucket = f"{user.name}/mixed-{next(numbers)}"
    mine("create_bucket", bucket=bucket)
    mine("fill_bucket", bucket=bucket, text={"keep.txt": "keep"})
    known = mine("bucket_tree", bucket=bucket)[0]["hash"]
    answer = batch(hub, user.token, bucket, [
        {"type": "addFile", "path": "good.txt", "xetHash": known}, {"type": "addFile", "path": "../bad", "xetHash": known},
        {"type": "addFile", "path": "hash.txt", "xetHash": "xyz"}, {"type": "addFile", "path": "unknown.txt", "xetHash": "1" * 64},
        {"type": "paintFile", "path": "type.txt"}, {"type": "addFile", "path": "x" * 2000, "xetHash": known}, {"type": "deleteFile", "path": "keep.txt"}])
    assert answer.status == 422
    body = answer.json()
    assert (body["processed"], body["succeeded"], len(body["failed"])) == (7, 2, 5)
    assert [item["path"] for item in mine("bucket_tree", bucket=bucket)] == ["good.txt"]
    assert batch(hub, user.token, bucket, []).json() == {"success": True, "processed": 0, "succeeded": 0, "failed": []}
    broken = hub.request("POST", f"/api/buckets/{bucket}/batch", b"{not json}\n", token=user.token)
    assert broken.status == 422 and broken.json()["success"] is False


def test_many_files_come_in_pages(hub, user, person):
    mine = person(user)
    bucket = f"{user.name}/many-{next(numbers)}"
    mine("create_bucket", bucket=bucket)
    mine("fill_bucket", bucket=bucket, text={"seed": "seed"})
    known = mine("bucket_tree", bucket=bucket)[0]["hash"]
    lines = [{"type": "addFile", "path": f"folder-{number % 7}/file-{number:05}", "xetHash": known, "mtime": 1_700_000_000_000} for number in range(2500)]
    assert batch(hub, user.token, bucket, lines).json()["succeeded"] == 2500
    assert mine("bucket_info", bucket=bucket) == {"id": bucket, "private": False, "size": 2501 * 4, "files": 2501}
    assert [item["path"] for item in mine("bucket_tree", bucket=bucket)] == [f"folder-{number}" for number in range(7)] + ["seed"]
    listed = [item["path"] for item in mine("bucket_tree", bucket=bucket, recursive=True)]
    assert listed == sorted(line["path"] for line in lines) + ["seed"]
    page = hub.request("GET", f"/api/buckets/{bucket}/tree?limit=3")
    assert [item["path"] for item in page.json()] == ["folder-0", "folder-1", "folder-2"] and "link" in page.headers


def test_the_hf_command_knows_buckets(hub, user, client, tmp_path):
    mine = client(user.token)
    bucket = f"{user.name}/by-command"
    mine.command("hf", "buckets", "create", bucket)
    write(tmp_path / "folder", {"a.txt": b"a", "sub/b.bin": random_bytes("command", 200_000)})
    mine.command("hf", "buckets", "sync", tmp_path / "folder", f"hf://buckets/{bucket}")
    assert "sub/b.bin" in mine.command("hf", "buckets", "list", bucket, "-R")
    mine.command("hf", "buckets", "sync", f"hf://buckets/{bucket}", tmp_path / "back")
    assert (tmp_path / "back" / "sub" / "b.bin").read_bytes() == random_bytes("command", 200_000)


def test_a_bucket_survives_a_crash(tmp_path, client):
    hub = Hub(tmp_path / "data").start()
    try:
        ada = hub.make_user("ada")
        from clients import Client
        mine = Client(hub, ada.token, tmp_path)
        mine.run("create_bucket", driver="community_driver.py", bucket="ada/box")
        mine.run("fill_bucket", driver="community_driver.py", bucket="ada/box", text={"a.txt": "still here"})
        hub.kill()
        hub.start()
        assert hub.request("GET", "/buckets/ada/box/resolve/a.txt").body == b"still here"
    finally:
        hub.stop()

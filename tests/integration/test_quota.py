"""What an owner's repositories may hold, and what a repository lets go of: on every way in, before bytes flow."""
import base64
import hashlib
import json
import socket
import time

import pytest

import raw_http
from clients import ClientError
from git_work import Work
from hub_process import cairn
from lfs_client import batch, get, oid_of, put
from samples import random_bytes, write
from xet_wire import File, random_xorb, shard

MIB = 1 << 20


@pytest.fixture
def limited(hub, user):
    """Sets the owner's quota to what is used now and `room` bytes more."""
    def limit(room):
        used = json.loads(cairn(hub, "quota", user.name, "--json"))["used"]
        cairn(hub, "quota", user.name, used + room)
        time.sleep(3.1)  # what was counted before is remembered for so long
    return limit


def full(answer):
    assert answer.status == 507, answer
    message = answer.json().get("message") or answer.json()["error"]
    assert "storage quota of" in message and answer.headers["x-error-message"] == message
    return message


def test_a_quota_is_shown_set_and_taken_away(hub, user):
    assert "no limit" in cairn(hub, "quota", user.name)
    assert json.loads(cairn(hub, "quota", user.name, "--json")) == {"owner": user.name, "bytes": None, "used": 0}
    assert json.loads(cairn(hub, "quota", user.name.upper(), "2G", "--json"))["bytes"] == 2 << 30
    repo = user.repo()
    put(hub, repo, user.token, random_bytes("shown", 300_000))
    shown = json.loads(cairn(hub, "quota", user.name, "--json"))
    assert shown["bytes"] == 2 << 30 and 300_000 < shown["used"] < 310_000
    assert "of 2.00 GiB" in cairn(hub, "quota", user.name)
    cairn(hub, "quota", user.name, "none")
    assert json.loads(cairn(hub, "quota", user.name, "--json"))["bytes"] is None
    cairn(hub, "quota", "nobody-of-this-name", status=1)
    for wrong in ("much", "-1", "1X", "10GB", "99999999T"):
        cairn(hub, "quota", user.name, wrong, status=64)
    assert hub.request("GET", f"/api/admin/quotas/{user.name}", token=user.token).status == 403


def test_git_lfs_is_told_before_it_sends(hub, user, limited):
    repo = user.repo()
    first = batch(hub, repo, user.token, [(oid_of(b"a" * MIB), MIB)]).json()["objects"][0]["actions"]["upload"]["href"]
    limited(MIB // 2)
    message = full(batch(hub, repo, user.token, [(oid_of(b"a" * MIB), MIB)]))
    assert user.name in message and "1.0 MiB more" in message
    full(batch(hub, repo, user.token, [(hashlib.sha256(str(i).encode()).hexdigest(), 200_000) for i in range(3)]))
    # An address from before the limit does not get around it.
    full(hub.request("PUT", first, b"a" * MIB))
    # What fits goes in, what is there already needs nothing.
    small = random_bytes(user.name, 300_000)
    put(hub, repo, user.token, small)
    assert batch(hub, repo, user.token, [(oid_of(small), len(small))]).status == 200
    assert get(hub, repo, user.token, oid_of(small), len(small)).body == small
    full(batch(hub, repo, user.token, [(oid_of(b"b" * 300_000), 300_000)]))
    cairn(hub, "quota", user.name, "none")
    assert batch(hub, repo, user.token, [(oid_of(b"b" * 300_000), 300_000)]).status == 200


def test_uploads_at_once_do_not_pass_together_what_none_could_alone(hub, user, limited):
    import http.client
    repo = user.repo()
    data = [random_bytes(f"{user.name} {i}", MIB) for i in range(2)]
    hrefs = [batch(hub, repo, user.token, [(oid_of(each), MIB)]).json()["objects"][0]["actions"]["upload"]["href"] for each in data]
    limited(3 * MIB // 2)
    first = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    first.putrequest("PUT", hrefs[0][len(hub.url):])
    first.putheader("Content-Length", str(MIB))
    first.endheaders()
    first.send(data[0][:1000])
    time.sleep(0.3)
    full(hub.request("PUT", hrefs[1], data[1]))
    first.send(data[0][1000:])
    assert first.getresponse().status == 200
    full(hub.request("PUT", hrefs[1], data[1]))


def test_one_that_was_cut_gives_its_room_back(hub, user, limited):
    repo = user.repo()
    data = random_bytes(user.name, MIB)
    href = batch(hub, repo, user.token, [(oid_of(data), MIB)]).json()["objects"][0]["actions"]["upload"]["href"]
    limited(3 * MIB // 2)
    with socket.create_connection(("127.0.0.1", hub.port)) as cut:
        cut.sendall(f"PUT {href[len(hub.url):]} HTTP/1.1\r\nHost: x\r\nContent-Length: {MIB}\r\n\r\n".encode() + data[:1000])
        time.sleep(0.2)
    time.sleep(0.3)
    assert hub.request("PUT", href, data).status == 200


def test_commits_and_preuploads_are_refused_too(hub, user, limited):
    repo = user.repo()
    limited(100_000)
    assert hub.commit(user.token, repo, {"small.txt": b"x" * 1000}).status == 200
    full(hub.commit(user.token, repo, {"large.txt": b"x" * 200_000}))
    full(hub.commit(user.token, repo, {f"{i}.txt": b"x" * 30_000 for i in range(50)}))
    limited(0)
    full(hub.request("POST", f"/api/models/{repo}/preupload/main", {"files": [{"path": "a", "size": 1, "sample": ""}]}, token=user.token))
    full(hub.request("GET", f"/api/models/{repo}/xet-write-token/main", token=user.token))
    # Whoever has too much may still delete.
    assert hub.commit(user.token, repo, [("deletedFile", {"path": "small.txt"})]).status == 200
    assert hub.request("GET", f"/{repo}/resolve/main/.gitattributes", token=user.token).status == 200


# ---- a client that asks first is answered before it sends

def asked(hub, method, path, token=None, **headers):
    """The answer to a head alone, by a client that waits for it with its body."""
    given = {"Host": "x", "Content-Length": MIB, "Expect": "100-continue", **headers}
    if token:
        given["Authorization"] = f"Bearer {token}"
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    with raw_http.connect(hub) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
        if connection.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 100":
            return 100, b""
        return raw_http.read_answer(connection)


class Ways:
    """Every call whose body becomes stored bytes, as `who` would make it: they got their tokens and addresses while they were allowed to."""
    NAMES = ("commit", "commit of a pull request", "push", "object", "part", "xorb", "shard")

    def __init__(self, hub, repo, who):
        self.hub = hub
        token = hub.xet_token(who.token, repo, revision="refs%2Fpr%2F1")["accessToken"]

        def upload(oid, length, **more):
            return batch(hub, repo, who.token, [(oid, length)], **more).json()["objects"][0]["actions"]["upload"]
        self.ways = {
            "commit": ("POST", f"/api/models/{repo}/commit/main", who.token, {"Content_Type": "application/x-ndjson"}),
            "commit of a pull request": ("POST", f"/api/models/{repo}/commit/main?create_pr=1", who.token, {"Content_Type": "application/x-ndjson"}),
            "push": ("POST", f"/{repo}.git/git-receive-pack", who.token, {"Content_Type": "application/x-git-receive-pack-request"}),
            "object": ("PUT", upload("a" * 64, MIB)["href"], None, {}),
            "part": ("PUT", upload("b" * 64, 65 * MIB, transfers=["multipart"])["header"]["00002"], None, {}),
            "xorb": ("POST", "/v1/xorbs/default/" + "1" * 64, token, {}),
            "shard": ("POST", "/v1/shards", token, {}),
        }

    def ask(self, way, token=None):
        method, path, own, headers = self.ways[way]
        path = path.removeprefix(self.hub.url)
        if token and not own:
            path = path[:-4] + ("AAAA" if path[-4:] != "AAAA" else "BBBB")
        return asked(self.hub, method, path, (token or own) if own else None, **headers)


@pytest.fixture
def guest(hub, user):
    """Somebody who may only propose."""
    return hub.make_user(f"guest-of-{user.name}")


@pytest.fixture
def proposed(hub, user, guest):
    """A repository of the user with a pull request of the guest, refs/pr/1."""
    repo = user.repo()
    put(hub, repo, user.token, random_bytes(f"{user.name} proposed", MIB))
    assert hub.request("POST", f"/api/models/{repo}/discussions", {"title": "a proposal", "pullRequest": True}, token=guest.token).status == 200
    return repo


def test_a_wrong_token_is_refused_before_anything_is_sent(hub, user, proposed):
    ways = Ways(hub, proposed, user)
    for way in Ways.NAMES:
        assert ways.ask(way)[0] == 100, way
        assert ways.ask(way, "hf_wrong")[0] == (403 if way in ("object", "part") else 401), way
    for path in ("/api/repos/create", f"/api/models/{proposed}/preupload/main", f"/{proposed}.git/info/lfs/objects/batch", f"/api/models/{proposed}/discussions",
                 f"/api/models/{proposed}/discussions/1/comment", f"/api/models/{proposed}/lfs-files/duplicate", f"/api/models/{proposed}/duplicate",
                 f"/api/models/{proposed}/super-squash/main", f"/api/buckets/{user.name}/box/batch"):
        assert asked(hub, "POST", path, "hf_wrong")[0] == 401, path


def test_whoever_may_not_is_refused_before_anything_is_sent(hub, user, guest, proposed):
    ways = Ways(hub, proposed, guest)
    assert ways.ask("commit")[0] == 403
    assert hub.request("PUT", f"/api/models/{proposed}/settings", {"discussionsDisabled": True}, token=user.token).status == 200
    for way in Ways.NAMES:
        assert ways.ask(way)[0] == 403, way
    assert hub.request("PUT", f"/api/models/{proposed}/settings", {"discussionsDisabled": False, "private": True}, token=user.token).status == 200
    for way in Ways.NAMES:
        assert ways.ask(way)[0] in (403, 404), way


def test_a_full_owner_is_told_before_anything_is_sent(hub, user, proposed, limited):
    ways = Ways(hub, proposed, user)
    limited(0)
    for way in Ways.NAMES:
        status, answer = ways.ask(way)
        assert status == (403 if way in ("xorb", "shard") else 507) and b"storage quota of" in answer, answer
    cairn(hub, "quota", user.name, "none")
    for way in Ways.NAMES:
        assert ways.ask(way)[0] == 100, way


# ---- what is kept for those who may write

def kept(answer, status=507):
    assert answer.status == status and b"kept for those who may write" in answer.body, answer


def test_whoever_may_only_propose_cannot_use_the_last_tenth(hub, user, guest, proposed, limited, tmp_path):
    repo, data = proposed, random_bytes(f"{user.name} small", 1000)
    xorb = random_xorb(user.name)
    cas = hub.xet_token(guest.token, repo, revision="refs%2Fpr%2F1")["accessToken"]
    assert hub.request("POST", xorb.path, xorb.body, token=cas).status == 200
    ways = Ways(hub, repo, guest)
    href = batch(hub, repo, guest.token, [(oid_of(data), len(data))]).json()["objects"][0]["actions"]["upload"]["href"]
    theirs = put(hub, guest.repo(), guest.token, random_bytes(f"{guest.name} elsewhere", 1000))
    limited(100_000)  # less than a tenth of what is used

    kept(batch(hub, repo, guest.token, [(oid_of(data), len(data))]))
    kept(batch(hub, repo, guest.token, [(theirs, 1000)]))
    kept(hub.request("PUT", href, data))
    kept(hub.request("GET", f"/api/models/{repo}/xet-write-token/refs%2Fpr%2F1", token=guest.token))
    kept(hub.request("POST", f"/api/models/{repo}/preupload/main?create_pr=1", {"files": [{"path": "a", "size": 1, "sample": ""}]}, token=guest.token))
    kept(hub.request("POST", xorb.path, xorb.body, token=cas), 403)
    kept(hub.request("POST", "/v1/shards", shard([File([(xorb, 0, 3)])], [xorb]), token=cas), 403)
    for revision in ("main?create_pr=1", "refs%2Fpr%2F1"):
        for operations in ({"a.txt": b"a"}, {"empty.txt": b""}, [("deletedFile", {"path": ".gitattributes"})]):
            kept(hub.commit(guest.token, repo, operations, revision=revision))
    kept(hub.request("POST", f"/api/models/{repo}/super-squash/refs%2Fpr%2F1", {"message": "x"}, token=guest.token))
    for way in Ways.NAMES:
        assert way == "commit" or b"kept for those who may write" in ways.ask(way)[1], way
    work = Work(hub, repo, guest, tmp_path / "guest", clone=True)
    work.commit({"a.txt": b"a"})
    assert "kept for those who may write" in work.refused("origin", "HEAD:refs/pr/1")

    # The owner has it, also in the pull request of somebody else.
    put(hub, repo, user.token, data)
    assert hub.commit(user.token, repo, {"a.txt": b"a"}).status == 200
    work = Work(hub, repo, user, tmp_path / "owner", clone=True)
    work.commit({"b.txt": b"b"})
    work.push("origin", "HEAD:main", "HEAD:refs/pr/1")
    assert hub.request("POST", f"/api/models/{repo}/super-squash/main", {"message": "x"}, token=user.token).status == 200
    full(batch(hub, repo, user.token, [(oid_of(b"c" * MIB), MIB)]))

    # With more room, everybody goes on.
    cairn(hub, "quota", user.name, "100M")
    put(hub, repo, guest.token, random_bytes(f"{guest.name} later", 1000))
    assert hub.commit(guest.token, repo, {"c.txt": b"c"}, revision="main?create_pr=1").status == 200
    assert hub.request("POST", "/v1/shards", shard([File([(xorb, 0, 3)])], [xorb]), token=cas).status == 200


def test_trees_of_a_proposal_count(hub, user, guest, proposed):
    used = json.loads(cairn(hub, "quota", user.name, "--json"))["used"]
    cairn(hub, "quota", user.name, (used + 20_000) * 10 // 9)
    time.sleep(3.1)
    files = [("file", {"path": f"{i}/{'x' * 100}", "content": "", "encoding": "base64"}) for i in range(1000)]
    kept(hub.commit(guest.token, proposed, files, revision="main?create_pr=1"))
    assert hub.commit(guest.token, proposed, files[:10], revision="main?create_pr=1").status == 200
    assert hub.commit(user.token, proposed, files).status == 200


def test_objects_that_a_batch_takes_from_elsewhere_count_at_once(hub, user, guest, proposed, limited):
    mine = guest.repo()
    named = [(put(hub, mine, guest.token, random_bytes(f"{user.name} {i}", 600_000)), 600_000) for i in range(2)]
    limited(MIB + MIB // 5)
    assert batch(hub, proposed, guest.token, named[:1]).status == 200
    kept(batch(hub, proposed, guest.token, named[1:]))
    assert batch(hub, proposed, guest.token, named[:1]).status == 200


def test_a_commit_on_its_way_counts(hub, user, limited):
    repo = user.repo()
    limited(MIB)
    content = base64.b64encode(random_bytes(user.name, 700_000)).decode()
    line = (json.dumps({"key": "file", "value": {"path": "first.bin", "content": content, "encoding": "base64"}}) + "\n").encode()
    head = b'{"key":"header","value":{"summary":"first"}}\n'
    with raw_http.connect(hub) as first:
        first.sendall(f"POST /api/models/{repo}/commit/main HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n"
                      f"Content-Type: application/x-ndjson\r\nContent-Length: {len(head + line) + 1}\r\n\r\n".encode() + head + line)
        deadline = time.monotonic() + 30
        while batch(hub, repo, user.token, [(oid_of(b"x"), 500_000)]).status == 200:
            assert time.monotonic() < deadline
        full(hub.commit(user.token, repo, {"second.bin": random_bytes("second", 500_000)}))
        first.sendall(b"\n")
        assert raw_http.read_answer(first)[0] == 200
    full(hub.commit(user.token, repo, {"second.bin": random_bytes("second", 500_000)}))


def test_the_object_of_a_multipart_upload_counts_beside_its_parts(hub, user, guest, proposed, limited):
    data = random_bytes(user.name, 64 * MIB) + b"x"
    oid = oid_of(data)

    def offer(who, **more):
        return batch(hub, proposed, who.token, [(oid, len(data))], **more)
    upload = offer(guest, transfers=["basic", "multipart"]).json()["objects"][0]["actions"]["upload"]
    parts = []
    for number, part in ((1, data[:64 * MIB]), (2, data[64 * MIB:])):
        answer = hub.request("PUT", upload["header"][f"{number:05}"], part)
        assert answer.status == 200, answer
        parts.append({"partNumber": number, "etag": answer.headers["etag"]})
    limited(65 * MIB)
    full(offer(user, transfers=["basic", "multipart"]))
    assert offer(user, transfers=["basic"]).status == 200
    kept(hub.request("POST", upload["href"], {"oid": oid, "parts": parts}))
    cairn(hub, "quota", user.name, "none")
    assert hub.request("POST", upload["href"], {"oid": oid, "parts": parts}).status == 200
    assert get(hub, proposed, user.token, oid, len(data)).body == data


# ---- bytes that come without an upload

def test_files_that_come_with_a_new_repository_count(hub, user, limited):
    limited(10_000)
    content = base64.b64encode(b"x" * 20_000).decode()

    def create(name, **more):
        return hub.create_repo(user.token, name, **more)
    full(create("large", files=[{"path": "a.txt", "content": content, "encoding": "base64"}]))
    assert hub.request("GET", f"/api/models/{user.name}/large", token=user.token).status == 404
    assert create("small", files=[{"path": "a.txt", "content": "few"}]).status == 200
    limited(0)
    assert create("plain").status == 200


def test_copies_into_buckets_and_repositories_count(hub, user, limited):
    source, target, bucket = user.repo(), user.repo(), f"{user.name}/box"
    named = [put(hub, source, user.token, random_bytes(f"{user.name} {i}", 60_000)) for i in range(2)]
    for i, oid in enumerate(named):
        assert hub.commit(user.token, source, [("lfsFile", {"path": f"{i}.bin", "algo": "sha256", "oid": oid, "size": 60_000})]).status == 200
    hashes = [item["xetHash"] for item in hub.request("GET", f"/api/models/{source}/tree/main", token=user.token).json() if "lfs" in item]
    assert hub.request("POST", f"/api/buckets/{bucket}", {}, token=user.token).status == 200

    def into_bucket():
        lines = [{"type": "copyFile", "path": f"{i}.bin", "xetHash": hash, "sourceRepoType": "model", "sourceRepoId": source} for i, hash in enumerate(hashes)]
        return hub.request("POST", f"/api/buckets/{bucket}/batch", "".join(json.dumps(line) + "\n" for line in lines).encode(), token=user.token)

    def into_repository():
        return hub.request("POST", f"/api/models/{source}/lfs-files/duplicate", {"target": {"type": "model", "name": target}, "files": [
            {"sha256": oid} for oid in named]}, token=user.token)
    for copy in (into_bucket, into_repository):
        limited(100_000)
        answer = copy()  # the first fits, and leaves no room for the second
        assert answer.status in (207, 422) and answer.json()["succeeded"] == 1, answer
        assert len(answer.json()["failed"]) == 1 and "storage quota of" in answer.json()["failed"][0]["error"], answer
        cairn(hub, "quota", user.name, "none")
        assert copy().json()["success"]
        limited(0)
        assert copy().json()["success"]  # it has them


@pytest.mark.parametrize("generation", ["newest", "newest-without-xet"])
def test_the_client_shows_the_refusal(hub, user, client, limited, tmp_path, generation):
    repo = user.repo()
    limited(MIB)
    write(tmp_path, {"a.bin": random_bytes(user.name + generation, 5 * MIB), "b.bin": random_bytes(user.name + "b", 500_000)})
    writer = client(user.token, generation)
    writer.run("upload_file", repo=repo, path=tmp_path / "b.bin", path_in_repo="b.bin")
    with pytest.raises(ClientError) as raised:
        writer.run("upload_file", repo=repo, path=tmp_path / "a.bin", path_in_repo="a.bin")
    # The library of Xet shows the status only: 403, since it would repeat on 507.
    assert "storage quota" in str(raised.value) or "403" in str(raised.value), raised.value
    assert hub.request("GET", f"/{repo}/resolve/main/a.bin", token=user.token).status == 404


# ---- letting go of what no ref reaches

def lfs_gc(hub, repo, *more):
    return json.loads(cairn(hub, "repo", "lfs-gc", repo, "--json", *more))["result"]


def test_objects_that_no_ref_reaches_are_listed_and_let_go(hub, user, tmp_path):
    repo, other = user.repo(), user.repo()
    kept, old, loose = (random_bytes(f"{user.name} {name}", 400_000) for name in ("kept", "old", "loose"))
    for data in (kept, old, loose):
        put(hub, repo, user.token, data)
    put(hub, other, user.token, loose)  # the same object elsewhere
    for name, data in (("old.bin", old), ("kept.bin", kept)):
        assert hub.commit(user.token, repo, [("lfsFile", {"path": name, "algo": "sha256", "oid": oid_of(data), "size": len(data)})]).status == 200
    assert hub.commit(user.token, repo, [("deletedFile", {"path": "old.bin"})]).status == 200
    assert hub.commit(user.token, other, [("lfsFile", {"path": "a.bin", "algo": "sha256", "oid": oid_of(loose), "size": len(loose)})]).status == 200

    # Within the grace time everything stays.
    assert lfs_gc(hub, repo)["objects_dropped"] == 0
    planned = lfs_gc(hub, repo, "--dry-run", "--grace", "0")
    assert planned["dry_run"] and planned["objects_dropped"] == 1 and planned["bytes_dropped"] == 400_000
    assert [(item["oid"], item["size"]) for item in planned["objects"]] == [(oid_of(loose), 400_000)] and planned["objects"][0]["age_ms"] >= 0
    assert oid_of(loose) in cairn(hub, "repo", "lfs-gc", repo, "--dry-run", "--grace", "0")
    assert "actions" in batch(hub, repo, user.token, [(oid_of(loose), 400_000)], "download").json()["objects"][0]

    done = lfs_gc(hub, repo, "--grace", "0")
    assert done["objects_dropped"] == 1 and not done["dry_run"]
    assert batch(hub, repo, user.token, [(oid_of(loose), 400_000)], "download").json()["objects"][0]["error"]["code"] == 404
    # What history reaches, here or elsewhere, is there, also after a collection of everything.
    cairn(hub, "gc", "--grace", "0")
    for where, data in ((repo, kept), (repo, old), (other, loose)):
        assert get(hub, where, user.token, oid_of(data), len(data)).body == data
    assert lfs_gc(hub, repo, "--grace", "0")["objects_dropped"] == 0
    # It may come back.
    put(hub, repo, user.token, loose)
    assert get(hub, repo, user.token, oid_of(loose), 400_000).body == loose
    cairn(hub, "repo", "lfs-gc", f"{user.name}/absent", status=1)
    assert hub.request("POST", f"/api/admin/repos/model/{repo}/lfs-gc", {}, token=user.token).status == 403


@pytest.mark.parametrize("generation", ["newest", "hub-0.36"])
def test_the_client_lists_objects_and_deletes_those_that_nothing_reaches(hub, user, bob, client, generation):
    repo = user.repo()
    now, before, loose = (random_bytes(f"{user.name} {name}", 100_000) for name in ("now", "before", "loose"))
    for data in (now, before, loose):
        put(hub, repo, user.token, data)
    for name, data in (("dir/a.bin", before), ("dir/a.bin", now), ("copy.bin", now)):
        assert hub.commit(user.token, repo, [("lfsFile", {"path": name, "algo": "sha256", "oid": oid_of(data), "size": len(data)})]).status == 200
    admin = client(user.token, generation)
    listed = {item["sha256"]: item for item in admin.run("list_lfs_files", repo=repo)}
    assert listed.keys() == {oid_of(now), oid_of(before), oid_of(loose)}
    assert listed[oid_of(before)]["path"] == "dir/a.bin" and listed[oid_of(now)]["path"] in ("dir/a.bin", "copy.bin")
    assert listed[oid_of(now)]["ref"] == "refs/heads/main" and listed[oid_of(now)]["size"] == 100_000
    assert listed[oid_of(loose)]["path"] is None and listed[oid_of(loose)]["ref"] is None

    # What history reaches cannot go, and then nothing of the same request goes.
    for rewrite, status in ((False, 409), (True, 501)):
        with pytest.raises(ClientError) as raised:
            admin.run("delete_lfs_files", repo=repo, sha256s=[oid_of(before), oid_of(loose)], rewrite_history=rewrite)
        assert raised.value.status == status
    assert get(hub, repo, user.token, oid_of(loose), 100_000).body == loose
    admin.run("delete_lfs_files", repo=repo, sha256s=[oid_of(loose)], rewrite_history=True)
    assert {item["sha256"] for item in admin.run("list_lfs_files", repo=repo)} == {oid_of(now), oid_of(before)}
    assert get(hub, repo, user.token, oid_of(before), 100_000).body == before


def test_objects_are_listed_in_pages_and_deleted_one_by_one(hub, user, bob):
    repo = user.repo()
    loose = [oid_of(data) for data in (random_bytes(f"{user.name} {i}", 1000) for i in range(5))]
    for i in range(5):
        put(hub, repo, user.token, random_bytes(f"{user.name} {i}", 1000))
    path, seen = f"/api/models/{repo}/lfs-files?limit=2", []
    while path:
        answer = hub.request("GET", path, token=user.token)
        assert answer.status == 200 and len(answer.json()) <= 2
        seen += [item["fileOid"] for item in answer.json()]
        path = answer.headers["link"].split(">")[0][1:] if "link" in answer.headers else None
    assert sorted(seen) == sorted(loose)
    one = f"/api/models/{repo}/lfs-files/{loose[0]}"
    assert hub.request("GET", f"/api/models/{repo}/lfs-files", token=bob.token).status == 403
    assert hub.request("DELETE", one, token=bob.token).status == 403
    assert hub.request("DELETE", one, token=user.read_token).status == 403
    assert hub.request("DELETE", one, token=user.token).status == 200
    assert hub.request("DELETE", one, token=user.token).status == 200  # it is not there, as was wished
    assert hub.request("DELETE", f"/api/models/{repo}/lfs-files/nonsense", token=user.token).status == 400
    assert hub.request("POST", f"/api/models/{repo}/lfs-files/batch", {"deletions": {"sha": [loose[1], loose[1], loose[2]]}}, token=user.token).status == 200
    left = hub.request("GET", f"/api/models/{repo}/lfs-files", token=user.token).json()
    assert {item["fileOid"] for item in left} == set(loose[3:])
    for body in ({}, {"deletions": {}}, {"deletions": {"sha": "x"}}, {"deletions": {"sha": [5]}}):
        assert hub.request("POST", f"/api/models/{repo}/lfs-files/batch", body, token=user.token).status == 400

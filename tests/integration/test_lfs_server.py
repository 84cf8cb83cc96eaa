"""The LFS API answer by answer: what git-lfs's own conformance tool checks, what its specification says, and what no client sends."""
import hashlib
import subprocess

import pytest

import lfs_client
from clients import VENVS
from lfs_client import MEDIA_TYPE, batch, call, get, oid_of, put
from samples import random_bytes
from xet_wire import File, random_xorb, shard

CONFORMANCE = VENVS / "lfs" / "git-lfs-test-server-api"
ABSENT = "0" * 63 + "1"


@pytest.fixture
def repo(user):
    return user.repo()


def error(answer, status):
    """A refusal in the form that git-lfs shows to people."""
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith(MEDIA_TYPE), answer
    body = answer.json()
    assert body["message"] and body["request_id"] == answer.headers["x-request-id"]
    return body["message"]


def test_the_conformance_tool_of_git_lfs_passes(hub, user, repo, tmp_path):
    url = f"http://{user.name}:{user.token}@127.0.0.1:{hub.port}/{repo}.git/info/lfs"
    environment = {**lfs_client.environment(tmp_path), "TMPDIR": str(tmp_path)}
    lfs_client.run(["git", "config", "--global", "user.name", "tool"], tmp_path, environment)
    lfs_client.run(["git", "config", "--global", "user.email", "tool@example.org"], tmp_path, environment)
    lfs_client.run(["git", "lfs", "install", "--skip-repo"], tmp_path, environment)
    done = subprocess.run([CONFORMANCE, f"--url={url}"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Running 7 tests" in done.stdout and "All tests passed" in done.stdout, done.stdout
    assert "FAILED" not in done.stdout


# ---- batch

def test_an_upload_is_told_where_to_go_and_then_that_it_is_there(hub, user, repo):
    data = random_bytes("batch", 70_000)
    oid = oid_of(data)
    answer = batch(hub, repo, user.token, [(oid, len(data))])
    assert answer.status == 200 and answer.headers["content-type"] == MEDIA_TYPE
    body = answer.json()
    assert body["transfer"] == "basic" and body["hash_algo"] == "sha256"
    entry = body["objects"][0]
    assert (entry["oid"], entry["size"], entry["authenticated"]) == (oid, len(data), True)
    upload, verify = entry["actions"]["upload"], entry["actions"]["verify"]
    assert 0 < upload["expires_in"] <= 86400 and 0 < verify["expires_in"] <= 86400
    # Before the bytes came, verifying fails.
    error(call(hub, "POST", verify["href"], {"oid": oid, "size": len(data)}), 404)
    for _ in range(2):  # the second time changes nothing
        assert hub.request("PUT", upload["href"], data).status == 200
    assert call(hub, "POST", verify["href"], {"oid": oid, "size": len(data)}).status == 200
    error(call(hub, "POST", verify["href"], {"oid": oid, "size": len(data) + 1}), 422)
    error(call(hub, "POST", verify["href"], {"oid": ABSENT, "size": len(data)}), 422)
    error(call(hub, "POST", verify["href"], b"nonsense"), 422)
    again = batch(hub, repo, user.token, [(oid, len(data))]).json()["objects"][0]
    assert "actions" not in again and "error" not in again


def test_each_object_has_its_own_answer(hub, user, repo):
    data = random_bytes("each", 1000)
    oid = put(hub, repo, user.token, data)
    asked = [(oid, 1000), (ABSENT, 5), (oid, 999), (oid[:-1], 1000), (oid + "0", 1000), (oid.upper(), 1000), ("z" * 64, 1), (ABSENT[::-1], -1),
             ("", 3)]
    answers = batch(hub, repo, user.token, asked, "download").json()["objects"]
    by_oid = {entry["oid"]: entry for entry in answers}
    assert len(answers) == len({name for name, _ in asked})  # an oid that is asked for twice is answered once
    assert "download" in by_oid[oid]["actions"] and by_oid[oid]["authenticated"] is True
    assert by_oid[ABSENT]["error"]["code"] == 404 and "actions" not in by_oid[ABSENT]
    for name in (oid[:-1], oid + "0", oid.upper(), "z" * 64, ABSENT[::-1], ""):
        assert by_oid[name]["error"]["code"] == 422 and by_oid[name]["error"]["message"], name
    wrong = batch(hub, repo, user.token, [(oid, 999)], "download").json()["objects"][0]
    assert wrong["error"]["code"] == 422


def test_an_empty_object_is_an_object(hub, user, repo):
    oid = oid_of(b"")
    assert put(hub, repo, user.token, b"") == oid  # or linked: somebody's public repository may have it
    assert "actions" not in batch(hub, repo, user.token, [(oid, 0)]).json()["objects"][0]
    assert get(hub, repo, user.token, oid, 0).body == b""


def test_an_empty_object_of_a_public_repository_is_linked(hub, user, repo):
    oid = oid_of(b"")
    put(hub, user.repo(), user.token, b"")
    assert "actions" not in batch(hub, repo, user.token, [(oid, 0)]).json()["objects"][0]
    assert get(hub, repo, user.token, oid, 0).body == b""


@pytest.mark.parametrize("more", [{"ref": None}, {"ref": {}}, {"ref": {"name": None}}, {"transfers": None}, {"transfers": []},
                                  {"transfers": ["telepathy"]}, {"hash_algo": None}, {"hash_algo": "sha_256"}, {"unknown": {"a": [1]}},
                                  {"headers": {"Content-Type": MEDIA_TYPE + "; charset=utf-8"}}, {"headers": {"Accept": MEDIA_TYPE + "; charset=utf-8"}},
                                  {"headers": {"Accept": None}}, {"headers": {"Accept": "*/*"}}, {"headers": {"Accept": "text/html, " + MEDIA_TYPE}},
                                  {"headers": {"Content-Type": None}}], ids=str)
def test_what_clients_may_send_is_taken(hub, user, repo, more):
    answer = batch(hub, repo, user.token, [(ABSENT, 5)], **more)
    assert answer.status == 200 and answer.json()["transfer"] == "basic", answer
    assert "upload" in answer.json()["objects"][0]["actions"]


@pytest.mark.parametrize("status, more", [
    (406, {"headers": {"Accept": "text/html"}}), (406, {"headers": {"Accept": "application/json, text/*;q=0.5"}}),
    (409, {"hash_algo": "sha512"}), (409, {"hash_algo": 1}), (422, {"operation": "explode"}), (422, {"operation": None}), (422, {"objects": None}),
    (422, {"objects": {}}), (422, {"objects": [5]}), (422, {"transfers": "basic"}), (422, {"ref": "main"}), (422, {"ref": {"name": 5}})], ids=str)
def test_what_is_wrong_with_a_batch_is_said(hub, user, repo, status, more):
    error(batch(hub, repo, user.token, [(ABSENT, 5)], **{"operation": "upload", **more}), status)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"operation": "upload", "objects": [', b"\xff\xfe", b"[" * 10_000], ids=lambda body: str(body[:12]))
def test_a_batch_that_is_no_json_is_refused(hub, user, repo, body):
    error(call(hub, "POST", f"/{repo}.git/info/lfs/objects/batch", body, user.token), 422)


def test_a_batch_has_at_most_a_thousand_objects(hub, user, repo):
    objects = [(hashlib.sha256(f"one of a thousand {i}".encode()).hexdigest(), i) for i in range(1001)]
    error(batch(hub, repo, user.token, objects), 413)
    answers = batch(hub, repo, user.token, objects[:1000]).json()["objects"]
    assert len(answers) == 1000 and all("upload" in entry["actions"] for entry in answers)


def test_an_empty_batch_has_an_empty_answer(hub, user, repo):
    assert batch(hub, repo, user.token, []).json()["objects"] == []


def test_who_may_do_what(hub, user, bob, repo):
    oid = put(hub, repo, user.token, b"public")
    secret = user.repo(private=True)
    objects = [(oid, 6)]
    # Anyone reads what is public.
    assert "actions" in batch(hub, repo, None, objects, "download").json()["objects"][0]
    for answer in (batch(hub, repo, None, objects), batch(hub, secret, None, objects, "download"), batch(hub, "no/such", None, objects, "download"),
                   batch(hub, repo, "hf_" + "x" * 34, objects, "download")):
        error(answer, 401)
        assert answer.headers["lfs-authenticate"] == 'Basic realm="cairn"'
        assert answer.headers["www-authenticate"] == 'Basic realm="cairn"'
    error(batch(hub, repo, user.read_token, objects), 403)
    # Whoever sees a repository may propose changes to it, and upload for them.
    assert batch(hub, repo, bob.token, objects).status == 200
    error(batch(hub, secret, bob.token, objects, "download"), 404)
    error(batch(hub, f"{user.name}/absent", user.token, objects), 404)


def test_the_endpoint_is_the_same_for_every_type_and_spelling(hub, user):
    hub.create_repo(user.token, "data", "dataset")
    for path in (f"/datasets/{user.name}/data.git", f"/datasets/{user.name}/data", f"/datasets/{user.name.upper()}/DATA.git"):
        answer = call(hub, "POST", f"{path}/info/lfs/objects/batch", {"operation": "upload", "objects": [{"oid": ABSENT, "size": 1}]}, user.token)
        assert answer.status == 200 and "upload" in answer.json()["objects"][0]["actions"]


# ---- what is there already

def test_an_object_that_the_caller_may_read_elsewhere_is_linked_without_upload(hub, user, bob, repo):
    data = random_bytes("linked", 300_000)
    oid = put(hub, repo, user.token, data)
    other = bob.repo()
    before = hub.stats()["stored_bytes"]
    entry = batch(hub, other, bob.token, [(oid, len(data))]).json()["objects"][0]
    assert "actions" not in entry and "error" not in entry
    assert get(hub, other, bob.token, oid, len(data)).body == data
    assert hub.stats()["stored_bytes"] == before
    # It is the other repository's own now: a commit may name it, and it stays when the first one goes.
    assert hub.commit(bob.token, other, [("lfsFile", {"path": "a.bin", "algo": "sha256", "oid": oid, "size": len(data)})]).status == 200


def test_an_object_of_a_hidden_repository_is_as_unknown_as_one_that_nobody_has(hub, user, bob):
    data = random_bytes("hidden", 300_000)
    oid = put(hub, user.repo(private=True), user.token, data)
    other = bob.repo()
    mine = batch(hub, other, bob.token, [(oid, len(data))]).json()["objects"][0]
    nobodys = batch(hub, other, bob.token, [(ABSENT, len(data))]).json()["objects"][0]
    assert mine["actions"].keys() == nobodys["actions"].keys() and "error" not in mine
    assert batch(hub, other, bob.token, [(oid, len(data))], "download").json()["objects"][0]["error"]["code"] == 404
    # Another size tells nothing either.
    assert "upload" in batch(hub, other, bob.token, [(oid, 5)]).json()["objects"][0]["actions"]


def test_a_digest_that_was_only_said_is_not_taken_for_an_object(hub, user, bob):
    """A Xet client names the SHA-256 of what it registers. Until this server has computed it, that is talk: nobody is given those bytes for that digest."""
    wanted = random_bytes(f"{user.name} wanted", 60_003)
    oid = oid_of(wanted)
    repo, other = user.repo(), bob.repo()
    token = hub.xet_token(user.token, repo)["accessToken"]
    xorb = random_xorb(user.name)
    assert hub.request("POST", xorb.path, xorb.body, token=token).status == 200
    false = File([(xorb, 0, 3)], sha256=bytes.fromhex(oid))
    assert len(false.data) == len(wanted)
    assert hub.request("POST", "/v1/shards", shard([false], [xorb]), token=token).status == 200
    # The repository of that client and everybody else send it all the same, and get what they sent.
    for person, where in ((bob, other), (user, repo)):
        entry = batch(hub, where, person.token, [(oid, len(wanted))]).json()["objects"][0]
        assert "upload" in entry["actions"], entry
    assert get(hub, repo, user.token, oid, len(wanted)).status == 404
    put(hub, repo, user.token, wanted)
    assert get(hub, repo, user.token, oid, len(wanted)).body == wanted
    assert "actions" not in batch(hub, other, bob.token, [(oid, len(wanted))]).json()["objects"][0]
    assert get(hub, other, bob.token, oid, len(wanted)).body == wanted


def test_an_object_that_came_by_xet_and_by_git_lfs_is_stored_once(hub, user, client, tmp_path):
    data = random_bytes("once", 20_000_000)
    (tmp_path / "a.bin").write_bytes(data)
    client(user.token).run("upload_file", repo=user.repo(private=True), path=tmp_path / "a.bin", path_in_repo="a.bin")
    before = hub.stats()
    bob = hub.make_user(user.name + "-friend")  # may not see it, so has to send it
    repo = bob.repo()
    assert put(hub, repo, bob.token, data) == oid_of(data)
    after = hub.stats()
    assert after["stored_bytes"] - before["stored_bytes"] < len(data) * 0.001
    assert after["logical_bytes"] - before["logical_bytes"] >= len(data)
    assert get(hub, repo, bob.token, oid_of(data), len(data)).body == data


# ---- transfers

def href(hub, repo, token, data):
    return batch(hub, repo, token, [(oid_of(data), len(data))]).json()["objects"][0]["actions"]["upload"]["href"]


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: data[::-1]], ids=["short", "long", "other"])
def test_bytes_that_are_not_the_object_are_refused(hub, user, repo, change):
    data = random_bytes(user.name, 1000)
    sent = change(data)
    error(hub.request("PUT", href(hub, repo, user.token, data), sent), 422)
    error(hub.request("PUT", href(hub, repo, user.token, data), iter([sent])), 413 if len(sent) > 1000 else 422)
    assert "upload" in batch(hub, repo, user.token, [(oid_of(data), 1000)]).json()["objects"][0]["actions"]
    assert hub.request("PUT", href(hub, repo, user.token, data), iter([data])).status == 200  # in chunks, as git-lfs can be told to


def test_a_download_is_resumed_where_it_was_cut(hub, user, repo):
    data = random_bytes("ranges", 200_000)
    oid = put(hub, repo, user.token, data)
    whole = get(hub, repo, user.token, oid, len(data), {"Accept-Encoding": "gzip"})
    assert whole.status == 200 and whole.body == data and "content-encoding" not in whole.headers
    for start, end in ((0, 0), (1, 100), (150_000, 199_999), (199_999, 300_000)):
        part = get(hub, repo, user.token, oid, len(data), {"Range": f"bytes={start}-{end}"})
        last = min(end, len(data) - 1)
        assert part.status == 206 and part.body == data[start:last + 1]
        assert part.headers["content-range"] == f"bytes {start}-{last}/{len(data)}"
    assert get(hub, repo, user.token, oid, len(data), {"Range": f"bytes={len(data)}-{len(data) + 5}"}).status == 416


def test_a_url_is_good_for_its_call_and_its_holder_only(hub, user, repo):
    data = random_bytes("urls", 1000)
    upload = href(hub, repo, user.token, data)
    grant = upload.rsplit("/", 1)[1]
    error(hub.request("GET", f"/api/lfs/download/{grant}"), 403)
    error(hub.request("PUT", upload[:-2] + ("AA" if upload[-2:] != "AA" else "BB"), data), 403)
    oid = put(hub, repo, user.token, data)
    download = batch(hub, repo, user.token, [(oid, 1000)], "download").json()["objects"][0]["actions"]["download"]["href"]
    anonymous = batch(hub, repo, None, [(oid, 1000)], "download").json()["objects"][0]["actions"]["download"]["href"]
    assert hub.request("GET", anonymous).body == data
    hub.request("PUT", f"/api/models/{repo}/settings", {"private": True}, token=user.token)
    assert hub.request("GET", download).body == data
    error(hub.request("GET", anonymous), 403)
    hub.request("DELETE", "/api/repos/delete", {"type": "model", "name": repo.split("/")[1]}, token=user.token)
    error(hub.request("GET", download), 404)
    error(hub.request("PUT", upload, data), 404)

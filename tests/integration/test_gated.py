"""Gated repositories: everybody sees them, nobody but those who were let in reads their files."""
import itertools
import urllib.parse

import pytest

from clients import ClientError
from samples import random_bytes, write

NEWER = ["newest", "hub-1.19", "hub-0.36"]
numbers = itertools.count(1)


@pytest.fixture
def other(hub):
    return hub.make_user(f"asker-{next(numbers)}")


def community(client, action, **arguments):
    return client.run(action, driver="community_driver.py", **arguments)


@pytest.fixture
def gated(hub, user, client, tmp_path):
    """A repository whose files are behind a gate that its owner opens by hand; it has a regular file and one in LFS."""
    repo = user.repo()
    folder = write(tmp_path / "gated", {"notes.txt": b"notes\n", "model.bin": random_bytes(f"gated-{repo}", 300_000)})
    client(user.token).run("upload_folder", repo=repo, folder=folder)
    assert hub.request("PUT", f"/api/models/{repo}/settings", {"gated": "manual"}, token=user.token).json()["gated"] == "manual"
    return repo


def ask(hub, repo, token, fields=None):
    body = urllib.parse.urlencode(fields or {}).encode()
    return hub.request("POST", f"/{repo}/ask-access", body, token=token, headers={"Content-Type": "application/x-www-form-urlencoded"})


@pytest.mark.parametrize("generation", NEWER)
def test_a_request_is_asked_for_accepted_and_rejected_again(hub, user, other, client, gated, generation):
    owner, reader = client(user.token, generation), client(other.token, generation)
    with pytest.raises(ClientError) as refused:
        reader.run("download", repo=gated, filename="model.bin")
    assert (refused.value.name, refused.value.status, refused.value.code) == ("GatedRepoError", 403, "GatedRepo")
    assert gated in refused.value.message and "not in the authorized list" in refused.value.message
    assert reader.run("info", repo=gated)["siblings"] == [".gitattributes", "model.bin", "notes.txt"]

    answer = ask(hub, gated, other.read_token, {"Company": "Stone & Co", "I agree": "true"})
    assert answer.status == 303 and answer.headers["location"] == f"{hub.url}/{gated}"
    with pytest.raises(ClientError, match="awaiting a review"):
        reader.run("download", repo=gated, filename="notes.txt")
    pending = community(owner, "access_requests", repo=gated, status="pending")
    assert [(item["username"], item["status"], item["fields"]) for item in pending] == [
        (other.name, "pending", {"Company": "Stone & Co", "I agree": "true"})]
    assert pending[0]["email"] == f"{other.name}@example.org"

    if "request_id" in pending[0]:  # newer clients may name the request in place of the user
        assert hub.request("POST", f"/api/models/{gated}/user-access-request/handle", {"requestId": pending[0]["request_id"], "status": "accepted"},
                           token=user.token).status == 200
    else:
        community(owner, "decide", repo=gated, decision="accept", user=other.name)
    assert community(owner, "access_requests", repo=gated, status="pending") == []
    assert [item["username"] for item in community(owner, "access_requests", repo=gated, status="accepted")] == [other.name]
    assert reader.run("download", repo=gated, filename="model.bin")["size"] == 300_000
    community(reader, "auth_check", repo=gated)
    with pytest.raises(ClientError) as again:
        community(owner, "decide", repo=gated, decision="accept", user=other.name)
    assert again.value.status == 404

    community(owner, "decide", repo=gated, decision="reject", user=other.name, rejection_reason="no")
    with pytest.raises(ClientError, match="rejected"):
        client(other.token, generation).run("download", repo=gated, filename="model.bin")
    community(owner, "decide", repo=gated, decision="cancel", user=other.name)
    assert [item["username"] for item in community(owner, "access_requests", repo=gated, status="pending")] == [other.name]


def test_a_grant_needs_no_request(hub, user, other, client, gated):
    owner = client(user.token)
    community(owner, "grant_access", repo=gated, user=other.name)
    assert client(other.token).run("download", repo=gated, filename="notes.txt")["size"] == 6
    with pytest.raises(ClientError) as again:
        community(owner, "grant_access", repo=gated, user=other.name)
    assert again.value.status == 400
    with pytest.raises(ClientError) as absent:
        community(owner, "grant_access", repo=gated, user="nobody-of-that-name")
    assert absent.value.status == 404
    with pytest.raises(ClientError) as denied:
        community(client(other.token), "grant_access", repo=gated, user=other.name)
    assert denied.value.status == 403


def test_an_automatic_gate_lets_in_whoever_asks(hub, user, other, client, gated):
    assert hub.request("PUT", f"/api/models/{gated}/settings", {"gated": "auto"}, token=user.token).status == 200
    assert hub.request("GET", f"/api/models/{gated}").json()["gated"] == "auto"
    assert hub.request("HEAD", f"/{gated}/resolve/main/notes.txt", token=other.token).code == "GatedRepo"
    assert ask(hub, gated, other.token).status == 303
    assert hub.request("GET", f"/{gated}/resolve/main/notes.txt", token=other.token).body == b"notes\n"
    assert ask(hub, gated, other.token).status == 303


def test_no_shared_cache_keeps_what_is_gated(hub, user, gated):
    sha = hub.request("GET", f"/api/models/{gated}", token=user.token).json()["sha"]
    answer = hub.request("GET", f"/api/resolve-cache/models/{gated}/{sha}/notes.txt", token=user.token)
    assert answer.status == 200 and answer.headers["cache-control"].startswith("private,")


def test_no_view_gives_the_bytes_away(hub, user, other, gated):
    """Everything that could lead to content, as somebody without access, as nobody, and for what the owner started."""
    oid = {item["path"]: item for item in hub.request("GET", f"/api/models/{gated}/tree/main").json()}["model.bin"]["lfs"]["oid"]
    sha = hub.request("GET", f"/api/models/{gated}").json()["sha"]
    for path in (f"/{gated}/resolve/main/notes.txt", f"/{gated}/raw/main/notes.txt", f"/{gated}/resolve/{sha}/model.bin",
                 f"/api/resolve-cache/models/{gated}/{sha}/notes.txt", f"/api/models/{gated}/xet-read-token/main",
                 f"/api/models/{gated}/auth-check"):
        for method in ("GET", "HEAD"):
            for token, status in ((other.token, 403), (None, 401)):
                answer = hub.request(method, path, token=token)
                assert (answer.status, answer.code) == (status, "GatedRepo"), (method, path, answer)
        assert hub.request("GET", path, token=user.token).status == 200
    for operation in ("download", "upload"):
        assert hub.lfs_batch(other.token, gated, [(oid, 300_000)], operation).status == 403
    target = other.repo()
    answer = hub.request("POST", f"/api/models/{gated}/lfs-files/duplicate", {
        "target": {"type": "model", "name": target}, "files": [{"sha256": oid, "filename": "model.bin"}]}, token=other.token)
    assert answer.status == 403


def test_a_token_of_the_content_store_ends_with_the_access(hub, user, other, gated):
    hub.request("POST", f"/api/models/{gated}/user-access-request/grant", {"user": other.name}, token=user.token)
    token = hub.xet_token(other.token, gated, "read")["accessToken"]
    file = hub.request("HEAD", f"/{gated}/resolve/main/model.bin", token=other.token).headers["x-xet-hash"]
    assert hub.request("GET", f"/v1/reconstructions/{file}", token=token).status == 200
    hub.request("POST", f"/api/models/{gated}/user-access-request/handle", {"user": other.name, "status": "rejected"}, token=user.token)
    assert hub.request("GET", f"/v1/reconstructions/{file}", token=token).status == 403


def test_a_user_takes_a_request_back(hub, user, other, gated):
    assert hub.request("POST", f"/api/models/{gated}/user-access-request/cancel", {}, token=other.token).status == 404
    ask(hub, gated, other.token)
    assert hub.request("POST", f"/api/models/{gated}/user-access-request/cancel", {}, token=other.token).status == 200
    assert hub.request("GET", f"/api/models/{gated}/user-access-request/pending", token=user.token).json() == []


def test_many_requests_are_decided_at_once(hub, user, gated):
    askers = [hub.make_user(f"asker-{next(numbers)}") for _ in range(4)]
    stranger = hub.make_user(f"asker-{next(numbers)}")
    for asker in askers:
        ask(hub, gated, asker.token)
    pending = hub.request("GET", f"/api/models/{gated}/user-access-request/pending", token=user.token).json()
    ids = {item["user"]["user"]: (item["user"]["_id"], item["requestId"]) for item in pending}
    path = f"/api/models/{gated}/user-access-request/batch"
    requests = [{"user": askers[0].name}, {"userId": ids[askers[1].name][0]}, {"requestId": ids[askers[2].name][1]},
                {"user": stranger.name}, {"user": "nobody-of-this-name"}, {"userId": "0" * 24}, {"user": askers[0].name}]
    answer = hub.request("POST", path, {"status": "accepted", "requests": requests}, token=user.token)
    assert answer.status == 200, answer
    assert answer.json() == [
        {"user": askers[0].name, "ok": True}, {"userId": ids[askers[1].name][0], "ok": True}, {"ok": True},
        {"user": stranger.name, "ok": False, "error": "request_not_found"}, {"user": "nobody-of-this-name", "ok": False, "error": "user_not_found"},
        {"userId": "0" * 24, "ok": False, "error": "user_not_found"}, {"user": askers[0].name, "ok": True}]
    accepted = hub.request("GET", f"/api/models/{gated}/user-access-request/accepted", token=user.token).json()
    assert {item["user"]["user"] for item in accepted} == {asker.name for asker in askers[:3]}
    answer = hub.request("POST", path, {"status": "rejected", "rejectionReason": "no", "requests": [{"user": asker.name} for asker in askers]}, token=user.token)
    assert all(item["ok"] for item in answer.json())
    rejected = hub.request("GET", f"/api/models/{gated}/user-access-request/rejected", token=user.token).json()
    assert [item["rejectionReason"] for item in rejected] == ["no"] * 4
    for wrong in ({"status": "pending", "requests": requests}, {"status": "accepted"}, {"status": "accepted", "requests": []},
                  {"status": "accepted", "requests": requests[:1] * 101}):
        assert hub.request("POST", path, wrong, token=user.token).status == 400
    assert hub.request("POST", path, {"status": "accepted", "requests": requests}, token=askers[0].token).status == 403
    for key in ("handle", "grant"):
        answer = hub.request("POST", f"/api/models/{gated}/user-access-request/{key}", {"userId": ids[askers[3].name][0], "status": "pending"}, token=user.token)
        assert answer.status == 200, answer


def test_requests_come_in_pages_newest_first_and_as_a_report(hub, user, gated):
    names = [f"crowd-{next(numbers)}" for _ in range(105)]
    for name in names:
        hub.admin("POST", "/users", {"name": name, "fullname": "=1+1"})
        hub.request("POST", f"/api/models/{gated}/user-access-request/grant", {"user": name}, token=user.token)
    first = hub.request("GET", f"/api/models/{gated}/user-access-request/accepted", token=user.token)
    link = first.headers["link"]
    second = hub.request("GET", link[1:link.index(">")], token=user.token)
    assert "link" not in second.headers
    assert [item["user"]["user"] for item in first.json() + second.json()] == names[::-1]
    report = hub.request("GET", f"/{gated}/user-access-report", token=user.token)
    assert report.headers["content-type"].startswith("text/csv")
    lines = report.body.decode().splitlines()
    assert len(lines) == 106 and "\"'=1+1\"" in lines[1]
    assert hub.request("GET", f"/{gated}/user-access-report").status == 401


def test_only_the_owner_looks_and_decides_and_only_behind_a_gate(hub, user, other, gated):
    for method, path, body in (("GET", "pending", None), ("POST", "handle", {"user": other.name, "status": "accepted"}),
                               ("POST", "grant", {"user": other.name})):
        assert hub.request(method, f"/api/models/{gated}/user-access-request/{path}", body, token=other.token).status == 403
        assert hub.request(method, f"/api/models/{gated}/user-access-request/{path}", body).status == 401
    open_repo = user.repo()
    assert hub.request("GET", f"/api/models/{open_repo}/user-access-request/pending", token=user.token).status == 400
    assert ask(hub, open_repo, other.token).status == 400
    assert ask(hub, gated, None).status == 401
    assert hub.request("POST", f"/api/models/{gated}/user-access-request/handle", {"user": other.name, "status": "maybe"},
                       token=user.token).status == 400
    long = urllib.parse.urlencode({"field": "x" * 20000}).encode()
    assert hub.request("POST", f"/{gated}/ask-access", long, token=other.token).status == 400

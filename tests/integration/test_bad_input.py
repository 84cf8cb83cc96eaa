"""Requests that no good client sends: each gets the answer it should, and nothing of it stays."""
import base64
import hashlib
import json
import re
import socket
import threading
import time
import urllib.parse

import pytest

import raw_http
from hub_process import ROOT
from samples import digests, random_bytes
from xet_wire import File, random_xorb, shard


def head(hub, user, repo):
    return hub.request("GET", f"/api/models/{repo}/revision/main", token=user.token).json()["sha"]


@pytest.fixture
def repo(hub, user):
    """A repository that must end as it began."""
    repo = user.repo()
    before = head(hub, user, repo)
    yield repo
    assert head(hub, user, repo) == before
    files = hub.request("GET", f"/api/models/{repo}/tree/main?recursive=true", token=user.token).json()
    assert [item["path"] for item in files] == [".gitattributes"]


# ---- paths

BAD_PATHS = {
    "up": "../outside.txt",
    "up in the middle": "a/../../b.txt",
    "only up": "..",
    "up for some": "..\\outside.txt",
    "dot": "./a.txt",
    "absolute": "/etc/passwd",
    "empty": "",
    "empty part": "a//b.txt",
    "ends in a slash": "a/",
    "NUL": "a\0b.txt",
    "git's own": ".git/config",
    "git's own, disguised": ".GIT/config",
    "too long": "a" * 5000,
    "a part too long": "a" * 300 + "/b.txt",
    "too deep": "/".join("a" * 2000),
}


@pytest.mark.parametrize("name", BAD_PATHS)
def test_a_path_that_is_none_is_refused(hub, user, repo, name):
    refused = hub.commit(user.token, repo, {BAD_PATHS[name]: b"x"})
    assert refused.status == 400, refused
    assert refused.json()["error"]
    asked = hub.request("POST", f"/api/models/{repo}/preupload/main", {"files": [{"path": BAD_PATHS[name], "size": 1, "sample": ""}]}, token=user.token)
    assert asked.status in (400, 422) and asked.json()["error"], asked


BACKSLASHES = ["a..\\..b", "folder/..\\..\\..\\file", "folder/..\\x/y", "a\\..\\b.txt"]


def test_a_backslash_is_a_character_of_a_name(hub, user, client):
    repo = user.repo()
    for path in BACKSLASHES:
        asked = hub.request("POST", f"/api/models/{repo}/preupload/main", {"files": [{"path": path, "size": 1, "sample": ""}]}, token=user.token)
        assert asked.status == 200, asked
    assert hub.commit(user.token, repo, {path: path.encode() for path in BACKSLASHES[2:]}).status == 200
    for path in BACKSLASHES[:2]:
        client(user.token).run("upload_text", repo=repo, text=path, path_in_repo=path)
    listed = hub.request("GET", f"/api/models/{repo}/tree/main?recursive=true", token=user.token).json()
    assert {item["path"] for item in listed} >= set(BACKSLASHES)
    found = digests(client(user.token, "hub-1.19").run("snapshot", repo=repo))  # later ones will not write such names
    for path in BACKSLASHES:
        assert found[path] == hashlib.sha256(path.encode()).hexdigest()
        for kind in ("resolve", "raw"):
            assert hub.request("GET", f"/{repo}/{kind}/main/{urllib.parse.quote(path)}", token=user.token).body == path.encode()
    client(user.token).run("create_commit", repo=repo, copy={BACKSLASHES[1]: "moved\\..\\file"}, delete=[BACKSLASHES[1]])
    paths = {item["path"] for item in hub.request("GET", f"/api/models/{repo}/tree/main?recursive=true", token=user.token).json()}
    assert "moved\\..\\file" in paths and BACKSLASHES[1] not in paths


def test_a_path_of_invalid_utf8_is_refused(hub, user, repo):
    body = (b'{"key":"header","value":{"summary":"x"}}\n{"key":"file","value":{"path":"a\xff\xfeb.txt","content":"eA==","encoding":"base64"}}\n')
    refused = hub.request("POST", f"/api/models/{repo}/commit/main", body, token=user.token,
                          headers={"Content-Type": "application/x-ndjson"})
    assert refused.status == 400, refused


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/admin-token", "a%00b", "%ff%fe", "a" * 5000, "..\\..\\a"])
def test_no_path_leads_out_of_the_repository(hub, user, repo, path):
    for kind in ("resolve", "raw"):
        answer = hub.request("GET", f"/{repo}/{kind}/main/{path}", token=user.token)
        assert answer.status == (400 if "%00" in path else 404), answer
        assert "%00" not in path or "NUL" in answer.json()["error"], answer
        assert hub.admin_token.encode() not in answer.body
    assert hub.request("GET", f"/api/models/{repo}/tree/main/{path}", token=user.token).status == (400 if "%00" in path else 404)


def test_a_file_cannot_be_a_folder_too(hub, user, repo):
    refused = hub.commit(user.token, repo, {"a": b"x", "a/b": b"y"})
    assert refused.status == 400, refused


# ---- commit bodies

def line(key, value):
    return json.dumps({"key": key, "value": value}).encode() + b"\n"


HEADER = line("header", {"summary": "x"})
BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"hello\n",
    "no header": line("file", {"path": "a", "content": "eA==", "encoding": "base64"}),
    "an unknown key": HEADER + line("explode", {"path": "a"}),
    "a list": b"[1,2,3]\n",
    "content that is no base64": HEADER + line("file", {"path": "a", "content": "%%%", "encoding": "base64"}),
    "an unknown encoding": HEADER + line("file", {"path": "a", "content": "eA==", "encoding": "rot13"}),
    "no path": HEADER + line("file", {"content": "eA==", "encoding": "base64"}),
    "a number for a path": HEADER + line("file", {"path": 7, "content": "eA==", "encoding": "base64"}),
    "a cut line": HEADER + b'{"key":"file","value":{"path":"a","content":"eA=',
    "deep nesting": HEADER + b'{"key":"file","value":' + b"[" * 10_000 + b"]" * 10_000 + b"}\n",
    "an oid that is none": HEADER + line("lfsFile", {"path": "a", "algo": "sha256", "oid": "xyz", "size": 1}),
    "an oid nobody has": HEADER + line("lfsFile", {"path": "a", "algo": "sha256", "oid": "0" * 64, "size": 1}),
    "a summary of no UTF-8": b'{"key":"header","value":{"summary":"a\xff"}}\n' + line("file", {"path": "a", "content": "x"}),
    "a description that ends in a character": b'{"key":"header","value":{"summary":"x","description":"\xc3"}}\n' + line("file", {"path": "a", "content": "x"}),
    "content of no UTF-8": HEADER + line("file", {"path": "good", "content": "x"}) +
                           b'{"key":"file","value":{"path":"a","content":"\xed\xa0\x80","encoding":"utf-8"}}\n',
    "long content of no UTF-8": HEADER + b'{"key":"file","value":{"path":"a","content":"' + b"\xc3\xa9" * 200_000 + b'\xc3"}}\n',
    "a document of no UTF-8": b'{"summary":"\xfe","files":[{"path":"a","content":"x"}]}',
    "another algorithm": HEADER + line("lfsFile", {"path": "a", "algo": "md5", "oid": "0" * 32, "size": 1}),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_commit_changes_nothing(hub, user, repo, name):
    refused = hub.request("POST", f"/api/models/{repo}/commit/main", BAD_BODIES[name], token=user.token,
                          headers={"Content-Type": "application/x-ndjson"})
    assert 400 <= refused.status < 500, refused
    assert refused.json()["error"]


def test_text_of_a_commit_that_is_no_utf8_is_named(hub, user, repo):
    for name in BAD_BODIES:
        if "UTF-8" in name or "character" in name:
            kind = "json" if "document" in name else "x-ndjson"
            refused = hub.request("POST", f"/api/models/{repo}/commit/main", BAD_BODIES[name], token=user.token, headers={"Content-Type": f"application/{kind}"})
            assert refused.status == 400 and "is not valid UTF-8" in refused.json()["error"], (name, refused)


def test_text_of_a_commit_beyond_ascii_is_kept(hub, user):
    """However it is cut on its way, and a title that is too long is cut between characters."""
    repo, text = user.repo(), "\u00e9\u20ac\U0001f600" * 40_000
    body = HEADER.replace(b'"x"', json.dumps("a" + "\u20ac" * 2000, ensure_ascii=False).encode()) + \
        json.dumps({"key": "file", "value": {"path": "a", "content": text}}, ensure_ascii=False).encode() + b"\n"
    done = hub.request("POST", f"/api/models/{repo}/commit/main", body, token=user.token, headers={"Content-Type": "application/x-ndjson"})
    assert done.status == 200, done
    assert hub.request("GET", f"/{repo}/resolve/main/a").body == text.encode()
    title = hub.request("GET", f"/api/models/{repo}/commits/main").json()[0]["title"]
    assert title.startswith("a\u20ac") and set(title) == set("a\u20ac")


def test_a_commit_with_one_bad_operation_does_none_of_the_others(hub, user, repo):
    refused = hub.commit(user.token, repo, [
        ("file", {"path": "good.txt", "content": base64.b64encode(b"good").decode(), "encoding": "base64"}),
        ("deletedFile", {"path": "absent.txt"})])
    assert (refused.status, refused.code) == (404, "EntryNotFound")
    assert refused.headers["x-repo-commit"] == head(hub, user, repo)  # where it was looked for


def test_an_unknown_operation_is_named(hub, user, repo):
    refused = hub.commit(user.token, repo, [("explode", {})])
    assert refused.status == 400 and 'Unknown operation "explode"' in refused.json()["error"], refused


@pytest.mark.parametrize("path", ["/api/repos/create", "/api/validate-yaml", "/api/models/{repo}/preupload/main",
                                  "/api/models/{repo}/paths-info/main", "/{repo}.git/info/lfs/objects/batch", "/api/models/{repo}/tag/main"])
def test_deeply_nested_json_is_refused(hub, user, repo, path):
    body = b'{"name":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    refused = hub.request("POST", path.format(repo=repo), body, token=user.token, headers={"Content-Type": "application/json"})
    assert 400 <= refused.status < 500, refused


def test_commits_to_what_is_not_there_are_refused(hub, user, repo):
    unknown = hub.commit(user.token, repo, {"a": b"x"}, revision="absent")
    assert (unknown.status, unknown.code) == (404, "RevisionNotFound")
    nowhere = hub.commit(user.token, f"{user.name}/absent", {"a": b"x"})
    assert (nowhere.status, nowhere.code) == (404, "RepoNotFound")
    onto_the_past = hub.commit(user.token, repo, {"a": b"x"}, revision=head(hub, user, repo))
    assert 400 <= onto_the_past.status < 500


# ---- tokens

def test_wrong_missing_and_ended_tokens(hub, user, repo):
    wrong = hub.commit("hf_" + "a" * 34, repo, {"a": b"x"})
    assert (wrong.status, wrong.code) == (401, None)
    assert wrong.headers["x-error-message"] == "Invalid credentials in Authorization header"
    ended = hub.make_token(user.name, "write", expires_in_s=1)
    time.sleep(2)
    assert hub.commit(ended, repo, {"a": b"x"}).status == 401
    missing = hub.commit(None, repo, {"a": b"x"})
    assert missing.status == 401
    for value in ("Bearer", "Bearer ", "Basic !!!", "Digest x", "Bearer " + "a" * 4000, "Bearer \x7f"):
        answer = hub.request("GET", "/api/whoami-v2", headers={"Authorization": value})
        assert answer.status == (400 if "\x7f" in value else 401), (value, answer)


def test_somebody_elses_token_may_read_and_not_write(hub, bob, repo):
    assert hub.request("GET", f"/api/models/{repo}", token=bob.token).status == 200
    assert hub.commit(bob.token, repo, {"a": b"x"}).status == 403
    for method, path, body in (("POST", f"/api/models/{repo}/tag/main", {"tag": "v1"}), ("POST", f"/api/models/{repo}/branch/new", {}),
                               ("DELETE", "/api/repos/delete", {"name": repo.split("/")[1], "organization": repo.split("/")[0]})):
        assert hub.request(method, path, body, token=bob.token).status == 403, path


# ---- races

def together(count, call):
    results = [None] * count
    barrier = threading.Barrier(count)

    def run(i):
        barrier.wait()
        results[i] = call(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_two_creates_at_once_one_wins(hub, user):
    for attempt in range(5):
        answers = together(2, lambda i: hub.create_repo(user.token, f"raced-{attempt}"))
        assert sorted(answer.status for answer in answers) == [200, 409]
        assert all(answer.json()["url"] == f"{hub.url}/{user.name}/raced-{attempt}" for answer in answers)


def test_of_many_commits_onto_one_parent_one_wins(hub, user):
    repo = user.repo()
    parent = head(hub, user, repo)
    answers = together(8, lambda i: hub.commit(user.token, repo, {f"file-{i}.txt": b"x"}, parent=parent))
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7
    won = next(answer.json()["commitOid"] for answer in answers if answer.status == 200)
    assert head(hub, user, repo) == won
    assert len(hub.request("GET", f"/api/models/{repo}/tree/main", token=user.token).json()) == 2


def test_commits_without_a_parent_all_arrive(hub, user):
    repo = user.repo()
    answers = together(8, lambda i: hub.commit(user.token, repo, {f"file-{i}.txt": b"x"}))
    done = [i for i, answer in enumerate(answers) if answer.status == 200]
    assert done and all(answer.status in (200, 412, 503) for answer in answers)
    names = {item["path"] for item in hub.request("GET", f"/api/models/{repo}/tree/main", token=user.token).json()}
    assert names == {".gitattributes"} | {f"file-{i}.txt" for i in done}


# ---- bodies of another length than announced

SENT_XORB, CUT_XORB = random_xorb("sent whole"), random_xorb("cut short")


def whole_requests(hub, user, repo):
    """What is sent, and whether it has left a trace: {name: (method, path, token, body, trace)}."""
    xet = hub.xet_token(user.token, repo)["accessToken"]
    assert hub.request("POST", SENT_XORB.path, SENT_XORB.body, token=xet).status == 200
    file = File([(SENT_XORB, 0, 2)])
    create = json.dumps({"name": "cut-short", "type": "model"}).encode()
    commit = HEADER + line("file", {"path": "cut.txt", "content": "eA==", "encoding": "base64"}).rstrip()
    data = random_bytes(f"cut {repo}", 100_000)
    oid = hashlib.sha256(data).hexdigest()
    asked = {"operation": "upload", "transfers": ["basic"], "hash_algo": "sha256", "objects": [{"oid": oid, "size": len(data)}]}
    upload = hub.lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0]["actions"]["upload"]["href"]
    return {
        "commit": ("POST", f"/api/models/{repo}/commit/main", user.token, commit, lambda: False),  # `repo` looks itself
        "create": ("POST", "/api/repos/create", user.token, create,
                   lambda: hub.request("GET", f"/api/models/{user.name}/cut-short", token=user.token).status == 200),
        "preupload": ("POST", f"/api/models/{repo}/preupload/main", user.token,
                      json.dumps({"files": [{"path": "cut.txt", "size": 1, "sample": "eA=="}]}).encode(), lambda: False),
        "validate-yaml": ("POST", "/api/validate-yaml", user.token, json.dumps({"content": "---\n---\n", "repoType": "model"}).encode(), lambda: False),
        "LFS batch": ("POST", f"/{repo}.git/info/lfs/objects/batch", user.token, json.dumps(asked).encode(), lambda: False),
        "LFS object": ("PUT", upload.removeprefix(hub.url), None, data, lambda: is_stored(hub, user, repo, oid, len(data))),
        "push": ("POST", f"/{repo}.git/git-receive-pack", user.token, b"0000" * 20, lambda: False),
        "xorb": ("POST", CUT_XORB.path, xet, CUT_XORB.body,
                 lambda: hub.has_xorb(CUT_XORB)),
        "shard": ("POST", "/v1/shards", xet, shard([file], [SENT_XORB]),
                  lambda: "actions" not in hub.lfs_batch(user.token, repo, [(file.oid, len(file.data))]).json()["objects"][0]),
    }


def head_of(method, path, token, framing):
    kind = "vnd.git-lfs+json" if path.endswith("/batch") else "x-git-receive-pack-request" if path.endswith("-pack") else "json"
    kind = "x-ndjson" if "/commit/" in path else kind
    who = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{who}Content-Type: application/{kind}\r\n{framing}\r\n\r\n".encode()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", ["commit", "create", "preupload", "validate-yaml", "LFS batch", "LFS object", "push", "xorb", "shard"])
def test_a_body_shorter_than_announced_is_refused_and_leaves_nothing(hub, user, repo, name, framing):
    method, path, token, body, left_a_trace = whole_requests(hub, user, repo)[name]
    with raw_http.connect(hub) as connection:
        if framing == "length":
            connection.sendall(head_of(method, path, token, f"Content-Length: {len(body)}") + body[:-1])
        else:
            connection.sendall(head_of(method, path, token, "Transfer-Encoding: chunked") + b"%x\r\n" % len(body) + body + b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        status, data = raw_http.read_answer(connection)
        assert status == 400 and b"X-Error-Code: IncompleteBody\r\n" in data, data
        assert b"before the body of the request was complete" in data and raw_http.is_closed(connection, 20)
    assert not left_a_trace()


@pytest.mark.parametrize("name", ["commit", "create", "xorb", "shard"])
def test_a_body_longer_than_announced_is_cut_and_refused(hub, user, repo, name):
    """What follows is the next request of the connection, and none."""
    method, path, token, body, left_a_trace = whole_requests(hub, user, repo)[name]
    with raw_http.connect(hub) as connection:
        connection.sendall(head_of(method, path, token, f"Content-Length: {len(body) - 1}") + body)
        status, data = raw_http.read_answer(connection)
        assert status == 400, data
        assert b'"error"' in data and raw_http.is_closed(connection, 20)
    assert not left_a_trace()


# ---- LFS bodies

@pytest.fixture
def upload(hub, user, repo):
    """An object and where it is to be sent."""
    data = random_bytes(f"upload {repo}", 500_000)
    oid = hashlib.sha256(data).hexdigest()
    answer = hub.lfs_batch(user.token, repo, [(oid, len(data))]).json()
    return data, oid, answer["objects"][0]["actions"]["upload"]["href"]


def is_stored(hub, user, repo, oid, size):
    return "actions" not in hub.lfs_batch(user.token, repo, [(oid, size)]).json()["objects"][0]


def test_an_upload_of_other_bytes_is_refused(hub, user, repo, upload):
    data, oid, href = upload
    for body in (data[:-1], data + b"x", b"", data[:-1] + bytes([data[-1] ^ 1])):
        refused = hub.request("PUT", href, body)
        assert 400 <= refused.status < 500, refused
        assert not is_stored(hub, user, repo, oid, len(data))
    assert hub.request("PUT", href, data).status == 200
    assert is_stored(hub, user, repo, oid, len(data))


def test_an_upload_that_breaks_off_leaves_nothing(hub, user, repo, upload):
    data, oid, href = upload
    path = href.removeprefix(hub.url)
    with raw_http.connect(hub) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:200_000])
    time.sleep(0.5)
    assert not is_stored(hub, user, repo, oid, len(data))


def test_an_upload_address_cannot_be_changed(hub, user, repo, upload):
    data, oid, href = upload
    damaged = href[:-6] + "AAAAAA"
    assert hub.request("PUT", damaged, data).status == 403
    other = hub.lfs_batch(user.token, user.repo(), [("1" * 64, 5)]).json()["objects"][0]["actions"]["upload"]["href"]
    assert 400 <= hub.request("PUT", other, data).status < 500
    assert not is_stored(hub, user, repo, oid, len(data))


@pytest.mark.parametrize("objects", [[("xyz", 1)], [("0" * 64, -1)], [("0" * 64, "1")], [("0" * 64, 1 << 70)]])
def test_a_bad_object_of_a_batch_gets_an_error(hub, user, repo, objects):
    answer = hub.lfs_batch(user.token, repo, objects)
    if answer.status == 200:
        assert answer.json()["objects"][0]["error"]["code"] >= 400
    else:
        assert 400 <= answer.status < 500, answer


# ---- sockets

def test_an_endless_header_is_cut(hub, repo):
    """A gigabyte of header is offered; the server says 431 after the first few KiB and does not take the rest."""
    with raw_http.connect(hub) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        sent = 0
        try:
            while sent < 1 << 30:
                sent += connection.send(b"a" * 65536)
        except (BrokenPipeError, ConnectionResetError, socket.timeout):
            pass
        status, _ = raw_http.read_answer(connection)
    assert status in (431, None)
    assert sent < 64 << 20
    answer = raw_http.exchange(hub, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
    assert answer[0] == 431


def test_a_client_that_dribbles_its_head_is_cut(hub):
    """One byte a second keeps no connection: the whole head has ten seconds."""
    with raw_http.connect(hub) as connection:
        started = time.monotonic()
        try:
            for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaa":
                connection.send(bytes([byte]))
                if raw_http.is_closed(connection, 1):
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert time.monotonic() - started < 20


def test_two_hundred_dribbling_clients_do_not_keep_others_out(hub, user):
    slow = [raw_http.connect(hub) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"POST /api/repos/create HTTP/1.1\r\nHost: x\r\n")
        assert hub.request("GET", "/api/whoami-v2", token=user.token, timeout=5).status == 200
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize("request_text, statuses", [
    (b"GET / HTTP/1.1\r\n\r\n", (400,)),
    (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", (400,)),
    (b"GET / HTTP/1.1\nHost: x\n\n", (400,)),
    (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", (505,)),
    (b"GET /\x80 HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
    (b"POST /api/repos/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", (400,)),
    (b"POST /api/repos/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
    (b"POST /api/repos/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", (400, 401)),
    (b"POST /api/repos/create HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", (400,)),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414,)),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", (431,)),
    (b"\x16\x03\x01\x02\x00\x01\x00", (400, None)),
])
def test_malformed_requests_are_refused_and_cut(hub, request_text, statuses):
    status, data = raw_http.exchange(hub, request_text, seconds=15)
    assert status in statuses, data


def test_a_body_over_the_limit_is_refused(hub, user):
    big = hub.request("POST", "/api/repos/create", b" " * (40 << 20), token=user.token, headers={"Content-Type": "application/json"})
    assert big.status == 413


def test_unknown_addresses_are_404_and_unbuilt_ones_say_so(hub, user):
    assert hub.request("GET", "/api/nothing-of-the-kind", token=user.token).status == 404
    assert hub.request("GET", "/v1/nothing", token=user.token).status == 404
    # GETs without a variable part, from the list of what is not built
    paths = re.findall(r'\{ (?:GET|ANY)(?: \| HTTP_[A-Z]+)*, "(/[^"{*]+)"', (ROOT / "gateway" / "hub_unbuilt.c").read_text())
    assert paths
    for path in paths:
        unbuilt = hub.request("GET", path, token=user.token)
        assert (unbuilt.status, unbuilt.code) == (501, "NotImplemented"), path
        assert unbuilt.json()["error"]


def test_every_answer_carries_the_request_id(hub):
    assert hub.request("GET", "/api/nothing", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert "trace-7" in hub.request("GET", "/", headers={"X-Amzn-Trace-Id": "trace-7"}).headers["x-request-id"]
    assert hub.request("GET", "/").headers["x-request-id"]


@pytest.mark.parametrize("name", ["a--b", "..", "-a", "a.git", "a" * 97, "a/b/c", "a b", "ä", ""])
def test_a_name_that_is_none_is_refused(hub, user, name):
    assert hub.create_repo(user.token, name).status == 400


def test_a_body_that_is_no_object_is_told_so(hub, user):
    for path in ("/api/repos/create", f"/api/models/{user.repo()}/preupload/main"):
        answer = hub.request("POST", path, b"", token=user.token, headers={"Content-Type": "application/json"})
        assert answer.status == 400 and answer.json()["error"] == "The body is empty: it must be a JSON object", answer
        answer = hub.request("POST", path, b'{"a":', token=user.token, headers={"Content-Type": "application/json"})
        assert answer.status == 400 and "not valid JSON (line 1, column " in answer.json()["error"], answer


def test_a_name_of_another_kind_is_told_so(hub, user):
    repo = user.repo()
    calls = [("/api/repos/create", {"name": 3}, '"name" must be a text'), ("/api/repos/create", {}, '"name" is missing'),
             ("/api/repos/move", {"fromRepo": repo, "toRepo": ["x"]}, '"toRepo" must be a text'), ("/api/repos/move", {}, '"fromRepo" is missing'),
             (f"/api/models/{repo}/duplicate", {"repository": 3}, '"repository" must be a text'),
             (f"/api/models/{repo}/tag/main", {"tag": 3}, '"tag" must be a text'), (f"/api/models/{repo}/tag/main", {}, '"tag" is missing')]
    for path, body, sentence in calls:
        answer = hub.request("POST", path, body, token=user.token)
        assert answer.status == 400 and answer.json()["error"] == sentence, (path, body, answer)


def test_the_branch_that_is_in_the_way_is_named(hub, user):
    repo = user.repo()
    for body in ({}, {"emptyBranch": True}):
        answer = hub.request("POST", f"/api/models/{repo}/branch/main%2Fx", body, token=user.token)
        assert answer.status == 409 and answer.json()["error"] == "refs/heads/main/x cannot be created while refs/heads/main is there", answer
    for _ in range(2):
        answer = hub.request("POST", f"/api/models/{repo}/branch/a%2Fb", {}, token=user.token)
    assert answer.status == 409 and answer.json()["error"] == "Reference refs/heads/a/b already exists", answer
    answer = hub.request("POST", f"/api/models/{repo}/branch/a", {}, token=user.token)
    assert answer.status == 409 and answer.json()["error"] == "refs/heads/a cannot be created while refs below it are there", answer

"""What a server easily gets wrong, one test for each: every answer here is one that some client relies on in a way that its documentation does not tell."""
import base64
import hashlib
import json
import re
import time
import urllib.parse

import pytest

from clients import ClientError
from hub_process import Hub
from raw_http import exchange
from samples import random_bytes

LINK = re.compile(r'<(http://[^>]+)>; rel="next"$')
PYTHON = ["newest", "hub-1.19", "hub-0.36", "hub-0.32"]
CONFLICT = "another conflicting operation is in progress"


@pytest.fixture
def repo(hub, user):
    """A repository with a file, a folder, an empty file and one in LFS."""
    repo = user.repo()
    add_lfs(hub, user, repo, "model.bin", random_bytes(f"trap-{repo}", 300_000))
    assert hub.commit(user.token, repo, {"a.txt": b"a\n", "dir/b.txt": b"b\n", "empty.txt": b""}).status == 200
    return repo


def add_lfs(hub, user, repo, path, data):
    oid = hashlib.sha256(data).hexdigest()
    wanted = hub.lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0]
    if "actions" in wanted:
        assert hub.request("PUT", wanted["actions"]["upload"]["href"], data).status == 200
    answer = hub.commit(user.token, repo, [("lfsFile", {"path": path, "algo": "sha256", "oid": oid, "size": len(data)})])
    assert answer.status == 200, answer
    return oid


def post(hub, user, path, body):
    return hub.request("POST", path, body, token=user.token)


def next_of(answer):
    found = LINK.match(answer.headers["link"])
    assert found, answer.headers["link"]
    return found[1]


def ndjson(*lines):
    return "\n".join(json.dumps({"key": key, "value": value}) for key, value in lines).encode()


# 1, 3: with plain http, the code is all that a client has to go by
@pytest.mark.parametrize("generation", PYTHON)
def test_01_codes_tell_what_is_missing(hub, user, repo, client, generation):
    for token, name in ((user.token, "RepositoryNotFoundError"), (None, "RepositoryNotFoundError")):
        reader = client(token, generation)
        assert reader.run("repo_exists", repo=f"{user.name}/absent") is False
        for more, wanted in (({"repo": f"{user.name}/absent", "filename": "a.txt"}, name),
                             ({"repo": repo, "filename": "a.txt", "revision": "absent"}, "RevisionNotFoundError"),
                             ({"repo": repo, "filename": "absent.txt"}, ("EntryNotFoundError", "RemoteEntryNotFoundError"))):
            with pytest.raises(ClientError) as caught:
                reader.run("download", **more)
            assert caught.value.name in wanted, (more, caught.value)
    for path, token, status, code in ((f"/api/models/{user.name}/absent", user.token, 404, "RepoNotFound"), (f"/api/models/{user.name}/absent", None, 401, "RepoNotFound"),
                                      (f"/api/models/{repo}/revision/absent", None, 404, "RevisionNotFound"), (f"/api/models/{repo}/tree/main/absent", None, 404, "EntryNotFound")):
        answer = hub.request("GET", path, token=token)
        assert (answer.status, answer.code) == (status, code) and answer.headers["content-type"].startswith("application/json"), path
        assert answer.json()["error"] == answer.headers["x-error-message"]


def test_02_a_file_that_is_missing_is_missing_in_a_commit(hub, repo, client):
    sha = hub.request("GET", f"/api/models/{repo}").json()["sha"]
    for method in ("HEAD", "GET"):
        for path in ("absent.txt", "dir", "a.txt/below"):
            answer = hub.request(method, f"/{repo}/resolve/main/{path}")
            assert (answer.status, answer.code, answer.headers["x-repo-commit"]) == (404, "EntryNotFound", sha), (method, path)
    reader = client()
    with pytest.raises(ClientError):
        reader.run("download", repo=repo, filename="absent.txt")
    assert [path.name for path in reader.home.glob("hf/hub/*/.no_exist/*/*")] == ["absent.txt"], "the client remembers that there is none"


def test_03_a_hidden_repository_is_missing_for_the_anonymous_over_plain_http(hub, user, client):
    hidden = user.repo(private=True)
    for path in (f"/api/models/{hidden}", f"/{hidden}/resolve/main/a.txt", f"/api/models/{hidden}/tree/main", f"/{hidden}.git/info/refs?service=git-upload-pack"):
        answer = hub.request("GET", path)
        assert (answer.status, answer.code) == (401, "RepoNotFound"), path
    answer = hub.request("GET", f"/api/models/{hidden}", token="hf_" + "x" * 34)
    assert (answer.status, answer.code, answer.headers["x-error-message"]) == (401, None, "Invalid credentials in Authorization header")


@pytest.mark.parametrize("path", ["a.txt", "model.bin", "empty.txt"])
def test_04_a_head_tells_commit_etag_and_size_and_is_not_chunked(hub, repo, path):
    status, answer = exchange(hub, f"HEAD /{repo}/resolve/main/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: identity\r\n\r\n".encode())
    headers = {key.lower(): value for key, value in (line.split(": ", 1) for line in answer.decode().split("\r\n\r\n")[0].split("\r\n")[1:])}
    body = hub.request("GET", f"/{repo}/resolve/main/{path}").body
    assert status == 200 and len(headers["x-repo-commit"]) == 40 and int(headers["content-length"]) == len(body)
    assert re.fullmatch('"[0-9a-f]{40}"|"[0-9a-f]{64}"', headers["etag"]) and "transfer-encoding" not in headers and "location" not in headers
    assert headers["accept-ranges"] == "bytes"
    if path == "model.bin":
        assert headers["x-linked-etag"].strip('"') == hashlib.sha256(body).hexdigest() and int(headers["x-linked-size"]) == len(body)
    else:
        assert headers["etag"].strip('"') == hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def test_05_no_redirect_needs_its_query_to_survive(hub, user, repo):
    """Files are answered here, and of what moved the client repeats the path alone."""
    for path in ("a.txt", "model.bin"):
        answer = hub.request("GET", f"/{repo}/resolve/main/{path}?download=true", token=user.token)
        assert answer.status == 200 and "location" not in answer.headers
    post(hub, user, "/api/repos/move", {"fromRepo": repo, "toRepo": f"{repo}-new", "type": "model"})
    moved = hub.request("HEAD", f"/{repo}/resolve/main/a.txt", token=user.token)
    path = urllib.parse.urlsplit(moved.headers["location"]).path
    assert moved.status == 307 and hub.request("HEAD", path, token=user.token).status == 200


def test_06_signed_addresses_do_not_look_at_authorization(hub, user, repo):
    data = random_bytes(f"signed-{repo}", 100_000)
    oid = hashlib.sha256(data).hexdigest()
    actions = hub.lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0]["actions"]
    for wrong in ("hf_" + "x" * 34, user.read_token):
        assert hub.request("PUT", actions["upload"]["href"], data, token=wrong).status == 200
    hub.commit(user.token, repo, [("lfsFile", {"path": "signed.bin", "algo": "sha256", "oid": oid, "size": len(data)})])
    href = hub.lfs_batch(user.token, repo, [(oid, len(data))], "download").json()["objects"][0]["actions"]["download"]["href"]
    assert hub.request("GET", href, token="hf_" + "x" * 34).body == data
    xet = hub.xet_token(user.token, repo, "read")
    file = hub.request("HEAD", f"/{repo}/resolve/main/signed.bin").headers["x-xet-hash"]
    terms = hub.request("GET", f"/v1/reconstructions/{file}", token=xet["accessToken"]).json()
    fetch = next(iter(terms["fetch_info"].values()))[0]
    headers = {"Range": f"bytes={fetch['url_range']['start']}-{fetch['url_range']['end']}"}
    assert hub.request("GET", fetch["url"], token="hf_" + "x" * 34, headers=headers).status == 206


@pytest.mark.parametrize("path", ["a.txt", "model.bin"])
def test_07_bodies_of_files_are_never_compressed(hub, user, path):
    repo = user.repo()
    data = b"very compressible\n" * 5000
    if path == "a.txt":
        hub.commit(user.token, repo, {path: data})
    else:
        add_lfs(hub, user, repo, path, data)
    for method, headers, status, size in (("HEAD", {}, 200, len(data)), ("GET", {}, 200, len(data)), ("GET", {"Range": "bytes=10-109"}, 206, 100)):
        answer = hub.request(method, f"/{repo}/resolve/main/{path}", headers={"Accept-Encoding": "gzip, deflate, br, zstd", **headers})
        assert (answer.status, int(answer.headers["content-length"])) == (status, size) and "content-encoding" not in answer.headers


def test_08_next_pages_are_absolute_and_on_the_host_that_was_asked(hub, user):
    repo = user.repo()
    hub.commit(user.token, repo, {f"dir/{i}.txt": b"x" for i in range(5)})
    post(hub, user, f"/api/models/{user.repo()}/like", {})
    for path in (f"/api/models/{repo}/tree/main?recursive=true&limit=2", f"/api/models/{repo}/tree/main?recursive=1&expand=true&limit=2",
                 f"/api/models/{repo}/commits/main?limit=1", f"/api/models?author={user.name}&limit=1&full=true"):
        hub.index_settled()
        answer = hub.request("GET", path, token=user.token, headers={"Host": "hub.test:1234"})
        address = urllib.parse.urlsplit(next_of(answer))
        query = urllib.parse.parse_qs(address.query)
        assert address.netloc == "hub.test:1234" and address.path == path.split("?")[0]
        assert all(query[key] == values for key, values in urllib.parse.parse_qs(path.split("?")[1]).items())
        following = hub.request("GET", f"{address.path}?{address.query}", token=user.token)
        assert following.status == 200 and following.json() and following.json() != answer.json()


def test_09_dates_end_in_z(hub, user, repo):
    post(hub, user, f"/api/models/{repo}/discussions", {"title": "A title", "description": "d"})
    post(hub, user, f"/api/models/{repo}/like", {})
    for path in (f"/api/models/{repo}", f"/api/models/{repo}/commits/main", f"/api/models/{repo}/tree/main?expand=true", f"/api/models?author={user.name}&full=1",
                 f"/api/models/{repo}/discussions/1", "/api/whoami-v2", f"/api/users/{user.name}/likes", f"/api/models/{repo}/lfs-files"):
        text = hub.request("GET", path, token=user.token).body.decode()
        dates = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', text)
        assert dates and all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", date) for date in dates), (path, dates)


def test_10_objects_are_whole_or_absent(hub, user, repo):
    header = json.dumps({"w": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}}).encode()
    add_lfs(hub, user, repo, "model.safetensors", len(header).to_bytes(8, "little") + header + bytes(12))
    info = hub.request("GET", f"/api/models/{repo}?blobs=true&securityStatus=true").json()
    assert info["safetensors"]["parameters"] == {"F16": 6} and info["safetensors"]["total"] == 6
    for sibling in info["siblings"]:
        assert {"rfilename", "size", "blobId"} <= sibling.keys() and ("lfs" not in sibling or sibling["lfs"].keys() >= {"sha256", "size", "pointerSize"})
    assert sum("lfs" in sibling for sibling in info["siblings"]) == 2
    for entry in hub.request("GET", f"/api/models/{repo}/tree/main?recursive=true&expand=true").json():
        assert {"type", "path", "oid", "size", "lastCommit"} <= entry.keys() and {"id", "title", "date"} <= entry["lastCommit"].keys()
        assert "lfs" not in entry or entry["lfs"].keys() >= {"oid", "size", "pointerSize"}
        assert "securityFileStatus" not in entry or entry["securityFileStatus"].keys() >= {"status", "avScan", "pickleImportScan"}
    answer = post(hub, user, f"/api/models/{repo}/preupload/main", {"files": [
        {"path": "a.txt", "size": 2, "sample": "YQo="}, {"path": "new.bin", "size": 0, "sample": ""}, {"path": "new.bin2", "size": 20 << 20, "sample": "AAAA"}]}).json()
    assert [(file["path"], file["uploadMode"], file["shouldIgnore"]) for file in answer["files"]] == [
        ("a.txt", "regular", False), ("new.bin", "regular", False), ("new.bin2", "lfs", False)]
    assert len(answer["commitOid"]) == 40 and answer["files"][0]["oid"] == hashlib.sha1(b"blob 2\0a\n").hexdigest()


@pytest.mark.parametrize("generation", PYTHON)
def test_11_creating_what_exists_answers_its_address(hub, user, repo, client, generation):
    again = post(hub, user, "/api/repos/create", {"name": repo.split("/")[1], "type": "model"})
    assert again.status == 409 and again.json()["url"] == f"{hub.url}/{repo}" and CONFLICT not in again.json()["error"]
    assert client(user.token, generation).run("create_repo", repo=repo, exist_ok=True) == {"url": f"{hub.url}/{repo}", "repo_id": repo}
    assert CONFLICT not in post(hub, user, f"/api/models/{repo}/branch/main", {}).body.decode()


def test_12_addresses_are_on_the_host_that_was_asked_and_have_two_names(hub, user):
    host = {"Host": "hub.test:1234"}
    made = hub.request("POST", "/api/repos/create", {"name": "hosted", "type": "dataset"}, token=user.token, headers=host).json()
    assert made["url"] == f"http://hub.test:1234/datasets/{user.name}/hosted" and made["name"] == f"{user.name}/hosted" and made["id"]
    lines = ndjson(("header", {"summary": "s"}), ("file", {"path": "a.txt", "content": "a", "encoding": "utf-8"}))
    done = hub.request("POST", f"/api/datasets/{user.name}/hosted/commit/main?create_pr=1", lines, token=user.token, headers={**host, "Content-Type": "application/x-ndjson"}).json()
    assert done["commitUrl"] == f"http://hub.test:1234/datasets/{user.name}/hosted/commit/{done['commitOid']}"
    assert done["pullRequestUrl"] == f"http://hub.test:1234/datasets/{user.name}/hosted/discussions/1" and done["success"] is True
    batch = hub.request("POST", f"/datasets/{user.name}/hosted.git/info/lfs/objects/batch", {"operation": "upload", "objects": [{"oid": "0" * 64, "size": 5}]},
                        token=user.token, headers={**host, "Content-Type": "application/vnd.git-lfs+json"}).json()
    assert all(action["href"].startswith("http://hub.test:1234/") for action in batch["objects"][0]["actions"].values())
    assert post(hub, user, "/api/repos/create", {"name": "bare"}).json()["name"] == f"{user.name}/bare"
    assert hub.request("GET", "/api/models/bare", token=user.token).code == "RepoNotFound"


@pytest.mark.parametrize("body, errors", [
    ({"content": "no front matter", "repoType": "model"}, False), ({"content": "\n\n---\nlicense: mit\n---\n", "repoType": "model"}, False),
    ({"content": "---\nlicense: mit\n---\ntext", "repoType": "dataset"}, False), ({"content": "---\nlicense: [\n---\n", "repoType": "model"}, True),
    ({"content": "---\ncolorFrom: mauve\nsdk: static\n---\n", "repoType": "space"}, True), ({}, None), ([1], None), (b"{", None)])
def test_13_cards_are_judged_in_json_whatever_comes(hub, user, body, errors):
    answer = hub.request("POST", "/api/validate-yaml", body, headers={"Content-Type": "application/json"})
    assert answer.headers["content-type"].startswith("application/json") and answer.status in (200, 400)
    if errors is not None:
        assert (answer.status == 400, bool(answer.json()["errors"])) == (errors, errors) and isinstance(answer.json()["warnings"], list), answer


def test_13_a_card_that_makes_no_sense_stops_an_upload_with_its_reason(user, client):
    repo = user.repo()
    with pytest.raises(ClientError, match="Invalid metadata in README.md"):
        client(user.token).run("upload_text", repo=repo, text="---\nlicense: [\n---\n", path_in_repo="README.md")
    client(user.token).run("upload_text", repo=repo, text="---\nlicense: mit\n---\n", path_in_repo="README.md")


def test_14_posts_to_an_old_name_stay_posts(hub, user, repo, client):
    new = f"{repo}-new"
    post(hub, user, "/api/repos/move", {"fromRepo": repo, "toRepo": new, "type": "model"})
    for path in (f"/api/models/{repo}/discussions", f"/api/models/{repo}/paths-info/main", f"/api/models/{repo}/commit/main", f"/api/models/{repo}/preupload/main"):
        answer = post(hub, user, path, {})
        assert answer.status == 307 and answer.headers["location"].endswith(path.replace(repo, new)), path
    for generation in PYTHON:
        client(user.token, generation).run("upload_text", repo=repo, text=generation, path_in_repo="late.txt")
        assert hub.request("GET", f"/{new}/resolve/main/late.txt").body.decode() == generation


def test_15_what_javascript_relies_on(hub, user, repo, client):
    assert user.token.startswith("hf_") and hub.make_token(user.name, role="fineGrained", rights={"scoped": [], "global": []}).startswith("hf_")
    for path in (f"/{repo}/resolve/main/empty.txt", f"/{repo}/raw/main/empty.txt"):
        answer = hub.request("GET", path, headers={"Range": "bytes=0-0"})
        assert answer.status in (200, 206) and answer.headers["content-range"] == "bytes */0" and answer.body == b"", path
    answer = hub.request("GET", f"/{repo}/resolve/main/a.txt", headers={"Range": "bytes=0-0", "Accept": "application/vnd.xet-fileinfo+json, */*"})
    assert (answer.status, answer.headers["content-range"]) == (206, "bytes 0-0/2") and answer.headers["etag"]
    proposed = hub.commit(user.token, repo, {"dir/c.txt": b"c"}, revision="main?create_pr=1").json()["commitOid"]
    for revision in ("refs/pr/1", "refs%2Fpr%2F1"):
        assert [entry["path"] for entry in hub.request("GET", f"/api/models/{repo}/tree/{revision}/dir").json()] == ["dir/b.txt", "dir/c.txt"]
        assert hub.request("GET", f"/api/models/{repo}/commits/{revision}").json()[0]["id"] == proposed
        assert hub.request("POST", f"/api/models/{repo}/paths-info/{revision}", {"paths": ["dir/c.txt"]}).json()[0]["path"] == "dir/c.txt"
    js = client(user.token)
    assert {item["path"] for item in js.run_js("listFiles", repo=repo, revision="refs/pr/1", recursive=True)} > {"dir", "dir/c.txt"}
    assert js.run_js("fileDownloadInfo", repo=repo, path="empty.txt")["size"] == 0


def test_15_parts_are_listed_in_order_and_tell_their_etag_to_browsers(hub, user, repo):
    part = 64 << 20
    answer = hub.request("POST", f"/{repo}.git/info/lfs/objects/batch", {"operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha_256", "objects": [
        {"oid": "1" * 64, "size": 12 * part + 1}]}, token=user.token, headers={"Content-Type": "application/vnd.git-lfs+json"}).json()
    upload = answer["objects"][0]["actions"]["upload"]
    size = int(upload["header"]["chunk_size"])
    keys = [key for key in upload["header"] if key != "chunk_size"]
    assert answer["transfer"] == "multipart" and isinstance(upload["header"]["chunk_size"], str)
    assert keys == [f"{i:05}" for i in range(1, -(-(12 * part + 1) // size) + 1)]
    assert all(upload["header"][key].startswith(hub.url) for key in keys)
    preflight = hub.request("OPTIONS", upload["header"]["00001"], headers={"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"})
    assert preflight.status in (200, 204) and "PUT" in preflight.headers["access-control-allow-methods"]
    sent = hub.request("PUT", upload["header"]["00013"], b"x", headers={"Origin": "https://app.example"})
    assert sent.status == 200 and sent.headers["etag"] and "etag" in sent.headers["access-control-expose-headers"].lower()


def test_16_bodies_of_deletions_are_read(hub, user):
    first, second = user.repo(), user.repo()
    for repo, body in ((first, {"name": first.split("/")[1], "organization": user.name, "type": "model"}), (second, {"name": second, "type": "model"})):
        assert hub.request("DELETE", "/api/repos/delete", body, token=user.token).status == 200
        assert hub.request("GET", f"/api/models/{repo}", token=user.token).status == 404
    assert hub.request("DELETE", "/api/repos/delete", token=user.token).status == 400
    third = user.repo()
    text = json.dumps({"name": third.split("/")[1], "type": "model"}).encode()
    status, _ = exchange(hub, b"DELETE /api/repos/delete HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + user.token.encode() +
                         b"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(text), text))
    assert status == 200 and hub.request("GET", f"/api/models/{third}", token=user.token).status == 404


def test_17_paths_are_asked_for_in_two_encodings(hub, repo):
    paths = ["dir", "absent", "model.bin", "a.txt"]
    form = urllib.parse.urlencode([("paths", path) for path in paths] + [("expand", "False")]).encode()
    by_form = hub.request("POST", f"/api/models/{repo}/paths-info/main", form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    by_json = hub.request("POST", f"/api/models/{repo}/paths-info/main", {"paths": paths, "expand": False})
    assert by_form.status == 200 and by_form.json() == by_json.json() and {item["path"] for item in by_form.json()} == {"dir", "model.bin", "a.txt"}
    assert all("lastCommit" not in item for item in by_form.json())
    one = hub.request("POST", f"/api/models/{repo}/paths-info/main", {"paths": "a.txt", "expand": True})
    assert one.status == 200 and one.json()[0]["lastCommit"]["title"], one


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_18_commits_of_long_lines_and_more_than_a_hundred_megabytes(hub, user, ending):
    repo = user.repo()
    data = bytes(9 << 20)
    line = b'{"key":"file","value":{"content":"%s","path":"%%d.bin","encoding":"base64"}}' % base64.b64encode(data)
    count = 9 if ending else 2
    body = b'{"key":"header","value":{"summary":"s"}}\n' + b"\n".join(line % i for i in range(count)) + ending
    assert len(body) > 100 << 20 or not ending
    answer = hub.request("POST", f"/api/models/{repo}/commit/main", body, token=user.token, headers={"Content-Type": "application/x-ndjson"}, timeout=300)
    assert answer.status == 200, answer
    assert hub.request("HEAD", f"/{repo}/resolve/main/{count - 1}.bin").headers["content-length"] == str(len(data))


def test_19_nobody_gets_bytes_by_knowing_their_hash(hub, user, bob):
    data = random_bytes(f"mine-{user.name}", 50_000)
    mine, theirs = user.repo(private=True), bob.repo()
    oid = add_lfs(hub, user, mine, "secret.bin", data)
    wanted = hub.lfs_batch(bob.token, theirs, [(oid, len(data))]).json()["objects"][0]
    assert "upload" in wanted["actions"], "not told that it is stored"
    answer = hub.commit(bob.token, theirs, [("lfsFile", {"path": "stolen.bin", "algo": "sha256", "oid": oid, "size": len(data)})])
    assert 400 <= answer.status < 500 and "stolen.bin" in answer.json()["error"]
    assert hub.request("GET", f"/{theirs}/resolve/main/stolen.bin", token=bob.token).code == "EntryNotFound"
    file = hub.request("HEAD", f"/{mine}/resolve/main/secret.bin", token=user.token).headers["x-xet-hash"]
    answer = hub.request("GET", f"/v1/reconstructions/{file}", token=hub.xet_token(bob.token, theirs, "read")["accessToken"])
    assert answer.status == 404 and hub.request("POST", f"/api/models/{mine}/lfs-files/duplicate", {
        "target": {"type": "model", "name": theirs}, "files": [{"xetHash": file, "filename": "x"}]}, token=bob.token).code == "RepoNotFound"


def test_20_names_are_found_in_any_case_and_paths_and_refs_in_theirs_alone(hub, user, repo):
    upper = repo.upper()
    assert hub.request("GET", f"/api/models/{upper}").json()["id"] == repo
    assert hub.request("GET", f"/{upper}/resolve/main/a.txt").body == b"a\n"
    assert hub.request("GET", f"/{repo}/resolve/main/A.txt").code == "EntryNotFound"
    assert hub.request("GET", f"/{repo}/resolve/MAIN/a.txt").code == "RevisionNotFound"
    assert post(hub, user, "/api/repos/create", {"name": upper.split("/")[1], "type": "model"}).status == 409
    assert hub.commit(user.token, repo, {"A.txt": b"A\n"}).status == 200 and hub.request("GET", f"/{repo}/resolve/main/a.txt").body == b"a\n"


def test_21_lists_tell_nothing_hidden_and_nobody_is_not_null(hub, user, bob):
    answer = hub.request("GET", "/api/whoami-v2")
    assert answer.status == 401 and "error" in answer.json()
    hidden = user.repo(private=True)
    hub.index_settled()
    for token in (None, bob.token):
        for path in (f"/api/models?author={user.name}", f"/api/models?search={user.name}", f"/api/quicksearch?q={user.name}", "/api/trending"):
            assert hidden not in hub.request("GET", path, token=token).body.decode(), path
    assert hidden in hub.request("GET", f"/api/models?author={user.name}", token=user.token).body.decode()


def test_22_every_process_asks_for_harnesses_first(hub):
    hub.request("GET", "/api/agent-harnesses")
    began = time.monotonic()
    for _ in range(50):
        answer = hub.request("GET", "/api/agent-harnesses")
        assert (answer.status, answer.json()) == (200, {"standardEnvVars": [], "harnesses": {}})
    assert time.monotonic() - began < 50 * 3, "a client waits three seconds"


def test_23_what_every_process_asks_for_is_not_counted(tmp_path):
    own = Hub(tmp_path / "data", "--rate-limits", "always", "--rate-api", "6").start()
    try:
        user = own.make_user("ada")
        while time.time() % 300 > 285:
            time.sleep(1)
        while own.request("GET", "/api/models", token=user.token).status == 200:
            pass
        for method, path, body in (("GET", "/api/whoami-v2", None), ("GET", "/api/agent-harnesses", None), ("HEAD", "/api/telemetry/a/b", None),
                                   ("POST", "/api/validate-yaml", {"content": "x", "repoType": "model"})):
            for _ in range(10):
                assert own.request(method, path, body, token=user.token).status == 200, path
    finally:
        own.stop()


@pytest.mark.parametrize("spelling", ["expand=likes&expand=tags", "expand[]=likes&expand[]=tags", "expand=likes,tags"])
def test_24_expand_answers_what_was_asked_and_who_it_is(hub, user, repo, spelling):
    hub.index_settled()
    assert hub.request("GET", f"/api/models/{repo}?{spelling}").json().keys() == {"_id", "id", "likes", "tags"}
    assert hub.request("GET", f"/api/models?author={user.name}&{spelling}").json()[0].keys() == {"_id", "id", "likes", "tags"}
    assert hub.request("GET", f"/api/models/{repo}?expand=moon").status == 400
    same = {hub.request("GET", f"/api/models/{repo}").json()["_id"] for _ in range(2)}
    assert len(same) == 1 and re.fullmatch("[0-9a-f]{24}", same.pop())


def test_25_discussions_are_counted_as_they_are_filtered(hub, user, bob):
    repo = user.repo()
    for number in range(60):
        hub.request("POST", f"/api/models/{repo}/discussions", {"title": f"Topic {number}", "description": "", "pullRequest": number % 2 == 0},
                    token=user.token if number % 3 else bob.token)
    for query, count in (("", 60), ("type=discussion", 30), ("type=pull_request&status=open", 30), (f"author={bob.name}", 20), ("status=closed", 0)):
        found, page = [], 0
        while True:
            answer = hub.request("GET", f"/api/models/{repo}/discussions?p={page}&{query}").json()
            assert (answer["count"], answer["start"]) == (count, page * 50)
            found += [item["num"] for item in answer["discussions"]]
            if page * 50 + len(answer["discussions"]) >= count:
                break
            page += 1
        assert len(found) == count and found == sorted(found, reverse=True)


def test_26_a_collection_keeps_its_old_address(hub, user):
    made = post(hub, user, "/api/collections", {"title": "First title", "namespace": user.name, "description": "", "private": False}).json()
    assert re.fullmatch(f"{user.name}/first-title-[0-9a-f]{{24}}", made["slug"])
    assert {"slug", "title", "owner", "items", "lastUpdated", "private", "theme", "upvotes", "position"} <= made.keys()
    again = post(hub, user, "/api/collections", {"title": "First title", "namespace": user.name})
    assert again.status == 409 and again.json()["slug"] == made["slug"]
    changed = hub.request("PATCH", f"/api/collections/{made['slug']}", {"title": "Second title"}, token=user.token).json()["data"]
    assert changed["slug"] == made["slug"].replace("first-title", "second-title")
    for slug in (made["slug"], changed["slug"], f"{user.name}/anything-{made['slug'][-24:]}"):
        assert hub.request("GET", f"/api/collections/{slug}").json()["slug"] == changed["slug"]


def test_27_a_new_pull_request_is_a_draft_and_drafts_are_open(hub, user, repo):
    number = post(hub, user, f"/api/models/{repo}/discussions", {"title": "A proposal", "description": "", "pullRequest": True}).json()["num"]
    refs = hub.request("GET", f"/api/models/{repo}/refs?include_prs=1").json()
    assert refs["pullRequests"][0]["ref"] == f"refs/pr/{number}" and refs["pullRequests"][0]["targetCommit"] == refs["branches"][0]["targetCommit"]
    assert hub.request("GET", f"/api/models/{repo}/discussions/{number}").json()["status"] == "draft"
    listed = hub.request("GET", f"/api/models/{repo}/discussions?status=open&type=pull_request").json()
    assert [(item["num"], item["status"]) for item in listed["discussions"]] == [(number, "draft")]
    assert post(hub, user, f"/api/models/{repo}/discussions/{number}/status", {"status": "open"}).json()["newStatus"]["data"]["status"] == "open"


def test_28_a_commit_that_is_sent_again_is_the_same_commit(hub, user, repo):
    parent = hub.request("GET", f"/api/models/{repo}").json()["sha"]
    first = hub.commit(user.token, repo, {"again.txt": b"again"}, parent=parent)
    second = hub.commit(user.token, repo, {"again.txt": b"again"}, parent=parent)
    assert first.status == second.status == 200 and first.json()["commitOid"] == second.json()["commitOid"]
    assert len(hub.request("GET", f"/api/models/{repo}/commits/main").json()) == 4
    other = hub.commit(user.token, repo, {"other.txt": b"other"}, parent=parent)
    assert other.status == 412 and "The branch was updated since you opened this page" in other.json()["error"]


def test_29_what_would_be_a_stream_of_events_is_not_served_half(hub, user):
    """Nothing here sends events yet; a client must not wait for some."""
    for path in (f"/api/spaces/{user.name}/space/logs/run", f"/api/spaces/{user.name}/space/events", f"/api/jobs/{user.name}/1/logs"):
        answer = hub.request("GET", path, token=user.token)
        assert (answer.status, answer.code) == (501, "NotImplemented") and "text/event-stream" not in answer.headers["content-type"]


@pytest.mark.parametrize("path", ["/api/models", "/api/models/nobody/nothing", "/nobody/nothing/resolve/main/a.txt", "/api/whoami-v2", "/no/such/route/at/all", "/healthz", "/v1/reconstructions/x"])
def test_30_ids_of_requests_come_back(hub, path):
    assert hub.request("GET", path, headers={"X-Request-Id": "my-Id_1"}).headers["x-request-id"] == "my-Id_1"
    assert "trace-77" in hub.request("GET", path, headers={"X-Amzn-Trace-Id": "trace-77"}).headers["x-request-id"]
    assert hub.request("GET", path).headers["x-request-id"] != hub.request("GET", path).headers["x-request-id"]
    both = hub.request("GET", path, headers={"X-Request-Id": "mine", "X-Amzn-Trace-Id": "theirs"})
    assert both.headers["x-request-id"] == "mine"


def test_31_parts_are_large_and_only_of_what_is_larger_than_one(hub, user, repo):
    def batch(size):
        return hub.request("POST", f"/{repo}.git/info/lfs/objects/batch", {"operation": "upload", "transfers": ["basic", "multipart"], "objects": [
            {"oid": hashlib.sha256(b"%d" % size).hexdigest(), "size": size}]}, token=user.token, headers={"Content-Type": "application/vnd.git-lfs+json"}).json()
    small = batch(6 << 20)
    assert small.get("transfer", "basic") == "basic" and "chunk_size" not in small["objects"][0]["actions"]["upload"].get("header", {})
    for size in (200 << 20, 5 << 30, 50 << 30, 4 << 40):
        header = batch(size)["objects"][0]["actions"]["upload"]["header"]
        part, parts = int(header["chunk_size"]), len(header) - 1
        assert part >= 5 << 20 and parts == -(-size // part) <= 10_000


@pytest.mark.parametrize("method, path", [("GET", "/api/models"), ("GET", "/{repo}/resolve/main/model.bin"), ("POST", "/{repo}.git/info/lfs/objects/batch"),
                                          ("POST", "/api/models/{repo}/commit/main"), ("GET", "/v1/reconstructions/x"), ("POST", "/shards"), ("DELETE", "/api/repos/delete")])
def test_32_pages_of_other_origins_may_call(hub, repo, method, path):
    path, origin = path.format(repo=repo), {"Origin": "https://app.example"}
    asked = "authorization,content-type,range,x-request-id,x-xet-session-id"
    preflight = hub.request("OPTIONS", path, headers={**origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": asked})
    assert preflight.status in (200, 204) and preflight.headers["access-control-allow-origin"] in ("*", "https://app.example")
    assert method in preflight.headers["access-control-allow-methods"]
    allowed = preflight.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert set(asked.split(",")) <= set(allowed)
    answer = hub.request(method, path, headers=origin)
    assert answer.headers["access-control-allow-origin"] in ("*", "https://app.example")
    exposed = set(answer.headers["access-control-expose-headers"].lower().replace(" ", "").split(","))
    assert exposed >= {"etag", "link", "content-range", "accept-ranges", "x-repo-commit", "x-linked-size", "x-linked-etag", "x-xet-hash", "x-request-id",
                       "x-error-code", "x-error-message", "x-total-count", "ratelimit"}

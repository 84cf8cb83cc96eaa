"""Tokens: fine-grained ones reach as far as they say; revoking or running out ends everything that was asked for with one."""
import json
import subprocess
import time

import pytest

import raw_http
from clients import ClientError
from hub_process import cairn

GENERATIONS = ["newest", "hub-1.19", "hub-0.36"]


def mint(hub, user, *scopes, more=()):
    """(token, id) of a fine-grained token."""
    arguments = [part for scope in scopes for part in ("--scope", scope)]
    made = json.loads(cairn(hub, "token", "create", "--user", user.name, "--fine-grained", "--name", "ci", *arguments, *more))
    return made["token"], made["id"]


def commit(hub, token, repo):
    body = b'{"key":"header","value":{"summary":"s"}}\n{"key":"file","value":{"path":"a.txt","content":"YQ==","encoding":"base64"}}\n'
    return hub.request("POST", f"/api/models/{repo}/commit/main", body, token=token, headers={"Content-Type": "application/x-ndjson"}).status


@pytest.mark.parametrize("generation", GENERATIONS)
def test_whoami_says_what_a_fine_grained_token_may_do(hub, user, client, generation):
    repo = user.repo(private=True)
    token, _ = mint(hub, user, f"model:{repo}=repo.content.read,repo.write", f"user:{user.name}=repo.content.read",
                    more=["--global", "discussion.write", "--read-gated", "--expires", "30d"])
    auth = client(token, generation).run("whoami")["auth"]
    access = auth["accessToken"]
    assert access["role"] == "fineGrained" and access["displayName"] == "ci" and auth["expiresAt"].endswith("Z")
    fine = access["fineGrained"]
    assert fine["canReadGatedRepos"] is True and fine["global"] == ["discussion.write"]
    assert [(scope["entity"]["type"], scope["entity"]["name"], scope["permissions"]) for scope in fine["scoped"]] == [
        ("model", repo, ["repo.content.read", "repo.write"]), ("user", user.name, ["repo.content.read"])]
    assert all(len(scope["entity"]["_id"]) == 24 for scope in fine["scoped"])


def test_scopes_decide_what_is_seen_and_changed(hub, user, bob):
    mine, other, public, foreign = user.repo(private=True), user.repo(private=True), user.repo(), bob.repo()
    hidden = bob.repo(private=True)

    def reach(token):
        seen = [hub.request("GET", f"/api/models/{repo}", token=token).status for repo in (mine, other, public, foreign, hidden)]
        return seen, [commit(hub, token, repo) for repo in (mine, other, public, foreign, hidden)]
    read_one, _ = mint(hub, user, f"model:{mine}=repo.content.read")
    assert reach(read_one) == ([200, 404, 200, 200, 404], [403, 404, 403, 403, 404])
    write_one, _ = mint(hub, user, f"model:{mine}=repo.write")
    assert reach(write_one) == ([200, 404, 200, 200, 404], [200, 404, 403, 403, 404])
    read_all, _ = mint(hub, user, f"user:{user.name}=repo.content.read")
    assert reach(read_all) == ([200, 200, 200, 200, 404], [403, 403, 403, 403, 404])
    write_all, _ = mint(hub, user, f"user:{user.name}=repo.write")
    assert reach(write_all) == ([200, 200, 200, 200, 404], [200, 200, 200, 403, 404])
    nothing, _ = mint(hub, user)
    assert reach(nothing) == ([404, 404, 200, 200, 404], [404, 404, 403, 403, 404])
    # scopes on what belongs to others give nothing
    greedy, _ = mint(hub, user, f"user:{bob.name}=repo.write", f"model:{hidden}=repo.write,repo.content.read")
    assert reach(greedy) == ([404, 404, 200, 200, 404], [404, 404, 403, 403, 404])
    # making, moving, deleting, operating
    for token, status in ((write_all, 200), (write_one, 403), (read_all, 403), (greedy, 403)):
        assert hub.request("POST", "/api/repos/create", {"name": f"by-{token[-6:]}"}, token=token).status == status
    assert hub.request("PUT", f"/api/models/{mine}/settings", {"private": True}, token=write_one).status == 200
    assert hub.request("PUT", f"/api/models/{mine}/settings", {"private": True}, token=read_one).status == 403
    assert hub.request("POST", "/api/repos/move", {"fromRepo": mine, "toRepo": f"{user.name}/moved-by-scope"}, token=write_one).status == 403
    listed = [item["id"] for item in hub.request("GET", f"/api/models?author={user.name}", token=read_one).json()]
    assert mine in listed and public in listed and other not in listed
    assert hub.request("DELETE", "/api/repos/delete", {"name": mine.split("/")[1]}, token=write_one).status == 200


def test_an_administrators_fine_grained_token_does_not_administer(hub, user):
    made = json.loads(cairn(hub, "token", "create", "--user", "admin", "--fine-grained", "--scope", f"user:{user.name}=repo.write"))
    hidden = user.repo(private=True)
    assert hub.request("GET", "/api/admin/status", token=made["token"]).status == 403
    assert hub.request("GET", f"/api/models/{hidden}", token=made["token"]).status == 200
    bare = json.loads(cairn(hub, "token", "create", "--user", "admin", "--fine-grained"))
    assert hub.request("GET", f"/api/models/{hidden}", token=bare["token"]).status == 404


def test_organisation_scopes(hub, user):
    org = f"{user.name}-scoped"
    cairn(hub, "org", "create", org, "--admin", user.name)
    assert hub.request("POST", "/api/repos/create", {"name": "m", "organization": org, "private": True}, token=user.token).status == 200
    reader, _ = mint(hub, user, f"org:{org}=repo.content.read")
    keeper, _ = mint(hub, user, f"org:{org}=org.write")
    role = {"role": "admin"}
    path = f"/api/organizations/{org}/members/{user.name}/role"
    assert hub.request("GET", f"/api/models/{org}/m", token=reader).status == 200
    assert hub.request("GET", f"/api/models/{org}/m", token=keeper).status == 404
    assert hub.request("PUT", path, role, token=reader).status == 403
    assert hub.request("PUT", path, role, token=keeper).status == 200
    cairn(hub, "org", "create", f"{org}-2", "--admin", user.name)
    assert hub.request("PUT", f"/api/organizations/{org}-2/members/{user.name}/role", role, token=keeper).status == 403


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_library_pushes_and_pulls_within_the_scope(hub, user, client, generation, sample):
    directory, files = sample
    repo, other = user.repo(private=True), user.repo(private=True)
    token, _ = mint(hub, user, f"model:{repo}=repo.write")
    ci = client(token, generation)
    ci.run("upload_folder", repo=repo, folder=directory)
    assert sorted(ci.run("files", repo=repo)) == sorted([".gitattributes", *files])
    ci.run("snapshot", repo=repo)
    with pytest.raises(ClientError) as error:
        ci.run("upload_text", repo=other, text="x", path_in_repo="x.txt")
    assert error.value.name == "RepositoryNotFoundError"


def test_gates_open_for_tokens_that_may(hub, user, bob):
    repo = bob.repo()
    assert hub.request("PUT", f"/api/models/{repo}/settings", {"gated": "auto"}, token=bob.token).status == 200
    assert hub.request("POST", f"/{repo}/ask-access", b"", token=user.token).status in (200, 303)
    closed, _ = mint(hub, user)
    open_, _ = mint(hub, user, more=["--read-gated"])
    path = f"/{repo}/resolve/main/.gitattributes"
    assert hub.request("GET", path, token=user.token).status == 200
    assert hub.request("GET", path, token=closed).status == 403
    assert hub.request("GET", path, token=open_).status == 200


def test_a_token_sees_who_asked_for_access_and_decides_nothing(hub, user, bob):
    repo, other = user.repo(), user.repo()
    for name in (repo, other):
        hub.request("PUT", f"/api/models/{name}/settings", {"gated": "manual"}, token=user.token)
        hub.request("POST", f"/{name}/ask-access", {}, token=bob.token)
    token, _ = mint(hub, user, f"model:{repo}=repo.access.read")
    path = f"/api/models/{repo}/user-access-request"
    assert [item["user"]["user"] for item in hub.request("GET", f"{path}/pending", token=token).json()] == ["bob"]
    assert b"bob" in hub.request("GET", f"/{repo}/user-access-report", token=token).body
    for call, body in (("handle", {"user": "bob", "status": "accepted"}), ("grant", {"user": "bob"}), ("batch", {"status": "accepted", "requests": [{"user": "bob"}]})):
        assert hub.request("POST", f"{path}/{call}", body, token=token).status == 403, call
    assert hub.request("GET", f"/api/models/{other}/user-access-request/pending", token=token).status == 403
    # a token gives no right that its user has not
    theirs, _ = mint(hub, bob, f"model:{repo}=repo.access.read")
    assert hub.request("GET", f"{path}/pending", token=theirs).status == 403


def test_wrong_wishes_are_refused(hub, user):
    repo = user.repo()
    for scope in (f"model:{repo}=repo.everything", f"model:{repo}=", "model:nobody/nothing=repo.write", f"bucket:{repo}=repo.write", "org:nobody=repo.write",
                  f"org:{user.name}=repo.write"):
        cairn(hub, "token", "create", "--user", user.name, "--fine-grained", "--scope", scope, status=1)
    cairn(hub, "token", "create", "--user", user.name, "--fine-grained", "--scope", "nonsense", status=64)
    cairn(hub, "token", "create", "--user", user.name, status=64)
    answer = hub.request("POST", "/api/admin/tokens", {"user": user.name, "role": "fineGrained", "rights": {"scoped": [
        {"entity": {"type": "model", "name": repo}, "permissions": ["repo.write"]}] * 33}}, token=hub.admin_token)
    assert answer.status == 400 and "32" in answer.json()["error"]
    assert hub.request("POST", "/api/admin/tokens", {"user": user.name, "role": "refresh"}, token=hub.admin_token).status == 400


def asked_with(hub, token, repo):
    """What a token can be turned into: a Xet token, an LFS address, an address of stored bytes."""
    xet = hub.request("GET", f"/api/models/{repo}/xet-write-token/main", token=token).json()["accessToken"]
    batch = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": "1" * 64, "size": 3}], "hash_algo": "sha256"}
    href = hub.request("POST", f"/{repo}.git/info/lfs/objects/batch", batch, token=token).json()["objects"][0]["actions"]["upload"]["href"]
    return xet, href


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_what_was_asked_for_ends_with_the_token(hub, user, how, tmp_path):
    repo = user.repo(private=True)
    expires = ["--expires", "3s"] if how == "expired" else []
    made = json.loads(cairn(hub, "token", "create", "--user", user.name, "--role", "write", *expires))
    started = time.monotonic()
    token = made["token"]
    xet, href = asked_with(hub, token, repo)
    assert hub.request("POST", "/shards", b"x" * 300, token=xet).status == 400  # nonsense, but let in
    if how == "expired":
        time.sleep(max(0, 3.5 - (time.monotonic() - started)))
    else:
        cairn(hub, "token", "delete", made["id"])
    assert hub.request("GET", "/api/whoami-v2", token=token).status == 401
    assert hub.request("GET", f"/api/models/{repo}", token=token).status == 401
    assert hub.request("GET", f"/{repo}/resolve/main/.gitattributes", token=token).status == 401
    assert hub.request("POST", "/shards", b"x" * 300, token=xet).status == 403
    assert hub.request("PUT", href, b"abc").status == 403
    assert hub.request("POST", f"/{repo}.git/info/lfs/objects/batch", {}, token=token).status == 401
    url = hub.url.replace("http://", f"http://hf_user:{token}@")
    done = subprocess.run(["git", "ls-remote", f"{url}/{repo}"], env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0"},
                          capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    # others of the same user go on
    assert hub.request("GET", f"/api/models/{repo}", token=user.token).status == 200


@pytest.mark.parametrize("lost", ["token", "membership"])
def test_a_commit_that_comes_slowly_needs_its_rights_to_the_end(hub, user, bob, lost):
    org = f"club-{lost}-{user.name}"
    cairn(hub, "org", "create", org, "--admin", user.name)
    cairn(hub, "org", "member", "set", org, bob.name, "write")
    assert hub.create_repo(user.token, "late", organization=org, private=True).status == 200
    assert hub.commit(user.token, f"{org}/late", {"a.txt": b"a"}).status == 200
    token = hub.admin("POST", "/tokens", {"user": bob.name, "role": "write"})
    body = b'{"key": "header", "value": {"summary": "late"}}\n' \
        b'{"key": "file", "value": {"path": "late.txt", "content": "aGk=", "encoding": "base64"}}\n'
    with raw_http.connect(hub) as connection:
        connection.sendall(f"POST /api/models/{org}/late/commit/main HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token['token']}\r\n"
                           f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:30])
        time.sleep(0.3)  # the rights are looked at when the head is there
        if lost == "token":
            hub.admin("DELETE", f"/tokens/{token['id']}")
        else:
            cairn(hub, "org", "member", "remove", org, bob.name)
        connection.sendall(body[30:])
        status, _ = raw_http.read_answer(connection)
    assert status == (401 if lost == "token" else 404)
    paths = {entry["path"] for entry in hub.request("GET", f"/api/models/{org}/late/tree/main", token=user.token).json()}
    assert "a.txt" in paths and "late.txt" not in paths


def test_a_scope_ends_with_its_repository(hub, user):
    repo = user.repo(private=True)
    token, _ = mint(hub, user, f"model:{repo}=repo.write")
    assert hub.request("DELETE", "/api/repos/delete", {"name": repo.split("/")[1]}, token=token).status == 200
    assert hub.request("POST", "/api/repos/create", {"name": repo.split("/")[1], "private": True}, token=user.token).status == 200
    assert hub.request("GET", f"/api/models/{repo}", token=token).status == 404  # the name is not the repository
    assert hub.request("GET", "/api/whoami-v2", token=token).json()["auth"]["accessToken"]["fineGrained"]["scoped"] == []


def test_a_scope_follows_a_repository_that_moves(hub, user):
    repo = user.repo(private=True)
    token, _ = mint(hub, user, f"model:{repo}=repo.content.read")
    assert hub.request("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": f"{user.name}/scoped-elsewhere"}, token=user.token).status == 200
    assert hub.request("GET", f"/api/models/{user.name}/scoped-elsewhere", token=token).status == 200

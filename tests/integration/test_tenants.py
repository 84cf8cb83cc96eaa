"""Two tenants who try everything against each other: every route that the server has, with the names of things that are somebody else's.

What is hidden must look like what is not there: the same status, code and words. What can be seen must not be changed."""
import json
import re
import subprocess

import pytest

from hub_process import cairn

MARKER = "zqsecretzq"
TYPES = {"model": ("models", ""), "dataset": ("datasets", "datasets/"), "space": ("spaces", "spaces/"), "kernel": ("kernels", "kernels/")}
BODY = json.dumps({"files": [], "paths": [".gitattributes"], "operation": "download", "objects": [], "message": "x", "role": "admin", "user": "alice",
                   "title": "a title", "description": "d", "comment": "c", "status": "closed", "private": False, "gated": False, "repository": "taken",
                   "deletions": {"sha": []}, "path": "a.txt", "visibility": "public", "content": "x", "pinned": True}).encode()


class Things:
    """What one tenant has: a hidden and a public repository of every type, and an organisation."""

    def __init__(self, hub, user):
        self.hub, self.user = hub, user
        self.hidden, self.public = {}, {}
        self.org = f"{user.name}-tenant-org"
        cairn(hub, "org", "create", self.org, "--admin", user.name)
        for type, (api, _) in TYPES.items():
            more = {"sdk": "static"} if type == "space" else {}
            for private, names in ((True, self.hidden), (False, self.public)):
                name = f"{MARKER if private else 'open'}-{type}"
                owner = {"organization": self.org} if type == "dataset" else {}
                answer = hub.request("POST", "/api/repos/create", {"name": name, "type": type, "private": private, **owner, **more}, token=user.token)
                assert answer.status == 200, answer
                names[type] = answer.json()["name"]
                text = json.dumps({"key": "file", "value": {"path": "a.txt", "content": f"{MARKER} content" if private else "open", "encoding": "utf-8"}})
                answer = hub.request("POST", f"/api/{api}/{names[type]}/commit/main", (json.dumps({"key": "header", "value": {"summary": "s"}}) + "\n" + text).encode(),
                                     token=user.token, headers={"Content-Type": "application/x-ndjson"})
                assert answer.status == 200, answer
        hub.request("POST", f"/api/models/{self.hidden['model']}/discussions", {"title": f"{MARKER} title", "description": "d"}, token=user.token)
        hub.request("POST", f"/api/models/{self.public['model']}/discussions", {"title": "open title", "description": "d"}, token=user.token)

    def state(self):
        """Everything that a stranger could have changed."""
        found = {}
        for names in (self.hidden, self.public):
            for type, name in names.items():
                api = TYPES[type][0]
                info = self.hub.request("GET", f"/api/{api}/{name}", token=self.user.token).json()
                refs = self.hub.request("GET", f"/api/{api}/{name}/refs?include_prs=1", token=self.user.token).json()
                settings = self.hub.request("PUT", f"/api/{api}/{name}/settings", {}, token=self.user.token).json()
                found[type, name] = (info["sha"], info["private"], refs["branches"], refs["tags"], settings)
        return found


@pytest.fixture(scope="module")
def things(hub):
    return Things(hub, hub.make_user("tenant-a"))


@pytest.fixture(scope="module")
def strangers(hub, things):
    """Who asks: (name, token)."""
    other = hub.make_user("tenant-b")
    def fine_grained(user, *scopes):
        return json.loads(cairn(hub, "token", "create", "--user", user.name, "--fine-grained", *scopes))["token"]
    elsewhere = f"model:{things.user.repo(private=True)}=repo.content.read,repo.write,discussion.write"
    return {"a stranger who may write": other.token, "a stranger who may read": other.read_token, "nobody": None,
            "a token without scope": fine_grained(things.user), "a token for another repository": fine_grained(things.user, "--scope", elsewhere),
            "a stranger's token for their own": fine_grained(other, "--scope", f"model:{other.repo()}=repo.content.read,repo.write")}


@pytest.fixture(scope="module")
def routes(hub):
    """(method, pattern) of everything the server says it has, what is not built left out."""
    document = hub.request("GET", "/.well-known/openapi.json").json()
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method != "parameters" and "501" not in operation.get("responses", {}):
                found.append((method.upper(), path))
    assert len(found) > 150
    return found


def addresses(routes, type, name):
    """Concrete addresses of one repository on every route that names one; a revision, a number or a file where it wants more."""
    api, prefix = TYPES[type]
    for method, path in routes:
        if path.startswith("/api/resolve-cache/{kind1}/{part2}/{part3}"):
            concrete = path.replace("{kind1}/{part2}/{part3}", f"{api}/{name}")
        elif path.startswith("/api/{kind1}/{part2}/{part3}"):
            concrete = path.replace("{kind1}/{part2}/{part3}", f"{api}/{name}")
        elif path.startswith("/{kind1}/{part2}/{part3}/") and prefix:
            concrete = path.replace("{kind1}/{part2}/{part3}", f"{prefix}{name}")
        elif path.startswith("/{part1}/{part2}/") and not prefix:
            concrete = path.replace("{part1}/{part2}", name)
        else:
            continue
        if "/branch/" in path or "/tag/" in path:
            concrete = concrete.replace("{rest}", "main")
        concrete = concrete.replace("compare/{rest}", "compare/main..main").replace("objects/{rest}", "objects/info/packs").replace("{rest}", "a.txt")
        concrete = re.sub(r"(discussions|lfs-files)/\{part\d\}", r"\1/1", concrete).replace("user-access-request/{part4}", "user-access-request/pending")
        yield method, re.sub(r"\{part\d\}", "main", re.sub(r"\{kind\d\}", "x", concrete))


def ask(hub, method, path, token):
    query = "?service=git-upload-pack" if path.endswith("/info/refs") else ""
    git = re.search(r"git-(upload|receive)-pack$", path)
    headers = {"Content-Type": f"application/x-{git[0]}-request" if git else "application/json"}
    if "/info/lfs/" in path:
        headers = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
    return hub.request(method, path + query, None if method in ("GET", "HEAD") else BODY, token=token, headers={**headers, "X-Request-Id": "tenants"})


def seen(answer, name):
    """What somebody learns from an answer, without the name that they brought along."""
    headers = {key: value for key, value in answer.headers.items() if key not in ("date", "content-length")}
    return json.dumps([answer.status, headers, answer.body.decode(errors="replace")]).replace(name, "NAME")


@pytest.mark.parametrize("type", TYPES)
def test_what_is_hidden_looks_like_what_is_not_there(hub, things, strangers, routes, type):
    hidden = things.hidden[type]
    absent = hidden[:-len(type) - 1] + "x" * (len(type) + 1)
    assert len(absent) == len(hidden)
    before, tried = things.state(), 0
    for who, token in strangers.items():
        for (method, path), (_, path_absent) in zip(addresses(routes, type, hidden), addresses(routes, type, absent)):
            answer, nothing = ask(hub, method, path, token), ask(hub, method, path_absent, token)
            assert answer.status in (400, 401, 404, 406) or re.search("/(HEAD|objects/.*)$", path), (who, method, path, answer)
            assert seen(answer, hidden) == seen(nothing, absent), (who, method, path)
            assert MARKER not in answer.body.decode(errors="replace").replace(hidden, ""), (who, method, path)
            tried += 1
    assert tried > 150
    assert things.state() == before


# what anybody who is signed in may post to a public repository; a push is decided ref by ref, and tried with git itself below
OPEN_TO_ALL = re.compile(r"(paths-info|preupload|discussions|discussions/1/(comment|subscription)|like|duplicate|info/lfs/objects/batch|info/lfs/locks/verify|git-upload-pack|git-receive-pack|"
                         r"ask-access|user-access-request/cancel)(/main)?(/a\.txt)?$")


@pytest.mark.parametrize("type", TYPES)
def test_what_is_public_is_not_changed_by_others(hub, things, strangers, routes, type):
    public = things.public[type]
    before = things.state()
    for who, token in strangers.items():
        for method, path in addresses(routes, type, public):
            if method in ("GET", "HEAD") or OPEN_TO_ALL.search(path):
                continue
            answer = ask(hub, method, path, token)
            assert answer.status in (401, 403, 404), (who, method, path, answer)
    assert things.state() == before


READS = re.compile(r"(lfs-files/duplicate|paths-info/main(/a\.txt)?|info/lfs/objects/batch|git-upload-pack)$")


def test_tokens_that_may_only_read_change_nothing_even_where_anybody_may(hub, things, strangers, routes):
    """Discussions, likes, copies, requests for access: with a read token, a token without scope, and no token."""
    for who in ("a stranger who may read", "nobody", "a token without scope", "a token for another repository", "a stranger's token for their own"):
        for type, public in things.public.items():
            for method, path in addresses(routes, type, public):
                if method in ("GET", "HEAD") or not OPEN_TO_ALL.search(path) or READS.search(path) or path.endswith("git-receive-pack"):
                    continue
                answer = ask(hub, method, path, strangers[who])
                asks = who == "a stranger who may read" and re.search("(ask-access|user-access-request/cancel)$", path)  # to read more
                assert answer.status in (401, 403, 404) or asks, (who, method, path, answer)


def test_bodies_that_name_the_things_of_others(hub, things, strangers):
    before = things.state()
    for who, token in strangers.items():
        for names, hidden in ((things.hidden, True), (things.public, False)):
            for type, name in names.items():
                owner, last = name.split("/")
                target = {"organization": owner, "name": last, "type": type}
                mine = hub.request("GET", "/api/whoami-v2", token=token).json().get("name", "nobody")
                calls = [("DELETE", "/api/repos/delete", target),
                         ("POST", "/api/repos/move", {"fromRepo": name, "toRepo": f"{mine}/stolen-{type}", "type": type}),
                         ("POST", "/api/repos/move", {"fromRepo": name, "toRepo": f"{owner}/renamed-{type}", "type": type}),
                         ("POST", "/api/repos/create", {"organization": owner, "name": "planted", "type": type, "sdk": "static"})]
                for method, path, body in calls:
                    answer = hub.request(method, path, body, token=token)
                    expected = (401,) if token is None else (403,) if path.endswith("create") or not hidden else (404,)
                    assert answer.status in expected, (who, method, path, body, answer)
                    assert MARKER not in answer.body.decode().replace(name, "")
        target = {"target": {"type": "model", "name": things.public["model"]}, "files": []}
        for source in (things.public["model"], things.hidden["model"]):
            assert hub.request("POST", f"/api/models/{source}/lfs-files/duplicate", target, token=token).status in (401, 403, 404), who
            answer = hub.request("POST", f"/api/models/{source}/duplicate", {"repository": f"{things.user.name}/planted"}, token=token)
            assert answer.status in (401, 403, 404), who
    assert things.state() == before


def test_lists_and_searches_tell_nothing_hidden(hub, things, strangers):
    paths = [f"/api/{api}?{query}" for api, _ in TYPES.values() for query in ("", f"search={MARKER}", f"author={things.user.name}", f"author={things.org}",
             "full=true", "sort=lastModified", "expand=sha")]
    paths += [f"/api/quicksearch?q={MARKER}", "/api/trending", f"/api/users/{things.user.name}/overview", f"/api/organizations/{things.org}/overview",
              f"/api/users/{things.user.name}/likes", "/", "/metrics"]
    for who, token in strangers.items():
        for path in paths:
            answer = hub.request("GET", path, token=token)
            link = answer.headers.get("link", "")
            assert answer.status == 200 or (answer.status in (400, 501) and MARKER not in answer.body.decode()), (who, path, answer)
            assert f"{MARKER}-" not in answer.body.decode() and f"{MARKER}-" not in link, (who, path)
    overview = f"/api/users/{things.user.name}/overview"
    own = hub.request("GET", overview, token=things.user.token).json()["numModels"]
    assert {hub.request("GET", overview, token=token).json()["numModels"] for token in strangers.values()} == {own - 2}  # one of them is in reach of one token, but not to be counted
    assert f"{MARKER}-model" in hub.request("GET", f"/api/models?author={things.user.name}", token=things.user.token).body.decode()


def test_only_operators_operate(hub, strangers, routes):
    tried = 0
    for method, path in routes:
        if not path.startswith("/api/admin/"):
            continue
        concrete = re.sub(r"\{\w+\}", "0" * 24, path.replace("{kind1}", "model"))
        for who, token in strangers.items():
            answer = ask(hub, method, concrete, token)
            # the rules of a repository are its administrators' too
            assert answer.status in ((401, 404) if "branch-rules" in path else (401, 403)), (who, method, concrete, answer)
            tried += 1
    assert tried > 80


def test_organisations_are_run_by_their_own(hub, things, strangers):
    for who, token in strangers.items():
        for method, path, body in (("PUT", f"/api/organizations/{things.org}/members/tenant-b/role", {"role": "admin"}),
                                   ("PUT", f"/api/admin/organizations/{things.org}/members/tenant-b", {"role": "admin"}),
                                   ("DELETE", f"/api/admin/organizations/{things.org}/members/{things.user.name}", None),
                                   ("PATCH", f"/api/admin/organizations/{things.org}", {"fullname": "taken"}),
                                   ("DELETE", f"/api/admin/organizations/{things.org}", None)):
            assert hub.request(method, path, body, token=token).status in (401, 403), (who, method, path)


OF_REPOSITORIES = re.compile(r"/api/(resolve-cache/)?\{kind1\}/\{part2\}/\{part3\}|/\{kind1\}/\{part2\}/\{part3\}/|/\{part1\}/\{part2\}/|/api/admin/|(/api)?/buckets/")


@pytest.fixture(scope="module")
def belongings(hub, things):
    """What a tenant has besides repositories: (pattern, what stands for its parameters) of every route that names one of them."""
    ask = lambda method, path, body: hub.request(method, path, body, token=things.user.token)
    hidden = things.hidden["model"]
    collection = ask("POST", "/api/collections", {"title": f"{MARKER} collection", "namespace": things.user.name, "private": True, "description": MARKER}).json()
    item = ask("POST", f"/api/collections/{collection['slug']}/items", {"item": {"type": "model", "id": hidden}}).json()["items"][0]["_id"]
    hook = ask("POST", "/api/settings/webhooks", {"watched": [{"type": "model", "name": hidden}], "url": f"https://example.org/{MARKER}", "domains": ["repo"],
                                                   "secret": f"{MARKER}-secret"}).json()["webhook"]["id"]
    return {"/api/collections/{part1}/{part2}": f"/api/collections/{collection['slug']}", "items/{part3}": f"items/{item}",
            "/api/settings/webhooks/{part1}": f"/api/settings/webhooks/{hook}", "/api/users/{part1}": f"/api/users/{things.user.name}",
            "/api/organizations/{part1}": f"/api/organizations/{things.org}", "/members/{part2}": f"/members/{things.user.name}",
            "/api/{kind1}/{part2}": f"/api/models/{hidden.split('/')[1]}", "/{part1}/resolve": f"/{hidden.split('/')[1]}/resolve"}


def test_every_other_route_tells_and_changes_nothing(hub, things, strangers, routes, belongings):
    """All routes that name no repository, with a tenant's other things where they name anything."""
    def kept():
        ask = lambda path: hub.request("GET", path, token=things.user.token).json()
        return [ask("/api/settings/webhooks"), ask(belongings["/api/collections/{part1}/{part2}"]), ask(f"/api/organizations/{things.org}/members"),
                ask(f"/api/organizations/{things.org}/overview")["fullname"], things.state()]
    rest, before, tried = [route for route in routes if not OF_REPOSITORIES.match(route[1])], kept(), 0
    assert len(rest) > 100
    assert MARKER in json.dumps(before[0]) and MARKER in json.dumps(before[1])  # its owner does see it
    for who, token in strangers.items():
        for method, path in rest:
            concrete = path
            for pattern, text in belongings.items():
                concrete = concrete.replace(pattern, text)
            owned = concrete != path and "/api/users/" not in path and "/follow" not in path
            concrete = re.sub(r"\{part\d\}|\{rest\}", "main", re.sub(r"\{kind\d\}", "models", concrete))
            answer = ask(hub, method, concrete, token)
            brought = answer.body.decode(errors="replace") + json.dumps(answer.headers)
            for text in (concrete, *belongings.values(), *concrete.split("/")):
                brought = brought.replace(text, "") if MARKER in text and text in concrete else brought
            assert answer.status < 500 or answer.status == 501, (who, method, concrete, answer)
            assert MARKER not in brought, (who, method, concrete, answer)
            if owned and method not in ("GET", "HEAD"):
                assert answer.status in (400, 401, 403, 404), (who, method, concrete, answer)
            tried += 1
    assert tried > 600
    assert kept() == before


def test_buckets_are_as_closed_as_repositories(hub, things, strangers, routes):
    hidden, absent = f"{things.user.name}/{MARKER}-bucket", f"{things.user.name}/{MARKER}-xxxxxx"
    public = f"{things.user.name}/open-bucket"
    for name, private in ((hidden, True), (public, False)):
        assert hub.request("POST", f"/api/buckets/{name}", {"private": private}, token=things.user.token).status == 200
    paths = [(method, re.sub(r"\{kind\d\}", "xet-read-token", path.replace("{rest}", "a.txt"))) for method, path in routes
             if path.startswith(("/api/buckets/{part1}/{part2}", "/buckets/{part1}/{part2}"))]
    assert len(paths) > 8
    before = [hub.request("GET", f"/api/buckets/{name}", token=things.user.token).json() for name in (hidden, public)]
    for who, token in strangers.items():
        for method, path in paths:
            address = path.replace("{part1}/{part2}", "%s")
            if (method, address) == ("POST", "/api/buckets/%s"):  # making one in the namespace of another
                assert ask(hub, method, address % absent, token).status in (401, 403), who
                continue
            answer, nothing = ask(hub, method, address % hidden, token), ask(hub, method, address % absent, token)
            assert answer.status in (400, 401, 404), (who, method, path, answer)
            assert seen(answer, hidden) == seen(nothing, absent), (who, method, path)
            if method not in ("GET", "HEAD") and not path.endswith("paths-info"):
                assert ask(hub, method, address % public, token).status in (401, 403), (who, method, path)
        assert MARKER not in hub.request("GET", f"/api/buckets/{things.user.name}", token=token).body.decode()
    assert [hub.request("GET", f"/api/buckets/{name}", token=things.user.token).json() for name in (hidden, public)] == before


def test_stored_bytes_of_others_cannot_be_named_into_reach(hub, things):
    """A commit, a Xet read and a claim by digest of an object that only the other tenant has."""
    import hashlib
    other = hub.make_user("tenant-c")
    data = MARKER.encode() * 1000
    oid = hashlib.sha256(data).hexdigest()
    hidden = things.hidden["model"]
    batch = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(data)}], "hash_algo": "sha256"}
    href = hub.request("POST", f"/{hidden}.git/info/lfs/objects/batch", batch, token=things.user.token).json()["objects"][0]["actions"]["upload"]["href"]
    assert hub.request("PUT", href, data).status == 200
    mine = other.repo()
    lines = [{"key": "header", "value": {"summary": "s"}}, {"key": "lfsFile", "value": {"path": "stolen.bin", "algo": "sha256", "oid": oid, "size": len(data)}}]
    body = "\n".join(map(json.dumps, lines)).encode()
    answer = hub.request("POST", f"/api/models/{mine}/commit/main", body, token=other.token, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status == 400, answer
    download = {**batch, "operation": "download"}
    assert "error" in hub.request("POST", f"/{mine}.git/info/lfs/objects/batch", download, token=other.token).json()["objects"][0]
    assert "actions" in hub.request("POST", f"/{mine}.git/info/lfs/objects/batch", batch, token=other.token).json()["objects"][0]  # prove it: send it
    claim = {"target": {"type": "model", "name": mine}, "files": [{"sha256": oid, "filename": "x"}]}
    assert hub.request("POST", f"/api/models/{hidden}/lfs-files/duplicate", claim, token=other.token).status == 404
    answer = hub.request("POST", f"/api/models/{mine}/lfs-files/duplicate", claim, token=other.token)
    assert answer.status == 207 and answer.json()["succeeded"] == 0


def test_git_shows_strangers_nothing(hub, things, tmp_path):
    other = hub.make_user("tenant-d")
    url = hub.url.replace("http://", f"http://hf_user:{other.token}@")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0"}

    def ls_remote(name):
        done = subprocess.run(["git", "ls-remote", f"{url}/{name}"], env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, (done.stdout + done.stderr).replace(name, "NAME")
    hidden = things.hidden["model"]
    assert ls_remote(hidden) == ls_remote(f"{things.user.name}/absent")
    public = things.public["model"]
    assert ls_remote(public)[0] == 0
    before, copy = things.state(), str(tmp_path / "copy")
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments, works in ((["clone", "-q", f"{url}/{public}", copy], True), (["-C", copy, *identity, "commit", "-q", "--allow-empty", "-m", "x"], True),
                             (["-C", copy, "push", "-q", "origin", "HEAD:main"], False), (["-C", copy, "push", "-q", "origin", "HEAD:refs/heads/new"], False),
                             (["-C", copy, "push", "-q", "-f", "origin", "HEAD:main"], False), (["-C", copy, "push", "-q", "origin", ":main"], False)):
        done = subprocess.run(["git", *arguments], env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == works, (arguments, done.stderr)
    assert things.state() == before

"""Organisations: who is in them, what each role may do, and what clients see of them."""
import itertools
import json

import pytest

from clients import ClientError
from hub_process import cairn

numbers = itertools.count(1)
GENERATIONS = ["newest", "hub-1.19", "hub-0.36"]


class Org:
    """An organisation of this test alone with one user per role."""

    def __init__(self, hub):
        n = next(numbers)
        self.hub = hub
        self.name = f"org-{n}"
        self.people = {role: hub.make_user(f"{role}-{n}") for role in ("admin", "write", "contributor", "read")}
        self.stranger = hub.make_user(f"stranger-{n}")
        cairn(hub, "org", "create", self.name, "--admin", self.people["admin"].name, "--fullname", f"Organisation {n}")
        for role in ("write", "contributor", "read"):
            cairn(hub, "org", "member", "set", self.name, self.people[role].name, role)

    def create(self, role, name, **more):
        return self.hub.request("POST", "/api/repos/create", {"name": name, "organization": self.name, **more}, token=self.people[role].token)


@pytest.fixture(scope="module")
def org(hub):
    return Org(hub)


def test_names_are_shared_with_users(hub, user):
    cairn(hub, "org", "create", user.name, "--admin", user.name, status=1)
    cairn(hub, "org", "create", "settings", "--admin", user.name, status=1)
    cairn(hub, "org", "create", "nobodys-org", "--admin", "nobody-at-all", status=1)
    cairn(hub, "org", "create", f"{user.name}-org", "--admin", user.name)
    cairn(hub, "user", "create", f"{user.name}-ORG", status=1)
    cairn(hub, "org", "delete", f"{user.name}-org")
    cairn(hub, "org", "delete", f"{user.name}-org", status=1)


def test_an_organisation_keeps_an_admin_and_its_repositories(hub, user):
    name = f"{user.name}-keeps"
    cairn(hub, "org", "create", name, "--admin", user.name)
    cairn(hub, "org", "member", "remove", name, user.name, status=1)
    cairn(hub, "org", "member", "set", name, user.name, "read", status=1)
    cairn(hub, "org", "member", "set", name, user.name, "emperor", status=1)
    assert hub.request("POST", "/api/repos/create", {"name": "m", "organization": name}, token=user.token).status == 200
    cairn(hub, "org", "delete", name, status=1)
    assert hub.request("DELETE", "/api/repos/delete", {"name": "m", "organization": name}, token=user.token).status == 200
    cairn(hub, "org", "delete", name)
    assert name not in cairn(hub, "org", "list")


@pytest.mark.parametrize("generation", GENERATIONS)
def test_whoami_lists_organisations_with_roles(org, client, generation):
    for role, person in org.people.items():
        me = client(person.token, generation).run("whoami")
        found = {item["name"]: item for item in me["orgs"]}[org.name]
        assert found["roleInOrg"] == role
        assert found["type"] == "org" and found["fullname"].startswith("Organisation") and found["avatarUrl"].startswith("http")
        assert len(found["id"]) == 24 and found["securityRestrictions"] == [] and found["resourceGroups"] == []
    assert client(org.stranger.token, generation).run("whoami")["orgs"] == []


@pytest.mark.parametrize("generation", GENERATIONS)
def test_overviews_and_members_through_the_library(org, client, generation):
    reader = client(org.people["read"].token, generation)
    overview = reader.run("organization", driver="rights_driver.py", name=org.name)
    assert overview["name"] == org.name and overview["num_users"] == 4
    assert sorted(reader.run("members", driver="rights_driver.py", name=org.name)) == sorted(person.name for person in org.people.values())
    me = reader.run("user", driver="rights_driver.py", name=org.people["read"].name)
    assert me["username"] == org.people["read"].name
    with pytest.raises(ClientError) as error:
        reader.run("organization", driver="rights_driver.py", name="no-such-organisation")
    assert error.value.status == 404


def test_members_come_in_pages_and_roles_only_to_members(hub, user):
    name = f"{user.name}-pages"
    cairn(hub, "org", "create", name, "--admin", user.name)
    for i in range(24):
        hub.admin("POST", "/users", {"name": f"{name}-m{i:02}", "email": f"m{i:02}@example.org"})
        hub.admin("PUT", f"/organizations/{name}/members/{name}-m{i:02}", {"role": "read"})
    seen, path = [], f"/api/organizations/{name}/members?limit=10"
    while path:
        answer = hub.request("GET", path, token=user.token)
        assert answer.status == 200 and len(answer.json()) <= 10
        assert all(member["role"] in ("read", "admin") for member in answer.json())
        seen += [member["user"] for member in answer.json()]
        link = answer.headers.get("link")
        path = link[1:link.index(">")] if link else None
        assert not path or path.startswith(hub.url)
    assert len(seen) == 25 == len(set(seen))
    assert [m["user"] for m in hub.request("GET", f"/api/organizations/{name}/members?search=-m07", token=user.token).json()] == [f"{name}-m07"]
    assert [m["user"] for m in hub.request("GET", f"/api/organizations/{name}/members?email=m03@example.org", token=user.token).json()] == [f"{name}-m03"]
    outside = hub.request("GET", f"/api/organizations/{name}/members?email=m03@example.org").json()
    assert len(outside) == 25 and all("role" not in member and "email" not in member for member in outside)


# what: (admin, write, contributor, read, stranger) as statuses
def test_each_role_does_what_it_may_and_no_more(hub, org):
    assert org.create("admin", "theirs", private=True).status == 200
    repo = f"{org.name}/theirs"

    def commit(token, repo):
        body = b'{"key":"header","value":{"summary":"s"}}\n{"key":"file","value":{"path":"a.txt","content":"YQ==","encoding":"base64"}}\n'
        return hub.request("POST", f"/api/models/{repo}/commit/main", body, token=token, headers={"Content-Type": "application/x-ndjson"}).status

    calls = {
        "see": (lambda t: hub.request("GET", f"/api/models/{repo}", token=t).status, (200, 200, 200, 200, 404)),
        "download": (lambda t: hub.request("GET", f"/{repo}/resolve/main/.gitattributes", token=t).status, (200, 200, 200, 200, 404)),
        "commit": (lambda t: commit(t, repo), (200, 200, 403, 403, 404)),
        "branch": (lambda t: hub.request("POST", f"/api/models/{repo}/branch/b-{next(numbers)}", {}, token=t).status, (200, 200, 403, 403, 404)),
        "write token": (lambda t: hub.request("GET", f"/api/models/{repo}/auth-check/write", token=t).status, (200, 200, 403, 403, 404)),
        "settings": (lambda t: hub.request("PUT", f"/api/models/{repo}/settings", {"private": True}, token=t).status, (200, 403, 403, 403, 404)),
        "members": (lambda t: hub.request("PUT", f"/api/organizations/{org.name}/members/{org.people['read'].name}/role", {"role": "read"},
                                          token=t).status, (200, 403, 403, 403, 403)),
        "create": (lambda t: hub.request("POST", "/api/repos/create", {"name": f"made-{next(numbers)}", "organization": org.name},
                                         token=t).status, (200, 200, 200, 403, 403)),
        "delete": (lambda t: hub.request("DELETE", "/api/repos/delete", {"name": "theirs", "organization": org.name}, token=t).status,
                   (None, 403, 403, 403, 404)),
    }
    people = [*org.people.values(), org.stranger]
    for what, (call, expected) in calls.items():
        for person, status in zip(people, expected):
            if status is not None:
                assert call(person.token) == status, (what, person.name)
    # read tokens of the same people never change anything
    for person in people[:4]:
        assert commit(person.read_token, repo) == 403
        assert hub.request("GET", f"/api/models/{repo}", token=person.read_token).status == 200
    # a contributor keeps what they made in hand
    mine = f"{org.name}/mine"
    assert org.create("contributor", "mine").status == 200
    contributor = org.people["contributor"].token
    assert commit(contributor, mine) == 200
    assert hub.request("PUT", f"/api/models/{mine}/settings", {"private": True}, token=contributor).status == 200
    assert commit(org.people["write"].token, mine) == 200
    assert hub.request("PUT", f"/api/models/{mine}/settings", {"private": False}, token=org.people["write"].token).status == 403
    assert hub.request("DELETE", "/api/repos/delete", {"name": "mine", "organization": org.name}, token=contributor).status == 200


def test_lists_show_private_repositories_to_members_only(hub, org):
    assert org.create("write", "hidden", private=True).status == 200
    repo = f"{org.name}/hidden"

    def listed(token):
        return repo in [item["id"] for item in hub.request("GET", f"/api/models?author={org.name}", token=token).json()]
    assert listed(org.people["read"].token)
    assert not listed(org.stranger.token)
    assert not listed(None)


def test_an_organisation_may_default_to_private(hub, user):
    name = f"{user.name}-quiet"
    cairn(hub, "org", "create", name, "--admin", user.name, "--private")
    made = hub.request("POST", "/api/repos/create", {"name": "m", "organization": name.upper()}, token=user.token)
    assert made.json()["private"] is True and made.json()["name"] == f"{name}/m"
    assert hub.request("POST", "/api/repos/create", {"name": "p", "organization": name, "private": False}, token=user.token).json()["private"] is False
    cairn(hub, "org", "update", name, "--public")
    assert hub.request("POST", "/api/repos/create", {"name": "q", "organization": name}, token=user.token).json()["private"] is False


def test_leaving_takes_every_right_away_at_once(hub, org, user):
    cairn(hub, "org", "member", "set", org.name, user.name, "write")
    assert hub.request("POST", "/api/repos/create", {"name": "left", "organization": org.name, "private": True}, token=user.token).status == 200
    repo = f"{org.name}/left"
    xet = hub.request("GET", f"/api/models/{repo}/xet-write-token/main", token=user.token).json()["accessToken"]
    batch = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": "0" * 64, "size": 3}], "hash_algo": "sha256"}
    href = hub.request("POST", f"/{repo}.git/info/lfs/objects/batch", batch, token=user.token).json()["objects"][0]["actions"]["upload"]["href"]
    cairn(hub, "org", "member", "remove", org.name, user.name)
    assert hub.request("GET", f"/api/models/{repo}", token=user.token).status == 404
    assert hub.request("POST", "/shards", b"x" * 300, token=xet).status == 403
    assert hub.request("PUT", href, b"abc").status == 403
    assert hub.request("GET", f"/api/models/{repo}", token=org.people["admin"].token).status == 200


@pytest.mark.parametrize("generation", GENERATIONS)
def test_members_push_and_pull_through_the_library(hub, org, client, generation, sample):
    directory, files = sample
    repo = f"{org.name}/pushed-{generation}"
    writer = client(org.people["write"].token, generation)
    writer.run("create_repo", repo=repo, private=True)
    writer.run("upload_folder", repo=repo, folder=directory)
    reader = client(org.people["read"].token, generation)
    assert sorted(reader.run("files", repo=repo)) == sorted([".gitattributes", *files])
    reader.run("snapshot", repo=repo)
    with pytest.raises(ClientError) as error:
        reader.run("upload_text", repo=repo, text="no", path_in_repo="no.txt")
    assert error.value.status == 403
    with pytest.raises(ClientError) as error:
        client(org.stranger.token, generation).run("files", repo=repo)
    assert error.value.name == "RepositoryNotFoundError"


def test_avatars_are_pictures_that_run_nothing(hub, org):
    answer = hub.request("GET", f"/api/organizations/{org.name}/avatar")
    picture = hub.request("GET", answer.json()["avatarUrl"])
    assert picture.status == 200 and picture.headers["content-type"] == "image/svg+xml" and "sandbox" in picture.headers["content-security-policy"]
    assert hub.request("GET", "/api/avatars/anybody").status == 307
    assert hub.request("GET", "/avatars/%3Cscript%3E.svg").status == 404


def test_the_owner_sees_what_each_repository_holds(hub, org, client, user):
    repo = user.repo(private=True)
    client(user.token).run("upload_text", repo=repo, text="x" * 100_000, path_in_repo="x.txt")
    found = client(user.token).run("repos", driver="rights_driver.py")
    assert [(item["id"], item["type"], item["visibility"]) for item in found] == [(repo, "model", "private")] and found[0]["storage"] >= 100_000
    assert repo in client(user.token).command("hf", "repos", "ls")
    for i in range(3):
        user.repo("dataset")
    seen, path = [], "/api/settings/repositories?limit=2"
    while path:
        answer = hub.request("GET", path, token=user.token)
        seen += [item["id"] for item in answer.json()]
        link = answer.headers.get("link")
        path = link[1:link.index(">")] if link else None
    assert len(seen) == len(set(seen)) == 4
    assert len(hub.request("GET", "/api/settings/repositories?type=dataset", token=user.token).json()) == 3
    assert len(hub.request("GET", "/api/settings/repositories?search=repo-1", token=user.token).json()) == 1
    assert hub.request("GET", "/api/settings/repositories?sort=storage", token=user.token).status == 501
    assert hub.request("GET", "/api/settings/repositories").status == 401
    path = f"/api/organizations/{org.name}/settings/repositories"
    assert hub.request("GET", path, token=org.people["read"].token).status == 200
    assert hub.request("GET", path, token=org.stranger.token).status == 403
    assert hub.request("GET", "/api/organizations/no-such-org/settings/repositories", token=user.token).status == 404

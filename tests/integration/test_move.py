"""Renaming and transferring repositories: every old address leads to the new one, on every view."""
import itertools
import json
import subprocess

import pytest

from clients import ClientError
from hub_process import cairn
from samples import random_bytes, write

GENERATIONS = ["newest", "hub-1.19", "hub-0.36"]
numbers = itertools.count(1)
DRIVER = "rights_driver.py"


def move(hub, user, source, target, type="model"):
    return hub.request("POST", "/api/repos/move", {"fromRepo": source, "toRepo": target, "type": type}, token=user.token)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_old_names_go_on_working_through_the_library(hub, user, client, generation, folder):
    old, new = user.repo(), f"{user.name}/renamed-{generation}"
    mine = client(user.token, generation)
    data = random_bytes("move", 300_000)
    source = write(folder("source"), {"model.bin": data, "notes.txt": b"notes\n"})
    mine.run("upload_folder", repo=old, folder=source)
    mine.run("move_repo", driver=DRIVER, source=old, target=new)
    for name in (new, old):
        reader = client(user.token, generation)
        assert reader.run("info", repo=name)["id"] == new
        assert reader.run("download", repo=name, filename="model.bin")["size"] == len(data)
        assert sorted(reader.run("files", repo=name)) == [".gitattributes", "model.bin", "notes.txt"]
        reader.run("snapshot", repo=name)
    mine.run("upload_text", repo=old, text="more\n", path_in_repo="more.txt")
    large = write(folder("large"), {"later.safetensors": random_bytes("later", 500_000)})
    mine.run("upload_folder", repo=old, folder=large)  # by Xet, or by LFS
    mine.run("create_branch", repo=old, branch="side")
    assert {"more.txt", "later.safetensors"} <= set(mine.run("files", repo=new))
    assert client(user.token, generation).run("download", repo=old, filename="later.safetensors")["size"] == 500_000
    assert "side" in mine.run("refs", repo=new)["branches"]


def test_old_names_go_on_working_in_javascript(hub, user, client, sample):
    directory, files = sample
    old, new = user.repo(), f"{user.name}/renamed-js"
    js = client(user.token)
    assert move(hub, user, old, new).status == 200
    js.run_js("uploadFolder", repo=old, folder=str(directory), useXet=False)
    for name in (old, new):
        found = js.run_js("downloadAll", repo=name)
        assert set(found) == {".gitattributes", *files}


def test_every_address_answers_307_with_path_and_query(hub, user):
    for type, api, page in (("model", "models", ""), ("dataset", "datasets", "datasets/"), ("space", "spaces", "spaces/")):
        old = user.repo(type, **({"sdk": "static"} if type == "space" else {}))
        new = f"{user.name}/{type}-{next(numbers)}"
        assert move(hub, user, old, new, type).status == 200
        get = [f"/api/{api}/%s", f"/api/{api}/%s?expand=sha&expand=private", f"/api/{api}/%s/revision/main", f"/api/{api}/%s/tree/main?recursive=true",
               f"/api/{api}/%s/refs", f"/api/{api}/%s/commits/main", f"/api/{api}/%s/auth-check", f"/api/{api}/%s/xet-read-token/main",
               f"/{page}%s/resolve/main/.gitattributes", f"/{page}%s/raw/main/.gitattributes"]
        for path in get:
            for method in ("GET", "HEAD"):
                answer = hub.request(method, path % old, token=user.token)
                assert (answer.status, answer.headers.get("location")) == (307, path % new), (method, path, answer)
        post = [f"/api/{api}/%s/preupload/main", f"/api/{api}/%s/commit/main", f"/api/{api}/%s/branch/x", f"/api/{api}/%s/paths-info/main",
                f"/{page}%s.git/info/lfs/objects/batch", f"/{page}%s/info/lfs/objects/batch"]
        for path in post:
            answer = hub.request("POST", path % old, b"{}", token=user.token)
            assert (answer.status, answer.headers.get("location")) == (307, path % new), (path, answer)
        answer = hub.request("PUT", f"/api/{api}/{old}/settings", {"private": True}, token=user.token)
        assert (answer.status, answer.headers["location"]) == (307, f"/api/{api}/{new}/settings")
        # any case of the old name
        assert hub.request("GET", f"/api/{api}/{old.upper()}").headers["location"] == f"/api/{api}/{new}"
        # another type of that name never existed
        other = "datasets" if api == "models" else "models"
        assert hub.request("GET", f"/api/{other}/{old}", token=user.token).status in (404,)


def test_buckets_move_too(hub, user):
    old, new = f"{user.name}/bucket", f"{user.name}/pail"
    assert hub.request("POST", f"/api/buckets/{old}", {}, token=user.token).status == 200
    assert move(hub, user, old, new, "bucket").status == 200
    for path in ("/api/buckets/%s", "/api/buckets/%s/tree", "/api/buckets/%s/xet-write-token", "/buckets/%s/resolve/a.txt"):
        answer = hub.request("GET", path % old, token=user.token)
        assert (answer.status, answer.headers.get("location")) == (307, path % new), path
    assert hub.request("GET", f"/api/buckets/{new}", token=user.token).json()["id"] == new


def test_who_may_not_see_it_learns_nothing(hub, user, bob):
    old, new = user.repo(private=True), f"{user.name}/secret-plan"
    assert move(hub, user, old, new).status == 200
    hidden, absent = hub.request("GET", f"/api/models/{old}", token=bob.token), hub.request("GET", "/api/models/nobody/nothing", token=bob.token)
    assert (hidden.status, hidden.code, hidden.body) == (absent.status, absent.code, absent.body) == (404, "RepoNotFound", absent.body)
    assert "location" not in hidden.headers
    assert hub.request("GET", f"/api/models/{old}").status == 401
    assert hub.request("GET", f"/{old}/resolve/main/.gitattributes", token=bob.token).status == 404


def test_moving_wants_rights_at_both_ends(hub, user, bob, alice):
    repo = user.repo()
    assert move(hub, bob, repo, f"{bob.name}/stolen").status == 403
    assert move(hub, user, repo, f"{bob.name}/given").status == 403
    assert hub.request("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": f"{user.name}/x"}, token=user.read_token).status == 403
    assert hub.request("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": f"{user.name}/x"}).status == 401
    secret = user.repo(private=True)
    assert move(hub, bob, secret, f"{bob.name}/stolen").status == 404
    assert move(hub, user, repo, "one-segment").status == 400
    assert move(hub, user, "one-segment", repo).status == 400
    assert move(hub, user, repo, f"{user.name}/bad--name").status == 400
    assert move(hub, user, repo, f"{user.name}/x", "planet").status == 400


def test_a_taken_name_is_refused_with_the_hubs_words(hub, user, client):
    one, two = user.repo(), user.repo()
    answer = move(hub, user, one, two)
    assert answer.status == 409 and f"A model repository called {two} already exists" in answer.json()["error"]
    with pytest.raises(ClientError) as error:
        client(user.token).run("move_repo", driver=DRIVER, source=one, target=two)
    assert error.value.status == 409 and "already exists" in error.value.message


def test_an_old_name_can_be_taken_again(hub, user):
    old, new = user.repo(), f"{user.name}/gone-{next(numbers)}"
    move(hub, user, old, new)
    assert hub.request("POST", "/api/repos/create", {"name": old.split("/")[1]}, token=user.token).status == 200
    assert hub.request("GET", f"/api/models/{old}").json()["id"] == old
    assert hub.request("GET", f"/api/models/{new}").json()["id"] == new
    assert hub.request("DELETE", "/api/repos/delete", {"name": old.split("/")[1]}, token=user.token).status == 200
    assert hub.request("GET", f"/api/models/{old}", token=user.token).status == 404  # it does not lead back


def test_names_lead_through_many_moves_and_die_with_the_repository(hub, user):
    names = [user.repo()] + [f"{user.name}/step-{next(numbers)}" for _ in range(4)]
    for source, target in zip(names, names[1:]):
        assert move(hub, user, source, target).status == 200
    for name in names[:-1]:
        assert hub.request("GET", f"/api/models/{name}").headers["location"] == f"/api/models/{names[-1]}"
    assert move(hub, user, names[-1], names[0]).status == 200  # and back
    assert hub.request("GET", f"/api/models/{names[0]}").json()["id"] == names[0]
    assert move(hub, user, names[0], names[0].upper().replace(user.name.upper(), user.name)).status == 200  # another case only
    assert hub.request("DELETE", "/api/repos/delete", {"name": names[0].split("/")[1]}, token=user.token).status == 200
    for name in names:
        assert hub.request("GET", f"/api/models/{name}", token=user.token).status == 404


def test_a_transfer_to_an_organisation_takes_its_rights(hub, user, alice):
    org = f"{user.name}-team"
    cairn(hub, "org", "create", org, "--admin", alice.name)
    repo = user.repo(private=True)
    assert move(hub, user, repo, f"{org}/m").status == 403
    cairn(hub, "org", "member", "set", org, user.name, "contributor")
    assert move(hub, user, repo, f"{org}/m").status == 200
    assert hub.request("GET", f"/api/models/{org}/m", token=alice.token).status == 200
    assert hub.request("GET", f"/api/models/{repo}", token=alice.token).headers["location"] == f"/api/models/{org}/m"


def test_moves_survive_a_restart(tmp_path):
    from hub_process import Hub
    hub = Hub(tmp_path / "data").start()
    try:
        user = hub.make_user("ada")
        repo = user.repo()
        move(hub, user, repo, "ada/other")
        hub.kill()
        hub.start()
        assert hub.request("GET", f"/api/models/{repo}").headers["location"] == "/api/models/ada/other"
    finally:
        hub.stop()


def test_git_follows_to_the_new_name(hub, user, tmp_path):
    old, new = user.repo(), f"{user.name}/cloned-{next(numbers)}"
    assert move(hub, user, old, new).status == 200
    url = hub.url.replace("http://", f"http://hf_user:{user.token}@")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_LFS_SKIP_SMUDGE": "1", "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(["git", "clone", "-q", f"{url}/{old}", str(tmp_path / "copy")], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (tmp_path / "copy" / "pushed.txt").write_text("by git\n")
    (tmp_path / "copy" / "pushed.bin").write_bytes(random_bytes("pushed", 300_000))
    for arguments in (["lfs", "install", "--local"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "by git"], ["push", "-q"]):
        done = subprocess.run(["git", "-C", str(tmp_path / "copy"), *arguments], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert hub.request("GET", f"/{new}/resolve/main/pushed.txt").body == b"by git\n"
    assert hub.request("GET", f"/{new}/resolve/main/pushed.bin").body == random_bytes("pushed", 300_000)

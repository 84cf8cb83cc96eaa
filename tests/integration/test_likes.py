"""Likes and downloads: counted once, told to whoever may see, and what both make of the order of things."""
import hashlib
import json
import time

import pytest

from git_client import Git
from hub_process import Hub
from samples import random_bytes


def facts(client, action, **arguments):
    return client.run(action, driver="facts_driver.py", **arguments)


def like(hub, user, repo, types="models", method="POST"):
    return hub.request(method, f"/api/{types}/{repo}/like", token=user.token)


def numbers(hub, repo, types="models"):
    wanted = "likes,downloads,downloadsAllTime,trendingScore" if types != "spaces" else "likes,trendingScore"
    return hub.request("GET", f"/api/{types}/{repo}?expand={wanted}", token=hub.admin_token).json()


def wait_for(check, seconds=20):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_like_counts_once_and_is_taken_back_by_the_library(hub, user, alice, bob, client):
    repo, data, space = user.repo(), user.repo("dataset"), user.repo("space", sdk="static")
    assert like(hub, user, repo).status == like(hub, user, repo).status == 200
    assert like(hub, bob, repo).status == 200
    assert like(hub, user, data, "datasets").status == like(hub, user, space, "spaces").status == 200
    assert numbers(hub, repo)["likes"] == 2
    reader = client(user.token)
    assert set(facts(reader, "likers", repo=repo)) == {user.name, "bob"}
    liked = facts(reader, "liked")
    assert (liked["total"], liked["models"], liked["datasets"], liked["spaces"]) == (3, [repo], [data], [space])
    assert facts(reader, "liked", user=user.name)["total"] == 3
    facts(reader, "unlike", repo=repo)
    facts(reader, "unlike", repo=repo)
    assert facts(reader, "likers", repo=repo) == ["bob"]
    assert numbers(hub, repo)["likes"] == 1
    assert facts(reader, "overview", user=user.name)["num_likes"] == 2
    assert facts(reader, "follows", user=user.name) == {"followers": [], "following": []}


def test_liking_takes_somebody_who_may_see_and_may_write(hub, user, bob):
    repo, hidden = user.repo(), user.repo(private=True)
    assert hub.request("POST", f"/api/models/{repo}/like").status == 401
    assert hub.request("POST", f"/api/models/{repo}/like", token=bob.read_token).status == 403
    assert like(hub, bob, hidden).status == 404
    assert like(hub, user, hidden).status == 200
    assert hub.request("GET", f"/api/models/{hidden}/likers", token=bob.token).status == 404
    assert hub.request("GET", f"/api/users/{user.name}/likes", token=bob.token).json() == []
    assert [item["repo"]["name"] for item in hub.request("GET", f"/api/users/{user.name}/likes", token=user.token).json()] == [hidden]
    assert hub.request("GET", "/api/users/nobody-here/likes").status == 404


def test_likes_are_paged_and_go_with_their_repository(hub, user):
    repos = [user.repo() for _ in range(7)]
    for repo in repos:
        assert like(hub, user, repo).status == 200
    pages, path = [], f"/api/users/{user.name}/likes?limit=3"
    while path:
        answer = hub.request("GET", path, token=user.token)
        pages.append([item["repo"]["name"] for item in answer.json()])
        link = answer.headers.get("link")
        path = link[1:link.index(">")] if link else None
    assert [len(page) for page in pages] == [3, 3, 1]
    assert sorted(name for page in pages for name in page) == sorted(repos)
    dates = [item["createdAt"] for item in hub.request("GET", f"/api/users/{user.name}/likes", token=user.token).json()]
    assert dates == sorted(dates, reverse=True)
    assert hub.request("DELETE", "/api/repos/delete", {"name": repos[3].split("/")[1], "type": "model"}, token=user.token).status == 200
    assert repos[3] not in [item["repo"]["name"] for item in hub.request("GET", f"/api/users/{user.name}/likes", token=user.token).json()]
    assert hub.request("GET", f"/api/users/{user.name}/likes?cursor=%25").status == 400


def test_downloads_are_counted_per_repository_and_file_and_once_in_a_while(hub, user, bob):
    repo = user.repo()
    hub.commit(user.token, repo, {"a.txt": b"a", "b.txt": b"b"})
    for _ in range(3):
        assert hub.request("GET", f"/{repo}/resolve/main/a.txt", headers={"User-Agent": "one"}).status == 200
        assert hub.request("HEAD", f"/{repo}/resolve/main/a.txt", headers={"User-Agent": "one"}).status == 200
        assert hub.request("GET", f"/{repo}/resolve/main/b.txt", headers={"User-Agent": "one"}).status == 200
    assert hub.request("GET", f"/{repo}/resolve/main/a.txt", token=bob.token).status == 200
    assert hub.request("GET", f"/{repo}/resolve/main/absent.txt", headers={"User-Agent": "two"}).status == 404
    assert hub.request("GET", f"/{repo}/raw/main/a.txt", headers={"User-Agent": "three"}).status == 200
    wait_for(lambda: numbers(hub, repo)["downloads"] == 2)
    assert numbers(hub, repo)["downloadsAllTime"] == 2
    count = hub.admin("GET", f"/repos/model/{repo}/downloads?path=a.txt")
    assert (count["all_time"], count["last_30_days"], count["days"][0], count["file"]) == (2, 2, 2, 2)
    assert hub.admin("GET", f"/repos/model/{repo}/downloads?path=b.txt")["file"] == 1


@pytest.mark.parametrize("generation", ["newest", "newest-without-xet", "hub-0.32"])
def test_a_snapshot_is_one_download(hub, user, client, generation, tmp_path):
    repo = user.repo()
    hub.commit(user.token, repo, {f"{i}.txt": b"%d" % i for i in range(5)})
    client(user.token).run("upload_file", repo=repo, path=str(write(tmp_path / "weights.bin", bytes(200_000))), path_in_repo="weights.bin")
    client(user.token, generation).run("snapshot", repo=repo)
    wait_for(lambda: numbers(hub, repo)["downloads"] >= 1)
    time.sleep(2.5)
    assert numbers(hub, repo)["downloads"] == 1


@pytest.mark.parametrize("token", [True, False], ids=["signed-in", "anonymous"])
def test_a_clone_with_its_large_files_is_one_download_and_a_push_is_none(hub, user, tmp_path, token):
    repo = user.repo()
    source = Git(hub, tmp_path, user.name, user.token)
    work = source.clone(repo)
    (work / "note.txt").write_text("note")
    source.run("add", "-A", cwd=work)
    source.run("commit", "-m", "a note", cwd=work)
    source.run("push", "origin", "HEAD:main", cwd=work)
    cloned = user.repo(private=token)  # nobody has fetched this one; of what is public, git asks as nobody first
    data = random_bytes(f"lfs-{cloned}", 5000)
    oid = hashlib.sha256(data).hexdigest()
    upload = hub.lfs_batch(user.token, cloned, [(oid, 5000)]).json()["objects"][0]["actions"]["upload"]["href"]
    assert hub.request("PUT", upload, data).status == 200
    hub.commit(user.token, cloned, [("lfsFile", {"path": "model.bin", "algo": "sha256", "oid": oid, "size": 5000})])
    assert "downloads" not in numbers(hub, cloned) or numbers(hub, cloned)["downloads"] == 0
    reader = Git(hub, tmp_path, user.name, user.token if token else None)
    reader.clone(cloned)
    for _ in range(2):
        answer = hub.request("POST", f"/{cloned}.git/info/lfs/objects/batch", json.dumps({"operation": "download", "transfers": ["basic"], "objects": [
            {"oid": oid, "size": 5000}]}).encode(), token=user.token if token else None, headers={
                "User-Agent": "git-lfs/3.3.0 (GitHub; linux amd64; go 1.19.8)", "Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"})
        assert answer.json()["objects"][0]["actions"]["download"]["href"], answer
    wait_for(lambda: numbers(hub, cloned)["downloads"] == 1)
    time.sleep(2.5)
    assert numbers(hub, cloned)["downloads"] == 1
    reader.run("ls-remote", reader.url(repo))  # looks at names alone
    assert numbers(hub, repo)["downloads"] == 1  # the clone it was pushed from


def write(path, data):
    path.write_bytes(data)
    return path


def test_what_is_wanted_comes_first(hub, user, alice, bob, client):
    quiet, liked, fetched = user.repo(), user.repo(), user.repo()
    for repo in (quiet, liked, fetched):
        hub.commit(user.token, repo, {"a.txt": b"a"})
    like(hub, alice, liked)
    like(hub, bob, liked)
    for i in range(4):
        hub.request("GET", f"/{fetched}/resolve/main/a.txt", headers={"User-Agent": f"reader {i}"})
    wait_for(lambda: numbers(hub, fetched)["downloads"] == 4)
    hub.index_settled()

    def order(sort):
        return facts(client(user.token), "names", kind="models", author=user.name, sort=sort)

    assert order("likes")[0] == liked
    assert order("downloads")[0] == fetched
    assert order("trending_score") == [liked, fetched, quiet]
    assert numbers(hub, liked)["trendingScore"] == 16 and numbers(hub, fetched)["trendingScore"] == 2
    items = hub.request("GET", f"/api/models?author={user.name}&sort=likes30d&expand=likes&expand=downloads&limit=1").json()
    assert (items[0]["id"], items[0]["likes"]) == (liked, 2)


def test_counts_are_there_after_a_restart_and_a_lost_index(tmp_path):
    import shutil
    hub = Hub(tmp_path / "data").start()
    try:
        user = hub.make_user("ada")
        repo = user.repo()
        hub.commit(user.token, repo, {"a.txt": b"a"})
        like(hub, user, repo)
        hub.request("GET", f"/{repo}/resolve/main/a.txt")
        assert hub.stop() == 0  # carries over what was counted
        shutil.rmtree(tmp_path / "data" / "search")
        hub.start()
        hub.index_settled()
        item = hub.request("GET", "/api/models?sort=downloads&expand=likes&expand=downloads").json()[0]
        assert (item["likes"], item["downloads"]) == (1, 1)
        hub.kill()
        hub.start()
        assert numbers(hub, repo)["likes"] == 1
    finally:
        hub.stop()

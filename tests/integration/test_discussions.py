"""Discussions and pull requests, through the clients that people use."""
import concurrent.futures
import itertools
import json
import os
import subprocess

import pytest

from clients import ClientError
from hub_process import Hub
from samples import random_bytes, write

NEWER = ["newest", "hub-1.19", "hub-0.36"]
numbers = itertools.count(1)


@pytest.fixture
def other(hub):
    return hub.make_user(f"guest-{next(numbers)}")


@pytest.fixture
def people(client, user, other):
    """Two callables, for the owner and for somebody who may only read: person(action, ...)."""
    def person(token):
        return lambda action, generation="newest", **arguments: client(token, generation).run(action, driver="community_driver.py", **arguments)
    return person(user.token), person(other.token)


@pytest.fixture
def hub_of_its_own(tmp_path):
    own = Hub(tmp_path / "own").start()
    yield own, own.make_user("ada")
    own.stop()


def read(hub, repo, path, revision="main"):
    answer = hub.request("GET", f"/{repo}/resolve/{revision.replace('/', '%2F')}/{path}")
    return answer.body if answer.status == 200 else answer.code


def discussion(hub, repo, number, token=None, **query):
    suffix = "?diff=1" if query.get("diff") else ""
    return hub.request("GET", f"/api/models/{repo}/discussions/{number}{suffix}", token=token).json()


@pytest.mark.parametrize("generation", NEWER)
def test_a_discussion_is_opened_commented_edited_and_closed(hub, user, other, people, generation):
    owner, guest = people
    repo = user.repo()
    made = guest("create_discussion", generation, repo=repo, title=" A question ", description="How?")
    assert (made["num"], made["title"], made["author"], made["status"], made["is_pull_request"]) == (1, "A question", other.name, "open", False)
    assert [event["content"] for event in made["events"]] == ["How?"]
    said = owner("comment", generation, repo=repo, number=1, text="Like this.\n\n<b>")
    assert (said["type"], said["author"], said["content"], said["edited"]) == ("comment", user.name, "Like this.\n\n<b>", False)
    edited = owner("edit_comment", generation, repo=repo, number=1, comment_id=said["id"].upper(), text="Like that.")
    assert (edited["content"], edited["edited"], edited["number_of_edits"], edited["history"]) == ("Like that.", True, 1, ["Like this.\n\n<b>"])
    assert edited["last_editor"] == user.name
    with pytest.raises(ClientError) as refused:
        guest("edit_comment", generation, repo=repo, number=1, comment_id=said["id"], text="no")
    assert refused.value.status == 403
    hidden = owner("hide_comment", generation, repo=repo, number=1, comment_id=said["id"])
    assert (hidden["content"], hidden["hidden"]) == ("This comment has been hidden", True)
    renamed = guest("rename", generation, repo=repo, number=1, title="An answer")
    assert (renamed["old_title"], renamed["new_title"]) == ("A question", "An answer")
    closed = owner("change_status", generation, repo=repo, number=1, status="closed", comment="done")
    assert closed["new_status"] == "closed"
    found = guest("details", generation, repo=repo, number=1)
    assert (found["title"], found["status"], found["url"]) == ("An answer", "closed", f"{hub.url}/{repo}/discussions/1")
    assert [event["type"] for event in found["events"]] == ["comment", "comment", "title-change", "status-change", "comment"]


def test_the_list_is_filtered_counted_and_paged(hub, user, other, people):
    owner, guest = people
    repo = user.repo()
    for number in range(1, 56):
        token = other.token if number % 5 == 0 else user.token
        assert hub.request("POST", f"/api/models/{repo}/discussions", {"title": f"Topic {number}", "description": "", "pullRequest": number % 11 == 0},
                           token=token).json()["num"] == number
    hub.request("POST", f"/api/models/{repo}/discussions/3/status", {"status": "closed"}, token=user.token)
    everything = owner("discussions", repo=repo)
    assert [item["num"] for item in everything] == list(range(55, 0, -1))
    assert {item["repo_id"] for item in everything} == {repo} and {item["repo_type"] for item in everything} == {"model"}
    assert [item["num"] for item in owner("discussions", repo=repo, author=other.name)] == list(range(55, 0, -5))
    pulls = owner("discussions", repo=repo, discussion_type="pull_request", discussion_status="open")
    assert [(item["num"], item["status"]) for item in pulls] == [(number, "draft") for number in (55, 44, 33, 22, 11)]
    assert [item["num"] for item in owner("discussions", repo=repo, discussion_status="closed")] == [3]
    page = hub.request("GET", f"/api/models/{repo}/discussions?p=1&search=topic").json()
    assert (page["count"], page["start"], len(page["discussions"])) == (55, 50, 5)
    assert hub.request("GET", f"/api/models/{repo}/discussions?status=odd").status == 400


@pytest.mark.parametrize("generation", NEWER)
def test_a_reader_proposes_a_commit_and_the_owner_merges_it(hub, user, other, people, client, generation):
    owner, guest = people
    repo = user.repo()
    client(user.token).run("upload_text", repo=repo, text="one\ntwo\n", path_in_repo="notes.txt")
    with pytest.raises(ClientError):
        client(other.token).run("upload_text", repo=repo, text="no\n", path_in_repo="notes.txt")
    made = guest("commit_as_pull_request", generation, repo=repo, files={"notes.txt": "one\ntwo\nthree\n"}, create_pr=True)
    assert (made["pr_url"], made["pr_num"], made["pr_revision"]) == (f"{hub.url}/{repo}/discussions/1", 1, "refs/pr/1")
    assert read(hub, repo, "notes.txt") == b"one\ntwo\n"
    assert read(hub, repo, "notes.txt", "refs/pr/1") == b"one\ntwo\nthree\n"

    guest("commit_as_pull_request", generation, repo=repo, files={"more.txt": "more\n"}, revision="refs/pr/1")
    found = owner("details", generation, repo=repo, number=1)
    assert (found["title"], found["status"], found["is_pull_request"], found["target_branch"]) == ("a proposal", "draft", True, "refs/heads/main")
    assert found["git_reference"] == "refs/pr/1" and found["conflicting_files"] == [] and found["merge_commit_oid"] is None
    assert [event["type"] for event in found["events"]] == ["comment", "commit", "commit"]
    assert found["events"][0]["content"] == "because"
    assert found["events"][1]["oid"] == made["oid"] and found["events"][1]["summary"] == "a proposal"
    assert "+three\n" in found["diff"] and "diff --git a/more.txt b/more.txt\nnew file mode 100644" in found["diff"]

    with pytest.raises(ClientError) as refused:
        guest("merge", generation, repo=repo, number=1)
    assert refused.value.status == 403
    assert guest("change_status", generation, repo=repo, number=1, status="open")["new_status"] == "open"
    owner("merge", generation, repo=repo, number=1, comment="thank you")
    assert read(hub, repo, "notes.txt") == b"one\ntwo\nthree\n" and read(hub, repo, "more.txt") == b"more\n"
    merged = owner("details", generation, repo=repo, number=1)
    head = hub.request("GET", f"/api/models/{repo}").json()["sha"]
    assert (merged["status"], merged["merge_commit_oid"]) == ("merged", head)
    assert [event["type"] for event in merged["events"]][-2:] == ["status-change", "comment"]
    assert "+three\n" in merged["diff"]
    with pytest.raises(ClientError):
        guest("commit_as_pull_request", generation, repo=repo, files={"late.txt": "late\n"}, revision="refs/pr/1")


def test_histories_that_parted_are_merged_by_path_and_by_line(hub, user, people, client):
    owner, guest = people
    repo = user.repo()
    text = "".join(f"line {number}\n" for number in range(20))
    hub.commit(user.token, repo, {"both.txt": text.encode(), "theirs.txt": b"a\n", "ours.txt": b"a\n", "gone.txt": b"gone\n"})
    made = guest("commit_as_pull_request", repo=repo, files={"both.txt": text.replace("line 2\n", "theirs\n"), "theirs.txt": "b\n", "new/deep.txt": "n\n"},
                 delete=["gone.txt"], create_pr=True)
    ours = hub.commit(user.token, repo, {"both.txt": text.replace("line 17\n", "ours\n").encode(), "ours.txt": b"b\n"}).json()["commitOid"]
    assert discussion(hub, repo, 1)["filesWithConflicts"] == []
    owner("merge", repo=repo, number=1)
    assert read(hub, repo, "both.txt") == text.replace("line 2\n", "theirs\n").replace("line 17\n", "ours\n").encode()
    assert (read(hub, repo, "theirs.txt"), read(hub, repo, "ours.txt"), read(hub, repo, "new/deep.txt")) == (b"b\n", b"b\n", b"n\n")
    assert read(hub, repo, "gone.txt") == "EntryNotFound"
    history = hub.request("GET", f"/api/models/{repo}/commits/main").json()
    assert history[0]["title"] == "a proposal (#1)" and history[1]["id"] == ours
    assert made["oid"] not in (history[0]["id"], history[1]["id"])
    assert discussion(hub, repo, 1)["changes"]["mergeCommitId"] == history[0]["id"]


def test_a_conflict_is_named_and_changes_nothing(hub, user, people):
    owner, guest = people
    repo = user.repo()
    hub.commit(user.token, repo, {"config.json": b"{\n\"a\": 1\n}\n", "kept.txt": b"kept\n", "model.bin": b"\0one"})
    guest("commit_as_pull_request", repo=repo, files={"config.json": "{\n\"a\": 2\n}\n", "added.txt": "theirs\n", "model.bin": "\0two"},
          delete=["kept.txt"], create_pr=True)
    head = hub.commit(user.token, repo, {"config.json": b"{\n\"a\": 3\n}\n", "added.txt": b"ours\n", "kept.txt": b"changed\n",
                                         "model.bin": b"\0three"}).json()["commitOid"]
    wanted = ["added.txt", "config.json", "kept.txt", "model.bin"]
    assert discussion(hub, repo, 1)["filesWithConflicts"] == wanted
    assert owner("details", repo=repo, number=1)["conflicting_files"] == wanted
    with pytest.raises(ClientError, match="changed on both sides") as refused:
        owner("merge", repo=repo, number=1)
    assert refused.value.status == 409
    answer = hub.request("POST", f"/api/models/{repo}/discussions/1/merge", token=user.token)
    assert answer.status == 409 and answer.json()["filesWithConflicts"] == wanted
    assert hub.request("GET", f"/api/models/{repo}").json()["sha"] == head
    assert discussion(hub, repo, 1)["status"] == "draft"


@pytest.mark.parametrize("generation", ["newest", "newest-without-xet", "hub-0.36"])
def test_large_files_come_with_a_pull_request_from_outside(hub, user, people, client, tmp_path, generation):
    owner, guest = people
    repo = user.repo()
    data = random_bytes(f"pull-{repo}", 2_000_000)
    folder = write(tmp_path / "folder", {"weights.bin": data, "README.md": b"# Better\n"})
    made = guest("upload_folder_as_pull_request", generation, repo=repo, folder=folder)
    assert made["pr_num"] == 1
    assert read(hub, repo, "weights.bin") == "EntryNotFound"
    assert read(hub, repo, "weights.bin", "refs/pr/1") == data
    owner("merge", repo=repo, number=1)
    assert read(hub, repo, "weights.bin") == data
    # What the merged branch needs outlives the pull request's own ref.
    assert hub.request("DELETE", f"/api/models/{repo}/discussions/1/ref", token=user.token).status == 200
    hub.operation("gc", grace_ms=0)
    assert read(hub, repo, "weights.bin") == data


def test_javascript_proposes_a_change(hub, user, other, client):
    repo = user.repo()
    made = client(other.token).run_js("propose", repo=repo, path="js.bin", text="\0from JavaScript\n" * 1000)
    assert made["pullRequestUrl"] == f"{hub.url}/{repo}/discussions/1"
    assert read(hub, repo, "js.bin", "refs/pr/1") == b"\0from JavaScript\n" * 1000
    assert discussion(hub, repo, 1)["title"] == "From outside"
    assert hub.request("POST", f"/api/models/{repo}/discussions/1/merge", token=user.token).status == 200
    assert read(hub, repo, "js.bin") == b"\0from JavaScript\n" * 1000


def test_an_empty_pull_request_takes_commits_and_is_a_draft(hub, user, other, people):
    owner, guest = people
    repo = user.repo()
    made = guest("create_pull_request", repo=repo, title="Work to come")
    assert (made["status"], made["is_pull_request"], made["diff"]) == ("draft", True, "")
    refs = hub.request("GET", f"/api/models/{repo}/refs?include_prs=1").json()
    assert [(ref["ref"], ref["targetCommit"]) for ref in refs["pullRequests"]] == [("refs/pr/1", hub.request("GET", f"/api/models/{repo}").json()["sha"])]
    guest("commit_as_pull_request", repo=repo, files={"a.txt": "a\n"}, revision="refs/pr/1")
    stranger = hub.make_user(f"stranger-{next(numbers)}")
    assert hub.commit(stranger.token, repo, {"b.txt": b"b"}, revision="refs%2Fpr%2F1").status == 403
    assert hub.commit(user.token, repo, {"b.txt": b"b"}, revision="refs%2Fpr%2F1").status == 200
    assert [event["type"] for event in discussion(hub, repo, 1)["events"]] == ["comment", "commit", "commit"]
    hub.request("POST", f"/api/models/{repo}/discussions/1/status", {"status": "closed"}, token=other.token)
    assert hub.commit(other.token, repo, {"c.txt": b"c"}, revision="refs%2Fpr%2F1").status == 403
    assert hub.request("POST", f"/api/models/{repo}/discussions/1/merge", token=user.token).status == 400


def test_its_author_pushes_to_a_pull_request_with_git(hub, user, other, tmp_path):
    repo = user.repo()
    hub.request("POST", f"/api/models/{repo}/discussions", {"title": "By git", "pullRequest": True}, token=other.token)

    def git(*arguments, fails=False):
        done = subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "credential.helper=", *map(str, arguments)],
                              cwd=tmp_path, env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60)
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr

    def address(who):
        return f"http://{who.name}:{who.token}@127.0.0.1:{hub.port}/{repo}"
    git("clone", "-q", address(other), "work")
    git("-C", "work", "fetch", "-q", "origin", "refs/pr/1")
    git("-C", "work", "checkout", "-q", "FETCH_HEAD")
    for number in range(2):
        (tmp_path / "work" / f"git-{number}.txt").write_text("pushed")
        git("-C", "work", "add", ".")
        git("-C", "work", "commit", "-qm", f"by git {number}")
    git("-C", "work", "push", "-q", "origin", "HEAD:refs/pr/1")
    git("-C", "work", "push", "-q", "origin", "HEAD:refs/heads/main", fails=True)
    stranger = hub.make_user(f"stranger-{next(numbers)}")
    git("-C", "work", "commit", "-q", "--allow-empty", "-m", "not mine")
    git("-C", "work", "push", "-q", address(stranger), "HEAD:refs/pr/1", fails=True)
    found = discussion(hub, repo, 1)
    assert [event["data"].get("subject") for event in found["events"]] == [None, "by git 0", "by git 1"]
    assert hub.request("POST", f"/api/models/{repo}/discussions/1/merge", token=user.token).status == 200
    assert read(hub, repo, "git-1.txt") == b"pushed"
    assert "merged or closed" in git("-C", "work", "push", "-q", "origin", "HEAD:refs/pr/1", fails=True)


def test_a_pull_request_starts_at_the_parent_that_is_asked_for(hub, user, people):
    owner, guest = people
    repo = user.repo()
    first = hub.request("GET", f"/api/models/{repo}").json()["sha"]
    hub.commit(user.token, repo, {"later.txt": b"later\n"})
    guest("commit_as_pull_request", repo=repo, files={"a.txt": "a\n"}, create_pr=True, parent_commit=first)
    assert read(hub, repo, "later.txt", "refs/pr/1") == "EntryNotFound"
    for revision, parent in (("no-such-branch", None), (first, None)):
        with pytest.raises(ClientError) as refused:
            guest("commit_as_pull_request", repo=repo, files={"a.txt": "a\n"}, create_pr=True, revision=revision)
        assert refused.value.code == "RevisionNotFound"


def test_whoever_may_not_see_or_speak_is_refused(hub, user, other, people):
    owner, guest = people
    private, open_repo = user.repo(private=True), user.repo()
    assert hub.request("GET", f"/api/models/{private}/discussions", token=other.token).code == "RepoNotFound"
    assert hub.request("POST", f"/api/models/{private}/discussions", {"title": "Hello"}, token=other.token).status == 404
    assert hub.request("POST", f"/api/models/{open_repo}/discussions", {"title": "Hello"}).status == 401
    assert hub.request("POST", f"/api/models/{open_repo}/discussions", {"title": "Hello"}, token=other.read_token).status == 403
    hub.request("POST", f"/api/models/{open_repo}/discussions", {"title": "Hello"}, token=other.token)
    for action, body in (("title", {"title": "Other"}), ("status", {"status": "closed"}), ("comment", {"comment": "x"})):
        assert hub.request("POST", f"/api/models/{open_repo}/discussions/1/{action}", body, token=other.read_token).status == 403
    assert hub.request("DELETE", f"/api/models/{open_repo}/discussions/1", token=other.token).status == 403
    assert hub.request("DELETE", f"/api/models/{open_repo}/discussions/1", token=user.token).status == 200
    assert hub.request("GET", f"/api/models/{open_repo}/discussions/1").status == 404
    hub.request("PUT", f"/api/models/{open_repo}/settings", {"discussionsDisabled": True}, token=user.token)
    for method, body in (("GET", None), ("POST", {"title": "Hello"})):
        answer = hub.request(method, f"/api/models/{open_repo}/discussions", body, token=other.token)
        assert answer.status == 403 and "disabled" in answer.json()["error"]
    with pytest.raises(ClientError, match="403"):
        guest("commit_as_pull_request", repo=open_repo, files={"a.txt": "a"}, create_pr=True)


def test_bad_titles_texts_and_numbers_are_refused(hub, user):
    repo = user.repo()
    path = f"/api/models/{repo}/discussions"
    assert hub.request("POST", path, {"title": "ab"}, token=user.token).status == 400
    assert hub.request("POST", path, {"title": "x" * 900}, token=user.token).status == 400
    assert hub.request("POST", path, {"title": "fine", "description": "x" * 70_000}, token=user.token).status == 413
    assert hub.request("POST", path, {"title": "fine", "description": "x" * 65_536}, token=user.token).status == 200
    assert hub.request("POST", f"{path}/1/comment", {"comment": "  "}, token=user.token).status == 400
    assert hub.request("POST", f"{path}/1/comment", {"comment": "x" * 70_000}, token=user.token).status == 400
    assert hub.request("POST", f"{path}/1/status", {"status": "merged"}, token=user.token).status == 400
    assert hub.request("POST", f"{path}/1/status", {"status": "open"}, token=user.token).status == 400
    for number in ("0", "2", "x", "1x", "-1", "99999999999999999999"):
        assert hub.request("GET", f"{path}/{number}").status == 404
    assert hub.request("POST", f"{path}/1/comment/{'0' * 24}/edit", {"content": "x"}, token=user.token).status == 404
    assert hub.request("POST", f"{path}/1/merge", token=user.token).status == 400


def test_a_diff_stays_behind_the_gate(hub, user, other):
    repo = user.repo()
    hub.commit(user.token, repo, {"secret.txt": b"secret\n"}, revision="main")
    hub.request("POST", f"/api/models/{repo}/discussions", {"title": "a change", "pullRequest": True}, token=user.token)
    hub.commit(user.token, repo, {"secret.txt": b"other secret\n"}, revision="refs%2Fpr%2F1")
    hub.request("PUT", f"/api/models/{repo}/settings", {"gated": "manual"}, token=user.token)
    assert "other secret" in discussion(hub, repo, 1, user.token, diff=True)["diff"]
    assert "diff" not in discussion(hub, repo, 1, other.token, diff=True)
    assert hub.request("POST", f"/api/models/{repo}/discussions", {"title": "May I?"}, token=other.token).status == 200
    assert hub.request("POST", f"/api/models/{repo}/discussions", {"title": "A change", "pullRequest": True}, token=other.token).code == "GatedRepo"


def test_merges_and_commits_that_race_lose_nothing(hub, user, other):
    """Pull requests are opened, merged twice each, and the branch is committed to, all at once: every merge happens once and every file is there."""
    repo = user.repo()
    hub.commit(user.token, repo, {"base.txt": b"base\n"})

    def propose(number):
        answer = hub.request("POST", f"/api/models/{repo}/commit/main?create_pr=1", "".join(json.dumps(line) + "\n" for line in (
            {"key": "header", "value": {"summary": f"proposal {number}"}},
            {"key": "file", "value": {"path": f"theirs-{number}.txt", "content": "x", "encoding": "utf-8"}})).encode(), token=other.token)
        assert answer.status == 200, answer
        return int(answer.json()["pullRequestUrl"].rsplit("/", 1)[1])

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        opened = list(pool.map(propose, range(12)))
        assert sorted(opened) == list(range(1, 13))
        merges = [pool.submit(hub.request, "POST", f"/api/models/{repo}/discussions/{number}/merge", None, user.token) for number in opened * 2]
        commits = [pool.submit(hub.commit, user.token, repo, {f"ours-{number}.txt": b"x"}) for number in range(12)]
        statuses = [merge.result().status for merge in merges]
        assert all(commit.result().status == 200 for commit in commits)
    # Who lost a race often enough is told so, and may try again.
    for number in opened:
        if discussion(hub, repo, number)["status"] != "merged":
            assert hub.request("POST", f"/api/models/{repo}/discussions/{number}/merge", token=user.token).status == 200
    assert set(statuses) <= {200, 400, 409} and statuses.count(200) <= 12
    paths = {item["path"] for item in hub.request("GET", f"/api/models/{repo}/tree/main").json()}
    assert paths >= {f"{side}-{number}.txt" for side in ("ours", "theirs") for number in range(12)} | {"base.txt"}
    for number in opened:
        events = discussion(hub, repo, number)["events"]
        assert [event["data"]["status"] for event in events if event["type"] == "status-change"] == ["merged"]


def test_a_discussion_survives_a_crash(hub_of_its_own):
    hub, ada = hub_of_its_own
    repo = ada.repo()
    hub.request("POST", f"/api/models/{repo}/discussions", {"title": "before the crash", "pullRequest": True}, token=ada.token)
    hub.commit(ada.token, repo, {"a.txt": b"a"}, revision="refs%2Fpr%2F1")
    hub.kill()
    hub.start()
    assert [event["type"] for event in discussion(hub, repo, 1)["events"]] == ["comment", "commit"]
    assert hub.request("POST", f"/api/models/{repo}/discussions/1/merge", token=ada.token).status == 200
    assert read(hub, repo, "a.txt") == b"a"

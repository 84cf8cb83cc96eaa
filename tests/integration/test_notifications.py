"""Notifications: who is told of what, what an inbox shows, and that it never shows more than its reader may see."""
import itertools
import time

import pytest

from hub_process import Hub

numbers = itertools.count(1)


def people(hub, *names):
    number = next(numbers)
    return [hub.make_user(f"told-{name}-{number}") for name in names]


def inbox(hub, user, query="", token=None):
    answer = hub.request("GET", f"/api/notifications{query}", token=token or user.token)
    assert answer.status == 200, answer
    return answer.json()


def subjects(page):
    return [(item["repo"]["name"], item["discussion"]["num"]) if "discussion" in item else (item["repo"]["name"], item["accessRequest"]["status"])
            for item in page["notifications"]]


def wait_for(hub, user, accept, query="", seconds=60):
    """The inbox once it is as wanted: it follows what happens by some milliseconds."""
    deadline = time.monotonic() + seconds
    while True:
        page = inbox(hub, user, query)
        if accept(page):
            return page
        assert time.monotonic() < deadline, page
        time.sleep(0.02)


def settle(hub):
    """Everything that happened before this has been told: a discussion of two users of its own has."""
    owner, guest = people(hub, "settler", "settling")
    repo = owner.repo()
    discuss(hub, guest, repo, "settled")
    wait_for(hub, owner, lambda page: page["count"]["all"] == 1)


def discuss(hub, user, repo, title, text="", pull_request=False, type="models"):
    answer = hub.request("POST", f"/api/{type}/{repo}/discussions", {"title": title, "description": text, "pullRequest": pull_request}, token=user.token)
    assert answer.status == 200, answer
    return answer.json()["num"]


def comment(hub, user, repo, number, text):
    answer = hub.request("POST", f"/api/models/{repo}/discussions/{number}/comment", {"comment": text}, token=user.token)
    assert answer.status == 200, answer
    return answer.json()["newMessage"]["id"]


def test_owner_and_participants_are_told_and_nobody_of_their_own_doing(hub):
    owner, guest, reader = people(hub, "owner", "guest", "reader")
    repo = owner.repo()
    number = discuss(hub, guest, repo, "A question", "How?")
    told = wait_for(hub, owner, lambda page: page["count"]["all"] == 1)
    item = told["notifications"][0]
    assert item["type"] == "repo" and item["read"] is False and item["repo"] == {"name": repo, "type": "model"}
    assert (item["discussion"]["num"], item["discussion"]["title"], item["discussion"]["status"], item["discussion"]["isPullRequest"]) == (
        number, "A question", "open", False)
    assert [person["user"] for person in item["discussion"]["participating"]] == [guest.name]
    assert item["updatedAt"].endswith("Z") and len(item["discussion"]["id"]) == 24
    assert told["count"] == {"view": 1, "unread": 1, "all": 1} and told["start"] == 0

    said = comment(hub, owner, repo, number, "Like this.")
    item = wait_for(hub, guest, lambda page: page["count"]["all"] == 1)["notifications"][0]
    assert item["discussionEventId"] == said
    assert sorted(person["user"] for person in item["discussion"]["participating"]) == sorted([owner.name, guest.name])
    settle(hub)
    assert inbox(hub, owner)["count"]["all"] == 1 and inbox(hub, guest)["count"]["all"] == 1 and inbox(hub, reader)["count"]["all"] == 0


def test_a_discussion_has_one_notification_which_comes_back_with_every_event(hub):
    owner, guest = people(hub, "owner", "guest")
    first, second = owner.repo(), owner.repo()
    discuss(hub, guest, first, "The first")
    discuss(hub, guest, second, "The second")
    page = wait_for(hub, owner, lambda page: page["count"]["all"] == 2)
    assert subjects(page) == [(second, 1), (first, 1)]
    assert hub.request("POST", "/api/notifications/mark-as-read?applyToAll=true", {}, token=owner.token).status == 200
    assert inbox(hub, owner)["count"] == {"view": 2, "unread": 0, "all": 2}
    comment(hub, guest, first, 1, "Anybody?")
    page = wait_for(hub, owner, lambda page: page["count"]["unread"] == 1)
    assert subjects(page) == [(first, 1), (second, 1)] and [item["read"] for item in page["notifications"]] == [False, True]
    assert subjects(inbox(hub, owner, "?readStatus=unread")) == [(first, 1)]


def test_a_mention_reaches_somebody_who_has_nothing_to_do_with_it(hub):
    owner, guest, called, other = people(hub, "owner", "guest", "called", "other")
    repo = owner.repo()
    number = discuss(hub, guest, repo, "Help", f"ask @{called.name.upper()}. Not `@{other.name}`, not mail@{other.name}\n```\n@{other.name}\n```\n@nobody-at-all")
    page = wait_for(hub, called, lambda page: page["count"]["all"] == 1, "?mention=mentions")
    assert subjects(page) == [(repo, number)]
    comment(hub, owner, repo, number, f"@{other.name}, too")
    wait_for(hub, other, lambda page: page["count"]["all"] == 1)
    settle(hub)
    assert inbox(hub, called)["count"]["all"] == 1
    assert inbox(hub, owner, "?mention=mentions")["count"] == {"view": 0, "unread": 1, "all": 1}
    assert inbox(hub, guest, "?mention=participating")["count"]["view"] == 1


def test_pull_requests_tell_of_commits_and_merges(hub, client):
    owner, guest = people(hub, "owner", "guest")
    repo = owner.repo()
    hub.commit(owner.token, repo, {"notes.txt": b"one\n"})
    made = hub.request("POST", f"/api/models/{repo}/commit/main?create_pr=1", b'{"key":"header","value":{"summary":"a proposal"}}\n'
                       b'{"key":"file","value":{"path":"notes.txt","content":"two\\n","encoding":"utf-8"}}\n', token=guest.token,
                       headers={"Content-Type": "application/x-ndjson"})
    assert made.status == 200, made
    item = wait_for(hub, owner, lambda page: page["count"]["all"] == 1)["notifications"][0]
    assert item["discussion"]["isPullRequest"] and item["discussion"]["status"] == "draft"
    hub.request("POST", "/api/notifications/mark-as-read", {"discussionIds": [item["discussion"]["id"]]}, token=owner.token)
    assert hub.commit(guest.token, repo, {"more.txt": b"more\n"}, revision="refs%2Fpr%2F1").status == 200
    wait_for(hub, owner, lambda page: page["count"]["unread"] == 1)
    assert hub.request("POST", f"/api/models/{repo}/discussions/1/merge", {}, token=owner.token).status == 200
    item = wait_for(hub, guest, lambda page: page["count"]["all"] == 1)["notifications"][0]
    assert item["discussion"]["status"] == "merged"


def test_what_turned_private_is_not_in_the_inbox_of_those_who_may_not_see_it(hub):
    owner, guest = people(hub, "owner", "guest")
    repo, open_repo = owner.repo(), owner.repo()
    for where in (repo, open_repo):
        comment(hub, owner, where, discuss(hub, guest, where, "A secret matter"), "quiet")
    wait_for(hub, guest, lambda page: page["count"]["all"] == 2)
    assert hub.request("PUT", f"/api/models/{repo}/settings", {"private": True}, token=owner.token).status == 200
    page = hub.request("GET", "/api/notifications", token=guest.token)
    assert subjects(page.json()) == [(open_repo, 1)] and page.json()["count"] == {"view": 1, "unread": 1, "all": 1}
    assert repo.encode() not in page.body
    assert inbox(hub, guest, f"?repoName={repo}")["count"]["view"] == 0
    comment(hub, owner, repo, 1, f"@{guest.name} should not hear this")
    settle(hub)
    hub.request("PUT", f"/api/models/{repo}/settings", {"private": False}, token=owner.token)
    page = inbox(hub, guest)
    assert subjects(page) == [(open_repo, 1), (repo, 1)], "what was said meanwhile was not told"
    assert hub.request("DELETE", "/api/repos/delete", {"name": repo.split("/")[1], "organization": owner.name, "type": "model"}, token=owner.token).status == 200
    assert subjects(inbox(hub, guest)) == [(open_repo, 1)]
    hub.request("DELETE", f"/api/models/{open_repo}/discussions/1", token=owner.token)
    assert inbox(hub, guest)["count"]["all"] == 0


def test_members_watch_their_organisation_until_they_say_otherwise(hub):
    admin, member, stranger, guest = people(hub, "admin", "member", "stranger", "guest")
    org = f"rocks-of-{admin.name}"
    hub.admin("POST", "/organizations", {"name": org, "admin": admin.name})
    hub.admin("PUT", f"/organizations/{org}/members/{member.name}", {"role": "read"})
    answer = hub.create_repo(admin.token, "shared", organization=org)
    assert answer.status == 200, answer
    repo = f"{org}/shared"
    repo_id = hub.request("GET", f"/api/models/{repo}").json()["_id"]
    discuss(hub, guest, repo, "One")
    for user in (admin, member):
        wait_for(hub, user, lambda page: page["count"]["all"] == 1)

    def watch(user, **changes):
        answer = hub.request("PATCH", "/api/settings/watch", changes, token=user.token)
        assert answer.status == 200, answer
        return answer.json()

    org_id = next(item["id"] for item in hub.request("GET", "/api/whoami-v2", token=member.token).json()["orgs"] if item["name"] == org)
    assert watch(member, delete=[{"id": org_id, "type": "org"}]) == [{"id": org_id, "type": "org", "watching": False}]
    assert watch(stranger, add=[{"id": repo_id, "type": "repo"}]) == [{"id": repo_id, "type": "repo", "watching": True}]
    watch(admin, delete=[{"id": repo_id, "type": "repo"}])
    discuss(hub, guest, repo, "Two")
    wait_for(hub, stranger, lambda page: page["count"]["all"] == 1)
    settle(hub)
    assert inbox(hub, member)["count"]["all"] == 1 and inbox(hub, admin)["count"]["all"] == 1
    watch(member, add=[{"id": org, "type": "org"}])
    assert watch(stranger, delete=[{"id": repo_id, "type": "repo"}]) == [{"id": repo_id, "type": "repo", "watching": False}]
    discuss(hub, guest, repo, "Three")
    wait_for(hub, member, lambda page: page["count"]["all"] == 2)
    settle(hub)
    assert inbox(hub, stranger)["count"]["all"] == 1
    assert hub.request("GET", "/api/settings/watch", token=member.token).json() == [{"id": org_id, "type": "org", "watching": True}]


def test_watching_a_private_repository_needs_the_right_to_see_it(hub):
    owner, stranger = people(hub, "owner", "stranger")
    repo = owner.repo()
    repo_id = hub.request("GET", f"/api/models/{repo}").json()["_id"]
    hub.request("PUT", f"/api/models/{repo}/settings", {"private": True}, token=owner.token)
    body = {"add": [{"id": repo_id, "type": "repo"}]}
    absent = {"add": [{"id": "0" * 24, "type": "repo"}]}
    refused, unknown = (hub.request("PATCH", "/api/settings/watch", each, token=stranger.token) for each in (body, absent))
    assert refused.status == unknown.status == 404 and refused.body == unknown.body
    for wrong in ({"add": {}}, {"add": [{"id": owner.name, "type": "planet"}]}, {"add": [{"id": "short", "type": "repo"}]}, {"add": [1]},
                  {"delete": [{"id": owner.name, "type": "user"}] * 101}):
        assert hub.request("PATCH", "/api/settings/watch", wrong, token=stranger.token).status == 400, wrong
    assert hub.request("PATCH", "/api/settings/watch", {"add": [{"id": "nobody-of-this-name", "type": "user"}]}, token=stranger.token).status == 404
    assert hub.request("GET", "/api/settings/watch", token=stranger.token).json() == []


def test_a_muted_discussion_is_quiet_except_to_whom_it_calls(hub):
    owner, guest, reader = people(hub, "owner", "guest", "reader")
    repo = owner.repo()
    number = discuss(hub, guest, repo, "Noise")
    path = f"/api/models/{repo}/discussions/{number}/subscription"
    wait_for(hub, owner, lambda page: page["count"]["all"] == 1)
    assert hub.request("GET", path, token=guest.token).json() == {"subscription": "participating"}
    assert hub.request("GET", path, token=reader.token).json() == {"subscription": "none"}
    assert hub.request("POST", path, token=reader.token).json() == {"subscription": "subscribed"}
    assert hub.request("DELETE", path, token=owner.token).json() == {"subscription": "muted"}
    hub.request("POST", "/api/notifications/mark-as-read?applyToAll=1", {}, token=owner.token)
    comment(hub, guest, repo, number, "noise")
    wait_for(hub, reader, lambda page: page["count"]["all"] == 1)
    settle(hub)
    assert inbox(hub, owner)["count"]["unread"] == 0
    comment(hub, guest, repo, number, f"@{owner.name}!")
    wait_for(hub, owner, lambda page: page["count"]["unread"] == 1)
    assert hub.request("POST", path).status == 401
    assert hub.request("DELETE", path, token=owner.read_token).status == 403
    assert hub.request("POST", f"/api/models/{repo}/discussions/77/subscription", token=owner.token).status == 404


def test_requests_for_access_are_told_to_those_who_decide_and_decisions_to_those_who_asked(hub):
    owner, asker, nosy = people(hub, "owner", "asker", "nosy")
    repo = owner.repo()
    hub.request("PUT", f"/api/models/{repo}/settings", {"gated": "manual"}, token=owner.token)
    assert hub.request("POST", f"/{repo}/ask-access", {}, token=asker.token).status == 303
    item = wait_for(hub, owner, lambda page: page["count"]["all"] == 1)["notifications"][0]
    assert (item["type"], item["accessRequest"]) == ("access-request", {"user": asker.name, "status": "pending"})
    answer = hub.request("POST", f"/api/models/{repo}/user-access-request/handle", {"user": asker.name, "status": "accepted"}, token=owner.token)
    assert answer.status == 200
    assert subjects(wait_for(hub, asker, lambda page: page["count"]["all"] == 1)) == [(repo, "accepted")]
    settle(hub)
    assert inbox(hub, owner)["count"]["all"] == 1 and inbox(hub, nosy)["count"]["all"] == 0
    assert hub.request("DELETE", "/api/notifications", {"discussionIds": [item["id"]]}, token=owner.token).status == 200
    assert inbox(hub, owner)["count"]["all"] == 0


def test_kinds_of_messages_are_switched_off(hub):
    owner, guest = people(hub, "owner", "guest")
    repo = owner.repo()
    settings = hub.request("GET", "/api/settings/notifications", token=owner.token).json()["notifications"]
    assert len(settings) == 21 and all(settings.values())
    answer = hub.request("PATCH", "/api/settings/notifications", {"notifications": {"web_discussions_watched": False, "announcements": False}},
                         token=owner.token)
    assert answer.status == 200 and [kind for kind, wanted in answer.json()["notifications"].items() if not wanted] == [
        "web_discussions_watched", "announcements"]
    number = discuss(hub, guest, repo, "Unheard")
    settle(hub)
    assert inbox(hub, owner)["count"]["all"] == 0
    comment(hub, owner, repo, number, "I came by myself")
    comment(hub, guest, repo, number, "welcome")
    wait_for(hub, owner, lambda page: page["count"]["all"] == 1)
    for wrong in ({}, {"notifications": []}, {"notifications": {"moon": True}}, {"notifications": {"announcements": "no"}}):
        assert hub.request("PATCH", "/api/settings/notifications", wrong, token=owner.token).status == 400
    answer = hub.request("PATCH", "/api/settings/notifications", {"notifications": {"web_discussions_watched": True}}, token=owner.token)
    assert [kind for kind, wanted in answer.json()["notifications"].items() if not wanted] == ["announcements"]


def test_pages_filters_and_changes_by_filter(hub):
    owner, guest = people(hub, "owner", "guest")
    repo = owner.repo()
    data = f"{owner.name}/numbers"
    assert hub.create_repo(owner.token, "numbers", type="dataset").status == 200
    for number in range(53):
        discuss(hub, guest, repo, f"Topic {number}")
    discuss(hub, guest, data, "Of data", type="datasets")
    wait_for(hub, owner, lambda page: page["count"]["all"] == 54)
    first, second = inbox(hub, owner), inbox(hub, owner, "?p=1")
    assert (len(first["notifications"]), len(second["notifications"]), second["start"]) == (50, 4, 50)
    assert subjects(first)[0] == (data, 1) and subjects(second)[-1] == (repo, 1)
    assert inbox(hub, owner, "?p=2")["notifications"] == []
    assert subjects(inbox(hub, owner, "?repoType=dataset")) == [(data, 1)]
    assert inbox(hub, owner, f"?repoType=model&repoName={repo}")["count"]["view"] == 53
    assert inbox(hub, owner, "?paperId=2301.00001")["count"]["view"] == 0
    assert inbox(hub, owner, "?lastUpdate=2001-01-01T00:00:00.000Z")["count"]["view"] == 0
    assert inbox(hub, owner, "?lastUpdate=2901-01-01T00:00:00Z")["count"]["view"] == 54
    for wrong in ("?readStatus=odd", "?mention=odd", "?repoType=odd", "?lastUpdate=yesterday"):
        assert hub.request("GET", f"/api/notifications{wrong}", token=owner.token).status == 400
    assert hub.request("POST", f"/api/notifications/mark-as-read?applyToAll=true&repoType=dataset", {"read": True}, token=owner.token).status == 200
    assert inbox(hub, owner)["count"] == {"view": 54, "unread": 53, "all": 54}
    ids = [item["discussion"]["id"] for item in first["notifications"]]
    assert hub.request("POST", "/api/notifications/mark-as-read", {"discussionIds": ids[:1], "read": False}, token=owner.token).status == 200
    assert inbox(hub, owner)["count"]["unread"] == 54
    assert hub.request("DELETE", "/api/notifications", {"discussionIds": ids[:10]}, token=owner.token).status == 200
    assert inbox(hub, owner)["count"]["all"] == 44
    assert hub.request("DELETE", f"/api/notifications?applyToAll=true&repoName={repo}", token=owner.token).status == 200
    assert inbox(hub, owner)["count"]["all"] == 0
    for path, body in (("/api/notifications/mark-as-read", {}), ("/api/notifications/mark-as-read", {"discussionIds": "all"})):
        assert hub.request("POST", path, body, token=owner.token).status == 400


def test_an_inbox_is_its_users_alone(hub):
    owner, guest = people(hub, "owner", "guest")
    repo = owner.repo()
    discuss(hub, guest, repo, "Mine")
    item = wait_for(hub, owner, lambda page: page["count"]["all"] == 1)["notifications"][0]
    body = {"discussionIds": [item["discussion"]["id"]]}
    assert hub.request("DELETE", "/api/notifications", body, token=guest.token).status == 200
    assert inbox(hub, owner, token=owner.read_token)["count"]["unread"] == 1
    assert hub.request("POST", "/api/notifications/mark-as-read", body, token=owner.read_token).status == 403
    for method, path in (("GET", "/api/notifications"), ("DELETE", "/api/notifications"), ("POST", "/api/notifications/mark-as-read"),
                         ("GET", "/api/settings/notifications"), ("PATCH", "/api/settings/watch")):
        assert hub.request(method, path, None if method == "GET" else body).status == 401
    fine = hub.make_token(owner.name, role="fineGrained", rights={"scoped": [], "global": ["discussion.write"]})
    assert hub.request("GET", "/api/notifications", token=fine).status == 403


@pytest.fixture
def own(tmp_path):
    hub = Hub(tmp_path / "own").start()
    yield hub
    hub.stop()


def test_an_inbox_survives_kill_and_nothing_is_told_twice(own):
    owner, guest = own.make_user("owner"), own.make_user("guest")
    repo = owner.repo()
    for number in range(20):
        discuss(own, guest, repo, f"Topic {number}")
    page = wait_for(own, owner, lambda page: page["count"]["all"] == 20)
    own.request("POST", "/api/notifications/mark-as-read", {"discussionIds": [page["notifications"][0]["discussion"]["id"]]}, token=owner.token)
    before = inbox(own, owner)
    own.kill()
    own.start()
    discuss(own, guest, repo, "After")
    after = wait_for(own, owner, lambda page: page["count"]["all"] == 21)
    assert after["notifications"][1:] == before["notifications"]


def test_an_inbox_holds_the_newest_thousand(own):
    owner, guest = own.make_user("owner"), own.make_user("guest")
    repo = owner.repo()
    for number in range(1003):
        discuss(own, guest, repo, f"Topic {number}")
    page = wait_for(own, owner, lambda page: page["count"]["all"] == 1000 and page["notifications"][0]["discussion"]["num"] == 1003)
    assert [item["discussion"]["num"] for item in inbox(own, owner, "?p=19")["notifications"]] == list(range(53, 3, -1))
    assert page["count"] == {"view": 1000, "unread": 1000, "all": 1000}

"""Settings of repositories: kept one by one, echoed whole, refused as a whole."""
import pytest

from clients import ClientError

GENERATIONS = ["newest", "hub-1.19", "hub-0.36"]
DRIVER = "rights_driver.py"


def put(hub, user, repo, settings, type="models"):
    return hub.request("PUT", f"/api/{type}/{repo}/settings", settings, token=user.token)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_library_gates_and_hides(hub, user, client, generation):
    repo = user.repo()
    mine = client(user.token, generation)
    for gate in ("auto", "manual", False):
        mine.run("settings", driver=DRIVER, repo=repo, gated=gate)
        assert hub.request("GET", f"/api/models/{repo}").json()["gated"] == gate
    mine.run("settings", driver=DRIVER, repo=repo, visibility="private")
    assert hub.request("GET", f"/api/models/{repo}").status == 401
    assert mine.run("info", repo=repo)["private"] is True
    mine.run("settings", driver=DRIVER, repo=repo, visibility="public")
    assert hub.request("GET", f"/api/models/{repo}").status == 200


def test_every_setting_is_kept_and_echoed(hub, user):
    repo = user.repo("dataset")
    first = put(hub, user, repo, {}, "datasets").json()
    assert first == {"private": False, "visibility": "public", "gated": False, "discussionsDisabled": False, "discussionsSorting": "recently-created",
                     "orgMembersGated": False, "gatedNotificationsEmail": None, "gatedNotificationsMode": "real-time",
                     "lfsLocks": False, "copies": 0}
    changes = [("private", True), ("gated", "manual"), ("discussionsDisabled", True), ("discussionsSorting", "trending"), ("orgMembersGated", True),
               ("gatedNotificationsEmail", "gate@example.org"), ("gatedNotificationsMode", "bulk"), ("copies", 1), ("copies", 0)]
    expected = dict(first)
    for key, value in changes:
        expected[key] = value
        expected["visibility"] = "private" if expected["private"] else "public"
        assert put(hub, user, repo, {key: value}, "datasets").json() == expected
    assert put(hub, user, repo, {"gatedNotificationsEmail": None, "gated": False}, "datasets").json() == {
        **expected, "gatedNotificationsEmail": None, "gated": False}


@pytest.mark.parametrize("wrong", [{"gated": "perhaps"}, {"gated": True}, {"gated": 1}, {"visibility": "invisible"}, {"discussionsDisabled": "yes"},
                                   {"discussionsSorting": "loudest"}, {"gatedNotificationsMode": "yearly"}, {"gatedNotificationsEmail": "nobody"},
                                   {"gatedNotificationsEmail": 5}, {"copies": 6}, {"copies": "1"}, {"copies": -1}, {"copies": True}, {"copies": 2}, {"gatedNotificationsEmail": "a@" + "x" * 300}])
def test_one_wrong_setting_changes_nothing(hub, user, wrong):
    repo = user.repo()
    assert put(hub, user, repo, {"private": True, "orgMembersGated": True, **wrong}).status == 400
    now = put(hub, user, repo, {}).json()
    assert now["orgMembersGated"] is False and (now["private"] is False or "visibility" in wrong)


def test_what_is_not_built_says_so(hub, user):
    repo = user.repo()
    for settings in ({"resourceGroupId": "0" * 24}, {"visibility": "protected"}):
        answer = put(hub, user, repo, settings)
        assert (answer.status, answer.code) == (501, "NotImplemented")
    assert put(hub, user, repo, {"resourceGroupId": None}).status == 200


def test_settings_are_for_those_who_may(hub, user, bob):
    repo, hidden = user.repo(), user.repo(private=True)
    for token, public, private in ((bob.token, 403, 404), (user.read_token, 403, 403), (None, 401, 401)):
        assert hub.request("PUT", f"/api/models/{repo}/settings", {"private": True}, token=token).status == public
        assert hub.request("PUT", f"/api/models/{hidden}/settings", {"private": False}, token=token).status == private


def test_auth_check_tells_readers_from_writers(hub, user, bob, client):
    repo, hidden = user.repo(), user.repo(private=True)
    client(bob.token).run("auth_check", driver=DRIVER, repo=repo)
    client(user.token).run("auth_check", driver=DRIVER, repo=hidden)
    with pytest.raises(ClientError) as error:
        client(bob.token).run("auth_check", driver=DRIVER, repo=hidden)
    assert error.value.name == "RepositoryNotFoundError"
    for path, token, status in ((f"{repo}/auth-check", None, 200), (f"{repo}/auth-check/write", bob.token, 403), (f"{repo}/auth-check/write", user.token, 200),
                                (f"{repo}/auth-check/write", user.read_token, 403), (f"{hidden}/auth-check", None, 401)):
        assert hub.request("GET", f"/api/models/{path}", token=token).status == status, path

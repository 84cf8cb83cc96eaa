"""Following people and organisations."""
import itertools

import pytest

numbers = itertools.count(1)


def follow(hub, user, name, method="POST", kind="users"):
    return hub.request(method, f"/api/{kind}/{name}/follow", token=user.token).status


@pytest.mark.parametrize("generation", ["newest", "hub-1.19", "hub-0.36"])
def test_a_user_is_followed_and_no_longer(hub, user, client, generation):
    fan = hub.make_user(f"fan-{next(numbers)}")
    for _ in range(2):
        assert follow(hub, fan, user.name.upper()) == 200
    seen = client(fan.token, generation).run("follows", driver="community_driver.py", user=user.name)
    assert seen == {"followers": [fan.name], "following": [], "counts": [1, 0], "is_following": True}
    assert client(user.token, generation).run("follows", driver="community_driver.py", user=fan.name)["following"] == [user.name]
    for _ in range(2):
        assert follow(hub, fan, user.name, "DELETE") == 200
    seen = client(fan.token, generation).run("follows", driver="community_driver.py", user=user.name)
    assert seen == {"followers": [], "following": [], "counts": [0, 0], "is_following": False}


def test_organisations_are_followed_too_and_lists_come_in_pages(hub, user):
    org = f"rocks-{next(numbers)}"
    hub.admin("POST", "/organizations", {"name": org, "admin": user.name})
    fans = sorted(f"fan-{next(numbers):04}" for _ in range(103))
    for name in fans:
        assert follow(hub, hub.make_user(name), org, kind="organizations") == 200
    first = hub.request("GET", f"/api/organizations/{org}/followers")
    link = first.headers["link"]
    second = hub.request("GET", link[1:link.index(">")])
    assert "link" not in second.headers and [item["user"] for item in first.json() + second.json()] == fans
    assert hub.request("GET", f"/api/organizations/{org}/overview").json()["numFollowers"] == 103


def test_who_may_not_follow_is_refused(hub, user):
    assert follow(hub, user, user.name) == 400
    assert follow(hub, user, "nobody-of-this-name") == 404
    assert hub.request("POST", f"/api/users/{user.name}/follow").status == 401
    assert hub.request("POST", "/api/users/admin/follow", token=user.read_token).status == 403

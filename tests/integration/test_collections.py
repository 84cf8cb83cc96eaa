"""Collections: made, changed, found, and shown to whom they may be shown."""
import itertools

import pytest

from clients import ClientError

NEWER = ["newest", "hub-1.19", "hub-0.36"]
numbers = itertools.count(1)


@pytest.fixture
def other(hub):
    return hub.make_user(f"reader-{next(numbers)}")


@pytest.fixture
def person(client):
    return lambda user, generation="newest": \
        lambda action, **arguments: client(user.token, generation).run(action, driver="community_driver.py", **arguments)


@pytest.mark.parametrize("generation", NEWER)
def test_a_collection_is_made_filled_reordered_and_deleted(hub, user, person, generation):
    mine = person(user, generation)
    model, dataset = user.repo(), user.repo("dataset")
    made = mine("create_collection", title="Nice Things!", description="What I like", private=False)
    slug = made["slug"]
    assert slug.startswith(f"{user.name}/nice-things-") and len(slug.rsplit("-", 1)[1]) == 24
    assert (made["title"], made["description"], made["private"], made["items"], made["position"], made["upvotes"]) == \
        ("Nice Things!", "What I like", False, [], 0, 0)
    assert made["owner"]["name"] == user.name
    with pytest.raises(ClientError) as again:
        mine("create_collection", title="Nice Things!")
    assert again.value.status == 409
    assert mine("create_collection", title="Nice Things!", exists_ok=True)["slug"] == slug

    mine("add_item", slug=slug, item_id=model, item_type="model", note="the first")
    filled = mine("add_item", slug=slug, item_id=dataset, item_type="dataset")
    mine("add_item", slug=slug, item_id="2311.12983", item_type="paper")
    assert [(item["item_id"], item["item_type"], item["position"], item["note"]) for item in filled["items"]] == \
        [(model, "model", 0, "the first"), (dataset, "dataset", 1, None)]
    with pytest.raises(ClientError) as twice:
        mine("add_item", slug=slug, item_id=model, item_type="model")
    assert twice.value.status == 409
    assert len(mine("add_item", slug=slug, item_id=model, item_type="model", exists_ok=True)["items"]) == 3
    with pytest.raises(ClientError) as absent:
        mine("add_item", slug=slug, item_id=f"{user.name}/absent", item_type="model")
    assert absent.value.status == 404

    items = mine("get_collection", slug=slug)["items"]
    mine("update_item", slug=slug, item=items[2]["item_object_id"], position=0, note="now first")
    assert [(item["item_id"], item["note"]) for item in mine("get_collection", slug=slug)["items"]] == \
        [("2311.12983", "now first"), (model, "the first"), (dataset, None)]
    mine("delete_item", slug=slug, item=items[0]["item_object_id"])
    mine("delete_item", slug=slug, item=items[0]["item_object_id"], missing_ok=True)
    assert [(item["item_id"], item["position"]) for item in mine("get_collection", slug=slug)["items"]] == [("2311.12983", 0), (dataset, 1)]
    mine("delete_collection", slug=slug)
    mine("delete_collection", slug=slug, missing_ok=True)
    with pytest.raises(ClientError):
        mine("get_collection", slug=slug)


def test_an_old_address_leads_to_the_collection(hub, user, person):
    mine = person(user)
    old = mine("create_collection", title="Before")["slug"]
    changed = mine("update_collection", slug=old, title="After", description="d", theme="pink", position=3)
    assert changed["slug"] == f"{user.name}/after-{old[-24:]}"
    assert (changed["title"], changed["theme"], changed["position"]) == ("After", "pink", 3)
    for address in (old, changed["slug"], f"{user.name}/anything-{old[-24:]}"):
        assert mine("get_collection", slug=address)["title"] == "After"
    assert mine("create_collection", title="Before")["slug"] != old
    assert hub.request("PATCH", f"/api/collections/{old}", {"title": "Before"}, token=user.token).status == 409


def test_collections_are_found_by_owner_item_and_words_in_pages(hub, user, other, person):
    repo = user.repo()
    slugs = []
    for number in range(25):
        answer = hub.request("POST", "/api/collections", {"title": f"Number {number}", "item": {"type": "model", "id": repo}}, token=user.token)
        slugs.append(answer.json()["slug"])
    anybody = person(other)
    everything = anybody("list_collections", owner=user.name)
    assert {found["slug"] for found in everything} == set(slugs) and len(everything) == 25
    assert [found["last_updated"] for found in everything] == sorted((found["last_updated"] for found in everything), reverse=True)
    assert anybody("list_collections", owner=user.name, limit=3) == [{**found, "position": place} for place, found in enumerate(everything[:3])]
    assert {found["slug"] for found in anybody("list_collections", item=f"models/{repo}")} == set(slugs)
    assert anybody("list_collections", item=f"models/{repo}-absent") == []
    assert [found["slug"] for found in hub.request("GET", f"/api/collections?owner={user.name}&q=number%2013").json()] == [slugs[13]]
    assert hub.request("GET", "/api/collections?sort=odd").status == 400
    assert len(hub.request("GET", f"/api/collections?owner={user.name}&limit=100").json()) == 25


def test_what_is_private_is_for_its_owner(hub, user, other, person):
    mine, anybody = person(user), person(other)
    hidden_repo, open_repo = user.repo(private=True), user.repo()
    private = mine("create_collection", title="Secret", private=True)["slug"]
    public = mine("create_collection", title="Open")["slug"]
    for repo in (hidden_repo, open_repo):
        mine("add_item", slug=public, item_id=repo, item_type="model")
    mine("add_item", slug=public, item_id=private, item_type="collection")
    assert [found["slug"] for found in anybody("list_collections", owner=user.name)] == [public]
    assert {found["slug"] for found in mine("list_collections", owner=user.name)} == {public, private}
    with pytest.raises(ClientError) as refused:
        anybody("get_collection", slug=private)
    assert refused.value.status == 404
    assert [item["item_id"] for item in anybody("get_collection", slug=public)["items"]] == [open_repo]
    assert [item["item_id"] for item in mine("get_collection", slug=public)["items"]] == [hidden_repo, open_repo, private]
    # Nobody learns of a private repository by collecting it.
    own = anybody("create_collection", title="Mine")["slug"]
    with pytest.raises(ClientError) as hidden:
        anybody("add_item", slug=own, item_id=hidden_repo, item_type="model")
    assert hidden.value.status == 404
    for method, path, body in (("PATCH", "", {"title": "x"}), ("DELETE", "", None), ("POST", "/items", {"item": {"type": "paper", "id": "1"}})):
        assert hub.request(method, f"/api/collections/{public}{path}", body, token=other.token).status == 403
        assert hub.request(method, f"/api/collections/{public}{path}", body).status == 401
    assert hub.request("POST", "/api/collections", {"title": "x", "namespace": user.name}, token=other.token).status == 403
    assert hub.request("POST", "/api/collections", {"title": "x"}, token=user.read_token).status == 403


def test_items_follow_a_repository_that_moves_and_vanish_with_it(hub, user, person):
    mine = person(user)
    repo = user.repo()
    slug = mine("create_collection", title="Moving")["slug"]
    mine("add_item", slug=slug, item_id=repo, item_type="model")
    assert hub.request("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": f"{repo}-moved", "type": "model"}, token=user.token).status == 200
    assert [item["item_id"] for item in mine("get_collection", slug=slug)["items"]] == [f"{repo}-moved"]
    hub.request("DELETE", "/api/repos/delete", {"name": f"{repo}-moved", "type": "model"}, token=user.token)
    assert mine("get_collection", slug=slug)["items"] == []


def test_javascript_manages_collections(hub, user, client):
    done = client(user.token).run_js("collection", namespace=user.name)
    assert done["slug"].startswith(f"{user.name}/from-javascript-")
    assert done["listed"] == [done["slug"]] and done["after"] == []


def test_a_collection_in_a_collection_is_named_by_its_id(hub, user):
    slug = hub.request("POST", "/api/collections", {"title": "Outer"}, token=user.token).json()["slug"]
    for name in (slug[-24:], slug):
        answer = hub.request("POST", f"/api/collections/{slug}/items", {"item": {"type": "collection", "id": name}, "note": "a <note>"}, token=user.token)
        assert answer.status == (200 if name == slug[-24:] else 409)
    item = hub.request("GET", f"/api/collections/{slug[-24:]}").json()["items"][0]
    assert (item["type"], item["id"], item["slug"], item["note"]) == ("collection", slug[-24:], slug, {"html": "a &lt;note&gt;", "text": "a <note>"})


def test_bad_collections_are_refused(hub, user):
    for body in ({}, {"title": "  "}, {"title": "x" * 200}, {"title": "x", "description": "y" * 1000}, {"title": "x", "theme": "plaid"}):
        assert hub.request("POST", "/api/collections", body, token=user.token).status == 400, body
    slug = hub.request("POST", "/api/collections", {"title": "fine"}, token=user.token).json()["slug"]
    items = f"/api/collections/{slug}/items"
    for body, status in (({}, 400), ({"item": {"type": "planet", "id": "x"}}, 400), ({"item": {"type": "model", "id": "x"}}, 404),
                         ({"item": {"type": "paper", "id": "1"}, "note": "x" * 3000}, 400)):
        assert hub.request("POST", items, body, token=user.token).status == status, body
    assert hub.request("PATCH", f"{items}/{'0' * 24}", {"position": 1}, token=user.token).status == 404
    assert hub.request("PATCH", f"{items}/xyz", {"position": 1}, token=user.token).status == 404
    for address in ("a/b", f"{user.name}/x-{'0' * 24}", f"{user.name}/{'z' * 24}"):
        assert hub.request("GET", f"/api/collections/{address}").status == 404

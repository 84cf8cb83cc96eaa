"""Lists and search: every filter and order of the real clients, pages, rights, and the same answers from an index made anew."""
import hashlib
import json
import re

import pytest

from hub_process import Hub, cairn

CARDS = {
    "stone-bert": "---\nlicense: mit\nlanguage: [en, de]\npipeline_tag: fill-mask\nlibrary_name: transformers\ntags: [granite]\ndatasets: [ada/numbers]\n---\nBasalt and gneiss.\n",
    "river-gpt": "---\nlicense: apache-2.0\nlanguage: en\npipeline_tag: text-generation\nlibrary_name: transformers\ntags: [water]\n---\nRivers talk of basalt.\n",
    "sea-diffusion": "---\nlicense: mit\npipeline_tag: text-to-image\nlibrary_name: diffusers\n---\n",
    "quiet": "",
}
SIZES = {"stone-bert": 110, "river-gpt": 7000}


def facts(client, action, **arguments):
    return client.run(action, driver="facts_driver.py", **arguments)


@pytest.fixture(scope="module")
def shelf(hub):
    """A user with some models, whose names others of the run do not share."""
    from weights import safetensors
    from test_facts import upload
    user = hub.make_user("librarian")
    for name, card in CARDS.items():
        assert hub.create_repo(user.token, name).status == 200
        files = {"README.md": card.encode()} if card else {"a.txt": b"a"}
        assert hub.commit(user.token, f"librarian/{name}", files).status == 200
        if name in SIZES:
            upload(hub, user, f"librarian/{name}", {"model.safetensors": safetensors({"a": ("F16", [SIZES[name]])})})
    assert hub.create_repo(user.token, "hidden", private=True).status == 200
    assert hub.commit(user.token, "librarian/hidden", {"README.md": b"---\ntags: [granite]\n---\nBasalt.\n"}).status == 200
    hub.admin("POST", "/tokens", {"user": "librarian", "role": "read"})
    hub.index_settled()
    return user


def names(hub, query, token=None, types="models"):
    answer = hub.request("GET", f"/api/{types}?author=librarian&{query}", token=token)
    assert answer.status == 200, answer
    return [item["id"].split("/")[1] for item in answer.json()]


FILTERS = [
    ({"filter": "license:mit"}, ["sea-diffusion", "stone-bert"]),
    ({"filter": ["license:mit", "granite"]}, ["stone-bert"]),
    ({"filter": "transformers"}, ["river-gpt", "stone-bert"]),
    ({"filter": "de"}, ["stone-bert"]),
    ({"filter": "language:de"}, ["stone-bert"]),
    ({"trained_dataset": "ada/numbers"}, ["stone-bert"]),
    ({"pipeline_tag": "text-generation"}, ["river-gpt"]),
    ({"search": "BERT"}, ["stone-bert"]),
    ({"search": "librarian/ri"}, ["river-gpt"]),
    ({"search": "basalt"}, ["river-gpt", "stone-bert"]),
    ({"search": "basa gnei"}, ["stone-bert"]),
    ({"search": "diffus"}, ["sea-diffusion"]),
    ({"num_parameters": "min:1K"}, ["river-gpt"]),
    ({"num_parameters": "min:110,max:110"}, ["stone-bert"]),
    ({"num_parameters": "max:1B"}, ["river-gpt", "stone-bert"]),
    ({"apps": "vllm"}, ["river-gpt"]),
    ({"apps": ["ollama", "drawthings"]}, ["sea-diffusion"]),
    ({"gated": True}, []),
    ({"gated": False, "search": "quiet"}, ["quiet"]),
    ({"inference": "warm"}, []),
    ({"inference_provider": "all"}, []),
]


def test_models_are_found_by_every_filter_of_the_library(shelf, client):
    found = facts(client(), "names_of_each", kind="models", calls=[{"author": "librarian", **options} for options, _ in FILTERS])
    for (options, expected), got in zip(FILTERS, found):
        assert sorted(got) == [f"librarian/{name}" for name in expected], options


@pytest.mark.parametrize("generation", ["newest", "hub-1.19", "hub-0.36", "hub-0.32"])
def test_every_generation_lists_and_sorts(shelf, client, generation):
    reader = client(None, generation)
    newest_first = facts(reader, "names", kind="models", author="librarian", sort="last_modified")
    assert newest_first == ["librarian/quiet", "librarian/sea-diffusion", "librarian/river-gpt", "librarian/stone-bert"]
    assert facts(reader, "names", kind="models", author="librarian", sort="created_at", limit=2) == newest_first[:2]
    item = facts(reader, "items", kind="models", author="librarian", full=True, cardData=True, search="river")[0]
    assert item["sha"] and item["card_data"]["license"] == "apache-2.0"
    assert sorted(sibling["rfilename"] for sibling in item["siblings"]) == [".gitattributes", "README.md", "model.safetensors"]


def test_every_order_has_everything_once(hub, shelf, client):
    sorts = ["likes", "downloads", "trending_score", "last_modified", "created_at"]
    for found in facts(client(), "names_of_each", kind="models", calls=[{"author": "librarian", "sort": sort} for sort in sorts]):
        assert sorted(found) == [f"librarian/{name}" for name in sorted(CARDS)]
    assert names(hub, "sort=num_parameters")[:2] == ["river-gpt", "stone-bert"]


def test_orders_turn_round_and_nonsense_is_refused(hub, shelf):
    down = names(hub, "sort=lastModified&direction=-1")
    assert names(hub, "sort=lastModified&direction=1") == down[::-1]
    assert names(hub, "sort=id") == sorted(CARDS)
    assert names(hub, "sort=id&direction=-1") == sorted(CARDS, reverse=True)
    for query in ("sort=nonsense", "num_parameters=lots", "cursor=!", "expand=nonsense"):
        assert hub.request("GET", f"/api/models?{query}").status == 400, query
    assert hub.request("GET", "/api/models?sort=mainSize").status == 400


def test_lists_expand_what_is_asked_and_nothing_else(hub, shelf, client):
    answer = hub.request("GET", "/api/models?author=librarian&search=river&expand=safetensors&expand=cardData,likes")
    item = answer.json()[0]
    assert set(item) == {"_id", "id", "safetensors", "cardData", "likes"}
    assert item["safetensors"] == {"parameters": {"F16": 7000}, "total": 7000}
    found = facts(client(), "items", kind="models", author="librarian", search="stone", expand=["config", "tags", "inferenceProviderMapping", "gated", "usedStorage"])
    assert found[0]["tags"] and found[0]["gated"] is False and found[0]["inference_provider_mapping"] == [] and found[0]["used_storage"] > 0
    default = hub.request("GET", "/api/models?author=librarian&search=river").json()[0]
    assert {"_id", "id", "modelId", "private", "likes", "downloads", "tags", "pipeline_tag", "library_name", "createdAt", "lastModified", "trendingScore"} <= set(default)
    assert "cardData" not in default and "siblings" not in default


def test_private_repositories_show_to_their_people_alone(hub, shelf, bob):
    assert "hidden" not in names(hub, "sort=id") and "hidden" not in names(hub, "sort=id", bob.token)
    assert "hidden" in names(hub, "sort=id", shelf.token) and "hidden" in names(hub, "sort=id", shelf.read_token)
    assert names(hub, "filter=granite&sort=id", shelf.token) == ["hidden", "stone-bert"]
    assert names(hub, "search=basalt&sort=id") == ["river-gpt", "stone-bert"]
    granite = [tag for tag in hub.request("GET", "/api/models-tags-by-type").json()["other"] if tag["id"] == "granite"]
    assert granite[0]["count"] == 1
    quick = hub.request("GET", "/api/quicksearch?q=hidden").json()
    assert (quick["models"], quick["modelsCount"]) == ([], 0)
    assert hub.request("GET", "/api/quicksearch?q=librarian/hidden", token=shelf.token).json()["modelsCount"] == 1


def test_a_change_of_visibility_or_name_shows_at_once(hub, user):
    repo = user.repo()
    hub.index_settled()
    listed = lambda token=None: [item["id"] for item in hub.request("GET", f"/api/models?author={user.name}", token=token).json()]
    assert listed() == [repo]
    hub.request("PUT", f"/api/models/{repo}/settings", {"private": True}, token=user.token)
    assert listed() == []  # whatever the index says
    assert listed(user.token) == [repo]
    hub.index_settled()
    hub.request("PUT", f"/api/models/{repo}/settings", {"private": False}, token=user.token)
    hub.index_settled()
    assert hub.request("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": f"{user.name}/moved", "type": "model"}, token=user.token).status == 200
    hub.index_settled()
    assert listed() == [f"{user.name}/moved"]
    assert hub.request("GET", f"/api/models?search={user.name}/moved").json()[0]["id"] == f"{user.name}/moved"
    assert hub.request("DELETE", "/api/repos/delete", {"name": "moved", "type": "model"}, token=user.token).status == 200
    assert listed() == []
    hub.index_settled()
    assert hub.request("GET", f"/api/models?search={user.name}/moved").json() == []


def test_members_find_the_private_repositories_of_their_organisation(hub, user, bob, alice):
    org = f"guild-{user.name}"
    hub.admin("POST", "/organizations", {"name": org, "admin": user.name})
    assert hub.request("POST", "/api/repos/create", {"name": "secret", "organization": org, "private": True}, token=user.token).status == 200
    hub.admin("PUT", f"/organizations/{org}/members/bob", {"role": "read"})
    hub.index_settled()
    listed = lambda token=None: [item["id"] for item in hub.request("GET", f"/api/models?search={org}", token=token).json()]
    assert listed(bob.token) == [f"{org}/secret"] and listed(alice.token) == [] and listed() == []


def test_pages_follow_links_and_hold_still(hub, user, client):
    repos = [user.repo() for _ in range(25)]
    hub.index_settled()
    seen, path = [], f"/api/models?author={user.name}&limit=10&sort=lastModified"
    while path:
        answer = hub.request("GET", path, token=user.token)
        seen += [item["id"] for item in answer.json()]
        link = re.fullmatch(r'<(http://[^>]+)>; rel="next"', answer.headers["link"]) if "link" in answer.headers else None
        path = link and link[1]
        if len(seen) == 10:
            hub.commit(user.token, repos[0], {"a.txt": b"a"})  # moves it to the front, which was seen already
            hub.index_settled()
    assert seen == repos[:0:-1]
    assert sorted(facts(client(user.token), "names", kind="models", author=user.name)) == sorted(repos)
    assert len(facts(client(user.token), "names", kind="models", author=user.name, limit=7)) == 7


def test_data_sets_and_spaces_have_filters_of_their_own(hub, user, client):
    from test_facts import add_to
    data, space, other = user.repo("dataset"), user.repo("space", sdk="static"), user.repo("space", sdk="gradio")
    add_to(hub, user, "datasets", data, {"README.md": b"---\nlanguage: en\nsize_categories: 1K<n<10K\ntask_categories: [text-generation]\n---\n", "train.csv": b"a\n"})
    add_to(hub, user, "spaces", space, {"README.md": f"---\nsdk: static\nmodels: [ada/x]\ndatasets: [{data}]\n---\n".encode()})
    hub.index_settled()
    reader = client()
    calls = [{"filter": "language:en"}, {"language": "en"}, {"size_categories": "1K<n<10K"}, {"task_categories": "text-generation"}, {"search": "repo"},
             {"filter": "format:csv"}, {"dataset_name": "repo-1"}]
    assert facts(reader, "names_of_each", kind="datasets", calls=[{"author": user.name, **call} for call in calls]) == [[data]] * len(calls)
    assert facts(reader, "names", kind="datasets", author=user.name, filter="language:fr") == []
    calls = [{"models": "ada/x"}, {"datasets": data}, {"linked": True}, {"filter": "static"}]
    assert facts(reader, "names_of_each", kind="spaces", calls=[{"author": user.name, **call} for call in calls]) == [[space]] * len(calls)
    assert sorted(facts(reader, "names", kind="spaces", author=user.name)) == sorted([space, other])
    assert facts(reader, "items", kind="spaces", author=user.name, expand=["sdk", "models"], filter="static")[0]["models"] == ["ada/x"]


def test_the_javascript_client_lists(hub, user, client):
    repo = user.repo()
    hub.commit(user.token, repo, {"README.md": b"---\npipeline_tag: fill-mask\n---\n"})
    hub.index_settled()
    data, space = user.repo("dataset"), user.repo("space", sdk="static", private=True)
    hub.index_settled()
    reader = client(user.token)
    assert reader.run_js("listModels", owner=user.name) == [{"name": repo, "private": False}]
    assert reader.run_js("findModels", search={"owner": user.name, "task": "fill-mask", "query": "repo"}, sort="likes") == [
        {"name": repo, "task": "fill-mask", "tags": ["fill-mask", "region:us"]}]
    assert reader.run_js("findModels", search={"owner": user.name, "tags": ["absent"]}) == []
    assert reader.run_js("listDatasets", owner=user.name) == [{"name": data, "private": False, "likes": 0}]
    assert reader.run_js("listSpaces", owner=user.name) == [{"name": space, "sdk": "static", "private": True}]


def test_tags_tasks_and_trends(hub, shelf, client):
    tags = facts(client(), "tags")
    assert {"license:mit", "license:apache-2.0"} <= {tag["id"] for tag in tags["license"]}
    assert "fill-mask" in {tag["id"] for tag in tags["pipeline_tag"]} and "en" in {tag["id"] for tag in tags["language"]}
    assert list(hub.request("GET", "/api/models-tags-by-type?type=license").json()) == ["license"]
    assert isinstance(facts(client(), "tags", kind="dataset"), dict)
    assert hub.request("GET", "/api/tasks").json()["fill-mask"]["label"] == "Fill-Mask"
    trending = hub.request("GET", "/api/trending?type=model&limit=3").json()["recentlyTrending"]
    assert len(trending) == 3 and trending[0]["repoType"] == "model" and trending[0]["repoData"]["id"]
    for answer in (hub.request("GET", "/api/quicksearch?q=stone-b"), hub.request("POST", "/api/quicksearch", {"q": "stone-b", "type": "models"})):
        assert [item["id"] for item in answer.json()["models"]] == ["librarian/stone-bert"]
    assert [item["user"] for item in hub.request("GET", "/api/quicksearch?q=librar").json()["users"]] == ["librarian"]
    assert hub.request("GET", "/api/quicksearch").status == 400


def test_the_description_of_the_calls_is_that_of_the_routes(hub):
    document = hub.request("GET", "/.well-known/openapi.json").json()
    assert document["openapi"] == "3.1.0" and document["servers"] == [{"url": hub.url}]
    likers = document["paths"]["/api/{kind1}/{part2}/{part3}/likers"]
    assert likers["parameters"][0]["schema"]["enum"] == ["models", "datasets", "spaces", "kernels"] and "default" in likers["get"]["responses"]
    assert any("501" in operation["responses"] for path in document["paths"].values() for key, operation in path.items() if key != "parameters")


def everything(hub, token):
    """Of one owner: of all that a long run makes, equals may fall on either side of a page's end."""
    queries = ["", "sort=likes", "sort=id", "sort=num_parameters", "sort=createdAt", "filter=license:mit", "search=basalt", "search=ber", "num_parameters=min:1",
               "pipeline_tag=text-generation", "full=true&sort=id", "expand=safetensors&expand=cardData&sort=id"]
    return [hub.request("GET", f"/api/{types}?author=librarian&{query}", token=token).json() for types in ("models", "datasets", "spaces") for query in queries] + [
        hub.request("GET", "/api/models-tags-by-type").json()]


def test_an_index_made_anew_gives_the_same_answers(hub, shelf):
    before_index = hub.index_settled()
    before = everything(hub, hub.admin_token)
    cairn(hub, "index", "rebuild")
    after_index = hub.index_settled()
    assert after_index["generation"] == before_index["generation"] + 1
    after = everything(hub, hub.admin_token)
    for old, new in zip(before, after):
        key = (lambda item: json.dumps(item, sort_keys=True)) if isinstance(old, list) else None
        assert (sorted(old, key=key) if key else old) == (sorted(new, key=key) if key else new)  # equals may change places


def test_a_lost_or_broken_index_is_made_again_and_a_killed_server_catches_up(tmp_path):
    import shutil
    hub = Hub(tmp_path / "data").start()
    try:
        user = hub.make_user("ada")
        repos = [user.repo() for _ in range(5)]
        hub.commit(user.token, repos[0], {"README.md": b"---\ntags: [kept]\n---\n"})
        hub.index_settled()
        hub.kill()
        hub.start()
        hub.commit(user.token, repos[1], {"README.md": b"---\ntags: [kept]\n---\n"})
        hub.kill()
        hub.start()
        hub.index_settled()
        find = lambda: sorted(item["id"] for item in hub.request("GET", "/api/models?filter=kept").json())
        assert find() == repos[:2]
        hub.stop()
        shutil.rmtree(tmp_path / "data" / "search")
        hub.start()
        hub.index_settled()
        assert find() == repos[:2]
        hub.stop()
        for file in (tmp_path / "data" / "search").rglob("CURRENT"):
            file.write_bytes(b"nonsense")
        hub.start()
        hub.index_settled()
        assert find() == repos[:2]
    finally:
        hub.stop()


def add_data(hub, user, repo, files, deleted=()):
    lines = [{"key": "header", "value": {"summary": "data"}}]
    lines += [{"key": "file", "value": {"path": path, "content": text, "encoding": "utf-8"}} for path, text in files.items()]
    lines += [{"key": "deletedFolder", "value": {"path": path}} for path in deleted]
    answer = hub.request("POST", f"/api/datasets/{repo}/commit/main", "\n".join(json.dumps(line) for line in lines).encode(), token=user.token,
                         headers={"Content-Type": "application/x-ndjson"})
    assert answer.status == 200, answer


def test_data_sets_are_sorted_by_the_size_of_their_main_branch(hub, user, client):
    small, large, moved = (user.repo("dataset") for _ in range(3))
    add_data(hub, user, small, {"a.txt": "a" * 10})
    add_data(hub, user, large, {f"data/{number}.txt": "b" * 1000 for number in range(20)})
    add_data(hub, user, moved, {"c.txt": "c" * 500, "deep/er/d.txt": "d" * 500})
    data = bytes(100_000)
    oid = hashlib.sha256(data).hexdigest()
    batch = hub.request("POST", f"/datasets/{moved}.git/info/lfs/objects/batch", {"operation": "upload", "objects": [{"oid": oid, "size": len(data)}]}, token=user.token,
                        headers={"Content-Type": "application/vnd.git-lfs+json"}).json()["objects"][0]
    if "actions" in batch:
        hub.request("PUT", batch["actions"]["upload"]["href"], data)

    def sizes():
        """By the index, and by the info call, which must agree with the size of the tree."""
        hub.index_settled()
        listed = hub.request("GET", f"/api/datasets?author={user.name}&sort=mainSize&expand=mainSize").json()
        for item in listed:
            whole = hub.request("GET", f"/api/datasets/{item['id']}/treesize/main").json()["size"]
            assert item["mainSize"] == whole == hub.request("GET", f"/api/datasets/{item['id']}?expand=mainSize").json()["mainSize"], item
        return [item["id"] for item in listed]

    assert sizes() == [large, moved, small]
    add_data(hub, user, small, {"a.txt": "a" * 30_000, "folder/x.txt": "x" * 70})
    add_data(hub, user, small, {}, deleted=["folder"])
    assert sizes() == [small, large, moved]
    line = json.dumps({"key": "lfsFile", "value": {"path": "big.bin", "algo": "sha256", "oid": oid, "size": len(data)}})
    answer = hub.request("POST", f"/api/datasets/{moved}/commit/main", ('{"key":"header","value":{"summary":"s"}}\n' + line).encode(), token=user.token,
                         headers={"Content-Type": "application/x-ndjson"})
    assert answer.status == 200, answer
    assert sizes() == [moved, small, large], "an LFS file counts with its own size"
    hub.request("POST", f"/api/datasets/{large}/super-squash/main", {}, token=user.token)
    add_data(hub, user, large, {"data/0.txt": "b"}, deleted=["data"])
    assert sizes()[-1] == large
    assert [item["id"] for item in hub.request("GET", f"/api/datasets?author={user.name}&sort=mainSize&direction=1").json()] == sizes()[::-1]

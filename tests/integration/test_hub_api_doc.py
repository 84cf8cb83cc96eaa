"""docs/hub-api.md says which calls are served: every row is asked, and every route of the server must have a row."""
import pathlib
import re

import pytest

from hub_process import ROOT

ROW = re.compile(r"^\| `([A-Z ]+)` \| `(/[^`]*)` \| (yes|no) \|")
PAGES = ("", "datasets/", "spaces/", "kernels/")


def rows():
    found = []
    for line in (ROOT / "docs" / "hub-api.md").read_text().splitlines():
        match = ROW.match(line)
        if match:
            found += [(method, match[2], match[3] == "yes") for method in match[1].split()]
    return found


def concrete(path):
    """A path with something in every place, of things that are not there."""
    path = path.replace("{type}", "models").replace("{page}", "").replace("{id}", "nobody/nothing")
    path = path.replace("{status}", "pending").replace("{sha}", "0" * 40).replace("{a}..{b}", "main..main")
    return re.sub(r"\{\w+\}", "main", path)


def route_of(path):
    """The document's spelling of a path as a pattern of the server's own list."""
    path = path.replace("{page}{id}.git/", "{page}{id}/").replace("{type}/{id}", "{}/{}/{}").replace("{page}{id}", "{}/{}").replace("{id}", "{}/{}")
    return re.sub(r"\{\w*\}", "{}", path)


@pytest.fixture(scope="module")
def calls():
    found = rows()
    assert len(found) > 200
    assert len(set(found)) == len(found), "a row is there twice"
    return found


@pytest.fixture(scope="module")
def served(hub):
    """(method, path with {} for every parameter, whether it is built) of the server's own list."""
    document = hub.request("GET", "/.well-known/openapi.json").json()
    return [(method.upper(), path, "501" not in operation.get("responses", {})) for path, operations in document["paths"].items()
            for method, operation in operations.items() if method != "parameters"]


def test_every_row_tells_the_truth(hub, calls):
    wrong = []
    for method, path, is_built in calls:
        body = None if method in ("GET", "HEAD") else b"a=b" if path.startswith("/oauth/") else b"{}"
        answer = hub.request(method, concrete(path), body, token=hub.admin_token, headers={"Content-Type": "application/json"} if body == b"{}" else {})
        unbuilt = answer.status == 501 and answer.code == "NotImplemented"
        unknown = answer.status == 404 and answer.body == b'{"error":"not found"}'
        if unknown or unbuilt == is_built:
            wrong.append((method, path, "yes" if is_built else "no", answer.status))
    assert not wrong, wrong


def test_every_route_has_a_row(calls, served):
    """Routes of the Xet protocol, the operator's calls and the pages for people are told elsewhere."""
    elsewhere = re.compile(r"/$|/v1/(xorbs|shards|reconstructions|chunks|files|telemetry)|/v2/|"
                           r"/(xet|xorbs?|shards?|reconstructions?|chunks?|login|logout|device|settings|healthz|readyz|metrics|api/admin)(/|$)|"
                           r".*/(HEAD|objects/\{rest\})$|/(\{\w+\}/)+resolve/|/api/\{kind1\}/\{part2\}(/revision/\{part3\})?$")
    documented = {(method, concrete(path)) for method, path, _ in calls}

    def matches(pattern, text):
        parts = re.split(r"(\{\w+\})", pattern)
        return re.fullmatch("".join(("[^/]*(/.*)?" if part == "{rest}" else "[^/]+") if part.startswith("{") else re.escape(part) for part in parts), text)
    missing = []
    for method, path, _ in served:
        if method == "HEAD" or elsewhere.match(path) or path.startswith(("/{kind1}/", "/oauth/{rest}")):
            continue
        texts = [text.replace("nothing.git", "nothing") for row, text in documented if row == method]
        pattern = re.sub(r"/\{rest\}$", "{rest}", path) if path.endswith("/{rest}") else path
        if not any(matches(path, text) or matches(pattern, text) for text in texts):
            missing.append((method, path))
    # patterns that take every method of what is not built need only one row
    unbuilt = {path for _, path, is_built in served if not is_built}
    covered = {path for path in unbuilt if any(matches(path, text) or matches(re.sub(r"/\{rest\}$", "{rest}", path), text) for _, text in documented)}
    missing = [(method, path) for method, path in missing if path not in covered]
    assert not missing, missing


def test_every_type_of_repository_is_served_alike(hub, calls):
    """What is said of {type} and {page} holds for all four."""
    for method, path, is_built in calls:
        if "{type}" not in path or "{id}" not in path:
            continue
        for type in ("datasets", "spaces", "kernels"):
            body = None if method in ("GET", "HEAD") else b"{}"
            answer = hub.request(method, concrete(path.replace("{type}", type)), body, token=hub.admin_token)
            assert (answer.status == 501) != is_built, (method, path, type, answer)
            assert answer.body != b'{"error":"not found"}', (method, path, type)

"""Webhooks: what is posted to whom, in which order, how often, and where it never goes."""
import http.server
import itertools
import json
import os
import threading
import time

import pytest

from clients import Client, ClientError
from hub_process import Hub

numbers = itertools.count(1)


class Receiver:
    """Takes deliveries on a port of its own; answers what `status` says."""

    def __init__(self, port=0):
        self.received, self.paths = [], []
        self.status = 200
        self.arrived = threading.Condition()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.arrived:
                    status = receiver.status(len(receiver.received)) if callable(receiver.status) else receiver.status
                    receiver.paths.append(self.path)
                    receiver.received.append((dict(self.headers), json.loads(body), status))
                    receiver.arrived.notify_all()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    def wait(self, count, seconds=20):
        """The payloads, once there are so many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, seconds), f"{len(self.received)} of {count}: {self.kinds()}"
            return [payload for _, payload, _ in self.received]

    def kinds(self):
        return [(payload["event"]["action"], payload["event"]["scope"]) for _, payload, _ in self.received]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def open_hub(tmp_path_factory):
    """A hub that may deliver to this machine."""
    os.environ["CAIRN_WEBHOOKS_PRIVATE"] = "1"
    hub = Hub(tmp_path_factory.mktemp("webhooks") / "data").start()
    del os.environ["CAIRN_WEBHOOKS_PRIVATE"]
    yield hub
    assert hub.is_running(), hub.tail()
    assert hub.stop() == 0


@pytest.fixture
def people(open_hub):
    """Two users of this test alone."""
    number = next(numbers)
    return open_hub.make_user(f"ada-{number}"), open_hub.make_user(f"bob-{number}")


def hook(hub, owner, receiver, watched, **more):
    answer = hub.request("POST", "/api/settings/webhooks", {"watched": watched, "url": receiver.url, **more}, token=owner.token)
    assert answer.status == 200, answer
    return answer.json()["webhook"]["id"]


def settle():
    time.sleep(1)


@pytest.mark.parametrize("generation", ["newest", "hub-1.19", "hub-0.36"])
def test_clients_manage_their_webhooks(open_hub, people, tmp_path, generation):
    ada, bob = people

    def person(user):
        client = Client(open_hub, user.token, tmp_path, generation)
        return lambda action, **arguments: client.run(action, driver="community_driver.py", **arguments)
    mine, other = person(ada), person(bob)
    made = mine("create_webhook", url="http://hooks.example.org/x", watched=[{"type": "user", "name": ada.name}, {"type": "model", "name": "a/b"}],
                domains=["repo"], secret="s3cret")
    assert (made["url"], made["domains"], made["secret"], made["disabled"]) == ("http://hooks.example.org/x", ["repo"], "s3cret", False)
    assert made["watched"] == [{"type": "user", "name": ada.name}, {"type": "model", "name": "a/b"}]
    assert mine("list_webhooks") == [made] and mine("get_webhook", webhook=made["id"]) == made
    assert other("list_webhooks") == []
    for action in ("get_webhook", "delete_webhook"):
        with pytest.raises(ClientError) as hidden:
            other(action, webhook=made["id"])
        assert hidden.value.status == 404
    changed = mine("update_webhook", webhook=made["id"], url="https://hooks.example.org/y", domains=["repo", "discussion"])
    assert (changed["url"], changed["domains"], changed["watched"]) == ("https://hooks.example.org/y", ["repo", "discussion"], made["watched"])
    assert mine("switch_webhook", webhook=made["id"], to="disable")["disabled"] is True
    assert mine("switch_webhook", webhook=made["id"], to="enable")["disabled"] is False
    mine("delete_webhook", webhook=made["id"])
    assert mine("list_webhooks") == []


def test_a_repository_tells_its_life(open_hub, people, receiver):
    ada, _ = people
    webhook = hook(open_hub, ada, receiver, [{"type": "user", "name": ada.name}], secret="s3cret", domains=["repo"])
    repo = ada.repo()
    receiver.wait(2)
    commit = open_hub.commit(ada.token, repo, {"a.txt": b"a"}).json()["commitOid"]
    receiver.wait(3)
    open_hub.request("PUT", f"/api/models/{repo}/settings", {"private": True}, token=ada.token)
    receiver.wait(4)
    open_hub.request("POST", f"/api/models/{repo}/discussions", {"title": "not told"}, token=ada.token)
    open_hub.request("DELETE", "/api/repos/delete", {"name": repo, "type": "model"}, token=ada.token)
    payloads = receiver.wait(5)
    assert sorted(receiver.kinds()[:2]) == [("create", "repo"), ("update", "repo.content")]
    assert receiver.kinds()[2:] == [("update", "repo.content"), ("update", "repo.config"), ("delete", "repo")]
    push = payloads[2]
    assert push["updatedRefs"][0]["ref"] == "refs/heads/main" and push["updatedRefs"][0]["newSha"] == commit == push["repo"]["headSha"]
    assert push["repo"]["name"] == repo and push["repo"]["type"] == "model" and push["repo"]["private"] is False
    assert push["repo"]["url"] == {"web": f"{open_hub.url}/{repo}", "api": f"{open_hub.url}/api/models/{repo}"}
    assert push["webhook"] == {"id": webhook, "version": 3}
    assert payloads[3]["updatedConfig"] == {"private": True} and payloads[4]["repo"]["name"] == repo
    headers = receiver.received[0][0]
    assert headers["X-Webhook-Secret"] == "s3cret" and headers["Content-Type"] == "application/json"


def test_a_discussion_tells_what_is_said_and_done(open_hub, people, receiver):
    ada, bob = people
    repo = ada.repo()
    settle()
    hook(open_hub, ada, receiver, [{"type": "model", "name": repo}], domains=["discussion"])
    open_hub.request("POST", f"/api/models/{repo}/discussions", {"title": "A change", "description": "why", "pullRequest": True}, token=bob.token)
    open_hub.request("POST", f"/api/models/{repo}/discussions/1/comment", {"comment": "hello"}, token=ada.token)
    open_hub.commit(bob.token, repo, {"b.txt": b"b"}, revision="refs%2Fpr%2F1")
    open_hub.request("POST", f"/api/models/{repo}/discussions/1/merge", token=ada.token)
    payloads = receiver.wait(3)
    assert receiver.kinds() == [("create", "discussion"), ("create", "discussion.comment"), ("update", "discussion")]
    opened, said, merged = payloads
    assert (opened["discussion"]["title"], opened["discussion"]["num"], opened["discussion"]["isPullRequest"]) == ("A change", 1, True)
    assert opened["comment"]["content"] == "why" and said["comment"]["content"] == "hello" and said["comment"]["hidden"] is False
    assert merged["discussion"]["status"] == "merged" and "mergeCommitId" in merged["discussion"]["changes"]
    assert opened["discussion"]["url"]["web"] == f"{open_hub.url}/{repo}/discussions/1"


def test_only_who_may_see_is_told_and_only_of_what_came_after(open_hub, people, receiver):
    ada, bob = people
    ada.repo()
    settle()
    hook(open_hub, bob, receiver, [{"type": "user", "name": ada.name}])
    secret = ada.repo(private=True)
    open_hub.commit(ada.token, secret, {"a.txt": b"a"})
    public = ada.repo()
    receiver.wait(2)
    settle()
    assert {payload["repo"]["name"] for _, payload, _ in receiver.received} == {public}


def test_a_failing_receiver_is_asked_again_in_order_and_the_log_tells(open_hub, people, receiver):
    ada, _ = people
    repo = ada.repo()
    settle()
    webhook = hook(open_hub, ada, receiver, [{"type": "model", "name": repo}])
    receiver.status = lambda count: 500 if count == 0 else 200
    for number in range(3):
        open_hub.commit(ada.token, repo, {f"{number}.txt": b"x"}, summary=f"commit {number}")
    payloads = receiver.wait(4)
    assert [status for _, _, status in receiver.received] == [500, 200, 200, 200]
    shas = [payload["updatedRefs"][0]["newSha"] for payload in payloads]
    assert shas[0] == shas[1] and len(set(shas)) == 3
    settle()
    log = open_hub.request("GET", f"/api/settings/webhooks/{webhook}", token=ada.token).json()["deliveries"]
    assert [(entry["success"], entry["status"], entry["attempts"]) for entry in log] == [(True, 200, 1), (True, 200, 1), (True, 200, 2)]
    assert log[0]["payload"]["updatedRefs"][0]["newSha"] == shas[3]
    replayed = open_hub.request("POST", f"/api/settings/webhooks/{webhook}/replay/{log[2]['id']}", token=ada.token)
    assert replayed.status == 200
    assert receiver.wait(5)[4] == payloads[0]
    assert open_hub.request("POST", f"/api/settings/webhooks/{webhook}/replay/999", token=ada.token).status == 404


def test_a_redirect_is_not_followed(open_hub, people, receiver):
    ada, _ = people
    repo = ada.repo()
    settle()
    webhook = hook(open_hub, ada, receiver, [{"type": "model", "name": repo}])
    receiver.status = 302
    open_hub.commit(ada.token, repo, {"a.txt": b"x"})
    receiver.wait(1)
    receiver.status = 200
    receiver.wait(2)
    settle()
    assert receiver.paths == ["/hook", "/hook"]
    assert open_hub.request("GET", f"/api/settings/webhooks/{webhook}", token=ada.token).json()["deliveries"][0]["attempts"] == 2


def test_a_receiver_that_never_answers_is_disabled_and_harms_nobody_else(open_hub, people, receiver):
    ada, bob = people
    repo = ada.repo()
    settle()
    dead = Receiver()
    dead.close()  # connections are refused from now on
    lost = hook(open_hub, ada, dead, [{"type": "model", "name": repo}])
    hook(open_hub, bob, receiver, [{"type": "model", "name": repo}])
    for number in range(12):
        assert open_hub.commit(ada.token, repo, {f"{number}.txt": b"x"}).status == 200
    receiver.wait(12)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        webhook = open_hub.request("GET", f"/api/settings/webhooks/{lost}", token=ada.token).json()
        if webhook["webhook"]["disabled"]:
            break
        time.sleep(0.5)
    assert webhook["webhook"]["disabled"]
    assert {entry["success"] for entry in webhook["deliveries"]} == {False} and webhook["deliveries"][0]["error"]


def test_what_happened_before_a_crash_is_told_after_it(tmp_path, receiver, monkeypatch):
    monkeypatch.setenv("CAIRN_WEBHOOKS_PRIVATE", "1")
    hub = Hub(tmp_path / "data").start()
    ada = hub.make_user("ada")
    repo = ada.repo()
    settle()
    hook(hub, ada, receiver, [{"type": "model", "name": repo}])
    hub.commit(ada.token, repo, {"told.txt": b"x"})
    receiver.wait(1)
    settle()
    port = receiver.port
    receiver.close()
    commits = [hub.commit(ada.token, repo, {f"{number}.txt": b"x"}).json()["commitOid"] for number in range(3)]
    hub.kill()
    again = Receiver(port)
    try:
        hub.start()
        payloads = again.wait(3)
        assert [payload["updatedRefs"][0]["newSha"] for payload in payloads] == commits
        settle()
        assert len(again.received) == 3  # what was told before is not told again
    finally:
        again.close()
        hub.stop()


@pytest.mark.parametrize("url", [
    "http://127.0.0.1:9/", "http://localhost/", "http://LOCALHOST./", "http://x.localhost/", "http://[::1]/", "http://10.0.0.1/", "http://172.16.3.4/",
    "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data", "http://0/", "http://2130706433/", "http://0x7f.1/", "http://[::ffff:127.0.0.1]/",
    "http://[fe80::1]/", "http://[fc00::1]/", "http://100.64.0.1/"])
def test_private_addresses_are_refused(hub, user, url):
    answer = hub.request("POST", "/api/settings/webhooks", {"watched": [{"type": "user", "name": user.name}], "url": url}, token=user.token)
    assert answer.status == 400 and "public internet" in answer.json()["error"]


def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to(tmp_path, receiver):
    """The address is looked at when the socket is made: no name server can lead a delivery inside. This machine's own name resolves to itself."""
    import socket
    name = socket.gethostname()
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(name, receiver.port)}
    except OSError:
        pytest.skip("this machine does not resolve its own name")
    if not all(address.startswith(("127.", "10.", "172.", "192.168.", "::1", "fe80", "fc", "fd")) for address in addresses):
        pytest.skip("this machine's name leads to a public address")
    hub = Hub(tmp_path / "data").start()
    try:
        ada = hub.make_user("ada")
        repo = ada.repo()
        answer = hub.request("POST", "/api/settings/webhooks", {"watched": [{"type": "model", "name": repo}], "url": f"http://{name}:{receiver.port}/hook"},
                             token=ada.token)
        webhook = answer.json()["webhook"]["id"]
        hub.commit(ada.token, repo, {"a.txt": b"x"})
        deadline = time.monotonic() + 60
        deliveries = []
        while not deliveries and time.monotonic() < deadline:
            time.sleep(0.5)
            deliveries = hub.request("GET", f"/api/settings/webhooks/{webhook}", token=ada.token).json()["deliveries"]
        assert deliveries[0]["success"] is False and deliveries[0]["status"] == 0
        assert receiver.received == []
    finally:
        hub.stop()


@pytest.mark.parametrize("change", [
    {"url": "ftp://example.org/"}, {"url": "example"}, {"url": "http://user:pw@example.org/"}, {"url": "http://example.org/\r\nX: y"}, {"url": ""},
    {"url": "http://example.org/" + "x" * 3000}, {"secret": "a\nb"}, {"secret": "x" * 300}, {"watched": [{"type": "user", "name": "a/b"}]},
    {"watched": [{"type": "model", "name": "a"}]}, {"watched": [{"type": "planet", "name": "a"}]}, {"watched": []}, {"domains": ["gossip"]},
    {"watched": [{"type": "user", "name": "a"}] * 101}])
def test_bad_webhooks_are_refused(hub, user, change):
    body = {"watched": [{"type": "user", "name": user.name}], "url": "https://example.org/", **change}
    assert hub.request("POST", "/api/settings/webhooks", body, token=user.token).status == 400


def test_webhooks_need_a_writer_and_have_an_end(hub, user):
    body = {"watched": [{"type": "user", "name": user.name}], "url": "https://example.org/"}
    assert hub.request("POST", "/api/settings/webhooks", body).status == 401
    assert hub.request("POST", "/api/settings/webhooks", body, token=user.read_token).status == 403
    assert hub.request("GET", "/api/settings/webhooks", token=user.read_token).status == 403
    assert hub.request("POST", "/api/settings/webhooks", {**body, "url": None, "jobSourceId": "x"}, token=user.token).status == 501
    for _ in range(100):
        assert hub.request("POST", "/api/settings/webhooks", body, token=user.token).status == 200
    assert hub.request("POST", "/api/settings/webhooks", body, token=user.token).status == 400
    assert len(hub.request("GET", "/api/settings/webhooks", token=user.token).json()) == 100

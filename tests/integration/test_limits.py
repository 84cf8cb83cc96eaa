"""Rate limits with the headers that clients read, and the audit log."""
import json
import time

import pytest

from hub_process import Hub, cairn


@pytest.fixture
def limited(tmp_path):
    hub = Hub(tmp_path / "data", "--rate-limits", "always", "--rate-api", "20", "--rate-resolve", "8", "--rate-pages", "4").start()
    while time.time() % 300 > 285:  # windows begin at the same time for everybody
        time.sleep(1)
    yield hub
    assert hub.stop() == 0


def test_answers_say_what_is_left_and_refuse_beyond(limited):
    user, other = limited.make_user("ada"), limited.make_user("bob")
    repo = user.repo()
    left = None
    for _ in range(30):
        answer = limited.request("GET", f"/api/models/{repo}", token=user.token)
        name, r, t = answer.headers["ratelimit"].split(";")
        assert name == '"api"' and r.startswith("r=") and 0 < int(t[2:]) <= 300
        assert answer.headers["ratelimit-policy"] == '"fixed window";"api";q=20;w=300'
        left = int(r[2:]) if left is None else left
        if answer.status == 429:
            break
        assert int(r[2:]) == left
        left -= 1
    assert answer.status == 429 and int(answer.headers["retry-after"]) == int(t[2:]) and "rate limit" in answer.json()["error"]
    assert answer.headers["content-type"].startswith("application/json") and answer.headers["x-error-message"] == answer.json()["error"]
    # other tokens, other classes, and what every process asks for go on
    assert limited.request("GET", f"/api/models/{repo}", token=user.read_token).status == 200
    assert limited.request("GET", f"/api/models/{repo}", token=other.token).status == 200
    assert limited.request("GET", f"/{repo}/resolve/main/.gitattributes", token=user.token).headers["ratelimit"].startswith('"resolve";r=7;')
    for path in ("/api/whoami-v2", "/api/agent-harnesses", "/api/telemetry/x", "/healthz", "/metrics"):
        answer = limited.request("GET", path, token=user.token)
        assert answer.status == 200 and "ratelimit" not in answer.headers, path
    # without a token: half, per address, whatever wrong tokens are shown
    statuses = [limited.request("GET", f"/api/models/{repo}", token=f"hf_wrong{i}").status for i in range(12)]
    assert statuses[:10] == [401] * 10 and statuses[10:] == [429, 429]
    assert limited.request("GET", f"/api/models/{repo}").status == 429
    assert [limited.request("GET", "/").status for _ in range(3)] == [200, 200, 429]


def test_the_client_waits_as_it_is_told(limited, client):
    """What the newest client reads from the headers."""
    user = limited.make_user("eve")
    repo = user.repo()
    while limited.request("GET", f"/{repo}/resolve/main/.gitattributes").status == 200:
        pass
    answer = limited.request("HEAD", f"/{repo}/resolve/main/.gitattributes")
    assert answer.status == 429
    import subprocess
    code = ("import json,sys\nfrom huggingface_hub.utils._http import parse_ratelimit_headers as p\n"
            "i = p(json.loads(sys.argv[1]))\nprint(json.dumps([i.resource_type, i.remaining, i.reset_in_seconds]))")
    python = client(None).venv
    from clients import VENVS
    done = subprocess.run([str(VENVS / python / "bin" / "python"), "-c", code, json.dumps(answer.headers)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kind, remaining, reset = json.loads(done.stdout)
    assert (kind, remaining) == ("resolve", 0) and 0 < reset <= 300


def test_loopback_is_not_limited_by_default(hub, user):
    assert "ratelimit" not in hub.request("GET", "/api/models", token=user.token).headers


def test_a_trusted_proxy_tells_addresses_apart(tmp_path):
    hub = Hub(tmp_path / "data", "--trust-forwarded", "--rate-api", "4").start()
    try:
        def ask(address):
            return hub.request("GET", "/api/models", headers={"X-Forwarded-For": f"9.9.9.9, {address}"}).status
        while time.time() % 300 > 290:
            time.sleep(1)
        assert [ask("198.51.100.1") for _ in range(3)] == [200, 200, 429]
        assert ask("198.51.100.2") == 200
        # one IPv6 network is one caller
        assert [ask(f"2001:db8:0:1::{i}") for i in range(3)] == [200, 200, 429]
        assert ask("2001:db8:0:2::1") == 200
        assert hub.request("GET", "/api/models").status == 200  # the proxy's own machine
    finally:
        assert hub.stop() == 0


# ---------------------------------------------------------------------- the audit log


def entries(hub, *arguments, until=None):
    """What `cairn audit` tells, once it tells what is waited for."""
    deadline = time.monotonic() + 10
    while True:
        found = json.loads(cairn(hub, "audit", "--json", *arguments))
        if until is None or until(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_every_change_is_in_the_audit_log(hub, user, bob):
    repo = user.repo(private=True)
    hub.request("PUT", f"/api/models/{repo}/settings", {"private": False}, token=user.token)
    hub.request("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": f"{user.name}/audited"}, token=user.token)
    hub.request("DELETE", "/api/repos/delete", {"name": "audited"}, token=user.token)
    cairn(hub, "org", "create", f"{user.name}-org", "--admin", user.name)
    cairn(hub, "org", "member", "set", f"{user.name}-org", bob.name, "read")
    made = json.loads(cairn(hub, "token", "create", "--user", user.name, "--role", "write", "--name", "audited"))
    cairn(hub, "token", "delete", made["id"])
    found = entries(hub, "--actor", user.name, until=lambda found: any(item["event"] == "repo-delete" for item in found))
    assert [item["event"] for item in found if item["event"] != "ref-update"] == ["repo-create", "repo-settings", "repo-move", "repo-delete"]
    move = next(item for item in found if item["event"] == "repo-move")
    assert move["old_name"] == repo and move["repo"]["name"] == f"{user.name}/audited" and move["repo"]["type"] == "model"
    first = next(item for item in found if item["event"] == "ref-update")
    assert first["ref"] == "refs/heads/main" and first["old"] is None and len(first["new"]) == 40
    by_admin = entries(hub, "--actor", "admin", "--since", "1h", until=lambda found: any(
        item["event"] == "token-delete" and item.get("name") == "audited" for item in found))
    about = [(item["event"], item.get("name"), item.get("role")) for item in by_admin if item.get("owner") in (user.name, f"{user.name}-org")]
    assert ("org-create", user.name, "admin") in about and ("member-set", bob.name, "read") in about and ("token-create", "audited", "write") in about
    assert made["token"] not in (hub.data_dir / "audit.log").read_text()
    assert "repo-move" in cairn(hub, "audit", "--actor", user.name)
    assert len(json.loads(cairn(hub, "audit", "--json", "--limit", "2"))) == 2
    assert hub.request("GET", "/api/admin/audit", token=user.token).status == 403


def test_the_log_goes_on_after_a_crash_and_a_rotation(tmp_path):
    hub = Hub(tmp_path / "data").start()
    log = tmp_path / "data" / "audit.log"
    user = hub.make_user("ada")
    user.repo()
    entries(hub, until=lambda found: any(item["event"] == "ref-update" for item in found))
    hub.kill()
    with open(log, "ab") as file:
        file.write(b'{"time":"torn')
    hub.start()
    user.repo()
    entries(hub, until=lambda found: sum(item["event"] == "repo-create" for item in found) == 2)
    log.rename(tmp_path / "rotated.log")
    import os
    import signal
    os.kill(hub.process.pid, signal.SIGHUP)
    deadline = time.monotonic() + 10
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    user.repo()
    entries(hub, until=lambda found: any(item["event"] == "ref-update" for item in found))
    assert hub.stop() == 0
    lines = []
    for file in (tmp_path / "rotated.log", log):
        for line in file.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                assert line == '{"time":"torn'
    numbers = [(line["group"], line["number"]) for line in lines]
    assert len(numbers) == len(set(numbers)), "nothing is told twice"
    assert [line["event"] for line in lines].count("repo-create") == 3
    assert [line["repo"]["name"] for line in lines if line["event"] == "repo-create"] == ["ada/repo-1", "ada/repo-2", "ada/repo-3"]


def test_reads_are_told_when_asked_for(tmp_path):
    hub = Hub(tmp_path / "data", "--audit-reads", "--audit-log", str(tmp_path / "elsewhere.log")).start()
    try:
        user = hub.make_user("ada")
        repo = user.repo(private=True)
        hub.request("GET", f"/{repo}/resolve/main/.gitattributes", token=user.token, headers={"X-Request-Id": "audited-read"})
        hub.request("GET", f"/{repo}/resolve/main/absent", token=user.token)
        hub.request("GET", f"/api/models/{repo}")
        found = entries(hub, "--event", "read", until=lambda found: found)
        assert [(item["actor"], item["address"], item["method"], item["path"], item["status"], item["request_id"]) for item in found] == [
            ("ada", "127.0.0.1", "GET", f"/{repo}/resolve/main/.gitattributes", 200, "audited-read")]
        assert user.token not in (tmp_path / "elsewhere.log").read_text()
    finally:
        assert hub.stop() == 0


def test_the_log_can_be_left_out(tmp_path):
    hub = Hub(tmp_path / "data", "--audit-log", "none").start()
    try:
        assert hub.request("GET", "/api/admin/audit", token=hub.admin_token).status == 404
        assert not (tmp_path / "data" / "audit.log").exists()
    finally:
        assert hub.stop() == 0

"""Signing in: by device code as `hf auth login` does it, and in a browser with a cookie that no other site can use."""
import json
import time
import urllib.parse

import pytest

from clients import ClientError
from hub_process import cairn

DRIVER = "login_driver.py"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def post(hub, path, headers=None, **fields):
    return hub.request("POST", path, urllib.parse.urlencode(fields).encode(), headers={**FORM, **(headers or {})})


def sign_in(hub, token, next="/"):
    answer = post(hub, "/login", token=token, next=next)
    assert answer.status == 303, answer
    return {"Cookie": answer.headers["set-cookie"].split(";")[0]}, answer


def decide(hub, token, code, decision="approve"):
    cookie, _ = sign_in(hub, token)
    return post(hub, "/device", headers=cookie, user_code=code, decision=decision)


def test_a_device_signs_in_and_renews_its_token(hub, user, client):
    device = client(None)
    info = device.run("device_begin", driver=DRIVER)
    assert info["verification_uri"] == f"{hub.url}/device" and info["verification_uri_complete"].endswith(f"user_code={info['user_code']}")
    page = hub.request("GET", info["verification_uri_complete"])
    assert page.status == 303 and page.headers["location"].startswith("/login?next=/device")
    cookie, answer = sign_in(hub, user.token, next=urllib.parse.unquote(page.headers["location"].split("next=")[1]))
    assert answer.headers["location"] == f"/device?user_code={info['user_code']}"
    form = hub.request("GET", answer.headers["location"], headers=cookie).body.decode()
    assert info["user_code"] in form and user.name in form and "<script" not in form
    assert post(hub, "/device", headers=cookie, user_code=info["user_code"].lower().replace("-", ""), decision="approve").status == 200
    tokens = device.run("device_end", driver=DRIVER, info=info)
    assert tokens["access_token"].startswith("hf_") and tokens["expires_in"] > 3600
    me = client(tokens["access_token"]).run("whoami")
    assert me["name"] == user.name and me["auth"]["accessToken"]["role"] == "write"
    repo = user.repo(private=True)
    client(tokens["access_token"]).run("upload_text", repo=repo, text="by device\n", path_in_repo="d.txt")
    # renewing gives another token, and the first one goes on
    renewed = device.run("device_refresh", driver=DRIVER, refresh_token=tokens["refresh_token"])
    assert renewed["access_token"] != tokens["access_token"] and renewed["refresh_token"] == tokens["refresh_token"]
    for token in (tokens["access_token"], renewed["access_token"]):
        assert hub.request("GET", "/api/whoami-v2", token=token).status == 200
    # the refresh token itself opens nothing, and both are revoked like any token
    assert hub.request("GET", "/api/whoami-v2", token=tokens["refresh_token"]).status == 401
    listed = {item["name"]: item for item in hub.admin("GET", f"/tokens?user={user.name}")}
    cairn(hub, "token", "delete", listed["hf auth login (renews write)"]["id"])
    with pytest.raises(ClientError) as error:
        device.run("device_refresh", driver=DRIVER, refresh_token=tokens["refresh_token"])
    assert "invalid_grant" in error.value.message


def test_the_hf_command_signs_in_without_a_token(hub, user, client):
    import re
    import subprocess
    from clients import VENVS
    device = client(None)
    program = str(VENVS / "newest" / "bin" / "hf")
    process = subprocess.Popen([program, "auth", "login", "--format", "agent"], env={**device.environment(), "PYTHONUNBUFFERED": "1"}, cwd=device.home,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        text = ""
        while not re.search(r"[B-Z]{4}-[B-Z]{4}", text):
            line = process.stdout.readline()
            assert line, text
            text += line
        assert decide(hub, user.token, re.search(r"[B-Z]{4}-[B-Z]{4}", text)[0]).status == 200
        text += process.communicate(timeout=60)[0]
    finally:
        process.kill()
    assert process.returncode == 0, text
    assert user.name in device.command("hf", "auth", "whoami")
    repo = f"{user.name}/by-command"
    device.command("hf", "repos", "create", repo, "--private")
    (device.home / "notes.txt").write_text("notes\n")
    device.command("hf", "upload", repo, "notes.txt")
    device.command("hf", "repos", "settings", repo, "--gated", "auto")
    device.command("hf", "repos", "duplicate", repo, f"{repo}-copy")
    device.command("hf", "repos", "move", repo, f"{user.name}/moved-by-command")
    assert (device.home / "copy").exists() is False
    device.command("hf", "download", repo, "--local-dir", "copy")
    assert (device.home / "copy" / "notes.txt").read_text() == "notes\n"
    info = hub.request("GET", f"/api/models/{user.name}/moved-by-command", token=user.token).json()
    assert info["gated"] == "auto" and info["private"] is True
    device.command("hf", "download", f"{repo}-copy", "notes.txt")


def test_a_device_that_is_denied_is_told_once(hub, user, client):
    info = client(None).run("device_begin", driver=DRIVER)
    assert decide(hub, user.token, info["user_code"], "deny").status == 200
    with pytest.raises(ClientError) as error:
        client(None).run("device_end", driver=DRIVER, info=info)
    assert "denied" in error.value.message
    again = post(hub, "/oauth/token", grant_type="urn:ietf:params:oauth:grant-type:device_code", device_code=info["device_code"])
    assert (again.status, again.json()["error"]) == (400, "expired_token")
    assert decide(hub, user.token, info["user_code"]).status == 404


def test_polling_waits_and_slows_down(hub):
    info = post(hub, "/oauth/device", client_id="some-client").json()
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": info["device_code"]}
    assert post(hub, "/oauth/token", **grant).json()["error"] == "authorization_pending"
    assert post(hub, "/oauth/token", **grant).json()["error"] == "slow_down"
    assert (info["interval"], info["expires_in"]) == (5, 900)


def test_a_device_gets_no_more_than_the_session_has(hub, user):
    info = post(hub, "/oauth/device", client_id="some-client").json()
    assert decide(hub, user.read_token, info["user_code"]).status == 200
    tokens = post(hub, "/oauth/token", grant_type="urn:ietf:params:oauth:grant-type:device_code", device_code=info["device_code"]).json()
    renewed = post(hub, "/oauth/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()
    for token in (tokens["access_token"], renewed["access_token"]):
        assert hub.request("GET", "/api/whoami-v2", token=token).json()["auth"]["accessToken"]["role"] == "read"
    fine = json.loads(cairn(hub, "token", "create", "--user", user.name, "--fine-grained", "--scope", f"user:{user.name}=repo.write"))["token"]
    info = post(hub, "/oauth/device", client_id="some-client").json()
    assert decide(hub, fine, info["user_code"]).status == 403


def test_nonsense_is_answered_as_oauth_says(hub):
    assert post(hub, "/oauth/device").status == 400
    for fields, error in (({}, "invalid_request"), ({"grant_type": "password"}, "unsupported_grant_type"),
                          ({"grant_type": "refresh_token", "refresh_token": "hf_nothing"}, "invalid_grant"),
                          ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "x"}, "expired_token")):
        answer = post(hub, "/oauth/token", **fields)
        assert (answer.status, answer.json()["error"]) == (400, error)
    exchange = hub.request("POST", "/oauth/token", {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"})
    assert (exchange.status, exchange.code) == (501, "NotImplemented")
    assert post(hub, "/oauth/token", grant_type="authorization_code", code="x").json()["error"] == "invalid_grant"


def test_waiting_logins_are_bounded(hub):
    statuses = [post(hub, "/oauth/device", client_id="many").status for _ in range(40)]
    assert statuses[-1] == 503 and set(statuses) == {200, 503}


def test_other_sites_cannot_use_the_cookie(hub, user):
    cookie, answer = sign_in(hub, user.token)
    assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=Lax" in answer.headers["set-cookie"]
    repo = user.repo()
    for headers, status in (({"Origin": "https://evil.example"}, 401), ({"Sec-Fetch-Site": "cross-site"}, 401), ({"Origin": "null"}, 401),
                            ({"Origin": hub.url}, 200), ({"Sec-Fetch-Site": "same-origin"}, 200), ({}, 200)):
        answer = hub.request("PUT", f"/api/models/{repo}/settings", {"private": False}, headers={**cookie, **headers})
        assert answer.status == status, headers
    for path in ("/login", "/logout", "/device"):
        assert post(hub, path, headers={**cookie, "Origin": "https://evil.example"}, token=user.token).status == 403
    # a token in a header is nobody's accident
    assert hub.request("PUT", f"/api/models/{repo}/settings", {"private": False}, token=user.token, headers={"Origin": "https://app.example"}).status == 200


def test_sessions_end_with_their_token(hub, user):
    made = json.loads(cairn(hub, "token", "create", "--user", user.name, "--role", "write"))
    cookie, _ = sign_in(hub, made["token"])
    assert user.name in hub.request("GET", "/", headers=cookie).body.decode()
    cairn(hub, "token", "delete", made["id"])
    page = hub.request("GET", "/", headers=cookie)
    assert page.status == 200 and "Sign in" in page.body.decode()
    assert hub.request("GET", "/api/whoami-v2", headers=cookie).status == 401
    assert post(hub, "/login", token=made["token"]).status == 401
    assert post(hub, "/logout", headers=cookie).headers["set-cookie"].startswith("token=; Path=/; Max-Age=0")


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/a b", "/x\r\nSet-Cookie: a=b"])
def test_signing_in_leads_nowhere_else(hub, user, next):
    _, answer = sign_in(hub, user.token, next=next)
    assert answer.headers["location"] == "/"


def test_pages_escape_what_they_are_given(hub, user):
    page = hub.request("GET", "/login?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E").body.decode()
    assert "<script" not in page
    cookie, _ = sign_in(hub, user.token)
    page = hub.request("GET", "/device?user_code=%22%3E%3Cscript%3E", headers=cookie)
    assert "<script" not in page.body.decode() and "frame-ancestors 'none'" in page.headers["content-security-policy"]


def test_users_revoke_their_own_tokens(hub, user, bob):
    lost = json.loads(cairn(hub, "token", "create", "--user", user.name, "--role", "write", "--name", "lost <laptop>", "--expires", "9d"))
    theirs = json.loads(cairn(hub, "token", "create", "--user", bob.name, "--role", "read"))
    assert hub.request("GET", "/settings/tokens").headers["location"] == "/login?next=/settings/tokens"
    cookie, _ = sign_in(hub, user.token)
    page = hub.request("GET", "/settings/tokens", headers=cookie).body.decode()
    assert "lost &lt;laptop&gt;" in page and lost["id"] in page and theirs["id"] not in page and "hf_" not in page and "(this browser)" in page
    assert post(hub, "/settings/tokens", headers=cookie, id=theirs["id"]).status == 404
    assert post(hub, "/settings/tokens", headers={**cookie, "Origin": "https://evil.example"}, id=lost["id"]).status == 403
    assert post(hub, "/settings/tokens", headers=cookie, id="nonsense").status == 404
    read_cookie, _ = sign_in(hub, user.read_token)
    assert post(hub, "/settings/tokens", headers=read_cookie, id=lost["id"]).status == 403
    assert hub.request("GET", "/api/whoami-v2", token=lost["token"]).status == 200
    assert post(hub, "/settings/tokens", headers=cookie, id=lost["id"]).status == 303
    assert hub.request("GET", "/api/whoami-v2", token=lost["token"]).status == 401
    assert hub.request("GET", "/api/whoami-v2", token=theirs["token"]).status == 200

"""Apps that sign users in and act for them: codes, PKCE, identity tokens, scopes, and everything that must not work."""
import base64
import hashlib
import html
import json
import re
import secrets
import urllib.parse

import pytest

from hub_process import cairn

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BACK = "https://app.example/back?from=hub"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def post(hub, path, headers=None, **fields):
    return hub.request("POST", path, urllib.parse.urlencode(fields, doseq=True).encode(), headers={**FORM, **(headers or {})})


def session(hub, token):
    answer = post(hub, "/login", token=token)
    return {"Cookie": answer.headers["set-cookie"].split(";")[0]}


def make_app(hub, owner, *flags, redirects=(BACK,)):
    arguments = [part for uri in redirects for part in ("--redirect", uri)]
    return json.loads(cairn(hub, "app", "create", f"App of {owner}", "--owner", owner, *arguments, *flags))


def address(app, **changes):
    """What an app sends its user to; None leaves a parameter out."""
    query = {"client_id": app["client_id"], "redirect_uri": BACK, "response_type": "code", "scope": "openid profile email", "state": 's+"&=/ä',
             "code_challenge": CHALLENGE, "code_challenge_method": "S256", "nonce": "n-1", **changes}
    return "/oauth/authorize?" + urllib.parse.urlencode({key: value for key, value in query.items() if value is not None})


def returned(answer):
    """What the app is told on the way back."""
    assert answer.status == 303, answer
    location = urllib.parse.urlsplit(answer.headers["location"])
    return {key: values[0] for key, values in urllib.parse.parse_qs(location.query).items()}


def allow(hub, cookie, app, orgs=(), **changes):
    return returned(post(hub, address(app, **changes), headers=cookie, decision="allow", org=list(orgs)))["code"]


def exchange(hub, code, headers=None, **changes):
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER, **changes}
    return post(hub, "/oauth/token", headers=headers, **{key: value for key, value in fields.items() if value is not None})


@pytest.fixture
def app(hub, user):
    return make_app(hub, user.name)


@pytest.fixture
def cookie(hub, user):
    return session(hub, user.token)


def test_the_javascript_library_signs_a_user_in(hub, user, cookie, client):
    app = make_app(hub, user.name, redirects=["http://localhost:3000"])
    got = client(None).run_js("oauth", clientId=app["client_id"], redirectUrl="http://localhost:3000", scopes="openid profile email", state="back here",
                              cookie=cookie["Cookie"])
    assert got["accessToken"].startswith("hf_") and got["scope"] == "openid profile email" and got["state"] == "back here"
    info = got["userInfo"]
    assert (info["name"], info["preferred_username"], info["email"], info["email_verified"]) == (user.name, user.name, f"{user.name}@example.org", True)
    assert (info["isPro"], info["profile"], info["picture"], info["orgs"]) == (False, f"{hub.url}/{user.name}", f"{hub.url}/avatars/{user.name}.svg", [])
    assert len(info["sub"]) == 24
    assert client(got["accessToken"]).run("whoami")["name"] == user.name


def test_metadata_lead_to_everything(hub):
    found = hub.request("GET", "/.well-known/openid-configuration").json()
    assert found["issuer"] == hub.url
    assert found["authorization_endpoint"] == f"{hub.url}/oauth/authorize" and found["token_endpoint"] == f"{hub.url}/oauth/token"
    assert "S256" in found["code_challenge_methods_supported"] and "RS256" in found["id_token_signing_alg_values_supported"]
    assert {"openid", "profile", "email", "read-repos", "gated-repos", "write-repos", "manage-repos", "inference-api", "jobs", "webhooks",
            "write-discussions"} <= set(found["scopes_supported"])
    keys = hub.request("GET", found["jwks_uri"]).json()["keys"]
    assert [(key["kty"], key["alg"]) for key in keys] == [("RSA", "RS256"), ("OKP", "EdDSA")]
    assert not any("d" in key or "p" in key for key in keys)


@pytest.mark.parametrize("eddsa", [False, True])
def test_a_web_app_signs_a_user_in_on_the_page(hub, user, client, eddsa):
    app = make_app(hub, user.name, *(["--eddsa"] if eddsa else []))
    question = address(app)
    page = hub.request("GET", question)
    assert page.status == 303 and page.headers["location"].startswith("/login?next=/oauth/authorize")
    following = urllib.parse.parse_qs(urllib.parse.urlsplit(page.headers["location"]).query)["next"][0]
    answer = post(hub, "/login", token=user.token, next=following)
    assert answer.status == 303 and answer.headers["location"] == question, "signing in leads back to the very question"
    cookie = {"Cookie": answer.headers["set-cookie"].split(";")[0]}
    page = hub.request("GET", answer.headers["location"], headers=cookie)
    text = page.body.decode()
    assert page.status == 200 and app["name"] in text and user.name in text and "your e-mail address" in text and "https://app.example<" in text
    assert "form-action 'self' https://app.example;" in page.headers["content-security-policy"] and "frame-ancestors 'none'" in page.headers["content-security-policy"]
    action = html.unescape(re.search(r'action="(/oauth/authorize[^"]*)"', text)[1])
    back = post(hub, action, headers={**cookie, "Origin": hub.url, "Sec-Fetch-Site": "same-origin"}, decision="allow")
    assert back.headers["location"].startswith(BACK + "&code=")
    told = returned(back)
    assert (told["state"], told["iss"], told["from"]) == ('s+"&=/ä', hub.url, "hub")
    tokens = exchange(hub, told["code"], client_id=app["client_id"]).json()
    assert tokens["access_token"].startswith("hf_") and tokens["token_type"] == "bearer" and tokens["scope"] == "openid profile email"
    assert 0 < tokens["expires_in"] <= 8 * 3600
    jwks = hub.request("GET", "/oauth/jwks").json()
    identity = client(None).run_js("verifyIdentity", token=tokens["id_token"], jwks=jwks)
    assert identity["valid"] and identity["header"]["alg"] == ("EdDSA" if eddsa else "RS256")
    claims = identity["claims"]
    assert (claims["iss"], claims["aud"], claims["nonce"], claims["preferred_username"]) == (hub.url, app["client_id"], "n-1", user.name)
    digest = (hashlib.sha512 if eddsa else hashlib.sha256)(tokens["access_token"].encode()).digest()
    assert claims["at_hash"] == base64.urlsafe_b64encode(digest[:len(digest) // 2]).rstrip(b"=").decode()
    assert claims["exp"] > claims["iat"] and claims["orgs"] == []
    for method in ("GET", "POST"):
        info = hub.request(method, "/oauth/userinfo", token=tokens["access_token"]).json()
        assert info["sub"] == claims["sub"] and info["email"] == f"{user.name}@example.org"


def test_an_app_with_a_secret_proves_itself(hub, user, cookie):
    app = make_app(hub, user.name, "--secret")
    basic = lambda secret: {"Authorization": "Basic " + base64.b64encode(f"{app['client_id']}:{secret}".encode()).decode()}
    assert exchange(hub, allow(hub, cookie, app, code_challenge=None), basic(app["client_secret"]), code_verifier=None).status == 200
    assert exchange(hub, allow(hub, cookie, app), client_id=app["client_id"], client_secret=app["client_secret"]).status == 200
    code = allow(hub, cookie, app, code_challenge=None)
    for headers, fields in ((None, {}), (None, {"client_id": app["client_id"]}), (basic("wrong"), {}), ({"Authorization": "Basic !!"}, {}),
                            (None, {"client_id": app["client_id"], "client_secret": ""})):
        refused = exchange(hub, code, headers, code_verifier=None, **fields)
        assert (refused.status, refused.json()["error"]) == (401, "invalid_client")
        assert ("www-authenticate" in refused.headers) == (headers is not None)
    assert exchange(hub, code, basic(app["client_secret"]), code_verifier=VERIFIER).json()["error"] == "invalid_grant", "it was asked for without a challenge"
    tokens = exchange(hub, code, basic(app["client_secret"]), code_verifier=None).json()
    renew = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert post(hub, "/oauth/token", **renew).json()["error"] == "invalid_client"
    assert post(hub, "/oauth/token", headers=basic(app["client_secret"]), **renew).status == 200
    # no text of a secret is kept
    assert app["client_secret"] not in json.dumps(hub.admin("GET", "/apps"))


def test_a_code_is_bound_and_good_once(hub, user, cookie, app):
    other = make_app(hub, user.name)
    code = allow(hub, cookie, app)
    for changes, error in (({"code_verifier": "w" * 64}, "invalid_grant"), ({"code_verifier": None}, "invalid_grant"), ({"code_verifier": "short"}, "invalid_grant"),
                           ({"redirect_uri": "https://app.example/back"}, "invalid_grant"), ({"redirect_uri": None}, "invalid_grant"),
                           ({"client_id": other["client_id"]}, "invalid_client"), ({"client_id": "x"}, "invalid_client"),
                           ({"code": code[:-2] + "AA"}, "invalid_grant"), ({"code": "x"}, "invalid_grant"), ({"code": None}, "invalid_request")):
        refused = exchange(hub, **{"code": code, **changes})
        assert refused.status in (400, 401) and refused.json()["error"] == error, changes
    tokens = exchange(hub, code).json()
    assert hub.request("GET", "/oauth/userinfo", token=tokens["access_token"]).status == 200
    # shown again, it has been stolen by somebody: all that came of it is taken back
    again = exchange(hub, code)
    assert (again.status, again.json()["error"]) == (400, "invalid_grant")
    assert hub.request("GET", "/oauth/userinfo", token=tokens["access_token"]).status == 401
    assert post(hub, "/oauth/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_what_a_stolen_code_was_renewed_into_is_taken_back(hub, user, cookie, app):
    renew = lambda tokens: post(hub, "/oauth/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_id=app["client_id"]).json()
    works = lambda tokens: hub.request("GET", "/oauth/userinfo", token=tokens["access_token"]).status == 200
    older, other = exchange(hub, allow(hub, cookie, app)).json(), make_app(hub, user.name)
    others = exchange(hub, allow(hub, cookie, other), client_id=other["client_id"]).json()
    code = allow(hub, cookie, app)
    tokens = renew(renew(exchange(hub, code).json()))
    assert works(tokens)
    assert exchange(hub, code).json()["error"] == "invalid_grant"
    assert not works(tokens)
    assert renew(tokens)["error"] == "invalid_grant"
    assert works(older) and works(others)


def test_codes_and_keys_outlive_a_restart(tmp_path):
    from hub_process import Hub
    hub = Hub(tmp_path / "data").start()
    try:
        ada = hub.make_user("ada")
        app = make_app(hub, "ada")
        keys = hub.request("GET", "/oauth/jwks").json()
        code = allow(hub, session(hub, ada.token), app)
        hub.kill()
        hub.start()
        assert exchange(hub, code, redirect_uri=BACK).status == 200
        assert hub.request("GET", "/oauth/jwks").json() == keys
        assert exchange(hub, code).json()["error"] == "invalid_grant"
    finally:
        hub.stop()


def test_a_code_is_good_on_another_node_and_once(tmp_path):
    from cluster_process import Cluster
    cluster = Cluster(tmp_path)
    try:
        first = cluster.grow()
        second = cluster.grow()
        ada = first.make_user("ada")
        app = make_app(first, "ada")
        code = allow(first, session(first, ada.token), app)
        tokens = exchange(second, code).json()
        assert first.request("GET", "/oauth/userinfo", token=tokens["access_token"]).status == 200
        assert second.request("GET", "/oauth/jwks").json() == first.request("GET", "/oauth/jwks").json()
        assert exchange(first, code).json()["error"] == "invalid_grant"
        assert second.request("GET", "/oauth/userinfo", token=tokens["access_token"]).status == 401
    finally:
        cluster.close()


@pytest.mark.parametrize("uri", ["https://app.example/back", "https://app.example/back?from=hub&x=1", "https://app.example/BACK?from=hub", "https://app.example.evil/back?from=hub",
                                 "https://app.example@evil.example/back?from=hub", "http://app.example/back?from=hub", "//evil.example", "javascript:alert(1)", "",
                                 "https://app.example/back?from=hub#x", "https://app.example/back?from=hub\r\nX: y", "https://app.example:8443/back?from=hub", None])
def test_nobody_is_sent_to_a_foreign_address(hub, user, cookie, app, uri):
    for answer in (hub.request("GET", address(app, redirect_uri=uri), headers=cookie), post(hub, address(app, redirect_uri=uri), headers=cookie, decision="allow"),
                   hub.request("GET", address(app, redirect_uri=uri)), post(hub, address(app, redirect_uri=uri, response_type="x"), headers=cookie)):
        assert answer.status == 400 and "location" not in answer.headers and "<script" not in answer.body.decode()


def test_a_port_of_the_own_machine_may_differ_and_nothing_else(hub, user, cookie):
    app = make_app(hub, user.name, redirects=["http://127.0.0.1/cb", "http://[::1]:1/cb", "http://localhost:8000/cb?a=1"])
    for uri in ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", "http://[::1]:5/cb", "http://localhost/cb?a=1", "http://localhost:1/cb?a=1"):
        assert exchange(hub, allow(hub, cookie, app, redirect_uri=uri), redirect_uri=uri).status == 200
    for uri in ("http://127.0.0.1:1/other", "http://127.0.0.2:1/cb", "https://127.0.0.1:1/cb", "http://localhost:1/cb", "http://127.0.0.1:1@evil.example/cb",
                "http://127.0.0.1:/cb", "http://127.0.0.1:123456/cb", "http://127.0.0.1.evil.example/cb", "http://localhost:1x/cb?a=1", "http://127.0.0.1:1/cb#f"):
        assert hub.request("GET", address(app, redirect_uri=uri), headers=cookie).status == 400, uri


def test_a_query_may_differ_where_that_is_registered(hub, user, cookie):
    app = make_app(hub, user.name, redirects=["https://app.example/cb?*", "http://localhost/cb?*"])
    for uri in ("https://app.example/cb", "https://app.example/cb?_target_url=%2F%3F", "http://localhost:7860/cb?a=b", "https://app.example/cb?*"):
        assert exchange(hub, allow(hub, cookie, app, redirect_uri=uri), redirect_uri=uri).status == 200, uri
    for uri in ("https://app.example/cbx", "https://app.example/cb/x", "https://app.example/c?*", "https://app.example/cb&x", "http://localhost:1/cbx?a", "https://app.example/cb#?"):
        assert hub.request("GET", address(app, redirect_uri=uri), headers=cookie).status == 400, uri


def test_what_is_wrong_is_told_to_the_app(hub, user, cookie, app):
    for changes, error in (({"response_type": "token"}, "unsupported_response_type"), ({"code_challenge": None}, "invalid_request"),
                           ({"code_challenge_method": "plain"}, "invalid_request"), ({"code_challenge_method": None}, "invalid_request"),
                           ({"code_challenge": "short"}, "invalid_request"), ({"scope": "nothing known"}, "invalid_scope"), ({"prompt": "none"}, "consent_required"),
                           ({"request": "x"}, "request_not_supported"), ({"nonce": "n" * 300}, "invalid_request")):
        told = returned(hub.request("GET", address(app, **changes), headers=cookie))
        assert (told["error"], told["state"]) == (error, 's+"&=/ä') and "code" not in told, changes
    assert returned(hub.request("GET", address(app, prompt="none")))["error"] == "login_required"
    again = hub.request("GET", address(app, prompt="login"), headers=cookie)
    assert again.status == 303 and again.headers["location"].startswith("/login?next=") and "prompt" not in again.headers["location"]
    told = returned(post(hub, address(app), headers=cookie, decision="deny"))
    assert told["error"] == "access_denied" and "code" not in told
    assert hub.request("GET", address(app, client_id="https://app.example/client.json"), headers=cookie).status == 501
    assert hub.request("GET", address(app, client_id="0" * 24), headers=cookie).status == 400
    assert hub.request("GET", address(app, state="x" * 5000), headers=cookie).status == 400
    assert hub.request("POST", "/oauth/register", {}).status == 501


def test_nobody_is_made_to_allow_an_app(hub, user, cookie, app):
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"}):
        answer = post(hub, address(app), headers={**cookie, **headers}, decision="allow")
        assert answer.status == 403 and "location" not in answer.headers
    assert hub.request("GET", address(app) + "&decision=allow", headers=cookie).status == 200, "coming here allows nothing"
    page = hub.request("GET", address(app, state='"><script>'), headers=cookie).body.decode()
    assert "<script" not in page
    # what an app holds lets no other app in, and itself to nothing more
    tokens = exchange(hub, allow(hub, cookie, app)).json()
    for headers in ({"Authorization": f"Bearer {tokens['access_token']}"}, {"Cookie": f"token={tokens['access_token']}"}):
        answer = post(hub, address(app, scope="openid manage-repos"), headers=headers, decision="allow")
        assert answer.status == 403 and "location" not in answer.headers
    assert hub.request("POST", address(app), token=tokens["refresh_token"]).status == 401


def test_tokens_do_what_their_scopes_say(hub, user, cookie, app):
    private, public = user.repo(private=True), user.repo()
    hub.commit(user.token, private, {"a.txt": b"secret"})

    def token(scope):
        return exchange(hub, allow(hub, cookie, app, scope=scope)).json()["access_token"]

    def tries(scope):
        text = token(scope)
        return (hub.request("GET", f"/{private}/resolve/main/a.txt", token=text).status, hub.commit(text, public, {"b.txt": secrets.token_bytes(4)}).status,
                hub.create_repo(text, f"made-{secrets.token_hex(4)}").status,
                hub.request("PUT", f"/api/models/{public}/settings", {"private": False}, token=text).status)

    assert tries("openid profile email") == (404, 403, 403, 403)
    assert tries("openid read-repos") == (200, 403, 403, 403)
    assert tries("openid write-repos") == (200, 200, 403, 403)
    assert tries("openid manage-repos") == (200, 200, 200, 200)
    little = token("openid profile")
    for method, path, body in (("POST", "/api/settings/webhooks", {"watched": [], "url": "https://x.example/"}), ("GET", "/api/settings/webhooks", None),
                               ("POST", f"/api/models/{public}/like", None), ("POST", f"/api/models/{public}/discussions", {"title": "A title", "description": "x"}),
                               ("POST", "/api/settings/ssh-keys", {"key": "x", "title": "x"}), ("GET", "/api/admin/users", None)):
        assert hub.request(method, path, body, token=little).status == 403, path
    assert hub.request("POST", f"/api/models/{public}/discussions", {"title": "A title", "description": "x"}, token=token("openid write-discussions")).status == 200
    me = hub.request("GET", "/api/whoami-v2", token=little).json()
    assert me["email"] is None and me["auth"]["accessToken"]["role"] == "fineGrained"
    assert "email" not in hub.request("GET", "/oauth/userinfo", token=little).json()
    assert hub.request("GET", "/api/whoami-v2", token=token("openid email")).json()["email"] == f"{user.name}@example.org"
    refused = hub.request("GET", "/oauth/userinfo", token=token("profile"))
    assert refused.status == 403 and "insufficient_scope" in refused.headers["www-authenticate"]
    refused = hub.request("GET", "/oauth/userinfo")
    assert refused.status == 401 and "invalid_token" in refused.headers["www-authenticate"]


def test_an_app_gets_no_more_than_it_is_registered_for_nor_than_the_session_has(hub, user, cookie):
    app = make_app(hub, user.name, "--scopes", "openid profile read-repos")
    tokens = exchange(hub, allow(hub, cookie, app, scope="openid profile manage-repos read-repos contribute-repos unheard-of")).json()
    assert tokens["scope"] == "openid profile read-repos"
    app = make_app(hub, user.name)
    reading = session(hub, user.read_token)
    assert exchange(hub, allow(hub, reading, app, scope="openid manage-repos read-repos")).json()["scope"] == "openid read-repos"
    assert post(hub, address(app, scope="manage-repos"), headers=reading, decision="allow").status == 403


def test_organisations_are_chosen(hub, user, cookie, app):
    org, other = f"org-of-{user.name}", f"org2-of-{user.name}"
    for name in (org, other):
        hub.admin("POST", "/organizations", {"name": name, "admin": user.name})
    for name in (org, other):
        assert hub.create_repo(user.token, "private", organization=name, private=True).status == 200
    page = hub.request("GET", address(app, scope="openid read-repos"), headers=cookie).body.decode()
    assert f'value="{org}"' in page and "checked" not in page
    text = exchange(hub, allow(hub, cookie, app, orgs=[org, "alice", "no such"], scope="openid profile read-repos read-memberships")).json()["access_token"]
    assert hub.request("GET", f"/api/models/{org}/private", token=text).status == 200
    assert hub.request("GET", f"/api/models/{other}/private", token=text).status == 404
    orgs = {item["preferred_username"]: item for item in hub.request("GET", "/oauth/userinfo", token=text).json()["orgs"]}
    assert orgs[org]["roleInOrg"] == "admin" and orgs[org]["isEnterprise"] is False and len(orgs[org]["sub"]) == 24
    text = exchange(hub, allow(hub, cookie, app, scope="openid profile read-repos")).json()["access_token"]
    assert hub.request("GET", f"/api/models/{org}/private", token=text).status == 404
    assert "roleInOrg" not in hub.request("GET", "/oauth/userinfo", token=text).json()["orgs"][0]
    assert "roleInOrg" not in hub.request("GET", "/api/whoami-v2", token=text).json()["orgs"][0]
    assert hub.request("GET", "/api/whoami-v2", token=user.token).json()["orgs"][0]["roleInOrg"] == "admin"


def test_refresh_tokens_are_exchanged(hub, user, cookie, app):
    tokens = exchange(hub, allow(hub, cookie, app, scope="openid read-repos")).json()
    renew = lambda text, **more: post(hub, "/oauth/token", grant_type="refresh_token", refresh_token=text, **more)
    assert renew(tokens["refresh_token"], client_id="0" * 24).json()["error"] == "invalid_client"
    assert renew(tokens["refresh_token"], scope="openid manage-repos").json()["error"] == "invalid_scope"
    renewed = renew(tokens["refresh_token"], client_id=app["client_id"]).json()
    assert renewed["refresh_token"] != tokens["refresh_token"] and renewed["scope"] == "openid read-repos"
    assert renew(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    for text in (tokens["access_token"], renewed["access_token"]):
        assert hub.request("GET", "/oauth/userinfo", token=text).status == 200
    assert hub.request("GET", "/api/whoami-v2", token=renewed["refresh_token"]).status == 401


def test_tokens_of_apps_are_seen_and_revoked(hub, user, cookie, app):
    tokens = [exchange(hub, allow(hub, cookie, app)).json() for _ in range(4)]
    works = lambda at: hub.request("GET", "/oauth/userinfo", token=tokens[at]["access_token"]).status == 200
    listed = [item for item in hub.admin("GET", f"/tokens?user={user.name}") if app["name"] in item["name"]]
    assert len(listed) == 8
    # by the app, one
    assert post(hub, "/oauth/revoke", token=tokens[0]["access_token"]).status == 200
    assert [works(at) for at in range(4)] == [False, True, True, True]
    assert post(hub, "/oauth/revoke", token="hf_nothing").status == 200 and post(hub, "/oauth/revoke", token=user.token).status == 200
    assert hub.request("GET", "/api/whoami-v2", token=user.token).status == 200, "only tokens of apps are revoked here"
    # by the operator, one
    newest = max(listed, key=lambda item: (item["created_at"], item["role"] == "fineGrained"))
    cairn(hub, "token", "delete", newest["id"])
    assert sum(works(at) for at in range(4)) in (2, 3)
    # by the user, all of the app's
    page = hub.request("GET", "/settings/connected-applications", headers=cookie).body.decode()
    assert app["name"] in page and app["client_id"] in page
    assert post(hub, "/settings/connected-applications", headers={**cookie, "Origin": "https://evil.example"}, client_id=app["client_id"]).status == 403
    assert post(hub, "/settings/connected-applications", headers=cookie, client_id=app["client_id"]).status == 303
    assert not any(works(at) for at in range(4))
    assert app["name"] not in hub.request("GET", "/settings/connected-applications", headers=cookie).body.decode()


def test_an_app_that_is_deleted_takes_its_tokens_with_it(hub, user, cookie, app):
    tokens = exchange(hub, allow(hub, cookie, app)).json()
    code = allow(hub, cookie, app)
    cairn(hub, "app", "delete", app["client_id"])
    assert hub.request("GET", "/oauth/userinfo", token=tokens["access_token"]).status == 401
    assert hub.request("GET", "/api/whoami-v2", token=tokens["access_token"]).status == 401
    assert post(hub, "/oauth/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert exchange(hub, code).json()["error"] == "invalid_client"
    assert hub.request("GET", address(app), headers=cookie).status == 400
    assert app["client_id"] not in cairn(hub, "app", "list")


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "data:text/html,x", "https://", "https://user@host/", "https://host/#part", "nonsense", "http://a b/", "", "https://h;x/", "https://*.example/", "mailto:a"])
def test_dangerous_redirect_addresses_are_not_registered(hub, user, uri):
    answer = hub.request("POST", "/api/admin/apps", {"name": "x", "owner": user.name, "redirect_uris": [uri]}, token=hub.admin_token)
    assert answer.status == 400


def test_apps_are_registered_by_operators_alone(hub, user):
    body = {"name": "x", "owner": user.name, "redirect_uris": [BACK]}
    assert hub.request("POST", "/api/admin/apps", body, token=user.token).status == 403
    assert hub.request("POST", "/api/admin/apps", {**body, "scopes": "openid contribute-repos"}, token=hub.admin_token).status == 400
    assert hub.request("POST", "/api/admin/apps", {**body, "owner": "nobody-here"}, token=hub.admin_token).status == 404

"""Signing in to one hub through another, which is its OpenID provider."""
import json
import re
import urllib.parse

import pytest

from hub_process import Hub, cairn

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def post(hub, path, headers=None, **fields):
    return hub.request("POST", path, urllib.parse.urlencode(fields).encode(), headers={**FORM, **(headers or {})})


def cookies_of(answer):
    return {"Cookie": answer.headers["set-cookie"].split(";")[0]}


@pytest.fixture(scope="module", params=["RS256", "EdDSA"])
def house(hub, request, tmp_path_factory):
    """A hub whose people sign in through `hub`."""
    directory = tmp_path_factory.mktemp("house")
    flags = ["--eddsa"] if request.param == "EdDSA" else []
    app = json.loads(cairn(hub, "app", "create", "House", "--owner", "admin", "--redirect", "http://127.0.0.1/login/openid/callback", "--secret", *flags))
    (directory / "secret").write_text(app["client_secret"] + "\n")
    house = Hub(directory / "data", "--openid-issuer", hub.url, "--openid-client-id", app["client_id"], "--openid-client-secret-file", str(directory / "secret")).start()
    yield house
    assert house.stop() == 0, house.tail()


def begin(house, next="/"):
    """The question that a browser is sent to, and the cookie that it keeps."""
    answer = house.request("GET", "/login/openid?next=" + urllib.parse.quote(next))
    assert answer.status == 303, answer
    assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=Lax" in answer.headers["set-cookie"]
    return answer.headers["location"], cookies_of(answer)


def allow(hub, token, question):
    """What the provider's user says yes to leads back to this path."""
    session = cookies_of(post(hub, "/login", token=token))
    back = post(hub, question, headers=session, decision="allow")
    assert back.status == 303, back
    address = urllib.parse.urlsplit(back.headers["location"])
    return address.path + "?" + address.query


def sign_in(hub, house, token, next="/"):
    question, cookie = begin(house, next)
    return house.request("GET", allow(hub, token, question), headers=cookie)



def raw_cookies(house, path, headers):
    """All Set-Cookie headers."""
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    found = answer.headers.get_all("Set-Cookie") or []
    connection.close()
    return answer.status, answer.getheader("Location"), found


def test_a_person_becomes_a_user_and_stays_that_one(hub, house, user):
    page = house.request("GET", "/login?next=/device").body.decode()
    assert f"Sign in with {hub.url}" in page and "/login/openid?next=/device" in page
    names = set()
    for _ in range(2):
        question, cookie = begin(house, "/device")
        assert question.startswith(f"{hub.url}/oauth/authorize?") and "code_challenge_method=S256" in question
        status, location, cookies = raw_cookies(house, allow(hub, user.token, question), cookie)
        assert (status, location) == (303, "/device")
        session = next(text for text in cookies if text.startswith("token=")).split(";")[0]
        assert any(text.startswith("openid_login=;") for text in cookies)
        me = house.request("GET", "/api/whoami-v2", headers={"Cookie": session}).json()
        names.add((me["id"], me["name"], me["email"]))
        assert me["auth"]["accessToken"]["role"] == "write" and "expiresAt" in me["auth"]
    assert len(names) == 1 and names.pop()[1:] == (user.name, f"{user.name}@example.org")
    assert not [item for item in house.admin("GET", "/users") if item["name"] == user.name and item.get("admin")]


def test_a_name_that_is_taken_is_linked_by_an_operator_alone(hub, house, user):
    house.make_user(user.name)
    answer = sign_in(hub, house, user.token)
    assert answer.status == 403 and "taken" in answer.body.decode() and "token=" not in answer.headers.get("set-cookie", "").replace("openid_login", "")
    subject = hub.request("GET", "/oauth/userinfo", token=user.token).json()["sub"]
    assert house.request("POST", "/api/admin/identities", {"issuer": hub.url, "subject": subject, "user": user.name},
                         token=house.make_token(user.name)).status == 403
    cairn(house, "user", "link", user.name, "--issuer", hub.url, "--subject", subject)
    assert sign_in(hub, house, user.token).status == 303
    again = house.request("POST", "/api/admin/identities", {"issuer": hub.url, "subject": subject, "user": "admin"}, token=house.admin_token)
    assert again.status == 409


def test_the_providers_admin_is_not_ours(hub, house):
    assert sign_in(hub, house, hub.admin_token).status == 403


def test_answers_that_belong_to_nobody_are_refused(hub, house, user):
    question, cookie = begin(house)
    path = allow(hub, user.token, question)
    other_question, other_cookie = begin(house)
    for attempt, headers in ((path, {}), (path, other_cookie), (path, {"Cookie": "openid_login=AAAA"}), (path, {"Cookie": cookie["Cookie"][:-6] + "AAAAAA"}),
                             (re.sub("state=[^&]*", "state=x", path), cookie), (re.sub("&state=[^&]*", "", path), cookie), (re.sub("iss=[^&]*", "iss=http%3A%2F%2Fevil", path), cookie)):
        answer = house.request("GET", attempt, headers=headers)
        assert answer.status == 400, (attempt, headers)
        assert not answer.headers.get("set-cookie", "").startswith("token=")
    denied = re.sub("code=[^&]*", "error=access_denied", path)
    assert house.request("GET", denied, headers=cookie).status == 403
    assert house.request("GET", re.sub("code=[^&]*", "code=wrong", path), headers=cookie).status == 502
    # a code that was asked for by another browser answers another question
    other = allow(hub, user.token, other_question)
    code = re.search("code=([^&]*)", other)[1]
    assert house.request("GET", re.sub("code=[^&]*", f"code={code}", path), headers=cookie).status == 502
    assert house.request("GET", path, headers=cookie).status == 303
    assert house.request("GET", path, headers=cookie).status == 502, "the provider takes a code once"


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example", "/\\evil"])
def test_signing_in_leads_nowhere_else(hub, house, user, next):
    assert sign_in(hub, house, user.token, next).headers["location"] == "/"


def test_a_hub_without_a_provider_has_no_such_page(hub):
    assert hub.request("GET", "/login/openid").status == 404
    assert "/login/openid" not in hub.request("GET", "/login").body.decode()

"""SSH keys of users: added, listed and removed by the operator and by their owners."""
import json
import subprocess

import pytest

from hub_process import CAIRN, cairn


@pytest.fixture
def key(tmp_path):
    """Makes key pairs: the path of the private half."""
    def make(name="id", *options):
        path = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", path, *(options or ("-t", "ed25519")), "-C", f"{name}@here"], check=True)
        return path
    return make


def public(path):
    return path.with_name(path.name + ".pub").read_text()


def fingerprint(path):
    return subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True).stdout.split()[1]


def settings(hub, user, method, path="", body=None, token=None):
    return hub.request(method, f"/api/settings/ssh-keys{path}", body, token=token or user.token)


def test_an_operator_adds_lists_and_removes_keys(hub, user, key):
    ed, ecdsa = key("ed"), key("ecdsa", "-t", "ecdsa")
    made = json.loads(cairn(hub, "key", "add", user.name, f"{ed}.pub", "--json"))
    assert made["fingerprint"] == fingerprint(ed) and made["title"] == "ed@here" and made["user"] == user.name
    assert fingerprint(ecdsa) in cairn(hub, "key", "add", user.name, f"{ecdsa}.pub", "--title", "at work")
    listed = json.loads(cairn(hub, "key", "list", user.name, "--json"))
    assert {(item["fingerprint"], item["title"]) for item in listed} == {(fingerprint(ed), "ed@here"), (fingerprint(ecdsa), "at work")}
    assert "at work" in cairn(hub, "key", "list")
    cairn(hub, "key", "remove", fingerprint(ed))
    cairn(hub, "key", "remove", fingerprint(ed), status=1)
    assert [item["title"] for item in json.loads(cairn(hub, "key", "list", user.name, "--json"))] == ["at work"]


def test_a_key_is_read_from_standard_input(hub, user, key):
    path = key()
    done = subprocess.run([CAIRN, "--url", hub.url, "--data", hub.data_dir, "key", "add", user.name, "-"], input=public(path), text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0 and fingerprint(path) in done.stdout


def test_what_is_no_public_key_is_refused(hub, user, key, tmp_path):
    path = key()
    for text in ("", "hello", path.read_text(), f'command="id" {public(path)}', public(path) * 2):
        file = tmp_path / "bad.pub"
        file.write_text(text)
        cairn(hub, "key", "add", user.name, file, status=1)
        assert settings(hub, user, "POST", body={"key": text}).status == 400
    cairn(hub, "key", "add", "nobody-of-that-name", f"{path}.pub", status=1)
    cairn(hub, "key", "add", user.name, tmp_path / "absent", status=1)
    cairn(hub, "key", "add", user.name, status=64)
    assert settings(hub, user, "GET").json() == []


def test_a_key_belongs_to_one_user(hub, alice, bob, key):
    path = key()
    assert settings(hub, alice, "POST", body={"key": public(path), "title": "mine"}).status == 200
    assert settings(hub, alice, "POST", body={"key": public(path)}).status == 409
    assert settings(hub, bob, "POST", body={"key": public(path)}).status == 409
    escaped = fingerprint(path).replace("+", "%2B").replace("/", "%2F")
    assert settings(hub, bob, "DELETE", f"/{escaped}").status == 404
    assert [item["title"] for item in settings(hub, alice, "GET").json() if item["fingerprint"] == fingerprint(path)] == ["mine"]
    assert settings(hub, alice, "DELETE", f"/{escaped}").status == 200
    assert settings(hub, bob, "POST", body={"key": public(path)}).status == 200


def test_changing_keys_takes_a_write_token(hub, user, key):
    body = {"key": public(key())}
    assert settings(hub, user, "POST", body=body, token=user.read_token).status == 403
    assert hub.request("POST", "/api/settings/ssh-keys", body).status == 401
    assert hub.request("GET", "/api/settings/ssh-keys").status == 401
    assert settings(hub, user, "GET", token=user.read_token).status == 200
    assert settings(hub, user, "DELETE", "/SHA256:short").status == 400
    for method, path in (("GET", ""), ("POST", ""), ("GET", "/SHA256:x"), ("DELETE", "/SHA256:x")):
        assert hub.request(method, f"/api/admin/ssh-keys{path}", body if method == "POST" else None, token=user.token).status == 403

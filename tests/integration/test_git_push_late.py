"""What must still hold when the refs of a push move: the rights of who pushes, and all that the push rests on although it did not bring it."""
import contextlib
import http.client
import socket

import pytest

from git_work import ZERO, Work, pkt, refs, report_of
from hub_process import cairn
from samples import random_bytes


@pytest.fixture
def repo(user):
    return user.repo()


@pytest.fixture
def work(hub, user, repo, tmp_path):
    return Work(hub, repo, user, tmp_path / "work", clone=True)


# ---- rights that go while a pack comes

@contextlib.contextmanager
def half_sent(hub, repo, token, body):
    """A push of which half is under way; yields what sends the rest and returns (lines of the report, text for the terminal)."""
    head = (f"POST /{repo}/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/x-git-receive-pack-request\r\nConnection: close\r\n\r\n").encode()

    class Answer:
        def __init__(self, response):
            self.status, self.body = response.status, response.read()

    def finish():
        connection.sendall(body[len(body) // 2:])
        response = http.client.HTTPResponse(connection)
        response.begin()
        return report_of(Answer(response))

    with socket.create_connection(("127.0.0.1", hub.port), timeout=120) as connection:
        connection.sendall(head + body[:len(body) // 2])
        yield finish


def push_body(work, ref):
    work.commit({"late.txt": random_bytes(f"late {ref}", 200_000)})
    pack = work.run("pack-objects", "--revs", "--stdout", input=b"HEAD\n").stdout
    return pkt(f"{ZERO} {work.head()} {ref}\0report-status side-band-64k") + b"0000" + pack


def test_a_token_that_is_revoked_while_the_pack_comes_moves_nothing(hub, user, repo, work):
    made = hub.admin("POST", "/tokens", {"user": user.name, "role": "write"})
    with half_sent(hub, repo, made["token"], push_body(work, "refs/heads/late")) as finish:
        cairn(hub, "token", "delete", made["id"])
        lines, _ = finish()
    assert lines == ["unpack ok", "ng refs/heads/late the token or key of this push was revoked, or has expired"]
    assert "refs/heads/late" not in refs(hub, repo, user.token)


def test_a_token_that_stays_moves_it(hub, user, repo, work):
    with half_sent(hub, repo, user.token, push_body(work, "refs/heads/late")) as finish:
        lines, _ = finish()
    assert lines == ["unpack ok", "ok refs/heads/late"]
    assert refs(hub, repo)["refs/heads/late"] == work.head()


def test_who_lost_their_role_meanwhile_moves_nothing(hub, user, bob, tmp_path):
    organisation = f"{user.name}-org"
    cairn(hub, "org", "create", organisation, "--admin", user.name)
    cairn(hub, "org", "member", "set", organisation, bob.name, "write")
    repo = f"{organisation}/late"
    assert hub.request("POST", "/api/repos/create", {"name": "late", "organization": organisation, "type": "model"}, token=bob.token).status == 200
    work = Work(hub, repo, bob, tmp_path / "of-org", clone=True)
    with half_sent(hub, repo, bob.token, push_body(work, "refs/heads/late")) as finish:
        cairn(hub, "org", "member", "set", organisation, bob.name, "read")
        lines, _ = finish()
    assert lines == ["unpack ok", "ng refs/heads/late you may not write to it"]
    assert "refs/heads/late" not in refs(hub, repo, bob.token)

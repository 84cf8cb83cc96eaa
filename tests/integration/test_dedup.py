"""Bytes are stored once, whoever sends them and however. Measured on what the hub says it has on disk."""
import hashlib
import random

import pytest

from samples import random_bytes

SIZE = 30_000_000


def stored(hub):
    return hub.stats()["stored_bytes"]


@pytest.fixture
def weights(tmp_path, request):
    """A file of random bytes that no other test has."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(random_bytes(request.node.name, SIZE))
    return path


# The generations that cut files by today's rule; the oldest one cuts differently and shares less.
@pytest.fixture(params=["newest", "newest-without-xet", "hub-1.19", "hub-0.36"])
def modern(request):
    return request.param


def test_sending_a_file_again_stores_nothing(hub, user, client, modern, weights):
    first, second = user.repo(), user.repo()
    client(user.token, modern).run("upload_file", repo=first, path=weights, path_in_repo="weights.safetensors")
    before = stored(hub)
    # Another machine without any cache, another name, another repository.
    client(user.token, modern).run("upload_file", repo=second, path=weights, path_in_repo="other.safetensors")
    assert stored(hub) - before < SIZE * 0.001


def test_a_one_percent_edit_stores_at_most_three_percent(hub, user, client, modern, weights):
    repo = user.repo()
    writer = client(user.token, modern)
    writer.run("upload_file", repo=repo, path=weights, path_in_repo="weights.safetensors")
    before = stored(hub)
    data = bytearray(weights.read_bytes())
    edit = random.Random("edit")
    begin = SIZE // 3
    data[begin:begin + SIZE // 100] = edit.randbytes(SIZE // 100 + 17)  # not even the same length
    weights.write_bytes(data)
    writer.run("upload_file", repo=repo, path=weights, path_in_repo="weights.safetensors")
    assert 0 < stored(hub) - before <= SIZE * 0.03


@pytest.mark.parametrize("first, second", [("newest", "newest-without-xet"), ("newest-without-xet", "newest"), ("newest", "hub-0.36")])
def test_the_same_file_by_another_protocol_stores_nothing_new(hub, user, client, first, second, weights):
    client(user.token, first).run("upload_file", repo=user.repo(), path=weights, path_in_repo="weights.safetensors")
    before = stored(hub)
    client(user.token, second).run("upload_file", repo=user.repo(), path=weights, path_in_repo="weights.safetensors")
    assert stored(hub) - before < SIZE * 0.001


def test_an_unchanged_file_is_not_sent_again_through_lfs(hub, user, client, weights):
    repo = user.repo()
    writer = client(user.token, "newest-without-xet")
    writer.run("upload_file", repo=repo, path=weights, path_in_repo="a.safetensors")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    again = hub.lfs_batch(user.token, repo, [(digest, SIZE)]).json()
    assert "actions" not in again["objects"][0]


def test_whoever_may_not_read_a_file_has_to_send_it(hub, user, bob, client, weights):
    """Saying "already there" to a stranger would hand out the file for its name."""
    repo = user.repo(private=True)
    client(user.token, "newest-without-xet").run("upload_file", repo=repo, path=weights, path_in_repo="a.safetensors")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    other = bob.repo()
    answer = hub.lfs_batch(bob.token, other, [(digest, SIZE)]).json()
    assert "upload" in answer["objects"][0]["actions"]
    refused = hub.commit(bob.token, other, [("lfsFile", {"path": "stolen.bin", "algo": "sha256", "oid": digest, "size": SIZE})])
    assert 400 <= refused.status < 500, refused

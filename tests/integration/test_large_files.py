"""Files of a size that matters, by the commands a user would type: whole in both directions, stored once, in parts where the protocol has parts."""
import json
import random

import pytest

from hub_process import cairn
from samples import digests, random_bytes

MIB = 1 << 20
SIZE = 64 * MIB
PARTS_SIZE = 150 * MIB + 12345  # three parts, the last one short


def stored(hub):
    return json.loads(cairn(hub, "stats", "--json"))["stored_bytes"]


def write_weights(path, seed, size):
    """Float-like bytes would compress; these do not, so that what is stored can be compared with what was sent."""
    with open(path, "wb") as file:
        source = random.Random(seed)
        for at in range(0, size, MIB):
            file.write(source.randbytes(min(MIB, size - at)))
    return path


def edit_one_percent(path):
    """In place, in one run, as a fine-tuned layer does."""
    with open(path, "r+b") as file:
        file.seek(SIZE // 2 + 4321)
        file.write(random_bytes("edit", SIZE // 100))


@pytest.mark.slow
@pytest.mark.parametrize("sender, receiver", [("newest", "newest-without-xet"), ("newest-without-xet", "newest")])
def test_the_hf_command_carries_large_files_and_edits_cost_little(hub, user, client, tmp_path, sender, receiver):
    (tmp_path / "model").mkdir()
    weights = write_weights(tmp_path / "model" / "model.safetensors", f"{sender} weights", SIZE)
    repo = user.repo()
    writer = client(user.token, sender)
    before = stored(hub)
    writer.command("hf", "upload", repo, tmp_path / "model")
    first = stored(hub) - before
    assert SIZE <= first <= SIZE * 1.01

    edit_one_percent(weights)
    writer.command("hf", "upload", repo, tmp_path / "model")
    assert 0 < stored(hub) - before - first <= SIZE * 0.03

    for generation in (receiver, sender):
        got = client(user.read_token, generation)
        got.command("hf", "download", repo, "--local-dir", got.home / "local")
        assert digests(got.home / "local")["model.safetensors"] == digests(tmp_path / "model")["model.safetensors"], generation

    # The other protocol finds everything stored already.
    before = stored(hub)
    client(user.token, receiver).command("hf", "upload", user.repo(), tmp_path / "model")
    assert stored(hub) - before < SIZE * 0.001


@pytest.mark.slow
def test_lfs_sends_large_files_in_parts(hub, user, client, tmp_path):
    (tmp_path / "model").mkdir()
    write_weights(tmp_path / "model" / "model.bin", "parts", PARTS_SIZE)
    repo = user.repo()
    client(user.token, "newest-without-xet").command("hf", "upload", repo, tmp_path / "model")
    for generation in ("newest-without-xet", "newest"):
        got = client(user.read_token, generation)
        got.command("hf", "download", repo, "--local-dir", got.home / "local")
        assert digests(got.home / "local")["model.bin"] == digests(tmp_path / "model")["model.bin"], generation


@pytest.mark.slow
@pytest.mark.parametrize("xet", [True, False])
def test_javascript_carries_large_files(user, client, tmp_path, xet):
    (tmp_path / "model").mkdir()
    write_weights(tmp_path / "model" / "model.bin", f"javascript {xet}", SIZE)
    repo = user.repo()
    js = client(user.token)
    js.run_js("uploadFolder", repo=repo, folder=str(tmp_path / "model"), useXet=xet)
    for from_xet in (True, False):
        assert js.run_js("downloadAll", repo=repo, xet=from_xet)["model.bin"] == digests(tmp_path / "model")["model.bin"], from_xet

"""A git pack that is lost with its volume: who collects garbage, or copies what names need, is told of which repository it was."""
import pytest

from samples import random_bytes


@pytest.mark.parametrize("type", ["model", "dataset"])
def test_a_collection_names_the_repository_whose_pack_is_lost(hub, fsck, type):
    user = hub.make_user("ada")
    lost = user.repo(type)
    filler = user.repo()
    for i in range(5):  # its packs are in the first volume
        assert hub.commit(user.token, filler, {f"{i}.bin": random_bytes(f"{i}", 9_000_000)}).status == 200
    later = user.repo()
    assert hub.commit(user.token, later, {"a.txt": b"in another volume\n"}).status == 200
    owner, name = filler.split("/")
    assert hub.request("DELETE", "/api/repos/delete", {"name": name, "organization": owner, "type": "model"}, token=user.token).status == 200
    assert hub.stop() == 0
    sorted((hub.data_dir / "store/volumes").iterdir())[0].unlink()
    fsck(hub, "--rebuild-index", status=(0, 2))
    hub.start()
    told = hub.operation("gc", grace_ms=0)
    assert told["state"] == "failed", told
    assert f"the files of the {type} {lost} cannot be enumerated: a git pack of it is lost or damaged" in str(told), told
    assert hub.request("DELETE", "/api/repos/delete", {"name": lost.split("/")[1], "organization": lost.split("/")[0], "type": type},
                       token=user.token).status == 200
    assert hub.operation("gc", grace_ms=0)["state"] == "done"
    assert hub.request("GET", f"/{later}/resolve/main/a.txt", token=user.token).body == b"in another volume\n"

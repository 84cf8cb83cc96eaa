"""Backups taken while clients push, and hubs made from them: what was acknowledged before a backup began is in it, whatever happens to the hub."""
import json
import re
import shutil
import subprocess
import time

import pytest

from hub_process import CAIRN, cairn
from ledger import digest
from pushers import Crowd
from samples import random_bytes
from volumes import find_bytes, flip_bit, newest_written

ROUNDS = 3
ROUND_SECONDS = 4


def volumes_bytes(backup):
    return sum(path.stat().st_size for path in (backup / "volumes").iterdir())


def restore(source, target, status=0):
    done = subprocess.run([CAIRN, "restore", source, "--data", target], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_what_was_acknowledged_before_a_backup_is_in_it(hub, make_hub, make_ledger, check_disk, tmp_path, seed):
    ledger = make_ledger(hub)
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    backup = tmp_path / "backup"
    kept = []
    for _ in range(ROUNDS):
        time.sleep(ROUND_SECONDS)
        crowd.go_on_until(10, kinds=6)
        count = len(ledger.facts)
        report = json.loads(cairn(hub, "backup", backup, "--json"))
        kept.append(report["kept_bytes"])
    crowd.stop()
    repo = sorted(ledger.repos)[0]
    for path, data in fill(hub, ledger.user, repo, "fill").items():  # whatever the clients managed to push: a volume that is full is not copied again
        ledger.intend(repo, {path: digest(data)})
    for _ in range(2):
        kept.append(json.loads(cairn(hub, "backup", backup, "--json"))["kept_bytes"])
    assert kept[0] == 0 and kept[-1] > 0, kept
    facts = ledger.facts[:count]
    assert {type(fact).__name__ for fact in facts} >= {"Commit", "StoredObject"}
    token = hub.admin_token
    hub.kill()
    shutil.rmtree(hub.data_dir)

    target = tmp_path / "restored"
    assert "restored the hub" in restore(backup, target)
    restore(backup, target, status=1)  # never over something
    other = make_hub(target, "--volume-size", "32M")
    assert other.admin_token == token
    ledger.hub, ledger.facts = other, facts
    ledger.check_all()
    answer = other.commit(ledger.user.token, sorted(ledger.repos)[0], {"after.txt": b"and it goes on\n"})
    assert answer.status == 200, answer
    assert other.stop() == 0, other.tail()
    check_disk(other)


def test_a_backup_keeps_collections_out_and_frees_what_they_freed(hub, make_hub, tmp_path):
    user = hub.make_user("ada")
    repo, gone = user.repo(), user.repo()
    backup = tmp_path / "backup"
    keep = random_bytes("kept", 300_000)
    for i in range(12):
        answer = hub.commit(user.token, gone, {f"{i}.bin": random_bytes(f"gone {i}", 5_000_000)})
        assert answer.status == 200, answer
    assert hub.commit(user.token, repo, {"keep.bin": keep}).status == 200
    cairn(hub, "backup", backup)
    before = volumes_bytes(backup)

    lent = hub.admin("POST", "/backups")
    assert hub.operation("gc", grace_ms=0)["state"] == "failed"
    assert hub.request("POST", "/api/admin/backups", token=hub.admin_token).status == 503
    assert hub.request("PUT", "/api/admin/backups/0", token=hub.admin_token).status == 404
    assert hub.request("POST", "/api/admin/backups", token=user.token).status in (401, 403, 404)
    hub.admin("PUT", f"/backups/{lent['backup']}")
    hub.admin("DELETE", f"/backups/{lent['backup']}")
    assert not list((hub.data_dir / "tmp").glob("*backup*"))

    owner, name = gone.split("/")
    assert hub.request("DELETE", "/api/repos/delete", {"name": name, "organization": owner, "type": "model"}, token=user.token).status == 200
    assert hub.operation("gc", grace_ms=0)["state"] == "done"
    cairn(hub, "backup", backup)
    assert volumes_bytes(backup) < before - 20_000_000
    assert len(list(backup.glob("names-*"))) == 1
    restore(backup, tmp_path / "restored")
    other = make_hub(tmp_path / "restored")
    assert other.request("GET", f"/{repo}/resolve/main/keep.bin", token=user.token).body == keep
    assert other.request("GET", f"/api/models/{gone}", token=user.token).status == 404


def test_a_backup_that_does_not_list_its_names_is_restored(hub, make_hub, tmp_path):
    user = hub.make_user("ada")
    repo = user.repo()
    assert hub.commit(user.token, repo, {"a.txt": b"as earlier versions wrote it"}).status == 200
    cairn(hub, "backup", tmp_path / "backup")
    manifest = tmp_path / "backup" / "manifest.json"
    told = json.loads(manifest.read_text())
    assert told.pop("names_files")
    manifest.write_text(json.dumps(told))
    restore(tmp_path / "backup", tmp_path / "restored")
    other = make_hub(tmp_path / "restored", "--volume-size", "32M")
    assert other.request("GET", f"/{repo}/resolve/main/a.txt", token=user.token).body == b"as earlier versions wrote it"


def make_equally_long(backup, other):
    """The final volumes of a backup get the lengths that those of the same ids have in another: chance makes them equal often enough."""
    theirs = {volume["id"]: volume for volume in json.loads((other / "manifest.json").read_text())["volumes"]}
    told = json.loads((backup / "manifest.json").read_text())
    changed = 0
    for volume in told["volumes"]:
        match = theirs.get(volume["id"])
        if volume["final"] and match and match["final"]:
            volume["bytes"] = match["bytes"]
            with next((backup / "volumes").glob(f"{volume['id']:08x}*.vol")).open("r+b") as file:
                file.truncate(match["bytes"])
            changed += 1
    (backup / "manifest.json").write_text(json.dumps(told))
    return changed


def fill(hub, user, repo, what, count=6):
    files = {f"{what}-{i}.bin": random_bytes(f"{what} {i}", 9_000_000) for i in range(count)}
    for path, data in files.items():
        answer = hub.commit(user.token, repo, {path: data})
        assert answer.status == 200, answer
    return files


def assert_holds(hub, user, repo, files):
    for path, data in files.items():
        answer = hub.request("GET", f"/{repo}/resolve/main/{path}", token=user.token)
        assert answer.status == 200 and answer.body == data, (path, answer)


def test_a_backup_over_that_of_another_hub_copies_everything_once_more(hub, make_hub, tmp_path):
    other = make_hub(tmp_path / "other-data", "--volume-size", "32M")
    ada, grace = hub.make_user("ada"), other.make_user("grace")
    fill(hub, ada, ada.repo(), "first")
    repo = grace.repo()
    files = fill(other, grace, repo, "second")
    cairn(hub, "backup", tmp_path / "backup")
    cairn(other, "backup", tmp_path / "apart")
    assert make_equally_long(tmp_path / "backup", tmp_path / "apart") > 0
    assert json.loads(cairn(other, "backup", tmp_path / "backup", "--json"))["kept_bytes"] == 0
    assert len(list((tmp_path / "backup" / "volumes").iterdir())) == len(list((tmp_path / "apart" / "volumes").iterdir()))
    assert json.loads(cairn(other, "backup", tmp_path / "backup", "--json"))["kept_bytes"] > 0
    restore(tmp_path / "backup", tmp_path / "restored")
    assert_holds(make_hub(tmp_path / "restored", "--volume-size", "32M"), grace, repo, files)


def test_a_hub_and_one_that_was_restored_from_it_are_told_apart(hub, make_hub, tmp_path):
    user = hub.make_user("ada")
    repo = user.repo()
    files = fill(hub, user, repo, "before", 1)
    cairn(hub, "backup", tmp_path / "early")
    restore(tmp_path / "early", tmp_path / "twin-data")
    twin = make_hub(tmp_path / "twin-data", "--volume-size", "32M")
    fill(hub, user, repo, "here")
    files |= fill(twin, user, repo, "there")  # both go on in the volume that they have in common
    cairn(hub, "backup", tmp_path / "backup")
    cairn(twin, "backup", tmp_path / "apart")
    assert make_equally_long(tmp_path / "backup", tmp_path / "apart") > 0
    assert json.loads(cairn(twin, "backup", tmp_path / "backup", "--json"))["kept_bytes"] == 0
    restore(tmp_path / "backup", tmp_path / "restored")
    assert_holds(make_hub(tmp_path / "restored", "--volume-size", "32M"), user, repo, files)


def test_a_backup_of_a_version_without_marks_is_restored_and_copied_again(hub, make_hub, tmp_path):
    user = hub.make_user("ada")
    repo = user.repo()
    files = fill(hub, user, repo, "old")
    backup = tmp_path / "backup"
    cairn(hub, "backup", backup)
    told = json.loads((backup / "manifest.json").read_text())
    told["format"] = 1
    for volume in told["volumes"]:
        (backup / "volumes" / f"{volume['id']:08x}-{volume.pop('mark')}.vol").rename(backup / "volumes" / f"{volume['id']:08x}.vol")
    (backup / "manifest.json").write_text(json.dumps(told))
    restore(backup, tmp_path / "restored")
    assert_holds(make_hub(tmp_path / "restored", "--volume-size", "32M"), user, repo, files)
    report = json.loads(cairn(hub, "backup", backup, "--json"))
    assert report["kept_bytes"] == 0
    assert {path.name for path in (backup / "volumes").iterdir()} == {f"{volume['id']:08x}-{volume['mark']}.vol" for volume in report["volumes"]}
    assert json.loads(cairn(hub, "backup", backup, "--json"))["kept_bytes"] > 0


def test_names_and_volumes_come_from_one_hub(hub, make_hub, tmp_path):
    other = make_hub(tmp_path / "other-data", "--volume-size", "32M")
    for each in (hub, other):
        user = each.make_user("ada")
        fill(each, user, user.repo(), "some", 1)
    told = cairn(other, "--data", hub.data_dir, "--token-file", other.data_dir / "admin-token", "backup", tmp_path / "mixed", status=1, stderr=True)
    assert f"the hub that answers at {other.url} does not have its data in {hub.data_dir}" in told, told
    restore(tmp_path / "mixed", tmp_path / "restored", status=1)
    cairn(other, "backup", tmp_path / "mixed")  # nothing stays lent
    (tmp_path / "link").symlink_to(hub.data_dir)
    cairn(hub, "--data", tmp_path / "link", "backup", tmp_path / "linked")


def test_two_backups_do_not_go_into_one_directory_at_once(hub, tmp_path):
    (tmp_path / "backup").mkdir()
    with subprocess.Popen(["flock", tmp_path / "backup", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdin.write(b"held\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == b"held\n"
        assert "another backup goes into" in cairn(hub, "backup", tmp_path / "backup", status=1, stderr=True)
        holder.stdin.close()
    cairn(hub, "backup", tmp_path / "backup")


def test_what_a_backup_left_that_was_cut_short_goes_with_the_next(hub, tmp_path):
    user = hub.make_user("ada")
    fill(hub, user, user.repo(), "some", 1)
    volumes = tmp_path / "backup" / "volumes"
    cairn(hub, "backup", tmp_path / "backup")
    whole = next(volumes.iterdir())
    left = [f"{'0' * 7}9-{'a' * 16}-{'b' * 16}.vol", f"{whole.name[:8]}-{'a' * 16}-{'b' * 16}.vol.part"]
    for name in left + ["notes.txt", "00000009.vol"]:
        (volumes / name).write_text("left")
    cairn(hub, "backup", tmp_path / "backup")
    assert {path.name for path in volumes.iterdir()} == {whole.name, "notes.txt", "00000009.vol"}


def test_a_backup_goes_only_where_nothing_else_is(hub, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("not yours")
    cairn(hub, "backup", tmp_path / "mine", status=1)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    restore(tmp_path / "mine", tmp_path / "restored", status=1)
    assert not (tmp_path / "restored").exists()


def put(hub, user, repo, data):
    entry = hub.lfs_batch(user.token, repo, [(digest(data), len(data))]).json()["objects"][0]
    answer = hub.request("PUT", entry["actions"]["upload"]["href"], data)
    assert answer.status == 200, answer


def lose_store(hub, data):
    shutil.rmtree(hub.data_dir / "store")


def lose_volume(hub, data):
    newest_written(hub)[0].unlink()


def lose_tail(hub, data):
    path, offset = find_bytes(hub, data[-100_064:-100_000])[0]
    assert path == newest_written(hub)[0]
    with path.open("r+b") as file:
        file.truncate(offset)


def damage(hub, data):
    path, offset = find_bytes(hub, data[100_000:100_064])[0]
    flip_bit(path, offset)


@pytest.mark.parametrize("lose", [lose_store, lose_volume, lose_tail, damage])
def test_a_backup_of_a_hub_that_lost_something_does_not_take_the_place_of_a_good_one(hub, make_hub, tmp_path, lose):
    user = hub.make_user("ada")
    repo = user.repo()
    files = fill(hub, user, repo, "some", 4)
    files["large.bin"] = random_bytes("large", 3_000_000)
    put(hub, user, repo, files["large.bin"])
    pointer = ("lfsFile", {"path": "large.bin", "algo": "sha256", "oid": digest(files["large.bin"]), "size": 3_000_000})
    assert hub.commit(user.token, repo, [pointer]).status == 200
    backup = tmp_path / "backup"
    cairn(hub, "backup", backup)
    before = {path: path.stat().st_mtime_ns for path in backup.rglob("*") if path.is_file()}
    assert hub.stop() == 0, hub.tail()
    lose(hub, files["large.bin"])
    hub.start()
    if lose is damage:  # else it is known from the start on
        cairn(hub, "scrub", status=2)
    told = cairn(hub, "backup", backup, status=1, stderr=True)
    assert re.search(r"[1-9]\d* files|[1-9]\d* xorbs", told) and "a backup would lack them" in told, told
    assert {path: path.stat().st_mtime_ns for path in backup.rglob("*") if path.is_file()} == before
    restore(backup, tmp_path / "restored")
    assert_holds(make_hub(tmp_path / "restored", "--volume-size", "32M"), user, repo, files)
    cairn(hub, "backup", tmp_path / "rest", "--accept-damage")
    assert (tmp_path / "rest" / "manifest.json").exists()
    if lose is damage:
        put(hub, user, repo, files["large.bin"])  # whoever has it brings it back
        cairn(hub, "backup", backup)


def test_an_interrupted_backup_leaves_the_one_before(hub, make_hub, make_ledger, tmp_path):
    user = hub.make_user("ada")
    repo = user.repo()
    first = random_bytes("first", 3_000_000)
    assert hub.commit(user.token, repo, {"first.bin": first}).status == 200
    backup = tmp_path / "backup"
    cairn(hub, "backup", backup)
    for i in range(8):
        assert hub.commit(user.token, repo, {f"{i}.bin": random_bytes(f"later {i}", 9_000_000)}).status == 200
    child = subprocess.Popen([CAIRN, "--url", hub.url, "--data", hub.data_dir, "backup", backup], stdout=subprocess.DEVNULL)
    time.sleep(0.03)
    child.kill()
    child.wait()
    restore(backup, tmp_path / "restored")
    other = make_hub(tmp_path / "restored", "--volume-size", "32M")
    assert other.request("GET", f"/{repo}/resolve/main/first.bin", token=user.token).body == first

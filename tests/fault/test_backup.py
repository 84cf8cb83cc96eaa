"""Backups taken while clients push, and hubs made from them: what was acknowledged before a backup began is in it, whatever happens to the hub."""
import json
import shutil
import subprocess
import time

from hub_process import CAIRN, cairn
from pushers import Crowd
from samples import random_bytes

ROUNDS = 3
ROUND_SECONDS = 4


def volumes_bytes(backup):
    return sum(path.stat().st_size for path in (backup / "volumes").iterdir())


def restore(source, target, status=0):
    done = subprocess.run([CAIRN, "restore", source, "--data", target], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_what_was_acknowledged_before_a_backup_is_in_it(hub, make_hub, make_ledger, check_disk, tmp_path, seed):
    ledger = make_ledger(hub)
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    backup = tmp_path / "backup"
    kept = []
    for _ in range(ROUNDS):
        time.sleep(ROUND_SECONDS)
        count = len(ledger.facts)
        report = json.loads(cairn(hub, "backup", backup, "--json"))
        kept.append(report["kept_bytes"])
    crowd.stop()
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


def test_a_backup_goes_only_where_nothing_else_is(hub, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("not yours")
    cairn(hub, "backup", tmp_path / "mine", status=1)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    restore(tmp_path / "mine", tmp_path / "restored", status=1)
    assert not (tmp_path / "restored").exists()


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

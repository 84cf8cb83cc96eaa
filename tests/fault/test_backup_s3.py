"""Backups in a bucket of an S3 service that checks signatures, refuses now and then, and closes connections."""
import json
import os
import shutil
import subprocess
import time

import pytest
from clients import VENVS
from hub_process import CAIRN, ROOT
from ledger import digest
from pushers import Crowd
from samples import random_bytes
from test_backup import assert_holds, fill

BUCKET = "s3://backups"
VARIABLES = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]


class Service:
    def __init__(self, *options):
        self.process = subprocess.Popen([VENVS / "s3" / "bin" / "python", ROOT / "tests" / "harness" / "s3_server.py", *options], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.variables = json.loads(self.process.stdout.readline())

    def environment(self, **changes):
        clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        return {name: value for name, value in {**clean, **self.variables, **changes}.items() if value is not None}

    def cairn(self, *arguments, status=0, **changes):
        done = subprocess.run([CAIRN, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
                              env=self.environment(**changes))
        assert done.returncode == status, f"cairn {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if status == 0 else done.stderr

    def back_up(self, hub, where, **how):
        return self.cairn("--url", hub.url, "--data", hub.data_dir, "backup", where, *([] if how.get("status") else ["--json"]), **how)

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def make_service():
    running = []

    def make(*options):
        running.append(Service(*options))
        return running[-1]

    yield make
    for service in running:
        service.stop()


def test_what_was_acknowledged_is_in_a_bucket_that_is_far_away(hub, make_hub, make_ledger, make_service, check_disk, tmp_path, seed):
    service = make_service("--unreliable")
    ledger = make_ledger(hub)
    crowd = Crowd(ledger, sorted(ledger.repos), seed)
    kept = []
    for _ in range(2):
        time.sleep(3)
        count = len(ledger.facts)
        kept.append(json.loads(service.back_up(hub, f"{BUCKET}/hubs/first"))["kept_bytes"])
    crowd.stop()
    for i in range(5):  # whatever the clients managed to push: a volume that is full is not sent again
        repo, data = sorted(ledger.repos)[0], random_bytes(f"fill {i}", 8_000_000)
        assert hub.commit(ledger.user.token, repo, {f"fill-{i}.bin": data}).status == 200
        ledger.intend(repo, {f"fill-{i}.bin": digest(data)})
    for _ in range(2):
        kept.append(json.loads(service.back_up(hub, f"{BUCKET}/hubs/first"))["kept_bytes"])
    assert kept[0] == 0 and kept[-1] >= 16 << 20, kept
    token = hub.admin_token
    hub.kill()
    shutil.rmtree(hub.data_dir)

    target = tmp_path / "restored"
    assert "restored the hub" in service.cairn("restore", f"{BUCKET}/hubs/first", "--data", target)
    assert "is not empty" in service.cairn("restore", f"{BUCKET}/hubs/first", "--data", target, status=1)
    other = make_hub(target, "--volume-size", "32M")
    assert other.admin_token == token
    ledger.hub, ledger.facts = other, ledger.facts[:count]
    ledger.check_all()
    assert other.stop() == 0, other.tail()
    check_disk(other)


def test_an_interrupted_backup_in_a_bucket_leaves_the_one_before(hub, make_hub, make_service, tmp_path):
    service = make_service("--one-manifest")
    user = hub.make_user("ada")
    repo = user.repo()
    first = random_bytes("first", 3_000_000)
    assert hub.commit(user.token, repo, {"first.bin": first}).status == 200
    service.back_up(hub, BUCKET)
    for i in range(8):
        assert hub.commit(user.token, repo, {f"{i}.bin": random_bytes(f"later {i}", 9_000_000)}).status == 200
    assert "AccessDenied" in service.back_up(hub, BUCKET, status=1)  # volumes have grown in the bucket by then
    service.cairn("restore", BUCKET, "--data", tmp_path / "restored")
    other = make_hub(tmp_path / "restored", "--volume-size", "32M")
    assert other.request("GET", f"/{repo}/resolve/main/first.bin", token=user.token).body == first


def test_a_backup_over_that_of_another_hub_in_a_bucket_copies_everything_once_more(hub, make_hub, make_service, tmp_path):
    """Both hubs were given the same, so that their volumes are equally long: only whose they are tells them apart."""
    service = make_service()
    other = make_hub(tmp_path / "other-data", "--volume-size", "32M")
    for each in (hub, other):
        user = each.make_user("ada")
        repo = user.repo()
        files = fill(each, user, repo, "same")
    service.back_up(hub, BUCKET)
    assert json.loads(service.back_up(other, BUCKET))["kept_bytes"] == 0
    assert json.loads(service.back_up(other, BUCKET))["kept_bytes"] > 0
    service.cairn("restore", BUCKET, "--data", tmp_path / "restored")
    assert_holds(make_hub(tmp_path / "restored", "--volume-size", "32M"), user, repo, files)


def test_an_interrupted_backup_of_another_hub_leaves_the_one_before(hub, make_hub, make_service, tmp_path):
    service = make_service("--one-manifest")
    other = make_hub(tmp_path / "other-data", "--volume-size", "32M")
    user, stranger = hub.make_user("ada"), other.make_user("ada")
    repo = user.repo()
    files = fill(hub, user, repo, "first")
    fill(other, stranger, stranger.repo(), "second")
    service.back_up(hub, BUCKET)
    assert "AccessDenied" in service.back_up(other, BUCKET, status=1)
    service.cairn("restore", BUCKET, "--data", tmp_path / "restored")
    assert_holds(make_hub(tmp_path / "restored", "--volume-size", "32M"), user, repo, files)


def test_what_is_wrong_with_a_bucket_is_said(hub, make_service, tmp_path):
    service = make_service()
    secret = service.variables["AWS_SECRET_ACCESS_KEY"]
    for changes, where, sentence in [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, BUCKET, "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "wrong"}, BUCKET, "InvalidAccessKeyId"),
        ({"AWS_SESSION_TOKEN": "wrong"}, BUCKET, "HTTP 40"),
        ({"AWS_SECRET_ACCESS_KEY": None}, BUCKET, "are not in the environment"),
        ({"AWS_ENDPOINT_URL": "ftp://127.0.0.1"}, BUCKET, "neither http:// nor https://"),
        ({"AWS_REGION": "../.."}, BUCKET, "the region"),
        ({}, "s3://absent-bucket", "NoSuchBucket"),
        ({}, "s3://", "is not s3://BUCKET/PREFIX"),
        ({}, "s3://Backups", "is not s3://BUCKET/PREFIX"),
        ({}, f"{BUCKET}/../other", "is not s3://BUCKET/PREFIX"),
        ({}, f"{BUCKET}/a b", "is not s3://BUCKET/PREFIX"),
        ({}, f"{BUCKET}/{'a' * 300}", "is not s3://BUCKET/PREFIX"),
    ]:
        told = service.back_up(hub, where, status=1, **changes)
        assert sentence in told and secret not in told, (changes, where, told)
    assert "there is no backup in" in service.cairn("restore", BUCKET, "--data", tmp_path / "none", status=1)
    assert not (tmp_path / "none").exists()

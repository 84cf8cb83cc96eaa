import itertools
import json
import os
import random
import subprocess

import pytest

from hub_process import CAIRN, Hub
from ledger import Ledger
from small_disk import CannotMount, SmallDisk

user_numbers = itertools.count(1)


@pytest.fixture
def seed():
    """Printed with every failure; FAULT_SEED repeats a run as far as timing allows."""
    seed = int(os.environ.get("FAULT_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"FAULT_SEED={seed}")
    return seed


@pytest.fixture
def chance(seed):
    return random.Random(seed)


@pytest.fixture
def make_hub(tmp_path):
    """Makes a hub that the test may ill-treat: make_hub(directory of its data, flags...). It is killed at the end if it still runs."""
    hubs = []

    def make(data_dir, *flags):
        hub = Hub(data_dir, *flags)
        hub.log = tmp_path / f"hub-{len(hubs)}.log"  # never on the disk that is being filled
        hubs.append(hub)
        return hub.start()
    yield make
    for hub in hubs:
        if hub.is_running():
            hub.kill()


@pytest.fixture
def hub(make_hub, tmp_path):
    return make_hub(tmp_path / "data", "--volume-size", "32M")


@pytest.fixture
def make_ledger(tmp_path):
    """A user of the hub, three repositories to push to, and the list of what was acknowledged."""
    def make(hub):
        user = hub.make_user(f"user-{next(user_numbers)}")
        ledger = Ledger(hub, user, tmp_path / "acknowledged.jsonl")
        ledger.repos.update(user.repo() for _ in range(3))
        return ledger
    return make


@pytest.fixture
def make_disk(tmp_path):
    """A small disk, or a skip that says why there is none."""
    disks = []

    def make(size_bytes):
        try:
            disk = SmallDisk(tmp_path, size_bytes)
        except CannotMount as error:
            pytest.skip(f"no small file system can be mounted here: {error}")
        disks.append(disk)
        return disk
    yield make
    for disk in disks:
        disk.close()


def fsck(hub, *flags, status=0):
    """`cairn fsck` on the data of a hub that has stopped; its report. Several statuses may be right."""
    statuses = status if isinstance(status, tuple) else (status,)
    done = subprocess.run([CAIRN, "fsck", *flags, "--data", hub.data_dir, "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode in statuses, f"cairn fsck {flags}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout)


@pytest.fixture
def check_disk():
    """Both kinds of fsck find a stopped hub sound. Up to `lost` files may lack bytes: uploads that nobody acknowledged, of a node that is gone for good."""
    def check(hub, lost=0):
        for flags in ((), ("--rebuild-index",)):
            report = fsck(hub, *flags, status=(0, 2) if lost else 0)
            assert report["corrupt"] == 0 and report["missing"] == len(report["findings"]) <= lost, report
    return check


@pytest.fixture(name="fsck")
def fsck_fixture():
    return fsck

"""kill -9 and power cuts while clients push: what was acknowledged is there, what was not is nowhere by half."""
import signal
import time

import pytest

from pushers import Crowd
from small_disk import CannotMount

KILLS, KILLS_MAX = 12, 48  # more when the machine is busy
POWER_CUTS = 5
DISK_BYTES = 1 << 30


def kill_while_starting(hub, chance):
    """Recovery is interrupted too."""
    hub.spawn()
    time.sleep(chance.uniform(0, 0.15))
    hub.kill()


def test_nothing_acknowledged_is_lost_when_the_server_is_killed_again_and_again(hub, make_ledger, check_disk, chance, seed):
    ledger = make_ledger(hub)
    repos = sorted(ledger.repos)
    for kill in range(KILLS_MAX):
        if kill >= KILLS and len(ledger.facts) > 50 and len(ledger.counts()) == 6:
            break
        crowd = Crowd(ledger, repos, f"{seed}.{kill}")
        time.sleep(chance.uniform(0.1, 2.5))
        hub.kill()
        crowd.stop()
        if kill % 3 == 2:
            kill_while_starting(hub, chance)
        hub.start()
        ledger.check_new(chance)
    print(ledger.counts())
    assert len(ledger.facts) > 50 and len(ledger.counts()) == 6, ledger.counts()

    assert hub.stop() == 0, hub.tail()
    check_disk(hub)
    hub.start()
    ledger.check_all()
    assert hub.stop() == 0, hub.tail()


def test_nothing_acknowledged_is_lost_when_the_power_is_cut(make_disk, make_hub, make_ledger, check_disk, chance, seed):
    """Unlike a kill, this loses whatever was written and not synced."""
    disk = make_disk(DISK_BYTES)
    hub = make_hub(disk.path / "data", "--volume-size", "32M", "--reserve", "16M")
    ledger = make_ledger(hub)
    repos = sorted(ledger.repos)
    for cut in range(POWER_CUTS):
        crowd = Crowd(ledger, repos, f"{seed}.{cut}")
        time.sleep(chance.uniform(0.3, 2))
        crowd.may_be_refused()
        # The server stands still first: a machine without power acknowledges nothing, and what the kernel says of a sync that meets the
        # cut half-way would be believed by nobody.
        hub.process.send_signal(signal.SIGSTOP)
        try:
            disk.cut_power()
        except CannotMount as error:
            hub.kill()
            crowd.stop()
            pytest.skip(str(error))
        hub.kill()
        crowd.stop()
        disk.restore_power()
        hub.start()
        ledger.check_new(chance)
    print(ledger.counts())

    assert hub.stop() == 0, hub.tail()
    check_disk(hub)
    hub.start()
    ledger.check_all()
    assert hub.stop() == 0, hub.tail()

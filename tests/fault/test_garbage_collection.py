"""Garbage collection beside clients that push, delete and push again: what is reachable stays, what is not goes."""
import base64
import json
import random
import threading
import time
import traceback

from chaos_proxy import eventually
from hub_process import BUILD, Hub, cairn
from ledger import Lost, Refused, ask, digest, heard
from raw_http import connect, read_answer
from samples import random_bytes
from volumes import disk_usage_bytes, volume_files
from xet_wire import File, random_xorb, shard, text

CLIENTS = 4
CONTENT_BYTES = (300_000, 700_000, 1_000_000, 1_500_000, 2_000_000, 4_000_000)  # few files, so that everybody has the same ones at once
SECONDS = 20
KILLS = 4
GRACE_MS = 400
INLINE_BYTES = 200_000
TRIES_MAX = 40        # of one push: what the hub said it had may be collected before it is named


class Gardener(threading.Thread):
    """Plants the same few files as everybody else in a repository of its own, and leaves it for a new one when that is full."""

    def __init__(self, hub, user, contents, seed):
        super().__init__(daemon=True)
        self.hub, self.user, self.contents = hub, user, contents
        self.random = random.Random(seed)
        self.repo = user.repo()
        self.files = {}         # path -> content number, acknowledged
        self.uncertain = set()  # paths whose last change was not answered
        self.stopping = threading.Event()
        self.failure = None
        self.pushes = self.repeats = self.number = 0

    def run(self):
        try:
            while not self.stopping.is_set():
                try:
                    self.step()
                except Lost:
                    self.stopping.wait(0.02)
        except BaseException:
            self.failure = traceback.format_exc()

    def step(self):
        action = self.random.random()
        known = sorted(set(self.files) - self.uncertain)
        self.number += 1
        if len(self.files) > 5 and action < 0.3:
            self.move()
        elif action < 0.7 or not known:
            self.push(f"file-{self.number}.bin", self.random.randrange(len(self.contents)))
        elif action < 0.8:
            self.push_inline(f"file-{self.number}.txt", self.random.randrange(len(self.contents)))
        elif action < 0.9:
            self.change(known[0], [("deletedFile", {"path": known[0]})])
            del self.files[known[0]]
            self.uncertain.discard(known[0])
        else:
            self.check(self.random.sample(known, min(2, len(known))))

    def move(self):
        """History keeps what was deleted: only with its repository does a file become garbage."""
        owner, name = self.repo.split("/")
        self.files, self.uncertain = {}, set()
        ask(self.hub, "DELETE", "/api/repos/delete", {"name": name, "organization": owner, "type": "model"}, token=self.user.token)
        name = f"moved-{self.number}"
        ask(self.hub, "POST", "/api/repos/create", {"name": name, "type": "model"}, token=self.user.token)
        self.repo = f"{owner}/{name}"

    def change(self, path, operations):
        self.uncertain.add(path)
        return heard(lambda: self.hub.commit(self.user.token, self.repo, operations))

    def push(self, path, content):
        """Often the commit comes later than the grace allows. Then it may be refused, and all begins anew; but not accepted for nothing."""
        data = self.contents[content]
        line = ("lfsFile", {"path": path, "algo": "sha256", "oid": digest(data), "size": len(data)})
        for attempt in range(TRIES_MAX):
            batch = heard(lambda: self.hub.lfs_batch(self.user.token, self.repo, [(digest(data), len(data))])).json()
            actions = batch["objects"][0].get("actions", {})
            if "upload" in actions:
                ask(self.hub, "PUT", actions["upload"]["href"], data)
            if self.random.random() < 0.3 and attempt < TRIES_MAX - 1:
                time.sleep(self.random.uniform(0.2, 0.8))
            try:
                self.change(path, [line])
            except Refused as refused:
                if not 400 <= refused.answer.status < 500:
                    raise
                self.repeats += 1
                self.uncertain.discard(path)
                continue
            self.files[path] = content
            self.uncertain.discard(path)
            self.pushes += 1
            return
        raise AssertionError(f"{path} could not be pushed in {TRIES_MAX} tries")

    def push_inline(self, path, content):
        data = self.contents[content][:INLINE_BYTES]
        heard(lambda: self.hub.commit(self.user.token, self.repo, {path: data}))
        self.files[path] = content
        self.pushes += 1

    def check(self, paths):
        for path in paths:
            answer = ask(self.hub, "GET", f"/{self.repo}/resolve/main/{path}", token=self.user.token)
            data = self.contents[self.files[path]]
            assert answer.body == (data if path.endswith(".bin") else data[:INLINE_BYTES]), f"{self.repo}/{path}: wrong bytes"

    def stop(self):
        self.stopping.set()
        self.join(300)
        assert not self.is_alive()
        assert self.failure is None, self.failure


def collect_until(stopping, hub, reports, failures):
    """`gc` in a loop, by the call the command makes."""
    while not stopping.is_set():
        try:
            operation = hub.operation("gc", grace_ms=GRACE_MS)
            assert operation["state"] == "done", operation
            reports.append(operation["result"])
        except Exception:  # also what a killed server causes
            if hub.is_running() and not stopping.is_set():
                failures.append(traceback.format_exc())
        stopping.wait(0.02)


def make_gardeners(hub, seed, round=0):
    contents = [random_bytes(f"{seed} content {i}", size) for i, size in enumerate(CONTENT_BYTES)]
    return [Gardener(hub, hub.make_user(f"gardener-{round}-{i}"), contents, f"{seed} {round} {i}") for i in range(CLIENTS)]


def run_beside_gc(hub, gardeners, seconds, end=lambda: None, enough=lambda reports: True):
    reports, failures, stopping = [], [], threading.Event()
    collector = threading.Thread(target=collect_until, args=(stopping, hub, reports, failures), daemon=True)
    for thread in [*gardeners, collector]:
        thread.start()
    time.sleep(seconds)
    eventually(lambda: enough(reports) or failures or any(gardener.failure for gardener in gardeners), 60, "enough has happened")
    stopping.set()
    end()
    collector.join(300)
    assert not collector.is_alive()
    for gardener in gardeners:
        gardener.stop()
    assert failures == []
    return reports


def check_gardens(gardeners):
    for gardener in gardeners:
        gardener.check(sorted(set(gardener.files) - gardener.uncertain))


def test_nothing_reachable_is_collected_while_clients_push_and_delete(hub, check_disk, seed):
    gardeners = make_gardeners(hub, seed)
    reports = run_beside_gc(hub, gardeners, SECONDS, enough=lambda reports: len(reports) > 10 and sum(g.pushes for g in gardeners) > 50
                            and any(report["xorbs_dropped"] for report in reports))
    pushes, repeats = sum(g.pushes for g in gardeners), sum(g.repeats for g in gardeners)
    print(f"{len(reports)} collections, {pushes} pushes, {repeats} commits repeated, "
          f"{sum(r['files_dropped'] for r in reports)} files and {sum(r['xorbs_dropped'] for r in reports)} xorbs dropped")
    check_gardens(gardeners)

    assert hub.stop() == 0, hub.tail()
    check_disk(hub)
    hub.start()
    check_gardens(gardeners)

    # Everybody leaves, and so do the bytes.
    for gardener in gardeners:
        cairn(hub, "repo", "delete", gardener.repo, "--yes")
    hub.operation("gc", grace_ms=0)
    hub.operation("gc", grace_ms=0)  # a second one takes volumes that the first has emptied
    stats = hub.stats()
    assert stats["stored_bytes"] < 300_000, stats
    assert hub.stop() == 0, hub.tail()
    check_disk(hub)


def test_nothing_is_lost_when_the_server_is_killed_while_it_collects(hub, check_disk, seed, chance):
    rounds = []
    for kill in range(KILLS):
        gardeners = make_gardeners(hub, seed, kill)
        rounds += gardeners
        run_beside_gc(hub, gardeners, chance.uniform(0.5, 3), end=hub.kill)
        hub.start()
        check_gardens(rounds)
    hub.operation("gc", grace_ms=0)
    check_gardens(rounds)
    assert hub.stop() == 0, hub.tail()
    check_disk(hub)
    hub.start()
    check_gardens(rounds)


def test_the_room_of_a_deleted_repository_is_given_back_to_the_disk(hub):
    user = hub.make_user("alice")
    kept, deleted = user.repo(), user.repo()
    files = {}
    for i in range(16):  # turn by turn, so that every volume holds some of both
        for repo in (kept, deleted):
            data = random_bytes(f"{repo} {i}", 6_000_000 if repo == deleted else 500_000)
            batch = hub.lfs_batch(user.token, repo, [(digest(data), len(data))]).json()
            assert hub.request("PUT", batch["objects"][0]["actions"]["upload"]["href"], data).status == 200
            line = {"path": f"{i}.bin", "algo": "sha256", "oid": digest(data), "size": len(data)}
            assert hub.commit(user.token, repo, [("lfsFile", line)]).status == 200
            if repo == kept:
                files[f"{i}.bin"] = data
    before_stored, before_disk = hub.stats()["stored_bytes"], disk_usage_bytes(hub)
    cairn(hub, "repo", "delete", deleted, "--yes")
    result = json.loads(cairn(hub, "gc", "--grace", "0", "--json"))["result"]
    assert result["bytes_freed"] >= 16 * 6_000_000
    assert before_stored - hub.stats()["stored_bytes"] >= 16 * 6_000_000
    cairn(hub, "gc", "--grace", "0")
    assert disk_usage_bytes(hub) <= before_disk - 64_000_000, (before_disk, disk_usage_bytes(hub))
    for path, data in files.items():
        assert hub.request("GET", f"/{kept}/resolve/main/{path}", token=user.token).body == data
    assert hub.stop() == 0, hub.tail()


class SlowRequest:
    """One whose body stops coming for a while."""

    def __init__(self, hub, method, path, body, token=None, type="application/octet-stream"):
        self.connection = connect(hub, 120)
        self.body, self.sent = body, 0
        bearer = f"Authorization: Bearer {token}\r\n" if token else ""
        path = path.removeprefix(hub.url)
        self.connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: hub\r\n{bearer}Content-Type: {type}\r\nContent-Length: {len(body)}\r\n\r\n".encode())

    def send(self, until):
        self.connection.sendall(self.body[self.sent:until])
        self.sent = until

    def finish(self):
        self.send(len(self.body))
        status, answer = read_answer(self.connection, 120)
        self.connection.close()
        return status, answer


def plant(hub, user, name, data):
    """A repository with one LFS object."""
    repo, oid = user.repo(), digest(data)
    upload = hub.lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0]["actions"]["upload"]
    assert hub.request("PUT", upload["href"], data).status == 200
    assert hub.commit(user.token, repo, [("lfsFile", {"path": name, "algo": "sha256", "oid": oid, "size": len(data)})]).status == 200
    return repo


def test_uploads_that_take_long_are_not_waited_for_and_lose_nothing(hub, check_disk):
    user = hub.make_user("alice")
    dead, shared, own = random_bytes("dead", 60_000_000), random_bytes("shared", 9_000_000), random_bytes("own", 5_000_000)
    waste, source, repo = plant(hub, user, "dead.bin", dead), plant(hub, user, "shared.bin", shared), user.repo()
    data = shared + own
    oid = digest(data)
    href = hub.lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0]["actions"]["upload"]["href"]
    put = SlowRequest(hub, "PUT", href, data)
    put.send(len(shared) + 1_000_000)
    inline = {f"{i}.bin": random_bytes(f"inline {i}", 700_000) for i in range(3)}
    lines = [json.dumps({"key": "header", "value": {"summary": "slowly"}})] + [json.dumps({"key": "file", "value": {
        "path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}}) for path, content in inline.items()]
    commit = SlowRequest(hub, "POST", f"/api/models/{repo}/commit/main", "\n".join(lines).encode(), user.token, "application/x-ndjson")
    commit.send(len(commit.body) - 300_000)  # within the last line
    time.sleep(0.5)
    for gone in (waste, source):
        cairn(hub, "repo", "delete", gone, "--yes")

    done = hub.operation("gc", grace_ms=0, any_grace=True)
    assert done["state"] == "done", done
    assert done["result"]["bytes_freed"] >= len(dead) and done["result"]["volumes_compacted"] > 0, done
    put.send(len(data) - 1_000_000)
    assert hub.operation("gc", grace_ms=0, any_grace=True)["state"] == "done"

    assert put.finish()[0] == 200
    status, answer = commit.finish()
    assert status == 200, answer
    assert hub.commit(user.token, repo, [("lfsFile", {"path": "long.bin", "algo": "sha256", "oid": oid, "size": len(data)})]).status == 200
    assert hub.operation("gc", grace_ms=0, any_grace=True)["state"] == "done"
    for path, content in {"long.bin": data, **inline}.items():
        assert hub.request("GET", f"/{repo}/resolve/main/{path}", token=user.token).body == content, path
    assert hub.stop() == 0, hub.tail()
    check_disk(hub)


def test_a_dry_run_changes_nothing(hub):
    user = hub.make_user("alice")
    repo = user.repo()
    assert hub.commit(user.token, repo, {"a.txt": random_bytes("dry", 900_000)}).status == 200
    cairn(hub, "repo", "delete", repo, "--yes")
    keys = ("chunks", "xorbs", "files", "volumes", "stored_bytes", "disk_bytes", "raw_bytes", "logical_bytes")

    def state():
        stats = hub.stats()
        return {key: stats[key] for key in keys}, {path.name: digest(path.read_bytes()) for path in volume_files(hub)}

    before = state()
    planned = json.loads(cairn(hub, "gc", "--dry-run", "--grace", "0", "--json"))["result"]
    assert planned["bytes_freed"] >= 900_000
    assert state() == before
    done = json.loads(cairn(hub, "gc", "--grace", "0", "--json"))["result"]
    assert done["bytes_freed"] == planned["bytes_freed"]
    assert hub.stop() == 0, hub.tail()


def test_what_a_dedup_answer_names_may_be_leant_on_for_as_long_as_the_answer_holds(tmp_path):
    """Clients keep an answer for a week. Meanwhile everybody may delete the files it was made of, and garbage be collected."""
    day_ms, clock = 24 * 3600 * 1000, tmp_path / "clock"
    hub = Hub(tmp_path / "data")
    hub.environment = {"LD_PRELOAD": str(BUILD / "libclock_fault.so"), "CLOCK_FAULT": str(clock)}

    def on_day(day):
        """What is told about time is never taken back, so a jump is a restart."""
        if hub.is_running():
            assert hub.stop() == 0, hub.tail()
        clock.write_text(str(day * day_ms))
        hub.start()

    def register(file, xorb):
        return hub.request("POST", "/v1/shards", shard([file], [xorb]), token=hub.xet_token(user.token, second)["accessToken"])

    on_day(0)
    try:
        user = hub.make_user("alice")
        first, second = user.repo(), user.repo()
        asked, unasked = random_xorb("asked", 5), random_xorb("unasked", 5)
        token = hub.xet_token(user.token, first)["accessToken"]
        for xorb in (asked, unasked):
            assert hub.request("POST", xorb.path, xorb.body, token=token).status == 200
            assert hub.request("POST", "/v1/shards", shard([File([(xorb, 0, 5)])], [xorb]), token=token).status == 200
        on_day(20)
        token = hub.xet_token(user.token, first)["accessToken"]
        answer = hub.request("GET", f"/v1/chunks/default/{text(asked.hashes[0])}", token=token)
        assert answer.status == 200 and asked.hash in answer.body
        on_day(26)
        assert hub.operation("gc")["result"]["xorbs_dropped"] == 1
        assert register(File([(unasked, 0, 5)]), unasked).status == 400
        assert register(File([(asked, 0, 4)]), asked).status == 200
        on_day(60)
        assert hub.operation("gc")["result"]["xorbs_dropped"] == 1
        assert register(File([(asked, 0, 3)]), asked).status == 400
        assert hub.stop() == 0, hub.tail()
    finally:
        if hub.is_running():
            hub.kill()

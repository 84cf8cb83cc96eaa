"""Bits that flip and tails that tear: what is damaged is never handed out as if it were right, is named, and nothing else suffers."""
import http.client
import json
import re
import shutil

import pytest

from chaos_proxy import eventually
from git_client import Git, GitError
from git_work import ZERO, pack_of, receive_pack, report_of
from hub_process import cairn
from ledger import digest
from samples import random_bytes
from volumes import find_bytes, flip_bit, newest_written, overwrite
from xet_wire import File, Xorb, random_xorb, shard, text

SIZE = 3_000_000
XORB_BYTES_MAX = 64 << 20
DAMAGED = "are damaged: upload it again"
BLOCK_BYTES = 4096  # what is written together begins in a block of its own


class Library:
    """Files of one repository, by every way in."""

    def __init__(self, hub, name):
        self.hub = hub
        self.user = hub.make_user(name)
        self.repo = self.user.repo()
        self.files = {}

    def push_lfs(self, path, data):
        self.put(data)
        answer = self.hub.commit(self.user.token, self.repo, [
            ("lfsFile", {"path": path, "algo": "sha256", "oid": digest(data), "size": len(data)})])
        assert answer.status == 200, answer
        self.files[path] = data

    def put(self, data):
        entry = self.hub.lfs_batch(self.user.token, self.repo, [(digest(data), len(data))]).json()["objects"][0]
        if "actions" in entry:
            answer = self.hub.request("PUT", entry["actions"]["upload"]["href"], data)
            assert answer.status == 200, answer

    def push_inline(self, path, data):
        answer = self.hub.commit(self.user.token, self.repo, {path: data})
        assert answer.status == 200, answer
        self.files[path] = data

    def register_xet(self, data, sha256=True):
        """As a client sends it that cuts its chunks elsewhere than this server does."""
        token = self.hub.xet_token(self.user.token, self.repo)["accessToken"]
        xorb = Xorb([data[at:at + 50_000] for at in range(0, len(data), 50_000)])
        file = File([(xorb, 0, len(xorb.chunks))], sha256)
        assert self.hub.request("POST", xorb.path, xorb.body, token=token).status == 200
        assert self.hub.request("POST", "/v1/shards", shard([file], [xorb]), token=token).status == 200

    def push_xet(self, path, seed):
        token = self.hub.xet_token(self.user.token, self.repo)["accessToken"]
        xorb = random_xorb(seed, 20, 60_000)
        file = File([(xorb, 0, 20)])
        assert self.hub.request("POST", xorb.path, xorb.body, token=token).status == 200
        assert self.hub.request("POST", "/v1/shards", shard([file], [xorb]), token=token).status == 200
        answer = self.hub.commit(self.user.token, self.repo, [
            ("lfsFile", {"path": path, "algo": "sha256", "oid": file.oid, "size": len(file.data)})])
        assert answer.status == 200, answer
        self.files[path] = file.data
        return file

    def get(self, path, headers=None):
        """(status, body); None for the body when the connection was cut."""
        try:
            answer = self.hub.request("GET", f"/{self.repo}/resolve/main/{path}", token=self.user.token, headers=headers)
        except (http.client.IncompleteRead, ConnectionError):
            return 200, None
        return answer.status, answer.body

    def is_loud(self, path):
        """Whether a download fails so that nobody can take it for the file."""
        status, body = self.get(path)
        if status == 200 and body is not None:
            assert body == self.files[path], f"{path}: wrong bytes were handed out with status 200"
            return False
        assert body is None or status >= 500, (path, status, body)
        return True

    def check(self, but=()):
        for path, data in self.files.items():
            if path not in but:
                status, body = self.get(path)
                assert status == 200 and body == data, f"{path}: {status}"

    def xorbs(self, path):
        """Hashes of the xorbs that hold a file."""
        hash = self.hub.request("HEAD", f"/{self.repo}/resolve/main/{path}", token=self.user.token).headers["x-xet-hash"]
        token = self.hub.xet_token(self.user.token, self.repo, "read")["accessToken"]
        plan = self.hub.request("GET", f"/v1/reconstructions/{hash}", token=token).json()
        return {term["hash"] for term in plan["terms"]}


@pytest.fixture
def library(hub):
    library = Library(hub, "alice")
    library.push_inline("first.txt", b"the first file\n")
    library.push_lfs("large.bin", random_bytes("large", SIZE))
    library.push_xet("xet.bin", "library")
    library.push_inline("inline.txt", random_bytes("inline", 200_000))
    library.push_lfs("other.bin", random_bytes("other", SIZE))
    return library


def damage(hub, data, at):
    """Flips a bit of stored content; where it stands."""
    places = find_bytes(hub, data[at:at + 64])
    assert len(places) == 1, f"content stands at {places}"
    path, offset = places[0]
    flip_bit(path, offset + 7)
    return path, offset + 7


def assert_named(findings, path, offset, xorbs):
    """One of the findings says which volume, near which offset, and which object."""
    number = re.sub(r"^\D*0*", "", path.stem) or "0"
    for finding in findings:
        numbers = {int(word) for word in re.findall(r"\d+", re.sub(r"[0-9a-f]{64}", "", finding))}
        near = any(offset - XORB_BYTES_MAX <= place <= offset for place in numbers - {int(number)} if place > 0) or offset in numbers
        if (path.name in finding or int(number) in numbers) and near and any(xorb in finding for xorb in xorbs):
            return
    raise AssertionError(f"nothing names {path.name} near {offset} with one of {xorbs}: {findings}")


@pytest.mark.parametrize("victim, at", [("large.bin", 100_000), ("xet.bin", 500_000), ("inline.txt", 150_000), ("large.bin", SIZE - 1000)])
def test_a_flipped_bit_is_never_handed_out_and_is_named(hub, library, fsck, victim, at):
    xorbs = library.xorbs(victim) if victim.endswith(".bin") else {""}
    assert hub.stop() == 0, hub.tail()
    path, offset = damage(hub, library.files[victim], at)
    hub.start()

    for _ in range(2):  # nor when it is asked for again
        assert library.is_loud(victim)
    status, body = library.get(victim, {"Range": f"bytes={at}-{at + 999}"})
    assert body is None or status >= 500, status
    library.check(but=[victim])

    found = json.loads(cairn(hub, "scrub", "--json", status=2))["result"]
    assert found["corrupt"] == 1, found
    assert_named(found["findings"], path, offset, xorbs)
    assert hub.is_running() and hub.stop() == 0, hub.tail()
    report = fsck(hub, status=2)
    assert report["corrupt"] == 1, report
    assert_named(report["findings"], path, offset, xorbs)


def test_the_rest_of_a_damaged_file_can_still_be_read(hub, library):
    assert hub.stop() == 0, hub.tail()
    damage(hub, library.files["large.bin"], 2_000_000)
    hub.start()
    status, body = library.get("large.bin", {"Range": "bytes=0-999999"})
    assert status == 206 and body == library.files["large.bin"][:1_000_000]


def test_a_flipped_bit_is_not_handed_out_to_xet_clients(hub, library):
    file = library.push_xet("victim.bin", "victim")
    assert hub.stop() == 0, hub.tail()
    damage(hub, file.data, 330_000)
    hub.start()
    token = hub.xet_token(library.user.token, library.repo, "read")["accessToken"]
    plan = hub.request("GET", f"/v2/reconstructions/{text(file.hash)}", token=token)
    if plan.status >= 500:
        return
    xorb = file.terms[0][0]
    loud = 0
    for entry in plan.json()["xorbs"][text(xorb.hash)]:
        for piece in entry["ranges"]:
            begin, end = piece["bytes"]["start"], piece["bytes"]["end"]
            try:
                answer = hub.request("GET", entry["url"], headers={"Range": f"bytes={begin}-{end}"})
            except (http.client.IncompleteRead, ConnectionError):
                loud += 1
                continue
            if answer.status >= 500:
                loud += 1
            else:
                assert answer.body == xorb.body[begin:end + 1], "wrong bytes were handed out"
    assert loud == 1


def test_a_flipped_bit_anywhere_is_found_or_matters_to_nobody(hub, library, fsck, chance):
    """Not only in content: heads of records, shards, packs. The server starts or says why not, and no wrong byte leaves it."""
    assert hub.stop() == 0, hub.tail()
    path, end = newest_written(hub)
    sound = path.read_bytes()
    for _ in range(12):
        offset = chance.randrange(end)
        flip_bit(path, offset, chance.randrange(8))
        print(f"{path.name} at {offset} of {end}")
        # The zeros between one record and the next belong to neither.
        is_padding = sound[offset] == 0 and fsck(hub, status=(0, 2))["findings"] == []
        if not is_padding:
            report = fsck(hub, status=2)
            assert report["corrupt"] + report["missing"] >= 1, (offset, report)
            assert any(path.name in finding or path.stem in finding for finding in report["findings"]), (offset, report)
        try:
            hub.start()
        except RuntimeError as error:
            assert not is_padding and "cairnd:" in str(error)
        else:
            for name in library.files:
                status, body = library.get(name)
                assert status >= 400 or body is None or body == library.files[name], f"{name}: wrong bytes were handed out"
            if is_padding:
                library.check()
            assert hub.is_running() and hub.stop() == 0, hub.tail()
        overwrite(path, offset, sound[offset:offset + 1])  # whatever was written since lies behind
    hub.start()
    library.check()


def test_the_other_repositories_live_on_when_one_is_damaged(hub, library):
    other = Library(hub, "bob")
    other.push_lfs("bob.bin", random_bytes("bob", SIZE))
    other.push_inline("bob.txt", b"bob\n")
    assert hub.stop() == 0, hub.tail()
    damage(hub, library.files["large.bin"], 100_000)
    damage(hub, library.files["xet.bin"], 100_000)
    hub.start()
    assert library.is_loud("large.bin") and library.is_loud("xet.bin")
    other.check()
    other.push_lfs("more.bin", random_bytes("more", SIZE))
    library.push_inline("more.txt", b"more\n")
    library.check(but=["large.bin", "xet.bin"])
    other.check()


@pytest.mark.parametrize("length", [1, 100, 70_000])
def test_garbage_behind_the_last_record_is_cut_off(hub, library, check_disk, length):
    """What a write leaves that was under way when the process died."""
    hub.kill()
    path, end = newest_written(hub)
    overwrite(path, end + -end % BLOCK_BYTES, random_bytes("garbage", length))
    hub.start()
    library.check()
    library.push_lfs("after.bin", random_bytes("after", SIZE))
    library.push_inline("after.txt", b"after\n")
    hub.kill()
    hub.start()
    library.check()
    assert hub.stop() == 0, hub.tail()
    check_disk(hub)
    hub.start()
    library.check()


@pytest.mark.parametrize("how", ["cut", "overwritten"])
def test_a_torn_last_record_costs_nothing_but_itself(hub, library, check_disk, how):
    last = random_bytes("last", SIZE)
    library.put(last)
    hub.kill()
    path, end = newest_written(hub)
    if how == "cut":
        with open(path, "r+b") as file:
            file.truncate(end - 100)
    else:
        overwrite(path, end - 100, random_bytes("garbage", 100))
    hub.start()
    library.check()
    # The object may be gone; if it is still said to be there, it is either right or fails loudly. Sent again it is right.
    entry = hub.lfs_batch(library.user.token, library.repo, [(digest(last), len(last))], "download").json()["objects"][0]
    if "actions" in entry:
        try:
            answer = hub.request("GET", entry["actions"]["download"]["href"])
            assert answer.status >= 500 or digest(answer.body) == digest(last)
        except (http.client.IncompleteRead, ConnectionError):
            pass
    library.push_lfs("last.bin", last)
    library.push_lfs("after.bin", random_bytes("after", SIZE))
    library.check()
    hub.kill()
    hub.start()
    library.check()
    assert hub.stop() == 0, hub.tail()
    check_disk(hub)  # a torn tail is no damage: nobody was told that it is there


def test_an_index_that_is_lost_is_made_again(hub, library, fsck):
    assert hub.stop() == 0, hub.tail()
    shutil.rmtree(hub.data_dir / "store" / "index")
    hub.start()
    library.check()
    library.push_lfs("after.bin", random_bytes("after", SIZE))
    library.check()
    assert hub.stop() == 0, hub.tail()


@pytest.mark.parametrize("noticed_by", ["rebuild", "scrub", "reader"])
def test_what_was_damaged_is_whole_again_once_it_is_sent_again(hub, library, fsck, check_disk, noticed_by):
    """Once damage has been noticed, what is lost counts as not stored: whoever sends it repairs it for all."""
    file = library.push_xet("victim.bin", "victim")
    assert hub.stop() == 0, hub.tail()
    damage(hub, library.files["large.bin"], 100_000)
    damage(hub, file.data, 330_000)
    if noticed_by == "rebuild":
        report = fsck(hub, "--rebuild-index", status=2)
        assert report["missing"] == 2, report
    hub.start()
    if noticed_by == "scrub":
        assert hub.operation("scrub")["result"]["corrupt"] == 2
    library.check(but=["large.bin", "victim.bin"])
    for path in ("large.bin", "victim.bin"):
        status, body = library.get(path)
        assert status >= 400 or body is None
    other = Library(hub, "bob")
    other.push_lfs("mine.bin", library.files["large.bin"])
    other.push_xet("mine-too.bin", "victim")
    library.check()
    other.check()
    assert hub.stop() == 0, hub.tail()
    check_disk(hub)


@pytest.fixture
def damaged(hub, library):
    """The content of large.bin, of which one bit is known to have flipped."""
    assert hub.stop() == 0, hub.tail()
    damage(hub, library.files["large.bin"], 100_000)
    hub.start()
    assert hub.operation("scrub")["result"]["corrupt"] == 1
    assert library.is_loud("large.bin")
    return library.files["large.bin"]


def read_again(library, path):
    """Reads an old name until it leads to what is whole now."""
    eventually(lambda: not library.is_loud(path), 30, f"{path} is whole")


def test_a_damaged_object_is_healed_by_a_client_that_cuts_other_chunks(hub, library, damaged):
    library.register_xet(damaged)
    read_again(library, "large.bin")
    answer = hub.commit(library.user.token, library.repo, [
        ("lfsFile", {"path": "again.bin", "algo": "sha256", "oid": digest(damaged), "size": len(damaged)})])
    assert answer.status == 200, answer
    library.files["again.bin"] = damaged
    assert "actions" not in hub.lfs_batch(library.user.token, library.repo, [(digest(damaged), len(damaged))]).json()["objects"][0]
    assert hub.operation("gc", grace_ms=0)["state"] == "done"
    library.check()
    assert hub.stop() == 0, hub.tail()
    hub.start()
    library.check()


def test_garbage_collection_keeps_a_whole_copy_that_no_commit_has_asked_for_yet(hub, library, damaged):
    library.register_xet(damaged)
    assert hub.operation("gc", grace_ms=0)["state"] == "done"
    read_again(library, "large.bin")
    library.check()


def test_damage_does_not_make_a_false_digest_true(hub, library, damaged):
    library.register_xet(random_bytes("lie", SIZE), bytes.fromhex(digest(damaged)))
    assert library.is_loud("large.bin")
    objects = [(digest(damaged), len(damaged))]
    assert "actions" in hub.lfs_batch(library.user.token, library.repo, objects).json()["objects"][0]
    answer = hub.commit(library.user.token, library.repo, [
        ("lfsFile", {"path": "again.bin", "algo": "sha256", "oid": digest(damaged), "size": len(damaged)})])
    assert answer.status == 422 and DAMAGED in answer.body.decode(), answer
    library.put(damaged)
    library.check()


@pytest.fixture
def unnamed(library):
    """A repository that has the content of large.bin, and no path that leads to it yet."""
    repo = library.user.repo()
    data = library.files["large.bin"]
    assert "actions" not in library.hub.lfs_batch(library.user.token, repo, [(digest(data), len(data))]).json()["objects"][0]
    return repo


def pointer(data):
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest(data)}\nsize {len(data)}\n"


def test_damaged_content_gets_no_further_name(hub, library, unnamed, damaged):
    oid, token, bucket = digest(damaged), library.user.token, f"{library.user.name}/box"
    entry = hub.lfs_batch(token, unnamed, [(oid, len(damaged))]).json()["objects"][0]
    xet = hub.request("HEAD", f"/{library.repo}/resolve/main/large.bin", token=token).headers["x-xet-hash"]
    assert hub.request("POST", f"/api/buckets/{bucket}", {}, token=token).status == 200

    def commit():
        return hub.commit(token, unnamed, [("lfsFile", {"path": "again.bin", "algo": "sha256", "oid": oid, "size": len(damaged)})])

    def verify():
        return hub.request("POST", entry["actions"]["verify"]["href"], {"oid": oid, "size": len(damaged)})

    def duplicate(**more):
        return hub.request("POST", f"/api/models/{library.repo}/lfs-files/duplicate", {
            "target": {"type": "model", "name": unnamed}, "files": [{"sha256": oid, "filename": "x", **more}]}, token=token)

    def copy():
        line = {"type": "copyFile", "path": "p", "xetHash": xet, "sourceRepoType": "model", "sourceRepoId": library.repo}
        return hub.request("POST", f"/api/buckets/{bucket}/batch", (json.dumps(line) + "\n").encode(), token=token)
    ways = [(commit, 422), (verify, 422), (duplicate, 207), (lambda: duplicate(xetHash=xet), 207), (copy, 422)]
    for way, status in ways:
        answer = way()
        assert answer.status == status and DAMAGED in answer.body.decode(), answer
    library.put(damaged)
    for way, _ in ways:
        assert way().status == 200


@pytest.mark.parametrize("how", ["a pointer", "another path"])
def test_damaged_content_gets_no_further_name_by_a_push(hub, library, unnamed, damaged, tmp_path, how):
    repo = unnamed if how == "a pointer" else library.repo
    git = Git(hub, tmp_path, library.user.name, library.user.token)
    work = git.clone(repo)
    (work / "again.bin").write_text(pointer(damaged))
    git.run("add", ".", cwd=work)
    git.run("commit", "-m", "again", cwd=work)
    with pytest.raises(GitError) as refused:
        git.run("push", "origin", "HEAD:main", cwd=work)
    said = refused.value.said
    assert f"error: again.bin: the stored bytes of the LFS object {digest(damaged)} {DAMAGED}" in said and "LFS objects are missing or damaged" in said, said
    assert "git lfs push --all" in said
    library.put(damaged)
    git.run("push", "origin", "HEAD:main", cwd=work)


def test_a_push_goes_on_from_history_that_was_damaged_since(hub, library, damaged, tmp_path):
    git = Git(hub, tmp_path, library.user.name, library.user.token)
    work = git.clone(library.repo)
    old = git.run("rev-parse", "HEAD", cwd=work).strip()
    (work / "first.txt").write_text("changed")
    git.run("commit", "-a", "-m", "changed", cwd=work)
    git.run("push", "origin", "HEAD:edited", cwd=work)
    git.run("push", "origin", "--delete", "edited", cwd=work)
    # The clone knows no commit that a ref leads to, and sends everything once more.
    library.push_inline("more.txt", b"more")
    git.run("push", "origin", f"{old}:refs/heads/old", cwd=work)
    git.run("push", "origin", "--delete", "old", cwd=work)
    # A commit that no ref reaches, all of which is looked at.
    new = git.run("rev-parse", "HEAD", cwd=work).strip()
    lines, said = report_of(receive_pack(hub, library.repo, library.user.token, [(ZERO, new, "refs/heads/again")], pack_of([])))
    assert lines == ["unpack ok", "ok refs/heads/again"], said


def test_a_damaged_object_is_taken_from_another_repository_that_has_it_whole(hub, library, damaged):
    other = Library(hub, "bob")
    other.register_xet(damaged)
    answer = hub.commit(other.user.token, other.repo, [
        ("lfsFile", {"path": "mine.bin", "algo": "sha256", "oid": digest(damaged), "size": len(damaged)})])
    assert answer.status == 200, answer
    assert "actions" not in hub.lfs_batch(library.user.token, library.repo, [(digest(damaged), len(damaged))]).json()["objects"][0]
    read_again(library, "large.bin")
    library.check()


def test_the_server_scrubs_by_itself(hub, library):
    def counts():
        text = hub.request("GET", "/metrics", token=hub.admin_token).body.decode()
        return {name: int(value) for name, value in re.findall(r"^cairn_store_(scrubs|scrub_corrupt)_total (\d+)$", text, re.MULTILINE)}

    assert hub.stop() == 0, hub.tail()
    damage(hub, library.files["large.bin"], 100_000)
    hub.flags += ["--scrub-every", "1s"]
    hub.start()
    eventually(lambda: counts()["scrubs"] > 0, 60, "a scrub")
    assert counts()["scrub_corrupt"] >= 1
    assert "cairn: scrub: volume" in hub.tail()
    library.put(library.files["large.bin"])  # is taken, though the store had it
    library.check()

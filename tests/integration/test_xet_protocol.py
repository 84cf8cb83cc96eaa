"""The CAS calls by hand: what is right is kept, what is wrong is refused by name and leaves nothing behind."""
import hashlib

import lz4.frame
import pytest

import xet_wire
from xet_wire import BG4_LZ4, LZ4, NONE, File, Xorb, chunk_bytes, random_xorb, shard, text


class Cas:
    """One repository and the tokens for it."""

    def __init__(self, hub, user):
        self.hub = hub
        self.user = user
        self.repo = user.repo()
        self.write = hub.xet_token(user.token, self.repo, "write")["accessToken"]
        self.read = hub.xet_token(user.read_token, self.repo, "read")["accessToken"]

    def post(self, xorb, body=None, path=None, token=None):
        return self.hub.request("POST", path or xorb.path, xorb.body if body is None else body, token=token or self.write)

    def register(self, *arguments, **more):
        return self.hub.request("POST", "/v1/shards", shard(*arguments, **more), token=self.write)

    def has_xorb(self, xorb):
        return self.hub.has_xorb(xorb)

    def sees_xorb(self, xorb):
        return self.hub.request("HEAD", xorb.path, token=self.read).status == 200

    def knows(self, file):
        return self.hub.request("GET", f"/v1/reconstructions/{text(file.hash)}", token=self.read).status == 200

    def commit(self, path, file, size=None):
        return self.hub.commit(self.user.token, self.repo, [("lfsFile", {
            "path": path, "algo": "sha256", "oid": file.oid, "size": len(file.data) if size is None else size})])

    def download(self, path):
        return self.hub.request("GET", f"/{self.repo}/resolve/main/{path}", token=self.user.read_token)


@pytest.fixture
def cas(hub, user):
    return Cas(hub, user)


@pytest.mark.parametrize("scheme", [NONE, LZ4, BG4_LZ4])
def test_a_xorb_and_a_shard_make_a_file(cas, scheme):
    xorb = Xorb([b"stones mark the way " * 500 + bytes([scheme, i]) * i for i in range(1, 40)], scheme)
    answer = cas.post(xorb)
    assert answer.status == 200 and answer.json() == {"was_inserted": True}
    file = File([(xorb, 3, 20), (xorb, 0, 5)])
    assert cas.register([file], [xorb]).json() == {"result": 1}
    assert cas.post(xorb).json() == {"was_inserted": False}
    assert cas.register([file], [xorb]).json() == {"result": 0}
    assert cas.commit("file.bin", file).status == 200
    assert cas.download("file.bin").body == file.data


def test_a_file_is_put_together_from_its_plan(hub, cas):
    """As a Xet client reads: plan, ranges of xorbs by signed address, chunks, bytes."""
    one, two = random_xorb("plan one", 5), random_xorb("plan two", 4, scheme=LZ4)
    cas.post(one), cas.post(two)
    file = File([(one, 1, 4), (two, 0, 4), (one, 0, 2)])
    cas.register([file], [one, two])
    plan = hub.request("GET", f"/v2/reconstructions/{text(file.hash)}", token=cas.read, headers={"Range": "bytes=25000-130000"}).json()
    out = b""
    for term in plan["terms"]:
        xorb = {text(one.hash): one, text(two.hash): two}[term["hash"]]
        out += b"".join(xorb.chunks[term["range"]["start"]:term["range"]["end"]])
    assert out[plan["offset_into_first_range"]:][:105_001] == file.data[25_000:130_001]
    for hash, entries in plan["xorbs"].items():
        xorb = {text(one.hash): one, text(two.hash): two}[hash]
        for entry in entries:
            for piece in entry["ranges"]:
                begin, end = piece["bytes"]["start"], piece["bytes"]["end"]
                got = hub.request("GET", entry["url"], headers={"Range": f"bytes={begin}-{end}"})
                assert got.status == 206 and got.body == xorb.body[begin:end + 1]
                # The permission is for these bytes of this xorb and holds no longer when anything of it is changed.
                damaged = entry["url"][:-3] + ("AAA" if not entry["url"].endswith("AAA") else "BBB")
                assert hub.request("GET", damaged, headers={"Range": f"bytes={begin}-{end}"}).status == 403
    beyond = hub.request("GET", f"/v2/reconstructions/{text(file.hash)}", token=cas.read, headers={"Range": f"bytes={len(file.data)}-"})
    assert beyond.status == 416


def test_every_spelling_of_the_calls_is_served(hub, cas):
    for n, (xorb_path, shard_path) in enumerate([("/v1/xorbs/default/", "/v1/shards"), ("/xorbs/default/", "/shards"),
                                                 ("/xorb/default/", "/shard/default/" + "0" * 64)]):
        xorb = random_xorb(f"spelling {n}")
        file = File([(xorb, 0, 3)])
        assert cas.post(xorb, path=xorb_path + text(xorb.hash)).json() == {"was_inserted": True}
        assert hub.request("POST", shard_path, shard([file], [xorb]), token=cas.write).json() == {"result": 1}
        for path in ("/v1/reconstructions/", "/reconstructions/", "/reconstruction/"):
            plan = hub.request("GET", path + text(file.hash), token=cas.read)
            assert plan.status == 200 and plan.json()["terms"], path
    assert hub.request("POST", "/v2/shards", shard(), token=cas.write).status in (404, 501)


def in_pieces(data, length=50_000):
    """A body whose length is not announced."""
    for at in range(0, len(data), length):
        yield data[at:at + length]


def test_bodies_of_unannounced_length_are_taken(hub, cas):
    xorb = random_xorb("in pieces", 6, 60_000)
    file = File([(xorb, 0, 6)])
    cut = cas.post(xorb, in_pieces(xorb.body[:-1]))
    assert cut.status == 400 and not cas.has_xorb(xorb)
    assert cas.post(xorb, in_pieces(xorb.body)).json() == {"was_inserted": True}
    assert hub.request("POST", "/v1/shards", in_pieces(shard([file], [xorb])), token=cas.write).json() == {"result": 1}
    assert cas.post(xorb, in_pieces(xorb.body)).json() == {"was_inserted": False}
    assert cas.commit("file.bin", file).status == 200
    assert cas.download("file.bin").body == file.data


def bomb():
    """Says 1000 bytes, holds ten million."""
    return chunk_bytes(None, LZ4, raw_length=1000, payload=lz4.frame.compress(bytes(10_000_000)))


GOOD = random_xorb("good")
SMALL = b"0123456789"
BAD_BODIES = {
    "no body": b"",
    "half a chunk": GOOD.body[:-1],
    "half a header": GOOD.body + b"\0\1\2",
    "other content": random_xorb("other").body,
    "one chunk short": GOOD.body[:-len(chunk_bytes(GOOD.chunks[-1]))],
    "one chunk more": GOOD.body + chunk_bytes(SMALL),
    "another version": chunk_bytes(SMALL, version=1),
    "an unknown scheme": chunk_bytes(SMALL, 3, payload=SMALL),
    "the scheme of clients' insides": chunk_bytes(SMALL, 99, payload=SMALL),
    "a chunk of nothing": chunk_bytes(b""),
    "a chunk over 128 KiB": chunk_bytes(bytes(131_073)),
    "raw bytes of another length": chunk_bytes(SMALL, raw_length=9),
    "compressed bytes of another length": chunk_bytes(None, LZ4, raw_length=9, payload=lz4.frame.compress(SMALL)),
    "no LZ4 frame": chunk_bytes(None, LZ4, raw_length=10, payload=b"nothing of the kind"),
    "a bomb": bomb(),
    "a payload that never ends": chunk_bytes(None, NONE, raw_length=10, payload=b"")[:1] + b"\xff\xff\xff" + b"\0\x0a\0\0" + SMALL,
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_xorb_is_refused(hub, cas, name):
    before = hub.stats()
    refused = cas.post(GOOD, BAD_BODIES[name])
    assert refused.status == 400, refused
    assert refused.json()["error"]
    assert not cas.has_xorb(GOOD)
    after = hub.stats()
    assert (after["xorbs"], after["chunks"], after["raw_bytes"]) == (before["xorbs"], before["chunks"], before["raw_bytes"])


def test_a_xorb_of_8192_chunks_is_taken_and_one_more_is_not(cas):
    chunks = [b"chunk %d" % i for i in range(8193)]
    full, over = Xorb(chunks[:8192]), Xorb(chunks)
    assert cas.post(full).status == 200
    assert cas.post(over).status == 413
    assert cas.has_xorb(full) and not cas.has_xorb(over)


def test_a_xorb_over_the_size_limit_is_refused_before_it_is_read(cas):
    huge = cas.hub.request("POST", GOOD.path, b"", token=cas.write, headers={"Content-Length": str(200 << 20), "Expect": "100-continue"},
                           timeout=30)
    assert huge.status == 413


@pytest.mark.parametrize("path", ["/v1/xorbs/default/" + "0" * 63, "/v1/xorbs/default/" + "g" * 64, "/v1/xorbs/default/" + "0" * 65])
def test_an_address_that_is_no_hash_is_refused(cas, path):
    assert cas.post(GOOD, path=path).status == 400


def test_upper_case_addresses_name_the_same_xorb(cas):
    xorb = random_xorb("upper")
    assert cas.post(xorb, path="/v1/xorbs/default/" + text(xorb.hash).upper()).status == 200
    assert cas.has_xorb(xorb)


KNOWN = random_xorb("known", 6)
ABSENT = random_xorb("absent", 3)
KNOWN_FILE = File([(KNOWN, 1, 4)])
WHOLE = shard([KNOWN_FILE], [KNOWN])
BAD_SHARDS = {
    "an empty body": b"",
    "half a header": WHOLE[:40],
    "another tag": b"x" + WHOLE[1:],
    "another version": WHOLE[:32] + b"\3" + WHOLE[33:],
    "a strange footer size": WHOLE[:40] + b"\7" + WHOLE[41:],
    "no end": WHOLE[:-48],
    "a record cut": WHOLE[:-20],
    "bytes behind the end": WHOLE + bytes(48),
    "more terms than bytes": shard([KNOWN_FILE.block()[:36] + b"\xff\xff\xff\xff" + KNOWN_FILE.block()[40:]]),
    "an absent xorb in a term": shard([File([(ABSENT, 0, 2)])]),
    "an absent xorb listed": shard([KNOWN_FILE], [KNOWN, ABSENT]),
    "a chunk list that is not the xorb's": shard([], [KNOWN.hash + Xorb(KNOWN.chunks[::-1]).block()[32:]]),
    "chunks beyond the xorb": shard([KNOWN_FILE.block(last_chunk=7)]),
    "an empty term": shard([KNOWN_FILE.block(last_chunk=1)]),
    "a wrong length": shard([KNOWN_FILE.block(unpacked=KNOWN_FILE.data.__len__() - 1)]),
    "no verification": shard([KNOWN_FILE.block(verification=False)]),
    "a wrong verification": shard([KNOWN_FILE.block(verification_hash=bytes(31) + b"\1")]),
    "another file hash": shard([KNOWN_FILE.block(hash=b"\5" * 32)]),
    "no terms and a hash": shard([KNOWN_FILE.hash + bytes.fromhex("000000c0") + bytes(12) + xet_wire.swapped(KNOWN_FILE.sha256) + bytes(16)]),
}


@pytest.mark.parametrize("name", BAD_SHARDS)
def test_a_bad_shard_is_refused_whole(hub, cas, name):
    assert cas.post(KNOWN).status == 200
    before = hub.stats()["files"]
    refused = hub.request("POST", "/v1/shards", BAD_SHARDS[name], token=cas.write)
    assert refused.status == 400, refused
    assert refused.json()["error"]
    assert not cas.knows(KNOWN_FILE)
    assert hub.stats()["files"] == before


def test_one_bad_file_keeps_the_good_ones_of_its_shard_out(cas):
    cas.post(KNOWN)
    refused = cas.hub.request("POST", "/v1/shards", shard([KNOWN_FILE, File([(ABSENT, 0, 2)])], [KNOWN]), token=cas.write)
    assert refused.status == 400
    assert not cas.knows(KNOWN_FILE)


@pytest.mark.parametrize("footer", [(1).to_bytes(8, "little") + bytes(192), b""], ids=["whole", "announced and left off"])
def test_a_shard_with_a_footer_is_read_like_one_without(cas, footer):
    xorb = random_xorb(f"footer of {len(footer)}")
    cas.post(xorb)
    file = File([(xorb, 0, 3)])
    body = bytearray(shard([file], [xorb]) + footer)
    body[40] = 200
    assert cas.hub.request("POST", "/v1/shards", bytes(body), token=cas.write).json() == {"result": 1}
    assert cas.commit("file.bin", file).status == 200


def test_a_lie_about_the_sha256_is_found_before_a_name_is_given(cas):
    xorb = random_xorb("liar")
    cas.post(xorb)
    claimed = hashlib.sha256(b"the content everybody trusts").digest()
    file = File([(xorb, 0, 3)], sha256=claimed)
    assert cas.register([file], [xorb]).status in (200, 400)
    refused = cas.commit("trusted.bin", file)
    assert 400 <= refused.status < 500, refused
    assert "trusted.bin" in refused.json()["error"] or claimed.hex() in refused.json()["error"]
    assert cas.download("trusted.bin").status == 404


def test_a_reader_of_a_repository_cannot_spoil_what_its_owner_uploads(hub, cas, bob):
    """Proposals bring files into the repository that they are for, so a stranger may say of any file that it is the one to come."""
    answer = hub.request("GET", f"/api/models/{cas.repo}/xet-write-token/main?create_pr=1", token=bob.token)
    assert answer.status == 200
    xorb = random_xorb("spoilt", 6)
    cas.post(xorb)
    true = File([(xorb, 0, 6)])
    lies = [File([(xorb, 0, count)], sha256=true.sha256) for count in range(1, 6)]
    assert hub.request("POST", "/v1/shards", shard(lies), token=answer.json()["accessToken"]).json() == {"result": 1}
    cas.register([true], [xorb])
    committed = cas.commit("file.bin", true)
    assert committed.status == 200, committed
    assert cas.download("file.bin").body == true.data


def test_a_commit_with_a_wrong_size_is_refused(cas):
    xorb = random_xorb("size")
    cas.post(xorb)
    file = File([(xorb, 0, 3)])
    cas.register([file], [xorb])
    assert 400 <= cas.commit("file.bin", file, size=1).status < 500
    assert cas.download("file.bin").status == 404


def test_whether_a_xorb_is_there_is_told_to_those_who_may_read_a_file_of_it(hub, cas, user, bob):
    """The hash of a short file's only chunk can be guessed: nobody else learns whether the guess is right."""
    guess = Xorb([b"PASSWORD=hunter2\n"])
    hidden = user.repo(private=True)
    token = hub.xet_token(user.token, hidden)["accessToken"]
    other = Cas(hub, bob)
    anonymous = hub.request("GET", f"/api/models/{other.repo}/xet-read-token/main").json()["accessToken"]

    def found():
        head = [hub.request("HEAD", guess.path, token=token).status for token in (other.read, other.write, anonymous)]
        return head, other.post(guess).json()["was_inserted"]

    assert cas.post(guess, token=token).json() == {"was_inserted": True}
    assert found() == ([404, 404, 404], True)
    assert hub.request("POST", "/v1/shards", shard([File([(guess, 0, 1)])], [guess]), token=token).status == 200
    assert found() == ([404, 404, 404], True)
    assert not hub.request("GET", f"/v1/chunks/default/{text(guess.hash)}", token=other.read).status == 200
    # The owner's tokens see it, those for another repository too; and everybody once it is in a public one.
    assert cas.sees_xorb(guess) and cas.post(guess).json() == {"was_inserted": False}
    cas.register([File([(guess, 0, 1)])], [guess])
    assert found() == ([200, 200, 200], False)


def test_tokens_permit_what_they_say_and_no_more(hub, cas, user, bob):
    xorb = random_xorb("tokens")
    assert cas.post(xorb, token="nonsense").status == 401
    assert hub.request("POST", xorb.path, xorb.body).status == 401
    assert cas.post(xorb, token=cas.read).status == 403
    assert cas.post(xorb, token=user.token).status == 401
    assert cas.post(xorb, token=cas.write[:-2] + ("aa" if not cas.write.endswith("aa") else "bb")).status == 401
    assert not cas.has_xorb(xorb)
    # A token for another repository knows nothing of this one's files.
    cas.post(xorb)
    file = File([(xorb, 0, 3)])
    cas.register([file], [xorb])
    assert cas.knows(file)
    other = Cas(hub, bob)
    assert not other.knows(file)
    # Writing needs the right to write, reading a private repository the right to read.
    assert hub.request("GET", f"/api/models/{cas.repo}/xet-write-token/main", token=bob.token).status == 403
    assert hub.request("GET", f"/api/models/{cas.repo}/xet-write-token/main", token=user.read_token).status == 403
    hidden = user.repo(private=True)
    answer = hub.request("GET", f"/api/models/{hidden}/xet-read-token/main", token=bob.token)
    assert (answer.status, answer.code) == (404, "RepoNotFound")
    absent = hub.request("GET", f"/api/models/{cas.repo}/xet-read-token/absent", token=user.token)
    assert (absent.status, absent.code) == (404, "RevisionNotFound")


def test_token_answers_suit_old_and_new_clients(hub, cas, user):
    answer = hub.request("GET", f"/api/models/{cas.repo}/xet-write-token/main", token=user.token)
    body = answer.json()
    assert body["casUrl"].startswith(hub.url) and not body["casUrl"].endswith("/")
    assert answer.headers["x-xet-cas-url"] == body["casUrl"]
    assert answer.headers["x-xet-access-token"] == body["accessToken"]
    assert answer.headers["x-xet-token-expiration"] == str(body["exp"])


def test_dedup_answers_show_only_what_the_caller_may_read(hub, cas, bob):
    """The first chunk of a file is asked for; a stranger learns nothing."""
    xorb = random_xorb("dedup", 4, 70_000)
    cas.post(xorb)
    cas.register([File([(xorb, 0, 4)])], [xorb])
    path = f"/v1/chunks/default-merkledb/{text(xorb.hashes[0])}"
    answer = hub.request("GET", path, token=cas.write)
    assert answer.status == 200
    assert answer.body[:32] == xet_wire.SHARD_TAG and xorb.hash in answer.body
    # Chunk hashes go out keyed: in clear they would prove possession.
    assert not any(hash in answer.body for hash in xorb.hashes)
    assert hub.request("GET", f"/v1/chunks/default/{'1' * 64}", token=cas.write).status == 404
    private = Cas.__new__(Cas)
    private.hub, private.user = hub, cas.user
    private.repo = cas.user.repo(private=True)
    private.write = hub.xet_token(cas.user.token, private.repo)["accessToken"]
    secret = random_xorb("dedup of a secret", 4, 70_000)
    private.post(secret)
    private.register([File([(secret, 0, 4)])], [secret])
    assert hub.request("GET", f"/v1/chunks/default/{text(secret.hashes[0])}", token=Cas(hub, bob).write).status == 404

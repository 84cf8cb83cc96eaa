"""What a server has acknowledged, as its clients wrote it down, and whether it kept its word.

A client says what it is about to send (`intend`) before it sends and what was acknowledged (`keep`) after the answer has arrived. Whatever
happens in between is not acknowledged: it may be there or not, but never by half."""
import hashlib
import http.client
import json
import threading

from xet_wire import File, shard, text


class Lost(Exception):
    """The connection broke, or the server asked to try again: nothing is acknowledged."""


class Refused(AssertionError):
    """An answer that says no."""

    def __init__(self, answer):
        super().__init__(repr(answer))
        self.answer = answer


def digest(data):
    return hashlib.sha256(data).hexdigest()


def heard(call, statuses=(200,)):
    """The answer of a call; what a dying server does is told apart from a wrong answer."""
    try:
        answer = call()
    except (OSError, http.client.HTTPException) as error:
        raise Lost(repr(error)) from None
    if answer.status == 503:
        raise Lost(repr(answer))
    if answer.status not in statuses:
        raise Refused(answer)
    return answer


def ask(hub, *arguments, statuses=(200,), **more):
    return heard(lambda: hub.request(*arguments, **more), statuses)


class StoredObject:
    """An LFS object that was PUT, whether a commit names it or not."""

    def __init__(self, repo, oid, size):
        self.repo, self.oid, self.size = repo, oid, size

    def check(self, ledger):
        batch = ledger.hub.lfs_batch(ledger.user.token, self.repo, [(self.oid, self.size)], "download").json()
        entry = batch["objects"][0]
        assert "actions" in entry, f"object {self.oid} of {self.repo} was acknowledged and is gone: {entry}"
        answer = ledger.hub.request("GET", entry["actions"]["download"]["href"])
        assert (answer.status, len(answer.body), digest(answer.body)) == (200, self.size, self.oid), f"object {self.oid} of {self.repo}"


class StoredXorb:
    """A xorb that was sent, whether a shard names it or not: until then only an administrator of a node that has it is told, and whoever sends a shard."""

    def __init__(self, repo, xorb):
        self.repo, self.xorb = repo, xorb

    def check(self, ledger):
        answer = ledger.hub.request("HEAD", self.xorb.path, token=ledger.xet_read(self.repo))
        if answer.status == 404 and not ledger.hub.has_xorb(self.xorb):
            file = File([(self.xorb, 0, len(self.xorb.chunks))])
            answer = ledger.hub.request("POST", "/v1/shards", shard([file], [self.xorb]), token=ledger.xet_write(self.repo))
            assert answer.status == 200, f"xorb {text(self.xorb.hash)} was acknowledged and is gone: {answer}"
        assert answer.status in (200, 404), answer


class RegisteredFile:
    """A file of a shard, put together as a Xet client does it."""

    def __init__(self, repo, file):
        self.repo, self.file = repo, file

    def check(self, ledger):
        name = text(self.file.hash)
        answer = ledger.hub.request("GET", f"/v2/reconstructions/{name}", token=ledger.xet_read(self.repo))
        assert answer.status == 200, f"file {name} was acknowledged and is gone: {answer}"
        bodies = {text(xorb.hash): xorb.body for xorb, _, _ in self.file.terms}
        for xorb, entries in answer.json()["xorbs"].items():
            for entry in entries:
                for piece in entry["ranges"]:
                    begin, end = piece["bytes"]["start"], piece["bytes"]["end"]
                    got = ledger.hub.request("GET", entry["url"], headers={"Range": f"bytes={begin}-{end}"})
                    assert got.status == 206 and got.body == bodies[xorb][begin:end + 1], f"bytes {begin}-{end} of xorb {xorb}: {got.status}"


class Commit:
    def __init__(self, repo, oid, files):
        self.repo, self.oid, self.files = repo, oid, files

    def check(self, ledger):
        assert self.oid in ledger.history(self.repo), f"commit {self.oid} was acknowledged and is not in the history of {self.repo}"
        for path, wanted in self.files.items():
            ledger.check_download(self.repo, self.oid, path, wanted)


class Token:
    def __init__(self, token, owner):
        self.token, self.owner = token, owner

    def check(self, ledger):
        answer = ledger.hub.request("GET", "/api/whoami-v2", token=self.token)
        assert answer.status == 200 and answer.json()["name"] == self.owner, f"a token of {self.owner} was acknowledged and does not hold: {answer}"


class Repository:
    def __init__(self, repo):
        self.repo = repo

    def check(self, ledger):
        answer = ledger.hub.request("GET", f"/api/models/{self.repo}", token=ledger.user.token)
        assert answer.status == 200, f"{self.repo} was acknowledged and is gone: {answer}"


class Ledger:
    def __init__(self, hub, user, log):
        self.hub = hub
        self.user = user
        self.log = open(log, "a", buffering=1)
        self.lock = threading.Lock()
        self.facts = []
        self.checked = 0    # facts that were looked at since the last restart
        self.intended = {}  # (repo, path) -> (SHA-256, all paths of the same commit)
        self.repos = set()
        self._histories, self._tokens = {}, {}

    def intend(self, repo, files):
        """`files`: {path: SHA-256}; paths are never used twice, so that what stands under one is known."""
        with self.lock:
            self.repos.add(repo)
            for path, wanted in files.items():
                assert (repo, path) not in self.intended
                self.intended[repo, path] = (wanted, frozenset(files))

    def keep(self, fact):
        with self.lock:
            self.facts.append(fact)
            self.log.write(json.dumps({type(fact).__name__: {key: str(value)[:300] for key, value in vars(fact).items()}}) + "\n")

    # ---- what the checks share; forgotten at every restart

    def forget_answers(self):
        self._histories, self._tokens = {}, {}

    def xet_read(self, repo):
        return self._xet_token(repo, "read")

    def xet_write(self, repo):
        return self._xet_token(repo, "write")

    def _xet_token(self, repo, kind):
        if (repo, kind) not in self._tokens:
            self._tokens[repo, kind] = self.hub.xet_token(self.user.token, repo, kind)["accessToken"]
        return self._tokens[repo, kind]

    def history(self, repo):
        if repo not in self._histories:
            self._histories[repo] = {commit["id"] for commit in self._pages(f"/api/models/{repo}/commits/main?limit=1000")}
        return self._histories[repo]

    def _pages(self, path, pages_max=100):
        items = []
        for _ in range(pages_max):
            answer = self.hub.request("GET", path, token=self.user.token)
            assert answer.status == 200, (path, answer)
            items += answer.json()
            link = answer.headers.get("link", "")
            if 'rel="next"' not in link:
                return items
            path = link[link.index("<") + 1:link.index(">")]
        raise AssertionError(f"{path}: more than {pages_max} pages")

    def check_download(self, repo, revision, path, wanted):
        answer = self.hub.request("GET", f"/{repo}/resolve/{revision}/{path}", token=self.user.token)
        assert answer.status == 200 and digest(answer.body) == wanted, f"{repo}/{path} at {revision}: {answer.status}, {len(answer.body)} bytes"

    # ---- the checks

    def check_new(self, random, sample=40):
        """What was acknowledged since the last restart, and some of what was before."""
        self.forget_answers()
        old = random.sample(self.facts[:self.checked], min(sample, self.checked))
        for fact in self.facts[self.checked:] + old:
            fact.check(self)
        self.checked = len(self.facts)
        self.check_heads(random, sample)

    def check_all(self):
        self.forget_answers()
        for fact in self.facts:
            fact.check(self)
        self.check_heads()

    def check_heads(self, random=None, sample=None):
        """Every name that can be seen has its content, and a commit is seen whole or not at all."""
        for repo in sorted(self.repos):
            tree = self._pages(f"/api/models/{repo}/tree/main?recursive=true&limit=1000")
            paths = {entry["path"] for entry in tree if entry["type"] == "file"} - {".gitattributes"}
            for path in paths:
                assert (repo, path) in self.intended, f"{repo}/{path} was never sent"
                assert self.intended[repo, path][1] <= paths, f"the commit of {repo}/{path} is only half there"
            chosen = sorted(paths) if random is None or len(paths) <= sample else random.sample(sorted(paths), sample)
            for path in chosen:
                self.check_download(repo, "main", path, self.intended[repo, path][0])

    def counts(self):
        out = {}
        for fact in self.facts:
            out[type(fact).__name__] = out.get(type(fact).__name__, 0) + 1
        return out

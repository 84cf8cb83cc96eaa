"""Clients that push all the time, by every way in, and write down what was acknowledged."""
import random
import sys
import threading
import traceback

from chaos_proxy import eventually
from ledger import Commit, Lost, Refused, RegisteredFile, Repository, StoredObject, StoredXorb, Token, ask, digest, heard
from xet_wire import File, Xorb, shard

ROUND_SECONDS_MAX = 300
SIZES = (1, 100, 4096, 70_000, 300_000, 1_500_000, 6_000_000)


class Pusher(threading.Thread):
    """Repeats one kind of push until told to stop."""

    def __init__(self, ledger, seed, repo):
        super().__init__(name=f"{type(self).__name__} {seed}", daemon=True)
        self.ledger = ledger
        self.hub = ledger.hub
        self.user = ledger.user
        self.repo = repo
        self.admin_token = ledger.hub.admin_token
        self.seed = str(seed).replace(" ", "-")
        self.random = random.Random(f"{type(self).__name__} {seed}")
        self.pushes = 0
        self.stopping = threading.Event()
        self.failure = None
        self.may_be_refused = False  # set before something is broken on purpose

    def run(self):
        while not self.stopping.is_set():
            try:
                self.push(f"{type(self).__name__.lower()}-{self.seed}-{self.pushes}")
            except Lost:
                self.stopping.wait(0.02)
            except BaseException as error:
                if isinstance(error, Refused) and self.may_be_refused:
                    continue
                self.failure = traceback.format_exc()
                return
            finally:
                self.pushes += 1  # also after a loss: what may be there under a name is never sent again under it

    def stack(self):
        frame = sys._current_frames().get(self.ident)
        return "".join(traceback.format_stack(frame)) if frame else "it has ended"

    def content(self):
        """Some of it is what others send at the same moment, so that they refer to each other's chunks."""
        size = self.random.choice(SIZES)
        shared = random.Random(f"shared {self.seed.split('-')[0]} {self.pushes // 2}").randbytes(size)
        return shared + self.random.randbytes(self.random.choice((0, 10, 5000, 200_000)))

    def commit(self, operations, files):
        self.ledger.intend(self.repo, files)
        answer = heard(lambda: self.hub.commit(self.user.token, self.repo, operations))
        self.ledger.keep(Commit(self.repo, answer.json()["commitOid"], files))


class InlineCommits(Pusher):
    """Several small files in one commit; two of these share a branch."""

    def push(self, name):
        data = {f"{name}/{i}.txt": self.content()[:self.random.choice((0, 50, 20_000, 400_000))] for i in range(self.random.randint(1, 6))}
        self.commit(data, {path: digest(bytes) for path, bytes in data.items()})


class LfsObjects(Pusher):
    """The basic transfer: batch, PUT, verify, commit."""

    def push(self, name):
        data = self.content()
        oid = digest(data)
        batch = ask(self.hub, "POST", f"/{self.repo}.git/info/lfs/objects/batch", {
            "operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(data)}]}, token=self.user.token,
            headers={"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}).json()
        actions = batch["objects"][0].get("actions", {})
        if "upload" in actions:
            ask(self.hub, "PUT", actions["upload"]["href"], data)
            self.ledger.keep(StoredObject(self.repo, oid, len(data)))
        if "verify" in actions:
            ask(self.hub, "POST", actions["verify"]["href"], {"oid": oid, "size": len(data)},
                headers={"Content-Type": "application/vnd.git-lfs+json"})
        self.commit([("lfsFile", {"path": f"{name}.bin", "algo": "sha256", "oid": oid, "size": len(data)})], {f"{name}.bin": oid})


class XorbsAndShards(Pusher):
    """The Xet way: xorbs, then the shard that makes files of them, then the commit."""

    def push(self, name):
        token = ask(self.hub, "GET", f"/api/models/{self.repo}/xet-write-token/main", token=self.user.token).json()["accessToken"]
        xorbs = []
        for _ in range(self.random.randint(1, 3)):
            xorb = Xorb([self.random.randbytes(self.random.randint(9000, 100_000)) for _ in range(self.random.randint(1, 12))])
            ask(self.hub, "POST", xorb.path, xorb.body, token=token)
            self.ledger.keep(StoredXorb(self.repo, xorb))
            xorbs.append(xorb)
        files = [File([(xorb, 0, len(xorb.chunks)) for xorb in xorbs]), File([(xorbs[0], 0, 1)])]
        ask(self.hub, "POST", "/v1/shards", shard(files, xorbs), token=token)
        for file in files:
            self.ledger.keep(RegisteredFile(self.repo, file))
        named = {f"{name}-{i}.bin": file for i, file in enumerate(files)}
        self.commit([("lfsFile", {"path": path, "algo": "sha256", "oid": file.oid, "size": len(file.data)}) for path, file in named.items()],
                    {path: file.oid for path, file in named.items()})


class TokensAndRepositories(Pusher):
    def push(self, name):
        made = ask(self.hub, "POST", "/api/admin/tokens", {"user": self.user.name, "role": "read"}, token=self.admin_token).json()
        self.ledger.keep(Token(made["token"], self.user.name))
        repo = f"{self.user.name}/{name}"
        ask(self.hub, "POST", "/api/repos/create", {"name": name, "type": "model"}, token=self.user.token)
        self.ledger.keep(Repository(repo))


class Crowd:
    """One of everything, some of it twice."""

    def __init__(self, ledger, repos, seed):
        shared, own, third = repos
        self.pushers = [
            InlineCommits(ledger, f"{seed} a", shared), InlineCommits(ledger, f"{seed} b", shared),
            LfsObjects(ledger, f"{seed} a", shared), LfsObjects(ledger, f"{seed} b", own),
            XorbsAndShards(ledger, f"{seed} a", own), XorbsAndShards(ledger, f"{seed} b", third),
            TokensAndRepositories(ledger, f"{seed} a", shared),
        ]
        for pusher in self.pushers:
            pusher.start()

    def may_be_refused(self):
        for pusher in self.pushers:
            pusher.may_be_refused = True

    def go_on_until(self, facts, kinds=1):
        """So many were acknowledged, of so many kinds; or one of them has found something wrong, which `stop` tells."""
        ledger = self.pushers[0].ledger
        eventually(lambda: any(pusher.failure for pusher in self.pushers) or (len(ledger.facts) > facts and len(ledger.counts()) >= kinds), 60,
                   f"more than {facts} acknowledgements, of {kinds} kinds")

    def stop(self):
        """After this nothing more is sent. Whatever one of them found wrong is raised."""
        for pusher in self.pushers:
            pusher.stopping.set()
        for pusher in self.pushers:
            pusher.join(ROUND_SECONDS_MAX)
            assert not pusher.is_alive(), f"{pusher.name} hangs:\n{pusher.stack()}"
            assert pusher.failure is None, f"{pusher.name}:\n{pusher.failure}"

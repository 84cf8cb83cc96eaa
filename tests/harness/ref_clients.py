"""Clients that move branches and revoke tokens through any node, and the history of what they were told."""
import http.client
import math
import random
import threading
import time

from chaos_proxy import eventually
from linearizability import Call, Register, check


class RefClients:
    """Branches are registers whose value is the title of their newest commit: a commit with a parent swaps it. Tokens are registers whose value is whether they work."""

    def __init__(self, cluster, user, repos, seed):
        self.cluster, self.user, self.seed = cluster, user, seed
        self.repos = list(repos)
        self.nodes = cluster.living
        self.lock = threading.Lock()
        self.histories = {}   # what -> [Call]
        self.initial = {}
        self.parents = {}     # repo -> (commit id, title) that was seen last by anybody
        self.tokens = []
        self.failures = []
        self.unknown = 0
        self.stopping = threading.Event()
        self.threads = []
        for repo in self.repos:
            seen = eventually(lambda: self.look(cluster.any_node(), repo), 60, f"a first look at {repo}")
            self.histories[repo], self.initial[repo], self.parents[repo] = [], seen[1], seen

    # ---- life

    def start(self, clients=5):
        self.stopping.clear()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(300)
            assert not thread.is_alive(), "a client hangs"
        assert not self.failures, self.failures[0]

    def run(self, number):
        chance = random.Random(f"refs {self.seed} {number}")
        count = 0
        while not self.stopping.is_set():
            count += 1
            try:
                nodes = self.nodes()
                if not nodes:
                    time.sleep(0.1)
                elif chance.random() < 0.75:
                    self.branch(chance, nodes, f"c{number}-{count}")
                else:
                    self.token(chance, nodes, f"c{number}")
            except AssertionError as error:
                self.failures.append(str(error))
                return
            time.sleep(chance.uniform(0, 0.05))

    def note(self, key, began, what, who, answered=True):
        with self.lock:
            self.unknown += not answered
            self.histories[key].append(Call(began, time.monotonic() if answered else math.inf, what, who))

    # ---- branches

    def look(self, node, repo):
        """(id, title) of the newest commit, or None when the answer may be old or there is none."""
        try:
            answer = node.request("GET", f"/api/models/{repo}/commits/main?limit=1", token=self.user.token, timeout=60)
        except (OSError, http.client.HTTPException):
            return None
        if answer.status >= 500 or "x-cairn-stale" in answer.headers:
            return None
        assert answer.status == 200, f"{node.url} does not read {repo}: {answer}"
        newest = answer.json()[0]
        return newest["id"], newest["title"]

    def branch(self, chance, nodes, title):
        repo, node = chance.choice(self.repos), chance.choice(nodes)
        if chance.random() < 0.5:
            began = time.monotonic()
            seen = self.look(node, repo)
            if seen:
                self.note(repo, began, ("read", seen[1]), node.name)
                self.parents[repo] = seen
            return
        parent, old = self.parents[repo]
        began = time.monotonic()
        try:
            answer = node.commit(self.user.token, repo, {"file.txt": title.encode()}, title, parent)
        except (OSError, http.client.HTTPException):
            answer = None
        if answer is None or answer.status >= 500:  # whatever is broken, it may have been done
            self.note(repo, began, ("swap", old, title, None), node.name, answered=False)
            return
        assert answer.status in (200, 412), f"{node.name} answers a commit to {repo}: {answer}"
        self.note(repo, began, ("swap", old, title, answer.status == 200), node.name)
        if answer.status == 200:
            self.parents[repo] = (answer.json()["commitOid"], title)

    # ---- tokens

    def make_token(self, nodes, chance, name):
        try:
            answer = chance.choice(nodes).request("POST", "/api/admin/tokens", {"user": self.user.name, "role": "read", "name": name},
                                                  token=self.cluster.nodes[0].admin_token, timeout=60)
        except (OSError, http.client.HTTPException):
            return
        if answer.status == 200:
            made = answer.json()
            with self.lock:
                self.histories[made["token"]], self.initial[made["token"]] = [], True
                self.tokens.append((made["token"], made["id"]))

    def token(self, chance, nodes, name):
        if not self.tokens or chance.random() < 0.1:
            self.make_token(nodes, chance, name)
            return
        text, id = chance.choice(self.tokens[-3:])
        node, began = chance.choice(nodes), time.monotonic()
        revoke = chance.random() < 0.15
        try:
            if revoke:
                answer = node.request("DELETE", f"/api/admin/tokens/{id}", token=self.cluster.nodes[0].admin_token, timeout=60)
            else:
                answer = node.request("GET", "/api/whoami-v2", token=text, timeout=60)
        except (OSError, http.client.HTTPException):
            answer = None
        lost = answer is None or answer.status >= 500
        if revoke:
            assert lost or answer.status in (200, 404), f"{node.name} answers a revocation: {answer}"
            self.note(text, began, ("swap", True, False, None if lost else answer.status == 200), node.name, answered=not lost)
        elif not lost and "x-cairn-stale" not in answer.headers:
            assert answer.status in (200, 401), f"{node.name} answers whoami: {answer}"
            self.note(text, began, ("read", answer.status == 200), node.name)

    def go_on_until(self, calls):
        """So many were made, or something was wrong with one, which `stop` tells."""
        eventually(lambda: self.failures or self.counts()["calls"] > calls, 60, f"more than {calls} calls")

    # ---- afterwards

    def check(self):
        """Every history is linearizable, with a last read through every node."""
        for node in self.cluster.living():
            for repo in self.repos:
                began = time.monotonic()
                seen = eventually(lambda: self.look(node, repo), 60, f"{node.name} reads {repo}")
                self.note(repo, began, ("read", seen[1]), node.name)
        for key, calls in self.histories.items():
            why = check(calls, Register(self.initial[key]))
            assert why is None, f"the history of {key} is not linearizable: {why}"

    def counts(self):
        return {"calls": sum(map(len, self.histories.values())), "unknown": self.unknown, "tokens": len(self.tokens)}

"""Clients that make and take away names through any node of a cluster, and what was acknowledged to them."""
import http.client
import random
import threading
import time

from chaos_proxy import eventually
from cluster_process import Patient


class NameLedger:
    """Users that exist, tokens that work, tokens that were revoked. An answer that did not arrive, or says 503, acknowledges nothing."""

    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.seed = seed
        self.lock = threading.Lock()
        self.users, self.tokens, self.revoked = [], {}, []
        self.unsure = set()   # tokens whose revocation was asked for and not answered
        self.refused = 0      # 503 and lost connections
        self.gaps = []        # seconds that a client was without an acknowledgement, when longer than one
        self.failures = []
        self.stopping = threading.Event()
        self.threads = []
        self.nodes = cluster.living  # whom clients ask

    # ---- clients

    def start(self, clients=4):
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
        chance = random.Random(f"{self.seed} {number} {time.monotonic()}")
        last = time.monotonic()
        count = 0
        while not self.stopping.is_set():
            count += 1
            try:
                done = self.once(chance, f"u{number}-{count}-{chance.randrange(1 << 30):08x}")
            except AssertionError as error:
                self.failures.append(str(error))
                return
            if done:
                with self.lock:
                    if time.monotonic() - last > 1:
                        self.gaps.append(time.monotonic() - last)
                last = time.monotonic()
            else:
                self.refused += 1
                time.sleep(0.05)

    def ask(self, node, *arguments, timeout=60, **more):
        """The answer, or None when there is none that can be believed."""
        try:
            answer = node.request(*arguments, timeout=timeout, **more)
        except (OSError, http.client.HTTPException):
            return None
        return None if answer.status == 503 else answer

    def once(self, chance, name):
        nodes = self.nodes()
        node, other = chance.choice(nodes), chance.choice(nodes)
        made = self.ask(node, "POST", "/api/admin/users", {"name": name, "email": f"{name}@example.org"}, token=self.cluster_token)
        if made is None:
            return False
        assert made.status == 200, f"{node.name} refuses user {name}: {made}"
        with self.lock:
            self.users.append(name)
        # Somebody who just heard that it is there finds it, through any node: a token for it can be made.
        token = self.ask(other, "POST", "/api/admin/tokens", {"user": name, "role": "read", "name": "t"}, token=self.cluster_token)
        if token is None:
            return True
        assert token.status == 200, f"{other.name} does not know user {name}, whom {node.name} made: {token}"
        text, id = token.json()["token"], token.json()["id"]
        with self.lock:
            self.tokens[text] = name
        if chance.random() < 0.3:
            self.revoke(chance.choice(nodes), chance.choice(nodes), text, id)
        return True

    def revoke(self, node, other, text, id):
        with self.lock:
            del self.tokens[text]
            self.unsure.add(text)
        answer = self.ask(node, "DELETE", f"/api/admin/tokens/{id}", token=self.cluster_token)
        if answer is None or answer.status == 404:  # 404: an earlier try of the connection was heard after all
            return
        assert answer.status == 200, f"{node.name} does not revoke a token: {answer}"
        with self.lock:
            self.unsure.remove(text)
            self.revoked.append(text)
        answer = self.ask(other, "GET", "/api/whoami-v2", token=text)
        assert answer is None or answer.status == 401 or "x-cairn-stale" in answer.headers, f"a token that was revoked still works on {other.name}: {answer}"

    @property
    def cluster_token(self):
        return self.cluster.nodes[0].admin_token

    def go_on_until(self, users):
        """So many were made, or something was wrong, which `stop` tells."""
        eventually(lambda: self.failures or len(self.users) > users, 60, f"more than {users} users")

    # ---- afterwards

    def check(self, chance, limit=60):
        """A sample of what was acknowledged, on every node."""
        for node in map(Patient, self.cluster.living()):
            listed = {user["name"] for user in node.admin("GET", "/users")}
            missing = set(self.users) - listed
            assert not missing, f"{node.name} has lost {len(missing)} of {len(self.users)} users: {sorted(missing)[:5]}"
            for text, name in chance.sample(sorted(self.tokens.items()), min(limit, len(self.tokens))):
                answer = node.request("GET", "/api/whoami-v2", token=text)
                assert answer.status == 200 and answer.json()["name"] == name, f"{node.name} has lost a token of {name}: {answer}"
            for text in chance.sample(self.revoked, min(limit, len(self.revoked))):
                answer = node.request("GET", "/api/whoami-v2", token=text)
                assert answer.status == 401, f"a revoked token works on {node.name}: {answer}"

"""A cairnd of one's own: started on a free port with its data in a temporary directory, and looked at through the operator's API."""
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from chaos_proxy import PATIENCE, eventually
from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRESET = os.environ.get("CAIRN_PRESET", "release")
BUILD = ROOT / "build" / PRESET
CAIRND = pathlib.Path(os.environ.get("CAIRND", BUILD / "cairnd"))
CAIRN = pathlib.Path(os.environ.get("CAIRN", BUILD / "cairn"))

START_SECONDS_MAX = PATIENCE * 60
STOP_SECONDS_MAX = PATIENCE * 60
BUSY_SECONDS_MAX = PATIENCE * 40

logs = set()  # of every server that was started


class Answer:
    """A whole HTTP answer. Header names in lower case."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.headers.get("x-error-code")

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


class Hub:
    def __init__(self, data_dir, *flags):
        self.data_dir = pathlib.Path(data_dir)
        self.flags = list(flags)
        self.program = CAIRND
        self.environment = {}  # beside that of the tests
        self.process = None
        self.log = self.data_dir.with_name(self.data_dir.name + ".log")
        self.port = free_port()

    # ---- life

    def start(self):
        """Returns once it serves."""
        mark = self.spawn()
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None  # before its log is read: all of its last words are there then
            text = self.log.read_bytes()[mark:].decode(errors="replace")
            if re.search(r"serves .* at https?://", text):
                return self
            if ended:
                raise RuntimeError(f"cairnd ended with {self.process.returncode} at its start:\n{text}")
            time.sleep(0.02)
        self.process.kill()
        raise RuntimeError(f"cairnd did not serve within {START_SECONDS_MAX} s:\n{text}")

    def spawn(self):
        """Starts the process without waiting for it; where its log begins."""
        mark = self.log.stat().st_size if self.log.exists() else 0
        logs.add(self.log)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--data", self.data_dir, "--listen", f"127.0.0.1:{self.port}", *self.flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.environment})
        return mark

    def stop(self):
        """As an operator would; its exit status."""
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"cairnd did not stop within {STOP_SECONDS_MAX} s:\n{self.tail()}")

    def kill(self):
        """kill -9: whatever was not durable is lost."""
        self.process.kill()
        self.process.wait()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def tail(self, characters=6000):
        return self.log.read_text(errors="replace")[-characters:]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_token(self):
        return (self.data_dir / "admin-token").read_text().strip()

    # ---- talking to it

    def request(self, method, path, body=None, token=None, headers=None, timeout=120):
        """One request on a connection of its own; bytes or a JSON-able value as body. Absolute addresses of this hub are cut to their path."""
        if path.startswith(self.url):
            path = path[len(self.url):]
        headers = dict(headers or {})
        if token:
            headers.setdefault("Authorization", f"Bearer {token}")
        if body is not None and not isinstance(body, (bytes, bytearray)) and not hasattr(body, "read") and not hasattr(body, "__next__"):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            try:
                connection.request(method, path, body=body, headers=headers)
            except BrokenPipeError:
                pass  # refused before all of the body was sent: the answer says why
            answer = connection.getresponse()
            return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def answered(self, *arguments, **more):
        """The answer of a request that is repeated while the hub says to try again, as clients do."""
        deadline = time.monotonic() + BUSY_SECONDS_MAX
        while True:
            answer = self.request(*arguments, **more)
            if answer.status != 503 or "retry-after" not in answer.headers or time.monotonic() > deadline:
                return answer
            time.sleep(0.2)

    def admin(self, method, path, body=None):
        answer = self.answered(method, f"/api/admin{path}", body, token=self.admin_token)
        assert answer.status == 200, answer
        return answer.json()

    def stats(self):
        return self.admin("GET", "/stats")

    def has_xorb(self, xorb):
        """Whether it is stored, named by a file or not."""
        return self.request("GET", f"/api/admin/xorbs/{xorb.path.split('/')[-1]}", token=self.admin_token).status == 200

    def operation(self, kind, **body):
        """Runs gc or scrub to its end; the whole operation."""
        started = self.admin("POST", f"/{kind}", body)["operation"]
        while True:
            operation = self.admin("GET", f"/operations/{started}")
            if operation["state"] != "running":
                return operation
            time.sleep(0.05)

    def index_settled(self, seconds=30):
        """Waits until lists and search know of everything that was acknowledged; the index's own account of itself."""
        def settled():
            index = self.admin("GET", "/index")
            return index if index["behind"] == 0 and not index["rebuilding"] else None
        return eventually(settled, seconds, "an index that knows of everything")

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def make_user(self, name):
        self.admin("POST", "/users", {"name": name, "email": f"{name}@example.org"})
        return User(self, name)

    def make_token(self, user, role="write", **more):
        return self.admin("POST", "/tokens", {"user": user, "role": role, **more})["token"]

    # ---- the Hub API by hand

    def create_repo(self, token, name, type="model", **more):
        return self.request("POST", "/api/repos/create", {"name": name, "type": type, **more}, token=token)

    def commit(self, token, repo, operations, summary="a commit", parent=None, revision="main"):
        """`operations`: (key, value) lines of the commit body. Small files may be given as {path: bytes}."""
        if isinstance(operations, dict):
            import base64
            operations = [("file", {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"})
                          for path, data in operations.items()]
        header = {"summary": summary, **({"parentCommit": parent} if parent else {})}
        lines = [{"key": "header", "value": header}] + [{"key": key, "value": value} for key, value in operations]
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        return self.request("POST", f"/api/models/{repo}/commit/{revision}", body, token=token,
                            headers={"Content-Type": "application/x-ndjson"})

    def lfs_batch(self, token, repo, objects, operation="upload"):
        """`objects`: [(oid, size)]."""
        return self.request("POST", f"/{repo}.git/info/lfs/objects/batch", json.dumps({
            "operation": operation, "transfers": ["basic"], "hash_algo": "sha256",
            "objects": [{"oid": oid, "size": size} for oid, size in objects]}).encode(), token=token,
            headers={"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"})

    def xet_token(self, token, repo, kind="write", revision="main"):
        answer = self.request("GET", f"/api/models/{repo}/xet-{kind}-token/{revision}", token=token)
        assert answer.status == 200, answer
        return answer.json()


class User:
    def __init__(self, hub, name):
        self.hub = hub
        self.name = name
        self.token = hub.make_token(name, "write")
        self.read_token = hub.make_token(name, "read")
        self.repos = 0

    def repo(self, type="model", **more):
        """The id of a fresh repository."""
        self.repos += 1
        name = f"repo-{self.repos}"
        answer = self.hub.create_repo(self.token, name, type, **more)
        assert answer.status == 200, answer
        return f"{self.name}/{name}"


def cairn(hub, *arguments, status=0, stderr=False):
    """The operator's command against a hub; its output, or what it says beside it."""
    done = subprocess.run([CAIRN, "--url", hub.url, "--data", hub.data_dir, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == status, f"cairn {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stderr if stderr else done.stdout

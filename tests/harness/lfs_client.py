"""git with git-lfs as people use them, against a hub's LFS endpoint. Commits travel through a bare repository on this machine, so that nothing
here depends on how the hub serves git itself; objects and locks go to the hub."""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

MEDIA_TYPE = "application/vnd.git-lfs+json"


def run(arguments, cwd, environment, timeout=300, status=0):
    done = subprocess.run(list(map(str, arguments)), cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout)
    assert status is None or done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def environment(home):
    """Nothing of the machine's own git settings, no questions."""
    keep = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "TMPDIR")}
    return {**keep, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "LC_ALL": "C.UTF-8",
            "NO_PROXY": "127.0.0.1"}


class Clone:
    """A work tree of `user`, whose remote is the bare repository `shared` and whose LFS endpoint is `repo` on the hub."""

    def __init__(self, hub, user, repo, shared, directory, port=None):
        self.path = pathlib.Path(directory)
        home = self.path.with_name(self.path.name + "-home")
        home.mkdir(parents=True)
        self.environment = environment(home)
        if not pathlib.Path(shared).exists():
            run(["git", "init", "-q", "--bare", "-b", "main", shared], home, self.environment)
        run(["git", "lfs", "install", "--skip-repo"], home, self.environment)
        run(["git", "config", "--global", "user.name", user.name], home, self.environment)
        run(["git", "config", "--global", "user.email", f"{user.name}@example.org"], home, self.environment)
        run(["git", "config", "--global", "lfs.transfer.maxretries", "20"], home, self.environment)
        # At clone time objects stay away: the endpoint is not known yet.
        run(["git", "clone", "-q", shared, self.path], home, {**self.environment, "GIT_LFS_SKIP_SMUDGE": "1"})
        run(["git", "lfs", "install", "--local"], self.path, self.environment)
        self.endpoint = f"http://{user.name}:{user.token}@127.0.0.1:{port or hub.port}/{repo}.git/info/lfs"
        self.git("config", "lfs.url", self.endpoint)
        self.git("checkout", "-q", "-B", "main", status=None)

    def git(self, *arguments, timeout=300, status=0):
        return run(["git", *arguments], self.path, self.environment, timeout, status)

    def lfs(self, *arguments, timeout=300, status=0):
        return self.git("lfs", *arguments, timeout=timeout, status=status)

    def start(self, *arguments):
        """A git command that is not waited for."""
        return subprocess.Popen(["git", *map(str, arguments)], cwd=self.path, env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def commit(self, files, message="files"):
        for name, data in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(data, pathlib.Path):
                shutil.copyfile(data, path)
            else:
                path.write_bytes(data)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def incomplete(self, oid):
        """How much of a download is here: under a name of its own while it runs, as OID.part once it was cut."""
        found = 0
        for path in (self.path / ".git" / "lfs" / "incomplete").glob(f"{oid}*"):
            try:
                found = max(found, path.stat().st_size)
            except FileNotFoundError:
                pass
        return found


def oid_of(data):
    return hashlib.sha256(data).hexdigest()


def basic(user, token):
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


def call(hub, method, path, body=None, token=None, headers=None, user="any"):
    """One call of the LFS API as git-lfs makes it; `body` bytes or a JSON value."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Accept": MEDIA_TYPE, **({"Content-Type": MEDIA_TYPE} if body is not None else {}),
             **({"Authorization": basic(user, token)} if token else {}), **(headers or {})}
    return hub.request(method, path, data, headers={key: value for key, value in given.items() if value is not None})


def batch(hub, repo, token, named, operation="upload", headers=None, **more):
    """`named`: [(oid, size)]. `more` replaces members of the body."""
    body = {"operation": operation, "transfers": ["lfs-standalone-file", "basic", "ssh"], "ref": {"name": "refs/heads/main"},
            "hash_algo": "sha256", "objects": [{"oid": oid, "size": size} for oid, size in named], **more}
    return call(hub, "POST", f"/{repo}.git/info/lfs/objects/batch", body, token, headers)


def put(hub, repo, token, data):
    """Stores one object; its oid."""
    oid = oid_of(data)
    found = batch(hub, repo, token, [(oid, len(data))]).json()["objects"][0]
    if "actions" in found:
        answer = hub.request("PUT", found["actions"]["upload"]["href"], data)
        assert answer.status == 200, answer
    return oid


def get(hub, repo, token, oid, size, headers=None):
    found = batch(hub, repo, token, [(oid, size)], "download").json()["objects"][0]
    assert "actions" in found, found
    return hub.request("GET", found["actions"]["download"]["href"], headers=headers)

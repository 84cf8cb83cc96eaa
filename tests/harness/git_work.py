"""git and git-lfs as people use them, against a hub: work trees, and pushes put together by hand."""
import hashlib
import pathlib
import struct
import subprocess
import zlib

from lfs_client import environment, run

ZERO = "0" * 40


def url_of(hub, repo, user=None, token=None):
    credentials = f"{user.name}:{token or user.token}@" if user else ""
    return f"http://{credentials}127.0.0.1:{hub.port}/{repo}"


class Work:
    """A work tree whose remote is a repository of the hub."""

    def __init__(self, hub, repo, user, directory, token=None, clone=False, arguments=()):
        self.hub, self.repo = hub, repo
        self.path = pathlib.Path(directory)
        self.home = self.path.with_name(self.path.name + "-home")
        self.home.mkdir(parents=True)
        self.environment = environment(self.home)
        self.url = url_of(hub, repo, user, token)
        name = user.name if user else "nobody"
        for key, value in (("user.name", name), ("user.email", f"{name}@example.org"), ("init.defaultBranch", "main"), ("gc.auto", "0"),
                           ("advice.detachedHead", "false")):
            run(["git", "config", "--global", key, value], self.home, self.environment)
        run(["git", "lfs", "install", "--skip-repo"], self.home, self.environment)
        run(["git", "config", "--global", f"lfs.http://127.0.0.1:{hub.port}/.locksverify", "false"], self.home, self.environment)
        if clone:
            run(["git", "clone", "-q", *arguments, self.url, self.path], self.home, self.environment)
        else:
            run(["git", "init", "-q", self.path], self.home, self.environment)
            self.git("remote", "add", "origin", self.url)

    def git(self, *arguments, status=0, timeout=300, input=None):
        """Both outputs as text."""
        done = self.run(*arguments, timeout=timeout, input=input)
        text = (done.stdout + done.stderr).decode(errors="replace")
        assert status is None or done.returncode == status, f"git {arguments}: {done.returncode}\n{text}"
        return text

    def run(self, *arguments, timeout=300, input=None):
        return subprocess.run(["git", *map(str, arguments)], cwd=self.path, env=self.environment, input=input, capture_output=True, timeout=timeout,
                              stdin=subprocess.DEVNULL if input is None else None)

    def ask(self, *arguments, input=None):
        """What git prints, without the newline."""
        done = self.run(*arguments, input=input)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().rstrip("\n")

    def refused(self, *arguments, **more):
        """A push that must fail; what the client prints."""
        done = self.run("push", *arguments, **more)
        text = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode != 0, f"push {arguments} should have been refused:\n{text}"
        return text

    def write(self, files):
        for path, data in files.items():
            to = self.path / path
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(data if isinstance(data, bytes) else data.encode())

    def commit(self, files, message="files"):
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.head()

    def head(self, name="HEAD"):
        return self.ask("rev-parse", name)

    def push(self, *arguments, **more):
        return self.git("push", *(arguments or ("origin", "HEAD:main")), **more)

    # ---- objects that no porcelain makes

    def tree(self, entries):
        """A tree of [(mode, name, id)], whatever the names are."""
        raw = b"".join(f"{mode} ".encode() + (name if isinstance(name, bytes) else name.encode()) + b"\0" + bytes.fromhex(oid)
                       for mode, name, oid in entries)
        return self.ask("hash-object", "-t", "tree", "-w", "--stdin", "--literally", input=raw)

    def blob(self, data):
        return self.ask("hash-object", "-w", "--stdin", input=data if isinstance(data, bytes) else data.encode())

    def commit_tree(self, tree, *parents):
        return self.ask("commit-tree", tree, "-m", "by hand", *[word for parent in parents for word in ("-p", parent)])


def refs(hub, repo, token=None):
    """{full name: id}, as the API tells."""
    answer = hub.request("GET", f"/api/models/{repo}/refs?include_prs=true", token=token)
    assert answer.status == 200, answer
    return {ref["ref"]: ref["targetCommit"] for kind in answer.json().values() for ref in kind}


def check_clone(hub, repo, user, directory, arguments=()):
    """A fresh clone, looked over by git itself."""
    work = Work(hub, repo, user, directory, clone=True, arguments=arguments)
    text = work.git("fsck", "--full", "--strict")
    assert "missing" not in text and "error" not in text, text
    return work


# ---- pushes by hand

def pkt(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"%04x" % (len(data) + 4) + data


def receive_pack(hub, repo, token, commands, pack=b"", capabilities="report-status side-band-64k object-format=sha1", tail=b"0000", headers=None):
    """`commands`: [(old, new, ref)]. The whole answer."""
    lines = [f"{old} {new} {ref}" for old, new, ref in commands]
    body = b"".join(pkt(line + ("\0" + capabilities if i == 0 else "")) for i, line in enumerate(lines)) + tail + pack
    return hub.request("POST", f"/{repo}/git-receive-pack", body, token=token,
                       headers={"Content-Type": "application/x-git-receive-pack-request", **(headers or {})})


def report_of(answer):
    """(lines of the report, text for the terminal) of an answer with a side band."""
    assert answer.status == 200, answer
    bands, data = {1: b"", 2: b"", 3: b""}, answer.body
    while data:
        length = int(data[:4], 16)
        if length > 4:
            bands[data[4]] += data[5:length]
        data = data[max(length, 4):]
    lines, report = [], bands[1]
    while report and report[:4] != b"0000":
        length = int(report[:4], 16)
        lines.append(report[4:length].decode().rstrip("\n"))
        report = report[length:]
    return lines, bands[2].decode(errors="replace")


def entry(kind, data, base_distance=None):
    """One object of a pack; kind 6 is a delta to what lies `base_distance` bytes before."""
    size, head = len(data), bytearray()
    byte, size = (kind << 4) | (size & 15), size >> 4
    while size:
        head.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    head.append(byte)
    if base_distance is not None:
        offset = [base_distance & 0x7F]
        base_distance >>= 7
        while base_distance:
            base_distance -= 1
            offset.insert(0, 0x80 | (base_distance & 0x7F))
            base_distance >>= 7
        head += bytes(offset)
    return bytes(head) + zlib.compress(data)


def pack_of(entries):
    body = b"PACK" + struct.pack(">II", 2, len(entries)) + b"".join(entries)
    return body + hashlib.sha1(body).digest()


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(0x80 | (number & 0x7F))
        number >>= 7
    out.append(number)
    return bytes(out)

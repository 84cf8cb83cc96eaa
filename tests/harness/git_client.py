"""Stock git against a hub: a home of its own, no questions, credentials in the address."""
import os
import pathlib
import shutil
import subprocess

from hub_process import ROOT

PROGRAM = os.environ.get("CAIRN_TEST_GIT", "git")  # another generation of git as the client
NEWER = ROOT / "build" / "venvs" / "git" / "bin" / "git-newer"  # than the system's; not on every machine


class GitError(AssertionError):
    """git ended with another status than 0; what it said."""

    def __init__(self, arguments, done):
        super().__init__(f"git {arguments}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        self.status = done.returncode
        self.said = done.stderr


class Git:
    """One user's git. `token` None: without credentials."""

    made = 0

    def __init__(self, hub, directory, user="anyone", token=None, protocol=2, program=PROGRAM):
        Git.made += 1
        self.hub, self.user, self.token, self.protocol, self.program = hub, user, token, protocol, program
        self.directory = pathlib.Path(directory) / f"git-{Git.made}"
        self.directory.mkdir(parents=True)
        self.home = self.directory / "home"
        self.home.mkdir()
        self.clones = 0

    def url(self, repo, suffix=""):
        who = f"{self.user}:{self.token}@" if self.token else ""
        return f"http://{who}127.0.0.1:{self.hub.port}/{repo}{suffix}"

    def environment(self):
        keep = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH")}
        return {**keep, "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "LC_ALL": "C.UTF-8",
                "NO_PROXY": "127.0.0.1", "GIT_AUTHOR_NAME": self.user, "GIT_AUTHOR_EMAIL": f"{self.user}@example.org",
                "GIT_COMMITTER_NAME": self.user, "GIT_COMMITTER_EMAIL": f"{self.user}@example.org", "GIT_LFS_SKIP_SMUDGE": "1"}

    def command(self, *arguments):
        return [self.program, "-c", f"protocol.version={self.protocol}", "-c", "init.defaultBranch=main", *map(str, arguments)]

    def start(self, *arguments, cwd=None, **more):
        return subprocess.Popen(self.command(*arguments), cwd=cwd or self.directory, env=self.environment(), stdin=subprocess.DEVNULL, **more)

    def run(self, *arguments, cwd=None, timeout=240, environment=None, input=None):
        """Standard output; GitError for any other status than 0."""
        done = subprocess.run(self.command(*arguments), cwd=cwd or self.directory, env={**self.environment(), **(environment or {})},
                              input=input, stdin=None if input is not None else subprocess.DEVNULL, capture_output=True, text=True,
                              errors="surrogateescape", timeout=timeout)
        if done.returncode:
            raise GitError(arguments, done)
        return done.stdout

    def clone(self, repo, *options, suffix="", timeout=240):
        """A fresh clone; its directory."""
        self.clones += 1
        path = self.directory / f"clone-{self.clones}"
        self.run("clone", "-q", *options, self.url(repo, suffix), path, timeout=timeout)
        return path

    def ls_remote(self, repo, *patterns, suffix=""):
        """{ref: oid}."""
        lines = self.run("ls-remote", self.url(repo, suffix), *patterns).splitlines()
        return {name: oid for oid, name in (line.split("\t") for line in lines)}

    def head(self, clone):
        return self.run("rev-parse", "HEAD", cwd=clone).strip()

    def log(self, clone, revision="HEAD"):
        return self.run("rev-list", revision, cwd=clone).split()

    def fsck(self, clone):
        """Strict and complete; anything but a dangling object is an error."""
        said = self.run("fsck", "--full", "--strict", "--no-progress", cwd=clone)
        assert not [line for line in said.splitlines() if not line.startswith(("dangling", "notice"))], said

    def files(self, clone):
        """{path: bytes} as committed, without smudging."""
        out = {}
        for entry in self.run("ls-tree", "-r", "-z", "HEAD", cwd=clone).split("\0"):
            if entry:
                meta, path = entry.split("\t", 1)
                oid = meta.split()[2]
                done = subprocess.run(self.command("cat-file", "blob", oid), cwd=clone, env=self.environment(), capture_output=True, check=True)
                out[path] = done.stdout
        return out

    def remove(self, clone):
        shutil.rmtree(clone)


def children_of(pid):
    """Command lines of all processes below a process."""
    out, found = {}, []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                out.setdefault(int(fields[1]), []).append((int(entry.name), (entry / "cmdline").read_bytes()))
            except OSError:
                pass
    todo = [pid]
    while todo:
        for child, line in out.get(todo.pop(), []):
            found.append((child, line.replace(b"\0", b" ").decode(errors="replace")))
            todo.append(child)
    return found

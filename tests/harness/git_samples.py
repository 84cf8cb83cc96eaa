"""git repositories made for a test: histories with branches, merges, tags and LFS objects."""
import os
import pathlib
import subprocess

from samples import random_bytes


class Source:
    """A bare repository and a work tree that pushes to it; any git server's side of an import or mirror."""

    def __init__(self, directory, branch="main", lfs=False):
        self.home = pathlib.Path(directory)
        self.home.mkdir(parents=True, exist_ok=True)
        self.bare = self.home / "source.git"
        self.work = self.home / "work"
        self.time = 1_700_000_000
        self.git("init", "-q", "--bare", f"--initial-branch={branch}", self.bare, cwd=self.home)
        self.git("init", "-q", f"--initial-branch={branch}", self.work, cwd=self.home)
        self.git("remote", "add", "origin", self.bare)
        if lfs:
            self.git("lfs", "install", "--local")
            self.git("lfs", "track", "*.bin")

    def environment(self):
        self.time += 1
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_AUTHOR_DATE": f"{self.time} +0100",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org", "GIT_COMMITTER_DATE": f"{self.time} +0100",
        }

    def git(self, *arguments, cwd=None, timeout=120):
        done = subprocess.run(["git", *map(str, arguments)], cwd=cwd or self.work, env=self.environment(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, f"git {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def commit(self, files, message="a commit"):
        for path, data in files.items():
            (self.work / path).parent.mkdir(parents=True, exist_ok=True)
            (self.work / path).write_bytes(data)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def push(self, *more):
        self.git("push", "-q", "--all", "--force", *more, "origin")
        self.git("push", "-q", "--tags", "--force", "origin")

    def make_history(self, commits=12):
        """A main line, two branches, a merge, a light and an annotated tag."""
        branch = self.git("symbolic-ref", "--short", "HEAD").strip()
        for i in range(commits):
            self.commit({f"dir-{i % 3}/file-{i}.txt": f"{i}\n".encode() * (i + 1), "README.md": f"# {i}\n".encode()}, f"commit {i}")
            if i == 3:
                self.git("tag", "v1")
            if i == 5:
                self.git("branch", "side/one")
        self.git("checkout", "-q", "side/one")
        self.commit({"side.txt": b"from the side\n"}, "on the side")
        self.git("checkout", "-q", branch)
        self.git("merge", "-q", "--no-ff", "-m", "merge the side", "side/one")
        self.git("tag", "-a", "v2", "-m", "the second")
        self.git("branch", "other", "v1")
        self.push()

    def refs(self):
        return refs_of(self.bare)


def refs_of(repository, *prefixes):
    """{name: oid} of branches and tags."""
    done = subprocess.run(["git", "ls-remote", "--refs", str(repository), *(prefixes or ("refs/heads/*", "refs/tags/*"))], check=True, capture_output=True,
                          text=True, timeout=60, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"})
    return {name: oid for oid, name in (line.split("\t") for line in done.stdout.splitlines())}


def fsck(repository):
    done = subprocess.run(["git", "-C", str(repository), "fsck", "--full", "--strict"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout

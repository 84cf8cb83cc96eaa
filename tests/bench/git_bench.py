"""Clones, fetches and pushes by stock git, of cairn and of `git http-backend` behind nginx on the same packs, in turn."""
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import time

from git_history import make_history

ENVIRONMENT = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a",
               "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}


def git(*arguments, cwd=None):
    return subprocess.run(["git", *map(str, arguments)], cwd=cwd, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout.strip()


def family_seconds(pid):
    """CPU seconds of a process, of what it has waited for, and of its children that live."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own = sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(family_seconds(child) for child in children)


class HttpBackend:
    """nginx and fcgiwrap in front of `git http-backend`, serving the repositories below one directory to anybody."""

    def __init__(self, root, repositories):
        root.mkdir(parents=True)
        self.socket, self.spent = root / "fcgi", root / "spent"
        self.spent.touch()
        # fcgiwrap waits for nobody, so what its children use is counted in no process that stays: each says it itself.
        script = root / "http-backend"
        script.write_text(f"#!/bin/bash\n/usr/lib/git-core/git-http-backend\ntimes >>{self.spent}\n")
        script.chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (root / "conf").write_text(f"""
daemon off; {"user root;" if os.getuid() == 0 else ""} worker_processes 1; pid {root}/pid; error_log {root}/error.log;
events {{ worker_connections 512; }}
http {{ access_log off; client_max_body_size 0; fastcgi_read_timeout 600; fastcgi_buffering off;
  client_body_temp_path {root}/a; proxy_temp_path {root}/b; fastcgi_temp_path {root}/c; uwsgi_temp_path {root}/d; scgi_temp_path {root}/e;
  server {{ listen 127.0.0.1:{self.port};
    location / {{ fastcgi_pass unix:{self.socket}; fastcgi_param SCRIPT_FILENAME {script};
      fastcgi_param GIT_PROJECT_ROOT {repositories}; fastcgi_param GIT_HTTP_EXPORT_ALL ""; fastcgi_param PATH_INFO $uri; fastcgi_param REMOTE_USER a;
      fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method; fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
      fastcgi_param GIT_PROTOCOL $http_git_protocol; }} }} }}
""")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        # git takes a repository of somebody else for a trap.
        environment = {**ENVIRONMENT, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        self.wrapper = subprocess.Popen(["/usr/sbin/fcgiwrap", "-s", f"unix:{self.socket}", "-c", "2"], env=environment, **quiet)
        self.nginx = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(root), "-c", str(root / "conf")], **quiet)
        for _ in range(100):
            time.sleep(0.1)
            with socket.socket() as probe:
                if self.socket.exists() and probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise RuntimeError("nginx with fcgiwrap does not start")

    def seconds(self):
        lines = self.spent.read_text().splitlines()[1::2]  # of the children of the shell
        spent = sum(60 * int(minutes) + float(seconds) for line in lines for minutes, seconds in re.findall(r"(\d+)m([\d.]+)s", line))
        return family_seconds(self.nginx.pid) + spent

    def stop(self):
        for process in (self.nginx, self.wrapper):
            process.terminate()
            process.wait()


class GitBench:
    def __init__(self, bench):
        self.bench, self.table, self.work = bench, bench.table, bench.work / "git"
        self.work.mkdir()
        self.hub = bench.start("git-hub")
        self.repo = bench.repo(self.hub)
        self.address = f"http://admin:{self.hub.admin_token}@127.0.0.1:{self.hub.port}/{self.repo}"
        self.number = self.versions = 0

    def measure(self, seconds, *arguments, cwd=None):
        """Wall and server's CPU seconds of one git command, begun when the server has nothing to do: bundles and indexes are made beside."""
        self.settle(seconds)
        cpu, start = seconds(), time.monotonic()
        git(*arguments, cwd=cwd)
        wall = time.monotonic() - start
        time.sleep(0.1)
        return wall, seconds() - cpu

    def settle(self, seconds):
        for _ in range(400):
            before = seconds()
            time.sleep(0.3)
            if seconds() - before < 0.02:
                return

    def fresh(self):
        self.number += 1
        return self.work / f"clone-{self.number}"

    def hub_seconds(self):
        return family_seconds(self.hub.process.pid)

    def push_history(self, commits, files):
        history = make_history(self.work / "history.git", commits, files)
        wall, cpu = self.measure(self.hub_seconds, "push", "-q", "--force", self.address, "main:refs/heads/main", cwd=history)
        self.table.row(f"push of {commits} commits, {files} files", wall, "s")
        self.table.row("the server's CPU for it", cpu, "s")

    def wait_for_bitmaps(self):
        for _ in range(1200):
            if re.search(r"^cairn_git_bitmaps_made_total [1-9]", self.hub.request("GET", "/metrics").body.decode(), re.M):
                return
            time.sleep(0.5)
        raise RuntimeError("the hub makes no bitmaps")

    def bitmaps(self, without):
        """The first clone of a version, against the same before there were bitmaps."""
        self.wait_for_bitmaps()
        self.forget_answers()
        _, cpu = self.measure(self.hub_seconds, "clone", "-q", "--bare", self.address, self.fresh())
        self.table.row("clone with bitmaps: CPU against without", cpu / without, "x")

    def peer(self):
        """The hub's own view of the repository, copied: the same packs, and the same bitmaps."""
        view = next(path for path in (self.hub.data_dir / "git").glob("*.git"))
        (self.work / "peer").mkdir()
        shutil.copytree(view, self.work / "peer" / "repo.git")
        git("config", "http.receivepack", "true", cwd=self.work / "peer" / "repo.git")
        backend = HttpBackend(self.work / "nginx", self.work / "peer")
        self.bench.cleanups.append(backend.stop)
        return backend, f"http://127.0.0.1:{backend.port}/repo.git"

    def forget_answers(self):
        """Answers are of one version of the refs: the next clone is a first one. Nothing is deleted, which would have bundles made anew beside what is measured."""
        self.versions += 1
        answer = self.hub.request("POST", f"/api/models/{self.repo}/branch/version-{self.versions}", {}, token=self.hub.admin_token)
        assert answer.status == 200, answer

    def clones(self, backend, peer, name, *flags):
        ours, theirs, again = [], [], []
        for _ in range(self.bench.runs):
            self.forget_answers()
            ours.append(self.measure(self.hub_seconds, "clone", "-q", "--bare", *flags, self.address, self.fresh()))
            theirs.append(self.measure(backend.seconds, "clone", "-q", "--bare", *flags, peer, self.fresh()))
            again.append(self.measure(self.hub_seconds, "clone", "-q", "--bare", *flags, self.address, self.fresh()))
        for i, unit in ((1, "CPU"), (0, "wall time")):
            ratios = [left[i] / max(right[i], 0.01) for left, right in zip(ours, theirs)]
            self.table.row(f"{name}: {unit} against git http-backend", ratios, "x", 1.15, above=False)
        self.table.row(f"{name} again: CPU against the first", [max(left[1], 0.01) / max(right[1], 0.01) for left, right in zip(again, ours)], "x", 0.5, above=False)
        self.table.row(f"{name} again: wall time, the client's work included", [left[0] / right[0] for left, right in zip(again, ours)], "x")

    def fetches(self, backend, peer):
        """What a client that is a hundred commits behind fetches; a few more each time, since the same again is answered from what is kept."""
        ours, theirs = [], []
        base = self.fresh()
        git("clone", "-q", "--bare", peer, base)
        for run in range(self.bench.runs):
            old = git("rev-parse", f"main~{100 + run}", cwd=base)
            for address, seconds, list in ((self.address, self.hub_seconds, ours), (peer, backend.seconds, theirs)):
                target = self.fresh()
                git("clone", "-q", "--bare", base, target)
                git("update-ref", "refs/heads/main", old, cwd=target)
                git("repack", "-a", "-d", "-q", cwd=target)
                git("prune", "--expire=now", cwd=target)
                list.append(self.measure(seconds, "fetch", "-q", address, "main", cwd=target))
                shutil.rmtree(target)
        for i, unit in ((1, "CPU"), (0, "wall time")):
            self.table.row(f"fetch of 100 commits: {unit} against git http-backend", [left[i] / max(right[i], 0.01) for left, right in zip(ours, theirs)],
                           "x", 1.15, above=False)

    def pushes(self, peer):
        """One small commit after the other, on a warm server."""
        walls = {}
        for name, address in (("ours", self.address), ("theirs", peer)):
            target = self.work / f"work-{name}"
            git("clone", "-q", "--depth", "50", address, target)
            walls[name] = []
            for i in range(3 * self.bench.runs):
                (target / "one.txt").write_text(f"{name} {i}\n")
                git("add", "one.txt", cwd=target)
                git("commit", "-q", "-m", f"{i}", cwd=target)
                start = time.monotonic()
                git("push", "-q", "origin", "HEAD:main", cwd=target)
                walls[name].append(time.monotonic() - start)
        self.table.row("push of one small commit", [1000 * wall for wall in walls["ours"]], "ms")
        self.table.row("git http-backend's", [1000 * wall for wall in walls["theirs"]], "ms")
        self.table.row("push of one small commit against git http-backend", statistics.median(walls["ours"]) / statistics.median(walls["theirs"]), "x", 2,
                       above=False)

    def lfs(self):
        """1 GiB up and down by git-lfs against the same by the calls that its batch answers name."""
        if not shutil.which("git-lfs"):
            print("  (git-lfs is not installed: its rows are left out)")
            return
        length = (128 if self.bench.options.quick else 1024) << 20
        target = self.work / "lfs"
        git("init", "-q", "-b", "main", target)
        git("lfs", "install", "--local", cwd=target)
        git("lfs", "track", "*.bin", cwd=target)
        self.bench.maker("fill", "weights", self.bench.next_seeds(1), length, target / "model.bin")
        git("add", "-A", cwd=target)
        git("commit", "-q", "-m", "weights", cwd=target)
        repo = self.bench.repo(self.hub)
        address = self.address.replace(self.repo, repo)
        git("remote", "add", "origin", address, cwd=target)
        _, up = self.measure(self.hub_seconds, "lfs", "push", "origin", "main", cwd=target)
        jobs, oids = self.bench.put_jobs(self.hub, self.bench.repo(self.hub), "weights", length, 1)
        cpu = self.hub_seconds()
        self.bench.drive(self.hub.port, jobs, 1)
        self.table.row("LFS upload by git-lfs: CPU against the bare call", up / (self.hub_seconds() - cpu), "x", 1.1, above=False)
        git("push", "-q", "--force", "origin", "main", cwd=target)
        for _ in range(2):  # the first reads and checks what the second finds in memory
            shutil.rmtree(target / ".git" / "lfs" / "objects")
            _, down = self.measure(self.hub_seconds, "lfs", "fetch", "origin", "main", cwd=target)
        oid = self.bench.digest_of(target / "model.bin")
        [entry] = self.hub.lfs_batch(self.hub.admin_token, repo, [(oid, length)], "download").json()["objects"]
        href = entry["actions"]["download"]["href"].split(str(self.hub.port), 1)[1]
        spent = {}
        for name, path in (("resolve", self.bench.final_target(self.hub, f"/{repo}/resolve/main/model.bin")), ("LFS", href)):
            cpu = self.hub_seconds()
            self.bench.drive(self.hub.port, [("GET", path, "-", "-")] * 4, 1)
            spent[name] = (self.hub_seconds() - cpu) / 4
        self.table.row("LFS download: CPU against resolve", spent["LFS"] / spent["resolve"], "x", 1.1, above=False)
        self.table.row("LFS download by git-lfs: CPU against the bare call", down / spent["LFS"], "x")

    def run(self):
        commits, files = (5000, 10000) if self.bench.options.quick else (50000, 100000)
        self.push_history(commits, files)
        git("ls-remote", self.address)
        _, without = self.measure(self.hub_seconds, "clone", "-q", "--bare", self.address, self.fresh())
        self.bitmaps(without)
        backend, peer = self.peer()
        self.clones(backend, peer, f"clone of {commits} commits")
        self.clones(backend, peer, "shallow clone", "--depth", "1")
        self.clones(backend, peer, "partial clone, blob:none", "--filter=blob:none")
        self.fetches(backend, peer)
        self.pushes(peer)
        self.lfs()

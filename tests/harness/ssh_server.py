"""A real sshd of one's own in front of a hub: an unprivileged configuration on a free port, with host keys of its own.

sshd runs an AuthorizedKeysCommand only if root owns it and every folder above it, so the tests of this need root; elsewhere they say so and are skipped."""
import getpass
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tempfile
import time

import pytest

from hub_process import CAIRN
from ports import free_port

START_SECONDS_MAX = 60


def why_not():
    """The reason why no sshd can be run here, or None."""
    if not shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        return "there is no sshd (Debian: openssh-server)"
    if os.geteuid() != 0:
        return "sshd runs an AuthorizedKeysCommand only of root, and these tests do not run as root"
    return None


class SshServer:
    def __init__(self, hub, *ssh_keys_options):
        reason = why_not()
        if reason:
            pytest.skip(reason)
        self.hub = hub
        # Below /run or /root: pytest's own folders are below /tmp, which others may write to, and sshd refuses that.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cairn-sshd-", dir="/run" if os.access("/run", os.W_OK) else "/root"))
        self.options = ssh_keys_options
        self.user = getpass.getuser()
        self.process = None

    def start(self):
        os.makedirs("/run/sshd", exist_ok=True)
        program = self.dir / "cairn"
        shutil.copy2(CAIRN, program)  # the build folder may belong to anybody
        program.chmod(0o755)
        os.chown(program, 0, 0)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / "host_key"], check=True)
        self.port = free_port()
        (self.dir / "sshd_config").write_text(f"""
Port {self.port}
ListenAddress 127.0.0.1
HostKey {self.dir}/host_key
PidFile none
UsePAM no
StrictModes no
AuthenticationMethods publickey
PermitRootLogin prohibit-password
AuthorizedKeysFile none
AuthorizedKeysCommand {program} --url {self.hub.url} --data {self.hub.data_dir} ssh-keys %f
AuthorizedKeysCommandUser {self.user}
AcceptEnv GIT_PROTOCOL
LogLevel VERBOSE
""")
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.dir / "sshd_config"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                assert self.process.poll() is None, self.log()
                time.sleep(0.05)
        raise RuntimeError(f"sshd did not listen:\n{self.log()}")

    def log(self):
        return (self.dir / "log").read_text(errors="replace")[-6000:]

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(60)
        shutil.rmtree(self.dir, ignore_errors=True)

    def url(self, repo):
        return f"ssh://{self.user}@127.0.0.1:{self.port}/{repo}"


class SshUser:
    """A person with a key, a home of their own and git."""

    def __init__(self, server, directory, name="ada"):
        self.server = server
        self.home = pathlib.Path(directory) / f"home-{name}"
        self.home.mkdir(parents=True)
        self.key = self.home / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key, "-C", name], check=True)
        self.key.chmod(stat.S_IRUSR | stat.S_IWUSR)

    @property
    def public_key(self):
        return self.key.with_name("key.pub").read_text()

    @property
    def fingerprint(self):
        return subprocess.run(["ssh-keygen", "-lf", self.key], check=True, capture_output=True, text=True).stdout.split()[1]

    def ssh_command(self):
        return (f"ssh -F none -i {self.key} -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes -o StrictHostKeyChecking=no "
                f"-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR")

    def environment(self):
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": self.ssh_command(), "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
        }

    def run(self, *command, cwd=None, timeout=120, input=None, **environment):
        return subprocess.run([str(word) for word in command], cwd=cwd or self.home, env={**self.environment(), **environment},
                              stdin=subprocess.DEVNULL if input is None else None, input=input, capture_output=True, text=True, timeout=timeout)

    def git(self, *arguments, cwd=None, status=0, **options):
        done = self.run("git", *arguments, cwd=cwd, **options)
        assert done.returncode == status, f"git {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.server.log()}"
        return done.stdout if status == 0 else done.stderr

    def ssh(self, *words, **options):
        return self.run(*self.ssh_command().split(), "-T", "-p", self.server.port, f"{self.server.user}@127.0.0.1", *words, **options)

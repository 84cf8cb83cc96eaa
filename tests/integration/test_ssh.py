"""git and git-lfs over SSH: a real sshd, real clients."""
import json
import os
import subprocess
import time

import pytest

from hub_process import cairn
from samples import random_bytes
from ssh_server import SshServer, SshUser


@pytest.fixture(scope="module")
def sshd(hub):
    server = SshServer(hub)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def ada(hub, sshd, user, tmp_path):
    """A user whose key the hub knows."""
    person = SshUser(sshd, tmp_path)
    person.user = user
    cairn(hub, "key", "add", user.name, f"{person.key}.pub")
    return person


def work_tree(person, repo, name="work"):
    person.git("clone", "-q", person.server.url(repo), name)
    return person.home / name


def commit(person, work, files, message="a commit"):
    for path, data in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(data)
    person.git("add", "-A", cwd=work)
    person.git("commit", "-q", "-m", message, cwd=work)
    return person.git("rev-parse", "HEAD", cwd=work).strip()


# ------------------------------------------------------------------ who is there

def test_a_login_without_a_command_is_greeted_by_name(ada):
    done = ada.ssh()
    assert done.returncode == 0 and f"Hi {ada.user.name}" in done.stdout


def test_other_commands_are_refused(ada):
    for words in (["ls", "/"], ["bash"], ["git-upload-archive 'a/b.git'"], ["scp -t /tmp"], ["git-upload-pack 'a/b.git'; id"], ["git-upload-pack '../../etc'"]):
        done = ada.ssh(*words)
        assert done.returncode in (1, 127) and done.stdout == "" and done.stderr.startswith("cairn: "), (words, done)


def test_nobody_gets_a_terminal_or_a_tunnel(ada):
    done = ada.run(*ada.ssh_command().split(), "-tt", "-p", ada.server.port, f"{ada.server.user}@127.0.0.1")
    assert "PTY allocation request failed" in done.stderr
    done = ada.run(*ada.ssh_command().split(), "-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "-p", ada.server.port,
                   f"{ada.server.user}@127.0.0.1")
    assert done.returncode != 0


def test_an_unknown_key_does_not_get_in(hub, sshd, user, tmp_path):
    stranger = SshUser(sshd, tmp_path, "stranger")
    done = stranger.ssh()
    assert done.returncode == 255 and "Permission denied" in done.stderr
    assert "Permission denied" in stranger.git("clone", sshd.url(user.repo()), status=128)


def test_a_removed_key_does_not_get_in_any_more(hub, ada):
    assert ada.ssh().returncode == 0
    cairn(hub, "key", "remove", ada.fingerprint)
    assert ada.ssh().returncode == 255


def test_the_answer_to_sshd_is_one_restricted_line_or_nothing(hub, ada, tmp_path):
    line = cairn(hub, "ssh-keys", ada.fingerprint)
    assert line.count("\n") == 1 and ",restrict ssh-ed25519 AAAA" in line and f"ssh-shell --key {ada.fingerprint}" in line
    assert cairn(hub, "ssh-keys", *ada.public_key.split()[:2]) == line
    assert cairn(hub, "ssh-keys", SshUser(ada.server, tmp_path, "other").fingerprint) == ""
    assert cairn(hub, "ssh-keys", "nonsense") == ""


# ------------------------------------------------------------------ fetching

def test_what_the_hub_api_made_is_cloned_and_fetched(hub, ada):
    repo = ada.user.repo()
    assert hub.commit(ada.user.token, repo, {"a.txt": b"first\n"}).status == 200
    work = work_tree(ada, repo)
    assert (work / "a.txt").read_text() == "first\n"
    assert hub.commit(ada.user.token, repo, {"dir/b.txt": b"second\n"}).status == 200
    ada.git("pull", "-q", cwd=work)
    assert (work / "dir/b.txt").read_text() == "second\n"
    assert ada.git("fsck", "--full", "--strict", cwd=work) == ""
    assert hub.request("GET", f"/api/models/{repo}").json()["sha"] == ada.git("rev-parse", "HEAD", cwd=work).strip()


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_every_version_of_the_protocol_clones(hub, ada, version):
    repo = ada.user.repo()
    assert hub.commit(ada.user.token, repo, {"a.txt": b"first\n"}).status == 200
    done = ada.run("git", "-c", f"protocol.version={version}", "clone", ada.server.url(repo + ".git"), "copy", GIT_TRACE_PACKET="1")
    assert done.returncode == 0, done.stderr
    assert ("version 2" in done.stderr) == (version == "2")
    ada.git("-c", f"protocol.version={version}", "clone", "-q", "--depth", "1", ada.server.url(repo), "shallow")
    assert ada.git("rev-list", "--count", "HEAD", cwd=ada.home / "shallow").strip() == "1"
    ada.git("-c", f"protocol.version={version}", "clone", "-q", "--filter=blob:none", "--no-checkout", ada.server.url(repo + ".git/"), "partial")


def test_datasets_and_spaces_have_their_prefix(hub, ada):
    repo = ada.user.repo("dataset")
    work_tree(ada, f"datasets/{repo}")
    assert "no repository" in ada.git("clone", ada.server.url(repo), "elsewhere", status=128)


def test_a_private_repository_exists_for_its_owner_only(hub, ada, sshd, bob, tmp_path):
    other = SshUser(sshd, tmp_path, "bob")
    cairn(hub, "key", "add", bob.name, f"{other.key}.pub")
    repo = ada.user.repo(private=True)
    work_tree(ada, repo)
    refusal = other.git("clone", sshd.url(repo), status=128)
    assert "no repository" in refusal and "Traceback" not in refusal
    cairn(hub, "key", "remove", other.fingerprint)


def test_many_clones_at_once(hub, ada):
    from concurrent.futures import ThreadPoolExecutor
    repo = ada.user.repo()
    assert hub.commit(ada.user.token, repo, {"a.bin": random_bytes("many clones", 300_000)}).status == 200
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda i: ada.run("git", "clone", "-q", ada.server.url(repo), f"copy-{i}"), range(12)))
    assert [item.returncode for item in done] == [0] * 12, [item.stderr for item in done]


def test_a_clone_that_runs_survives_a_restart_of_the_hub(hub, ada):
    repo = ada.user.repo()
    assert hub.commit(ada.user.token, repo, {"a.bin": random_bytes("restart", 200_000)}).status == 200
    head = hub.request("GET", f"/api/models/{repo}").json()["sha"]
    process = subprocess.Popen([*ada.ssh_command().split(), "-p", str(ada.server.port), f"{ada.server.user}@127.0.0.1", f"git-upload-pack '{repo}'"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert head.encode() in process.stdout.read(4 + 40)
        hub.kill()
        hub.start()
        want = f"want {head} ofs-delta\n".encode()
        process.stdin.write(b"%04x%s00000009done\n" % (len(want) + 4, want))
        process.stdin.flush()
        answer = process.stdout.read()
        assert b"NAK\n" in answer and len(answer[answer.index(b"PACK"):]) > 200_000
        assert process.wait(30) == 0
    finally:
        process.kill()


# ------------------------------------------------------------------ pushing

def test_a_push_shows_in_the_hub_api(hub, ada):
    repo = ada.user.repo()
    work = work_tree(ada, repo)
    sha = commit(ada, work, {"a.txt": b"pushed\n", "dir/b.bin": bytes(range(256))})
    ada.git("push", "-q", "origin", "HEAD", cwd=work)
    assert hub.request("GET", f"/api/models/{repo}").json()["sha"] == sha
    assert hub.request("GET", f"/{repo}/resolve/main/a.txt").body == b"pushed\n"
    assert ada.git("ls-remote", "origin", "refs/heads/main", cwd=work).split()[0] == sha


def test_nothing_to_push_ends_well(ada):
    repo = ada.user.repo()
    work = work_tree(ada, repo)
    assert "up-to-date" in ada.run("git", "push", "origin", "HEAD", cwd=work).stderr


def test_branches_and_tags_are_made_moved_and_deleted(hub, ada):
    repo = ada.user.repo()
    work = work_tree(ada, repo)
    first = commit(ada, work, {"a.txt": b"1"})
    ada.git("push", "-q", "origin", "HEAD:refs/heads/side", "HEAD:refs/tags/v1", cwd=work)
    refs = hub.request("GET", f"/api/models/{repo}/refs").json()
    assert {branch["name"] for branch in refs["branches"]} == {"main", "side"} and [tag["name"] for tag in refs["tags"]] == ["v1"]
    ada.git("commit", "-q", "--amend", "-m", "other", cwd=work)
    ada.git("push", "-q", "origin", "HEAD:refs/heads/side", cwd=work, status=1)
    ada.git("push", "-q", "--force", "origin", "HEAD:refs/heads/side", cwd=work)
    assert ada.git("ls-remote", "origin", "refs/heads/side", cwd=work).split()[0] != first
    ada.git("push", "-q", "origin", "--delete", "side", "v1", cwd=work)  # no pack follows, and the client waits with an open connection
    refs = hub.request("GET", f"/api/models/{repo}/refs").json()
    assert {branch["name"] for branch in refs["branches"]} == {"main"} and refs["tags"] == []


def test_a_large_push_streams(hub, ada):
    repo = ada.user.repo()
    work = work_tree(ada, repo)
    sha = commit(ada, work, {f"part-{i}.bin": random_bytes(f"ssh-{i}", 4_000_000) for i in range(4)})
    ada.git("push", "-q", "origin", "HEAD", cwd=work)
    copy = work_tree(ada, repo, "copy")
    assert ada.git("rev-parse", "HEAD", cwd=copy).strip() == sha
    assert ada.git("fsck", "--full", cwd=copy) == ""


def test_a_client_that_keeps_its_side_open_gets_its_answer(hub, ada):
    """As some libraries do: nothing but the pack itself says where it ends."""
    repo = ada.user.repo()
    work = work_tree(ada, repo)
    old = ada.git("rev-parse", "HEAD", cwd=work).strip()
    new = commit(ada, work, {"a.bin": random_bytes("kept open", 300_000), "b.txt": b"b\n"})
    pack = subprocess.run(["git", "pack-objects", "--revs", "--stdout", "--thin", "-q"], input=f"{new}\n^{old}\n".encode(), cwd=work, check=True,
                          capture_output=True, env=ada.environment()).stdout
    process = subprocess.Popen([*ada.ssh_command().split(), "-p", str(ada.server.port), f"{ada.server.user}@127.0.0.1", f"git-receive-pack '{repo}'"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        line = f"{old} {new} refs/heads/main\0report-status".encode()
        process.stdin.write(b"%04x%s0000" % (len(line) + 4, line))
        process.stdin.flush()
        time.sleep(0.5)  # it thinks about what to send
        process.stdin.write(pack)
        process.stdin.flush()
        answer = process.stdout.read()  # to its end, with our side still open
        assert b"unpack ok" in answer and b"ok refs/heads/main" in answer, answer
        assert process.wait(30) == 0
    finally:
        process.kill()
    assert hub.request("GET", f"/api/models/{repo}").json()["sha"] == new


def test_whoever_may_only_read_cannot_push(hub, ada, alice):
    repo = alice.repo()
    work = work_tree(ada, repo)
    commit(ada, work, {"a.txt": b"1"})
    assert "you may not write to it" in ada.git("push", "origin", "HEAD", cwd=work, status=1)
    assert hub.request("PUT", f"/api/models/{repo}/settings", {"discussionsDisabled": True}, token=alice.token).status == 200
    assert "not write to it" in ada.git("push", "origin", "HEAD", cwd=work, status=128)  # not even to a pull request


def test_rules_of_the_hub_reach_the_terminal(ada):
    work = work_tree(ada, ada.user.repo())
    commit(ada, work, {"large.bin": random_bytes("large", 11 << 20)})
    assert "large.bin" in ada.git("push", "origin", "HEAD", cwd=work, status=1)


# ------------------------------------------------------------------ LFS

def test_lfs_objects_go_up_and_down(hub, ada):
    repo = ada.user.repo()
    work = work_tree(ada, repo)
    ada.git("lfs", "install", "--local", cwd=work)
    ada.git("lfs", "track", "*.bin", cwd=work)
    data = random_bytes("lfs over ssh", 3_000_000)
    commit(ada, work, {"weights.bin": data})
    ada.git("push", "-q", "origin", "HEAD", cwd=work)
    assert hub.request("GET", f"/{repo}/resolve/main/weights.bin").body == data
    copy = work_tree(ada, repo, "copy")
    ada.git("lfs", "install", "--local", cwd=copy)
    ada.git("lfs", "pull", cwd=copy)
    assert (copy / "weights.bin").read_bytes() == data


def test_the_credential_for_lfs_is_good_for_one_repository_and_operation(hub, ada, alice):
    repo, other = ada.user.repo(private=True), ada.user.repo(private=True)
    answer = json.loads(ada.ssh("git-lfs-authenticate", f"{repo}.git", "download").stdout)
    assert answer["href"] == f"{hub.url}/{repo}.git/info/lfs" and 0 < answer["expires_in"] <= 3600
    header = dict(answer["header"])

    def batch(where, operation):
        body = {"operation": operation, "objects": [{"oid": "0" * 64, "size": 1}]}
        return hub.request("POST", f"/{where}.git/info/lfs/objects/batch", body, headers=header).status
    assert batch(repo, "download") == 200
    assert batch(repo, "upload") == 403
    assert batch(other, "download") == 404
    for path in ("/api/whoami-v2", "/api/settings/ssh-keys", "/api/admin/status", f"/api/models/{repo}", f"/{repo}/resolve/main/.gitattributes"):
        assert hub.request("GET", path, headers=header).status == 401
    header = json.loads(ada.ssh(f"git-lfs-authenticate '{repo}' upload").stdout)["header"]
    assert batch(repo, "upload") == 200
    cairn(hub, "key", "remove", ada.fingerprint)
    assert batch(repo, "upload") == 401
    assert ada.ssh("git-lfs-authenticate", f"{alice.repo()}.git", "upload").returncode == 255


def test_lfs_uploads_need_the_right_to_write_or_to_propose(hub, ada, alice):
    repo = alice.repo()
    assert ada.ssh("git-lfs-authenticate", repo, "upload").returncode == 0  # for a pull request
    answer = hub.request("PUT", f"/api/models/{repo}/settings", {"discussionsDisabled": True}, token=alice.token)
    assert answer.status == 200, answer
    done = ada.ssh("git-lfs-authenticate", repo, "upload")
    assert done.returncode == 1 and "not write to it" in done.stderr
    assert ada.ssh("git-lfs-authenticate", repo, "download").returncode == 0


def test_only_an_administrator_opens_sessions(hub, ada):
    body = {"key": ada.fingerprint, "service": "greeting"}
    assert hub.request("POST", "/api/admin/ssh-session", body, token=ada.user.token).status == 403
    assert hub.request("POST", "/api/admin/ssh-session", body).status == 401
    repo = ada.user.repo().split("/")
    body = {"key": ada.fingerprint, "service": "upload-pack", "type": "model", "owner": repo[0], "name": repo[1]}
    for pid in (None, 0, -1, "1", 1 << 40):
        assert hub.request("POST", "/api/admin/ssh-session", {**body, "pid": pid}, token=hub.admin_token).status == 400
    assert hub.request("POST", "/api/admin/ssh-session", {**body, "pid": 2**22 + 1}, token=hub.admin_token).status == 404
    assert hub.request("POST", "/api/admin/ssh-session", {**body, "pid": os.getpid()}, token=hub.admin_token).status == 200


def test_the_old_name_of_a_repository_leads_to_the_new_one(hub, ada):
    repo = ada.user.repo()
    work = work_tree(ada, repo)
    answer = hub.request("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": f"{ada.user.name}/renamed", "type": "model"}, token=ada.user.token)
    assert answer.status == 200, answer
    sha = commit(ada, work, {"a.txt": b"after the move"})
    ada.git("push", "-q", "origin", "HEAD", cwd=work)
    assert hub.request("GET", f"/api/models/{ada.user.name}/renamed").json()["sha"] == sha


def test_files_of_a_gated_repository_need_an_accepted_request(hub, ada, alice):
    repo = alice.repo()
    assert hub.request("PUT", f"/api/models/{repo}/settings", {"gated": "manual"}, token=alice.token).status == 200
    assert "restricted" in ada.git("clone", ada.server.url(repo), "gated", status=128)
    assert ada.ssh("git-lfs-authenticate", repo, "download").returncode == 1
    for token, status in ((None, 401), (ada.user.token, 403), (alice.token, 200)):
        assert hub.request("GET", f"/{repo}/info/refs?service=git-upload-pack", token=token).status == status

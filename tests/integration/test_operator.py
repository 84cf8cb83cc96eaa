"""The `cairn` command against a running hub, the pages for people and machines, and the log."""
import hashlib
import json
import os
import re
import select
import signal
import subprocess
import time

import pytest

import raw_http
from git_samples import Source
from hub_process import CAIRN, CAIRND, Hub, cairn
from ports import free_port
from samples import random_bytes, write
from volumes import flip_bit
from xet_wire import File, random_xorb, shard, text


def test_status_and_stats_tell_what_is_stored(hub, user, client, tmp_path):
    before = json.loads(cairn(hub, "stats", "--json"))
    write(tmp_path, {"data.bin": random_bytes("status", 1_000_000)})
    client(user.token).run("upload_file", repo=user.repo(), path=tmp_path / "data.bin", path_in_repo="data.bin")
    after = json.loads(cairn(hub, "stats", "--json"))
    assert 1_000_000 <= after["raw_bytes"] - before["raw_bytes"] < 1_010_000
    assert after["acknowledged"] > before["acknowledged"]
    status = json.loads(cairn(hub, "status", "--json"))
    assert status["node"]["leader"] is True
    assert status["store"]["files"] >= after["files"]
    assert "leader" in cairn(hub, "status")


def repo_stats(hub, repo, *more):
    return json.loads(cairn(hub, "repo", "stats", repo, *more, "--json"))["result"]


@pytest.mark.parametrize("generation", ["newest", "newest-without-xet"])
def test_a_repository_tells_what_it_takes_and_what_deleting_it_frees(hub, user, client, tmp_path, generation):
    own, common = random_bytes(f"{user.name} own", 3_000_000), random_bytes(f"{user.name} common", 2_000_000)
    text = "".join(f"{user.name} writes line {i} of a long log\n" for i in range(50_000)).encode()
    write(tmp_path, {"own.bin": own, "twice.bin": own + own, "log.parquet": text, "common.bin": common})
    repo, other = user.repo(), user.repo(type="dataset")
    writer = client(user.token, generation)
    empty = repo_stats(hub, repo)
    assert empty["logical_bytes"] < 100_000 and empty["estimated_bytes"] == empty["unread_files"] == 0
    for name in ("own.bin", "twice.bin", "log.parquet", "common.bin"):
        writer.run("upload_file", repo=repo, path=tmp_path / name, path_in_repo=name)
    alone = repo_stats(hub, repo)
    assert alone["shared_files_bytes"] == empty["shared_files_bytes"] and alone["shared_bytes"] <= empty["shared_bytes"] + 100_000
    writer.run("upload_file", repo=other, repo_type="dataset", path=tmp_path / "common.bin", path_in_repo="again.bin")

    stats = repo_stats(hub, repo)
    assert stats["files"] >= empty["files"] + 4
    assert 0 <= stats["logical_bytes"] - (3 * len(own) + len(text) + len(common)) < 200_000
    # Some chunks around the seam of the doubled file are new.
    assert 0 <= stats["unique_bytes"] - (len(own) + len(text) + len(common)) < 600_000
    assert stats["stored_bytes"] < stats["unique_bytes"] - len(text) // 2
    assert stats["shared_files_bytes"] - empty["shared_files_bytes"] == len(common)
    assert len(common) <= stats["shared_bytes"] <= stats["stored_bytes"]
    assert stats["stored_bytes"] - stats["shared_bytes"] <= stats["freed_bytes"] < alone["freed_bytes"]
    assert stats["coded_bytes"] == stats["estimated_bytes"] == stats["unread_files"] == 0
    told = repo_stats(hub, other, "--type", "dataset")
    assert told["shared_files_bytes"] >= len(common) and told["shared_bytes"] >= len(common) and told["freed_bytes"] < 200_000
    shown = cairn(hub, "repo", "stats", repo)
    assert "dedup" in shown and "compression" in shown and "if the repository were deleted" in shown and "estimated" not in shown

    # What is said to be freed is what goes.
    cairn(hub, "gc", "--grace", "0")
    stats = repo_stats(hub, repo)
    cairn(hub, "repo", "delete", repo, "--yes")
    assert json.loads(cairn(hub, "gc", "--grace", "0", "--json"))["result"]["bytes_freed"] == stats["freed_bytes"]


def test_only_an_administrator_counts_what_a_repository_takes(hub, user):
    repo = user.repo()
    assert hub.request("POST", f"/api/admin/repos/model/{repo}/stats", {}, token=user.token).status == 403
    assert hub.request("POST", f"/api/admin/repos/model/{repo}/stats", {}).status == 401
    assert "There is no such repository" in hub.request("POST", f"/api/admin/repos/model/{repo}x/stats", {}, token=hub.admin_token).json()["error"]
    cairn(hub, "repo", "stats", f"{repo}x", status=1)
    cairn(hub, "repo", "stats", repo, "--type", "thing", status=64)
    cairn(hub, "repo", "stats", status=64)


def test_users_and_tokens_are_made_listed_and_deleted(hub):
    assert json.loads(cairn(hub, "user", "create", "carol", "--email", "carol@example.org", "--json"))["name"] == "carol"
    assert "carol@example.org" in cairn(hub, "user", "list")
    cairn(hub, "user", "create", "carol", status=1)
    cairn(hub, "user", "create", "bad/name", status=1)
    made = json.loads(cairn(hub, "token", "create", "--user", "carol", "--role", "write", "--name", "laptop"))
    assert re.fullmatch(r"hf_[A-Za-z0-9]{34}", made["token"])
    assert hub.request("GET", "/api/whoami-v2", token=made["token"]).json()["name"] == "carol"
    assert "laptop" in cairn(hub, "token", "list", "carol")
    cairn(hub, "token", "delete", made["id"])
    assert hub.request("GET", "/api/whoami-v2", token=made["token"]).status == 401


def test_a_token_ends_when_it_was_to_end(hub, user):
    made = json.loads(cairn(hub, "token", "create", "--user", user.name, "--role", "read", "--expires", "2s"))
    assert hub.request("GET", "/api/whoami-v2", token=made["token"]).status == 200
    time.sleep(3)
    assert hub.request("GET", "/api/whoami-v2", token=made["token"]).status == 401


def test_repositories_are_made_listed_shown_and_deleted(hub, user):
    repo = f"{user.name}/by-operator"
    assert cairn(hub, "repo", "create", repo, "--private").strip() == f"{hub.url}/{repo}"
    listed = json.loads(cairn(hub, "repo", "list", "--owner", user.name, "--usage", "--json"))
    assert [(item["type"], item["owner"], item["name"], item["private"]) for item in listed] == [("model", user.name, "by-operator", True)]
    assert listed[0]["files"] >= 1
    shown = json.loads(cairn(hub, "repo", "info", repo, "--json"))
    assert shown["id"] == repo and shown["usage"]["files"] >= 1
    assert repo in cairn(hub, "repo", "info", repo)
    cairn(hub, "repo", "delete", repo, status=64)
    cairn(hub, "repo", "delete", repo, "--yes")
    assert json.loads(cairn(hub, "repo", "list", "--owner", user.name, "--json")) == []


def test_every_command_speaks_json(hub, user, tmp_path):
    """One JSON value on standard output and nothing else, whatever the command says to people."""
    def run(*arguments):
        return json.loads(cairn(hub, *arguments, "--json"))

    name, org, repo = f"{user.name}-other", f"{user.name}-org", f"{user.name}/spoken"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "other.git"], check=True)
    run("user", "create", name), run("user", "list"), run("user", "link", name, "--issuer", "https://id.example.org", "--subject", name)
    run("audit", "--limit", "1")
    run("org", "create", org, "--admin", user.name), run("org", "list"), run("org", "update", org, "--fullname", "Spoken")
    run("org", "member", "set", org, name, "read"), run("org", "member", "list", org), run("org", "member", "remove", org, name), run("org", "delete", org)
    token = run("token", "create", "--user", name, "--role", "read")
    run("token", "list", name), run("token", "delete", token["id"])
    app = run("app", "create", name, "--owner", name, "--redirect", "https://app.example.org/back")
    run("app", "list"), run("app", "delete", app["client_id"])
    [key] = [run("key", "add", name, tmp_path / "key.pub")]
    run("key", "list", name), run("key", "remove", key["fingerprint"])
    run("repo", "create", repo), run("repo", "list", "--owner", user.name), run("repo", "info", repo)
    run("repo", "protect", repo, "main"), run("repo", "protect", repo), run("repo", "unprotect", repo, "main"), run("repo", "set", repo, "--lfs-locks", "on")
    run("repo", "compact", repo), run("repo", "bundle", repo), run("repo", "lfs-gc", repo, "--dry-run"), run("repo", "stats", repo)
    run("repo", "mirror", repo, tmp_path / "other.git", "--work", tmp_path / "work")
    run("repo", "import", tmp_path / "other.git", f"{repo}-again", "--work", tmp_path / "work-back"), run("repo", "delete", repo, "--yes")
    run("quota", user.name), run("quota", user.name, "1T"), run("quota", user.name, "none")
    run("status"), run("stats"), run("gc", "--dry-run"), run("scrub"), run("index", "status"), run("cluster", "status")
    operations = run("operation", "list")
    run("operation", "cancel", operations[-1]["operation"])


def test_commands_for_a_cluster_speak_json(tmp_path):
    """What was asked for, as one object; the two that do something to the last node of all are refused and print nothing."""
    hub = Hub(tmp_path / "hub", "--cluster-listen", f"127.0.0.1:{free_port()}").start()
    try:
        [node] = [node["id"] for node in hub.admin("GET", "/cluster")["nodes"]]

        def run(*arguments):
            return json.loads(cairn(hub, "cluster", *arguments, "--json"))

        assert run("token")["token"]
        assert run("repair") == {"walk": True}
        assert run("promote", node) == {"nodes": [node], "role": "voter", "force": False}
        assert run("drain", "--undo", node) == {"nodes": [node], "drained": False}
        assert run("set", "--grace", "20m", "--copies", "1") == {"grace_s": 1200, "copies": 1}
        assert run("set", "--grace", "30") == {"grace_s": 30}
        assert cairn(hub, "cluster", "demote", node, "--json", status=1) == ""
        assert cairn(hub, "cluster", "remove", node, "--yes", "--force", "--json", status=1) == ""
        for grace, status in (("0", 1), ("4s", 1), ("20 minutes", 64), ("-5", 64), ("", 64)):
            cairn(hub, "cluster", "set", "--grace", grace, status=status)
    finally:
        hub.stop()


def test_help_names_every_command_for_a_cluster(hub):
    for text in (cairn(hub, "--help"), cairn(hub, "cluster", "--help")):
        for word in ("status", "token", "promote", "demote", "drain", "set", "repair", "remove", "recover", "--force", "--undo", "--grace"):
            assert word in text, word


def test_only_an_administrator_may_operate(hub, user, tmp_path):
    for token in (user.token, user.read_token):
        (tmp_path / "token").write_text(token)
        cairn(hub, "status", "--token-file", tmp_path / "token", status=1)
        assert hub.request("GET", "/api/admin/status", token=token).status == 403
    assert hub.request("GET", "/api/admin/status").status == 401


def test_gc_keeps_what_is_named_and_drops_what_is_not(hub, user, client, tmp_path):
    write(tmp_path, {"keep.bin": random_bytes("keep", 2_000_000), "drop.bin": random_bytes("drop", 3_000_000)})
    kept, dropped = user.repo(), user.repo()
    client(user.token).run("upload_file", repo=kept, path=tmp_path / "keep.bin", path_in_repo="keep.bin")
    client(user.token).run("upload_file", repo=dropped, path=tmp_path / "drop.bin", path_in_repo="drop.bin")
    cairn(hub, "repo", "delete", dropped, "--yes")
    before = hub.stats()["stored_bytes"]
    planned = json.loads(cairn(hub, "gc", "--dry-run", "--grace", "0", "--json"))["result"]
    assert planned["dry_run"] and planned["bytes_freed"] >= 3_000_000
    assert hub.stats()["stored_bytes"] == before
    # Within the default grace nothing goes: clients may still refer to what they sent.
    assert json.loads(cairn(hub, "gc", "--json"))["result"]["bytes_freed"] == 0
    done = json.loads(cairn(hub, "gc", "--grace", "0", "--json"))["result"]
    assert done["bytes_freed"] >= 3_000_000
    assert before - hub.stats()["stored_bytes"] >= 3_000_000
    got = client(user.read_token).run("download", repo=kept, filename="keep.bin")
    assert got["size"] == 2_000_000


def test_scrub_finds_nothing_on_a_sound_disk(hub):
    result = json.loads(cairn(hub, "scrub", "--json"))["result"]
    assert result["records"] > 0 and result["corrupt"] == 0 and result["findings"] == []
    assert "all as they were written" in cairn(hub, "scrub")
    assert "scrub" in cairn(hub, "operation", "list")


def test_a_xorb_is_shown_chunk_by_chunk(hub, user, client, tmp_path):
    write(tmp_path, {"data.bin": random_bytes("dump", 500_000)})
    repo = user.repo()
    client(user.token).run("upload_file", repo=repo, path=tmp_path / "data.bin", path_in_repo="data.bin")
    file = hub.request("HEAD", f"/{repo}/resolve/main/data.bin", token=user.token).headers["x-xet-hash"]
    token = hub.xet_token(user.token, repo, "read")
    plan = hub.request("GET", f"/v1/reconstructions/{file}", token=token["accessToken"]).json()
    xorb = plan["terms"][0]["hash"]
    shown = json.loads(cairn(hub, "dump", "xorb", xorb, "--json"))
    assert shown["xorb"] == xorb and shown["chunks"][-1]["raw_end"] == shown["raw_length"]
    assert xorb in cairn(hub, "dump", "xorb", xorb)
    cairn(hub, "dump", "xorb", "0" * 63, status=1)


def test_a_shard_and_a_volume_are_shown_record_by_record(hub, user, tmp_path):
    xorb = random_xorb("dump shard", 3)
    file = File([(xorb, 0, 2)])
    token = hub.xet_token(user.token, user.repo())["accessToken"]
    assert hub.request("POST", xorb.path, xorb.body, token=token).status == 200
    assert hub.request("POST", "/v1/shards", shard([file], [xorb]), token=token).status == 200
    (tmp_path / "shard").write_bytes(shard([file], [xorb]))
    shown = json.loads(cairn(hub, "dump", "shard", tmp_path / "shard", "--json"))
    assert [(item["file"], item["sha256"], len(item["terms"])) for item in shown["files"]] == [(text(file.hash), file.oid, 1)]
    assert [(item["xorb"], len(item["chunks"])) for item in shown["xorbs"]] == [(text(xorb.hash), 3)]
    assert text(xorb.hash) in cairn(hub, "dump", "shard", tmp_path / "shard")
    (tmp_path / "shard").write_bytes(b"no shard at all")
    cairn(hub, "dump", "shard", tmp_path / "shard", status=1)
    volume = sorted((hub.data_dir / "store" / "volumes").glob("*.vol"))[-1]
    records = json.loads(cairn(hub, "dump", "volume", volume, "--json"))
    kinds = {(record["kind"], record["about"]) for record in records}
    assert {("xorb", text(xorb.hash)), ("file", text(file.hash)), ("claim", text(file.hash))} <= kinds
    assert text(xorb.hash) in cairn(hub, "dump", "volume", volume)
    cairn(hub, "dump", "volume", tmp_path / "shard", status=1)
    copy = tmp_path / "copy.vol"
    copy.write_bytes(volume.read_bytes())
    flip_bit(copy, copy.read_bytes().find(xorb.body[8:200]) + 100)
    records = json.loads(cairn(hub, "dump", "volume", copy, "--json", status=2))
    damaged = [record["about"] for record in records if record["kind"] == "damaged"]
    assert damaged == [f"chunk 0 of xorb {text(xorb.hash)}"]


def test_what_takes_longer_than_a_second_shows_how_far_it_is(tmp_path):
    """On a terminal, and only there: a pipe gets the result alone."""
    hub = Hub(tmp_path / "data").start()
    user = hub.make_user("ada")
    data = random_bytes("much to check", 100_000_000)
    [entry] = hub.lfs_batch(user.token, user.repo(), [(hashlib.sha256(data).hexdigest(), len(data))]).json()["objects"]
    assert hub.request("PUT", entry["actions"]["upload"]["href"], data).status == 200
    assert hub.stop() == 0
    master, terminal = os.openpty()
    command = subprocess.Popen([CAIRN, "--data", hub.data_dir, "fsck", "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal, text=True)
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 60
    while b"%" not in shown and command.poll() is None and time.monotonic() < deadline:  # a command that hardly gets to run is slow on any disk
        command.send_signal(signal.SIGSTOP)
        time.sleep(0.4)
        command.send_signal(signal.SIGCONT)
        time.sleep(0.01)
        if select.select([master], [], [], 0)[0]:
            shown += os.read(master, 4096)
    out = command.communicate(timeout=120)[0]
    os.close(master)
    assert re.search(rb"checking \[#*\.*\] +\d+ %", shown), shown
    assert json.loads(out)["corrupt"] == 0


def test_a_stop_finishes_what_runs_and_takes_nothing_new(tmp_path):
    hub = Hub(tmp_path / "data").start()
    user = hub.make_user("ada")
    repo, data = user.repo(), random_bytes("on its way", 3_000_000)
    objects = [(hashlib.sha256(data).hexdigest(), len(data))]
    [entry] = hub.lfs_batch(user.token, repo, objects).json()["objects"]
    path = entry["actions"]["upload"]["href"].removeprefix(hub.url)
    with raw_http.connect(hub) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:1_000_000])
        time.sleep(0.3)
        hub.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        with pytest.raises(OSError):
            while time.monotonic() < deadline:
                raw_http.connect(hub, 5).close()
                time.sleep(0.02)
        assert hub.is_running()
        connection.sendall(data[1_000_000:])
        assert raw_http.read_answer(connection)[0] == 200
    assert hub.process.wait(30) == 0
    hub.start()
    assert "actions" not in hub.lfs_batch(user.token, repo, objects).json()["objects"][0]
    assert hub.stop() == 0


def test_the_page_the_health_and_the_metrics_answer(tmp_path):
    hub = Hub(tmp_path / "data").start()  # of its own: the page shows the first two hundred repositories
    try:
        look_around(hub, hub.make_user("ada"))
    finally:
        hub.stop()


def look_around(hub, user):
    public, private = user.repo(), user.repo(private=True)
    page = hub.request("GET", "/")
    assert page.status == 200 and "text/html" in page.headers["content-type"]
    assert public in page.body.decode() and private not in page.body.decode()
    datasets = [user.repo(type="dataset") for _ in range(2)]
    shown = hub.request("GET", "/").body.decode()
    models, spaces = shown.index("<h3>Models (1)</h3>"), shown.index("<h3>Spaces (0)</h3>")
    assert models < shown.index(public) < shown.index("<h3>Datasets (2)</h3>") < shown.index(f"datasets/{datasets[0]}") < spaces
    assert hub.request("GET", "/healthz").status == 200
    assert hub.request("GET", "/readyz").body == b"ready\n"
    metrics = hub.request("GET", "/metrics").body.decode()
    for name in ("cairn_http_requests_total", "cairn_store_stored_bytes", "cairn_consensus_applied", "process_resident_memory_bytes"):
        assert re.search(rf"^{name}[ {{]", metrics, re.M), name


def test_no_secret_is_in_the_log(hub, user, client, tmp_path):
    write(tmp_path, {"data.bin": random_bytes("log", 1_000_000)})
    repo = user.repo()
    client(user.token, "newest-without-xet").run("upload_file", repo=repo, path=tmp_path / "data.bin", path_in_repo="data.bin")
    client(user.token).run("download", repo=repo, filename="data.bin")
    token = hub.xet_token(user.token, repo)["accessToken"]
    log = open(hub.flags[hub.flags.index("--access-log") + 1]).read() + hub.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(line["actor"] == user.name and repo in line["path"] for line in lines)
    for secret in (user.token, user.token[3:], token, hub.admin_token):
        assert secret not in log
    # Signed permissions stand in addresses: nothing that long and random may be logged.
    assert not re.search(r"[A-Za-z0-9_-]{86,}", " ".join(line["path"] for line in lines))


@pytest.mark.parametrize("arguments", [["nonsense"], ["gc", "--grace", "soon"], ["user"], ["token", "create"], ["dump"], ["status", "now"]])
def test_what_the_command_does_not_understand_it_says(hub, arguments):
    cairn(hub, *arguments, status=64)


def test_an_unknown_option_is_called_one(hub):
    assert 'there is no option "--wat"' in cairn(hub, "--wat", "status", status=64, stderr=True)


def test_what_fails_is_told_beside_the_output(hub):
    assert cairn(hub, "repo", "info", "nobody/nothing", "--json", status=1) == ""
    assert "stderr" in next(line for line in cairn(hub, "--help").splitlines() if line.startswith("  --json"))


def test_a_data_directory_that_is_given_is_stronger_than_the_environment(hub, tmp_path, monkeypatch):
    (tmp_path / "token").write_text("hf_of_another_hub\n")
    monkeypatch.setenv("CAIRN_TOKEN_FILE", str(tmp_path / "token"))
    assert json.loads(cairn(hub, "user", "list", "--json"))
    said = cairn(hub, "--token-file", tmp_path / "token", "user", "list", status=1, stderr=True)
    assert "token" in said.lower() or "credentials" in said.lower()
    monkeypatch.setenv("CAIRN_TOKEN_FILE", str(hub.data_dir / "admin-token"))
    done = subprocess.run([CAIRN, "--url", hub.url, "--data", tmp_path, "user", "list"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done  # a directory without a token leaves it to the environment


@pytest.mark.parametrize("arguments", [["token", "create", "--user", "x", "--role", "read", "--expires", "3q"], ["gc", "--grace", "3q"],
                                       ["audit", "--since", "3q"], ["repo", "lfs-gc", "a/b", "--grace", "3q"]])
def test_a_duration_that_is_none_is_named(hub, arguments):
    done = subprocess.run([CAIRN, "--url", hub.url, "--data", hub.data_dir, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 64 and '"3q" is no duration' in done.stderr, done
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_shard_that_is_not_there_is_told_so(hub, tmp_path):
    done = subprocess.run([CAIRN, "dump", "shard", tmp_path / "nope"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "nope: No such file or directory" in done.stderr, done
    (tmp_path / "empty").write_bytes(b"")
    done = subprocess.run([CAIRN, "dump", "shard", tmp_path / "empty"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "it must be a file of 1 byte to" in done.stderr, done


@pytest.mark.parametrize("option,value,wants", [("connections", "abc", "a number from 1 to 1000000"), ("drain", "0", "a number from 1 to 1000000"),
                                                ("copies", "x", "a number from 1 to 1000000"), ("reserve", "much", "a size"), ("copy-rate", "1X", "a size"),
                                                ("scrub-every", "soon", "a time such as")])
def test_a_number_of_cairnd_that_is_none_is_named_with_its_option(tmp_path, option, value, wants):
    done = subprocess.run([CAIRND, "--data", tmp_path / "data", f"--{option}", value], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and f"--{option} wants {wants}" in done.stderr and f'"{value}"' in done.stderr, done


@pytest.fixture
def private_authority(tmp_path):
    """A certificate of an authority that no system knows, and a server's that it signed."""
    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)
    ca, ca_key, key, asked, signed, names = (tmp_path / name for name in ("ca.pem", "ca.key", "hub.key", "hub.csr", "hub.pem", "names"))
    names.write_text("subjectAltName = IP:127.0.0.1\n")
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(*new, "-x509", "-subj", "/CN=a private authority", "-days", 2, "-keyout", ca_key, "-out", ca)
    openssl(*new, "-subj", "/CN=hub", "-keyout", key, "-out", asked)
    openssl("x509", "-req", "-in", asked, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", 2, "-extfile", names, "-out", signed)
    return ca, signed, key


def test_a_hub_of_a_private_authority_is_believed_by_its_certificate(private_authority, tmp_path):
    ca, certificate, key = private_authority
    hub = Hub(tmp_path / "data", "--tls-cert", str(certificate), "--tls-key", str(key)).start()

    def run(*arguments, status=0, **environment):
        done = subprocess.run([CAIRN, "--url", f"https://127.0.0.1:{hub.port}", "--data", hub.data_dir, *map(str, arguments)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120, cwd=tmp_path,
                              env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", **environment})
        assert done.returncode == status, done
        return done.stderr if status else done.stdout
    try:
        assert "--ca-file names the certificate of a private authority" in run("status", status=1)
        assert "cannot read certificates from nope.pem" in run("--ca-file", "nope.pem", "status", status=1)
        assert "leader" in run("--ca-file", "ca.pem", "status")
        assert "leader" in run("status", SSL_CERT_FILE=str(ca))
        run("user", "create", "ada", SSL_CERT_FILE=str(ca))
        # git and git-lfs are told of it too, and what sshd starts.
        source = Source(tmp_path / "source", lfs=True)
        source.commit({"a.txt": b"a", "b.bin": random_bytes("private", 100_000)})
        source.push()
        run("--ca-file", "ca.pem", "repo", "import", source.bare, "ada/imported", "--lfs")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"], check=True, timeout=60)
        run("--ca-file", ca, "key", "add", "ada", tmp_path / "id.pub")
        finger = re.search("SHA256:[^ ]+", subprocess.run(["ssh-keygen", "-lf", tmp_path / "id.pub"], capture_output=True, text=True, check=True).stdout)[0]
        assert f" --ca-file {ca} ssh-shell" in run("--ca-file", "ca.pem", "ssh-keys", finger)
        assert "refs/heads/main" in run("--ca-file", ca, "ssh-shell", "--key", finger, SSH_ORIGINAL_COMMAND="git-receive-pack 'ada/imported.git'")
    finally:
        assert hub.stop() == 0, hub.tail()

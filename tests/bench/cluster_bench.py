"""What three nodes on this machine cost: commits of names against etcd's, pushes and reads against one node, recovery of a lost leader, refill of a wiped node."""
import http.client
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time
import urllib.parse

from chaos_proxy import eventually
from cluster_process import Cluster, cairn_of
from ports import free_port

IN_FLIGHT = (1, 16, 256)
RATIOS = {1: 1.5, 16: 2.0, 256: 4.0}
ELECTION_SECONDS = 1.0
MIB = 1 << 20
ONE_XORB_BYTES = 56 * MIB  # of weights: less than a xorb holds
READS_AGAIN = 16


class Talker:
    """A node of cluster_commits."""

    def __init__(self, program, dir, token=None):
        self.process = subprocess.Popen([program, dir, f"127.0.0.1:{free_port()}", *([token] if token else [])], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.process.stdout.readline() == "ready\n", "a node did not start"

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        answer = self.process.stdout.readline().strip()
        assert answer, f"a node has ended on {line!r}"
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class ClusterBench:
    def __init__(self, bench):
        self.bench, self.table, self.work = bench, bench.table, bench.work
        self.seconds = 3 if bench.options.quick else 6
        self.rounds = 2 if bench.options.quick else 4

    # ---- commits of names beside etcd's

    def etcd(self):
        load = self.build_etcd_load()
        if not load:
            return
        results = {name: {n: [] for n in IN_FLIGHT} for name in ("etcd", "leader", "follower")}
        for round in range(self.rounds):  # in turn, so that a slow minute of the disk meets both
            self.run_etcd(load, round, results["etcd"])
            self.run_cairn(round, results)
        for n in IN_FLIGHT:
            middle = {name: {key: statistics.median(run[key] for run in of[n]) for key in ("per_s", "p50_us", "p99_us")} for name, of in results.items()}
            for name, words in (("leader", "a client of the leader's"), ("follower", "a client of a follower's")):
                ratios = [mine["per_s"] / theirs["per_s"] for mine, theirs in zip(results[name][n], results["etcd"][n])]
                tails = [mine["p99_us"] / theirs["p99_us"] for mine, theirs in zip(results[name][n], results["etcd"][n])]
                self.table.row(f"commits, {n} in flight, {words}, per etcd's", ratios, "x", RATIOS[n])
                self.table.row("  p99 per etcd's", tails, "x", 1.0, above=False)
            for name, of in middle.items():
                print(f"    {name:<9} {of['per_s']:9.0f}/s  p50 {of['p50_us']:7.0f} us  p99 {of['p99_us']:7.0f} us", flush=True)

    def build_etcd_load(self):
        source = pathlib.Path(__file__).parent / "etcd_load"
        program = self.bench.build_dir / "etcd_load"
        if not shutil.which("etcd") or not (shutil.which("go") or program.exists()):
            print("  (not compared with etcd: ./ops/deps --bench installs etcd-server and go)")
            return None
        if not program.exists():
            subprocess.run(["go", "build", "-o", program, "."], cwd=source, check=True)
        return program

    def run_etcd(self, load, round, results):
        nodes = [(f"n{i}", free_port(), free_port()) for i in range(3)]
        peers = ",".join(f"{name}=http://127.0.0.1:{peer}" for name, _, peer in nodes)
        processes = []
        try:
            for name, client, peer in nodes:
                processes.append(subprocess.Popen(
                    ["etcd", "--name", name, "--data-dir", self.work / f"etcd-{round}-{name}", "--listen-client-urls", f"http://127.0.0.1:{client}",
                     "--advertise-client-urls", f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                     "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", peers, "--heartbeat-interval", "100",
                     "--election-timeout", "1000", "--quota-backend-bytes", str(4 << 30)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            leader = eventually(lambda: self.etcd_leader(nodes), 30, "a leader of etcd")
            out = subprocess.run([load, f"127.0.0.1:{leader}", str(self.seconds), *map(str, IN_FLIGHT)], check=True, capture_output=True, text=True).stdout
            for line in out.splitlines():
                run = json.loads(line)
                results[run["in_flight"]].append(run)
        finally:
            for process in processes:
                process.kill()
                process.wait()
            for name, _, _ in nodes:
                shutil.rmtree(self.work / f"etcd-{round}-{name}", ignore_errors=True)

    @staticmethod
    def etcd_leader(nodes):
        """The client port of the node that leads."""
        endpoints = ",".join(f"127.0.0.1:{client}" for _, client, _ in nodes)
        out = subprocess.run(["etcdctl", "--endpoints", endpoints, "endpoint", "status", "-w", "json"], capture_output=True, text=True,
                             env={**os.environ, "ETCDCTL_API": "3"})
        if out.returncode:
            return None
        for each in json.loads(out.stdout):
            if each["Status"]["header"]["member_id"] == each["Status"].get("leader"):
                return int(each["Endpoint"].rsplit(":", 1)[1])
        return None

    def run_cairn(self, round, results):
        program = self.bench.build_dir / "cluster_commits"
        nodes = []
        try:
            for i in range(3):
                dir = self.work / f"commits-{round}-{i}"
                nodes.append(Talker(program, dir, nodes[0].ask("token") if nodes else None))
            leader = eventually(lambda: next((node for node in nodes if node.ask("state") == "leader"), None), 30, "a leader and three voters")
            time.sleep(1)
            follower = next(node for node in nodes if node is not leader)
            for name, node in (("leader", leader), ("follower", follower)):
                for n in IN_FLIGHT:
                    results[name][n].append(json.loads(node.ask(f"run {n} {self.seconds}")))
        finally:
            for node in nodes:
                node.close()
            for i in range(3):
                shutil.rmtree(self.work / f"commits-{round}-{i}", ignore_errors=True)

    # ---- pushes and reads, one node and three

    def cluster(self):
        length, count = (64 if self.bench.options.quick else 128) * MIB, 3 if self.bench.options.quick else 5
        self.bench.measure_s()
        cluster = Cluster(self.work / "cluster")
        cluster.dir.mkdir()
        try:
            alone = self.bench.start("alone")
            for _ in range(3):
                cluster.grow()
            cluster.wait_for_voters(3)
            first = cluster.nodes[0]
            first.create_repo(first.admin_token, "bytes")
            alone.create_repo(alone.admin_token, "bytes")
            pushes, reads = [], []
            for run in range(count):
                seed = self.bench.next_seeds(1)
                one = self.push(alone, [alone], seed, length)
                three = self.push(first, cluster.nodes, seed, length)
                pushes.append(three / one)
                one = self.read(alone, [alone], seed, length)
                reads.append(self.read(cluster.nodes[1], cluster.nodes, seed, length) / one)
            self.table.row("push of new weights into 3 nodes: CPU per one node's", pushes, "x", 3.3, above=False)
            self.table.row("read through another node: CPU per one node's", reads, "x", 1.1, above=False)
            self.recovery(cluster)
            self.refill(cluster, seed, length)
        finally:
            cluster.close()
        shutil.rmtree(cluster.dir)
        self.elsewhere(alone)

    def cpu(self, nodes):
        return sum(time.clock_gettime(~node.process.pid << 3 | 2) for node in nodes)

    def push(self, node, nodes, seed, length):
        """CPU seconds of all nodes, until all have it."""
        jobs, oids = self.bench.put_jobs(node, "admin/bytes", "weights", length, 1, seed)
        before = self.cpu(nodes)
        self.bench.drive(node.port, jobs, 1)
        self.bench.commit_lfs(node, "admin/bytes", [(f"{seed}.bin", oids[0], length)])
        if len(nodes) > 1:
            eventually(lambda: all(each.status()["bytes_replicated"] for each in nodes), 120, "all bytes on every node")
        return self.cpu(nodes) - before

    def read(self, node, nodes, seed, length):
        target = self.bench.final_target(node, f"/admin/bytes/resolve/main/{seed}.bin")
        job = [("GET", target, "-", "-")]
        self.bench.drive(node.port, job, 1)  # read from the disk and checked once
        before = self.cpu(nodes)
        self.bench.drive(node.port, job, 1, "--repeat", 32)  # many: a read takes hundredths of a second
        return self.cpu(nodes) - before

    # ---- reads through a node that does not hold the bytes

    def elsewhere(self, alone):
        """Four nodes, two copies: each file is one xorb, so that two nodes have all of it and two have nothing. One of these sends the client to a node that has it, as clients
        reach every node; through the other it passes, as where they do not: under an address that caches may keep, nodes never send on. CPU of all nodes per that of one
        that is alone, of the first read of a file and of those that follow, and the time to the first byte of the first read."""
        cluster = Cluster(self.work / "elsewhere")
        cluster.dir.mkdir()
        cluster.prepare = self.tell_url
        try:
            for _ in range(4):
                cluster.grow()
            cluster.wait_for_voters(4)
            cairn_of(cluster.nodes[0], "cluster", "set", "--replication-factor", "2")
            for node in (cluster.nodes[0], alone):
                node.create_repo(node.admin_token, "bytes")
            ratios = {(who, when): [] for who in ("holds", "sends on", "passes") for when in ("first", "again")}
            waits = {who: [] for who in ("alone", "holds", "sends on", "passes")}
            for _ in range(5 if self.bench.options.quick else 9):
                seed = self.bench.next_seeds(1)
                self.push(alone, [alone], seed, ONE_XORB_BYTES)
                before = set(self.holders(cluster))
                self.push(cluster.nodes[0], cluster.nodes, seed, ONE_XORB_BYTES)
                held = self.holders_of_new(cluster, before)
                lacking = [node for node in cluster.nodes if node.name not in held]
                there = self.sent_to(lacking[0].port, self.target_of(lacking[0], seed))
                holder = next(node for node in cluster.nodes if node.name in held and node.port != there.port)  # which has not read it yet
                readers = {"holds": holder, "sends on": lacking[0], "passes": lacking[1]}
                one = self.read_twice(alone, [alone], self.target_of(alone, seed), waits["alone"])
                for who, node in readers.items():
                    target = self.target_of(node, seed, "resolve-cache" if who == "passes" else "resolve")
                    for when, cpu in self.read_twice(node, cluster.nodes, target, waits[who]).items():
                        ratios[who, when].append(cpu / one[when])
        finally:
            cluster.close()
        words = {"alone": "node alone", "holds": "node that has it", "sends on": "sent on by a node without it", "passes": "passed through a node without it"}
        for (who, when), values in ratios.items():
            bar = {"holds": 1.1, "sends on": 1.6, "passes": None}[who]
            self.table.row(f"read {when}, {words[who]}: CPU per one alone", values, "x", bar, above=False)
        for who, values in waits.items():
            self.table.row(f"  to the first byte, {words[who]}", [value * 1000 for value in values], "ms")

    @staticmethod
    def tell_url(node):
        node.port = free_port()
        node.flags += ["--node-url", node.url]

    @staticmethod
    def target_of(node, seed, how="resolve"):
        head = node.request("HEAD", f"/admin/bytes/resolve/main/{seed}.bin")
        assert head.status == 200, head
        return f"/admin/bytes/resolve/main/{seed}.bin" if how == "resolve" else f"/api/resolve-cache/models/admin/bytes/{head.headers['x-repo-commit']}/{seed}.bin"

    @staticmethod
    def holders(cluster):
        """Every xorb of the cluster that is large, and the names of the nodes that have it."""
        found = {}
        for node in cluster.nodes:
            for each in node.admin("GET", "/xorbs"):
                if each["body_length"] > MIB:
                    found.setdefault(each["xorb"], set()).add(node.name)
        return found

    def holders_of_new(self, cluster, before):
        def found():
            new = {xorb: names for xorb, names in self.holders(cluster).items() if xorb not in before}
            return next(iter(new.values())) if len(new) == 1 and all(len(names) == 2 for names in new.values()) else None
        cairn_of(cluster.nodes[0], "cluster", "repair")  # or what was taken by the wrong node goes a minute later
        return eventually(found, 120, "two copies of what was pushed")

    def read_twice(self, node, nodes, target, waits):
        """CPU seconds of the first read, and of one of those behind it."""
        times = [self.cpu(nodes)]
        waits.append(self.first_byte(node.port, target))
        times.append(self.cpu(nodes))
        self.bench.drive(node.port, [("GET", target, "-", "-")], 1, "--repeat", READS_AGAIN)
        there = self.sent_to(node.port, target)
        if there:
            self.bench.drive(there.port, [("GET", f"{there.path}?{there.query}", "-", "-")], 1, "--repeat", READS_AGAIN)
        times.append(self.cpu(nodes))
        return {"first": times[1] - times[0], "again": (times[2] - times[1]) / READS_AGAIN}

    @staticmethod
    def sent_to(port, target):
        """The address that a client is sent on to, or None."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", target, headers={"Range": "bytes=0-0"})
        answer = connection.getresponse()
        connection.close()
        return urllib.parse.urlsplit(answer.headers["Location"]) if answer.status == 302 else None

    @classmethod
    def first_byte(cls, port, target):
        """Reads all of it, wherever it is; seconds until the first byte of the body was here."""
        start = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", target)
        answer = connection.getresponse()
        if answer.status == 302:
            there = urllib.parse.urlsplit(answer.headers["Location"])
            connection.close()
            sent_on = time.monotonic() - start
            return sent_on + cls.first_byte(there.port, f"{there.path}?{there.query}")
        assert answer.status == 200 and len(answer.read(1)) == 1, answer.status
        elapsed, length = time.monotonic() - start, 1
        while some := answer.read(MIB):
            length += len(some)
        assert length == ONE_XORB_BYTES, length
        connection.close()
        return elapsed

    # ---- after a failure

    def recovery(self, cluster):
        """From the death of the leader to the next acknowledged change through another node."""
        waits = []
        for _ in range(6 if self.bench.options.quick else 20):
            leader = cluster.leader()
            other = next(node for node in cluster.nodes if node is not leader)
            token = leader.admin_token
            leader.kill()
            start = time.monotonic()
            while other.request("POST", "/api/admin/tokens", {"user": "admin", "role": "read", "name": "t"}, token=token).status != 200:
                assert time.monotonic() - start < 60, "no change was acknowledged after the leader's death"
            waits.append((time.monotonic() - start) / ELECTION_SECONDS)
            leader.start()
            eventually(lambda: all(node.request("GET", "/readyz").status == 200 for node in cluster.nodes), 60, "all are ready")
            cluster.leader()
        self.table.row(f"leader killed to next acknowledged change, election timeouts, {len(waits)} times", waits, "x", 3, above=False)
        self.table.row("  the longest", max(waits), "x")

    def read_rate(self, node, seed, length, is_over):
        """Bytes a second that four clients read, until it is over."""
        target = self.bench.final_target(node, f"/admin/bytes/resolve/main/{seed}.bin")
        start, total = time.monotonic(), 0
        while total == 0 or not is_over():
            self.bench.drive(node.port, [("GET", target, "-", "-")] * 4, 4, "--repeat", 4)
            total += 16 * length
        return total / (time.monotonic() - start)

    def refill(self, cluster, seed, length):
        """A node that was wiped comes back as another one and takes everything, as a part of what the disk writes when it is asked to, synced. With more nodes
        than copies it would take its share only."""
        self.wipe(cluster, cluster.nodes[-1])
        total = cluster.nodes[0].stats()["stored_bytes"]
        disk = self.disk_write_speed(total)
        start, fresh = time.monotonic(), cluster.grow()
        there, runs = fresh.stats()["stored_bytes"], time.monotonic()
        eventually(lambda: fresh.stats()["stored_bytes"] >= total, 300, "a new node has all bytes")
        end = time.monotonic()
        cpu = self.cpu([fresh])
        self.table.row(f"a new node takes {total // MIB} MiB, of the disk's speed", total / (end - start) / disk, "x")
        if there < total:
            self.table.row("  once it runs", (total - there) / (end - runs) / disk, "x", 0.8)
        self.table.row("  CPU of the new node, a GiB", cpu / total * (MIB << 10), "s")
        # Once more, while clients read.
        quiet_until = time.monotonic() + 2
        quiet = self.read_rate(cluster.nodes[0], seed, length, lambda: time.monotonic() > quiet_until)
        self.wipe(cluster, fresh)
        fresh = cluster.grow()
        there, runs = fresh.stats()["stored_bytes"], time.monotonic()
        busy = self.read_rate(cluster.nodes[0], seed, length, lambda: fresh.stats()["stored_bytes"] >= total)
        self.table.row("clients' reads while a node is filled, of those before", busy / quiet, "x", 0.5)
        self.table.row("  filling meanwhile, of the disk's speed", (total - there) / (time.monotonic() - runs) / disk, "x")

    @staticmethod
    def wipe(cluster, lost):
        lost_id = lost.me()["id"]
        lost.kill()
        cairn_of(cluster.nodes[0], "cluster", "remove", lost_id, "--yes")
        cluster.nodes.remove(lost)
        cluster.wait_for_voters(2)
        shutil.rmtree(lost.data_dir)

    def disk_write_speed(self, total):
        path, block = self.work / "write-speed", os.urandom(4 * MIB)
        start = time.monotonic()
        with open(path, "wb") as file:
            for _ in range(max(1, total // len(block))):
                file.write(block)
            os.fsync(file.fileno())
        elapsed = time.monotonic() - start
        path.unlink()
        return total / elapsed

"""What goes wrong with a cluster: one fault at a time, drawn by a seed, held for a while, healed. Nodes must have been made by `prepare` for clocks and disks."""
import http.client
import time

from chaos_proxy import eventually
from hub_process import BUILD

EXIT_STORE_FAILED = 70
LEFT_TO_HEAL_SECONDS_MAX = 60


def prepare(node):
    """A node whose clock and disk can be ill-treated; before its start."""
    libraries = [BUILD / "libio_fault.so", BUILD / "libclock_fault.so"]
    node.disk_file = node.data_dir.with_name(node.data_dir.name + ".disk-fault")
    node.clock_file = node.data_dir.with_name(node.data_dir.name + ".clock-fault")
    node.disk_file.write_text("")
    node.clock_file.write_text("0")
    node.environment = {"LD_PRELOAD": ":".join(map(str, libraries)), "IO_FAULT": str(node.disk_file), "CLOCK_FAULT": str(node.clock_file)}


class Nemesis:
    NETWORK = ("isolate", "no majority", "one way", "one link", "flap", "jitter", "loss", "slow link")
    PROCESS = ("kill leader", "kill follower", "kill all", "pause", "slow process", "restart", "clock")
    DISK = ("disk: no syncs", "disk: no log", "disk: short writes", "disk: full")

    def __init__(self, cluster, chance, kinds, hold_seconds=(1.0, 4.0)):
        self.cluster, self.chance, self.kinds, self.hold_seconds = cluster, chance, list(kinds), hold_seconds
        self.queue = []
        self.done = []

    def run(self, seconds):
        """Fault after fault; every kind once before any comes again."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.strike()
            time.sleep(self.chance.uniform(0.3, 1.5))

    def run_each(self):
        """Every kind once."""
        for _ in self.kinds:
            self.strike()
            time.sleep(self.chance.uniform(0.3, 1.5))

    def strike(self):
        if not self.queue:
            self.queue = self.chance.sample(self.kinds, len(self.kinds))
        kind = self.queue.pop()
        self.done.append(kind)
        print(f"{time.strftime('%H:%M:%S')} fault: {kind}", flush=True)
        getattr(self, "do_" + kind.split(":")[0].replace(" ", "_"))(kind)
        self.heal()

    def hold(self):
        time.sleep(self.chance.uniform(*self.hold_seconds))

    def heal(self):
        """Whoever died comes back; everybody answers."""
        if self.cluster.proxy:
            self.cluster.proxy.mend()
        dead = [node for node in self.cluster.nodes if not node.is_running()]
        for node in self.cluster.nodes:
            if hasattr(node, "disk_file"):
                node.disk_file.write_text("")
        for node in dead:
            node.spawn()  # a majority may be among them: none serves before the others have come
        for node in self.cluster.nodes:
            eventually(lambda: self.is_back(node), LEFT_TO_HEAL_SECONDS_MAX, f"{node.name} is ready: {node.tail(1500)}")

    def is_back(self, node):
        if not node.is_running() and self.done[-1:] == ["disk: no log"] and node.process.returncode == EXIT_STORE_FAILED:
            node.spawn()  # it was still ending when its disk had become whole again
        return node.is_running() and self.is_ready(node)

    @staticmethod
    def is_ready(node):
        try:
            return node.request("GET", "/readyz", timeout=30).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def leader_or_any(self):
        try:
            return self.cluster.leader(self.chance.randrange(2))
        except (AssertionError, OSError, http.client.HTTPException):
            return self.chance.choice(self.cluster.nodes)

    # ---- the network

    def do_isolate(self, kind):
        self.cluster.proxy.isolate(self.chance.choice(self.cluster.nodes).name)
        self.hold()

    def do_no_majority(self, kind):
        for node in self.cluster.nodes:
            self.cluster.proxy.isolate(node.name)
        self.hold()

    def do_one_way(self, kind):
        one = self.chance.choice(self.cluster.nodes).name
        mute = self.chance.random() < 0.5
        for other in self.cluster.nodes:
            if other.name != one:
                self.cluster.proxy.cut(*((one, other.name) if mute else (other.name, one)))
        self.hold()

    def do_one_link(self, kind):
        one, other = (node.name for node in self.chance.sample(self.cluster.nodes, 2))
        self.cluster.proxy.cut(one, other)
        self.cluster.proxy.cut(other, one)
        self.hold()

    def do_flap(self, kind):
        one = self.chance.choice(self.cluster.nodes).name
        for _ in range(8):
            self.cluster.proxy.isolate(one)
            time.sleep(self.chance.uniform(0.05, 0.3))
            self.cluster.proxy.mend()
            time.sleep(self.chance.uniform(0.02, 0.2))

    def do_jitter(self, kind):
        self.cluster.proxy.jitter_seconds = self.chance.choice((0.02, 0.1, 0.3))
        self.hold()

    def do_loss(self, kind):
        self.cluster.proxy.loss = self.chance.choice((0.01, 0.05, 0.2))
        self.cluster.proxy.jitter_seconds = 0.02
        self.hold()

    def do_slow_link(self, kind):
        self.cluster.proxy.slow[self.chance.choice(self.cluster.nodes).name] = self.chance.choice((0.05, 0.2))
        self.hold()

    # ---- processes

    def do_kill_leader(self, kind):
        self.leader_or_any().kill()
        self.hold()

    def do_kill_follower(self, kind):
        leader = self.leader_or_any()
        self.chance.choice([node for node in self.cluster.nodes if node is not leader]).kill()
        self.hold()

    def do_kill_all(self, kind):
        for node in self.cluster.nodes:
            node.kill()

    def do_pause(self, kind):
        """For longer than an election takes."""
        node = self.leader_or_any()
        node.pause()
        time.sleep(self.chance.uniform(2.5, 5))
        node.resume()

    def do_slow_process(self, kind):
        node, until = self.chance.choice(self.cluster.nodes), time.monotonic() + self.chance.uniform(*self.hold_seconds)
        while time.monotonic() < until:
            node.pause()
            time.sleep(0.18)
            node.resume()
            time.sleep(0.02)

    def do_restart(self, kind):
        for node in self.chance.sample(self.cluster.nodes, len(self.cluster.nodes)):
            assert node.stop() == 0, node.tail()
            node.spawn()
            eventually(lambda: self.is_ready(node), LEFT_TO_HEAL_SECONDS_MAX, f"{node.name} is ready after a restart: {node.tail(1500)}")

    def do_clock(self, kind):
        node = self.leader_or_any()
        for _ in range(3):
            node.clock_file.write_text(str(self.chance.choice((-1, 1)) * self.chance.randrange(5_000, 240_000)))
            time.sleep(self.chance.uniform(0.3, 1))
        node.clock_file.write_text("0")

    # ---- disks

    def do_disk(self, kind):
        node = self.chance.choice(self.cluster.nodes)
        node.disk_file.write_text({"disk: no syncs": "sync store/volumes 2 EIO", "disk: no log": "sync meta/raftlog 2 EIO",
                                   "disk: short writes": "write store/volumes 2 SHORT", "disk: full": "write store/volumes 1 ENOSPC"}[kind] + "\n")
        self.hold()
        node.disk_file.write_text("")
        if kind in ("disk: no syncs", "disk: full") and node.is_running():
            node.kill()  # after a failed write it takes nothing more before a start that looks what is there
        if kind == "disk: no log":
            assert node.is_running() or node.process.returncode == EXIT_STORE_FAILED, node.tail()

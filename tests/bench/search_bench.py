"""Lists and search of a hub with many repositories, against nginx and the bytes of one page; and what facts and the index cost a commit."""
import http.client
import os
import pathlib
import statistics
import subprocess
import threading
import time

from hub_process import BUILD

def cpu_seconds(pid):
    """What a process has used of all cores, by its CPU-time clock."""
    return time.clock_gettime(~pid << 3 | 2)


QUERIES = ["", "sort=downloads", "filter=pytorch&sort=likes", "search=granite", "search=gra", "search=word123", "search=anite-ba", "author=owner-7",
           "filter=license:mit&filter=en&filter=pytorch&filter=timm&sort=createdAt", "filter=rare-12", "num_parameters=min:1B,max:3B&sort=num_parameters",
           "pipeline_tag=fill-mask&sort=id", "search=owner-5&search=bert&sort=likes", "search=nothing-like-it"]


class SearchBench:
    def __init__(self, bench):
        self.bench = bench
        self.repos = 10_000 if bench.options.quick else 100_000

    def run(self):
        data = self.bench.work / "many-repos"
        data.mkdir(mode=0o700)
        subprocess.run([BUILD / "hub_maker", data, str(self.repos)], check=True)
        hub = self.bench.start("many-repos", "--workers", "4")
        hub.index_settled()
        self.pages(hub)
        hub.stop()
        self.commits()

    def pages(self, hub):
        table, seconds = self.bench.table, 1 if self.bench.options.quick else 2
        connection = http.client.HTTPConnection("127.0.0.1", hub.port)
        times = {}
        for limit in (20, 500):
            times[limit] = []
            for query in QUERIES:
                for _ in range(30):
                    begin = time.monotonic()
                    connection.request("GET", f"/api/models?limit={limit}&{query}")
                    page = connection.getresponse().read()
                    times[limit].append((time.monotonic() - begin) * 1000)
            times[limit].sort()
            table.row(f"lists and search, {self.repos} repositories, pages of {limit}: p50", times[limit][len(times[limit]) // 2], "ms")
            table.row("p99 among them", times[limit][len(times[limit]) * 99 // 100], "ms", 20, above=False)
        page = hub.request("GET", "/api/models?limit=20&sort=downloads").body
        port, nginx_cpu, nginx_stop = self.bench.nginx({"page.json": page})
        for limit in (20, 500):
            costs = {}
            for query in QUERIES:
                runs = []
                for _ in range(3):
                    before = cpu_seconds(hub.process.pid)
                    self.bench.drive(hub.port, [("GET", f"/api/models?limit={limit}&{query}", "-", "-")], 1, "--repeat", 40)
                    runs.append((cpu_seconds(hub.process.pid) - before) / 40 * 1000)
                costs[query] = min(runs)
            costs = sorted(costs.values())
            table.row(f"the server's CPU for pages of {limit}: middle of {len(costs)} kinds", costs[len(costs) // 2], "ms")
            table.row("the dearest", costs[-1], "ms", 20, above=False)
        for name, query in (("a list", "limit=20&sort=downloads"), ("a filter", "limit=20&filter=pytorch&sort=likes"), ("a search", "limit=20&search=granite")):
            ratios = []
            for _ in range(self.bench.runs):
                before = nginx_cpu()
                result = self.bench.drive(port, [("GET", "/page.json", "-", "-")] * 4, 4, "--seconds", seconds)
                base = (nginx_cpu() - before) / result["requests"]
                clock = cpu_seconds(hub.process.pid)
                result = self.bench.drive(hub.port, [("GET", f"/api/models?{query}", "-", "-")] * 4, 4, "--seconds", seconds)
                ratios.append((cpu_seconds(hub.process.pid) - clock) / result["requests"] / base)
            table.row(f"{name}, page of 20: CPU against nginx, the same bytes", ratios, "x", 10, above=False)
        nginx_stop()

    def index_seconds(self, hub):
        for task in pathlib.Path(f"/proc/{hub.process.pid}/task").iterdir():
            text = (task / "stat").read_text()
            if "(search)" in text:
                fields = text.rsplit(")", 1)[1].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        raise RuntimeError("the index has no thread")

    def commits(self):
        """Small commits of 16 writers; every one of them is indexed."""
        hub, count = self.bench.hub, 50 if self.bench.options.quick else 200
        for name, files in (("files of no interest", lambda i: {f"notes/{i % 50}.txt": os.urandom(3000)}),
                            ("a card each", lambda i: {"README.md": b"---\nlicense: mit\n---\n" + b" ".join(b"w%d" % ((i * 7 + j) % 3000) for j in range(300))})):
            repos = [self.bench.repo() for _ in range(16)]
            hub.index_settled()
            clock, index = hub.cpu_seconds(), self.index_seconds(hub)

            def push(repo):
                for i in range(count):
                    answer = hub.commit(hub.admin_token, repo, files(i))
                    assert answer.status == 200, answer

            threads = [threading.Thread(target=push, args=(repo,)) for repo in repos]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            hub.index_settled()
            index = self.index_seconds(hub) - index
            self.bench.table.row(f"index and facts, commits of {name}: of the rest's CPU", 100 * index / (hub.cpu_seconds() - clock - index), "%", 20, above=False)

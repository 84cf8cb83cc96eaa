"""Lists and search cost what their page costs, not what the hub does: the server's CPU for the same pages of a small hub and of a large one.

CAIRN_SCALE=whole makes the large one ten times as liked: 10,000 repositories, a million likes, 1,000 webhooks; some minutes."""
import http.client
import os
import subprocess
import time

import pytest

from hub_process import BUILD, Hub

# name -> repositories, likes, webhooks
SIZES = {"small": (500, 2500, 25), "large": (10_000, 1_000_000 if os.environ.get("CAIRN_SCALE") == "whole" else 100_000, 1000)}
pytestmark = pytest.mark.timeout(3000 if os.environ.get("CAIRN_SCALE") == "whole" else 300)
PAGES = ["/api/models?limit=20", "/api/models?limit=20&sort=downloads", "/api/models?limit=20&sort=id", "/api/models?limit=20&filter=pytorch&sort=likes",
         "/api/models?limit=20&search=granite", "/api/models?limit=20&search=gra", "/api/models?limit=20&search=word123", "/api/models?limit=20&search=anite-ba",
         "/api/models?limit=20&filter=license:mit&filter=en&sort=createdAt", "/api/models?limit=20&filter=rare-12", "/api/models?limit=20&search=nothing-like-it",
         "/api/models?limit=20&pipeline_tag=fill-mask&sort=id", "/api/models?limit=20&num_parameters=min:1B,max:3B&sort=num_parameters",
         "/api/models?limit=20&author=owner-7", "/api/quicksearch?q=granite", "/api/trending",
         "/api/models/owner-0/granite-granite-0/likers?limit=20", "/api/users/fan-0/likes?limit=20", "/api/users/fan-0/overview", "/api/settings/webhooks"]
REQUESTS, RUNS = 40, 3


class Measured:
    def __init__(self, directory, name):
        repos, likes, webhooks = SIZES[name]
        data = directory / name
        data.mkdir(mode=0o700)
        subprocess.run([BUILD / "hub_maker", data, str(repos), str(likes), str(webhooks)], check=True, timeout=1800)
        self.hub = Hub(data, "--rate-limits", "off").start()
        self.hub.index_settled(300)
        self.token = self.hub.make_token("fan-0", "write")
        self.rest()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=120)

    def rest(self):
        """Until what a start brings with it is done: followers of the streams of changes look at what is new to them."""
        for _ in range(600):
            begin = self.cpu()
            time.sleep(0.5)
            if self.cpu() - begin < 0.02:
                return
        raise AssertionError("the server never rests")

    def get(self, path):
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body[:300])
        return answer, body

    def cpu(self):
        return time.clock_gettime(~self.hub.process.pid << 3 | 2)

    def cost(self, path):
        """Seconds of the server's CPU for one such request."""
        costs = []
        self.get(path)
        for _ in range(RUNS):
            begin = self.cpu()
            for _ in range(REQUESTS):
                self.get(path)
            costs.append((self.cpu() - begin) / REQUESTS)
        return min(costs)

    def walk(self):
        """Ids of all pages."""
        found, path = [], "/api/models?limit=500&expand=author"
        while path:
            answer, body = self.get(path)
            found.append(body)
            link = answer.headers.get("link")
            path = link.split(">")[0].split(str(self.hub.port), 1)[1] if link else None
        return b"".join(found).count(b'"author"')


@pytest.fixture(scope="module")
def hubs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scale")
    made = {name: Measured(directory, name) for name in SIZES}
    yield made
    for measured in made.values():
        measured.hub.stop()


def test_pages_cost_the_same_in_a_hub_of_twenty_times_the_size(hubs):
    costs = {path: (hubs["small"].cost(path), hubs["large"].cost(path)) for path in PAGES}
    told = {path: (round(small * 1e6), round(large * 1e6), round(large / small, 1)) for path, (small, large) in costs.items()}
    print(told)
    grown = {path: told[path] for path, (small, large) in costs.items() if large > 4 * small + 300e-6}
    assert not grown, grown
    assert sum(large for _, large in costs.values()) < 2.5 * sum(small for small, _ in costs.values()), told


def test_a_late_page_costs_what_an_early_one_costs(hubs):
    large, path = hubs["large"], "/api/models?limit=100&sort=downloads"
    early = large.cost(path)
    for _ in range(60):
        answer, _ = large.get(path)
        path = answer.headers["link"].split(">")[0].split(str(large.hub.port), 1)[1]
    assert large.cost(path) < 3 * early + 300e-6


def test_all_of_it_does_cost_by_the_size(hubs):
    """What the other tests say is not for want of seeing a difference."""
    counts, costs = {}, {}
    for name, measured in hubs.items():
        measured.walk()
        begin = measured.cpu()
        counts[name] = measured.walk()
        costs[name] = measured.cpu() - begin
    assert counts == {"small": 490, "large": 9800}  # two of a hundred are private
    assert costs["large"] > 4 * costs["small"], costs

import itertools
import pathlib

import pytest

from clients import GENERATIONS, Client
from hub_process import Hub
from samples import sample_repository, write

user_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """One server for the whole run; tests keep apart by using repositories and users of their own."""
    hub = Hub(tmp_path_factory.mktemp("hub") / "data", "--access-log", str(tmp_path_factory.mktemp("log") / "access.log")).start()
    yield hub
    assert hub.is_running(), f"the server died:\n{hub.tail()}"
    assert hub.stop() == 0, hub.tail()


@pytest.fixture(autouse=True)
def the_server_stays_up(hub):
    yield
    assert hub.is_running(), f"the server died:\n{hub.tail()}"


@pytest.fixture(scope="session")
def alice(hub):
    return hub.make_user("alice")


@pytest.fixture(scope="session")
def bob(hub):
    return hub.make_user("bob")


@pytest.fixture
def user(hub):
    """A user of this test alone, for what must not meet another test's names."""
    return hub.make_user(f"user-{next(user_numbers)}")


@pytest.fixture
def client(hub, tmp_path):
    """Makes clients with empty caches: client(token, generation)."""
    def make(token=None, generation="newest"):
        return Client(hub, token, tmp_path, generation)
    return make


@pytest.fixture(params=list(GENERATIONS))
def generation(request):
    return request.param


@pytest.fixture
def sample(tmp_path, request):
    """A folder with a small model repository in it, and what it holds."""
    files = sample_repository(request.node.name)
    return write(tmp_path / "sample", files), files


@pytest.fixture
def folder(tmp_path):
    """Makes an empty folder."""
    def make(name="folder") -> pathlib.Path:
        path = tmp_path / name
        path.mkdir(parents=True)
        return path
    return make

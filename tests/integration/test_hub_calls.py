"""Every call that the Python library knows: made through it, or known not to be built."""
import itertools
import re

import pytest

from clients import DRIVERS, GENERATIONS
from hub_process import ROOT

numbers = itertools.count(1)

# what the library reaches with them answers 501 here, or is no call of the Hub
UNBUILT = re.compile(r"job|inference|(add|delete|get|set|update|enable|disable|fetch|pause|restart|request|wait|list)_.*space|space_|leaderboard|paper|search_spaces|attachment|"
                     r"list_dataset_parquet_files|zero_gpu|resource_group|run_as_future|list_spaces_hardware")
ANSWER_501 = {"get_space_runtime", "list_papers", "list_daily_papers", "paper_info", "search_spaces", "list_space_templates", "get_zero_gpu_quota", "list_jobs",
              "get_dataset_leaderboard", "upload_attachment"}
# called under other names: by the drivers' own, or by another call of the library
ELSEWHERE = {"enable_webhook", "disable_webhook", "parse_safetensors_file_metadata"}


@pytest.mark.parametrize("generation", list(GENERATIONS))
def test_calls_do_what_they_say_or_are_not_built(hub, client, generation):
    number = next(numbers)
    me, other, org = hub.make_user(f"calls-owner-{number}"), hub.make_user(f"calls-guest-{number}"), f"calls-org-{number}"
    hub.admin("POST", "/organizations", {"name": org, "admin": me.name})
    outcomes = client(me.token, generation).run("run", driver="calls_driver.py", timeout=400, me=me.name, other=other.name, org=org)
    wrong = [(name, outcome) for name, outcome in outcomes if outcome and ("result" not in outcome if name not in ANSWER_501 else outcome.get("status") != 501)]
    assert not wrong, wrong
    found = {name: outcome["result"] for name, outcome in outcomes if "result" in outcome}
    assert len(found) > 30, sorted(found)
    assert found["revision_exists"] == [True, False] and found["snapshot_download"] == ["a.txt"] and found["get_paths_info"] == ["a.txt"]
    assert found["get_hf_file_metadata"] == [len("folder/a.txt"), 150_000]
    assert found["list_organization_members"] == [me.name] and found["list_accepted_access_requests"] == found["list_pending_access_requests"] == [other.name]
    assert found["list_lfs_files"] == ["deep/x.bin", "pre.bin"]
    assert found.get("verify_repo_checksums", []) == []


def test_no_call_of_the_newest_library_is_unknown(client):
    """A call that a new generation brings is either tried somewhere or known to be unbuilt."""
    tried = "".join(path.read_text() for path in [*DRIVERS.glob("*.py"), *(ROOT / "tests").rglob("test_*.py")])
    names = client().run("methods", driver="calls_driver.py")
    assert len(names) > 100
    unknown = [name for name in names if name not in ELSEWHERE and not UNBUILT.search(name) and not re.search(rf"\b{name}\b", tried)]
    assert not unknown, unknown

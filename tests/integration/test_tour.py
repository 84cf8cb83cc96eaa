"""The tour in the documents does what it says: its blocks are run as a reader pastes them."""
import os
import re
import subprocess

from clients import VENVS
from hub_process import BUILD, ROOT, Hub
from ports import free_port


def test_the_tour_does_what_it_says(tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs/tour.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    hub = Hub(tmp_path / "data")
    hub.environment = {"CAIRN_WEBHOOKS_PRIVATE": "1"}
    hub.start()
    script = "set -eu\n" + "".join(blocks[1:])  # the first one starts the hub and installs the client
    script = script.replace("127.0.0.1:8080", f"127.0.0.1:{hub.port}").replace("8099", str(free_port()))
    try:
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
                              env={**os.environ, "PATH": f"{BUILD}:{VENVS / 'newest' / 'bin'}:{os.environ['PATH']}", "NO_COLOR": "1"})
    finally:
        hub.stop()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    out = done.stdout
    assert "not yet" in out and "['bob']" in out and "+One more stone." in out
    assert out.count("s3cret {\"event\"") >= 5
    assert "text-clas" in out and "transformers" in out

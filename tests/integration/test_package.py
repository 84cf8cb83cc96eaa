"""The Debian package: what it holds, what it needs, and that its programs run."""
import shutil
import subprocess

import pytest

from hub_process import BUILD, ROOT


def run(*command, **more):
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True, **more).stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    run("cpack", "-G", "DEB", "-B", folder, cwd=BUILD)
    [made] = folder.glob("*.deb")
    run("dpkg-deb", "-x", made, folder / "root")
    return made, folder / "root"


def test_the_package_holds_programs_unit_and_documents(package):
    made, root = package
    assert "cairn" in run(root / "usr/bin/cairnd", "--version")
    assert "cairn" in run(root / "usr/bin/cairn", "--version")
    assert (root / "usr/share/doc/cairn/copyright").read_text() == (ROOT / "LICENSE").read_text()
    assert (root / "usr/share/doc/cairn/operations.md").exists() and (root / "etc/default/cairn").exists()
    depends = run("dpkg-deb", "-f", made, "Depends")
    assert "libraft0 (>= 0.22)" in depends and "git" in depends and "librocksdb" in depends


def test_systemd_understands_the_unit(package, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze here")
    _, root = package
    unit = tmp_path / "cairn.service"
    text = (root / "usr/lib/systemd/system/cairn.service").read_text()
    unit.write_text(text.replace("/usr/bin/cairnd", str(root / "usr/bin/cairnd")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert "cairn.service" not in done.stderr, done.stderr

"""The Debian package: what it holds, what it needs, and that its programs run. The container and the Kubernetes manifests,
as far as tools here read them."""
import re
import shutil
import subprocess

import pytest

from hub_process import BUILD, ROOT

MANIFESTS = ROOT / "ops/packaging/kubernetes"


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


def test_kustomize_makes_the_manifests(tmp_path):
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl here")
    made = run("kubectl", "kustomize", MANIFESTS)
    kinds = re.findall("^kind: (.*)$", made, re.MULTILINE)
    assert sorted(kinds) == ["ConfigMap", "PodDisruptionBudget", "Service", "Service", "StatefulSet"]
    [stateful_set] = [part for part in made.split("---\n") if "kind: StatefulSet" in part]
    assert "replicas: 3" in stateful_set and "podManagementPolicy: Parallel" in stateful_set
    [nodes] = [part for part in made.split("---\n") if "name: cairn-nodes" in part and "kind: Service" in part]
    assert "publishNotReadyAddresses: true" in nodes and "clusterIP: None" in nodes
    # The script that the pods run is that of the tests, under the name that the pods mount.
    [script] = re.findall("name: (cairn-start-[a-z0-9]+)\n", [part for part in made.split("---\n") if "kind: ConfigMap" in part][0])
    assert f"name: {script}" in stateful_set and "/etc/cairn-start/start.sh" in stateful_set


def test_the_shell_and_shellcheck_understand_the_start_of_a_pod():
    run("/bin/sh", "-n", MANIFESTS / "start.sh")
    if not shutil.which("shellcheck"):
        pytest.skip("there is no shellcheck here")
    run("shellcheck", MANIFESTS / "start.sh")


def test_a_container_is_built_without_what_was_built_here():
    left_out = (ROOT / ".dockerignore").read_text().split()
    assert {".git", "build", "data"} <= set(left_out)
    [exposed] = re.findall("^EXPOSE (.*)$", (ROOT / "ops/packaging/Containerfile").read_text(), re.MULTILINE)
    assert exposed.split() == ["8080", "8090"]

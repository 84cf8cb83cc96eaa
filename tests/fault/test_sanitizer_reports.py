"""That the tests notice what a sanitizer reports: programs with known faults instead of a server."""
import os
import subprocess

import pytest

import hub_process
from sanitizers import Reports

PROGRAM = """
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
static int shared;
static void *count(void *nothing) { shared++; return nothing; }
int main(int arguments, char **argument)
{
	if (strcmp(argument[1], "overflow") == 0) { volatile int sum = INT_MAX; sum += arguments; return 0; }
	if (strcmp(argument[1], "leak") == 0) { void *volatile lost = malloc(10); lost = NULL; return lost != NULL; }
	if (strcmp(argument[1], "race") == 0) { pthread_t other; pthread_create(&other, NULL, count, NULL); shared++; pthread_join(other, NULL); }
	return 0;
}
"""


@pytest.mark.parametrize("preset, sanitizers, fault, report", [
    ("asan", "address,undefined", "leak", "detected memory leaks"),
    ("asan", "address,undefined", "overflow", "signed integer overflow"),
    ("tsan", "thread", "race", "data race"),
])
def test_a_report_is_noticed_once(tmp_path, monkeypatch, preset, sanitizers, fault, report):
    source, program, log = tmp_path / "faulty.c", tmp_path / "faulty", tmp_path / "faulty.log"
    source.write_text(PROGRAM)
    subprocess.run(["cc", "-g", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", source, "-o", program], check=True)
    monkeypatch.setattr(hub_process, "logs", {log})
    (tmp_path / "reports").mkdir()
    reports = Reports(tmp_path / "reports", preset)

    def run(what):
        with open(log, "ab") as output:
            return subprocess.run([program, what], stderr=output, env={**os.environ, **reports.environment}).returncode

    assert run("nothing") == 0 and reports.new() == ""
    assert run(fault) == 66
    assert report in reports.new()
    assert reports.new() == ""

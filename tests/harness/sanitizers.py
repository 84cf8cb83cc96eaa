"""What sanitizers report about the programs under test, CAIRN_PRESET being asan or tsan. AddressSanitizer and ThreadSanitizer write a file for each process,
also for a command whose output nobody reads. UndefinedBehaviorSanitizer beside the former writes to the error output alone, which is the log of a server."""
import os

import hub_process
from hub_process import PRESET, ROOT

OPTIONS = {
    "asan": {"ASAN_OPTIONS": "detect_leaks=1 exitcode=66", "UBSAN_OPTIONS": "print_stacktrace=1 exitcode=66"},
    "tsan": {"TSAN_OPTIONS": f"suppressions={ROOT}/tests/tsan.supp halt_on_error=1 second_deadlock_stack=1 die_after_fork=0"},
}.get(PRESET, {})

UNDEFINED = "runtime error: "
REPORT_CHARACTERS_MAX = 20000


class Reports:
    def __init__(self, dir):
        self.dir = dir
        self.seen = set()
        for name, options in OPTIONS.items():
            os.environ[name] = f"{options} log_path={dir / 'report'}"

    def new(self):
        """The text of those that have come since the last call; empty when there are none."""
        found = [(path, path.read_text(errors="replace")) for path in self.dir.iterdir() if path not in self.seen]
        if OPTIONS:
            for path in hub_process.logs - self.seen:
                before, mark, after = path.read_text(errors="replace").partition(UNDEFINED) if path.exists() else ("", "", "")
                found += [(path, before.rpartition("\n")[2] + mark + after)] if mark else []
        self.seen.update(path for path, _ in found)
        return "\n".join(f"{path}:\n{text[:REPORT_CHARACTERS_MAX]}" for path, text in found)

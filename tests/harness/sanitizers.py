"""What sanitizers report about the programs under test, CAIRN_PRESET being asan or tsan. AddressSanitizer and ThreadSanitizer write a file for each process,
also for a command whose output nobody reads. UndefinedBehaviorSanitizer beside the former writes to the error output alone, which is the log of a server."""
import hub_process

SUPPRESSIONS = f"suppressions={hub_process.ROOT}/tests/tsan.supp"
OPTIONS = {
    "asan": {"ASAN_OPTIONS": "log_path={report} exitcode=66 detect_leaks=1", "UBSAN_OPTIONS": "exitcode=66 print_stacktrace=1"},
    "tsan": {"TSAN_OPTIONS": "log_path={report} " + SUPPRESSIONS + " halt_on_error=1 second_deadlock_stack=1 die_after_fork=0"},
}
UNDEFINED = "runtime error: "
REPORT_CHARACTERS_MAX = 20000


class Reports:
    def __init__(self, dir, preset=hub_process.PRESET):
        self.dir = dir
        self.seen = set()
        self.environment = {name: options.format(report=dir / "report") for name, options in OPTIONS.get(preset, {}).items()}

    def new(self):
        """The text of those that have come since the last call; empty when there are none."""
        if not self.environment:
            return ""
        found = [(path, path.read_text(errors="replace")) for path in self.dir.iterdir() if path not in self.seen]
        for log in hub_process.logs - self.seen:
            text = log.read_text(errors="replace") if log.exists() else ""
            if UNDEFINED in text:
                found.append((log, text[text.rfind("\n", 0, text.index(UNDEFINED)) + 1:]))
        self.seen.update(path for path, _ in found)
        return "\n".join(f"{path}:\n{text[:REPORT_CHARACTERS_MAX]}" for path, text in found)

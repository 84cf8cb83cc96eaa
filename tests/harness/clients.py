"""Real clients, each generation in an environment of its own, run as another process with empty caches."""
import json
import os
import pathlib
import subprocess

from hub_process import ROOT

VENVS = ROOT / "build" / "venvs"
PINS = ROOT / "tests" / "integration" / "clients"
DRIVERS = ROOT / "tests" / "integration" / "drivers"

# name -> (environment, what is set beside)
GENERATIONS = {
    "newest": ("newest", {}),
    "newest-without-xet": ("newest", {"HF_HUB_DISABLE_XET": "1"}),
    "hub-1.19": ("hub-1.19", {}),
    "hub-0.36": ("hub-0.36", {}),
    "hub-0.32": ("hub-0.32", {}),
    "hub-0.32-without-xet": ("hub-0.32", {"HF_HUB_DISABLE_XET": "1"}),
}


class ClientError(Exception):
    """What a client library raised: its class, the HTTP status and X-Error-Code behind it."""

    def __init__(self, name, message, status, code):
        super().__init__(f"{name} ({status}, {code}): {message}")
        self.name = name
        self.message = message
        self.status = status
        self.code = code


class Client:
    """One user with one generation of tools. Every Client has empty caches of its own."""

    made = 0

    def __init__(self, hub, token, directory, generation="newest"):
        Client.made += 1
        self.hub = hub
        self.token = token
        self.venv, self.extra = GENERATIONS[generation]
        self.home = pathlib.Path(directory) / f"client-{Client.made}"
        self.home.mkdir()

    def environment(self):
        keep = {key: value for key, value in os.environ.items()
                if key in ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT") }
        return {
            **keep,
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(self.home / "hf"),
            "HF_XET_CACHE": str(self.home / "xet"),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": "30",
            "TRANSFORMERS_VERBOSITY": "error",
            "NO_COLOR": "1",
            "NO_PROXY": "127.0.0.1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **({"HF_TOKEN": self.token} if self.token else {}),
            **self.extra,
        }

    def command(self, *arguments, timeout=240, status=0):
        """Any program of the environment, such as `hf`; its output."""
        program = VENVS / self.venv / "bin" / arguments[0]
        done = subprocess.run([program, *map(str, arguments[1:])], env=self.environment(), cwd=self.home, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _drive(self, command, action, arguments, timeout):
        done = subprocess.run(command + [action], input=json.dumps(arguments, default=str), env=self.environment(), cwd=self.home,
                              capture_output=True, text=True, timeout=timeout)
        last = done.stdout.strip().rsplit("\n", 1)[-1] if done.stdout.strip() else ""
        try:
            answer = json.loads(last)
        except ValueError:
            raise AssertionError(f"{action}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}") from None
        if "error" in answer:
            error = answer["error"]
            raise ClientError(error["name"], error["message"] + "\n" + done.stderr[-3000:], error.get("status"), error.get("code"))
        return answer["result"]

    def run(self, action, driver="hub_driver.py", timeout=240, **arguments):
        """Calls a function of a driver script inside the environment; what it returned."""
        python = str(VENVS / self.venv / "bin" / "python")
        return self._drive([python, str(DRIVERS / driver)], action, arguments, timeout)

    def run_js(self, action, timeout=240, **arguments):
        arguments = {"hubUrl": self.hub.url, "accessToken": self.token, **arguments}
        # node finds modules beside the script it runs, so the script goes to them.
        script = VENVS / "js" / "hub_driver.mjs"
        source = DRIVERS / "hub_driver.mjs"
        if not script.exists() or script.read_bytes() != source.read_bytes():
            script.write_bytes(source.read_bytes())
        return self._drive(["node", str(script)], action, arguments, timeout)

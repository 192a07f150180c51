"""A machine of its own for the units: systemd as PID 1, the simulator as a service, a receiver of messages, and the guard."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.deploy.tools import DEPLOY, TREE, missing, ran, root, tool

INSTALL_S: Final = 280.0
BOOT_S: Final = 30.0
POLICY: Final = """\
version: 1
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: [{liquidation_buffer: 25%}, {from_entry: -8%}]}
"""
SETTINGS: Final = """\
mode: enforce
policy: policy.yaml
http: {{host: 127.0.0.1, port: {port}}}
accounts:
  - name: {name}
    venue: bitmart
    rest_url: http://127.0.0.1:8642
    stream_url: ws://127.0.0.1:8642
"""
UNITS: Final = {
    "stage.target": "[Unit]\nDescription=Stage\nAllowIsolate=yes\n",
    "simulator.service": "[Service]\nExecStart=/opt/guardd/bin/guardd simulate --venue bitmart --port 8642 --still\n",
    "receiver.service": "[Service]\nExecStart=/usr/bin/python3 -u /opt/receiver.py\n",
}
RECEIVER: Final = """\
from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/run/messages.jsonl", "ab") as kept:
            kept.write(body + b"\\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


HTTPServer(("127.0.0.1", 8700), Receiver).serve_forever()
"""


def stage(home: Path) -> Path:
    """What is laid over the root of the machine: the source, the units, settings of three guards, their keys."""
    place = home / "stage"
    for part in ("guardd", "config", "deploy", "pyproject.toml", "README.md"):
        target = place / "opt/src" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (TREE / part).is_dir():
            shutil.copytree(TREE / part, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(TREE / part, target)
    files = {f"etc/systemd/system/{name}": text for name, text in UNITS.items()}
    files["opt/receiver.py"] = RECEIVER
    files["usr/local/lib/guardd/failed.py"] = (DEPLOY / "systemd/failed.py").read_text()
    for unit in (DEPLOY / "systemd").glob("*.service"):
        files[f"etc/systemd/system/{unit.name}"] = unit.read_text()
    for folder, name, port in (("etc/guardd", "main", 9517), ("etc/guardd/two", "two", 9518)):
        files[f"{folder}/guardd.yaml"] = SETTINGS.format(name=name, port=port)
        files[f"{folder}/policy.yaml"] = POLICY
        files[f"{folder}/guardd.env"] = "GUARDD_CONFIRM=CONFIRM\n"
    for prefix, account in (("", "main"), ("guardd-two.", "twin")):
        for name in ("KEY", "SECRET", "MEMO"):
            files[f"etc/credstore/{prefix}BITMART_API_{name}"] = f"sim-{account}-{name.lower()}\n"
    files["etc/credstore/ALERT_WEBHOOK_URL"] = "http://127.0.0.1:8700/hook/token-canary\n"
    if shutil.which("sudo") is None:
        files["usr/local/bin/sudo"] = '#!/bin/sh\nexec env "$@"\n'  # whoever follows the README here is root already
    for path, text in files.items():
        target = place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755 if path.startswith("usr/local/bin/") else 0o644)
    for directory in (place / "etc/credstore", place / "etc/guardd"):
        directory.chmod(0o700 if directory.name == "credstore" else 0o755)
    for secret in (place / "etc/credstore").iterdir():
        secret.chmod(0o600)
    return place


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A booted machine. `leader`: its PID 1, as this machine counts."""

    leader: int

    def tell(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        return ran("nsenter", f"--target={self.leader}", "-m", "-u", "-i", "-n", "-p", "--", *command, given=given)

    def must(self, *command: str) -> str:
        done = self.tell(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def follow(self, block: str) -> str:
        """A block of a README, run in a clone of the repository as it stands there, up to the first command that fails."""
        text = f"set -e\ncd /opt/src\nEDITOR=true\n{block}"
        done = self.tell("sh", given=text)
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit, as `systemctl show` tells it."""
        return self.must("systemctl", "show", "--value", "-p", name, unit).strip()

    def log(self, unit: str) -> str:
        return self.must("journalctl", "--no-pager", "-o", "short-monotonic", "-u", unit)

    def ask(self, path: str, body: object = None, *, port: int = 8642) -> Any:
        """A request to a service inside; the simulator's control routes by default."""
        text = None if body is None else json.dumps(body)
        words = [] if text is None else ["-X", "POST", "-d", "@-"]
        done = self.tell("curl", "-fsS", "-m", "5", *words, f"http://127.0.0.1:{port}{path}", given=text)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def stops(self, uid: str = "main") -> list[dict[str, Any]]:
        """The guard's own orders that truly rest at the exchange."""
        state = self.ask("/_simulator/state")
        return [plan for plan in state["accounts"][uid]["plans"] if plan["client_id"].startswith("gd1")]

    def messages(self) -> list[dict[str, Any]]:
        """What people were told, oldest first."""
        done = self.tell("cat", "/run/messages.jsonl")
        return [json.loads(line) for line in done.stdout.splitlines()]


def blocks(readme: Path) -> list[str]:
    """The commands of a README, a block each."""
    return commands(readme.read_text())


def commands(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)


def until(what: Callable[[], object], seconds: float, saying: str) -> float:
    """Wait for a condition. Returns the seconds that it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {saying}"
        time.sleep(0.1)
    return time.monotonic() - began


@contextmanager
def booted(home: Path) -> Iterator[Machine]:
    """Build, boot, and end it."""
    root()
    for name in ("systemd-nspawn", "unshare", "nsenter", "curl"):
        tool(name)
    if ran("/usr/bin/python3", "-c", "import ensurepip, sys; assert sys.version_info >= (3, 11)").returncode:
        missing("needs /usr/bin/python3 of 3.11 or later with its venv module (python3-venv)")
    log = home / "machine.log"
    script = Path(__file__).parent / "machine.sh"
    command = ["unshare", "--mount", "--propagation", "private", "bash", str(script), str(stage(home))]
    with log.open("wb") as said:
        outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        until(lambda: "installed" in log.read_text() or outer.poll() is not None, INSTALL_S, log.read_text())
        assert outer.poll() is None, log.read_text()
        until(lambda: _leader(outer.pid) is not None, BOOT_S, "systemd-nspawn started nothing")
        machine = Machine(leader=_leader(outer.pid) or 0)
        until(lambda: machine.tell("systemctl", "is-active", "stage.target").returncode == 0, BOOT_S, log.read_text())
        yield machine
        machine.tell("systemctl", "poweroff", "--no-block")
        outer.wait(BOOT_S)
    finally:
        if outer.poll() is None:
            outer.kill()
            outer.wait(BOOT_S)


def _leader(pid: int) -> int | None:
    """The PID 1 of the machine that this process started: its only child."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return None
    for child in children:
        if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
            return int(child)
    return None

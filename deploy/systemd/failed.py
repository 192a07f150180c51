#!/usr/bin/python3 -I
"""Tells people that a unit of guardd's has ended: run by guardd-failed@.service, with the system's Python and nothing else.

The one argument is that unit's name, and after colons what systemd knows of the end (systemd.exec(5), $SERVICE_RESULT). It posts
the document that guardd's own messages have (`text` stands by itself) to the address in the credential ALERT_WEBHOOK_URL; where
there is none, the line in the system's log is all. The address holds a token and is never shown.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

DEADLINE_S = 10.0
PAUSES_S = (0.0, 2.0, 10.0)
REPEAT_S = 300.0
"""The same end of the same unit is told again after this long at the earliest."""
MEANINGS = {
    "1": "failed",
    "69": "no venue can be reached",
    "77": "a credential is missing or refused",
    "78": "settings or policy are invalid",
}
"""guardd's exit codes."""


def main(told: str, environ: "os._Environ[str]") -> int:
    unit, _, end = told.partition(":")
    names = ("MONITOR_SERVICE_RESULT", "MONITOR_EXIT_CODE", "MONITOR_EXIT_STATUS")
    end = end or ":".join(environ.get(name, "") for name in names)
    text = f"[CRITICAL]: {unit} on {os.uname().nodename} {sentence(end)}; stops at the venue stay there. See: journalctl -u {unit}"
    sys.stderr.write(f"<2>{text}\n")
    if not is_news(Path(environ.get("RUNTIME_DIRECTORY", "/nowhere")), f"{unit}:{end}"):
        sys.stderr.write(f"<5>told within the last {REPEAT_S:.0f} s: no message is sent\n")
        return 0
    address = Path(environ.get("CREDENTIALS_DIRECTORY", "/nowhere"), "ALERT_WEBHOOK_URL")
    if not address.is_file():
        sys.stderr.write("<5>no ALERT_WEBHOOK_URL in /etc/credstore: no message is sent\n")
        return 0
    url = address.read_text().strip()
    if not url.startswith(("http://", "https://")):
        sys.stderr.write(
            "<3>ALERT_WEBHOOK_URL holds no http(s) address, and this script speaks nothing else: not sent\n"
        )
        return 1
    return 0 if posted(url, unit, text) else 1


def sentence(end: str) -> str:
    """In words: what systemd says of the end, and what guardd's exit codes mean."""
    result, code, status = [*end.split(":"), "", ""][:3]
    if result == "watchdog":
        return "hung and was killed: the guard's loop gave no sign of life"
    if code == "exited":
        return f"ended with exit code {status}" + (f": {MEANINGS[status]}" if status in MEANINGS else "")
    if code in ("killed", "dumped"):
        return f"was ended by signal {status}"
    return f"failed ({result or 'systemd names no reason'})"


def is_news(directory: Path, end: str) -> bool:
    """False when this end was told a moment ago. Without a directory everything is news."""
    if not directory.is_dir():
        return True
    stamp = directory / end.replace("/", "-")
    if stamp.exists() and time.time() - stamp.stat().st_mtime < REPEAT_S:
        return False
    stamp.touch()
    return True


def posted(url: str, unit: str, text: str) -> bool:
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    edge = f"unit/{unit}"
    body = {"source": "systemd", "severity": "critical", "account": None, "edge": edge, "at": at, "text": text}
    for pause_s in PAUSES_S:
        time.sleep(pause_s)
        try:
            asked = urllib.request.Request(  # noqa: S310 - the operator's own address
                url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
            )
            with urllib.request.urlopen(asked, timeout=DEADLINE_S):  # noqa: S310
                return True
        except (urllib.error.URLError, OSError, ValueError) as error:
            sys.stderr.write(f"<3>the message wasn't delivered: {type(error).__name__}\n")
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], os.environ))

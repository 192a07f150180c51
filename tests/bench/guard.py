"""guardd whole, as shipped: `guardd run` with metrics, limits, log and journal, enforcing on the exchange process.

Only the policy is the measurement's own: a resting stop as in config/policy.yaml, and one rule that trims when a position crosses.
"""

import json
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.bench.cast import SHARE, Cast, key_of
from tests.bench.process import end, start_pinned
from tests.bench.venue import ExchangeProcess

WITHOUT_SYNC: Final = {"GUARDD_MEASURE_WITHOUT_SYNC": "1"}
POLICY: Final = f"""\
version: 1
limits: {{orders_per_minute: 2000}}
rules:
  - name: resting-protection
    then:
      - stop_loss: {{trigger: [{{liquidation_buffer: 25%}}, {{from_entry: -8%}}]}}
  - name: trim
    when: {{distance_to_liquidation: {{below: 6%}}}}
    cooldown: 1h
    then:
      - reduce: {{by: {SHARE * 100:.0f}%}}
"""
WATCHING: Final = """\
version: 1
rules:
  - name: trim
    when: {distance_to_liquidation: {below: 6%}}
    cooldown: 1h
    then:
      - reduce: {by: 25%}
"""
"""Without a resting stop: for casts so large that a venue's limits would make placing them a matter of many minutes."""


def settings_text(cast: Cast, venue: ExchangeProcess) -> str:
    lines = [
        "mode: enforce",
        "policy: policy.yaml",
        "data_dir: ./data",
        "http: {host: 127.0.0.1, port: 0}",
        "log: {level: info, format: json}",
        "accounts:",
    ]
    for name in cast.account_names:
        lines += [f"  - name: {name}", "    venue: bitget", f"    credentials: BENCH_{name.upper()}"]
        lines += [f"    rest_url: {venue.rest_url}", f"    stream_url: {venue.stream_url}"]
    return "\n".join(lines) + "\n"


def credentials(cast: Cast) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in cast.account_names:
        key = key_of(name)
        prefix = f"BENCH_{name.upper()}_API"
        found |= {f"{prefix}_KEY": key.key, f"{prefix}_SECRET": key.secret, f"{prefix}_PASSPHRASE": key.passphrase}
    return found


class GuardProcess:
    """A daemon in a directory of its own; its log goes to a file there."""

    def __init__(self, home: Path, pid: int) -> None:
        self._home = home
        self.pid = pid

    @property
    def log(self) -> list[str]:
        return (self._home / "log").read_text(errors="replace").splitlines()

    def events(self, name: str) -> list[dict[str, Any]]:
        records = (json.loads(line) for line in self.log if line.startswith("{"))
        return [record for record in records if record.get("event") == name]

    @property
    def url(self) -> str:
        """Where its status page is."""
        for line in self.log:
            if "status page: " in line:
                return line.split("status page: ")[1].rstrip("/")
        raise RuntimeError("guardd named no status page yet")


async def start_guard(
    home: Path,
    cast: Cast,
    venue: ExchangeProcess,
    core: int,
    *,
    policy: str = POLICY,
    environ: Mapping[str, str] | None = None,
    launcher: tuple[str, ...] = (),
) -> tuple[GuardProcess, Process]:
    """Started, not yet ready. `launcher` goes before the command: a profiler, for instance."""
    (home / "policy.yaml").write_text(policy)
    (home / "guardd.yaml").write_text(settings_text(cast, venue))
    with (home / "log").open("wb") as log:
        process = await start_pinned(
            [*launcher, sys.executable, "-m", "guardd", "run", "-c", str(home / "guardd.yaml"), "--confirm", "CONFIRM"],
            core,
            environ={**credentials(cast), **(environ or {})},
            stderr=log,
            home=home,
        )
    return GuardProcess(home, process.pid), process


__all__ = ["POLICY", "WATCHING", "WITHOUT_SYNC", "GuardProcess", "end", "start_guard"]

"""guardd whole, as shipped: `guardd run` with metrics, limits, log and journal, enforcing on the exchange process.

Only the policy is the measurement's own: a resting stop as in config/policy.yaml, and one rule that trims when a position crosses.
"""

import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.bench.cast import SHARE, Cast, key_of
from tests.bench.process import start_pinned
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


async def start_guard(
    home: Path,
    cast: Cast,
    venue: ExchangeProcess,
    core: int,
    *,
    policy: str = POLICY,
    environ: Mapping[str, str] | None = None,
    program: str = "guardd",
) -> Process:
    """Started, not yet ready; its log is `home`/log. `program`: a module that takes guardd's arguments, and its own before them."""
    (home / "policy.yaml").write_text(policy)
    (home / "guardd.yaml").write_text(settings_text(cast, venue))
    with (home / "log").open("wb") as log:
        return await start_pinned(
            [sys.executable, "-m", *program.split(), "run", "-c", str(home / "guardd.yaml"), "--confirm", "CONFIRM"],
            core,
            environ={**credentials(cast), **(environ or {})},
            stderr=log,
            home=home,
        )

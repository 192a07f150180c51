"""When the guard may decide, and what it may do then (interfaces.md section 3).

Nothing is decided before the venue's clock is known, the streams are acknowledged, one full read *after* that is in, and each
held instrument is known and has a mark; one that can't be guarded is told and holds up nothing. A stream that doesn't come up at
all must not leave positions naked for as long as it is gone: after `STREAMS_WITHIN_S` the guard begins with what reads tell, as
it would go on if the stream were lost later. Until the intents of the last
run are resolved, only missing stops are sent: to prove that a request never arrived takes seconds, in which no position should
be without its stop.
"""

from typing import Final

from guardd.model.account import AccountCondition
from guardd.model.event import BlockKind
from guardd.model.instant import Instant
from guardd.model.state import AccountState, StreamState

STREAMS_WITHIN_S: Final = 10.0
"""Connect, login and acknowledgements have 10 s each at most (BitMart reference, 14.5); they take tenths of a second."""

RECONNECT_S: Final = 5.0
HELD_BACK: Final = {
    BlockKind.EDGE: "Cloudflare blocks this address",
    BlockKind.BAN: "the venue banned this address",
    BlockKind.RATE_LIMIT: "the venue's rate limit",
}
"""What stands between us and the venue, in words."""


def waits_for(state: AccountState, *, waited_s: float) -> tuple[str, ...]:
    """What is still missing before the first decision, in words; empty when nothing is. `waited_s`: since the guard began."""
    missing: list[str] = []
    if state.clock_offset_ms is None:
        missing.append("the venue's clock")
    if state.learned_at is None:
        missing.append("what the venue can do")
    ups = [stream.since for stream in state.streams.values() if stream.up]
    if len(ups) < len(state.streams) and waited_s < STREAMS_WITHIN_S:
        missing.extend(f"the {name} stream ({stream.why})" for name, stream in state.streams.items() if not stream.up)
    elif state.snapshot_started is None or any(_later(since, state.snapshot_started) for since in ups):
        missing.append("one full read after the streams came up" if ups else "one full read")
    for symbol in sorted({key.symbol for key in state.held}):
        if state.why_unguarded(symbol):
            continue
        if symbol not in state.instruments:
            missing.append(f"the contract details of {symbol}")
        elif symbol not in state.marks:
            missing.append(f"a mark price of {symbol}")
    return tuple(missing)


def _later(since: Instant | None, started: Instant) -> bool:
    return since is not None and since.mono_ns > started.mono_ns


def condition(
    state: AccountState, *, missing: tuple[str, ...], stale: str, now: Instant
) -> tuple[AccountCondition, str]:
    """The word for the account (interfaces.md section 4), and why. The gravest one wins. `missing`: before the first decision."""
    if state.parked is not None:
        return AccountCondition.PARKED, state.parked
    if state.halted:
        return AccountCondition.HALTED, "halted by the operator"
    if missing:
        return AccountCondition.STARTING, "waiting for " + ", ".join(missing)
    if state.unresolved:
        return AccountCondition.STARTING, f"waiting for {state.unresolved} unfinished intents of an earlier run"
    held_back = state.blocks_standing(now)
    if held_back:
        return AccountCondition.BLOCKED, "held back: " + ", ".join(HELD_BACK[kind] for kind in held_back)
    lost = [f"the {name} stream ({stream.why})" for name, stream in state.streams.items() if _is_lost(stream, now)]
    if stale or lost:
        return AccountCondition.STALE, stale or "by reads alone, without " + ", ".join(lost)
    return AccountCondition.LIVE, ""


def _is_lost(stream: StreamState, now: Instant) -> bool:
    """Down for longer than a reconnect takes."""
    return not stream.up and (stream.since is None or now.seconds_since(stream.since) >= RECONNECT_S)

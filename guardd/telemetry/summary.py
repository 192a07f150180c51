"""What happened since the last summary, in a few lines for people: one message a day, so that a quiet day isn't a silent one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from guardd.model.facts import AccountView, BlockChanged, Fact, ForcedExit, IntentStaged, PositionView, RuleFired, Said
from guardd.model.instant import MS_PER_S, Instant
from guardd.model.intent import Stage
from guardd.model.names import AccountName, PositionKey, Severity
from guardd.model.reading import Reading, is_value

POSITIONS_SHOWN_MAX: Final = 10
_COUNTED: Final = {Stage.VERIFIED: "done", Stage.REJECTED: "rejected", Stage.FAILED: "failed", Stage.UNKNOWN: "unknown"}


@dataclass(slots=True)
class _Day:
    """One account's, since the last summary."""

    view: AccountView | None = None
    equity_first: Reading | None = None
    actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    forced: Counter[str] = field(default_factory=Counter)
    blocks: int = 0
    unprotected_s: float = 0.0
    unprotected_before: dict[PositionKey, float] = field(default_factory=dict)
    nearest: tuple[Reading, str] | None = None


class DailySummary:
    """Listens all day; `take` tells it and begins anew."""

    def __init__(self, began: Instant) -> None:
        self._since = began
        self._days: dict[AccountName, _Day] = {}
        self._critical = 0

    def __call__(self, fact: Fact, /) -> None:
        match fact:
            case AccountView():
                _see(self._day(fact.account), fact)
            case IntentStaged(account=account, intent=intent, stage=stage) if stage in _COUNTED:
                self._day(account).actions[intent.action.value, _COUNTED[stage]] += 1
            case RuleFired(account=account, rule=rule):
                self._day(account).rules[rule] += 1
            case ForcedExit(account=account, kind=kind):
                self._day(account).forced[kind.value] += 1
            case BlockChanged(account=account, until_ms=until_ms) if until_ms:
                self._day(account).blocks += 1
            case Said(severity=Severity.CRITICAL):
                self._critical += 1
            case _:
                pass

    def take(self, now: Instant) -> Said:
        """The summary; what comes next is counted for the next one."""
        lines = [f"since {_utc(self._since)} UTC: {_many(self._critical, 'critical message')}"]
        for account, day in sorted(self._days.items()):
            lines.extend(_lines(account, day))
        edge = f"summary/{_utc(now)}"
        self._days = {account: _begun(day) for account, day in self._days.items()}
        self._since, self._critical = now, 0
        return Said(account=None, severity=Severity.INFO, edge=edge, text="\n".join(lines), at=now)

    def _day(self, account: AccountName) -> _Day:
        return self._days.setdefault(account, _Day())


def _see(day: _Day, view: AccountView) -> None:
    before = {seen.key: seen for seen in day.view.positions} if day.view is not None else {}
    day.view = view
    if day.equity_first is None and is_value(view.equity):
        day.equity_first = view.equity
    unprotected: dict[PositionKey, float] = {}
    for seen in view.positions:
        unprotected[seen.key] = seen.unprotected_s
        if before.get(seen.key) is seen and day.nearest is not None:
            continue  # what is shown unchanged is the very same
        place = f"{seen.key.symbol} {seen.key.side}"
        before_s = day.unprotected_before.get(seen.key, 0.0)
        day.unprotected_s += max(seen.unprotected_s - before_s, 0.0)
        if is_value(seen.distance_to_liquidation):
            nearest = day.nearest[0] if day.nearest is not None else None
            if nearest is None or (is_value(nearest) and seen.distance_to_liquidation < nearest):
                day.nearest = (seen.distance_to_liquidation, place)
    day.unprotected_before = unprotected


def _begun(day: _Day) -> _Day:
    """Another day of the same account: what is known of it now is where that one starts."""
    view = day.view
    equity = view.equity if view is not None and is_value(view.equity) else None
    return _Day(view=view, equity_first=equity, unprotected_before=day.unprotected_before)


def _lines(account: AccountName, day: _Day) -> Iterator[str]:
    view = day.view
    if view is None:
        yield f"{account}: not seen"
        return
    unprotected = sum(not seen.protected for seen in view.positions)
    held = _many(len(view.positions), "position")
    yield f"{account}: {view.condition}, {view.mode}, {held}" + (
        f", {unprotected} of them unprotected" if unprotected else ""
    )
    yield f"  equity {_money(view.equity)} {view.currency}{_change(day, view)}"
    if day.nearest is not None and is_value(day.nearest[0]):
        yield f"  nearest to liquidation: {day.nearest[1]}, {day.nearest[0] * 100:.1f} % away"
    if day.unprotected_s >= 1:
        yield f"  without a verified stop for {day.unprotected_s:.0f} s"
    acted = [f"{action} {outcome} {count}" for (action, outcome), count in sorted(day.actions.items())]
    fired = [f"{rule} {count}" for rule, count in sorted(day.rules.items())]
    ended = [f"{kind} {count}" for kind, count in sorted(day.forced.items())]
    for title, found in (("actions", acted), ("rules fired", fired), ("ended by others", ended)):
        if found:
            yield f"  {title}: {', '.join(found)}"
    if day.blocks:
        yield f"  held back by the venue: {_many(day.blocks, 'time')}"
    yield from (_position_line(seen) for seen in view.positions[:POSITIONS_SHOWN_MAX])
    if len(view.positions) > POSITIONS_SHOWN_MAX:
        yield f"  and {len(view.positions) - POSITIONS_SHOWN_MAX} more"


def _position_line(seen: PositionView) -> str:
    away = seen.distance_to_liquidation
    distance = f"{away * 100:.1f} % from liquidation" if is_value(away) else f"liquidation {away}"
    stop = (
        "stop verified"
        if seen.protected
        else f"UNPROTECTED{': ' if seen.protection_note else ''}{seen.protection_note}"
    )
    return f"  {seen.key.symbol} {seen.key.side} {seen.quantity:f}: {distance}, {stop}"


def _change(day: _Day, view: AccountView) -> str:
    first = day.equity_first
    if first is None or not is_value(first) or not is_value(view.equity):
        return ""
    return f" ({view.equity - first:+.2f})"


def _money(reading: Reading) -> str:
    return f"{reading:.2f}" if is_value(reading) else str(reading)


def _many(count: int, thing: str) -> str:
    return f"{count or 'no'} {thing}{'' if count == 1 else 's'}"


def _utc(at: Instant) -> str:
    return datetime.fromtimestamp(at.wall_ms / MS_PER_S, tz=UTC).strftime("%Y-%m-%d %H:%M")

"""Facts as log lines: edges, not levels. Each has a verb, an account, and one sentence of why (style.md 21)."""

import re
from typing import Final

import structlog

from guardd.model.account import AccountCondition
from guardd.model.facts import (
    AccountView,
    BlockChanged,
    ClockOffsetRead,
    Contested,
    Fact,
    ForcedExit,
    IntentStaged,
    LoopLagged,
    PositionView,
    Refused,
    RequestFinished,
    RequestResult,
    RuleFired,
    Said,
    StreamChanged,
)
from guardd.model.intent import Intent, Stage
from guardd.model.names import AccountName, PositionKey, Severity
from guardd.model.outcome import Accepted, Outcome, Rejected, Unknown

SKEWED_MS: Final = 1_000
"""A clock that is off by more is told: signatures are refused at a few seconds."""
LAGGED_S: Final = 0.25
_LEVEL: Final[dict[Severity, str]] = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "critical",
}
_CONDITION_LEVEL: Final[dict[AccountCondition, str]] = {
    AccountCondition.STARTING: "info",
    AccountCondition.LIVE: "info",
    AccountCondition.HALTED: "warning",
    AccountCondition.STALE: "warning",
    AccountCondition.BLOCKED: "warning",
    AccountCondition.PARKED: "critical",
}
_STAGE_LEVEL: Final[dict[Stage, str]] = {
    Stage.DECIDED: "info",
    Stage.REFUSED: "warning",
    Stage.JOURNALLED: "debug",
    Stage.SENT: "debug",
    Stage.ACCEPTED: "info",
    Stage.REJECTED: "warning",
    Stage.UNKNOWN: "warning",
    Stage.VERIFIED: "info",
    Stage.FAILED: "error",
    Stage.VOID: "warning",
}
_FIGURES: Final = re.compile(r"[\d.]+")


class Narrator:
    """Writes a line when something becomes other than it was."""

    def __init__(self, logger: structlog.stdlib.BoundLogger | None = None) -> None:
        self._log: structlog.stdlib.BoundLogger = logger or structlog.stdlib.get_logger("guardd")
        self._last: dict[tuple[str, ...], str] = {}
        self._positions: dict[AccountName, dict[PositionKey, PositionView]] = {}

    def __call__(self, fact: Fact, /) -> None:
        match fact:
            case AccountView():
                self._view(fact)
            case RequestFinished():
                self._request(fact)
            case IntentStaged():
                self._staged(fact)
            case Said():
                self._said(fact)
            case StreamChanged(account=account, stream=stream, up=up, why=why):
                verb = "stream_up" if up else "stream_down"
                if self._is_edge(("stream", account, stream), verb):
                    self._write("info" if up else "warning", verb, account=account, stream=stream.value, why=why)
            case BlockChanged(account=account, kind=kind, until_ms=until_ms):
                verb = "block_ended" if until_ms == 0 else "block_began"
                if self._is_edge(("block", account, kind), verb):
                    level = "info" if until_ms == 0 else "warning"
                    self._write(level, verb, account=account, kind=kind.value, until_ms=until_ms)
            case _:
                self._seldom(fact)

    def _seldom(self, fact: Fact) -> None:
        match fact:
            case RuleFired(account=account, key=key, rule=rule, text=text):
                self._write("info", "rule_fired", account=account, position=_place(key), rule=rule, why=text)
            case Refused():
                self._refused(fact)
            case ForcedExit(account=account, key=key, kind=kind):
                self._write("error", "forced_exit", account=account, position=_place(key), kind=kind.value)
            case Contested(account=account, key=key, why=why):
                self._write("warning", "contested", account=account, position=_place(key), why=why)
            case ClockOffsetRead(account=account, offset_ms=offset_ms):
                verb = "clock_skewed" if abs(offset_ms) > SKEWED_MS else "clock_true"
                if self._is_edge(("clock", account), verb, first="clock_true"):
                    self._write(
                        "warning" if verb == "clock_skewed" else "info", verb, account=account, offset_ms=offset_ms
                    )
            case LoopLagged(seconds=seconds):
                verb = "loop_lagged" if seconds > LAGGED_S else "loop_on_time"
                if self._is_edge(("loop",), verb, first="loop_on_time"):
                    self._write("warning" if verb == "loop_lagged" else "info", verb, seconds=round(seconds, 4))
            case _:
                pass

    def _view(self, view: AccountView) -> None:
        if self._is_edge(("condition", view.account), view.condition):
            level = _CONDITION_LEVEL[view.condition]
            self._write(
                level, "account_" + view.condition, account=view.account, mode=view.mode, why=view.condition_why
            )
        verb = "venue_closing" if view.venue_closing else "venue_open"
        if self._is_edge(("closing", view.account), verb, first="venue_open"):
            self._write("warning", verb, account=view.account, venue=view.venue)
        before = self._positions.get(view.account, {})
        now = {seen.key: seen for seen in view.positions}
        for key, seen in now.items():
            if before.get(key) is not seen:  # what is shown unchanged is the very same
                self._position(view, seen)
        for key in sorted(before.keys() - now.keys()):
            self._last.pop(("protected", *key), None)
            self._write("info", "position_gone", account=view.account, position=_place(key))
        self._positions[view.account] = now

    def _position(self, view: AccountView, seen: PositionView) -> None:
        place = ("protected", *seen.key)
        if place not in self._last:
            self._write(
                "info",
                "position_seen",
                account=view.account,
                position=_place(seen.key),
                quantity=str(seen.quantity),
                entry_price=str(seen.entry_price),
                margin_mode=seen.margin_mode,
                liquidation_price=str(seen.liquidation_price),
            )
        verb = "position_protected" if seen.protected else "position_unprotected"
        if self._is_edge(place, verb):
            stop = str(seen.stop_loss.trigger_price) if seen.stop_loss is not None else None
            self._write(
                "info" if seen.protected else "warning",
                verb,
                account=view.account,
                position=_place(seen.key),
                stop_loss=stop,
                why=seen.protection_note,
            )

    def _request(self, fact: RequestFinished) -> None:
        verb = "request_fine" if fact.result is RequestResult.OK else "request_failing"
        if self._is_edge(("request", fact.account, fact.endpoint), f"{verb} {fact.result}", first="request_fine ok"):
            level = "info" if fact.result is RequestResult.OK else "warning"
            self._write(
                level, verb, account=fact.account, endpoint=fact.endpoint, result=fact.result.value, why=fact.detail
            )

    def _staged(self, fact: IntentStaged) -> None:
        intent = fact.intent
        self._last.pop(("refused", *intent.key, intent.rule, intent.action), None)
        self._write(
            _STAGE_LEVEL[fact.stage],
            f"{intent.action}_{fact.stage}",
            account=fact.account,
            position=_place(intent.key),
            rule=intent.rule,
            id=intent.id,
            why=fact.detail or _why(intent, fact.stage, fact.outcome),
            **({"reaction_ms": round(fact.reaction_s * 1000, 3)} if fact.reaction_s is not None else {}),
        )

    def _refused(self, fact: Refused) -> None:
        """The same refusal comes with each tick; it is news when its words change, whatever the figures in them do."""
        place = ("refused", *fact.key, fact.rule, fact.action)
        if self._is_edge(place, _FIGURES.sub("#", fact.why)):
            self._write(
                "warning",
                f"{fact.action}_refused",
                account=fact.account,
                position=_place(fact.key),
                rule=fact.rule,
                why=fact.why,
            )

    def _said(self, fact: Said) -> None:
        if self._is_edge(("said", fact.account or "", fact.edge), f"{fact.severity} {fact.text}"):
            self._write(_LEVEL[fact.severity], "told", account=fact.account, about=fact.edge, why=fact.text)

    def _is_edge(self, place: tuple[str, ...], now: str, *, first: str | None = None) -> bool:
        """Whether this is other than it was; `first` is what counts as nothing new at the beginning."""
        before = self._last.get(place, first)
        self._last[place] = now
        return before != now

    def _write(self, level: str, verb: str, **fields: object) -> None:
        shown = {name: value for name, value in fields.items() if value not in (None, "")}
        getattr(self._log, level)(verb, **shown)


def _place(key: PositionKey | None) -> str | None:
    return f"{key.symbol}/{key.side}" if key is not None else None


def _why(intent: Intent, stage: Stage, outcome: Outcome | None) -> str:
    match outcome:
        case Rejected(reason=reason, code=code, text=text) if stage is Stage.REJECTED:
            return f"{reason} (code {code}: {text})"
        case Unknown(why=why) if stage is Stage.UNKNOWN:
            return why
        case Accepted(order_id=order_id) if stage is Stage.ACCEPTED and order_id is not None:
            return f"order {order_id}"
        case _:
            return intent.reason

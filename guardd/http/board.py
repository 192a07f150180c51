"""What is known of every account, as facts told it last: the source of /status, /readyz and the page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from guardd.http.recent import Entry, Recent
from guardd.model.account import AccountCondition
from guardd.model.event import BlockKind, StreamName
from guardd.model.facts import AccountView, BlockChanged, Fact, PositionView, RestingView, StreamChanged
from guardd.model.names import AccountName
from guardd.model.reading import Reading, is_value

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


class CallsLeft(Struct, frozen=True, kw_only=True):
    """What a request budget has left for ordinary traffic."""

    account: AccountName
    bucket: str
    calls: int


@dataclass(slots=True, kw_only=True)
class Board:
    """A listener that keeps the latest view of each account. `policy_digest` is asked for each time: a reload changes it."""

    accounts: Sequence[AccountName]
    mode: str
    version: str
    policy_digest: Callable[[], str]
    now_ms: Callable[[], int]
    """Wall time."""
    calls_left: Callable[[], Iterable[CallsLeft]] = lambda: ()
    views: dict[AccountName, AccountView] = field(default_factory=dict)
    changes: int = 0
    """How often anything here became other than it was."""
    recent: Recent = field(init=False)
    _blocks: dict[AccountName, dict[BlockKind, int]] = field(default_factory=dict)
    _streams: dict[AccountName, dict[StreamName, StreamChanged]] = field(default_factory=dict)
    _most: dict[tuple[AccountName, str], int] = field(default_factory=dict)
    """The most calls that a budget was seen to have left: as good as all of it."""

    def __post_init__(self) -> None:
        self.recent = Recent(now_ms=self.now_ms)

    def __call__(self, fact: Fact, /) -> None:
        match fact:
            case AccountView():
                self.views[fact.account] = fact
            case BlockChanged(account=account, kind=kind, until_ms=until_ms):
                self._blocks.setdefault(account, {})[kind] = until_ms
            case StreamChanged(account=account, stream=stream):
                self._streams.setdefault(account, {})[stream] = fact
            case _ if not self.recent(fact):
                return
        self.changes += 1

    def not_ready(self) -> tuple[str, ...]:
        """Why an account isn't live, one sentence each; empty when all are."""
        reasons = []
        for name in self.accounts:
            view = self.views.get(name)
            if view is None:
                reasons.append(f"{name}: starting, nothing was read yet")
            elif view.condition is not AccountCondition.LIVE:
                reasons.append(f"{name}: {view.condition}" + (f", {view.condition_why}" if view.condition_why else ""))
        return tuple(reasons)

    def observes(self, account: AccountName) -> bool:
        """No signed write leaves for this account, whatever it decides (I22); false while it is still starting."""
        view = self.views.get(account)
        return view is not None and view.mode == "observe" and view.condition is not AccountCondition.STARTING

    def status(self) -> dict[str, Json]:
        """The body of /status (interfaces.md section 4). Money and prices are decimal strings; what isn't known is null."""
        return {
            "mode": self._mode(),
            "halted": any(view.condition is AccountCondition.HALTED for view in self.views.values()),
            "version": self.version,
            "policy_digest": self.policy_digest(),
            "at_ms": self.now_ms(),
            "accounts": [self._account(name) for name in self.accounts],
            "recent": [_entry(each) for each in self.recent.entries],
        }

    def _mode(self) -> str:
        """The settings' until something is known; `observe` where no account acts, whatever the settings asked for (I22)."""
        modes = {view.mode for view in self.views.values()}
        return self.mode if not modes or self.mode in modes else "observe"

    def _account(self, name: AccountName) -> Json:
        view = self.views.get(name)
        around: dict[str, Json] = {
            "blocks": self._blocked(name),
            "streams": self._streamed(name),
            "budgets": self._budgets(name),
        }
        if view is None:
            starting = AccountCondition.STARTING.value
            return {"name": name, "state": starting, "state_reason": "", "positions": [], **around}
        return {
            "name": view.account,
            "venue": view.venue,
            "mode": view.mode,
            "state": view.condition.value,
            "state_reason": view.condition_why,
            "currency": view.currency,
            "equity": _text(view.equity),
            "margin_ratio": _text(view.margin_ratio),
            "family": view.family,
            "balances": [
                {
                    "currency": balance.currency,
                    "equity": _text(balance.equity),
                    "margin_ratio": _text(balance.margin_ratio),
                    "pooled": balance.pooled,
                    "doubt": balance.doubt,
                    "drawdown": _text(balance.drawdown),
                    "drawdown_reason": balance.drawdown_why,
                }
                for balance in view.balances
            ],
            "protected_notional_ratio": _text(view.protected_notional_ratio),
            "venue_closing": view.venue_closing,
            "as_of_ms": view.at.wall_ms,
            "unguarded": [{"symbol": symbol, "reason": reason} for symbol, reason in view.unguarded],
            "positions": [_position(seen) for seen in view.positions],
            **around,
        }

    def _blocked(self, name: AccountName) -> Json:
        """What holds requests back now; the moment may pass before somebody says that it is over."""
        blocks = sorted(self._blocks.get(name, {}).items())
        return [{"kind": kind.value, "until_ms": until_ms} for kind, until_ms in blocks if until_ms > self.now_ms()]

    def _streamed(self, name: AccountName) -> Json:
        streams = sorted(self._streams.get(name, {}).items())
        return [{"stream": stream.value, "up": seen.up, "reason": seen.why} for stream, seen in streams]

    def _budgets(self, name: AccountName) -> Json:
        """The scarcest first."""
        left: list[tuple[float, str, int, int]] = []
        for each in self.calls_left():
            if each.account != name:
                continue
            place = (name, each.bucket)
            most = self._most[place] = max(self._most.get(place, 1), each.calls)  # one call at least (interfaces.md 6)
            left.append((each.calls / most, each.bucket, each.calls, most))
        return [
            {"bucket": bucket, "calls_left": calls, "calls_left_most": most} for _, bucket, calls, most in sorted(left)
        ]


def _position(seen: PositionView) -> Json:
    return {
        "symbol": seen.key.symbol,
        "side": seen.key.side.value,
        "margin_mode": seen.margin_mode,
        "leverage": _text(seen.leverage),
        "quantity": _decimal(seen.quantity),
        "entry_price": _decimal(seen.entry_price),
        "mark_price": _text(seen.mark_price),
        "liquidation_price": _text(seen.liquidation_price),
        "distance_to_liquidation": _text(seen.distance_to_liquidation),
        "notional": _text(seen.notional),
        "unrealized_pnl": _text(seen.unrealized_pnl),
        "protected": seen.protected,
        "protection_note": seen.protection_note,
        "stop_loss": _resting(seen.stop_loss),
        "take_profit": _resting(seen.take_profit),
        "next_rule": (
            {"name": seen.next_rule, "at_mark_price": _text(seen.next_rule_at)} if seen.next_rule is not None else None
        ),
        "rules": _rules(seen),
    }


def _rules(seen: PositionView) -> Json:
    """Every rule with a mark at which it acts, the next one first; one that is true acts at the present mark."""
    return [
        {
            "name": each.rule,
            "at_mark_price": _text(seen.mark_price) if each.is_true else _decimal(each.at_mark_price),
            "is_true": each.is_true,
        }
        for each in seen.rules_ahead
    ]


def _entry(entry: Entry) -> Json:
    return {
        "number": entry.number,
        "at_ms": entry.at_ms,
        "account": entry.account,
        "symbol": entry.key.symbol if entry.key is not None else None,
        "side": entry.key.side.value if entry.key is not None else None,
        "kind": entry.kind.value,
        "severity": entry.severity.value,
        "rule": entry.rule,
        "action": entry.action,
        "stage": entry.stage,
        "reason": entry.reason,
        "detail": entry.detail,
        "id": entry.id,
    }


def _resting(order: RestingView | None) -> Json:
    if order is None:
        return None
    return {"trigger_price": _decimal(order.trigger_price), "order_id": order.order_id, "ours": order.ours}


def _text(reading: Reading) -> str | None:
    return _decimal(reading) if is_value(reading) else None


def _decimal(value: Decimal) -> str:
    """Never in scientific notation: people and simple parsers read this."""
    return format(value, "f")

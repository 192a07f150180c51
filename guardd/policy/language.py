"""What a policy can say: its words as types, one rule a value (interfaces.md section 2). How it is read: `load`.

Ratios are plain numbers (8 % is 0.08), durations are Decimal seconds, money is in the settlement coin.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import force_setattr

from guardd.model.decision import IfPassed, OnUnprotected
from guardd.model.names import MarginMode, PriceType, RuleName, Severity, Side
from guardd.policy.nodes import Path, Place


class Unit(StrEnum):
    """What a number counts; a bare number where a unit is needed is an error."""

    RATIO = "ratio"
    MONEY = "money"
    NUMBER = "number"
    DURATION = "duration"
    PRICE = "price"
    COUNT = "count"


class Metric(StrEnum):
    DISTANCE_TO_LIQUIDATION = "distance_to_liquidation"
    BUFFER_LEFT = "buffer_left"
    MARGIN_RATIO = "margin_ratio"
    ACCOUNT_MARGIN_RATIO = "account_margin_ratio"
    PROFIT_FROM_ENTRY = "profit_from_entry"
    RETURN_ON_MARGIN = "return_on_margin"
    UNREALIZED_PNL = "unrealized_pnl"
    NOTIONAL = "notional"
    LEVERAGE = "leverage"
    EFFECTIVE_LEVERAGE = "effective_leverage"
    ACCOUNT_DRAWDOWN = "account_drawdown"
    POSITION_AGE = "position_age"
    DATA_AGE = "data_age"


UNIT_OF: Final[Mapping[Metric, Unit]] = {
    Metric.DISTANCE_TO_LIQUIDATION: Unit.RATIO,
    Metric.BUFFER_LEFT: Unit.RATIO,
    Metric.MARGIN_RATIO: Unit.RATIO,
    Metric.ACCOUNT_MARGIN_RATIO: Unit.RATIO,
    Metric.PROFIT_FROM_ENTRY: Unit.RATIO,
    Metric.RETURN_ON_MARGIN: Unit.RATIO,
    Metric.UNREALIZED_PNL: Unit.MONEY,
    Metric.NOTIONAL: Unit.MONEY,
    Metric.LEVERAGE: Unit.NUMBER,
    Metric.EFFECTIVE_LEVERAGE: Unit.NUMBER,
    Metric.ACCOUNT_DRAWDOWN: Unit.RATIO,
    Metric.POSITION_AGE: Unit.DURATION,
    Metric.DATA_AGE: Unit.DURATION,
}
SIZE_MOVES: Final[frozenset[Metric]] = frozenset(
    {
        Metric.DISTANCE_TO_LIQUIDATION,
        Metric.BUFFER_LEFT,
        Metric.MARGIN_RATIO,
        Metric.ACCOUNT_MARGIN_RATIO,
        Metric.EFFECTIVE_LEVERAGE,
        Metric.NOTIONAL,
        Metric.UNREALIZED_PNL,
    }
)
"""What a smaller position can change: the metrics that `reduce: {until: …}` may aim at."""
MARGIN_MOVES: Final[frozenset[Metric]] = frozenset(
    {
        Metric.DISTANCE_TO_LIQUIDATION,
        Metric.BUFFER_LEFT,
        Metric.MARGIN_RATIO,
        Metric.EFFECTIVE_LEVERAGE,
    }
)
"""What more margin behind an isolated position can change: the metrics that `add_margin: {until: …}` may aim at."""
ACCOUNT_WIDE: Final[frozenset[Metric]] = frozenset({Metric.ACCOUNT_MARGIN_RATIO, Metric.ACCOUNT_DRAWDOWN})
"""What is said of the whole account: the same for each of its cross positions (interfaces.md 2.5)."""
SAFER_WHEN_HIGHER: Final[frozenset[Metric]] = frozenset({Metric.DISTANCE_TO_LIQUIDATION, Metric.BUFFER_LEFT})


class Sense(StrEnum):
    BELOW = "below"
    ABOVE = "above"


class Compare(Struct, frozen=True, kw_only=True, cache_hash=True):
    """`{METRIC: {below: V}}` or `{METRIC: {above: V}}`, both strict. `coin`: what a threshold of money is in, else empty."""

    metric: Metric
    sense: Sense
    threshold: Decimal
    coin: str = ""


class AllOf(Struct, frozen=True, kw_only=True):
    parts: tuple["Condition", ...]


class AnyOf(Struct, frozen=True, kw_only=True):
    parts: tuple["Condition", ...]


class Not(Struct, frozen=True, kw_only=True):
    part: "Condition"


Condition: TypeAlias = Compare | AllOf | AnyOf | Not


class Match(Struct, frozen=True, kw_only=True):
    """Which positions a rule is about; None: any. `symbols` are globs, one of them must fit."""

    account: str | None = None
    venue: str | None = None
    symbols: tuple[str, ...] = ("*",)
    side: Side | None = None
    margin_mode: MarginMode | None = None


class TriggerKind(StrEnum):
    FROM_ENTRY = "from_entry"
    FROM_MARK = "from_mark"
    LIQUIDATION_BUFFER = "liquidation_buffer"
    PRICE = "price"


TRIGGER_UNIT: Final[Mapping[TriggerKind, Unit]] = {
    TriggerKind.FROM_ENTRY: Unit.RATIO,
    TriggerKind.FROM_MARK: Unit.RATIO,
    TriggerKind.LIQUIDATION_BUFFER: Unit.RATIO,
    TriggerKind.PRICE: Unit.PRICE,
}


class Trigger(Struct, frozen=True, kw_only=True):
    """Where a resting order fires; ratios are signed in the position's favour."""

    kind: TriggerKind
    value: Decimal


class StopLoss(Struct, frozen=True, kw_only=True):
    """One stop, or one tranche of a ladder: `stop_loss: [{…}, {…}]` is read as several with `tranche` 0, 1, …

    `size` is a share of the episode's largest quantity.
    """

    triggers: tuple[Trigger, ...]
    price_type: PriceType = PriceType.MARK
    size: Decimal = Decimal(1)
    tranche: int = 0
    if_passed: IfPassed = IfPassed.NEXT
    on_unprotected: OnUnprotected = OnUnprotected.ALERT


class TakeProfit(Struct, frozen=True, kw_only=True):
    """As `StopLoss`, in the position's favour."""

    triggers: tuple[Trigger, ...]
    price_type: PriceType = PriceType.LAST
    size: Decimal = Decimal(1)
    tranche: int = 0


class TrailStop(Struct, frozen=True, kw_only=True):
    """A stop of the whole position that follows the best confirmed mark at `distance`, a share of that mark."""

    distance: Decimal
    price_type: PriceType = PriceType.MARK


class ReduceBy(Struct, frozen=True, kw_only=True):
    """A share of the present quantity."""

    share: Decimal


class ReduceUntil(Struct, frozen=True, kw_only=True):
    """As much as brings `metric` to `target`, and never more than the share `at_most` of the present quantity."""

    metric: Metric
    target: Decimal
    at_most: Decimal = Decimal("0.5")
    coin: str = ""
    """What an aim of money is in."""


class CloseAll(Struct, frozen=True, kw_only=True):
    pass


class CancelEntering(Struct, frozen=True, kw_only=True):
    pass


class Notify(Struct, frozen=True, kw_only=True):
    severity: Severity = Severity.WARNING


class LowerLeverage(Struct, frozen=True, kw_only=True):
    """Sets the leverage to `to`; never raises it. One try a breach."""

    to: Decimal


class AddMarginBy(Struct, frozen=True, kw_only=True):
    """`amount` of `coin` into the isolated position each time, and never more than `at_most` in its episode."""

    amount: Decimal
    at_most: Decimal | None = None
    coin: str = "USDT"


class AddMarginUntil(Struct, frozen=True, kw_only=True):
    """As much as brings `metric` to `target`, and never more than `at_most` of `coin` in the position's episode."""

    metric: Metric
    target: Decimal
    at_most: Decimal
    coin: str = "USDT"


class TopUp(Struct, frozen=True, kw_only=True):
    """`amount` of `coin` from the spot wallet into what stands behind the cross positions."""

    amount: Decimal
    coin: str = "USDT"


PolicyAction: TypeAlias = (
    StopLoss
    | TakeProfit
    | TrailStop
    | ReduceBy
    | ReduceUntil
    | CloseAll
    | LowerLeverage
    | AddMarginBy
    | AddMarginUntil
    | TopUp
    | CancelEntering
    | Notify
)
REDUCES: Final = (ReduceBy, ReduceUntil, CloseAll)
"""What makes the position smaller."""
STRENGTHENS: Final = (LowerLeverage, AddMarginBy, AddMarginUntil, TopUp)
"""What puts more money behind it."""
DELEVERS: Final = (*REDUCES, *STRENGTHENS)
_REDUCES: Final[frozenset[type]] = frozenset(REDUCES)
_DELEVERS: Final[frozenset[type]] = frozenset(DELEVERS)


class WhenBlind(StrEnum):
    HOLD = "hold"
    ACT = "act"


class PolicyRule(Struct, frozen=True, kw_only=True):
    """`then` in the order of the file. `line` is where the rule stands, for people; it is no part of the digest."""

    name: RuleName
    match: Match
    when: Condition | None
    hold_s: float
    cooldown_s: float
    when_blind: WhenBlind
    then: tuple[PolicyAction, ...]
    line: int = 0
    kinds: frozenset[type] = frozenset()
    """Of its actions."""
    leaves: tuple[Compare, ...] = ()
    """Every comparison of its condition, in reading order."""
    delevers: bool = False
    reduces: bool = False
    account_wide: bool = False
    """The condition speaks of the whole cross account: its positions are taken one at a time (interfaces.md 2.5)."""

    def __post_init__(self) -> None:
        """What each look asks of each rule, found out once."""
        kinds = frozenset(map(type, self.then))
        leaves = () if self.when is None else tuple(compares(self.when))
        know = force_setattr
        know(self, "kinds", kinds)
        know(self, "leaves", leaves)
        know(self, "delevers", not kinds.isdisjoint(_DELEVERS))
        know(self, "reduces", not kinds.isdisjoint(_REDUCES))
        know(self, "account_wide", any(leaf.metric in ACCOUNT_WIDE for leaf in leaves))


class Limits(Struct, frozen=True, kw_only=True):
    """The leash on the guard, per account (interfaces.md 2.6)."""

    orders_per_minute: int = 30
    reduce_per_hour: Decimal = Decimal(1)
    top_up_per_day: Decimal = Decimal(500)
    stale_after_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy that was read and found whole."""

    version: int
    limits: Limits
    rules: tuple[PolicyRule, ...]
    source: str = ""
    places: Mapping[Path, Place] = field(default_factory=dict, compare=False, repr=False)
    """Where everything stands in the file, for people."""
    compared: frozenset[Metric] = field(init=False, repr=False, compare=False)
    """Every metric that a condition asks about."""

    def __post_init__(self) -> None:
        compared = frozenset(leaf.metric for rule in self.rules for leaf in rule.leaves)
        object.__setattr__(self, "compared", compared)

    @property
    def digest(self) -> str:
        """SHA-256 of what the policy means: neither comments, order of keys nor ways to write a number change it."""
        meaning = {
            "version": self.version,
            "limits": _plain(self.limits),
            "rules": [_plain(rule) for rule in self.rules],
        }
        text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def wants_higher(metric: Metric, target: Decimal) -> bool:
    """Whether an aim is reached from below: a loss is the better the higher it stands, a gain to be taken the lower."""
    return metric in SAFER_WHEN_HIGHER or (metric is Metric.UNREALIZED_PNL and target < 0)


def compares(condition: Condition) -> Iterator[Compare]:
    """Every comparison in a condition, in reading order."""
    match condition:
        case Compare():
            yield condition
        case Not():
            yield from compares(condition.part)
        case AllOf() | AnyOf():
            for part in condition.parts:
                yield from compares(part)


_NOT_MEANING: Final = frozenset({"line", "source", "kinds", "leaves", "delevers", "reduces", "account_wide"})
"""Where it stands in the file, and what a rule reckons from its other fields."""


def _plain(value: object) -> object:
    match value:
        case Decimal():
            return format(value.normalize(), "f")
        case float():
            return format(Decimal(str(value)).normalize(), "f")
        case None | bool() | int() | str():
            return value
        case tuple():
            return [_plain(each) for each in value]
        case Struct():
            named = {name: _plain(getattr(value, name)) for name in value.__struct_fields__ if name not in _NOT_MEANING}
            return {"is": type(value).__name__, **named}
        case _:
            raise TypeError(f"a policy holds no {type(value).__name__}")

"""Is a condition true? Three-valued (interfaces.md 2.2): true, false or unknown, and a rule fires only on true.

None is never below and always above. Unknown makes a comparison unknown; `all`, `any` and `not` follow Kleene: an unknown part
decides nothing that the others don't decide already.
"""

from decimal import Context, Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, assert_never

from guardd.model.names import Symbol, VenueName
from guardd.model.reading import Absent, Reading
from guardd.policy.language import AllOf, AnyOf, Compare, Condition, Match, Metric, Not, Sense
from guardd.risk.assess import PositionRisk


class Truth(StrEnum):
    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


class Use(StrEnum):
    """What the answer is for, which settles whose liquidation price counts (interfaces.md 2.2 "Which L")."""

    WARN = "warn"
    """Stops, warnings and pictures: the nearer of the venue's number and ours."""
    CLOSE = "close"
    """A reduce or close: only a number that may justify it."""


USES: Final = tuple(Use)
_SIGNIFICANT: Final = Context(prec=20)
"""A figure that stands still at its threshold isn't past it by what divisions leave in the last of their 28 digits."""
FITS_REMEMBERED: Final = 4_096
"""Pairs of a rule's patterns and a symbol: some dozens of rules by some dozens of symbols."""
AGELESS: Final = frozenset({Metric.DATA_AGE})
"""What is known while everything else is too old to be believed."""


def evaluate(
    condition: Condition | None, risk: PositionRisk, use: Use, *, without: frozenset[Metric] = frozenset()
) -> Truth:
    """Evaluate on one position; an absent condition is true. Metrics in `without` count as unknown."""
    match condition:
        case None:
            return Truth.TRUE
        case Compare():
            return Truth.UNKNOWN if condition.metric in without else compare(condition, risk, use)
        case Not():
            return _negated(evaluate(condition.part, risk, use, without=without))
        case AllOf():
            parts = {evaluate(part, risk, use, without=without) for part in condition.parts}
            return Truth.FALSE if Truth.FALSE in parts else Truth.UNKNOWN if Truth.UNKNOWN in parts else Truth.TRUE
        case AnyOf():
            parts = {evaluate(part, risk, use, without=without) for part in condition.parts}
            return Truth.TRUE if Truth.TRUE in parts else Truth.UNKNOWN if Truth.UNKNOWN in parts else Truth.FALSE
        case _:
            assert_never(condition)


def compare(leaf: Compare, risk: PositionRisk, use: Use) -> Truth:
    """One comparison, both ways strict. Money of two coins can't be compared: that is unknown, and told."""
    if leaf.coin not in ("", risk.settle):
        return Truth.UNKNOWN
    reading = metric_of(risk, leaf.metric, use)
    match reading:
        case None:
            return Truth.FALSE
        case Absent.UNKNOWN:
            return Truth.UNKNOWN
        case Absent.NONE:
            return _truth(leaf.sense is Sense.ABOVE)
        case Decimal():
            figure = _SIGNIFICANT.plus(reading)
            return _truth(figure < leaf.threshold if leaf.sense is Sense.BELOW else figure > leaf.threshold)
        case _:
            assert_never(reading)


def metric_of(risk: PositionRisk, metric: Metric, use: Use) -> Reading | None:
    """The metric's reading; None where it doesn't apply and so is false: `account_margin_ratio` of an isolated position."""
    closing = use is Use.CLOSE
    match metric:
        case Metric.DISTANCE_TO_LIQUIDATION:
            return risk.closing_distance_to_liquidation if closing else risk.distance_to_liquidation
        case Metric.BUFFER_LEFT:
            return risk.closing_buffer_left if closing else risk.buffer_left
        case Metric.MARGIN_RATIO:
            return risk.closing_margin_ratio if closing else risk.margin_ratio
        case Metric.ACCOUNT_MARGIN_RATIO:
            return risk.closing_account_margin_ratio if closing else risk.account_margin_ratio
        case Metric.PROFIT_FROM_ENTRY:
            return risk.profit_from_entry
        case Metric.RETURN_ON_MARGIN:
            return risk.return_on_margin
        case Metric.UNREALIZED_PNL:
            return risk.unrealized_pnl
        case Metric.NOTIONAL:
            return risk.notional
        case Metric.LEVERAGE:
            return risk.leverage
        case Metric.EFFECTIVE_LEVERAGE:
            return risk.effective_leverage
        case Metric.ACCOUNT_DRAWDOWN:
            return risk.account_drawdown
        case Metric.POSITION_AGE:
            return Decimal(str(risk.position_age_s))
        case Metric.DATA_AGE:
            return Absent.UNKNOWN if risk.data_age_s is None else Decimal(str(risk.data_age_s))
        case _:
            assert_never(metric)


def matches(match: Match, risk: PositionRisk, venue: VenueName) -> bool:
    """True when the rule is about this position."""
    return (
        match.account in (None, risk.key.account)
        and match.venue in (None, venue)
        and match.side in (None, risk.key.side)
        and match.margin_mode in (None, risk.margin_mode)
        and about(match, risk.key.symbol)
    )


def about(match: Match, symbol: Symbol) -> bool:
    """True when one of its patterns fits the symbol."""
    return _fits(match.symbols, symbol)


@lru_cache(maxsize=FITS_REMEMBERED)
def _fits(patterns: tuple[str, ...], symbol: Symbol) -> bool:
    """Remembered: each look asks it of each rule, and the answer hangs on nothing but the words."""
    return any(fnmatchcase(symbol, pattern) for pattern in patterns)


def _truth(value: bool) -> Truth:
    return Truth.TRUE if value else Truth.FALSE


def _negated(truth: Truth) -> Truth:
    match truth:
        case Truth.TRUE:
            return Truth.FALSE
        case Truth.FALSE:
            return Truth.TRUE
        case Truth.UNKNOWN:
            return Truth.UNKNOWN
        case _:
            assert_never(truth)


BLIND: Final = frozenset(Metric) - AGELESS

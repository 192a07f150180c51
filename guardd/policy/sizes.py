"""How much a reduction takes (interfaces.md 2.4 "Sizes"): up to one step, within its cap, no rest that couldn't be closed.

`until` asks risk what would be left of the danger after closing so much at the present mark; more closed is never worse, so
the smallest number of steps that reaches the aim is found by halving.
"""

from decimal import Decimal
from typing import Final, TypeAlias

from msgspec import Struct

from guardd.model.instrument import Instrument
from guardd.model.names import MarginMode
from guardd.model.reading import Absent, Reading, is_value
from guardd.policy.conditions import Use, metric_of
from guardd.policy.language import (
    MARGIN_MOVES,
    SAFER_WHEN_HIGHER,
    UNIT_OF,
    Metric,
    ReduceBy,
    ReduceUntil,
    Unit,
    wants_higher,
)
from guardd.policy.reasons import in_unit
from guardd.risk.assess import PositionRisk, assess_on
from guardd.risk.ground import Ground
from guardd.risk.strengthened import margin_for_leverage, with_more_behind

CENT: Final = Decimal("0.01")
SATOSHI: Final = Decimal("0.00000001")


class Sized(Struct, frozen=True, kw_only=True):
    """Contracts to close, on step and not above the quantity; `after` is the risk that is left, unknown when all goes."""

    size: Decimal
    closes_all: bool
    note: str = ""


class NoSize(Struct, frozen=True, kw_only=True):
    """No size does it; `why` for people."""

    why: str


SizeResult: TypeAlias = Sized | NoSize


def size_of(action: ReduceBy | ReduceUntil, on: Ground, risk: PositionRisk, instrument: Instrument) -> SizeResult:
    """The size of one reduction of the assessed position at its present mark."""
    match action:
        case ReduceBy():
            wanted = instrument.size_up(action.share * risk.quantity)
            return _bounded(wanted, risk.quantity, max(wanted, instrument.min_size), instrument)
        case ReduceUntil():
            return _until(action, on, risk, instrument)


def _until(action: ReduceUntil, on: Ground, risk: PositionRisk, instrument: Instrument) -> SizeResult:
    if action.coin not in ("", instrument.settle):
        return NoSize(why=f"its aim is in {action.coin}, and this position settles in {instrument.settle}")
    cap = instrument.size_down(action.at_most * risk.quantity)
    if cap < instrument.step:
        return NoSize(
            why=f"at_most {in_unit(action.at_most, Unit.RATIO)} of {risk.quantity} contracts is less than one step"
        )
    if _reached(action, on, risk, Decimal(0)):
        return NoSize(why=f"{aim_text(action.metric, action.target, action.coin)} is reached already")
    steps = int(cap / instrument.step)
    if not _reached(action, on, risk, cap):
        return _beyond_reach(action, on, risk, instrument, cap)
    low, high = 0, steps
    while high - low > 1:
        middle = (low + high) // 2
        if _reached(action, on, risk, middle * instrument.step):
            high = middle
        else:
            low = middle
    return _bounded(high * instrument.step, risk.quantity, cap, instrument)


def _beyond_reach(
    action: ReduceUntil, on: Ground, risk: PositionRisk, instrument: Instrument, cap: Decimal
) -> SizeResult:
    """Cross does what it may and is judged again; closing part of an isolated position hardly moves its liquidation price."""
    aim = aim_text(action.metric, action.target, action.coin)
    if risk.margin_mode is MarginMode.ISOLATED:
        most = in_unit(action.at_most, Unit.RATIO)
        why = f"no size within at_most {most} brings an isolated position to {aim}"
        return NoSize(why=f"{why}: {what_would(action.metric, action.target, on, risk, instrument)}")
    if not _no_worse(action, on, risk, cap):
        return NoSize(why=f"closing {cap} contracts would not bring {aim} nearer (I15)")
    sized = _bounded(cap, risk.quantity, cap, instrument)
    match sized:
        case Sized():
            return Sized(size=sized.size, closes_all=sized.closes_all, note=f"{aim} is out of reach within at_most")
        case NoSize():
            return sized


def _reached(action: ReduceUntil, on: Ground, risk: PositionRisk, size: Decimal) -> bool:
    return is_there(reading_after(action.metric, on, risk, size), action.metric, action.target)


def is_there(reading: Reading, metric: Metric, target: Decimal) -> bool:
    """Is the metric at its target, or beyond it on the good side?"""
    if reading is Absent.NONE:
        return metric in SAFER_WHEN_HIGHER
    if not is_value(reading):
        return False
    return reading >= target if wants_higher(metric, target) else reading <= target


def aim_text(metric: Metric, target: Decimal, coin: str) -> str:
    """What is aimed at, in words."""
    return f"{metric} {in_unit(target, UNIT_OF[metric], coin)}"


def _no_worse(action: ReduceUntil, on: Ground, risk: PositionRisk, size: Decimal) -> bool:
    metric = action.metric
    before, after = metric_of(risk, metric, Use.CLOSE), reading_after(metric, on, risk, size)
    if before is None or not is_value(before) or not is_value(after):
        return after is Absent.NONE and metric in SAFER_WHEN_HIGHER
    return after >= before if wants_higher(metric, action.target) else after <= before


def margin_until(
    metric: Metric, target: Decimal, on: Ground, risk: PositionRisk, instrument: Instrument, *, at_most: Decimal
) -> Decimal | None:
    """The smallest addition, up to a cent, that brings an isolated position's metric to its target; None: none within `at_most`."""

    def reached(cents: int) -> bool:
        return is_there(reading_with(metric, on, risk, cents * unit), metric, target)

    unit = SATOSHI if instrument.inverse else CENT
    high = int(at_most / unit)
    if high < 1 or not reached(high):
        return None
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high * unit


def leverage_until(metric: Metric, target: Decimal, on: Ground, risk: PositionRisk) -> Decimal | None:
    """The highest whole leverage below the present one that brings an isolated position's metric to its target; None: none does."""
    now = on.position.leverage
    if not is_value(now):
        return None

    def reached(leverage: int) -> bool:
        more = margin_for_leverage(on, Decimal(leverage))
        return is_value(more) and is_there(reading_with(metric, on, risk, more), metric, target)

    low, high = 1, int(now) if now != int(now) else int(now) - 1
    if high < 1 or not reached(low):
        return None
    while high > low:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if reached(middle) else (low, middle - 1)
    return Decimal(low)


def what_would(metric: Metric, target: Decimal, on: Ground, risk: PositionRisk, instrument: Instrument) -> str:
    """What brings an isolated position's metric to its target where a reduction can't, in words."""
    ways: list[str] = []
    if metric in MARGIN_MOVES and is_value(risk.notional):
        amount = margin_until(metric, target, on, risk, instrument, at_most=risk.notional)
        leverage = leverage_until(metric, target, on, risk)
        ways += [] if amount is None else [f"{amount} {instrument.settle} more margin"]
        ways += [] if leverage is None else [f"a leverage of {leverage}"]
    return f"{' or '.join(ways)} would, or closing it" if ways else "closing it would"


def reading_with(metric: Metric, on: Ground, risk: PositionRisk, amount: Decimal) -> Reading:
    """The metric as it would be with `amount` more behind the position, at the present mark."""
    after = metric_of(assess_on(with_more_behind(on, amount), mark=risk.mark), metric, Use.CLOSE)
    return Absent.UNKNOWN if after is None else after


def reading_after(metric: Metric, on: Ground, risk: PositionRisk, size: Decimal) -> Reading:
    """The metric as it would be with `size` contracts closed at the present mark."""
    rest = risk.quantity - size
    after = metric_of(assess_on(on, mark=risk.mark, quantity=rest), metric, Use.CLOSE)
    return Absent.UNKNOWN if after is None else after


def _bounded(wanted: Decimal, quantity: Decimal, cap: Decimal, instrument: Instrument) -> SizeResult:
    """`wanted` within the cap and the venue's least size, leaving nothing that the venue wouldn't close."""
    least = instrument.min_size
    if quantity < least:
        return NoSize(why=f"the venue takes no order below {least} contracts: a rest of {quantity} can't be closed")
    size = min(max(wanted, least), quantity)
    if size > cap:
        return NoSize(why=f"the venue's least order is {least} contracts, more than the {cap} that may go")
    rest = quantity - size
    if rest == 0 or rest >= least:
        return Sized(size=size, closes_all=rest == 0)
    if cap >= quantity:
        return Sized(size=quantity, closes_all=True, note=f"a rest of {rest} would be below the venue's least order")
    size = instrument.size_down(quantity - least)
    if size < least or size <= 0:
        return NoSize(
            why=f"a rest below the venue's least order of {least} contracts would remain, and it may not all go"
        )
    return Sized(size=size, closes_all=False, note=f"the venue's least order of {least} contracts is left")

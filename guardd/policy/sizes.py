"""How much a reduction takes (interfaces.md 2.4 "Sizes"): up to one step, within its cap, no rest that couldn't be closed.

`until` asks risk what would be left of the danger after closing so much at the present mark; more closed is never worse, so
the smallest number of steps that reaches the aim is found by halving.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from guardd.model.instrument import Instrument
from guardd.model.names import MarginMode
from guardd.model.reading import Absent, Reading, is_value
from guardd.policy.conditions import Use, metric_of
from guardd.policy.language import SAFER_WHEN_HIGHER, Metric, ReduceBy, ReduceUntil
from guardd.risk.assess import PositionRisk, assess_on
from guardd.risk.ground import Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """Contracts to close, on step and not above the quantity; `after` is the risk that is left, unknown when all goes."""

    size: Decimal
    closes_all: bool
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSize:
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
    cap = instrument.size_down(action.at_most * risk.quantity)
    if cap < instrument.step:
        return NoSize(why=f"at_most {action.at_most:%} of {risk.quantity} contracts is less than one step")
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
    aim = f"{action.metric} {action.target}"
    if risk.margin_mode is MarginMode.ISOLATED:
        return NoSize(why=f"no size within at_most {action.at_most:%} brings an isolated position to {aim}")
    if not _no_worse(action.metric, on, risk, cap):
        return NoSize(why=f"closing {cap} contracts would not bring {aim} nearer (I15)")
    sized = _bounded(cap, risk.quantity, cap, instrument)
    match sized:
        case Sized():
            return Sized(size=sized.size, closes_all=sized.closes_all, note=f"{aim} is out of reach within at_most")
        case NoSize():
            return sized


def _reached(action: ReduceUntil, on: Ground, risk: PositionRisk, size: Decimal) -> bool:
    after = reading_after(action.metric, on, risk, size)
    if after is Absent.NONE:
        return action.metric in SAFER_WHEN_HIGHER
    if not is_value(after):
        return False
    return after >= action.target if action.metric in SAFER_WHEN_HIGHER else after <= action.target


def _no_worse(metric: Metric, on: Ground, risk: PositionRisk, size: Decimal) -> bool:
    before, after = metric_of(risk, metric, Use.CLOSE), reading_after(metric, on, risk, size)
    if before is None or not is_value(before) or not is_value(after):
        return after is Absent.NONE and metric in SAFER_WHEN_HIGHER
    return after >= before if metric in SAFER_WHEN_HIGHER else after <= before


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

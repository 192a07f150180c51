"""What a parsed value may be, and what "safe" means, said once for the types of the model.

`sound`: no float and no NaN anywhere (I19); a position has a quantity, an entry and figures above zero or says that it doesn't know
them; a mark is above zero; nothing was filled beyond an order's size; a ratio isn't below zero; ids
are texts with something in them.

`weaker`: of two readings of one answer, the second of which lost a field, the second is no safer than the first:

- a position isn't gone, nor smaller, nor on the other side; its liquidation price, maintenance, margin, mark and leverage are the
  same or unknown, so that no distance can be further and no ratio smaller;
- a balance holds no more that is free, ties up no less, and its equity, maintenance and ratio are the same or unknown;
- a stop isn't there where it wasn't, covers no more, isn't triggered by the mark where it wasn't, and doesn't execute at market
  where it didn't;
- an order closes nothing that it didn't close; it isn't over where it worked, works where it was over, and nothing less (or more)
  of it is filled: that would be an unknown outcome read as a known one (I7);
- a mark is the same one; what confirms it (I28) is the same or missing; a contract's steps, bounds and tiers are the same;
- a write that was accepted, rejected or unknown isn't another one of the three, unless it becomes unknown (I7).
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from types import ModuleType
from typing import Any, cast

from msgspec import Struct

from guardd.model.account import Balance
from guardd.model.event import MarkSeen
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import PriceType
from guardd.model.order import OrderReport, OrderUpdate, PlanForm, PlanOrder, ProtectionKind, RestingOrder
from guardd.model.outcome import Accepted, Rejected, Unknown
from guardd.model.position import Position, PositionUpdate
from guardd.model.reading import Absent, Reading, is_value


class Unsound(AssertionError):
    """A parser made something of these bytes that no model may hold."""


def _want(good: bool, what: str) -> None:
    if not good:
        raise Unsound(what)


def sound(value: object) -> None:
    for each in _walk(value):
        _sound_one(each)


def _walk(value: object) -> Iterator[object]:
    """The value and everything inside it."""
    yield value
    if isinstance(value, str | bytes | int | float | Decimal | Enum | ModuleType | type | None):
        return
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _walk(name)
            yield from _walk(each)
    elif isinstance(value, tuple | list | set | frozenset):
        for each in value:
            yield from _walk(each)
    elif isinstance(value, MarkSeen):
        for price in (value.mark, value.index, value.last, value.bid, value.ask):
            yield from _walk(price)
    elif isinstance(value, Struct) or is_dataclass(value):
        for name in _fields_of(value):
            if name.endswith("_s"):
                continue  # a duration: no money, price or size (I19)
            yield from _walk(getattr(value, name))


def _fields_of(value: object) -> tuple[str, ...]:
    if isinstance(value, Struct):
        return value.__struct_fields__
    return tuple(each.name for each in fields(cast(Any, value)))


def _sound_one(value: object) -> None:
    match value:
        case float():
            raise Unsound(f"a float: {value!r}")
        case Decimal():
            _want(value.is_finite(), f"no finite number: {value}")
        case Position():
            _want(value.quantity > 0, f"a position of {value.quantity}")
            _want(value.entry_price > 0, f"an entry at {value.entry_price}")
            for name in ("leverage", "margin", "maintenance_margin", "liquidation_price", "mark_price", "notional"):
                _above_zero(name, getattr(value, name))
        case PositionUpdate():
            _want(value.quantity >= 0, f"a position of {value.quantity}")
            _want(value.entry_price > 0 or not value.quantity, f"an entry at {value.entry_price}")
            _above_zero("liquidation_price", value.liquidation_price)
        case Balance():
            for name in ("maintenance", "margin_ratio"):
                figure: Reading = getattr(value, name)
                _want(not is_value(figure) or figure >= 0, f"{name} {figure}")
        case MarkSeen():
            for price in (value.mark, value.index, value.last, value.bid, value.ask):
                _want(price is None or price > 0, f"a price of {price}")
        case OrderReport() | OrderUpdate() | RestingOrder():
            _want(bool(value.order_id), "an order without an id")
            _want(value.filled >= 0, f"{value.filled} filled")
        case PlanOrder():
            _want(bool(value.order_id), "a plan order without an id")
            _want(value.trigger_price > 0, f"a trigger at {value.trigger_price}")
            _want(value.execution_price is None or value.execution_price > 0, f"executed at {value.execution_price}")
            _want(value.size is None or value.size >= 0, f"a size of {value.size}")
        case MarginTier():
            _want(0 < value.rate < 1 and 0 <= value.floor < value.cap, f"a tier {value}")
        case Instrument():
            _want(value.tick > 0 and value.step > 0 and value.contract_size > 0, f"a contract {value}")


def _above_zero(name: str, figure: Reading) -> None:
    _want(not is_value(figure) or figure > 0, f"{name} {figure}")


def weaker(before: object, after: object) -> None:
    """`after` is read of the same answer with a field less."""
    for kind in _JUDGED:
        whole = [each for each in _walk(before) if isinstance(each, kind)]
        less = [each for each in _walk(after) if isinstance(each, kind)]
        if kind is MarkSeen and not less:
            continue  # no mark is unknown, and ages
        if kind is PlanOrder:
            known = {each.order_id for each in less}
            whole = [each for each in whole if each.order_id in known]  # a stop that isn't seen protects nothing
        _want(len(whole) == len(less), f"{len(less)} of {kind.__name__} where there were {len(whole)}")
        for one, other in zip(whole, less, strict=True):
            _weaker_one(one, other)
    _same_outcome(before, after)


_JUDGED = (Position, PositionUpdate, Balance, PlanOrder, RestingOrder, OrderReport, OrderUpdate, MarkSeen, MarginTier)


def _weaker_one(one: object, other: object) -> None:
    match one, other:
        case Position(), Position():
            _equal(one, other, "quantity", "entry_price", "margin_mode", "closed_quantity")
            _want(one.key.side is other.key.side, "another side")
            _same_or_unknown(
                one,
                other,
                "leverage",
                "margin",
                "maintenance_margin",
                "liquidation_price",
                "mark_price",
                "notional",
                "unrealized_pnl",
            )
        case PositionUpdate(), PositionUpdate():
            _equal(one, other, "quantity", "entry_price", "margin_mode")
            _want(one.key.side is other.key.side, "another side")
            _same_or_unknown(one, other, "liquidation_price")
        case Balance(), Balance():
            _same_or_unknown(one, other, "equity", "maintenance", "unrealized_pnl")
            ratio, rest = one.margin_ratio, other.margin_ratio
            _want(not is_value(rest) or (is_value(ratio) and rest >= ratio), f"margin_ratio {rest}, was {ratio}")
            _want(other.available <= one.available, f"available {other.available}, was {one.available}")
            _want(
                other.position_margin >= one.position_margin,
                f"position_margin {other.position_margin}, was {one.position_margin}",
            )
            _want(other.wallets in (one.wallets, ()), "wallets without one of them")
        case PlanOrder(), PlanOrder():
            _weaker_plan(one, other)
        case RestingOrder(), RestingOrder():
            _equal(one, other, "size", "filled", "kind")
            _want(one.closes or not other.closes, "it closes now")
            _want(other.price in (None, one.price), f"a price of {other.price}, was {one.price}")
        case OrderReport(), OrderReport():
            _equal(one, other, "size", "filled", "live")
        case OrderUpdate(), OrderUpdate():
            _equal(one, other, "size", "filled", "live")
        case MarkSeen(), MarkSeen():
            _equal(one, other, "mark")
            for name in ("index", "last", "bid", "ask"):
                _want(getattr(other, name) in (None, getattr(one, name)), f"{name} {getattr(other, name)}")
        case MarginTier(), MarginTier():
            _equal(one, other, "floor", "cap", "rate", "deduction")


def _weaker_plan(one: PlanOrder, other: PlanOrder) -> None:
    _equal(one, other, "trigger_price")
    stop = ProtectionKind.STOP_LOSS
    _want(other.protection is not stop or one.protection is stop, f"{other.protection} where it was {one.protection}")
    _want(other.protection is None or one.protection is not None, "it closes now")
    if other.protection is not stop:
        return
    _want(other.key.side is one.key.side and other.direction is one.direction, "a stop of another side or way")
    _want(
        other.size == one.size or (one.size is None and other.size is not None), f"covers {other.size}, was {one.size}"
    )
    _want(other.form is one.form or other.form is not PlanForm.WHOLE, f"{other.form}, was {one.form}")
    _want(other.price_type in (one.price_type, PriceType.LAST), f"by {other.price_type}, was {one.price_type}")
    _want(other.execution_price is not None or one.execution_price is None, "at market, was a limit")


def _equal(one: object, other: object, *names: str) -> None:
    for name in names:
        was, now = getattr(one, name), getattr(other, name)
        _want(was == now, f"{name} {now}, was {was}")


def _same_or_unknown(one: object, other: object, *names: str) -> None:
    for name in names:
        was, now = getattr(one, name), getattr(other, name)
        _want(now in (was, Absent.UNKNOWN), f"{name} {now}, was {was}")


def _same_outcome(before: object, after: object) -> None:
    if isinstance(before, Accepted | Rejected | Unknown):
        _want(isinstance(after, type(before) | Unknown), f"{type(after).__name__}, was {type(before).__name__}")
        if isinstance(before, Rejected) and isinstance(after, Rejected):
            _equal(before, after, "reason")

"""The ledger's rows in words. Figures are the exchange's own: the marks of that moment, the liquidation price it reckoned then."""

from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct

from guardd.demo import scenario
from guardd.demo.watch import LogLine
from guardd.simulator.contracts import Contract
from guardd.simulator.ledger import LedgerRow, RowKind
from guardd.simulator.orders import OrderKind, PlanKind

CONTRACTS: Final[dict[str, Contract]] = {contract.symbol: contract for contract in scenario.contracts()}


class Tone(StrEnum):
    """How a line is to be taken: what the guard does, what it says, what hurts, what merely happens."""

    ACT = "act"
    TALK = "talk"
    HURT = "hurt"
    NOTE = "note"


class Line(Struct, frozen=True, kw_only=True):
    """One event. `at_ms` in the exchange's time; `who` an account, "market", or "guard" for its own words."""

    at_ms: int
    who: str
    tone: Tone
    text: str


def tell(row: LedgerRow) -> Line | None:
    """The row as an event for people; None for what only accountants want."""
    match row.kind:
        case RowKind.FILL:
            return _fill(row)
        case RowKind.PLAN:
            return _plan(row)
        case RowKind.LIQUIDATED:
            return _liquidated(row)
        case RowKind.REFUSED:
            text = f"the exchange refused {_cell(row, 'call')}: {_cell(row, 'detail')}"
            return Line(at_ms=row.at_ms, who=row.uid, tone=Tone.HURT, text=text)
        case _:
            return None


def say(line: LogLine) -> Line | None:
    """What the guard itself says: rules that fire, and what it tells people as a warning or worse."""
    aloud = line.event == "told" and line.level in ("warning", "critical", "error")
    if not aloud and line.event != "rule_fired":
        return None
    return Line(at_ms=line.at_ms, who="guard", tone=Tone.TALK, text=line.why)


def leg(row: LedgerRow) -> str:
    """`BTC long`"""
    return f"{CONTRACTS[row.symbol].base} {_cell(row, 'position_side')}"


def is_closing(row: LedgerRow) -> bool:
    """A fill that closed something, other than by liquidation."""
    return row.kind is RowKind.FILL and bool(row.details["reduce"]) and row.details["order_kind"] != _FORCED


def why(row: LedgerRow) -> str:
    """What a closing fill was called for by: the mark then, against entry and against liquidation."""
    mark, entry = row.decimal("mark"), row.decimal("entry_price")
    sign = 1 if row.details["position_side"] == "long" else -1
    text = f"mark {price(row.symbol, mark)}, {percent((mark - entry) / entry, signed=True)} from entry"
    if row.details["liquidation_price"] is None:
        return f"{text}, no liquidation price"
    distance = (mark - row.decimal("liquidation_price")) * sign / mark
    return f"{text}, {percent(distance)} before liquidation"


def plan_name(row: LedgerRow) -> str:
    return _PLANS.get(str(row.details["plan_kind"]), "conditional order")


def trigger(row: LedgerRow) -> str:
    return price(row.symbol, row.decimal("trigger_price"))


def price(symbol: str, value: Decimal) -> str:
    """On the contract's tick, thousands apart."""
    return f"{value.quantize(CONTRACTS[symbol].tick):,}"


def percent(ratio: Decimal, *, signed: bool = False) -> str:
    """`4.6 %`"""
    number = f"{ratio * 100:+.1f}" if signed else f"{ratio * 100:.1f}"
    return f"{number.replace('-', '−')} %"


def money(value: Decimal, *, signed: bool = False) -> str:
    """Whole units of the settlement coin."""
    number = f"{value:+,.0f}" if signed else f"{value:,.0f}"
    return "0" if number in ("-0", "+0") else number.replace("-", "−")


def coins(symbol: str, size: Decimal) -> str:
    """Contracts as an amount of the base coin."""
    contract = CONTRACTS[symbol]
    amount = (size * contract.contract_size).normalize()
    return f"{amount:,f} {contract.base}"


def how(row: LedgerRow) -> str:
    """Who closed: an order of the guard's, or one that rested at the exchange."""
    return "the resting order closed" if row.details["plan_id"] else "closed at market"


_FORCED: Final = OrderKind.LIQUIDATION.value
_PLANS: Final = {PlanKind.STOP_LOSS.value: "stop", PlanKind.TAKE_PROFIT.value: "take-profit"}
_HAPPENED: Final = {
    "placed": "rests at",
    "modified": "moved to",
    "triggered": "was hit at",
    "cancelled": "was cancelled at",
    "failed": "FAILED at",
}


def _fill(row: LedgerRow) -> Line | None:
    if not is_closing(row):
        return None
    size = coins(row.symbol, row.decimal("size"))
    gained = money(row.decimal("realized_pnl"), signed=True)
    text = (
        f"{how(row)} {size} of the {leg(row)} at {price(row.symbol, row.decimal('price'))} ({gained} USDT): {why(row)}"
    )
    return Line(at_ms=row.at_ms, who=row.uid, tone=Tone.ACT, text=text)


def _plan(row: LedgerRow) -> Line | None:
    action = str(row.details["action"])
    if action not in _HAPPENED:
        return None
    mark = price(row.symbol, row.decimal("mark"))
    text = f"{plan_name(row)} of the {leg(row)} {_HAPPENED[action]} {trigger(row)} (mark {mark})"
    tone = Tone.HURT if action == "failed" else Tone.ACT if action in ("placed", "modified", "triggered") else Tone.NOTE
    return Line(at_ms=row.at_ms, who=row.uid, tone=tone, text=text)


def _liquidated(row: LedgerRow) -> Line:
    symbols = _cell(row, "symbols").split(",")
    what = " and ".join(CONTRACTS[symbol].base for symbol in symbols)
    text = f"LIQUIDATED: {what} ({_cell(row, 'margin_mode')}), {money(row.decimal('loss'))} USDT of margin lost"
    return Line(at_ms=row.at_ms, who=row.uid, tone=Tone.HURT, text=text)


def _cell(row: LedgerRow, name: str) -> str:
    return str(row.details[name])

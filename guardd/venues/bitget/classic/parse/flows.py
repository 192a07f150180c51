"""Account bills as flows: what came from outside, what was won, lost or paid (Bitget reference, 7.10)."""

from decimal import Decimal
from types import MappingProxyType
from typing import Final

from guardd.model.flow import Flow, FlowKind
from guardd.venues.bitget.classic.parse.words import coin_of, plain, rows_of
from guardd.venues.rows import Row, as_row

MARGIN_MOVES: Final = frozenset(
    {"append_margin", "auto_append_margin", "reduce_margin", "adjust_down_lever_append_margin"}
)
"""Between the wallet and a position: no equity moves. `onlyFunding` leaves them out."""
KINDS: Final = MappingProxyType({"contract_settle_fee": FlowKind.FUNDING, "settle_interest": FlowKind.FEE})
_BEGINNINGS: Final = MappingProxyType(
    {
        "trans_": FlowKind.TRANSFER,
        "deposit": FlowKind.DEPOSIT,
        "withdraw": FlowKind.WITHDRAWAL,
        **dict.fromkeys(("open", "close", "buy", "sell", "force_", "burst_", "adl_", "delivery"), FlowKind.PNL),
    }
)
_VOUCHERS: Final = ("voucher", "coupon", "bonus", "grant", "airdrop")


def flows(data: object) -> tuple[Flow, ...]:
    """One page of bills. A trade's row has its profit in `amount` and its commission in `fee`, as the wallet felt them."""
    rows = rows_of("bill.data", data, "bills")
    return tuple(_flow(row) for row in rows if plain(row, "businessType") not in MARGIN_MOVES)


def rows_on_page(data: object) -> int:
    """How many rows the page has, those that are no flows included."""
    return sum(1 for _ in rows_of("bill.data", data, "bills"))


def goes_on_below(data: object) -> str | None:
    """What the next page is asked for with."""
    return as_row("bill.data", data).optional_text("endId")


def _flow(row: Row) -> Flow:
    amount, fee = row.number("amount"), row.optional_number("fee") or Decimal(0)
    kind = _kind(plain(row, "businessType"))
    return Flow(
        id=row.text("billId"),
        at_ms=row.milliseconds("cTime"),
        currency=coin_of(row, "coin"),
        amount=amount + fee,
        kind=FlowKind.FEE if kind is FlowKind.PNL and not amount else kind,
    )


def _kind(word: str) -> FlowKind:
    if any(stem in word for stem in _VOUCHERS):
        return FlowKind.VOUCHER
    known = KINDS.get(word)
    return known or next((kind for start, kind in _BEGINNINGS.items() if word.startswith(start)), FlowKind.OTHER)

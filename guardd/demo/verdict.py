"""How it ended, from the exchange's ledger alone."""

from decimal import Decimal
from itertools import groupby

from msgspec import Struct

from guardd.demo import scenario, story
from guardd.simulator import truth
from guardd.simulator.ledger import Ledger, LedgerRow, RowKind
from guardd.simulator.orders import PositionSide


class End(Struct, frozen=True, kw_only=True):
    """One account at the end: equity before the fall, at its lowest and at the end; what was liquidated; what is still held."""

    uid: str
    equity_before: Decimal
    equity_low: Decimal
    equity_end: Decimal
    liquidated: tuple[str, ...]
    held: tuple[str, ...]


class Deed(Struct, frozen=True, kw_only=True):
    """One thing the guard did: when (ms from the start of the play), what, and why it was called for."""

    offset_ms: int
    what: str
    why: str
    gained: Decimal | None


class Verdict(Struct, frozen=True, kw_only=True):
    guarded: End
    twin: End
    deeds: tuple[Deed, ...]
    unprotected_ms: int
    """From the start of the play: the longest that any leg of the guarded account stood without a stop for all of it."""

    @property
    def guard_held(self) -> bool:
        """The guarded account kept its positions or closed them in time, and its twin was liquidated."""
        return not self.guarded.liquidated and bool(self.twin.liquidated)

    @property
    def kept(self) -> Decimal:
        """Money that is left in the guarded account and not in its twin."""
        return self.guarded.equity_end - self.twin.equity_end


def judge(ledger: Ledger, *, began_ms: int, end_ms: int) -> Verdict:
    """Read the ledger, from the play's beginning to its end (both in the exchange's time)."""
    bare = [
        truth.unprotected_spans(ledger, scenario.GUARDED, leg.symbol, leg.side, until_ms=end_ms)
        for leg in scenario.LEGS
    ]
    return Verdict(
        guarded=_end(ledger, scenario.GUARDED, began_ms),
        twin=_end(ledger, scenario.TWIN, began_ms),
        deeds=_deeds(ledger, began_ms),
        unprotected_ms=max(sum(max(end - max(start, began_ms), 0) for start, end in spans) for spans in bare),
    )


def _end(ledger: Ledger, uid: str, began_ms: int) -> End:
    summary = ledger.summary(uid)
    liquidated = [str(row.details["symbols"]) for row in ledger.rows(uid=uid, kind=RowKind.LIQUIDATED)]
    symbols = [symbol for each in liquidated for symbol in each.split(",")]
    low = [sample.equity for sample in ledger.equity_series(uid) if sample.at_ms >= began_ms]
    return End(
        uid=uid,
        equity_before=ledger.equity_at(uid, began_ms) or summary.equity_first,
        equity_low=min(low, default=summary.equity_last),
        equity_end=summary.equity_last,
        liquidated=tuple(story.CONTRACTS[symbol].base for symbol in symbols),
        held=tuple(_held(ledger, uid)),
    )


def _held(ledger: Ledger, uid: str) -> list[str]:
    found: list[str] = []
    for leg in scenario.LEGS:
        fills = [row for row in ledger.rows(uid=uid, kind=RowKind.FILL, symbol=leg.symbol) if _of(row, leg.side)]
        size = abs(fills[-1].decimal("after")) if fills else Decimal(0)
        if size:
            found.append(f"{story.coins(leg.symbol, size)} {leg.side.value}")
    return found


def _of(row: LedgerRow, side: PositionSide) -> bool:
    return row.details["position_side"] == side.value


def _deeds(ledger: Ledger, began_ms: int) -> tuple[Deed, ...]:
    """Protection as it first rested, a deed a leg; then every move of it and every close, in the order of the ledger."""
    rows = ledger.rows(uid=scenario.GUARDED)
    first = [row for row in rows if _is_protection(row, "placed") and row.at_ms < began_ms]
    later = [row for row in rows if row.at_ms >= began_ms]
    deeds = [_protected(list(group), began_ms) for _, group in groupby(first, key=story.leg)]
    for row in later:
        if story.is_closing(row):
            deeds.append(_closed(row, began_ms))
        elif _is_protection(row, "placed", "modified"):
            deeds.append(_moved(row, began_ms))
    return tuple(deeds)


def _is_protection(row: LedgerRow, *actions: str) -> bool:
    return row.kind is RowKind.PLAN and row.details["action"] in actions


def _protected(rows: list[LedgerRow], began_ms: int) -> Deed:
    first = rows[0]
    what = " and ".join(f"{story.plan_name(row)} at {story.trigger(row)}" for row in rows)
    mark = story.price(first.symbol, first.decimal("mark"))
    return Deed(
        offset_ms=first.at_ms - began_ms,
        what=f"{what} rest for the {story.leg(first)}",
        why=f"mark {mark}, and nothing rested",
        gained=None,
    )


def _moved(row: LedgerRow, began_ms: int) -> Deed:
    action = "moved to" if row.details["action"] == "modified" else "rests at"
    return Deed(
        offset_ms=row.at_ms - began_ms,
        what=f"{story.plan_name(row)} of the {story.leg(row)} {action} {story.trigger(row)}",
        why=f"mark {story.price(row.symbol, row.decimal('mark'))}",
        gained=None,
    )


def _closed(row: LedgerRow, began_ms: int) -> Deed:
    size = story.coins(row.symbol, row.decimal("size"))
    what = f"{story.how(row)} {size} of the {story.leg(row)} at {story.price(row.symbol, row.decimal('price'))}"
    return Deed(offset_ms=row.at_ms - began_ms, what=what, why=story.why(row), gained=row.decimal("realized_pnl"))

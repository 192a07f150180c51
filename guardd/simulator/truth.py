"""Verdicts drawn from the ledger alone: was exposure ever raised, how long was a position without a stop.

Tests and the demo call these; the invariants they serve (I1, I2, I5, I10) are those of the guard, not of the exchange.
"""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from guardd.simulator.ledger import Ledger, LedgerRow, RowKind
from guardd.simulator.orders import PositionSide

WHOLE = Decimal("Infinity")  # the size of a whole-position plan


def exposure_increases(ledger: Ledger, uid: str, client_id_prefix: str) -> list[LedgerRow]:
    """Fills of orders whose client id (their own, or that of the plan that made them) has this prefix, and that
    enlarged the position or changed its sign. Invariant I2 wants none."""
    origins = _client_ids_of_plans(ledger, uid)
    found: list[LedgerRow] = []
    for row in ledger.rows(uid=uid, kind=RowKind.FILL):
        client_id = str(row.details["client_id"]) or origins.get(str(row.details["plan_id"]), "")
        before, after = row.decimal("before"), row.decimal("after")
        if client_id.startswith(client_id_prefix) and (abs(after) > abs(before) or before * after < 0):
            found.append(row)
    return found


def repeated_client_ids(ledger: Ledger, uid: str, client_id_prefix: str) -> tuple[str, ...]:
    """Client ids with this prefix under which more than one order or plan was accepted. I7 and I8 want none."""
    orders = [row.details["client_id"] for row in ledger.rows(uid=uid, kind=RowKind.ORDER_ACCEPTED)]
    plans = [
        row.details["client_id"] for row in ledger.rows(uid=uid, kind=RowKind.PLAN) if row.details["action"] == "placed"
    ]
    counts = Counter(str(client_id) for client_id in [*orders, *plans] if client_id)
    return tuple(sorted(name for name, count in counts.items() if count > 1 and name.startswith(client_id_prefix)))


def most_live_stops(ledger: Ledger, uid: str, symbol: str, side: PositionSide, *, client_id_prefix: str = "") -> int:
    """The largest number of stops that ever rested at once on this leg. I5 allows two generations."""
    live: set[str] = set()
    most = 0
    for row in ledger.rows(uid=uid, kind=RowKind.PLAN, symbol=symbol):
        if not _is_stop_of(row, side) or not str(row.details["client_id"]).startswith(client_id_prefix):
            continue
        plan_id = str(row.details["plan_id"])
        if row.details["live"]:
            live.add(plan_id)
        else:
            live.discard(plan_id)
        most = max(most, len(live))
    return most


def unprotected_ms(ledger: Ledger, uid: str, symbol: str, side: PositionSide, *, until_ms: int) -> int:
    """Milliseconds in which this leg was open without live close-only stops covering all of it."""
    return sum(end - start for start, end in unprotected_spans(ledger, uid, symbol, side, until_ms=until_ms))


def unprotected_spans(
    ledger: Ledger, uid: str, symbol: str, side: PositionSide, *, until_ms: int
) -> list[tuple[int, int]]:
    """The spans (from, to) behind `unprotected_ms`, without empty ones."""
    spans: list[tuple[int, int]] = []
    bare_since: int | None = None
    for at_ms, held, covered in _cover(ledger, uid, symbol, side):
        if at_ms > until_ms:
            break
        bare = held > covered
        if bare and bare_since is None:
            bare_since = at_ms
        elif not bare and bare_since is not None:
            spans.append((bare_since, at_ms))
            bare_since = None
    if bare_since is not None:
        spans.append((bare_since, until_ms))
    return [(start, end) for start, end in spans if end > start]


def _cover(ledger: Ledger, uid: str, symbol: str, side: PositionSide) -> Iterator[tuple[int, Decimal, Decimal]]:
    """(time, held, covered by stops) after each row that changed either."""
    held = Decimal(0)
    stops: dict[str, Decimal] = {}
    for row in ledger.rows(uid=uid, symbol=symbol):
        if row.kind is RowKind.FILL and (row.details["net"] or row.details["position_side"] == side.value):
            held = max(row.decimal("after") * side.sign, Decimal(0))
        elif row.kind is RowKind.PLAN and _is_stop_of(row, side):
            plan_id = str(row.details["plan_id"])
            stops.pop(plan_id, None)
            if row.details["live"]:
                stops[plan_id] = WHOLE if row.details["size"] is None else row.decimal("size")
        else:
            continue
        yield row.at_ms, held, sum(stops.values(), Decimal(0))


def _is_stop_of(row: LedgerRow, side: PositionSide) -> bool:
    return bool(row.details["protects"]) and row.details["position_side"] == side.value


def _client_ids_of_plans(ledger: Ledger, uid: str) -> dict[str, str]:
    """A plan without a client id of its own goes by that of the plan it is linked with."""
    origins: dict[str, str] = {}
    for row in ledger.rows(uid=uid, kind=RowKind.PLAN):
        linked = origins.get(str(row.details["pair_id"]), "")
        origins[str(row.details["plan_id"])] = str(row.details["client_id"]) or linked
    return origins

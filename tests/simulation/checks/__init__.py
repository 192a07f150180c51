"""The invariants, by what the exchange knows. The guard's own opinion is never asked.

`look` is called after everything that can change the exchange; `close_of_story` once at the end, when nothing has struck for a
while. Each breach is a line: the invariant, the second, and what was found.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from guardd.model.intent import CLIENT_ID_PREFIX
from guardd.simulator.engine import Exchange
from guardd.simulator.ledger import LedgerRow, RowKind
from guardd.simulator.orders import Plan, PositionSide, Side
from guardd.simulator.records import PositionView
from guardd.simulator.truth import exposure_increases, most_live_stops, repeated_client_ids, unprotected_spans

OURS: Final = CLIENT_ID_PREFIX
ID_LETTERS: Final = 29
WELL_FOR_S: Final = 12.0
"""So long after the last strike, kill or deed a guard has read everything anew."""
ACTS_WITHIN_S: Final = 6.0
"""I10: the venue takes orders for 5 s, and a round trip."""
PROTECTS_WITHIN_S: Final = 5.0
GAP_LASTS_S: Final = 2.0


@dataclass(slots=True)
class Checks:
    """Of one account's story. Seconds are the loop's, from its beginning."""

    exchange: Exchange
    uid: str
    last_percent: Decimal
    """`last-resort` closes a position whose loss from entry passed this."""
    began_ms: int
    breaches: list[str] = field(default_factory=list)
    disturbed_until: float = 0.0
    """A strike stands, the guard is down, or the trader has just acted."""
    _seen: int = 0
    _tightest: dict[tuple[str, str, int], Decimal] = field(default_factory=dict)
    _breach_since: dict[tuple[str, PositionSide], float] = field(default_factory=dict)
    _bare_since: dict[tuple[str, PositionSide], float] = field(default_factory=dict)
    _worst: dict[tuple[str, PositionSide], tuple[int, Decimal]] = field(default_factory=dict)
    gapped_at: float = -1e9
    liquidations: int = 0
    closes: int = 0
    open_breach: bool = False
    well_s: float = 0.0

    def gap(self, now: float) -> None:
        """A price jumped so far in one tick that no stop and no order could come between."""
        self.gapped_at = now

    def disturb(self, until: float) -> None:
        self.disturbed_until = max(self.disturbed_until, until)

    def look(self, now: float, *, guarded: bool) -> None:
        """`guarded`: a guard is up, armed, and has been for a while."""
        rows = self.exchange.ledger._rows
        while self._seen < len(rows):
            row = rows[self._seen]
            self._seen += 1
            if row.uid == self.uid:
                self._row(row, now)
        well = guarded and now >= self.disturbed_until + WELL_FOR_S
        for position in self.exchange.query.positions(self.uid):
            self._position(position, now, well=well)

    def close_of_story(self, now: float) -> None:
        """Everything has come right (I5, I6, I10)."""
        ledger = self.exchange.ledger
        for row in exposure_increases(ledger, self.uid, OURS):
            self._breach("I2", now, f"a fill of ours enlarged: {_told(row)}")
        for client_id in repeated_client_ids(ledger, self.uid, OURS):
            self._breach("I7", now, f"{client_id} was accepted twice")
        held = {(each.symbol, each.side): each for each in self.exchange.query.positions(self.uid) if each.size}
        for key, position in held.items():
            stops = [plan for plan in self._own(position.symbol, position.side) if plan.kind.value == "stop_loss"]
            if len(stops) != 1:
                self._breach("I5", now, f"{len(stops)} stops of ours rest on {key[0]} {key[1].value}")
            if (most := most_live_stops(ledger, self.uid, key[0], key[1], client_id_prefix=OURS)) > 2:
                self._breach("I5", now, f"{most} stops of ours rested at once on {key[0]} {key[1].value}")
        for plan in self.exchange.query.open_plans(self.uid):
            if plan.client_id.startswith(OURS) and not any(symbol == plan.symbol for symbol, _ in held):
                self._breach("I6", now, f"{plan.client_id} outlives its position on {plan.symbol}")

    def unprotected_ms(self, until_ms: int) -> int:
        """Of all positions together, whatever the reason."""
        total = 0
        for symbol in {row.symbol for row in self.exchange.ledger._rows if row.symbol and row.uid == self.uid}:
            for side in PositionSide:
                spans = unprotected_spans(self.exchange.ledger, self.uid, symbol, side, until_ms=until_ms)
                total += sum(end - start for start, end in spans)
        return total

    # What happens

    def _row(self, row: LedgerRow, now: float) -> None:
        match row.kind:
            case RowKind.ORDER_ACCEPTED if str(row.details["client_id"]).startswith(OURS):
                if row.details["reduce"] is not True:
                    self._breach("I1", now, f"an order of ours may open: {_told(row)}")
            case RowKind.PLAN if str(row.details["client_id"]).startswith(OURS):
                self._plan(row, now)
            case RowKind.FILL if str(row.details["client_id"]).startswith(OURS) and not row.details["plan_id"]:
                self.closes += 1
            case RowKind.LIQUIDATED:
                self.liquidations += 1
                if now > self.disturbed_until + WELL_FOR_S and now - self.gapped_at > GAP_LASTS_S:
                    self._breach("oracle", now, f"liquidated with nothing in the way: {_told(row)}")
            case _:
                pass

    def _plan(self, row: LedgerRow, now: float) -> None:
        if row.details["plan_kind"] != "stop_loss" or row.details["action"] not in {"placed", "modified"}:
            return
        long = row.details["side"] == "sell"
        side = PositionSide.LONG if long else PositionSide.SHORT
        trigger, mark = row.decimal("trigger_price"), row.decimal("mark")
        position = next(
            (each for each in self.exchange.query.positions(self.uid, row.symbol) if each.size and _is(each, side)),
            None,
        )
        if position is None:
            return
        sign = 1 if long else -1
        if sign * (mark - trigger) <= 0:
            self._breach("I4", now, f"a stop at {trigger} with the mark at {mark}: {_told(row)}")
        bound = position.liquidation_price
        if bound is not None and sign * (mark - bound) > 0 and sign * (trigger - bound) <= 0:
            self._breach("I4", now, f"a stop at {trigger}, liquidation at {bound:.6g}: {_told(row)}")
        key = (row.symbol, side.value, position.opened_ms)
        known = self._tightest.get(key)
        if known is not None and sign * (trigger - known) < 0:
            self._breach("I11", now, f"a stop moved from {known} to {trigger}: {_told(row)}")
        else:
            self._tightest[key] = trigger

    def _position(self, position: PositionView, now: float, *, well: bool) -> None:
        key = (position.symbol, position.side)
        if not position.size:
            self._breach_since.pop(key, None)
            self._bare_since.pop(key, None)
            return
        sign = 1 if _is(position, PositionSide.LONG) else -1
        gain = sign * (position.mark_price - position.entry_price) / position.entry_price * 100
        if gain < self.last_percent and not self._hedged(position):
            self.open_breach = True
            since = self._breach_since.setdefault(key, now)
            if not well:
                self._breach_since[key] = now
            elif now - since > ACTS_WITHIN_S:
                self._breach(
                    "I10", now, f"{key[0]} {key[1].value} at {gain:.2f} % for {now - since:.1f} s and still held"
                )
                self._breach_since[key] = now + 1e9
        else:
            self._breach_since.pop(key, None)
        if any(plan.kind.value == "stop_loss" for plan in self.exchange.query.open_plans(self.uid, position.symbol)):
            self._bare_since.pop(key, None)
            return
        since = self._bare_since.setdefault(key, now)
        if not well:
            self._bare_since[key] = now
        elif now - since > PROTECTS_WITHIN_S:
            self._breach("I10", now, f"{key[0]} {key[1].value} without any stop for {now - since:.1f} s")
            self._bare_since[key] = now + 1e9

    def _hedged(self, position: PositionView) -> bool:
        """The other leg is held too: closing this one alone may raise the net exposure (I15)."""
        return sum(bool(each.size) for each in self.exchange.query.positions(self.uid, position.symbol)) > 1

    def _own(self, symbol: str, side: PositionSide) -> list[Plan]:
        """Ours by their client id, or by that of the pair that they belong to."""
        closing = Side.SELL if side is PositionSide.LONG else Side.BUY
        plans = self.exchange.query.open_plans(self.uid, symbol)
        pairs = {plan.pair_id for plan in plans if plan.client_id.startswith(OURS)}
        return [plan for plan in plans if plan.pair_id in pairs and plan.side is closing]

    def _breach(self, which: str, now: float, text: str) -> None:
        self.breaches.append(f"{which} at {now:.2f} s: {text}")


def _is(position: PositionView, side: PositionSide) -> bool:
    return position.side is side


def _told(row: LedgerRow) -> str:
    kept = {name: value for name, value in row.details.items() if value not in (None, "", False)}
    return f"{row.kind.value} {row.symbol} {kept}"

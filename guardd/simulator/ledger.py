"""What truly happened: an append-only account of every request, fill, plan, flow and liquidation.

Tests and the demo judge by it alone. Rows are JSON-serialisable (decimals as strings) and carry the venue's time and
one sequence shared with the happenings, so any order of events can be told apart.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from guardd.simulator.records import FlowKind

Cell = str | int | bool | None


class RowKind(StrEnum):
    ACCOUNT = "account"
    ORDER_ACCEPTED = "order_accepted"
    ORDER_CHANGED = "order_changed"
    REFUSED = "refused"
    FILL = "fill"
    PLAN = "plan"
    FLOW = "flow"
    SETTING = "setting"
    LIQUIDATED = "liquidated"
    CONTRACT = "contract"
    VENUE = "venue"


class LedgerRow(Struct, frozen=True, kw_only=True):
    sequence: int
    at_ms: int
    kind: RowKind
    uid: str  # "" for what concerns the venue
    symbol: str  # "" for what concerns no contract
    details: Mapping[str, Cell]

    def as_json(self) -> dict[str, Cell]:
        """One flat JSON object."""
        head: dict[str, Cell] = {
            "sequence": self.sequence,
            "at_ms": self.at_ms,
            "kind": self.kind.value,
            "uid": self.uid,
            "symbol": self.symbol,
        }
        return {**head, **self.details}

    def decimal(self, name: str) -> Decimal:
        """A numeric detail; the row must carry it."""
        cell = self.details[name]
        if not isinstance(cell, str):
            raise TypeError(f"ledger row {self.sequence} ({self.kind.value}): {name} is {cell!r}, not a decimal string")
        return Decimal(cell)


class EquitySample(Struct, frozen=True, kw_only=True):
    at_ms: int
    equity: Decimal


class Summary(Struct, frozen=True, kw_only=True):
    """One account's story in figures. Money in USD, signed as the wallet felt it; `equity_low` is the lowest sample."""

    uid: str
    deposits: Decimal
    realized_pnl: Decimal
    commission: Decimal
    funding: Decimal
    liquidation: Decimal
    orders_accepted: int
    orders_refused: int
    fills: int
    plans_placed: int
    plans_triggered: int
    plans_failed: int
    liquidations: int
    equity_first: Decimal
    equity_low: Decimal
    equity_last: Decimal


class Ledger:
    """Append-only. `equity_every_ms` bounds the equity series: one sample per account and interval, and each edge."""

    def __init__(self, *, equity_every_ms: int = 100) -> None:
        self._rows: list[LedgerRow] = []
        self._equity: dict[str, list[EquitySample]] = {}
        self._equity_every_ms = equity_every_ms

    def append(
        self, *, sequence: int, at_ms: int, kind: RowKind, uid: str, symbol: str, details: Mapping[str, Cell]
    ) -> None:
        self._rows.append(
            LedgerRow(sequence=sequence, at_ms=at_ms, kind=kind, uid=uid, symbol=symbol, details=dict(details))
        )

    def samples_now(self, uid: str, at_ms: int) -> bool:
        """Whether a mere price move of this moment would be kept."""
        series = self._equity.get(uid)
        return not series or at_ms - series[-1].at_ms >= self._equity_every_ms

    def sample_equity(self, uid: str, at_ms: int, equity: Decimal, *, edge: bool) -> None:
        """Note an account's equity; `edge` (a fill, a flow) is always kept, a mere price move only now and then."""
        if not edge and not self.samples_now(uid, at_ms):
            return
        series = self._equity.setdefault(uid, [])
        sample = EquitySample(at_ms=at_ms, equity=equity)
        if not series or series[-1] != sample:
            series.append(sample)

    def rows(
        self, *, uid: str | None = None, kind: RowKind | None = None, symbol: str | None = None, after: int = 0
    ) -> list[LedgerRow]:
        """Rows later than sequence `after`, filtered."""
        return [
            row
            for row in self._rows
            if row.sequence > after
            and (uid is None or row.uid == uid)
            and (kind is None or row.kind is kind)
            and (symbol is None or row.symbol == symbol)
        ]

    def equity_series(self, uid: str) -> tuple[EquitySample, ...]:
        return tuple(self._equity.get(uid, ()))

    def equity_at(self, uid: str, at_ms: int) -> Decimal | None:
        """The latest equity sampled at or before that time; None before the account existed."""
        earlier = [sample.equity for sample in self._equity.get(uid, ()) if sample.at_ms <= at_ms]
        return earlier[-1] if earlier else None

    def flow_total(self, uid: str, kind: FlowKind, coin: str | None = None) -> Decimal:
        """Signed sum of one kind of flow in a coin, or of all coins in USD, each at its price of that moment."""
        rows = [row for row in self.rows(uid=uid, kind=RowKind.FLOW) if row.details["flow"] == kind.value]
        if coin is None:
            return sum((row.decimal("value") for row in rows), Decimal(0))
        return sum((row.decimal("amount") for row in rows if row.details["coin"] == coin), Decimal(0))

    def summary(self, uid: str) -> Summary:
        rows = self.rows(uid=uid)
        equities = [sample.equity for sample in self._equity.get(uid, ())] or [Decimal(0)]
        plan_actions = [row.details["action"] for row in rows if row.kind is RowKind.PLAN]
        kinds = [row.kind for row in rows]
        return Summary(
            uid=uid,
            deposits=self.flow_total(uid, FlowKind.TRANSFER),
            realized_pnl=self.flow_total(uid, FlowKind.REALIZED_PNL),
            commission=self.flow_total(uid, FlowKind.COMMISSION),
            funding=self.flow_total(uid, FlowKind.FUNDING),
            liquidation=self.flow_total(uid, FlowKind.LIQUIDATION),
            orders_accepted=kinds.count(RowKind.ORDER_ACCEPTED),
            orders_refused=kinds.count(RowKind.REFUSED),
            fills=kinds.count(RowKind.FILL),
            plans_placed=plan_actions.count("placed"),
            plans_triggered=plan_actions.count("triggered"),
            plans_failed=plan_actions.count("failed"),
            liquidations=kinds.count(RowKind.LIQUIDATED),
            equity_first=equities[0],
            equity_low=min(equities),
            equity_last=equities[-1],
        )

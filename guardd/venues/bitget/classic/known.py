"""What the venue's answers said, kept for the next request: orders repeat the modes of their position, cancels the type of a plan.

The venue counts no closed quantity in a position's row. It is counted here, from row to row, so that it and the quantity always
belong together; how it began before this process is read from the fills.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from guardd.model.names import OrderId, PositionKey, PositionMode, Side, Symbol
from guardd.model.order import Direction, PlanForm
from guardd.model.position import PositionUpdate
from guardd.model.reading import is_value
from guardd.venues.bitget.classic.bodies import Line, Setting
from guardd.venues.bitget.classic.parse.orders import FillRow
from guardd.venues.bitget.classic.parse.plans import PlanRow, Surroundings
from guardd.venues.bitget.classic.parse.positions import HeldRow, one_way_sides
from guardd.venues.bitget.classic.parse.words import Product

PLAN_TYPES_KEPT: Final = 5_000


@dataclass(slots=True)
class _Life:
    """One life of a position, as far as it was seen."""

    opened_ms: int | None
    quantity: Decimal
    venue_ms: int
    closed: Decimal


class Lives:
    """How much of each open position was closed since it was opened."""

    def __init__(self) -> None:
        self._lives: dict[PositionKey, _Life] = {}

    def unseen(self, rows: Iterable[HeldRow]) -> tuple[HeldRow, ...]:
        """Rows of lives that nobody has counted yet."""
        return tuple(row for row in rows if self._life(row.position.key, row.position.opened_ms) is None)

    def begin(self, row: HeldRow, closed: Decimal) -> None:
        position = row.position
        self._lives[position.key] = _Life(position.opened_ms, position.quantity, position.venue_ms, closed)

    def closed(self, key: PositionKey, opened_ms: int | None, quantity: Decimal, venue_ms: int) -> Decimal:
        """Take in one row, read or pushed; what was closed by then. A row older than one that was seen counts nothing anew, and a
        life begins with a read alone, which looks at its fills.

        A read, a socket and its heir tell of the same moments in an order of their own: of the rows of one millisecond the
        smallest counts, and none twice."""
        life = self._life(key, opened_ms)
        if life is None:
            return Decimal(0)
        if venue_ms >= life.venue_ms:
            life.closed += max(life.quantity - quantity, Decimal(0))
            life.quantity = min(quantity, life.quantity) if venue_ms == life.venue_ms else quantity
            life.venue_ms = venue_ms
        return life.closed

    def _life(self, key: PositionKey, opened_ms: int | None) -> _Life | None:
        life = self._lives.get(key)
        return life if life is not None and life.opened_ms == opened_ms else None


class Known:
    """The memory of one account's adapter."""

    def __init__(self) -> None:
        self.lives = Lives()
        self.marks: dict[Symbol, Decimal] = {}
        self.products: dict[Symbol, Product] = {}
        self._rows: dict[Product, tuple[HeldRow, ...]] = {}
        self._modes: dict[Product, PositionMode] = {}
        self._plan_types: OrderedDict[OrderId, str] = OrderedDict()
        self._directions: dict[OrderId, Direction] = {}

    @property
    def rows(self) -> tuple[HeldRow, ...]:
        return tuple(row for rows in self._rows.values() for row in rows)

    @property
    def around(self) -> Surroundings:
        return Surroundings(one_way=self.one_way, marks=self.marks, directions=self._directions)

    @property
    def one_way(self) -> Mapping[Symbol, Side]:
        return one_way_sides(self.rows)

    def row(self, key: PositionKey) -> HeldRow | None:
        return next((row for row in self.rows if row.position.key == key), None)

    def setting(self, key: PositionKey) -> Setting | None:
        """How a held position says that orders for it must be written: its own row wins over everything else."""
        row = self.row(key)
        if row is None:
            return None
        line = Line(product=row.product, margin_coin=row.margin_coin)
        return Setting(line=line, mode=row.mode, margin_mode=row.position.margin_mode)

    def held(self, product: Product) -> bool:
        return bool(self._rows.get(product))

    def learn_rows(self, product: Product, rows: tuple[HeldRow, ...]) -> tuple[HeldRow, ...]:
        """Take in the open positions of a product type; the same rows with what was closed of them."""
        counted = tuple(self._counted(row) for row in rows)
        self._rows[product] = counted
        for row in counted:
            position = row.position
            self.products[position.key.symbol] = product
            self._modes[product] = row.mode
            if is_value(position.mark_price):
                self.marks[position.key.symbol] = position.mark_price
        return counted

    def learn_update(self, product: Product, update: PositionUpdate) -> PositionUpdate:
        """The same row of a push with what was closed of it."""
        self.products[update.key.symbol] = product
        closed = self.lives.closed(update.key, update.opened_ms, update.quantity, update.venue_ms)
        return replace(update, closed_quantity=closed)

    def learn_mode(self, product: Product, mode: PositionMode) -> None:
        self._modes[product] = mode

    def mode(self, product: Product) -> PositionMode | None:
        """The last known position mode: of the rows, else as it was read or set."""
        return next((row.mode for row in self._rows.get(product, ())), self._modes.get(product))

    def learn_plans(self, rows: Iterable[PlanRow]) -> None:
        """A trigger order's way is fixed once there is a mark to tell it by: later the mark may be past the trigger."""
        for row in rows:
            order = row.order
            known = order.form is PlanForm.PLAN and order.key.symbol in self.marks
            self.learn_plan(order.order_id, row.plan_type, order.direction if known else None)

    def learn_plan(self, order_id: OrderId, plan_type: str, direction: Direction | None = None) -> None:
        self._plan_types[order_id] = plan_type
        self._plan_types.move_to_end(order_id)
        if direction is not None:
            self._directions.setdefault(order_id, direction)
        if len(self._plan_types) > PLAN_TYPES_KEPT:
            forgotten, _ = self._plan_types.popitem(last=False)
            self._directions.pop(forgotten, None)

    def plan_type(self, order_id: OrderId) -> str | None:
        return self._plan_types.get(order_id)

    def _counted(self, row: HeldRow) -> HeldRow:
        position = row.position
        closed = self.lives.closed(position.key, position.opened_ms, position.quantity, position.venue_ms)
        if closed == position.closed_quantity:
            return row
        return replace(row, position=replace(position, closed_quantity=closed))


def closed_by_fills(row: HeldRow, fills: Iterable[FillRow]) -> Decimal:
    """What fills took from a position between its opening and its row."""
    position = row.position
    begun_ms = position.opened_ms or 0
    of_its_life = (fill for fill in fills if begun_ms <= fill.at_ms <= position.venue_ms)
    return sum((fill.size for fill in of_its_life if fill.reduced(position.key)), Decimal(0))

"""Strategy orders: one object at the venue, with a stop-loss leg, a take-profit leg or both (UTA reference, 10).

For guardd each leg is a plan order of its own, `<order id>:sl` or `<order id>:tp`: either can be moved and ended while the other
stays. What a list doesn't tell of an object (whole or partial, which leg it was placed for) our own client id does: it goes to the
venue as `<client id>-<s|t><w|p>`.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.intent import CLIENT_ID_PREFIX, stop_direction
from guardd.model.names import AccountName, ClientId, OrderId, PositionKey, PriceType, Side, Symbol
from guardd.model.order import Direction, OrderReport, PlanForm, PlanOrder, ProtectionKind, RestingKind
from guardd.venues.bitget.unified.parse.fields import Page, moment, page_of, rows_of, some, words
from guardd.venues.bitget.unified.parse.orders import key_of
from guardd.venues.bitget.unified.parse.words import (
    CLOSING_SIDE,
    ORDER_TYPES,
    POSITION_SIDES,
    STRATEGY_STATES,
    TRIGGERED_BY,
    TRIGGERED_LEGS,
    Category,
    StrategyStatus,
    category,
    word,
)
from guardd.venues.rows import Row

_SUFFIXES: Final = {ProtectionKind.STOP_LOSS: "sl", ProtectionKind.TAKE_PROFIT: "tp"}
_KINDS: Final = {suffix: kind for kind, suffix in _SUFFIXES.items()}
_KIND_LETTERS: Final = {ProtectionKind.STOP_LOSS: "s", ProtectionKind.TAKE_PROFIT: "t"}
_LETTER_KINDS: Final = {letter: kind for kind, letter in _KIND_LETTERS.items()}
_TAGGED: Final = re.compile(rf"({CLIENT_ID_PREFIX}[0-9A-Za-z]+)-([st])([wp])", re.ASCII)
_OVER: Final = frozenset({StrategyStatus.SUCCESS, StrategyStatus.FAILED, StrategyStatus.CANCELLED})


class Leg(Struct, frozen=True, kw_only=True):
    """One trigger of an object. `limit_price` None: market."""

    kind: ProtectionKind
    trigger_price: Decimal
    price_type: PriceType
    limit_price: Decimal | None


class Tag(Struct, frozen=True, kw_only=True):
    """What our client id says of the object that carries it."""

    client_id: ClientId
    kind: ProtectionKind
    """The leg that it was placed for."""
    whole: bool


class Strategy(Struct, frozen=True, kw_only=True):
    """One object as the venue lists or pushes it. `side` None: the row says nothing of the position that it protects."""

    order_id: OrderId
    client_id: ClientId | None
    """As it stands at the venue."""
    category: Category
    symbol: Symbol
    side: Side | None
    size: Decimal | None
    """As listed; whether it is the whole position can't be told from it (10.4)."""
    legs: tuple[Leg, ...]
    status: StrategyStatus | None
    fired: ProtectionKind | None
    """The leg that was triggered, where the row says so."""
    created_ms: int
    updated_ms: int
    listed: bool = True
    """Of the list of what rests, or a push; False: of the history."""

    @property
    def tag(self) -> Tag | None:
        return tag_of(self.client_id)

    @property
    def rests(self) -> bool:
        """2025 rows have no status: to be in the list is enough, and to be in the history is to be over."""
        return self.status not in _OVER if self.status is not None else self.listed

    def leg(self, kind: ProtectionKind) -> Leg | None:
        return next((leg for leg in self.legs if leg.kind is kind), None)

    def whole_for(self, position_size: Decimal) -> bool:
        """True for an object that may follow the whole position: ours by its tag, anybody else's by its size (10.4)."""
        tag = self.tag
        if tag is not None:
            return tag.whole
        return self.size is None or self.size == position_size


def leg_id(order_id: OrderId, kind: ProtectionKind) -> OrderId:
    """The id of one leg."""
    return OrderId(f"{order_id}:{_SUFFIXES[kind]}")


def object_of(order_id: OrderId) -> tuple[OrderId, ProtectionKind | None]:
    """The venue's id, and which leg of it is meant; None for an order that isn't a leg."""
    object_id, found, suffix = order_id.rpartition(":")
    if not found or suffix not in _KINDS:
        return order_id, None
    return OrderId(object_id), _KINDS[suffix]


def tagged(client_id: ClientId, kind: ProtectionKind, *, whole: bool) -> ClientId:
    """Our client id as it goes to the venue with a strategy order."""
    return ClientId(f"{client_id}-{_KIND_LETTERS[kind]}{'w' if whole else 'p'}")


def tag_of(client_id: ClientId | None) -> Tag | None:
    """What an id of ours says; None for anybody else's."""
    found = None if client_id is None else _TAGGED.fullmatch(client_id)
    if found is None:
        return None
    return Tag(client_id=ClientId(found[1]), kind=_LETTER_KINDS[found[2]], whole=found[3] == "w")


def strategies(data: object) -> tuple[Strategy, ...]:
    """The bare array of unfilled-strategy-orders; objects without a leg (trigger orders) are passed over."""
    found = (strategy(row) for row in rows_of("unfilled-strategy-orders.data", data))
    return tuple(each for each in found if each is not None and each.legs)


def past_page(data: object) -> tuple[tuple[Strategy, ...], Page]:
    """One page of history-strategy-orders."""
    page = page_of("history-strategy-orders.data", data)
    found = (strategy(row) for row in page.rows)
    return tuple(replace(each, listed=False) for each in found if each is not None), page


def strategy(row: Row) -> Strategy | None:
    """None for spot and margin objects."""
    kind = category(row)
    if kind is None:
        return None
    legs = (
        _leg(row, "stopLoss", "sl", ProtectionKind.STOP_LOSS),
        _leg(row, "takeProfit", "tp", ProtectionKind.TAKE_PROFIT),
    )
    client = words(row, "clientOid")
    created = row.milliseconds("createdTime")
    return Strategy(
        order_id=row.order_id("orderId"),
        client_id=ClientId(client) if client else None,
        category=kind,
        symbol=row.symbol(),
        side=_side(row),
        size=some(row, "qty"),
        legs=tuple(leg for leg in legs if leg is not None),
        status=word(row, "status", STRATEGY_STATES) if words(row, "status") else None,
        fired=word(row, "triggerType", TRIGGERED_LEGS) if words(row, "triggerType") else None,
        created_ms=created,
        updated_ms=moment(row, "updatedTime") or created,
    )


def plans_of(account: AccountName, found: Strategy, sides: Mapping[Symbol, Side]) -> tuple[PlanOrder, ...]:
    """The plan orders of an object that rests. `sides`: of the positions held in one-way mode, for rows that name none."""
    side = found.side or sides.get(found.symbol)
    if side is None or not found.rests:
        return ()
    key = PositionKey(account, found.symbol, side)
    return tuple(_plan(key, found, leg) for leg in found.legs)


def entries(account: AccountName, data: object) -> tuple[PlanOrder, ...]:
    """Trigger orders that open a position, of the list of `type=trigger`.

    Rows as documented have neither `side` nor `reduceOnly` (10.4): an entry can't be told from an owner's stop then, and such an
    order is nobody's to cancel, so it is left out.
    """
    found: list[PlanOrder] = []
    for row in rows_of("unfilled-strategy-orders.data", data):
        if category(row) is None or not words(row, "side") or some(row, "triggerPrice") is None:
            continue
        key, closes = key_of(account, row)
        if not closes:
            found.append(_entry(key, row))
    return tuple(found)


def fired_leg(found: Strategy) -> ProtectionKind:
    """The leg that was triggered: as stated, else the only one there is, else the one that matters more."""
    if found.fired is not None:
        return found.fired
    return found.legs[0].kind if len(found.legs) == 1 else ProtectionKind.STOP_LOSS


def report_of(found: Strategy, kind: ProtectionKind) -> OrderReport:
    """What the list or the history says of one leg: only `success` of this very leg filled anything."""
    fired = found.status is StrategyStatus.SUCCESS and found.fired in (kind, None)
    size = found.size or Decimal(0)
    tag = found.tag
    return OrderReport(
        order_id=leg_id(found.order_id, kind),
        client_id=tag.client_id if tag is not None and tag.kind is kind else found.client_id if tag is None else None,
        size=size,
        filled=size if fired else Decimal(0),
        average_price=None,
        live=found.rests,
    )


def matching(found: Iterable[Strategy], *, client_id: ClientId | None, order_id: OrderId | None) -> Strategy | None:
    """The object that holds the order asked for: by its id, or by our client id in it."""
    object_id = None if order_id is None else object_of(order_id)[0]
    for each in found:
        tag = each.tag
        if each.order_id == object_id or (client_id is not None and tag is not None and tag.client_id == client_id):
            return each
    return None


def _plan(key: PositionKey, found: Strategy, leg: Leg) -> PlanOrder:
    tag = found.tag
    made_for_it = tag is not None and tag.kind is leg.kind
    whole = tag.whole if tag is not None else found.size is None
    return PlanOrder(
        order_id=leg_id(found.order_id, leg.kind),
        client_id=tag.client_id if tag is not None and made_for_it else found.client_id if tag is None else None,
        key=key,
        protection=leg.kind,
        form=PlanForm.WHOLE if whole else PlanForm.SIZED,
        direction=stop_direction(key, leg.kind),
        trigger_price=leg.trigger_price,
        price_type=leg.price_type,
        execution_price=leg.limit_price,
        size=None if whole else found.size,
        # A leg that was added to an object later isn't older than the object's last change.
        created_ms=found.created_ms if made_for_it or tag is None else found.updated_ms,
    )


def _entry(key: PositionKey, row: Row) -> PlanOrder:
    """Which way the price has to go isn't said; an entry is known by what it opens, and its direction is read by nobody."""
    limit = words(row, "triggerOrderType").lower() == "limit"
    by = words(row, "triggerBy").lower()
    return PlanOrder(
        order_id=row.order_id("orderId"),
        client_id=ClientId(client) if (client := words(row, "clientOid")) else None,
        key=key,
        protection=None,
        form=PlanForm.PLAN,
        direction=Direction.RISES if key.side is Side.LONG else Direction.FALLS,
        trigger_price=row.above_zero("triggerPrice"),
        price_type=TRIGGERED_BY.get(by, PriceType.LAST),
        execution_price=some(row, "triggerOrderPrice") if limit else None,
        size=some(row, "qty"),
        created_ms=row.milliseconds("createdTime"),
    )


def _leg(row: Row, price: str, prefix: str, kind: ProtectionKind) -> Leg | None:
    """None where the leg isn't set. What triggers it is the last price where nothing is said (0.5), and a limit price without a
    word on the kind of order is one."""
    trigger = some(row, price)
    if trigger is None:
        return None
    by, ordered, price_name = f"{prefix}TriggerBy", f"{prefix}OrderType", f"{prefix}LimitPrice"
    stated = word(row, ordered, ORDER_TYPES) if words(row, ordered) else None
    limit = stated is RestingKind.LIMIT or (stated is None and some(row, price_name) is not None)
    return Leg(
        kind=kind,
        trigger_price=trigger,
        price_type=word(row, by, TRIGGERED_BY) if words(row, by) else PriceType.LAST,
        limit_price=row.above_zero(price_name) if limit else None,
    )


def _side(row: Row) -> Side | None:
    """`posSide` is the side of the position (10.1); an object placed without one in one-way mode has the closing `side` at most. It
    counts for nothing where the two triggers say otherwise: a documented push has the opening one (11)."""
    if words(row, "posSide"):
        return word(row, "posSide", POSITION_SIDES)
    if not words(row, "side"):
        return None
    side = word(row, "side", {direction: side for side, direction in CLOSING_SIDE.items()})
    stop, profit = some(row, "stopLoss"), some(row, "takeProfit")
    if stop is None or profit is None or (stop < profit) is (side is Side.LONG):
        return side
    return None

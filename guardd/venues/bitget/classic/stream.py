"""What a classic account's two sockets carry, and the events that their pushes are (Bitget reference, 13).

The public socket carries one ticker a held symbol. The private one carries positions, orders, plan orders and wallets of each
product type. Pushes may be lost (fact 9), so whoever listens reads the account as well.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, TypeAlias, assert_never

from msgspec.structs import replace

from guardd.model.event import BalancePushed, Event, OrderPushed, PositionsPushed
from guardd.model.instant import Instant
from guardd.model.names import AccountName, OrderId, PositionKey, Severity, Symbol
from guardd.model.order import OrderAction, OrderUpdate
from guardd.model.position import PositionUpdate
from guardd.venues.bitget.admission import Tell
from guardd.venues.bitget.classic.known import Known
from guardd.venues.bitget.classic.parse.pushes import (
    ORDERS,
    PLANS,
    POSITIONS,
    WALLET,
    OrderUpdates,
    PlanUpdates,
    PositionList,
    WalletUpdates,
    position_rows,
    read_push,
)
from guardd.venues.bitget.classic.parse.ticker import TICKER
from guardd.venues.bitget.classic.parse.words import Product
from guardd.venues.bitget.classic.repeats import Repeats
from guardd.venues.bitget.frames import Push, Topic, topic

SEEN_ORDERS_MAX: Final = 2_000
"""Order pushes remembered to drop repetitions; some hours' worth of a busy account."""

_OrderMoment: TypeAlias = tuple[OrderId, OrderAction, bool, Decimal, int]


def private_topics(products: Sequence[Product]) -> tuple[Topic, ...]:
    """Four of each product type (13.3); the wallet is selected by coin."""
    return tuple(
        topic(
            instType=product.value,
            channel=channel,
            **({"coin": "default"} if channel == WALLET else {"instId": "default"}),
        )
        for product in products
        for channel in (POSITIONS, ORDERS, PLANS, WALLET)
    )


def ticker_topic(product: Product, symbol: Symbol) -> Topic:
    return topic(instType=product.value, channel=TICKER, instId=symbol)


class PushReader:
    """Makes events of the pushes of one connection of the private socket: a list before this one says what has gone since."""

    def __init__(self, *, account: AccountName, known: Known, repeats: Repeats, tell: Tell) -> None:
        self._account = account
        self._known = known
        self._repeats = repeats
        self._tell = tell
        self._lists: dict[Product, dict[PositionKey, PositionUpdate]] = {}
        self._position_rows = position_rows()
        self._seen: OrderedDict[_OrderMoment, None] = OrderedDict()

    def __call__(self, push: Push, at: Instant) -> Sequence[Event]:
        heard = read_push(self._account, push, self._known.one_way, self._position_rows)
        if heard is None:
            return ()
        self._repeats.stir(heard.product)
        match heard:
            case PositionList():
                return (PositionsPushed(at=at, updates=self._updates(heard)),)
            case OrderUpdates():
                return tuple(OrderPushed(at=at, update=each) for each in heard.updates if self._is_new(each))
            case PlanUpdates():
                self._tell_failed(heard)
                return tuple(OrderPushed(at=at, update=each) for each in heard.updates if self._is_new(each))
            case WalletUpdates():
                return tuple(BalancePushed(at=at, balance=each) for each in heard.balances)
            case _:
                assert_never(heard)

    def _updates(self, heard: PositionList) -> tuple[PositionUpdate, ...]:
        """Each frame is the full list (13.3): what was in the last one and isn't in this one was closed by the time this was sent.
        That is said as a quantity of zero; a read confirms it (I6)."""
        rows = {update.key: update for update in heard.updates}
        gone = [
            replace(update, quantity=Decimal(0), frozen_quantity=Decimal(0), venue_ms=heard.pushed_ms)
            for key, update in self._lists.get(heard.product, {}).items()
            if key not in rows
        ]
        self._lists[heard.product] = {key: update for key, update in rows.items() if update.quantity}
        for mode in heard.modes.values():
            self._known.learn_mode(heard.product, mode)
        return tuple(self._known.learn_update(heard.product, update) for update in (*rows.values(), *gone))

    def _tell_failed(self, heard: PlanUpdates) -> None:
        for order_id in heard.failed:
            text = (
                f"plan order {order_id} fired and made no order (fail_execute): what it was to close is closed by order"
            )
            self._tell(f"fail-execute-{order_id}", text, Severity.CRITICAL)

    def _is_new(self, update: OrderUpdate) -> bool:
        """Pushes may repeat."""
        moment = (update.order_id, update.action, update.live, update.filled, update.venue_ms)
        if moment in self._seen:
            return False
        self._seen[moment] = None
        if len(self._seen) > SEEN_ORDERS_MAX:
            self._seen.popitem(last=False)
        return True


def topics_by_symbol(product_of: Callable[[Symbol], Product]) -> Callable[[Symbol], Topic]:
    """Which ticker a symbol's mark is in."""
    return lambda symbol: ticker_topic(product_of(symbol), symbol)

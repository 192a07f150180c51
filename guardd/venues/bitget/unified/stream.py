"""What the sockets of a unified account carry, and what their pushes mean to guardd (UTA reference, 11). No I/O.

Pushes wake the guard up; REST is the truth. Position pushes are incremental, and a mark that moves pushes nothing: the daemon
polls.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from guardd.model.event import BalancePushed, Event, OrderPushed, PositionsPushed
from guardd.model.instant import Instant
from guardd.model.names import AccountName, OrderId, PositionKey, Symbol
from guardd.model.order import OrderAction, OrderUpdate, ProtectionKind, RestingKind
from guardd.venues.bitget.frames import Push, Topic, topic
from guardd.venues.bitget.unified.parse import pushes
from guardd.venues.bitget.unified.parse.strategy import Strategy, fired_leg, leg_id, report_of
from guardd.venues.bitget.unified.parse.ticker import TICKER_TOPIC
from guardd.venues.bitget.unified.parse.words import Category, StrategyStatus
from guardd.venues.bitget.unified.reads import Reads

ACCOUNT_TOPIC: Final = topic(instType="UTA", topic="account")
POSITION_TOPIC: Final = topic(instType="UTA", topic="position")
ORDER_TOPIC: Final = topic(instType="UTA", topic="order")
STRATEGY_TOPIC: Final = topic(instType="UTA", topic="strategy-order", symbol="default")
ADL_TOPIC: Final = topic(instType="UTA", topic="adl-notification")
PRIVATE_TOPICS: Final = (ACCOUNT_TOPIC, POSITION_TOPIC, ORDER_TOPIC, STRATEGY_TOPIC)
OPTIONAL_TOPICS: Final = (ADL_TOPIC,)
SEEN_ORDERS_MAX: Final = 2_000
"""Order pushes remembered to drop repetitions; some hours' worth of a busy account."""

_OrderMoment: TypeAlias = tuple[OrderId, OrderAction, bool, Decimal, int]


def ticker_topic(category: Category, symbol: Symbol) -> Topic:
    """The selector is `symbol`, the category in lower case (16.26)."""
    return topic(instType=category.inst_type, topic=TICKER_TOPIC, symbol=symbol)


class Pushes:
    """Makes events of the pushes of one connection of the private socket. What an heir hears before it serves must not pass for
    a repetition where the serving connection tells it: only the latter's events are told (`venues.stream`)."""

    def __init__(self, *, account: AccountName, reads: Reads) -> None:
        self._account = account
        self._reads = reads
        self._seen: OrderedDict[_OrderMoment, None] = OrderedDict()

    def read(self, push: Push, at: Instant) -> Sequence[Event]:
        """Raises `PayloadError` for what can't be read: the connection ends, and the next one begins from a snapshot."""
        match push.channel:
            case "position":
                updates = map(self._reads.parts.pushed, pushes.pushed_positions(self._account, push))
                return (PositionsPushed(at=at, updates=self._reads.closings.pushed(updates)),)
            case "account":
                pool = pushes.pool_of(push)
                self._reads.warnings.of_pool(pool)
                return (BalancePushed(at=at, balance=pool.balance),)
            case "order":
                orders = pushes.pushed_orders(self._account, push)
                return tuple(OrderPushed(at=at, update=update) for update in orders if self._is_new(update))
            case "strategy-order":
                found = (self._strategy(each) for each in pushes.pushed_strategies(push))
                return tuple(OrderPushed(at=at, update=update) for updates in found for update in updates)
            case "adl-notification":
                for event in pushes.deleveragings(push):
                    self._reads.warnings.of_deleveraging(event)
                return ()
            case _:
                return ()

    def _strategy(self, found: Strategy) -> Iterator[OrderUpdate]:
        """A leg that was triggered names itself as its own parent: that is the proof that it fired, also where what it set off
        failed. A failed stop is as good as a stop that left everything: the guard closes by order (10.4)."""
        if found.status is StrategyStatus.FAILED:
            self._reads.warnings.of_failed(found)
        side = found.side or self._reads.sides().get(found.symbol)
        if side is None or found.status in (None, StrategyStatus.PENDING):
            return
        key = PositionKey(self._account, found.symbol, side)
        if found.status is StrategyStatus.CANCELLED:
            for leg in found.legs:
                yield _leg_update(found, key, leg.kind)
        else:
            yield _leg_update(found, key, fired_leg(found))

    def _is_new(self, update: OrderUpdate) -> bool:
        """Pushes may repeat; the same state of the same order says nothing twice."""
        moment = (update.order_id, update.action, update.live, update.filled, update.venue_ms)
        if moment in self._seen:
            return False
        self._seen[moment] = None
        if len(self._seen) > SEEN_ORDERS_MAX:
            self._seen.popitem(last=False)
        return True


_ACTIONS: Final[Mapping[StrategyStatus | None, OrderAction]] = {
    StrategyStatus.SUBMITTING: OrderAction.SUBMITTED,
    StrategyStatus.SUCCESS: OrderAction.FILLED,
    StrategyStatus.FAILED: OrderAction.CANCELLED,
    StrategyStatus.CANCELLED: OrderAction.CANCELLED,
}


def _leg_update(found: Strategy, key: PositionKey, kind: ProtectionKind) -> OrderUpdate:
    report = report_of(found, kind)
    triggered = found.status is not StrategyStatus.CANCELLED
    return OrderUpdate(
        order_id=report.order_id,
        client_id=report.client_id,
        plan_order_id=leg_id(found.order_id, kind) if triggered else None,
        key=key,
        closes=True,
        action=_ACTIONS.get(found.status, OrderAction.SUBMITTED),
        live=report.live,
        kind=RestingKind.MARKET,
        price=None,
        size=report.size,
        filled=report.filled,
        average_price=None,
        venue_ms=found.updated_ms,
    )

"""What a closing order realised is noted once, when it is learned, by whoever tells it first."""

from typing import Any

from guardd.daemon.fills import Fills
from guardd.journal.memory import MemoryJournal
from guardd.model.event import Event, IntentMoved, OrderPushed, PositionsRead
from guardd.model.fill import Fill
from guardd.model.fold import fold
from guardd.model.intent import Stage
from guardd.model.names import OrderId
from guardd.model.order import OrderAction, OrderUpdate, RestingKind
from tests.execution.bench import BTC, EPISODE, LONG, Bench, D, position
from tests.model.intents import close_intent


class Stand:
    """A position of 10 contracts at an entry of 100, and whoever notes its fills."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.journal = MemoryJournal()
        self.fills = Fills(state=self.bench.state, journal=self.journal)

    async def hold(self) -> "Stand":
        await self.bench.hold(position())
        at = self.bench.now
        self.hear(PositionsRead(started=at, at=at, positions=(position(),)))
        return self

    def hear(self, event: Event) -> None:
        fold(self.bench.state, event)
        self.fills.heard(event)

    def push(self, **changed: Any) -> None:
        values: dict[str, Any] = {
            "order_id": OrderId("77"),
            "client_id": None,
            "plan_order_id": OrderId("500"),
            "key": LONG,
            "closes": True,
            "action": OrderAction.FILLED,
            "live": False,
            "kind": RestingKind.MARKET,
            "price": None,
            "size": D(4),
            "filled": D(4),
            "average_price": D(90),
            "venue_ms": 1,
        }
        self.hear(OrderPushed(at=self.bench.now, update=OrderUpdate(**{**values, **changed})))

    @property
    def noted(self) -> list[Fill]:
        return [fill for fill, _ in self.journal.fills]


async def test_a_stop_that_fired_is_noted_with_what_it_realised_however_often_it_is_pushed() -> None:
    stand = await Stand().hold()
    for _ in range(3):
        stand.push()
    (fill,) = stand.noted
    held = stand.bench.state.held[LONG].position
    size = stand.bench.state.instruments[BTC].contract_size
    assert fill.realized_pnl == (D(90) - held.entry_price) * 4 * size
    assert (fill.episode, fill.order_id, fill.plan_order_id) == (EPISODE, "77", "500")
    assert (fill.how, fill.size, fill.price, fill.entry_price) == ("filled", D(4), D(90), held.entry_price)


async def test_a_close_that_was_read_back_is_noted_once_though_the_stream_tells_it_too() -> None:
    stand = await Stand().hold()
    intent = close_intent(stand.bench.state)
    moved = IntentMoved(
        at=stand.bench.now,
        intent=intent,
        stage=Stage.VERIFIED,
        order_id=OrderId("77"),
        filled=D(4),
        average_price=D(90),
    )
    stand.fills.heard(moved)
    stand.push(plan_order_id=None, client_id=intent.id)
    (fill,) = stand.noted
    assert (fill.client_id, fill.price) == (intent.id, D(90))


async def test_the_entry_of_a_position_that_is_gone_already_is_remembered() -> None:
    stand = await Stand().hold()
    del stand.bench.state.held[LONG]
    stand.push()
    assert stand.noted[0].realized_pnl is not None


async def test_what_tells_no_end_or_no_price_is_not_noted() -> None:
    stand = await Stand().hold()
    stand.push(live=True)
    stand.push(filled=D(0))
    stand.push(average_price=None)
    stand.push(closes=False)
    assert stand.noted == []


async def test_a_forced_end_is_told_as_one() -> None:
    stand = await Stand().hold()
    stand.push(action=OrderAction.LIQUIDATION, plan_order_id=None)
    assert stand.noted[0].how == "liquidation"


async def test_without_the_contract_the_fill_is_noted_and_its_profit_is_not_known() -> None:
    stand = await Stand().hold()
    stand.bench.state.instruments.clear()
    stand.push()
    assert (stand.noted[0].realized_pnl, stand.noted[0].currency) == (None, None)

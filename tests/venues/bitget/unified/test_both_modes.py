"""A symbol held on one side in cross and in isolated margin at once (UTA reference, 3 and 11): seen, and left alone."""

from decimal import Decimal

import pytest

from guardd.errors import PayloadError, VenueError
from guardd.model.event import InstrumentsRead, PositionsPushed
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.intent import CancelKind, CancelOrder, CloseAtMarket
from guardd.model.names import MarginMode, OrderId, Symbol
from guardd.model.outcome import Reason, Rejected
from guardd.model.reading import Absent
from guardd.venues.bitget.frames import Push
from guardd.venues.bitget.unified.stream import Pushes
from tests.venues.bitget.unified.bench import ACCOUNT, BTC, LONG, SHORT, Bench, held_answer, ok, opened, refusal, row

dec = Decimal
AT = Instant(1_000_000_000, 1_790_000_000_000)
CROSS = row(
    size="0.1", avgPrice="90000", liquidationPrice="70000", createdTime="1700000000000", updatedTime="1700000000010"
)
ISOLATED = row(
    size="0.3", margin="isolated", avgPrice="94000", liquidationPrice="80000",
    createdTime="1700000000005", updatedTime="1700000000020",
)  # fmt: skip
OTHER = row("short", size="0.2")
TIERS = [{"tier": "1", "minTierValue": "0", "maxTierValue": "100000", "leverage": "125", "mmr": "0.004"}]
CLOSE = CloseAtMarket(key=LONG, size=dec("0.1"))


def pushed(on: Bench, **changes: object) -> PositionsPushed:
    """One position push: the long in isolated margin, unless it says otherwise."""
    fields = {
        "symbol": "BTCUSDT", "marginCoin": "USDT", "marginMode": "isolated", "posSide": "long", "size": "0.3",
        "frozen": "0", "avgPrice": "94000", "liqPrice": "80000", "createdTime": "1700000000005",
        "updatedTime": "1700000000020",
    }  # fmt: skip
    rows = [{**fields, **changes}]
    push = Push(channel="position", inst_type="UTA", selector="", action="update", rows=rows, ts_ms=1)
    (event,) = Pushes(account=ACCOUNT, reads=on.venue._reads).read(push, AT)
    assert isinstance(event, PositionsPushed)
    return event


async def told(on: Bench) -> list[InstrumentsRead]:
    waiting = on.venue._mailbox
    waiting.put(InstrumentsRead(at=AT, instruments=()))
    return [each for each in await waiting.take() if isinstance(each, InstrumentsRead) and each.instruments]


async def test_both_are_shown_as_one_and_the_others_as_ever() -> None:
    on = await opened(held=(CROSS, ISOLATED, OTHER))
    long, short = (await on.venue.positions()).positions
    assert (long.key, long.quantity, long.entry_price, long.margin_mode) == (
        LONG,
        dec("0.4"),
        dec(93000),
        MarginMode.CROSS,
    )
    assert (long.liquidation_price, long.opened_ms, long.venue_ms) == (dec(80000), 1700000000000, 1700000000020)
    assert long.margin == dec("0.4") * dec("4796.5")
    assert (short.key, short.quantity) == (SHORT, dec("0.2"))


async def test_a_short_s_nearer_liquidation_price_is_the_lower_one() -> None:
    rows = [
        row("short", margin=mode, liquidationPrice=price) for mode, price in (("crossed", "120000"), ("isolated", "0"))
    ]
    on = await opened(held=tuple(rows))
    assert (await on.venue.positions()).positions[0].liquidation_price == dec(120000)


async def test_two_rows_of_one_margin_mode_cannot_be() -> None:
    on = await opened()
    on.network.on("current-position", held_answer(CROSS, CROSS))
    with pytest.raises(PayloadError):
        await on.venue.positions()


async def test_it_is_unguarded_with_the_reason_and_nothing_is_sent_for_it() -> None:
    on = await opened(held=(CROSS, ISOLATED))
    on.network.on("market/position-tier", ok(TIERS))
    (instrument,) = await on.venue.instruments([BTC])
    assert "in cross and in isolated margin" in instrument.unguarded
    assert instrument.tiers
    on.network.requests.clear()
    cancel = CancelOrder(key=LONG, order_id=OrderId("77:sl"), kind=CancelKind.PLAN)
    for write in (CLOSE, cancel):
        outcome = await on.send(write)
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.UNSUPPORTED
    assert isinstance(await on.operator.close_position(LONG, size=dec("0.1"), price=None), Rejected)
    assert on.network.writes == []


async def test_the_daemon_hears_when_it_begins_and_when_it_ends_and_people_once() -> None:
    on = await opened(held=(CROSS,))
    on.network.on("market/position-tier", ok(TIERS))
    await on.venue.instruments([BTC])
    for held, begins in (((CROSS, ISOLATED), True), ((ISOLATED,), False)):
        on.network.on("current-position", held_answer(*held))
        await on.venue.positions()
        await on.venue.positions()
        (event,) = await told(on)
        assert [each.symbol for each in event.instruments] == [Symbol("BTCUSDT")]
        assert bool(event.instruments[0].unguarded) is begins
    assert len(on.said("both-modes-")) == 1
    assert await told(on) == []


async def test_it_is_told_although_its_margin_tiers_could_not_be_read() -> None:
    on = await opened(held=(CROSS,))
    on.network.on("market/position-tier", refusal("40808"))
    early: list[Instrument] = []
    with pytest.raises(VenueError):
        await on.venue.instruments([BTC], early=early.extend)
    assert [each.unguarded for each in early] == [""]
    on.network.on("current-position", held_answer(CROSS, ISOLATED))
    await on.venue.positions()
    (event,) = await told(on)
    assert "in cross and in isolated margin" in event.instruments[0].unguarded


async def test_a_push_of_one_of_them_tells_what_both_make() -> None:
    on = await opened(held=(CROSS,))
    (update,) = pushed(on).updates
    assert (update.quantity, update.entry_price, update.liquidation_price) == (dec("0.4"), dec(93000), dec(80000))
    (update,) = pushed(on, size="0.1", updatedTime="1700000000030").updates
    assert (update.quantity, update.closed_quantity) == (dec("0.2"), dec("0.2"))
    (update,) = pushed(on, size="0.3").updates  # an older one
    assert update.quantity == dec("0.2")
    (update,) = pushed(on, size="0", avgPrice="", liqPrice="", updatedTime="1700000000040").updates
    assert (update.quantity, update.margin_mode, update.venue_ms) == (dec("0.1"), MarginMode.CROSS, 1700000000040)
    (update,) = pushed(on, marginMode="crossed", size="0", updatedTime="1700000000050").updates
    assert update.quantity == 0


async def test_what_nobody_knows_of_one_of_them_nobody_knows_of_both() -> None:
    on = await opened(held=(CROSS, {**ISOLATED, "liquidationPrice": ""}))
    long = (await on.venue.positions()).positions[0]
    assert long.liquidation_price is Absent.UNKNOWN

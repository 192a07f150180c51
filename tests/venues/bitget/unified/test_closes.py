"""Closes, leverage and what isn't sent at all (UTA reference, 9, 12.3 and 14)."""

from decimal import Decimal

import pytest

from guardd.model.intent import CloseAtMarket, SetLeverage
from guardd.model.names import MarginMode, PositionKey, PositionMode, Side, Symbol
from guardd.model.order import PlanForm
from guardd.model.outcome import Accepted, Reason, Rejected, Unknown
from tests.venues.bitget.unified.bench import (
    ACCOUNT,
    LONG,
    TIMED_OUT,
    held_answer,
    ok,
    opened,
    refusal,
    row,
    settings,
    taken,
)
from tests.venues.bitget.unified.test_bodies import protection

CLOSE = CloseAtMarket(key=LONG, size=Decimal("0.1"))


async def test_a_close_that_displaced_resting_ones_is_acknowledged_without_an_id() -> None:
    on = await opened(held=(row(),))
    on.network.on("place-order", taken(None))
    outcome = await on.send(CLOSE)
    assert isinstance(outcome, Accepted)
    assert outcome.order_id is None


async def test_a_position_that_no_read_has_shown_is_looked_at_before_it_is_closed() -> None:
    on = await opened()
    on.network.on("current-position", held_answer(row(margin="isolated")))
    on.network.on("place-order", taken())
    assert isinstance(await on.send(CLOSE), Accepted)
    (request,) = on.network.writes
    assert request.body["marginMode"] == "isolated"


async def test_a_position_that_isnt_there_is_not_closed() -> None:
    on = await opened()
    outcome = await on.send(CLOSE)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, on.network.writes) == (Reason.POSITION_GONE, [])


async def test_a_position_that_cant_be_read_is_not_closed_in_the_dark() -> None:
    on = await opened()
    on.network.on("current-position", TIMED_OUT)
    outcome = await on.send(CLOSE)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, on.network.writes) == (Reason.NOT_SENT, [])


@pytest.mark.parametrize(
    ("mode", "named"),
    [("hedge_mode", {"posSide": "long"}), ("one_way_mode", {})],
)
async def test_dust_that_no_order_takes_is_closed_by_the_venue_for_that_position_alone(
    mode: str, named: dict[str, str]
) -> None:
    on = await opened(mode=mode, held=(row(mode=mode),))
    on.network.on("place-order", refusal("25611"))
    on.network.on("close-positions", ok({"list": [{"orderId": "8", "clientOid": "9"}]}))
    outcome = await on.send(CLOSE, mode=PositionMode.HEDGE if named else PositionMode.ONE_WAY)
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "8"
    assert on.network.writes[-1].body == {"category": "USDT-FUTURES", "symbol": "BTCUSDT", **named}
    assert len(on.said("close-positions-BTCUSDT")) == 1


async def test_a_leg_that_the_venue_refuses_within_a_success_is_a_refusal() -> None:
    on = await opened(held=(row(),))
    on.network.on("place-order", refusal("25611"))
    leg = {"orderId": "1", "clientOid": "1", "code": "24056", "msg": "notExisted"}
    on.network.on("close-positions", ok({"list": [leg]}))
    outcome = await on.send(CLOSE)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "24056"


@pytest.mark.parametrize(
    ("code", "size", "price"),
    [
        ("25611", "0.06", None),  # a part: close-positions would take all of it (I1)
        ("25611", "0.1", Decimal(90000)),  # at a price: the venue's close has none
        ("40762", "0.1", None),  # it would open
        ("25230", "0.1", None),
        ("25227", "0.1", None),  # nothing to close
        ("25203", "0.1", None),
        ("25008", "0.1", None),
    ],
)
async def test_I1_the_venues_own_close_is_not_reached_otherwise(code: str, size: str, price: Decimal | None) -> None:
    on = await opened(held=(row(),))
    on.network.on("place-order", refusal(code))
    outcome = await on.send(CloseAtMarket(key=LONG, size=Decimal(size), limit_price=price))
    assert isinstance(outcome, Rejected)
    assert [request.path for request in on.network.writes] == ["/api/v3/trade/place-order"]


@pytest.mark.parametrize("answer", [TIMED_OUT, refusal("40010"), refusal("40725"), refusal("45001"), refusal("99999")])
async def test_I7_a_close_of_unknown_outcome_is_followed_by_nothing(answer: object) -> None:
    on = await opened(held=(row(),))
    on.network.on("place-order", answer)  # type: ignore[arg-type]
    assert isinstance(await on.send(CLOSE), Unknown)
    assert len(on.network.writes) == 1


async def test_the_same_leverage_as_set_is_success_whatever_the_code() -> None:
    on = await opened(held=(row(),))
    write = SetLeverage(key=LONG, margin_mode=MarginMode.CROSS, leverage=Decimal(5))
    on.network.on("set-leverage", refusal("40814"))
    assert isinstance(await on.send(write), Accepted)
    on.network.on("set-leverage", refusal("40893"))
    assert isinstance(await on.send(write), Rejected)


async def test_nothing_is_ever_sent_for_coin_m() -> None:
    key = PositionKey(ACCOUNT, Symbol("BTCUSD_CM"), Side.LONG)
    on = await opened(held=(row(category="COIN-FUTURES", symbol="BTCUSD_CM", marginCoin="BTC"),))
    outcome = await on.send(CloseAtMarket(key=key, size=Decimal("0.1")))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.UNSUPPORTED
    assert "Coin-M" in outcome.text
    assert on.network.writes == []


async def test_nothing_is_sent_while_the_account_is_being_converted() -> None:
    on = await opened(held=(row(),))
    on.network.on("account/settings", ok(settings(accountMode="upgrading")))
    await on.venue.position_mode()
    for write in (CLOSE, protection(PlanForm.SIZED)):
        outcome = await on.send(write)
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.MAINTENANCE
    assert on.network.writes == []
    assert len(on.said("converting")) == 1


async def test_a_symbol_of_no_list_is_not_written_about() -> None:
    on = await opened()
    outcome = await on.send(CloseAtMarket(key=PositionKey(ACCOUNT, Symbol("NEWUSDT"), Side.LONG), size=Decimal(1)))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, on.network.writes) == (Reason.NOT_SENT, [])

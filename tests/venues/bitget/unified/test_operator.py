"""An operator's steps: open, close, modes, leverage, margin, transfers (UTA reference, 7 and 9)."""

from decimal import Decimal

import pytest

from guardd.model.names import MarginMode, PositionMode
from guardd.model.outcome import Accepted, Rejected, Unknown
from tests.venues.bitget.unified.bench import (
    LONG,
    SHORT,
    TIMED_OUT,
    Bench,
    bench,
    held_answer,
    listed,
    ok,
    refusal,
    row,
    settings,
    taken,
)

dec = Decimal


def table(mode: str = "hedge_mode", *held: dict[str, object]) -> Bench:
    on = bench()
    on.network.on("account/settings", ok(settings(holdMode=mode)))
    on.network.on("current-position", held_answer(*held))
    on.network.on("set-leverage", ok("success"))
    on.network.on("place-order", taken("5"))
    on.network.on("unfilled-orders", ok({"list": None}))
    on.network.on("unfilled-strategy-orders", listed())
    on.network.on("funding-assets", ok([{"coin": "USDT", "balance": "100", "available": "100", "frozen": "0"}]))
    return on


@pytest.mark.parametrize(
    ("mode", "key", "words"),
    [
        ("hedge_mode", LONG, {"side": "buy", "posSide": "long"}),
        ("hedge_mode", SHORT, {"side": "sell", "posSide": "short"}),
        ("one_way_mode", LONG, {"side": "buy"}),
        ("one_way_mode", SHORT, {"side": "sell"}),
    ],
)
async def test_a_position_is_opened_after_its_leverage_was_set(mode: str, key: object, words: dict[str, str]) -> None:
    on = table(mode)
    outcome = await on.operator.open_position(key, size=dec("0.10"), price=None, leverage=dec(10), isolated=False)  # type: ignore[arg-type]
    assert isinstance(outcome, Accepted)
    leverage, order = on.network.writes
    assert leverage.body == {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "leverage": "10",
        "marginMode": "crossed",
    }
    body = order.body
    assert body.pop("clientOid").startswith("op")
    assert body == {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "qty": "0.1",
        **words,
        "orderType": "market",
        "marginMode": "crossed",
    }


async def test_a_priced_isolated_opening_rests_and_sets_the_leverage_of_both_sides() -> None:
    on = table()
    await on.operator.open_position(LONG, size=dec("0.1"), price=dec("80000.50"), leverage=dec(5), isolated=True)
    long, short, order = (request.body for request in on.network.writes)
    assert (long["posSide"], short["posSide"], long["marginMode"]) == ("long", "short", "isolated")
    assert (order["orderType"], order["price"], order["timeInForce"]) == ("limit", "80000.5", "gtc")
    assert order["marginMode"] == "isolated"


async def test_a_leverage_that_is_refused_opens_nothing() -> None:
    on = table()
    on.network.on("set-leverage", refusal("40893"))
    outcome = await on.operator.open_position(LONG, size=dec(1), price=None, leverage=dec(10), isolated=False)
    assert isinstance(outcome, Rejected)
    assert on.network.sent("place-order") == []


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("hedge_mode", {"side": "sell", "posSide": "long"}),
        ("one_way_mode", {"side": "sell", "reduceOnly": "yes"}),
    ],
)
async def test_a_position_is_closed_close_only_in_its_own_margin_mode(mode: str, words: dict[str, str]) -> None:
    on = table(mode, row(mode=mode, margin="isolated"))
    await on.operator.close_position(LONG, size=dec("0.1"), price=dec(90000))
    (request,) = on.network.writes
    assert {**words, "marginMode": "isolated", "timeInForce": "ioc"}.items() <= request.body.items()


async def test_what_isnt_held_is_not_closed() -> None:
    on = table()
    assert isinstance(await on.operator.close_position(LONG, size=dec(1), price=None), Rejected)
    assert on.network.writes == []


async def test_the_position_mode_is_switched_only_where_nothing_is_open() -> None:
    on = table("hedge_mode", row())
    outcome = await on.operator.set_position_mode(PositionMode.ONE_WAY)
    assert isinstance(outcome, Rejected)
    assert "1 position(s) open" in outcome.text
    on = table()
    on.network.on("set-hold-mode", ok("success"))
    assert isinstance(await on.operator.set_position_mode(PositionMode.ONE_WAY), Accepted)
    (request,) = on.network.writes
    assert request.body == {"holdMode": "one_way_mode"}


async def test_the_live_leverage_is_the_rows_else_the_configured_one() -> None:
    on = table("hedge_mode", row(leverage="20"))
    assert await on.operator.live_leverage(LONG.symbol, 5.0) == (dec(20), MarginMode.CROSS)
    on = table()
    assert await on.operator.live_leverage(LONG.symbol, 5.0) == (dec(1), MarginMode.CROSS)


@pytest.mark.parametrize(("into", "way"), [(True, ("spot", "uta")), (False, ("uta", "spot"))])
async def test_money_is_moved_and_never_borrowed(into: bool, way: tuple[str, str]) -> None:
    on = table()
    on.network.on("account/transfer", ok({"transferId": "1"}))
    assert isinstance(await on.operator.transfer(amount=dec("300.50"), into_futures=into), Accepted)
    (request,) = on.network.writes
    body = request.body
    assert body.pop("clientOid").startswith("op")
    assert body == {
        "fromType": way[0],
        "toType": way[1],
        "amount": "300.5",
        "coin": "USDT",
        "allowBorrow": "no",
    }


def ledger(kind: str, amount: str, at_ms: int) -> object:
    row = {
        "category": "OTHER",
        "id": "1",
        "symbol": "",
        "coin": "USDT",
        "type": kind,
        "amount": amount,
        "ts": str(at_ms),
    }
    return ok({"list": [row], "cursor": ""})


async def test_I7_a_transfer_of_unknown_outcome_is_looked_up_and_never_sent_again() -> None:
    on = table()
    on.network.on("account/transfer", TIMED_OUT)
    now = on.clock.now().wall_ms + 1
    on.network.on("financial-records", ledger("TRANSFER_IN", "300", now))  # type: ignore[arg-type]
    assert isinstance(await on.operator.transfer(amount=dec(300), into_futures=True), Accepted)
    on.network.on("financial-records", ledger("TRANSFER_IN", "299", now))  # type: ignore[arg-type]
    assert isinstance(await on.operator.transfer(amount=dec(300), into_futures=True), Unknown)
    assert len(on.network.writes) == 2


async def test_a_funding_balance_that_fell_by_the_amount_proves_a_transfer() -> None:
    on = table()
    on.network.on("account/transfer", TIMED_OUT)
    on.network.on("financial-records", ok({"list": None}))
    rows = [ok([{"coin": "USDT", "balance": amount, "available": amount}]) for amount in ("500", "200")]
    on.network.on("funding-assets", *rows)
    assert isinstance(await on.operator.transfer(amount=dec(300), into_futures=True), Accepted)


async def test_margin_is_added_to_one_isolated_position() -> None:
    on = table()
    on.network.on("set-margin", ok("success"))
    assert isinstance(await on.operator.add_margin(SHORT, amount=dec(50)), Accepted)
    (request,) = on.network.writes
    assert request.body == {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "posSide": "short",
        "operation": "add",
        "amount": "50",
    }
    on.network.on("set-margin", TIMED_OUT)
    on.network.on("financial-records", ok({"list": None}))
    assert isinstance(await on.operator.add_margin(SHORT, amount=dec(50)), Unknown)
    assert len(on.network.writes) == 2


async def test_an_account_that_is_being_converted_takes_no_step() -> None:
    on = table()
    on.network.on("account/settings", ok(settings(accountMode="switching")))
    for step in (
        on.operator.open_position(LONG, size=dec(1), price=None, leverage=dec(2), isolated=False),
        on.operator.set_leverage(LONG.symbol, leverage=dec(2), isolated=False),
        on.operator.add_margin(LONG, amount=dec(1)),
    ):
        assert isinstance(await step, Rejected)
    assert on.network.writes == []

"""An operator's single steps with a classic account (Bitget reference, 7, 8, 11)."""

from typing import Any

import pytest

from guardd.model.names import MarginMode, PositionMode
from guardd.model.outcome import Accepted, Reason, Rejected, Unknown
from tests.venues.bitget.classic import samples
from tests.venues.bitget.classic.bench import (
    BTC,
    LONG_BTC,
    SHORT_BTC,
    TIMED_OUT,
    Bench,
    bench,
    by_product,
    dec,
    entrusted,
    ok,
    refusal,
    row,
)

TAKEN = ok({"orderId": "555", "clientOid": "x"})


def table_with(**settings: object) -> Bench:
    table = bench()
    table.network.on("market/contracts", ok(samples.data("contracts.json")))
    table.network.on("mix/account/account", ok({**samples.data("account_single.json"), **settings}))
    table.network.on("place-order", TAKEN)
    table.network.on("set-leverage", ok(samples.data("set_leverage.json")))
    table.network.on("set-margin-mode", ok(samples.data("set_margin_mode.json")))
    return table


def body(table: Bench, path: str) -> dict[str, Any]:
    found: dict[str, Any] = table.network.sent(path)[0].body
    return found


@pytest.mark.parametrize(
    ("mode", "words"),
    [("hedge_mode", {"side": "sell", "tradeSide": "open"}), ("one_way_mode", {"side": "sell"})],
)
async def test_an_opening_names_its_side_in_the_words_of_the_mode(mode: str, words: dict[str, str]) -> None:
    table = table_with(posMode=mode)
    outcome = await table.operator.open_position(
        SHORT_BTC, size=dec("0.01"), price=None, leverage=dec(20), isolated=False
    )
    assert isinstance(outcome, Accepted)
    sent = body(table, "place-order")
    assert {**sent, **words, "marginMode": "crossed", "orderType": "market", "size": "0.01"} == sent
    assert ("tradeSide" in sent) == (mode == "hedge_mode")
    assert "reduceOnly" not in sent
    assert len(table.network.writes) == 1


async def test_an_opening_sets_margin_mode_and_leverage_first_where_they_differ() -> None:
    table = table_with()
    await table.operator.open_position(LONG_BTC, size=dec("0.1"), price=dec(50000), leverage=dec(5), isolated=True)
    paths = [request.path.rpartition("/")[2] for request in table.network.writes]
    assert paths == ["set-margin-mode", "set-leverage", "place-order"]
    assert body(table, "set-margin-mode")["marginMode"] == "isolated"
    assert (body(table, "set-leverage")["leverage"], body(table, "set-leverage")["holdSide"]) == ("5", "long")
    documented = samples.plain("request_place_order_documented.json")
    sent = body(table, "place-order")
    assert set(documented) | {"tradeSide", "force"} == set(sent)
    assert (sent["price"], sent["force"], sent["marginMode"]) == (documented["price"], "gtc", "isolated")


async def test_an_opening_stops_where_a_step_before_it_is_refused() -> None:
    table = table_with()
    table.network.on("set-margin-mode", refusal("45117"))
    outcome = await table.operator.open_position(LONG_BTC, size=dec("0.1"), price=None, leverage=dec(5), isolated=True)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "45117"
    assert table.network.sent("place-order") == []


async def test_an_operators_orders_are_no_sign_of_a_second_guard_and_never_share_an_id() -> None:
    table = table_with()
    for _ in range(3):
        await table.operator.open_position(LONG_BTC, size=dec("0.1"), price=None, leverage=dec(20), isolated=False)
    ids = [request.body["clientOid"] for request in table.network.sent("place-order")]
    assert len(set(ids)) == 3
    assert all(each.startswith("op") and len(each) <= 32 for each in ids)


async def test_an_operators_close_goes_by_the_row_as_it_stands() -> None:
    table = table_with()
    table.network.on("single-position", ok([row(posMode="one_way_mode")]))
    outcome = await table.operator.close_position(LONG_BTC, size=dec("0.01"), price=None)
    assert isinstance(outcome, Accepted)
    sent = body(table, "place-order")
    assert (sent["side"], sent["reduceOnly"], sent["marginMode"]) == ("sell", "YES", "isolated")


async def test_a_switch_of_the_position_mode_needs_an_account_without_anything() -> None:
    table = table_with()
    table.network.on("all-position", by_product(USDT=[row()]))
    table.network.on("order/fills", ok({"fillList": None}))
    table.network.on("orders-pending", entrusted())
    table.network.on("orders-plan-pending", entrusted())
    outcome = await table.operator.set_position_mode(PositionMode.ONE_WAY)
    assert isinstance(outcome, Rejected)
    assert "1 position(s)" in outcome.text
    table.network.on("all-position", by_product())
    table.network.on("single-position", ok([]))
    table.network.on("set-position-mode", ok(samples.data("set_position_mode.json")))
    assert isinstance(await table.operator.set_position_mode(PositionMode.ONE_WAY), Accepted)
    assert body(table, "set-position-mode") == {"productType": "USDT-FUTURES", "posMode": "one_way_mode"}


async def test_a_line_that_is_in_the_mode_already_is_left_alone() -> None:
    table = table_with()
    table.network.on("all-position", by_product())
    table.network.on("orders-pending", entrusted())
    table.network.on("orders-plan-pending", entrusted())
    assert isinstance(await table.operator.set_position_mode(PositionMode.HEDGE), Accepted)
    assert table.network.writes == []


async def test_leverage_of_an_isolated_hedge_is_set_on_both_sides() -> None:
    table = table_with(marginMode="isolated")
    assert isinstance(await table.operator.set_leverage(BTC, leverage=dec(7), isolated=True), Accepted)
    sent = body(table, "set-leverage")
    assert (sent["longLeverage"], sent["shortLeverage"], "leverage" in sent) == ("7", "7", False)


async def test_the_live_leverage_is_that_of_the_margin_mode() -> None:
    table = table_with(crossedMarginLeverage="20")
    assert await table.operator.live_leverage(BTC, 1.0) == (dec(20), MarginMode.CROSS)
    table = table_with(marginMode="isolated", isolatedLongLever="5", isolatedShortLever="9")
    assert await table.operator.live_leverage(BTC, 1.0) == (dec(9), MarginMode.ISOLATED)


async def test_a_transfer_is_the_documented_request() -> None:
    table = table_with()
    table.network.on("wallet/transfer", ok(samples.data("transfer.json")))
    assert isinstance(await table.operator.transfer(amount=dec(300), into_futures=True), Accepted)
    sent = body(table, "transfer")
    documented = samples.plain("request_transfer_spot_to_usdt_futures.json")
    assert {**documented, "clientOid": sent["clientOid"]} == sent
    await table.operator.transfer(amount=dec(300), into_futures=False)
    back = table.network.sent("transfer")[1].body
    assert (back["fromType"], back["toType"]) == ("usdt_futures", "spot")


async def test_I07_a_transfer_of_unknown_outcome_is_repeated_under_its_own_id_and_no_other() -> None:
    table = table_with()
    table.network.on("wallet/transfer", TIMED_OUT, ok(samples.data("transfer.json")))
    assert isinstance(await table.operator.transfer(amount=dec(5), into_futures=True), Accepted)
    ids = {request.body["clientOid"] for request in table.network.sent("transfer")}
    assert (len(ids), len(table.network.sent("transfer"))) == (1, 2)


@pytest.mark.parametrize("recorded", [True, False])
async def test_I07_a_transfer_that_stays_unknown_is_looked_up(recorded: bool) -> None:
    table = table_with()
    table.network.on("wallet/transfer", TIMED_OUT)

    def records(asked: Any) -> dict[str, object]:
        documented = samples.data("transfer_records.json")[0]
        return ok([{**documented, "clientOid": asked.query["clientOid"]}] if recorded else [])

    table.network.on("transferRecords", records)
    outcome = await table.operator.transfer(amount=dec(5), into_futures=True)
    assert isinstance(outcome, Accepted if recorded else Unknown)


async def test_margin_is_added_to_an_isolated_position() -> None:
    table = table_with()
    table.network.on("single-position", ok([row()]))
    table.network.on("set-margin", ok(""))
    assert isinstance(await table.operator.add_margin(LONG_BTC, dec(50)), Accepted)
    assert body(table, "set-margin") == samples.plain("request_add_isolated_margin.json")


async def test_margin_is_not_added_to_a_cross_position_or_to_none() -> None:
    table = table_with()
    table.network.on("single-position", ok([row(marginMode="crossed")]))
    outcome = await table.operator.add_margin(LONG_BTC, dec(50))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.NOT_SENT
    table.network.on("single-position", ok([]))
    outcome = await table.operator.add_margin(LONG_BTC, dec(50))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.POSITION_GONE
    assert table.network.writes == []


@pytest.mark.parametrize(("after", "kind"), [("150", Accepted), ("100", Unknown)])
async def test_I07_margin_of_unknown_outcome_is_told_by_the_position(after: str, kind: type) -> None:
    table = table_with()
    table.network.on("single-position", ok([row(marginSize="100")]), ok([row(marginSize=after)]))
    table.network.on("set-margin", TIMED_OUT)
    assert isinstance(await table.operator.add_margin(LONG_BTC, dec(50)), kind)
    assert len(table.network.sent("set-margin")) == 1


async def test_auto_margin_is_switched_for_one_side_of_one_symbol() -> None:
    table = table_with()
    table.network.on("set-auto-margin", ok(""))
    assert isinstance(await table.operator.set_auto_margin(SHORT_BTC, on=False), Accepted)
    assert body(table, "set-auto-margin") == {
        "symbol": "BTCUSDT",
        "autoMargin": "off",
        "marginCoin": "USDT",
        "holdSide": "short",
    }

"""Balances, margin, modes, transfers, bills and positions: reference, 5, 7, 8, 9 and 10."""

from decimal import Decimal

import pytest

from guardd.simulator.dialects.bitget.products import CoinPosition
from guardd.simulator.orders import MarginMode, PositionMode
from tests.simulator.dialect_bitget.bench import BTC, CLOSE_LONG, LIMIT, OPEN_LONG, USDT, Bench

USDC = {"symbol": "BTCPERP", "productType": "USDC-FUTURES", "marginCoin": "USDC"}
TRANSFER = {"fromType": "spot", "toType": "usdt_futures", "amount": "100", "coin": "USDT", "clientOid": "t-1"}


def _isolated(**changes: object) -> Bench:
    bench = Bench(margin_mode=MarginMode.ISOLATED)
    bench.open_long(marginMode="isolated", **changes)
    return bench


def _row(bench: Bench) -> dict:
    return bench.get("position/single-position", **BTC).data[0]


def test_each_margin_coin_is_an_account_of_its_own() -> None:
    bench = Bench()
    bench.place(**USDC, size="0.01")

    usdt = bench.get("account/accounts", **USDT).data
    usdc = bench.get("account/accounts", productType="USDC-FUTURES").data

    assert [(row["marginCoin"], row["crossedRiskRate"]) for row in usdt] == [("USDT", "0")]
    assert [row["marginCoin"] for row in usdc] == ["USDC"]
    assert Decimal(usdc[0]["crossedRiskRate"]) > 0
    assert usdt[0]["accountEquity"] == "10000"
    assert bench.positions() == []


def test_the_isolated_ratio_is_the_formula_that_was_checked_against_the_document() -> None:
    bench = _isolated()
    bench.move("BTCUSDT", "88000")

    row = _row(bench)

    size, mark, rate = (Decimal(row[name]) for name in ("total", "markPrice", "keepMarginRate"))
    behind = Decimal(row["marginSize"]) + Decimal(row["unrealizedPL"])
    assert abs(Decimal(row["marginRatio"]) - size * mark * (rate + Decimal("0.0006")) / behind) < Decimal("1e-12")


def test_the_isolated_liquidation_price_is_the_formula_of_the_article() -> None:
    row = _row(_isolated())

    size, entry, margin, rate = (
        Decimal(row[name]) for name in ("total", "openPriceAvg", "marginSize", "keepMarginRate")
    )
    expected = (size * entry - margin) / (size * (1 - rate - Decimal("0.0006")))
    assert abs(Decimal(row["liquidationPrice"]) - expected) < Decimal("1e-6")


def test_a_well_funded_cross_position_has_no_liquidation_price_and_the_accounts_ratio() -> None:
    bench = Bench()
    bench.open_long()
    bench.place(symbol="ETHUSDT", size="1")

    rows = bench.positions()

    assert {row["liquidationPrice"] for row in rows} == {"0"}
    assert len({row["marginRatio"] for row in rows}) == 1
    assert bench.get("account/accounts", **USDT).data[0]["crossedRiskRate"] == rows[0]["marginRatio"]


def test_the_ratio_is_one_where_the_exchange_liquidates() -> None:
    bench = _isolated()
    price = Decimal(_row(bench)["liquidationPrice"])

    bench.move("BTCUSDT", str((price + 1).quantize(Decimal("0.1"))))
    assert Decimal("0.99") < Decimal(_row(bench)["marginRatio"]) < 1
    bench.move("BTCUSDT", str((price - 1).quantize(Decimal("0.1"))))

    assert bench.held() == []


def test_a_resting_opening_order_is_delegated_on_its_leg() -> None:
    bench = Bench()
    bench.open_long()
    bench.post("order/place-order", {**LIMIT, "size": "0.02"})

    assert _row(bench)["openDelegateSize"] == "0.02"


def test_the_single_account_tells_modes_without_a_position() -> None:
    row = Bench().get("account/account", **BTC).data

    assert (row["posMode"], row["marginMode"], row["crossedMarginLeverage"]) == ("hedge_mode", "crossed", 10)


def test_leverage_by_mode() -> None:
    bench = Bench()
    assert bench.post("account/set-leverage", {**BTC, "leverage": "10"}).code == "40814"
    assert bench.post("account/set-leverage", {**BTC, "leverage": "20"}).data["crossMarginLeverage"] == "20"

    bench.post("account/set-margin-mode", {**BTC, "marginMode": "isolated"})
    got = bench.post("account/set-leverage", {**BTC, "leverage": "5"})
    assert (got.code, got.json["msg"].endswith("hold side is null")) == ("40808", True)
    data = bench.post("account/set-leverage", {**BTC, "leverage": "5", "holdSide": "long"}).data
    assert (data["longLeverage"], data["shortLeverage"]) == ("5", "20")
    data = bench.post("account/set-leverage", {**BTC, "longLeverage": "6", "shortLeverage": "7"}).data
    assert (data["longLeverage"], data["shortLeverage"]) == ("6", "7")


@pytest.mark.parametrize(("leverage", "code"), [("126", "45045"), ("0", "45044"), ("1.5", "40808"), ("", "40811")])
def test_leverage_out_of_range(leverage: str, code: str) -> None:
    assert Bench().post("account/set-leverage", {**BTC, "leverage": leverage}).code == code


def test_lowering_isolated_leverage_appends_margin_and_a_resting_order_forbids_it() -> None:
    bench = _isolated()
    before = _row(bench)
    body = {**BTC, "leverage": "5", "holdSide": "long"}
    bench.post("order/place-order", {**LIMIT, "marginMode": "isolated"})

    assert bench.post("account/set-leverage", body).code == "45097"
    bench.post("order/cancel-all-orders", USDT)
    bench.stop()
    assert bench.post("account/set-leverage", body).code == "00000"

    after = _row(bench)
    assert Decimal(after["marginSize"]) > Decimal(before["marginSize"])
    assert Decimal(after["liquidationPrice"]) < Decimal(before["liquidationPrice"])


def test_margin_is_added_with_a_positive_amount_and_removed_with_a_negative_one() -> None:
    bench = _isolated()
    body = {**BTC, "holdSide": "long", "amount": "50"}
    before = Decimal(_row(bench)["marginSize"])

    assert bench.post("account/set-margin", body).data == ""
    assert Decimal(_row(bench)["marginSize"]) == before + 50
    assert bench.post("account/set-margin", {**body, "amount": "-20"}).code == "00000"
    assert Decimal(_row(bench)["marginSize"]) == before + 30
    bills = bench.get("account/bill", **USDT).data["bills"]
    assert [bill["businessType"] for bill in bills[:2]] == ["reduce_margin", "append_margin"]
    assert "append_margin" not in str(bench.get("account/bill", onlyFunding="yes", **USDT).data)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": "99999"}, "40800"),
        ({"amount": "-899"}, "40801"),
        ({"amount": "0"}, "40808"),
        ({"amount": ""}, "40811"),
        ({"holdSide": "short"}, "40802"),
        ({"holdSide": "buy"}, "400172"),
        ({"holdSide": ""}, "40811"),
    ],
)
def test_margin_that_the_venue_refuses(changes: dict, code: str) -> None:
    bench = _isolated()

    assert bench.post("account/set-margin", {**BTC, "holdSide": "long", "amount": "50", **changes}).code == code


def test_a_cross_position_takes_no_margin_and_no_automatic_one() -> None:
    bench = Bench()
    bench.open_long()

    assert bench.post("account/set-margin", {**BTC, "holdSide": "long", "amount": "5"}).code == "40875"
    assert bench.post("account/set-auto-margin", {**BTC, "holdSide": "long", "autoMargin": "on"}).code == "22011"


def test_auto_margin_is_shown_and_draws_from_what_is_free() -> None:
    bench = _isolated()
    assert bench.post("account/set-auto-margin", {**BTC, "holdSide": "short", "autoMargin": "on"}).code == "40838"
    bench.post("account/set-auto-margin", {**BTC, "holdSide": "long", "autoMargin": "on"})
    assert _row(bench)["autoMargin"] == "on"

    bench.move("BTCUSDT", "80500")

    assert bench.held() == [("long", "0.1")]


def test_modes_do_not_change_under_a_position_and_another_product_type_is_free_to() -> None:
    bench = Bench()
    bench.open_long()

    assert bench.post("account/set-position-mode", {**USDT, "posMode": "one_way_mode"}).code == "40920"
    assert bench.post("account/set-margin-mode", {**BTC, "marginMode": "isolated"}).code == "45117"
    usdc = {"productType": "USDC-FUTURES", "posMode": "one_way_mode"}
    assert bench.post("account/set-position-mode", usdc).data == {"posMode": "one_way_mode"}
    assert bench.get("account/account", **USDC).data["posMode"] == "one_way_mode"
    assert bench.get("account/account", **BTC).data["posMode"] == "hedge_mode"


def test_multi_asset_mode_shows_its_pool_in_usdt_only() -> None:
    bench = Bench()
    bench.open_long()
    assert bench.post("account/set-asset-mode", {"productType": "USDC-FUTURES", "assetMode": "union"}).code == "400172"

    bench.post("account/set-asset-mode", {**USDT, "assetMode": "union"})

    row = bench.get("account/accounts", **USDT).data[0]
    assert (row["assetMode"], row["unionTotalMargin"]) == ("union", row["accountEquity"])
    assert Decimal(row["unionMm"]) > 0
    assert _row(bench)["assetMode"] == "union"
    assert bench.get("account/accounts", productType="USDC-FUTURES").data[0]["assetMode"] == "single"


def test_a_transfer_with_the_same_client_id_is_made_once() -> None:
    bench = Bench()

    first = bench.post("/api/v2/spot/wallet/transfer", TRANSFER).data
    again = bench.post("/api/v2/spot/wallet/transfer", TRANSFER).data

    assert first == again
    assert bench.get("account/accounts", **USDT).data[0]["accountEquity"] == "10100"
    records = bench.get("/api/v2/spot/account/transferRecords", coin="USDT", clientOid="t-1").data
    assert [(row["size"], row["status"]) for row in records] == [("100.00000000", "Successful")]
    assert bench.get("/api/v2/spot/account/assets", coin="USDT").data[0]["available"] == "400"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": "501"}, "43012"),
        ({"amount": "20000", "fromType": "usdt_futures", "toType": "spot"}, "43117"),
        ({"amount": "0"}, "40799"),
        ({"coin": "BTC"}, "43129"),
        ({"toType": "usdc_futures"}, "43129"),
        ({"toType": "coin_futures"}, "43129"),
        ({"toType": "usdt_m_futures"}, "400172"),
        ({"coin": ""}, "40811"),
    ],
)
def test_a_transfer_that_the_venue_refuses(changes: dict, code: str) -> None:
    assert Bench().post("/api/v2/spot/wallet/transfer", {**TRANSFER, **changes}).code == code


def test_bills_keep_a_running_balance_and_say_why() -> None:
    bench = Bench()
    bench.open_long()
    bench.place(**CLOSE_LONG)

    bills = bench.get("account/bill", **USDT).data["bills"]

    assert [bill["businessType"] for bill in bills] == [
        "close_long",
        "close_long",
        "open_long",
        "trans_from_exchange",
    ]
    assert (bills[-1]["balance"], bills[-1]["amount"]) == ("10000", "10000")
    assert bills[0]["balance"] == bench.get("account/accounts", **USDT).data[0]["accountEquity"]
    assert bench.get("account/bill", startTime="1", endTime=str(bench.now_ms), **USDT).code == "00001"


def test_in_one_way_mode_bills_say_buy_and_sell() -> None:
    bench = Bench(position_mode=PositionMode.ONE_WAY)
    order = {name: value for name, value in OPEN_LONG.items() if name != "tradeSide"}
    bench.post("order/place-order", order)
    bench.post("order/place-order", {**order, "side": "sell", "reduceOnly": "YES"})

    kinds = {bill["businessType"] for bill in bench.get("account/bill", **USDT).data["bills"]}

    assert kinds == {"buy", "sell", "trans_from_exchange"}


def test_a_planted_coin_m_position_is_read_and_moves_nothing_else() -> None:
    bench = Bench()
    assert bench.get("position/all-position", productType="COIN-FUTURES").data == []
    assert bench.get("account/accounts", productType="COIN-FUTURES").data == []

    bench.dialect.hold_coin_position("main", CoinPosition(total="0.7"))

    rows = bench.get("position/all-position", productType="COIN-FUTURES").data
    assert [(row["symbol"], row["marginCoin"], row["total"]) for row in rows] == [("BTCUSD", "BTC", "0.7")]
    assert bench.positions() == []
    assert bench.get("account/accounts", productType="COIN-FUTURES").data[0]["marginCoin"] == "BTC"
    listed = bench.get("market/contracts", productType="COIN-FUTURES").data
    assert [row["symbol"] for row in listed] == ["BTCUSD"]
    order = {**OPEN_LONG, "symbol": "BTCUSD", "productType": "COIN-FUTURES", "marginCoin": "BTC"}
    assert bench.post("order/place-order", order).code == "40034"


def test_a_closed_life_is_told_with_its_fees() -> None:
    bench = Bench()
    bench.open_long()
    bench.place(**CLOSE_LONG)

    row = bench.get("position/history-position", **USDT).data["list"][0]

    pnl, net, opened, closed = (Decimal(row[name]) for name in ("pnl", "netProfit", "openFee", "closeFee"))
    assert net == pnl + opened + closed
    assert opened < 0
    assert closed < 0
    assert (row["openTotalPos"], row["closeTotalPos"]) == ("0.1", "0.1")


@pytest.mark.parametrize("symbol", ["BTCUSDT", "btcusdt", "BTCPERP"])
def test_the_accounts_own_rates_are_told_for_a_symbol_of_any_product_type(symbol: str) -> None:
    got = Bench().get("/api/v2/common/trade-rate", symbol=symbol, businessType="mix")

    assert (got.status, got.data) == (200, {"makerFeeRate": "0.0002", "takerFeeRate": "0.0006"})


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"symbol": "BTCUSDT"}, "40811"),
        ({"businessType": "mix"}, "40811"),
        ({"symbol": "BTCUSDT", "businessType": "futures"}, "400172"),
        ({"symbol": "BTCUSDT", "businessType": "spot"}, "40034"),
        ({"symbol": "NOPEUSDT", "businessType": "mix"}, "40034"),
    ],
)
def test_rates_of_nothing_that_is_traded_are_refused(query: dict, code: str) -> None:
    got = Bench().get("/api/v2/common/trade-rate", **query)

    assert (400, code) == (got.status, got.code)

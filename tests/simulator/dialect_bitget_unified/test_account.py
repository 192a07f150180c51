"""The account: the pool and its risk, settings, leverage, margin, transfers, the ledger, Coin-M. UTA reference, 4, 7, 8."""

from decimal import Decimal

import pytest

from guardd.simulator.coins import Coin, haircuts
from guardd.simulator.dialects.bitget_unified.coin import CoinPosition
from guardd.simulator.dialects.bitget_unified.desk import AccountMode, Options
from guardd.simulator.orders import PositionMode, PositionSide
from tests.simulator.dialect_bitget_unified.bench import CATEGORY, LONG_OPEN, STOP, Bench

BTC = {"category": CATEGORY, "symbol": "BTCUSDT"}


def _figures(bench: Bench) -> dict[str, Decimal]:
    data = bench.get("account/assets").data
    return {name: Decimal(value) for name, value in data.items() if isinstance(value, str)}


def test_one_pool_stands_behind_positions_of_both_margin_coins() -> None:
    bench = Bench(deposits={"USDC": Decimal(2000), "BTC": Decimal("0.1")})
    bench.open_long()
    bench.post("trade/place-order", {**LONG_OPEN, "category": "USDC-FUTURES", "symbol": "BTCPERP", "posSide": "long"})

    figures = _figures(bench)
    assets = {row["coin"]: row for row in bench.get("account/assets").data["assets"]}

    assert {"USDT", "USDC", "BTC"} == set(assets)
    assert figures["accountEquity"] == sum(Decimal(row["usdValue"]) for row in assets.values())
    assert figures["effEquity"] == figures["accountEquity"] - Decimal(9000) * Decimal("0.05")
    assert figures["mmr"] == 2 * Decimal(9000) * Decimal("0.0046")
    for row in assets.values():
        assert Decimal(row["equity"]) <= Decimal(row["balance"])


def test_resting_opening_orders_count_in_the_maintenance_margin() -> None:
    bench = Bench()
    before = _figures(bench)
    bench.post("trade/place-order", {**LONG_OPEN, "posSide": "long", "orderType": "limit", "price": "86000"})

    after = _figures(bench)

    assert before["mmr"] == 0 < after["mmr"]
    assert before["imr"] == 0 < after["imr"]


def test_the_ratio_is_printed_coarsely() -> None:
    bench = Bench()
    bench.open_long()
    figures = _figures(bench)
    assert figures["mgnRatio"] == 0 < figures["mmr"] / figures["effEquity"]

    fine = Bench(options=Options(ratio_places=4))
    fine.open_long()
    assert _figures(fine)["mgnRatio"] > 0


def test_the_account_is_liquidated_as_a_whole_once_collateral_no_longer_carries_it() -> None:
    bench = Bench(deposit="0", deposits={"BTC": Decimal(1)})
    bench.exchange.set_coin(Coin(name="BTC", price=Decimal(90_000), haircuts=haircuts([("0", "0.9")])), bench.now_ms)
    bench.open_long(qty="2")
    bench.open_long(symbol="ETHUSDT", qty="10")

    bench.exchange.set_coin(Coin(name="BTC", price=Decimal(10), haircuts=haircuts([("0", "0.9")])), bench.now_ms)

    assert bench.sizes() == []


def test_writes_answer_25008_while_the_venue_liquidates() -> None:
    bench = Bench()
    bench.open_long(qty="1")
    bench.move("BTCUSDT", "79000")

    during = bench.open_long(qty="0.001")
    reads = bench.get("account/assets").code
    bench.pass_time(3)
    after = bench.post("trade/cancel-symbol-order", {"category": CATEGORY})

    assert [during.code, reads, after.code] == ["25008", "00000", "00000"]


@pytest.mark.parametrize("mode", [AccountMode.UPGRADING, AccountMode.SWITCHING])
def test_an_account_that_is_being_converted_takes_no_writes(mode: AccountMode) -> None:
    bench = Bench()
    bench.open_long()
    bench.dialect.set_account_mode("main", mode)

    writes = [
        bench.open_long(side="sell"),
        bench.post("trade/place-strategy-order", STOP),
        bench.post("trade/close-positions", {"category": CATEGORY}),
        bench.post("account/set-leverage", {**BTC, "leverage": "5"}),
        bench.post("account/transfer", {}),
    ]

    assert {"25245"} == {got.code for got in writes}
    assert bench.get("account/switch-status").data == {"status": "process", "reason": ""}
    assert mode.value == bench.get("account/settings").data["accountMode"]
    assert bench.sizes() == [("long", "0.1")]
    bench.dialect.set_account_mode("main", AccountMode.HYBRID)
    assert bench.open_long(side="sell").code == "00000"


def test_settings_tell_hold_mode_and_leverage() -> None:
    bench = Bench(position_mode=PositionMode.ONE_WAY)
    bench.post("account/set-leverage", {**BTC, "leverage": "25"})

    data = bench.get("account/settings").data

    assert (data["holdMode"], data["accountLevel"], data["accountMode"]) == ("one_way_mode", "advanced", "unified")
    by_symbol = {row["symbol"]: row for row in data["symbolConfigList"]}
    assert by_symbol["BTCUSDT"] == {
        "category": CATEGORY,
        "symbol": "BTCUSDT",
        "marginMode": "crossed",
        "leverage": "25",
    }
    assert by_symbol["BTCPERP"]["category"] == "USDC-FUTURES"


def test_cross_leverage_moves_the_initial_margin_and_not_the_maintenance() -> None:
    bench = Bench()
    bench.open_long()
    before = _figures(bench)

    got = bench.post("account/set-leverage", {**BTC, "leverage": "20"})
    same = bench.post("account/set-leverage", {**BTC, "leverage": "20"})

    after = _figures(bench)
    assert (got.data, same.data) == ("success", "success")
    assert before["mmr"] == after["mmr"]
    assert after["imr"] < before["imr"]
    assert bench.positions()[0]["leverage"] == "20"


def test_an_isolated_hedge_has_a_leverage_for_each_side() -> None:
    bench = Bench()
    isolated = {**BTC, "marginMode": "isolated"}
    assert bench.post("account/set-leverage", {**isolated, "leverage": "5"}).code == "400172"
    bench.post("account/set-leverage", {**isolated, "longLeverage": "5", "shortLeverage": "8", "leverage": "3"})
    bench.post("account/set-leverage", {**isolated, "posSide": "short", "leverage": "9"})
    bench.open_long(marginMode="isolated")
    bench.open_short(marginMode="isolated")

    assert {row["posSide"]: row["leverage"] for row in bench.positions()} == {"long": "5", "short": "9"}


@pytest.mark.parametrize(("leverage", "code"), [("126", "45044"), ("0.5", "400172"), ("2.5", "400172"), ("", "400172")])
def test_a_leverage_out_of_range_is_refused(leverage: str, code: str) -> None:
    assert code == Bench().post("account/set-leverage", {**BTC, "leverage": leverage}).code


def test_the_hold_mode_is_the_whole_accounts_and_refused_with_a_position() -> None:
    bench = Bench()
    assert bench.post("account/set-hold-mode", {"holdMode": "one_way_mode"}).data == "success"
    bench.hedge = False
    bench.open_long(symbol="ETHUSDT", qty="1")

    assert bench.post("account/set-hold-mode", {"holdMode": "hedge_mode"}).code == "40920"
    assert bench.get("account/settings").data["holdMode"] == "one_way_mode"


def test_margin_is_added_to_and_taken_from_isolated_positions_only() -> None:
    bench = Bench()
    bench.open_long(marginMode="isolated")
    bench.open_long(symbol="ETHUSDT", qty="1")
    body = {**BTC, "posSide": "long", "operation": "add", "amount": "100"}
    before = Decimal(_row(bench)["positionBalance"])

    assert bench.post("account/set-margin", body).data == "success"
    assert before + 100 == Decimal(_row(bench)["positionBalance"])
    bench.post("account/set-margin", {**body, "operation": "remove", "amount": "40"})
    assert before + 60 == Decimal(_row(bench)["positionBalance"])

    codes = {
        "too much out": bench.post("account/set-margin", {**body, "operation": "remove", "amount": "500"}).code,
        "too much in": bench.post("account/set-margin", {**body, "amount": "500000"}).code,
        "no side": bench.post("account/set-margin", {**body, "posSide": ""}).code,
        "negative": bench.post("account/set-margin", {**body, "amount": "-5"}).code,
        "no position": bench.post("account/set-margin", {**body, "posSide": "short"}).code,
        "cross": bench.post("account/set-margin", {**body, "symbol": "ETHUSDT"}).code,
    }
    assert codes == {
        "too much out": "40801", "too much in": "25203", "no side": "400172", "negative": "400172",
        "no position": "25227", "cross": "40875",
    }  # fmt: skip


def _row(bench: Bench, symbol: str = "BTCUSDT") -> dict:
    return next(row for row in bench.positions() if row["symbol"] == symbol)


def test_money_moves_between_spot_and_the_unified_account() -> None:
    bench = Bench()
    body = {
        "fromType": "spot",
        "toType": "uta",
        "amount": "200",
        "coin": "USDT",
        "allowBorrow": "no",
        "clientOid": "t-1",
    }

    assert bench.post("account/transfer", body).data["clientOid"] == "t-1"
    assert [(row["coin"], row["balance"]) for row in bench.get("account/funding-assets").data] == [("USDT", "300")]
    assert bench.get("account/max-transferable", coin="USDT").data["maxTransfer"] == "10200"
    assert bench.post("account/transfer", {**body, "amount": "1000"}).code == "25202"
    back = {**body, "fromType": "uta", "toType": "spot"}
    assert bench.post("account/transfer", {**back, "amount": "100000"}).code == "25202"
    assert bench.post("account/transfer", back).code == "00000"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"coin": "NOPE"}, "25201"),
        ({"amount": "0"}, "400172"),
        ({"amount": "0.000000001"}, "400172"),
        ({"fromType": "usdt_futures"}, "400172"),
        ({"fromType": "vault"}, "400172"),
        ({"allowBorrow": "perhaps"}, "400172"),
        ({"toType": ""}, "400172"),
    ],
)
def test_a_transfer_is_read_strictly(changes: dict, code: str) -> None:
    body = {"fromType": "spot", "toType": "uta", "amount": "200", "coin": "USDT"}

    assert code == Bench().post("account/transfer", {**body, **changes}).code


def test_the_ledger_tells_transfers_funding_and_fees_apart() -> None:
    bench = Bench()
    bench.open_long()
    bench.dialect.settle_funding(bench.now_ms)

    futures = bench.get("account/financial-records", category=CATEGORY).data["list"]
    other = bench.get("account/financial-records", category="OTHER").data["list"]

    assert futures[0]["type"] == "CONTRACT_MAIN_SETTLE_FEE_USER_OUT"
    assert futures[0]["amount"] == "-0.9"
    assert Decimal(futures[1]["fee"]) < 0
    assert [row["type"] for row in other] == ["TRANSFER_IN"]
    assert bench.get("account/financial-records").code == "400172"
    assert bench.get("account/financial-records", category="OTHER", startTime="1").code == "00001"


def test_debts_show_in_loan_data() -> None:
    bench = Bench(deposit="0", deposits={"BTC": Decimal(1)})
    assert (lambda data: (data["currentLoans"], data["debtCoinList"]))(bench.get("trade/loan-data").data) == ("0", [])
    bench.open_long(qty="0.5")
    bench.move("BTCUSDT", "88000")

    data = bench.get("trade/loan-data").data

    assert Decimal(data["currentLoans"]) > 900
    assert [row["coin"] for row in data["debtCoinList"]] == ["USDT"]
    usdt = next(row for row in bench.get("account/assets").data["assets"] if row["coin"] == "USDT")
    assert Decimal(usdt["debt"]) == -Decimal(usdt["equity"]) > 0


def test_a_closed_position_is_in_the_history_with_its_result() -> None:
    bench = Bench()
    bench.open_long()
    bench.move("BTCUSDT", "91000")
    bench.open_long(side="sell")

    row = bench.get("position/history-position", category=CATEGORY).data["list"][0]

    gained, net = Decimal(row["cumRealisedPnl"]), Decimal(row["netProfit"])
    assert gained == (Decimal(row["closePriceAvg"]) - Decimal(row["openPriceAvg"])) * Decimal("0.1")
    assert net == gained + Decimal(row["openFeeTotal"]) + Decimal(row["closeFeeTotal"])
    assert bench.get("position/history-position", category="USDC-FUTURES").data["list"] is None


def test_coin_m_positions_are_shown_and_nothing_can_be_done_about_them() -> None:
    bench = Bench()
    bench.dialect.hold_coin_position(
        "main", CoinPosition(symbol="BTCUSD_CM", side=PositionSide.LONG, size=Decimal("0.5"), entry=Decimal(88_000))
    )
    coin = {"category": "COIN-FUTURES", "symbol": "BTCUSD_CM"}

    row = bench.positions("COIN-FUTURES")[0]
    listed = [each["symbol"] for each in bench.get("market/instruments", category="COIN-FUTURES").data]
    writes = {
        bench.open_long(**coin).code,
        bench.post("trade/place-strategy-order", {**STOP, **coin}).code,
        bench.post("trade/close-positions", coin).code,
        bench.post("account/set-leverage", {**coin, "leverage": "5"}).code,
        bench.post("account/set-margin", {**coin, "posSide": "long", "operation": "add", "amount": "1"}).code,
    }

    assert set(row) == set(bench.open_long() and bench.positions()[0])
    assert (row["symbol"], row["marginCoin"], row["total"], row["markPrice"]) == ("BTCUSD_CM", "BTC", "0.5", "90000")
    assert "BTCUSD_CM" in listed
    assert {"25102"} == writes
    assert bench.get("trade/unfilled-strategy-orders", category="COIN-FUTURES").data == []


def test_a_positions_liquidation_price_is_where_the_account_ends() -> None:
    bench = Bench()
    bench.open_long(qty="0.8")
    price = Decimal(bench.positions()[0]["liquidationPrice"])

    bench.move("BTCUSDT", str(price + 2))
    alive = bench.sizes()
    bench.move("BTCUSDT", str(price - 2))

    assert alive == [("long", "0.8")]
    assert bench.sizes() != alive


def test_a_read_only_key_says_so_and_writes_nothing() -> None:
    from tests.simulator.dialect_bitget_unified.bench import READ_ONLY

    bench = Bench(options=Options(permissions=("uta_mgt", "uta_trade", "withdraw")))

    data = bench.get("account/info", key=READ_ONLY).data

    assert (data["permType"], data["permissions"]) == ("read-only", ["uta_mgt", "uta_trade", "withdraw"])
    assert bench.post("trade/place-order", LONG_OPEN, key=READ_ONLY).code == "40014"

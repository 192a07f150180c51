"""Balances, positions, leverage, modes, transfers: reference sections 8, 12 and 15."""

from decimal import Decimal

import pytest

from guardd.simulator.orders import MarginMode
from tests.simulator.dialect.bench import LONG_OPEN, Bench

TRANSFER = {"currency": "USDT", "amount": "100", "type": "spot_to_contract"}


def test_equity_is_available_frozen_deposit_and_unrealised() -> None:
    bench = Bench()
    bench.open_long()
    bench.post("submit-order", {**LONG_OPEN, "type": "limit", "price": "80000"})
    bench.move("BTCUSDT", "91000")

    row = bench.get("assets-detail").data[0]
    parts = ("available_balance", "frozen_balance", "position_deposit", "unrealized")

    assert Decimal(row["equity"]) == sum(Decimal(row[name]) for name in parts)
    assert [each["currency"] for each in bench.get("assets-detail").data] == ["USDT", "BTC", "ETH"]


def test_a_cross_position_gives_no_liquidation_price_and_an_isolated_one_does() -> None:
    bench = Bench()
    bench.open_long()
    bench.post("submit-leverage", {"symbol": "ETHUSDT", "leverage": "20", "open_type": "isolated"})
    bench.open_long(symbol="ETHUSDT", leverage="20", open_type="isolated")

    cross, isolated = bench.get("position-v2").data

    assert (cross["open_type"], cross["liquidation_price"]) == ("cross", "0")
    assert isolated["open_type"] == "isolated"
    assert 0 < Decimal(isolated["liquidation_price"]) < Decimal(isolated["mark_price"])
    assert {"0", isolated["liquidation_price"]} == {row["liquidation_price"] for row in bench.get("position-risk").data}


def test_values_are_contracts_times_size_times_price() -> None:
    bench = Bench()
    bench.open_long()
    bench.move("BTCUSDT", "91000")

    row = bench.get("position-v2").data[0]

    assert Decimal(row["mark_value"]) == 100 * Decimal("0.001") * 91000
    assert Decimal(row["position_value"]) == 100 * Decimal("0.001") * Decimal(row["entry_price"])


def test_positions_without_a_symbol_are_only_the_open_ones() -> None:
    bench = Bench()
    bench.open_long()

    assert [row["position_side"] for row in bench.get("position-v2").data] == ["long"]
    assert [row["current_amount"] for row in bench.get("position-v2", symbol="BTCUSDT").data] == ["100", "0"]
    assert bench.get("position-v2", account="copy_trading").data == []
    assert bench.get("position-v2", symbol="NOPEUSDT").code == 40034


def test_leverage_is_also_the_margin_mode_switch() -> None:
    bench = Bench()

    got = bench.post("submit-leverage", {"symbol": "BTCUSDT", "leverage": "25", "open_type": "isolated"}).data

    assert (got["leverage"], got["open_type"]) == ("25", "isolated")
    assert [row["open_type"] for row in bench.get("position-v2", symbol="BTCUSDT").data] == ["isolated"] * 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"leverage": "20", "open_type": "cross"}, 40040),
        ({"leverage": "10", "open_type": "isolated"}, 40012),
        ({"leverage": "500", "open_type": "cross"}, 40029),
        ({"leverage": "0", "open_type": "cross"}, 40030),
        ({"leverage": 5, "open_type": "cross"}, 40011),
        ({"leverage": "5", "open_type": "both"}, 40011),
    ],
)
def test_a_leverage_change_that_the_venue_refuses(body: dict, code: int) -> None:
    bench = Bench()
    bench.open_long()

    assert code == bench.post("submit-leverage", {"symbol": "BTCUSDT", **body}).code


def test_lowering_the_leverage_of_a_position_works() -> None:
    bench = Bench(margin_mode=MarginMode.ISOLATED)
    bench.open_long(open_type="isolated")
    before = bench.get("position-v2").data[0]

    bench.post("submit-leverage", {"symbol": "BTCUSDT", "leverage": "5", "open_type": "isolated"})

    after = bench.get("position-v2").data[0]
    assert after["leverage"] == "5"
    assert Decimal(after["liquidation_price"]) < Decimal(before["liquidation_price"])


def test_the_position_mode_does_not_change_under_a_position() -> None:
    bench = Bench()
    bench.open_long()

    assert bench.post("set-position-mode", {"position_mode": "one_way_mode"}).code == 40059
    assert bench.get("get-position-mode").data["position_mode"] == "hedge_mode"


def test_a_transfer_moves_spot_money_and_is_listed() -> None:
    bench = Bench()

    done = bench.post("/account/v1/transfer-contract", TRANSFER)
    listed = bench.post("/account/v1/transfer-contract-list", {"page": 1, "limit": 10}).data["records"]

    assert done.data == {"currency": "USDT", "amount": "100"}
    assert [(r["amount"], r["type"], r["state"]) for r in listed] == [("100", "spot_to_contract", "FINISHED")]
    assert bench.get("assets-detail").data[0]["equity"] == "10100"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"amount": "501"}, 400, 61001),
        ({"amount": "99999", "type": "contract_to_spot"}, 200, 42000),
        ({"amount": "1.005"}, 400, 40005),
        ({"amount": "0.001"}, 400, 60009),
        ({"amount": 100}, 400, 60000),
        ({"currency": "BTC"}, 400, 60002),
        ({"type": "futures"}, 400, 60000),
        ({"recvWindow": "5000"}, 400, 60000),
        ({"recvWindow": 60_001}, 400, 60000),
    ],
)
def test_a_transfer_that_the_venue_refuses(changes: dict, status: int, code: int) -> None:
    got = Bench().post("/account/v1/transfer-contract", {**TRANSFER, **changes})

    assert (status, code) == (got.status, got.code), got.text


def test_the_demo_claim_tops_up_and_never_down() -> None:
    bench = Bench(deposit="100")

    assert bench.post("claim", {}).data == {"currency": "USDT", "amount": "10000"}
    assert bench.post("claim", {}).data["amount"] == "10000"


def test_the_ledger_of_flows_is_filtered_by_type() -> None:
    bench = Bench()
    bench.open_long()
    bench.post("/account/v1/transfer-contract", TRANSFER)

    kinds = [row["type"] for row in bench.get("transaction-history").data]

    assert kinds == ["Transfer", "Commission Fee", "Transfer"]
    assert [row["type"] for row in bench.get("transaction-history", flow_type="4").data] == ["Commission Fee"]
    assert bench.get("transaction-history", flow_type="9").code == 40011


def test_fees_of_a_contract() -> None:
    got = Bench().get("trade-fee-rate", symbol="BTCUSDT").data

    assert (got["taker_fee_rate"], got["maker_fee_rate"]) == ("0.0006", "0.0002")

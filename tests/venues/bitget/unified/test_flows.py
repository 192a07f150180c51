"""Rows of financial-records as flows (UTA reference, 4 and 7.8)."""

from decimal import Decimal

import pytest

from guardd.model.flow import FlowKind
from guardd.venues.bitget.unified.parse.account import ledger, pool
from guardd.venues.bitget.unified.parse.flows import flows


def records(kind: str, amount: str = "-1", fee: str = "0") -> dict[str, object]:
    row = {"category": "USDT-FUTURES", "id": "13", "symbol": "BTCUSDT", "coin": "USDT", "type": kind, "fee": fee}
    return {"list": [{**row, "amount": amount, "balance": "55.1", "ts": "1745853486185"}], "cursor": "13"}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("TRANSFER_IN", FlowKind.TRANSFER),
        ("TRANSFER_OUT", FlowKind.TRANSFER),
        ("CONTRACT_MAIN_SETTLE_FEE_USER_OUT", FlowKind.FUNDING),
        ("INTEREST_SETTLEMENT_OUT", FlowKind.FEE),
        ("CLOSE_LONG", FlowKind.PNL),
        ("ORDER_DEALT_IN", FlowKind.PNL),
        ("BURST_LONG_LOSS_QUERY", FlowKind.PNL),
        ("FIXED_ADL_CLOSE_LONG", FlowKind.PNL),
        ("BONUS_IN", FlowKind.VOUCHER),
        ("BORROW", FlowKind.OTHER),
        ("SOMETHING_NEW", FlowKind.OTHER),
    ],
)
def test_each_type_is_a_kind_and_an_unknown_one_explains_nothing(word: str, kind: FlowKind) -> None:
    assert [flow.kind for flow in flows(ledger(records(word)))] == [kind]


def test_a_trades_profit_and_its_commission_are_one_flow_and_margin_moves_are_none() -> None:
    [flow] = flows(ledger(records("CLOSE_LONG", amount="-12.5", fee="-0.6")))
    assert flow.amount == Decimal("-13.1")
    assert flows(ledger(records("INCREASE_MARGIN"))) == ()


def assets(*coins: dict[str, str]) -> dict[str, object]:
    figures = {"accountEquity": "1", "effEquity": "1", "mmr": "0", "imr": "0", "mgnRatio": "0", "unrealisedPnl": "-150"}
    return {**figures, "assets": list(coins)}


def coin(name: str, balance: str, equity: str, value: str) -> dict[str, str]:
    return {"coin": name, "balance": balance, "equity": equity, "usdValue": value, "debt": "0"}


def test_a_pool_tells_what_lies_in_each_coin_and_its_price() -> None:
    found = pool(assets(coin("USDT", "1200", "1050", "1049.895"), coin("BTC", "0.1", "0.1", "9000"))).balance.wallets
    assert [(each.coin, each.amount, each.price) for each in found] == [
        ("USDT", Decimal(1200), Decimal("0.9999")),
        ("BTC", Decimal("0.1"), Decimal(90_000)),
    ]


def test_a_coin_that_has_no_price_leaves_the_pools_wallets_unknown() -> None:
    assert pool(assets(coin("USDT", "1200", "0", "0"))).balance.wallets == ()

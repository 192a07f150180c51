"""Classic account bills as flows (Bitget reference, 7.10)."""

from decimal import Decimal

import pytest

from guardd.model.flow import FlowKind
from guardd.venues.bitget.classic.parse.flows import flows


def bill(kind: str, amount: str = "-1", fee: str = "0") -> dict[str, object]:
    row = {"billId": "1", "symbol": "", "amount": amount, "fee": fee, "feeByCoupon": "", "businessType": kind}
    return {"bills": [{**row, "coin": "usdt", "balance": "232.21", "cTime": "1695715200654"}], "endId": "1"}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("trans_from_exchange", FlowKind.TRANSFER),
        ("trans_to_contract", FlowKind.TRANSFER),
        ("contract_settle_fee", FlowKind.FUNDING),
        ("settle_interest", FlowKind.FEE),
        ("open_long", FlowKind.PNL),
        ("close_short", FlowKind.PNL),
        ("buy", FlowKind.PNL),
        ("force_close_long", FlowKind.PNL),
        ("burst_long_loss_query", FlowKind.PNL),
        ("adl_buy_in_single_side_mode", FlowKind.PNL),
        ("grant_airdrop", FlowKind.VOUCHER),
        ("something_new", FlowKind.OTHER),
    ],
)
def test_each_business_type_is_a_kind_and_an_unknown_one_explains_nothing(word: str, kind: FlowKind) -> None:
    assert [flow.kind for flow in flows(bill(word))] == [kind]


def test_a_trades_profit_and_its_commission_are_one_flow() -> None:
    [flow] = flows(bill("close_long", amount="-12.5", fee="-0.6"))
    assert (flow.amount, flow.kind, flow.currency) == (Decimal("-13.1"), FlowKind.PNL, "USDT")
    [opening] = flows(bill("open_long", amount="0", fee="-0.6"))
    assert (opening.amount, opening.kind) == (Decimal("-0.6"), FlowKind.FEE)


@pytest.mark.parametrize(
    "word", ["append_margin", "auto_append_margin", "reduce_margin", "adjust_down_lever_append_margin"]
)
def test_margin_that_moves_into_a_position_is_no_flow(word: str) -> None:
    assert flows(bill(word)) == ()


def test_a_ledger_without_rows_is_empty_however_that_is_written() -> None:
    assert flows({"bills": None, "endId": None}) == flows({"bills": []}) == ()

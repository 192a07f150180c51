"""BitMart's ledger as flows (reference, 6 and 8.7)."""

from decimal import Decimal

import pytest

from guardd.model.flow import FlowKind
from guardd.venues.bitmart.parse.account import LedgerRow, ledger
from guardd.venues.bitmart.parse.flows import flows
from tests.venues.bitmart import samples
from tests.venues.bitmart.bench import bench


def row(kind: str, amount: str = "-1", at_ms: int = 7) -> LedgerRow:
    return LedgerRow(id="9", kind=kind, symbol=None, currency="USDT", amount=Decimal(amount), at_ms=at_ms)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Transfer", FlowKind.TRANSFER),
        ("Realized PNL", FlowKind.PNL),
        ("Funding Fee", FlowKind.FUNDING),
        ("Commission Fee", FlowKind.FEE),
        ("Liquidation Clearance", FlowKind.PNL),
        ("Trading Bonus", FlowKind.VOUCHER),
        ("Something New", FlowKind.OTHER),
    ],
)
def test_each_type_of_the_ledger_is_a_kind_and_an_unknown_one_explains_nothing(word: str, kind: FlowKind) -> None:
    assert [flow.kind for flow in flows([row(word)])] == [kind]


def test_rows_that_share_an_id_or_are_equal_altogether_are_several_flows() -> None:
    found = flows([row("Transfer"), row("Commission Fee"), row("Commission Fee"), row("Commission Fee", at_ms=8)])
    assert len({flow.id for flow in found}) == 4
    again = flows([row("Commission Fee", at_ms=8), row("Commission Fee"), row("Transfer"), row("Commission Fee")])
    assert {flow.id for flow in again} == {flow.id for flow in found}


def test_the_documents_own_sample_is_a_transfer_and_a_fee() -> None:
    found = flows(ledger(samples.plain("transaction_history.json")["data"]))
    assert [(flow.kind, flow.amount) for flow in found] == [
        (FlowKind.TRANSFER, Decimal("-0.375")),
        (FlowKind.FEE, Decimal("-0.01")),
    ]


async def test_a_full_page_of_the_ledger_is_followed_by_the_one_that_ends_where_it_did() -> None:
    on = bench()

    def page(first_ms: int, rows: int) -> dict[str, object]:
        listed = [
            {
                "symbol": "",
                "type": "Transfer",
                "amount": "1",
                "asset": "USDT",
                "time": str(first_ms - at),
                "tran_id": f"{at}",
            }
            for at in range(rows)
        ]
        return {"code": 1000, "message": "Ok", "trace": "t", "data": listed}

    newest_ms = 1_700_000_000_000
    on.network.on("transaction-history", page(newest_ms, 1_000), page(newest_ms - 999, 3))
    found = await on.venue.ledger(since_ms=1)
    assert len(found) == 999 + 3, "the oldest millisecond is asked for again, whole"
    assert [asked.query["end_time"] for asked in on.network.sent("transaction-history")][1] == str(newest_ms - 999)

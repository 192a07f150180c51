"""What the fuzzers found, each as it was found: the field that was lost, and what may not be read into that."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from guardd.cli.given_position import read_snapshot
from guardd.config import load_settings
from guardd.errors import ConfigurationError, JournalError, PayloadError
from guardd.http.app import make_app
from guardd.journal.entry import Meant
from guardd.journal.store import open_store
from guardd.model.instant import Instant
from guardd.model.names import AccountName, Side, Symbol
from guardd.model.reading import Absent
from guardd.policy.cases.load import load_cases
from guardd.policy.cases.notation import Misread, read_samples
from guardd.policy.load import load_policy
from guardd.venues.bitget.classic.parse import account as classic_account
from guardd.venues.bitget.classic.parse import orders as classic_orders
from guardd.venues.bitget.classic.parse import plans as classic_plans
from guardd.venues.bitget.classic.parse.pushes import position_rows, read_push
from guardd.venues.bitget.classic.parse.words import Product
from guardd.venues.bitget.frames import Push
from guardd.venues.bitget.unified.parse import account as unified_account
from guardd.venues.bitget.unified.parse import strategy
from guardd.venues.bitmart import api as bitmart_api
from guardd.venues.bitmart.parse import orders as bitmart_orders
from guardd.venues.rows import Row, json_value
from guardd.venues.transport import EdgePage, NotSent, classify
from guardd.venues.wire import WireReply
from tests.fuzz import samples
from tests.http.test_app import BEARER, TOKEN, Heard
from tests.journal import making
from tests.simulator.dialect_bitget import bench as classic_bench

MAIN = AccountName("main")


def data_of(folder: str, name: str) -> Any:
    (text,) = samples.of(folder, name)
    return json.loads(text)["data"]


def test_a_number_whose_exponent_no_decimal_holds_is_no_json() -> None:
    with pytest.raises(PayloadError):
        json_value("frame", b'{"price": 1e999999999999999999999}')


def test_an_id_of_thousands_of_digits_is_no_id() -> None:
    with pytest.raises(PayloadError):
        Row("row", {"orderId": "9" * 5_000}).order_id("orderId")


@pytest.mark.parametrize("said", [None, "", "-"])
def test_a_foreign_stop_that_does_not_say_at_which_price_it_executes_is_no_market_stop(said: str | None) -> None:
    (row,) = data_of("bitmart", "current_plan_order")
    (found,) = bitmart_orders.plan_orders(MAIN, [row | {"executive_price": said}])
    assert found.execution_price == found.trigger_price
    (market,) = bitmart_orders.plan_orders(MAIN, [row | {"executive_price": "0"}])
    assert market.execution_price is None


@pytest.mark.parametrize("state", ["filled", "partially_filled"])
def test_a_filled_order_that_does_not_say_how_much_is_not_one_that_came_to_nothing(state: str) -> None:
    row = data_of("bitget", "order_detail") | {"state": state, "baseVolume": ""}
    with pytest.raises(PayloadError, match="baseVolume"):
        classic_orders.order_report(row)


def test_a_cancelled_order_with_an_average_price_was_filled_by_some_amount() -> None:
    row = data_of("bitget", "order_detail") | {"state": "canceled", "baseVolume": None, "priceAvg": "1900"}
    with pytest.raises(PayloadError, match="baseVolume"):
        classic_orders.order_report(row)
    assert classic_orders.order_report(row | {"priceAvg": ""}).filled == 0


def test_an_executed_plan_order_that_does_not_say_what_it_filled_is_not_reported_as_nothing() -> None:
    (row,) = data_of("bitget", "orders_plan_history")["entrustedList"]
    (ended,) = classic_plans.ended_plans({"entrustedList": [row | {"baseVolume": ""}]})
    with pytest.raises(PayloadError, match="baseVolume"):
        ended.report()
    (cancelled,) = classic_plans.ended_plans({"entrustedList": [row | {"baseVolume": "", "planStatus": "cancelled"}]})
    assert cancelled.report().filled == 0


def test_a_plan_order_that_filled_less_than_nothing_is_refused() -> None:
    (row,) = data_of("bitget", "orders_plan_history")["entrustedList"]
    with pytest.raises(PayloadError, match="baseVolume"):
        classic_plans.ended_plans({"entrustedList": [row | {"baseVolume": "-1"}]})


def test_an_answer_without_its_list_of_orders_is_not_an_empty_list() -> None:
    with pytest.raises(PayloadError, match="entrustedList"):
        classic_orders.reports({"endId": None})
    assert classic_orders.reports({"entrustedList": None}) == ()


def test_a_pool_that_is_not_given_is_not_the_coins_own_equity() -> None:
    (row, *_) = data_of("bitget", "account_list_union")
    (found,) = classic_account.balances(Product.USDT, [row | {"unionTotalMagin": "", "unionAvailable": ""}])
    assert found.equity is Absent.UNKNOWN
    assert found.available == 0


def test_a_pool_is_one_also_where_the_row_has_no_asset_mode() -> None:
    (row, *_) = data_of("bitget", "account_list_union")
    whole = classic_account.balances(Product.USDT, [row])
    assert whole == classic_account.balances(Product.USDT, [row | {"assetMode": None}])


@pytest.mark.parametrize("ratio", ["-1", "-0.5"])
def test_a_ratio_below_zero_is_not_a_calm_one(ratio: str) -> None:
    (row, *_) = data_of("bitget", "account_list_union")
    (found,) = classic_account.balances(Product.USDT, [row | {"crossedRiskRate": ratio}])
    assert found.margin_ratio is Absent.UNKNOWN
    pool = unified_account.pool(data_of("bitget-uta", "account_assets_at_risk") | {"mmr": ratio, "mgnRatio": ratio})
    assert pool.balance.maintenance is Absent.UNKNOWN
    assert pool.balance.margin_ratio is Absent.UNKNOWN


def test_a_push_of_plan_orders_without_a_status_is_not_one_that_waits() -> None:
    push = Push(
        channel="orders-algo", inst_type="USDT-FUTURES", selector="default", action="snapshot", rows=[{}], ts_ms=1
    )
    with pytest.raises(PayloadError, match="status"):
        read_push(MAIN, push, {}, position_rows())


def test_a_push_that_names_no_product_is_not_passed_over() -> None:
    push = Push(channel="positions", inst_type="", selector="default", action="snapshot", rows=[], ts_ms=1)
    with pytest.raises(PayloadError, match="instType"):
        read_push(MAIN, push, {}, position_rows())


def test_a_printed_ratio_of_zero_beside_an_unknown_maintenance_is_unknown() -> None:
    pool = unified_account.pool(data_of("bitget-uta", "account_assets_at_risk") | {"mmr": "", "mgnRatio": "0"})
    assert pool.balance.margin_ratio is Absent.UNKNOWN


def test_a_pool_that_does_not_say_what_is_in_use_has_nothing_free() -> None:
    assets = data_of("bitget-uta", "account_assets_at_risk")
    balance = unified_account.pool(assets | {"imr": ""}).balance
    assert balance.available <= 0
    assert balance.position_margin > Decimal(assets["imr"])
    with pytest.raises(PayloadError, match="imr"):
        unified_account.pool({})


def test_a_coin_without_a_balance_makes_the_wallets_unknown() -> None:
    assets = data_of("bitget-uta", "account_assets_flat")
    first, *others = assets["assets"]
    found = unified_account.pool(assets | {"assets": [first | {"balance": ""}, *others]})
    assert found.balance.wallets == ()


def test_a_limit_price_without_a_kind_of_order_is_a_limit() -> None:
    row = data_of("bitget-uta", "history_strategy_orders")["list"][0] | {"slOrderType": ""}
    (found,) = strategy.strategies([row])
    assert found.legs[0].limit_price == Decimal(111_000)


def test_what_stands_in_the_history_of_strategy_orders_does_not_rest() -> None:
    data = data_of("bitget-uta", "history_strategy_orders")
    assert [each.rests for each in strategy.past_page(data)[0]] == [False]
    assert [each.rests for each in strategy.strategies(data["list"])] == [True]


def test_a_side_that_the_two_triggers_contradict_is_not_taken_for_the_closing_one() -> None:
    (row,) = data_of("bitget-uta", "unfilled_strategy_orders_documented")
    (found,) = strategy.strategies([row | {"posSide": "", "side": "buy"}])
    assert found.side is None
    (found,) = strategy.strategies([row | {"posSide": "", "side": "sell"}])
    assert found.side is Side.LONG
    assert strategy.plans_of(MAIN, found, {Symbol("BTCUSDT"): Side.LONG})


@pytest.mark.parametrize(
    "body", [b'{"code":1000,"a":"\xff"}', b'{"code":"\xff"}', b'{"code":1000,"a":' + b"[" * 100_000]
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_answer_that_is_no_text_leaves_the_outcome_open_and_raises_nothing(body: bytes, status: int) -> None:
    reply = WireReply(status=status, headers={}, body=body, sent_ns=1, received=Instant(1, 1))
    assert not isinstance(classify(reply, bitmart_api.DIALECT), EdgePage | NotSent)


# Files and inputs


@pytest.mark.parametrize(
    ("column", "text"), [("text", "{"), ("stage", "gone"), ("filled", "NaN"), ("filled", "-Infinity")]
)
def test_a_row_of_the_journal_that_makes_no_sense_is_told_as_one(column: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    store = open_store(file)
    store.append([Meant(intent=making.intent())])
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(f"UPDATE intent SET {column} = ?", (text,))
    with pytest.raises(JournalError, match="journal"):
        store.recall(making.MAIN, making.START_MS)
    store.close()


@pytest.mark.parametrize("reset", ["inf", "nan", "-1", "1e300"])
def test_a_window_without_an_end_is_no_window(reset: str) -> None:
    told = {"x-bm-ratelimit-remaining": "1", "x-bm-ratelimit-limit": "12", "x-bm-ratelimit-reset": reset}
    assert bitmart_api.DIALECT.usage(told) is None
    assert bitmart_api.DIALECT.usage(told | {"x-bm-ratelimit-reset": "2"}) is not None


def test_a_series_repeated_more_often_than_a_number_can_say_is_misread() -> None:
    assert isinstance(read_samples(f"90000x{'9' * 5_000}"), Misread)


@pytest.mark.parametrize(
    "changes", [{"side": "up"}, {"margin_mode": ["isolated"]}, {"quantity": "NaN"}, {"quantity": 1e999}]
)
def test_a_saved_status_with_a_strange_word_or_number_is_refused(changes: dict[str, object], tmp_path: Path) -> None:
    row = {"symbol": "BTCUSDT", "side": "long", "quantity": "1", "entry_price": "90000"} | changes
    file = tmp_path / "now.json"
    file.write_text(json.dumps({"accounts": [{"name": "main", "positions": [row]}]}))
    with pytest.raises(ConfigurationError):
        read_snapshot(file)


@pytest.mark.parametrize("body", ["[" * 100_000, '{"accounts": 1e999999999999999999999}'])
def test_a_saved_status_that_no_reader_can_hold_is_refused(body: str, tmp_path: Path) -> None:
    file = tmp_path / "now.json"
    file.write_text(body)
    with pytest.raises(ConfigurationError):
        read_snapshot(file)


async def test_a_body_nested_without_end_is_told_to_be_no_json() -> None:
    heard = Heard()
    app = make_app(sources=heard.sources(), operator=heard.operator(TOKEN))
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/halt", headers=BEARER, data="[" * 2_000)
        assert answer.status == 400
    assert heard.words == []


@pytest.mark.parametrize("listed", ["5", "true", '"x"', "{}"])
def test_the_simulator_refuses_a_batch_that_is_no_list(listed: str) -> None:
    body = f'{{"symbol":"BTCUSDT","productType":"USDT-FUTURES","marginCoin":"USDT","marginMode":"crossed","orderList":{listed}}}'
    bench = classic_bench.Bench()
    path = "order/batch-place-order"
    got = bench.send("POST", path, headers=bench.headers("POST", path, body=body), body=body.encode())
    assert got.status == 400


@pytest.mark.parametrize("text", ["5: x", "mode: observe\n~: 1", "mode: 2026-99-99", "[" * 1_000, "? [a]\n: 1"])
def test_settings_that_yaml_reads_as_something_else_are_refused_with_their_place(text: str, tmp_path: Path) -> None:
    file = tmp_path / "guardd.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"guardd\.yaml"):
        load_settings(file, environ={}, dotenv=None)


@pytest.mark.parametrize("text", ["[" * 1_000, "{a: " * 3_000, "version: 2026-99-99", "5: x", "? [a]\n: 1"])
def test_policies_and_cases_that_yaml_reads_as_something_else_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        load_policy(text, source="policy.yaml")
    with pytest.raises(ConfigurationError):
        load_cases(text, source="cases.yaml")

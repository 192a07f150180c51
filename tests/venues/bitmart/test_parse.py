"""Quirks of the venue's payloads, and the law that a malformed one is an error, never a crash and never a safe value."""

import copy
import gzip
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import PayloadError
from guardd.model.event import MarkSeen
from guardd.model.instant import Instant
from guardd.model.names import AccountName, Side, Symbol
from guardd.model.order import Direction, OrderAction, PlanForm, ProtectionKind
from guardd.model.reading import Absent
from guardd.venues.bitmart.parse import account, market, orders
from guardd.venues.bitmart.parse.envelope import envelope
from guardd.venues.bitmart.parse.frames import frame_text, parse_frame
from guardd.venues.bitmart.parse.ticker import ticker
from guardd.venues.rows import Row, json_value
from tests.venues.bitmart import samples

MAIN = AccountName("main")
BTC = Symbol("BTCUSDT")
AT = Instant(1, 2)
LONG_AND_SHORT = "constructed_position_v2_hedge_long_short.json"


def position_row(**changes: object) -> dict[str, Any]:
    return {**samples.plain(LONG_AND_SHORT)["data"][0], **changes}


def one_position(**changes: object) -> Any:
    (position,) = account.positions_v2(MAIN, [position_row(**changes)], {}).positions
    return position


def plan_row(**changes: object) -> dict[str, Any]:
    return {**samples.plain("current_plan_order.json")["data"][0], **changes}


def one_plan(**changes: object) -> Any:
    row = {name: value for name, value in plan_row(**changes).items() if value is not ...}
    (plan,) = orders.plan_orders(MAIN, [row])
    return plan


def order_push(**changes: object) -> Any:
    frame = samples.plain("ws_order.json")
    frame["data"][0]["action"] = changes.pop("action", 1)
    frame["data"][0]["order"] |= changes
    (push,) = parse_frame(MAIN, json.dumps(frame), AT)  # type: ignore[misc]
    return push.update


@pytest.mark.parametrize("text", ["0", "", "-", "0.0", "-5", None, 0])
def test_a_liquidation_price_that_is_not_given_is_unknown_never_safe(text: object) -> None:
    assert one_position(liquidation_price=text).liquidation_price is Absent.UNKNOWN


def test_a_missing_liquidation_price_is_unknown() -> None:
    row = position_row()
    del row["liquidation_price"]
    (position,) = account.positions_v2(MAIN, [row], {}).positions
    assert position.liquidation_price is Absent.UNKNOWN


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e99", "1_000", "abc", "١٢", " 1", "0x1", [], {}, True, "1e-40"])
@pytest.mark.parametrize("name", ["liquidation_price", "mark_price", "entry_price", "current_amount", "unrealized_pnl"])
def test_I19_what_is_no_plain_decimal_is_a_payload_error(name: str, text: object) -> None:
    with pytest.raises(PayloadError, match=rf"position-v2\.data\[0\]\.{name}"):
        one_position(**{name: text})


@pytest.mark.parametrize("name", ["current_amount", "entry_price", "position_side", "open_type", "timestamp", "symbol"])
def test_a_position_without_a_figure_that_it_must_have_is_a_payload_error(name: str) -> None:
    row = position_row()
    del row[name]
    with pytest.raises(PayloadError, match=name):
        account.positions_v2(MAIN, [row], {})


def test_a_fraction_of_a_contract_is_a_payload_error() -> None:
    with pytest.raises(PayloadError, match="whole number of contracts"):
        one_position(current_amount="1.5")


def test_two_rows_of_one_position_are_a_payload_error() -> None:
    with pytest.raises(PayloadError, match="second row"):
        account.positions_v2(MAIN, [position_row(), position_row()], {})


@pytest.mark.parametrize(("amount", "side"), [("250", Side.LONG), ("-250", Side.SHORT)])
def test_a_one_way_positions_side_is_the_sign_of_its_amount(amount: str, side: Side) -> None:
    assert one_position(position_side="both", position_amount=amount).key.side is side


@pytest.mark.parametrize("amount", ["0", "", None])
def test_a_one_way_position_without_a_sign_is_left_to_the_other_call(amount: object) -> None:
    rows = [position_row(position_side="both", position_amount=amount)]
    assert account.positions_v2(MAIN, rows, {}).undirected == (BTC,)
    (position,) = account.positions_v2(MAIN, rows, {BTC: Side.SHORT}).positions
    assert position.key.side is Side.SHORT


def test_a_side_stated_elsewhere_never_turns_a_hedge_leg() -> None:
    (position,) = account.positions_v2(MAIN, [position_row(position_side="long")], {BTC: Side.SHORT}).positions
    assert position.key.side is Side.LONG


@pytest.mark.parametrize(
    ("stamp", "ms"), [(1712390438, 1712390438000), (1712390438123, 1712390438123), ("1712390438", 1712390438000)]
)
def test_a_timestamp_below_ten_to_the_eleven_is_seconds(stamp: object, ms: int) -> None:
    assert Row("x", {"t": stamp}).milliseconds("t") == ms


def test_prices_keep_more_than_twenty_digits() -> None:
    assert one_position(entry_price="18584.272343943943943944339").entry_price == Decimal("18584.272343943943943944339")


def test_a_balance_backed_by_other_coins_says_so() -> None:
    rows = samples.plain("assets_detail.json")["data"]
    rows[1]["equity"] = "0.5"
    assert account.balance(rows).foreign_collateral


def test_a_balance_without_the_settlement_coin_is_a_payload_error() -> None:
    with pytest.raises(PayloadError, match="0 rows of USDT"):
        account.balance(samples.plain("assets_detail.json")["data"][1:])


@pytest.mark.parametrize("quote", ["USD", "USDC"])
def test_a_contract_in_another_coin_is_not_guardable(quote: str) -> None:
    rows = samples.plain("contract_details.json")["data"]
    rows["symbols"][0]["quote_currency"] = quote
    assert not market.contracts(rows)[0].guardable


def test_the_step_is_read_under_both_of_its_names() -> None:
    rows = samples.plain("contract_details.json")["data"]
    rows["symbols"][0]["volume_precision"] = rows["symbols"][0].pop("vol_precision")
    assert market.contracts(rows)[0].step == 1


def test_brackets_with_a_gap_are_a_payload_error() -> None:
    rows = samples.plain("leverage_bracket.json")["data"]
    del rows["rules"][0]["brackets"][3]
    with pytest.raises(PayloadError, match="without a gap"):
        market.leverage_brackets(rows)


def test_documented_brackets_have_continuous_maintenance_margin() -> None:
    (tiers,) = market.leverage_brackets(samples.plain("leverage_bracket.json")["data"]).values()
    for lower, upper in pairwise(tiers):
        assert lower.cap * lower.rate - lower.deduction == upper.floor * upper.rate - upper.deduction


@pytest.mark.parametrize(
    ("changes", "form", "size"),
    [
        ({"plan_category": 2}, PlanForm.WHOLE, None),
        ({"plan_category": 1, "size": "30"}, PlanForm.SIZED, Decimal(30)),
        ({"plan_category": ..., "size": "30"}, PlanForm.SIZED, Decimal(30)),
        ({"plan_category": ..., "size": ""}, PlanForm.WHOLE, None),
        ({"type": "plan", "size": "30"}, PlanForm.PLAN, Decimal(30)),
    ],
)
def test_a_plan_order_covers_what_its_category_says_and_never_more(
    changes: dict[str, Any], form: PlanForm, size: Decimal | None
) -> None:
    plan = one_plan(**changes)
    assert (plan.form, plan.size) == (form, size)


@pytest.mark.parametrize("state", [1, 2, 4, "active"])
def test_membership_in_the_plan_list_counts_not_the_state(state: object) -> None:
    assert one_plan(state=state).order_id == "220908185908509"


@pytest.mark.parametrize("price", ["0", 0, "Market", "market price"])
def test_a_plan_order_whose_execution_price_says_so_is_a_market_order(price: object) -> None:
    assert one_plan(executive_price=price).execution_price is None


@pytest.mark.parametrize("price", ["", "-", None, ...])
def test_a_plan_order_that_names_no_execution_price_is_a_market_order_only_where_it_is_said_or_ours(
    price: object,
) -> None:
    assert one_plan(executive_price=price).execution_price == Decimal(14277)
    assert one_plan(executive_price=price, category="market").execution_price is None
    assert one_plan(executive_price=price, client_order_id="gd1abc").execution_price is None


def test_an_execution_price_at_the_trigger_means_market_only_where_it_is_said_or_ours() -> None:
    assert one_plan().execution_price == Decimal(14277)
    assert one_plan(category="market").execution_price is None
    assert one_plan(client_order_id="gd1abc").execution_price is None
    assert one_plan(client_order_id="gd1abc", category="limit").execution_price == Decimal(14277)


@pytest.mark.parametrize(
    ("side", "way", "kind"),
    [
        (3, 2, ProtectionKind.STOP_LOSS),
        (3, 1, ProtectionKind.TAKE_PROFIT),
        (2, 1, ProtectionKind.STOP_LOSS),
        (2, 2, ProtectionKind.TAKE_PROFIT),
        (1, 2, None),
        (4, 1, None),
    ],
)
def test_a_plain_plan_order_protects_by_the_way_its_price_has_to_go(side: int, way: int, kind: object) -> None:
    assert one_plan(type="plan", side=side, price_way=way).protection is kind


def test_the_direction_of_a_stop_is_derived_where_it_is_not_said() -> None:
    assert one_plan(price_way=...).direction is Direction.FALLS
    assert one_plan(price_way=..., side=2).direction is Direction.RISES


@pytest.mark.parametrize(
    ("number", "action"),
    [
        (1, OrderAction.FILLED),
        (2, OrderAction.SUBMITTED),
        (3, OrderAction.CANCELLED),
        *((n, OrderAction.LIQUIDATION) for n in (4, 6, 7)),
        *((n, OrderAction.ADL) for n in (5, 8, 9)),
    ],
)
def test_forced_reductions_keep_their_kind(number: int, action: OrderAction) -> None:
    assert order_push(action=number).action is action


def test_an_order_born_of_a_plan_names_its_parent_by_field_or_by_client_id() -> None:
    assert order_push().plan_order_id == "220901412155341"
    assert order_push(plan_order_id="", client_order_id="PLAN_77").plan_order_id == "77"
    assert order_push(plan_order_id="").plan_order_id is None


@pytest.mark.parametrize(
    ("changes", "live"), [({"state": 2}, True), ({"state": 4}, False), ({"deal_size": "1000"}, False)]
)
def test_a_pushed_order_is_live_until_it_is_finished_or_filled(changes: dict[str, Any], live: bool) -> None:
    assert order_push(**changes).live is live


def test_a_report_of_more_filled_than_ordered_is_a_payload_error() -> None:
    row = {**samples.plain("order.json")["data"], "deal_size": "1001"}
    with pytest.raises(PayloadError, match="deal_size"):
        orders.order_report(row)


def test_an_envelope_takes_its_text_from_either_key_and_its_code_from_text() -> None:
    assert envelope("x", '{"code":"1000","msg":"Ok"}').ok
    assert envelope("x", '{"code":30000,"msg":"Not found"}').text == "Not found"


@pytest.mark.parametrize(
    "body", ["", "null", "[]", "1", "{}", '{"code":null}', '{"code":1000.0}', "<html>", "[" * 5000, b"\xff"]
)
def test_a_body_that_is_no_envelope_is_a_payload_error(body: str | bytes) -> None:
    with pytest.raises(PayloadError):
        envelope("x", body)


# prices


def test_the_old_name_of_the_mark_is_read_too() -> None:
    seen = ticker('{"group":"futures/ticker:X","data":{"symbol":"X","fair_price":"5"}}', AT)
    assert seen == MarkSeen(Symbol("X"), Decimal(5), AT)


@pytest.mark.parametrize("mark", ["", "0", "-", "-1", "NaN", "Infinity", "abc", "1e40", "0e0"])
def test_a_price_frame_without_a_mark_is_a_payload_error_never_another_price(mark: str) -> None:
    frame = {"group": "futures/ticker:X", "data": {"symbol": "X", "mark_price": mark, "last_price": "5"}}
    with pytest.raises(PayloadError):
        ticker(json.dumps(frame), AT)


@pytest.mark.parametrize("mark", [5, 5.0, True, [], {}])
def test_a_mark_of_another_json_type_is_no_mark(mark: object) -> None:
    frame = json.dumps({"group": "futures/ticker:X", "data": {"symbol": "X", "mark_price": mark}})
    assert ticker(frame, AT) is None


@pytest.mark.parametrize("other", ["", "0", "-"])
def test_prices_beside_the_mark_may_be_absent(other: str) -> None:
    frame = {"group": "futures/ticker:X", "data": {"symbol": "X", "mark_price": "5", "index_price": other}}
    seen = ticker(json.dumps(frame), AT)
    assert seen is not None
    assert seen.index is None


@pytest.mark.parametrize("other", ["", "-", "0", "-1", "NaN", "sNaN", "Infinity", "abc", "1e40", "1e-40"])
@pytest.mark.parametrize("name", ["index", "last", "bid", "ask"])
def test_I28_a_price_beside_the_mark_that_is_none_is_unknown_and_witnesses_nothing(name: str, other: str) -> None:
    whole = {
        "symbol": "X",
        "mark_price": "5",
        "index_price": "6",
        "last_price": "6",
        "bid_price": "6",
        "ask_price": "6",
    }
    frame = json.dumps({"group": "futures/ticker:X", "data": {**whole, f"{name}_price": other}})
    seen = ticker(frame, AT)
    assert seen is not None
    told = {each: getattr(seen, each) for each in ("index", "last", "bid", "ask")}
    assert told == {**dict.fromkeys(told, Decimal(6)), name: None}
    assert (seen.mark, getattr(seen, name)) == (5, None)  # asked for again


def test_deflated_and_gzipped_frames_are_read() -> None:
    text = samples.text("ws_pong.json").encode()
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    for packed in (zlib.compress(text), gzip.compress(text), raw.compress(text) + raw.flush()):
        assert frame_text(packed) == text


def test_a_binary_frame_that_does_not_inflate_or_never_ends_is_a_payload_error() -> None:
    for packed in (b"\x00\x01\x02", zlib.compress(b"a" * 1000)[:-6], zlib.compress(b"a" * 10_000_000)):
        with pytest.raises(PayloadError):
            frame_text(packed)


# the law

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(
        ["0", "-", "", "1e9999", "NaN", "1.5", "-3", "long", "Trading", "BTCUSDT", 0, 1, 2, 3, 4, 10**30]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
READERS: dict[str, tuple[Callable[[Any], object], ...]] = {
    "assets_detail.json": (account.balance,),
    LONG_AND_SHORT: (
        lambda data: account.positions_v2(MAIN, data, {}),
        account.one_way_sides,
        account.marks_v2,
        account.leverages_v2,
    ),
    "position.json": (account.sides_v1,),
    "position_risk.json": (account.position_risk, account.marks_risk),
    "get_position_mode.json": (account.position_mode,),
    "transaction_history.json": (account.ledger,),
    "transfer_contract_list.json": (account.transfers,),
    "contract_details.json": (market.contracts,),
    "leverage_bracket.json": (market.leverage_brackets,),
    "markprice_kline.json": (market.newest_mark_close,),
    "trade_fee_rate.json": (market.taker_fee_rate,),
    "system_time.json": (market.server_time_ms,),
    "system_service.json": (market.service_notices,),
    "get_open_orders.json": (lambda data: orders.resting_orders(MAIN, data), orders.may_be_cut_off),
    "current_plan_order.json": (lambda data: orders.plan_orders(MAIN, data),),
    "order.json": (orders.order_report,),
    "order_history.json": (orders.reports,),
    "trades.json": (lambda data: orders.fills(MAIN, data),),
}
FRAMES = [
    "ws_position.json",
    "ws_order.json",
    "ws_asset.json",
    "ws_ticker.json",
    "ws_login_failed.json",
    "ws_pong.json",
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [path, *(place for at, each in inner for place in _places(each, (*path, at)))]


def _changed(value: Any, path: tuple[Any, ...], new: object, *, drop: bool) -> Any:
    if not path:
        return new
    value = copy.deepcopy(value)
    holder = value
    for at in path[:-1]:
        holder = holder[at]
    if drop and isinstance(holder, dict):
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return value


@pytest.mark.parametrize("name", sorted(READERS))
@given(choice=st.data())
def test_a_mutated_answer_is_read_or_is_a_payload_error(name: str, choice: st.DataObject) -> None:
    data = samples.plain(name)["data"]
    path = choice.draw(st.sampled_from(_places(data)))
    mutated = _changed(data, path, choice.draw(_JSON), drop=choice.draw(st.booleans()))
    value = json_value("fuzz", json.dumps(mutated))
    for read in READERS[name]:
        with suppress(PayloadError):
            read(value)


@pytest.mark.parametrize("name", FRAMES)
@given(choice=st.data())
def test_a_mutated_frame_is_read_or_is_a_payload_error(name: str, choice: st.DataObject) -> None:
    frame = samples.plain(name)
    path = choice.draw(st.sampled_from(_places(frame)))
    text = json.dumps(_changed(frame, path, choice.draw(_JSON), drop=choice.draw(st.booleans())))
    with suppress(PayloadError):
        seen = ticker(text, AT)
        if seen is None:
            parse_frame(MAIN, text, AT)
        else:
            assert seen.mark > 0


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_random_bytes_are_a_payload_error_or_an_answer(raw: bytes | str) -> None:
    for read in (lambda: envelope("x", raw), lambda: ticker(raw, AT), lambda: parse_frame(MAIN, frame_text(raw), AT)):
        with suppress(PayloadError):
            read()

"""V2's words made into guardd's: what a field may look like, and what is never read as something safe."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.errors import PayloadError
from guardd.model.names import MarginMode, PositionKey, PriceType, Side, Symbol
from guardd.model.order import Direction, OrderAction, PlanForm, ProtectionKind, RestingKind
from guardd.model.position import PositionUpdate
from guardd.model.reading import Absent, Reading
from guardd.venues.bitget.classic.parse import account, market, orders, plans, positions, pushes
from guardd.venues.bitget.classic.parse.plans import Surroundings
from guardd.venues.bitget.classic.parse.words import Product
from guardd.venues.bitget.frames import Push
from guardd.venues.repeated import RepeatedFields
from guardd.venues.rows import Row
from tests.venues.bitget.classic import samples
from tests.venues.bitget.classic.bench import LONG_BTC, MAIN, SHORT_BTC, dec, plan, row

NOWHERE = Surroundings(one_way={}, marks={})
BTC = Symbol("BTCUSDT")
ONE_WAY = {"posMode": "one_way_mode", "posSide": "net"}


# Contracts and tiers


def contract(product: Product = Product.USDT, **fields: object) -> market.Contract:
    documented = samples.data("contracts.json")[0]
    return market.contracts(product, [{**documented, **fields}])[0]


@pytest.mark.parametrize(
    ("places", "end_step", "tick"), [("1", "1", "0.1"), ("1", "5", "0.5"), ("0", "1", "1"), ("4", "10", "0.0010")]
)
def test_the_tick_is_the_end_step_of_the_last_decimal(places: str, end_step: str, tick: str) -> None:
    assert contract(pricePlace=places, priceEndStep=end_step).tick == dec(tick)


@pytest.mark.parametrize(
    ("multiplier", "places", "step"), [("0.0001", "4", "0.0001"), ("0.001", "2", "0.01"), ("5", "0", "5")]
)
def test_the_step_is_the_size_multiplier_in_the_decimals_that_are_taken(
    multiplier: str, places: str, step: str
) -> None:
    assert contract(sizeMultiplier=multiplier, volumePlace=places).step == dec(step)


@pytest.mark.parametrize(
    ("status", "closable"),
    [("normal", True), ("limit_open", True), ("maintain", False), ("restrictedAPI", False), ("off", False)],
)
def test_a_contract_that_still_takes_closes_is_tradable(status: str, closable: bool) -> None:
    found = contract(symbolStatus=status)
    assert found.instrument(tiers=(), taker_fee=dec("0.0006")).tradable is closable
    assert bool(found.trouble) is (status != "normal")


def test_a_status_that_nobody_published_is_told_and_not_taken_for_tradable() -> None:
    found = contract(symbolStatus="asleep")
    assert not found.closable
    assert "asleep" in found.trouble


def test_what_cannot_be_guarded_comes_with_its_reason() -> None:
    assert "Coin-M" in contract(Product.COIN, symbol="BTCUSD").unguarded
    assert contract(Product.COIN, symbol="BTCUSD", supportMarginCoins=["BTC"]).settle == "BTC"
    assert "delivery" in contract(symbolType="delivery").unguarded
    assert "USDT" in contract(supportMarginCoins=["USDC"]).unguarded
    assert contract().unguarded == ""


def test_the_maintenance_of_the_tiers_is_continuous() -> None:
    tiers = market.margin_tiers(samples.data("position_tiers.json"))
    for lower, upper in pairwise(tiers):
        assert lower.cap * lower.rate - lower.deduction == upper.floor * upper.rate - upper.deduction


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"startUnit": "10", "endUnit": "20", "leverage": "5", "keepMarginRate": "0.01"}],
        [
            {"startUnit": "0", "endUnit": "20", "leverage": "5", "keepMarginRate": "0.01"},
            {"startUnit": "30", "endUnit": "40", "leverage": "4", "keepMarginRate": "0.02"},
        ],
        [
            {"startUnit": "0", "endUnit": "20", "leverage": "5", "keepMarginRate": "0.02"},
            {"startUnit": "20", "endUnit": "40", "leverage": "4", "keepMarginRate": "0.01"},
        ],
        [{"startUnit": "0", "endUnit": "20", "leverage": "5", "keepMarginRate": "1"}],
    ],
)
def test_tiers_with_a_gap_or_a_falling_rate_are_no_tiers(rows: list[dict[str, str]]) -> None:
    with pytest.raises(PayloadError):
        market.margin_tiers(rows)


# Positions


def held(**fields: object) -> positions.HeldRow:
    return positions.held_rows(MAIN, Product.USDT, [row(**fields)], asked_ms=9)[0]


def test_the_maintenance_of_a_position_is_the_rate_on_its_value() -> None:
    position = held(total="0.5", markPrice="40000", keepMarginRate="0.004").position
    assert (dec(20000), dec(80)) == (position.notional, position.maintenance_margin)


def test_the_maintenance_of_the_documented_isolated_position_is_what_its_ratio_says() -> None:
    found = positions.held_rows(MAIN, Product.USDT, samples.data("single_position_isolated.json"), asked_ms=9)[0]
    reckoned = positions.isolated_maintenance(found, dec("0.0006"))
    assert isinstance(reckoned, Decimal)
    assert abs(reckoned - dec("1.004")) < dec("1e-12")


def test_a_ratio_tells_a_maintenance_below_the_rate_on_the_whole_value_and_never_one_above() -> None:
    fields = {"total": "2", "markPrice": "50000", "keepMarginRate": "0.005", "marginSize": "5000", "unrealizedPL": "0"}
    below = held(**fields, marginRatio=str((dec(450) + dec(60)) / 5000))
    assert positions.isolated_maintenance(below, dec("0.0006")) == dec(450)
    for ratio in (str((dec(550) + dec(60)) / 5000), "0", ""):
        assert positions.isolated_maintenance(held(**fields, marginRatio=ratio), dec("0.0006")) == dec(500)
    cross = held(**fields, marginRatio="0.1", marginMode="crossed")
    assert positions.isolated_maintenance(cross, dec("0.0006")) == dec(500)


def test_a_row_without_a_time_of_its_own_is_dated_by_the_question() -> None:
    fields = row()
    del fields["uTime"]
    assert positions.held_rows(MAIN, Product.USDT, [fields], asked_ms=77)[0].position.venue_ms == 77


def test_a_row_of_total_zero_is_no_position_and_two_rows_of_one_are_an_error() -> None:
    assert positions.held_rows(MAIN, Product.USDT, [row(total="0")], asked_ms=9) == ()
    assert positions.held_rows(MAIN, Product.USDT, None, asked_ms=9) == ()
    with pytest.raises(PayloadError, match="second row"):
        positions.held_rows(MAIN, Product.USDT, [row(), row()], asked_ms=9)


def test_the_money_of_a_coin_margined_row_is_unknown_and_its_position_is_there() -> None:
    found = positions.held_rows(MAIN, Product.COIN, [row(symbol="BTCUSD", marginCoin="BTC")], asked_ms=9)[0]
    assert found.position.quantity == dec("0.01")
    unit_less = (found.position.notional, found.position.margin, found.position.maintenance_margin)
    assert unit_less == (Absent.UNKNOWN, Absent.UNKNOWN, Absent.UNKNOWN)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("crossed", MarginMode.CROSS),
        ("cross", MarginMode.CROSS),
        ("isolated", MarginMode.ISOLATED),
        ("fixed", MarginMode.ISOLATED),
    ],
)
def test_the_margin_mode_is_read_in_all_of_its_spellings(text: str, mode: MarginMode) -> None:
    assert held(marginMode=text).position.margin_mode is mode


def test_symbols_in_lower_case_are_the_same_symbols() -> None:
    assert held(symbol="btcusdt").position.key == LONG_BTC


# Wallets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("111,1", dec("111.1")),
        ("1,111.5", dec("1111.5")),
        ("1,234,567", dec(1234567)),
        ("12345,67", dec("12345.67")),
        ("111,111", Absent.UNKNOWN),
        ("1,1,1", Absent.UNKNOWN),
        ("42.5", dec("42.5")),
        ("", Absent.UNKNOWN),
    ],
)
def test_an_amount_with_a_comma_is_read_where_it_can_mean_one_thing_only(text: str, expected: Reading) -> None:
    assert account.amount(Row("row", {"unionTotalMargin": text}), "unionTotalMargin") == expected


def wallet(**fields: object) -> dict[str, object]:
    return {**samples.data("account_list_single_mode.json")[0], **fields}


def test_what_positions_hold_is_the_rest_where_the_venue_gives_no_sum_of_it() -> None:
    found = account.balances(
        Product.USDT, [wallet(accountEquity="1000", available="700", locked="50", unrealizedPL="20")]
    )[0]
    assert found.position_margin == dec(230)


def test_other_coins_in_a_linear_line_are_collateral_and_no_balances_of_their_own() -> None:
    rows = [wallet(), wallet(marginCoin="BTC")]
    assert [each.currency for each in account.balances(Product.USDT, rows)] == ["USDT"]
    assert [each.currency for each in account.balances(Product.COIN, rows)] == ["USDT", "BTC"]


def test_the_parts_of_the_unrealised_profit_stand_for_their_sum() -> None:
    fields = {"unrealizedPL": "", "crossedUnrealizedPL": "5", "isolatedUnrealizedPL": "-2"}
    assert account.balances(Product.USDT, [wallet(**fields)])[0].unrealized_pnl == dec(3)


@pytest.mark.parametrize(
    ("rights", "trades", "withdraws"),
    [(["readonly"], False, False), (["trade", "readonly"], True, False), (["trade", "withdraw"], True, True)],
)
def test_the_rights_of_a_key_are_read_by_their_words(rights: list[str], trades: bool, withdraws: bool) -> None:
    found = account.rights({"authorities": rights, "ips": ""})
    assert (trades, withdraws, ()) == (found.may_trade, found.may_withdraw, found.ips)


# Plain orders


@pytest.mark.parametrize(
    ("fields", "key", "closes"),
    [
        ({"posMode": "hedge_mode", "posSide": "long", "side": "buy", "tradeSide": "open"}, LONG_BTC, False),
        ({"posMode": "hedge_mode", "posSide": "long", "side": "buy", "tradeSide": "close"}, LONG_BTC, True),
        ({"posMode": "hedge_mode", "posSide": "short", "side": "sell", "tradeSide": "close"}, SHORT_BTC, True),
        ({"posMode": "hedge_mode", "posSide": "", "side": "sell", "tradeSide": "close"}, SHORT_BTC, True),
        ({**ONE_WAY, "side": "buy", "tradeSide": "buy_single", "reduceOnly": "NO"}, LONG_BTC, False),
        ({**ONE_WAY, "side": "sell", "tradeSide": "sell_single", "reduceOnly": "YES"}, LONG_BTC, True),
        ({**ONE_WAY, "side": "buy", "tradeSide": "buy_single", "reduceOnly": "yes"}, SHORT_BTC, True),
        ({**ONE_WAY, "side": "sell", "tradeSide": "sell_single", "reduceOnly": "NO"}, SHORT_BTC, False),
        ({**ONE_WAY, "side": "sell", "tradeSide": "burst_sell_single", "reduceOnly": "NO"}, LONG_BTC, True),
    ],
)
def test_which_position_an_order_is_about_follows_the_mode(
    fields: dict[str, str], key: PositionKey, closes: bool
) -> None:
    documented = samples.data("orders_pending.json")["entrustedList"][0]
    found = orders.resting_orders(MAIN, {"entrustedList": [{**documented, "symbol": "BTCUSDT", **fields}]})[0]
    assert (key, closes, RestingKind.LIMIT) == (found.key, found.closes, found.kind)


def test_an_order_filled_beyond_its_size_is_an_error() -> None:
    documented = samples.data("order_detail.json")
    with pytest.raises(PayloadError):
        orders.order_report({**documented, "baseVolume": "3"})


@pytest.mark.parametrize("state", ["live", "partially_filled", "filled", "canceled", "cancelled"])
def test_the_states_of_an_order_are_known(state: str) -> None:
    documented = samples.data("order_detail.json")
    assert orders.order_report({**documented, "state": state}).live is (state in {"live", "partially_filled"})


def test_a_state_that_nobody_published_is_an_error_and_no_end() -> None:
    with pytest.raises(PayloadError):
        orders.order_report({**samples.data("order_detail.json"), "state": "resting_in_peace"})


def test_the_next_page_begins_below_the_smallest_id_of_this_one() -> None:
    rows = [{"orderId": each} for each in ("1010", "999", "1005")]
    page = orders.page_of({"entrustedList": rows}, "entrustedList", "orderId")
    assert (page.rows, page.below, page.full) == (3, "999", False)


# Plan orders


def read(*rows: dict[str, object], around: Surroundings = NOWHERE) -> list[plans.PlanRow]:
    return list(plans.plan_rows(MAIN, {"entrustedList": list(rows)}, around))


@pytest.mark.parametrize(
    ("plan_type", "protection", "form"),
    [
        ("pos_loss", ProtectionKind.STOP_LOSS, PlanForm.WHOLE),
        ("pos_profit", ProtectionKind.TAKE_PROFIT, PlanForm.WHOLE),
        ("loss_plan", ProtectionKind.STOP_LOSS, PlanForm.SIZED),
        ("profit_plan", ProtectionKind.TAKE_PROFIT, PlanForm.SIZED),
        ("moving_plan", ProtectionKind.TAKE_PROFIT, PlanForm.SIZED),
    ],
)
def test_a_plan_type_says_what_it_is_to_its_position(
    plan_type: str, protection: ProtectionKind, form: PlanForm
) -> None:
    found = read(plan("1", plan_type))[0]
    assert (plan_type, protection, form) == (found.plan_type, found.order.protection, found.order.form)
    assert (found.order.size is None) == (form is PlanForm.WHOLE)


def test_a_trailing_close_is_never_counted_as_a_stop() -> None:
    for plan_type in ("moving_plan", "track_plan"):
        around = Surroundings(one_way={}, marks={BTC: dec(60000)})
        found = read(plan("1", plan_type, tradeSide="close", triggerPrice="50000"), around=around)[0]
        assert found.order.protection is ProtectionKind.TAKE_PROFIT


@pytest.mark.parametrize(
    ("mark", "protection", "direction"),
    [
        (dec(60000), ProtectionKind.STOP_LOSS, Direction.FALLS),
        (dec(50000), ProtectionKind.TAKE_PROFIT, Direction.RISES),
        (None, ProtectionKind.TAKE_PROFIT, Direction.RISES),
    ],
)
def test_a_trigger_order_that_closes_is_a_stop_only_where_the_mark_says_so(
    mark: Decimal | None, protection: ProtectionKind, direction: Direction
) -> None:
    around = Surroundings(one_way={}, marks={} if mark is None else {BTC: mark})
    found = read(plan("1", "normal_plan"), around=around)[0].order
    assert (protection, direction, PlanForm.PLAN) == (found.protection, found.direction, found.form)


def test_a_trigger_order_in_one_way_mode_closes_only_when_it_is_reduce_only() -> None:
    opens = read(plan("1", "normal_plan", **ONE_WAY, tradeSide="sell_single", side="sell"))[0].order
    assert (opens.protection, opens.key) == (None, SHORT_BTC)
    fields = {**ONE_WAY, "tradeSide": "sell_single", "side": "sell", "reduceOnly": "yes"}
    assert read(plan("1", "normal_plan", **fields))[0].order.key == LONG_BTC


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_stop_in_one_way_mode_belongs_to_the_position_that_is_held(side: str) -> None:
    fields = {**ONE_WAY, "tradeSide": "", "side": side}
    for held_side, key in ((Side.LONG, LONG_BTC), (Side.SHORT, SHORT_BTC)):
        around = Surroundings(one_way={BTC: held_side}, marks={})
        assert read(plan("1", "pos_loss", **fields), around=around)[0].order.key == key


@pytest.mark.parametrize(
    ("word", "price_type"),
    [("mark_price", PriceType.MARK), ("fill_price", PriceType.LAST), ("index_price", PriceType.LAST)],
)
def test_only_a_mark_trigger_is_one(word: str, price_type: PriceType) -> None:
    assert read(plan("1", triggerType=word))[0].order.price_type is price_type


@pytest.mark.parametrize(
    ("order_type", "price", "expected"),
    [("market", "55000", None), ("limit", "0", None), ("limit", "", None), ("limit", "54900", dec(54900))],
)
def test_a_stop_with_a_limit_price_is_told_apart_from_one_at_market(
    order_type: str, price: str, expected: Decimal | None
) -> None:
    assert read(plan("1", orderType=order_type, executePrice=price))[0].order.execution_price == expected


def test_a_plan_type_that_nobody_published_breaks_nothing_and_is_no_stop() -> None:
    around = Surroundings(one_way={}, marks={BTC: dec(60000)})
    found = read(plan("1", "lunar_plan"), plan("2"), around=around)
    assert [each.order.protection for each in found] == [ProtectionKind.TAKE_PROFIT, ProtectionKind.STOP_LOSS]


# Pushes


def pushed(channel: str, *rows: dict[str, object]) -> pushes.Heard:
    push = Push(
        channel=channel,
        inst_type="USDT-FUTURES",
        selector="default",
        action="snapshot",
        rows=list(rows),
        ts_ms=1_700_000_009_000,
    )
    found = pushes.read_push(MAIN, push, {}, pushes.position_rows())
    assert found is not None
    return found


def filled(**fields: object) -> dict[str, object]:
    return {**samples.plain("ws_orders_filled.json")["data"][0], **fields}


def test_what_was_filled_in_all_is_told_by_its_own_field_of_a_push() -> None:
    found = pushed("orders", filled(size="0.05", accBaseVolume="0.03", baseVolume="0.01", status="partially_filled"))
    assert isinstance(found, pushes.OrderUpdates)
    assert (dec("0.03"), True) == (found.updates[0].filled, found.updates[0].live)


@pytest.mark.parametrize(
    ("trade_side", "action"),
    [
        ("burst_close_long", OrderAction.LIQUIDATION),
        ("reduce_close_short", OrderAction.LIQUIDATION),
        ("offset_close_long", OrderAction.LIQUIDATION),
        ("reduce_sell_single", OrderAction.LIQUIDATION),
        ("dte_sys_adl_close_long", OrderAction.ADL),
        ("dte_sys_adl_sell_in_single_side_mode", OrderAction.ADL),
        ("close", OrderAction.FILLED),
        ("something_new", OrderAction.FILLED),
    ],
)
def test_the_footprints_of_a_forced_reduction_are_seen(trade_side: str, action: OrderAction) -> None:
    found = pushed("orders", filled(tradeSide=trade_side))
    assert isinstance(found, pushes.OrderUpdates)
    assert found.updates[0].action is action


@pytest.mark.parametrize(
    ("status", "fired", "action"),
    [
        ("executing", True, OrderAction.SUBMITTED),
        ("executed", True, OrderAction.FILLED),
        ("fail_execute", True, OrderAction.CANCELLED),
        ("cancelled", False, OrderAction.CANCELLED),
    ],
)
def test_a_plan_order_that_fired_is_told_as_such_even_when_it_came_to_nothing(
    status: str, fired: bool, action: OrderAction
) -> None:
    documented = samples.plain("ws_orders_algo_pos_loss_fail_execute.json")["data"][0]
    found = pushed("orders-algo", {**documented, "status": status})
    assert isinstance(found, pushes.PlanUpdates)
    update = found.updates[0]
    assert (action, fired, False) == (update.action, update.plan_order_id is not None, update.live)
    assert bool(found.failed) == (status == "fail_execute")


def test_a_plan_order_that_waits_is_no_event() -> None:
    found = pushed("orders-algo", samples.plain("ws_orders_algo.json")["data"][0])
    assert isinstance(found, pushes.PlanUpdates)
    assert found.updates == ()


@settings(deadline=None)  # a machine that is busy elsewhere isn't a fault of the parser
@given(st.dictionaries(st.sampled_from(sorted(row())), st.one_of(st.none(), st.text(max_size=4), st.integers())))
def test_a_row_is_read_or_refused_and_never_anything_else(fields: dict[str, object]) -> None:
    try:
        found = positions.held_rows(MAIN, Product.USDT, [{**row(), **fields}], asked_ms=9)
    except PayloadError:
        return
    assert all(each.position.quantity > 0 and each.position.entry_price > 0 for each in found)


def test_a_pushed_row_that_reads_as_before_but_for_its_marks_is_the_same_and_another_figure_is_another() -> None:
    def listed(rows: RepeatedFields[pushes.Listed], **fields: object) -> PositionUpdate:
        row = {**samples.plain("ws_positions.json")["data"][0], **fields}
        push = Push(
            channel="positions",
            inst_type="USDT-FUTURES",
            selector="",
            action="snapshot",
            rows=[row],
            ts_ms=1_700_000_009_000,
        )
        found = pushes.read_push(MAIN, push, {}, rows)
        assert isinstance(found, pushes.PositionList)
        return found.updates[0]

    rows = pushes.position_rows()
    first = listed(rows)
    assert listed(rows, markPrice="1", unrealizedPL="-5") is first
    for name, value in {
        "total": "7",
        "openPriceAvg": "3",
        "liquidationPrice": "2",
        "frozen": "1",
        "uTime": "1700000009001",
    }.items():
        other = listed(rows, **{name: value})
        assert other != first, name
        assert other == listed(pushes.position_rows(), **{name: value}), name
    for name, wrong in (("total", "-7"), ("holdSide", None), ("marginMode", "odd"), ("posMode", "")):
        with pytest.raises(PayloadError, match=name):
            listed(rows, **{name: wrong})
    assert listed(rows, uTime="").venue_ms == 1_700_000_009_000

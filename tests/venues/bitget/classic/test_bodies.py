"""The wire forms of every write, field by field (Bitget reference, 11 and 12)."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import InvariantBroken
from guardd.model.intent import AddMargin, CloseAtMarket, ModifyProtection, PlaceProtection, SetLeverage, client_id
from guardd.model.names import (
    AccountName,
    ClientId,
    EpisodeId,
    MarginMode,
    OrderId,
    PositionKey,
    PositionMode,
    PriceType,
    RuleName,
    Side,
    Symbol,
)
from guardd.model.order import PlanForm, ProtectionKind
from guardd.venues.bitget.api import wire_text
from guardd.venues.bitget.classic import bodies
from guardd.venues.bitget.classic.bodies import Line, Setting
from guardd.venues.bitget.classic.parse.words import Product
from tests.venues.bitget.classic import samples
from tests.venues.bitget.classic.bench import LONG_BTC, OURS, SHORT_BTC, dec

HEDGE, ONE_WAY = PositionMode.HEDGE, PositionMode.ONE_WAY
USDT_LINE = Line(product=Product.USDT, margin_coin="USDT")


def setting(mode: PositionMode, margin_mode: MarginMode = MarginMode.ISOLATED) -> Setting:
    return Setting(line=USDT_LINE, mode=mode, margin_mode=margin_mode)


def protect(
    key: PositionKey = LONG_BTC,
    *,
    kind: ProtectionKind = ProtectionKind.STOP_LOSS,
    form: PlanForm = PlanForm.WHOLE,
    trigger: str = "24500",
    size: Decimal | None = None,
) -> PlaceProtection:
    return PlaceProtection(
        key=key,
        kind=kind,
        form=form,
        trigger_price=dec(trigger),
        price_type=PriceType.MARK,
        size=size,
        position_size=dec("0.01"),
        leverage=None,
        margin_mode=MarginMode.ISOLATED,
    )


# What a close says: the position's own direction in hedge mode, the opposite one and reduce-only in one-way mode (11.1).
CLOSES = [
    (HEDGE, Side.LONG, {"side": "buy", "tradeSide": "close"}),
    (HEDGE, Side.SHORT, {"side": "sell", "tradeSide": "close"}),
    (ONE_WAY, Side.LONG, {"side": "sell", "reduceOnly": "YES"}),
    (ONE_WAY, Side.SHORT, {"side": "buy", "reduceOnly": "YES"}),
]


@pytest.mark.parametrize(("mode", "side", "words"), CLOSES)
@pytest.mark.parametrize("price", [None, dec("60000.5")])
def test_I30_a_close_says_that_it_closes_in_each_mode_and_on_each_side(
    mode: PositionMode, side: Side, words: dict[str, str], price: Decimal | None
) -> None:
    key = PositionKey(AccountName("main"), Symbol("BTCUSDT"), side)
    write = CloseAtMarket(key=key, size=dec("0.0100"), limit_price=price)
    expected = {
        "symbol": "BTCUSDT",
        "productType": "USDT-FUTURES",
        "marginCoin": "USDT",
        "marginMode": "crossed",
        "size": "0.01",
        "clientOid": "gd1abc",
        **words,
        **({"orderType": "market"} if price is None else {"orderType": "limit", "price": "60000.5", "force": "ioc"}),
    }
    assert expected == bodies.close_body(write, setting(mode, MarginMode.CROSS), OURS)


@pytest.mark.parametrize(
    ("name", "mode", "margin_mode", "key", "client"),
    [
        ("request_close_long_hedge_market.json", HEDGE, MarginMode.ISOLATED, LONG_BTC, "g-btcusdt-l-000001"),
        ("request_close_short_hedge_market.json", HEDGE, MarginMode.ISOLATED, SHORT_BTC, "g-btcusdt-s-000001"),
        ("request_close_long_one_way_market.json", ONE_WAY, MarginMode.CROSS, LONG_BTC, "g-btcusdt-n-000001"),
    ],
)
def test_a_close_is_the_documented_request(
    name: str, mode: PositionMode, margin_mode: MarginMode, key: PositionKey, client: str
) -> None:
    write = CloseAtMarket(key=key, size=dec("0.01"))
    assert samples.plain(name) == bodies.close_body(write, setting(mode, margin_mode), ClientId(client))


def test_a_stop_on_the_whole_position_is_the_documented_request() -> None:
    hedge = bodies.protection_body(protect(), setting(HEDGE), ClientId("g-btcusdt-l-sl-000001"), trade_words=False)
    one_way = bodies.protection_body(protect(), setting(ONE_WAY), ClientId("g-btcusdt-n-sl-000001"), trade_words=True)
    assert samples.plain("request_pos_stop_loss_hedge.json") == hedge
    assert samples.plain("request_pos_stop_loss_one_way.json") == one_way


def test_a_sized_take_profit_differs_from_the_documented_request_only_by_what_is_left_out() -> None:
    key = LONG_BTC._replace(symbol=Symbol("ETHUSDT"))
    write = protect(key, kind=ProtectionKind.TAKE_PROFIT, form=PlanForm.SIZED, trigger="2000", size=dec(1))
    ours = bodies.protection_body(write, setting(HEDGE), ClientId("1234"), trade_words=False)
    theirs = samples.plain("request_partial_take_profit_hedge.json")
    assert {name: value for name, value in theirs.items() if name not in {"executePrice", "rangeRate"}} == ours


def test_a_stop_always_names_its_trigger_type_and_never_an_execution_price() -> None:
    for form, size in ((PlanForm.WHOLE, None), (PlanForm.SIZED, dec("0.005"))):
        body = bodies.protection_body(protect(form=form, size=size), setting(HEDGE), OURS, trade_words=False)
        assert body["triggerType"] == "mark_price"
        assert "executePrice" not in body
        assert ("size" in body) == (form is PlanForm.SIZED)


@pytest.mark.parametrize(
    ("key", "trade_words", "word"),
    [(LONG_BTC, False, "long"), (SHORT_BTC, False, "short"), (LONG_BTC, True, "buy"), (SHORT_BTC, True, "sell")],
)
def test_the_side_of_a_stop_is_said_in_the_words_of_the_mode(key: PositionKey, trade_words: bool, word: str) -> None:
    body = bodies.protection_body(protect(key), setting(ONE_WAY), OURS, trade_words=trade_words)
    assert body["holdSide"] == word


def test_I30_a_trigger_order_closes_in_hedge_mode_and_is_never_made_in_one_way_mode() -> None:
    write = protect(SHORT_BTC, form=PlanForm.PLAN, trigger="65000")
    assert bodies.plan_body(write, setting(HEDGE), OURS) == {
        "planType": "normal_plan",
        "symbol": "BTCUSDT",
        "productType": "USDT-FUTURES",
        "marginCoin": "USDT",
        "marginMode": "isolated",
        "size": "0.01",
        "triggerPrice": "65000",
        "triggerType": "mark_price",
        "side": "sell",
        "tradeSide": "close",
        "orderType": "market",
        "clientOid": "gd1abc",
    }
    with pytest.raises(InvariantBroken, match="I30"):
        bodies.plan_body(write, setting(ONE_WAY), OURS)


def moved(form: PlanForm = PlanForm.WHOLE, size: Decimal | None = None) -> ModifyProtection:
    return ModifyProtection(
        key=LONG_BTC,
        order_id=OrderId("121212121212"),
        kind=ProtectionKind.STOP_LOSS,
        form=form,
        trigger_price=dec("24600"),
        price_type=PriceType.MARK,
        size=size,
    )


def test_moving_a_stop_is_the_documented_request_and_a_sized_one_repeats_its_size() -> None:
    assert samples.plain("request_modify_pos_stop_loss.json") == bodies.modify_protection_body(moved(), USDT_LINE)
    sized = bodies.modify_protection_body(moved(PlanForm.SIZED, dec("0.5")), USDT_LINE)
    assert sized["size"] == "0.5"


def test_I30_a_plan_order_is_ended_by_its_id_and_under_its_type() -> None:
    body = bodies.cancel_plan_body(Symbol("BTCUSDT"), OrderId("121212121212"), "pos_loss", USDT_LINE)
    assert samples.plain("request_cancel_plan_order.json") == body
    for missing in ("", "12-34", " "):
        with pytest.raises(InvariantBroken, match="I30"):
            bodies.cancel_plan_body(Symbol("BTCUSDT"), OrderId(missing), "pos_loss", USDT_LINE)
        with pytest.raises(InvariantBroken, match="I30"):
            bodies.cancel_body(Symbol("BTCUSDT"), OrderId(missing), USDT_LINE)


def test_I30_a_flash_close_names_its_symbol_and_in_hedge_mode_its_side() -> None:
    hedge = bodies.flash_body(Symbol("BTCUSDT"), Side.LONG, setting(HEDGE))
    assert samples.plain("request_flash_close_hedge_long.json") == hedge
    one_way = bodies.flash_body(Symbol("BTCUSDT"), Side.LONG, setting(ONE_WAY))
    assert one_way == {"symbol": "BTCUSDT", "productType": "USDT-FUTURES"}
    with pytest.raises(InvariantBroken, match="I30"):
        bodies.flash_body(Symbol(""), Side.LONG, setting(HEDGE))


@pytest.mark.parametrize(
    ("mode", "margin_mode", "named"),
    [
        (HEDGE, MarginMode.ISOLATED, True),
        (HEDGE, MarginMode.CROSS, False),
        (ONE_WAY, MarginMode.ISOLATED, False),
        (ONE_WAY, MarginMode.CROSS, False),
    ],
)
def test_leverage_names_the_side_where_each_side_has_its_own(
    mode: PositionMode, margin_mode: MarginMode, named: bool
) -> None:
    write = SetLeverage(key=LONG_BTC, margin_mode=margin_mode, leverage=dec(10))
    body = bodies.leverage_body(write, setting(mode, margin_mode))
    documented = samples.plain("request_set_leverage_isolated_hedge.json")
    assert body == (documented if named else {k: v for k, v in documented.items() if k != "holdSide"})


@given(st.decimals(min_value="0.00000001", max_value="1000000000", allow_nan=False, places=8))
def test_a_number_on_the_wire_is_the_number_meant(number: Decimal) -> None:
    text = bodies.decimal_text(number)
    assert Decimal(text) == number
    assert "E" not in text.upper()


@pytest.mark.parametrize("wrong", ["0", "-1", "NaN", "Infinity"])
def test_I18_no_size_or_price_that_is_none_is_sent(wrong: str) -> None:
    with pytest.raises(InvariantBroken, match="I18"):
        bodies.decimal_text(Decimal(wrong))


def test_our_client_ids_are_of_the_form_that_every_source_takes() -> None:
    ours = client_id(AccountName("main"), EpisodeId("BTCUSDT-long-1"), RuleName("stop"), 3)
    assert bodies.checked_client_id(ours) == ours
    for wrong in ("", "a" * 33, "a b", "ä"):
        with pytest.raises(InvariantBroken, match="I7"):
            bodies.checked_client_id(wrong)


def test_what_is_signed_is_the_compact_text_of_the_body() -> None:
    vectors = {each["name"]: each for each in samples.plain("auth_test_vectors.json")["vectors"]}
    write = CloseAtMarket(key=LONG_BTC, size=dec("0.01"))
    ours = bodies.close_body(write, setting(HEDGE), ClientId("g-btcusdt-l-000001"))
    assert ours == json.loads(vectors["post_close_long_compact_json"]["body"])
    assert ": " not in wire_text(ours)


@pytest.mark.parametrize(("key", "side"), [(LONG_BTC, "long"), (SHORT_BTC, "short")])
def test_margin_is_added_to_the_named_side(key: PositionKey, side: str) -> None:
    write = AddMargin(key=key, amount=dec("12.50"), currency="USDT", margin_before=dec("1"))
    assert bodies.margin_body(write, USDT_LINE) == {
        "symbol": key.symbol,
        "productType": "USDT-FUTURES",
        "marginCoin": "USDT",
        "holdSide": side,
        "amount": "12.5",
    }


@pytest.mark.parametrize("amount", ["0", "-1"])
def test_I18_margin_is_never_taken_out(amount: str) -> None:
    write = AddMargin(key=LONG_BTC, amount=dec(amount), currency="USDT", margin_before=dec("1"))
    with pytest.raises(InvariantBroken, match="I18"):
        bodies.margin_body(write, USDT_LINE)


@pytest.mark.parametrize(
    ("product", "into", "wallets"),
    [
        (Product.USDT, True, ("spot", "usdt_futures")),
        (Product.USDC, True, ("spot", "usdc_futures")),
        (Product.USDT, False, ("usdt_futures", "spot")),
    ],
)
def test_a_transfer_goes_between_spot_and_the_wallet_of_its_coin_under_an_id(
    product: Product, into: bool, wallets: tuple[str, str]
) -> None:
    body = bodies.transfer_body(dec("100"), product, ClientId("gd1x"), into_futures=into)
    assert body == {
        "fromType": wallets[0],
        "toType": wallets[1],
        "amount": "100",
        "coin": product.settle,
        "clientOid": "gd1x",
    }

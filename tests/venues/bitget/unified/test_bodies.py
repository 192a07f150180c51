"""The wire form of every write, by position mode and side (UTA reference, 9 and 10; invariant I30)."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import InvariantBroken
from guardd.model.intent import (
    AddMargin,
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    TransferToFutures,
    client_id,
)
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
from guardd.venues.bitget.endpoint import Endpoint
from guardd.venues.bitget.unified import bodies, endpoints, venue, writes
from guardd.venues.bitget.unified.parse.strategy import tag_of, tagged
from guardd.venues.bitget.unified.parse.words import Category
from tests.venues.bitget.unified.bench import ACCOUNT, BTC, listed, ok, opened, row, strategy_row, taken

MODES = {PositionMode.HEDGE: "hedge_mode", PositionMode.ONE_WAY: "one_way_mode"}
CLOSES: dict[tuple[PositionMode, Side], dict[str, str]] = {
    (PositionMode.HEDGE, Side.LONG): {"side": "sell", "posSide": "long"},
    (PositionMode.HEDGE, Side.SHORT): {"side": "buy", "posSide": "short"},
    (PositionMode.ONE_WAY, Side.LONG): {"side": "sell", "reduceOnly": "yes"},
    (PositionMode.ONE_WAY, Side.SHORT): {"side": "buy", "reduceOnly": "yes"},
}
"""The direction of the transaction in both modes. Classic's hedge closes say the opposite (`buy` closes a long)."""
BY_MODE_AND_SIDE = pytest.mark.parametrize(("mode", "side"), sorted(CLOSES))


def key(side: Side) -> PositionKey:
    return PositionKey(ACCOUNT, BTC, side)


def protection(
    form: PlanForm, side: Side = Side.LONG, kind: ProtectionKind = ProtectionKind.STOP_LOSS
) -> PlaceProtection:
    return PlaceProtection(
        key=key(side),
        kind=kind,
        form=form,
        trigger_price=Decimal("84000.0"),
        price_type=PriceType.MARK,
        size=Decimal("0.03") if form is PlanForm.SIZED else None,
        position_size=Decimal("0.10"),
        leverage=Decimal(20),
        margin_mode=MarginMode.CROSS,
    )


async def body_of(write: Any, mode: PositionMode, path: str, *, margin: str = "crossed") -> dict[str, object]:
    on = await opened(mode=MODES[mode], held=(row(write.key.side.value, mode=MODES[mode], margin=margin),))
    on.network.on(path, taken())
    on.network.on("unfilled-strategy-orders", listed())
    await on.send(write, mode=mode)
    (request,) = on.network.writes
    assert request.path == f"/api/v3/{path}"
    found: dict[str, object] = request.body
    return found


@BY_MODE_AND_SIDE
@pytest.mark.parametrize("margin", ["crossed", "isolated"])
async def test_I30_a_close_names_the_transaction_and_the_rows_margin_mode(
    mode: PositionMode, side: Side, margin: str
) -> None:
    body = await body_of(CloseAtMarket(key=key(side), size=Decimal("0.10")), mode, "trade/place-order", margin=margin)
    assert body == {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "qty": "0.1",
        **CLOSES[mode, side],
        "orderType": "market",
        "marginMode": margin,
        "clientOid": "gd1abc",
    }


@BY_MODE_AND_SIDE
async def test_I30_a_priced_close_is_immediate_or_cancel(mode: PositionMode, side: Side) -> None:
    write = CloseAtMarket(key=key(side), size=Decimal("0.04"), limit_price=Decimal("84159.60"))
    body = await body_of(write, mode, "trade/place-order")
    assert body == {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "qty": "0.04",
        **CLOSES[mode, side],
        "orderType": "limit",
        "price": "84159.6",
        "timeInForce": "ioc",
        "marginMode": "crossed",
        "clientOid": "gd1abc",
    }


@BY_MODE_AND_SIDE
async def test_I30_the_mode_of_the_positions_own_row_decides_how_a_close_is_written(
    mode: PositionMode, side: Side
) -> None:
    other = PositionMode.ONE_WAY if mode is PositionMode.HEDGE else PositionMode.HEDGE
    on = await opened(mode=MODES[mode], held=(row(side.value, mode=MODES[mode]),))
    on.network.on("place-order", taken())
    await on.send(CloseAtMarket(key=key(side), size=Decimal("0.1")), mode=other)
    (request,) = on.network.writes
    assert CLOSES[mode, side].items() <= request.body.items()
    assert not (CLOSES[other, side].keys() - CLOSES[mode, side].keys()) & request.body.keys()


@BY_MODE_AND_SIDE
@pytest.mark.parametrize(
    ("kind", "letter", "leg"),
    [
        (ProtectionKind.STOP_LOSS, "s", {"stopLoss": "84000", "slTriggerBy": "mark", "slOrderType": "market"}),
        (ProtectionKind.TAKE_PROFIT, "t", {"takeProfit": "84000", "tpTriggerBy": "mark", "tpOrderType": "market"}),
    ],
)
@pytest.mark.parametrize("form", [PlanForm.WHOLE, PlanForm.SIZED])
async def test_I30_a_protective_order_names_its_position_and_is_triggered_by_mark(
    mode: PositionMode, side: Side, form: PlanForm, kind: ProtectionKind, letter: str, leg: dict[str, str]
) -> None:
    body = await body_of(protection(form, side, kind), mode, "trade/place-strategy-order")
    closing = CLOSES[mode, side] if mode is PositionMode.ONE_WAY else {}
    whole = {"tpslMode": "full", "clientOid": f"gd1abc-{letter}w"}
    sized = {"tpslMode": "partial", "qty": "0.03", "clientOid": f"gd1abc-{letter}p"}
    assert body == {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "type": "tpsl",
        **(whole if form is PlanForm.WHOLE else sized),
        **closing,
        "posSide": side.value,
        **leg,
    }


def test_the_other_forms_of_a_stop_leave_the_side_out_or_say_the_size() -> None:
    whole, ours = protection(PlanForm.WHOLE), ClientId("gd1abc-sw")
    first, without_side, with_size = bodies.protection_bodies(whole, ours, PositionMode.ONE_WAY, Category.USDT)
    assert without_side == {name: value for name, value in first.items() if name != "posSide"}
    assert with_size == {**first, "qty": "0.1"}
    hedged = list(bodies.protection_bodies(whole, ours, PositionMode.HEDGE, Category.USDT))
    assert [body["posSide"] for body in hedged] == ["long", "long"]
    (only,) = bodies.protection_bodies(protection(PlanForm.SIZED), ours, PositionMode.HEDGE, Category.USDT)
    assert only["qty"] == "0.03"


async def test_a_moved_stop_says_every_leg_and_the_listed_size_again() -> None:
    on = await opened(held=(row(),))
    owners = {"tpOrderType": "limit", "tpLimitPrice": "99000.5", "tpTriggerBy": "market"}
    on.network.on("unfilled-strategy-orders", listed(strategy_row("77", sl="80000", tp="99000", **owners)))
    on.network.on("modify-strategy-order", taken("77"))
    write = ModifyProtection(
        key=key(Side.LONG),
        order_id=OrderId("77:sl"),
        kind=ProtectionKind.STOP_LOSS,
        form=PlanForm.SIZED,
        trigger_price=Decimal(81000),
        price_type=PriceType.MARK,
        size=Decimal("0.1"),
    )
    await on.send(write)
    (request,) = on.network.writes
    assert request.body == {
        "orderId": "77",
        "qty": "0.1",
        "takeProfit": "99000",
        "tpTriggerBy": "market",
        "tpOrderType": "limit",
        "tpLimitPrice": "99000.5",
        "stopLoss": "81000",
        "slTriggerBy": "mark",
        "slOrderType": "market",
    }


@pytest.mark.parametrize(
    ("kind", "path"),
    [(CancelKind.RESTING, "trade/cancel-order"), (CancelKind.PLAN, "trade/cancel-strategy-order")],
)
async def test_I30_a_cancel_names_exactly_one_order(kind: CancelKind, path: str) -> None:
    on = await opened(held=(row(),))
    on.network.on(path, ok())
    await on.send(CancelOrder(key=key(Side.LONG), order_id=OrderId("42"), kind=kind))
    (request,) = on.network.writes
    assert (request.path, request.body) == (f"/api/v3/{path}", {"orderId": "42"})


@pytest.mark.parametrize("kind", CancelKind)
@pytest.mark.parametrize("order_id", ["", " ", "*", "4 2", ":sl"])
async def test_I30_a_cancel_without_an_id_never_leaves(kind: CancelKind, order_id: str) -> None:
    on = await opened(held=(row(),))
    on.network.on("unfilled-strategy-orders", listed())
    with pytest.raises(InvariantBroken, match="I30"):
        await on.send(CancelOrder(key=key(Side.LONG), order_id=OrderId(order_id), kind=kind))
    assert on.network.writes == []


@pytest.mark.parametrize(("margin", "side"), [(MarginMode.CROSS, {}), (MarginMode.ISOLATED, {"posSide": "long"})])
async def test_leverage_is_set_in_the_live_margin_mode(margin: MarginMode, side: dict[str, str]) -> None:
    on = await opened(held=(row(),))
    on.network.on("set-leverage", ok("success"))
    await on.send(SetLeverage(key=key(Side.LONG), margin_mode=margin, leverage=Decimal(5)))
    (request,) = on.network.writes
    word = "crossed" if margin is MarginMode.CROSS else "isolated"
    assert request.body == {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "leverage": "5",
        "marginMode": word,
        **side,
    }


async def test_margin_is_added_to_the_side_of_the_row_and_never_removed() -> None:
    on = await opened(held=(row(margin="isolated"),))
    on.network.on("set-margin", ok("success"))
    await on.send(AddMargin(key=key(Side.LONG), amount=Decimal("12.50"), currency="USDT", margin_before=Decimal(1)))
    (request,) = on.network.writes
    assert request.body == {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "posSide": "long",
        "operation": "add",
        "amount": "12.5",
    }


async def test_a_transfer_never_borrows_and_carries_our_id() -> None:
    on = await opened(held=(row(),))
    on.network.on("funding-assets", ok([{"coin": "USDT", "available": "200", "frozen": "0", "balance": "200"}]))
    on.network.on("account/transfer", ok({"transferId": "1"}))
    await on.send(TransferToFutures(key=key(Side.LONG), currency="USDT", amount=Decimal(100)))
    (request,) = on.network.writes
    assert request.body == {
        "fromType": "spot",
        "toType": "uta",
        "amount": "100",
        "coin": "USDT",
        "allowBorrow": "no",
        "clientOid": "gd1abc",
    }


@pytest.mark.parametrize("mode", PositionMode)
def test_I30_closing_a_position_by_the_venue_always_names_its_symbol(mode: PositionMode) -> None:
    body = bodies.close_position_body(key(Side.LONG), mode, Category.USDT)
    assert body["symbol"] == "BTCUSDT"
    assert ("posSide" in body) is (mode is PositionMode.HEDGE)
    with pytest.raises(InvariantBroken, match="I30"):
        bodies.close_position_body(PositionKey(ACCOUNT, Symbol(""), Side.LONG), mode, Category.USDT)


def test_I30_I27_nothing_that_opens_cancels_all_or_moves_the_account_is_reachable_from_the_daemons_adapter() -> None:
    paths = {each.path.rpartition("/")[2] for each in vars(endpoints).values() if isinstance(each, Endpoint)}
    assert not paths & {
        "cancel-symbol-order",
        "countdown-cancel-all",
        "place-batch",
        "switch",
        "adjust-account-mode",
        "repay",
        "move-positions",
        "withdrawal",
    }
    for module in (venue, writes, bodies):
        assert not {"UnifiedOperator", "OPENING_SIDE", "TRANSFER", "SET_HOLD_MODE", "SET_MARGIN"} & set(vars(module))


def test_our_client_id_carries_the_form_of_a_strategy_order_through_the_venue() -> None:
    longest = client_id(AccountName("main"), EpisodeId("BTCUSDT-long-1"), RuleName("stop/stop_loss/0"), 3)
    for kind in ProtectionKind:
        for whole in (True, False):
            named = bodies.checked_client_id(tagged(longest, kind, whole=whole))
            tag = tag_of(ClientId(named))
            assert tag is not None
            assert (tag.client_id, tag.kind, tag.whole) == (longest, kind, whole)
    assert tag_of(ClientId("owner-sw")) is None
    assert tag_of(ClientId("gd1abc")) is None
    assert tag_of(None) is None


@pytest.mark.parametrize("size", [Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
async def test_I18_a_size_that_is_none_never_leaves(size: Decimal) -> None:
    on = await opened(held=(row(),))
    with pytest.raises(InvariantBroken, match="I18"):
        await on.send(CloseAtMarket(key=key(Side.LONG), size=size))
    assert on.network.writes == []


@pytest.mark.parametrize("bad", ["", "a" * 33, "gd1 abc", "gdé", "gd1.abc"])
def test_a_client_id_that_some_source_forbids_never_leaves(bad: str) -> None:
    with pytest.raises(InvariantBroken):
        bodies.checked_client_id(bad)


@given(st.decimals(min_value="1e-12", max_value="1e12", allow_nan=False, allow_infinity=False))
def test_I18_a_number_is_written_plainly_and_reads_back_as_itself(number: Decimal) -> None:
    text = bodies.decimal_text(number)
    assert Decimal(text) == number.normalize()
    assert "E" not in text.upper()

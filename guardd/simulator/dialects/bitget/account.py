"""Balances, settings, margin and bills of the classic account. Bitget reference, 7."""

from decimal import Decimal

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget import rows
from guardd.simulator.dialects.bitget.desk import Desk
from guardd.simulator.dialects.bitget.lists import page
from guardd.simulator.dialects.bitget.products import COIN_MARGIN, COINS, Product
from guardd.simulator.dialects.bitget.words import (
    MARGIN_MODE_WORDS,
    MARGIN_MODES,
    POSITION_MODE_WORDS,
    POSITION_MODES,
    number,
)
from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.envelope import Json, Row, VenueError
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.orders import MarginMode, PositionMode, PositionSide
from guardd.simulator.records import Flow, FlowKind, Settings, Trade
from guardd.simulator.refusals import RefusalReason, Refused

_FIRST_BILL = 1_100_000_000_000_000_000
_SPAN_DAYS, _BILLS_MIN = 30, 20
_MARGIN_TYPES = ("append_margin", "reduce_margin", "adjust_down_lever_append_margin", "auto_append_margin")
_LIQUIDATION_SAMPLE = Decimal("1E-16")


def account(desk: Desk, call: Call) -> Json:
    """The only read that tells modes and leverage without a position (7.1)."""
    contract = desk.contract(call.query)
    desk.check_coin(call.query, contract)
    settings = desk.exchange.query.settings(call.uid, contract.symbol)
    product = desk.product(call.query)
    return {
        **rows.account_figures(desk, call.uid, contract.coin),
        "crossedMarginLeverage": _leverage(desk, settings.long_leverage),
        "isolatedLongLever": _leverage(desk, settings.long_leverage),
        "isolatedShortLever": _leverage(desk, settings.short_leverage),
        "marginMode": MARGIN_MODE_WORDS[settings.margin_mode],
        "posMode": POSITION_MODE_WORDS[desk.position_mode(call.uid, product)],
    }


def _leverage(desk: Desk, leverage: Decimal) -> Json:
    return int(leverage) if desk.options.answers_numbers else number(leverage)


def accounts(desk: Desk, call: Call) -> Json:
    product = desk.product(call.query)
    coin = COINS.get(product)
    if coin is not None:
        row = {**rows.account_figures(desk, call.uid, coin), **rows.union_figures(desk, call.uid, coin)}
        return [row]
    return [_coin_account(desk, call)] if call.uid in desk.memory.coin_positions else []


def _coin_account(desk: Desk, call: Call) -> Row:
    """A Coin-M wallet that holds just what its planted positions need."""
    held = sum((Decimal(each.margin_size) for each in desk.memory.coin_positions[call.uid]), Decimal(0))
    usdt = rows.account_figures(desk, call.uid, "USDT")
    zeros: Row = {name: "0" if isinstance(value, str) else value for name, value in usdt.items()}
    own: Row = {"marginCoin": COIN_MARGIN, "accountEquity": number(held), "btcEquity": number(held)}
    return {**zeros, **own, "assetMode": "single", **rows.union_figures(desk, call.uid, COIN_MARGIN)}


def trade_rate(desk: Desk, call: Call) -> Json:
    """The account's own rates of one symbol (6.2). Nothing is traded here in spot and margin."""
    business, named = call.query.word("businessType", "mix", "spot", "margin"), call.query.text("symbol")
    try:
        contract = desk.exchange.query.contract(named.upper()) if business == "mix" else None
    except Refused as refusal:
        raise VenueError("40034", fill=named) from refusal
    if contract is None:
        raise VenueError("40034", fill=named)
    return {"makerFeeRate": number(contract.maker_fee), "takerFeeRate": number(contract.taker_fee)}


def set_leverage(desk: Desk, call: Call) -> Json:
    """Which fields count depends on margin and position mode (7.3)."""
    body, product = call.body, desk.product(call.body)
    contract = desk.contract(body)
    desk.check_coin(body, contract)
    old = desk.exchange.query.settings(call.uid, contract.symbol)
    wanted = _wanted_leverage(body, old, desk.position_mode(call.uid, product))
    if all(leverage == old.leverage(side) for side, leverage in wanted.items()):
        raise VenueError("40814")
    isolated = old.margin_mode is MarginMode.ISOLATED
    if isolated and _works(desk, call.uid, contract.symbol):
        raise VenueError("45097")
    try:
        for side, leverage in wanted.items():
            desk.exchange.set_leverage(call.uid, contract.symbol, call.now_ms, leverage=leverage, side=side)
    except Refused as refusal:
        raise _leverage_error(refusal) from refusal
    new = desk.exchange.query.settings(call.uid, contract.symbol)
    return _settings_row(contract, new, crossed=number(new.long_leverage))


def _wanted_leverage(body: Fields, old: Settings, mode: PositionMode) -> dict[PositionSide, Decimal]:
    both = (PositionSide.LONG, PositionSide.SHORT)
    if old.margin_mode is MarginMode.CROSS or mode is PositionMode.ONE_WAY:
        return dict.fromkeys(both, _whole(body, "leverage"))
    if body.has("longLeverage") and body.has("shortLeverage"):
        return {PositionSide.LONG: _whole(body, "longLeverage"), PositionSide.SHORT: _whole(body, "shortLeverage")}
    if not body.has("holdSide"):
        raise VenueError("40808", fill="double fixed, hold side is null")
    side = PositionSide(body.word("holdSide", "long", "short"))
    return {side: _whole(body, f"{side.value}Leverage" if body.has(f"{side.value}Leverage") else "leverage")}


def _whole(body: Fields, name: str) -> Decimal:
    leverage = body.decimal(name)
    if leverage != leverage.to_integral_value():
        raise VenueError("40808", fill=f"{name} error value={leverage}")
    return leverage


def _works(desk: Desk, uid: str, symbol: str) -> bool:
    """Resting orders or trigger orders lock an isolated contract's leverage; TP/SL don't (7.3)."""
    plans = (plan for plan in desk.exchange.query.open_plans(uid, symbol) if not plan.reduce)
    return bool(desk.exchange.query.open_orders(uid, symbol)) or any(plans)


def _leverage_error(refusal: Refused) -> VenueError:
    words = {
        RefusalReason.INSUFFICIENT_BALANCE: "40893",
        RefusalReason.POSITION_LIMIT: "45045",
        RefusalReason.LEVERAGE_TOO_LARGE: "45045",
        RefusalReason.LEVERAGE_TOO_SMALL: "45044",
        RefusalReason.WOULD_LIQUIDATE: "40893",
        RefusalReason.LEVERAGE_CONFLICT: "45097",
    }
    if refusal.reason not in words:
        raise refusal
    return VenueError(words[refusal.reason])


def _settings_row(contract: Contract, settings: Settings, crossed: str | None) -> Row:
    row: Row = {
        "symbol": contract.symbol,
        "marginCoin": contract.coin,
        "longLeverage": number(settings.long_leverage),
        "shortLeverage": number(settings.short_leverage),
    }
    if crossed is not None:
        row["crossMarginLeverage"] = crossed
    return {**row, "marginMode": MARGIN_MODE_WORDS[settings.margin_mode]}


def set_margin(desk: Desk, call: Call) -> Json:
    """Adds with a positive amount, removes with a negative one; isolated positions only (7.4)."""
    body = call.body
    contract = desk.contract(body)
    desk.check_coin(body, contract)
    side = PositionSide(body.word("holdSide", "long", "short"))
    amount = body.decimal("amount")
    words = {
        RefusalReason.POSITION_NOT_EXIST: "40802",
        RefusalReason.INSUFFICIENT_BALANCE: "40800",
        RefusalReason.WOULD_LIQUIDATE: "40801",
    }
    try:
        desk.exchange.add_margin(call.uid, contract.symbol, side, amount, call.now_ms)
    except Refused as refusal:
        if refusal.reason not in words:
            raise
        raise VenueError(words[refusal.reason]) from refusal
    kind = "append_margin" if amount > 0 else "reduce_margin"
    desk.memory.margin_bills.setdefault(call.uid, []).append(_margin_bill(desk, call, contract, kind, amount))
    return ""


def _margin_bill(desk: Desk, call: Call, contract: Contract, kind: str, amount: Decimal) -> Row:
    """The wallet's own sum doesn't change: the exchange keeps no flow of it, the venue a bill."""
    return {
        "symbol": contract.symbol,
        "amount": number(-amount),
        "fee": "0",
        "feeByCoupon": "",
        "businessType": kind,
        "coin": contract.coin,
        "balance": number(desk.balance(call.uid, contract.coin).wallet),
        "cTime": str(call.now_ms),
    }


def set_margin_mode(desk: Desk, call: Call) -> Json:
    body = call.body
    contract = desk.contract(body)
    desk.check_coin(body, contract)
    mode = MARGIN_MODES[body.word("marginMode", *MARGIN_MODES)]
    settings = desk.exchange.set_leverage(call.uid, contract.symbol, call.now_ms, margin_mode=mode)
    crossed = number(settings.long_leverage) if mode is MarginMode.CROSS else None
    return _settings_row(contract, settings, crossed)


def set_position_mode(desk: Desk, call: Call) -> Json:
    """Of the whole product type; refused while it holds or orders anything (7.6)."""
    body = call.body
    product = desk.product(body)
    word = body.word("posMode", *POSITION_MODES)
    desk.exchange.set_position_mode(call.uid, POSITION_MODES[word], call.now_ms, group=product.value)
    return {"posMode": word}


def set_auto_margin(desk: Desk, call: Call) -> Json:
    """No `productType` in its table (7.7): the symbol alone names the contract."""
    body = call.body
    named = body.text("symbol").upper()
    try:
        contract = desk.exchange.query.contract(named)
    except Refused as refusal:
        raise VenueError("40034", fill=named) from refusal
    desk.check_coin(body, contract)
    side = PositionSide(body.word("holdSide", "long", "short"))
    wanted = body.word("autoMargin", "on", "off") == "on"
    view = desk.exchange.query.position(call.uid, contract.symbol, side)
    if view is None:
        raise VenueError("40838")
    if view.margin_mode is MarginMode.CROSS:
        raise VenueError("22011")
    desk.exchange.set_auto_margin(call.uid, contract.symbol, side, call.now_ms, on=wanted)
    return ""


def set_asset_mode(desk: Desk, call: Call) -> Json:
    """USDT-M only (7.8). The one coin of this wallet is the whole pool."""
    body = call.body
    if desk.product(body) is not Product.USDT:
        raise VenueError("400172")
    union = body.word("assetMode", "single", "union") == "union"
    (desk.memory.union.add if union else desk.memory.union.discard)(call.uid)
    return "success"


def liq_price(desk: Desk, call: Call) -> Json:
    """A hypothetical opening: where it alone would end on what is free (7.9); negative means nowhere."""
    query = call.query
    contract = desk.contract(query)
    desk.check_coin(query, contract)
    side = PositionSide(query.word("posSide", "long", "short"))
    limit = query.word("orderType", "limit", "market") == "limit"
    size = query.decimal("openAmount")
    quote = desk.exchange.query.quote(contract.symbol)
    entry = query.decimal("openPrice") if limit or quote is None else quote.last
    margin = desk.balance(call.uid, contract.coin).free
    rate = contract.tier(size * entry).rate + contract.taker_fee
    if not size:
        raise VenueError("40808", fill="openAmount error value=0")
    price = (margin - size * entry * side.sign) / (size * (rate - side.sign))
    return {"liqPrice": number(price.quantize(_LIQUIDATION_SAMPLE))}


def bill(desk: Desk, call: Call) -> Json:
    query = call.query
    product = desk.product(query)
    coin = query.optional_text("coin") or COINS.get(product, COIN_MARGIN)
    kind, skips_margin = query.optional_text("businessType"), query.word("onlyFunding", "yes", "no", default="no")
    flows: list[Row] = []
    wallet = Decimal(0)
    for flow in desk.exchange.query.flows(call.uid, coin=coin):
        wallet += flow.amount
        flows.append(_flow_row(desk, flow, wallet))
    flows += [each for each in desk.memory.margin_bills.get(call.uid, []) if each["coin"] == coin]
    in_time = sorted(flows, key=lambda row: int(str(row["cTime"])))
    wanted: list[Row] = [
        {**each, "billId": str(_FIRST_BILL + count)}
        for count, each in enumerate(in_time)
        if kind in ("", each["businessType"]) and not (skips_margin == "yes" and each["businessType"] in _MARGIN_TYPES)
    ]
    return page(query, wanted, "bills", call.now_ms, span_days=_SPAN_DAYS, id_name="billId", least=_BILLS_MIN)


def _flow_row(desk: Desk, flow: Flow, wallet: Decimal) -> Row:
    """A commission stands in `fee`, everything else in `amount`."""
    commission = flow.kind is FlowKind.COMMISSION
    return {
        "symbol": flow.symbol,
        "amount": "0" if commission else number(flow.amount),
        "fee": number(flow.amount) if commission else "0",
        "feeByCoupon": "",
        "businessType": _business_type(desk, flow),
        "coin": flow.coin,
        "balance": number(wallet),
        "cTime": str(flow.at_ms),
    }


def _business_type(desk: Desk, flow: Flow) -> str:
    match flow.kind:
        case FlowKind.TRANSFER:
            return "trans_from_exchange" if flow.amount > 0 else "trans_to_exchange"
        case FlowKind.FUNDING:
            return "contract_settle_fee"
        case FlowKind.CONVERSION:
            return "settle_interest"
        case FlowKind.REALIZED_PNL | FlowKind.COMMISSION | FlowKind.LIQUIDATION:
            made = _trade_of(desk, flow)
            if made is None:
                return "burst_long_loss_query"
            return _trade_type(desk, flow, made)


def _trade_of(desk: Desk, flow: Flow) -> Trade | None:
    """The fill that moved this money, by its time and what it paid or made."""
    for made in desk.exchange.query.trades(flow.uid, flow.symbol or None):
        if made.at_ms == flow.at_ms and flow.amount in (-made.fee, made.realized_pnl):
            return made
    return None


def _trade_type(desk: Desk, flow: Flow, made: Trade) -> str:
    order = desk.exchange.query.order(flow.uid, order_id=made.order_id)
    one_way = order.position_mode is PositionMode.ONE_WAY
    if order.forced is not None:
        return f"burst_{made.side.value}" if one_way else f"force_close_{order.position_side.value}"
    if one_way:
        return made.side.value
    return f"{'close' if made.reduce else 'open'}_{order.position_side.value}"

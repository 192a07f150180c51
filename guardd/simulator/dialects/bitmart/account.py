"""Balances, positions, leverage, position mode, transfers, ledger: reference sections 8, 12 and 13."""

from decimal import Decimal

from guardd.simulator.dialects.bitmart import rows
from guardd.simulator.dialects.bitmart.arguments import ACCOUNT_INVALID, Body
from guardd.simulator.dialects.bitmart.desk import Call, Desk
from guardd.simulator.dialects.bitmart.envelope import Json, Success, VenueError
from guardd.simulator.dialects.bitmart.rows import Row, number
from guardd.simulator.orders import MarginMode, PositionMode, PositionSide
from guardd.simulator.records import FlowKind, PositionView, TransferDirection
from guardd.simulator.refusals import RefusalReason, Refused

DAY_MS = 86_400_000
_ACCOUNTS = ("futures", "copy_trading")
_PAGE_DEFAULT, _PAGE_MAX = 100, 1_000
_TRANSFER_MIN, _TRANSFER_MAX = Decimal("0.01"), Decimal(10_000_000_000)
_RECV_WINDOW_MAX_MS, _RECV_WINDOW_DEFAULT_MS = 60_000, 5_000
_PAGES_MAX, _RECORDS_MIN, _RECORDS_MAX = 1_000, 10, 100
_FLOW_KINDS = {code: kind for kind, (code, _) in rows.FLOW_TYPES.items()}
_DIRECTIONS = {"spot_to_contract": TransferDirection.TO_FUTURES, "contract_to_spot": TransferDirection.TO_SPOT}


def assets_detail(desk: Desk, call: Call) -> Success:
    return Success(data=rows.asset_rows(desk.exchange.query.balance(call.uid)))


def trade_fee_rate(desk: Desk, call: Call) -> Success:
    contract = desk.contract(call.query.required("symbol"))
    data: Row = {
        "symbol": contract.symbol,
        "taker_fee_rate": number(contract.taker_fee),
        "maker_fee_rate": number(contract.maker_fee),
    }
    return Success(data=data)


def position(desk: Desk, call: Call) -> Success:
    return Success(data=[rows.position_row(view, call.now_ms) for view in _views(desk, call)])


def position_v2(desk: Desk, call: Call) -> Success:
    flat = desk.options.flat_position_amount
    return Success(data=[rows.position_v2_row(view, call.now_ms, flat) for view in _views(desk, call)])


def position_risk(desk: Desk, call: Call) -> Success:
    data: list[Json] = []
    for view in _views(desk, call):
        contract = desk.exchange.query.contract(view.symbol)
        data.append(rows.risk_row(view, contract.contract_size, call.now_ms))
    return Success(data=data)


def _views(desk: Desk, call: Call) -> list[PositionView]:
    """Open positions; with a symbol its flat legs too: one row in one-way mode, two in hedge mode (reference 8.3)."""
    if call.query.choice("account", *_ACCOUNTS, default="futures") == "copy_trading":
        return []
    symbol = call.query.text("symbol")
    query = desk.exchange.query
    if not symbol:
        return list(query.positions(call.uid))
    desk.contract(symbol)
    held = list(query.positions(call.uid, symbol))
    if query.position_mode(call.uid) is PositionMode.ONE_WAY:
        return held or [_flat(desk, call, symbol, PositionSide.LONG)]
    by_side = {view.side: view for view in held}
    return [by_side.get(side) or _flat(desk, call, symbol, side) for side in PositionSide]


def _flat(desk: Desk, call: Call, symbol: str, side: PositionSide) -> PositionView:
    query = desk.exchange.query
    settings, quote = query.settings(call.uid, symbol), query.quote(symbol)
    zero = Decimal(0)
    return PositionView(
        uid=call.uid,
        symbol=symbol,
        coin=query.contract(symbol).coin,
        side=side,
        position_mode=query.position_mode(call.uid),
        margin_mode=settings.margin_mode,
        leverage=settings.leverage(side),
        size=zero,
        frozen_size=zero,
        entry_price=zero,
        open_average_price=zero,
        closed_size=zero,
        closed_average_price=zero,
        mark_price=quote.mark if quote else zero,
        notional_entry=zero,
        notional_mark=zero,
        notional_last=zero,
        initial_margin=zero,
        margin=zero,
        maintenance_margin=zero,
        unrealized_pnl=zero,
        realized_pnl=zero,
        fees=zero,
        funding=zero,
        liquidation_price=None,
        margin_ratio=None,
        burden=zero,
        risk_ratio=None,
        auto_margin=False,
        max_notional=query.contract(symbol).max_notional(settings.leverage(side)),
        opened_ms=0,
        updated_ms=call.now_ms,
    )


def get_position_mode(desk: Desk, call: Call) -> Success:
    return _position_mode(desk, call)


def set_position_mode(desk: Desk, call: Call) -> Success:
    word = call.body.choice("position_mode", *rows.POSITION_MODES)
    desk.exchange.set_position_mode(call.uid, rows.POSITION_MODES[word], call.now_ms)
    return _position_mode(desk, call)


def _position_mode(desk: Desk, call: Call) -> Success:
    mode = desk.exchange.query.position_mode(call.uid)
    return Success(data={"position_mode": rows.POSITION_MODE_WORDS[mode]})


def transaction_history(desk: Desk, call: Call) -> Success:
    query = call.query
    symbol = query.text("symbol")
    wanted = query.integer("flow_type", default=0)
    if wanted not in (0, *_FLOW_KINDS):
        raise VenueError(40011, "Invalid parameter: flow_type")
    if query.choice("account", *_ACCOUNTS, default="futures") == "copy_trading":
        return Success(data=[])
    start_ms = query.integer("start_time", default=call.now_ms - 7 * DAY_MS)
    end_ms = query.integer("end_time", default=call.now_ms)
    size = query.integer("page_size", default=_PAGE_DEFAULT, low=1, high=_PAGE_MAX)
    kind: FlowKind | None = _FLOW_KINDS.get(wanted)
    flows = [
        flow
        for flow in desk.exchange.query.flows(call.uid, symbol or None)
        if start_ms <= flow.at_ms <= end_ms and kind in (None, flow.kind)
    ]
    return Success(data=[rows.flow_row(flow) for flow in reversed(flows)][:size])


def submit_leverage(desk: Desk, call: Call) -> Success:
    """Leverage and margin mode in one. Without `leverage` it only sets the mode: the call's effect is not documented."""
    body = call.body
    contract = desk.contract(body.text("symbol"))
    mode = MarginMode(body.choice("open_type", "cross", "isolated"))
    leverage = body.optional_decimal("leverage")
    if leverage is not None and leverage != leverage.to_integral_value():
        raise body.refuse("leverage")
    try:
        settings = desk.exchange.set_leverage(
            call.uid, contract.symbol, call.now_ms, leverage=leverage, margin_mode=mode
        )
    except Refused as refusal:
        if refusal.reason is RefusalReason.LEVERAGE_CONFLICT:
            raise VenueError(40040) from refusal  # reference 12.1: an order's conflict is 40012, this one's 40040
        raise
    data: Row = {
        "symbol": contract.symbol,
        "leverage": number(settings.long_leverage),
        "open_type": settings.margin_mode.value,
        "max_value": number(contract.max_leverage),
    }
    return Success(data=data)


def transfer_contract(desk: Desk, call: Call) -> Success:
    body = Body.of(call.request, ACCOUNT_INVALID)
    _check_recv_window(body, call)
    if body.text("currency") != "USDT":
        raise VenueError(60002)
    direction = _DIRECTIONS[body.choice("type", *_DIRECTIONS)]
    amount = body.decimal("amount")
    if not _TRANSFER_MIN <= amount <= _TRANSFER_MAX:
        raise VenueError(60009)
    if amount != amount.quantize(_TRANSFER_MIN):
        raise VenueError(40005)
    try:
        desk.exchange.transfer(call.uid, direction, amount, call.now_ms)
    except Refused as refusal:
        if refusal.reason is RefusalReason.INSUFFICIENT_BALANCE:
            raise VenueError(42000) from refusal  # HTTP 200 (reference 16.2)
        raise
    return Success(data={"currency": "USDT", "amount": number(amount)}, message="OK")


def transfer_contract_list(desk: Desk, call: Call) -> Success:
    body = Body.of(call.request, ACCOUNT_INVALID)
    _check_recv_window(body, call)
    page, limit = body.integer("page"), body.integer("limit")
    if not (1 <= page <= _PAGES_MAX and _RECORDS_MIN <= limit <= _RECORDS_MAX):
        raise VenueError(ACCOUNT_INVALID)
    if body.optional_text("currency") not in ("", "USDT"):
        raise VenueError(60002)
    start_ms = body.optional_integer("time_start") or 0
    end_ms = body.optional_integer("time_end")
    done = [
        transfer
        for transfer in reversed(desk.exchange.query.transfers(call.uid))
        if start_ms <= transfer.at_ms and (end_ms is None or transfer.at_ms <= end_ms)
    ]
    records: list[Json] = [rows.transfer_row(each) for each in done[(page - 1) * limit : page * limit]]
    return Success(data={"records": records}, message="OK")


def _check_recv_window(body: Body, call: Call) -> None:
    """Server time minus timestamp must not exceed it (reference 3.4)."""
    window_ms = body.optional_integer("recvWindow")
    if window_ms is None:
        window_ms = _RECV_WINDOW_DEFAULT_MS
    if not 0 < window_ms <= _RECV_WINDOW_MAX_MS:
        raise VenueError(ACCOUNT_INVALID)
    if call.request.now_ms - int(call.request.headers["x-bm-timestamp"]) > window_ms:
        raise VenueError(30007)


def claim(desk: Desk, call: Call) -> Success:
    """The demo environment's money: tops the futures wallet up to the fixed amount, never down."""
    Body.of(call.request)
    wanted = Decimal(desk.options.claim_amount)
    short = wanted - desk.exchange.query.balance(call.uid).wallet
    if short > 0:
        desk.exchange.grant(call.uid, short, call.now_ms)
    balance = desk.exchange.query.balance(call.uid).wallet
    return Success(data={"currency": "USDT", "amount": number(balance)}, message="OK")

"""The account: assets and risk, settings, identity, leverage, isolated margin, transfers, the ledger. UTA reference, 7."""

from decimal import Decimal

from guardd.simulator.dialects.bitget_common.envelope import Json, Row
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.dialects.bitget_unified import arguments, rows
from guardd.simulator.dialects.bitget_unified.codes import bad, code_of, refuse
from guardd.simulator.dialects.bitget_unified.desk import CONVERTING, Category, Desk
from guardd.simulator.dialects.bitget_unified.paging import paged
from guardd.simulator.dialects.bitget_unified.words import HOLD_MODES, HOLD_WORDS, MARGIN_MODES, MARGIN_WORDS, number
from guardd.simulator.orders import MarginMode, PositionMode, PositionSide
from guardd.simulator.records import Balance, TransferDirection
from guardd.simulator.refusals import RefusalReason, Refused

_WALLETS = (
    "spot", "p2p", "coin_futures", "usdt_futures", "usdc_futures", "crossed_margin", "isolated_margin", "uta",
)  # fmt: skip
_DIRECTIONS = {("spot", "uta"): TransferDirection.TO_FUTURES, ("uta", "spot"): TransferDirection.TO_SPOT}
_PLACES = Decimal("1E-8")
_CLOSES_IN_LEDGER = "OTHER"


def assets(desk: Desk, call: Call) -> Json:
    """Only coins with a balance are listed."""
    query = desk.exchange.query
    held = [(each, query.usd_price(each.coin)) for each in wallets(desk, call.uid)]
    prices = rows.UnitPrices(tether=query.usd_price("USDT"), bitcoin=query.usd_price("BTC"))
    return rows.assets(query.pool(call.uid), held, prices, desk.options.ratio_places)


def wallets(desk: Desk, uid: str) -> list[Balance]:
    return [each for each in desk.exchange.query.balances(uid) if each.wallet or each.equity]


def settings(desk: Desk, call: Call) -> Json:
    """Every contract is listed; of two leverages of an isolated hedge the long side's is shown (7.2)."""
    query = desk.exchange.query
    configured: list[Row] = []
    for contract in query.contracts():
        one = query.settings(call.uid, contract.symbol)
        configured.append(
            {
                "category": desk.category(contract.symbol).value,
                "symbol": contract.symbol,
                "marginMode": MARGIN_WORDS[one.margin_mode],
                "leverage": number(one.long_leverage),
            }
        )
    return {
        "uid": uid_number(call.uid),
        "accountMode": desk.mode(call.uid, call.now_ms).value,
        "assetMode": "multi_assets",
        "accountLevel": desk.options.account_level,
        "holdMode": HOLD_WORDS[query.position_mode(call.uid)],
        "stpMode": "none",
        "symbolConfigList": configured,
        "coinConfigList": [{"coin": coin.name, "leverage": "3"} for coin in query.coins()],
    }


def uid_number(uid: str) -> str:
    """A number of ten digits for an account that has a name here."""
    return (
        uid if uid.isdigit() else str(1_000_000_000 + sum(ord(letter) * 31**at for at, letter in enumerate(uid)))[:10]
    )


def info(desk: Desk, call: Call) -> Json:
    """Needs no permission; of a key that may only read it says so (7.3)."""
    key = desk.keyring.of_request(call.request.headers)
    may_trade = key is not None and key.may_trade
    return {
        "userId": uid_number(call.uid),
        "inviterId": "",
        "parentId": "",
        "channelCode": "",
        "channel": "official",
        "ips": ",".join(key.ips) if key is not None else "",
        "permType": "read-and-write" if may_trade else "read-only",
        "permissions": list(desk.options.permissions),
        "regisTime": "1704067200000",
    }


def set_leverage(desk: Desk, call: Call) -> Json:
    """Answers `"success"`, no values. In cross mode and in one-way mode one leverage holds for both sides (7.4)."""
    desk.check_writable(call.uid, call.now_ms)
    fields = call.body
    contract = desk.contract(arguments.category(fields), arguments.symbol(fields))
    mode = MARGIN_MODES[arguments.word(fields, "marginMode", *MARGIN_MODES, default="crossed")]
    leg = arguments.pos_side(fields)
    common = arguments.optional_positive(fields, "leverage")
    long, short = (arguments.optional_positive(fields, name) for name in ("longLeverage", "shortLeverage"))
    hedge = desk.exchange.query.position_mode(call.uid) is PositionMode.HEDGE
    isolated_hedge = mode is MarginMode.ISOLATED and hedge
    changes: list[tuple[PositionSide | None, Decimal]] = []
    if isolated_hedge and (long is not None or short is not None):
        pairs = ((PositionSide.LONG, long), (PositionSide.SHORT, short))
        changes = [(side, value) for side, value in pairs if value is not None]
    elif common is not None:
        if isolated_hedge and leg is None:
            raise bad("posSide")
        changes = [(leg if isolated_hedge else None, common)]
    else:
        raise bad("leverage")
    if any(value != value.to_integral_value() for _, value in changes):
        raise bad("leverage")
    for side, value in changes:
        desk.exchange.set_leverage(call.uid, contract.symbol, call.now_ms, leverage=value, margin_mode=mode, side=side)
    return "success"


def set_hold_mode(desk: Desk, call: Call) -> Json:
    """Of the whole account; refused with any position or order (7.5)."""
    desk.check_writable(call.uid, call.now_ms)
    mode = HOLD_MODES[arguments.word(call.body, "holdMode", *HOLD_MODES)]
    desk.exchange.set_position_mode(call.uid, mode, call.now_ms)
    return "success"


def set_margin(desk: Desk, call: Call) -> Json:
    """Isolated positions only; not idempotent (7.6)."""
    desk.check_writable(call.uid, call.now_ms)
    fields = call.body
    contract = desk.contract(arguments.category(fields), arguments.symbol(fields))
    leg = arguments.pos_side(fields)
    if leg is None:
        raise bad("posSide")
    adds = arguments.word(fields, "operation", "add", "remove") == "add"
    amount = arguments.positive(fields, "amount")
    try:
        desk.exchange.add_margin(call.uid, contract.symbol, leg, amount if adds else -amount, call.now_ms)
    except Refused as refusal:
        raise (refuse("40801") if refusal.reason is RefusalReason.WOULD_LIQUIDATE else code_of(refusal)) from refusal
    return "success"


def transfer(desk: Desk, call: Call) -> Json:
    """Between the spot wallet and the unified account. Nothing is ever borrowed for it here (7.7)."""
    desk.check_writable(call.uid, call.now_ms)
    fields = call.body
    ways = (arguments.word(fields, "fromType", *_WALLETS), arguments.word(fields, "toType", *_WALLETS))
    coin, amount = _coin(desk, arguments.text(fields, "coin")), arguments.positive(fields, "amount")
    arguments.word(fields, "allowBorrow", "yes", "no", default="no")
    client = arguments.client_id(fields)
    if ways not in _DIRECTIONS:
        raise bad("fromType, toType")
    if amount != amount.quantize(_PLACES):
        raise bad("amount")
    try:
        done = desk.exchange.transfer(call.uid, _DIRECTIONS[ways], amount, call.now_ms, coin)
    except Refused as refusal:
        short = (RefusalReason.INSUFFICIENT_BALANCE, RefusalReason.INSUFFICIENT_SPOT_BALANCE)
        raise (refuse("25202") if refusal.reason in short else code_of(refusal)) from refusal
    answer: Row = {"transferId": done.transfer_id}
    return {**answer, "clientOid": client} if client else answer


def _coin(desk: Desk, name: str) -> str:
    if name.upper() not in {coin.name for coin in desk.exchange.query.coins()}:
        raise refuse("25201")
    return name.upper()


def transferable_coins(desk: Desk, _call: Call) -> Json:
    return [coin.name for coin in desk.exchange.query.coins()]


def max_transferable(desk: Desk, call: Call) -> Json:
    coin = _coin(desk, arguments.text(call.query, "coin"))
    free = rows.money(desk.exchange.query.balance(call.uid, coin).free)
    return {"coin": coin, "maxTransfer": free, "borrowMaxTransfer": free}


def funding_assets(desk: Desk, call: Call) -> Json:
    """The spot side, coins with a balance only."""
    wanted = call.query.optional_text("coin").upper()
    return [
        {"coin": each.coin, "available": rows.money(each.spot), "frozen": "0", "balance": rows.money(each.spot)}
        for each in desk.exchange.query.balances(call.uid)
        if each.spot and wanted in ("", each.coin)
    ]


def financial_records(desk: Desk, call: Call) -> Json:
    """Flows of one category; what concerns no contract is in OTHER."""
    query = call.query
    category = arguments.word(query, "category", *Category, _CLOSES_IN_LEDGER)
    coin, kind = query.optional_text("coin").upper(), query.optional_text("type")
    start_ms, end_ms = arguments.window(query, call.now_ms)
    found: list[tuple[int, Row]] = []
    for flow in desk.exchange.query.flows(call.uid, coin=coin or None):
        of = desk.category(flow.symbol).value if flow.symbol else _CLOSES_IN_LEDGER
        row = rows.flow_row(flow, of)
        if of == category and kind in ("", row["type"]) and start_ms <= flow.at_ms <= end_ms:
            found.append((int(flow.flow_id), row))
    return paged(desk, query, found)


def switch_status(desk: Desk, call: Call) -> Json:
    """Under way, or none was asked for."""
    if desk.mode(call.uid, call.now_ms) in CONVERTING:
        return {"status": "process", "reason": ""}
    return {"status": "fail", "reason": "upgrade_disabled"}


def loan_data(desk: Desk, call: Call) -> Json:
    """Debts arise when a coin's equity turns negative (3)."""
    query = desk.exchange.query
    owing = [each for each in query.balances(call.uid) if rows.debt(each)]
    total = sum((rows.debt(each) * query.usd_price(each.coin) for each in owing), Decimal(0))
    coins: list[Row] = [
        {
            "coin": each.coin,
            "debt": rows.money(rows.debt(each)),
            "interestFreeAmount": "0",
            "interestRateNextHour": "0.00001",
        }
        for each in owing
    ]
    hour_ms = 3_600_000
    due_ms = call.now_ms - call.now_ms % hour_ms + hour_ms
    return {"currentLoans": rows.money(total), "interestPaymentTime": str(due_ms), "debtCoinList": coins}


def max_open_available(desk: Desk, call: Call) -> Json:
    """What new risk may use, in the quote coin (8.4)."""
    desk.contract(arguments.category(call.body), arguments.symbol(call.body))
    names = (
        "maxOpen",
        "buyOpenCost",
        "sellOpenCost",
        "maxBuyOpen",
        "maxSellOpen",
        "maxBuyAvailable",
        "maxSellAvailable",
    )
    return {"available": rows.money(desk.exchange.query.pool(call.uid).free), **dict.fromkeys(names, "")}

"""Calls that need no key: reference section 7, and system time and service on the same server."""

from decimal import Decimal

from guardd.simulator.contracts import Contract, ContractStatus
from guardd.simulator.dialects.bitmart.desk import Call, Desk
from guardd.simulator.dialects.bitmart.envelope import Json, Success, VenueError
from guardd.simulator.dialects.bitmart.rows import FUNDING_LIMIT, Row, number, rounded
from guardd.simulator.orders import Side
from guardd.simulator.records import Quote
from guardd.simulator.tape import FUNDING_INTERVAL_HOURS, HOUR_MS, next_funding_ms

STEPS_MIN = (1, 3, 5, 15, 30, 60, 120, 240, 360, 720, 1440, 4320, 10080)
_LISTED_MS = 1_594_080_000_000
_CANDLES_MAX = 500
_PRINTS_DEFAULT, _PRINTS_MAX = 50, 100
_DEPTH_MAX = 50
_LEVEL_SIZE = Decimal(1_000)  # contracts on each level where the fill model names none
_RATIO = Decimal("1E-10")
_MONEY = Decimal("1E-8")
_NOTICE_AHEAD_MS = 10 * 60_000


def system_time(desk: Desk, call: Call) -> Success:
    return Success(data={"server_time": call.request.now_ms}, message="OK")


def system_service(desk: Desk, call: Call) -> Success:
    services: list[Json] = []
    if desk.options.service_notice:
        start_ms = call.request.now_ms + _NOTICE_AHEAD_MS
        services.append(
            {
                "title": "Contract API Stop",
                "service_type": "contract",
                "status": "0",
                "start_time": start_ms,
                "end_time": start_ms + HOUR_MS,
            }
        )
    return Success(data={"service": services}, message="OK")


def spot_symbols(_desk: Desk, _call: Call) -> Success:
    """No spot market here, said in the spot host's own shape."""
    return Success(data={"symbols": []}, message="OK")


def currencies(_desk: Desk, _call: Call) -> Success:
    return Success(data={"currencies": []}, message="OK")


def details(desk: Desk, call: Call) -> Success:
    symbol = call.query.text("symbol")
    contracts = [desk.contract(symbol, 40012)] if symbol else desk.exchange.query.contracts()
    return Success(data={"symbols": [_details_row(desk, contract, call.now_ms) for contract in contracts]})


def _details_row(desk: Desk, contract: Contract, now_ms: int) -> Row:
    symbol, tape = contract.symbol, desk.tape
    quote = desk.exchange.query.quote(symbol)
    high, low, change = tape.range(symbol)
    interest = open_interest_contracts(desk, symbol)
    last = quote.last if quote else Decimal(0)
    delisted = desk.exchange.query.status(symbol) is ContractStatus.DELISTED
    return {
        "symbol": symbol,
        "product_type": 1,
        "open_timestamp": _LISTED_MS,
        "expire_timestamp": 0,
        "settle_timestamp": 0,
        "base_currency": contract.base,
        "quote_currency": contract.quote,
        "last_price": number(last),
        "volume_24h": number(tape.volume(symbol)),
        "turnover_24h": number(tape.turnover(symbol) * contract.contract_size),
        "index_price": number(quote.index if quote else None),
        "index_name": symbol,
        "contract_size": number(contract.contract_size),
        "min_leverage": "1",
        "max_leverage": number(contract.max_leverage),
        "price_precision": number(contract.tick),
        "vol_precision": number(contract.step),
        "max_volume": number(contract.max_limit_size),
        "market_max_volume": number(contract.max_market_size),
        "min_volume": number(contract.min_size),
        "funding_rate": number(tape.settled_rate(symbol)),
        "expected_funding_rate": number(tape.expected_rate(symbol)),
        "open_interest": number(interest),
        "open_interest_value": number(interest * contract.contract_size * last),
        "high_24h": number(high),
        "low_24h": number(low),
        "change_24h": rounded(change, _RATIO),
        "funding_interval_hours": FUNDING_INTERVAL_HOURS,
        "funding_time": next_funding_ms(now_ms),
        "status": "Delisted" if delisted else "Trading",
        "delist_time": now_ms // 1000 if delisted else 0,
    }


def open_interest_contracts(desk: Desk, symbol: str) -> Decimal:
    """What the accounts of this simulator hold, both sides counted once each."""
    return desk.exchange.query.open_interest(symbol)


def depth(desk: Desk, call: Call) -> Success:
    contract = desk.contract(call.query.required("symbol", 40034))
    quote = desk.exchange.query.quote(contract.symbol)
    data: Row = {
        "asks": _book_rows(desk, contract, Side.SELL, quote),
        "bids": _book_rows(desk, contract, Side.BUY, quote),
        "timestamp": call.now_ms,
        "symbol": contract.symbol,
    }
    return Success(data=data)


def _book_rows(desk: Desk, contract: Contract, side: Side, quote: Quote | None) -> Json:
    """[price, size, cumulative size] from the best price outwards; null for an empty book (quirk 7)."""
    levels = book_levels(desk, contract, side, quote, _DEPTH_MAX)
    rows: list[Json] = []
    total = Decimal(0)
    for price, size in levels:
        total += size
        rows.append([number(price), number(size), number(total)])
    return rows or None


def book_levels(
    desk: Desk, contract: Contract, side: Side, quote: Quote | None, most: int
) -> list[tuple[Decimal, Decimal]]:
    """The resting liquidity that the engine's fill model stands for."""
    if quote is None or desk.exchange.query.status(contract.symbol) is not ContractStatus.TRADING:
        return []
    model = desk.exchange.query.fills(contract.symbol)
    size = model.level_size or _LEVEL_SIZE
    gap = contract.tick * model.level_gap_ticks
    best, outward = (quote.ask, 1) if side is Side.SELL else (quote.bid, -1)
    levels = ((best + outward * gap * step, size) for step in range(most))
    return [(price, held) for price, held in levels if price > 0]


def market_trade(desk: Desk, call: Call) -> Success:
    contract = desk.contract(call.query.required("symbol", 40034))
    limit = call.query.integer("limit", default=_PRINTS_DEFAULT, low=1, high=_PRINTS_MAX)
    rows: list[Json] = []
    for each in desk.tape.prints(contract.symbol, limit):
        quantity = each.size * contract.contract_size  # base coin here, the one exception (reference 5.1)
        rows.append(
            {
                "symbol": contract.symbol,
                "price": number(each.price),
                "qty": number(quantity),
                "quote_qty": rounded(quantity * each.price, _MONEY),
                "time": each.at_ms // 1000,
                "is_buyer_maker": each.buyer_is_maker,
            }
        )
    return Success(data=rows)


def open_interest(desk: Desk, call: Call) -> Success:
    contract = desk.contract(call.query.required("symbol", 40034))
    held = open_interest_contracts(desk, contract.symbol)
    quote = desk.exchange.query.quote(contract.symbol)
    value = held * contract.contract_size * (quote.last if quote else Decimal(0))
    data: Row = {
        "timestamp": call.now_ms,
        "symbol": contract.symbol,
        "open_interest": number(held),
        "open_interest_value": number(value),
    }
    return Success(data=data)


def funding_rate(desk: Desk, call: Call) -> Success:
    return Success(data=_funding_row(desk, desk.contract(call.query.required("symbol", 40034)), call.now_ms))


def funding_rate_v2(desk: Desk, call: Call) -> Success:
    symbol = call.query.text("symbol")
    contracts = [desk.contract(symbol)] if symbol else desk.exchange.query.contracts()
    return Success(data={"list": [_funding_row(desk, contract, call.now_ms) for contract in contracts]})


def _funding_row(desk: Desk, contract: Contract, now_ms: int) -> Row:
    return {
        "timestamp": now_ms,
        "symbol": contract.symbol,
        "rate_value": number(desk.tape.settled_rate(contract.symbol)),
        "expected_rate": number(desk.tape.expected_rate(contract.symbol)),
        "funding_time": next_funding_ms(now_ms),
        "funding_upper_limit": FUNDING_LIMIT,
        "funding_lower_limit": f"-{FUNDING_LIMIT}",
    }


def funding_rate_history(desk: Desk, call: Call) -> Success:
    """`funding_time` is text here (reference 7.9). Before the first settlement the past ones are of the regular rate."""
    contract = desk.contract(call.query.required("symbol", 40034))
    limit = call.query.integer("limit", default=100, low=1, high=100)
    past = [(number(each.rate), each.at_ms) for each in desk.tape.settlements(contract.symbol, limit)]
    oldest = past[-1][1] if past else next_funding_ms(call.now_ms)
    interval_ms = FUNDING_INTERVAL_HOURS * HOUR_MS
    regular = number(desk.tape.settled_rate(contract.symbol)) if not past else past[-1][0]
    past += [(regular, oldest - interval_ms * back) for back in range(1, limit - len(past) + 1)]
    rows: list[Json] = [
        {"symbol": contract.symbol, "funding_rate": rate, "funding_time": str(at_ms)} for rate, at_ms in past
    ]
    return Success(data={"list": rows})


def kline(desk: Desk, call: Call) -> Success:
    return Success(data=_candle_rows(desk, call, marks=False))


def markprice_kline(desk: Desk, call: Call) -> Success:
    return Success(data=_candle_rows(desk, call, marks=True), message="OK")


def _candle_rows(desk: Desk, call: Call, *, marks: bool) -> list[Row]:
    query = call.query
    contract = desk.contract(query.required("symbol", 40034))
    step = query.integer("step", default=1)
    if step not in STEPS_MIN:
        raise VenueError(40038)
    start_s = query.integer("start_time", default=-1)
    end_s = query.integer("end_time", default=-1)
    if start_s < 0 or end_s < start_s:
        raise VenueError(40039)
    candles = desk.tape.candles(
        contract.symbol, marks=marks, step_min=step, start_s=start_s, end_s=end_s, most=_CANDLES_MAX
    )
    return [
        {
            "timestamp": candle.at_ms // 1000,
            "open_price": number(candle.open),
            "high_price": number(candle.high),
            "low_price": number(candle.low),
            "close_price": number(candle.close),
            "volume": number(candle.volume),
        }
        for candle in candles
    ]


def leverage_bracket(desk: Desk, call: Call) -> Success:
    symbol = call.query.text("symbol")
    contracts = [desk.contract(symbol)] if symbol else desk.exchange.query.contracts()
    rules: list[Json] = [{"symbol": each.symbol, "brackets": _brackets(each)} for each in contracts]
    return Success(data={"rules": rules})


def _brackets(contract: Contract) -> list[Row]:
    return [
        {
            "bracket": tier.number,
            "initial_leverage": int(tier.max_leverage),
            "notional_cap": number(tier.cap),
            "notional_floor": number(tier.floor),
            "maint_margin_ratio": number(tier.rate),
            "cum": number(tier.deduction),
        }
        for tier in contract.tiers
    ]

"""Calls that need no key. Bitget reference, 6."""

from decimal import Decimal

from guardd.simulator.contracts import Contract, ContractStatus
from guardd.simulator.dialects.bitget.desk import Desk
from guardd.simulator.dialects.bitget.products import COIN_MARGIN, COIN_SYMBOL, COIN_TWIN, Product
from guardd.simulator.dialects.bitget.words import number, places, rounded
from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.envelope import Json, Row, VenueError
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.orders import Side
from guardd.simulator.records import Quote
from guardd.simulator.tape import FUNDING_INTERVAL_HOURS, HOUR_MS, Candle, next_funding_ms

FUNDING_LIMIT = "0.003"
RETIRED_PRODUCTS = ("SUSDT-FUTURES", "SCOIN-FUTURES", "SUSDC-FUTURES")
DAY_MS = 24 * HOUR_MS
_BAND = "0.05"
_STEPS_MIN = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "4H": 240, "6H": 360, "12H": 720, "1D": 1440,
    "3D": 4320, "1W": 10080, "1M": 43200, "6Hutc": 360, "12Hutc": 720, "1Dutc": 1440, "3Dutc": 4320, "1Wutc": 10080,
    "1Mutc": 43200,
}  # fmt: skip
_CANDLES_DEFAULT, _CANDLES_MAX, _HISTORY_MAX = 100, 1_000, 200
_CANDLE_SPAN_MS = 90 * DAY_MS
_DEPTHS = {"1": 1, "5": 5, "15": 15, "50": 50, "max": 100}
_LEVEL_SIZE = Decimal(10)  # base coin on each level where the fill model names none
_RATIO = Decimal("1E-5")


def server_time(_desk: Desk, call: Call) -> Json:
    return {"serverTime": str(call.request.now_ms)}


def nothing_listed(_desk: Desk, _call: Call) -> Json:
    """No spot or margin market here."""
    return []


def contracts(desk: Desk, call: Call) -> Json:
    """General clients ask for the dropped simulated products as well (5): there are none."""
    if call.query.optional_text("productType").upper() in RETIRED_PRODUCTS:
        return []
    product = desk.product(call.query)
    symbol = desk.optional_symbol(call.query)
    if product is Product.COIN:
        return [_coin_row(desk)]
    return [_contract_row(desk, each) for each in desk.listed(product) if symbol in (None, each.symbol)]


def _contract_row(desk: Desk, contract: Contract) -> Row:
    """The tick is `priceEndStep` × 10^-`pricePlace` (5)."""
    price_places = places(contract.tick)
    status = {
        ContractStatus.TRADING: "normal",
        ContractStatus.PAUSED: "maintain",
        ContractStatus.DELISTED: "off",
    }[desk.exchange.query.status(contract.symbol)]
    return {
        "symbol": contract.symbol,
        "baseCoin": contract.base,
        "quoteCoin": contract.quote,
        "buyLimitPriceRatio": _BAND,
        "sellLimitPriceRatio": _BAND,
        "feeRateUpRatio": "0.005",
        "makerFeeRate": number(contract.maker_fee),
        "takerFeeRate": number(contract.taker_fee),
        "openCostUpRatio": "0.01",
        "supportMarginCoins": [contract.coin],
        "minTradeNum": number(contract.min_size),
        "priceEndStep": number(contract.tick * 10**price_places),
        "volumePlace": str(places(contract.step)),
        "pricePlace": str(price_places),
        "sizeMultiplier": number(contract.step),
        "symbolType": "perpetual",
        "minTradeUSDT": number(contract.min_notional),
        "maxSymbolOrderNum": str(desk.exchange.terms.max_orders_per_symbol),
        "maxProductOrderNum": "1000",
        "maxPositionNum": "150",
        "symbolStatus": status,
        "offTime": "-1",
        "limitOpenTime": "-1",
        "deliveryTime": "",
        "deliveryStartTime": "",
        "deliveryPeriod": "",
        "launchTime": "",
        "fundInterval": str(FUNDING_INTERVAL_HOURS),
        "minLever": "1",
        "maxLever": number(contract.max_leverage),
        "posLimit": "0.1",
        "maintainTime": "",
        "openTime": "",
        "maxMarketOrderQty": number(contract.max_market_size),
        "maxOrderQty": number(contract.max_limit_size),
        "isRwa": "NO",
    }


def _coin_row(desk: Desk) -> Row:
    """Coin-M is listed, and held by whoever a test lets hold it; nobody trades it here."""
    twin = _contract_row(desk, desk.exchange.query.contract(COIN_TWIN))
    return {**twin, "symbol": COIN_SYMBOL, "quoteCoin": "USD", "supportMarginCoins": [COIN_MARGIN, "ETH", "USDC"]}


def query_position_lever(desk: Desk, call: Call) -> Json:
    contract = desk.contract(call.query)
    return [
        {
            "symbol": contract.symbol,
            "level": str(tier.number),
            "startUnit": number(tier.floor),
            "endUnit": number(tier.cap),
            "leverage": number(tier.max_leverage),
            "keepMarginRate": number(tier.rate),
        }
        for tier in contract.tiers
    ]


def symbol_price(desk: Desk, call: Call) -> Json:
    contract = desk.contract(call.query)
    quote = _quote(desk, contract.symbol)
    row: Row = {
        "symbol": contract.symbol,
        "price": number(quote.last),
        "indexPrice": number(quote.index),
        "markPrice": number(quote.mark),
        "ts": str(call.now_ms),
    }
    return [row]


def _quote(desk: Desk, symbol: str) -> Quote:
    quote = desk.exchange.query.quote(symbol)
    if quote is None:
        raise VenueError("41113", fill=symbol)
    return quote


def ticker(desk: Desk, call: Call) -> Json:
    """An array even for one symbol."""
    contract = desk.contract(call.query)
    return [ticker_row(desk, contract, _quote(desk, contract.symbol), call.now_ms)]


def tickers(desk: Desk, call: Call) -> Json:
    product = desk.product(call.query)
    quotes = desk.exchange.query.quotes()
    if product is Product.COIN:
        twin = desk.exchange.query.contract(COIN_TWIN)
        held = quotes.get(COIN_TWIN)
        return [{**ticker_row(desk, twin, held, call.now_ms), "symbol": COIN_SYMBOL}] if held else []
    return [
        ticker_row(desk, each, quotes[each.symbol], call.now_ms)
        for each in desk.listed(product)
        if each.symbol in quotes
    ]


def ticker_row(desk: Desk, contract: Contract, quote: Quote, now_ms: int) -> Row:
    tape, symbol = desk.tape, contract.symbol
    high, low, change = tape.range(symbol)
    bid_size, ask_size = best_sizes(desk, contract, quote)
    turnover = number(tape.turnover(symbol))
    opened = rounded(quote.last / (1 + change), contract.tick)
    return {
        "symbol": symbol,
        "lastPr": number(quote.last),
        "askPr": number(quote.ask),
        "bidPr": number(quote.bid),
        "bidSz": number(bid_size),
        "askSz": number(ask_size),
        "high24h": number(high),
        "low24h": number(low),
        "ts": str(now_ms),
        "change24h": rounded(change, _RATIO),
        "baseVolume": number(tape.volume(symbol)),
        "quoteVolume": turnover,
        "usdtVolume": turnover,
        "openUtc": opened,
        "changeUtc24h": rounded(change, _RATIO),
        "indexPrice": number(quote.index),
        "fundingRate": number(tape.expected_rate(symbol)),
        "holdingAmount": number(open_interest_size(desk, symbol)),
        "deliveryStartTime": "",
        "deliveryTime": "",
        "deliveryStatus": "",
        "open24h": opened,
        "markPrice": number(quote.mark),
    }


def current_fund_rate(desk: Desk, call: Call) -> Json:
    product = desk.product(call.query)
    symbol = desk.optional_symbol(call.query)
    return [
        {
            "symbol": each.symbol,
            "fundingRate": number(desk.tape.expected_rate(each.symbol)),
            "fundingRateInterval": str(FUNDING_INTERVAL_HOURS),
            "nextUpdate": str(next_funding_ms(call.now_ms)),
            "minFundingRate": f"-{FUNDING_LIMIT}",
            "maxFundingRate": FUNDING_LIMIT,
        }
        for each in desk.listed(product)
        if symbol in (None, each.symbol)
    ]


def funding_time(desk: Desk, call: Call) -> Json:
    row: Row = {
        "symbol": desk.contract(call.query).symbol,
        "nextFundingTime": str(next_funding_ms(call.now_ms)),
        "ratePeriod": str(FUNDING_INTERVAL_HOURS),
    }
    return [row]


def history_fund_rate(desk: Desk, call: Call) -> Json:
    """Before the first settlement the past ones are of the regular rate."""
    symbol = desk.contract(call.query).symbol
    count = call.query.integer("pageSize", default=20, low=1, high=100)
    page = call.query.integer("pageNo", default=1, low=1)
    settled = [(each.rate, each.at_ms) for each in desk.tape.settlements(symbol, 100)]
    rate, oldest = settled[-1] if settled else (desk.tape.settled_rate(symbol), next_funding_ms(call.now_ms))
    interval_ms = FUNDING_INTERVAL_HOURS * HOUR_MS
    missing = max(count * page - len(settled), 0)
    past = [*settled, *((rate, oldest - interval_ms * back) for back in range(1, missing + 1))]
    return [
        {"symbol": symbol, "fundingRate": number(rate), "fundingTime": str(at_ms)}
        for rate, at_ms in past[count * (page - 1) : count * page]
    ]


def candles(desk: Desk, call: Call) -> Json:
    """The current bar included; `kLineType` chooses the series (6.7)."""
    kind = call.query.word("kLineType", "MARKET", "MARK", "INDEX", default="MARKET")
    return _candle_rows(desk, call, marks=kind != "MARKET", most=_CANDLES_MAX, until_ms=call.now_ms)


def history_candles(desk: Desk, call: Call) -> Json:
    return _candle_rows(desk, call, marks=False, most=_HISTORY_MAX, until_ms=None)


def history_mark_candles(desk: Desk, call: Call) -> Json:
    """The mark's series, volumes "0"; the index follows the mark here (quirk 11)."""
    return _candle_rows(desk, call, marks=True, most=_HISTORY_MAX, until_ms=None)


def _candle_rows(desk: Desk, call: Call, *, marks: bool, most: int, until_ms: int | None) -> Json:
    query = call.query
    symbol = desk.contract(query).symbol
    step = query.text("granularity")
    if step not in _STEPS_MIN:
        raise VenueError("400171", fill="granularity")  # lower-case 1h too (observed)
    end_ms = query.integer("endTime", default=call.now_ms)
    start_ms = query.integer("startTime", default=max(end_ms - _CANDLE_SPAN_MS, 0))
    if end_ms < start_ms or end_ms - start_ms > _CANDLE_SPAN_MS:
        raise VenueError("00001", fill="90")
    limit = query.integer("limit", default=_CANDLES_DEFAULT, low=1, high=most)
    step_ms = _STEPS_MIN[step] * 60_000
    last_ms = call.now_ms // step_ms * step_ms - 1 if until_ms is None else until_ms
    found = desk.tape.candles(
        symbol,
        marks=marks,
        step_min=_STEPS_MIN[step],
        start_s=start_ms // 1000,
        end_s=min(end_ms, last_ms) // 1000,
        most=limit,
    )
    return [candle_row(each) for each in found]


def candle_row(candle: Candle) -> list[Json]:
    prices = (candle.open, candle.high, candle.low, candle.close)
    volumes = (candle.volume, candle.volume * candle.close)
    return [str(candle.at_ms), *(number(each) for each in (*prices, *volumes))]


def open_interest(desk: Desk, call: Call) -> Json:
    symbol = desk.contract(call.query).symbol
    row: Row = {"symbol": symbol, "size": number(open_interest_size(desk, symbol))}
    return {"openInterestList": [row], "ts": str(call.now_ms)}


def open_interest_size(desk: Desk, symbol: str) -> Decimal:
    """What the accounts of this simulator hold, both sides counted once each."""
    return desk.exchange.query.open_interest(symbol)


def merge_depth(desk: Desk, call: Call) -> Json:
    contract = desk.contract(call.query)
    scale = call.query.word("precision", "scale0", "scale1", "scale2", "scale3", default="scale0")
    most = _DEPTHS[call.query.word("limit", *_DEPTHS, default="max")]
    quote = desk.exchange.query.quote(contract.symbol)
    return {
        "asks": book_rows(desk, contract, Side.SELL, quote, most),
        "bids": book_rows(desk, contract, Side.BUY, quote, most),
        "ts": str(call.now_ms),
        "scale": number(contract.tick),
        "precision": scale,
        "isMaxPrecision": "YES",
    }


def fills(desk: Desk, call: Call) -> Json:
    """The newest public trades."""
    symbol = desk.contract(call.query).symbol
    limit = call.query.integer("limit", default=100, low=1, high=100)
    return [
        {
            "tradeId": str(each.trade_id),
            "price": number(each.price),
            "size": number(each.size),
            "side": "Sell" if each.buyer_is_maker else "Buy",
            "ts": str(each.at_ms),
            "symbol": symbol,
        }
        for each in desk.tape.prints(symbol, limit)
    ]


def book_rows(desk: Desk, contract: Contract, side: Side, quote: Quote | None, most: int) -> list[Json]:
    return [[number(price), number(size)] for price, size in book_levels(desk, contract, side, quote, most)]


def best_sizes(desk: Desk, contract: Contract, quote: Quote) -> tuple[Decimal, Decimal]:
    bids, asks = (book_levels(desk, contract, side, quote, 1) for side in (Side.BUY, Side.SELL))
    return (bids[0][1] if bids else Decimal(0)), (asks[0][1] if asks else Decimal(0))


def book_levels(
    desk: Desk, contract: Contract, side: Side, quote: Quote | None, most: int
) -> list[tuple[Decimal, Decimal]]:
    """The resting liquidity that the exchange's fill model stands for, from the best price outwards."""
    if quote is None or desk.exchange.query.status(contract.symbol) is not ContractStatus.TRADING:
        return []
    model = desk.exchange.query.fills(contract.symbol)
    size = model.level_size or _LEVEL_SIZE
    gap = contract.tick * model.level_gap_ticks
    best, outward = (quote.ask, 1) if side is Side.SELL else (quote.bid, -1)
    levels = ((best + outward * gap * step, size) for step in range(most))
    return [(price, held) for price, held in levels if price > 0]


def page_limits(fields: Fields, now_ms: int, *, span_days: int, most: int = 100) -> tuple[int, int, int]:
    """(start, end, rows) of a paged list; a longer span is 00001."""
    end_ms = fields.integer("endTime", default=now_ms)
    start_ms = fields.integer("startTime", default=end_ms - span_days * DAY_MS)
    if end_ms < start_ms or end_ms - start_ms > span_days * DAY_MS:
        raise VenueError("00001", fill=str(span_days))
    return start_ms, end_ms, fields.integer("limit", default=most, low=1, high=most)

"""Calls that need no key. UTA reference, 6."""

from decimal import Decimal

from guardd.simulator.contracts import Contract, ContractStatus, Tier
from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.envelope import Json, Row
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.dialects.bitget_unified import arguments
from guardd.simulator.dialects.bitget_unified.codes import bad
from guardd.simulator.dialects.bitget_unified.coin import CoinContract
from guardd.simulator.dialects.bitget_unified.desk import Category, Desk
from guardd.simulator.dialects.bitget_unified.orders import PRICE_BAND
from guardd.simulator.dialects.bitget_unified.words import number, rounded
from guardd.simulator.matching import book_levels
from guardd.simulator.orders import Side
from guardd.simulator.records import Quote
from guardd.simulator.tape import FUNDING_INTERVAL_HOURS, next_funding_ms
from guardd.simulator.terms import VenueState

FUNDING_LIMIT = "0.003"
STEPS_MIN = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "2H": 120, "4H": 240, "6H": 360, "12H": 720, "1D": 1440,
}  # fmt: skip
_STATUS = {
    ContractStatus.TRADING: "online",
    ContractStatus.PAUSED: "restrictedAPI",
    ContractStatus.DELISTED: "offline",
}
_KINDS = ("market", "mark", "index", "premium")
_CANDLES_MAX, _HISTORY_MAX = 1_000, 100
_DEPTH_DEFAULT, _DEPTH_MAX = 5, 1_000
_LEVEL_SIZE = Decimal(10)  # base coin on each level where the fill model names none
_RATIO = Decimal("1E-5")
_SETTLEMENTS = 100


def server_time(_desk: Desk, call: Call) -> Json:
    """The same on the V2 and the V3 path."""
    return {"serverTime": str(call.request.now_ms)}


def nothing_listed(_desk: Desk, _call: Call) -> Json:
    """No spot market here: general clients ask for its listings first."""
    return []


def instruments(desk: Desk, call: Call) -> Json:
    category, symbol = _asked(call)
    linear: list[Row] = [_instrument(desk, each) for each in _contracts(desk, category, symbol)]
    return linear + [_coin_instrument(each) for each in desk.coins(category, symbol)]


def _asked(call: Call) -> tuple[Category, str]:
    return arguments.category(call.query, only=tuple(Category)), arguments.optional_symbol(call.query)


def _contracts(desk: Desk, category: Category, symbol: str) -> list[Contract]:
    if symbol and desk.coins(category, symbol):
        return []
    return desk.contracts(category, symbol)


def _instrument(desk: Desk, contract: Contract) -> Row:
    """The tick is `priceMultiplier` itself, the step `quantityMultiplier` (5)."""
    return {
        "symbol": contract.symbol,
        "category": desk.category(contract.symbol).value,
        "baseCoin": contract.base,
        "quoteCoin": contract.quote,
        "isRwa": "NO",
        "isReality": "no",
        "buyLimitPriceRatio": number(PRICE_BAND),
        "sellLimitPriceRatio": number(PRICE_BAND),
        "feeRateUpRatio": "0.005",
        "makerFeeRate": number(contract.maker_fee),
        "takerFeeRate": number(contract.taker_fee),
        "openCostUpRatio": "0.01",
        "minOrderQty": number(contract.min_size),
        "maxOrderQty": number(contract.max_limit_size),
        "pricePrecision": str(_places(contract.tick)),
        "quantityPrecision": str(_places(contract.step)),
        "quotePrecision": "",
        "priceMultiplier": number(contract.tick),
        "quantityMultiplier": number(contract.step),
        "type": "perpetual",
        "minOrderAmount": number(contract.min_notional),
        "maxSymbolOrderNum": "",
        "maxProductOrderNum": str(desk.options.open_orders_max),
        "maxPositionNum": "200",
        "status": _status(desk, contract),
        "offTime": "-1",
        "limitOpenTime": "-1",
        "deliveryTime": "",
        "deliveryStartTime": "",
        "deliveryPeriod": "",
        "launchTime": "0",
        "fundInterval": str(FUNDING_INTERVAL_HOURS),
        "minLeverage": "1",
        "maxLeverage": number(contract.max_leverage),
        "maintainTime": "",
        "symbolType": "crypto",
        "maxMarketOrderQty": number(contract.max_market_size),
    }


def _status(desk: Desk, contract: Contract) -> str:
    status = desk.exchange.query.status(contract.symbol)
    if status is ContractStatus.TRADING and desk.exchange.state in (VenueState.REDUCE_ONLY, VenueState.CLOSES_ONLY):
        return "limit_open"
    return _STATUS[status]


def _places(step: Decimal) -> int:
    return max(-int(step.normalize().as_tuple().exponent), 0)


def _coin_instrument(coin: CoinContract) -> Row:
    """Coin-M: quantities in the quote coin (0, fact 10)."""
    return {
        "symbol": coin.symbol,
        "category": Category.COIN.value,
        "baseCoin": coin.base,
        "quoteCoin": "USD",
        "isRwa": "NO",
        "isReality": "no",
        "buyLimitPriceRatio": number(PRICE_BAND),
        "sellLimitPriceRatio": number(PRICE_BAND),
        "feeRateUpRatio": "0.005",
        "makerFeeRate": "0.0002",
        "takerFeeRate": "0.0006",
        "openCostUpRatio": "0.01",
        "minOrderQty": "1",
        "maxOrderQty": "10000000",
        "pricePrecision": str(_places(coin.tick)),
        "quantityPrecision": "0",
        "quotePrecision": "",
        "priceMultiplier": number(coin.tick),
        "quantityMultiplier": "1",
        "type": "perpetual",
        "minOrderAmount": "5",
        "maxSymbolOrderNum": "",
        "maxProductOrderNum": "400",
        "maxPositionNum": "200",
        "status": "online",
        "offTime": "-1",
        "limitOpenTime": "-1",
        "deliveryTime": "",
        "deliveryStartTime": "",
        "deliveryPeriod": "",
        "launchTime": "0",
        "fundInterval": str(FUNDING_INTERVAL_HOURS),
        "minLeverage": "1",
        "maxLeverage": number(coin.max_leverage),
        "maintainTime": "",
        "symbolType": "crypto",
        "maxMarketOrderQty": "1000000",
    }


def tickers(desk: Desk, call: Call) -> Json:
    """Without a symbol all of the category: the cheapest read of marks. What has no price yet is missing."""
    category, symbol = _asked(call)
    quotes = desk.exchange.query.quotes()
    found: list[Row] = []
    for contract in _contracts(desk, category, symbol):
        quote = quotes.get(contract.symbol)
        if quote is not None:
            found.append(ticker_row(desk, contract, category, quote, call.now_ms))
    for coin in desk.coins(category, symbol):
        quote = quotes.get(coin.twin)
        if quote is not None:
            twin = desk.exchange.query.contract(coin.twin)
            found.append({**ticker_row(desk, twin, category, quote, call.now_ms), "symbol": coin.symbol})
    return found


def ticker_row(desk: Desk, contract: Contract, category: Category, quote: Quote, now_ms: int) -> Row:
    return {"category": category.value, **ticker_figures(desk, contract, quote), "ts": str(now_ms)}


def ticker_figures(desk: Desk, contract: Contract, quote: Quote) -> Row:
    """What REST and socket say alike."""
    tape, symbol = desk.tape, contract.symbol
    high, low, change = tape.range(symbol)
    bids = levels(desk, contract, Side.BUY, quote, 1)
    asks = levels(desk, contract, Side.SELL, quote, 1)
    return {
        "symbol": symbol,
        "lastPrice": number(quote.last),
        "openPrice24h": rounded(quote.last / (1 + change), contract.tick),
        "highPrice24h": number(high),
        "lowPrice24h": number(low),
        "ask1Price": number(quote.ask),
        "bid1Price": number(quote.bid),
        "bid1Size": number(bids[0][1] if bids else None),
        "ask1Size": number(asks[0][1] if asks else None),
        "price24hPcnt": rounded(change, _RATIO),
        "volume24h": number(tape.volume(symbol)),
        "turnover24h": number(tape.turnover(symbol)),
        "indexPrice": number(quote.index),
        "markPrice": number(quote.mark),
        "fundingRate": number(tape.expected_rate(symbol)),
        "openInterest": number(open_interest(desk, symbol)),
        "deliveryStartTime": "",
        "deliveryTime": "",
        "deliveryStatus": "",
    }


def open_interest(desk: Desk, symbol: str) -> Decimal:
    """What the accounts of this simulator hold."""
    return desk.interest.get(symbol, Decimal(0))


def position_tier(desk: Desk, call: Call) -> Json:
    """Bare rows without a symbol. Coin-M's are the linear twin's."""
    category, symbol = _asked(call)
    if category in (Category.SPOT, Category.MARGIN):
        return []
    if not symbol:
        raise bad("symbol")
    coins = desk.coins(category, symbol)
    contract = desk.exchange.query.contract(coins[0].twin) if coins else desk.contract(category, symbol)
    return [_tier_row(tier) for tier in contract.tiers]


def _tier_row(tier: Tier) -> Row:
    return {
        "tier": str(tier.number),
        "minTierValue": number(tier.floor),
        "maxTierValue": number(tier.cap),
        "leverage": number(tier.max_leverage),
        "mmr": number(tier.rate),
    }


def discount_rate(desk: Desk, _call: Call) -> Json:
    """What counts of each coin, from which value in USD on (6.4)."""
    return [
        {
            "coin": coin.name,
            "list": [
                {"tierStartValue": number(each.from_usd), "discountRate": number(each.ratio)} for each in coin.haircuts
            ],
        }
        for coin in desk.exchange.query.coins()
    ]


def current_fund_rate(desk: Desk, call: Call) -> Json:
    symbol = arguments.optional_symbol(call.query)
    category = arguments.optional_category(call.query)
    found = [
        each
        for each in desk.exchange.query.contracts()
        if symbol in ("", each.symbol) and category in (None, desk.category(each.symbol))
    ]
    return [
        {
            "symbol": each.symbol,
            "fundingRate": number(desk.tape.expected_rate(each.symbol)),
            "fundingRateInterval": str(FUNDING_INTERVAL_HOURS),
            "nextUpdate": str(next_funding_ms(call.now_ms)),
            "minFundingRate": f"-{FUNDING_LIMIT}",
            "maxFundingRate": FUNDING_LIMIT,
        }
        for each in found
    ]


def history_fund_rate(desk: Desk, call: Call) -> Json:
    """Pages by number; before the first settlement there is nothing."""
    contract = _named(desk, call.query)
    limit = call.query.integer("limit", default=_SETTLEMENTS, low=1, high=_SETTLEMENTS)
    page = call.query.integer("cursor", default=1, low=1)
    settled = desk.tape.settlements(contract.symbol, _SETTLEMENTS)[limit * (page - 1) : limit * page]
    return {
        "resultList": [
            {"symbol": contract.symbol, "fundingRate": number(each.rate), "fundingRateTimestamp": str(each.at_ms)}
            for each in settled
        ]
    }


def _named(desk: Desk, query: Fields) -> Contract:
    return desk.contract(arguments.category(query), arguments.symbol(query))


def open_interest_rows(desk: Desk, call: Call) -> Json:
    contract = _named(desk, call.query)
    size = number(open_interest(desk, contract.symbol))
    return {"list": [{"symbol": contract.symbol, "openInterest": size}], "ts": str(call.now_ms)}


def candles(desk: Desk, call: Call) -> Json:
    return _candle_rows(desk, call, _CANDLES_MAX)


def history_candles(desk: Desk, call: Call) -> Json:
    return _candle_rows(desk, call, _HISTORY_MAX)


def _candle_rows(desk: Desk, call: Call, most: int) -> Json:
    """Rows of seven strings, oldest first; `type` chooses the series, the index follows the mark here."""
    query = call.query
    contract = _named(desk, query)
    step_min = STEPS_MIN[arguments.word(query, "interval", *STEPS_MIN)]
    kind = arguments.word(query, "type", *_KINDS, default="market")
    end_ms = query.integer("endTime", default=call.now_ms)
    start_ms = query.integer("startTime", default=0)
    limit = query.integer("limit", default=100, low=1, high=most)
    found = desk.tape.candles(
        contract.symbol,
        marks=kind != "market",
        step_min=step_min,
        start_s=start_ms // 1000,
        end_s=end_ms // 1000,
        most=limit,
    )
    rows: list[Json] = []
    for each in found:
        start = each.at_ms - each.at_ms % (step_min * 60_000)
        prices = (each.open, each.high, each.low, each.close)
        turnover = each.volume * each.close
        rows.append([str(start), *(number(price) for price in prices), number(each.volume), number(turnover)])
    return rows


def orderbook(desk: Desk, call: Call) -> Json:
    contract = _named(desk, call.query)
    limit = call.query.integer("limit", default=_DEPTH_DEFAULT, low=1, high=_DEPTH_MAX)
    quote = desk.exchange.query.quote(contract.symbol)
    return {**book(desk, contract, quote, limit), "ts": str(call.now_ms)}


def book(desk: Desk, contract: Contract, quote: Quote | None, most: int) -> Row:
    """`a` asks and `b` bids as [price, size] from the best outwards."""
    sides = {"a": Side.SELL, "b": Side.BUY}
    return {
        name: [[number(price), number(size)] for price, size in levels(desk, contract, side, quote, most)]
        for name, side in sides.items()
    }


def levels(desk: Desk, contract: Contract, side: Side, quote: Quote | None, most: int) -> list[tuple[Decimal, Decimal]]:
    """The resting liquidity of one side that the engine's fill model stands for."""
    if quote is None or desk.exchange.query.status(contract.symbol) is not ContractStatus.TRADING:
        return []
    model = desk.exchange.query.fills(contract.symbol)
    taker, best = (Side.BUY, quote.ask) if side is Side.SELL else (Side.SELL, quote.bid)
    walked = book_levels(model, contract, taker, best)
    if walked:
        return walked[:most]
    gap = contract.tick * model.level_gap_ticks * (1 if side is Side.SELL else -1)
    outward = ((best + gap * step, _LEVEL_SIZE) for step in range(most))
    return [(price, size) for price, size in outward if price > 0]

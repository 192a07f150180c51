"""Routes under /_simulator/ by which other processes steer the simulator and read what truly happened.

    GET    summary | ledger | state | stamps | equity | faults
    POST   faults {name, kind, rate, times, for_ms, after_ms, target, account, symbol, delay_ms, offset_ms, code, factor}
    DELETE faults?name=…                        one, or all
    POST   prices {symbol, mark, index, last, bid, ask} or {paths: [{kind, symbol, …}]}      DELETE prices: stop paths
    POST   orders, plans {uid, symbol, side, …} DELETE orders?uid&order_id, plans?uid&plan_id
    POST   accounts, settings, venue, contracts, deleverage

A trader's actions here need no key and no rate limit: they are the other hand on the account. Bound to loopback.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from decimal import Decimal

from aiohttp import web
from msgspec import Struct

from guardd.simulator import prices
from guardd.simulator.contracts import ContractStatus
from guardd.simulator.faults import Fault, FaultKind, feed_faults
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import (
    Direction,
    MarginMode,
    OrderKind,
    OrderRequest,
    PlanKind,
    PlanRequest,
    PositionMode,
    PositionSide,
    PriceSource,
    Side,
    TimeInForce,
)
from guardd.simulator.plain import Fields, Malformed, as_json
from guardd.simulator.prices import CrashClass, Instrument, PriceTick
from guardd.simulator.records import AccountKind, Quote
from guardd.simulator.refusals import Refused
from guardd.simulator.server import CONTROL_PREFIX, SimulatorServer
from guardd.simulator.terms import VenueState

Answer = Callable[[SimulatorServer, web.Request], Awaitable[object]]
PATH_TASK, WALK_TASK = "prices", "walk"
_STAMPS_MAX = 20_000


def attach(server: SimulatorServer) -> None:
    """Give the server its control routes; before it is entered."""
    routes: dict[tuple[str, str], Answer] = {
        ("GET", "summary"): _summary,
        ("GET", "ledger"): _ledger,
        ("GET", "state"): _state,
        ("GET", "stamps"): _stamps,
        ("GET", "equity"): _equity,
        ("GET", "faults"): _list_faults,
        ("POST", "faults"): _set_fault,
        ("DELETE", "faults"): _clear_faults,
        ("POST", "prices"): _set_prices,
        ("DELETE", "prices"): _stop_prices,
        ("POST", "orders"): _place,
        ("DELETE", "orders"): _cancel,
        ("POST", "plans"): _place_plan,
        ("DELETE", "plans"): _cancel_plan,
        ("POST", "accounts"): _add_account,
        ("POST", "settings"): _set_settings,
        ("POST", "venue"): _set_venue,
        ("POST", "contracts"): _set_contract,
        ("POST", "deleverage"): _deleverage,
    }
    for (method, name), answer in routes.items():
        server.app.router.add_route(method, f"{CONTROL_PREFIX}{name}", _route(server, answer))


def _route(server: SimulatorServer, answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            done = await answer(server, request)
        except Malformed as error:
            return web.json_response({"error": str(error)}, status=400)
        except Refused as refusal:
            return web.json_response({"error": refusal.detail, "reason": refusal.reason.value}, status=409)
        except KeyError as error:
            return web.json_response({"error": f"unknown: {error}"}, status=404)
        return web.json_response(as_json(done))

    return handle


async def _fields(request: web.Request) -> Fields:
    try:
        return Fields(json.loads(await request.read()))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {error}") from error


# What happened


async def _summary(server: SimulatorServer, _: web.Request) -> object:
    ledger = server.exchange.ledger
    return {uid: ledger.summary(uid) for uid in server.exchange.query.accounts()}


async def _ledger(server: SimulatorServer, request: web.Request) -> object:
    query = request.query
    kind = Fields(dict(query)).optional_word("kind", RowKind)
    rows = server.exchange.ledger.rows(
        uid=query.get("uid"), kind=kind, symbol=query.get("symbol"), after=_number(request, "after")
    )
    return [row.as_json() for row in rows]


async def _equity(server: SimulatorServer, request: web.Request) -> object:
    return server.exchange.ledger.equity_series(request.query.get("uid", ""))


async def _state(server: SimulatorServer, _: web.Request) -> object:
    query = server.exchange.query
    return {
        "now_ms": server.now_ms(),
        "venue": server.exchange.state,
        "quotes": query.quotes(),
        "contracts": {each.symbol: query.status(each.symbol) for each in query.contracts()},
        "accounts": {uid: _account_state(server, uid) for uid in query.accounts()},
    }


def _account_state(server: SimulatorServer, uid: str) -> object:
    query = server.exchange.query
    pooled = query.account_kind(uid) is AccountKind.UNIFIED
    return {
        "position_mode": query.position_mode(uid),
        "balance": query.balance(uid),
        "balances": query.balances(uid),
        "pool": query.pool(uid) if pooled else None,
        "positions": query.positions(uid),
        "orders": query.open_orders(uid),
        "plans": query.open_plans(uid),
    }


async def _stamps(server: SimulatorServer, request: web.Request) -> object:
    """Stamps later than the given sequence numbers, at most 20,000 of a kind; `body` is the text as received."""
    after_request, after_ticker = _number(request, "after_request"), _number(request, "after_ticker")
    requests = [each for each in server.stamps.requests if each.sequence > after_request]
    tickers = [each for each in server.stamps.tickers if each.sequence > after_ticker]
    return {"requests": requests[:_STAMPS_MAX], "tickers": tickers[:_STAMPS_MAX]}


def _number(request: web.Request, name: str) -> int:
    text = request.query.get(name, "0")
    if not text.isdigit():
        raise Malformed(f"{name}: found {text!r}, expected a number")
    return int(text)


# What goes wrong


async def _list_faults(server: SimulatorServer, _: web.Request) -> object:
    return [{"fault": fault, "hits": hits} for fault, hits in server.faults.listed()]


async def _set_fault(server: SimulatorServer, request: web.Request) -> object:
    fields = await _fields(request)
    now_ms = server.now_ms()
    kind = fields.word("kind", FaultKind)
    from_ms = now_ms + fields.integer("after_ms", 0)
    for_ms = fields.optional_integer("for_ms")
    fault = Fault(
        name=fields.text("name", kind.value),
        kind=kind,
        rate=fields.share("rate", 1.0),
        times=fields.optional_integer("times"),
        from_ms=from_ms,
        until_ms=None if for_ms is None else from_ms + for_ms,
        target=fields.text("target", "*"),
        account=fields.text("account", "*"),
        symbol=fields.text("symbol", "*"),
        delay_ms=fields.integer("delay_ms", 0),
        offset_ms=fields.integer("offset_ms", 0),
        code=fields.optional_integer("code"),
        factor=str(fields.optional_decimal("factor") or "1"),
    )
    server.faults.set(fault)
    return fault


async def _clear_faults(server: SimulatorServer, request: web.Request) -> object:
    server.faults.clear(request.query.get("name"))
    return await _list_faults(server, request)


# Prices


async def _set_prices(server: SimulatorServer, request: web.Request) -> object:
    fields = await _fields(request)
    server.stop(WALK_TASK)
    if fields.has("paths"):
        now_ms = server.now_ms()
        wanted = fields.objects("paths")
        paths = [_path(server, each) for each in wanted]
        for each in wanted:
            if each.flag("feed"):  # the feed suffers as it did in that crash
                for fault in feed_faults(prices.crash_feed_effects(each.integer("begins_ms", 0)), now_ms):
                    server.faults.set(fault)
        server.spawn(PATH_TASK, server.play(prices.merged(*paths)))
        return {"started_ms": now_ms}
    mark = fields.decimal("mark")
    symbol = fields.text("symbol")
    server.exchange.move(
        symbol,
        mark=mark,
        index=fields.optional_decimal("index"),
        last=fields.optional_decimal("last"),
        bid=fields.optional_decimal("bid"),
        ask=fields.optional_decimal("ask"),
        now_ms=server.now_ms(),
    )
    return server.exchange.query.quote(symbol)


def _path(server: SimulatorServer, fields: Fields) -> Iterator[PriceTick]:
    contract = server.exchange.query.contract(fields.text("symbol"))
    instrument = Instrument(symbol=contract.symbol, tick=contract.tick)
    step_ms = fields.integer("step_ms", prices.STEP_MS)
    kind = fields.text("kind")
    if kind == "scripted":
        return prices.scripted(instrument, fields.points("points"), step_ms=step_ms)
    quote: Quote | None = server.exchange.query.quote(contract.symbol)
    start = fields.optional_decimal("start") or (quote.mark if quote else None)
    if start is None:
        raise Malformed("start: missing, and the contract has no price yet")
    duration_ms = fields.integer("duration_ms")
    if kind == "flat":
        return prices.flat(instrument, start, duration_ms=duration_ms, step_ms=step_ms)
    if kind == "random_walk":
        return prices.random_walk(
            instrument,
            start,
            seed=fields.integer("seed", 0),
            volatility_per_s=fields.decimal("volatility_per_s"),
            duration_ms=duration_ms,
            step_ms=step_ms,
        )
    if kind == "crash":
        return prices.crash(
            instrument,
            start,
            crash_class=fields.word("class", CrashClass, CrashClass.MAJOR),
            seed=fields.integer("seed", 0),
            begins_ms=fields.integer("begins_ms", 0),
            duration_ms=duration_ms,
            step_ms=step_ms,
        )
    raise Malformed(f"kind: found {kind!r}, expected one of scripted, flat, random_walk, crash")


async def _stop_prices(server: SimulatorServer, _: web.Request) -> object:
    return {"stopped": server.stop(PATH_TASK) + server.stop(WALK_TASK)}


# The trader's other hand


async def _place(server: SimulatorServer, request: web.Request) -> object:
    fields = await _fields(request)
    order = OrderRequest(
        symbol=fields.text("symbol"),
        side=fields.word("side", Side),
        size=fields.decimal("size"),
        reduce=fields.flag("reduce"),
        kind=fields.word("kind", OrderKind, OrderKind.MARKET),
        price=fields.optional_decimal("price"),
        time_in_force=fields.word("time_in_force", TimeInForce, TimeInForce.GTC),
        client_id=fields.text("client_id", ""),
    )
    return server.exchange.place(fields.text("uid"), order, server.now_ms())


async def _cancel(server: SimulatorServer, request: web.Request) -> object:
    """One order by `order_id`, or every order of `symbol`."""
    query = request.query
    if query.get("order_id"):
        return server.exchange.cancel(query["uid"], query["order_id"], server.now_ms())
    return {"cancelled": server.exchange.cancel_all(query["uid"], query["symbol"], server.now_ms())}


async def _place_plan(server: SimulatorServer, request: web.Request) -> object:
    fields = await _fields(request)
    plan = PlanRequest(
        symbol=fields.text("symbol"),
        kind=fields.word("kind", PlanKind),
        side=fields.word("side", Side),
        reduce=fields.flag("reduce", default=True),
        trigger_price=fields.decimal("trigger_price"),
        source=fields.word("source", PriceSource, PriceSource.MARK),
        direction=fields.optional_word("direction", Direction),
        size=fields.optional_decimal("size"),
        limit_price=fields.optional_decimal("limit_price"),
        client_id=fields.text("client_id", ""),
        callback_rate=fields.optional_decimal("callback_rate"),
    )
    return server.exchange.place_plan(fields.text("uid"), plan, server.now_ms())


async def _cancel_plan(server: SimulatorServer, request: web.Request) -> object:
    return server.exchange.cancel_plan(request.query["uid"], request.query["plan_id"], server.now_ms())


async def _add_account(server: SimulatorServer, request: web.Request) -> object:
    """A new account with one key; `passphrase` is the memo where the venue calls it so."""
    fields = await _fields(request)
    account = AccountSettings(
        uid=fields.text("uid"),
        deposit=fields.decimal("deposit"),
        spot=fields.optional_decimal("spot") or Decimal(0),
        position_mode=fields.word("position_mode", PositionMode, PositionMode.HEDGE),
        leverage=fields.optional_decimal("leverage") or Decimal(10),
        margin_mode=fields.word("margin_mode", MarginMode, MarginMode.CROSS),
        key=fields.text("key"),
        secret=fields.text("secret"),
        passphrase=fields.text("passphrase", ""),
        may_trade=fields.flag("may_trade", default=True),
        kind=fields.word("kind", AccountKind, AccountKind.CLASSIC),
        deposits=fields.amounts("deposits"),
        spots=fields.amounts("spots"),
    )
    add_account(server, account)
    return {"uid": account.uid}


class AccountSettings(Struct, frozen=True, kw_only=True):
    """An account of the simulator with the one key it begins with."""

    uid: str
    deposit: Decimal
    spot: Decimal = Decimal(0)
    position_mode: PositionMode = PositionMode.HEDGE
    leverage: Decimal = Decimal(10)
    margin_mode: MarginMode = MarginMode.CROSS
    key: str
    secret: str
    passphrase: str
    may_trade: bool = True
    kind: AccountKind = AccountKind.CLASSIC
    deposits: Mapping[str, Decimal] = {}  # of other coins than USDT
    spots: Mapping[str, Decimal] = {}


def add_account(server: SimulatorServer, account: AccountSettings) -> None:
    """Open it on the exchange and hand its key to the dialect."""
    if account.uid in server.exchange.query.accounts():
        raise Malformed(f"uid: {account.uid!r} exists")
    server.exchange.add_account(
        account.uid,
        deposit=account.deposit,
        spot=account.spot,
        position_mode=account.position_mode,
        leverage=account.leverage,
        margin_mode=account.margin_mode,
        kind=account.kind,
        deposits=account.deposits,
        spots=account.spots,
    )
    server.dialect.add_key(account.uid, account.key, account.secret, account.passphrase, may_trade=account.may_trade)


async def _set_settings(server: SimulatorServer, request: web.Request) -> object:
    """Leverage and margin mode of a contract, isolated margin, or the account's position mode."""
    fields = await _fields(request)
    uid, now_ms = fields.text("uid"), server.now_ms()
    mode = fields.optional_word("position_mode", PositionMode)
    if mode is not None:
        server.exchange.set_position_mode(uid, mode, now_ms)
        return {"position_mode": mode}
    symbol, side = fields.text("symbol"), fields.optional_word("position_side", PositionSide)
    added = fields.optional_decimal("add_margin")
    if added is not None:
        server.exchange.add_margin(uid, symbol, side or PositionSide.LONG, added, now_ms)
    return server.exchange.set_leverage(
        uid,
        symbol,
        now_ms,
        leverage=fields.optional_decimal("leverage"),
        margin_mode=fields.optional_word("margin_mode", MarginMode),
        side=side,
    )


async def _set_venue(server: SimulatorServer, request: web.Request) -> object:
    state = (await _fields(request)).word("state", VenueState)
    server.exchange.set_state(state, server.now_ms())
    return {"state": state}


async def _set_contract(server: SimulatorServer, request: web.Request) -> object:
    fields = await _fields(request)
    symbol, status = fields.text("symbol"), fields.word("status", ContractStatus)
    server.exchange.set_status(symbol, status, server.now_ms(), settle=fields.flag("settle"))
    return {"symbol": symbol, "status": status}


async def _deleverage(server: SimulatorServer, request: web.Request) -> object:
    fields = await _fields(request)
    return server.exchange.auto_deleverage(
        fields.text("uid"),
        fields.text("symbol"),
        fields.word("side", PositionSide),
        fields.decimal("size"),
        server.now_ms(),
        price=fields.optional_decimal("price"),
    )

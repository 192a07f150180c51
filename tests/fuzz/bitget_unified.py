"""Answers and pushes of a unified account at Bitget (V3)."""

from collections.abc import Callable, Mapping
from typing import Final

from guardd.errors import VenueError, VenueRefused
from guardd.model.instant import Instant
from guardd.model.names import AccountName, Side, Symbol
from guardd.model.order import OrderReport, ProtectionKind
from guardd.venues.bitget import envelope, frames
from guardd.venues.bitget.unified.parse import account, both_modes, flows, market, orders, pushes, strategy, ticker
from tests.fuzz import samples
from tests.fuzz.target import Target

MAIN: Final = AccountName("main")
AT: Final = Instant(7, 1_700_000_000_000)
_EXCUSED: Final = frozenset({"data", "qty"})
"""`data`: lists are empty as `[]`, null or missing (1); flat is believed after two reads only (I6). `qty`: whole-position objects
have none where one is asked for (10.1), and a list can't tell them from others (10.4)."""
_SIDES: Final[Mapping[Symbol, Side]] = {Symbol("BTCUSDT"): Side.LONG}


def _answer(name: str, read: Callable[[object], object], *files: str, folder: str = "bitget-uta") -> Target:
    def whole(body: bytes) -> object:
        sealed = envelope.envelope(name, body)
        if not sealed.ok:
            raise VenueRefused(endpoint=name, code=str(sealed.code), text=sealed.text)
        return read(sealed.data)

    given = samples.of(folder, *files)
    return Target(
        f"bitget.unified.{name}", whole, given, (VenueError,), venue=True, lists_may_miss=True, excused=_EXCUSED
    )


def _positions(data: object) -> object:
    return both_modes.one_row_a_position(account.positions(MAIN, data)), account.marks(data)


def _contracts(data: object) -> object:
    tiers = market.tiers([{"minTierValue": "0", "maxTierValue": "1000", "mmr": "0.01", "leverage": "50"}])
    return [(each.instrument(tiers), each.tradable) for each in market.contracts(data)]


def _ledger(data: object) -> object:
    rows, page = account.ledger_page(data)
    return rows, page, flows.flows(rows)


def _of_objects(found: tuple[strategy.Strategy, ...]) -> object:
    """An object that lost its only leg is passed over; what is reported of it is judged in the history."""
    plans = [strategy.plans_of(MAIN, each, _SIDES) for each in found]
    return (
        plans,
        [strategy.fired_leg(each) for each in found],
        {report.order_id for each in found for report in _reports(each)},
    )


def _reports(found: strategy.Strategy) -> list[OrderReport]:
    return [strategy.report_of(found, kind) for kind in ProtectionKind]


def _listed(data: object) -> object:
    return _of_objects(strategy.strategies(data)), strategy.entries(MAIN, data)


def _past(data: object) -> object:
    found, page = strategy.past_page(data)
    return _of_objects(found), [_reports(each) for each in found], page


def frame(text: bytes) -> object:
    """As the two sockets read it: the quick way to a price first, then the other one."""
    seen = ticker.ticker(text, AT)
    if seen is not None:
        return seen
    heard = frames.parse_frame(text)
    return (heard, _pushed(heard)) if isinstance(heard, frames.Push) else heard


def _pushed(push: frames.Push) -> object:
    match push.channel:
        case "position":
            parts = both_modes.Parts()
            return [parts.pushed(each) for each in pushes.pushed_positions(MAIN, push)]
        case "account":
            return pushes.pool_of(push)
        case "order":
            return pushes.pushed_orders(MAIN, push)
        case "strategy-order":
            return _of_objects(pushes.pushed_strategies(push))
        case "adl-notification":
            return pushes.deleveragings(push)
        case _:
            return None


def _identity(data: object) -> object:
    return account.identity(data)


_BTC: Final = Symbol("BTCUSDT")

TARGETS: Final = (
    Target(
        "bitget.unified.frame",
        frame,
        samples.named("bitget-uta", "ws_*.json"),
        (VenueError,),
        venue=True,
        lists_may_miss=True,
        excused=_EXCUSED,
    ),
    _answer(
        "current-position",
        _positions,
        "current_position_observed",
        "current_position_no_liquidation",
        "current_position_one_way_isolated_short",
    ),
    _answer("account/assets", account.pool, "account_assets_at_risk", "account_assets_flat"),
    _answer("account/settings", account.settings, "account_settings", "account_settings_switching"),
    _answer("account/info", _identity, "account_info"),
    _answer("funding-assets", lambda data: account.funding_balance("USDT", data), "funding_assets"),
    _answer("financial-records", _ledger, "financial_records"),
    _answer("instruments", _contracts, "instruments_usdt_futures", "instruments_usdc_futures_observed"),
    _answer("position-tier", market.tiers, "position_tier"),
    _answer("tickers", lambda data: market.ticker_of(_BTC, data, AT), "tickers_usdt_futures"),
    _answer("unfilled-orders", lambda data: orders.resting_page(MAIN, data), "unfilled_orders"),
    _answer("order-info", orders.order_report, "order_info_live"),
    _answer("history-orders", orders.report_page, "history_orders_close_long_hedge", "history_orders_liquidation"),
    _answer("fills", orders.fill_page, "fills"),
    _answer("strategy-sub-orders", orders.child_ids, "unfilled_orders"),
    _answer(
        "unfilled-strategy-orders",
        _listed,
        "unfilled_strategy_orders_documented",
        "unfilled_strategy_orders_observed",
    ),
    _answer("history-strategy-orders", _past, "history_strategy_orders"),
)

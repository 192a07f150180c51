"""Answers and pushes of a classic account at Bitget (V2)."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from guardd.errors import VenueError, VenueRefused
from guardd.model.instant import Instant
from guardd.model.names import AccountName, Side, Symbol
from guardd.venues.bitget import envelope, frames
from guardd.venues.bitget.classic.parse import account, flows, market, orders, plans, positions, pushes, ticker
from guardd.venues.bitget.classic.parse.words import Product
from tests.fuzz import samples
from tests.fuzz.target import Target

MAIN: Final = AccountName("main")
AT: Final = Instant(7, 1_700_000_000_000)
_USDT: Final = Product.USDT
_BARE: Final = frozenset({"data"})
"""A bare list that is missing is read as null, which is empty (2): flat is believed after two reads only (I6)."""
_AROUND: Final = plans.Surroundings(
    one_way={Symbol("BTCUSDT"): Side.LONG}, marks={Symbol("ETHUSDT"): Decimal(2000), Symbol("BTCUSDT"): Decimal(90000)}
)
_ONE_WAY: Final[Mapping[Symbol, Side]] = {Symbol("BTCUSDT"): Side.LONG}


def _answer(name: str, read: Callable[[object], object], *files: str, excused: frozenset[str] = frozenset()) -> Target:
    def whole(body: bytes) -> object:
        sealed = envelope.envelope(name, body)
        if not sealed.ok:
            raise VenueRefused(endpoint=name, code=str(sealed.code), text=sealed.text)
        return read(sealed.data)

    given = samples.of("bitget", *files)
    return Target(f"bitget.classic.{name}", whole, given, (VenueError,), venue=True, excused=excused | _BARE)


def _positions(data: object) -> object:
    rows = positions.held_rows(MAIN, _USDT, data, asked_ms=1_700_000_000_000)
    return rows, positions.one_way_sides(rows), [positions.isolated_maintenance(row, Decimal("0.0006")) for row in rows]


def _contracts(data: object) -> object:
    tiers = market.margin_tiers([{"startUnit": "0", "endUnit": "1000", "keepMarginRate": "0.01", "leverage": "50"}])
    return [each.instrument(tiers=tiers, taker_fee=each.taker_fee) for each in market.contracts(_USDT, data)]


def _resting(data: object) -> object:
    return orders.resting_orders(MAIN, data), orders.page_of(data, "entrustedList", "orderId")


def _fills(data: object) -> object:
    return orders.fills(MAIN, data), orders.page_of(data, "fillList", "tradeId")


def _plans(data: object) -> object:
    rows = plans.plan_rows(MAIN, data, _AROUND)
    reported = {plans.report_of_plan(row.order).order_id for row in rows}
    return rows, reported, orders.page_of(data, "entrustedList", "orderId")


def _ended(data: object) -> object:
    ended = plans.ended_plans(data)
    return ended, [(each.report(), each.fired) for each in ended]


def _flows(data: object) -> object:
    return flows.flows(data), flows.rows_on_page(data), flows.goes_on_below(data)


def frame(text: bytes) -> object:
    """As the two sockets read it: the quick way to a price first, then the other one."""
    seen = ticker.ticker(text, AT)
    if seen is not None:
        return seen
    heard = frames.parse_frame(text)
    return (
        (heard, pushes.read_push(MAIN, heard, _ONE_WAY, pushes.position_rows()))
        if isinstance(heard, frames.Push)
        else heard
    )


def _rights(data: object) -> object:
    rights = account.rights(data)
    return rights, rights.may_trade, rights.may_withdraw


TARGETS: Final = (
    Target(
        "bitget.classic.frame", frame, samples.named("bitget", "ws_*.json"), (VenueError,), venue=True, excused=_BARE
    ),
    _answer(
        "position",
        _positions,
        "all_position",
        "single_position",
        "single_position_isolated",
        "all_position_cross_2023_live",
    ),
    _answer(
        "accounts",
        lambda data: account.balances(_USDT, data),
        "account_list_single_mode",
        "account_list_union",
        # Of the two parts of a profit, either is documented as empty (7.1). What positions tie up is a bound from below anyway: it
        # feeds a doubt about a position that a read lost, behind which two reads stand (I6).
        excused=frozenset({"crossedUnrealizedPL", "isolatedUnrealizedPL", "crossedMargin", "isolatedMargin"}),
    ),
    _answer("account", account.settings, "account_single", "account_single_numeric_leverage"),
    _answer("spot.account.info", _rights, "spot_account_info"),
    _answer("transferRecords", account.transfers, "transfer_records"),
    _answer("contracts", _contracts, "contracts", "contracts_2023_example"),
    _answer("query-position-lever", market.margin_tiers, "position_tiers"),
    _answer("ticker", lambda data: market.marks(data, AT), "ticker", "tickers"),
    _answer("symbol-price", market.symbol_price, "symbol_price"),
    _answer("orders-pending", _resting, "orders_pending"),
    _answer("order.detail", orders.order_report, "order_detail", "order_detail_live"),
    _answer("orders-history", orders.reports, "orders_history"),
    _answer("fills", _fills, "fills", "fill_history"),
    _answer(
        "orders-plan-pending",
        _plans,
        "orders_plan_pending_documented",
        "orders_plan_pending_normal",
        "orders_plan_pending_profit_loss",
    ),
    _answer("orders-plan-history", _ended, "orders_plan_history"),
    _answer("bill", _flows, "account_bill"),
    _answer("adlRank", lambda data: positions.adl_ranks(MAIN, data), "adl_rank"),
    _answer("set-margin-mode", account.margin_mode_set, "set_margin_mode"),
)

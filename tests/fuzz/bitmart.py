"""BitMart's answers and frames."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from guardd.errors import PayloadError, VenueError, VenueRefused
from guardd.model.instant import Instant
from guardd.model.instrument import MarginTier
from guardd.model.names import AccountName
from guardd.venues.bitmart.parse import account, envelope, flows, frames, market, orders, ticker
from tests.fuzz import samples
from tests.fuzz.target import Target

MAIN: Final = AccountName("main")
AT: Final = Instant(7, 1_700_000_000_000)
_ZERO, _ONE = Decimal(0), Decimal(1)


def _answer(name: str, read: Callable[[object], object], *files: str, venue: bool = True) -> Target:
    """`read` takes the `data` of an answer."""

    def whole(body: bytes) -> object:
        sealed = envelope.envelope(name, body)
        if not sealed.ok:
            raise VenueRefused(endpoint=name, code=str(sealed.code), text=sealed.text)
        return read(sealed.data)

    given = samples.of("bitmart", *files)
    return Target(f"bitmart.{name}", whole, given, (VenueError,), venue=venue)


def _resting(data: object) -> object:
    found = orders.resting_orders(MAIN, data)
    return (
        found,
        orders.may_be_cut_off(data),
        orders.symbols_of(found),
        [orders.report_of_resting(each) for each in found],
    )


def _plans(data: object) -> object:
    found = orders.plan_orders(MAIN, data)
    return found, orders.may_be_cut_off(data), {orders.report_of_plan(each).order_id for each in found}


def _positions(data: object) -> object:
    found = account.positions_v2(MAIN, data, {})
    if found.undirected:  # `Reads.positions` asks elsewhere then, and a read that stays without a side fails
        raise PayloadError(where="position-v2", found="rows without a side", expected="long or short")
    return (
        found,
        account.one_way_sides(data),
        account.marks_v2(data),
        account.leverages_v2(data),
    )


def _contracts(data: object) -> object:
    tier = MarginTier(floor=_ZERO, cap=_ONE, rate=_ONE / 100, deduction=_ZERO, max_leverage=_ONE)
    return [each.instrument(tiers=(tier,), taker_fee=_ZERO) for each in market.contracts(data)]


def _ledger(data: object) -> object:
    rows = account.ledger(data)
    return rows, flows.flows(rows)


def _envelope(body: bytes) -> object:
    sealed = envelope.envelope("fuzz", body)
    return sealed, envelope.accepted_order_id(sealed.data)


def frame(text: bytes) -> object:
    """As the two talks read it: the quick way to a price first, then the other one."""
    return ticker.ticker(text, AT) or _slow(text)


def _slow(text: bytes) -> object:
    plain = frames.frame_text(text)
    return ticker.ticker(plain, AT) or frames.parse_frame(MAIN, plain, AT)


TARGETS: Final = (
    Target("bitmart.envelope", _envelope, samples.named("bitmart", "submit_*.json"), (VenueError,)),
    Target("bitmart.frame", frame, samples.named("bitmart", "ws_[!r]*.json"), (VenueError,), venue=True),
    _answer("assets-detail", account.balance, "assets_detail"),
    _answer(
        "position-v2",
        _positions,
        "position_v2_open_cross",
        "constructed_position_v2_hedge_long_short",
        "constructed_position_v2_one_way_short_cross",
    ),
    _answer("position", account.sides_v1, "position", "position_capture_2023"),
    _answer("position-risk", lambda data: (account.position_risk(data), account.marks_risk(data)), "position_risk"),
    _answer("get-position-mode", account.position_mode, "get_position_mode"),
    _answer("transaction-history", _ledger, "transaction_history", "transaction_history_capture"),
    _answer("transfer-contract-list", account.transfers, "transfer_contract_list"),
    _answer("get-open-orders", _resting, "get_open_orders", "get_open_orders_capture"),
    _answer("current-plan-order", _plans, "current_plan_order", "current_plan_order_capture"),
    _answer("order", orders.order_report, "order", "order_capture_2023"),
    _answer("order-history", orders.reports, "order_history", "order_history_liquidation_capture"),
    _answer("trades", lambda data: orders.fills(MAIN, data), "trades"),
    _answer("details", _contracts, "contract_details", "contract_details_trading"),
    _answer("leverage-bracket", market.leverage_brackets, "leverage_bracket"),
    _answer("trade-fee-rate", market.taker_fee_rate, "trade_fee_rate"),
    _answer("markprice-kline", market.newest_mark_close, "markprice_kline"),
    _answer("system/service", market.service_notices, "system_service"),
    _answer("system/time", market.server_time_ms, "system_time"),
)

"""Everything that a guard asks BitMart, and in what order (reference, sections 7-9 and 18)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeVar

from guardd.clock import Clock
from guardd.errors import PayloadError, VenueError, VenueRefused
from guardd.model.account import Balance
from guardd.model.event import MarkSeen, OrdersRead, PositionsRead, Source
from guardd.model.flow import Flow
from guardd.model.instant import NS_PER_S
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import AccountName, ClientId, MarginMode, OrderId, PositionMode, Side, Symbol
from guardd.model.order import OrderReport, PlanOrder, RestingOrder
from guardd.model.reading import is_value
from guardd.venues.base import Early, nobody
from guardd.venues.bitmart import endpoints
from guardd.venues.bitmart.api import READ_DEADLINE_S, Api, Query
from guardd.venues.bitmart.endpoints import Endpoint
from guardd.venues.bitmart.errors import is_unknown_order, is_unknown_symbol
from guardd.venues.bitmart.parse import account as account_answers
from guardd.venues.bitmart.parse import market as market_answers
from guardd.venues.bitmart.parse import orders as order_answers
from guardd.venues.bitmart.parse.account import LedgerRow, PositionsV2, RiskRow, TransferRow
from guardd.venues.bitmart.parse.flows import flows as ledger_flows
from guardd.venues.bitmart.parse.market import Contract, ServiceNotice
from guardd.venues.bitmart.parse.orders import PAGE_ROWS, FillRow
from guardd.venues.rows import tiers_unread
from guardd.venues.together import both, together

MARK_DEADLINE_S: Final = 0.5
"""For all sources of a mark together (I28)."""
_MARK_FIRST_S: Final = 0.3
WHOLE_LIST_DEADLINE_S: Final = 15.0
"""The list of all contracts is about a megabyte."""
SINGLE_SYMBOLS_MAX: Final = 4
"""Up to so many symbols are asked for one by one; beyond that the whole list is cheaper in calls."""
FEE_DEADLINE_S: Final = 1.0
REGULAR_TAKER_FEE: Final = Decimal("0.0006")
"""The regular tier (8.6), taken until the account's own rate was read: that call is limited to one a second."""
LEDGER_ROWS: Final = 1_000
LEDGER_PAGES_MAX: Final = 5
EQUITY_GAP_RATIO: Final = Decimal("0.05")
_KLINE_SPAN_S: Final = 120
_TRAILING: Final = (("type", "trailing"),)
_LIMIT: Final = (("limit", str(PAGE_ROWS)),)
_PLAN_TYPES: Final = ((("plan_type", "plan"),), (("plan_type", "profit_loss"),))

_Order = TypeVar("_Order", RestingOrder, PlanOrder)


class Reads:
    """The reads of one account. `tell` gets (edge, text) for people; `held` knows the symbols that matter now."""

    def __init__(self, *, api: Api, account: AccountName, clock: Clock, tell: Callable[[str, str], None]) -> None:
        self._api = api
        self._account = account
        self._clock = clock
        self._tell = tell
        self._fees: dict[Symbol, Decimal] = {}
        self.held: frozenset[Symbol] = frozenset()

    async def positions(self, pushed_sides: Mapping[Symbol, Side]) -> PositionsRead:
        """One unfiltered call covers every symbol (8.3). `pushed_sides`: what the stream says of one-way positions."""
        started = self._clock.now()
        data = await self._api.read(endpoints.POSITION_V2)
        read = account_answers.positions_v2(self._account, data, {})
        claimed = account_answers.one_way_sides(data)
        doubted = {symbol for symbol, side in claimed.items() if pushed_sides.get(symbol, side) is not side}
        if read.undirected or doubted:
            read = await self._directed(data, sorted({*read.undirected, *doubted}))
        self.held = frozenset(position.key.symbol for position in read.positions)
        return PositionsRead(started=started, at=self._clock.now(), positions=read.positions)

    async def balance(self) -> Balance:
        """The USDT wallet. Equity is expected to be the sum of its parts; a large gap is told, and fails nothing (8.1)."""
        balance = account_answers.balance(await self._api.read(endpoints.ASSETS_DETAIL))
        if is_value(balance.equity) and is_value(balance.unrealized_pnl):
            parts = balance.available + balance.frozen + balance.position_margin + balance.unrealized_pnl
            if abs(balance.equity - parts) > EQUITY_GAP_RATIO * abs(balance.equity):
                self._tell("equity-gap", f"equity {balance.equity} isn't the sum of its parts, {parts}")
        return balance

    async def position_mode(self) -> PositionMode:
        return account_answers.position_mode(await self._api.read(endpoints.GET_POSITION_MODE))

    async def orders(self, symbols: Collection[Symbol], *, resting: bool, plans: bool) -> OrdersRead:
        """Resting, trailing and plan orders of the account; `symbols` are asked for singly where a list is cut off."""
        started = self._clock.now()
        book, waiting = await both(
            self._all_resting(symbols) if resting else _not_read(), self._plans(symbols) if plans else _not_read()
        )
        return OrdersRead(started=started, at=self._clock.now(), resting=book, plans=waiting)

    async def mark(self, symbol: Symbol) -> MarkSeen:
        """By position-v2, else position-risk, else the newest bar of the mark (14.7); never by the last price."""
        ends_ns = self._clock.monotonic_ns() + int(MARK_DEADLINE_S * NS_PER_S)
        failure: VenueError | None = None
        for source in (self._mark_v2, self._mark_risk, self._mark_kline):
            left_s = (ends_ns - self._clock.monotonic_ns()) / NS_PER_S
            if left_s <= 0:
                break
            try:
                mark = await source(symbol, min(left_s, _MARK_FIRST_S))
            except VenueError as error:
                failure = error
                continue
            return MarkSeen(symbol, mark, self._clock.now(), source=Source.REST)
        raise failure or PayloadError(where=f"mark of {symbol}", found="no answer", expected="a mark price")

    async def find_order(
        self, symbol: Symbol, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        """Open lists first, then the history: an order that leaves the first in between is in the second by then (9.2)."""
        if order_id is not None and (report := await self._order(symbol, order_id)) is not None:
            return report
        of_symbol: Query = (("symbol", symbol),)
        resting, trailing, plans = await together(
            self._api.read(endpoints.GET_OPEN_ORDERS, (*of_symbol, *_LIMIT)),
            self._api.read(endpoints.GET_OPEN_ORDERS, (*of_symbol, *_TRAILING, *_LIMIT)),
            self._api.read(endpoints.CURRENT_PLAN_ORDER, (*of_symbol, *_LIMIT)),
        )
        listed = [
            *map(order_answers.report_of_resting, order_answers.resting_orders(self._account, resting)),
            *map(order_answers.report_of_resting, order_answers.resting_orders(self._account, trailing)),
            *map(order_answers.report_of_plan, order_answers.plan_orders(self._account, plans)),
        ]
        found = order_answers.matching_report(listed, client_id=client_id, order_id=order_id)
        if found is not None:
            return found
        by_client: Query = (("client_order_id", client_id),) if client_id is not None and order_id is None else ()
        finished = await self._history((*of_symbol, *by_client))
        return order_answers.matching_report(finished, client_id=client_id, order_id=order_id)

    async def instruments(self, symbols: Collection[Symbol], *, early: Early = nobody) -> tuple[Instrument, ...]:
        """Contract, margin tiers and fee of each symbol. Inverse, dated and unknown ones are left out and told."""
        wanted = sorted(set(symbols))
        listed = {each.symbol: each for each in await self._contracts(wanted)}
        found = [listed[symbol] for symbol in wanted if symbol in listed and listed[symbol].guardable]
        for symbol in wanted:
            if symbol not in {contract.symbol for contract in found}:
                self._tell(
                    f"unguardable-{symbol}", f"{symbol} isn't a linear USDT perpetual of this venue: not guarded"
                )
        early(tuple(contract.instrument(tiers=(), taker_fee=self._fee(contract.symbol)) for contract in found))
        tiers = await self._tiers([contract.symbol for contract in found])
        await self._learn_fees([contract.symbol for contract in found])
        self._tell_endings(found)
        return tuple(
            contract.instrument(tiers=tiers.get(contract.symbol, ()), taker_fee=self._fee(contract.symbol))
            for contract in found
        )

    def _fee(self, symbol: Symbol) -> Decimal:
        return self._fees.get(symbol, REGULAR_TAKER_FEE)

    async def live_leverage(self, symbol: Symbol, deadline_s: float) -> tuple[Decimal, MarginMode] | None:
        """Leverage and margin mode as they stand at the venue; None where it doesn't say."""
        data = await self._api.read(endpoints.POSITION_V2, (("symbol", symbol),), deadline_s=deadline_s)
        return account_answers.leverages_v2(data).get(symbol)

    async def position_risk(self) -> tuple[RiskRow, ...]:
        """The fast cross-check: four times the rate of position-v2 (8.4)."""
        return account_answers.position_risk(await self._api.read(endpoints.POSITION_RISK))

    async def service_notices(self) -> tuple[ServiceNotice, ...]:
        return market_answers.service_notices(await self._api.read(endpoints.SYSTEM_SERVICE))

    async def fills(self, symbol: Symbol | None = None, *, since_ms: int | None = None) -> tuple[FillRow, ...]:
        """Our trades, by default of the last seven days; the filter counts in seconds (9.5)."""
        window = () if since_ms is None else _since_seconds(since_ms, self._api.time.timestamp_ms())
        query = (*_symbol_query(symbol), *window)
        return order_answers.fills(self._account, await self._api.read(endpoints.TRADES, query))

    async def ledger(self, *, since_ms: int, until_ms: int | None = None) -> tuple[LedgerRow, ...]:
        """What moved the balance in that time, a page at most; this filter counts in milliseconds (8.7)."""
        query: Query = (
            ("start_time", str(since_ms)),
            ("end_time", str(self._api.time.timestamp_ms() if until_ms is None else until_ms)),
            ("page_size", str(LEDGER_ROWS)),
        )
        return account_answers.ledger(await self._api.read(endpoints.TRANSACTION_HISTORY, query))

    async def flows(self, *, since_ms: int) -> tuple[Flow, ...]:
        """Everything that moved the balance since then. There is no page number (8.7): the next page ends where the last did."""
        found: list[LedgerRow] = []
        until_ms: int | None = None
        for _ in range(LEDGER_PAGES_MAX):
            page = await self.ledger(since_ms=since_ms, until_ms=until_ms)
            oldest_ms = min((row.at_ms for row in page), default=0)
            if len(page) < LEDGER_ROWS:
                return ledger_flows([*found, *page])
            found.extend(
                row for row in page if row.at_ms > oldest_ms
            )  # the rest of that millisecond may be on the next
            if until_ms == oldest_ms:
                break
            until_ms = oldest_ms
        found_text = f"{LEDGER_PAGES_MAX} full pages, or one of a single millisecond"
        raise PayloadError(where="transaction-history", found=found_text, expected="an end of the list")

    async def transfers(self, *, since_ms: int, deadline_s: float = READ_DEADLINE_S) -> tuple[TransferRow, ...]:
        """Transfers between the wallets since then: a POST, but it changes nothing (12.5).

        No end is asked for: by our clock's idea of the venue's, one that was just made may lie after "now", and would be missed.
        """
        data = await self._api.read(
            endpoints.TRANSFER_LIST,
            deadline_s=deadline_s,
            body={
                "currency": market_answers.SETTLE,
                "time_start": since_ms,
                "page": 1,
                "limit": PAGE_ROWS,
            },
        )
        return account_answers.transfers(data)

    async def _directed(self, data: object, symbols: Sequence[Symbol]) -> PositionsV2:
        """Settle the side of one-way positions by `/position`, which states it (8.3)."""
        sides = account_answers.sides_v1(await self._api.read(endpoints.POSITION))
        named = ", ".join(symbols)
        self._tell(f"direction-{named}", f"position-v2 leaves the side of {named} open: taken from /position")
        read = account_answers.positions_v2(self._account, data, sides)
        if read.undirected:
            found = f"no side for {', '.join(read.undirected)} in position-v2 and position"
            raise PayloadError(where="position-v2.data", found=found, expected="a side for every open position")
        return read

    async def _all_resting(self, symbols: Collection[Symbol]) -> tuple[RestingOrder, ...]:
        """Trailing orders are only sure to be found under their own type (9.3)."""
        plain, trailing = await both(self._resting((), symbols), self._resting(_TRAILING, symbols))
        return _merged(plain, trailing)

    async def _resting(self, kind: Query, symbols: Collection[Symbol]) -> tuple[RestingOrder, ...]:
        data = await self._api.read(endpoints.GET_OPEN_ORDERS, (*kind, *_LIMIT))
        rows = order_answers.resting_orders(self._account, data)
        if not order_answers.may_be_cut_off(data):
            return rows
        single = [
            self._complete(endpoints.GET_OPEN_ORDERS, (("symbol", symbol), *kind))
            for symbol in sorted({*symbols, *order_answers.symbols_of(rows)})
        ]
        pages = [order_answers.resting_orders(self._account, page) for page in await together(*single)]
        return _merged(rows, *pages)

    async def _plans(self, symbols: Collection[Symbol]) -> tuple[PlanOrder, ...]:
        data = await self._api.read(endpoints.CURRENT_PLAN_ORDER, _LIMIT)
        rows = order_answers.plan_orders(self._account, data)
        if not order_answers.may_be_cut_off(data):
            return rows
        single = [
            self._complete(endpoints.CURRENT_PLAN_ORDER, (("symbol", symbol), *kind))
            for symbol in sorted({*symbols, *order_answers.symbols_of(rows)})
            for kind in _PLAN_TYPES
        ]
        pages = [order_answers.plan_orders(self._account, page) for page in await together(*single)]
        return _merged(rows, *pages)

    async def _complete(self, endpoint: Endpoint, query: Query) -> object:
        """One symbol's list. Cut off even so, it isn't a list of everything, and nothing may be concluded from it."""
        data = await self._api.read(endpoint, (*query, *_LIMIT))
        if order_answers.may_be_cut_off(data):
            where = f"{endpoint.name} {dict(query)}"
            raise PayloadError(where=where, found=f"{PAGE_ROWS} rows", expected="fewer: the list may be cut off")
        return data

    async def _order(self, symbol: Symbol, order_id: OrderId) -> OrderReport | None:
        try:
            data = await self._api.read(endpoints.ORDER, (("symbol", symbol), ("order_id", order_id)))
        except VenueRefused as refused:
            if is_unknown_order(refused.code):
                return None
            raise
        return order_answers.order_report(data)

    async def _history(self, query: Query) -> tuple[OrderReport, ...]:
        """Finished orders; without a window of its own the venue takes the last seven days (9.2)."""
        try:
            return order_answers.reports(await self._api.read(endpoints.ORDER_HISTORY, query))
        except VenueRefused as refused:
            if is_unknown_order(refused.code):
                return ()
            raise

    async def _mark_v2(self, symbol: Symbol, deadline_s: float) -> Decimal:
        data = await self._api.read(endpoints.POSITION_V2, (("symbol", symbol),), deadline_s=deadline_s)
        return _mark_of(symbol, account_answers.marks_v2(data))

    async def _mark_risk(self, symbol: Symbol, deadline_s: float) -> Decimal:
        data = await self._api.read(endpoints.POSITION_RISK, (("symbol", symbol),), deadline_s=deadline_s)
        return _mark_of(symbol, account_answers.marks_risk(data))

    async def _mark_kline(self, symbol: Symbol, deadline_s: float) -> Decimal:
        now_s = self._api.time.timestamp_ms() // 1000
        span = (("start_time", str(now_s - _KLINE_SPAN_S)), ("end_time", str(now_s)))
        query: Query = (("symbol", symbol), ("step", "1"), *span)
        data = await self._api.read(endpoints.MARK_PRICE_KLINE, query, deadline_s=deadline_s)
        return market_answers.newest_mark_close(data)

    async def _contracts(self, symbols: Sequence[Symbol]) -> tuple[Contract, ...]:
        if len(symbols) > SINGLE_SYMBOLS_MAX:
            data = await self._api.read(endpoints.DETAILS, deadline_s=WHOLE_LIST_DEADLINE_S)
            return market_answers.contracts(data)
        pages = await together(*(self._contract(symbol) for symbol in symbols))
        return tuple(contract for page in pages for contract in page)

    async def _contract(self, symbol: Symbol) -> tuple[Contract, ...]:
        """An unknown symbol is an error of the call here, 40012 or 40034 (quirk 9)."""
        try:
            return market_answers.contracts(await self._api.read(endpoints.DETAILS, (("symbol", symbol),)))
        except VenueRefused as refused:
            if is_unknown_symbol(refused.code, refused.text):
                return ()
            raise

    async def _tiers(self, symbols: Sequence[Symbol]) -> Mapping[Symbol, tuple[MarginTier, ...]]:
        """Without those whose table makes no sense: a stop needs none, and the venue's own liquidation price stands alone then."""
        if len(symbols) > SINGLE_SYMBOLS_MAX:
            data = await self._api.read(endpoints.LEVERAGE_BRACKET, deadline_s=WHOLE_LIST_DEADLINE_S)
            return self._brackets("each contract asked for", data)
        reads = (self._api.read(endpoints.LEVERAGE_BRACKET, (("symbol", symbol),)) for symbol in symbols)
        tiers: dict[Symbol, tuple[MarginTier, ...]] = {}
        for symbol, data in zip(symbols, await together(*reads), strict=True):
            tiers |= self._brackets(symbol, data)
        return tiers

    def _brackets(self, whose: str, data: object) -> Mapping[Symbol, tuple[MarginTier, ...]]:
        try:
            return market_answers.leverage_brackets(data)
        except PayloadError as error:
            self._tell(f"tiers-{whose}", tiers_unread(whose, error))
            return {}

    async def _learn_fees(self, symbols: Sequence[Symbol]) -> None:
        """Read what fits the small budget; the rest comes with the next refresh, at the regular tier until then."""
        for symbol in symbols:
            if symbol in self._fees:
                continue
            try:
                data = await self._api.read(endpoints.TRADE_FEE_RATE, (("symbol", symbol),), deadline_s=FEE_DEADLINE_S)
                self._fees[symbol] = market_answers.taker_fee_rate(data)
            except VenueError:
                return

    def _tell_endings(self, contracts: Sequence[Contract]) -> None:
        now_ms = self._api.time.timestamp_ms()
        for contract in contracts:
            if contract.delist_ms is not None and contract.delist_ms > now_ms:
                self._tell(f"delisting-{contract.symbol}", f"{contract.symbol} is announced to be delisted")
            if not contract.listed:
                self._tell(f"delisted-{contract.symbol}", f"{contract.symbol} is no longer listed as trading")


async def _not_read() -> None:
    """Stands where a list wasn't asked for."""


def _merged(*lists: tuple[_Order, ...]) -> tuple[_Order, ...]:
    """Every order once, by id."""
    return tuple({order.order_id: order for each in lists for order in each}.values())


def _mark_of(symbol: Symbol, marks: Mapping[Symbol, Decimal]) -> Decimal:
    if symbol not in marks:
        raise PayloadError(where=f"mark of {symbol}", found="no mark above zero", expected="one")
    return marks[symbol]


def _symbol_query(symbol: Symbol | None) -> Query:
    return () if symbol is None else (("symbol", symbol),)


def _since_seconds(since_ms: int, now_ms: int) -> Query:
    """A window for order-history and trades: in seconds, and its end after its start (9.2)."""
    start_s = since_ms // 1000
    return (("start_time", str(start_s)), ("end_time", str(max(now_ms // 1000, start_s + 1))))

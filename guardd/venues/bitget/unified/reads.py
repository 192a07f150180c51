"""Everything that guardd asks of a unified account, and in what order (UTA reference, 6-10 and 12)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeVar

from msgspec.structs import replace

from guardd.clock import Clock
from guardd.errors import PayloadError, VenueError, VenueRefused
from guardd.model.account import Balance
from guardd.model.event import MarkSeen, OrdersRead, PositionsRead, Source
from guardd.model.flow import Flow
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import AccountName, ClientId, OrderId, PositionKey, PositionMode, Side, Symbol
from guardd.model.order import OrderReport, PlanOrder, ProtectionKind, RestingOrder
from guardd.venues.base import Early, nobody
from guardd.venues.bitget.admission import Tell
from guardd.venues.bitget.api import READ_DEADLINE_S, Api, Query
from guardd.venues.bitget.endpoint import Endpoint
from guardd.venues.bitget.unified import endpoints
from guardd.venues.bitget.unified.closings import Closings
from guardd.venues.bitget.unified.parse import account as account_answers
from guardd.venues.bitget.unified.parse import market as market_answers
from guardd.venues.bitget.unified.parse import orders as order_answers
from guardd.venues.bitget.unified.parse import strategy as strategy_answers
from guardd.venues.bitget.unified.parse.account import HeldRow, Identity, LedgerRow, Settings
from guardd.venues.bitget.unified.parse.both_modes import UNGUARDED_BOTH_MODES, Parts, one_row_a_position
from guardd.venues.bitget.unified.parse.fields import Page
from guardd.venues.bitget.unified.parse.flows import flows as ledger_flows
from guardd.venues.bitget.unified.parse.market import Contract
from guardd.venues.bitget.unified.parse.orders import FillRow
from guardd.venues.bitget.unified.parse.strategy import Leg, Strategy, object_of
from guardd.venues.bitget.unified.parse.words import AccountLevel, Category
from guardd.venues.bitget.unified.warnings import Warnings
from guardd.venues.together import both, together

MARK_DEADLINE_S: Final = 0.5
"""For both sources of a mark together (I28)."""
_MARK_FIRST_S: Final = 0.3
WHOLE_LIST_DEADLINE_S: Final = 15.0
"""The list of all contracts of a category is some hundred kilobytes."""
PAGE_ROWS: Final = 100
PAGES_MAX: Final = 10
"""400 open orders are the venue's cap over all futures (1)."""
PAST_PAGES_MAX: Final = 2
ENTRIES_FRESH_S: Final = 5.0
"""Trigger orders that open a position matter to nobody's stop: their list is asked for this seldom."""
_ORDER_UNKNOWN: Final = frozenset({"25204", "24056", "40109", "40768"})
_SYMBOL_UNKNOWN: Final = frozenset({"25100", "25101", "25102", "40034"})
_SPENDS_TOO: Final = ("SPOT", "MARGIN", "OTHER")
LEDGER_REACH_MS: Final = 29 * 24 * 3_600_000
"""The span of a query for records is 30 days at most (7.8)."""
_STRATEGY_TYPE: Final = ("type", "tpsl")
_TRIGGER_TYPE: Final = ("type", "trigger")

_Read = TypeVar("_Read")


REFRESHED_ONE_BY_ONE_MAX: Final = 5
"""More contracts than these are read by the lists of their categories: a handful of calls, however many are held."""
TIERS_AT_ONCE: Final = 10
TIERS_KEPT_S: Final = 600.0


class Reads:
    """The reads of one account. It remembers which category a symbol is of, the rows of the last read of the positions, and the
    settings: what a write has to name."""

    def __init__(
        self,
        *,
        api: Api,
        account: AccountName,
        clock: Clock,
        tell: Tell,
    ) -> None:
        self._api = api
        self._account = account
        self._clock = clock
        self._tell = tell
        self.warnings = Warnings(tell)
        self.closings = Closings()
        self.parts = Parts()
        self.contracts: dict[Symbol, Contract] = {}
        self.rows: dict[PositionKey, HeldRow] = {}
        self.settings: Settings | None = None
        self._given: dict[Symbol, Instrument] = {}
        self._tiers_read: dict[Symbol, tuple[int, tuple[MarginTier, ...]]] = {}
        """With the monotonic ns at which each was read."""
        self.expected: dict[OrderId, tuple[Leg, ...]] = {}
        """Objects that we changed, and the legs they must have since: an owner's own must not get lost (10.1)."""
        self._entries: tuple[PlanOrder, ...] = ()
        self._entries_at: Instant | None = None

    @property
    def categories(self) -> tuple[Category, ...]:
        """Every futures category that the account can hold, whatever is configured: risk is shared (8.1). A basic account has no
        Coin-M (3)."""
        basic = self.settings is not None and self.settings.level is AccountLevel.BASIC
        return tuple(each for each in Category if not (basic and each is Category.COIN))

    @property
    def linear(self) -> tuple[Category, ...]:
        """The categories that are guarded."""
        return tuple(each for each in self.categories if each is not Category.COIN)

    def category_of(self, symbol: Symbol) -> Category | None:
        """By the list of contracts; by the position's own row where the list lacks it."""
        known = self.contracts.get(symbol)
        if known is not None:
            return known.category
        return next((row.category for key, row in self.rows.items() if key.symbol == symbol), None)

    def sides(self) -> Mapping[Symbol, Side]:
        """The side held of each symbol, where only one is."""
        found: dict[Symbol, set[Side]] = {}
        for key in self.rows:
            found.setdefault(key.symbol, set()).add(key.side)
        return {symbol: next(iter(sides)) for symbol, sides in found.items() if len(sides) == 1}

    # The account

    async def identity(self, deadline_s: float = READ_DEADLINE_S) -> Identity:
        return account_answers.identity(await self._api.read(endpoints.ACCOUNT_INFO, deadline_s=deadline_s))

    async def read_settings(self, deadline_s: float = READ_DEADLINE_S) -> Settings:
        """One call for mode, level and hold mode of the whole account (7.2)."""
        data = await self._api.read(endpoints.SETTINGS, deadline_s=deadline_s)
        self.settings = account_answers.settings(data)
        self.warnings.of_settings(self.settings)
        return self.settings

    async def position_mode(self) -> PositionMode:
        return (await self.read_settings()).position_mode

    async def balances(self) -> tuple[Balance, ...]:
        """One pool behind every category, in USD (0.2)."""
        pool = account_answers.pool(await self._api.read(endpoints.ASSETS))
        self.warnings.of_pool(pool)
        return (pool.balance,)

    async def positions(self) -> PositionsRead:
        started = self._clock.now()
        queries: list[Query] = [(("category", each.value),) for each in self.categories]
        pages = await together(*(self._api.read(endpoints.CURRENT_POSITION, query) for query in queries))
        single = [row for data in pages for row in account_answers.positions(self._account, data)]
        rows = one_row_a_position(single)
        self.parts.learn(single)
        self.rows = {row.position.key: row for row in rows}
        self.warnings.of_positions(rows)
        found = self.closings.read(row.position for row in rows)
        return PositionsRead(started=started, at=self._clock.now(), positions=found)

    async def row_of(self, key: PositionKey, category: Category, deadline_s: float) -> HeldRow | None:
        """One position as it stands now; None when it isn't held."""
        query = (("category", category.value), ("symbol", key.symbol))
        data = await self._api.read(endpoints.CURRENT_POSITION, query, deadline_s=deadline_s)
        found = one_row_a_position(account_answers.positions(self._account, data))
        return next((row for row in found if row.position.key == key), None)

    # The market

    async def load_contracts(self) -> None:
        """The contracts of every category: the only source of which symbol is of which (6.1)."""
        lists = await together(*(self._contracts((("category", each.value),)) for each in self.categories))
        self.contracts = {contract.symbol: contract for each in lists for contract in each}

    async def instruments(self, symbols: Collection[Symbol], *, early: Early = nobody) -> tuple[Instrument, ...]:
        """Contract and tiers of each symbol; Coin-M and dated ones with the reason why they aren't guarded."""
        wanted = sorted(set(symbols))
        known = [symbol for symbol in wanted if symbol in self.contracts]
        if len(known) < len(wanted) or len(wanted) > REFRESHED_ONE_BY_ONE_MAX:
            await self.load_contracts()
        else:
            await together(*(self._refresh(self.contracts[symbol]) for symbol in known))
        found = [self.contracts[symbol] for symbol in wanted if symbol in self.contracts]
        for symbol in wanted:
            if symbol not in self.contracts:
                self._tell(f"unguardable-{symbol}", f"{symbol} isn't a futures contract of this account: not guarded")
        first = tuple(self._as_guarded(contract.instrument(())) for contract in found)
        self._given = {each.symbol: each for each in first} | self._given
        early(first)
        guarded = [contract for contract in found if not contract.unguarded]
        tiers = await self._tiers_of(guarded)
        self.warnings.of_contracts(found, self._api.time.timestamp_ms())
        given = [self._as_guarded(contract.instrument(tiers.get(contract, ()))) for contract in found]
        self._given |= {each.symbol: each for each in given}
        return tuple(given)

    def _as_guarded(self, instrument: Instrument) -> Instrument:
        return replace(instrument, unguarded=self.why_unguarded(instrument.symbol))

    def reguarded(self) -> tuple[Instrument, ...]:
        """The instruments given before whose being guarded changed since: of symbols that came to be held in both margin modes at
        once, or no longer are."""
        changed = {
            symbol: replace(each, unguarded=why)
            for symbol, each in self._given.items()
            if (why := self.why_unguarded(symbol)) != each.unguarded
        }
        self._given |= changed
        return tuple(changed.values())

    def why_unguarded(self, symbol: Symbol) -> str:
        """Empty: it is guarded."""
        contract = self.contracts.get(symbol)
        if contract is not None and contract.unguarded:
            return contract.unguarded
        both = any(row.both_modes for key, row in self.rows.items() if key.symbol == symbol)
        return UNGUARDED_BOTH_MODES if both else ""

    async def mark(self, symbol: Symbol) -> MarkSeen:
        """By its ticker, else by the position's own row; never by the last price."""
        ends_ns = self._clock.monotonic_ns() + int(MARK_DEADLINE_S * NS_PER_S)
        category = self._sure_category(symbol)
        query = (("category", category.value), ("symbol", symbol))
        try:
            data = await self._api.read(endpoints.TICKERS, query, deadline_s=_MARK_FIRST_S)
            return market_answers.ticker_of(symbol, data, self._clock.now())
        except VenueError as error:
            failure = error
        left_s = (ends_ns - self._clock.monotonic_ns()) / NS_PER_S
        if left_s <= 0:
            raise failure
        data = await self._api.read(endpoints.CURRENT_POSITION, query, deadline_s=left_s)
        mark = account_answers.marks(data).get(symbol)
        if mark is None:
            raise failure
        return MarkSeen(symbol, mark, self._clock.now(), source=Source.REST)

    # Orders

    async def orders(self, *, resting: bool, plans: bool) -> OrdersRead:
        """Resting orders of every category and the strategy orders of the guarded ones: Coin-M's new line has none (0.10)."""
        started = self._clock.now()
        book, waiting = await both(
            self._all_resting() if resting else _not_read(), self._plans() if plans else _not_read()
        )
        return OrdersRead(started=started, at=self._clock.now(), resting=book, plans=waiting)

    async def strategies(self, category: Category, deadline_s: float = READ_DEADLINE_S) -> tuple[Strategy, ...]:
        """Every stop-loss and take-profit of a category: one unpaged list without a symbol filter (10.4)."""
        query = (("category", category.value), _STRATEGY_TYPE)
        data = await self._api.read(endpoints.UNFILLED_STRATEGY_ORDERS, query, deadline_s=deadline_s)
        return strategy_answers.strategies(data)

    async def find_order(
        self, symbol: Symbol, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        """An order by its own id or ours; a leg of a strategy order by `<id>:sl`, and once it fired, by what it gave birth to."""
        category = self._sure_category(symbol)
        leg = order_id is not None and object_of(order_id)[1] is not None
        if not leg:
            found = await self._plain_order(category, symbol, client_id=client_id, order_id=order_id)
            if found is not None or order_id is not None:
                return found
        return await self._strategy_order(category, client_id=client_id, order_id=order_id)

    async def fills(self, category: Category, order_id: OrderId) -> tuple[FillRow, ...]:
        """The trades of one order."""
        query = (("category", category.value), ("orderId", order_id))
        return await self._pages(endpoints.FILLS, query, order_answers.fill_page, pages_max=PAST_PAGES_MAX)

    # What an operator's steps look at

    async def funding_balance(self, coin: str, deadline_s: float = READ_DEADLINE_S) -> Decimal:
        data = await self._api.read(endpoints.FUNDING_ASSETS, (("coin", coin),), deadline_s=deadline_s)
        return account_answers.funding_balance(coin, data)

    async def ledger(self, category: str, kind: str, since_ms: int) -> tuple[LedgerRow, ...]:
        query = (("category", category), ("type", kind), ("startTime", str(since_ms)))
        return account_answers.ledger(await self._api.read(endpoints.FINANCIAL_RECORDS, query))

    async def flows(self, since_ms: int) -> tuple[Flow, ...]:
        """Every row of the ledger since then: of the futures, of what else moves a unified account's coins, and OTHER (7.8)."""
        now_ms = self._api.time.timestamp_ms()
        begin_ms = max(since_ms, now_ms - LEDGER_REACH_MS)
        window = (("startTime", str(begin_ms)), ("endTime", str(now_ms)))
        parse = account_answers.ledger_page
        pages = await together(
            *(
                self._pages(endpoints.FINANCIAL_RECORDS, (("category", each), *window), parse, complete=True)
                for each in (*self.categories, *_SPENDS_TOO)
            )
        )
        return ledger_flows(row for rows in pages for row in rows)

    def _sure_category(self, symbol: Symbol) -> Category:
        category = self.category_of(symbol)
        if category is None:
            raise PayloadError(where=f"category of {symbol}", found="no such contract", expected="one of the lists")
        return category

    async def _contracts(self, query: Query) -> tuple[Contract, ...]:
        data = await self._api.read(endpoints.INSTRUMENTS, query, deadline_s=WHOLE_LIST_DEADLINE_S)
        return market_answers.contracts(data)

    async def _refresh(self, contract: Contract) -> None:
        """A contract that the venue no longer knows is listed no more."""
        query = (("category", contract.category.value), ("symbol", contract.symbol))
        try:
            found = await self._contracts(query)
        except VenueRefused as refused:
            if refused.code not in _SYMBOL_UNKNOWN:
                raise
            found = ()
        self.contracts.pop(contract.symbol, None)
        self.contracts |= {each.symbol: each for each in found if each.symbol == contract.symbol}

    async def _tiers_of(self, contracts: Sequence[Contract]) -> dict[Contract, tuple[MarginTier, ...]]:
        """A call each: in small groups, which wait for the budget in turn; what was read a moment ago isn't asked for again when
        a later group fails."""
        now_ns = self._clock.monotonic_ns()
        self._tiers_read = {
            symbol: read for symbol, read in self._tiers_read.items() if now_ns - read[0] < TIERS_KEPT_S * NS_PER_S
        }
        missing = [contract for contract in contracts if contract.symbol not in self._tiers_read]
        for start in range(0, len(missing), TIERS_AT_ONCE):
            group = missing[start : start + TIERS_AT_ONCE]
            for contract, tiers in zip(group, await together(*(self._tiers(each) for each in group)), strict=True):
                if tiers:
                    self._tiers_read[contract.symbol] = (self._clock.monotonic_ns(), tiers)
        read = self._tiers_read
        return {contract: read[contract.symbol][1] if contract.symbol in read else () for contract in contracts}

    async def _tiers(self, contract: Contract) -> tuple[MarginTier, ...]:
        """Empty where the table makes no sense: a stop needs none, and the venue's own liquidation price stands alone then."""
        query = (("category", contract.category.value), ("symbol", contract.symbol))
        try:
            return market_answers.tiers(await self._api.read(endpoints.POSITION_TIER, query))
        except PayloadError as error:
            self.warnings.of_tiers(contract.symbol, error)
            return ()

    async def _all_resting(self) -> tuple[RestingOrder, ...]:
        """Category by category: that all come without one isn't documented (12.1)."""

        def parse(data: object) -> tuple[tuple[RestingOrder, ...], Page]:
            return order_answers.resting_page(self._account, data)

        lists = await together(
            *(
                self._pages(endpoints.UNFILLED_ORDERS, (("category", each.value),), parse, complete=True)
                for each in self.categories
            )
        )
        return tuple({order.order_id: order for each in lists for order in each}.values())

    async def _plans(self) -> tuple[PlanOrder, ...]:
        lists, entries = await both(together(*(self.strategies(each) for each in self.linear)), self._all_entries())
        found = [each for one in lists for each in one]
        self._check_expected(found)
        sides = self.sides()
        self.warnings.of_strategies(found, sides)
        return (*(plan for each in found for plan in strategy_answers.plans_of(self._account, each, sides)), *entries)

    async def _all_entries(self) -> tuple[PlanOrder, ...]:
        now = self._clock.now()
        if self._entries_at is not None and now.seconds_since(self._entries_at) < ENTRIES_FRESH_S:
            return self._entries
        queries: list[Query] = [(("category", each.value), _TRIGGER_TYPE) for each in self.linear]
        pages = await together(*(self._api.read(endpoints.UNFILLED_STRATEGY_ORDERS, query) for query in queries))
        self._entries = tuple(order for data in pages for order in strategy_answers.entries(self._account, data))
        self._entries_at = now
        return self._entries

    def _check_expected(self, found: Sequence[Strategy]) -> None:
        """Whether the objects that we changed still have every leg that we said (16.12)."""
        listed = {each.order_id: each for each in found}
        expected, self.expected = self.expected, {}
        for order_id, legs in expected.items():
            now = listed.get(order_id)
            for leg in legs if now is not None else ():
                if now is not None and now.leg(leg.kind) is None:
                    self.warnings.of_lost_leg(now, leg)

    async def _plain_order(
        self, category: Category, symbol: Symbol, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        """order-info first, then both lists: how long an id stays findable isn't said (9.8, 12.5)."""
        named = ("orderId", order_id) if order_id is not None else ("clientOid", client_id or "")
        try:
            return order_answers.order_report(await self._api.read(endpoints.ORDER_INFO, (named,)))
        except VenueRefused as refused:
            if refused.code not in _ORDER_UNKNOWN:
                raise
        of_symbol: Query = (("category", category.value), ("symbol", symbol))
        resting, past = await both(
            self._pages(endpoints.UNFILLED_ORDERS, of_symbol, self._resting_page),
            self._pages(endpoints.HISTORY_ORDERS, of_symbol, order_answers.report_page, pages_max=1),
        )
        for report in (*resting, *past):
            if report.order_id == order_id or (client_id is not None and report.client_id == client_id):
                return report
        return None

    async def _strategy_order(
        self, category: Category, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        listed = strategy_answers.matching(await self.strategies(category), client_id=client_id, order_id=order_id)
        past: Query = (("category", category.value), _STRATEGY_TYPE)
        found = listed or strategy_answers.matching(
            await self._pages(
                endpoints.HISTORY_STRATEGY_ORDERS, past, strategy_answers.past_page, pages_max=PAST_PAGES_MAX
            ),
            client_id=client_id,
            order_id=order_id,
        )
        if found is None:
            return None
        asked = None if order_id is None else object_of(order_id)[1]
        tag = found.tag
        kind = asked or (tag.kind if tag is not None else None) or strategy_answers.fired_leg(found)
        report = strategy_answers.report_of(found, kind)
        if report.live:
            return report
        return await self._child(found, kind) or report

    async def _child(self, found: Strategy, kind: ProtectionKind) -> OrderReport | None:
        """The order that a triggered leg gave birth to, where the venue tells (10.4)."""
        if found.fired not in (kind, None):
            return None
        try:
            data = await self._api.read(endpoints.STRATEGY_SUB_ORDERS, (("orderId", found.order_id),))
            for child in order_answers.child_ids(data):
                answer = await self._api.read(endpoints.ORDER_INFO, (("orderId", child),))
                return order_answers.order_report(answer)
        except (VenueRefused, PayloadError):
            return None
        return None

    def _resting_page(self, data: object) -> tuple[tuple[OrderReport, ...], Page]:
        orders, page = order_answers.resting_page(self._account, data)
        return tuple(map(order_answers.report_of_resting, orders)), page

    async def _pages(
        self,
        endpoint: Endpoint,
        query: Query,
        parse: Callable[[object], tuple[tuple[_Read, ...], Page]],
        *,
        pages_max: int = PAGES_MAX,
        complete: bool = False,
    ) -> tuple[_Read, ...]:
        """A paged list from its newest row; `complete`: one that goes on beyond the bound is an error, not a list of everything."""
        found: list[_Read] = []
        cursor: str | None = None
        for _ in range(pages_max):
            asked = (*query, ("limit", str(PAGE_ROWS)), *((("cursor", cursor),) if cursor is not None else ()))
            rows, page = parse(await self._api.read(endpoint, asked))
            found.extend(rows)
            if len(page.rows) < PAGE_ROWS or page.cursor is None or page.cursor == cursor:
                return tuple(found)
            cursor = page.cursor
        if complete:
            raise PayloadError(where=endpoint.name, found=f"more than {pages_max} pages", expected="an end of the list")
        return tuple(found)


async def _not_read() -> None:
    """Stands where a list wasn't asked for."""

"""Everything that a guard asks about a classic account, and in what order (Bitget reference, 7-12 and 18)."""

from collections.abc import Coroutine, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from guardd.clock import Clock
from guardd.errors import PayloadError, VenueError, VenueRefused
from guardd.model.account import Balance
from guardd.model.event import OrdersRead, PositionsRead
from guardd.model.flow import Flow
from guardd.model.names import AccountName, ClientId, MarginMode, OrderId, PositionKey, PositionMode, Severity, Symbol
from guardd.model.order import OrderReport, PlanOrder, RestingOrder
from guardd.model.position import Position
from guardd.model.reading import is_value
from guardd.venues.bitget.admission import Tell
from guardd.venues.bitget.api import READ_DEADLINE_S, Api
from guardd.venues.bitget.classic import endpoints
from guardd.venues.bitget.classic.bodies import Line, Setting
from guardd.venues.bitget.classic.known import Known, closed_by_fills
from guardd.venues.bitget.classic.listings import Listings
from guardd.venues.bitget.classic.parse import account as account_answers
from guardd.venues.bitget.classic.parse import flows as bill_answers
from guardd.venues.bitget.classic.parse import orders as order_answers
from guardd.venues.bitget.classic.parse import plans as plan_answers
from guardd.venues.bitget.classic.parse.account import Rights, Settings, TransferRow
from guardd.venues.bitget.classic.parse.orders import PAGE_ROWS, FillRow
from guardd.venues.bitget.classic.parse.plans import EndedPlan
from guardd.venues.bitget.classic.parse.positions import (
    HeldRow,
    RepeatedHeldRows,
    adl_ranks,
    held_rows,
    isolated_maintenance,
)
from guardd.venues.bitget.classic.parse.words import PLAN_NAMESPACES, Product
from guardd.venues.bitget.classic.repeats import Repeats
from guardd.venues.bitget.endpoint import Endpoint
from guardd.venues.bitget.envelope import envelope_of_rows
from guardd.venues.bitget.errors import is_unknown_order
from guardd.venues.together import both, together

PAGES_MAX: Final = 20
"""Pages of one list; an account takes at most 1000 orders of a product type (6.2)."""
FILL_PAGES_MAX: Final = 5
DOUBTED_MAX: Final = 3
DOUBT_DEADLINE_S: Final = 1.0
FILLS_DEADLINE_S: Final = 1.5
_BILLS_REACH_MS: Final = 29 * 24 * 3_600_000
"""The span of a query for bills is 30 days at most (7.10)."""
_FILLS_REACH_MS: Final = 89 * 24 * 3_600_000
"""The span of a query for fills is three months at most (11.9)."""
RATIO_GAP: Final = Decimal("0.05")
"""The account's risk rate and the ratio in its cross rows are of one scale (7.1, 19.22); further apart, people should know."""
FLAT_SYMBOLS: Final = {Product.USDT: Symbol("BTCUSDT"), Product.USDC: Symbol("BTCPERP"), Product.COIN: Symbol("BTCUSD")}
"""By these the position mode of a product type is asked for while nothing of it is held (7.1)."""
_PROTECTIONS: Final = "profit_loss"
_LIMIT: Final = ("limit", str(PAGE_ROWS))


class PlanEnd(NamedTuple):
    """What the lists say of one plan order; `ended_ms` by the venue's clock, None where they name no end."""

    waits: bool
    ended_ms: int | None


class Reads:
    """The reads of one account. `products` are the configured product types."""

    def __init__(
        self,
        *,
        api: Api,
        account: AccountName,
        clock: Clock,
        known: Known,
        listings: Listings,
        products: Sequence[Product],
        tell: Tell,
    ) -> None:
        self.known = known
        self.repeats = Repeats(clock)
        self._api = api
        self._account = account
        self._clock = clock
        self._listings = listings
        self._products = products
        self._repeated = {product: RepeatedHeldRows(account, product) for product in products}
        self._positions: dict[Product, dict[PositionKey, tuple[HeldRow, Decimal | None, Position]]] = {}
        self._linear = tuple(product for product in products if product.linear)
        self._tell = tell

    # Positions and what stands behind them

    async def positions(self) -> PositionsRead:
        """Of all product types; one that can't be read fails the read."""
        started = self._clock.now()
        asked_ms = self._api.time.timestamp_ms()
        pages = await together(*(self._rows(product, asked_ms) for product in self._products))
        await self._doubt_losses(row.position.key for rows in pages for row in rows)
        await self._begin_lives([row for rows in pages for row in rows])
        found: list[Position] = []
        for product, rows in zip(self._products, pages, strict=True):
            counted = self.known.learn_rows(product, rows)
            found.extend(self._all_reckoned(product, counted))
            self._tell_auto_margin(counted)
        return PositionsRead(started=started, at=self._clock.now(), positions=tuple(found))

    async def balances(self) -> tuple[Balance, ...]:
        """One balance a margin coin; the linear lines first, whose coins are their own."""
        pages = await together(*(self._balances(product) for product in self._products))
        found: dict[str, Balance] = {}
        for _, page in sorted(zip(self._products, pages, strict=True), key=lambda each: not each[0].linear):
            for balance in page:
                found.setdefault(balance.currency, self._with_ratio(balance))
        return tuple(found.values())

    async def position_mode(self) -> PositionMode:
        """The mode of the product types that hold something; while nothing is held, of all.

        Each order goes by the mode in its own position's row, so different modes are told and harm nothing; the answer is then
        hedge, in which no position is taken for another's turn.
        """
        held = [product for product in self._linear if self.known.held(product)]
        modes = {product: self.known.mode(product) for product in held}
        if not held:
            read = await together(*(self.mode(product) for product in self._linear))
            modes = dict(zip(self._linear, read, strict=True))
        found = {mode for mode in modes.values() if mode is not None}
        if len(found) > 1:
            words = ", ".join(f"{product} in {mode}" for product, mode in modes.items())
            self._tell(
                "position-modes", f"the product types differ in position mode: {words}; each is traded in its own"
            )
            return PositionMode.HEDGE
        if not found:
            raise PayloadError(where="position mode", found="no product type", expected="at least one linear one")
        return found.pop()

    async def all_hedge(self, deadline_s: float) -> bool:
        """Whether every guarded product type is in hedge mode."""
        modes = await together(*(self.mode(product, deadline_s) for product in self._linear))
        return all(mode is PositionMode.HEDGE for mode in modes)

    async def settings(self, symbol: Symbol, deadline_s: float = READ_DEADLINE_S) -> tuple[Line, Settings]:
        """How a symbol is set, a position or not (7.1)."""
        line = await self._listings.line(symbol, deadline_s)
        query = (("symbol", symbol), *_line_query(line))
        data = await self._api.read(endpoints.ACCOUNT, query, deadline_s=deadline_s)
        found = account_answers.settings(data)
        self.known.learn_mode(line.product, found.mode)
        return line, found

    async def line(self, symbol: Symbol, deadline_s: float) -> Line:
        return await self._listings.line(symbol, deadline_s)

    async def why_unguarded(self, symbol: Symbol, deadline_s: float) -> str:
        """Empty: it is guarded. Raises `VenueError` where nobody lists it."""
        return await self._listings.why_unguarded(symbol, deadline_s)

    async def setting(self, key: PositionKey, deadline_s: float) -> Setting:
        """What an order for this position must say: its own row's modes, else the symbol's."""
        known = self.known.setting(key)
        if known is not None:
            return known
        line, settings = await self.settings(key.symbol, deadline_s)
        return Setting(line=line, mode=settings.mode, margin_mode=settings.margin_mode)

    async def single_position(self, key: PositionKey, deadline_s: float) -> HeldRow | None:
        """The position as it stands now; None when it is gone (9.1)."""
        line = await self._listings.line(key.symbol, deadline_s)
        query = (("symbol", key.symbol), *_line_query(line))
        data = await self._api.read(endpoints.SINGLE_POSITION, query, deadline_s=deadline_s)
        rows = held_rows(self._account, line.product, data, asked_ms=self._api.time.timestamp_ms())
        return next((row for row in rows if row.position.key == key), None)

    async def adl_ranks(self) -> dict[PositionKey, Decimal]:
        """How near each position is to being auto-deleveraged: 1 is nearest (9.4)."""
        pages = await together(
            *(self._api.read(endpoints.ADL_RANK, (_product_query(product),)) for product in self._linear)
        )
        return {key: rank for page in pages for key, rank in adl_ranks(self._account, page).items()}

    # Orders

    async def orders(self, *, resting: bool, plans: bool) -> OrdersRead:
        """Resting and plan orders of the lines that are guarded, each list to its end."""
        started = self._clock.now()
        book, waiting = await both(self._all_resting(resting), self._all_plans(plans))
        return OrdersRead(started=started, at=self._clock.now(), resting=book, plans=waiting)

    async def find_order(
        self,
        symbol: Symbol,
        *,
        client_id: ClientId | None,
        order_id: OrderId | None,
        deadline_s: float = READ_DEADLINE_S,
    ) -> OrderReport | None:
        """Plain orders by detail, then the history; plan orders that wait; plan orders that ended, by the order they made.

        An acknowledged order may be known by its client id alone (fact 6).
        """
        line = await self._listings.line(symbol, deadline_s)
        about = _Asked(symbol=symbol, line=line, client_id=client_id, order_id=order_id, deadline_s=deadline_s)
        report = await self._detail(about)
        if report is not None:
            return report
        (finished, waiting), ended = await both(
            both(self._finished(about), self._waiting(about)), self._ended_plan(about)
        )
        if finished is not None or waiting is not None:
            return finished or waiting
        if ended is None:
            return None
        if ended.child is not None:
            child = await self._detail(replace(about, client_id=None, order_id=ended.child))
            if child is not None:
                return child
        return ended.report()

    async def plan_type(self, symbol: Symbol, order_id: OrderId, deadline_s: float) -> str | None:
        """Under which type a plan order rests; None when no list knows it."""
        known = self.known.plan_type(order_id)
        if known is not None:
            return known
        line = await self._listings.line(symbol, deadline_s)
        about = _Asked(symbol=symbol, line=line, client_id=None, order_id=order_id, deadline_s=deadline_s)
        await together(*(self._waiting_in(about, namespace) for namespace in PLAN_NAMESPACES))
        return self.known.plan_type(order_id)

    async def plan_end(self, symbol: Symbol, order_id: OrderId, deadline_s: float) -> PlanEnd:
        """Whether a plan order still waits, and when the history says that it ended."""
        line = await self._listings.line(symbol, deadline_s)
        about = _Asked(symbol=symbol, line=line, client_id=None, order_id=order_id, deadline_s=deadline_s)
        waiting, ended = await both(self._waiting(about), self._ended_plan(about))
        return PlanEnd(waits=waiting is not None, ended_ms=None if ended is None else ended.ended_ms)

    async def ended_plans(self, symbol: Symbol, namespace: str) -> tuple[EndedPlan, ...]:
        """Plan orders of one symbol that fired, failed or were cancelled, the newest hundred (12.7)."""
        line = await self._listings.line(symbol)
        query = (("planType", namespace), _product_query(line.product), ("symbol", symbol), _LIMIT)
        return plan_answers.ended_plans(await self._api.read(endpoints.PLANS_HISTORY, query))

    async def fills(
        self, product: Product, *, since_ms: int, symbol: Symbol | None = None, deadline_s: float = READ_DEADLINE_S
    ) -> tuple[FillRow, ...]:
        """Our trades since then, newest first, as far as some pages reach (11.9)."""
        begin_ms = max(since_ms, self._api.time.timestamp_ms() - _FILLS_REACH_MS)
        query = [_product_query(product), ("startTime", str(begin_ms)), _LIMIT]
        if symbol is not None:
            query.append(("symbol", symbol))
        found: list[FillRow] = []
        below: tuple[tuple[str, str], ...] = ()
        for _ in range(FILL_PAGES_MAX):
            data = await self._api.read(endpoints.FILLS, (*query, *below), deadline_s=deadline_s)
            found.extend(order_answers.fills(self._account, data))
            page = order_answers.page_of(data, "fillList", "tradeId")
            if not page.full:
                break
            below = (("idLessThan", str(page.below)),)
        return tuple(found)

    # The key and the other wallets

    async def rights(self, deadline_s: float) -> Rights:
        return account_answers.rights(await self._api.read(endpoints.KEY_INFO, deadline_s=deadline_s))

    async def flows(self, since_ms: int) -> tuple[Flow, ...]:
        """Every bill of every product type since then (7.10)."""
        pages = await together(*(self._bills(product, since_ms) for product in self._products))
        return tuple(flow for page in pages for flow in page)

    async def transfers(self, *, coin: str, client_id: str) -> tuple[TransferRow, ...]:
        query = (("coin", coin), ("clientOid", client_id), ("limit", "20"))
        return account_answers.transfers(await self._api.read(endpoints.TRANSFER_RECORDS, query))

    # How each is asked for

    async def _rows(self, product: Product, asked_ms: int) -> tuple[HeldRow, ...]:
        """One call covers every symbol of a product type (9.2)."""
        read = self._api.read(endpoints.ALL_POSITION, (_product_query(product),), opened=envelope_of_rows)
        return self._repeated[product].read(await self._listed(product, "positions", read), asked_ms=asked_ms)

    async def _balances(self, product: Product) -> tuple[Balance, ...]:
        read = self._api.read(endpoints.ACCOUNTS, (_product_query(product),))
        data = await read if product.linear else await self._listed(product, "accounts", read)
        return account_answers.balances(product, data)

    async def _bills(self, product: Product, since_ms: int) -> tuple[Flow, ...]:
        """To the end of the list: one that goes on beyond the bound is no list of everything."""
        now_ms = self._api.time.timestamp_ms()
        begin_ms = max(since_ms, now_ms - _BILLS_REACH_MS)
        window = (("startTime", str(begin_ms)), ("endTime", str(now_ms)), ("onlyFunding", "yes"), _LIMIT)
        found: list[Flow] = []
        below: tuple[tuple[str, str], ...] = ()
        for _ in range(PAGES_MAX):
            data = await self._api.read(endpoints.BILL, (_product_query(product), *window, *below))
            found.extend(bill_answers.flows(data))
            last = bill_answers.goes_on_below(data)
            if bill_answers.rows_on_page(data) < PAGE_ROWS or last is None:
                return tuple(found)
            below = (("idLessThan", last),)
        raise PayloadError(where="bill", found=f"more than {PAGES_MAX} pages", expected="an end of the list")

    async def mode(self, product: Product, deadline_s: float = READ_DEADLINE_S) -> PositionMode:
        """Of one product type, whatever is held of it."""
        symbol = next((each for each, line in self.known.products.items() if line is product), FLAT_SYMBOLS[product])
        self.known.products.setdefault(symbol, product)
        return (await self.settings(symbol, deadline_s))[1].mode

    async def _listed(self, product: Product, name: str, read: Coroutine[Any, Any, object]) -> object:
        """An answer that may serve again for a moment when it is empty, and longer where nothing is guarded."""
        kept = self.repeats.answer(product, name)
        if kept is not None:
            read.close()
            return kept
        asked_ns, stirs = self._clock.monotonic_ns(), self.repeats.stirs(product)
        data = await read
        self.repeats.keep(product, name, data, empty=_is_empty(data), asked_ns=asked_ns, stirs=stirs)
        return data

    async def _doubt_losses(self, shown: Iterable[PositionKey]) -> None:
        """A list that lost a position is held against the single read of it: where that shows it, the list alone lost it and says
        nothing (I6). A few of many are enough to tell."""
        still = set(shown)
        lost = [row.position.key for row in self.known.rows if row.product.linear and row.position.key not in still]
        for key in lost[:DOUBTED_MAX]:
            try:
                row = await self.single_position(key, DOUBT_DEADLINE_S)
            except VenueError:
                return
            if row is not None:
                expected = "the row that single-position shows"
                raise PayloadError(where="all-position.data", found=f"no row of {key}", expected=expected)

    def _all_reckoned(self, product: Product, rows: Sequence[HeldRow]) -> list[Position]:
        """A row that is the one of the read before is the same position, as long as its fee is."""
        before, now = self._positions.get(product, {}), dict[PositionKey, tuple[HeldRow, Decimal | None, Position]]()
        for row in rows:
            key = row.position.key
            fee, known = self._listings.taker_fee(key.symbol), before.get(key)
            same = known is not None and known[0] is row and known[1] == fee
            now[key] = known if known is not None and same else (row, fee, self._reckoned(row))
        self._positions[product] = now
        return [position for _, _, position in now.values()]

    def _reckoned(self, row: HeldRow) -> Position:
        fee = self._listings.taker_fee(row.position.key.symbol)
        return row.position if fee is None else replace(row.position, maintenance_margin=isolated_maintenance(row, fee))

    async def _begin_lives(self, rows: Sequence[HeldRow]) -> None:
        """What was closed of a position before this process first saw it; where it can't be read, counting starts now."""
        unseen = self.known.lives.unseen(rows)
        for product in {row.product for row in unseen}:
            fresh = [row for row in unseen if row.product is product]
            fills: tuple[FillRow, ...] = ()
            if product.linear:
                begun_ms = min(row.position.opened_ms or row.position.venue_ms for row in fresh)
                try:
                    fills = await self.fills(product, since_ms=begun_ms, deadline_s=FILLS_DEADLINE_S)
                except VenueError as error:
                    self._tell(
                        "fills", f"what was closed of {product} before can't be read, it counts as none: {error}"
                    )
            for row in fresh:
                self.known.lives.begin(row, closed_by_fills(row, fills))

    async def _all_resting(self, wanted: bool) -> tuple[RestingOrder, ...] | None:
        if not wanted:
            return None
        pages = await together(*(self._pending(product) for product in self._linear))
        return tuple(order for data in pages for order in _resting_of(self._account, data))

    async def _pending(self, product: Product) -> list[object]:
        return await self._whole_list(
            product, "orders-pending", endpoints.ORDERS_PENDING, (), idle=not self.known.held(product)
        )

    async def _all_plans(self, wanted: bool) -> tuple[PlanOrder, ...] | None:
        """All three lists: none shows another's orders (quirk 2)."""
        if not wanted:
            return None
        pages = await together(
            *(self._plans(product, namespace) for product in self._linear for namespace in PLAN_NAMESPACES)
        )
        found = [
            row
            for page in pages
            for data in page
            for row in plan_answers.plan_rows(self._account, data, self.known.around)
        ]
        self.known.learn_plans(found)
        return tuple({row.order.order_id: row.order for row in found}.values())

    async def _plans(self, product: Product, namespace: str) -> list[object]:
        """The protections of a line that holds something are always asked for: a stop is read back by them."""
        idle = namespace != _PROTECTIONS or not self.known.held(product)
        of_type = (("planType", namespace),)
        return await self._whole_list(product, f"plans {namespace}", endpoints.PLANS_PENDING, of_type, idle=idle)

    async def _whole_list(
        self, product: Product, name: str, endpoint: Endpoint, of_type: tuple[tuple[str, str], ...], *, idle: bool
    ) -> list[object]:
        """Every page of a list. One that doesn't end isn't a list of everything, and nothing may be concluded from it."""
        query = (*of_type, _product_query(product), _LIMIT)
        first = self._api.read(endpoint, query)
        pages = [await self._listed(product, name, first) if idle else await first]
        while (page := order_answers.page_of(pages[-1], "entrustedList", "orderId")).full:
            if len(pages) >= PAGES_MAX:
                found = f"{len(pages)} full pages of {PAGE_ROWS}"
                raise PayloadError(where=f"{product} {name}", found=found, expected="an end of the list")
            pages.append(await self._api.read(endpoint, (*query, ("idLessThan", str(page.below)))))
        return pages

    async def _detail(self, about: "_Asked") -> OrderReport | None:
        try:
            data = await self._api.read(endpoints.ORDER_DETAIL, about.query(), deadline_s=about.deadline_s)
        except VenueRefused as refused:
            if is_unknown_order(refused.code):
                return None
            raise
        return None if not data else order_answers.order_report(data)

    async def _finished(self, about: "_Asked") -> OrderReport | None:
        """From the history of 90 days; cancelled orders without a fill may be missing there (11.9)."""
        data = await self._api.read(endpoints.ORDERS_HISTORY, (*about.query(), _LIMIT), deadline_s=about.deadline_s)
        return order_answers.matching(order_answers.reports(data), client_id=about.client_id, order_id=about.order_id)

    async def _waiting(self, about: "_Asked") -> OrderReport | None:
        found = await together(*(self._waiting_in(about, namespace) for namespace in PLAN_NAMESPACES))
        return next((report for report in found if report is not None), None)

    async def _waiting_in(self, about: "_Asked", namespace: str) -> OrderReport | None:
        query = (*about.query(), ("planType", namespace), _LIMIT)
        data = await self._api.read(endpoints.PLANS_PENDING, query, deadline_s=about.deadline_s)
        rows = plan_answers.plan_rows(self._account, data, self.known.around)
        self.known.learn_plans(rows)
        reports = (plan_answers.report_of_plan(row.order) for row in rows)
        return order_answers.matching(reports, client_id=about.client_id, order_id=about.order_id)

    async def _ended_plan(self, about: "_Asked") -> EndedPlan | None:
        pages = await together(
            *(
                self._api.read(
                    endpoints.PLANS_HISTORY,
                    (*about.query(), ("planType", namespace), _LIMIT),
                    deadline_s=about.deadline_s,
                )
                for namespace in PLAN_NAMESPACES
            )
        )
        for ended in (each for page in pages for each in plan_answers.ended_plans(page)):
            by_client = about.order_id is None and ended.client_id == about.client_id
            if ended.order_id == about.order_id or by_client:
                return ended
        return None

    # What people should know

    def _tell_auto_margin(self, rows: Iterable[HeldRow]) -> None:
        for row in rows:
            if row.auto_margin:
                key = row.position.key
                text = f"{key}: auto margin is on: the venue itself draws on the free balance near liquidation"
                self._tell(f"auto-margin-{key}", text, Severity.INFO)

    def _with_ratio(self, balance: Balance) -> Balance:
        """The account's own rate, held against the largest in its cross rows, which stands for one that isn't given (19.22)."""
        ratios = [
            row.margin_ratio
            for row in self.known.rows
            if row.margin_coin == balance.currency
            and row.position.margin_mode is MarginMode.CROSS
            and is_value(row.margin_ratio)
        ]
        if not ratios:
            return balance
        if not is_value(balance.margin_ratio):
            return replace(balance, margin_ratio=max(ratios))
        if abs(max(ratios) - balance.margin_ratio) > RATIO_GAP:
            rates = f"the account's risk rate is {balance.margin_ratio}, its cross rows say {max(ratios)}"
            self._tell(f"risk-rate-{balance.currency}", f"{balance.currency}: {rates}")
        return balance


class _Asked(Struct, frozen=True, kw_only=True):
    """An order that is looked for, by its id or else by its client id."""

    symbol: Symbol
    line: Line
    client_id: ClientId | None
    order_id: OrderId | None
    deadline_s: float
    """Of each call."""

    def query(self) -> tuple[tuple[str, str], ...]:
        named = ("orderId", self.order_id) if self.order_id is not None else ("clientOid", self.client_id or "")
        return (("symbol", self.symbol), _product_query(self.line.product), named)


def _product_query(product: Product) -> tuple[str, str]:
    return ("productType", product.value)


def _line_query(line: Line) -> tuple[tuple[str, str], ...]:
    return (_product_query(line.product), ("marginCoin", line.margin_coin))


def _resting_of(account: AccountName, pages: Iterable[object]) -> tuple[RestingOrder, ...]:
    """Every order once, by id: an order that moved between two pages is in both."""
    found = (order for data in pages for order in order_answers.resting_orders(account, data))
    return tuple({order.order_id: order for order in found}.values())


def _is_empty(data: object) -> bool:
    """True for a list, or an object around one, that holds nothing."""
    if isinstance(data, dict):
        return not data.get("entrustedList")
    return not data

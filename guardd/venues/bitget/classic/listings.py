"""What the venue lists: contracts, margin tiers, fees, marks, and which product type a symbol belongs to (Bitget reference, 6)."""

from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import Final

from guardd.clock import Clock
from guardd.errors import PayloadError, VenueError, VenueRefused
from guardd.model.event import MarkSeen, Source
from guardd.model.instant import NS_PER_S
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import Symbol
from guardd.venues.base import Early, nobody
from guardd.venues.bitget.api import READ_DEADLINE_S, Api
from guardd.venues.bitget.classic import endpoints
from guardd.venues.bitget.classic.bodies import Line
from guardd.venues.bitget.classic.known import Known
from guardd.venues.bitget.classic.parse import market as answers
from guardd.venues.bitget.classic.parse.market import Contract
from guardd.venues.bitget.classic.parse.words import Product
from guardd.venues.bitget.errors import is_unknown_symbol
from guardd.venues.rows import as_row, tiers_unread
from guardd.venues.together import together

MARK_DEADLINE_S: Final = 0.5
"""For all sources of a mark together (I28)."""
_MARK_FIRST_S: Final = 0.3
WHOLE_LIST_DEADLINE_S: Final = 15.0
SINGLE_SYMBOLS_MAX: Final = 4
"""Up to so many symbols are asked for one by one; beyond that the whole list is cheaper in calls."""
FEE_DEADLINE_S: Final = 1.0
_REFUSED_PARAMETERS: Final = frozenset({"400172", "40309", "40072", "40102"})
"""What a symbol that the product type hasn't may be answered with, besides the code for an unknown one (15.2)."""


class Listings:
    """The public reads of one account's adapter. `tell` gets (edge, text) for people."""

    def __init__(
        self,
        *,
        api: Api,
        clock: Clock,
        known: Known,
        products: Sequence[Product],
        tell: Callable[[str, str], None],
    ) -> None:
        self._api = api
        self._clock = clock
        self._known = known
        self._products = products
        self._tell = tell
        self._fees: dict[Symbol, Decimal] = {}
        self._coins: dict[Symbol, str] = {}
        self._unguarded: dict[Symbol, str] = {}
        self._listed_fees: dict[Symbol, Decimal] = {}

    def taker_fee(self, symbol: Symbol) -> Decimal | None:
        """The account's own rate, else the listed one; None before the contract was read."""
        return self._fees.get(symbol, self._listed_fees.get(symbol))

    async def line(self, symbol: Symbol, deadline_s: float = READ_DEADLINE_S) -> Line:
        """The product type and the margin coin of a symbol. Raises `VenueError` where no configured product type lists it."""
        product = self._known.products.get(symbol)
        if product is not None and product.linear:
            return Line(product=product, margin_coin=product.settle)
        if product is None or symbol not in self._coins:
            await self._contracts([symbol], deadline_s)
            product = self._known.products.get(symbol)
        if product is None:
            listed = ", ".join(self._products)
            raise PayloadError(where=f"contracts of {symbol}", found="no such contract", expected=f"one of {listed}")
        return Line(product=product, margin_coin=product.settle or self._coins[symbol])

    async def why_unguarded(self, symbol: Symbol, deadline_s: float) -> str:
        """Why nothing is sent for a contract; empty: it is guarded. Raises `VenueError` where nobody lists it."""
        product = self._known.products.get(symbol) or (await self.line(symbol, deadline_s)).product
        return self._unguarded.get(symbol, "") if product.linear else answers.INVERSE

    def likely_product(self, symbol: Symbol) -> Product:
        """Without asking: as it is known, else by the shape of the name (5). A wrong guess is refused by the stream and told."""
        known = self._known.products.get(symbol)
        if known is not None:
            return known
        if symbol.endswith("USDT"):
            return Product.USDT
        return Product.USDC if symbol.endswith(("PERP", "USDC")) else Product.COIN

    async def instruments(self, symbols: Collection[Symbol], *, early: Early = nobody) -> tuple[Instrument, ...]:
        """Contract, margin tiers and fee of each symbol. Those that can't be guarded come with the reason; unknown ones are left
        out and told."""
        wanted = sorted(set(symbols))
        listed = {each.symbol: each for each in await self._contracts(wanted, WHOLE_LIST_DEADLINE_S)}
        found = [listed[symbol] for symbol in wanted if symbol in listed]
        for symbol in wanted:
            if symbol not in listed:
                self._tell(f"unguardable-{symbol}", f"{symbol} isn't a contract of this account's lines: not guarded")
        early(tuple(contract.instrument(tiers=(), taker_fee=self._fee(contract)) for contract in found))
        guarded = [contract for contract in found if not contract.unguarded]
        tiers = await together(*(self._tiers(contract) for contract in guarded))
        await self._learn_fees(guarded)
        self._tell_troubles(guarded)
        by_symbol = {contract.symbol: each for contract, each in zip(guarded, tiers, strict=True)}
        return tuple(
            contract.instrument(tiers=by_symbol.get(contract.symbol, ()), taker_fee=self._fee(contract))
            for contract in found
        )

    def _fee(self, contract: Contract) -> Decimal:
        return self._fees.get(contract.symbol, contract.taker_fee)

    async def mark(self, symbol: Symbol) -> MarkSeen:
        """By the ticker, which has what confirms it too, else by `symbol-price`; never the last price (I28)."""
        ends_ns = self._clock.monotonic_ns() + int(MARK_DEADLINE_S * NS_PER_S)
        try:
            seen = await self._mark_by_ticker(symbol)
        except VenueError:
            seen = await self._mark_by_price(symbol, (ends_ns - self._clock.monotonic_ns()) / NS_PER_S)
        self._known.marks[symbol] = seen.mark
        return seen

    async def _mark_by_ticker(self, symbol: Symbol) -> MarkSeen:
        product = self.likely_product(symbol)
        query = (("symbol", symbol), ("productType", product.value))
        data = await self._api.read(endpoints.TICKER, query, deadline_s=_MARK_FIRST_S)
        found = answers.marks(data, self._clock.now()).get(symbol)
        if found is None:
            raise PayloadError(where=f"ticker of {symbol}", found="no mark above zero", expected="one")
        return found

    async def _mark_by_price(self, symbol: Symbol, deadline_s: float) -> MarkSeen:
        product = self.likely_product(symbol)
        query = (("symbol", symbol), ("productType", product.value))
        found = answers.symbol_price(await self._api.read(endpoints.SYMBOL_PRICE, query, deadline_s=deadline_s))
        if symbol not in found:
            raise PayloadError(where=f"symbol-price of {symbol}", found="another symbol", expected="its mark")
        return MarkSeen(symbol, found[symbol], self._clock.now(), source=Source.REST)

    async def _contracts(self, symbols: Sequence[Symbol], deadline_s: float) -> tuple[Contract, ...]:
        """The contracts of these symbols, whichever of the configured product types lists them."""
        single = len(symbols) <= SINGLE_SYMBOLS_MAX
        reads = [
            self._contract(product, symbol if single else None, deadline_s)
            for product in self._products
            for symbol in (symbols if single else symbols[:1])
            if not single or self._known.products.get(symbol, product) is product
        ]
        found = tuple(each for page in await together(*reads) for each in page)
        for each in found:
            self._known.products[each.symbol] = each.product
            self._coins[each.symbol] = each.settle
            self._unguarded[each.symbol] = each.unguarded
            self._listed_fees[each.symbol] = each.taker_fee
        return tuple(each for each in found if each.symbol in set(symbols))

    async def _contract(self, product: Product, symbol: Symbol | None, deadline_s: float) -> tuple[Contract, ...]:
        """Of one symbol, or the whole list. A symbol of another product type is an error of the call."""
        query = [("productType", product.value)]
        if symbol is not None:
            query.append(("symbol", symbol))
        try:
            return answers.contracts(product, await self._api.read(endpoints.CONTRACTS, query, deadline_s=deadline_s))
        except VenueRefused as refused:
            unknown = is_unknown_symbol(refused.code) or refused.code in _REFUSED_PARAMETERS
            if symbol is not None and unknown:
                return ()
            raise

    async def _tiers(self, contract: Contract) -> tuple[MarginTier, ...]:
        """Empty where the table makes no sense: a stop needs none, and the venue's own liquidation price stands alone then."""
        query = (("productType", contract.product.value), ("symbol", contract.symbol))
        try:
            return answers.margin_tiers(await self._api.read(endpoints.TIERS, query, deadline_s=WHOLE_LIST_DEADLINE_S))
        except PayloadError as error:
            self._tell(f"tiers-{contract.symbol}", tiers_unread(contract.symbol, error))
            return ()

    async def _learn_fees(self, contracts: Iterable[Contract]) -> None:
        """The account's own rates; what can't be read comes with the next refresh, at the listed rate until then."""
        for contract in contracts:
            if contract.symbol in self._fees:
                continue
            query = (("symbol", contract.symbol), ("businessType", "mix"))
            try:
                data = await self._api.read(endpoints.TRADE_RATE, query, deadline_s=FEE_DEADLINE_S)
                self._fees[contract.symbol] = answers.taker_fee_rate(as_row("trade-rate.data", data))
            except VenueError:
                return

    def _tell_troubles(self, contracts: Iterable[Contract]) -> None:
        now_ms = self._api.time.timestamp_ms()
        for contract in contracts:
            if contract.trouble:
                self._tell(f"status-{contract.symbol}", f"{contract.symbol} {contract.trouble}")
            if contract.off_ms is not None and contract.off_ms > now_ms:
                self._tell(f"delisting-{contract.symbol}", f"{contract.symbol} is announced to be taken off the list")

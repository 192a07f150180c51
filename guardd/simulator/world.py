"""The whole state of the exchange in one value, its single sequence, and the queue of what is yet to be told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from guardd.simulator.accounts import ZERO, Account, money
from guardd.simulator.coins import Coin
from guardd.simulator.contracts import Contract, ContractStatus
from guardd.simulator.happenings import Happening
from guardd.simulator.ledger import Cell, Ledger, RowKind
from guardd.simulator.orders import Order, Plan, PositionMode
from guardd.simulator.records import Flow, FlowKind, Quote
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import FillModel, Terms, VenueState

ID_BASE = 20_000_000_000_000_000  # 17 digits: an id that passed through a float comes back wrong, and shows
ID_SPREAD = 1_000_000_000_000

PlanFault = Callable[[Plan], RefusalReason | None]
CancelRace = Callable[[Order], bool]


@dataclass(slots=True, kw_only=True)
class Market:
    """One contract with its present prices; `quote` None until the first price."""

    contract: Contract
    fills: FillModel
    status: ContractStatus = ContractStatus.TRADING
    quote: Quote | None = None

    def prices(self) -> Quote:
        """The present prices; `Refused(NO_MARKET)` before the first."""
        if self.quote is None:
            raise Refused(RefusalReason.NO_MARKET, f"{self.contract.symbol} has no price yet")
        return self.quote


@dataclass(slots=True, kw_only=True)
class World:
    now_ms: int
    terms: Terms
    random: Random
    ledger: Ledger
    state: VenueState = VenueState.NORMAL
    markets: dict[str, Market] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    coins: dict[str, Coin] = field(default_factory=dict)
    insurance: dict[str, Decimal] = field(default_factory=dict)  # forfeited margins less what bankrupts could not pay
    plan_fault: PlanFault | None = None
    cancel_race: CancelRace | None = None
    outbox: list[Happening] = field(default_factory=list)
    dirty: dict[tuple[str, str], None] = field(default_factory=dict)  # (uid, coin) yet to be told, in order
    grown: dict[str, str] = field(default_factory=dict)  # opening orders with presets that filled → uid
    version: int = 0  # another whenever anything may have changed: what was computed from the state is as old as this
    sequence: int = 0
    next_id: int = ID_BASE

    def market(self, symbol: str) -> Market:
        market = self.markets.get(symbol)
        if market is None:
            raise Refused(RefusalReason.CONTRACT_NOT_FOUND, f"no contract {symbol}")
        return market

    def coin_of(self, symbol: str) -> str:
        """The coin in which a listed contract settles."""
        return self.markets[symbol].contract.coin

    def usd_price(self, coin: str) -> Decimal:
        """What one is worth in USD now; nothing, where no price is known."""
        known = self.coins.get(coin)
        if known is None:
            return ZERO
        if known.price is not None:
            return known.price
        market = self.markets.get(known.follows)
        return market.quote.mark if market is not None and market.quote is not None else ZERO

    def mode_of(self, account: Account, symbol: str) -> PositionMode:
        """The position mode of a contract in an account."""
        return account.mode_of(self.markets[symbol].contract.group)

    def touch(self, account: Account, coin: str) -> None:
        """This coin of the account is to be told at the end of the operation."""
        self.dirty[account.uid, coin] = None

    def insure(self, coin: str, amount: Decimal) -> None:
        """Into the insurance fund; negative: out of it."""
        self.insurance[coin] = self.insurance.get(coin, ZERO) + amount

    def number(self) -> int:
        """The next number of the one sequence that orders ledger rows and happenings."""
        self.sequence += 1
        return self.sequence

    def new_id(self) -> str:
        """A fresh id for an order, plan, trade, flow or transfer: decimal digits, one space for all."""
        self.next_id += self.random.randint(1, 9)
        return str(self.next_id)

    def note(self, kind: RowKind, uid: str, symbol: str, **details: Cell | Decimal) -> None:
        """Append to the ledger."""
        cells = {name: str(cell) if isinstance(cell, Decimal) else cell for name, cell in details.items()}
        self.ledger.append(sequence=self.number(), at_ms=self.now_ms, kind=kind, uid=uid, symbol=symbol, details=cells)

    def book(self, account: Account, kind: FlowKind, symbol: str, amount: Decimal, coin: str) -> Decimal:
        """Change a futures wallet, which nothing else does; returns the amount booked."""
        amount = money(amount)
        if amount == 0:
            return ZERO
        account.wallets[coin] = account.wallet(coin) + amount
        account.flows.append(
            Flow(
                flow_id=self.new_id(),
                uid=account.uid,
                coin=coin,
                kind=kind,
                symbol=symbol,
                amount=amount,
                at_ms=self.now_ms,
            )
        )
        self.note(
            RowKind.FLOW,
            account.uid,
            symbol,
            flow=kind.value,
            coin=coin,
            amount=amount,
            value=amount * self.usd_price(coin),
            wallet=account.wallets[coin],
        )
        self.touch(account, coin)
        return amount

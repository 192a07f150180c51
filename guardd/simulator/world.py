"""The whole state of the exchange in one value, its single sequence, and the queue of what is yet to be told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from guardd.simulator.accounts import ZERO, Account, money
from guardd.simulator.contracts import Contract, ContractStatus
from guardd.simulator.happenings import Happening
from guardd.simulator.ledger import Cell, Ledger, RowKind
from guardd.simulator.orders import Plan
from guardd.simulator.records import Flow, FlowKind, Quote
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import FillModel, Terms, VenueState

ID_BASE = 20_000_000_000_000_000  # 17 digits: an id that passed through a float comes back wrong, and shows
ID_SPREAD = 1_000_000_000_000

PlanFault = Callable[[Plan], RefusalReason | None]


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
    insurance: Decimal = ZERO  # forfeited margins less what bankrupt accounts could not pay
    plan_fault: PlanFault | None = None
    outbox: list[Happening] = field(default_factory=list)
    dirty: dict[str, None] = field(default_factory=dict)  # accounts whose balance is yet to be told, in order
    grown: dict[str, str] = field(default_factory=dict)  # opening orders with presets that filled → uid
    sequence: int = 0
    next_id: int = ID_BASE

    def market(self, symbol: str) -> Market:
        market = self.markets.get(symbol)
        if market is None:
            raise Refused(RefusalReason.CONTRACT_NOT_FOUND, f"no contract {symbol}")
        return market

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

    def book(self, account: Account, kind: FlowKind, symbol: str, amount: Decimal) -> Decimal:
        """Change a futures wallet, which nothing else does; returns the amount booked."""
        amount = money(amount)
        if amount == 0:
            return ZERO
        account.wallet += amount
        account.flows.append(
            Flow(flow_id=self.new_id(), uid=account.uid, kind=kind, symbol=symbol, amount=amount, at_ms=self.now_ms)
        )
        self.note(RowKind.FLOW, account.uid, symbol, flow=kind.value, amount=amount, wallet=account.wallet)
        self.dirty[account.uid] = None
        return amount

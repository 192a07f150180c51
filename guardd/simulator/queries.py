"""What may be read from the exchange, as frozen values. Nothing here changes anything."""

from collections.abc import Mapping
from decimal import Decimal

from guardd.simulator import cross, margin
from guardd.simulator.accounts import Account, Position
from guardd.simulator.coins import DEFAULT_COIN, Coin
from guardd.simulator.contracts import Contract, ContractStatus
from guardd.simulator.orders import MarginMode, Order, Plan, PositionMode, PositionSide
from guardd.simulator.records import AccountKind, Balance, Flow, Pool, PositionView, Quote, Settings, Trade, Transfer
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import FillModel
from guardd.simulator.world import World


class Queries:
    """Reads of one exchange. An unknown contract is `Refused`; an unknown account is a `KeyError`, a program's fault."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._views: dict[tuple[str, str, PositionSide], PositionView] = {}
        self._pools: dict[str, Pool] = {}
        self._risks: dict[tuple[str, str | None], cross.Risk] = {}
        """Of the cross account of one coin, or of the pool."""
        self._viewed = -1
        """The world's version that all of these are of."""

    # The market

    def contracts(self) -> tuple[Contract, ...]:
        return tuple(market.contract for market in self._world.markets.values())

    def contract(self, symbol: str) -> Contract:
        return self._world.market(symbol).contract

    def status(self, symbol: str) -> ContractStatus:
        return self._world.market(symbol).status

    def quote(self, symbol: str) -> Quote | None:
        """Present prices; None before the first."""
        return self._world.market(symbol).quote

    def quotes(self) -> Mapping[str, Quote]:
        """Present prices of every contract that has any."""
        return {symbol: market.quote for symbol, market in self._world.markets.items() if market.quote is not None}

    def fills(self, symbol: str) -> FillModel:
        return self._world.market(symbol).fills

    def coins(self) -> tuple[Coin, ...]:
        """Coins with their prices and haircuts, as the exchange knows them."""
        return tuple(self._world.coins.values())

    def usd_price(self, coin: str) -> Decimal:
        """What one is worth now; zero while no price is known."""
        return self._world.usd_price(coin)

    # Accounts

    def accounts(self) -> tuple[str, ...]:
        return tuple(self._world.accounts)

    def account_kind(self, uid: str) -> AccountKind:
        return self._account(uid).kind

    def position_mode(self, uid: str, group: str = "") -> PositionMode:
        """Of a product line; where none has a mode of its own, of the account."""
        return self._account(uid).mode_of(group)

    def settings(self, uid: str, symbol: str) -> Settings:
        """Leverage and margin mode of a contract, held or not."""
        self._world.market(symbol)
        return self._account(uid).settings_of(symbol)

    def balance(self, uid: str, coin: str = DEFAULT_COIN) -> Balance:
        """One coin's wallet, empty or not."""
        return margin.balance(self._world, self._account(uid), coin)

    def balances(self, uid: str) -> tuple[Balance, ...]:
        """Every coin that the account holds, owes, has at risk or ever had, in futures or spot; by name."""
        account = self._account(uid)
        names = sorted({*cross.coins(account), *account.spots})
        shared = self.pool(uid) if cross.pooled(account) else None
        return tuple(margin.balance(self._world, account, coin, shared) for coin in names)

    def pool(self, uid: str) -> Pool:
        """The sums of a unified account; a `ValueError` for a classic one."""
        account = self._account(uid)
        if not cross.pooled(account):
            raise ValueError(f"account {uid} is {account.kind.value}: no pool")
        self._renew()
        pool = self._pools.get(uid)
        if pool is None:
            pool = self._pools[uid] = margin.pool(self._world, account)
        return pool

    def positions(self, uid: str, symbol: str | None = None) -> tuple[PositionView, ...]:
        """Open positions, by symbol, long before short."""
        account = self._account(uid)
        held = sorted(account.positions.values(), key=lambda p: (p.symbol, p.side.value))
        return tuple(self._view(account, p) for p in held if symbol in (None, p.symbol))

    def position(self, uid: str, symbol: str, side: PositionSide) -> PositionView | None:
        account = self._account(uid)
        position = account.positions.get((symbol, side))
        return self._view(account, position) if position else None

    def open_interest(self, symbol: str) -> Decimal:
        """Contracts that the accounts hold, both sides counted once each."""
        accounts = self._world.accounts.values()
        return sum((held.size for account in accounts for held in account.positions_of(symbol)), Decimal(0))

    # Orders, plans and what became of them

    def open_orders(self, uid: str, symbol: str | None = None) -> tuple[Order, ...]:
        """Working orders, oldest first."""
        return tuple(o for o in self._account(uid).orders.values() if symbol in (None, o.symbol))

    def order(self, uid: str, *, order_id: str = "", client_id: str = "") -> Order:
        """One order, working or finished; by client id the newest. `ORDER_NOT_EXIST` otherwise."""
        account = self._account(uid)
        by_id = account.orders.get(order_id) or account.finished_orders.get(order_id)
        found = by_id if order_id else _newest(account, client_id)
        if found is None:
            raise Refused(RefusalReason.ORDER_NOT_EXIST, f"no order {order_id or client_id!r}")
        return found

    def order_history(self, uid: str, symbol: str | None = None) -> tuple[Order, ...]:
        """Finished orders, in the order in which they ended."""
        return tuple(o for o in self._account(uid).finished_orders.values() if symbol in (None, o.symbol))

    def open_plans(self, uid: str, symbol: str | None = None) -> tuple[Plan, ...]:
        """Live plan orders of every kind, oldest first."""
        return tuple(p for p in self._account(uid).plans.values() if symbol in (None, p.symbol))

    def plan(self, uid: str, *, plan_id: str = "", client_id: str = "") -> Plan:
        """One plan, live or finished; by client id the newest. `ORDER_NOT_EXIST` otherwise."""
        account = self._account(uid)
        if plan_id:
            found = account.plans.get(plan_id) or account.finished_plans.get(plan_id)
        else:
            everything = [*account.finished_plans.values(), *account.plans.values()]
            named = [plan for plan in everything if client_id and plan.client_id == client_id]
            found = max(named, key=lambda plan: int(plan.plan_id), default=None)
        if found is None:
            raise Refused(RefusalReason.ORDER_NOT_EXIST, f"no plan order {plan_id or client_id!r}")
        return found

    def pair(self, uid: str, pair_id: str) -> tuple[Plan, ...]:
        """The plans of a pair, live or finished, oldest first; none for an unknown id."""
        account = self._account(uid)
        everything = [*account.finished_plans.values(), *account.plans.values()]
        return tuple(sorted((p for p in everything if p.pair_id == pair_id), key=lambda p: int(p.plan_id)))

    def plan_history(self, uid: str, symbol: str | None = None) -> tuple[Plan, ...]:
        return tuple(p for p in self._account(uid).finished_plans.values() if symbol in (None, p.symbol))

    def trades(self, uid: str, symbol: str | None = None) -> tuple[Trade, ...]:
        """Fills, oldest first."""
        return tuple(t for t in self._account(uid).trades if symbol in (None, t.symbol))

    def flows(self, uid: str, symbol: str | None = None, coin: str | None = None) -> tuple[Flow, ...]:
        """Changes of the futures wallets, oldest first."""
        flows = self._account(uid).flows
        return tuple(f for f in flows if symbol in (None, f.symbol) and coin in (None, f.coin))

    def transfers(self, uid: str) -> tuple[Transfer, ...]:
        return tuple(self._account(uid).transfers)

    def _view(self, account: Account, position: Position) -> PositionView:
        """Where a position ends is dear to solve, and asked again and again between two changes."""
        self._renew()
        key = account.uid, position.symbol, position.side
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = margin.view(self._world, account, position, self._risk(account, position))
        return view

    def _risk(self, account: Account, position: Position) -> cross.Risk:
        """What all cross positions share is summed up once for all of them."""
        if position.margin_mode is not MarginMode.CROSS:
            return margin.risk(self._world, account, position)
        key = account.uid, cross.reach(account, position.coin)
        risk = self._risks.get(key)
        if risk is None:
            risk = self._risks[key] = margin.risk(self._world, account, position)
        return risk

    def _renew(self) -> None:
        """What was reckoned is forgotten as soon as an operation has begun or ended since."""
        if self._viewed != self._world.version:
            self._views.clear()
            self._pools.clear()
            self._risks.clear()
            self._viewed = self._world.version

    def _account(self, uid: str) -> Account:
        return self._world.accounts[uid]


def _newest(account: Account, client_id: str) -> Order | None:
    everything = [*account.finished_orders.values(), *account.orders.values()]
    named = [order for order in everything if client_id and order.client_id == client_id]
    return max(named, key=lambda order: int(order.order_id), default=None)

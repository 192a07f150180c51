"""The exchange itself: synchronous, deterministic, without clock or sockets. Time is passed in with every change.

One operation runs to its end, liquidations included, before anything is told; then listeners hear what happened in
order, balances last. A listener may call back: what that causes is told after it. A refused request raises `Refused`
and changes nothing but the ledger.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from random import Random

from msgspec.structs import replace

from guardd.simulator import admission, cross, levers, liquidation, margin, matching, plans, telling
from guardd.simulator.accounts import ZERO, Account, Position
from guardd.simulator.coins import DEFAULT_COIN, Coin, default_coins
from guardd.simulator.contracts import Contract, ContractStatus, Tier
from guardd.simulator.happenings import Listener
from guardd.simulator.ledger import Ledger, RowKind
from guardd.simulator.orders import (
    CancelCause,
    MarginMode,
    Order,
    OrderRequest,
    Plan,
    PlanRequest,
    PositionMode,
    PositionSide,
    Preset,
    PriceSource,
)
from guardd.simulator.queries import Queries
from guardd.simulator.records import (
    AccountKind,
    FlowKind,
    Quote,
    Settings,
    Transfer,
    TransferDirection,
)
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import FillModel, Terms, VenueState
from guardd.simulator.world import ID_SPREAD, CancelRace, Market, PlanFault, World

DEFAULT_LEVERAGE = Decimal(10)


class Exchange:
    """A small futures exchange. Every method that changes something takes `now_ms`; time never runs backwards."""

    def __init__(
        self,
        contracts: Iterable[Contract],
        *,
        seed: int,
        now_ms: int,
        terms: Terms | None = None,
        fills: FillModel | None = None,
    ) -> None:
        random = Random(seed)  # noqa: S311 - reproducible ids, not secrets
        self._world = World(now_ms=now_ms, terms=terms or Terms(), random=random, ledger=Ledger())
        self._world.next_id += random.randrange(ID_SPREAD)
        self._world.coins.update({coin.name: coin for coin in default_coins()})
        for contract in contracts:
            self._world.markets[contract.symbol] = Market(contract=contract, fills=fills or FillModel())
        self.query = Queries(self._world)
        self._listeners: list[Listener] = []
        self._delivering = False

    # What is going on

    @property
    def now_ms(self) -> int:
        return self._world.now_ms

    @property
    def ledger(self) -> Ledger:
        return self._world.ledger

    @property
    def insurance(self) -> Mapping[str, Decimal]:
        """By coin: forfeited margins, less what bankrupt accounts could not pay."""
        return defaultdict(Decimal, self._world.insurance)

    @property
    def state(self) -> VenueState:
        return self._world.state

    @property
    def terms(self) -> Terms:
        return self._world.terms

    def subscribe(self, listener: Listener) -> None:
        """`listener` hears every happening from now on."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    # The venue's own doings

    def add_account(
        self,
        uid: str,
        *,
        deposit: Decimal,
        position_mode: PositionMode = PositionMode.HEDGE,
        spot: Decimal = ZERO,
        leverage: Decimal = DEFAULT_LEVERAGE,
        margin_mode: MarginMode = MarginMode.CROSS,
        kind: AccountKind = AccountKind.CLASSIC,
        deposits: Mapping[str, Decimal] | None = None,
        spots: Mapping[str, Decimal] | None = None,
    ) -> None:
        """Open an account; `leverage` and `margin_mode` hold for every contract until set.

        `deposit` and `spot` are USDT; `deposits` and `spots` are other coins', by name.
        """
        if uid in self._world.accounts:
            raise ValueError(f"account {uid} exists")
        defaults = Settings(margin_mode=margin_mode, long_leverage=leverage, short_leverage=leverage)
        account = Account(uid=uid, kind=kind, position_mode=position_mode, defaults=defaults)
        account.spots.update({DEFAULT_COIN: spot, **(spots or {})})
        self._world.accounts[uid] = account
        self._world.note(
            RowKind.ACCOUNT,
            uid,
            "",
            account_kind=kind.value,
            deposit=deposit,
            spot=spot,
            position_mode=position_mode.value,
        )
        for coin, amount in {DEFAULT_COIN: deposit, **(deposits or {})}.items():
            self._world.book(account, FlowKind.TRANSFER, "", amount, coin)
        self._finish()

    def set_account_kind(self, uid: str, kind: AccountKind, now_ms: int) -> None:
        """The owner has the account converted; what it holds stays."""
        self._pass(now_ms)
        account = self._world.accounts[uid]
        account.kind = kind
        self._world.note(RowKind.SETTING, uid, "", account_kind=kind.value)
        for coin in account.wallets:
            self._world.touch(account, coin)
        self._finish()

    def set_coin(self, coin: Coin, now_ms: int) -> None:
        """What a coin is worth and how much of it counts as collateral, from now on."""
        self._pass(now_ms)
        self._world.coins[coin.name] = coin
        self._check_pools()
        self._finish()

    def move(
        self,
        symbol: str,
        *,
        mark: Decimal,
        now_ms: int,
        index: Decimal | None = None,
        last: Decimal | None = None,
        bid: Decimal | None = None,
        ask: Decimal | None = None,
    ) -> None:
        """New prices: triggers plans, fills resting orders, liquidates. What is left out follows the mark.

        Without bid and ask the spread is one tick around last.
        """
        self._pass(now_ms)
        world = self._world
        market = world.market(symbol)
        last = mark if last is None else last
        bid = max(last - market.contract.tick, market.contract.tick) if bid is None else bid
        ask = bid + 2 * market.contract.tick if ask is None else ask
        market.quote = Quote(mark=mark, index=mark if index is None else index, last=last, bid=bid, ask=ask)
        telling.tell_mark(world, market, market.quote)
        for account in list(world.accounts.values()):
            self._move_account(account, market)
        if any(coin.price is None and coin.follows == symbol for coin in world.coins.values()):
            self._check_pools()
        self._finish()

    def advance(self, now_ms: int) -> None:
        """Let time pass without a new price: due slices of market orders, and timed cancels."""
        world = self._world
        waiting = [account for account in world.accounts.values() if account.slicing or account.timers]
        if not (waiting or world.grown or world.dirty or world.outbox):
            world.now_ms = max(world.now_ms, now_ms)
            return
        self._pass(now_ms)
        for account in waiting:
            for symbol in dict.fromkeys(account.orders[order_id].symbol for order_id in account.slicing):
                if plans.trading(world, world.markets[symbol]):
                    matching.work_slices(world, account, world.markets[symbol])
            for symbol, due_ms in list(account.timers.items()):
                if due_ms <= world.now_ms:
                    del account.timers[symbol]
                    self._cancel_symbol(account, symbol, CancelCause.TIMED)
        self._finish()

    def grant(self, uid: str, amount: Decimal, now_ms: int, coin: str = DEFAULT_COIN) -> None:
        """Money from nowhere into a futures wallet: what a demo environment's claim does."""
        self._pass(now_ms)
        self._world.book(self._world.accounts[uid], FlowKind.TRANSFER, "", amount, coin)
        self._finish()

    def settle_funding(self, symbol: str, rate: Decimal, now_ms: int) -> None:
        """Longs pay shorts `rate` × notional at mark. An isolated position pays from, and receives into, its margin."""
        self._pass(now_ms)
        world = self._world
        market = world.market(symbol)
        mark = market.prices().mark
        for account in list(world.accounts.values()):
            for position in account.positions_of(symbol):
                paid = -position.side.sign * margin.base_size(market.contract, position) * mark * rate
                amount = world.book(account, FlowKind.FUNDING, symbol, paid, position.coin)
                position.funding += amount
                if position.margin_mode is MarginMode.ISOLATED:
                    position.margin += amount
                telling.tell_position(world, account, position)
        self._finish()

    def set_state(self, state: VenueState, now_ms: int) -> None:
        """Close the venue, by degrees, or open it again."""
        self._pass(now_ms)
        self._world.state = state
        self._world.note(RowKind.VENUE, "", "", state=state.value)
        self._finish()

    def set_terms(self, terms: Terms, now_ms: int) -> None:
        self._pass(now_ms)
        self._world.terms = terms
        self._refresh_all()
        self._finish()

    def set_fills(self, fills: FillModel, *, symbol: str | None = None) -> None:
        """Change the book's depth, of one contract or of all."""
        for market in self._world.markets.values():
            if symbol in (None, market.contract.symbol):
                market.fills = fills

    def set_status(self, symbol: str, status: ContractStatus, now_ms: int, *, settle: bool = False) -> None:
        """Pause, delist or reopen a contract. Delisting ends its orders and plans; `settle` closes at mark."""
        self._pass(now_ms)
        world = self._world
        market = world.market(symbol)
        market.status = status
        telling.tell_contract(world, market)
        if status is ContractStatus.DELISTED:
            for account in list(world.accounts.values()):
                matching.cancel_many(world, account, account.orders_of(symbol), CancelCause.CONTRACT)
                for plan in account.plans_of(symbol):
                    plans.cancel(world, account, plan)
                for position in account.positions_of(symbol) if settle else ():
                    liquidation.settle_at_mark(world, account, position)
        self._finish()

    def set_contract(self, contract: Contract, now_ms: int) -> None:
        """Replace a contract's data (tick, fees, limits, tiers) or list a new one. Held sizes keep their count."""
        self._pass(now_ms)
        known = self._world.markets.get(contract.symbol)
        if known is not None and known.contract.contract_size != contract.contract_size:
            raise ValueError(f"{contract.symbol}: the multiplier of a listed contract is fixed")
        if known is None:
            known = Market(contract=contract, fills=FillModel())
            self._world.markets[contract.symbol] = known
        known.contract = contract
        telling.tell_contract(self._world, known)
        self._refresh_all()
        self._finish()

    def set_tiers(self, symbol: str, tiers: tuple[Tier, ...], now_ms: int) -> None:
        """New margin tiers; positions they no longer carry are liquidated at once."""
        contract = self._world.market(symbol).contract
        self.set_contract(replace(contract, tiers=tiers, max_leverage=tiers[0].max_leverage), now_ms)

    def set_plan_fault(self, fault: PlanFault | None) -> None:
        """Ask `fault` at each trigger: a reason lets the plan's execution fail with it, None lets it go on."""
        self._world.plan_fault = fault

    def set_cancel_race(self, race: CancelRace | None) -> None:
        """Ask `race` of each resting limit order that a client cancels: True lets it fill just before."""
        self._world.cancel_race = race

    def auto_deleverage(
        self, uid: str, symbol: str, side: PositionSide, size: Decimal, now_ms: int, *, price: Decimal | None = None
    ) -> Order:
        """Force-close part of a position, at mark unless told otherwise."""
        self._pass(now_ms)
        account = self._world.accounts[uid]
        position = _position(account, symbol, side)
        at = price or self._world.markets[symbol].prices().mark
        order = liquidation.deleverage(self._world, account, position, min(size, position.size), at)
        self._finish()
        return order

    # What clients ask for

    def place(self, uid: str, request: OrderRequest, now_ms: int) -> Order:
        """Submit an order; returns it as it stands after its first contact with the book."""
        with self._operation(uid, "place", now_ms, symbol=request.symbol, client_id=request.client_id) as account:
            order = matching.submit(self._world, account, request)
        return self.query.order(uid, order_id=order.order_id)

    def close_position(self, uid: str, symbol: str, side: PositionSide, now_ms: int) -> Order:
        """Close a whole leg at market, below the smallest order too; see `Terms.hedge_closes` for resting closes."""
        with self._operation(uid, "close_position", now_ms, symbol=symbol) as account:
            order = matching.close_all(self._world, account, symbol, side)
        return self.query.order(uid, order_id=order.order_id)

    def modify_order(
        self, uid: str, order_id: str, now_ms: int, *, price: Decimal | None = None, size: Decimal | None = None
    ) -> Order:
        """Change a resting limit order; `size` is the new whole size."""
        with self._operation(uid, "modify_order", now_ms) as account:
            matching.modify(self._world, account, _working(account, order_id), price, size)
        return self.query.order(uid, order_id=order_id)

    def modify_presets(
        self,
        uid: str,
        order_id: str,
        now_ms: int,
        *,
        take_profit: Preset | None = None,
        stop_loss: Preset | None = None,
    ) -> Order:
        """Change the TP/SL that a working opening order will bring along; what is None stays."""
        with self._operation(uid, "modify_presets", now_ms) as account:
            order = _working(account, order_id)
            return matching.modify_presets(self._world, account, order, take_profit, stop_loss)

    def cancel(self, uid: str, order_id: str, now_ms: int) -> Order:
        """Cancel a working order. `ORDER_NOT_EXIST` or `ORDER_FINISHED` otherwise."""
        self._fill_first(uid, [order_id], now_ms)
        with self._operation(uid, "cancel", now_ms) as account:
            admission.check_writable(self._world)
            return matching.cancel(self._world, account, _working(account, order_id), CancelCause.USER)

    def cancel_all(self, uid: str, symbol: str, now_ms: int) -> int:
        """Cancel the working orders of a symbol (and plans, if the terms say so); returns how many orders."""
        self._fill_first(uid, [order.order_id for order in self._world.accounts[uid].orders_of(symbol)], now_ms)
        with self._operation(uid, "cancel_all", now_ms, symbol=symbol) as account:
            admission.check_writable(self._world)
            self._world.market(symbol)
            return self._cancel_symbol(account, symbol, CancelCause.USER)

    def arm_cancel_all(self, uid: str, symbol: str, due_ms: int | None, now_ms: int) -> None:
        """A dead man's switch over one symbol's orders; None disarms. It never closes a position."""
        with self._operation(uid, "arm_cancel_all", now_ms, symbol=symbol) as account:
            self._world.market(symbol)
            account.timers.pop(symbol, None)
            if due_ms is not None:
                account.timers[symbol] = due_ms

    def place_plan(self, uid: str, request: PlanRequest, now_ms: int) -> Plan:
        """Rest a plan order. One whose price has come already fires with the next price."""
        with self._operation(uid, "place_plan", now_ms, symbol=request.symbol, client_id=request.client_id) as account:
            return plans.place(self._world, account, request)

    def modify_plan(
        self,
        uid: str,
        plan_id: str,
        now_ms: int,
        *,
        trigger_price: Decimal | None = None,
        source: PriceSource | None = None,
        limit_price: Decimal | None = None,
        size: Decimal | None = None,
    ) -> Plan:
        """Change a live plan in place; what is None stays."""
        with self._operation(uid, "modify_plan", now_ms) as account:
            return plans.modify(
                self._world,
                account,
                _live_plan(account, plan_id),
                trigger_price=trigger_price,
                source=source,
                limit_price=limit_price,
                size=size,
            )

    def cancel_plan(self, uid: str, plan_id: str, now_ms: int) -> Plan:
        """Cancel a live plan order of any kind. `ORDER_NOT_EXIST` or `ORDER_FINISHED` otherwise."""
        with self._operation(uid, "cancel_plan", now_ms) as account:
            admission.check_writable(self._world)
            return plans.cancel(self._world, account, _live_plan(account, plan_id))

    def set_leverage(
        self,
        uid: str,
        symbol: str,
        now_ms: int,
        *,
        leverage: Decimal | None = None,
        margin_mode: MarginMode | None = None,
        side: PositionSide | None = None,
    ) -> Settings:
        """Set leverage (of one leg or both) and margin mode; what is None stays. See `Terms.leverage_change`."""
        with self._operation(uid, "set_leverage", now_ms, symbol=symbol) as account:
            return levers.set_settings(self._world, account, symbol, leverage, margin_mode, side)

    def set_position_mode(self, uid: str, mode: PositionMode, now_ms: int, *, group: str | None = None) -> None:
        """Account-wide, or of one product line (`Contract.group`); refused while it has positions or orders."""
        with self._operation(uid, "set_position_mode", now_ms) as account:
            levers.set_position_mode(self._world, account, mode, group)

    def add_margin(self, uid: str, symbol: str, side: PositionSide, amount: Decimal, now_ms: int) -> None:
        """Move margin into an isolated position, or with a negative amount out of it."""
        with self._operation(uid, "add_margin", now_ms, symbol=symbol) as account:
            levers.add_margin(self._world, account, _position(account, symbol, side), amount)

    def set_auto_margin(self, uid: str, symbol: str, side: PositionSide, now_ms: int, *, on: bool) -> None:
        """Let the exchange add margin to an isolated position before it liquidates it."""
        with self._operation(uid, "set_auto_margin", now_ms, symbol=symbol) as account:
            levers.set_auto_margin(self._world, account, _position(account, symbol, side), on=on)

    def transfer(
        self, uid: str, direction: TransferDirection, amount: Decimal, now_ms: int, coin: str = DEFAULT_COIN
    ) -> Transfer:
        """Between spot and futures wallet of one coin."""
        with self._operation(uid, "transfer", now_ms) as account:
            return levers.transfer(self._world, account, direction, amount, coin)

    # One operation, from its first line to its last

    @contextmanager
    def _operation(
        self, uid: str, call: str, now_ms: int, *, symbol: str = "", client_id: str = ""
    ) -> Iterator[Account]:
        """A client's request: what is refused goes on record, what is done is brought to rest and told."""
        self._pass(now_ms)
        try:
            yield self._world.accounts[uid]
        except Refused as refusal:
            self._world.note(
                RowKind.REFUSED,
                uid,
                symbol,
                call=call,
                reason=refusal.reason.value,
                detail=refusal.detail,
                client_id=client_id,
            )
            raise
        self._finish()

    def _fill_first(self, uid: str, order_ids: Iterable[str], now_ms: int) -> None:
        """The cancel loses its race."""
        race = self._world.cancel_race
        if race is None:
            return
        self._pass(now_ms)
        account = self._world.accounts[uid]
        for order in [account.orders[each] for each in order_ids if each in account.orders]:
            if order.price is not None and plans.trading(self._world, self._world.market(order.symbol)) and race(order):
                matching.fill_whole(self._world, account, order, order.price)
        self._finish()

    def _pass(self, now_ms: int) -> None:
        """An operation begins. A late caller does not turn the venue's clock back."""
        self._world.version += 1
        self._world.now_ms = max(self._world.now_ms, now_ms)

    def _move_account(self, account: Account, market: Market) -> None:
        if not (account.positions or account.orders or account.plans):
            return
        world, symbol = self._world, market.contract.symbol
        held = account.positions_of(symbol)
        for position in held:
            margin.refresh(world, position)
        if world.terms.liquidate_before_stops and held:
            liquidation.check(world, account, symbol)
        if plans.trading(world, market):
            plans.trigger_due(world, account, market)
            matching.work_resting(world, account, market)
            matching.work_slices(world, account, market)
        if account.positions_of(symbol):
            liquidation.check(world, account, symbol)
        if held and world.ledger.samples_now(account.uid, world.now_ms):
            world.ledger.sample_equity(account.uid, world.now_ms, margin.equity(world, account), edge=False)

    def _finish(self) -> None:
        """Bring the operation to rest (presets, liquidations, debts, sweeps), then tell it."""
        world = self._world
        for order_id, uid in list(world.grown.items()):
            plans.attach_presets(world, world.accounts[uid], self.query.order(uid, order_id=order_id))
        world.grown.clear()
        for uid in dict.fromkeys(uid for uid, _ in world.dirty):
            account = world.accounts[uid]
            liquidation.check(world, account)
            liquidation.cover_debt(world, account)
            if world.terms.sweep_plans_when_flat:
                plans.sweep(world, account)
        telling.tell_balances(world)
        world.version += 1
        self._deliver()

    def _deliver(self) -> None:
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._world.outbox:
                happening = self._world.outbox.pop(0)
                for listener in list(self._listeners):
                    listener(happening)
        finally:
            self._delivering = False

    def _check_pools(self) -> None:
        """Collateral that is worth less may be a pool's end, whatever it holds."""
        for account in self._world.accounts.values():
            if cross.pooled(account) and (account.positions or account.orders):
                liquidation.check(self._world, account)

    def _refresh_all(self) -> None:
        for account in self._world.accounts.values():
            for position in account.positions.values():
                margin.refresh(self._world, position)
                self._world.touch(account, position.coin)

    def _cancel_symbol(self, account: Account, symbol: str, cause: CancelCause) -> int:
        orders = account.orders_of(symbol)
        matching.cancel_many(self._world, account, orders, cause)
        if self._world.terms.cancel_all_takes_plans:
            for plan in account.plans_of(symbol):
                plans.cancel(self._world, account, plan)
        return len(orders)


def _position(account: Account, symbol: str, side: PositionSide) -> Position:
    position = account.positions.get((symbol, side))
    if position is None:
        raise Refused(RefusalReason.POSITION_NOT_EXIST, f"no {side.value} position in {symbol}")
    return position


def _working(account: Account, order_id: str) -> Order:
    order = account.orders.get(order_id)
    if order is not None:
        return order
    if order_id in account.finished_orders:
        raise Refused(RefusalReason.ORDER_FINISHED, f"order {order_id} is finished")
    raise Refused(RefusalReason.ORDER_NOT_EXIST, f"no order {order_id}")


def _live_plan(account: Account, plan_id: str) -> Plan:
    plan = account.plans.get(plan_id)
    if plan is not None:
        return plan
    if plan_id in account.finished_plans:
        raise Refused(RefusalReason.ORDER_FINISHED, f"plan order {plan_id} is finished")
    raise Refused(RefusalReason.ORDER_NOT_EXIST, f"no plan order {plan_id}")

"""Puts what happened into the queue for listeners and into the ledger, in one place, so the two can't disagree."""

from decimal import Decimal

from guardd.simulator import cross, margin
from guardd.simulator.accounts import Account, Position
from guardd.simulator.happenings import (
    BalanceChanged,
    ContractChanged,
    Liquidated,
    MarkChanged,
    OrderAction,
    OrderChanged,
    PlanAction,
    PlanChanged,
    PositionChanged,
)
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import MarginMode, Order, Plan
from guardd.simulator.records import Quote, Trade
from guardd.simulator.world import Market, World


def tell_order(world: World, account: Account, action: OrderAction, order: Order, trade: Trade | None = None) -> None:
    kind = RowKind.ORDER_ACCEPTED if action is OrderAction.SUBMIT else RowKind.ORDER_CHANGED
    if trade is None:
        world.note(
            kind,
            account.uid,
            order.symbol,
            action=action.value,
            order_id=order.order_id,
            client_id=order.client_id,
            plan_id=order.plan_id,
            side=order.side.value,
            reduce=order.reduce,
            order_kind=order.kind.value,
            price=order.price,
            size=order.size,
            filled=order.filled,
            cause=order.cancel_cause.value if order.cancel_cause else None,
        )
    world.outbox.append(
        OrderChanged(
            sequence=world.number(), at_ms=world.now_ms, uid=account.uid, action=action, order=order, trade=trade
        )
    )
    world.touch(account, world.coin_of(order.symbol))


def tell_position(world: World, account: Account, position: Position) -> None:
    position.updated_ms = world.now_ms
    seen = margin.view(world, account, position)
    world.outbox.append(PositionChanged(sequence=world.number(), at_ms=world.now_ms, uid=account.uid, position=seen))
    world.touch(account, position.coin)


def tell_plan(world: World, account: Account, action: PlanAction, plan: Plan) -> None:
    world.note(
        RowKind.PLAN,
        account.uid,
        plan.symbol,
        action=action.value,
        plan_id=plan.plan_id,
        pair_id=plan.pair_id,
        client_id=plan.client_id,
        plan_kind=plan.kind.value,
        side=plan.side.value,
        position_side=plan.position_side.value,
        reduce=plan.reduce,
        trigger_price=plan.trigger_price,
        mark=world.markets[plan.symbol].prices().mark,
        source=plan.source.value,
        size=plan.size,
        protects=plan.protects,
        live=plan.order_id == "" and action not in (PlanAction.FAILED, PlanAction.CANCELLED, PlanAction.TRIGGERED),
        order_id=plan.order_id,
        failure=plan.failure.value if plan.failure else None,
    )
    world.outbox.append(
        PlanChanged(sequence=world.number(), at_ms=world.now_ms, uid=account.uid, action=action, plan=plan)
    )


def tell_mark(world: World, market: Market, quote: Quote) -> None:
    world.outbox.append(
        MarkChanged(sequence=world.number(), at_ms=world.now_ms, symbol=market.contract.symbol, quote=quote)
    )


def tell_contract(world: World, market: Market) -> None:
    world.note(RowKind.CONTRACT, "", market.contract.symbol, status=market.status.value, tick=market.contract.tick)
    world.outbox.append(
        ContractChanged(sequence=world.number(), at_ms=world.now_ms, contract=market.contract, status=market.status)
    )


def tell_liquidated(
    world: World,
    account: Account,
    mode: MarginMode,
    symbols: tuple[str, ...],
    loss: Decimal,
    coin: str,
    *,
    partial: bool,
) -> None:
    world.note(
        RowKind.LIQUIDATED,
        account.uid,
        symbols[0] if len(symbols) == 1 else "",
        margin_mode=mode.value,
        symbols=",".join(symbols),
        coin=coin,
        loss=loss,
        partial=partial,
        equity=margin.equity(world, account),
    )
    world.outbox.append(
        Liquidated(
            sequence=world.number(),
            at_ms=world.now_ms,
            uid=account.uid,
            margin_mode=mode,
            symbols=symbols,
            partial=partial,
            coin=coin,
            loss=loss,
        )
    )


def tell_balances(world: World) -> None:
    """One balance for each coin of an account that anything happened to; the last thing told of every operation."""
    for uid, coin in list(world.dirty):
        account = world.accounts[uid]
        pool = margin.pool(world, account) if cross.pooled(account) else None
        balance = margin.balance(world, account, coin, pool)
        world.ledger.sample_equity(uid, world.now_ms, margin.equity(world, account), edge=True)
        world.outbox.append(
            BalanceChanged(sequence=world.number(), at_ms=world.now_ms, uid=uid, balance=balance, pool=pool)
        )
    world.dirty.clear()

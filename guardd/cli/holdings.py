"""An account's positions and orders as tables and JSON, with both liquidation prices: the venue's and our own."""

from collections.abc import Iterator, Sequence

from guardd.cli.show import NOTHING, Json, decimal_of, figure, json_reading, money, print_line, print_table, share
from guardd.model.instant import Instant
from guardd.model.intent import is_ours
from guardd.model.order import PlanOrder, RestingOrder
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Held
from guardd.risk.assess import PositionRisk, assess_accounts, assess_position, worst_ratio
from guardd.risk.backing import last_mark

POSITION_COLUMNS = (
    "symbol",
    "side",
    "margin",
    "leverage",
    "contracts",
    "entry",
    "mark",
    "liquidation (venue)",
    "liquidation (own)",
    "distance",
    "unrealized PnL",
)
ORDER_COLUMNS = ("symbol", "side", "what", "price", "contracts", "id", "by guardd")


def risk_of(state: AccountState, held: Held, now: Instant) -> PositionRisk | None:
    """None where the contract's details or its mark aren't known, or it isn't guarded."""
    mark, instrument = last_mark(state, held), state.instruments.get(held.key.symbol)
    if instrument is None or instrument.unguarded or not is_value(mark):
        return None
    return assess_position(state, held, mark=mark, now=now)


def print_holdings(state: AccountState, now: Instant) -> None:
    """Balance, positions and orders of one account."""
    print_line(f"{state.name}: {balance_line(state, now)}")
    if state.held:
        rows = [_position_row(state, held, now) for _, held in sorted(state.held.items())]
        print_table(f"positions of {state.name}", POSITION_COLUMNS, rows)
    else:
        print_line(f"{state.name}: no open position")
    orders = [*_order_rows(state)]
    if orders:
        print_table(f"orders of {state.name}", ORDER_COLUMNS, orders)


def balance_line(state: AccountState, now: Instant) -> str:
    """Every balance, and the position mode."""
    if not state.balances:
        return "balance not read"
    mode = state.position_mode.value.replace("_", "-") if state.position_mode is not None else "unknown"
    ratios = {currency: risk.account_margin_ratio for currency, risk in assess_accounts(state, now=now).items()}
    parts = [
        f"equity {money(balance.equity)} {balance.currency}, available {money(balance.available)}, "
        f"cross margin ratio {share(ratios[balance.currency])}"
        for balance in state.balances.values()
    ]
    return "; ".join([*parts, f"position mode {mode}"])


def holdings_json(state: AccountState, now: Instant) -> dict[str, Json]:
    """What `print_holdings` shows, for programs."""
    balance = next(iter(state.balances.values()), None)
    risks = assess_accounts(state, now=now)
    return {
        "position_mode": state.position_mode.value if state.position_mode is not None else None,
        "currency": balance.currency if balance is not None else None,
        "equity": json_reading(balance.equity) if balance is not None else None,
        "available": json_reading(balance.available) if balance is not None else None,
        "margin_ratio": json_reading(worst_ratio(state, risks)),
        "balances": [
            {
                "currency": each.currency,
                "equity": json_reading(each.equity),
                "available": json_reading(each.available),
                "margin_ratio": json_reading(risks[each.currency].account_margin_ratio),
            }
            for each in state.balances.values()
        ],
        "positions": [_position_json(state, held, now) for _, held in sorted(state.held.items())],
        "orders": [_order_json(order) for order in _orders(state)],
    }


def _position_row(state: AccountState, held: Held, now: Instant) -> Sequence[str]:
    position, risk = held.position, risk_of(state, held, now)
    return (
        held.key.symbol,
        held.key.side,
        position.margin_mode,
        f"{figure(position.leverage)}x",
        decimal_of(position.quantity),
        decimal_of(position.entry_price),
        decimal_of(risk.mark) if risk is not None else figure(position.mark_price),
        figure(position.liquidation_price),
        figure(risk.own_liquidation) if risk is not None else "unknown",
        share(risk.distance_to_liquidation) if risk is not None else "unknown",
        money(risk.unrealized_pnl if risk is not None else position.unrealized_pnl),
    )


def _position_json(state: AccountState, held: Held, now: Instant) -> Json:
    position, risk = held.position, risk_of(state, held, now)
    return {
        "symbol": held.key.symbol,
        "side": held.key.side.value,
        "margin_mode": position.margin_mode.value,
        "leverage": json_reading(position.leverage),
        "quantity": json_reading(position.quantity),
        "entry_price": json_reading(position.entry_price),
        "mark_price": json_reading(risk.mark if risk is not None else position.mark_price),
        "venue_liquidation_price": json_reading(position.liquidation_price),
        "own_liquidation_price": json_reading(risk.own_liquidation) if risk is not None else None,
        "liquidation_price": json_reading(risk.liquidation) if risk is not None else None,
        "distance_to_liquidation": json_reading(risk.distance_to_liquidation) if risk is not None else None,
        "unrealized_pnl": json_reading(risk.unrealized_pnl if risk is not None else position.unrealized_pnl),
    }


def _orders(state: AccountState) -> Iterator[RestingOrder | PlanOrder]:
    yield from sorted(state.resting.values(), key=lambda order: (order.key, order.order_id))
    yield from sorted(state.plans.values(), key=lambda order: (order.key, order.order_id))


def _order_rows(state: AccountState) -> Iterator[Sequence[str]]:
    for order in _orders(state):
        yield (
            order.key.symbol,
            order.key.side,
            _what(order),
            _price(order),
            decimal_of(order.size) if order.size is not None else "whole position",
            order.order_id,
            "yes" if is_ours(order.client_id) else NOTHING,
        )


def _what(order: RestingOrder | PlanOrder) -> str:
    match order:
        case RestingOrder():
            return f"{'closing' if order.closes else 'opening'} {order.kind}"
        case PlanOrder():
            return f"{order.protection.replace('_', ' ') if order.protection is not None else 'entry'} ({order.form})"


def _price(order: RestingOrder | PlanOrder) -> str:
    match order:
        case RestingOrder():
            return decimal_of(order.price) if order.price is not None else "market"
        case PlanOrder():
            return f"at {order.price_type} {decimal_of(order.trigger_price)}"


def _order_json(order: RestingOrder | PlanOrder) -> Json:
    shared: dict[str, Json] = {
        "symbol": order.key.symbol,
        "side": order.key.side.value,
        "order_id": order.order_id,
        "client_id": order.client_id,
        "closes": order.closes,
        "size": json_reading(order.size) if order.size is not None else None,
    }
    match order:
        case RestingOrder():
            price = json_reading(order.price) if order.price is not None else None
            return {**shared, "kind": order.kind.value, "price": price}
        case PlanOrder():
            protection = order.protection.value if order.protection is not None else None
            return {
                **shared,
                "kind": "plan",
                "form": order.form.value,
                "protection": protection,
                "trigger_price": json_reading(order.trigger_price),
                "price_type": order.price_type.value,
            }

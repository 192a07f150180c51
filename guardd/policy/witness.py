"""Is the mark that makes a step wanted to be believed? Asked of every instrument whose mark could have done it (I28)."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Final

from guardd.model.instant import Instant
from guardd.model.names import Symbol
from guardd.model.reading import is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use, evaluate
from guardd.policy.confirm import Confirmation, Verdict
from guardd.policy.language import Metric, compares
from guardd.policy.wishes import Wish
from guardd.risk.assess import assess_on
from guardd.risk.backing import last_mark
from guardd.risk.ground import ground

FELT_ACROSS: Final = frozenset(
    {
        Metric.DISTANCE_TO_LIQUIDATION,
        Metric.BUFFER_LEFT,
        Metric.MARGIN_RATIO,
        Metric.ACCOUNT_MARGIN_RATIO,
        Metric.EFFECTIVE_LEVERAGE,
    }
)
"""Metrics of a cross position that the marks of other cross instruments move too."""


def doubts(
    wish: Wish, state: AccountState, confirmation: Confirmation, now: Instant
) -> tuple[tuple[Symbol, Verdict], ...]:
    """The instruments whose present mark nobody else has confirmed yet, with what to do about each; empty: go ahead."""
    symbols = tuple(_symbols(wish, state))
    if len(symbols) > 1 and _all_confirmed(wish, symbols, state, confirmation, now):
        return ()
    found: list[tuple[Symbol, Verdict]] = []
    for symbol in symbols:
        present = state.marks.get(symbol)
        if present is None:
            found.append((symbol, Verdict.ASK_REST))
            continue
        past = partial(_past, wish, symbol, state, now)
        verdict = confirmation.verdict(present, past, now, state.rest_marks.get(symbol))
        if verdict is not Verdict.CONFIRMED:
            found.append((symbol, verdict))
    return tuple(found)


def _all_confirmed(
    wish: Wish, symbols: tuple[Symbol, ...], state: AccountState, confirmation: Confirmation, now: Instant
) -> bool:
    """Would the step be wanted with every mark replaced by its gravest witness at once? Then it is with each alone.

    One reckoning instead of one an instrument: this stands on the reaction path.
    """
    marks = dict(state.marks)
    for symbol in symbols:
        present = state.marks.get(symbol)
        prices = () if present is None else confirmation.witnesses(present, state.rest_marks.get(symbol))
        if present is None or not prices:
            return False
        grave = min(prices) if _net(symbol, state) >= 0 else max(prices)
        milder = max(grave, present.mark) if _net(symbol, state) >= 0 else min(grave, present.mark)
        marks[symbol] = present.with_mark(milder)
    elsewhere = replace(state, marks=marks)
    on = ground(elsewhere, wish.view.held, now=now)
    risk = assess_on(on, mark=marks[wish.key.symbol].mark)
    return evaluate(wish.rule.when, risk, Use.CLOSE) is Truth.TRUE


def _net(symbol: Symbol, state: AccountState) -> Decimal:
    """Net contracts held of an instrument: above zero a fall hurts."""
    return sum((held.key.side.sign * held.position.quantity for held in state.holds(symbol)), Decimal(0))


def _symbols(wish: Wish, state: AccountState) -> Iterator[Symbol]:
    """Its own instrument; and those of the other cross positions, where the condition feels them."""
    yield wish.key.symbol
    when = wish.rule.when
    if not wish.view.cross or wish.stop_trigger is not None or when is None:
        return
    if any(leaf.metric in FELT_ACROSS for leaf in compares(when)):
        others = {
            key.symbol
            for key, held in state.held.items()
            if held.position.margin_mode is wish.view.risk.margin_mode
            and not state.why_unguarded(key.symbol)
            and state.balance_behind(key.symbol) is state.balance_behind(wish.key.symbol)
        }
        yield from sorted(others - {wish.key.symbol})


def _past(wish: Wish, symbol: Symbol, state: AccountState, now: Instant, price: Decimal) -> bool:
    """Would the step be wanted with this instrument's mark at `price`?"""
    view = wish.view
    if price <= 0:
        return False
    if wish.stop_trigger is not None:
        return view.held.key.side.sign * (price - wish.stop_trigger) <= 0
    if symbol == wish.key.symbol:
        return evaluate(wish.rule.when, assess_on(view.on, mark=price), Use.CLOSE) is Truth.TRUE
    seen = state.marks.get(symbol)
    if seen is None:
        return False
    elsewhere = replace(state, marks={**state.marks, symbol: seen.with_mark(price)})
    mark = last_mark(state, view.held)
    if not is_value(mark):
        return False
    on = ground(elsewhere, view.held, now=now)
    return evaluate(wish.rule.when, assess_on(on, mark=mark), Use.CLOSE) is Truth.TRUE

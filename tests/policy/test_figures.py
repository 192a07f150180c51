"""The figures that rules go by, against their formulas written out in fractions.

Linear and inverse, tiers summed bracket by bracket, fees, isolated and cross with hedge legs. The trigger solver's law says that
prices fit the evaluator; this says that the evaluator is right.
"""

from collections.abc import Iterator
from fractions import Fraction
from random import Random

from guardd.model.account import Balance
from guardd.model.instrument import Instrument
from guardd.model.names import MarginMode, Symbol
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Held
from guardd.policy.language import Limits, Policy
from guardd.policy.view import View, views
from guardd.risk.assess import RATIO_MAX
from tests.model.accounts import START
from tests.policy.random_accounts import random_account

CLOSE = Fraction(1, 10**15)
BARE = Policy(version=1, limits=Limits(), rules=())


def value(instrument: Instrument, quantity: Fraction, price: Fraction) -> Fraction:
    worth = quantity * Fraction(instrument.contract_size)
    return worth / price if instrument.inverse else worth * price


def gained(held: Held, instrument: Instrument, price: Fraction) -> Fraction:
    """In the settlement coin: s·V·(P − E), of an inverse contract s·V·(1/E − 1/P)."""
    quantity, entry = Fraction(held.position.quantity), Fraction(held.position.entry_price)
    difference = value(instrument, quantity, price) - value(instrument, quantity, entry)
    return held.key.side.sign * (-difference if instrument.inverse else difference)


def maintenance(instrument: Instrument, notional: Fraction) -> Fraction:
    """Each part of the notional at the rate of its own bracket."""
    total = Fraction(0)
    for index, tier in enumerate(instrument.tiers):
        last = index == len(instrument.tiers) - 1
        top = notional if last or notional < tier.cap else Fraction(tier.cap)
        total += max(top - Fraction(tier.floor), Fraction(0)) * Fraction(tier.rate)
    return total


def asked(held: Held, instrument: Instrument, price: Fraction) -> Fraction:
    """Maintenance at the worse of mark and entry, and the fee of closing at the mark."""
    quantity, entry = Fraction(held.position.quantity), Fraction(held.position.entry_price)
    now, then = value(instrument, quantity, price), value(instrument, quantity, entry)
    return maintenance(instrument, max(now, then)) + max(Fraction(instrument.taker_fee), Fraction(0)) * now


def members(state: AccountState, balance: Balance) -> Iterator[tuple[Held, Instrument]]:
    for held in state.held.values():
        if state.balance_behind(held.key.symbol) is balance:
            yield held, state.instruments[held.key.symbol]


def behind(state: AccountState, view: View, at: dict[Symbol, Fraction]) -> tuple[Fraction, Fraction]:
    """What stands behind the position at these marks, and what is asked of it."""
    held, instrument = view.held, view.instrument
    if held.position.margin_mode is MarginMode.ISOLATED:
        assert is_value(held.position.margin)
        price = at[held.key.symbol]
        return Fraction(held.position.margin) + gained(held, instrument, price), asked(held, instrument, price)
    balance = state.balance_behind(held.key.symbol)
    assert balance is not None
    assert is_value(balance.equity)
    rest = Fraction(balance.equity)
    burden = Fraction(0)
    for each, contract in members(state, balance):
        assert is_value(each.position.unrealized_pnl)
        rest -= Fraction(each.position.unrealized_pnl)
        if each.position.margin_mode is MarginMode.ISOLATED:
            assert is_value(each.position.margin)
            rest -= Fraction(each.position.margin)
        else:
            rest += gained(each, contract, at[each.key.symbol])
            burden += asked(each, contract, at[each.key.symbol])
    return rest, burden


def near(found: object, expected: Fraction, *, scale: Fraction) -> bool:
    return isinstance(found, type(RATIO_MAX)) and abs(Fraction(found) - expected) <= CLOSE * scale


def test_every_figure_is_what_its_formula_gives() -> None:
    rng, looked_at = Random(11), 0
    for _ in range(120):
        state = random_account(rng)
        told = any(balance.pooled or is_value(balance.margin_ratio) for balance in state.balances.values())
        marks = {symbol: Fraction(seen.mark) for symbol, seen in state.marks.items()}
        for view in views(BARE, state, START):
            risk, held, instrument = view.risk, view.held, view.instrument
            price, quantity = marks[held.key.symbol], Fraction(held.position.quantity)
            notional = value(instrument, quantity, price)
            assert near(risk.notional, notional, scale=notional) or view.on.leg is None
            if view.on.leg is None or (told and view.cross):
                continue
            looked_at += 1
            assert near(risk.unrealized_pnl, gained(held, instrument, price), scale=notional)
            rest, burden = behind(state, view, marks)
            ratio = min(burden / rest, Fraction(RATIO_MAX)) if rest > 0 else Fraction(RATIO_MAX)
            assert near(risk.margin_ratio, ratio, scale=max(ratio, Fraction(1)) * 100)
            check_liquidation(state, view, marks, notional)
    assert looked_at > 100


def check_liquidation(state: AccountState, view: View, marks: dict[Symbol, Fraction], notional: Fraction) -> None:
    """At our own liquidation price what stands behind is down to what is asked; a little towards the mark it is more."""
    found = view.on.near_liquidation
    if not is_value(found):
        return
    price, symbol = Fraction(found), view.held.key.symbol
    rest, burden = behind(state, view, {**marks, symbol: price})
    assert abs(rest - burden) <= notional * Fraction(1, 10**9)
    towards = price * (1 + view.risk.exposure.sign * Fraction(1, 10**6))
    rest, burden = behind(state, view, {**marks, symbol: towards})
    assert rest > burden

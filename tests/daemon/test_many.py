"""What is remembered from read to read says what a walk over everything would: laws over random reads of an account."""

from decimal import Decimal
from random import Random

import pytest

from guardd.daemon.agenda import Agenda
from guardd.model.event import Event, MarkSeen, OrdersRead, PositionsPushed, PositionsRead
from guardd.model.fold import fold
from guardd.model.names import MarginMode, PositionMode, Side, Symbol
from guardd.model.position import Position, PositionUpdate
from guardd.model.state import AccountState
from guardd.policy.watch import watch
from guardd.risk.agreement import Agreement
from guardd.risk.crosscheck import cross_check
from tests.changed import replace
from tests.model.accounts import BTC, ETH, START, D, account, later, row, stop
from tests.policy.guarded import policy_of, rule

SYMBOLS = (BTC, ETH, Symbol("XRPUSDT"), Symbol("SOLUSDT"))
POLICY = policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}"))


def rows_of(rng: Random) -> dict[tuple[Symbol, Side], Position]:
    return {
        (symbol, side): row(side, symbol=symbol, mode=rng.choice(tuple(MarginMode)), venue_liquidation=D(81000))
        for symbol in SYMBOLS
        for side in Side
        if rng.random() < 0.6
    }


def turned(rng: Random, rows: dict[tuple[Symbol, Side], Position], at_s: float) -> Event:
    """Another read or push: most rows are the very ones of the read before."""
    now = later(at_s)
    what = rng.random()
    if what < 0.2:
        return MarkSeen(rng.choice(SYMBOLS), D(89000 + rng.randint(-900, 900)), now)
    if what < 0.35:
        plans = tuple(
            replace(stop(str(86000 + n)), key=each.key) for n, each in enumerate(rows.values()) if rng.random() < 0.5
        )
        return OrdersRead(started=now, at=now, resting=(), plans=plans)
    if what < 0.45 and rows:
        each = rng.choice(list(rows.values()))
        update = PositionUpdate(
            key=each.key,
            quantity=rng.choice((each.quantity, each.quantity - 1, Decimal(0))),
            entry_price=each.entry_price,
            margin_mode=each.margin_mode,
            liquidation_price=each.liquidation_price,
            frozen_quantity=D(0),
            closed_quantity=each.closed_quantity,
            opened_ms=each.opened_ms,
            venue_ms=each.venue_ms,
        )
        return PositionsPushed(at=now, updates=(update,))
    for place in list(rows):
        change = rng.random()
        if change < 0.05:
            del rows[place]
        elif change < 0.15:
            rows[place] = replace(rows[place], quantity=rows[place].quantity + 1)
        elif change < 0.25:
            rows[place] = replace(rows[place], margin=D(rng.randint(900, 1100)), liquidation_price=D(81001))
        elif change < 0.35:
            rows[place] = replace(rows[place], mark_price=D(89000 + rng.randint(-5000, 5000)))
    if rng.random() < 0.2:
        rows |= {place: each for place, each in rows_of(rng).items() if place not in rows}
    return PositionsRead(started=now, at=now, positions=tuple(rows.values()))


def emptied(agenda: Agenda, now_s: float) -> set[tuple[frozenset[Symbol], bool]]:
    found = set()
    while (piece := agenda.next(later(now_s))) is not None:
        found.add(piece)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_what_a_read_is_said_to_change_is_all_that_a_walk_finds_changed(seed: int) -> None:
    rng = Random(seed)
    rows = rows_of(rng)
    state = account(*rows.values())
    thrifty, walking = Agenda(state), Agenda(state)
    thrifty.compare()
    walking.compare()
    assert emptied(thrifty, 0) == emptied(walking, 0)
    for turn in range(1, 30):
        folded = fold(state, turned(rng, rows, turn))
        if folded.everything:
            assert thrifty.compare(folded.differs) == walking.compare()
        else:
            thrifty.changed(folded.symbols)
            walking.changed(folded.symbols)
        assert emptied(thrifty, turn) == emptied(walking, turn), turn


@pytest.mark.parametrize("seed", range(40))
def test_I29_what_agreed_before_is_checked_as_if_it_never_had(seed: int) -> None:
    rng = Random(seed)
    rows = rows_of(rng)
    state = account(*rows.values())
    state.position_mode, state.position_mode_at = rng.choice(tuple(PositionMode)), START
    agreement = Agreement(state)
    for turn in range(1, 40):
        fold(state, turned(rng, rows, turn))
        assert agreement.check(later(turn)) == cross_check(state, now=later(turn))


@pytest.mark.parametrize("seed", range(25))
def test_a_watch_made_anew_in_parts_is_the_one_made_anew_as_a_whole(seed: int) -> None:
    """Isolated: a cross watch keeps what is solved while its slack lasts."""
    rng = Random(seed)
    rows = {place: replace(each, margin_mode=MarginMode.ISOLATED) for place, each in rows_of(rng).items()}
    state = account(*rows.values())
    watched = watch(POLICY, state, now=START)
    for turn in range(1, 12):
        event = turned(rng, rows, turn)
        for place, each in rows.items():
            rows[place] = replace(each, margin_mode=MarginMode.ISOLATED)
        if isinstance(event, PositionsRead):
            event = replace(event, positions=tuple(rows.values()))
        fold(state, event)
        for symbol in SYMBOLS:
            watched = watch(POLICY, state, now=later(turn), previous=watched, symbols=frozenset({symbol}))
        whole = watch(POLICY, state, now=later(turn), previous=replace(watched))
        assert watched == whole, turn


@pytest.mark.parametrize("seed", range(20))
def test_orders_and_positions_are_found_as_a_walk_finds_them(seed: int) -> None:
    rng = Random(seed)
    rows = rows_of(rng)
    state: AccountState = account(*rows.values())
    for turn in range(1, 30):
        fold(state, turned(rng, rows, turn))
        for symbol in SYMBOLS:
            walked = sorted(
                (held for key, held in state.held.items() if key.symbol == symbol), key=lambda held: held.key
            )
            assert state.holds(symbol) == tuple(walked)
        assert [held.key for held in state.in_order()] == sorted(state.held)
        for key in state.held:
            plans = [plan for plan in state.plans.values() if plan.key == key]
            assert state.plans_on(key) == tuple(sorted(plans, key=lambda plan: (plan.created_ms, plan.order_id)))

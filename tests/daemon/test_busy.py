"""While much happens at once: what is done over and over is done once, and long work is cut so that prices are heard between."""

import asyncio
from collections.abc import Callable

import pytest

from guardd.daemon import guard as guarding
from guardd.daemon import judgement
from guardd.daemon.lookout import AT_ONCE, Lookout
from guardd.daemon.shown import Seen, Shown
from guardd.model.event import MarkSeen
from guardd.model.names import ClientId, Symbol
from guardd.policy.view import views
from guardd.policy.watch import watch
from guardd.venues.base import Heard
from tests.daemon.test_guard import CLOSE, GuardBench
from tests.execution.bench import BTC, D
from tests.model.accounts import START, account, later, row, stop
from tests.policy.guarded import policy_of, rule

REDUCE = rule("{distance_to_liquidation: {below: 10%}}", "reduce: {by: 10%}", name="trim")
POLICY = policy_of(CLOSE)
SYMBOLS = [Symbol(f"S{number:02}USDT") for number in range(3 * AT_ONCE - 1)]


async def poised(*rules: str) -> tuple[GuardBench, Callable[[str], Heard]]:
    """A guard at 100, its position just read, and what gives it a frame as its stream does."""
    bench = GuardBench(*rules)
    await bench.begin()
    await bench.read()
    await bench.settle(0.2)

    def tick(mark: str) -> Heard:
        return bench.guard.hear(MarkSeen(BTC, D(mark), bench.clock.now(), index=D(mark), last=D(mark)))

    return bench, tick


async def test_a_fall_is_reacted_to_where_something_changes_and_not_at_each_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reacted: list[object] = []
    react = judgement.react

    def counted(*args: object, **named: object) -> object:
        reacted.append(named["now"])
        return react(*args, **named)  # type: ignore[arg-type]

    bench, tick = await poised(REDUCE, CLOSE)
    monkeypatch.setattr(judgement, "react", counted)
    for mark in ("88.8", "88.7", "88.6", "88.7", "88.5", "88.4", "88.3", "88.2", "88.1", "88"):
        tick(mark)
    assert len(reacted) == 2, "the frame that crossed, and one that found its comparisons not yet aimed anew"
    before = len(reacted)
    tick("84.1")
    assert len(reacted) == before + 1, "the next rule's price"
    await bench.settle(1)
    assert bench.closes(), "and what they decided was done"
    await bench.end()


async def test_a_stream_gives_way_for_an_order_that_its_frame_began_and_not_at_each_frame_meanwhile() -> None:
    bench, tick = await poised(REDUCE)
    assert tick("95") is Heard.TAKEN
    assert tick("88.8") is Heard.GIVE_WAY
    meanwhile = [tick("88.8") for _ in range(2 * guarding.FRAMES_IN_A_ROW)]
    assert meanwhile.count(Heard.GIVE_WAY) == 2
    await bench.settle(0.5)
    assert bench.closes() == [D(10)]
    assert {tick("88.8") for _ in range(2 * guarding.FRAMES_IN_A_ROW)} == {Heard.TAKEN}
    await bench.end()


async def test_two_accounts_never_look_in_one_turn_of_the_loop() -> None:
    """Between two looks every stream gets its turn."""
    one, _ = await poised(CLOSE)
    other, _ = await poised(CLOSE)
    other.guard._haste = one.guard._haste
    looked: list[object] = []
    turn = 0
    for bench in (one, other):
        review = bench.guard._judgement.review

        def noted(now: object, review: Callable[[object], None] = review) -> None:  # type: ignore[assignment]
            looked.append(turn)
            review(now)

        bench.guard._judgement.review = noted  # type: ignore[method-assign,assignment]
        bench.guard.inbox.nudge()
    for turn in range(20):  # noqa: B007
        await asyncio.sleep(0)
    assert len(looked) == len(set(looked)) == 2
    await one.end()
    await other.end()


def desk() -> tuple[Lookout, Lookout]:
    """One account of many positions, seen by two: one looks at once, one in pieces."""
    state = account(*(row(symbol=symbol) for symbol in SYMBOLS))
    for symbol in SYMBOLS:
        state.marks[symbol] = MarkSeen(symbol, D(90_000), START)
    found = Lookout(state), Lookout(state)
    for lookout in found:
        lookout.assessed([view.risk for view in views(POLICY, state, START)])
    for symbol in SYMBOLS:
        state.marks[symbol] = MarkSeen(symbol, D(89_000), later(1))
    return found


def test_I21_what_is_reckoned_in_pieces_is_shown_as_what_is_reckoned_at_once() -> None:
    at_once, in_pieces = desk()
    solved = watch(POLICY, at_once._state, now=START).solved
    pieces = 1
    while in_pieces.freshen(later(1)):
        pieces += 1
    assert pieces == 3
    for seconds in (1.0, 2.5):
        whole, cut = (each.look(POLICY, _Quiet(), later(seconds), solved=solved) for each in (at_once, in_pieces))  # type: ignore[arg-type]
        assert cut == whole
    assert {each.risk.mark for each in cut.seen.values()} == {D(89_000)}


class _Quiet:
    def unprotected(self, asked: object) -> str:
        return ""


def test_an_order_elsewhere_makes_nothing_shown_anew_and_one_of_its_own_does() -> None:
    state = account(row())
    plan = stop("80000")
    state.plans = {plan.order_id: plan}
    [held] = state.held.values()
    [view] = views(POLICY, state, START)
    shown = Shown(state)

    def known() -> Seen | None:
        shown.begin(fresh=True, now=later(1))
        return shown.standing(held, view.risk, None, ())

    shown.begin(fresh=True, now=later(1))
    covered = shown.cover(held, view.risk, None, later(1))
    kept = shown.keep(held, None, Seen(risk=view.risk, cover=covered, next_rule=None, next_rule_at=D(1)), 0.0)
    state.known_client_ids.add(ClientId("elsewhere"))
    assert known() is kept
    state.own_order_ids.add(plan.order_id)
    assert known() is None

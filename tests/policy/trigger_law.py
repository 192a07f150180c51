"""The law of the trigger solver, over random accounts: a rule fires on one side of its price and not one tick to the other, and
nowhere between the present mark and that price.

    python -m tests.policy.trigger_law --positions 100000 --seed 1 --jobs 2

The plain evaluation moves the mark in the state itself and assesses from there, as the daemon would with a frame at that price:
it shares neither the search nor the sums that the solver makes once. A failure prints the command that repeats its case.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from guardd.model.event import MarkSeen
from guardd.model.reading import is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use, evaluate
from guardd.policy.crossings import Way, end_of_life
from guardd.policy.language import Limits, Policy, PolicyRule
from guardd.policy.triggers import FARTHEST_SHARE, FARTHEST_TIMES, When, triggers, uses_of
from guardd.policy.view import View, views
from guardd.risk.assess import PositionRisk, assess_position
from tests.changed import replace
from tests.model.accounts import START
from tests.policy.random_accounts import random_account, random_rules

SAMPLES = 8
"""Marks between the ends at which each position is looked at besides those next to its bends and its prices."""
EVERY_TICK_BELOW = 24
"""So many ticks between the ends are looked at one by one."""


@dataclass(slots=True)
class Tally:
    """What was looked at."""

    cases: int = 0
    positions: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    evaluations: int = 0
    cpu_s: float = 0.0

    def add(self, other: "Tally") -> None:
        self.cases += other.cases
        self.positions += other.positions
        self.kinds += other.kinds
        self.found += other.found
        self.evaluations += other.evaluations
        self.cpu_s += other.cpu_s


class Broken(AssertionError):
    """The law was broken; the text says where."""


def check_case(seed: int, case: int, tally: Tally) -> None:
    """One random account under random rules. Raises `Broken`."""
    rng = Random(f"{seed}/{case}")
    state = random_account(rng)
    bare = Policy(version=1, limits=Limits(), rules=())
    seen = views(bare, state, START)
    rules = random_rules(rng, [view.on for view in seen])
    tally.cases += 1
    for view in views(replace(bare, rules=rules), state, START):
        tally.positions += 1
        tally.kinds[_kind(view, state)] += 1
        _check_position(view, state, rng, tally, f"--seed {seed} --case {case}")


# One position


@dataclass(slots=True)
class _Plain:
    """The plain evaluation of one position at any mark."""

    view: View
    state: AccountState
    tally: Tally
    _risks: dict[Decimal, PositionRisk] = field(default_factory=dict)

    def truth(self, rule: PolicyRule, use: Use, mark: Decimal) -> Truth:
        return evaluate(rule.when, self.risk(mark), use)

    def risk(self, mark: Decimal) -> PositionRisk:
        found = self._risks.get(mark)
        if found is None:
            self.tally.evaluations += 1
            found = self._risks[mark] = self._assess(mark)
        return found

    def _assess(self, mark: Decimal) -> PositionRisk:
        symbol, marks = self.view.held.key.symbol, self.state.marks
        present = marks[symbol]
        marks[symbol] = MarkSeen(symbol, mark, START)
        try:
            return assess_position(self.state, self.view.held, mark=mark, now=START)
        finally:
            marks[symbol] = present


def _check_position(view: View, state: AccountState, rng: Random, tally: Tally, where: str) -> None:
    plain = _Plain(view, state, tally)
    mark, tick = view.risk.mark, view.instrument.tick
    found = triggers(view)
    looked_at = {way: _marks(view, way, rng) for way in Way}
    for rule in view.rules:
        for use in uses_of(rule):
            mine = [each for each in found if each.rule == rule.name and (each.use is use or each.actions == rule.then)]
            about = f"{where}: {view.held.key} rule {rule.name} ({use}) {rule.when}: {[(m.when, m.at) for m in mine]}"
            tally.found.update(f"{each.when}" for each in mine)
            _check_rule(rule, use, plain, {m.way: m.at for m in mine if m.when is When.AT}, looked_at, about)
            now = plain.truth(rule, use, mark) is Truth.TRUE
            _must(
                now is any(each.when is When.NOW for each in mine), f"{about}: true at the present mark {mark}: {now}"
            )
            _must(bool(mine), f"{about}: nothing was said")
    assert tick > 0


def _check_rule(
    rule: PolicyRule,
    use: Use,
    plain: _Plain,
    prices: dict[Way | None, Decimal | None],
    looked_at: dict[Way, list[Decimal]],
    about: str,
) -> None:
    mark, tick = plain.view.risk.mark, plain.view.instrument.tick
    if plain.truth(rule, use, mark) is Truth.TRUE:
        return
    for way in Way:
        price = prices.get(way)
        if price is not None:
            _must(price % tick == 0, f"{about}: {price} isn't on tick {tick}")
            _must(plain.truth(rule, use, price) is Truth.TRUE, f"{about}: not true at {price}")
            before = price - way.sign * tick
            if way.sign * (before - mark) > 0:
                _must(plain.truth(rule, use, before) is not Truth.TRUE, f"{about}: true at {before} already")
        for each in looked_at[way]:
            if price is None or way.sign * (price - each) > 0:
                _must(plain.truth(rule, use, each) is not Truth.TRUE, f"{about}: true at {each}, going {way}")


def _marks(view: View, way: Way, rng: Random) -> list[Decimal]:
    """Marks on tick this way, up to where the position ends or the solver looks: at random, and around every special price."""
    mark, tick = view.risk.mark, view.instrument.tick
    last = mark * (FARTHEST_SHARE if way is Way.DOWN else FARTHEST_TIMES)
    end = end_of_life(view.on, view.risk, way)
    ends = end is not None and way.sign * (last - end) > 0
    last = end if end is not None and ends else last
    low, high = sorted((int(mark / tick), int(last / tick)))
    if high - low <= EVERY_TICK_BELOW:
        indexes = set(range(low, high + 1))
    else:
        near = low + (high - low) // 8 if way is Way.UP else high - (high - low) // 8
        indexes = {rng.randint(low, high) for _ in range(SAMPLES // 2)}
        indexes |= {rng.randint(*sorted((near, low if way is Way.UP else high))) for _ in range(SAMPLES // 2)}
        special = [int(price / tick) for price in _special(view)]
        rng.shuffle(special)
        indexes |= {index + rng.randint(-1, 1) for index in special[:4]}
    ahead = [mark for index in sorted(indexes) if way.sign * ((mark := index * tick) - view.risk.mark) > 0]
    return [each for each in ahead if way.sign * (last - each) > 0 or (each == last and not ends)]


def _special(view: View) -> Iterator[Decimal]:
    """Entries, tier caps and liquidation prices."""
    for number in (view.held.position.liquidation_price, view.on.near_liquidation, view.on.closing_liquidation):
        if is_value(number):
            yield number
    for leg in (view.on.leg, *view.on.partners):
        if leg is not None:
            yield leg.entry
            worth = leg.quantity * leg.instrument.contract_size
            for tier in leg.instrument.tiers[:-1]:
                yield worth / tier.cap if leg.instrument.inverse else tier.cap / worth


def _kind(view: View, state: AccountState) -> str:
    """What sort of position this is, for the tally."""
    contract = "inverse" if view.instrument.inverse else "linear"
    hedged = len(state.holds(view.held.key.symbol)) > 1
    return f"{contract} {view.risk.margin_mode} {view.held.key.side}{' hedged' if hedged else ''}"


def _must(holds: bool, text: str) -> None:
    if not holds:
        raise Broken(text)


# The long run


def run(seed: int, positions: int, *, first: int = 0, stride: int = 1) -> Tally:
    """Cases from `first` on, every `stride`th, until so many positions were looked at."""
    tally, case = Tally(), first
    while tally.positions < positions:
        check_case(seed, case, tally)
        case += stride
    tally.cpu_s = time.process_time()
    return tally


def _job(given: tuple[int, int, int, int]) -> Tally | str:
    seed, positions, first, stride = given
    try:
        return run(seed, positions, first=first, stride=stride)
    except Broken as broken:
        return str(broken)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.policy.trigger_law", description=__doc__)
    parser.add_argument("--positions", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--case", type=int, help="only this case of the seed, as a failure names it")
    given = parser.parse_args(arguments)
    if given.case is not None:
        check_case(given.seed, given.case, Tally())
        return 0
    begun = time.perf_counter()
    share = -(-given.positions // given.jobs)
    work = [(given.seed, share, first, given.jobs) for first in range(given.jobs)]
    with multiprocessing.Pool(given.jobs) as pool:
        results = pool.map(_job, work, chunksize=1)
    total, broken = Tally(), [result for result in results if isinstance(result, str)]
    for result in results:
        if isinstance(result, Tally):
            total.add(result)
    print(*broken, sep="\n", end="\n" if broken else "")
    _report(total, time.perf_counter() - begun, given.seed, failed=len(broken))
    return 1 if broken else 0


def _report(total: Tally, took_s: float, seed: int, *, failed: int) -> None:
    for title, counts in (("positions", total.kinds), ("answers", total.found)):
        print(f"{title}: " + ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
    print(f"plain evaluations: {total.evaluations:,}")
    verdict = "without a difference" if not failed else f"{failed} jobs ended at a difference"
    where = f"{total.positions:,} positions in {total.cases:,} accounts, seed {seed}"
    print(f"{where}, {took_s:.0f} s ({total.cpu_s:.0f} s of CPU): {verdict}")


if __name__ == "__main__":
    sys.exit(main())

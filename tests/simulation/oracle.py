"""What a guard with perfect information would have known: was a close called for, could a liquidation have been avoided?

The exchange's own state is kept for as long as a guard may still act on it, and a rule is asked of that: of the states as they
were, and of each with the prices that were worst or best meanwhile, because a guard sees the prices of several contracts at
several moments. A rule that was true of none of them didn't call for the close.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from guardd.model.intent import Intent
from guardd.policy.language import AllOf, AnyOf, Compare, Condition, Metric, Not, Policy, PolicyRule, Sense, WhenBlind
from guardd.simulator import margin
from guardd.simulator.accounts import Account
from guardd.simulator.faults import FaultKind
from guardd.simulator.ledger import Ledger, LedgerRow, RowKind
from guardd.simulator.orders import PositionSide
from guardd.simulator.records import PositionView, Quote
from guardd.simulator.world import World
from tests.changed import replace
from tests.simulation.checks.ground import Ground, LegKey, told

SNAPSHOT_EVERY_S: Final = 0.95
WAY_S: Final = 5.0
"""From the frame that a decision saw to the journal's word: its way, a confirmation (I28), a read first, the disk."""
SLACK: Final = Decimal("0.005")
"""Venues round what they show; a figure this near to its threshold may be on either side for the guard."""
LEAST: Final = Decimal("0.0002")
FIRED_WITHIN_S: Final = 90.0
"""A stop that fired or failed and left a rest is finished within this, blocks and retries included."""
UP_FOR_S: Final = 20.0
STILL: Final = Decimal("0.78")
"""More than three quarters of the distance are left (interfaces.md 2.3), with what venues round."""
BLIND_FOR_S: Final = 1_000.0
"""The last values of a rule that acts when blind (interfaces.md 2.3): as old as an outage may last."""
HOLD_BACK: Final = frozenset({"too-many", "banned", "cloudflare-403", "cloudflare-1010", "cloudflare-503"})
RESTS_S: Final = 110.0
"""Beyond what the menu excuses: a bucket rests up to three minutes after the last of several 429s (interfaces.md 6)."""
UNPROTECTED_FOR_S: Final = 55.0
BAD_TICKS_WITHIN_S: Final = 4.0
STOP_PASSED: Final = re.compile(r"(?:stop|tranche) at ([0-9.]+)(?: was passed|: mark )")
"""Of a stop that the guard finishes by order, and of one that no form at the venue would take, which the guard keeps by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Of one liquidation."""

    at: float
    text: str
    avoidable: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The account as it was at one moment; the parts that change are copies."""

    at: float
    account: Account
    quotes: Mapping[str, Quote]

    def same_holdings(self, other: "State") -> bool:
        mine, its = self.account.positions, other.account.positions
        return mine.keys() == its.keys() and all(
            (each.size, each.cost, each.margin) == (its[key].size, its[key].cost, its[key].margin)
            for key, each in mine.items()
        )


@dataclass(slots=True)
class Oracle:
    """One account's. `look` at each price, `row` for each ledger row, `judge_close` for each close before it leaves."""

    ground: Ground
    policy: Policy | None = None
    closes_judged: int = 0
    liquidations: list[Verdict] = field(default_factory=list)
    _states: deque[State] = field(default_factory=deque)
    _earlier: deque[State] = field(default_factory=deque)
    """What was held before each change: what a guard goes on to see whose reads a block holds back (interfaces.md 2.3, Ages)."""
    _last_held: dict[LegKey, State] = field(default_factory=dict)
    """Of each leg: what a guard goes on to see that can read nothing."""
    _fired: dict[LegKey, float] = field(default_factory=dict)
    _cancelled: dict[LegKey, list[tuple[float, Decimal]]] = field(default_factory=dict)
    """When each stop was cancelled, and where: one that is gone when the mark is through it has fired, as far as a guard sees."""
    _bare_since: dict[LegKey, float] = field(default_factory=dict)
    _decisions: set[str] = field(default_factory=set)
    _bad: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=400))

    @property
    def window_s(self) -> float:
        """How old what a guard acts on may be."""
        return (self.policy.limits.stale_after_s if self.policy is not None else 15.0) + WAY_S

    def look(self, now: float) -> None:
        if self._states and now - self._states[-1].at < SNAPSHOT_EVERY_S:
            return
        held = dict(self.ground.held())
        bare = [key for key in held if not self.ground.covered(key)]
        self._bare_since = {key: self._bare_since.get(key, now) for key in bare}
        state = self._state(now) if held else None
        before = self._states[-1] if self._states else None
        kept = self._earlier[-1] if self._earlier else None
        if before is not None and before is not kept and (state is None or not before.same_holdings(state)):
            self._earlier.append(before)
        if state is not None:
            self._states.append(state)
            self._last_held.update(dict.fromkeys(held, self._states[-1]))
        while self._states and self._states[0].at < now - self.window_s:
            self._states.popleft()
        while self._earlier and self._earlier[0].at < now - BLIND_FOR_S:
            self._earlier.popleft()
        self._count_bad_ticks(now)

    def row(self, row: LedgerRow, now: float) -> None:
        if row.kind is RowKind.PLAN and row.details["action"] in {"triggered", "failed"}:
            self._fired[row.symbol, PositionSide(str(row.details["position_side"]))] = now
        if row.kind is RowKind.PLAN and row.details["action"] == "cancelled" and row.details["protects"]:
            key = (row.symbol, PositionSide(str(row.details["position_side"])))
            self._cancelled.setdefault(key, []).append((now, row.decimal("trigger_price")))

    # Closes

    def judge_close(self, intent: Intent, now: float, *, up_since: float) -> None:
        """I9, I28: is it called for by what was true? `up_since`: when the guard that means it had begun."""
        if self.policy is None:
            return
        self.closes_judged += 1
        decision = dict(intent.inputs).get("decision", "")
        if decision and decision in self._decisions:
            return  # a further slice or try of one that was judged
        key = (str(intent.key.symbol), PositionSide(intent.key.side.value))
        rule = next((each for each in self.policy.rules if each.name == intent.rule), None)
        stop = STOP_PASSED.search(intent.reason)
        if rule is None or rule.when is None or not rule.reduces or stop is not None:
            good = self._stop_calls(key, None if stop is None else Decimal(stop.group(1)), now)
        else:
            good = self._rule_calls(rule, key, now)
            self._first_sight(rule, key, now, up_since)
        if good:
            self._decisions.add(decision)
            return
        if self._bad_ticks_agree(now):
            return
        mark = dict(intent.inputs).get("mark")
        self.ground.breach(
            "oracle",
            now,
            f"{intent.action} of {key[0]} {key[1]} by {intent.rule} isn't called for: mark {mark}, {intent.reason}",
        )

    def _rule_calls(self, rule: PolicyRule, key: LegKey, now: float) -> bool:
        assert rule.when is not None
        blind = rule.when_blind is WhenBlind.ACT
        since = now - (BLIND_FOR_S if blind else self.window_s)
        if any(truth(rule.when, seen) is not False for seen in self._views(key, now, since)):
            return True
        unseen = list(self._earlier) if self._held_back(now) else []
        last = self._last_held.get(key)
        if blind and last is not None and last.at >= since:
            unseen.append(last)  # ended unseen: by the marks of now it still stands
        ends = (seen for state in unseen for seen in self._extreme_views(state, key, now - self.window_s))
        return any(truth(rule.when, seen) is not False for seen in ends)

    def kindest_end(self, key: LegKey, now: float, since: float) -> Decimal | None:
        """The liquidation price of a leg with what is held now, each contract at its best price since then for that."""
        present = self._state(now)
        seen = _seen(self.ground, present, key, self._extremes(present, since, worst=False))
        return next((each.view.liquidation_price for each in seen), None)

    def _held_back(self, now: float) -> bool:
        """A block stands, or what it made the guard wait for: the last confirmed quantity serves."""
        return self.unread_since(now) is not None

    def unread_since(self, now: float) -> float | None:
        """Since when; None: no block stands or rests."""
        blocks = [each for each in self.ground.spans if each.kind in HOLD_BACK]
        return min((each.from_s for each in blocks if each.from_s <= now <= each.until_s + RESTS_S), default=None)

    def _first_sight(self, rule: PolicyRule, key: LegKey, now: float, up_since: float) -> None:
        """A rule that is true when a position is first seen waits until it was false, or a quarter of the distance is gone (2.3).

        Judged while everything since the opening is kept, and where the guard was up and saw it open.
        """
        opened = self.ground.legs[key].opened_at if key in self.ground.legs else -1e9
        if rule.when is None or now - opened > self.window_s or opened - up_since < UP_FOR_S:
            return
        states = [state for state in self._states if state.at > opened]
        present = self._state(now)
        seen = [view for state in (*states, present) for view in _seen(self.ground, state, key, state.quotes)]
        ends = [self._extremes(present, opened, worst=worst) for worst in (False, True)]  # a rule may be of a profit
        between = [view for end in ends for view in _seen(self.ground, present, key, end)]
        if len(seen) < 2 or any(truth(rule.when, each) is not True for each in (*seen, *between)):
            return
        first, last = (_figure(Metric.DISTANCE_TO_LIQUIDATION, each) for each in (seen[0], seen[-1]))
        if first is not None and last is not None and last > first * STILL:
            what = f"{rule.name} acts on {key[0]} {key[1]} {now - opened:.1f} s after its opening, true ever since"
            self.ground.breach("oracle", now, what)

    def _stop_calls(self, key: LegKey, trigger: Decimal | None, now: float) -> bool:
        """A stop fired or failed, or there was none for long, or the mark went through its price."""
        if now - self._fired.get(key, -1e9) < FIRED_WITHIN_S:
            return True
        if now - self._bare_since.get(key, now) > UNPROTECTED_FOR_S:
            return True
        for at, price in self._cancelled.get(key, ()):
            marks = self.ground.marks_since(key[0], at) if now - at < FIRED_WITHIN_S else ()
            if any(key[1].sign * (mark - price) <= 0 for mark in marks):
                return True
        marks = self.ground.marks_since(key[0], now - self.window_s)
        return trigger is not None and any(key[1].sign * (mark - trigger) <= 0 for mark in marks)

    def _views(self, key: LegKey, now: float, since: float) -> Iterator["Seen"]:
        """The position as a guard may have seen it in the last seconds, the likeliest first."""
        states = [self._state(now), *reversed(self._states)]
        for state in states:
            yield from _seen(self.ground, state, key, state.quotes)
        last: State | None = None
        for state in states:
            if last is not None and last.same_holdings(state):
                continue
            last = state
            yield from self._extreme_views(state, key, since)

    def _extreme_views(self, state: State, key: LegKey, since: float) -> Iterator["Seen"]:
        for worst in (True, False):
            yield from _seen(self.ground, state, key, self._extremes(state, since, worst=worst))

    def _extremes(self, state: State, since: float, *, worst: bool) -> dict[str, Quote]:
        """Each contract at its worst, or best, price since then for what is held of it."""
        found = dict(state.quotes)
        net: dict[str, Decimal] = {}
        for (symbol, side), position in state.account.positions.items():
            net[symbol] = net.get(symbol, Decimal(0)) + side.sign * position.size
        for symbol, held in net.items():
            marks = self.ground.marks_since(symbol, since) or [found[symbol].mark]
            mark = min(marks) if (held >= 0) is worst else max(marks)
            found[symbol] = replace(found[symbol], mark=mark)
        return found

    def _state(self, now: float) -> State:
        world = self.ground.exchange._world
        account = world.accounts[self.ground.uid]
        copied = replace(
            account,
            positions={key: replace(each) for key, each in account.positions.items()},
            wallets=dict(account.wallets),
            settings=dict(account.settings),
            orders=dict(account.orders),
        )
        symbols = {key[0]: None for key in account.positions}
        quotes = {symbol: quote for symbol in symbols if (quote := world.markets[symbol].quote) is not None}
        return State(at=now, account=copied, quotes=quotes)

    def _count_bad_ticks(self, now: float) -> None:
        case = self.ground.case
        if case is None or case.server is None or not case.server.faults.armed(FaultKind.BAD_TICK):
            return
        hits = sum(hits for fault, hits in case.server.faults.listed() if fault.kind is FaultKind.BAD_TICK)
        if hits and (not self._bad or self._bad[-1][1] != hits):
            self._bad.append((now, hits))

    def _bad_ticks_agree(self, now: float) -> bool:
        """I28: two bad frames after another confirm each other."""
        self._count_bad_ticks(now)
        recent = [hits for at, hits in self._bad if now - at <= BAD_TICKS_WITHIN_S + SNAPSHOT_EVERY_S]
        earlier = [hits for at, hits in self._bad if now - at > BAD_TICKS_WITHIN_S + SNAPSHOT_EVERY_S]
        return bool(recent) and recent[-1] - (earlier[-1] if earlier else 0) >= 2

    # Liquidations

    def liquidated(self, row: LedgerRow, now: float, *, due_s: float, well: bool, gapped: bool) -> Verdict:
        """`due_s`: for how long, undisturbed, a rule had called for a close and nobody was kept from it."""
        symbols = str(row.details["symbols"]).split(",")
        legs = [(symbol, side) for symbol in symbols for side in PositionSide]
        stopped = [each for leg in legs for each in self.ground.stops(leg)]
        fired_s = now - max(self._fired.get(leg, -1e9) for leg in legs)
        if due_s >= WAY_S:
            avoidable, why = True, f"a close was due for {due_s:.1f} s"
        elif gapped:
            avoidable, why = False, "the price jumped over every stop"
        elif fired_s < WAY_S:
            avoidable, why = (
                False,
                f"its stop fired {fired_s:.1f} s before, and what others' orders held of it was left",
            )
        elif not well:
            avoidable, why = False, "a fault stood, or the guard was down or just up"
        else:
            avoidable, why = True, "nothing stood in the way" + (f"; {len(stopped)} stops rested" if stopped else "")
        verdict = Verdict(at=now, text=told(row), avoidable=avoidable, why=why)
        self.liquidations.append(verdict)
        return verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A position with what a rule may ask of it beside."""

    view: PositionView
    balance: Decimal
    """What stands behind it."""


def _seen(ground: Ground, state: State, key: LegKey, quotes: Mapping[str, Quote]) -> Iterator[Seen]:
    """The leg of a state at these prices, reckoned by the exchange's own sums; nothing where it isn't held."""
    position = state.account.positions.get(key)
    if position is None or not position.size:
        return
    real = ground.exchange._world
    markets = {
        symbol: replace(market, quote=quotes.get(symbol, market.quote)) for symbol, market in real.markets.items()
    }
    account = replace(state.account, positions={k: replace(each) for k, each in state.account.positions.items()})
    world = World(
        now_ms=real.now_ms,
        terms=real.terms,
        random=real.random,
        ledger=Ledger(),
        markets=markets,
        accounts={account.uid: account},
        coins=real.coins,
    )
    for each in account.positions.values():
        margin.refresh(world, each)
    mine = account.positions[key]
    view = margin.view(world, account, mine)
    yield Seen(view=view, balance=margin.risk(world, account, mine).behind)


def truth(condition: Condition, seen: Seen) -> bool | None:
    """Whether it is true of that; None: it may be either way, by what venues round or by what the exchange doesn't know."""
    match condition:
        case Compare():
            return _compare(condition, seen)
        case Not(part=part):
            answer = truth(part, seen)
            return None if answer is None else not answer
        case AllOf(parts=parts):
            answers = [truth(part, seen) for part in parts]
            return False if False in answers else None if None in answers else True
        case AnyOf(parts=parts):
            answers = [truth(part, seen) for part in parts]
            return True if True in answers else None if None in answers else False


UNJUDGED: Final = frozenset({Metric.ACCOUNT_DRAWDOWN, Metric.DATA_AGE, Metric.POSITION_AGE})
"""What hangs on the guard's own watch: its high since midnight, its data, its first sight."""


def _compare(leaf: Compare, seen: Seen) -> bool | None:
    if leaf.metric in UNJUDGED:
        return None
    if leaf.metric is Metric.ACCOUNT_MARGIN_RATIO and seen.view.margin_mode.value == "isolated":
        return False
    answers = {_past(leaf, figure) for figure in figures_of(leaf.metric, seen)}
    return answers.pop() if len(answers) == 1 else None


def _past(leaf: Compare, figure: Decimal | None) -> bool | None:
    if figure is None:
        return leaf.sense is Sense.ABOVE  # none: never below, always above; of a ratio: nothing is left behind it
    slack = max(abs(leaf.threshold) * SLACK, LEAST if abs(leaf.threshold) < 10 else Decimal(0))
    if abs(figure - leaf.threshold) <= slack:
        return None
    return figure < leaf.threshold if leaf.sense is Sense.BELOW else figure > leaf.threshold


def figures_of(metric: Metric, seen: Seen) -> tuple[Decimal | None, ...]:
    """The metric by the exchange's sums (interfaces.md 2.2). Of a ratio two: with the closing fee in it and without."""
    if metric in {Metric.MARGIN_RATIO, Metric.ACCOUNT_MARGIN_RATIO}:
        return (seen.view.risk_ratio, seen.view.margin_ratio)
    return (_figure(metric, seen),)


def _figure(metric: Metric, seen: Seen) -> Decimal | None:
    """None: there is none."""
    view = seen.view
    sign, mark, entry, bound = view.side.sign, view.mark_price, view.entry_price, view.liquidation_price
    match metric:
        case Metric.DISTANCE_TO_LIQUIDATION:
            return None if bound is None else sign * (mark - bound) / mark
        case Metric.BUFFER_LEFT:
            return None if bound is None or entry == bound else (mark - bound) / (entry - bound)
        case Metric.PROFIT_FROM_ENTRY:
            return sign * (mark - entry) / entry
        case Metric.RETURN_ON_MARGIN:
            return view.unrealized_pnl / view.initial_margin if view.initial_margin else None
        case Metric.UNREALIZED_PNL:
            return view.unrealized_pnl
        case Metric.NOTIONAL:
            return view.notional_mark
        case Metric.LEVERAGE:
            return view.leverage
        case Metric.EFFECTIVE_LEVERAGE:
            return view.notional_mark / seen.balance if seen.balance > 0 else None
        case _:
            return None

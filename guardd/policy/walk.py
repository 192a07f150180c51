"""What the policy would do on the way: a straight fall or rise of one mark, played on a copy of the account with the daemon's own
decision; and what a single rule would do at its own price.

A slow way: every `for` and every cooldown passes at each price. Orders fill at their trigger and closes at the mark, each for the
taker fee; other instruments stay where they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final, assert_never

from msgspec import Struct, structs

from guardd.model.decision import (
    AddMargin,
    CancelEntries,
    Close,
    Decision,
    LowerLeverage,
    Protect,
    Reduce,
    Tell,
    TopUp,
    WantedOrder,
)
from guardd.model.event import IntentMoved
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.intent import (
    Action,
    CloseAtMarket,
    Intent,
    SetLeverage,
    Stage,
    TransferToFutures,
    Write,
    client_id,
)
from guardd.model.intent import AddMargin as AddMarginWrite
from guardd.model.names import EpisodeId, MarginMode, PositionKey, RuleName, Symbol
from guardd.model.order import ProtectionKind
from guardd.model.outcome import Accepted
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use
from guardd.policy.crossings import Way, beyond, end_of_life
from guardd.policy.decide import Decided, decide
from guardd.policy.explain import action_text
from guardd.policy.language import Notify, Policy, PolicyRule
from guardd.policy.triggers import FARTHEST_SHARE, FARTHEST_TIMES, RuleTrigger, When, price_of, uses_of
from guardd.policy.view import View, views
from guardd.policy.whatif import Cut, World, world

STEPS_MAX: Final = 80
ROUNDS_MAX: Final = 25
"""Looks at one price: a rule that goes on being true acts again after each cooldown."""
STATIONS: Final = 24
"""Where other positions share the balance, so many more marks on the way are looked at for theirs."""
VENUE: Final = RuleName("venue")


class Kind(StrEnum):
    """What changes most comes first."""

    END = "end"
    """The venue liquidates."""
    FILL = "fill"
    """A stop or take-profit that rested is triggered."""
    CUT = "cut"
    """A reduce or a close by the guard."""
    STRENGTHEN = "strengthen"
    """Margin, leverage or money from spot."""
    REFUSED = "refused"
    """The rule is true and nothing that it asks for can be done."""
    CANCEL = "cancel"
    REST = "rest"
    """A stop or a take-profit is placed."""
    TELL = "tell"


ACTS: Final = frozenset({Kind.CUT, Kind.STRENGTHEN})


class Step(Struct, frozen=True, kw_only=True):
    """One thing that happens at a mark; figures are as after it, money in the settlement coin."""

    mark: Decimal
    kind: Kind
    rule: RuleName
    key: PositionKey
    text: str
    cut: Cut | None
    order: WantedOrder | None
    left: Decimal
    """Contracts of the position that are left."""
    equity: Reading
    liquidation: Reading
    distance: Reading


class Walk(Struct, frozen=True, kw_only=True):
    """The whole way. `end`: the last mark that was looked at; `why`: what ended it."""

    way: Way
    start: Decimal
    end: Decimal
    steps: tuple[Step, ...]
    why: str


def walk(policy: Policy, state: AccountState, symbol: Symbol, way: Way, now: Instant) -> Walk:
    """From the present mark this way, until the instrument's positions are gone or nothing more would happen."""
    walker = _Walker(policy, world(state, now), symbol, way)
    return walker.go()


def effect(
    policy: Policy, state: AccountState, trigger: RuleTrigger, key: PositionKey, now: Instant
) -> tuple[Step, ...]:
    """What one rule alone does at its price, the first time it acts there; empty where it has none."""
    if trigger.at is None and trigger.when is not When.NOW:
        return ()
    alone = replace(policy, rules=tuple(rule for rule in policy.rules if rule.name == trigger.rule))
    way = trigger.way or Way.DOWN
    walker = _Walker(alone, world(state, now), key.symbol, way)
    if trigger.at is not None:
        walker.at(trigger.at)
    if trigger.order is not None:
        return tuple(step for step in (walker.fill(key, trigger.order),) if step is not None)
    steps = walker.look()
    if not any(step.kind in ACTS for step in steps):
        walker.wait(max((rule.hold_s for rule in alone.rules), default=0.0))
        steps += walker.look()
    closing = trigger.use is Use.CLOSE
    wanted = ACTS if closing and len(trigger.actions) < len(_rule(policy, trigger.rule).then) else frozenset(Kind)
    return tuple(
        step for step in steps if step.kind in wanted | {Kind.REFUSED} and (step.key == key or step.kind is Kind.CUT)
    )


def _rule(policy: Policy, name: RuleName) -> PolicyRule:
    return next(rule for rule in policy.rules if rule.name == name)


@dataclass(slots=True)
class _Walker:
    policy: Policy
    world: World
    symbol: Symbol
    way: Way
    begun: Decimal = Decimal(0)
    resting: dict[PositionKey, tuple[WantedOrder, ...]] = field(default_factory=dict)
    done: set[tuple[EpisodeId, RuleName, ProtectionKind, int]] = field(default_factory=set)
    shown: set[tuple[EpisodeId, RuleName, ProtectionKind, int]] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)

    def go(self) -> Walk:
        start = self.begun = self.mark
        why = self._go(start)
        ended = bool(self.steps) and self.steps[-1].kind is Kind.END
        end = self.steps[-1].mark if ended else self.mark
        return Walk(way=self.way, start=start, end=end, steps=tuple(self.steps), why=why)

    @property
    def mark(self) -> Decimal:
        return self.world.state.marks[self.symbol].mark

    def _go(self, start: Decimal) -> str:
        limit = start * (FARTHEST_SHARE if self.way is Way.DOWN else FARTHEST_TIMES)
        self._settle()
        while self.world.state.holds(self.symbol):
            if len(self.steps) >= STEPS_MAX:
                return f"no more than {STEPS_MAX} steps are shown"
            found = self._next(limit)
            if found is None:
                return "nothing more happens this way"
            price, orders, ends = found
            if ends:
                self.steps.append(self._end(price))
                return "liquidated"
            self.at(price)
            self.steps += [step for key, order in orders if (step := self.fill(key, order)) is not None]
            self._settle()
        return "the position is closed"

    # Where something happens next

    def _next(self, limit: Decimal) -> tuple[Decimal, list[tuple[PositionKey, WantedOrder]], bool] | None:
        """The nearest mark ahead, the orders that fill there, and whether the venue liquidates there."""
        seen = views(self.policy, self.world.state, self.world.now, (self.symbol,))
        prices: set[Decimal] = set()
        for view in seen:
            prices |= set(self._rule_prices(view))
        ahead = self._orders_ahead()
        prices |= {order.trigger_price for _, order in ahead}
        ends = [end for view in seen if (end := end_of_life(view.on, view.risk, self.way)) is not None]
        nearest_end = min(ends, key=lambda price: abs(price - self.mark), default=None)
        prices |= set(self._stations(nearest_end if nearest_end is not None else limit))
        prices = {price for price in prices if not beyond(price, limit, self.way)}
        if nearest_end is not None and not any(beyond(nearest_end, price, self.way) for price in prices):
            return nearest_end, [], True
        if not prices:
            return None
        price = min(prices, key=lambda price: abs(price - self.mark))
        return price, [(key, order) for key, order in ahead if order.trigger_price == price], False

    def _rule_prices(self, view: View) -> Iterator[Decimal]:
        for rule in view.rules:
            for use in uses_of(rule):
                if rule.when is not None and view.truth_on_last_values(rule, use) is not Truth.TRUE:
                    price = price_of(rule, view, use, self.way)
                    if price is not None:
                        yield price

    def _orders_ahead(self) -> list[tuple[PositionKey, WantedOrder]]:
        return [
            (key, order)
            for key, orders in sorted(self.resting.items())
            for order in orders
            if key.symbol == self.symbol and beyond(order.trigger_price, self.mark, self.way)
        ]

    def _stations(self, end: Decimal) -> Iterator[Decimal]:
        """The rules of other cross positions feel this mark too; they have no price of their own on it."""
        state, tick = self.world.state, self.world.state.instruments[self.symbol].tick
        behind = state.balance_behind(self.symbol)
        others = [key for key in state.held if key.symbol != self.symbol and state.balance_behind(key.symbol) is behind]
        if others:
            stride = max(abs(end - self.begun) / STATIONS, tick)
            yield int((self.mark + self.way.sign * stride) / tick) * tick

    # What happens there

    def at(self, price: Decimal) -> None:
        self.world.move(self.symbol, price)

    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    def _settle(self) -> None:
        """Look until nothing more happens at this price, with every `for` and cooldown over."""
        held_s = max((rule.hold_s for rule in self.policy.rules), default=0.0)
        waited = held_s == 0
        for _ in range(ROUNDS_MAX):
            steps = self.look()
            self.steps += steps
            acted = [step.rule for step in steps if step.kind in ACTS]
            if acted:
                self.wait(max(rule.cooldown_s for rule in self.policy.rules))
            elif waited:
                return
            else:
                self.wait(held_s)
                waited = True

    def look(self) -> list[Step]:
        """One look of the daemon's decision, and what it asks for done."""
        decided = decide(self.policy, self.world.state, self.world.memory, self.world.confirmation, now=self.world.now)
        steps = [step for decision in decided.decisions for step in self._carry_out(decision)]
        return [*steps, *self._told(decided, {step.rule for step in steps if step.kind is not Kind.REST})]

    def _told(self, decided: Decided, acted: set[RuleName]) -> Iterator[Step]:
        rules = {rule.name: rule for rule in self.policy.rules}
        for fired in decided.fired:
            tells = [action for action in rules[fired.rule].then if isinstance(action, Notify)]
            if tells and fired.rule not in acted:
                yield self._step(Kind.TELL, fired.rule, fired.key, action_text(tells[0]))
        for tell in decided.told:
            why = _refusal(tell)
            if why and tell.key is not None:
                yield self._step(Kind.REFUSED, tell.rule, tell.key, why)

    def _carry_out(self, decision: Decision) -> list[Step]:
        match decision:
            case Protect():
                return self._rest(decision)
            case Reduce() | Close():
                return self._cut(decision)
            case LowerLeverage() | AddMargin() | TopUp():
                return self._strengthen(decision)
            case CancelEntries():
                what = "cancel the entries of the account" if decision.whole_account else "cancel the entries"
                return [self._step(Kind.CANCEL, decision.rule, decision.key, what)]
            case Tell():
                return []
            case _:
                assert_never(decision)

    def _rest(self, decision: Protect) -> list[Step]:
        episode = decision.episode
        names = {(episode, order.rule, order.kind, order.tranche): order for order in decision.wanted}
        self.resting[decision.key] = tuple(order for name, order in names.items() if name not in self.done)
        new = [order for name, order in names.items() if name not in self.done | self.shown]
        self.shown |= set(names)
        if decision.key.symbol != self.symbol:
            return []
        return [self._step(Kind.REST, order.rule, decision.key, order_text(order), order=order) for order in new]

    def fill(self, key: PositionKey, order: WantedOrder) -> Step | None:
        """The order's turn: all of the position, or its tranche."""
        held = self.world.state.held.get(key)
        if held is None:
            return None
        self.done.add((held.episode.id, order.rule, order.kind, order.tranche))
        quantity = held.position.quantity
        cut = self.world.close(key, quantity if order.size is None else min(order.size, quantity))
        if cut is None:
            return None
        what = "the stop fires" if order.kind is ProtectionKind.STOP_LOSS else "the take-profit fills"
        return self._step(Kind.FILL, order.rule, key, f"{what}: {cut_text(cut)}", cut=cut, order=order)

    def _cut(self, decision: Reduce | Close) -> list[Step]:
        held = self.world.state.held.get(decision.key)
        if held is None:
            return []
        size = decision.size if isinstance(decision, Reduce) else held.position.quantity
        action = Action.REDUCE if isinstance(decision, Reduce) else Action.CLOSE
        self._carried_out(decision, action, CloseAtMarket(key=decision.key, size=size))
        cut = self.world.close(decision.key, size)
        if cut is None:
            return []
        word = "close" if isinstance(decision, Close) else "reduce"
        return [self._step(Kind.CUT, decision.rule, decision.key, f"{word} {cut_text(cut)}", cut=cut)]

    def _strengthen(self, decision: LowerLeverage | AddMargin | TopUp) -> list[Step]:
        key, held = decision.key, self.world.state.held.get(decision.key)
        if held is None:
            return []
        match decision:
            case LowerLeverage():
                write: Write = SetLeverage(key=key, margin_mode=held.position.margin_mode, leverage=decision.leverage)
                self._carried_out(decision, Action.SET_LEVERAGE, write)
                self.world.set_leverage(key, decision.leverage)
                text = f"lower the leverage to {decision.leverage:f}"
            case AddMargin():
                margin = held.position.margin
                write = AddMarginWrite(
                    key=key,
                    amount=decision.amount,
                    currency=decision.currency,
                    margin_before=margin if is_value(margin) else Decimal(0),
                )
                self._carried_out(decision, Action.ADD_MARGIN, write)
                self.world.strengthen(key, decision.amount)
                text = f"add {decision.amount:f} {decision.currency} of margin"
            case TopUp():
                write = TransferToFutures(key=key, currency=decision.currency, amount=decision.amount)
                self._carried_out(decision, Action.TOP_UP, write)
                self.world.top_up(decision.currency, decision.amount)
                text = f"move {decision.amount:f} {decision.currency} from spot to futures"
        return [self._step(Kind.STRENGTHEN, decision.rule, key, text)]

    def _carried_out(
        self, decision: Reduce | Close | LowerLeverage | AddMargin | TopUp, action: Action, write: Write
    ) -> None:
        """The intent's life as the journal would show it, so that cooldowns and the order of actions are the daemon's."""
        state, key = self.world.state, decision.key
        held, progress = state.held[key], state.progress.get((decision.episode, decision.rule))
        step = progress.steps if progress is not None else 0
        intent = Intent(
            id=client_id(key.account, decision.episode, decision.rule, step),
            account=key.account,
            key=key,
            episode=decision.episode,
            rule=decision.rule,
            step=step,
            action=action,
            write=write,
            decided=self.world.now,
            frame_ns=None,
            quantity_before=held.position.quantity,
            closed_before=held.position.closed_quantity,
            reason=decision.reason,
        )
        filled = write.size if isinstance(write, CloseAtMarket) else None
        for stage in (Stage.DECIDED, Stage.JOURNALLED, Stage.SENT, Stage.ACCEPTED, Stage.VERIFIED):
            outcome = Accepted(order_id=None, sent_ns=self.world.now.mono_ns) if stage is Stage.ACCEPTED else None
            moved = IntentMoved(at=self.world.now, intent=intent, stage=stage, outcome=outcome, filled=filled)
            fold(state, moved)

    def _end(self, price: Decimal) -> Step:
        """An isolated position takes its margin along; of a cross account nobody can say what is left."""
        held = self.world.state.holds(self.symbol)[0]
        margin, equity, lost = held.position.margin, self.world.equity(held.key), held.position.unrealized_pnl
        rest: Reading = Absent.UNKNOWN
        if (
            held.position.margin_mode is MarginMode.ISOLATED
            and is_value(margin)
            and is_value(equity)
            and is_value(lost)
        ):
            rest = equity - margin - lost
        step = self._step(Kind.END, VENUE, held.key, f"the venue liquidates {held.position.quantity:f} contracts")
        return structs.replace(step, mark=price, left=Decimal(0), equity=rest, distance=Decimal(0))

    def _step(
        self,
        kind: Kind,
        rule: RuleName,
        key: PositionKey,
        text: str,
        *,
        cut: Cut | None = None,
        order: WantedOrder | None = None,
    ) -> Step:
        state = self.world.state
        held = state.held.get(key)
        risks = {view.held.key: view.risk for view in views(self.policy, state, self.world.now, (key.symbol,))}
        risk = risks.get(key)
        return Step(
            mark=self.mark,
            kind=kind,
            rule=rule,
            key=key,
            text=text,
            cut=cut,
            order=order,
            left=held.position.quantity if held is not None else Decimal(0),
            equity=self.world.equity(key),
            liquidation=risk.liquidation if risk is not None else Absent.NONE,
            distance=risk.distance_to_liquidation if risk is not None else Absent.NONE,
        )


def _refusal(tell: Tell) -> str:
    """Why a rule that is true can't act, as the decision tells it; empty where that isn't what is told."""
    _, cannot, why = tell.text.partition("can't act: ")
    if cannot:
        return f"can't act: {why}"
    return tell.text.partition(": ")[2] if tell.text.endswith((": refused", "refused (I15)")) else ""


def cut_text(cut: Cut) -> str:
    """How much of how much."""
    return f"all {cut.of:f}" if cut.left == 0 else f"{cut.size:f} of {cut.of:f}"


def order_text(order: WantedOrder) -> str:
    """A resting order in words."""
    what = "a stop" if order.kind is ProtectionKind.STOP_LOSS else "a take-profit"
    size = "" if order.size is None else f" for {order.size:f}"
    return f"{what}{size} rests at {order.trigger_price:f}"

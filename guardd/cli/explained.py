"""A policy explained on positions: of each its triggers with what they would do, and its way down and up."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from guardd.cli.show import Json, decimal_of, json_reading
from guardd.model.decision import WantedOrder
from guardd.model.instant import Instant
from guardd.model.names import PositionKey, RuleName, Side
from guardd.model.order import PlanOrder, RestingOrder
from guardd.model.reading import Reading, is_value
from guardd.model.state import AccountState
from guardd.policy.crossings import Way
from guardd.policy.explain import action_text
from guardd.policy.language import Policy, StopLoss, TakeProfit, TrailStop
from guardd.policy.triggers import RuleTrigger, When, triggers
from guardd.policy.view import View, views
from guardd.policy.walk import Kind, Step, Walk, effect, walk

PROTECTS = (StopLoss, TakeProfit, TrailStop)


class Explained(Struct, frozen=True, kw_only=True):
    """One trigger and what comes of it there, by its rule alone. `reached`: on the whole way its rule gets its turn."""

    trigger: RuleTrigger
    steps: tuple[Step, ...]
    reached: bool

    @property
    def acts(self) -> Step | None:
        """The step that changes most."""
        weight = tuple(Kind)
        return min(self.steps, key=lambda step: weight.index(step.kind), default=None)

    @property
    def what(self) -> str:
        """What it does, in words, with sizes where they are known."""
        if self.steps:
            return "; ".join(dict.fromkeys(step.text for step in self.steps))
        return ", ".join(action_text(action) for action in self.trigger.actions)


class Story(Struct, frozen=True, kw_only=True):
    """Everything that is shown of one position."""

    view: View
    currency: str
    equity: Reading
    found: tuple[Explained, ...]
    resting: tuple[PlanOrder, ...]
    """Closing plan orders that rest at the venue already."""
    orders: tuple[RestingOrder, ...]
    """What rests in the book at a price."""
    ways: tuple[Walk, ...]
    """Against the position first."""

    @property
    def key(self) -> PositionKey:
        return self.view.held.key

    @property
    def title(self) -> str:
        risk = self.view.risk
        leverage = f" {decimal_of(risk.leverage)}×" if is_value(risk.leverage) else ""
        return (
            f"{self.key.symbol} {self.key.side} · {risk.margin_mode}{leverage} · {decimal_of(risk.quantity)} contracts"
        )


def stories(policy: Policy, state: AccountState, now: Instant, symbols: Sequence[str] = ()) -> tuple[Story, ...]:
    """Of each position that can be assessed; with `symbols` of these only."""
    walks: dict[str, dict[Way, Walk]] = {}
    found: list[Story] = []
    for view in views(policy, state, now):
        symbol = view.held.key.symbol
        if symbols and symbol not in symbols:
            continue
        if symbol not in walks:
            walks[symbol] = {way: condensed(walk(policy, state, symbol, way, now)) for way in Way}
        ways = walks[symbol]
        found.append(_story(policy, state, view, ways, now))
    return tuple(found)


def condensed(way: Walk) -> Walk:
    """What one rule does again and again at one price, as one step."""
    found: list[Step] = []
    times = 1
    for step in way.steps:
        last = found[-1] if found else None
        if last is None or step.cut is None or last.cut is None or not _again(last, step):
            found.append(step)
            times = 1
            continue
        times += 1
        both = replace(
            last.cut,
            size=last.cut.size + step.cut.size,
            realised=last.cut.realised + step.cut.realised,
            fee=last.cut.fee + step.cut.fee,
        )
        text = f"{last.text.partition(',')[0]}, on to {step.left:f} in {times} steps"
        found[-1] = replace(step, text=text, cut=both)
    return replace(way, steps=tuple(found))


def _again(last: Step, step: Step) -> bool:
    same = (last.mark, last.rule, last.key, last.kind) == (step.mark, step.rule, step.key, step.kind)
    return same and step.kind is Kind.CUT


def _story(policy: Policy, state: AccountState, view: View, ways: dict[Way, Walk], now: Instant) -> Story:
    key = view.held.key
    found = [each for each in triggers(view, state=state, now=now) if not _only_rests(each)]
    turns = {
        _turn(way, step.rule, step.order)
        for way, each in ways.items()
        for step in each.steps
        if step.key == key and step.kind is not Kind.REST
    }
    first = Way.DOWN if key.side is Side.LONG else Way.UP
    behind = state.balance_behind(key.symbol)
    return Story(
        view=view,
        currency=view.instrument.settle,
        equity=behind.equity if behind is not None else view.risk.quantity * 0,
        found=tuple(
            Explained(
                trigger=each,
                steps=effect(policy, state, each, key, now),
                reached=each.way is None or _turn(each.way, each.rule, each.order) in turns,
            )
            for each in found
        ),
        resting=state.plans_of(key),
        orders=tuple(each for _, each in sorted(state.resting.items()) if each.key == key and each.price is not None),
        ways=tuple(ways[way] for way in (first, Way.UP if first is Way.DOWN else Way.DOWN)),
    )


def _turn(way: Way | None, rule: RuleName, order: WantedOrder | None) -> tuple[object, ...]:
    """What tells one trigger from another on a way: its rule, and of an order its kind and tranche."""
    return (way, rule) if order is None else (way, rule, order.kind, order.tranche)


def _only_rests(trigger: RuleTrigger) -> bool:
    """A rule that only places orders and does so now: the orders themselves are listed."""
    places = trigger.actions and all(isinstance(action, PROTECTS) for action in trigger.actions)
    return bool(places) and trigger.when is When.NOW


def share_left(story: Story, way: Walk) -> list[tuple[Decimal, Decimal]]:
    """How much of the position is left, as a share, from each mark of the way on; the first is the start, whole."""
    held = story.view.risk.quantity
    mine = [step for step in way.steps if step.key == story.key and (step.cut is not None or step.kind is Kind.END)]
    left = [(step.mark, min(step.left / held, Decimal(1)) if held else Decimal(0)) for step in mine]
    return [(way.start, Decimal(1)), *left]


def money_text(amount: Decimal, currency: str) -> str:
    """To the cent, or to eight places of a coin that is worth much."""
    places = 2 if currency.startswith("USD") else 6
    return f"{amount:,.{places}f} {currency}"


def signed(amount: Decimal, currency: str) -> str:
    text = money_text(abs(amount), currency)
    nothing = not any(digit in text for digit in "123456789")
    return text if nothing else f"{'+' if amount > 0 else '−'}{text}"


def price_text(price: Decimal, tick: Decimal) -> str:
    """With the digits of its tick; what isn't on tick is cut there."""
    exponent = tick.normalize().as_tuple().exponent
    places = max(-exponent, 0) if isinstance(exponent, int) else 0
    return f"{price:,.{places}f}"


def away_text(price: Decimal, mark: Decimal) -> str:
    """How far from the mark."""
    share = (price - mark) / mark * 100
    return f"{'+' if share > 0 else ''}{share:.2f} %".replace("-", "−")


# For programs


def stories_json(found: Iterable[Story]) -> list[Json]:
    return [_story_json(story) for story in found]


def _story_json(story: Story) -> Json:
    risk = story.view.risk
    return {
        "account": story.key.account,
        "symbol": story.key.symbol,
        "side": story.key.side.value,
        "margin_mode": risk.margin_mode.value,
        "leverage": json_reading(risk.leverage),
        "quantity": json_reading(risk.quantity),
        "entry_price": json_reading(risk.entry),
        "mark_price": json_reading(risk.mark),
        "liquidation_price": json_reading(risk.liquidation),
        "distance_to_liquidation": json_reading(risk.distance_to_liquidation),
        "equity": json_reading(story.equity),
        "currency": story.currency,
        "triggers": [_explained_json(each, story) for each in story.found],
        "walks": [_walk_json(way) for way in story.ways],
    }


def _explained_json(each: Explained, story: Story) -> Json:
    trigger = each.trigger
    return {
        "rule": trigger.rule,
        "when": trigger.when.value,
        "at_mark_price": json_reading(trigger.at) if trigger.at is not None else None,
        "from_mark": json_reading((trigger.at - story.view.risk.mark) / story.view.risk.mark) if trigger.at else None,
        "why": trigger.why,
        "does": each.what,
        "reached": each.reached,
        "steps": [_step_json(step) for step in each.steps],
    }


def _walk_json(way: Walk) -> Json:
    return {
        "way": way.way.value,
        "from": json_reading(way.start),
        "to": json_reading(way.end),
        "ends": way.why,
        "steps": [_step_json(step) for step in way.steps],
    }


def _step_json(step: Step) -> Json:
    cut = step.cut
    return {
        "at_mark_price": json_reading(step.mark),
        "kind": step.kind.value,
        "rule": step.rule,
        "symbol": step.key.symbol,
        "side": step.key.side.value,
        "does": step.text,
        "size": json_reading(cut.size) if cut is not None else None,
        "realised_pnl": json_reading(cut.realised - cut.fee) if cut is not None else None,
        "currency": cut.currency if cut is not None else None,
        "left": json_reading(step.left),
        "equity_left": json_reading(step.equity),
        "liquidation_price": json_reading(step.liquidation),
    }

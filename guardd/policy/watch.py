"""What a tick is compared with: as long as the mark stays where it says, no rule changes its mind (architecture, section 2).

For each held instrument an interval of marks in which no comparison of any rule about its positions answers otherwise than
now. Cross positions also feel the marks of the account's other instruments: each movement since the watch was made is weighed
by what it can change at most, the sum is held against a slack, and the intervals hold anywhere within that slack. Leaving an
interval or using up the slack proves nothing but that it is time to look: too early is harmless, too late can't happen.

A watch is made from a state. Every event that changes figures, marks apart, asks for a new one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.instant import Instant
from guardd.model.names import MarginMode, PositionKey, Side, Symbol
from guardd.model.reading import Reading, is_value
from guardd.model.state import AccountState
from guardd.policy.crossings import Answers, Leaf, Way, answers, leaves_of, reach
from guardd.policy.language import Policy
from guardd.policy.view import View, views
from guardd.policy.witness import FELT_ACROSS
from guardd.risk.assess import assess_account, assess_on
from guardd.risk.ground import Ground, Number, solve

ZERO: Final = Decimal(0)
RANGE: Final = (Decimal("0.96"), Decimal("1.04"))
"""How far from the present mark a watch looks, as shares of it; beyond it somebody looks again. A mark seldom goes there, and what
lies near is found with a fraction of the questions that the whole way to liquidation asks."""
SLACK_SHARE: Final = Decimal("0.125")
"""Part of the account's room before liquidation that other instruments may use up before the next look."""
DRIFT_SHARE: Final = 1 / Decimal(1024)
"""Part of the way to liquidation by which the venue's number of a cross position may move before the next look: each mark of the
account moves it a little at every read. It is less than what a stop is moved for (0.1 %, interfaces.md 2.4)."""
SLACK_SHRINKS: Final = 6
"""How often the slack is quartered where a rule stands so near that it wouldn't hold; then every movement is looked at."""


@dataclass(slots=True)
class Bounds:
    """Marks from `low` to `high`, both included, change nothing. `weight`: what one unit of price is to the rest of the account."""

    low: Decimal
    high: Decimal
    weight: Decimal | None = None
    anchor: Decimal = ZERO
    spent: Decimal = ZERO


class Solved(Struct, frozen=True, kw_only=True):
    """What one position was solved to, and from which figures: while these are the same and the mark is within, it holds.

    `answered`: what every comparison of its rules said there. With a `slack` it holds wherever the rest of the account goes within
    that, counted from `rest`: what stood behind the position then, and what else burdened that. With a `drift` it holds wherever
    the venue's number goes within that, counted from `liquidation`.
    """

    figures: tuple[object, ...]
    liquidation: Reading
    drift: Decimal
    rest: tuple[Decimal, ...]
    answered: Answers
    low: Decimal
    high: Decimal
    slack: Decimal | None = None

    def counted(self, liquidation: Reading) -> Reading:
        """The venue's number as far as it counts: what it was solved for while it is within the drift, else as it is."""
        near = (
            is_value(liquidation) and is_value(self.liquidation) and abs(liquidation - self.liquidation) <= self.drift
        )
        return self.liquidation if near else liquidation

    def room(self, rest: tuple[Decimal, ...]) -> Decimal:
        """What is left of the slack, with the rest of the account as it is now."""
        if self.slack is None or len(rest) != len(self.rest):
            return Decimal(-1)
        return self.slack - max((abs(now - then) for now, then in zip(rest, self.rest, strict=True)), default=ZERO)


@dataclass(slots=True)
class Watch:
    """Made by `watch`; `crossed` stands on the path of every tick."""

    bounds: dict[Symbol, Bounds] = field(default_factory=dict)
    solved: dict[PositionKey, Solved] = field(default_factory=dict)
    cross: frozenset[Symbol] = frozenset()
    slack: Decimal | None = None
    spent: Decimal = ZERO
    lives_ended: int = field(default=0, compare=False)
    """Of the account, when it was last swept of what isn't held any more."""

    def crossed(self, symbol: Symbol, mark: Decimal) -> bool:
        """True when a rule may have changed its mind with this mark. False for instruments that aren't held."""
        bounds = self.bounds.get(symbol)
        if bounds is None:
            return False
        if mark < bounds.low or mark > bounds.high:
            return True
        if bounds.weight is None or self.slack is None:
            return False
        spent = abs(mark - bounds.anchor) * bounds.weight
        self.spent += spent - bounds.spent
        bounds.spent = spent
        return self.spent > self.slack

    def affected(self, symbol: Symbol) -> frozenset[Symbol]:
        """The instruments to look at after a crossing: the whole cross account feels each of its marks."""
        return self.cross if symbol in self.cross else frozenset({symbol})


def watch(
    policy: Policy,
    state: AccountState,
    *,
    now: Instant,
    also: Mapping[Symbol, Iterable[Decimal]] | None = None,
    previous: Watch | None = None,
    symbols: frozenset[Symbol] | None = None,
    seen: tuple[View, ...] | None = None,
) -> Watch:
    """Solve every rule for the marks at which it changes its mind.

    `also`: further prices to look at when the mark gets there, such as software stops. `previous`: the watch before this one;
    positions about which nothing changed but the mark aren't solved again. `symbols`: only these are looked at, and `previous` is
    given back with them made anew; a cross instrument brings all of them along. `seen`: the views of `symbols` at this moment,
    where somebody made them already.
    """
    if previous is not None and symbols is not None:
        return _partly(policy, state, now, also or {}, previous, symbols, seen)
    seen = views(policy, state, now)
    made = _made(seen, state, now, previous)
    made.lives_ended = state.lives_ended
    for key in state.held:
        _blank(made, state, key.symbol)
    _add_prices(made, state, also or {})
    return made


def _partly(
    policy: Policy,
    state: AccountState,
    now: Instant,
    also: Mapping[Symbol, Iterable[Decimal]],
    previous: Watch,
    symbols: frozenset[Symbol],
    seen: tuple[View, ...] | None,
) -> Watch:
    """`previous` itself, with these made anew: what is looked at costs what it is, and not what else is held."""
    crossed = symbols & previous.cross or any(
        held.position.margin_mode is MarginMode.CROSS for held in state.holds_any(symbols)
    )
    wanted = symbols | _cross_of(state) | previous.cross if crossed else symbols
    held = {held.key.symbol for held in state.holds_any(wanted)}
    if seen is None or not held <= symbols:
        seen = views(policy, state, now, wanted)
    made = _made(seen, state, now, previous)
    for symbol in held:
        _blank(made, state, symbol)
    _add_prices(made, state, also)
    _sweep(previous, state)
    for symbol in wanted:
        previous.bounds.pop(symbol, None)
        for side in Side:
            previous.solved.pop(PositionKey(state.name, symbol, side), None)
    previous.bounds.update(made.bounds)
    previous.solved.update(made.solved)
    if crossed:
        previous.cross, previous.slack, previous.spent = made.cross, made.slack, made.spent
    return previous


def _cross_of(state: AccountState) -> frozenset[Symbol]:
    return frozenset(key.symbol for key, held in state.held.items() if held.position.margin_mode is MarginMode.CROSS)


def _sweep(watched: Watch, state: AccountState) -> None:
    """Forget what isn't held any more."""
    if watched.lives_ended == state.lives_ended:
        return
    watched.lives_ended = state.lives_ended
    held = {key.symbol for key in state.held}
    watched.bounds = {symbol: bounds for symbol, bounds in watched.bounds.items() if symbol in held}
    watched.solved = {key: solved for key, solved in watched.solved.items() if key in state.held}


def _made(seen: tuple[View, ...], state: AccountState, now: Instant, previous: Watch | None) -> Watch:
    cross = [view for view in seen if view.cross]
    symbols = {view.held.key.symbol for view in cross}
    rooms = _rooms(cross, state, now) if len(symbols) > 1 else {}
    made = Watch(cross=frozenset(symbols))
    for view in seen:
        key = view.held.key
        known = previous.solved.get(key) if previous is not None else None
        room = rooms.get(key)
        solved = known if known is not None and _holds_on(known, view, room) else _solved(view, room)
        made.solved[key] = solved
        _narrow(made, view, solved)
        if solved.slack is not None:
            left = solved.room(_rest(view))
            made.slack = left if made.slack is None else min(left, made.slack)
    if made.slack is not None:
        for view in cross:
            _weigh(made.bounds[view.held.key.symbol], view)
    return made


def _blank(made: Watch, state: AccountState, symbol: Symbol) -> None:
    """What can't be assessed yet: its first mark is looked at. What isn't guarded never will be."""
    if symbol not in made.bounds and not state.why_unguarded(symbol):
        made.bounds[symbol] = Bounds(low=Decimal(-1), high=Decimal(-1))


# One position


def _holds_on(known: Solved, view: View, room: Decimal | None) -> bool:
    """The same figures, the mark within, and half of its slack or more still there."""
    if not known.low <= view.risk.mark <= known.high or known.figures != _figures(view):
        return False
    if known.counted(view.held.position.liquidation_price) != known.liquidation:
        return False
    if known.slack is None or room is None:
        return known.slack is room and known.rest == _rest(view)
    return known.slack <= 2 * known.room(_rest(view))


def _solved(view: View, room: Decimal | None) -> Solved:
    leaves = leaves_of(view.rules)
    answered = answers(leaves, view.risk)
    drift = _drift(view, leaves, answered)
    slack = None if room is None else _slack(view, room, drift)
    low, high = _interval(view, _grounds(view, slack, drift), leaves, answered)
    return Solved(
        figures=_figures(view),
        liquidation=view.held.position.liquidation_price,
        drift=drift,
        rest=_rest(view),
        answered=answered,
        low=low,
        high=high,
        slack=slack,
    )


def _figures(view: View) -> tuple[object, ...]:
    """Everything that an answer hangs on but marks, the venue's number and the rest of the account."""
    on, position = view.on, view.held.position
    numbers = (on.near, on.closing, on.closing_ratio)
    return (
        view.rules,
        (position.quantity, position.entry_price, position.margin_mode, position.leverage),
        (on.leg, on.partners),
        tuple(number and number.basis for number in numbers),
        is_value(on.balance_apart),
    )


def _rest(view: View) -> tuple[Decimal, ...]:
    """What stands behind the legs apart from their own PnL, and what else burdens it by each way to reckon; empty: unfelt."""
    on = view.on
    if view.cross and not _felt(leaves_of(view.rules)):
        return ()
    behind = (on.balance_apart,) if is_value(on.balance_apart) else ()
    return (*behind, *(number.burden_apart for number in (on.near, on.closing, on.closing_ratio) if number is not None))


def _interval(
    view: View, grounds: tuple[Ground, ...], leaves: tuple[Leaf, ...], answered: Answers
) -> tuple[Decimal, Decimal]:
    """Marks between which no comparison changes its answer on any of these grounds."""
    mark, tick = view.risk.mark, view.instrument.tick
    low, high = mark * RANGE[0], mark * RANGE[1]
    for on in grounds:
        low = max(low, reach(on, leaves, answered, mark=mark, tick=tick, way=Way.DOWN, limit=mark * RANGE[0]).last)
        high = min(high, reach(on, leaves, answered, mark=mark, tick=tick, way=Way.UP, limit=mark * RANGE[1]).last)
    return low, high


def _grounds(view: View, slack: Decimal | None, drift: Decimal) -> tuple[Ground, ...]:
    """The gravest and the mildest ground within slack and drift: at any mark each metric lies between what it is on these two."""
    shift = slack or ZERO
    if not is_value(view.on.balance_apart):
        shift = ZERO
    if not shift and not drift:
        return (view.on,)
    return _shifted(view, -shift, -drift), _shifted(view, shift, drift)


def _shifted(view: View, rest: Decimal, number: Decimal) -> Ground:
    """The ground as if the rest of the account were better by `rest` (more behind it, and less asked of it), and the venue's
    liquidation price further from the mark by `number`."""
    on, told = view.on, view.on.position.liquidation_price
    if number and is_value(told):
        there = told - view.risk.exposure.sign * number
        on = replace(on, position=replace(on.position, liquidation_price=there))
    if not rest or not is_value(on.balance_apart):
        return on
    balance = on.balance_apart + rest
    numbers = (on.near, on.closing, on.closing_ratio)
    near, closing, by_ratio = (None if each is None else _eased(each, rest) for each in numbers)
    return replace(
        on,
        balance_apart=balance,
        near=near,
        closing=closing,
        closing_ratio=by_ratio,
        near_liquidation=solve(on.legs, balance, near),
        closing_liquidation=solve(on.legs, balance, closing),
    )


def _eased(number: Number, by: Decimal) -> Number:
    return replace(number, burden_apart=number.burden_apart - by)


def _drift(view: View, leaves: tuple[Leaf, ...], answered: Answers) -> Decimal:
    """How far the venue's number may go; none where that of an isolated position moved (it doesn't by itself), where there is
    none to be believed, and where a comparison at the present mark would answer otherwise."""
    number = view.risk.venue_liquidation
    if not view.cross or not is_value(number):
        return ZERO
    drift = abs(view.risk.mark - number) * DRIFT_SHARE
    return drift if _holds(view, _grounds(view, None, drift), leaves, answered) else ZERO


def _narrow(made: Watch, view: View, solved: Solved) -> None:
    """Both legs of a hedge share their instrument's mark."""
    low, high = solved.low, solved.high
    known = made.bounds.get(view.held.key.symbol)
    if known is not None:
        low, high = max(low, known.low), min(high, known.high)
    made.bounds[view.held.key.symbol] = Bounds(low=low, high=high, anchor=view.risk.mark)


# The account


def _rooms(cross: list[View], state: AccountState, now: Instant) -> dict[PositionKey, Decimal]:
    """How much the rest of the account may change before a position is looked at again; none for what doesn't feel it.

    What one balance loses is no more than what is spent in all, so the smallest of their slacks holds for each.
    """
    rooms: dict[str, Decimal | None] = {}
    found: dict[PositionKey, Decimal] = {}
    for view in cross:
        balance = state.balance_behind(view.held.key.symbol)
        if balance is None or not _felt(leaves_of(view.rules)):
            continue
        if balance.currency not in rooms:
            account = assess_account(state, marks={}, now=now, currency=balance.currency)
            rooms[balance.currency] = _room(account.margin_balance, account.maintenance)
        room = rooms[balance.currency]
        if room is not None:
            found[view.held.key] = room
    return found


def _room(behind: Reading, asked: Reading) -> Decimal | None:
    return max(behind - asked, ZERO) * SLACK_SHARE if is_value(behind) and is_value(asked) else None


def _slack(view: View, room: Decimal, drift: Decimal) -> Decimal:
    """So much of the room that no comparison answers otherwise at the present mark; zero where one stands on the edge."""
    leaves = _felt(leaves_of(view.rules))
    answered = answers(leaves, view.risk)
    for _ in range(SLACK_SHRINKS + 1):
        if room == 0 or _holds(view, _grounds(view, room, drift), leaves, answered):
            return room
        room = room / 4
    return ZERO


def _felt(leaves: tuple[Leaf, ...]) -> tuple[Leaf, ...]:
    return tuple(leaf for leaf in leaves if leaf[0].metric in FELT_ACROSS)


def _holds(view: View, grounds: tuple[Ground, ...], leaves: tuple[Leaf, ...], answered: Answers) -> bool:
    mark = view.risk.mark
    return all(answers(leaves, assess_on(on, mark=mark)) == answered for on in grounds)


def _weigh(bounds: Bounds, view: View) -> None:
    """At most so much does one unit of this price change PnL and burden together; both legs of a hedge count in full.

    What an inverse contract gains by a unit is steepest at the lowest mark that the bounds allow.
    """
    leg = view.on.leg
    if leg is None:
        return
    steepest = max((tier.rate for tier in leg.instrument.tiers), default=ZERO)
    steepness = 1 / (bounds.low * bounds.low) if leg.instrument.inverse else Decimal(1)
    bounds.weight = (bounds.weight or ZERO) + leg.worth * steepness * (1 + leg.fee_rate + steepest)


def _add_prices(made: Watch, state: AccountState, also: Mapping[Symbol, Iterable[Decimal]]) -> None:
    """Stops that rest and prices asked for: the mark's way past one is an occasion to look."""
    for symbol, bounds in made.bounds.items():
        instrument = state.instruments.get(symbol)
        if instrument is None:
            continue
        prices = {plan.trigger_price for held in state.holds(symbol) for plan in state.plans_of(held.key)}
        prices.update(also.get(symbol, ()))
        for price in prices:
            if price < bounds.anchor:
                bounds.low = max(bounds.low, price + instrument.tick)
            elif price > bounds.anchor:
                bounds.high = min(bounds.high, price - instrument.tick)

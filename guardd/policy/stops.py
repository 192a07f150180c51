"""The protection that shall rest on a position (interfaces.md 2.4 "Stops", "Ladders"), and what to do when it can't.

A stop lies strictly between liquidation and mark (I4), on tick, rounded towards the mark. Of several rules the tightest wins, rung
by rung (`ladders`), and within an episode nothing moves a stop away from the price again (I11): each tranche stays as tight as it
ever was, also when its rule is no longer true or no longer there (I23).
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.decision import IfPassed, OnUnprotected, Protect, WantedOrder, slot_name
from guardd.model.footing import LatchedStop
from guardd.model.instrument import Instrument
from guardd.model.names import RuleName
from guardd.model.order import ProtectionKind
from guardd.model.state import AccountState, Held
from guardd.policy import ladders
from guardd.policy.ladders import Ladder, Rung
from guardd.policy.language import PolicyRule, StopLoss, TakeProfit, TrailStop
from guardd.policy.memory import MOVED_FROM, EpisodeMemory, LadderId
from guardd.policy.placing import At, between, clear, price_of
from guardd.policy.trail import begin_anew, follow, trail_price
from guardd.risk.assess import PositionRisk
from guardd.risk.tranches import filled_tranches

LATCHED: Final = RuleName("latched-stop")
"""The name under which a stop goes on that no rule of the present policy asks for (I23)."""
STOP: Final = ProtectionKind.STOP_LOSS
PROFIT: Final = ProtectionKind.TAKE_PROFIT
_STOPS: Final = (StopLoss, TrailStop)


class PassedStop(Struct, frozen=True, kw_only=True):
    """A stop whose trigger the mark has passed, of a rule that says `if_passed: close`: close, once the mark is confirmed.

    `size` None: the position; else the share of a tranche that was never placed. `slot`: whose it is.
    """

    rule: RuleName
    slot: RuleName
    trigger_price: Decimal
    size: Decimal | None = None


class Protection(Struct, frozen=True, kw_only=True):
    """What shall rest, and what must be done or told because something can't."""

    protect: Protect
    passed: PassedStop | None
    notes: tuple[str, ...]
    partly: str = ""
    """Why a part of the position has no stop although another part has; empty when none lacks."""


class _Asked(Struct, frozen=True):
    """One ladder of stops as a rule asks for it: a stop alone is a ladder of one. `first`: the number of its first tranche."""

    rule: RuleName
    first: int
    tranches: tuple[StopLoss | TrailStop, ...]

    @property
    def shares(self) -> tuple[Decimal, ...]:
        return tuple(each.size if isinstance(each, StopLoss) else ladders.WHOLE for each in self.tranches)

    @property
    def id(self) -> LadderId:
        return self.rule, self.first, self.shares


class _Found(Struct, frozen=True):
    """What became of one tranche: a rung, a passed trigger where it says close, or why there is none."""

    rung: Rung | None = None
    passed: PassedStop | None = None
    why: str = ""
    venues_turn: bool = False
    """Its order was placed and the mark is through it: whether it fired is the venue's to tell."""


def wanted_protection(
    rules: tuple[PolicyRule, ...],
    state: AccountState,
    held: Held,
    risk: PositionRisk,
    instrument: Instrument,
    memory: EpisodeMemory,
    *,
    blind: bool,
    reached: Decimal | None = None,
    about: tuple[PolicyRule, ...] | None = None,
) -> Protection:
    """The protection that `rules` (those that are about this position and true) ask for. Remembers what it wanted.

    `blind`: the figures are too old; what was wanted stays as it is, and only a stop that was never placed is reckoned.
    `reached`: how far in favour the mark has come, confirmed. `about`: all rules about the position, true or not; trails follow
    the mark for each of them.
    """
    memory.wake(held.episode.footing)
    memory.filled = filled_tranches(state, held, memory.filled)
    at = At(state, held, risk, instrument, memory, reached)
    follow(rules if about is None else about, at)
    stops, passed, impossible, partly = _stops(rules, at, blind=blind)
    profits, notes = _profits(rules, at)
    protect = Protect(key=held.key, episode=held.episode.id, wanted=(*stops, *profits), impossible=impossible)
    return Protection(protect=protect, passed=passed, notes=notes, partly=partly)


# Stops


def _stops(
    rules: tuple[PolicyRule, ...], at: At, *, blind: bool
) -> tuple[tuple[WantedOrder, ...], PassedStop | None, tuple[str, ...], str]:
    _adopt(at)
    asked = [ladder for rule in rules for ladder in _asked(rule)]
    made: list[Ladder] = []
    found: list[_Found] = []
    for ladder in asked:
        tranches = [_tranche(ladder, place, at, blind=blind) for place in range(len(ladder.tranches))]
        found.extend(tranches)
        rungs = tuple(each.rung for each in tranches if each.rung is not None)
        _latch(ladder, rungs, at)
        made.append(_ladder(rungs, ladder.rule, ladder.first, ladder.shares, STOP, at))
    made.extend(_latched_only(asked, made, at))
    held = ladders.Held(
        quantity=at.held.position.quantity, largest=at.held.episode.largest_quantity, instrument=at.instrument
    )
    orders = _named(ladders.joined(made, held, STOP, at.sign), made)
    whys = tuple(each.why for each in found if each.why)
    passed = max(
        (each.passed for each in found if each.passed is not None),
        key=lambda each: (each.size is None, at.sign * each.trigger_price),
        default=None,
    )
    if not orders:
        return (), passed, whys, ""
    partly = "" if any(each.venues_turn for each in found) else _partly(orders, made, whys, at)
    return orders, passed, (), partly


def _asked(rule: PolicyRule) -> Iterator[_Asked]:
    """The ladders of one rule: a list of tranches is one, and so is each stop or trailing stop by itself."""
    first, tranches = 0, list[StopLoss]()
    for action in rule.then:
        if tranches and isinstance(action, _STOPS) and (isinstance(action, TrailStop) or not action.tranche):
            yield _Asked(rule.name, first, tuple(tranches))
            first, tranches = first + len(tranches), []
        if isinstance(action, StopLoss):
            tranches.append(action)
        elif isinstance(action, TrailStop):
            yield _Asked(rule.name, first, (action,))
            first += 1
    if tranches:
        yield _Asked(rule.name, first, tuple(tranches))


def _tranche(ladder: _Asked, place: int, at: At, *, blind: bool) -> _Found:
    tranche = ladder.first + place
    if place in ladders.done_places(at.memory.filled, ladder.rule, STOP, ladder.shares, ladder.first):
        return _Found()
    latch = at.memory.latched.get(ladder.id, {}).get(place)
    kept = _kept(latch, at)
    action = ladder.tranches[place]
    if blind and kept is not None:
        fresh = _Found()
    elif isinstance(action, TrailStop):
        fresh = _trail(ladder, action, at, begun=latch is not None)
    else:
        fresh = _stop(ladder, place, action, at, placed=latch is not None)
    rung = fresh.rung
    if kept is not None:
        price = kept if rung is None else at.tighter(kept, rung.trigger_price)
        choices = OnUnprotected.ALERT if isinstance(action, TrailStop) else action.on_unprotected
        rung = Rung(
            rule=ladder.rule,
            tranche=tranche,
            trigger_price=clear(price, at),
            share=ladder.shares[place],
            price_type=action.price_type,
            on_unprotected=choices,
        )
    venues_turn = rung is None and latch is not None
    return replace(fresh, rung=rung, venues_turn=venues_turn, why=fresh.why if rung is None else "")


def _kept(latch: LatchedStop | None, at: At) -> Decimal | None:
    """Where a tranche that was wanted before stays at least: until the mark is through it and nothing of ours rests there."""
    if latch is None:
        return None
    if not at.through(latch.trigger_price):
        return latch.trigger_price
    near = MOVED_FROM * latch.trigger_price
    resting = [plan.trigger_price for plan in at.own(STOP) if abs(plan.trigger_price - latch.trigger_price) <= near]
    return resting[0] if resting else None


def _stop(ladder: _Asked, place: int, action: StopLoss, at: At, *, placed: bool) -> _Found:
    """One tranche as its triggers have it now."""
    name, tranche = ladder.rule, ladder.first + place
    found = [price_of(name, trigger, STOP, at, place=place) for trigger in action.triggers]
    prices = sorted((price for price in found if price), key=lambda price: -at.sign * price)
    if not prices:
        return _Found(why=f"{name}: none of its triggers can be computed")
    through = [price for price in prices if at.through(price)]
    passed: PassedStop | None = None
    if through:
        match action.if_passed:
            case IfPassed.CLOSE if at.held.episode.had_verified_stop:
                passed = _passed(ladder, place, through[0], at, placed=placed)
            case IfPassed.ALERT:
                return _Found(why=f"{name}: the mark {at.risk.mark} has passed its trigger {through[0]}")
            case IfPassed.CLOSE | IfPassed.NEXT:
                pass
            case _:
                assert_never(action.if_passed)
    if len(through) == len(prices):
        return _Found(passed=passed, why=f"{name}: the mark {at.risk.mark} has passed its trigger {through[-1]}")
    price = between(prices[len(through)], at)
    if price is None:
        why = f"{name}: no tick lies between liquidation {at.risk.stop_bound} and the mark {at.risk.mark}"
        return _Found(passed=passed, why=why)
    rung = Rung(
        rule=name,
        tranche=tranche,
        trigger_price=price,
        share=action.size,
        price_type=action.price_type,
        on_unprotected=action.on_unprotected,
    )
    return _Found(rung=rung, passed=passed)


def _passed(ladder: _Asked, place: int, trigger: Decimal, at: At, *, placed: bool) -> PassedStop | None:
    """A stop of the whole position closes it. A tranche closes its share, if it never rested: one that did is the venue's turn."""
    slot = slot_name(ladder.rule, STOP, ladder.first + place)
    share = ladder.shares[place]
    if share >= ladders.WHOLE:
        return PassedStop(rule=ladder.rule, slot=slot, trigger_price=trigger)
    if placed:
        return None
    size = min(at.instrument.size_up(share * at.held.episode.largest_quantity), at.held.position.quantity)
    return PassedStop(rule=ladder.rule, slot=slot, trigger_price=trigger, size=size)


def _trail(ladder: _Asked, action: TrailStop, at: At, *, begun: bool) -> _Found:
    name = ladder.rule
    price = trail_price(name, action, at)
    if price is not None and at.through(price) and not begun:
        begin_anew(name, at)
        price = trail_price(name, action, at)
    if price is None:
        return _Found(why=f"{name}: no mark was confirmed yet that its stop could trail")
    if at.through(price):
        return _Found(why=f"{name}: the mark {at.risk.mark} has passed its trailing stop at {price}")
    placed = between(price, at)
    if placed is None:
        why = f"{name}: no tick lies between liquidation {at.risk.stop_bound} and the mark {at.risk.mark}"
        return _Found(why=why)
    rung = Rung(
        rule=name, tranche=ladder.first, trigger_price=placed, share=ladders.WHOLE, price_type=action.price_type
    )
    return _Found(rung=rung)


def _partly(orders: tuple[WantedOrder, ...], made: list[Ladder], whys: tuple[str, ...], at: At) -> str:
    quantity = at.held.position.quantity
    covered = sum((quantity if order.size is None else order.size for order in orders), Decimal(0))
    if covered >= quantity:
        return ""
    why = "; ".join(whys) or f"the policy's tranches come to {ladders.sums_to(made):%}"
    return f"its stops are for {covered} of {quantity} contracts ({why})"


# What was wanted before: I11, I23


def _latch(ladder: _Asked, rungs: tuple[Rung, ...], at: At) -> None:
    places = at.memory.latched.setdefault(ladder.id, {}) if rungs else {}
    for rung in rungs:
        place = rung.tranche - ladder.first
        known = places.get(place)
        price = rung.trigger_price if known is None else at.tighter(rung.trigger_price, known.trigger_price)
        places[place] = LatchedStop(
            rule=ladder.rule,
            tranche=rung.tranche,
            ladder=ladder.shares,
            place=place,
            trigger_price=price,
            price_type=rung.price_type,
            on_unprotected=rung.on_unprotected,
        )


def _adopt(at: At) -> None:
    """Nothing is remembered of this episode: what rests as ours, and is no older than it, is the least there is (I8, I11)."""
    opened_ms = at.held.position.opened_ms
    own = [plan for plan in at.own(STOP) if opened_ms is None or plan.created_ms >= opened_ms]
    if at.memory.latched or not own:
        return
    shape = tuple(ladders.WHOLE if plan.size is None else ladders.ZERO for plan in own)
    at.memory.latched[LATCHED, 0, shape] = {
        place: LatchedStop(
            rule=LATCHED,
            tranche=place,
            ladder=shape,
            place=place,
            trigger_price=plan.trigger_price,
            price_type=plan.price_type,
            on_unprotected=OnUnprotected.ALERT,
            size=plan.size,
        )
        for place, plan in enumerate(own)
    }


def _latched_only(asked: list[_Asked], made: list[Ladder], at: At) -> Iterator[Ladder]:
    """Ladders that nobody asks for now and that stay as they were for the episode."""
    now = {ladder.id for ladder in asked}
    taken = {(rung.rule, rung.tranche) for ladder in made for rung in ladder.rungs}
    for (rule, first, shares), places in list(at.memory.latched.items()):
        if (rule, first, shares) in now:
            continue
        rungs: list[Rung] = []
        done = ladders.done_places(at.memory.filled, rule, STOP, shares, first)
        for stop in places.values():
            price = _kept(stop, at)
            if price is None or stop.place in done:
                continue
            name, tranche = (rule, stop.tranche) if (rule, stop.tranche) not in taken else (LATCHED, len(taken))
            taken.add((name, tranche))
            rungs.append(
                Rung(
                    rule=name,
                    tranche=tranche,
                    trigger_price=clear(price, at),
                    share=shares[stop.place],
                    price_type=stop.price_type,
                    size=stop.size,
                )
            )
        yield _ladder(tuple(rungs), rule, first, shares, STOP, at)


def _ladder(
    rungs: tuple[Rung, ...], rule: RuleName, first: int, shares: tuple[Decimal, ...], kind: ProtectionKind, at: At
) -> Ladder:
    """With what filled of it already, and what others' tranches closed beside."""
    contracts = _filled_contracts(at, kind)
    done = ladders.done_places(contracts, rule, kind, shares, first)
    own = sum(
        (contracts.get(slot_name(rule, kind, first + place), ladders.ZERO) for place in range(len(shares))),
        ladders.ZERO,
    )
    return Ladder(
        rungs=rungs,
        done=sum((shares[place] for place in done), ladders.ZERO),
        closed_by_others=sum(contracts.values(), ladders.ZERO) - own,
    )


def _filled_contracts(at: At, kind: ProtectionKind) -> Mapping[RuleName, Decimal]:
    word = f"/{kind}/"
    return {slot: each.size for slot, each in at.memory.filled.items() if word in slot}


def _named(orders: tuple[WantedOrder, ...], made: list[Ladder]) -> tuple[WantedOrder, ...]:
    """A stop that only what rests asks for goes on under the name of a rule that asks for one too, with that rule's choices."""
    used = {(order.rule, order.tranche) for order in orders}
    free = [
        rung
        for ladder in made
        for rung in ladder.rungs
        if rung.rule != LATCHED and (rung.rule, rung.tranche) not in used
    ]
    named: list[WantedOrder] = []
    for order in orders:
        if order.rule == LATCHED and free:
            rung = free.pop(0)
            order = replace(order, rule=rung.rule, tranche=rung.tranche, on_unprotected=rung.on_unprotected)
        named.append(order)
    return tuple(named)


# Take-profits


def _profits(rules: tuple[PolicyRule, ...], at: At) -> tuple[tuple[WantedOrder, ...], tuple[str, ...]]:
    """The nearest take-profits; they follow the entry. One that the mark has passed isn't placed, and stays where it rests."""
    made: list[Ladder] = []
    notes: list[str] = []
    for rule in rules:
        first = 0
        for tranches in _profit_ladders(rule):
            shares = tuple(each.size for each in tranches)
            rungs: list[Rung] = []
            for place, action in enumerate(tranches):
                if slot_name(rule.name, PROFIT, first + place) in at.memory.filled:
                    continue
                price, note = _profit(rule.name, action, at, place)
                notes.extend([f"{rule.name}: {note}"] if note else [])
                if price is not None:
                    rungs.append(
                        Rung(
                            rule=rule.name,
                            tranche=first + place,
                            trigger_price=price,
                            share=action.size,
                            price_type=action.price_type,
                        )
                    )
            made.append(_ladder(tuple(rungs), rule.name, first, shares, PROFIT, at))
            first += len(tranches)
    held = ladders.Held(
        quantity=at.held.position.quantity, largest=at.held.episode.largest_quantity, instrument=at.instrument
    )
    return ladders.joined(made, held, PROFIT, at.sign), tuple(notes)


def _profit_ladders(rule: PolicyRule) -> Iterator[tuple[TakeProfit, ...]]:
    tranches: list[TakeProfit] = []
    for action in rule.then:
        if not isinstance(action, TakeProfit):
            continue
        if tranches and not action.tranche:
            yield tuple(tranches)
            tranches = []
        tranches.append(action)
    if tranches:
        yield tuple(tranches)


def _profit(rule: RuleName, action: TakeProfit, at: At, place: int) -> tuple[Decimal | None, str]:
    prices = [price for trigger in action.triggers if (price := price_of(rule, trigger, PROFIT, at, place=place))]
    rounded = [at.instrument.price_down(price) if at.sign > 0 else at.instrument.price_up(price) for price in prices]
    rounded = sorted((price for price in rounded if price > 0), key=lambda price: at.sign * price)
    resting = {plan.trigger_price for plan in at.own(PROFIT)}
    for price in rounded:
        if at.sign * (price - at.risk.mark) > 0 or price in resting:
            return price, ""
    if not rounded:
        return None, "its take-profit can't be computed"
    return None, f"the mark {at.risk.mark} has passed its take-profit {rounded[-1]}"

"""Several stops, or take-profits, of one position made one ladder (interfaces.md 2.4 "Ladders", 2.5).

Each rule's tranches ask for a sum: by the time the price has come as far as this rung, so many contracts shall be closed. The
ladders of several rules are joined rung by rung to the largest of their sums, so that what rests is never looser than any single
rule asks, and never more than one of them does. A tranche that filled is done; what another rule's tranches closed counts for
each rule. Shares are of the episode's largest quantity; an addition makes what is left of a ladder one of what is held then.

Sizes are on step, rounded up together: the last rung of a whole ladder takes everything that is left. A rung too small for the
venue goes with the one before it, which fires earlier.
"""

from collections.abc import Container, Iterable, Sequence
from decimal import Decimal

from msgspec import Struct

from guardd.model.decision import OnUnprotected, WantedOrder, slot_name
from guardd.model.instrument import Instrument
from guardd.model.names import PriceType, RuleName
from guardd.model.order import ProtectionKind

WHOLE = Decimal(1)
ZERO = Decimal(0)


class Rung(Struct, frozen=True, kw_only=True):
    """One tranche with its price. `size`: contracts; None: `share` of the ladder's base."""

    rule: RuleName
    tranche: int
    trigger_price: Decimal
    share: Decimal
    price_type: PriceType
    on_unprotected: OnUnprotected = OnUnprotected.ALERT
    size: Decimal | None = None


class Ladder(Struct, frozen=True, kw_only=True):
    """The rungs of one rule that can be placed or rest, in any order. `done`: shares of its tranches that filled.

    `closed_by_others`: contracts that tranches of other rules closed, and this rule's needn't close again.
    """

    rungs: tuple[Rung, ...]
    done: Decimal = ZERO
    closed_by_others: Decimal = ZERO


class Held(Struct, frozen=True, kw_only=True):
    """What the shares are of."""

    quantity: Decimal
    largest: Decimal
    """In the episode."""
    instrument: Instrument


class _Need(Struct, frozen=True):
    """By this rung so many contracts shall be closed; `all`: everything that is held."""

    rung: Rung
    contracts: Decimal
    all: bool


def joined(ladders: Sequence[Ladder], held: Held, kind: ProtectionKind, sign: int) -> tuple[WantedOrder, ...]:
    """The orders that shall rest, those that fire first first. `sign`: +1 for a long, -1 for a short."""
    nearest = -sign if kind is ProtectionKind.STOP_LOSS else sign
    needs = [need for ladder in ladders for need in _needs(ladder, held, nearest)]
    needs.sort(
        key=lambda need: (
            nearest * need.rung.trigger_price,
            -need.contracts,
            not need.all,
            need.rung.rule,
            need.rung.tranche,
        )
    )
    taken: list[tuple[_Need, Decimal]] = []
    covered, least = ZERO, min(held.instrument.min_size, held.quantity)
    for need in needs:
        more = need.contracts - covered
        if more <= 0:
            continue
        if more < least and taken:
            before, size = taken[-1]
            taken[-1] = (before, size + more)
        else:
            more = max(more, least)
            taken.append((need, more))
        covered = min(covered + more, held.quantity)
    rest = held.quantity - covered
    if taken and 0 < rest < least:
        taken[-1] = (taken[-1][0], taken[-1][1] + rest)
    whole = len(taken) == 1 and taken[0][1] >= held.quantity and any(need.all for need in needs)
    return tuple(_order(need.rung, kind, None if whole else size) for need, size in taken)


def sums_to(ladders: Iterable[Ladder]) -> Decimal:
    """The largest share that one ladder covers of what is held; 1: all of it."""
    return max((sum((rung.share for rung in ladder.rungs), ladder.done) for ladder in ladders), default=ZERO)


def _needs(ladder: Ladder, held: Held, nearest: int) -> list[_Need]:
    left = WHOLE - ladder.done
    if left <= 0:
        return []
    base = max(held.largest, held.quantity / left)
    share, fixed = ladder.done, ZERO
    found: list[_Need] = []
    for rung in sorted(ladder.rungs, key=lambda rung: (nearest * rung.trigger_price, rung.tranche)):
        if rung.size is not None:
            fixed += rung.size
        else:
            share += rung.share
        everything = share >= WHOLE
        exact = (share - ladder.done) * base + fixed - ladder.closed_by_others
        contracts = held.quantity if everything else held.instrument.size_up(_exactly(exact))
        contracts = min(max(contracts, ZERO), held.quantity)
        found.append(
            _Need(rung=rung, contracts=contracts, all=everything or (fixed > 0 and contracts >= held.quantity))
        )
    return found


def _exactly(contracts: Decimal) -> Decimal:
    """Without what divisions leave behind in the last digits: a third of three contracts is one, not one and a trace."""
    return contracts.quantize(Decimal("1e-12")) if abs(contracts) < Decimal("1e15") else contracts


def _order(rung: Rung, kind: ProtectionKind, size: Decimal | None) -> WantedOrder:
    return WantedOrder(
        kind=kind,
        rule=rung.rule,
        tranche=rung.tranche,
        trigger_price=rung.trigger_price,
        price_type=rung.price_type,
        size=size,
        on_unprotected=rung.on_unprotected,
    )


def done_places(
    slots: Container[RuleName], rule: RuleName, kind: ProtectionKind, shares: Sequence[Decimal], first: int
) -> frozenset[int]:
    """Which tranches of a ladder are done: those that filled. The last stop of a whole ladder is for all that is left, and stays
    in force for what is held after it: nothing that is added then goes without a stop."""
    done = frozenset(place for place in range(len(shares)) if slot_name(rule, kind, first + place) in slots)
    if kind is ProtectionKind.STOP_LOSS and len(done) == len(shares) and sum(shares, ZERO) >= WHOLE:
        return done - {len(shares) - 1}
    return done

"""What the policy asks to rest, by what is true: how tight a stop is at least, how many orders of a kind there are (I5)."""

from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final

from guardd.policy.language import Policy, PolicyRule, StopLoss, TakeProfit, TrailStop, Trigger, TriggerKind
from guardd.simulator.records import PositionView

LOOSER_BY: Final = Decimal("0.005")
"""A stop follows in steps of 0.1 % of its price, at most each 5 s, by figures that venues round."""


def tranches_of(policy: Policy | None, account: str, kinds: tuple[type, ...]) -> int:
    """How many orders of one kind and generation an account's rules ask for on one leg: ladders are joined rung by rung."""
    if policy is None:
        return 1
    rules = [rule for rule in policy.rules if rule.match.account in (None, account)]
    return max([sum(isinstance(each, kinds) for each in rule.then) for rule in rules] + [1])


def stops_of(policy: Policy | None, account: str) -> int:
    return tranches_of(policy, account, (StopLoss, TrailStop))


def profits_of(policy: Policy | None, account: str) -> int:
    return tranches_of(policy, account, (TakeProfit,))


def loosest(policy: Policy, account: str, venue: str, view: PositionView) -> Decimal | None:
    """The price at which a stop for all of it rests at the loosest, some slack included; None: that can't be told.

    Of a list the nearest to the mark goes that can be computed, so each that can be is a bound of its own. One that was fixed at
    the first placing, or that isn't strictly between the liquidation price and the mark, tells nothing.
    """
    nearest = _nearest(policy, account, venue, view, frozenset(TriggerKind))
    return None if nearest is None else nearest - view.side.sign * LOOSER_BY * view.mark_price


def exact(policy: Policy, account: str, venue: str, view: PositionView) -> Decimal | None:
    """The same to the last digit, by the triggers that no venue's rounding moves: the entry price and a fixed one."""
    return _nearest(policy, account, venue, view, frozenset({TriggerKind.FROM_ENTRY, TriggerKind.PRICE}))


def all_passed(policy: Policy, account: str, venue: str, view: PositionView, *, fired: Decimal | None) -> bool:
    """The mark is through every price that a stop of the policy's could have: none can rest any more (2.4, `if_passed`).

    `fired`: where the stop of this life lay that has fired. While the mark is through it, it is through what hung on it before.
    """
    rules = [rule for rule in policy.rules if rule.when is None and _about(rule, account, venue, view)]
    actions = [action for rule in rules for action in rule.then]
    prices = [
        _price(trigger, view) for action in actions if isinstance(action, StopLoss) for trigger in action.triggers
    ]
    sign, mark, trails = view.side.sign, view.mark_price, any(isinstance(each, TrailStop) for each in actions)
    known = [price for price in prices if price is not None]
    through = fired is not None and sign * (mark - fired) <= 0
    told = len(known) == len(prices) > 0 and not trails
    return (told or through) and all(sign * (mark - price) <= 0 for price in known)


def share_passed(policy: Policy, account: str, venue: str, view: PositionView) -> Decimal:
    """Of a ladder alone: the share of the tranches whose every price the mark is through. Those can't rest any more (2.4)."""
    rules = [rule for rule in policy.rules if rule.when is None and _about(rule, account, venue, view)]
    stops = [action for rule in rules for action in rule.then if isinstance(action, StopLoss | TrailStop)]
    ladder = [each for each in stops if isinstance(each, StopLoss) and each.size < 1]
    if len(ladder) < len(stops):
        return Decimal(0)
    return sum((each.size for each in ladder if _is_passed(each, view)), Decimal(0))


def _is_passed(stop: StopLoss, view: PositionView) -> bool:
    prices = [_price(trigger, view) for trigger in stop.triggers]
    return all(price is not None and view.side.sign * (view.mark_price - price) <= 0 for price in prices)


def _nearest(
    policy: Policy, account: str, venue: str, view: PositionView, kinds: frozenset[TriggerKind]
) -> Decimal | None:
    found = [
        price
        for rule in policy.rules
        if rule.when is None and _about(rule, account, venue, view)
        for action in rule.then
        if isinstance(action, StopLoss) and action.size == 1
        for trigger in action.triggers
        if trigger.kind in kinds and (price := _price(trigger, view)) is not None and _between(price, view)
    ]
    if not found:
        return None
    return max(found) if view.side.sign > 0 else min(found)


def _about(rule: PolicyRule, account: str, venue: str, view: PositionView) -> bool:
    match = rule.match
    return (
        match.account in (None, account)
        and match.venue in (None, venue)
        and (match.side is None or match.side.value == view.side.value)
        and (match.margin_mode is None or match.margin_mode.value == view.margin_mode.value)
        and any(fnmatchcase(view.symbol, pattern) for pattern in match.symbols)
    )


def _price(trigger: Trigger, view: PositionView) -> Decimal | None:
    sign, entry, bound = view.side.sign, view.entry_price, view.liquidation_price
    match trigger.kind:
        case TriggerKind.FROM_ENTRY:
            return entry * (1 + sign * trigger.value)
        case TriggerKind.LIQUIDATION_BUFFER:
            return None if bound is None else bound + trigger.value * (entry - bound)
        case TriggerKind.PRICE:
            return trigger.value
        case TriggerKind.FROM_MARK:
            return None


def _between(price: Decimal, view: PositionView) -> bool:
    sign, bound = view.side.sign, view.liquidation_price
    through = sign * (view.mark_price - price) <= LOOSER_BY * view.mark_price
    beyond = bound is not None and sign * (price - bound) <= LOOSER_BY * view.mark_price
    return not through and not beyond

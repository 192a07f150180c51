"""What is shown of each position, kept as long as nothing about it is other than it was."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, takewhile
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.decision import Protect
from guardd.model.facts import PositionView, RestingView, RuleAhead
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.names import EpisodeId, PositionKey, RuleName
from guardd.model.order import PlanOrder, ProtectionKind
from guardd.model.position import Position
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState, Held
from guardd.risk.assess import PositionRisk
from guardd.risk.cover import MOVE_PACE_S, Cover, cover

SHOWN_RATIO: Final = Decimal("0.000001")
_LATELY_S: Final = MOVE_PACE_S + 2
"""A little longer than a stop that was just moved is judged by other measures (`risk.cover`)."""


class Seen(Struct, frozen=True, kw_only=True):
    """What the last review found out about one position."""

    risk: PositionRisk
    cover: Cover
    next_rule: RuleName | None
    next_rule_at: Reading
    rules_ahead: tuple[RuleAhead, ...] = ()
    view: PositionView | None = None
    """What people are shown of it, where it was made already."""


@dataclass(slots=True, kw_only=True)
class _Kept:
    """What was shown of a position, and what it was made from."""

    seen: Seen
    position: Position
    wish: Protect | None
    plans: tuple[PlanOrder, ...]
    ours: tuple[bool, ...]
    """Which of the plans."""
    instrument: Instrument | None
    fresh: bool
    owned: int
    """How many orders of ours were known."""


class Shown:
    """Kept by one lookout."""

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self._kept: dict[PositionKey, _Kept] = {}
        self._turn: Iterator[PositionKey] = iter(())
        self._fresh = False
        self._owned = 0
        self._lately: frozenset[EpisodeId] = frozenset()
        """Lives in which something was done a moment ago: of these everything is judged anew."""

    def begin(self, *, fresh: bool, now: Instant) -> None:
        """Another look. `fresh`: the lists of orders are young enough."""
        state = self._state
        self._fresh = fresh
        self._owned = len(state.known_client_ids) + len(state.own_order_ids)
        lately = takewhile(lambda each: now.seconds_since(each.at) <= _LATELY_S, reversed(state.finished))
        self._lately = frozenset(each.intent.episode for each in lately)

    def next_in_turn(self, count: int) -> list[Held]:
        """The next so many positions; what is kept of them is shown no more."""
        found = list(islice(self._turn, count))
        if len(found) < count:
            self._turn = iter(list(self._kept))
            found += [key for key in islice(self._turn, count - len(found)) if key not in found]
        for key in found:
            self._kept.pop(key, None)
        return [held for key in found if (held := self._state.held.get(key)) is not None]

    def standing(
        self, held: Held, risk: PositionRisk, wish: Protect | None, rules_ahead: tuple[RuleAhead, ...]
    ) -> Seen | None:
        """What was shown, if it would be the same now but for the seconds unprotected; None: it may be another."""
        kept = self._kept.get(held.key)
        if kept is None or kept.seen.risk is not risk or kept.wish is not wish or kept.position is not held.position:
            return None
        plans = self._state.plans_on(held.key)
        if kept.plans is not plans or kept.fresh is not self._fresh:
            return None
        if kept.owned != self._owned:
            if kept.ours != self._ours(plans):
                return None
            kept.owned = self._owned
        same = kept.seen.rules_ahead is rules_ahead and held.episode.id not in self._lately
        return kept.seen if same and kept.instrument is self._state.instruments.get(held.key.symbol) else None

    def cover(self, held: Held, risk: PositionRisk, wish: Protect | None, now: Instant) -> Cover:
        return cover(self._state, held, risk, wanted=wish.wanted if wish is not None else (), now=now)

    def keep(self, held: Held, wish: Protect | None, seen: Seen, unprotected_s: float) -> Seen:
        """The same with what people are shown of it."""
        whole = replace(seen, view=position_view(self._state, held, seen, unprotected_s))
        plans = self._state.plans_on(held.key)
        self._kept[held.key] = _Kept(
            seen=whole,
            position=held.position,
            wish=wish,
            plans=plans,
            ours=self._ours(plans),
            instrument=self._state.instruments.get(held.key.symbol),
            fresh=self._fresh,
            owned=self._owned,
        )
        return whole

    def _ours(self, plans: tuple[PlanOrder, ...]) -> tuple[bool, ...]:
        return tuple(self._state.owns(plan) for plan in plans)

    def forget(self, key: PositionKey) -> None:
        self._kept.pop(key, None)


def position_view(state: AccountState, held: Held, seen: Seen | None, unprotected_s: float) -> PositionView:
    position, risk = held.position, seen.risk if seen is not None else None
    unknown: Reading = Absent.UNKNOWN
    return PositionView(
        key=held.key,
        margin_mode=position.margin_mode,
        leverage=position.leverage,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=risk.mark if risk is not None else position.mark_price,
        liquidation_price=_price(state, held, risk.liquidation if risk is not None else position.liquidation_price),
        own_liquidation_price=_price(state, held, risk.own_liquidation if risk is not None else unknown),
        liquidation_drift=shown_ratio(risk.drift) if risk is not None else unknown,
        distance_to_liquidation=shown_ratio(risk.distance_to_liquidation) if risk is not None else unknown,
        notional=risk.notional if risk is not None else position.notional,
        unrealized_pnl=risk.unrealized_pnl if risk is not None else position.unrealized_pnl,
        protected=seen.cover.protected if seen is not None else False,
        protection_note=seen.cover.note if seen is not None else _why_not_seen(state, held),
        unprotected_s=unprotected_s,
        stop_loss=_nearest(state, held, ProtectionKind.STOP_LOSS),
        take_profit=_nearest(state, held, ProtectionKind.TAKE_PROFIT),
        next_rule=seen.next_rule if seen is not None else None,
        next_rule_at=seen.next_rule_at if seen is not None else unknown,
        rules_ahead=seen.rules_ahead if seen is not None else (),
    )


def _why_not_seen(state: AccountState, held: Held) -> str:
    why = state.why_unguarded(held.key.symbol)
    return f"not guarded: {why}" if why else "not assessed yet"


def _price(state: AccountState, held: Held, price: Reading) -> Reading:
    """On tick, towards the mark: what is shown is never further away than what is reckoned with."""
    instrument = state.instruments.get(held.key.symbol)
    if instrument is None or not is_value(price):
        return price
    return instrument.price_up(price) if held.key.side.sign > 0 else instrument.price_down(price)


def shown_ratio(ratio: Reading) -> Reading:
    return ratio.quantize(SHOWN_RATIO) if is_value(ratio) else ratio


def _nearest(state: AccountState, held: Held, kind: ProtectionKind) -> RestingView | None:
    """The resting order of this kind that fires first."""
    plans = [plan for plan in state.plans_of(held.key) if plan.protection is kind]
    if not plans:
        return None
    fires_first_at_highest = (held.key.side.sign > 0) == (kind is ProtectionKind.STOP_LOSS)

    def order(plan: PlanOrder) -> Decimal:
        return -plan.trigger_price if fires_first_at_highest else plan.trigger_price

    plan = min(plans, key=lambda each: (order(each), each.order_id))
    return RestingView(trigger_price=plan.trigger_price, order_id=plan.order_id, ours=state.owns(plan))

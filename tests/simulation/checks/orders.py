"""What the guard's orders did to the account: I1 to I7, I11, I13, I15 to I18. Asked of each ledger row as it is written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from guardd.policy.language import Policy
from guardd.simulator.ledger import LedgerRow, RowKind
from guardd.simulator.orders import PositionSide
from guardd.simulator.refusals import RefusalReason
from tests.simulation.checks.ground import OURS, WHOLE, ZERO, Ground, LegKey, Resting, told
from tests.simulation.checks.wanted import exact

NEAR: Final = Decimal("0.001")
SHAPE: Final = {RefusalReason.PRICE_PRECISION, RefusalReason.SIZE_PRECISION}
"""I18: what a venue says of a price or size that is off its grid."""
RESIZED_WITHIN_S: Final = 20.0
"""A quantity that shrank is known to the guard, and its orders re-sized, within a reconciliation and two requests."""
GRID_KNOWN_S: Final = 90.0
"""A contract that changed is known again within the reads of a minute."""
SHAPE_LEARNT_S: Final = 2.0
"""What a refusal for its shape teaches is read and used in that time."""
SEEN_S: Final = 3.0
"""A decision and its request's way: the mark that a stop was right for may be that old when it arrives."""
GAP_S: Final = 6.0
"""Where a venue forbids two stops at once the gap is one request's deadline (I3)."""
VOLUME_S: Final = 30.0
"""A close that waits for volume has been tried within so long."""
FINISHED_S: Final = 20.0
"""What a stop left when it fired, because others held the volume or the book was thin, is closed in that time."""
DAY_S: Final = 86_400.0


@dataclass(slots=True)
class Orders:
    """`row` for each row; `by_guard`: the row came of a request of the guard, not of the trader, the market or the venue."""

    ground: Ground
    on_fill: Callable[[LedgerRow, LegKey, float], None]
    kindest_end: Callable[[LegKey, float, float], Decimal | None] | None = None
    """The liquidation price of a leg by the kindest marks since a moment, with what is held now."""
    unread_since: Callable[[float], float | None] | None = None
    """Since when a block has held the guard's reads back; None: none does."""
    alone: bool = True
    """No second guard, which makes the same ids of the same decisions: one extra step is what it may take (I14)."""
    aside: bool = False
    """Its guards only look on (I14)."""
    tranches: int = 1
    profits: int = 1
    """How many stops and take-profits of one generation the policy asks for on one leg."""
    closes: int = 0
    stops: int = 0
    most_stops: int = 0
    closing_at: dict[LegKey, float] = field(default_factory=dict)
    """When the guard last meant to make a leg smaller."""
    freed: set[str] = field(default_factory=set)
    """Orders that the guard told it would cancel for the volume that they hold."""
    slots: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By intent of a protective order: the episode and the tranche that the guard means it for."""
    _plans_owner: dict[str, str] = field(default_factory=dict)
    _foreign: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of plans that aren't ours: trigger and size."""
    _tightest: dict[tuple[str, PositionSide, int], Decimal] = field(default_factory=dict)
    _given: dict[str, Decimal] = field(default_factory=dict)
    """By plan: the trigger that the guard last gave a stop of its own and didn't take back itself."""
    _accepted: set[str] = field(default_factory=set)
    _began: dict[str, Decimal] = field(default_factory=dict)
    """By order of ours: what was held before its first fill. It is one step, however many slices the book gives it."""
    _leverage: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    _money: list[tuple[float, Decimal]] = field(default_factory=list)
    _gaps: dict[LegKey, tuple[float, str]] = field(default_factory=dict)
    """Legs whose stop the guard itself ended without another there, since when."""
    _shape_told: dict[tuple[str, float], float] = field(default_factory=dict)
    """By contract and when contracts last changed: when the venue first refused something for its shape since."""
    _fired: dict[LegKey, tuple[float, Decimal]] = field(default_factory=dict)
    """Legs whose stop for the whole of them has fired, or failed: when, and where it lay."""

    def row(self, row: LedgerRow, now: float, *, by_guard: bool) -> None:
        match row.kind:
            case RowKind.ORDER_ACCEPTED if _ours(row):
                self._order(row, now)
            case RowKind.PLAN:
                self._plan(row, now, by_guard=by_guard)
            case RowKind.FILL:
                self._fill(row, now)
            case RowKind.ORDER_CHANGED if by_guard:
                self._changed(row, now)
            case RowKind.SETTING:
                self._setting(row, now, by_guard=by_guard)
            case RowKind.FLOW if by_guard and row.details["flow"] == "transfer":
                self._money_moved(row.decimal("amount"), now, row)
            case RowKind.REFUSED if by_guard:
                self._refused(row, now)
            case _:
                pass

    def settle(self, now: float) -> None:
        """After all rows of one request or price: what may not stand between two of them."""
        for key, (at, trigger) in list(self._fired.items()):
            leg, sign = self.ground.legs.get(key), key[1].sign
            anew = leg is not None and (leg.opened_at >= at or leg.grew_at > at)
            if leg is None or not leg.size or anew or self._held((key[0], key[1].opposite)):
                del self._fired[key]  # of a hedge one leg alone isn't closed where that raises the net exposure (I15)
            elif now - at > FINISHED_S and self.ground.quiet(now, for_s=FINISHED_S) and not self.aside:
                del self._fired[key]
                if not any(sign * (each.trigger - trigger) >= 0 for each in self.ground.stops(key, ours=True)):
                    text = f"{leg.size} of {key[0]} {key[1]} is held {now - at:.0f} s after its stop at {trigger} fired"
                    self.ground.breach("I11", now, text)
        for key, (since, text) in list(self._gaps.items()):
            leg = self.ground.legs.get(key)
            if leg is None or not leg.size or self.ground.covered(key) > 0 or leg.shrank_at >= since:
                del self._gaps[key]
            elif now - since > GAP_S:
                del self._gaps[key]
                self.ground.breach("I3", now, f"{now - since:.1f} s without a stop that the guard had ended: {text}")

    # Orders

    def _order(self, row: LedgerRow, now: float) -> None:
        if row.details["reduce"] is not True:
            self.ground.breach("I1", now, f"an order of ours may open: {told(row)}")
        self._once(str(row.details["client_id"]), row, now)
        self._on_grid(row, now)
        side = PositionSide.LONG if row.details["side"] == "sell" else PositionSide.SHORT
        held = self._held((row.symbol, side))
        rests = sum(
            (each.rest for each in self.ground.working.values() if (each.symbol, each.side) == (row.symbol, side)), ZERO
        )
        if rests > held:
            self.ground.breach("I1", now, f"closes of {rests} are under way against {held} held: {told(row)}")

    def _once(self, client_id: str, row: LedgerRow, now: float) -> None:
        if client_id in self._accepted and self.alone:
            self.ground.breach("I7", now, f"{client_id} was accepted twice: {told(row)}")
        self._accepted.add(client_id)

    def _fill(self, row: LedgerRow, now: float) -> None:
        mine = _ours(row)
        owner = row.details["client_id"] if mine else self._plans_owner.get(str(row.details["plan_id"]), "")
        if not str(owner).startswith(OURS):
            return
        before, after = row.decimal("before"), row.decimal("after")
        if abs(after) > abs(before) or before * after < 0:
            self.ground.breach("I2", now, f"a fill of ours enlarged or turned the position: {told(row)}")
        if not mine:
            self.stops += 1
            return
        self.closes += 1
        self._steps_down(row, now)
        self.on_fill(row, (row.symbol, _side_of(row)), now)

    def _steps_down(self, row: LedgerRow, now: float) -> None:
        """I15, of one closing fill: the net exposure of a cross hedge doesn't grow, and what is left is no nearer to its end."""
        side = _side_of(row)
        other = self._held((row.symbol, side.opposite))
        before, after = abs(row.decimal("before")), abs(row.decimal("after"))
        began = self._began.setdefault(str(row.details["order_id"]), before)
        twin = self.ground.position((row.symbol, side.opposite))
        cross = twin is not None and twin.margin_mode.value == "cross"
        unread = self.unread_since(now) if self.unread_since is not None else None
        if other and cross and all(abs(after - each) > abs(began - each) for each in self._had(row, side, unread)):
            self.ground.breach(
                "I15", now, f"the net exposure grew from {began - other} to {after - other}: {told(row)}"
            )
        if not after or other or row.details.get("liquidation_price") is None:
            return
        view = self.ground.exchange.query.position(self.ground.uid, row.symbol, side)
        if view is None or view.liquidation_price is None or not view.size:
            return
        mark, then = row.decimal("mark"), row.decimal("liquidation_price")
        was, is_now = side.sign * (mark - then) / mark, side.sign * (mark - view.liquidation_price) / mark
        if is_now < was - NEAR:
            self.ground.breach(
                "I15", now, f"the distance to liquidation fell from {was:.5f} to {is_now:.5f}: {told(row)}"
            )

    def _had(self, row: LedgerRow, side: PositionSide, since: float | None) -> list[Decimal]:
        """What the other leg is; and what it was while a block held the reads back: the last confirmed quantity serves (2.3)."""
        leg = self.ground.legs[row.symbol, side.opposite]
        if since is None:
            return [leg.size]
        before = [size for at, size in leg.sizes if at <= since][-1:] or [ZERO]
        return [leg.size, *before, *(size for at, size in leg.sizes if at > since)]

    def _changed(self, row: LedgerRow, now: float) -> None:
        """I13: of other people's orders only entries go, and closes that hold the volume of one of ours."""
        if row.details["action"] != "cancel" or row.details["cause"] != "user" or _ours(row):
            return
        if row.details["plan_id"] or not row.details["reduce"]:
            return
        side = PositionSide.LONG if row.details["side"] == "sell" else PositionSide.SHORT
        told_of = str(row.details["order_id"]) in self.freed
        if not told_of and now - self.closing_at.get((row.symbol, side), -1e9) > VOLUME_S:
            self.ground.breach("I13", now, f"the guard cancelled a close that isn't its own: {told(row)}")

    # Plans

    def _plan(self, row: LedgerRow, now: float, *, by_guard: bool) -> None:
        owner = self.ground.owner_of(row)
        plan_id, action = str(row.details["plan_id"]), str(row.details["action"])
        self._plans_owner[plan_id] = owner
        if not owner.startswith(OURS):
            shape = str(row.details["trigger_price"]), str(row.details["size"])
            same = (
                self._foreign.get(plan_id) == shape
            )  # a leg of ours joined its object, as a venue with one object asks
            self._foreign[plan_id] = shape
            changed = action == "cancelled" or (action == "modified" and not same)
            if by_guard and changed and row.details["reduce"]:
                self.ground.breach("I13", now, f"the guard changed a plan that isn't its own: {told(row)}")
            return
        key = (row.symbol, PositionSide(str(row.details["position_side"])))
        if by_guard and action == "cancelled":
            self._given.pop(plan_id, None)
        match action:
            case "placed":
                if row.details["client_id"]:
                    self._once(f"{row.details['client_id']}/{row.details['plan_kind']}", row, now)
                self._rests(row, key, now, by_guard=by_guard)
            case "modified":
                self._rests(row, key, now, by_guard=by_guard)
            case "cancelled" if by_guard and row.details["protects"] and self._held(key):
                self._gaps.setdefault(key, (now, told(row)))
            case "triggered" | "failed" if self.tranches > 1:
                self._forget(key)  # this tranche is done: the others stand where they are
            case "triggered" | "failed" if row.details["protects"] and row.details["size"] is None:
                self._forget(key)  # what it left is closed; until then what stands may be further off
                self._fired[key] = (now, row.decimal("trigger_price"))
            case _:
                pass

    def _forget(self, key: LegKey) -> None:
        for episode in [each for each in self._tightest if each[:2] == key]:
            del self._tightest[episode]

    def _rests(self, row: LedgerRow, key: LegKey, now: float, *, by_guard: bool) -> None:
        """A protective order of ours came to rest or was moved. What the exchange itself re-sizes is its own affair."""
        if row.details["reduce"] is not True:
            self.ground.breach("I1", now, f"a plan of ours may open: {told(row)}")
        if not by_guard and row.details["action"] == "modified":
            return
        self._on_grid(row, now)
        mine = [each for each in self.ground.resting.get(key, {}).values() if each.ours]
        self._generations(row, key, mine, now)
        if row.details["plan_kind"] != "take_profit" and row.details["protects"]:
            self._stop(row, key, now)

    def _generations(self, row: LedgerRow, key: LegKey, mine: list[Resting], now: float) -> None:
        """I1 and I5: no order above what is held, two generations of one kind at most."""
        there = self.ground.resting[key].get(str(row.details["plan_id"]))
        kind = "take_profit" if there is not None and there.kind == "take_profit" else "stop"
        same = [each for each in mine if (each.kind == "take_profit") == (kind == "take_profit")]
        leg = self.ground.legs.get(key)
        held = leg.size if leg is not None else ZERO
        if kind == "stop":
            self.most_stops = max(self.most_stops, len(same))
        settled = leg is not None and now - leg.shrank_at > RESIZED_WITHIN_S and self.ground.quiet(now)
        whole = [min(each.size, held) for each in same]
        too_much = settled and sum(whole, ZERO) > 2 * held  # an older generation is as large as what was held then
        if len(same) > 2 * (self.tranches if kind == "stop" else self.profits) or too_much:
            self.ground.breach("I5", now, f"{len(same)} {kind}s of ours rest at once on {key[0]} {key[1]}: {told(row)}")
        size = WHOLE if row.details["size"] is None else row.decimal("size")
        if size is not WHOLE and size > held and settled:
            self.ground.breach("I1", now, f"a {kind} of {size} against {held} held: {told(row)}")

    def _stop(self, row: LedgerRow, key: LegKey, now: float) -> None:
        side = key[1]
        position = self.ground.position(key)
        if position is None or not position.size:
            return
        trigger = row.decimal("trigger_price")
        recent = [row.decimal("mark"), *self.ground.marks_since(row.symbol, now - SEEN_S)]
        if all(side.sign * (mark - trigger) <= 0 for mark in recent):
            self.ground.breach("I4", now, f"a stop at {trigger} with the mark at {recent[0]}: {told(row)}")
        view = self.ground.exchange.query.position(self.ground.uid, *key)
        bound = view.liquidation_price if view is not None else None
        if (
            bound is not None
            and side.sign * (recent[0] - bound) > 0
            and side.sign * (trigger - bound) <= 0
            and self.ground.quiet(now, for_s=SEEN_S)
            and not self._was_clear(key, trigger, now)
        ):
            self.ground.breach("I4", now, f"a stop at {trigger}, liquidation at {bound:.6g}: {told(row)}")
        self._ratchet(row, key, position.opened_ms, trigger, now)
        case, leg = self.ground.case, self.ground.legs.get(key)
        known = leg is not None and now - max(leg.grew_at, leg.shrank_at) > SEEN_S and self.ground.quiet(now)
        if row.details["action"] != "placed" or case is None or view is None or not known or self.tranches > 1:
            return
        asked = exact(case.policy, case.account, case.place, view)
        tick = self.ground.exchange.query.contract(row.symbol).tick
        if asked is not None and side.sign * (trigger - asked) < -tick / 2:
            self.ground.breach(
                "I18", now, f"a stop at {trigger}, {asked:.8g} rounded towards the mark is asked for: {told(row)}"
            )

    def _was_clear(self, key: LegKey, trigger: Decimal, now: float) -> bool:
        """By the marks of a moment ago it lay before the end: in cross the mark of another contract moves the end of this one."""
        bound = self.kindest_end(key, now, now - SEEN_S) if self.kindest_end is not None else trigger
        return bound is None or key[1].sign * (trigger - bound) > 0

    def _ratchet(self, row: LedgerRow, key: LegKey, opened_ms: int, trigger: Decimal, now: float) -> None:
        """I11. Of a ladder the tranches stand apart: there only the tightest of all is asked about."""
        plan_id, episode = str(row.details["plan_id"]), (*key, opened_ms)
        sign, lay = key[1].sign, self._lay(plan_id, key[1])
        self._given[plan_id] = trigger
        known = self._tightest.get(episode)
        if self.tranches > 1 and lay is not None and sign * (trigger - lay) >= 0 and known in self._given.values():
            return  # no further off than its own tranche lay; if another's tighter one is gone beside it, a hand took that
        others = [each.trigger for each in self.ground.stops(key, ours=True) if each.plan_id != plan_id]
        tightest = max([trigger, *others]) if key[1] is PositionSide.LONG else min([trigger, *others])
        new = tightest if self.tranches > 1 else trigger
        if known is not None and not others and sign * (row.decimal("mark") - known) <= 0:
            self._fired[key] = (
                now,
                known,
            )  # the mark is through where it lay: what is held is closed, or it stands there again
            self._tightest[episode] = new
        elif known is not None and sign * (new - known) < 0:
            self.ground.breach("I11", now, f"a stop moved from {known} to {new}: {told(row)}")
        else:
            self._tightest[episode] = new

    def _lay(self, plan_id: str, side: PositionSide) -> Decimal | None:
        """The tightest that the guard gave this plan, or another of the same tranche, and didn't take back itself."""
        slot = self._slot_of(plan_id)
        same = [
            trigger
            for each, trigger in self._given.items()
            if each == plan_id or (slot is not None and self._slot_of(each) == slot)
        ]
        return max(same, key=lambda each: each * side.sign, default=None)

    def _slot_of(self, plan_id: str) -> tuple[str, str] | None:
        return self.slots.get(self._plans_owner.get(plan_id, "").partition("-")[0])

    # Grids, levers, money

    def _on_grid(self, row: LedgerRow, now: float) -> None:
        """I18."""
        contract = self.ground.exchange.query.contract(row.symbol)
        if now - self.ground.contracts_changed_at < GRID_KNOWN_S:
            return
        size = row.details["size"]
        price = row.details["trigger_price"] if row.kind is RowKind.PLAN else row.details["price"]
        if size is not None and Decimal(str(size)) % contract.step:
            self.ground.breach("I18", now, f"a size off the step of {contract.step}: {told(row)}")
        if price is not None and Decimal(str(price)) % contract.tick:
            self.ground.breach("I18", now, f"a price off the tick of {contract.tick}: {told(row)}")

    def _refused(self, row: LedgerRow, now: float) -> None:
        """A contract that changed long ago may be news to a guard that held nothing of it: one refusal tells it."""
        if row.details["reason"] not in {each.value for each in SHAPE}:
            return
        changed_at = self.ground.contracts_changed_at
        known_at = self._shape_told.setdefault((row.symbol, changed_at), now)
        learns = changed_at >= 0 and now < known_at + SHAPE_LEARNT_S
        if now - changed_at >= GRID_KNOWN_S and not learns:
            self.ground.breach("I18", now, f"refused for its shape: {told(row)}")

    def _setting(self, row: LedgerRow, now: float, *, by_guard: bool) -> None:
        if "long_leverage" in row.details:
            new = (row.decimal("long_leverage"), row.decimal("short_leverage"))
            old = self._leverage.get(row.symbol)
            self._leverage[row.symbol] = new
            if by_guard and old is not None and any(now_is > was for now_is, was in zip(new, old, strict=True)):
                self.ground.breach("I17", now, f"the guard raised the leverage from {old}: {told(row)}")
        elif by_guard and "added_margin" in row.details and not row.details.get("automatic"):
            self._money_moved(row.decimal("added_margin"), now, row)
        elif by_guard and "position_mode" in row.details:
            self.ground.breach("I30", now, f"the guard changed the position mode: {told(row)}")

    def _money_moved(self, amount: Decimal, now: float, row: LedgerRow) -> None:
        """I16."""
        if amount < 0:
            self.ground.breach("I16", now, f"the guard took money away: {told(row)}")
        self._money = [each for each in self._money if now - each[0] < DAY_S] + [(now, amount)]
        cap = self.policy.limits.top_up_per_day if self.policy is not None else None
        total = sum((each for _, each in self._money), ZERO)
        if cap is not None and total > cap:
            self.ground.breach("I16", now, f"{total} moved in a day, {cap} allowed: {told(row)}")

    def _held(self, key: LegKey) -> Decimal:
        leg = self.ground.legs.get(key)
        return leg.size if leg is not None else ZERO

    @property
    def policy(self) -> Policy | None:
        return self.ground.case.policy if self.ground.case is not None else None


def _side_of(row: LedgerRow) -> PositionSide:
    """The side that a closing fill made smaller."""
    if row.details["net"]:
        return PositionSide.LONG if row.decimal("before") > 0 else PositionSide.SHORT
    return PositionSide(str(row.details["position_side"]))


def _ours(row: LedgerRow) -> bool:
    return str(row.details["client_id"]).startswith(OURS)

"""Strategy orders: one object of one or two legs over the exchange's plans, and how V3 writes it. UTA reference, 10.

The exchange rests each leg as a plan of its own and links the two. The object is `pending` while a leg rests, `success` or
`failed` as soon as one has fired: then the exchange ends the other.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import Struct

from guardd.simulator.dialects.bitget_common.envelope import Row
from guardd.simulator.dialects.bitget_unified.words import SOURCE_WORDS, STRATEGY_STATUS, client_oid, number
from guardd.simulator.engine import Exchange
from guardd.simulator.orders import Plan, PlanKind, PlanStatus, PositionSide, Side

_FIRED_WORDS = {PlanKind.TAKE_PROFIT: "takeProfit", PlanKind.STOP_LOSS: "stopLoss"}


class Strategy(Struct, frozen=True, kw_only=True):
    """One strategy order as it stands; `size` None: the whole position."""

    order_id: str
    client_id: str
    plans: tuple[Plan, ...]

    @property
    def first(self) -> Plan:
        return self.plans[0]

    @property
    def take_profit(self) -> Plan | None:
        return self._of(PlanKind.TAKE_PROFIT)

    @property
    def stop_loss(self) -> Plan | None:
        return self._of(PlanKind.STOP_LOSS)

    @property
    def trigger(self) -> Plan | None:
        return self._of(PlanKind.CONDITIONAL)

    @property
    def client_oid(self) -> str:
        return client_oid(self.order_id, self.client_id)

    @property
    def symbol(self) -> str:
        return self.first.symbol

    @property
    def side(self) -> Side:
        return self.first.side

    @property
    def pos_side(self) -> PositionSide:
        return self.first.position_side

    @property
    def size(self) -> Decimal | None:
        return self.first.size

    @property
    def kind(self) -> str:
        return {PlanKind.CONDITIONAL: "trigger", PlanKind.TRAILING: "trailing_stop"}.get(self.first.kind, "tpsl")

    @property
    def whole(self) -> bool:
        return self.kind == "tpsl" and self.size is None

    @property
    def status(self) -> PlanStatus:
        held = {plan.status for plan in self.plans}
        order = (PlanStatus.TRIGGERED, PlanStatus.FAILED, PlanStatus.LIVE, PlanStatus.CANCELLED)
        return next(status for status in order if status in held)

    @property
    def fired(self) -> str:
        """Which leg went off, "" while none has."""
        gone = (plan for plan in self.plans if plan.status in (PlanStatus.TRIGGERED, PlanStatus.FAILED))
        return next((_FIRED_WORDS.get(plan.kind, "") for plan in gone), "")

    @property
    def created_ms(self) -> int:
        return min(plan.created_ms for plan in self.plans)

    @property
    def updated_ms(self) -> int:
        return max(plan.updated_ms for plan in self.plans)

    def _of(self, kind: PlanKind) -> Plan | None:
        return next((plan for plan in self.plans if plan.kind is kind), None)


@dataclass(slots=True, kw_only=True)
class Strategies:
    """Strategy orders as the exchange's plans make them up: a linked pair is one object, any other plan one by itself."""

    exchange: Exchange
    dropped: set[str] = field(default_factory=set)  # legs that a change took away: no part of any strategy

    def drop(self, plan: Plan) -> None:
        self.dropped.add(plan.plan_id)

    def everything(self, uid: str) -> list[Strategy]:
        """Pending and past ones, oldest first."""
        query = self.exchange.query
        return self._grouped(uid, [*query.plan_history(uid), *query.open_plans(uid)])

    def pending(self, uid: str, symbol: str = "") -> list[Strategy]:
        return self._grouped(uid, self.exchange.query.open_plans(uid, symbol or None))

    def one(self, uid: str, order_id: str) -> Strategy | None:
        return next(iter(self._grouped(uid, self.exchange.query.pair(uid, order_id))), None)

    def find(self, uid: str, order_id: str, client: str) -> Strategy | None:
        """By order id, else the newest of this client id."""
        if order_id:
            return self.one(uid, order_id)
        return next((each for each in reversed(self.everything(uid)) if each.client_oid == client), None)

    def _grouped(self, uid: str, plans: Iterable[Plan]) -> list[Strategy]:
        groups: dict[str, list[Plan]] = {}
        for plan in sorted(plans, key=lambda plan: int(plan.plan_id)):
            if plan.plan_id not in self.dropped:
                groups.setdefault(plan.pair_id, []).append(plan)
        return [
            Strategy(order_id=pair_id, client_id=self._client_id(uid, pair_id), plans=_standing(legs))
            for pair_id, legs in groups.items()
        ]

    def _client_id(self, uid: str, pair_id: str) -> str:
        """The plan that began the pair has it, even when its own leg is long gone."""
        return self.exchange.query.plan(uid, plan_id=pair_id).client_id


def strategy_row(strategy: Strategy, category: str, held: Decimal) -> Row:
    """A listed row: neither `type` nor `tpslMode`, `side` nor `reduceOnly` is in it, so that whole-position and partial
    orders look alike (10.4). `held` is what a whole-position order would close now."""
    trigger = strategy.trigger
    limited = trigger is not None and trigger.limit_price is not None
    return {
        "orderId": strategy.order_id,
        "clientOid": strategy.client_oid,
        "category": category,
        "symbol": strategy.symbol,
        "qty": number(held if strategy.size is None else strategy.size),
        "posSide": strategy.pos_side.value,
        "status": STRATEGY_STATUS[strategy.status],
        **_leg("tp", "takeProfit", strategy.take_profit),
        **_leg("sl", "stopLoss", strategy.stop_loss),
        "triggerBy": SOURCE_WORDS[trigger.source] if trigger else "",
        "triggerPrice": number(trigger.trigger_price) if trigger else "",
        "triggerOrderType": ("limit" if limited else "market") if trigger else "",
        "triggerOrderPrice": number(trigger.limit_price) if trigger and limited else "",
        "createdTime": str(strategy.created_ms),
        "updatedTime": str(strategy.updated_ms),
    }


def _leg(prefix: str, name: str, plan: Plan | None) -> Row:
    """A leg that isn't there has an empty price beside words that mean nothing (recorded)."""
    limited = plan is not None and plan.limit_price is not None
    return {
        f"{prefix}TriggerBy": SOURCE_WORDS[plan.source] if plan else "market",
        name: number(plan.trigger_price) if plan else "",
        f"{prefix}OrderType": "limit" if limited else "market",
        f"{prefix}LimitPrice": number(plan.limit_price) if plan and limited else "",
    }


def past_row(strategy: Strategy, category: str, held: Decimal) -> Row:
    """A row of the history: it says which leg fired."""
    return {**strategy_row(strategy, category, held), "triggerType": strategy.fired}


def pushed_row(strategy: Strategy, category: str, held: Decimal) -> Row:
    """The socket's row has what the list leaves out, except `tpslMode` (11)."""
    return {
        **strategy_row(strategy, category.lower(), held),
        "side": strategy.side.value,
        "reduceOnly": "yes" if strategy.first.reduce else "no",
        "type": strategy.kind,
        "triggerType": strategy.fired,
    }


def _standing(legs: list[Plan]) -> tuple[Plan, ...]:
    """While a leg of it lives, an object is its living legs; afterwards all it had. Firing ends both at once."""
    living = tuple(leg for leg in legs if leg.status is PlanStatus.LIVE)
    return living or tuple(legs)

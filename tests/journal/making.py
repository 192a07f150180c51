"""Intents, moves and episodes for the journal's tests."""

from decimal import Decimal

from guardd.model.event import IntentMoved
from guardd.model.instant import NS_PER_MS, Instant
from guardd.model.intent import (
    Action,
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    Intent,
    PlaceProtection,
    Stage,
    client_id,
)
from guardd.model.names import (
    AccountName,
    EpisodeId,
    MarginMode,
    OrderId,
    PositionKey,
    PriceType,
    RuleName,
    Side,
    Symbol,
)
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.outcome import Outcome
from guardd.model.position import Episode
from tests.changed import replace

MAIN, HEDGE = AccountName("main"), AccountName("hedge")
START_MS = 1_767_225_600_000
HOUR_S = 3600.0


def at(seconds: float = 0.0) -> Instant:
    """`seconds` after the tests' beginning, on both clocks."""
    return Instant(NS_PER_MS, START_MS).later_by(seconds)


def key(symbol: str = "BTCUSDT", side: Side = Side.LONG, account: AccountName = MAIN) -> PositionKey:
    return PositionKey(account, Symbol(symbol), side)


def intent(
    step: int = 0,
    *,
    rule: str = "trim",
    episode: str = "e1",
    account: AccountName = MAIN,
    decided: Instant | None = None,
) -> Intent:
    place = key(account=account)
    return Intent(
        id=client_id(account, EpisodeId(episode), RuleName(rule), step),
        account=account,
        key=place,
        episode=EpisodeId(episode),
        rule=RuleName(rule),
        step=step,
        action=Action.REDUCE,
        write=CloseAtMarket(key=place, size=Decimal("1.50")),
        decided=decided or at(),
        frame_ns=123,
        quantity_before=Decimal("3.000"),
        closed_before=Decimal("0E-3"),
        reason="the distance fell below 8 % — “really”",
        inputs=(("distance_to_liquidation", "0.0712"), ("mark_age", "0.2s")),
    )


def stop(step: int = 0) -> Intent:
    made = intent(step, rule="resting-protection")
    write = PlaceProtection(
        key=made.key,
        kind=ProtectionKind.STOP_LOSS,
        form=PlanForm.WHOLE,
        trigger_price=Decimal("83555.30"),
        price_type=PriceType.MARK,
        size=None,
        position_size=Decimal(3),
        leverage=Decimal(10),
        margin_mode=MarginMode.ISOLATED,
    )
    return replace(made, action=Action.STOP_LOSS, write=write)


def cancel(order_id: str, step: int = 0) -> Intent:
    made = intent(step, rule="entries")
    write = CancelOrder(key=made.key, order_id=OrderId(order_id), kind=CancelKind.RESTING)
    return replace(made, action=Action.CANCEL_ENTRIES, write=write)


def moved(
    of: Intent,
    stage: Stage,
    seconds: float = 1.0,
    *,
    outcome: Outcome | None = None,
    order_id: str | None = None,
    filled: Decimal | None = None,
) -> IntentMoved:
    return IntentMoved(
        at=at(seconds),
        intent=of,
        stage=stage,
        outcome=outcome,
        order_id=OrderId(order_id) if order_id is not None else None,
        filled=filled,
    )


def episode(name: str = "e1", largest: str = "3.000", account: AccountName = MAIN) -> Episode:
    return Episode(
        id=EpisodeId(name),
        key=key(account=account),
        first_seen_ms=START_MS,
        largest_quantity=Decimal(largest),
        largest_notional=Decimal("270000.00"),
        had_verified_stop=True,
    )

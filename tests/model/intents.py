"""Intents and their moves, for tests."""

from decimal import Decimal

from guardd.model.event import IntentMoved
from guardd.model.fold import fold
from guardd.model.intent import Action, CancelKind, CancelOrder, CloseAtMarket, Intent, Stage, Write, client_id
from guardd.model.names import OrderId, RuleName
from guardd.model.outcome import Accepted, Outcome
from guardd.model.state import AccountState, Folded
from tests.model.accounts import MAIN, START, key

RULE = RuleName("last-resort")


def intent_of(state: AccountState, write: Write, action: Action, *, step: int = 0) -> Intent:
    held = state.held[key()]
    return Intent(
        id=client_id(MAIN, held.episode.id, RULE, step),
        account=MAIN,
        key=key(),
        episode=held.episode.id,
        rule=RULE,
        step=step,
        action=action,
        write=write,
        decided=START,
        frame_ns=None,
        quantity_before=held.position.quantity,
        closed_before=Decimal(0),
        reason="test",
    )


def close_intent(state: AccountState, *, step: int = 0) -> Intent:
    write = CloseAtMarket(key=key(), size=state.held[key()].position.quantity)
    return intent_of(state, write, Action.CLOSE, step=step)


def cancel_intent(state: AccountState, order_id: str) -> Intent:
    write = CancelOrder(key=key(), order_id=OrderId(order_id), kind=CancelKind.PLAN)
    return intent_of(state, write, Action.CANCEL_PROTECTION)


def moved_to(
    state: AccountState,
    intent: Intent,
    stage: Stage,
    *,
    outcome: Outcome | None = None,
    filled: Decimal | None = None,
) -> Folded:
    return fold(state, IntentMoved(at=START, intent=intent, stage=stage, outcome=outcome, filled=filled))


def accepted(order_id: str) -> Accepted:
    return Accepted(order_id=OrderId(order_id), sent_ns=0)

"""From a step that puts more behind a position to the write that does it. Pure.

`guardd.execution.approve` judges it: free balance, caps, and that nothing of the kind is in flight (I16, I17).
"""

from decimal import Decimal
from typing import assert_never

from guardd.execution.proposal import Proposal, Steps
from guardd.model.decision import AddMargin, Lever, LowerLeverage, TopUp
from guardd.model.intent import Action, SetLeverage, TransferToFutures, Write
from guardd.model.intent import AddMargin as AddMarginWrite
from guardd.model.position import Position
from guardd.model.reading import is_value
from guardd.model.state import AccountState
from guardd.venues.limiter import Lane


def lever_steps(decision: Lever, state: AccountState, *, frame_ns: int | None = None) -> Steps:
    """The write of one step; nothing where the position it was decided for is over."""
    held = state.held.get(decision.key)
    if held is None or held.episode.id != decision.episode:
        return Steps()
    action, write = _write(decision, held.position)
    proposal = Proposal(
        key=decision.key,
        episode=decision.episode,
        rule=decision.rule,
        action=action,
        write=write,
        lane=Lane.ORDINARY,
        reason=decision.reason,
        inputs=decision.inputs,
        frame_ns=frame_ns,
    )
    return Steps(proposals=(proposal,))


def _write(decision: Lever, position: Position) -> tuple[Action, Write]:
    match decision:
        case LowerLeverage():
            write = SetLeverage(key=decision.key, margin_mode=position.margin_mode, leverage=decision.leverage)
            return Action.SET_LEVERAGE, write
        case AddMargin():
            before = position.margin if is_value(position.margin) else Decimal(0)
            added = AddMarginWrite(
                key=decision.key, amount=decision.amount, currency=decision.currency, margin_before=before
            )
            return Action.ADD_MARGIN, added
        case TopUp():
            moved = TransferToFutures(key=decision.key, currency=decision.currency, amount=decision.amount)
            return Action.TOP_UP, moved
        case _:
            assert_never(decision)

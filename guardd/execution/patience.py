"""When an intent that failed may be tried again (interfaces.md section 6; BitMart reference, section 16). Pure.

A protective close never gives up: it is tried again for as long as somebody decides it anew. Jitter comes from the intent's own
id, so that a replay waits as long as the run did.
"""

from typing import Final, assert_never

from guardd.execution.windows import never_left, reason_of, tries
from guardd.model.event import BlockKind
from guardd.model.instant import Instant
from guardd.model.intent import Action, CloseAtMarket, Intent, PlaceProtection, Stage, Write
from guardd.model.names import EpisodeId, PositionKey, RuleName
from guardd.model.order import ProtectionKind
from guardd.model.outcome import Reason, Rejected
from guardd.model.state import AccountState, Finished

EDGE_WAIT_S: Final = 30.0
EDGE_JITTER_S: Final = 30.0
BAN_WAIT_S: Final = 60.0
BAN_WAIT_S_MAX: Final = 900.0
SLOW_STEPS_S: Final = (10.0, 30.0, 60.0)
"""The venue pauses or maintains: BitMart reference, 40015."""
FAULT_STEPS_S: Final = (5.0, 15.0, 60.0)
"""A request that can't be right is never repeated unchanged; it is built anew from newer state, rarely."""
CLOSE_S_MAX: Final = 3.0
"""A close goes again at least this often, whatever was refused: once the venue takes orders, one is accepted within 5 s (I10)."""
SHUT_OUT: Final = frozenset(
    {Reason.EDGE_BLOCKED, Reason.BANNED, Reason.CREDENTIALS, Reason.PERMISSION, Reason.RATE_LIMITED}
)
"""The venue takes nothing from this address or key, and counts what is sent all the same: these waits are never cut short."""
CLOSED: Final = frozenset({Reason.MAINTENANCE, Reason.VENUE_CLOSING, Reason.INSTRUMENT_PAUSED})
"""It opens again without a word: what would do harm for a minute after that is tried each ten seconds."""
HELD_BY_BLOCK: Final = frozenset({Reason.EDGE_BLOCKED, Reason.BANNED})
QUICK_S: Final = 0.25
QUICK_S_MAX: Final = 2.0
FAILED_S: Final = 0.5
FAILED_S_MAX: Final = 5.0


def not_before(
    state: AccountState, key: PositionKey, episode: EpisodeId, rule: RuleName, write: Write
) -> Instant | None:
    """The earliest moment of the next try of such a write; None: at once. Another form of a stop waits for none of these."""
    failed = [
        each
        for each in tries(state, key, episode, rule)
        if each.stage is not Stage.VOID and _same_shape(each.intent.write, write)
    ]
    if not failed:
        return None
    last = failed[-1]
    if reason_of(last) in HELD_BY_BLOCK and not _a_block_stands(state):
        return last.at.later_by(QUICK_S)
    return last.at.later_by(_wait_s(failed))


def _a_block_stands(state: AccountState) -> bool:
    """A wait that only a block asked for ends with it: whatever is still due goes then (I10)."""
    return BlockKind.EDGE in state.blocks or BlockKind.BAN in state.blocks


def _same_shape(tried: Write, write: Write) -> bool:
    if isinstance(tried, PlaceProtection) and isinstance(write, PlaceProtection):
        return tried.form is write.form
    return type(tried) is type(write)


def _wait_s(failed: list[Finished]) -> float:
    last = failed[-1]
    reason = reason_of(last)
    count = sum(
        1 for each in failed if never_left(each) is never_left(last)
    )  # what never left made the venue no wearier
    if (held_s := _held_back_s(last)) is not None:
        return max(held_s, QUICK_S)
    if reason is None:
        most_s = CLOSE_S_MAX if _closes(last.intent) else FAILED_S_MAX
        return _doubling_s(FAILED_S, most_s, count)
    wait_s = _rejected_wait_s(reason, count, last.intent)
    if _closes(last.intent) and reason not in SHUT_OUT:
        return min(wait_s, CLOSE_S_MAX)
    if reason in CLOSED and (_missing_stop(last.intent) or _left_over(last.intent)):
        wait_s = min(wait_s, SLOW_STEPS_S[0])
    asked_s = last.outcome.retry_after_s if isinstance(last.outcome, Rejected) else None
    return max(wait_s, asked_s) if asked_s is not None else wait_s


def _closes(intent: Intent) -> bool:
    """A close, or what frees its volume: until that has gone through, the close is refused."""
    return isinstance(intent.write, CloseAtMarket) or intent.action is Action.FREE_VOLUME


def _missing_stop(intent: Intent) -> bool:
    """Until it is placed nothing of ours rests at the venue (I10)."""
    return isinstance(intent.write, PlaceProtection) and intent.write.kind is ProtectionKind.STOP_LOSS


def _left_over(intent: Intent) -> bool:
    """Until it ends, what outlived its position may close the user's next one, and so may what was replaced (I6)."""
    return intent.action is Action.CANCEL_PROTECTION


def _held_back_s(last: Finished) -> float | None:
    """For a write that never left: when the limiter lets it through, which keeps the venue's waits itself."""
    if not isinstance(last.outcome, Rejected) or not never_left(last):
        return None
    return last.outcome.retry_after_s


def _rejected_wait_s(reason: Reason, count: int, intent: Intent) -> float:
    match reason:
        case Reason.EDGE_BLOCKED:
            return EDGE_WAIT_S + EDGE_JITTER_S * _jitter_ratio_s(intent)
        case Reason.BANNED:
            return _doubling_s(BAN_WAIT_S, BAN_WAIT_S_MAX, count)
        case Reason.MAINTENANCE | Reason.VENUE_CLOSING | Reason.CREDENTIALS | Reason.PERMISSION:
            return SLOW_STEPS_S[min(count, len(SLOW_STEPS_S)) - 1]
        case Reason.INSTRUMENT_PAUSED:
            # The second try goes at once, as immediate-or-cancel (BitMart reference, 18.4 step 6).
            return 0.0 if count == 1 else SLOW_STEPS_S[min(count - 1, len(SLOW_STEPS_S)) - 1]
        case Reason.NOT_SENT | Reason.RATE_LIMITED | Reason.SIZE_ABOVE_POSITION | Reason.CLOCK:
            return _doubling_s(QUICK_S, QUICK_S_MAX, count)
        case Reason.POSITION_LIQUIDATING | Reason.POSITION_GONE | Reason.ORDER_GONE | Reason.TRIGGER_PASSED:
            return 1.0
        case Reason.PRECISION | Reason.SIZE_BOUNDS | Reason.LEVERAGE_CONFLICT | Reason.PROTECTION_EXISTS:
            return 0.0 if count == 1 else FAULT_STEPS_S[min(count - 1, len(FAULT_STEPS_S)) - 1]
        case (
            Reason.INVALID
            | Reason.WOULD_LIQUIDATE
            | Reason.BALANCE
            | Reason.TRIGGER_TOO_FAR
            | Reason.TOO_MANY_PLAN_ORDERS
            | Reason.DUPLICATE_CLIENT_ID
            | Reason.UNSUPPORTED
            | Reason.OTHER
        ):
            return FAULT_STEPS_S[min(count, len(FAULT_STEPS_S)) - 1]
        case _:
            assert_never(reason)


def _doubling_s(first_s: float, most_s: float, count: int) -> float:
    return min(first_s * 2.0 ** min(count - 1, 16), most_s)


def _jitter_ratio_s(intent: Intent) -> float:
    """A number from 0 to 1 that belongs to this intent."""
    return sum(ord(letter) for letter in intent.id[-4:]) % 101 / 100

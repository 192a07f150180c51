"""What became of a write whose outcome is unknown: looked at, at least twice over three seconds, until it is certain (I7).

Found: adopted. Proved absent by two looks and the position unchanged: void, and it may be sent again under the same client id.
Anything less stays unknown; the caller asks again, and nothing else is sent for that intent meanwhile.
"""

from typing import Final

from msgspec.structs import replace

from guardd.execution.verify import Finding, Reader, look
from guardd.model.intent import AddMargin, CloseAtMarket, Intent, PlaceProtection, Stage, TransferToFutures
from guardd.model.names import OrderId

APART_S_MIN: Final = 3.0
"""The first and the last look lie at least this far apart (BitMart reference, 18.4 step 5)."""
LOOKS: Final = 3
MOVES_WITHIN_S: Final = 10.0
"""A transfer or margin addition that was asked for longer ago than this, and left no trace, won't come any more."""


async def resolve(intent: Intent, order_id: OrderId | None, reader: Reader, *, lookup_delay_s: float) -> Finding:
    """One round of looks. Stage VERIFIED, FAILED (it arrived and came to nothing), REJECTED, VOID or UNKNOWN (ask again)."""
    apart_s = max(APART_S_MIN, lookup_delay_s)
    finding = Finding(stage=Stage.UNKNOWN, detail="not looked at")
    for number in range(LOOKS):
        if number > 0:
            await reader.clock.sleep(apart_s / (LOOKS - 1))
        finding = await look(intent, order_id, reader)
        if finding.stage is Stage.VERIFIED or finding.final:
            return finding
        if finding.stage is not Stage.FAILED:
            # This round can't prove absence any more; the next one begins the sooner (I10).
            return Finding(stage=Stage.UNKNOWN, detail=finding.detail, order_id=finding.order_id or order_id)
    return await _absent(intent, order_id, reader, finding)


async def _absent(intent: Intent, order_id: OrderId | None, reader: Reader, finding: Finding) -> Finding:
    """Every look said no. A stop may have fired in between; a change to an order that is gone can't be made again."""
    if isinstance(intent.write, AddMargin | TransferToFutures):
        return _not_moved(intent, reader, finding)
    if not isinstance(intent.write, CloseAtMarket | PlaceProtection):
        return replace(finding, stage=Stage.REJECTED if finding.gone else Stage.VOID)
    looked = await reader.order(intent, order_id)
    if looked is None:
        return replace(finding, stage=Stage.UNKNOWN, detail="it could not be looked up")
    report = looked.report
    if report is None and order_id is not None:
        # It was accepted once: it did arrive, so it is no candidate for the same client id.
        return replace(finding, stage=Stage.FAILED, detail=f"accepted, but {finding.detail}")
    if report is None:
        return replace(finding, stage=Stage.VOID, detail=f"several looks agree that it never arrived: {finding.detail}")
    if report.live:
        return replace(finding, stage=Stage.UNKNOWN, detail="the venue says that it works, but no list shows it")
    ended = replace(finding, filled=report.filled, order_id=report.order_id)
    if report.filled > 0:
        return replace(ended, stage=Stage.VERIFIED, detail=f"it filled {report.filled} already")
    return replace(ended, stage=Stage.FAILED, detail="it ended without a fill")


def _not_moved(intent: Intent, reader: Reader, finding: Finding) -> Finding:
    """Money that nothing shows may still be on its way: ten seconds say that it isn't (UTA reference, 12.5).

    It has failed then, and is never void: one id sent twice would be two moves, and one line in the windows.
    """
    if reader.clock.now().seconds_since(intent.decided) < MOVES_WITHIN_S:
        return replace(finding, stage=Stage.UNKNOWN)
    return finding

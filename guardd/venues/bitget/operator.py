"""An operator's single steps at Bitget, whatever the account's family: which one it is, is asked before the first step (I30).

`guardd account …` builds one; `wiring` never does. The daemon's adapter doesn't import this file.
"""

from decimal import Decimal
from typing import Final, assert_never

from guardd.errors import CredentialsError, VenueError
from guardd.model.names import MarginMode, PositionKey, PositionMode, Symbol
from guardd.model.outcome import Outcome, Reason, Rejected
from guardd.venues.base import OperatorVenue
from guardd.venues.bitget.api import Notice
from guardd.venues.bitget.classic.operator import ClassicOperator
from guardd.venues.bitget.connection import Access, connection
from guardd.venues.bitget.family import Family, detect
from guardd.venues.bitget.unified.operator import UnifiedOperator

DRAIN_S: Final = 5.0


class BitgetOperator:
    """Implements `guardd.venues.base.OperatorVenue`. One step at a time; whoever calls asks for CONFIRM first."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._parts = connection(access, _unheard)
        self._inner: OperatorVenue | None = None

    async def close(self) -> None:
        await self._parts.transport.drain(DRAIN_S)

    async def open_position(
        self, key: PositionKey, *, size: Decimal, price: Decimal | None, leverage: Decimal, isolated: bool
    ) -> Outcome:
        inner = await self._ready()
        if isinstance(inner, Rejected):
            return inner
        return await inner.open_position(key, size=size, price=price, leverage=leverage, isolated=isolated)

    async def close_position(self, key: PositionKey, *, size: Decimal, price: Decimal | None) -> Outcome:
        inner = await self._ready()
        return inner if isinstance(inner, Rejected) else await inner.close_position(key, size=size, price=price)

    async def set_position_mode(self, mode: PositionMode) -> Outcome:
        inner = await self._ready()
        return inner if isinstance(inner, Rejected) else await inner.set_position_mode(mode)

    async def set_leverage(self, symbol: Symbol, *, leverage: Decimal, isolated: bool) -> Outcome:
        inner = await self._ready()
        if isinstance(inner, Rejected):
            return inner
        return await inner.set_leverage(symbol, leverage=leverage, isolated=isolated)

    async def live_leverage(self, symbol: Symbol, deadline_s: float) -> tuple[Decimal, MarginMode] | None:
        """Raises `VenueError`, and `CredentialsError` when the venue refuses our key."""
        return await (await self._found()).live_leverage(symbol, deadline_s)

    async def transfer(self, *, amount: Decimal, into_futures: bool) -> Outcome:
        inner = await self._ready()
        return inner if isinstance(inner, Rejected) else await inner.transfer(amount=amount, into_futures=into_futures)

    async def _ready(self) -> OperatorVenue | Rejected:
        """A step raises nothing: what keeps it from being sent is its outcome."""
        try:
            return await self._found()
        except (VenueError, CredentialsError) as error:
            return Rejected(reason=Reason.NOT_SENT, code="", text=f"not sent: {error}")

    async def _found(self) -> OperatorVenue:
        if self._inner is None:
            await self._parts.api.measure_time()
            self._inner = self._of(await detect(self._parts.api, product_type=self._access.product_types[0]))
        return self._inner

    def _of(self, family: Family) -> OperatorVenue:
        match family:
            case Family.CLASSIC:
                return ClassicOperator(self._access, self._parts)
            case Family.UNIFIED:
                return UnifiedOperator(self._access, self._parts)
            case _:
                assert_never(family)


def _unheard(notice: Notice) -> None:
    """An operator is told by the outcome of the step."""

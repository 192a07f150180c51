"""What an operator's single steps may do at BitMart and the daemon can't: open, switch modes, move money (I30).

`guardd account …` builds one; `wiring` never does. The daemon's adapter doesn't import this file.
"""

import base64
from decimal import ROUND_DOWN, Decimal
from random import Random
from typing import Final

from guardd.clock import Clock
from guardd.errors import VenueError
from guardd.model.event import Event
from guardd.model.names import MarginMode, PositionKey, PositionMode, Symbol
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.venues.bitmart import endpoints
from guardd.venues.bitmart.api import Api
from guardd.venues.bitmart.bodies import (
    CLIENT_ID_LETTERS_MAX,
    IMMEDIATE_OR_CANCEL,
    TRANSFER_MAX,
    TRANSFER_MIN,
    Body,
    contracts,
    decimal_text,
    transfer_body,
)
from guardd.venues.bitmart.connection import Access, connection
from guardd.venues.bitmart.parse.account import ALIVE_TRANSFERS
from guardd.venues.bitmart.parse.market import SETTLE
from guardd.venues.bitmart.parse.words import CLOSING_SIDE, OPENING_SIDE, POSITION_MODES
from guardd.venues.bitmart.reads import Reads
from guardd.venues.limiter import Lane

STEP_DEADLINE_S: Final = 10.0
DRAIN_S: Final = 5.0
_CENT: Final = Decimal("0.01")
_TRANSFER_LOOK_AFTER_S: Final = 3.0
_GOOD_TILL_CANCELLED: Final = 1
_CLIENT_ID_PREFIX: Final = "op"
"""Not the daemon's prefix: an operator's order isn't a sign of a second guard (I14)."""
_CLIENT_ID_BYTES: Final = 10


class BitmartOperator:
    """Implements `guardd.venues.base.OperatorVenue`. One step at a time; whoever calls asks for CONFIRM first."""

    def __init__(self, access: Access) -> None:
        parts = connection(access, _unheard)
        self._transport = parts.transport
        self._api: Api = parts.api
        self._reads: Reads = parts.reads
        self._clock: Clock = access.clock
        self._random: Random = access.random

    async def close(self) -> None:
        await self._transport.drain(DRAIN_S)

    async def open_position(
        self, key: PositionKey, *, size: Decimal, price: Decimal | None, leverage: Decimal, isolated: bool
    ) -> Outcome:
        """Market, or limit at `price`. Leverage and margin mode must be the live ones, or 40012 or 40040 follows (10.1)."""
        body: Body = {
            **self._order(key, OPENING_SIDE[key.side], size, price),
            "leverage": decimal_text(leverage),
            "open_type": _open_type(isolated),
        }
        if price is not None:
            body["mode"] = _GOOD_TILL_CANCELLED
        return await self._step(endpoints.SUBMIT_ORDER, body)

    async def close_position(self, key: PositionKey, *, size: Decimal, price: Decimal | None) -> Outcome:
        """Reduce-only in both position modes; at a price it is immediate-or-cancel."""
        body = self._order(key, CLOSING_SIDE[key.side], size, price)
        if price is not None:
            body["mode"] = IMMEDIATE_OR_CANCEL
        return await self._step(endpoints.SUBMIT_ORDER, body)

    async def set_position_mode(self, mode: PositionMode) -> Outcome:
        """Account-wide, and only on an account without any position or order: that is looked at here, not left to 40059."""
        try:
            in_the_way = await self._what_is_open()
        except VenueError as error:
            return _not_sent(f"what is open can't be read: {error}")
        if in_the_way:
            return _not_sent(f"{in_the_way} open, and a switch needs none")
        word = next(word for word, meaning in POSITION_MODES.items() if meaning is mode)
        return await self._step(endpoints.SET_POSITION_MODE, {"position_mode": word})

    async def set_leverage(self, symbol: Symbol, *, leverage: Decimal, isolated: bool) -> Outcome:
        """Also the switch of the margin mode: there is no other (12.1)."""
        body: Body = {"symbol": symbol, "leverage": decimal_text(leverage), "open_type": _open_type(isolated)}
        return await self._step(endpoints.SUBMIT_LEVERAGE, body)

    async def live_leverage(self, symbol: Symbol, deadline_s: float) -> tuple[Decimal, MarginMode] | None:
        return await self._reads.live_leverage(symbol, deadline_s)

    async def transfer(self, *, amount: Decimal, into_futures: bool) -> Outcome:
        """Between spot and futures wallet. It has no id of its own, so an unknown outcome is looked up and never sent again
        (12.4, 18.5)."""
        if not TRANSFER_MIN <= amount <= TRANSFER_MAX:
            return _not_sent(f"an amount of {amount} {SETTLE}, expected {TRANSFER_MIN} to {TRANSFER_MAX}")
        started_ms = self._api.time.timestamp_ms()
        outcome = await self._post_transfer(amount, into_futures)
        rounded = amount.quantize(_CENT, rounding=ROUND_DOWN)
        if isinstance(outcome, Rejected) and outcome.reason is Reason.PRECISION and rounded != amount:
            amount = rounded
            outcome = await self._post_transfer(amount, into_futures)
        if isinstance(outcome, Unknown):
            return await self._looked_up(outcome, amount, into_futures, started_ms)
        return outcome

    async def _post_transfer(self, amount: Decimal, into_futures: bool) -> Outcome:
        body = transfer_body(amount, into_futures=into_futures)
        return await self._step(endpoints.TRANSFER, body)

    async def _looked_up(self, unknown: Unknown, amount: Decimal, into_futures: bool, started_ms: int) -> Outcome:
        await self._clock.sleep(_TRANSFER_LOOK_AFTER_S)
        try:
            rows = await self._reads.transfers(since_ms=started_ms)
        except VenueError as error:
            return Unknown(why=f"{unknown.why}; and the transfer list can't be read: {error}")
        for row in rows:
            same = row.amount == amount and row.into_futures is into_futures and row.at_ms >= started_ms
            if same and row.state in ALIVE_TRANSFERS:
                return Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
        return Unknown(
            why=f"{unknown.why}; the transfer list doesn't show it yet: look at both balances before repeating"
        )

    async def _what_is_open(self) -> str:
        """What stands in the way of a switch of mode, in words; empty when nothing does."""
        positions = (await self._reads.positions({})).positions
        orders = await self._reads.orders((), resting=True, plans=True)
        found = (
            (len(positions), "position(s)"),
            (len(orders.resting or ()), "order(s)"),
            (len(orders.plans or ()), "plan order(s)"),
        )
        return ", ".join(f"{count} {what}" for count, what in found if count)

    def _order(self, key: PositionKey, side: int, size: Decimal, price: Decimal | None) -> Body:
        body: Body = {"symbol": key.symbol, "side": side, "size": contracts(size), "client_order_id": self._client_id()}
        if price is None:
            return {**body, "type": "market"}
        return {**body, "type": "limit", "price": decimal_text(price)}

    def _client_id(self) -> str:
        """Never the same twice, whatever the seed of chance: the wall clock is in it."""
        letters = base64.b32encode(self._random.randbytes(_CLIENT_ID_BYTES)).decode().lower()
        moment = f"{self._clock.now().wall_ms:x}"
        return f"{_CLIENT_ID_PREFIX}{moment}{letters}"[:CLIENT_ID_LETTERS_MAX]

    async def _step(self, endpoint: endpoints.Endpoint, body: Body) -> Outcome:
        return await self._api.write(endpoint, body, deadline_s=STEP_DEADLINE_S, lane=Lane.ORDINARY)


def _open_type(isolated: bool) -> str:
    return (MarginMode.ISOLATED if isolated else MarginMode.CROSS).value


def _not_sent(why: str) -> Rejected:
    return Rejected(reason=Reason.NOT_SENT, code="", text=f"not sent: {why}")


def _unheard(event: Event) -> None:
    """Blocks and closing codes reach the operator as the outcome of the step itself."""

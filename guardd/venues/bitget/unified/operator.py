"""What an operator's single steps may do to a unified account and the daemon can't: open, switch modes, move money (I30).

`guardd account …` builds one; `wiring` never does. The daemon's adapter doesn't import this file.
"""

import base64
from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Final

from guardd.clock import Clock
from guardd.errors import VenueError
from guardd.model.names import ClientId, MarginMode, PositionKey, PositionMode, Symbol
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.venues.bitget.api import Api
from guardd.venues.bitget.connection import Access, Connection
from guardd.venues.bitget.endpoint import Endpoint
from guardd.venues.bitget.errors import GuardAction, action_for
from guardd.venues.bitget.unified import endpoints
from guardd.venues.bitget.unified.bodies import (
    IMMEDIATE_OR_CANCEL,
    MARGIN_WORDS,
    Body,
    checked_client_id,
    closing_words,
    decimal_text,
    transfer_body,
)
from guardd.venues.bitget.unified.money import MARGIN_RECORD, OTHER_RECORDS, TRANSFERRED_IN, TRANSFERRED_OUT
from guardd.venues.bitget.unified.parse.words import HOLD_MODES, OPENING_SIDE, Category
from guardd.venues.bitget.unified.reads import Reads
from guardd.venues.bitget.unified.venue import reads_of
from guardd.venues.limiter import Lane

STEP_DEADLINE_S: Final = 10.0
DRAIN_S: Final = 5.0
COIN: Final = "USDT"
"""What is moved: it counts in full as collateral (12.4)."""
_LOOK_AFTER_S: Final = 3.0
_GOOD_TILL_CANCELLED: Final = "gtc"
_CLIENT_ID_PREFIX: Final = "op"
"""Not the daemon's prefix: an operator's order isn't a sign of a second guard (I14)."""
_CLIENT_ID_BYTES: Final = 10
_CLIENT_ID_LETTERS: Final = 32


class UnifiedOperator:
    """Implements `guardd.venues.base.OperatorVenue`. One step at a time; whoever calls asks for CONFIRM first."""

    def __init__(self, access: Access, parts: Connection) -> None:
        self._transport = parts.transport
        self._api: Api = parts.api
        self._reads: Reads = reads_of(access, parts)
        self._clock: Clock = access.clock
        self._random: Random = access.random

    async def close(self) -> None:
        await self._transport.drain(DRAIN_S)

    async def open_position(
        self, key: PositionKey, *, size: Decimal, price: Decimal | None, leverage: Decimal, isolated: bool
    ) -> Outcome:
        """Market, or limit at `price`. The order carries the margin mode; the leverage is set before it (3, 7.4)."""
        found = await self._standing(key.symbol)
        if isinstance(found, Rejected):
            return found
        category, mode = found
        outcome = await self.set_leverage(key.symbol, leverage=leverage, isolated=isolated)
        if not isinstance(outcome, Accepted):
            return outcome
        words = {"side": OPENING_SIDE[key.side]}
        if mode is PositionMode.HEDGE:
            words["posSide"] = key.side.value
        margin_mode = MarginMode.ISOLATED if isolated else MarginMode.CROSS
        body = self._order(key, category, words, margin_mode, size)
        if price is not None:
            priced = {"orderType": "limit", "price": decimal_text(price), "timeInForce": _GOOD_TILL_CANCELLED}
            body |= priced
        return await self._step(endpoints.PLACE_ORDER, body)

    async def close_position(self, key: PositionKey, *, size: Decimal, price: Decimal | None) -> Outcome:
        """Close-only in both position modes; at a price it is immediate-or-cancel."""
        found = await self._standing(key.symbol)
        if isinstance(found, Rejected):
            return found
        category, mode = found
        try:
            row = await self._reads.row_of(key, category, STEP_DEADLINE_S)
        except VenueError as error:
            return _not_sent(f"the position can't be read: {error}")
        if row is None:
            return _not_sent(f"{key.symbol} isn't held {key.side}")
        if row.both_modes:
            return _not_sent(f"{key} is held in cross and in isolated margin: say which at the venue itself")
        body = self._order(key, category, closing_words(key, mode), row.position.margin_mode, size)
        if price is not None:
            body |= {"orderType": "limit", "price": decimal_text(price), "timeInForce": IMMEDIATE_OR_CANCEL}
        return await self._step(endpoints.PLACE_ORDER, body)

    async def set_position_mode(self, mode: PositionMode) -> Outcome:
        """Account-wide, and only on an account without any position or order (7.5): that is looked at here."""
        try:
            in_the_way = await self._what_is_open()
        except VenueError as error:
            return _not_sent(f"what is open can't be read: {error}")
        if in_the_way:
            return _not_sent(f"{in_the_way} open, and a switch needs none")
        word = next(word for word, meaning in HOLD_MODES.items() if meaning is mode)
        return await self._step(endpoints.SET_HOLD_MODE, {"holdMode": word})

    async def set_leverage(self, symbol: Symbol, *, leverage: Decimal, isolated: bool) -> Outcome:
        """Of both sides where it is isolated. The same value as set is success, whatever the code."""
        found = await self._standing(symbol)
        if isinstance(found, Rejected):
            return found
        margin_mode = MarginMode.ISOLATED if isolated else MarginMode.CROSS
        body: Body = {
            "category": found[0].value,
            "symbol": symbol,
            "leverage": decimal_text(leverage),
            "marginMode": MARGIN_WORDS[margin_mode],
        }
        outcome: Outcome = _not_sent("there is no side of it")
        for side in ("long", "short") if isolated else (None,):
            outcome = await self._step(endpoints.SET_LEVERAGE, body if side is None else {**body, "posSide": side})
            if isinstance(outcome, Rejected) and outcome.code and action_for(outcome.code) is GuardAction.OK:
                outcome = Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
            if not isinstance(outcome, Accepted):
                return outcome
        return outcome

    async def live_leverage(self, symbol: Symbol, deadline_s: float) -> tuple[Decimal, MarginMode] | None:
        """By the position's row where one is held, else as configured; None where neither says (16.38)."""
        positions = (await self._reads.positions()).positions
        for position in positions:
            if position.key.symbol == symbol and isinstance(position.leverage, Decimal):
                return position.leverage, position.margin_mode
        settings = await self._reads.read_settings(deadline_s)
        for _, named, margin_mode, leverage in settings.leverages:
            if named == symbol:
                return leverage, margin_mode
        return None

    async def add_margin(self, key: PositionKey, *, amount: Decimal) -> Outcome:
        """To an isolated position. It has no id of its own, so an unknown outcome is looked up and never sent again (7.6)."""
        found = await self._standing(key.symbol)
        if isinstance(found, Rejected):
            return found
        category, _ = found
        body: Body = {
            "category": category.value,
            "symbol": key.symbol,
            "posSide": key.side.value,
            "operation": "add",
            "amount": decimal_text(amount),
        }
        started_ms = self._api.time.timestamp_ms()
        outcome = await self._step(endpoints.SET_MARGIN, body)
        if not isinstance(outcome, Unknown):
            return outcome
        return await self._in_ledger(outcome, category.value, MARGIN_RECORD, amount, started_ms)

    async def transfer(self, *, amount: Decimal, into_futures: bool) -> Outcome:
        """Between the funding side and the unified account, never on credit. Whether its client id makes it idempotent isn't known
        (16.31): an unknown outcome is looked up and never sent again."""
        body = transfer_body(amount, COIN, self._client_id(), into_futures=into_futures)
        started_ms = self._api.time.timestamp_ms()
        before = await self._funding()
        outcome = await self._step(endpoints.TRANSFER, body)
        if not isinstance(outcome, Unknown):
            return outcome
        kind = TRANSFERRED_IN if into_futures else TRANSFERRED_OUT
        looked = await self._in_ledger(outcome, OTHER_RECORDS, kind, amount, started_ms)
        after = await self._funding()
        moved = None if before is None or after is None else before - after if into_futures else after - before
        if isinstance(looked, Unknown) and moved == amount:
            return Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
        return looked

    async def _in_ledger(self, unknown: Unknown, category: str, kind: str, amount: Decimal, since_ms: int) -> Outcome:
        await self._clock.sleep(_LOOK_AFTER_S)
        try:
            rows = await self._reads.ledger(category, kind, since_ms)
        except VenueError as error:
            return Unknown(why=f"{unknown.why}; and the ledger can't be read: {error}")
        for row in rows:
            if row.kind == kind and row.at_ms >= since_ms and abs(row.amount) == amount:
                return Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
        return Unknown(why=f"{unknown.why}; the ledger doesn't show it yet: look at the balances before repeating")

    async def _funding(self) -> Decimal | None:
        try:
            return await self._reads.funding_balance(COIN)
        except VenueError:
            return None

    async def _standing(self, symbol: Symbol) -> tuple[Category, PositionMode] | Rejected:
        """The symbol's category and the account's position mode, or why nothing is sent."""
        try:
            settings = await self._reads.read_settings()
            if self._reads.category_of(symbol) is None:
                await self._reads.load_contracts()
        except VenueError as error:
            return _not_sent(f"the account can't be read: {error}")
        category = self._reads.category_of(symbol)
        if not settings.mode.writable:
            return _not_sent(f"the account is {settings.mode}")
        if category is None or category is Category.COIN:
            return _not_sent(f"{symbol} isn't a linear contract of this account")
        return category, settings.position_mode

    async def _what_is_open(self) -> str:
        """What stands in the way of a switch of mode, in words; empty when nothing does."""
        positions = (await self._reads.positions()).positions
        orders = await self._reads.orders(resting=True, plans=True)
        found = (
            (len(positions), "position(s)"),
            (len(orders.resting or ()), "order(s)"),
            (len(orders.plans or ()), "plan order(s)"),
        )
        return ", ".join(f"{count} {what}" for count, what in found if count)

    def _order(
        self, key: PositionKey, category: Category, words: Mapping[str, str], margin_mode: MarginMode, size: Decimal
    ) -> Body:
        return {
            "category": category.value,
            "symbol": key.symbol,
            "qty": decimal_text(size),
            **words,
            "orderType": "market",
            "marginMode": MARGIN_WORDS[margin_mode],
            "clientOid": self._client_id(),
        }

    def _client_id(self) -> ClientId:
        """Never the same twice, whatever the seed of chance: the wall clock is in it."""
        letters = base64.b32encode(self._random.randbytes(_CLIENT_ID_BYTES)).decode().lower()
        moment = f"{self._clock.now().wall_ms:x}"
        return ClientId(checked_client_id(f"{_CLIENT_ID_PREFIX}{moment}{letters}"[:_CLIENT_ID_LETTERS]))

    async def _step(self, endpoint: Endpoint, body: Body) -> Outcome:
        return await self._api.write(endpoint, body, deadline_s=STEP_DEADLINE_S, lane=Lane.ORDINARY)


def _not_sent(why: str) -> Rejected:
    return Rejected(reason=Reason.NOT_SENT, code="", text=f"not sent: {why}")

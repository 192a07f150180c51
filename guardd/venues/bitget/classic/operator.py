"""What an operator's single steps may do with a classic account and the daemon can't: open, switch modes, move money (I30).

`guardd account …` builds one; `wiring` never does. The daemon's adapter doesn't import this file.
"""

import base64
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from guardd.errors import CredentialsError, VenueError
from guardd.model.intent import CloseAtMarket
from guardd.model.names import ClientId, MarginMode, PositionKey, PositionMode, Symbol
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.model.reading import is_value
from guardd.venues.bitget.classic import bodies, endpoints
from guardd.venues.bitget.classic.bodies import CLIENT_ID_LETTERS_MAX, POSITION_SIDE, Body, Line, Setting, decimal_text
from guardd.venues.bitget.classic.parse.account import Settings
from guardd.venues.bitget.classic.parse.words import MARGIN_MODE_WORDS, POSITION_MODE_WORDS, Product
from guardd.venues.bitget.classic.parts import Parts
from guardd.venues.bitget.connection import Access, Connection
from guardd.venues.bitget.endpoint import Endpoint
from guardd.venues.limiter import Lane

STEP_DEADLINE_S: Final = 10.0
DRAIN_S: Final = 5.0
_LOOK_AFTER_S: Final = 2.0
_TRANSFER_TRIES: Final = 2
_UNCHANGED_CODES: Final = frozenset({"40814", "45054"})
_CLIENT_ID_PREFIX: Final = "op"
"""Not the daemon's prefix: an operator's order isn't a sign of a second guard (I14)."""
_CLIENT_ID_BYTES: Final = 10


class ClassicOperator:
    """Implements `guardd.venues.base.OperatorVenue`. One step at a time; whoever calls asks for CONFIRM first."""

    def __init__(self, access: Access, connection: Connection) -> None:
        parts = Parts(access, connection.api)
        self._transport, self._api = connection.transport, connection.api
        self._reads = parts.reads
        self._products: Sequence[Product] = tuple(product for product in parts.products if product.linear)
        self._clock, self._random = access.clock, access.random

    async def close(self) -> None:
        await self._transport.drain(DRAIN_S)

    async def open_position(
        self, key: PositionKey, *, size: Decimal, price: Decimal | None, leverage: Decimal, isolated: bool
    ) -> Outcome:
        """Market, or limit at `price`. The order carries no leverage: mode and leverage are set before it where they differ."""
        wanted = _margin_mode(isolated)
        try:
            line, settings = await self._reads.settings(key.symbol, STEP_DEADLINE_S)
        except (VenueError, CredentialsError) as error:
            return _not_sent(f"how {key.symbol} is set can't be read: {error}")
        refused = await self._prepare(key, line, settings, wanted, leverage)
        if refused is not None:
            return refused
        setting = Setting(line=line, mode=settings.mode, margin_mode=wanted)
        return await self._step(endpoints.PLACE_ORDER, self._opening(key, setting, size, price))

    async def close_position(self, key: PositionKey, *, size: Decimal, price: Decimal | None) -> Outcome:
        """It can't open; at a price it is immediate-or-cancel."""
        try:
            setting = await self._setting_of(key)
        except (VenueError, CredentialsError) as error:
            return _not_sent(f"how {key.symbol} is set can't be read: {error}")
        write = CloseAtMarket(key=key, size=size, limit_price=price)
        return await self._step(endpoints.PLACE_ORDER, bodies.close_body(write, setting, self._client_id()))

    async def set_position_mode(self, mode: PositionMode) -> Outcome:
        """Of every linear product type that is in another one; each must be without position and order: looked at here, not left to
        40920. The first refusal ends it."""
        outcome: Outcome = Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
        try:
            in_the_way = await self._what_is_open()
            modes = {product: await self._reads.mode(product, STEP_DEADLINE_S) for product in self._products}
        except (VenueError, CredentialsError) as error:
            return _not_sent(f"what is open can't be read: {error}")
        if in_the_way:
            return _not_sent(f"{in_the_way} open, and a switch needs none")
        for product, found in modes.items():
            if found is mode:
                continue
            body: Body = {"productType": product.value, "posMode": POSITION_MODE_WORDS[mode]}
            outcome = await self._step(endpoints.SET_POSITION_MODE, body)
            if not isinstance(outcome, Accepted):
                return outcome
            self._reads.known.learn_mode(product, mode)
        return outcome

    async def set_leverage(self, symbol: Symbol, *, leverage: Decimal, isolated: bool) -> Outcome:
        """Also the switch of the margin mode, where it differs; of both sides where each has its own."""
        wanted = _margin_mode(isolated)
        try:
            line, settings = await self._reads.settings(symbol, STEP_DEADLINE_S)
        except (VenueError, CredentialsError) as error:
            return _not_sent(f"how {symbol} is set can't be read: {error}")
        if settings.margin_mode is not wanted:
            switched = await self.set_margin_mode(symbol, isolated=isolated)
            if not isinstance(switched, Accepted):
                return switched
        body: Body = {**_about(symbol, line), "leverage": decimal_text(leverage)}
        if isolated and settings.mode is PositionMode.HEDGE:
            body = {
                **_about(symbol, line),
                "longLeverage": decimal_text(leverage),
                "shortLeverage": decimal_text(leverage),
            }
        outcome = await self._step(endpoints.SET_LEVERAGE, body)
        return self._unchanged_is_done(outcome)

    async def live_leverage(self, symbol: Symbol, deadline_s: float) -> tuple[Decimal, MarginMode] | None:
        """Of a hedge whose sides differ, the higher one: what is reckoned with it is reckoned carefully."""
        _, settings = await self._reads.settings(symbol, deadline_s)
        if settings.margin_mode is MarginMode.CROSS:
            found = settings.cross_leverage
            return (found, MarginMode.CROSS) if is_value(found) else None
        sides = [each for each in settings.isolated_leverages.values() if is_value(each)]
        return (max(sides), MarginMode.ISOLATED) if sides else None

    async def transfer(self, *, amount: Decimal, into_futures: bool) -> Outcome:
        """Between spot and the first linear product type's wallet. The one write that its client id makes safe to repeat (8.1): an
        unknown outcome is repeated once under the same id, then looked up."""
        product = self._products[0]
        client_id = self._client_id()
        body = bodies.transfer_body(amount, product, client_id, into_futures=into_futures)
        outcome: Outcome = _not_sent("no try was made")
        for _ in range(_TRANSFER_TRIES):
            outcome = await self._step(endpoints.TRANSFER, body)
            if not isinstance(outcome, Unknown):
                return outcome
            await self._clock.sleep(_LOOK_AFTER_S)
        return await self._looked_up(outcome, product.settle, client_id)

    # Steps that only this venue has

    async def set_margin_mode(self, symbol: Symbol, *, isolated: bool) -> Outcome:
        """Refused by the venue while a position or order of the symbol is open (7.5)."""
        try:
            line = await self._reads.line(symbol, STEP_DEADLINE_S)
        except (VenueError, CredentialsError) as error:
            return _not_sent(f"the product type of {symbol} isn't known: {error}")
        body: Body = {**_about(symbol, line), "marginMode": MARGIN_MODE_WORDS[_margin_mode(isolated)]}
        return await self._step(endpoints.SET_MARGIN_MODE, body)

    async def add_margin(self, key: PositionKey, amount: Decimal) -> Outcome:
        """To an isolated position, from the free balance. It has no id of its own: after an unknown outcome the position's margin
        says whether it came (7.4)."""
        try:
            before = await self._reads.single_position(key, STEP_DEADLINE_S)
            line = await self._reads.line(key.symbol, STEP_DEADLINE_S)
        except (VenueError, CredentialsError) as error:
            return _not_sent(f"{key} can't be read: {error}")
        if before is None:
            return Rejected(reason=Reason.POSITION_GONE, code="", text=f"not sent: {key} isn't open")
        if before.position.margin_mode is not MarginMode.ISOLATED:
            return _not_sent(f"{key} is in cross mode: a transfer into the wallet adds to it")
        body: Body = {**_about(key.symbol, line), "holdSide": key.side.value, "amount": decimal_text(amount)}
        outcome = await self._step(endpoints.SET_MARGIN, body)
        if not isinstance(outcome, Unknown):
            return outcome
        await self._clock.sleep(_LOOK_AFTER_S)
        try:
            after = await self._reads.single_position(key, STEP_DEADLINE_S)
        except (VenueError, CredentialsError) as error:
            return Unknown(why=f"{outcome.why}; and {key} can't be read: {error}")
        if after is None or not is_value(after.position.margin) or not is_value(before.position.margin):
            return Unknown(why=f"{outcome.why}; and the margin of {key} isn't known")
        if after.position.margin - before.position.margin >= amount:
            return Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
        return Unknown(why=f"{outcome.why}; the margin is {after.position.margin}: look again before repeating")

    async def set_auto_margin(self, key: PositionKey, *, on: bool) -> Outcome:
        """Whether the venue itself adds margin near liquidation, from the balance that the guard reckons with (7.7)."""
        try:
            line = await self._reads.line(key.symbol, STEP_DEADLINE_S)
        except (VenueError, CredentialsError) as error:
            return _not_sent(f"the product type of {key.symbol} isn't known: {error}")
        body: Body = {
            "symbol": key.symbol,
            "autoMargin": "on" if on else "off",
            "marginCoin": line.margin_coin,
            "holdSide": key.side.value,
        }
        return await self._step(endpoints.SET_AUTO_MARGIN, body)

    # How

    async def _prepare(
        self, key: PositionKey, line: Line, settings: Settings, wanted: MarginMode, leverage: Decimal
    ) -> Outcome | None:
        """Margin mode and leverage as the opening wants them; None once they stand."""
        if settings.margin_mode is not wanted:
            switched = await self.set_margin_mode(key.symbol, isolated=wanted is MarginMode.ISOLATED)
            if not isinstance(switched, Accepted):
                return switched
        if settings.leverage(key.side, wanted) == leverage:
            return None
        body: Body = {**_about(key.symbol, line), "leverage": decimal_text(leverage)}
        if wanted is MarginMode.ISOLATED and settings.mode is PositionMode.HEDGE:
            body["holdSide"] = key.side.value
        outcome = self._unchanged_is_done(await self._step(endpoints.SET_LEVERAGE, body))
        return None if isinstance(outcome, Accepted) else outcome

    def _opening(self, key: PositionKey, setting: Setting, size: Decimal, price: Decimal | None) -> Body:
        body: Body = {
            **_about(key.symbol, setting.line),
            "marginMode": MARGIN_MODE_WORDS[setting.margin_mode],
            "size": decimal_text(size),
            "side": POSITION_SIDE[key.side],
            "orderType": "market" if price is None else "limit",
            "clientOid": self._client_id(),
        }
        if setting.mode is PositionMode.HEDGE:
            body["tradeSide"] = "open"
        if price is not None:
            body |= {"price": decimal_text(price), "force": "gtc"}
        return body

    async def _setting_of(self, key: PositionKey) -> Setting:
        """By the position's own row, as it stands now; an order for one that isn't there goes by the symbol's modes."""
        row = await self._reads.single_position(key, STEP_DEADLINE_S)
        if row is None:
            return await self._reads.setting(key, STEP_DEADLINE_S)
        line = Line(product=row.product, margin_coin=row.margin_coin)
        return Setting(line=line, mode=row.mode, margin_mode=row.position.margin_mode)

    async def _looked_up(self, unknown: Outcome, coin: str, client_id: str) -> Outcome:
        why = unknown.why if isinstance(unknown, Unknown) else ""
        try:
            rows = await self._reads.transfers(coin=coin, client_id=client_id)
        except (VenueError, CredentialsError) as error:
            return Unknown(why=f"{why}; and the transfer records can't be read: {error}")
        if any(row.client_id == client_id and row.done for row in rows):
            return Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
        return Unknown(why=f"{why}; the transfer records don't show it: look at both balances before repeating")

    async def _what_is_open(self) -> str:
        """What stands in the way of a switch of mode, in words; empty when nothing does."""
        await self._reads.positions()
        orders = await self._reads.orders(resting=True, plans=True)
        found = (
            (sum(row.product.linear for row in self._reads.known.rows), "position(s)"),
            (len(orders.resting or ()), "order(s)"),
            (len(orders.plans or ()), "plan order(s)"),
        )
        return ", ".join(f"{count} {what}" for count, what in found if count)

    def _unchanged_is_done(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Rejected) and outcome.code in _UNCHANGED_CODES:
            return Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
        return outcome

    def _client_id(self) -> ClientId:
        """Never the same twice, whatever the seed of chance: the wall clock is in it."""
        letters = base64.b32encode(self._random.randbytes(_CLIENT_ID_BYTES)).decode().lower()
        moment = f"{self._clock.now().wall_ms:x}"
        return ClientId(f"{_CLIENT_ID_PREFIX}{moment}{letters}"[:CLIENT_ID_LETTERS_MAX])

    async def _step(self, endpoint: Endpoint, body: Body) -> Outcome:
        for product in self._products:
            self._reads.repeats.stir(product)
        return await self._api.write(endpoint, body, deadline_s=STEP_DEADLINE_S, lane=Lane.ORDINARY)


def _margin_mode(isolated: bool) -> MarginMode:
    return MarginMode.ISOLATED if isolated else MarginMode.CROSS


def _about(symbol: Symbol, line: Line) -> Body:
    return {"symbol": symbol, "productType": line.product.value, "marginCoin": line.margin_coin}


def _not_sent(why: str) -> Rejected:
    return Rejected(reason=Reason.NOT_SENT, code="", text=f"not sent: {why}")

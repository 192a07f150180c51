"""Carries out the close-only writes of the daemon, each with the second form that the reference gives it (11, 12, 15, 18).

A second form is tried once, within the same deadline, and only after an answer that proves that the first did nothing.
"""

from collections import OrderedDict
from typing import Final, TypeVar, assert_never

from msgspec import Struct

from guardd.clock import Clock
from guardd.errors import CredentialsError, VenueError
from guardd.model.instant import NS_PER_S
from guardd.model.intent import (
    AddMargin,
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    TransferToFutures,
    Write,
    stop_direction,
)
from guardd.model.names import ClientId, MarginMode, OrderId, PositionKey, PositionMode
from guardd.model.order import Direction, PlanForm
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.venues.bitget.api import Api
from guardd.venues.bitget.classic import bodies, endpoints
from guardd.venues.bitget.classic.bodies import Body, Setting
from guardd.venues.bitget.classic.money import spot_balance, wallet_of
from guardd.venues.bitget.classic.parse.words import PLAN_WORDS, Product
from guardd.venues.bitget.classic.reads import Reads
from guardd.venues.bitget.endpoint import Endpoint
from guardd.venues.limiter import Lane

IDS_KEPT: Final = 2_000
ENDED_BEFORE_MS: Final = 1_000
"""An end that the history dates so much before a cancel wasn't that cancel's doing, however the clocks stand."""
_HOLD_SIDE_CODES: Final = frozenset({"43011", "400172"})
"""What `holdSide` in the wrong words is answered with in one-way mode (12.2, 19.15)."""
_MODE_CODES: Final = frozenset({"40774", "45020", "45021", "45109", "43075", "400172"})
"""The request doesn't fit the position mode: read it anew, rebuild once (15.2, 15.3)."""
_BELOW_MINIMUM_CODES: Final = frozenset(
    {"45110", "45111", "45114", "43006", "43010", "43027", "43037", "43042", "22034"}
)
_NO_MARKET_CODES: Final = frozenset({"40721", "40824", "40722", "40826", "40825", "22045", "70220"})
_UNCHANGED_CODES: Final = frozenset({"40814", "45054"})

_Id = TypeVar("_Id")


class _Errand(Struct, frozen=True):
    """How one write goes out: its lane, what it is for (blocks count tries by it), and until when."""

    lane: Lane
    subject: str
    ends_ns: int
    closes: bool = False


class Writes:
    """The writes of one account. Nothing here opens a position, closes without a symbol or cancels without an id (I30)."""

    def __init__(self, *, api: Api, reads: Reads, clock: Clock) -> None:
        self._api = api
        self._reads = reads
        self._clock = clock
        self._sent: OrderedDict[ClientId, None] = OrderedDict()
        self._ended: OrderedDict[OrderId, None] = OrderedDict()
        self._position_words: set[Product] = set()
        """One-way lines that took `holdSide` in the words of positions."""
        self.spot_read = False
        """The key may read the spot wallet: what isn't there is never asked for."""

    async def send(self, write: Write, *, client_id: ClientId, lane: Lane, deadline_s: float) -> Outcome:
        ends_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        barred = await self._barred(write.key, deadline_s)
        if barred is not None:
            return barred
        match write:
            case CloseAtMarket():
                errand = _Errand(lane, str(write.key), ends_ns, closes=True)
                return await self._once(write.key, client_id, errand) or await self._close(write, client_id, errand)
            case PlaceProtection():
                errand = _Errand(lane, f"{write.key} {write.kind}", ends_ns)
                return await self._once(write.key, client_id, errand) or await self._place(write, client_id, errand)
            case ModifyProtection():
                return await self._modify(write, _Errand(lane, f"{write.key} {write.kind}", ends_ns))
            case CancelOrder():
                return await self._cancel(write, _Errand(lane, f"{write.key} cancel", ends_ns))
            case SetLeverage():
                return await self._set_leverage(write, _Errand(lane, f"{write.key} leverage", ends_ns))
            case AddMargin():
                return await self._add_margin(write, _Errand(lane, f"{write.key} margin", ends_ns))
            case TransferToFutures():
                return await self._transfer(write, client_id, _Errand(lane, "transfer", ends_ns))
            case _:
                assert_never(write)

    async def _barred(self, key: PositionKey, deadline_s: float) -> Rejected | None:
        """Why nothing at all is sent for a contract that isn't guarded, neither a close nor a change or the end of an order: of
        Coin-M the unit of sizes isn't documented (19.41)."""
        try:
            why = await self._reads.why_unguarded(key.symbol, deadline_s)
        except (VenueError, CredentialsError) as error:
            return _unsent(f"what {key.symbol} is can't be read: {error}")
        if not why:
            return None
        return Rejected(reason=Reason.UNSUPPORTED, code="", text=f"not sent: {key.symbol} isn't guarded: {why}")

    # Closing

    async def _close(self, write: CloseAtMarket, client_id: ClientId, errand: _Errand) -> Outcome:
        setting = await self._setting(write.key, errand)
        if isinstance(setting, Rejected):
            return setting
        outcome = await self._post_close(write, setting, client_id, errand)
        if _refused(outcome, _MODE_CODES) and (fresh := await self._changed(write.key, setting, errand)) is not None:
            setting = fresh
            outcome = await self._post_close(write, setting, client_id, errand)
        if self._is_last_way(outcome, write) and await self._is_whole(write, errand):
            return await self._flash(write, setting, outcome, errand)
        return outcome

    async def _post_close(
        self, write: CloseAtMarket, setting: Setting, client_id: ClientId, errand: _Errand
    ) -> Outcome:
        body = bodies.close_body(write, setting, client_id)
        return self._noted(client_id, await self._post(endpoints.PLACE_ORDER, body, setting.line.product, errand))

    def _is_last_way(self, outcome: Outcome, write: CloseAtMarket) -> bool:
        """A flash close is left to what an order can't do: a position below the minimum order, or one whose market order and
        whose immediate-or-cancel order were both refused (18)."""
        if _refused(outcome, _BELOW_MINIMUM_CODES):
            return True
        return write.limit_price is not None and _refused(outcome, _NO_MARKET_CODES)

    async def _is_whole(self, write: CloseAtMarket, errand: _Errand) -> bool:
        """Whether the order was to close all that is held now: a flash close takes everything (11.7)."""
        try:
            row = await self._reads.single_position(write.key, self._left_s(errand))
        except (VenueError, CredentialsError):
            return False
        return row is not None and row.position.quantity <= write.size

    async def _flash(self, write: CloseAtMarket, setting: Setting, before: Outcome, errand: _Errand) -> Outcome:
        """It carries no client id: its order is known by the id in its answer, and if that is lost, by the position (11.7)."""
        body = bodies.flash_body(write.key.symbol, write.key.side, setting)
        outcome = await self._post(endpoints.CLOSE_POSITIONS, body, setting.line.product, errand)
        unsent = isinstance(outcome, Rejected) and outcome.reason in (Reason.NOT_SENT, Reason.RATE_LIMITED)
        return before if unsent else outcome

    # Protection

    async def _place(self, write: PlaceProtection, client_id: ClientId, errand: _Errand) -> Outcome:
        setting = await self._setting(write.key, errand)
        if isinstance(setting, Rejected):
            return setting
        if write.form is PlanForm.PLAN:
            return await self._place_plan(write, setting, client_id, errand)
        return await self._place_protection(write, setting, client_id, errand)

    async def _place_protection(
        self, write: PlaceProtection, setting: Setting, client_id: ClientId, errand: _Errand
    ) -> Outcome:
        """In one-way mode in the words of trade, then once in those of positions; what was taken is tried first from then on."""
        one_way, product = setting.mode is PositionMode.ONE_WAY, setting.line.product
        trade_words = one_way and product not in self._position_words
        outcome = await self._post_protection(write, setting, client_id, errand, trade_words=trade_words)
        if not one_way or not _refused(outcome, _HOLD_SIDE_CODES) or self._left_s(errand) <= 0:
            return outcome
        second = await self._post_protection(write, setting, client_id, errand, trade_words=not trade_words)
        if isinstance(second, Accepted):
            (self._position_words.add if trade_words else self._position_words.discard)(product)
        return second

    async def _post_protection(
        self, write: PlaceProtection, setting: Setting, client_id: ClientId, errand: _Errand, *, trade_words: bool
    ) -> Outcome:
        body = bodies.protection_body(write, setting, client_id, trade_words=trade_words)
        outcome = await self._post(endpoints.PLACE_TPSL, body, setting.line.product, errand)
        return self._placed(write, client_id, outcome, PLAN_WORDS[write.form, write.kind])

    async def _place_plan(
        self, write: PlaceProtection, setting: Setting, client_id: ClientId, errand: _Errand
    ) -> Outcome:
        if setting.mode is not PositionMode.HEDGE:
            text = "not sent: in one-way mode a trigger order may open a position (Bitget reference, 12.4)"
            return Rejected(reason=Reason.UNSUPPORTED, code="", text=text)
        body = bodies.plan_body(write, setting, client_id)
        outcome = await self._post(endpoints.PLACE_PLAN, body, setting.line.product, errand)
        return self._placed(write, client_id, outcome, "normal_plan")

    async def _modify(self, write: ModifyProtection, errand: _Errand) -> Outcome:
        """The id in the answer may be another one than before (19.30): it is what is read back."""
        try:
            line = await self._reads.line(write.key.symbol, self._left_s(errand))
        except (VenueError, CredentialsError) as error:
            return _unsent(f"the product type of {write.key.symbol} isn't known: {error}")
        if write.form is PlanForm.PLAN:
            body, endpoint = bodies.modify_plan_body(write, line), endpoints.MODIFY_PLAN
        else:
            body, endpoint = bodies.modify_protection_body(write, line), endpoints.MODIFY_TPSL
        outcome = await self._post(endpoint, body, line.product, errand)
        if isinstance(outcome, Accepted) and outcome.order_id is not None:
            plan_type = self._reads.known.plan_type(write.order_id)
            if plan_type is not None:
                self._reads.known.learn_plan(outcome.order_id, plan_type, _way(write))
        return outcome

    # Ending and setting

    async def _cancel(self, write: CancelOrder, errand: _Errand) -> Outcome:
        """A plan order is ended under the type that it rests under, and no other: looked for where it isn't known (12.6)."""
        symbol = write.key.symbol
        try:
            line = await self._reads.line(symbol, self._left_s(errand))
            if write.kind is CancelKind.RESTING:
                body = bodies.cancel_body(symbol, write.order_id, line)
                return await self._post(endpoints.CANCEL_ORDER, body, line.product, errand)
            plan_type = await self._reads.plan_type(symbol, write.order_id, self._left_s(errand))
        except (VenueError, CredentialsError) as error:
            return _unsent(f"what {write.order_id} is can't be read: {error}")
        if plan_type is None:
            return Rejected(reason=Reason.ORDER_GONE, code="", text="not sent: no list of plan orders shows it")
        sent_ms = self._api.time.timestamp_ms()
        body = bodies.cancel_plan_body(symbol, write.order_id, plan_type, line)
        outcome = await self._post(endpoints.CANCEL_PLAN, body, line.product, errand)
        if isinstance(outcome, Unknown):
            return await self._or_gone(outcome, write, sent_ms, errand)
        if isinstance(outcome, Accepted):
            _remember(self._ended, write.order_id)
        return outcome

    async def _or_gone(self, unknown: Unknown, write: CancelOrder, sent_ms: int, errand: _Errand) -> Outcome:
        """A plan order that had ended is refused without a code (12.6): it waits no more, and an earlier cancel of ours ended it or
        the history dates its end well before this one."""
        try:
            end = await self._reads.plan_end(write.key.symbol, write.order_id, self._left_s(errand))
        except (VenueError, CredentialsError):
            return unknown
        before = end.ended_ms is not None and end.ended_ms < sent_ms - ENDED_BEFORE_MS
        if end.waits or not (before or write.order_id in self._ended):
            return unknown
        return Rejected(reason=Reason.ORDER_GONE, code="", text=f"{write.order_id} had ended before: {unknown.why}")

    async def _set_leverage(self, write: SetLeverage, errand: _Errand) -> Outcome:
        """That nothing would change is what was wanted (7.3)."""
        setting = await self._setting(write.key, errand)
        if isinstance(setting, Rejected):
            return setting
        body = bodies.leverage_body(write, setting)
        outcome = await self._post(endpoints.SET_LEVERAGE, body, setting.line.product, errand)
        if _refused(outcome, _UNCHANGED_CODES):
            return Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
        return outcome

    async def _add_margin(self, write: AddMargin, errand: _Errand) -> Outcome:
        """It has no id of its own: sent once, and known by the position's margin and the bills (7.4)."""
        setting = await self._setting(write.key, errand)
        if isinstance(setting, Rejected):
            return setting
        if setting.margin_mode is not MarginMode.ISOLATED:
            text = f"not sent: {write.key.symbol} is in cross mode, and a transfer adds to it"
            return Rejected(reason=Reason.UNSUPPORTED, code="", text=text)
        body = bodies.margin_body(write, setting.line)
        return await self._post(endpoints.SET_MARGIN, body, setting.line.product, errand)

    async def _transfer(self, write: TransferToFutures, client_id: ClientId, errand: _Errand) -> Outcome:
        """A repeated client id gives the first one's result (8.1). More than the spot wallet holds isn't asked for."""
        try:
            product = wallet_of(write.currency)
            spot = await spot_balance(self._api, write.currency, self._left_s(errand) / 2) if self.spot_read else None
        except (VenueError, CredentialsError) as error:
            return _unsent(f"the spot wallet can't be read: {error}")
        if spot is not None and spot < write.amount:
            text = f"not sent: {spot} {write.currency} lie in the spot wallet, {write.amount} are asked for"
            return Rejected(reason=Reason.BALANCE, code="", text=text)
        body = bodies.transfer_body(write.amount, product, client_id, into_futures=True)
        return await self._post(endpoints.TRANSFER, body, product, errand)

    # What all of them share

    async def _once(self, key: PositionKey, client_id: ClientId, errand: _Errand) -> Rejected | None:
        """The venue holds a client id against orders that rest alone (11.3): one that may have arrived is looked up before it goes
        again."""
        if client_id not in self._sent:
            return None
        try:
            found = await self._reads.find_order(
                key.symbol, client_id=client_id, order_id=None, deadline_s=self._left_s(errand)
            )
        except (VenueError, CredentialsError) as error:
            return _unsent(f"whether {client_id} arrived before can't be read: {error}")
        if found is None:
            return None
        text = f"not sent: the earlier send arrived as order {found.order_id}"
        return Rejected(reason=Reason.DUPLICATE_CLIENT_ID, code="", text=text)

    async def _setting(self, key: PositionKey, errand: _Errand) -> Setting | Rejected:
        """How an order for this position must be written, or why none is sent."""
        try:
            return await self._reads.setting(key, self._left_s(errand))
        except (VenueError, CredentialsError) as error:
            return _unsent(f"the modes of {key.symbol} can't be read: {error}")

    async def _changed(self, key: PositionKey, setting: Setting, errand: _Errand) -> Setting | None:
        """The modes as the venue states them now, where they differ from what was sent."""
        try:
            row = await self._reads.single_position(key, self._left_s(errand))
        except (VenueError, CredentialsError):
            return None
        if row is None:
            return None
        fresh = Setting(line=setting.line, mode=row.mode, margin_mode=row.position.margin_mode)
        return fresh if fresh != setting and self._left_s(errand) > 0 else None

    def _placed(self, write: PlaceProtection, client_id: ClientId, outcome: Outcome, plan_type: str) -> Outcome:
        if isinstance(outcome, Accepted) and outcome.order_id is not None:
            self._reads.known.learn_plan(outcome.order_id, plan_type, _way(write))
        return self._noted(client_id, outcome)

    def _noted(self, client_id: ClientId, outcome: Outcome) -> Outcome:
        """Remember an id that the venue has, or may have."""
        if isinstance(outcome, Accepted | Unknown):
            _remember(self._sent, client_id)
        return outcome

    async def _post(self, endpoint: Endpoint, body: Body, product: Product, errand: _Errand) -> Outcome:
        """Whatever becomes of it, what was known of the product type's lists is old by then."""
        self._reads.repeats.stir(product)
        try:
            return await self._api.write(
                endpoint,
                body,
                deadline_s=self._left_s(errand),
                lane=errand.lane,
                subject=errand.subject,
                closes=errand.closes,
            )
        finally:
            self._reads.repeats.stir(product)

    def _left_s(self, errand: _Errand) -> float:
        return max(0.0, (errand.ends_ns - self._clock.monotonic_ns()) / NS_PER_S)


def _way(write: PlaceProtection | ModifyProtection) -> Direction | None:
    """Which way the price goes to the trigger of one of ours: for a trigger order, which doesn't say it itself."""
    return stop_direction(write.key, write.kind) if write.form is PlanForm.PLAN else None


def _remember(ids: OrderedDict[_Id, None], each: _Id) -> None:
    ids[each] = None
    if len(ids) > IDS_KEPT:
        ids.popitem(last=False)


def _refused(outcome: Outcome, codes: frozenset[str]) -> bool:
    return isinstance(outcome, Rejected) and outcome.code in codes


def _unsent(why: str) -> Rejected:
    return Rejected(reason=Reason.NOT_SENT, code="", text=f"not sent: {why}")

"""Notes what closing orders realised at the moment it is learned: from the private stream, or from reading a close back.

A position that was closed is gone with its entry price, so the last one seen is remembered for the push that comes after.
"""

from collections import OrderedDict
from decimal import Decimal
from typing import Final

from guardd.journal.base import Journal
from guardd.model.event import Event, IntentMoved, OrderPushed, PositionsRead
from guardd.model.fill import Fill, realized_pnl
from guardd.model.instant import Instant
from guardd.model.intent import CloseAtMarket, Stage
from guardd.model.names import ClientId, EpisodeId, OrderId, PositionKey
from guardd.model.order import OrderAction
from guardd.model.state import AccountState

REMEMBERED_MAX: Final = 500
"""Orders noted, and positions whose entry is known: pushes repeat within seconds."""
_FORCED: Final = frozenset({OrderAction.LIQUIDATION, OrderAction.ADL})


class Fills:
    """One account's. Hears each event after it was folded."""

    def __init__(self, *, state: AccountState, journal: Journal) -> None:
        self._state = state
        self._journal = journal
        self._noted: OrderedDict[OrderId, None] = OrderedDict()
        self._entries: OrderedDict[PositionKey, tuple[EpisodeId, Decimal]] = OrderedDict()

    def heard(self, event: Event) -> None:
        """Note what this event tells; nothing where it tells no price."""
        match event:
            case PositionsRead():
                for key, held in self._state.held.items():
                    self._remember(key, held.episode.id, held.position.entry_price)
            case OrderPushed():
                self._pushed(event)
            case IntentMoved(stage=Stage.VERIFIED):
                self._read_back(event)
            case _:
                pass

    def _pushed(self, event: OrderPushed) -> None:
        update = event.update
        held = self._state.held.get(update.key)
        if held is not None:
            self._remember(update.key, held.episode.id, held.position.entry_price)
        known = self._entries.get(update.key)
        ended = not update.live and update.filled > 0 and update.average_price is not None
        if not (ended and update.closes and known is not None and update.average_price is not None):
            return
        self._note(
            event.at,
            key=update.key,
            episode=known[0],
            order_id=update.order_id,
            client_id=update.client_id,
            plan_order_id=update.plan_order_id,
            how=update.action.value if update.action in _FORCED else OrderAction.FILLED.value,
            size=update.filled,
            price=update.average_price,
        )

    def _read_back(self, event: IntentMoved) -> None:
        intent, price, filled, order_id = event.intent, event.average_price, event.filled, event.order_id
        if not isinstance(intent.write, CloseAtMarket) or price is None or not filled or order_id is None:
            return
        self._note(
            event.at,
            key=intent.key,
            episode=intent.episode,
            order_id=order_id,
            client_id=intent.id,
            plan_order_id=None,
            how=OrderAction.FILLED.value,
            size=filled,
            price=price,
        )

    def _note(
        self,
        at: Instant,
        *,
        key: PositionKey,
        episode: EpisodeId,
        order_id: OrderId,
        client_id: ClientId | None,
        plan_order_id: OrderId | None,
        how: str,
        size: Decimal,
        price: Decimal,
    ) -> None:
        if order_id in self._noted:
            return
        self._noted[order_id] = None
        if len(self._noted) > REMEMBERED_MAX:
            self._noted.popitem(last=False)
        known, instrument = self._entries.get(key), self._state.instruments.get(key.symbol)
        entry = known[1] if known is not None and known[0] == episode else None
        won = (
            realized_pnl(instrument, key.side, size=size, entry=entry, price=price)
            if instrument is not None and entry is not None
            else None
        )
        fill = Fill(
            key=key,
            episode=episode,
            order_id=order_id,
            client_id=client_id,
            plan_order_id=plan_order_id,
            how=how,
            size=size,
            price=price,
            entry_price=entry,
            realized_pnl=won,
            currency=instrument.settle if instrument is not None else None,
        )
        self._journal.note_fill(fill, at)

    def _remember(self, key: PositionKey, episode: EpisodeId, entry: Decimal) -> None:
        if entry > 0:
            self._entries[key] = (episode, entry)
            self._entries.move_to_end(key)
            if len(self._entries) > REMEMBERED_MAX:
                self._entries.popitem(last=False)

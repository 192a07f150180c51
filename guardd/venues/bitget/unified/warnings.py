"""What people must hear about a unified account, each once while it lasts (UTA reference, 2, 3, 4, 6.1 and 7)."""

from collections.abc import Iterable, Mapping
from typing import Final

from guardd.errors import PayloadError
from guardd.model.names import Severity, Side, Symbol
from guardd.venues.bitget.admission import Tell
from guardd.venues.bitget.unified.parse.account import (
    COPIES,
    MANAGES,
    TRADES,
    WITHDRAWS,
    HeldRow,
    Identity,
    Pool,
    Settings,
)
from guardd.venues.bitget.unified.parse.both_modes import UNGUARDED_BOTH_MODES
from guardd.venues.bitget.unified.parse.market import Contract
from guardd.venues.bitget.unified.parse.pushes import Deleveraged
from guardd.venues.bitget.unified.parse.strategy import Leg, Strategy
from guardd.venues.rows import tiers_unread

_BARRED: Final = frozenset({"limit_close", "restrictedAPI"})


class Warnings:
    """Says each thing when it begins, and again only after it had ended."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._standing: set[str] = set()

    def of_identity(self, identity: Identity) -> None:
        """What the key may do too much and too little (7.3)."""
        missing = sorted({TRADES, MANAGES} - identity.permissions)
        if missing or not identity.may_write:
            what = f"lacks {' and '.join(missing)}" if missing else "only reads"
            self._tell("key-permissions", f"Bitget: this key {what}: it can't place a stop", Severity.CRITICAL)
        if WITHDRAWS in identity.permissions:
            self._tell("key-withdraws", "Bitget: this key may withdraw, which a guard never needs: use one that can't")
        if COPIES & identity.permissions:
            text = (
                "Bitget: this key is for copy trading: what guardd closes here, followers close too; have it reviewed"
            )
            self._tell("key-copies", text, Severity.CRITICAL)
        if not identity.bound_to_addresses:
            self._tell("key-unbound", "Bitget: this key works from any address: bind it to this machine's")

    def of_settings(self, settings: Settings) -> None:
        text = (
            f"Bitget: this account's level {settings.level} isn't described by the venue: its risk may work otherwise"
        )
        self._while(not settings.level.described, f"level-{settings.level}", text, Severity.CRITICAL)
        text = f"Bitget: this account is {settings.mode}: nothing is sent until that is over"
        self._while(not settings.mode.writable, "converting", text, Severity.CRITICAL)

    def of_pool(self, pool: Pool) -> None:
        owed = ", ".join(f"{amount} {coin}" for coin, amount in pool.debts)
        self._while(bool(owed), "debts", f"Bitget: this account owes {owed}: it costs interest and uses up collateral")
        text = f"Bitget: the printed margin ratio {pool.printed_ratio} contradicts its own amounts and isn't used"
        self._while(pool.ratio_is_odd, "odd-ratio", text, Severity.CRITICAL)

    def of_positions(self, rows: Iterable[HeldRow]) -> None:
        """Every position that is held."""
        both = {f"both-modes-{row.position.key}": row.position.key for row in rows if row.both_modes}
        self._standing -= {edge for edge in self._standing if edge.startswith("both-modes-") and edge not in both}
        for edge, key in both.items():
            text = f"{key}: {UNGUARDED_BOTH_MODES}; nothing is sent for {key.symbol} while that lasts"
            self._while(True, edge, text, Severity.CRITICAL)

    def of_contracts(self, contracts: Iterable[Contract], now_ms: int) -> None:
        for contract in contracts:
            symbol, status = contract.symbol, contract.status
            text = f"{symbol} is {status} at Bitget: no close of it is taken"
            self._while(status in _BARRED, f"barred-{symbol}", text, Severity.CRITICAL)
            self._while(
                not contract.tradable and status not in _BARRED, f"offline-{symbol}", f"{symbol} is {status} at Bitget"
            )
            ending = contract.offline_ms is not None and contract.offline_ms > now_ms
            self._while(ending, f"delisting-{symbol}", f"{symbol} is announced to go offline at Bitget")

    def of_tiers(self, symbol: Symbol, error: PayloadError) -> None:
        self._tell(f"tiers-{symbol}", tiers_unread(symbol, error))

    def of_strategies(self, found: Iterable[Strategy], sides: Mapping[Symbol, Side]) -> None:
        """An object of which nobody can tell which position it protects counts as no protection."""
        for each in found:
            unclear = each.rests and each.side is None and each.symbol not in sides
            text = f"strategy order {each.order_id} of {each.symbol} names no side: it doesn't count as protection"
            self._while(unclear, f"sideless-{each.order_id}", text)

    def of_lost_leg(self, found: Strategy, leg: Leg) -> None:
        text = f"{found.symbol}: Bitget dropped the {leg.kind} at {leg.trigger_price} of order {found.order_id} as it was changed"
        self._tell(f"lost-leg-{found.order_id}", text, Severity.CRITICAL)

    def of_failed(self, found: Strategy) -> None:
        """Once, however many sockets and repetitions tell it."""
        text = f"{found.symbol}: strategy order {found.order_id} was triggered and failed: what it should close is closed by order"
        self._while(True, f"strategy-failed-{found.order_id}", text, Severity.CRITICAL)

    def of_deleveraging(self, event: Deleveraged) -> None:
        text = f"{event.symbol}: Bitget deleveraged this account ({event.side} at {event.price}, worth {event.amount})"
        self._tell(f"adl-{event.symbol}", text, Severity.CRITICAL)

    def of_close_refused(self, symbol: Symbol, why: str) -> None:
        text = f"{symbol}: an order for the whole position was refused ({why}): it is closed by close-positions"
        self._tell(f"close-positions-{symbol}", text, Severity.WARNING)

    def _while(self, stands: bool, edge: str, text: str, severity: Severity = Severity.WARNING) -> None:
        if not stands:
            self._standing.discard(edge)
        elif edge not in self._standing:
            self._standing.add(edge)
            self._tell(edge, text, severity)

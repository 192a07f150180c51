"""Who stands on the stage: accounts, their keys, a position in each symbol, and the prices that every process agrees on.

A cast is plain data, so that the exchange, guardd and the other clients can each be started with the same one.
"""

import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Final

from guardd.simulator.contracts import Contract, synthetic_contracts
from guardd.simulator.records import Quote
from tests.changed import replace

START: Final = Decimal(100)
CROSSED: Final = Decimal(95)
"""An isolated long at ten times ends at about 91.8: a distance of six percent is reached at 97.7, and its stop rests below 94."""
THRESHOLD: Final = 97.0
"""Where the clients that know no liquidation price act: between the two, like guardd."""
JITTER: Final = 7
"""Frames of one symbol differ by so many ticks, far from any trigger."""
NOTIONAL: Final = 1_000
LEVERAGE: Final = 10
SHARE: Final = Decimal("0.25")
"""What a crossing lets every client close of its position."""
_STEP: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One account's credentials at the simulated exchange."""

    key: str
    secret: str
    passphrase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """`positions` longs of equal size, one a symbol, dealt round to `accounts` accounts."""

    positions: int
    accounts: int = 1
    cross: bool = False

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(symbol_of(number) for number in range(self.positions))

    @property
    def account_names(self) -> tuple[str, ...]:
        return tuple(f"a{number}" for number in range(self.accounts))

    def owner(self, symbol: str) -> str:
        return f"a{number_of(symbol) % self.accounts}"

    def as_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> "Cast":
        return cls(**json.loads(text))


def symbol_of(number: int) -> str:
    return f"SYN{number:05d}USDT"


def number_of(symbol: str) -> int:
    return int(symbol[3:8])


def key_of(account: str) -> Key:
    return Key(key=f"bench-key-{account}", secret=f"bench-secret-{account}", passphrase="bench")


def contracts_of(cast: Cast) -> tuple[Contract, ...]:
    """One made-up perpetual a position, counted in its base coin as Bitget does."""
    [model] = synthetic_contracts(1, seed=1)
    return tuple(
        replace(
            model,
            symbol=symbol,
            base=symbol[:8],
            group="USDT-FUTURES",
            settle="USDT",
            contract_size=Decimal(1),
            step=_STEP,
            min_size=_STEP,
        )
        for symbol in cast.symbols
    )


def quote_at(level: Decimal, tick: Decimal, jitter: int) -> Quote:
    """All prices of one moment: index and last beside the mark, so that a frame past a trigger confirms itself (I28)."""
    mark = level + tick * jitter
    return Quote(mark=mark, index=mark, last=mark, bid=mark - tick, ask=mark + tick)


def size_of_position() -> Decimal:
    return NOTIONAL / START

"""The simulator as a process of its own: `guardd simulate --venue V --port P`."""

import asyncio
import socket
import sys
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from guardd.clock import Clock
from guardd.simulator import control, prices
from guardd.simulator.contracts import Contract, default_contracts, default_prices
from guardd.simulator.control import AccountSettings
from guardd.simulator.dialects.bitget.desk import Options as BitgetOptions
from guardd.simulator.dialects.bitget.dialect import BitgetDialect
from guardd.simulator.dialects.bitget_common.gateway import NEVER_BANNED
from guardd.simulator.dialects.bitget_common.listing import bitget_contracts, bitget_prices, bitget_terms
from guardd.simulator.dialects.bitget_unified.desk import Options as UnifiedOptions
from guardd.simulator.dialects.bitget_unified.dialect import BitgetUnifiedDialect, unified_terms
from guardd.simulator.dialects.bitmart.desk import Options as BitmartOptions
from guardd.simulator.dialects.bitmart.dialect import BitmartDialect
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.limits import BanRule, Limits
from guardd.simulator.prices import Instrument, PriceTick
from guardd.simulator.records import AccountKind
from guardd.simulator.server import SimulatorServer
from guardd.simulator.terms import FillModel, Terms
from guardd.simulator.wire import Dialect

_WALK_PER_S = Decimal("0.0003")
_WALK_STEP_MS = 500
_WALK_CHUNK_MS = 60_000


class SimulatedVenue(StrEnum):
    BITMART = "bitmart"
    BITGET = "bitget"
    BITGET_UNIFIED = "bitget-unified"


DEFAULT_ACCOUNTS = (
    AccountSettings(
        uid="main", deposit=Decimal(10_000), spot=Decimal(5_000), key="sim-main-key", secret="sim-main-secret",  # noqa: S106
        passphrase="sim-main-memo",  # noqa: S106
    ),
    AccountSettings(
        uid="twin", deposit=Decimal(10_000), spot=Decimal(5_000), key="sim-twin-key", secret="sim-twin-secret",  # noqa: S106
        passphrase="sim-twin-memo",  # noqa: S106
    ),
    AccountSettings(
        uid="main", deposit=Decimal(0), key="sim-readonly-key", secret="sim-readonly-secret",  # noqa: S106
        passphrase="sim-readonly-memo", may_trade=False,  # noqa: S106
    ),
)  # fmt: skip


class ServeSettings(Struct, frozen=True, kw_only=True):
    """What `serve` needs. `walk`: prices wander from the start; else they stand until told. Port 0: any free one."""

    venue: SimulatedVenue = SimulatedVenue.BITMART
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 0
    accounts: tuple[AccountSettings, ...] = DEFAULT_ACCOUNTS
    contracts: tuple[Contract, ...] | None = None  # None: what this venue lists
    prices: dict[str, Decimal] | None = None
    walk: bool = True
    ticker_interval_ms: int = 1_000
    options: BitmartOptions | BitgetOptions | UnifiedOptions | None = None  # None: the venue's own
    terms: Terms | None = None
    fills: FillModel | None = None
    ban_rule: BanRule | None = None


def build(
    settings: ServeSettings, clock: Clock, faults: Faults | None = None, *, listener: socket.socket | None = None
) -> SimulatorServer:
    """A server with its accounts, keys and starting prices, not yet listening. `listener`: a bound socket of the caller's."""
    faults = faults or Faults(seed=settings.seed)
    exchange = Exchange(
        listed(settings),
        seed=settings.seed,
        now_ms=clock.now().wall_ms,
        terms=settings.terms or terms_of(settings.venue),
        fills=settings.fills,
    )
    dialect = _dialect(settings, exchange, faults)
    server = SimulatorServer(
        exchange, dialect, faults, clock=clock, host=settings.host, port=settings.port, listener=listener
    )
    control.attach(server)
    for account in settings.accounts:
        _open(server, _of_venue(settings.venue, account))
    for symbol, price in starting_prices(settings).items():
        server.set_price(symbol, price)
    return server


def listed(settings: ServeSettings) -> tuple[Contract, ...]:
    """What is traded there."""
    if settings.contracts is not None:
        return settings.contracts
    match settings.venue:
        case SimulatedVenue.BITMART:
            return default_contracts()
        case SimulatedVenue.BITGET | SimulatedVenue.BITGET_UNIFIED:
            return bitget_contracts()


def starting_prices(settings: ServeSettings) -> dict[str, Decimal]:
    if settings.prices is not None:
        return settings.prices
    match settings.venue:
        case SimulatedVenue.BITMART:
            return default_prices()
        case SimulatedVenue.BITGET | SimulatedVenue.BITGET_UNIFIED:
            return bitget_prices()


def terms_of(venue: SimulatedVenue) -> Terms | None:
    """What a venue's reference says where the exchange leaves a choice; None: the exchange's own."""
    match venue:
        case SimulatedVenue.BITMART:
            return None
        case SimulatedVenue.BITGET:
            return bitget_terms()
        case SimulatedVenue.BITGET_UNIFIED:
            return unified_terms()


def _dialect(settings: ServeSettings, exchange: Exchange, faults: Faults) -> Dialect:
    """The venue's protocol over the exchange; options of another venue are a mistake of the caller."""
    interval_ms, options = settings.ticker_interval_ms, settings.options
    match settings.venue:
        case SimulatedVenue.BITMART:
            if not isinstance(options, BitmartOptions | None):
                raise TypeError(f"options of {settings.venue}: {type(options).__name__}")
            return BitmartDialect(
                exchange,
                keys=(),
                faults=faults,
                limits=Limits(settings.ban_rule),
                options=options or BitmartOptions(ticker_interval_ms=interval_ms),
            )
        case SimulatedVenue.BITGET:
            if not isinstance(options, BitgetOptions | None):
                raise TypeError(f"options of {settings.venue}: {type(options).__name__}")
            return BitgetDialect(
                exchange,
                faults=faults,
                limits=Limits(settings.ban_rule or NEVER_BANNED),
                options=options or BitgetOptions(ticker_interval_ms=interval_ms),
            )
        case SimulatedVenue.BITGET_UNIFIED:
            if not isinstance(options, UnifiedOptions | None):
                raise TypeError(f"options of {settings.venue}: {type(options).__name__}")
            return BitgetUnifiedDialect(
                exchange,
                faults=faults,
                limits=Limits(settings.ban_rule or NEVER_BANNED),
                options=options or UnifiedOptions(ticker_interval_ms=interval_ms),
            )


def _of_venue(venue: SimulatedVenue, account: AccountSettings) -> AccountSettings:
    """Where every account is unified, one is whatever was said."""
    return replace(account, kind=AccountKind.UNIFIED) if venue is SimulatedVenue.BITGET_UNIFIED else account


def _open(server: SimulatorServer, account: AccountSettings) -> None:
    """A second entry of one uid is a second key of the same account."""
    if account.uid in server.exchange.query.accounts():
        server.dialect.add_key(
            account.uid, account.key, account.secret, account.passphrase, may_trade=account.may_trade
        )
    else:
        control.add_account(server, account)


async def serve(settings: ServeSettings, clock: Clock, announce: Callable[[str], None] | None = None) -> None:
    """Listen until cancelled. `announce` is told the addresses and the keys, a line each."""
    tell = announce or _to_stdout
    async with build(settings, clock) as server:
        tell(f"simulated {settings.venue} listens on {server.rest_url} (REST) and {server.stream_url} (WebSocket)")
        for account in settings.accounts:
            scope = "" if account.may_trade else " (read-only)"
            third = "memo" if settings.venue is SimulatedVenue.BITMART else "passphrase"
            known = f"key {account.key}, secret {account.secret}, {third} {account.passphrase}"
            tell(f"account {account.uid}{scope}: {known}")
        if settings.walk:
            server.spawn(control.WALK_TASK, _walk(server, settings))
        await asyncio.Event().wait()


async def _walk(server: SimulatorServer, settings: ServeSettings) -> None:
    """Every contract wanders, a minute at a time, from wherever its price is by then."""
    round_number = 0
    while True:
        paths = [_wander(server, settings, contract, round_number) for contract in listed(settings)]
        await server.play(prices.merged(*paths))
        round_number += 1


def _wander(
    server: SimulatorServer, settings: ServeSettings, contract: Contract, round_number: int
) -> Iterable[PriceTick]:
    quote = server.exchange.query.quote(contract.symbol)
    if quote is None:
        return ()
    return prices.random_walk(
        Instrument(symbol=contract.symbol, tick=contract.tick),
        quote.mark,
        seed=settings.seed * 1_000_003 + round_number,
        volatility_per_s=_WALK_PER_S,
        duration_ms=_WALK_CHUNK_MS,
        step_ms=_WALK_STEP_MS,
    )


def _to_stdout(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()

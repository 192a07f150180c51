"""One account's way to Bitget, put together: what the daemon's adapter and the operator's share, whatever the family."""

from collections.abc import Callable
from random import Random
from typing import Final

from msgspec import Struct

from guardd.clock import Clock
from guardd.model.facts import Listener, Said
from guardd.model.names import AccountName, Severity, VenueName
from guardd.venues.bitget.api import DIALECT, Api, Notice, common_headers
from guardd.venues.bitget.hosts import Hosts
from guardd.venues.bitget.sign import Credentials
from guardd.venues.limiter import Limiter
from guardd.venues.transport import Transport
from guardd.venues.wire import Wire

VENUE: Final = VenueName("bitget")


class Access(Struct, frozen=True, kw_only=True):
    """Everything that `wiring` hands in. `limiter` comes from `LimiterRegistry.limiter(host=hosts.rest, credential=credentials.key,
    limits=bitget.LIMITS, share=rate_limit_share)`, so that accounts with equal keys share it."""

    account: AccountName
    hosts: Hosts
    credentials: Credentials
    demo: bool
    product_types: tuple[str, ...]
    """Which of USDT-FUTURES, USDC-FUTURES and COIN-FUTURES of a classic account are read; a unified one is read whole."""
    channel_code: str | None
    clock: Clock
    limiter: Limiter
    wire: Wire
    random: Random
    listener: Listener

    def tell(self, edge: str, text: str, severity: Severity = Severity.WARNING) -> None:
        """Say something to people; `edge` lets a notifier drop repetitions."""
        self.listener(Said(account=self.account, severity=severity, edge=edge, text=text, at=self.clock.now()))


class Connection(Struct, frozen=True, kw_only=True):
    transport: Transport
    api: Api


def connection(access: Access, notice: Callable[[Notice], None]) -> Connection:
    """`notice` hears what no stream carries: blocks, and codes that say that the account is of another family."""
    transport = Transport(
        wire=access.wire,
        base_url=access.hosts.rest,
        limiter=access.limiter,
        clock=access.clock,
        random=access.random,
        dialect=DIALECT,
        account=access.account,
        venue=VENUE,
        listener=access.listener,
        on_block=notice,
        headers=common_headers(demo=access.demo),
    )
    api = Api(
        transport=transport,
        hosts=access.hosts,
        credentials=access.credentials,
        demo=access.demo,
        clock=access.clock,
        notice=notice,
        channel_code=access.channel_code,
    )
    return Connection(transport=transport, api=api)

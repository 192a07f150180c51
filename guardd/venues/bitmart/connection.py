"""What the daemon's adapter and the operator's share: one account's way to BitMart, put together."""

from collections.abc import Callable
from random import Random
from typing import Final

from msgspec import Struct

from guardd.clock import Clock
from guardd.model.event import Event
from guardd.model.facts import Listener, Said
from guardd.model.names import AccountName, Severity, VenueName
from guardd.venues.bitmart.api import DIALECT, Api, common_headers
from guardd.venues.bitmart.hosts import Hosts
from guardd.venues.bitmart.reads import Reads
from guardd.venues.bitmart.sign import Credentials
from guardd.venues.limiter import Limiter
from guardd.venues.transport import Transport
from guardd.venues.wire import Wire

VENUE: Final = VenueName("bitmart")


class Access(Struct, frozen=True, kw_only=True):
    """Everything that `wiring` hands in. `limiter` comes from `LimiterRegistry.limiter(host=hosts.rest, credential=credentials.key,
    limits=endpoints.LIMITS, share=rate_limit_share)`, so that accounts with equal keys share it."""

    account: AccountName
    hosts: Hosts
    credentials: Credentials
    broker_id: str | None
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
    reads: Reads


def connection(access: Access, notice: Callable[[Event], object]) -> Connection:
    """`notice` hears events that no stream carries: blocks, and codes that say that the venue may be closing."""
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
        headers=common_headers(access.broker_id),
    )
    api = Api(
        transport=transport, hosts=access.hosts, credentials=access.credentials, clock=access.clock, notice=notice
    )
    reads = Reads(api=api, account=access.account, clock=access.clock, tell=access.tell)
    return Connection(transport=transport, api=api, reads=reads)

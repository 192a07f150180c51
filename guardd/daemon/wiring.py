"""The one place that knows all rooms. What is live and what is a simulation differs only in what is passed in here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, assert_never

from guardd.clock import Clock
from guardd.config import AccountSettings, Environment, Mode, Secrets, Settings, Venue, account_name, venue_name
from guardd.daemon.account import GuardedAccount
from guardd.daemon.guard import Guard
from guardd.daemon.supervisor import Supervisor
from guardd.errors import ConfigurationError
from guardd.execution.haste import Haste
from guardd.journal.base import Journal
from guardd.model.event import Event
from guardd.model.facts import Listener
from guardd.model.instant import Instant
from guardd.model.names import AccountName
from guardd.model.state import AccountState
from guardd.policy.language import Policy
from guardd.policy.load import load_policy
from guardd.venues.base import Venue as Adapter
from guardd.venues.limiter import LimiterRegistry
from guardd.venues.network import NetworkWire
from guardd.venues.wire import Wire

if TYPE_CHECKING:  # a start reads the dialect of its own venues alone
    from guardd.venues import bitget, bitmart

DEFAULT_PRODUCT_TYPE: Final = "USDT-FUTURES"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the outside is made of: on a virtual clock and an in-memory wire the same code runs a simulation."""

    clock: Clock
    wire: Wire
    random: Random
    limiters: LimiterRegistry = field(repr=False)


def real_world(clock: Clock, *, seed: int | None = None) -> World:
    """The machine's clock and network. `seed` only spreads retries; None takes the machine's own chance."""
    random = Random(seed)  # noqa: S311 - jitter, not secrets
    return World(clock=clock, wire=NetworkWire(clock), random=random, limiters=LimiterRegistry(clock, random))


def policy_from(path: Path) -> Policy:
    """Raises `ConfigurationError` naming file, line and column of every fault."""
    return load_policy(policy_text(path), source=str(path))


def policy_text(path: Path) -> str:
    """Raises `ConfigurationError` for a file that can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"policy {path}: can't be read ({error})") from None


def bitmart_access(
    account: AccountSettings, settings: Settings, secrets: Secrets, world: World, listener: Listener
) -> "bitmart.Access":
    """One account's way to BitMart. Raises `CredentialsError` or `ConfigurationError` before anything is asked of the venue."""
    from guardd.venues import bitmart

    found = secrets.credentials(account)
    credentials = bitmart.Credentials(key=found.key, secret=found.secret, memo=found.phrase)
    hosts = bitmart.hosts_for(account.environment, rest_url=account.rest_url, stream_url=account.stream_url)
    return bitmart.Access(
        account=account_name(account),
        hosts=hosts,
        credentials=credentials,
        broker_id=account.broker_id,
        clock=world.clock,
        limiter=world.limiters.limiter(
            host=hosts.rest, credential=credentials.key, limits=bitmart.LIMITS, share=settings.rate_limit_share
        ),
        wire=world.wire,
        random=world.random,
        listener=listener,
    )


def bitget_access(
    account: AccountSettings, settings: Settings, secrets: Secrets, world: World, listener: Listener
) -> "bitget.Access":
    """One account's way to Bitget, whatever its family. Raises `CredentialsError`, `ConfigurationError` before it asks anything."""
    from guardd.venues import bitget

    found = secrets.credentials(account)
    hosts = bitget.hosts_for(account.environment, rest_url=account.rest_url, stream_url=account.stream_url)
    return bitget.Access(
        account=account_name(account),
        hosts=hosts,
        credentials=bitget.Credentials(key=found.key, secret=found.secret, passphrase=found.phrase),
        demo=account.environment is Environment.DEMO,
        product_types=account.product_type or (DEFAULT_PRODUCT_TYPE,),
        channel_code=account.broker_id,
        clock=world.clock,
        limiter=world.limiters.limiter(
            host=hosts.rest, credential=found.key, limits=bitget.LIMITS, share=settings.rate_limit_share
        ),
        wire=world.wire,
        random=world.random,
        listener=listener,
    )


def venue_of(
    account: AccountSettings, settings: Settings, secrets: Secrets, world: World, listener: Listener
) -> Adapter:
    """The adapter that the daemon may use: it reads, and only ever closes."""
    match account.venue:
        case Venue.BITMART:
            from guardd.venues import bitmart

            return bitmart.BitmartVenue(bitmart_access(account, settings, secrets, world, listener))
        case Venue.BITGET:
            from guardd.venues import bitget

            return bitget.BitgetVenue(bitget_access(account, settings, secrets, world, listener))
        case _:
            assert_never(account.venue)


def guarded_account(
    account: AccountSettings,
    settings: Settings,
    *,
    policy: Policy,
    secrets: Secrets,
    world: World,
    journal: Journal,
    supervisor: Supervisor,
    listener: Listener,
    haste: Haste,
    on_pulse: Callable[[Instant], None] = lambda now: None,
    tape: Callable[[AccountName, Event], None] = lambda account, event: None,
) -> GuardedAccount:
    """One account, wired and not started. `haste` is shared by all accounts of one process."""
    venue = venue_of(account, settings, secrets, world, listener)
    state = AccountState(name=account_name(account), venue=venue_name(account), capabilities=venue.capabilities)
    guard = Guard(
        state=state,
        policy=policy,
        venue=venue,
        journal=journal,
        clock=world.clock,
        listener=listener,
        spawn=lambda name, work: supervisor.once(
            f"{state.name}/{name}", work, failed=lambda why: guard.stumbled(name, why)
        ),
        haste=haste,
        on_pulse=on_pulse,
        tape=tape,
    )
    return GuardedAccount(
        guard=guard,
        venue=venue,
        journal=journal,
        clock=world.clock,
        supervisor=supervisor,
        listener=listener,
        tape=tape,
        acts=settings.mode_of(account) is Mode.ENFORCE,
    )

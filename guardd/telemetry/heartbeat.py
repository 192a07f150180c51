"""A sign of life to a dead man's switch: while it comes, somebody is guarded; when it stops, the other side rings.

Silence of a daemon isn't health, and a daemon that is gone can't say so. So it is withheld too when the daemon lives and is blind.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import structlog

from guardd.model.facts import Fact, SnapshotTaken
from guardd.model.instant import Instant
from guardd.model.names import AccountName

SEEN_WITHIN_S: Final = 60.0
"""The last full read of each account must be this young: six reconciliations (interfaces.md section 3)."""
DEADLINE_S: Final = 10.0

log = structlog.stdlib.get_logger(__name__)


class Seen:
    """When each account was read in full last; hears the facts that tell it."""

    def __init__(self) -> None:
        self._at: dict[AccountName, Instant] = {}

    def __call__(self, fact: Fact, /) -> None:
        if isinstance(fact, SnapshotTaken):
            self._at[fact.account] = fact.at

    def unseen(self, accounts: Iterable[AccountName], now: Instant) -> str | None:
        """Why not every one of these was seen lately; None when each was."""
        return _unseen(self._at, accounts, now)


def _unseen(at: Mapping[AccountName, Instant], accounts: Iterable[AccountName], now: Instant) -> str | None:
    for account in sorted(accounts):
        last = at.get(account)
        if last is None:
            return f"{account}: not read yet"
        if (age_s := now.seconds_since(last)) > SEEN_WITHIN_S:
            return f"{account}: not read in full for {age_s:.0f} s"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """`why_not` says why it must not beat now; None: it may. `count` hears `sent`, `failed` or `withheld`."""

    url: str = field(repr=False)
    every_s: float
    why_not: Callable[[], str | None]
    count: Callable[[str], None]
    sleep: Callable[[float], Awaitable[None]]

    async def run(self) -> None:
        """Beat for ever; the supervisor starts this. The first beat is due at once."""
        told = ""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE_S)) as session:
            while True:
                outcome, why = await self._beat(session)
                self.count(outcome)
                if outcome != told and (told or outcome != "sent"):
                    log.warning("heartbeat", outcome=outcome, why=why)
                told = outcome
                await self.sleep(self.every_s)

    async def _beat(self, session: aiohttp.ClientSession) -> tuple[str, str]:
        if (why := self.why_not()) is not None:
            return "withheld", why
        try:
            async with session.get(self.url, allow_redirects=False) as answer:
                if answer.status < 300:
                    return "sent", ""
                return "failed", f"it answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return "failed", type(error).__name__  # its text may show the address (I26)

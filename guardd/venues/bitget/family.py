"""Which family an account is of, by positive evidence only, and what happens when that changes under way (UTA reference, 2).

A unified account answers every V2 call with 40085 and a classic one every V3 call with 40084, before the signature is looked at.
Any other failure proves nothing: not a page of the edge, not a wrong key, not an empty body.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

from guardd.clock import Clock
from guardd.errors import CredentialsError, VenueBusy, VenueError, VenueRefused
from guardd.model.instant import NS_PER_S
from guardd.model.names import Severity
from guardd.model.outcome import Rejected
from guardd.venues.bitget.admission import Tell
from guardd.venues.bitget.api import Api, FamilyDenied
from guardd.venues.bitget.classic.endpoints import ACCOUNTS
from guardd.venues.bitget.errors import reason_for
from guardd.venues.bitget.unified.endpoints import ACCOUNT_INFO, SETTINGS
from guardd.venues.bitget.unified.parse.words import account_mode
from guardd.venues.rows import as_row

ASKED_EVERY_S: Final = 30.0
"""After a denial the family is asked for this often at most; a conversion takes about a minute."""
IS_CLASSIC: Final = "40084"
IS_UNIFIED: Final = "40085"
PROBE: Final = "account-family"
"""What the question is called in errors."""


class Family(StrEnum):
    CLASSIC = "classic"
    UNIFIED = "unified"


async def detect(api: Api, *, product_type: str) -> Family:
    """The account's family, from reads alone.

    Raises what the reads raise (`VenueUnreachable`, `VenueBusy`, `CredentialsError`, `VenueRefused`: nothing is proved by them);
    `VenueBusy` too while the account is being converted, and `VenueRefused` where both families answer.
    """
    try:
        await api.read(ACCOUNT_INFO, expected=frozenset({IS_CLASSIC}))
    except VenueRefused as refusal:
        word = await _classic_call(api, product_type)
        if refusal.code != IS_CLASSIC:
            raise
        if word == IS_UNIFIED:
            raise VenueBusy(f"{PROBE}: each family refers to the other; the account is being converted") from None
        return Family.CLASSIC
    mode = account_mode(as_row("account/settings.data", await api.read(SETTINGS)))
    if not mode.writable:
        raise VenueBusy(f"{PROBE}: the account is {mode}; nothing is sent until that is over")
    try:
        both = await _classic_call(api, product_type) == ""
    except CredentialsError:
        both = False
    if both:
        text = "classic and unified calls are both answered: no such account is documented"
        raise VenueRefused(endpoint=PROBE, code="00000", text=text)
    return Family.UNIFIED


async def _classic_call(api: Api, product_type: str) -> str | None:
    """The code that a classic call is refused with, empty where it is answered, None where that can't be known.

    Raises `CredentialsError` for a key that is refused whatever the family.
    """
    try:
        await api.read(ACCOUNTS, (("productType", product_type),), expected=frozenset({IS_UNIFIED}))
    except VenueRefused as refusal:
        return refusal.code
    except VenueError:
        return None
    return ""


class FamilyWatch:
    """What is known of one account's family, from its opening to the end of the run.

    The law: known → denied (the first 40084, 40085 or 25245 to a call of the known family: told once as CRITICAL, writes refused,
    reads not sent) → asked again before a read, at most each 30 s → known again if the answer is the same family; else it stays
    denied until guardd is started again.
    """

    def __init__(self, *, find: Callable[[], Awaitable[Family]], tell: Tell, clock: Clock) -> None:
        self._find = find
        self._tell = tell
        self._clock = clock
        self._asking = False
        self._asked_ns: int | None = None
        self._denied: FamilyDenied | None = None
        self._other: Family | None = None
        self.family: Family | None = None

    async def learn(self) -> Family:
        """Raises as `detect` does."""
        found = await self._ask()
        self.family, self._denied, self._other = found, None, None
        return found

    def denied(self, word: FamilyDenied) -> None:
        """The venue says so itself. While it is being asked, both answers are part of the question."""
        if self.family is None or self._asking or self._denied is not None:
            return
        self._denied = word
        self._tell(
            "family",
            f"Bitget answers {word.code} at {word.endpoint}: this account isn't {self.family} any more, or is being converted. "
            "guardd sends nothing from here on, and its stops may be gone; it looks again each 30 s. Restart guardd once the "
            "account has its new family",
            Severity.CRITICAL,
        )

    def refusal(self) -> Rejected | None:
        """Why a write isn't sent, and when the venue is asked again; None where it may be sent."""
        if self._denied is None:
            return None
        said = f"Bitget said {self._denied.code} at {self._denied.endpoint}"
        text = f"not sent: {said}: this account isn't {self.family} any more; restart guardd"
        return Rejected(reason=reason_for(self._denied.code), code="", text=text, retry_after_s=self._asks_in_s())

    async def certain(self) -> None:
        """Returns while the family is known. Raises `VenueRefused` while it isn't, after asking again where that is due."""
        if self._denied is None:
            return
        if not self._asking and self._due():
            await self._ask_again()
        if self._denied is not None:
            text = f"this account isn't {self.family} any more ({self._denied.text}); restart guardd"
            raise VenueRefused(endpoint=PROBE, code=self._denied.code, text=text)

    async def _ask_again(self) -> None:
        try:
            found = await self._ask()
        except (VenueError, CredentialsError):
            return  # it proves nothing
        if found is self.family:
            self._denied = self._other = None
            self._tell("family-back", f"Bitget: this account is {found} again; guardd goes on")
        elif found is not self._other:
            self._other = found
            self._tell(
                "family-changed", f"Bitget: this account is {found} now: restart guardd, which guards it as that"
            )

    async def _ask(self) -> Family:
        self._asking, self._asked_ns = True, self._clock.monotonic_ns()
        try:
            return await self._find()
        finally:
            self._asking = False

    def _due(self) -> bool:
        return self._asks_in_s() == 0.0

    def _asks_in_s(self) -> float:
        if self._asked_ns is None:
            return 0.0
        return max(0.0, ASKED_EVERY_S - (self._clock.monotonic_ns() - self._asked_ns) / NS_PER_S)

"""What to do about an error: a sentence for people who see it for the first time."""

import re
from collections.abc import Mapping
from typing import Final

from guardd.errors import CredentialsError, GuarddError, JournalError, VenueBusy, VenueRefused, VenueUnreachable

_ADDRESS: Final = (
    "put this machine's public address on the key's allow-list (behind NAT or in a cloud: the gateway's address), "
    "or use a key without one"
)
_CLOCK: Final = "set this machine's clock by NTP"
_OF_CODE: Final[Mapping[str, str]] = {
    "30001": "the API key is empty: set it again",
    "30002": "the venue doesn't know this API key: copy it again, and see that it belongs to this environment (live or demo)",
    "30003": "the key is frozen: make a new one at the venue",
    "30005": "the API secret or the memo doesn't belong to this API key: copy all three again, from one key",
    "30006": _CLOCK,
    "30007": _CLOCK,
    "30008": _CLOCK,
    "30010": _ADDRESS,
    "30011": "the key has expired: make a new one at the venue",
    "30012": "the key lacks a permission: it needs Future-Trade to act, Read-Only to observe, and never Withdraw",
    "30019": "the key lacks a permission: it needs Future-Trade to act, Read-Only to observe, and never Withdraw",
    "40001": "open a futures account at the venue first",
    "40046": "open a futures account at the venue first",
    "40047": "the venue doesn't serve this country",
}
"""By BitMart's code (reference, 16.1 and 16.2)."""
_UNKNOWN_KEY: Final = (
    "the venue doesn't know this API key: copy it again, and see that it belongs to this environment (live or demo)"
)
_PHRASE: Final = "the passphrase isn't the one that was chosen with this API key: copy all three again, from one key"
_TRADE: Final = (
    "the key lacks a permission: it needs futures orders and positions to act, reading to observe, and never withdrawal"
)
_OF_BITGETS_CODE: Final[Mapping[str, str]] = {
    "40005": _CLOCK,
    "40008": _CLOCK,
    "40006": _UNKNOWN_KEY,
    "40037": _UNKNOWN_KEY,
    "40041": _UNKNOWN_KEY,
    "40009": "the API secret doesn't belong to this API key: copy all three again, from one key",
    "40011": _PHRASE,
    "40012": _PHRASE,
    "40036": _PHRASE,
    "40014": _TRADE,
    "40025": _TRADE,
    "40040": _TRADE,
    "25620": _TRADE,
    "40018": _ADDRESS,
    "40038": _ADDRESS,
    "22010": _ADDRESS,
    "40099": "the key belongs to the other environment: set environment to live or demo as it was made",
    "40084": "the account is a classic one now: start guardd again, so that it speaks to it as such",
    "40085": "the account is a unified one now: start guardd again, so that it speaks to it as such",
}
"""By Bitget's code (Bitget reference, 15.1; UTA reference, 14). The two venues' codes that stand here don't overlap."""
_MISSING: Final = re.compile(r"(?P<names>[A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*) missing; looked in ")
_CODE: Final = re.compile(r"\bcode (\d{5})\b")

LACKS_PERMISSION: Final = frozenset({"30012", "30019", "40014", "40025", "40040", "25620"})
REFUSES_THE_KEY: Final = LACKS_PERMISSION | {"30010", "40018", "40038", "22010"}
"""Codes that aren't about key or signature, and still say that this key can't be used so from here."""


_RIGHTS: Final = "make a key with read and trade rights for futures alone at the venue, and delete this one"
_OF_EDGE: Final[Mapping[str, str]] = {
    "key-withdraws": _RIGHTS,
    "key-copies": _RIGHTS,
    "key-permissions": "give the key the rights that are missing at the venue, never withdrawal",
    "key-reads-only": "enough to observe; to act, give the key orders and positions of futures, never withdrawal",
    "key-unbound": _ADDRESS.partition(", or ")[0],
}
"""By what a venue's adapter tells of a key."""


def mend_told(edge: str) -> str:
    """How to mend what an adapter told people."""
    return _OF_EDGE.get(edge, "look at the account at the venue; guardd goes on as the text says")


def mend(error: GuarddError) -> str:
    """How to mend it; empty when the error's own text says so already."""
    code = code_in(error)
    if found := _OF_CODE.get(code) or _OF_BITGETS_CODE.get(code):
        return found
    match error:
        case CredentialsError() if (missing := _MISSING.search(str(error))) is not None:
            names = missing["names"]
            files = "a file of its name in secrets_dir, $CREDENTIALS_DIRECTORY or (systemd) /etc/credstore"
            return f"set {names} in the environment or in .env, or write each value into {files}"
        case CredentialsError() if code:
            return "look at the key at the venue: is it alive, and does it belong to this environment?"
        case VenueUnreachable():
            return "is the network up, are rest_url and stream_url right, does the venue's status page tell of maintenance?"
        case VenueBusy():
            return "wait a minute and try again; something else may be using the same key or address"
        case JournalError() if "another guardd holds" in str(error):
            return (
                "a daemon runs with this data_dir: its http.host, http.port and token must be those of these settings"
            )
        case _:
            return ""


def code_in(error: GuarddError) -> str:
    """The venue's code that the error tells of; empty when it tells none."""
    if isinstance(error, VenueRefused):
        return error.code
    found = _CODE.search(str(error))
    return found[1] if found is not None else ""

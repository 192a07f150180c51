"""Who we are to BitMart, and the proof of it (reference, section 3). Nothing here is ever printed."""

import hmac
from dataclasses import dataclass, field
from typing import Final

from guardd.errors import CredentialsError

WEBSOCKET_WORD: Final = "bitmart.WebSocket"
"""Stands where the body would be when a socket logs in (14.3)."""
LOGIN_DEVICE: Final = "web"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An API key, its secret and the memo chosen when it was made. The text of this object carries none of them (I26)."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    memo: str = field(repr=False)
    keyed: hmac.HMAC = field(init=False, repr=False, compare=False)
    """HMAC-SHA256 with the secret worked in, for a copy to go on from: each request of ours is signed."""

    def __post_init__(self) -> None:
        for name, value in (("API_KEY", self.key), ("API_SECRET", self.secret), ("API_MEMO", self.memo)):
            if not value:
                raise CredentialsError(f"BitMart: the credential {name} is empty, expected the text given by the venue")
        for name, value in (("API_KEY", self.key), ("API_SECRET", self.secret)):
            if not (value.isascii() and value.isprintable()) or " " in value:
                raise CredentialsError(f"BitMart: the credential {name} holds a blank or a sign that no key has")
        object.__setattr__(self, "keyed", hmac.new(self.secret.encode(), digestmod="sha256"))


def signature(credentials: Credentials, *, timestamp_ms: int, body: str) -> str:
    """`timestamp#memo#body` under HMAC-SHA256, lower-case hex. `body` is the very text that is sent (3.2)."""
    message = f"{timestamp_ms}#{credentials.memo}#{body}"
    proof = credentials.keyed.copy()
    proof.update(message.encode())
    return proof.hexdigest()


def keyed_headers(credentials: Credentials) -> dict[str, str]:
    """What a private read carries: the key alone (3.1)."""
    return {"X-BM-KEY": credentials.key}


def signed_headers(credentials: Credentials, *, timestamp_ms: int, body: str) -> dict[str, str]:
    """What a write carries. The timestamp in the header is the one that was signed."""
    return {
        "X-BM-KEY": credentials.key,
        "X-BM-TIMESTAMP": str(timestamp_ms),
        "X-BM-SIGN": signature(credentials, timestamp_ms=timestamp_ms, body=body),
    }


def login_frame(credentials: Credentials, *, timestamp_ms: int) -> dict[str, object]:
    """The private socket's login. It expires 60 s after `timestamp_ms`, so it is made at connect time (14.3)."""
    proof = signature(credentials, timestamp_ms=timestamp_ms, body=WEBSOCKET_WORD)
    return {"action": "access", "args": [credentials.key, str(timestamp_ms), proof, LOGIN_DEVICE]}

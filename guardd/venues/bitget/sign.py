"""Who we are to Bitget, and the proof of it (Bitget reference, 3; the same for both families). Nothing here is ever printed."""

import base64
import hmac
from dataclasses import dataclass, field
from typing import Final

import msgspec

from guardd.errors import CredentialsError

LOGIN_PATH: Final = "/user/verify"
"""Stands where the path would be when a socket logs in (13.2)."""
DEMO_HEADER: Final = "paptrading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An API key, its secret and the passphrase chosen when it was made. The text of this object carries none of them (I26)."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    keyed: hmac.HMAC = field(init=False, repr=False, compare=False)
    """HMAC-SHA256 with the secret worked in, for a copy to go on from: each request of ours is signed."""

    def __post_init__(self) -> None:
        named = (("API_KEY", self.key), ("API_SECRET", self.secret), ("API_PASSPHRASE", self.passphrase))
        for name, value in named:
            if not value:
                raise CredentialsError(f"Bitget: the credential {name} is empty, expected the text given by the venue")
            if not (value.isascii() and value.isprintable()) or value != value.strip():
                raise CredentialsError(
                    f"Bitget: the credential {name} holds a blank or a sign that no header can carry"
                )
        object.__setattr__(self, "keyed", hmac.new(self.secret.encode(), digestmod="sha256"))


def signature(credentials: Credentials, *, timestamp: str, method: str, path_and_query: str, body: str) -> str:
    """`timestamp + METHOD + path[?query] + body` under HMAC-SHA256, base64. All of it is the very text that is sent (3)."""
    message = f"{timestamp}{method}{path_and_query}{body}"
    proof = credentials.keyed.copy()
    proof.update(message.encode())
    return base64.b64encode(proof.digest()).decode()


def signed_headers(
    credentials: Credentials,
    *,
    timestamp_ms: str | int,
    method: str,
    path_and_query: str,
    body: str,
    demo: bool,
) -> dict[str, str]:
    """What every private request carries. The timestamp in the header has the same characters as the one that was signed."""
    timestamp = str(timestamp_ms)
    proof = signature(credentials, timestamp=timestamp, method=method, path_and_query=path_and_query, body=body)
    headers = {
        "ACCESS-KEY": credentials.key,
        "ACCESS-SIGN": proof,
        "ACCESS-TIMESTAMP": timestamp,
        "ACCESS-PASSPHRASE": credentials.passphrase,
    }
    return {**headers, DEMO_HEADER: "1"} if demo else headers


def login_frame(credentials: Credentials, now_s: int) -> str:
    """The private socket's login. `now_s` is the venue's time in seconds; the login expires 30 s after it (13.2, 19.5)."""
    timestamp = str(now_s)
    proof = signature(credentials, timestamp=timestamp, method="GET", path_and_query=LOGIN_PATH, body="")
    account = {"apiKey": credentials.key, "passphrase": credentials.passphrase, "timestamp": timestamp, "sign": proof}
    return msgspec.json.encode({"op": "login", "args": [account]}).decode()

"""Keys, signatures and timestamps: reference section 3."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from guardd.simulator.dialects.bitmart.envelope import VenueError
from guardd.simulator.wire import Request

TIMESTAMP_WINDOW_MS = 60_000  # reference 3.4: refused when more than one minute off
LOGIN_BODY = "bitmart.WebSocket"


class Level(IntEnum):
    """What a call has to prove."""

    NONE = 0
    KEYED = 1
    SIGNED = 2


class KeyState(StrEnum):
    LIVE = "live"
    FROZEN = "frozen"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key of an account. `ips` empty: every address may use it. `may_trade` False: Read-Only."""

    key: str
    secret: str
    memo: str
    uid: str
    may_trade: bool = True
    state: KeyState = KeyState.LIVE
    ips: tuple[str, ...] = ()

    def sign(self, timestamp: str, body: str) -> str:
        """Lower-case hex of HMAC-SHA256 over `timestamp#memo#body`."""
        message = f"{timestamp}#{self.memo}#{body}"
        return hmac.digest(self.secret.encode(), message.encode(), "sha256").hex()

    def __repr__(self) -> str:
        return f"ApiKey(uid={self.uid!r}, may_trade={self.may_trade})"


class Keyring:
    """Every key that the venue knows."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._keys: dict[str, ApiKey] = {key.key: key for key in keys}

    def put(self, key: ApiKey) -> None:
        self._keys[key.key] = key

    def of_request(self, headers: Mapping[str, str]) -> ApiKey | None:
        return self._keys.get(headers.get("x-bm-key", ""))

    def find(self, key: str) -> ApiKey | None:
        return self._keys.get(key)

    def authenticate(self, request: Request, level: Level) -> ApiKey | None:
        """The caller's key, or None for a public call. Raises VenueError with the venue's code."""
        if level is Level.NONE:
            return None
        key = self._live_key(request)
        if level is Level.SIGNED:
            _check_signature(key, request)
            if not key.may_trade:
                raise VenueError(30019)
        return key

    def _live_key(self, request: Request) -> ApiKey:
        name = request.headers.get("x-bm-key", "")
        if not name:
            raise VenueError(30001)
        key = self._keys.get(name)
        if key is None:
            raise VenueError(30002)
        match key.state:
            case KeyState.FROZEN:
                raise VenueError(30003)
            case KeyState.EXPIRED:
                raise VenueError(30011)
            case KeyState.LIVE:
                pass
        if key.ips and request.peer_ip not in key.ips:
            raise VenueError(30010)
        return key


def _check_signature(key: ApiKey, request: Request) -> None:
    sign = request.headers.get("x-bm-sign", "")
    timestamp = request.headers.get("x-bm-timestamp", "")
    if not sign:
        raise VenueError(30004)
    if not timestamp:
        raise VenueError(30006)
    check_timestamp(timestamp, request.now_ms)
    try:
        body = request.body.decode()
    except UnicodeDecodeError as error:
        raise VenueError(30018) from error
    if not hmac.compare_digest(key.sign(timestamp, body).encode(), sign.encode()):
        raise VenueError(30005)


def check_timestamp(timestamp: str, now_ms: int) -> None:
    """Unix milliseconds as decimal text, no more than a minute off."""
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise VenueError(30008)
    if abs(now_ms - int(timestamp)) > TIMESTAMP_WINDOW_MS:
        raise VenueError(30007)

"""Keys, signatures, timestamps, and which of the two families an account belongs to. Bitget reference, 3 and 16.1."""

import base64
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote

from guardd.simulator.dialects.bitget_common.envelope import VenueError
from guardd.simulator.wire import Request

TIMESTAMP_WINDOW_MS = 30_000  # reference, 3: within 30 s of the exchange's time
LOGIN_PATH = "/user/verify"
_MILLISECONDS_FROM = 100_000_000_000  # a login stamp above is milliseconds; both were accepted live (19.5)


class Family(StrEnum):
    CLASSIC = "classic"
    UNIFIED = "unified"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key of an account. `ips` empty: every address may use it. `may_trade` False: read only."""

    key: str
    secret: str
    passphrase: str
    uid: str
    may_trade: bool = True
    demo: bool = False
    ips: tuple[str, ...] = ()
    _keyed: hmac.HMAC = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_keyed", hmac.new(self.secret.encode(), digestmod="sha256"))

    def sign(self, timestamp: str, method: str, path_and_query: str, body: str = "") -> str:
        """Base64 of HMAC-SHA256 over `timestamp + METHOD + path?query + body`."""
        proof = self._keyed.copy()
        proof.update(f"{timestamp}{method}{path_and_query}{body}".encode())
        return base64.b64encode(proof.digest()).decode()

    def __repr__(self) -> str:
        return f"ApiKey(uid={self.uid!r}, may_trade={self.may_trade})"


class Keyring:
    """Every key that the venue knows, and the family of each account: `home`, until it is moved."""

    def __init__(self, keys: Iterable[ApiKey] = (), *, home: Family) -> None:
        self._keys: dict[str, ApiKey] = {key.key: key for key in keys}
        self._home = home
        self._moved: dict[str, Family] = {}

    def put(self, key: ApiKey) -> None:
        self._keys[key.key] = key

    def find(self, key: str) -> ApiKey | None:
        return self._keys.get(key)

    def of_request(self, headers: Mapping[str, str]) -> ApiKey | None:
        return self._keys.get(headers.get("access-key", ""))

    def family_of(self, uid: str) -> Family:
        return self._moved.get(uid, self._home)

    def move(self, uid: str, family: Family) -> None:
        """The owner upgrades the account, or switches it back."""
        self._moved[uid] = family

    def check_family(self, request: Request, family: Family) -> None:
        """Looked at before the signature is (16.1): a key of the other family is told so, whatever it signed."""
        key = self.of_request(request.headers)
        if key is not None and self.family_of(key.uid) is not family:
            raise VenueError("40085" if family is Family.CLASSIC else "40084")

    def authenticate(self, request: Request) -> ApiKey:
        """The caller's key. Raises VenueError with the venue's code."""
        headers = request.headers
        for name, code in (
            ("access-key", "40001"),
            ("access-sign", "40002"),
            ("access-timestamp", "40003"),
            ("access-passphrase", "40011"),
        ):
            if not headers.get(name):
                raise VenueError(code)
        check_timestamp(headers["access-timestamp"], request.now_ms)
        key = self.of_request(headers)
        if key is None:
            raise VenueError("40006")
        if key.demo is not (headers.get("paptrading") == "1"):
            raise VenueError("40099")
        if not hmac.compare_digest(key.passphrase.encode(), headers["access-passphrase"].encode()):
            raise VenueError("40012")
        _check_signature(key, request)
        if key.ips and request.peer_ip not in key.ips:
            raise VenueError("40018")
        if request.method == "POST" and not key.may_trade:
            raise VenueError("40014")
        return key


def check_timestamp(timestamp: str, now_ms: int) -> None:
    """Unix milliseconds as decimal text, no more than 30 s off."""
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise VenueError("40005")
    if abs(now_ms - int(timestamp)) > TIMESTAMP_WINDOW_MS:
        raise VenueError("40008")


def login_failure(
    key: ApiKey | None, passphrase: str, timestamp: str, sign: str, now_ms: int
) -> tuple[int, str] | None:
    """Why a WebSocket login fails, as the frame's code and words (13.3); None: it doesn't."""
    if key is None:
        return 30011, "Invalid ACCESS_KEY"
    if not hmac.compare_digest(key.passphrase.encode(), passphrase.encode()):
        return 30012, "Invalid ACCESS_PASSPHRASE"
    if not (timestamp.isascii() and timestamp.isdigit()):
        return 30013, "Invalid ACCESS_TIMESTAMP"
    stamp_ms = int(timestamp) if int(timestamp) >= _MILLISECONDS_FROM else int(timestamp) * 1000
    if abs(now_ms - stamp_ms) > TIMESTAMP_WINDOW_MS:
        return 30014, "Request timestamp expired"
    if not hmac.compare_digest(key.sign(timestamp, "GET", LOGIN_PATH).encode(), sign.encode()):
        return 30015, "Invalid sign"
    return None


def _check_signature(key: ApiKey, request: Request) -> None:
    """Over the very bytes of query and body; a query signed before it was percent-encoded passes too (19.3)."""
    try:
        body = request.body.decode()
    except UnicodeDecodeError as error:
        raise VenueError("40009") from error
    given = request.headers["access-sign"].encode()
    timestamp = request.headers["access-timestamp"]
    for read in (str, unquote):
        query = read(request.raw_query)
        signed = f"{request.path}?{query}" if query else request.path
        if hmac.compare_digest(key.sign(timestamp, request.method, signed, body).encode(), given):
            return
    raise VenueError("40009")

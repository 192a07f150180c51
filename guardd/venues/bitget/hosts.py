"""Where Bitget lives (Bitget reference, 1; UTA reference, 1), and the refusal of addresses of two environments at once.

Demo and live share the REST host and part at the header `paptrading` and at the sockets' host. A socket of the one beside keys of
the other would guard an account by another's positions.
"""

from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from guardd.errors import ConfigurationError

CLASSIC_PUBLIC_SOCKET: Final = "/v2/ws/public"
CLASSIC_PRIVATE_SOCKET: Final = "/v2/ws/private"
UNIFIED_PUBLIC_SOCKET: Final = "/v3/ws/public"
UNIFIED_PRIVATE_SOCKET: Final = "/v3/ws/private"


class Hosts(Struct, frozen=True, kw_only=True):
    """One environment: scheme and host of the REST calls and of the sockets."""

    rest: str
    stream: str


ENVIRONMENTS: Final = {
    "live": Hosts(rest="https://api.bitget.com", stream="wss://ws.bitget.com"),
    "demo": Hosts(rest="https://api.bitget.com", stream="wss://wspap.bitget.com"),
}
_ALL: Final = frozenset(ENVIRONMENTS)
_LIVE: Final = frozenset({"live"})
_OWN_HOSTS: Final = {
    "api.bitget.com": _ALL,
    "ws.bitget.com": _LIVE,
    "wspap.bitget.com": frozenset({"demo"}),
    "vip-api.bitget.com": _LIVE,
    "vip-ws.bitget.com": _LIVE,
}
"""The venue's hosts and the environments that each belongs to. The VIP line is live's, on application (1)."""


def hosts_for(environment: str, *, rest_url: str | None = None, stream_url: str | None = None) -> Hosts:
    """The hosts of `live` or `demo`, or those of a simulator, proxy or gateway. Raises `ConfigurationError`.

    Both addresses must belong together: an address that isn't the venue's own goes with another such one, never with a default.
    """
    own = ENVIRONMENTS.get(environment)
    if own is None:
        raise ConfigurationError(f"environment: found {environment!r}, expected live or demo")
    rest = own.rest if rest_url is None else _address("rest_url", rest_url, ("http", "https"))
    stream = own.stream if stream_url is None else _address("stream_url", stream_url, ("ws", "wss"))
    rest_of, stream_of = _environments_of(rest), _environments_of(stream)
    if (rest_of is None) != (stream_of is None):
        raise ConfigurationError(
            f"rest_url is {_described(rest_of)} and stream_url {_described(stream_of)}, expected both of one environment: "
            "set both, or neither"
        )
    for name, found in (("rest_url", rest_of), ("stream_url", stream_of)):
        if found is not None and environment not in found:
            raise ConfigurationError(f"{name} is {_described(found)}, but environment is {environment}")
    return Hosts(rest=rest, stream=stream)


def _address(name: str, url: str, schemes: tuple[str, ...]) -> str:
    """Scheme, host and port; nothing else."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in schemes and parts.hostname is not None and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username or parts.password:
        raise ConfigurationError(
            f"{name}: expected {' or '.join(f'{each}://host[:port]' for each in schemes)}, no path"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _environments_of(url: str) -> frozenset[str] | None:
    """None for a host that isn't the venue's."""
    return _OWN_HOSTS.get(urlsplit(url).hostname or "")


def _described(environments: frozenset[str] | None) -> str:
    return "not Bitget's own" if environments is None else f"Bitget's {' and '.join(sorted(environments))} host"

"""Where BitMart lives (reference, section 2), and the refusal of addresses of two environments at once.

Keys are the same in production and demo, so the host alone decides whose money it is (13): a REST host of one with a socket of the
other would guard one account by the positions of another.
"""

from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from guardd.errors import ConfigurationError

PUBLIC_SOCKET: Final = "/api?protocol=1.1"
PRIVATE_SOCKET: Final = "/user?protocol=1.1"


class Hosts(Struct, frozen=True, kw_only=True):
    """One environment. `system` is the host of time and notices where that is another one than `rest`."""

    rest: str
    stream: str
    system: str | None = None


LIVE: Final = Hosts(
    rest="https://api-cloud-v2.bitmart.com",
    stream="wss://openapi-ws-v2.bitmart.com",
    system="https://api-cloud.bitmart.com",
)
DEMO: Final = Hosts(
    rest="https://demo-api-cloud-v2.bitmart.com",
    stream="wss://openapi-wsdemo-v2.bitmart.com",
)
ENVIRONMENTS: Final = {"live": LIVE, "demo": DEMO}
_ELSEWHERE: Final = "elsewhere"


def hosts_for(environment: str, *, rest_url: str | None = None, stream_url: str | None = None) -> Hosts:
    """The hosts of `live` or `demo`, or those of a simulator, proxy or gateway. Raises `ConfigurationError`.

    Both addresses must belong together: an address that isn't the venue's own goes with another such one, never with a default.
    """
    own = ENVIRONMENTS.get(environment)
    if own is None:
        raise ConfigurationError(f"environment: found {environment!r}, expected live or demo")
    rest = own.rest if rest_url is None else _address("rest_url", rest_url, ("http", "https"))
    stream = own.stream if stream_url is None else _address("stream_url", stream_url, ("ws", "wss"))
    rest_is, stream_is = _environment_of(rest), _environment_of(stream)
    if rest_is != stream_is:
        raise ConfigurationError(
            f"rest_url is {_described(rest_is)} and stream_url {_described(stream_is)}, expected both of one environment: "
            "set both, or neither"
        )
    if rest_is not in (environment, _ELSEWHERE):
        raise ConfigurationError(
            f"rest_url and stream_url are BitMart's {rest_is} hosts, but environment is {environment}"
        )
    return Hosts(rest=rest, stream=stream, system=ENVIRONMENTS[rest_is].system if rest_is in ENVIRONMENTS else None)


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


def _environment_of(url: str) -> str:
    host = urlsplit(url).hostname or ""
    for name, hosts in ENVIRONMENTS.items():
        if host in {urlsplit(each).hostname for each in (hosts.rest, hosts.stream)}:
            return name
    return _ELSEWHERE


def _described(environment: str) -> str:
    return "not BitMart's own" if environment == _ELSEWHERE else f"BitMart's {environment} host"

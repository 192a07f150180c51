"""Which addresses go together (Bitget reference, 1; UTA reference, 1)."""

import pytest

from guardd.errors import ConfigurationError
from guardd.venues.bitget.hosts import Hosts, hosts_for


def test_demo_shares_the_rest_host_and_has_sockets_of_its_own() -> None:
    assert hosts_for("live") == Hosts(rest="https://api.bitget.com", stream="wss://ws.bitget.com")
    assert hosts_for("demo") == Hosts(rest="https://api.bitget.com", stream="wss://wspap.bitget.com")


def test_a_simulator_takes_both_addresses() -> None:
    found = hosts_for("demo", rest_url="http://127.0.0.1:9/", stream_url="ws://127.0.0.1:9")
    assert found == Hosts(rest="http://127.0.0.1:9", stream="ws://127.0.0.1:9")


def test_the_vip_line_is_live() -> None:
    found = hosts_for("live", rest_url="https://vip-api.bitget.com", stream_url="wss://vip-ws.bitget.com")
    assert found.rest == "https://vip-api.bitget.com"
    with pytest.raises(ConfigurationError, match="environment is demo"):
        hosts_for("demo", rest_url="https://vip-api.bitget.com")


@pytest.mark.parametrize(
    ("environment", "rest_url", "stream_url", "words"),
    [
        ("live", None, "wss://wspap.bitget.com", "environment is live"),
        ("demo", None, "wss://ws.bitget.com", "environment is demo"),
        ("live", "http://127.0.0.1:9", None, "set both, or neither"),
        ("demo", None, "ws://127.0.0.1:9", "set both, or neither"),
        ("paper", None, None, "expected live or demo"),
        ("live", "https://api.bitget.com/api", None, "no path"),
        ("live", "ftp://api.bitget.com", None, "expected http"),
        ("live", "https://user:pw@api.bitget.com", None, "no path"),
        ("live", "https://api.bitget.com:0", None, "no path"),
        ("live", "https://[", None, "no path"),
    ],
)
def test_a_mixture_of_environments_is_refused_before_anything_is_sent(
    environment: str, rest_url: str | None, stream_url: str | None, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        hosts_for(environment, rest_url=rest_url, stream_url=stream_url)

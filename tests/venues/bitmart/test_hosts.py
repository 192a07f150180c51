"""Which money a pair of addresses is about."""

import pytest

from guardd.errors import ConfigurationError, CredentialsError
from guardd.venues.bitmart import Credentials, hosts_for
from guardd.venues.bitmart.endpoints import ALL, LIMITS, Auth
from guardd.venues.bitmart.hosts import DEMO, LIVE


def test_live_and_demo_have_hosts_of_their_own() -> None:
    assert hosts_for("live") == LIVE
    assert hosts_for("demo") == DEMO
    assert not {LIVE.rest, LIVE.stream} & {DEMO.rest, DEMO.stream}


def test_a_simulators_addresses_stand_for_both() -> None:
    hosts = hosts_for("live", rest_url="http://127.0.0.1:8080/", stream_url="ws://127.0.0.1:8080")
    assert (hosts.rest, hosts.stream, hosts.system) == ("http://127.0.0.1:8080", "ws://127.0.0.1:8080", None)


@pytest.mark.parametrize(
    ("environment", "rest", "stream"),
    [
        ("live", DEMO.rest, None),
        ("live", None, DEMO.stream),
        ("demo", LIVE.rest, None),
        ("demo", None, LIVE.stream),
        ("live", DEMO.rest, DEMO.stream),
        ("demo", LIVE.rest, LIVE.stream),
        ("demo", LIVE.rest.upper().replace("HTTPS", "https"), None),
        ("live", "http://127.0.0.1:8080", None),
        ("live", None, "ws://127.0.0.1:8080"),
        ("demo", "http://127.0.0.1:8080", DEMO.stream),
        ("paper", None, None),
    ],
)
def test_addresses_of_different_environments_are_refused(
    environment: str, rest: str | None, stream: str | None
) -> None:
    with pytest.raises(ConfigurationError):
        hosts_for(environment, rest_url=rest, stream_url=stream)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:80", "ws://x", "http://", "http://x/path", "http://x?q=1", "http://u:p@x", "http://x:99999"]
)
def test_an_address_is_scheme_host_and_port_and_nothing_else(url: str) -> None:
    with pytest.raises(ConfigurationError, match="rest_url"):
        hosts_for("live", rest_url=url, stream_url="ws://x")


@pytest.mark.parametrize("missing", ["key", "secret", "memo"])
def test_I26_an_empty_credential_is_refused_by_name_and_none_is_shown(missing: str) -> None:
    given = {"key": "kkkk", "secret": "ssss", "memo": "mmmm", missing: ""}
    with pytest.raises(CredentialsError, match=f"API_{missing.upper()}") as raised:
        Credentials(**given)
    assert not [value for value in given.values() if value and value in str(raised.value)]


def test_I26_credentials_show_nothing() -> None:
    assert repr(Credentials(key="kkkk", secret="ssss", memo="mmmm")) == "Credentials()"


def test_I12_every_endpoint_has_its_published_limit() -> None:
    table = {limit.endpoint: (limit.calls, limit.window_s, limit.scope.value) for limit in LIMITS}
    assert len(table) == len(ALL)
    assert table == {
        **dict.fromkeys(("system-time", "system-service", "system-time-v2"), (10, 1.0, "ip")),
        **dict.fromkeys(("details", "leverage-bracket", "markprice-kline"), (12, 2.0, "ip")),
        **dict.fromkeys(("position", "position-v2", "transaction-history", "order-history", "trades"), (6, 2.0, "key")),
        **dict.fromkeys(("get-position-mode", "trade-fee-rate", "set-position-mode"), (2, 2.0, "key")),
        **dict.fromkeys(("order", "get-open-orders", "current-plan-order"), (50, 2.0, "key")),
        **dict.fromkeys(("position-risk", "submit-order", "submit-leverage"), (24, 2.0, "key")),
        **dict.fromkeys(("transfer-contract", "transfer-contract-list"), (1, 2.0, "key")),
        **dict.fromkeys(
            *(
                (
                    "submit-tp-sl-order",
                    "modify-tp-sl-order",
                    "submit-plan-order",
                    "modify-plan-order",
                    "cancel-trail-order",
                ),
            ),
            (24, 2.0, "uid"),
        ),
        "assets-detail": (12, 2.0, "key"),
        "cancel-order": (40, 2.0, "key"),
        "cancel-plan-order": (40, 2.0, "uid"),
    }


def test_private_reads_are_keyed_and_everything_posted_is_signed() -> None:
    for endpoint in ALL:
        expected = Auth.SIGNED if endpoint.method == "POST" else Auth.KEYED
        if "/contract/public/" in endpoint.path or endpoint.path.startswith("/system/"):
            expected = Auth.NONE
        assert endpoint.auth is expected, endpoint.name

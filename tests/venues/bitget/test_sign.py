"""Signatures against the made-up vectors of both references (Bitget reference, 3.1; UTA reference, 1)."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from guardd.errors import CredentialsError
from guardd.venues.bitget.sign import Credentials, login_frame, signature, signed_headers

SAMPLES = Path(__file__).parents[2] / "samples"
CLASSIC: dict[str, Any] = json.loads((SAMPLES / "bitget" / "auth_test_vectors.json").read_text())
UNIFIED: dict[str, Any] = json.loads((SAMPLES / "bitget-uta" / "auth_test_vectors.json").read_text())
CREDENTIALS = Credentials(key=CLASSIC["api_key"], secret=CLASSIC["secret"], passphrase=CLASSIC["passphrase"])
VECTORS = [
    *((each, each["request_path_with_query"], each["signature_base64"]) for each in CLASSIC["vectors"]),
    *((each, each["request_path"], each["sign"]) for each in UNIFIED["vectors"]),
]


@pytest.mark.parametrize(("vector", "target", "expected"), VECTORS, ids=[each[0]["name"] for each in VECTORS])
def test_every_vector_of_both_references_is_signed_as_printed(
    vector: dict[str, Any], target: str, expected: str
) -> None:
    found = signature(
        CREDENTIALS,
        timestamp=vector["timestamp"],
        method=vector["method"],
        path_and_query=target,
        body=vector["body"],
    )
    assert found == expected


def test_both_references_brought_their_vectors() -> None:
    assert len(CLASSIC["vectors"]) == 13
    assert len(UNIFIED["vectors"]) >= 7


def test_the_timestamp_of_the_header_has_the_signed_characters() -> None:
    headers = signed_headers(
        CREDENTIALS, timestamp_ms=1700000000000, method="GET", path_and_query="/api/v2/x?a=1", body="", demo=False
    )
    message = f"{headers['ACCESS-TIMESTAMP']}GET/api/v2/x?a=1"
    expected = hmac.new(CREDENTIALS.secret.encode(), message.encode(), hashlib.sha256).digest()
    assert headers == {
        "ACCESS-KEY": CREDENTIALS.key,
        "ACCESS-SIGN": base64.b64encode(expected).decode(),
        "ACCESS-TIMESTAMP": "1700000000000",
        "ACCESS-PASSPHRASE": CREDENTIALS.passphrase,
    }


def test_demo_keys_carry_the_mark_of_demo_and_live_ones_never_do() -> None:
    for demo in (True, False):
        headers = signed_headers(
            CREDENTIALS, timestamp_ms="1", method="POST", path_and_query="/api/v3/y", body="[]", demo=demo
        )
        assert headers.get("paptrading") == ("1" if demo else None)


def test_a_socket_logs_in_with_seconds_as_the_reference_prints_it() -> None:
    documented = json.loads((SAMPLES / "bitget-uta" / "ws_login_request.json").read_text())
    assert json.loads(login_frame(CREDENTIALS, 1_700_000_000)) == documented


def test_I26_credentials_show_nothing() -> None:
    assert repr(CREDENTIALS) == "Credentials()"


@pytest.mark.parametrize("missing", ["key", "secret", "passphrase"])
def test_a_missing_credential_is_named_and_never_shown(missing: str) -> None:
    given = {"key": "k", "secret": "s-e-c-r-e-t", "passphrase": "p"} | {missing: ""}
    with pytest.raises(CredentialsError, match=f"API_{missing.upper()}") as error:
        Credentials(**given)
    assert "s-e-c-r-e-t" not in str(error.value)


@pytest.mark.parametrize("value", ["a\nb", " a", "a ", "ключ"])
def test_what_no_header_can_carry_is_refused_before_it_is_sent(value: str) -> None:
    with pytest.raises(CredentialsError, match="API_PASSPHRASE"):
        Credentials(key="k", secret="s", passphrase=value)

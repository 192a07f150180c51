"""What `guardd status` prints of a /status document."""

from typing import Any

import pytest

from guardd.cli.status import print_status

POSITION = {"symbol": "BTCPERP", "side": "long", "protected": True}
DOUBT = "the venue's margin ratio is 0.4, the model's 0.2"


def document(*positions: dict[str, Any]) -> dict[str, Any]:
    tether = {"currency": "USDT", "equity": "1042.11", "margin_ratio": "0.1", "doubt": ""}
    dollar = {"currency": "USDC", "equity": "500", "margin_ratio": "0.4", "doubt": DOUBT}
    account = {"name": "hedge", "state": "live", "mode": "enforce", "family": "classic", "currency": "USDT"}
    figures = {"equity": "1042.11", "margin_ratio": "0.4", "balances": [tether, dollar], "positions": list(positions)}
    return {"mode": "enforce", "version": "1", "accounts": [{**account, **figures}]}


def test_every_coins_equity_is_printed_and_what_is_doubtful_about_one(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(document(POSITION))
    shown = " ".join(capsys.readouterr().out.split())
    assert "account hedge (classic): live, mode enforce, equity 1042.11 USDT, margin ratio 40.00%" in shown
    assert "equity 500 USDC, margin ratio 40.00%" in shown
    assert f"USDC: {DOUBT}" in shown


def test_a_doubt_about_an_account_without_positions_is_nobodys_business(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(document())
    assert DOUBT not in capsys.readouterr().out

"""What a newcomer gets wrong first: the right exit code, and a text that says what to do."""

import pytest

from guardd.cli.exits import Exit
from tests.cli.stage import KEYS, POLICY, Desktop, Venue, flat


def test_a_missing_credential_is_named_with_the_places_looked_at(alone: Desktop) -> None:
    result = alone.run("check", environment={name: KEYS[name] for name in ("SIM_API_KEY", "SIM_API_MEMO")})
    assert result.exit_code == Exit.CREDENTIALS
    assert "SIM_API_SECRET missing; looked in the environment, .env" in flat(result.stdout)
    assert "set SIM_API_SECRET in the environment" in flat(result.stdout)
    assert "SIM_API_KEY" not in result.stdout


def test_a_wrong_signature_is_told_apart_from_an_unknown_key(desktop: Desktop) -> None:
    wrong = desktop.run("check", environment={**KEYS, "SIM_API_SECRET": "wrong-secret"})
    assert wrong.exit_code == Exit.CREDENTIALS
    assert "30005" in wrong.stdout
    assert "secret or the memo doesn't belong to this API key" in flat(wrong.stdout)
    unknown = desktop.run("check", environment={**KEYS, "SIM_API_KEY": "nobody"})
    assert unknown.exit_code == Exit.CREDENTIALS
    assert "30002" in unknown.stdout
    assert "the venue doesn't know this API key" in flat(unknown.stdout)
    assert "wrong-secret" not in wrong.output
    assert "nobody" not in unknown.output


@pytest.mark.parametrize("command", [("check", "--offline"), ("policy", "check")])
def test_a_wrong_policy_is_told_with_line_and_column(alone: Desktop, command: tuple[str, ...]) -> None:
    alone.write(policy=POLICY.replace("below: 3%", "below: 3").replace("stop_loss", "stop_los"))
    result = alone.run(*command)
    assert result.exit_code == Exit.CONFIGURATION
    assert "policy.yaml:5:9: found the unknown action `stop_los`" in result.stderr
    assert "did you mean stop_loss?" in result.stderr
    assert "policy.yaml:7:45: found the bare number `3`, expected a ratio such as 8% or 0.08" in result.stderr
    assert result.stdout == ""


def test_an_unknown_key_in_the_settings_is_told_with_its_place_and_what_was_meant(alone: Desktop) -> None:
    alone.write(more="rate_limit_shar: 0.5\n")
    result = alone.run("check", "--offline")
    assert result.exit_code == Exit.CONFIGURATION
    assert "guardd.yaml:5:1: rate_limit_shar: no such setting; did you mean rate_limit_share?" in result.stderr


def test_an_unknown_variable_of_ours_is_told_with_what_was_meant(alone: Desktop) -> None:
    result = alone.run("check", "--offline", environment={**KEYS, "GUARDD_MOOD": "enforce"})
    assert result.exit_code == Exit.CONFIGURATION
    assert "GUARDD_MOOD in the environment: guardd knows no such variable; did you mean GUARDD_MODE?" in result.stderr


@pytest.mark.parametrize(
    "command", [("account", "positions"), ("flatten", "--confirm", "CONFIRM")], ids=["positions", "flatten"]
)
def test_an_unreachable_venue_ends_with_69(alone: Desktop, command: tuple[str, ...]) -> None:
    result = alone.run(*command)
    assert result.exit_code == Exit.UNREACHABLE
    assert "to mend it: is the network up, are rest_url and stream_url right" in result.stderr


def test_check_names_the_address_that_doesn_t_answer(alone: Desktop) -> None:
    result = alone.run("check")
    assert result.exit_code == Exit.UNREACHABLE
    assert "http://127.0.0.1:9 can't be reached" in flat(result.stdout)


def test_a_port_that_is_taken_is_told_and_nothing_is_traced(venue: Venue, alone: Desktop) -> None:
    port = venue.server.rest_url.rpartition(":")[2]
    result = alone.run("simulate", "--venue", "bitmart", "--port", port, give_file=False)
    assert result.exit_code == Exit.CONFIGURATION
    assert f"can't listen on 127.0.0.1:{port}: Address already in use; choose another --port" in result.stderr
    assert "Traceback" not in result.output


def test_settings_that_aren_t_there_are_asked_for(alone: Desktop) -> None:
    (alone.place / "guardd.yaml").unlink()
    result = alone.run("check", give_file=False)
    assert result.exit_code == Exit.CONFIGURATION
    assert "name the file with -c FILE" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("no-such-command",),
        ("simulate", "--port", "1"),
        ("halt", "--account", "nobody"),
        ("account", "order", "open-long", "BTCUSDT", "-5"),
        ("account", "order", "open-long", "BTCUSDT", "NaN"),
        ("account", "transfer", "ten", "--to", "spot"),
    ],
)
def test_wrong_usage_ends_with_2_and_does_nothing(alone: Desktop, command: tuple[str, ...]) -> None:
    result = alone.run(*command, give_file=command[0] in ("halt", "account"))
    assert result.exit_code == Exit.USAGE
    assert "Usage: guardd" in result.stderr
    assert result.stdout == ""

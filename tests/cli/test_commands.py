"""The program as a whole: its commands, its help, how it prints."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from guardd import __version__
from guardd.cli.exits import Exit
from guardd.policy.schema import policy_schema
from tests.cli.stage import KEYS, POLICY, Desktop, Venue

HOME = Path(__file__).parents[2]
COMMANDS = (
    ("run",),
    ("check",),
    ("status",),
    ("halt",),
    ("resume",),
    ("flatten",),
    ("demo",),
    ("simulate",),
    *(("account", name) for name in ("positions", "leverage", "margin-mode", "position-mode", "transfer", "order")),
    *(("policy", name) for name in ("check", "schema", "explain", "test")),
    *(("journal", name) for name in ("list", "why", "verify")),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_of_the_contract_has_its_help(alone: Desktop, command: tuple[str, ...]) -> None:
    result = alone.run(*command, "--help", give_file=False)
    assert result.exit_code == Exit.DONE
    assert f"Usage: guardd {' '.join(command)}" in result.stdout


def test_the_version_is_that_of_the_package(alone: Desktop) -> None:
    result = alone.run("--version", give_file=False)
    assert (result.exit_code, result.stdout) == (Exit.DONE, f"guardd {__version__}\n")


def test_a_policy_is_checked_by_its_own_name_or_through_the_settings(alone: Desktop) -> None:
    alone_file = json.loads(alone.run("policy", "check", "policy.yaml", "--json", give_file=False).stdout)
    by_settings = json.loads(alone.run("policy", "check", "--json").stdout)
    assert alone_file["digest"] == by_settings["digest"]
    assert alone_file["valid"] is True
    assert alone_file["rules"] == ["resting-protection", "last-resort"]
    assert alone_file["digest"] in alone.run("policy", "check").stdout
    assert alone_file["digest"] in alone.run("check", "--offline").stdout


def test_an_invalid_policy_is_a_document_too_where_one_is_asked_for(alone: Desktop) -> None:
    alone.write(policy=POLICY.replace("close: {}", "close: now"))
    result = alone.run("policy", "check", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == Exit.CONFIGURATION
    assert document["valid"] is False
    assert all("policy.yaml:8:" in error for error in document["errors"])


def test_the_schema_is_the_one_that_the_loader_is_generated_with(alone: Desktop) -> None:
    assert json.loads(alone.run("policy", "schema", give_file=False).stdout) == policy_schema()


def test_the_shipped_configuration_is_found_without_being_named(alone: Desktop) -> None:
    os.chdir(HOME)
    keys = {"BITMART_API_KEY": "a-key", "BITMART_API_SECRET": "a-secret", "BITMART_API_MEMO": "a-memo"}
    result = alone.run("check", "--offline", environment=keys, give_file=False)
    assert result.exit_code == Exit.DONE, result.output


def test_nothing_is_coloured_in_a_pipe_and_results_go_to_stdout(alone: Desktop) -> None:
    result = alone.run("check", "--offline", environment={**KEYS, "FORCE_COLOR": ""})
    assert "\x1b[" not in result.output
    assert result.stderr == ""
    assert "check passed" in result.stdout


def typed(desktop: Desktop, word: str, *command: str, no_color: bool = True) -> tuple[int, str]:
    """A command at a terminal where somebody types `word`; its exit code and everything that was shown."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GUARDD_", "SIM_"))}
    if no_color:
        environment["NO_COLOR"] = "1"
    process = subprocess.Popen(
        [sys.executable, "-m", "guardd", *command, "-c", str(desktop.place / "guardd.yaml")],
        env={**environment, **desktop.environment, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, f"{word}\n".encode())
    out, _ = process.communicate(timeout=40)
    talk = b""
    try:
        while chunk := os.read(ours, 65_536):
            talk += chunk
    except OSError:  # the terminal's other end is closed
        pass
    os.close(ours)
    return process.returncode, (out + talk).decode()


def test_at_a_terminal_the_word_is_asked_for_and_another_one_ends_it(desktop: Desktop, venue: Venue) -> None:
    step = ("account", "leverage", "BTCUSDT", "--to", "5")
    code, shown = typed(desktop, "yes", *step)
    assert code == Exit.FAILED
    assert "Type CONFIRM to set the leverage of BTCUSDT from 10x to 5x (cross margin stays) on main" in shown
    assert "not confirmed: nothing was sent" in shown
    assert venue.writes() == []
    code, shown = typed(desktop, "CONFIRM", *step)
    assert code == Exit.DONE, shown
    assert len(venue.writes()) == 1
    assert "\x1b[" not in shown


def test_the_simulator_says_where_it_listens_and_ends_in_order_when_told(alone: Desktop) -> None:
    command = [sys.executable, "-m", "guardd", "simulate", "--venue", "bitmart", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.terminate()
        _, complaints = process.communicate(timeout=30)
    assert first.startswith("simulated bitmart listens on http://127.0.0.1:")
    assert (process.returncode, complaints) == (Exit.DONE, "")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("guardd jo", {"journal"}), ("guardd journal w", {"why"}), ("guardd check --off", {"--offline"})],
)
def test_the_shell_completes_commands_and_options(typed: str, offered: set[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "from guardd.cli import main; main()"],
        env={**os.environ, "_GUARDD_COMPLETE": "complete_bash", **words},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert set(done.stdout.split()) == offered, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_for_the_shells_own_file_is_printed(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from guardd.cli import main; main()"],
        env={**os.environ, "_GUARDD_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "_GUARDD_COMPLETE" in done.stdout

"""A real systemd boots, with guardd and the simulated exchange inside: start, hang, reload, crash, stop, several instances.

The steps build on one another, in the order in which they stand here; one machine serves all of them.
"""

import time
from collections.abc import Iterator

import pytest

from tests.deploy.systemd.machine import Machine, blocks, booted, commands, until
from tests.deploy.tools import DEPLOY, TREE, tool

pytestmark = pytest.mark.timeout(540)
READY_S = 60.0
WATCHDOG_S = 10.0
RESTART_S = 2.0


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted(tmp_path_factory.mktemp("machine")) as made:
        made.must("systemctl", "start", "simulator", "receiver")
        until(lambda: made.ask("/_simulator/summary") is not None, READY_S, "the simulator answers")
        for uid in ("main", "twin"):
            made.ask("/_simulator/orders", {"uid": uid, "symbol": "BTCUSDT", "side": "buy", "size": "100"})
        yield made


def protected(machine: Machine, uid: str = "main") -> bool:
    """A stop of the guard's rests at the exchange."""
    return bool(machine.stops(uid))


def cancelled(machine: Machine) -> None:
    """The trader cancels every stop by hand."""
    for plan in machine.stops():
        machine.must(
            "curl", "-fsS", "-X", "DELETE", f"http://127.0.0.1:8642/_simulator/plans?uid=main&plan_id={plan['plan_id']}"
        )


def test_1_it_is_ready_when_every_account_was_read_and_then_its_positions_are_protected(machine: Machine) -> None:
    machine.must("systemctl", "start", "guardd")  # Type=notify: returns at READY=1
    assert machine.shown("guardd", "ActiveState") == "active"
    assert machine.shown("guardd", "StatusText") == "guarding 1 accounts, enforce"
    until(lambda: protected(machine), READY_S, machine.log("guardd"))


def test_2_it_runs_as_nobody_in_particular_and_its_key_and_journal_are_its_own(machine: Machine) -> None:
    pid = machine.shown("guardd", "MainPID")
    uid = int(machine.must("stat", "-c", "%u", f"/proc/{pid}"))
    assert 61184 <= uid <= 65519  # systemd's range for DynamicUser=
    assert machine.must("stat", "-Lc", "%a", "/var/lib/guardd").strip() == "700"
    assert int(machine.must("stat", "-c", "%u", "/var/lib/guardd/journal.sqlite")) == uid
    assert machine.must("grep", "CapEff", f"/proc/{pid}/status").split()[1].strip("0") == ""
    assert "sim-main-secret" not in machine.must("cat", f"/proc/{pid}/environ")


def test_3_one_that_hangs_is_killed_by_the_watchdog_and_protects_again(machine: Machine) -> None:
    first = machine.shown("guardd", "InvocationID")
    machine.must("systemctl", "kill", "-s", "STOP", "guardd")
    cancelled(machine)  # while nobody looks
    began = time.monotonic()
    until(lambda: machine.shown("guardd", "Result") == "watchdog", WATCHDOG_S + 5, machine.log("guardd"))
    assert time.monotonic() - began >= WATCHDOG_S / 2
    until(lambda: machine.shown("guardd", "ActiveState") == "active", RESTART_S + READY_S, machine.log("guardd"))
    assert machine.shown("guardd", "InvocationID") != first
    assert machine.shown("guardd", "NRestarts") == "1"
    took = until(lambda: protected(machine), READY_S, machine.log("guardd")) and time.monotonic() - began
    print(f"from the hang to the stop that rests again: {took:.1f} s")


def test_4_the_hang_was_told(machine: Machine) -> None:
    until(machine.messages, READY_S, machine.log("guardd-failed@*"))
    assert "hung and was killed" in machine.messages()[0]["text"]
    assert "token-canary" not in machine.must("journalctl", "--no-pager")


def test_5_a_good_policy_is_adopted_by_reload(machine: Machine) -> None:
    pid = machine.shown("guardd", "MainPID")
    before = machine.stops()[0]["trigger_price"]
    machine.must("sed", "-i", "s/-8%/-5%/", "/etc/guardd/policy.yaml")
    machine.must("systemctl", "reload", "guardd")
    until(lambda: machine.stops() and machine.stops()[0]["trigger_price"] != before, READY_S, machine.log("guardd"))
    assert machine.shown("guardd", "MainPID") == pid
    assert machine.shown("guardd", "ActiveState") == "active"


def test_6_a_bad_policy_is_refused_by_reload_and_the_guard_goes_on(machine: Machine) -> None:
    pid = machine.shown("guardd", "MainPID")
    machine.must("sed", "-i.good", "s/-5%/5 %%/", "/etc/guardd/policy.yaml")
    assert machine.tell("systemctl", "reload", "guardd").returncode != 0
    assert "policy.yaml:5" in machine.log("guardd")
    assert machine.shown("guardd", "MainPID") == pid
    assert machine.shown("guardd", "ActiveState") == "active"
    machine.must("mv", "/etc/guardd/policy.yaml.good", "/etc/guardd/policy.yaml")


def test_7_a_stop_leaves_the_protection_where_it_rests(machine: Machine) -> None:
    resting = machine.stops()
    machine.must("systemctl", "stop", "guardd")
    assert machine.shown("guardd", "Result") == "success"
    assert machine.shown("guardd", "ActiveState") == "inactive"
    assert machine.stops() == resting
    assert len(machine.messages()) == 1  # who asked for the end isn't told of it


def test_8_wrong_settings_are_tried_again_told_once_and_picked_up_when_mended(machine: Machine) -> None:
    machine.must("sed", "-i.good", "s/mode: enforce/mode: forceful/", "/etc/guardd/guardd.yaml")
    machine.must("systemctl", "start", "--no-block", "guardd")
    until(lambda: int(machine.shown("guardd", "NRestarts")) >= 2, READY_S, machine.log("guardd"))
    assert "exit code 78" in machine.messages()[-1]["text"]
    assert len(machine.messages()) == 2
    machine.must("mv", "/etc/guardd/guardd.yaml.good", "/etc/guardd/guardd.yaml")
    until(lambda: machine.shown("guardd", "ActiveState") == "active", READY_S, machine.log("guardd"))


def test_9_another_instance_has_its_own_settings_key_and_journal(machine: Machine) -> None:
    machine.must("systemctl", "start", "guardd@two")
    until(lambda: protected(machine, "twin"), READY_S, machine.log("guardd@two"))
    assert machine.must("stat", "-Lc", "%a", "/var/lib/guardd-two").strip() == "700"
    first, second = (machine.ask("/status", port=port) for port in (9517, 9518))
    assert [each["name"] for each in first["accounts"] + second["accounts"]] == ["main", "two"]
    machine.must("systemctl", "stop", "guardd", "guardd@two")
    assert protected(machine)
    assert protected(machine, "twin")


def test_10_while_one_venue_is_waited_for_the_others_guard_is_watched_already(machine: Machine) -> None:
    """READY=1 waits for all accounts; a guard that has begun hangs no less badly before it."""
    second = "  - {name: absent, venue: bitmart, rest_url: http://127.0.0.1:1, stream_url: ws://127.0.0.1:1}\n"
    machine.must("sh", "-c", f"printf '%s' '{second}' >> /etc/guardd/guardd.yaml")
    machine.must("systemctl", "start", "--no-block", "guardd")
    until(lambda: _lives(machine, "main"), READY_S, machine.log("guardd"))
    time.sleep(WATCHDOG_S / 2)  # the first sign of life goes out with the pulse, and arms the watch
    assert machine.shown("guardd", "ActiveState") == "activating"
    first, seen = machine.shown("guardd", "InvocationID"), machine.log("guardd").count("Watchdog timeout")
    machine.must("systemctl", "kill", "-s", "STOP", "guardd")
    until(lambda: machine.shown("guardd", "InvocationID") != first, 2 * WATCHDOG_S, machine.log("guardd"))
    assert machine.log("guardd").count("Watchdog timeout") == seen + 1
    machine.must("systemctl", "stop", "guardd")


def test_11_a_new_operator_follows_the_readmes_to_a_unit_that_guards_and_a_message_that_arrives(
    machine: Machine,
) -> None:
    machine.must("systemctl", "stop", "simulator", "receiver")
    install = next(block for block in blocks(DEPLOY / "README.md") if "sudo systemctl daemon-reload" in block)
    machine.follow(install[install.index("sudo ln -s ") : install.index("# 5.")])  # the program is there already
    exchange, instance, position, fall = blocks(DEPLOY / "trial/README.md")[:4]
    machine.follow(exchange)
    until(lambda: machine.ask("/_simulator/summary") is not None, READY_S, machine.log("guardd-simulator"))
    assert "guarding 1 accounts, enforce" in machine.follow(instance)
    assert "BTCUSDT" in machine.follow(position)
    assert protected(machine)
    told = [line for line in machine.follow(fall).splitlines() if line.startswith("/voice ")]
    acted = [line for line in told if "guardd [WARNING] main" in line and "rule trim" in line]
    assert acted, told  # by Apprise, out of the sandbox
    print(acted[0])


def test_12_the_alerting_rules_tell_of_what_guardd_cannot_tell_itself(machine: Machine) -> None:
    for name in ("prometheus", "prometheus-alertmanager", "amtool", "promtool"):
        tool(name)
    monitoring = next(block for block in blocks(DEPLOY / "README.md") if "/etc/prometheus/alertmanager.yml" in block)
    installed = [line for line in monitoring.splitlines() if not line.startswith("sudo apt-get ")]
    machine.follow("\n".join(installed))
    alerts, away = blocks(DEPLOY / "trial/README.md")[4:]
    told = machine.follow(alerts)
    assert '"alertname":"GuarddDown"' in told
    assert '"status":"firing"' in told
    print(told)
    machine.follow(away)
    assert machine.tell("ls", "/etc/guardd/trial").returncode != 0


def test_13_the_first_readmes_four_terminals_do_what_it_says(machine: Machine) -> None:
    section = (TREE / "README.md").read_text().split("## By hand, without a venue")[1].split("\n## ")[0]
    *terminals, you = commands(section)
    for number, block in enumerate(terminals):  # the last of them asks for the word, which nobody types here
        typed = ["-p", "WorkingDirectory=/opt/src", "-E", "GUARDD_CONFIRM=CONFIRM", "/bin/sh", "-ec", block]
        machine.must("systemd-run", f"--unit=terminal-{number}", *typed)
    until(lambda: _lives(machine, "main"), READY_S, machine.log("terminal-2"))
    assert "reduce by trim" in machine.follow(you)
    assert protected(machine) or not machine.ask("/_simulator/state")["accounts"]["main"]["positions"]
    told = machine.log("terminal-1")
    assert "a test message of guardd check" in told
    assert "rule trim" in told


def _lives(machine: Machine, account: str) -> bool:
    status = machine.ask("/status", port=9517)
    return status is not None and {each["name"]: each["state"] for each in status["accounts"]}.get(account) == "live"

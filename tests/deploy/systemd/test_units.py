"""The units as files: systemd knows every key, the sandbox scores as promised, the template is the same service elsewhere."""

import re
from pathlib import Path

import pytest

from tests.deploy.tools import DEPLOY, good, ran, tool

UNITS = DEPLOY / "systemd"
EXPOSURE_TENTHS_MAX = 11
ALL = sorted(UNITS.glob("*.service"))


def settings(unit: Path) -> list[str]:
    """Lines that say something."""
    return [line for line in unit.read_text().splitlines() if line and not line.startswith("#")]


def verified(unit: Path, text: str, home: Path) -> str:
    """What `systemd-analyze verify` says of a unit whose program exists; it exits 0 on a key that it doesn't know."""
    program = home / "guardd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = home / unit.name
    copy.write_text(text.replace("/opt/guardd/bin/guardd", str(program)))
    for other in ALL:
        if other != unit:
            (home / other.name).write_text(other.read_text().replace("/opt/guardd/bin/guardd", str(program)))
    done = ran(tool("systemd-analyze"), "verify", "--man=no", copy)
    return done.stdout + done.stderr


@pytest.mark.parametrize("unit", ALL, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    assert verified(unit, unit.read_text(), tmp_path) == ""


def test_a_key_that_systemd_does_not_know_would_be_seen(tmp_path: Path) -> None:
    unit = UNITS / "guardd.service"
    assert "WatchdogSecs" in verified(unit, unit.read_text().replace("WatchdogSec=", "WatchdogSecs="), tmp_path)


@pytest.mark.parametrize("unit", ALL, ids=lambda unit: unit.name)
def test_the_sandbox_of_a_unit_is_as_tight_as_promised(unit: Path) -> None:
    good(
        tool("systemd-analyze"), "security", "--no-pager", "--offline=true",
        f"--threshold={EXPOSURE_TENTHS_MAX}", unit,
    )  # fmt: skip


def test_a_looser_sandbox_would_be_seen(tmp_path: Path) -> None:
    loose = tmp_path / "guardd.service"
    loose.write_text((UNITS / "guardd.service").read_text().replace("PrivateUsers=yes", "PrivateUsers=no"))
    done = ran(
        tool("systemd-analyze"), "security", "--no-pager", "--offline=true",
        f"--threshold={EXPOSURE_TENTHS_MAX}", loose,
    )  # fmt: skip
    assert done.returncode != 0


def test_the_template_is_the_same_service_in_other_places() -> None:
    moved = [
        re.sub(r"^LoadCredential=(\w+):guardd-%i\.\1$", r"LoadCredential=\1", line)
        .replace("/guardd/%i/", "/guardd/")
        .replace("=guardd/%i", "=guardd")
        .replace("guardd-%i", "guardd")
        .replace(" (%i)", "")
        for line in settings(UNITS / "guardd@.service")
    ]
    assert moved == settings(UNITS / "guardd.service")


@pytest.mark.parametrize("name", ["guardd.service", "guardd@.service"])
def test_a_guard_is_started_again_for_ever_and_its_end_is_told(name: str) -> None:
    lines = settings(UNITS / name)
    assert "Restart=always" in lines
    assert "StartLimitIntervalSec=0" in lines
    assert "OnFailure=guardd-failed@%n.service" in lines
    assert any(line.startswith("ExecStopPost=") and "guardd-failed@%n" in line for line in lines)


def test_no_unit_holds_a_secret() -> None:
    for unit in ALL:
        assert not [
            line for line in settings(unit) if re.match(r"(Environment|SetCredential)=.*(KEY|SECRET|TOKEN)", line)
        ]

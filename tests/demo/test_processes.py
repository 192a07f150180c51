"""The demo's children: asked why they died, ended in order, and kept from the user's own guardd."""

from pathlib import Path

import pytest

from guardd.demo import processes
from guardd.demo.processes import Child, DemoFailed, clean_environment


async def child(home: Path, code: str) -> Child:
    return await Child.start("daemon", ["-c", code], home=home, environ=clean_environment({}), read_stdout=True)


async def test_a_child_that_died_says_why_with_its_last_lines(tmp_path: Path) -> None:
    code = "import sys; print('\\n'.join(map(str, range(40))), file=sys.stderr); sys.exit('no such policy')"
    dead = await child(tmp_path, code)
    with pytest.raises(DemoFailed, match=r"the daemon ended with exit code 1; the last it said") as caught:
        await dead.first_line(20)
    assert "no such policy" in str(caught.value)
    assert "\n  39\n" in str(caught.value)
    assert "\n  2\n" not in str(caught.value)
    await dead.stop()


async def test_a_child_that_says_nothing_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    silent = await child(tmp_path, "import sys; sys.stdin.read()")
    with pytest.raises(DemoFailed, match="said nothing within 0 s"):
        await silent.first_line(0.05)
    await silent.stop()
    assert silent.process.returncode is not None


async def test_a_child_is_ended_by_sigterm_and_may_finish_what_it_does(tmp_path: Path) -> None:
    code = (
        "import pathlib, signal, sys\n"
        "def end(*_):\n    pathlib.Path('ended').touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\nsignal.pause()\n"
    )
    polite = await child(tmp_path, code)
    assert await polite.first_line(20) == "ready"
    await polite.stop()
    assert polite.process.returncode == 0
    assert (tmp_path / "ended").exists()


def test_settings_of_the_users_own_guardd_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDD_MODE", "observe")
    monkeypatch.setenv("BITMART_API_KEY", "mine")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("LANG", "C.UTF-8")
    found = clean_environment({"DEMO_API_KEY": "sim"})
    assert found["LANG"] == "C.UTF-8"
    assert found["DEMO_API_KEY"] == "sim"
    assert not {"GUARDD_MODE", "BITMART_API_KEY", "NOTIFY_SOCKET"} & set(found)


def test_two_free_ports_are_free() -> None:
    assert processes.free_port() > 1_024

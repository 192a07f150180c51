"""The readable pair in `config/` and what an installed guardd runs are one."""

from pathlib import Path

import pytest

from guardd.config import Secrets, load_settings
from guardd.config.settings import Mode
from guardd.demo import settings
from guardd.demo.exchange import Addresses
from guardd.policy.load import load_policy
from guardd.simulator.run import DEFAULT_ACCOUNTS, SimulatedVenue

CONFIG = Path(__file__).parents[2] / "config"
ADDRESSES = Addresses(rest_url="http://127.0.0.1:40123", stream_url="ws://127.0.0.1:40123", lots={})


@pytest.mark.parametrize("name", [settings.SETTINGS, settings.POLICY])
def test_the_pair_that_is_read_is_the_pair_that_runs(name: str) -> None:
    assert (settings.HERE / name).read_text(encoding="utf-8") == (CONFIG / name).read_text(encoding="utf-8")


def test_the_readable_pair_is_valid_as_it_stands() -> None:
    loaded = load_settings(CONFIG / settings.SETTINGS, environ={}, dotenv=None)
    assert loaded.mode is Mode.ENFORCE
    policy = load_policy(loaded.policy.read_text(encoding="utf-8"), source=str(loaded.policy))
    assert [rule.name for rule in policy.rules] == ["resting-protection", "warn", "trim", "last-resort"]


@pytest.mark.parametrize("observe", [False, True])
def test_only_addresses_port_place_and_mode_differ_in_what_the_demo_writes(tmp_path: Path, observe: bool) -> None:
    file = settings.write_settings(
        tmp_path, venue=SimulatedVenue.BITMART, addresses=ADDRESSES, port=40999, observe=observe
    )
    written = load_settings(file, environ={}, dotenv=None)
    readable = load_settings(CONFIG / settings.SETTINGS, environ={}, dotenv=None)
    assert written.mode is (Mode.OBSERVE if observe else Mode.ENFORCE)
    assert written.http.port == 40999
    assert written.data_dir == tmp_path / "data"
    assert written.accounts[0].rest_url == ADDRESSES.rest_url
    assert written.accounts[0].stream_url == ADDRESSES.stream_url
    assert written.policy.read_text(encoding="utf-8") == readable.policy.read_text(encoding="utf-8")
    own = {"rest_url": None, "stream_url": None}
    assert written.accounts[0].model_copy(update=own) == readable.accounts[0].model_copy(update=own)


def test_the_guard_gets_the_keys_of_the_simulator_and_finds_them(tmp_path: Path) -> None:
    file = settings.write_settings(tmp_path, venue=SimulatedVenue.BITMART, addresses=ADDRESSES, port=0, observe=False)
    account = load_settings(file, environ={}, dotenv=None).accounts[0]
    found = Secrets(environ=settings.credentials(SimulatedVenue.BITMART)).credentials(account)
    main = DEFAULT_ACCOUNTS[0]
    assert (found.key, found.secret, found.phrase) == (main.key, main.secret, main.passphrase)

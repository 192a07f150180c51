"""`guardd check`: one look, and no write ever."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from guardd.cli.exits import Exit
from guardd.cli.findings import Weight, of_account
from guardd.cli.look import Window
from guardd.cli.mends import mend_told
from guardd.clock import ManualClock
from guardd.config import AccountSettings, Mode
from guardd.config import Venue as SpokenVenue
from guardd.model.facts import Said
from guardd.model.names import AccountName, Severity, VenueName
from guardd.model.state import AccountState
from guardd.simulator.faults import Fault, FaultKind
from guardd.simulator.orders import MarginMode, OrderKind, Side
from tests.cli.stage import KEYS, POLICY, READ_ONLY, Desktop, Venue, flat
from tests.execution.bench import CAN_ALL
from tests.execution.fake_venue import FakeVenue
from tests.telemetry.test_courier import wants_apprise


def test_I22_check_shows_everything_and_sends_no_write(desktop: Desktop, venue: Venue) -> None:
    venue.trade("BTCUSDT", Side.BUY, 100)
    venue.ask(
        lambda server: server.exchange.set_leverage("main", "ETHUSDT", server.now_ms(), margin_mode=MarginMode.ISOLATED)
    )
    venue.trade("ETHUSDT", Side.SELL, 50)
    venue.trade("ETHUSDT", Side.SELL, 30, kind=OrderKind.LIMIT, price=venue_price(venue, "ETHUSDT") * 2)
    result = desktop.run("check")
    shown = flat(result.stdout)
    assert result.exit_code == Exit.DONE, result.output
    assert "key may trade, public stream up, private stream up" in shown
    assert "position mode hedge" in shown
    assert "BTCUSDT long cross 10x 100" in shown
    assert "ETHUSDT short isolated 10x 50" in shown
    assert "ETHUSDT short opening limit" in shown
    assert "rule last-resort at mark" in shown
    assert "a stop shall rest at" in shown
    assert "check passed" in shown
    assert venue.writes() == []


def venue_price(venue: Venue, symbol: str):  # type: ignore[no-untyped-def]
    quote = venue.ask(lambda server: server.exchange.query.quote(symbol))
    assert quote is not None
    return quote.mark


def test_an_isolated_position_has_both_liquidation_prices_in_the_document(desktop: Desktop, venue: Venue) -> None:
    venue.ask(
        lambda server: server.exchange.set_leverage("main", "ETHUSDT", server.now_ms(), margin_mode=MarginMode.ISOLATED)
    )
    venue.trade("ETHUSDT", Side.SELL, 50)
    result = desktop.run("check", "--json")
    document = json.loads(result.stdout)
    (account,) = document["accounts"]
    (position,) = account["positions"]
    assert document["ok"] is True
    assert account["may_trade"] is True
    assert account["streams"] == {"public": True, "private": True}
    venues, own = (float(position[name]) for name in ("venue_liquidation_price", "own_liquidation_price"))
    assert venues > float(position["mark_price"])
    assert abs(own - venues) / venues < 0.02
    assert any("rule last-resort at mark" in line for line in account["policy_now"])


def test_offline_asks_no_venue(desktop: Desktop, venue: Venue) -> None:
    result = desktop.run("check", "--offline")
    assert result.exit_code == Exit.DONE
    assert "digest " in result.stdout
    assert venue.ask(lambda server: list(server.stamps.requests)) == []


def test_a_key_that_may_only_read_is_enough_to_observe_and_not_to_enforce(desktop: Desktop) -> None:
    enforcing = desktop.run("check", environment=READ_ONLY)
    assert enforcing.exit_code == Exit.CREDENTIALS
    assert "the key may read but not trade, and mode is enforce" in enforcing.stdout
    desktop.write(mode="observe")
    observing = desktop.run("check", environment=READ_ONLY)
    assert observing.exit_code == Exit.DONE, observing.output
    assert "enough to observe" in observing.stdout


def test_a_clock_that_is_off_is_told_with_its_direction(desktop: Desktop, venue: Venue) -> None:
    fault = Fault(name="clock", kind=FaultKind.CLOCK_OFFSET, offset_ms=20_000)
    venue.ask(lambda server: server.faults.set(fault))
    result = desktop.run("check")
    assert "this machine's clock is 20.0 s behind the venue's" in flat(result.stdout)
    assert "set it by NTP" in result.stdout


def test_streams_that_don_t_come_up_are_an_error_of_their_own(desktop: Desktop) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused
        file = desktop.write()
        text = file.read_text()
        file.write_text(text.replace(f"ws://127.0.0.1:{desktop.port}", f"ws://127.0.0.1:{nobody.getsockname()[1]}"))
        result = desktop.run("check")
    assert result.exit_code == Exit.UNREACHABLE
    assert "the public stream doesn't come up" in result.stdout
    assert "is stream_url right" in result.stdout


def test_a_rule_that_looks_wrong_is_a_warning_with_its_line(desktop: Desktop) -> None:
    desktop.write(policy=POLICY.replace("stop_loss: {trigger: {from_entry: -8%}}", "notify: {}"))
    result = desktop.run("check", "--offline", "--json")
    found = json.loads(result.stdout)["findings"]
    assert result.exit_code == Exit.DONE
    assert any(each["weight"] == "warning" and "no rule asks for a stop_loss" in each["text"] for each in found)


def test_I26_no_secret_is_ever_printed(desktop: Desktop) -> None:
    environment = {**KEYS, "GUARDD_HTTP__TOKEN": "canary-token"}
    for command in (("check",), ("check", "--json"), ("account", "positions"), ("status",), ("halt",)):
        shown = desktop.run(*command, environment=environment).output
        assert not [secret for secret in environment.values() if secret in shown]


def test_two_accounts_of_which_one_fails_are_both_reported(desktop: Desktop) -> None:
    other = (
        "  - name: hedge\n    venue: bitmart\n    credentials: OTHER\n"
        f"    rest_url: http://127.0.0.1:{desktop.port}\n    stream_url: ws://127.0.0.1:{desktop.port}\n"
    )
    desktop.write(account=other)
    result = desktop.run("check", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == Exit.CREDENTIALS
    assert [each["looked_at"] for each in document["accounts"]] == [True, False]
    assert "OTHER_API_KEY, OTHER_API_SECRET, OTHER_API_MEMO missing" in document["findings"][0]["text"]


def test_what_an_earlier_run_was_told_is_told_again(alone: Desktop) -> None:
    alone.run("halt")
    assert "the journal says halted: only missing stops and `close` act" in alone.run("check", "--offline").stdout
    alone.run("resume")
    assert "the journal says" not in alone.run("check", "--offline").stdout


# Receivers of messages


def test_each_receiver_is_looked_at_and_what_is_wrong_with_it_is_told_without_its_address(alone: Desktop) -> None:
    wants_apprise()
    alone.write(more="notify: [{url: env:CHAT}, {url: env:MISSING}, {url: env:FINE}]\nheartbeat: {url: env:BEAT}\n")
    places = {"CHAT": "carrierpigeon://canarytoken9/1", "FINE": "json://127.0.0.1:1/canarytoken9"}
    result = alone.run("check", "--offline", "--json", environment={**KEYS, **places})
    found = {each["where"]: each for each in json.loads(result.stdout)["findings"]}
    assert result.exit_code == Exit.CONFIGURATION
    assert found["env:CHAT"]["text"] == "Apprise knows no such address"
    assert "MISSING missing" in found["notify"]["text"]
    assert "BEAT missing" in found["heartbeat"]["text"]
    assert "env:FINE" not in found
    assert "canarytoken9" not in result.output


def test_a_test_message_goes_to_every_receiver_when_it_is_asked_for(alone: Desktop) -> None:
    wants_apprise()
    alone.write(more="notify: [{url: env:POST}, {url: env:CHAT}, {url: env:DEAF}]\n")
    got: list[dict[str, object]] = []
    with listening(got) as port:
        places = {
            "POST": f"http://127.0.0.1:{port}/canarytoken9",
            "CHAT": f"json://127.0.0.1:{port}/canarytoken9",
            "DEAF": "http://127.0.0.1:1/canarytoken9",
        }
        quiet = alone.run("check", "--offline", environment={**KEYS, **places})
        assert got == []
        result = alone.run("check", "--offline", "--test-message", environment={**KEYS, **places})
    assert (quiet.exit_code, result.exit_code) == (Exit.DONE, Exit.FAILED)
    assert [each.get("source") or each.get("title") for each in got] == ["guardd", "guardd [INFO]"]
    assert "a test message failed: ClientConnectorError" in result.stdout
    assert "canarytoken9" not in result.output


def test_every_finding_says_how_to_mend_it(desktop: Desktop, venue: Venue) -> None:
    venue.trade("BTCUSDT", Side.BUY, 100)
    (desktop.place / ".env").write_text("X=1\n")
    (desktop.place / ".env").chmod(0o644)
    policy = POLICY.replace("{from_entry: -8%}", "{from_entry: -60%}")
    desktop.write(policy=policy, mode="observe")
    file = desktop.place / "guardd.yaml"
    file.write_text(file.read_text().replace("host: 127.0.0.1", "host: 0.0.0.0"))
    result = desktop.run("check", "--json")
    found = json.loads(result.stdout)["findings"]
    texts = " ".join(each["text"] for each in found)
    assert [each for each in found if not each["mend"]] == []
    assert "every user of this machine may read" in texts
    assert "whoever reaches port" in texts
    assert "BitMart tells nobody what else a key may do" in texts
    assert "no receiver of messages" in texts


@pytest.mark.parametrize(
    ("edge", "word"),
    [
        *(("key-withdraws", "delete this one"), ("key-permissions", "rights that are missing")),
        *(("key-unbound", "allow-list"), ("delisting-BTCUSDT", "look at the account")),
    ],
)
def test_what_an_adapter_tells_of_a_key_has_its_mend(edge: str, word: str) -> None:
    assert word in mend_told(edge)


def test_a_key_that_may_withdraw_is_a_finding_with_its_mend() -> None:
    clock = ManualClock()
    text = "this key may withdraw"
    told = Said(account=None, severity=Severity.CRITICAL, edge="key-withdraws", text=text, at=clock.now())
    state = AccountState(name=AccountName("main"), venue=VenueName("bitget"), capabilities=CAN_ALL)
    window = Window(venue=FakeVenue(clock), state=state, clock=clock, said=[told], may_trade=True)
    account = AccountSettings(name="main", venue=SpokenVenue.BITGET)
    (found,) = [each for each in of_account(account, Mode.ENFORCE, window) if each.text == text]
    assert (found.weight, found.mend) == (Weight.ERROR, mend_told("key-withdraws"))


@contextmanager
def listening(got: list[dict[str, object]]) -> Iterator[int]:
    """A webhook on loopback, in a thread of its own."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)

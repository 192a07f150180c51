"""`guardd account …`: a look, a word, one send, the state after."""

import json
from decimal import Decimal

import pytest

from guardd.cli.account import may_practise
from guardd.cli.exits import Exit
from guardd.config import AccountSettings
from guardd.simulator.orders import OrderKind, PositionMode, Side
from tests.cli.stage import Desktop, Venue, flat

YES = ("--confirm", "CONFIRM")
STEPS = [
    ("account", "leverage", "BTCUSDT", "--to", "5"),
    ("account", "margin-mode", "BTCUSDT", "--to", "isolated"),
    ("account", "position-mode", "--to", "one-way"),
    ("account", "transfer", "10", "--to", "futures"),
    ("account", "order", "open-long", "BTCUSDT", "10"),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
@pytest.mark.parametrize("word", [(), ("--confirm", "yes")], ids=["no-terminal", "another-word"])
def test_without_the_word_nothing_is_sent(
    desktop: Desktop, venue: Venue, step: tuple[str, ...], word: tuple[str, ...]
) -> None:
    result = desktop.run(*step, *word)
    assert result.exit_code == Exit.CONFIGURATION
    assert "nothing was sent" in result.stderr
    assert venue.writes() == []


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
def test_with_the_word_one_write_is_sent_and_the_state_after_is_shown(
    desktop: Desktop, venue: Venue, step: tuple[str, ...]
) -> None:
    result = desktop.run(*step, *YES)
    assert result.exit_code == Exit.DONE, result.output
    assert len(venue.writes()) == 1
    before, said, after = result.stdout.partition(": accepted")
    assert said
    assert "main: equity" in before
    assert "main: equity" in after


def test_leverage_keeps_the_live_margin_mode_and_the_other_way_round(desktop: Desktop) -> None:
    assert desktop.run("account", "margin-mode", "ETHUSDT", "--to", "isolated", *YES).exit_code == Exit.DONE
    assert "ETHUSDT: 4x isolated" in desktop.run("account", "leverage", "ETHUSDT", "--to", "4", *YES).stdout
    assert "ETHUSDT: 4x cross" in desktop.run("account", "margin-mode", "ETHUSDT", "--to", "cross", *YES).stdout
    shown = json.loads(desktop.run("account", "leverage", "ETHUSDT", "--json").stdout)
    assert shown == {"symbol": "ETHUSDT", "leverage": "4", "margin_mode": "cross"}


def test_a_mode_is_not_switched_with_positions_or_orders_open(desktop: Desktop, venue: Venue) -> None:
    venue.trade("BTCUSDT", Side.BUY, 10)
    venue.trade("ETHUSDT", Side.BUY, 10, kind=OrderKind.LIMIT, price=Decimal(100))
    margin = desktop.run("account", "margin-mode", "BTCUSDT", "--to", "isolated", *YES)
    order = desktop.run("account", "margin-mode", "ETHUSDT", "--to", "isolated", *YES)
    mode = desktop.run("account", "position-mode", "--to", "one-way", *YES)
    assert [each.exit_code for each in (margin, order, mode)] == [Exit.FAILED] * 3
    assert "found 1 position(s); nothing was sent" in margin.stderr
    assert "found 1 order(s); nothing was sent" in order.stderr
    assert "found 1 position(s), 1 order(s); nothing was sent" in mode.stderr
    assert venue.writes() == []
    assert desktop.run("account", "margin-mode", "SOLUSDT", "--to", "isolated", *YES).exit_code == Exit.DONE


def test_the_position_mode_is_switched_on_an_empty_account(desktop: Desktop, venue: Venue) -> None:
    assert desktop.run("account", "position-mode", "--to", "one-way", *YES).exit_code == Exit.DONE
    assert venue.ask(lambda server: server.exchange.query.position_mode("main")) is PositionMode.ONE_WAY
    assert "one-way" in desktop.run("account", "position-mode").stdout


def test_a_transfer_moves_the_amount_once(desktop: Desktop, venue: Venue) -> None:
    before = venue.ask(lambda server: server.exchange.query.balance("main"))
    result = desktop.run("account", "transfer", "12.5", "--to", "futures", *YES)
    after = venue.ask(lambda server: server.exchange.query.balance("main"))
    assert result.exit_code == Exit.DONE
    assert after.equity - before.equity == Decimal("12.5")


def test_all_four_orders_do_what_they_are_called(desktop: Desktop, venue: Venue) -> None:
    for scenario, size in (("open-long", "40"), ("open-short", "30"), ("close-long", "15"), ("close-short", "10")):
        result = desktop.run("account", "order", scenario, "BTCUSDT", size, *YES)
        assert result.exit_code == Exit.DONE, result.output
    assert venue.held() == {("BTCUSDT", "long"): Decimal(25), ("BTCUSDT", "short"): Decimal(20)}


def test_an_order_with_another_leverage_than_the_contracts_is_told_how_it_goes_in(desktop: Desktop) -> None:
    result = desktop.run("account", "order", "open-long", "BTCUSDT", "10", "--leverage", "7", *YES)
    assert result.exit_code == Exit.FAILED
    assert "leverage_conflict" in result.stdout
    assert "without --leverage and --margin-mode an order takes them as they are" in flat(result.stdout)


def test_a_limit_order_rests_at_its_price(desktop: Desktop, venue: Venue) -> None:
    result = desktop.run("account", "order", "open-long", "BTCUSDT", "10", "--price", "50000", *YES)
    (resting,) = venue.orders()
    assert result.exit_code == Exit.DONE
    assert resting.price == Decimal(50000)
    assert "BTCUSDT long opening limit 50000 10" in flat(result.stdout)


def test_a_refusal_of_the_venue_is_shown_with_its_code(desktop: Desktop, venue: Venue) -> None:
    result = desktop.run("account", "order", "close-long", "BTCUSDT", "10", *YES)
    assert result.exit_code == Exit.FAILED
    assert "rejected" in result.stdout
    assert "code 40" in result.stdout


@pytest.mark.parametrize(
    ("more", "may"),
    [
        ({}, False),
        ({"environment": "demo"}, True),
        ({"rest_url": "http://127.0.0.1:9", "stream_url": "ws://127.0.0.1:9"}, True),
        ({"rest_url": "http://localhost:9", "stream_url": "ws://localhost:9"}, True),
        ({"rest_url": "https://gateway.example", "stream_url": "wss://gateway.example"}, False),
    ],
)
def test_orders_are_for_demo_and_simulator_only(more: dict[str, str], may: bool) -> None:
    account = AccountSettings.model_validate({"name": "main", "venue": "bitmart", **more})
    assert may_practise(account) is may


def test_an_order_on_a_live_account_is_refused_before_the_venue_is_asked(desktop: Desktop, venue: Venue) -> None:
    file = desktop.write()
    file.write_text(file.read_text().replace("://127.0.0.1", "://gateway.invalid"))
    result = desktop.run("account", "order", "open-long", "BTCUSDT", "10", *YES)
    assert result.exit_code == Exit.FAILED
    assert "is a live account" in result.stderr
    assert venue.ask(lambda server: list(server.stamps.requests)) == []


def test_a_whole_close_shows_the_account_without_the_position(desktop: Desktop, venue: Venue) -> None:
    venue.trade("BTCUSDT", Side.BUY, 10)
    result = desktop.run("account", "order", "close-long", "BTCUSDT", "10", *YES)
    assert result.exit_code == Exit.DONE
    assert "no open position" in result.stdout.partition(": accepted")[2]

"""`guardd policy explain`: prices, sizes and money of a position that is given, saved or read; and its picture."""

import json
import re
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from guardd.cli.app import assembled
from guardd.cli.drawing import WIDTH, svg
from guardd.cli.exits import Exit
from guardd.cli.explained import Story, condensed, money_text, price_text, signed, stories
from guardd.cli.given_position import Given, GivenAccount, state_of
from guardd.cli.picture import Glyph, picture, spread
from guardd.cli.sketch import sketch
from guardd.model.names import MarginMode, Side
from guardd.model.reading import is_value
from guardd.policy.crossings import Way
from guardd.policy.load import load_policy
from guardd.policy.walk import walk
from guardd.risk.assess import assess_position
from guardd.simulator.orders import OrderKind
from guardd.simulator.orders import Side as OrderSide
from tests.cli.stage import Desktop, Venue
from tests.model.accounts import START, D

HOME = Path(__file__).parents[2]
DEMO = HOME / "config" / "demo-policy.yaml"
GIVEN = (
    "--symbol",
    "BTCUSDT",
    "--quantity",
    "1000",
    "--entry",
    "90000",
    "--leverage",
    "20",
    "--contract-size",
    "0.001",
)
CROSS = (*GIVEN, "--margin-mode", "cross", "--equity", "10000", "--tick", "0.1")


def run(*words: str) -> Result:
    """Without settings, unless they are named."""
    return CliRunner().invoke(assembled(["policy"]), ["policy", "explain", *words], env={"COLUMNS": "200"})


@cache
def demo_stories() -> tuple[Story, ...]:
    """The demo's positions: `guardd.demo.scenario.LEGS` at its prices."""
    account = GivenAccount(
        equity=D(10_000),
        positions=[
            _position("BTCUSDT", "1000", "90000", "0.001", "0.1", "20", cross=True),
            _position("ETHUSDT", "6000", "3200", "0.001", "0.01", "20", side=Side.SHORT, cross=True),
            _position("SOLUSDT", "1000", "180", "0.1", "0.01", "10"),
        ],
    )
    policy = load_policy(DEMO.read_text(), source=str(DEMO))
    return stories(policy, state_of(account, START).state, START)


def _position(
    symbol: str,
    quantity: str,
    entry: str,
    size: str,
    tick: str,
    leverage: str,
    *,
    side: Side = Side.LONG,
    cross: bool = False,
) -> Given:
    return Given(
        symbol=symbol,
        side=side,
        quantity=D(quantity),
        entry=D(entry),
        leverage=D(leverage),
        margin_mode=MarginMode.CROSS if cross else MarginMode.ISOLATED,
        contract_size=D(size),
        tick=D(tick),
    )


# The command


def test_a_given_position_is_explained_without_settings() -> None:
    result = run(str(DEMO), *CROSS)
    assert result.exit_code == Exit.DONE, result.output
    shown = " ".join(result.output.split())
    assert "BTCUSDT long · cross 20× · 1000 contracts" in shown
    assert "trim" in shown
    assert re.search(r"at [\d,.]+ trim: reduce \d+ of 1000, −[\d,.]+ USDT, equity [\d,.]+ USDT, liquidation", shown)
    assert re.search(r"at 84,\d+\.\d resting-protection: the stop fires: all \d+", shown)
    assert "a straight way up from 90,000.0" in shown
    assert "assumed: BTCUSDT: a maintenance rate of 0.5 % at every size" in shown


def test_the_document_says_the_same_to_programs() -> None:
    document = json.loads(run(str(DEMO), *CROSS, "--maintenance", "0.5%", "--json").stdout)
    (position,) = document["positions"]
    assert document["assumed"] == []
    found = {(each["rule"], each["when"]): each for each in position["triggers"]}
    warn = found["warn", "at"]
    assert Decimal(warn["at_mark_price"]) < 90000
    assert warn["reached"] is True
    last = found["last-resort", "at"]
    assert last["reached"] is False
    assert [step["does"] for step in last["steps"]] == ["close all 1000"]
    assert Decimal(last["steps"][0]["realised_pnl"]) < 0
    down, up = position["walks"]
    assert (down["way"], up["way"]) == ("down", "up")
    assert down["steps"][-1]["left"] == "0"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--symbol", "BTCUSDT", "--quantity", "1"), "needs --symbol, --quantity and --entry"),
        ((*GIVEN, "--side", "up"), "--side"),
        ((*GIVEN, "--mark", "-5"), "expected a number above zero"),
        ((*GIVEN, "--mark", "high"), "expected a number"),
    ],
)
def test_what_can_not_be_meant_is_an_error_of_usage(words: tuple[str, ...], text: str) -> None:
    result = run(str(DEMO), *words)
    assert result.exit_code == Exit.USAGE
    assert text in " ".join(result.output.replace("│", " ").split())


def test_a_saved_status_is_explained_with_the_contract_and_the_rate_that_its_figures_tell(tmp_path: Path) -> None:
    """0.1 BTC in 100 contracts, liquidation at 81,456.15 (BitMart reference, 15): a rate of 0.5 % and a fee of 0.06 %."""
    saved = tmp_path / "status.json"
    position = {
        "symbol": "BTCUSDT",
        "side": "long",
        "margin_mode": "isolated",
        "leverage": "10",
        "quantity": "100",
        "entry_price": "90000",
        "mark_price": "89120.4",
        "liquidation_price": "81456.15",
        "notional": "8912.04",
        "unrealized_pnl": "-87.96",
        "stop_loss": {"trigger_price": "83555.3", "order_id": "1"},
        "take_profit": None,
    }
    account = {"name": "main", "venue": "bitmart", "equity": "1042.11", "currency": "USDT", "positions": [position]}
    saved.write_text(json.dumps({"accounts": [account]}))
    result = run(str(DEMO), "--snapshot", str(saved), "--json")
    document = json.loads(result.stdout)
    (found,) = document["positions"]
    assert found["equity"] == "1042.11"
    assert (
        Decimal("81456.15") <= Decimal(found["liquidation_price"]) < Decimal("81500")
    )  # the nearer is our careful one
    assert document["assumed"] == ["BTCUSDT: its margin is the initial margin"]
    plain = run(str(DEMO), "--snapshot", str(saved)).output
    assert "rests already" in plain


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "found no `accounts`"),
        ("{", "no JSON"),
        ('{"accounts": [{"positions": [{"symbol": "BTCUSDT"}]}]}', "a position needs symbol, side"),
        (
            '{"accounts": [{"positions": [{"symbol": "B", "side": "long", "quantity": "x", "entry_price": "1"}]}]}',
            "quantity: found 'x', expected a number",
        ),
    ],
)
def test_a_file_that_is_no_snapshot_says_what_was_expected(tmp_path: Path, text: str, complaint: str) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(text)
    result = run(str(DEMO), "--snapshot", str(saved))
    assert result.exit_code == Exit.CONFIGURATION
    assert complaint in " ".join(result.output.split())


def test_I22_a_live_account_is_read_and_nothing_is_written(desktop: Desktop, venue: Venue) -> None:
    venue.trade("BTCUSDT", OrderSide.BUY, 100)
    venue.trade("BTCUSDT", OrderSide.BUY, 7, kind=OrderKind.LIMIT, price=Decimal(80_000))
    result = desktop.run("policy", "explain", "--svg", "picture.svg")
    assert result.exit_code == Exit.DONE, result.output
    assert "BTCUSDT long" in result.stdout
    assert "last-resort" in result.stdout
    assert "limit order that opens 7" in result.stdout
    assert venue.writes() == []
    assert (desktop.place / "picture.svg").read_text().startswith("<svg")


# What isn't said


def test_what_is_given_makes_an_account_that_agrees_with_itself() -> None:
    account = GivenAccount(
        equity=D(5000), positions=[_position("BTCUSDT", "100", "90000", "0.001", "0.1", "10", cross=True)]
    )
    state = state_of(account, START).state
    (held,) = state.held.values()
    risk = assess_position(state, held, mark=D(90000), now=START)
    assert is_value(risk.closing_liquidation)
    assert (risk.notional, risk.effective_leverage) == (D(9000), D("1.8"))


def test_an_inverse_symbol_settles_in_its_base_coin() -> None:
    (story,) = stories(
        load_policy(DEMO.read_text(), source="demo"),
        state_of(GivenAccount(positions=[_position("BTCUSD", "900", "90000", "100", "0.5", "10")]), START).state,
        START,
    )
    assert story.currency == "BTC"
    assert story.view.risk.notional == 1
    assert any("BTC" in label.detail for label in picture(story).labels)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [("-1234.5", "USDT", "−1,234.50 USDT"), ("0.001", "USDT", "0.00 USDT"), ("0.25", "BTC", "+0.250000 BTC")],
)
def test_money_is_told_with_its_sign_and_its_coin(amount: str, currency: str, text: str) -> None:
    assert signed(D(amount), currency) == text
    assert money_text(D(5), "USDT") == "5.00 USDT"
    assert price_text(D("81498.899"), D("0.1")) == "81,498.9"


def test_what_goes_on_at_one_price_is_one_line() -> None:
    policy = load_policy(
        "version: 1\nrules:\n  - {name: r, when: {profit_from_entry: {below: -3%}}, then: [reduce: {by: 25%}]}",
        source="policy.yaml",
    )
    state = state_of(GivenAccount(positions=[_position("BTCUSDT", "8", "90000", "0.001", "0.1", "10")]), START).state
    (symbol,) = state.instruments
    way = walk(policy, state, symbol, Way.DOWN, START)
    (step,) = condensed(way).steps
    assert len(way.steps) == 6
    assert step.text == "reduce 2 of 8, on to 0 in 6 steps"
    assert step.cut is not None
    assert (step.cut.size, step.left) == (D(8), D(0))
    assert step.cut.fee == sum(each.cut.fee for each in way.steps if each.cut is not None)


# The picture


def test_the_picture_of_the_demo_shows_each_rule_once_at_its_place() -> None:
    btc, eth, sol = (picture(story) for story in demo_stories())
    glyphs = [label.glyph for label in btc.labels]
    assert glyphs[0] is Glyph.PROFIT
    assert glyphs[-1] is Glyph.LIQUIDATION
    assert Glyph.REDUCE in glyphs
    assert [label.title for label in btc.labels if label.faint] == ["last-resort"]
    assert eth.labels[0].glyph is Glyph.LIQUIDATION
    assert not eth.hurts_below
    assert sol.hurts_below
    for each in (btc, eth, sol):
        assert [label.price for label in each.labels] == sorted((label.price for label in each.labels), reverse=True)
        assert all(marks[-1][1] == 0 for _, marks in each.left)


def test_the_svg_is_whole_stands_alone_and_holds_its_text_within_its_width() -> None:
    text = svg([picture(story) for story in demo_stories()])
    root = ElementTree.fromstring(text)
    assert root.get("width") == str(WIDTH)
    assert "<script" not in text
    assert "href" not in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    space = "{http://www.w3.org/2000/svg}"
    texts = [each for each in root.iter(f"{space}text") if each.get("text-anchor") != "end"]
    for each in texts:
        words = "".join(each.itertext())
        assert float(each.get("x", "0")) + 6.3 * len(words) < WIDTH + 60, words
    places = sorted(float(each.get("y", "0")) for each in texts if each.get("x") == "336.0")
    assert all(later - earlier >= 15.9 for earlier, later in pairwise(places))


def test_a_rule_name_can_not_break_the_picture() -> None:
    (story, *_) = demo_stories()
    shown = picture(story)
    odd = svg([type(shown)(**{name: getattr(shown, name) for name in shown.__slots__} | {"title": "<b>&"})])
    assert ElementTree.fromstring(odd) is not None


def test_the_sketch_has_a_line_for_each_label_and_no_more_body_than_is_left() -> None:
    for story in demo_stories():
        shown = picture(story)
        lines = [line.plain for line in sketch(shown)]
        for label in shown.labels:
            assert sum(f" {shown.text_of(label.price)}" in line and label.title in line for line in lines) >= 1
        assert all(line.count("█") <= 16 for line in lines)
        assert sum("━" in line for line in lines) == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.floats(0, 100), max_size=12).map(sorted),
    st.floats(1, 5),
)
def test_labels_are_never_over_each_other_and_stay_inside_where_there_is_room(wanted: list[float], gap: float) -> None:
    placed = spread(wanted, gap, 0, 100)
    assert len(placed) == len(wanted)
    assert all(later - earlier >= gap - 1e-6 for earlier, later in pairwise(placed))
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in placed)

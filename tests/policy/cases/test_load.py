"""A file of cases is read whole or refused whole, each fault with its place."""

from decimal import Decimal

import pytest

from guardd.errors import ConfigurationError
from guardd.model.names import MarginMode, Severity, Side
from guardd.policy.cases.language import TrackKind, Trouble, VenueKind
from guardd.policy.cases.load import load_cases
from tests.policy.cases.scene import HEAD, HELD, READY, case, falling

D = Decimal
MARKS = 'series: [{mark: BTCUSDT, values: "90000"}]'


def test_a_case_takes_from_the_file_what_it_doesnt_say() -> None:
    found = case(f"account: {{equity: 100 USDT, venue: bitget-unified}}\n{HELD}\n{MARKS}")
    assert (found.owner.equity, found.owner.venue, found.owner.leverage) == (D(100), VenueKind.BITGET_UNIFIED, D(20))
    holding = found.holdings[0]
    assert (holding.margin_mode, holding.leverage, holding.side) == (MarginMode.ISOLATED, D(20), Side.LONG)
    assert (found.interval_s, found.start_s) == (D(1), D(43200))
    listing = found.listing("BTCUSDT")
    assert (listing.step, listing.min_size, listing.taker_fee) == (D(1), D(1), D("0.0006"))


def test_what_one_case_says_of_the_account_is_not_the_next_ones() -> None:
    text = HEAD + f"  - {{name: a, account: {{leverage: 5}}, {HELD}, {MARKS}}}\n  - {{name: b, {HELD}, {MARKS}}}\n"
    first, second = load_cases(text, source="x").cases
    assert (first.holdings[0].leverage, second.holdings[0].leverage) == (D(5), D(20))


def test_decisions_and_tellings_are_told_apart() -> None:
    found = falling(
        "90000x9", "- at: 3s\n  expect: [{rule: r, action: reduce, size: 40}, {told: blind, severity: critical}]"
    )
    expected, telling = found.decisions[0], found.told[0]
    assert (expected.at_s, expected.rule, expected.action, expected.figures) == (D(3), "r", "reduce", {"size": D(40)})
    assert (telling.at_s, telling.words, telling.severity) == (D(3), "blind", Severity.CRITICAL)


def test_a_case_lasts_to_the_end_of_its_series_and_decisions_or_as_long_as_it_says() -> None:
    assert falling("90000x9").lasts_s == D(9)
    assert falling("90000", "- {at: 7s, expect: [{told: x}]}").lasts_s == D(8)
    assert falling("90000x9", more="lasts: 3s").lasts_s == D(3)


def test_a_series_stands_where_it_ended() -> None:
    track = falling("90000-100x2 _x2 stale _").track(TrackKind.MARK, "BTCUSDT")
    assert track is not None
    assert [track.number_at(step) for step in (0, 2, 4, 99)] == [D(90000), D(89800), D(89800), D(89800)]
    assert [track.stale_at(step) for step in (2, 4, 5, 6, 99)] == [False, False, True, True, True]


def test_a_fault_is_a_series_of_zeros_and_ones() -> None:
    found = case(f'{HELD}\nseries: [{{mark: BTCUSDT, values: "90000"}}, {{fault: lost, values: "0x2 1 0"}}]')
    assert [track.of for track in found.tracks] == ["BTCUSDT", Trouble.LOST]


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        (f'{HELD}\nseries: [{{mark: BTCUSDT, values: "90000 91k"}}]', "it.cases.yaml:11:38", "found `91k`"),
        (f'{HELD}\nseries: [{{mark: BTCUSDT, values: "-5"}}]', "it.cases.yaml:11:38", "prices above zero"),
        (f'{HELD}\nseries: [{{fault: lost, values: "2"}}]', "it.cases.yaml:11:36", "0 (well) and 1 (the fault)"),
        (f'{HELD}\nseries: [{{fault: lots, values: "1"}}]', "it.cases.yaml:11:22", "did you mean lost?"),
        (f'{HELD}\nseries: [{{mark: BTCUSD, values: "1"}}]', "it.cases.yaml:11:21", "did you mean BTCUSDT?"),
        (f'{HELD}\nseries: [{{last: BTCUSDT, values: "1"}}]', "it.cases.yaml:9:5", "no first mark of BTCUSDT"),
        (f'{HELD}\nseries: [{{mark: BTCUSDT, values: "_ 1"}}]', "it.cases.yaml:9:5", "no first mark of BTCUSDT"),
        (f"{HELD}\n{MARKS}\nlasts: 99999s", "it.cases.yaml:9:5", "at most 10000 steps"),
        (
            f"{HELD}\n{MARKS}\ndecisions: [{{at: 1, expect: [{{told: x}}]}}]",
            "it.cases.yaml:12:22",
            "the bare number `1`",
        ),
        (
            f"{HELD}\n{MARKS}\ndecisions: [{{at: 1s, expect: [{{rule: r, action: shut}}]}}]",
            "it.cases.yaml:12:53",
            "the unknown action `shut`",
        ),
        (
            f"{HELD}\n{MARKS}\ndecisions: [{{at: 1s, expect: [{{action: close}}]}}]",
            "it.cases.yaml:12:35",
            "without rule",
        ),
        (
            f"{HELD}\n{MARKS}\nlasts: 2s\ndecisions: [{{at: 9s, expect: [{{told: x}}]}}]",
            "it.cases.yaml:13:1",
            "lasts 2 s",
        ),
        (f"{HELD}\n{MARKS}\npolicy: x", "it.cases.yaml:12:5", "the unknown key `policy`"),
        ("positions: [{symbol: BTCUSDT, side: long, quantity: 0, entry: 1}]", "it.cases.yaml:10:57", "above zero"),
        (f"account: {{venue: okx}}\n{HELD}\n{MARKS}", "it.cases.yaml:10:22", "bitget-unified, bitmart"),
    ],
)
def test_a_fault_names_its_place_and_what_was_expected(body: str, place: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        case(body)
    lines = [line for line in str(refused.value).splitlines() if words in line]
    assert lines, str(refused.value)
    assert lines[0].startswith(f"{place}: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 2\n", "version: 1"),
        ("version: 1\ncases: []\n", "no `instruments`"),
        (HEAD, "expected a list of cases"),
        (HEAD + f"  - {{name: a, {HELD}, {MARKS}}}\n" * 2, "found the name `a` a second time"),
        (HEAD.replace("equity: 50000 USDT, ", "") + f"  - {{name: a, {HELD}, {MARKS}}}\n", "no equity"),
        ("a: [", "not YAML"),
    ],
)
def test_a_file_without_what_every_case_needs_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_cases(text, source="x")
    assert words in str(refused.value)


@pytest.mark.parametrize("file", sorted((READY / "tests").glob("*.cases.yaml")), ids=lambda file: file.name)
def test_the_ready_files_are_read(file: object) -> None:
    assert load_cases(file.read_text(encoding="utf-8"), source=str(file)).cases  # type: ignore[attr-defined]

"""Where things stand in a file: excerpts with a caret, the name that was meant, the place of every value."""

import pytest

from guardd.policy.load import load_policy
from guardd.policy.nodes import Place, PolicyRefused, excerpt, nearest, place_at


@pytest.mark.parametrize(
    ("line", "column", "under"),
    [
        ("    then: [close: {}, stop_los: {}]", 23, "^~~~~~~~"),
        ("    when: {buffer_left: {below: 50%}}", 33, "^~~"),
        ("rules:", 1, "^~~~~"),
        ("", 1, "^"),
    ],
)
def test_the_caret_stands_under_the_place_and_a_line_under_the_rest_of_the_word(
    line: str, column: int, under: str
) -> None:
    shown = excerpt(f"version: 1\n{line}\n", Place(2, column)).splitlines()
    assert shown[0].rstrip() == f"    2 | {line}".rstrip()
    assert shown[1] == "      | " + " " * (column - 1) + under


def test_a_long_line_is_shown_around_the_place_and_a_tab_is_one_column() -> None:
    first, second = excerpt("x" * 300 + " here " + "y" * 300, Place(1, 302)).splitlines()
    assert len(first) < 140
    assert first[second.index("^") :].startswith("here")
    assert excerpt("\t- name: a", Place(1, 2)).splitlines() == ["    1 |  - name: a", "      |  ^"]


def test_a_place_beyond_the_file_is_shown_without_its_line() -> None:
    assert excerpt("version: 1", Place(9, 1)).splitlines() == ["    9 | ", "      | ^"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("stop_los", "stop_loss"),
        ("liquidation_distance", "distance_to_liquidation"),
        ("profit", "profit_from_entry"),
        ("margin-ratio", "margin_ratio"),
        ("banana", ""),
    ],
)
def test_the_name_that_was_meant_is_found_by_letters_words_and_beginnings(word: str, meant: str) -> None:
    assert nearest(word, ("stop_loss", "distance_to_liquidation", "profit_from_entry", "margin_ratio")) == meant


def test_every_value_has_its_place_and_what_has_none_that_of_what_holds_it() -> None:
    text = "version: 1\nrules:\n  - name: a\n    when: {any: [{buffer_left: {below: 5%}}]}\n    then: [close: {}]\n"
    places = load_policy(text, source="p").places
    assert places["rules", 0, "when", "any", 0, "buffer_left", "below"] == Place(4, 40)
    assert places["rules", 0, "then", 0, "close"] == Place(5, 12)
    assert place_at(places, ("rules", 0, "then", 0, "close", "nothing")) == Place(5, 12)
    assert place_at(places, ("nowhere",)) == Place(1, 1)


def test_a_refusal_is_one_line_a_fault_for_logs_and_shown_with_its_lines_for_people() -> None:
    with pytest.raises(PolicyRefused) as caught:
        load_policy("version: 2\nrules:\n  - name: a\n    then: [clos: {}]\n", source="p.yaml")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[:3] for line in lines] == [["p.yaml", "1", "10"], ["p.yaml", "4", "12"]]
    assert [line for line in caught.value.shown().splitlines() if "p.yaml" in line] == lines
    assert len(caught.value.shown().splitlines()) == 6

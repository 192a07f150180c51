"""`guardd policy check`: faults with their line and a caret, sense with how to mend it, and what the exit code says."""

import json

import pytest

from guardd.cli.exits import Exit
from tests.cli.stage import Desktop, flat

HEAD = "version: 1\nrules:\n"
STOP = "  - name: stop\n    then: [stop_loss: {trigger: {liquidation_buffer: 25%}}]\n"
SOUND = HEAD + STOP + "  - name: last\n    when: {buffer_left: {below: 40%}}\n    then: [close: {}]\n"
AT_20 = HEAD + STOP + "  - name: warn\n    when: {distance_to_liquidation: {below: 12%}}\n    then: [notify: {}]\n"
NEVER = HEAD + STOP + "  - name: last\n    when: {distance_to_liquidation: {below: 0%}}\n    then: [close: {}]\n"
MARGIN = (
    HEAD
    + STOP
    + "  - name: margin\n    match: {margin_mode: isolated}\n    when: {buffer_left: {below: 50%}}\n"
    + "    then: [add_margin: {amount: 50 USDT}]\n"
)


@pytest.mark.parametrize(
    ("policy", "more", "code"),
    [
        (SOUND, (), Exit.DONE),
        (SOUND, ("--strict",), Exit.DONE),
        (AT_20, (), Exit.DONE),
        (AT_20, ("--strict",), Exit.FAILED),
        (AT_20, ("--strict", "--leverage", "5"), Exit.DONE),
        (NEVER, (), Exit.FAILED),
        (NEVER.replace("0%", "zero"), (), Exit.CONFIGURATION),
        (SOUND, ("--leverage", "five"), Exit.USAGE),
        (SOUND, ("--leverage", "0"), Exit.USAGE),
    ],
)
def test_the_exit_code_says_whether_it_can_be_used_and_whether_it_makes_sense(
    alone: Desktop, policy: str, more: tuple[str, ...], code: Exit
) -> None:
    alone.write(policy=policy)
    result = alone.run("policy", "check", "policy.yaml", *more, give_file=False)
    assert result.exit_code == code, result.output


def test_a_fault_is_shown_with_its_line_and_a_caret_under_the_place(alone: Desktop) -> None:
    alone.write(policy=SOUND.replace("close", "clos"))
    result = alone.run("policy", "check")
    shown = result.stderr.splitlines()
    assert shown[1:] == ["    7 |     then: [clos: {}]", "      |            ^~~~"]
    assert "policy.yaml:7:12: found the unknown action `clos`" in shown[0]
    assert "(did you mean close?)" in shown[0]


def test_a_finding_is_shown_with_its_line_a_caret_and_how_to_mend_it(alone: Desktop) -> None:
    alone.write(policy=AT_20)
    shown = alone.run("policy", "check", "--leverage", "20").stdout
    at = shown.index("policy.yaml:6:45: warning: rule warn: it fires at once at 20×")
    assert shown[at:].splitlines()[1:4] == [
        "    6 |     when: {distance_to_liquidation: {below: 12%}}",
        "      |                                             ^~~",
        "to mend it: a threshold that a new position isn't past; buffer_left means the same at every leverage",
    ]
    assert "policy.yaml: valid, 2 rules; judged at 20×: 0 errors, 1 warning, 1 info" in shown


def test_programs_get_the_same_as_a_document(alone: Desktop) -> None:
    alone.write(policy=AT_20)
    document = json.loads(alone.run("policy", "check", "--json", "--leverage", "20x,5").stdout)
    assert document["leverages"] == ["5", "20"]
    [found] = [each for each in document["findings"] if each["severity"] == "warning"]
    assert (found["kind"], found["rule"], found["line"], found["column"]) == ("fires-at-once", "warn", 6, 45)
    assert found["mend"]
    alone.write(policy=SOUND.replace("40%", "40"))
    refused = json.loads(alone.run("policy", "check", "--json").stdout)
    assert refused["faults"] == [
        {"line": 6, "column": 33, "text": "found the bare number `40`, expected a ratio such as 8% or 0.08"}
    ]


def test_what_the_configured_venues_lack_is_told_where_settings_are_given(alone: Desktop) -> None:
    alone.write(policy=MARGIN)
    with_settings = alone.run("policy", "check")
    assert with_settings.exit_code == Exit.FAILED
    assert "bitmart (account main) can't do it: add_margin is refused there each time" in with_settings.stdout
    without = alone.run("policy", "check", "policy.yaml", give_file=False)
    assert without.exit_code == Exit.DONE
    assert "can't do it" not in without.stdout


def test_guardd_check_finds_the_same(alone: Desktop) -> None:
    alone.write(policy=NEVER)
    result = alone.run("check", "--offline")
    assert result.exit_code == Exit.FAILED
    assert "rule last: distance_to_liquidation is never below 0 %" in flat(result.stdout)

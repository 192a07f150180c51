"""`guardd policy test`: what it prints, what it ends with, and what it hands to a CI system."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from guardd.cli.exits import Exit
from tests.cli.stage import Desktop, flat

POLICY = """\
version: 1
rules:
  - name: warn
    when: {buffer_left: {below: 75%}}
    then: [notify: {severity: warning}]
  - name: last
    when: {buffer_left: {below: 30%}}
    then: [close: {}]
"""
CASES = """\
version: 1
policy: policy.yaml
instruments:
  BTCUSDT: {tick: 0.1, contract_size: 0.001, tiers: [{up_to: 500000 USDT, maintenance: 0.5%, max_leverage: 100}]}
account: {equity: 50000 USDT, leverage: 20}
cases:
  - name: falls a little
    positions: [{symbol: BTCUSDT, side: long, quantity: 1000, entry: 90000}]
    series: [{mark: BTCUSDT, values: "90000 88500"}]
    decisions: [{at: 1s, expect: [{rule: warn, action: notify}]}]
  - name: falls far
    positions: [{symbol: BTCUSDT, side: long, quantity: 1000, entry: 90000}]
    series: [{mark: BTCUSDT, values: "90000 87000"}]
    decisions: [{at: 1s, expect: [{rule: warn, action: notify}, {rule: last, action: close, size: 1000}]}]
"""


@pytest.fixture
def file(alone: Desktop) -> Path:
    alone.write(policy=POLICY)
    cases = alone.place / "it.cases.yaml"
    cases.write_text(CASES, encoding="utf-8")
    return cases


def run(desktop: Desktop, *more: str) -> tuple[int, str]:
    result = desktop.run("policy", "test", "it.cases.yaml", *more, give_file=False)
    return result.exit_code, flat(result.stdout + result.stderr)


def test_cases_that_pass_end_with_0_and_say_how_much_was_tried(alone: Desktop, file: Path) -> None:
    code, said = run(alone)
    assert code == Exit.DONE
    assert "ok falls a little" in said
    assert said.endswith("2 cases, 0 failed; 6 boundary probes")


def test_a_failure_shows_what_was_expected_beside_what_came_with_line_and_figures(alone: Desktop, file: Path) -> None:
    file.write_text(CASES.replace("size: 1000}]}]", "size: 999}]}]").replace("action: notify}]", "action: close}]", 1))
    code, said = run(alone)
    assert code == Exit.FAILED
    assert "FAILED falls a little" in said
    assert "at line mark expected came wrong" in said
    assert "1s 10 88500 warn: close – it did not come" in said
    assert "warn: notify, warning (BTCUSDT long) nobody expected it" in said
    assert "1s 14 87000 last: close, size 999 last: close, size 1000 (BTCUSDT long) size 1000 instead of 999" in said
    assert "close BTCUSDT long at mark 87000: rule last, buffer_left" in said


def test_mutants_that_survive_are_named_with_their_line_and_end_with_1(alone: Desktop, file: Path) -> None:
    code, said = run(alone, "--mutate")
    assert (code, "survived" in said.replace("0 survived", "")) == (Exit.DONE, False)
    file.write_text(CASES.replace(", {rule: last, action: close, size: 1000}", "").replace("87000", "88000"))
    code, said = run(alone, "--mutate")
    assert code == Exit.FAILED
    assert "survived policy.yaml:6:5: last: left out: no case fails" in said
    assert "survived policy.yaml:7:33: last.when.buffer_left.below: 30% → 33%: no case fails" in said


def test_no_mutant_is_tried_while_a_case_fails(alone: Desktop, file: Path) -> None:
    file.write_text(CASES.replace("size: 1000}]}]", "size: 1}]}]"))
    code, said = run(alone, "--mutate")
    assert code == Exit.FAILED
    assert "no mutants were tried" in said


def test_only_plays_the_cases_of_that_name_and_none_is_a_mistake_of_usage(alone: Desktop, file: Path) -> None:
    code, said = run(alone, "--only", "little")
    assert code == Exit.DONE
    assert "1 cases" in said
    assert run(alone, "--only", "rises")[0] == Exit.USAGE


def test_another_policy_can_be_named(alone: Desktop, file: Path) -> None:
    (alone.place / "other.yaml").write_text(POLICY.replace("75%", "85%"))
    assert run(alone, "--policy", "other.yaml")[0] == Exit.DONE
    (alone.place / "other.yaml").write_text(POLICY.replace("below: 75%", "below: 45%"))
    assert run(alone, "--policy", "other.yaml")[0] == Exit.FAILED


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version: 1\npolicy", "version: 3\npolicy", "expected version: 1"),
        ("policy: policy.yaml\n", "", "expected one there or as --policy FILE"),
        ("policy: policy.yaml", "policy: nowhere.yaml", "can't be read"),
        ("leverage: 20", "leverage: 900", "the exchange refuses what it says"),
    ],
)
def test_a_file_that_cant_be_played_ends_with_78(alone: Desktop, file: Path, old: str, new: str, words: str) -> None:
    file.write_text(CASES.replace(old, new))
    code, said = run(alone)
    assert code == Exit.CONFIGURATION
    assert words in said


def test_a_file_that_isnt_there_or_an_invalid_policy_ends_with_78(alone: Desktop, file: Path) -> None:
    alone.write(policy=POLICY.replace("close: {}", "shut: {}"))
    assert run(alone)[0] == Exit.CONFIGURATION
    file.unlink()
    assert run(alone)[0] == Exit.CONFIGURATION


def test_programs_get_one_document(alone: Desktop, file: Path) -> None:
    result = alone.run("policy", "test", "it.cases.yaml", "--json", "--mutate", give_file=False)
    document = json.loads(result.stdout)
    assert document["passed"] is True
    of_file = document["files"][0]
    assert [case["name"] for case in of_file["cases"]] == ["falls a little", "falls far"]
    assert of_file["cases"][0]["timeline"][0]["expected"] == "warn: notify"
    assert all(probe["passed"] for case in of_file["cases"] for probe in case["probes"])
    assert all(mutant["killed_by"] for mutant in of_file["mutants"])


def test_ci_systems_get_junit_xml_with_a_testcase_for_each_case_probe_and_mutant(alone: Desktop, file: Path) -> None:
    file.write_text(CASES.replace("size: 1000}]}]", "size: 1}]}]").replace("falls a little", "falls <a> & little"))
    assert run(alone, "--junit", "out.xml")[0] == Exit.FAILED
    root = ElementTree.parse(alone.place / "out.xml").getroot()
    suite = root[0]
    assert (root.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "it.cases.yaml")
    cases = list(suite)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == (str(len(cases)), "1", "0")
    assert {case.tag for case in cases} == {"testcase"}
    assert cases[0].get("name") == "falls <a> & little"
    failed = [case for case in cases if case.find("failure") is not None]
    assert [(case.get("name"), case.get("line")) for case in failed] == [("falls far", "11")]
    failure = failed[0].find("failure")
    assert failure is not None
    assert "size 1000 instead of 1" in (failure.text or "")
    assert {(case.get("classname") or "").rpartition(".")[2] for case in cases} == {"case", "probe"}


def test_the_schema_of_cases_is_printed_for_editors(alone: Desktop) -> None:
    schema = json.loads(alone.run("policy", "schema", "--cases", give_file=False).stdout)
    assert schema["title"] == "guardd policy cases"

"""Results as JUnit XML, as CI systems read it."""

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from msgspec import Struct

_PRINTABLE_FROM: Final = " "


class Outcome(Struct, frozen=True, kw_only=True):
    """One test: a case, a probe or a mutant. `failure` empty: it passed."""

    suite: str
    group: str
    name: str
    file: str
    line: int
    duration_s: float
    failure: str = ""


def junit_xml(outcomes: Sequence[Outcome]) -> str:
    """One `testsuite` for each file of cases; times in seconds."""
    root = Element("testsuites", _counts("guardd policy test", outcomes))
    for suite in dict.fromkeys(outcome.suite for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.suite == suite]
        branch = SubElement(root, "testsuite", _counts(suite, own))
        for outcome in own:
            _leaf(branch, outcome)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _leaf(branch: Element, outcome: Outcome) -> None:
    leaf = SubElement(
        branch,
        "testcase",
        {
            "classname": _clean(f"{outcome.suite}.{outcome.group}"),
            "name": _clean(outcome.name),
            "file": outcome.file,
            "line": str(outcome.line),
            "time": f"{outcome.duration_s:.3f}",
        },
    )
    if outcome.failure:
        first = outcome.failure.splitlines()[0]
        failure = SubElement(leaf, "failure", {"message": _clean(first), "type": outcome.group})
        failure.text = _clean(outcome.failure)


def _counts(name: str, outcomes: Sequence[Outcome]) -> dict[str, str]:
    return {
        "name": _clean(name),
        "tests": str(len(outcomes)),
        "failures": str(sum(bool(outcome.failure) for outcome in outcomes)),
        "errors": "0",
        "skipped": "0",
        "time": f"{sum(outcome.duration_s for outcome in outcomes):.3f}",
    }


def _clean(text: str) -> str:
    """Without what XML 1.0 can't hold."""
    return "".join(letter for letter in text if letter >= _PRINTABLE_FROM or letter in "\t\n")

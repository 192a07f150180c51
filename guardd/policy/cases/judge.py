"""What was expected against what came: every decision that was expected within its step, and none besides."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.names import Severity, Side
from guardd.policy.cases.language import FIGURES, Case, Expected, Telling

_SEVERITIES: Final = tuple(Severity)


class Made(Struct, frozen=True, kw_only=True):
    """A decision that was made: an intent of the guard, a warning that a rule told, or a liquidation by the exchange."""

    at_s: Decimal
    rule: str
    action: str
    symbol: str
    side: Side | None
    figures: Mapping[str, Decimal] = {}
    severity: Severity | None = None
    text: str = ""


class Heard(Struct, frozen=True, kw_only=True):
    """Something that people were told."""

    at_s: Decimal
    severity: Severity
    text: str


@dataclass(slots=True, kw_only=True)
class Recording:
    """What came of one playing of a case. `market`: what the exchange did by itself, in words."""

    made: list[Made] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    market: list[tuple[Decimal, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Tasks of the guard that failed: what came says nothing then."""


class Pairing(Struct, frozen=True, kw_only=True):
    """One line of the comparison: what was expected, what came, and why they aren't the same; empty: they are."""

    at_s: Decimal
    expected: Expected | Telling | None
    made: Made | None
    wrong: str


class Verdict(Struct, frozen=True, kw_only=True):
    pairings: tuple[Pairing, ...]

    @property
    def passed(self) -> bool:
        return not any(pairing.wrong for pairing in self.pairings)


def judge(case: Case, recording: Recording, *, until_s: Decimal | None = None) -> Verdict:
    """Pair what came with what was expected. `until_s`: only what belongs to steps that ended by then."""
    ended_s = case.lasts_s + case.interval_s if until_s is None else until_s
    open_made = [made for made in recording.made if _step_ends(case, made.at_s) <= ended_s]
    pairings: list[Pairing] = []
    missing: list[Expected] = []
    for expected in case.decisions:
        if expected.at_s + case.interval_s > ended_s:
            continue
        found = next((made for made in open_made if _fits(case, expected, made)), None)
        if found is None:
            missing.append(expected)
        else:
            open_made.remove(found)
            pairings.append(Pairing(at_s=expected.at_s, expected=expected, made=found, wrong=""))
    pairings.extend(_unpaired(case, missing, open_made))
    pairings.extend(_tellings(case, recording, ended_s))
    pairings.extend(
        Pairing(at_s=Decimal(0), expected=None, made=None, wrong=f"a task of the guard failed: {why}")
        for why in recording.broken
    )
    return Verdict(pairings=tuple(sorted(pairings, key=lambda each: each.at_s)))


def describe(what: Expected | Made) -> str:
    """A decision in a few words, the same for both sides of the comparison."""
    parts = [f"{what.rule or '-'}: {what.action}"]
    parts += [f"{name} {what.figures[name]:f}" for name in FIGURES if name in what.figures]
    parts += [str(what.severity)] if what.severity is not None else []
    where = " ".join(str(part) for part in (what.symbol, what.side) if part)
    return ", ".join(parts) + (f" ({where})" if where else "")


def _unpaired(case: Case, missing: list[Expected], open_made: list[Made]) -> Iterator[Pairing]:
    """What is left on either side; a decision of the right rule that came otherwise stands beside its expectation."""
    for expected in missing:
        near = min(
            (made for made in open_made if (made.rule, made.action) == (expected.rule, expected.action)),
            key=lambda made: abs(made.at_s - expected.at_s),
            default=None,
        )
        if near is None:
            yield Pairing(at_s=expected.at_s, expected=expected, made=None, wrong="it did not come")
            continue
        open_made.remove(near)
        yield Pairing(at_s=expected.at_s, expected=expected, made=near, wrong=_difference(case, expected, near))
    for made in open_made:
        yield Pairing(at_s=made.at_s, expected=None, made=made, wrong="nobody expected it")


def _tellings(case: Case, recording: Recording, ended_s: Decimal) -> Iterator[Pairing]:
    for telling in case.told:
        if telling.at_s + case.interval_s > ended_s:
            continue
        told = any(
            telling.words in heard.text
            and telling.severity in (None, heard.severity)
            and _within(case, telling.at_s, heard.at_s)
            for heard in recording.heard
        )
        wrong = "" if told else "nobody was told"
        yield Pairing(at_s=telling.at_s, expected=telling, made=None, wrong=wrong)


def _fits(case: Case, expected: Expected, made: Made) -> bool:
    same_rule = (expected.rule, expected.action) == (made.rule, made.action)
    return same_rule and _within(case, expected.at_s, made.at_s) and not _other_details(expected, made)


def _other_details(expected: Expected, made: Made) -> list[str]:
    """What the two say differently, time apart."""
    found: list[str] = []
    for name, wanted in expected.figures.items():
        got = made.figures.get(name)
        if got != wanted:
            found.append(f"{name} {'none' if got is None else format(got, 'f')} instead of {wanted:f}")
    if expected.symbol not in (None, made.symbol):
        found.append(f"{made.symbol} instead of {expected.symbol}")
    if expected.side not in (None, made.side):
        found.append(f"{made.side} instead of {expected.side}")
    if expected.severity not in (None, made.severity):
        found.append(f"{made.severity} instead of {expected.severity}")
    return found


def _difference(case: Case, expected: Expected, made: Made) -> str:
    found = _other_details(expected, made)
    if not _within(case, expected.at_s, made.at_s):
        found.insert(0, f"at {seconds(made.at_s)} instead of {seconds(expected.at_s)}")
    return ", ".join(found) or "it came once more than expected"


def _within(case: Case, at_s: Decimal, came_s: Decimal) -> bool:
    return at_s <= came_s < at_s + case.interval_s


def _step_ends(case: Case, at_s: Decimal) -> Decimal:
    return (case.step_at(at_s) + 1) * case.interval_s


def seconds(at_s: Decimal) -> str:
    """A moment of a case: `12s`, `12.25s`."""
    text = f"{at_s:.3f}".rstrip("0").rstrip(".")
    return f"{text}s"

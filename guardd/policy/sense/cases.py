"""Model positions in words: `at 20× and 50×, isolated, long`."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from guardd.policy.sense.models import ENTRY, Modelled

_PERCENT: Final = Decimal("0.1")


def where(found: Sequence[Modelled], asked: Iterable[Modelled]) -> str:
    """Which of the positions asked about these are: leverages always, margin mode and side only where they matter."""
    every = tuple(asked)
    words = [f"at {leverages(each.case.leverage for each in found)}"]
    modes = sorted({each.case.margin_mode.value for each in found})
    sides = sorted({each.case.side.value for each in found})
    if len(modes) < len({each.case.margin_mode for each in every}):
        words.append(" ".join(modes))
    if len(sides) < len({each.case.side for each in every}):
        words.append(" ".join(sides))
    return ", ".join(words)


def leverages(found: Iterable[Decimal]) -> str:
    """`5×, 20× and 50×`."""
    return listed(f"{leverage.normalize():f}×" for leverage in sorted(set(found)))


def listed(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    known = list(words)
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} and {known[-1]}"


def percent(share: Decimal) -> str:
    """A share for people, with as many places as it takes to say something."""
    places = _PERCENT if abs(share) >= Decimal("0.002") else Decimal("0.01")
    return f"{(share * 100).quantize(places).normalize():f} %"


def move(mark: Decimal) -> str:
    """A mark as a move from the entry: `-3.1 %`."""
    share = mark / ENTRY - 1
    return ("+" if share > 0 else "") + percent(share)

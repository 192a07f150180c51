"""Series in the compact notation of promtool's rule tests.

90000           one sample
90000-100x3     90000 89900 89800 89700: a start and so many further ones, each another step on
90000x3         90000 90000 90000 90000
_  _x5          nothing is seen in this step, in five steps
stale           the source is silent from here on, whoever asks, until the next sample
"""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

SAMPLES_MAX: Final = 10_000
"""Steps of one case: nearly three hours of seconds."""
_DIGITS_MAX: Final = 9
_NUMBER: Final = r"\d+(?:\.\d+)?"
_TOKEN: Final = re.compile(rf"(?P<start>-?{_NUMBER})(?P<step>[+-]{_NUMBER})?(?:x(?P<more>\d+))?", re.ASCII)
_WORD: Final = re.compile(r"(?P<word>_|stale)(?:x(?P<times>\d+))?", re.ASCII)
PATTERN: Final = rf"^\s*((-?{_NUMBER}([+-]{_NUMBER})?(x\d+)?|(_|stale)(x\d+)?)\s*)+$"
"""For the JSON Schema."""


class Gap(StrEnum):
    """No number in this step."""

    MISSING = "_"
    STALE = "stale"


Sample: TypeAlias = Decimal | Gap


class Misread(Struct, frozen=True, kw_only=True):
    """A word of a series that means nothing."""

    word: str
    expected: str


def read_samples(text: str) -> tuple[Sample, ...] | Misread:
    """The samples, one for each step, or the first word that is none."""
    found: list[Sample] = []
    for word in text.split():
        more = _samples(word)
        if isinstance(more, Misread):
            return more
        found.extend(more)
        if len(found) > SAMPLES_MAX:
            return Misread(word=word, expected=f"at most {SAMPLES_MAX} samples in a series")
    return tuple(found)


def _samples(word: str) -> tuple[Sample, ...] | Misread:
    if gap := _WORD.fullmatch(word):
        times = _times(gap["times"], word)
        return times if isinstance(times, Misread) else (Gap(gap["word"]),) * times
    number = _TOKEN.fullmatch(word)
    if number is None or (number["step"] is not None and number["more"] is None):
        return Misread(word=word, expected="90000, 90000-100x20, 90000x5, _, _x5 or stale")
    more = _times(number["more"] or "0", word)
    if isinstance(more, Misread):
        return more
    start, step = Decimal(number["start"]), Decimal(number["step"] or 0)
    return tuple(start + step * index for index in range(more + 1))


def _times(digits: str | None, word: str) -> int | Misread:
    times = 1 if digits is None else int(digits) if len(digits) <= _DIGITS_MAX else SAMPLES_MAX + 1
    return times if times <= SAMPLES_MAX else Misread(word=word, expected=f"at most {SAMPLES_MAX} samples")

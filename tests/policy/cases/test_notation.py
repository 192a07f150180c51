"""Series are read as promtool's rule tests write them."""

from decimal import Decimal

import pytest

from guardd.policy.cases.notation import SAMPLES_MAX, Gap, Misread, Sample, read_samples

D = Decimal
MISSING, STALE = Gap.MISSING, Gap.STALE


@pytest.mark.parametrize(
    ("written", "samples"),
    [
        ("90000", (D(90000),)),
        ("90000-100x3", (D(90000), D(89900), D(89800), D(89700))),
        ("0.1+0.05x2", (D("0.1"), D("0.15"), D("0.20"))),
        ("-2+4x3", (D(-2), D(2), D(6), D(10))),
        ("1x4", (D(1),) * 5),
        ("1x0", (D(1),)),
        ("1 _x3 stale", (D(1), MISSING, MISSING, MISSING, STALE)),
        ("_ 5  5+1x1", (MISSING, D(5), D(5), D(6))),
        ("stalex2 3", (STALE, STALE, D(3))),
        ("", ()),
    ],
)
def test_the_compact_notation(written: str, samples: tuple[Sample, ...]) -> None:
    assert read_samples(written) == samples


@pytest.mark.parametrize(
    "word", ["1+2", "1x", "x3", "1.x2", "1e3", "--1", "_x", "stale3", "1,000", f"1x{SAMPLES_MAX + 1}", "１"]
)
def test_a_word_that_means_nothing_is_named(word: str) -> None:
    misread = read_samples(f"1 {word} 2")
    assert isinstance(misread, Misread)
    assert misread.word == word


def test_a_series_has_an_end() -> None:
    assert isinstance(read_samples(" ".join([f"1x{SAMPLES_MAX // 2}"] * 3)), Misread)

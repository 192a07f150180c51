"""The page's colours and parts as they are written: what needs no browser to be seen."""

import re
from importlib.resources import files
from itertools import product

import pytest

from tests.deploy.page.looking import CONTRAST_MIN

STYLE, SCRIPT, HTML = (
    files("guardd.http").joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js", "html")
)
TEXTS = ("text", "faint", "good", "warn", "bad", "rule")
GROUNDS = ("ground", "card", "inner")


def palette(scheme: int) -> dict[str, str]:
    """Name to colour, of the light scheme (0) or the dark one (1)."""
    found = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\);", STYLE)
    return {name: (light, dark)[scheme] for name, light, dark in found}


def luminance(color: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(each * weight for each, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_contrast_is_reckoned_as_the_standard_does() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_colour_of_text_can_be_read_on_every_ground(scheme: int) -> None:
    colors = palette(scheme)
    poor = {
        f"{text} on {ground}": round(contrast(colors[text], colors[ground]), 2)
        for text, ground in product(TEXTS, GROUNDS)
        if contrast(colors[text], colors[ground]) < CONTRAST_MIN
    }
    assert poor == {}


def test_every_colour_comes_from_the_palette() -> None:
    assert set(palette(0)) == {*TEXTS, *GROUNDS, "line"}
    rest = STYLE[STYLE.index("}") :]
    assert re.findall(r"#[0-9a-f]{3,8}\b(?=[;, )])", rest) == []


def test_the_script_writes_text_and_never_markup() -> None:
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", ".style"):
        assert sink not in SCRIPT


def test_nothing_is_asked_of_another_place() -> None:
    addresses = re.findall(r"https?://[^\s\"')]+", STYLE + SCRIPT + HTML)
    assert addresses == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"@import|url\(|\bimport\b", STYLE + SCRIPT)

"""Pictures as SVG, made by hand: no script, no font, nothing from elsewhere; light by day and dark by night, 900 px wide.

Left the price axis; beside it the body of the position, as wide as what is left of it on a straight way of the mark; the band
behind it grows red towards liquidation and is hatched where nobody but the venue acts. Right what stands on the axis.
"""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from guardd.cli.picture import Glyph, Label, Picture, spread
from guardd.policy.crossings import Way

WIDTH: Final = 900
AXIS: Final = 96.0
BODY: Final = 108.0
BODY_WIDTH: Final = 150.0
GLYPHS: Final = 318.0
TEXT: Final = 336.0
HEAD: Final = 64.0
ROW: Final = 44.0
FOOT: Final = 26.0
HEIGHT_LEAST: Final = 300.0
MARGIN: Final = 16.0
LETTER: Final = 6.3
"""Width of a letter of the small text, on the safe side."""
NOTE_ROW: Final = 18.0
TICKS: Final = 6
STYLE: Final = """
.page{fill:#fbfbf9} .ink{fill:#1d2430} .soft{fill:#5c6675} .line{stroke:#aab2bd} .grid{stroke:#e2e5e9}
.body{fill:#5b7fa8} .red{fill:#c62f2f} .redline{stroke:#c62f2f} .green{fill:#2c8a57} .greenline{stroke:#2c8a57}
.amber{fill:#b97509} .amberline{stroke:#b97509} .inkline{stroke:#1d2430} .hollow{fill:#fbfbf9}
@media (prefers-color-scheme:dark){
.page{fill:#151a21} .ink{fill:#e8ecf1} .soft{fill:#a0abb9} .line{stroke:#5a6573} .grid{stroke:#262e38}
.body{fill:#6f9bcb} .red{fill:#f06a62} .redline{stroke:#f06a62} .green{fill:#58bd87} .greenline{stroke:#58bd87}
.amber{fill:#e3a53c} .amberline{stroke:#e3a53c} .inkline{stroke:#e8ecf1} .hollow{fill:#151a21}}
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-size:12px}
.title{font-size:17px;font-weight:650} .name{font-size:13px;font-weight:650} .number{font-variant-numeric:tabular-nums}
.faint{opacity:.45}
"""
MEANING: Final = (
    (Glyph.TELL, "tells"),
    (Glyph.REDUCE, "reduces"),
    (Glyph.CLOSE, "closes"),
    (Glyph.STOP, "stop"),
    (Glyph.PROFIT, "take-profit"),
    (Glyph.LIQUIDATION, "liquidation"),
)


def svg(pictures: Sequence[Picture]) -> str:
    """One document with all pictures under each other."""
    heights = [_height(picture) for picture in pictures]
    total = sum(heights) + ROW + MARGIN
    parts: list[str] = []
    top = 0.0
    for picture, height in zip(pictures, heights, strict=True):
        parts += _panel(picture, top, height)
        top += height
    parts += _legend(top)
    title = "; ".join(picture.title for picture in pictures) or "no open position"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{total:.0f}" viewBox="0 0 {WIDTH} {total:.0f}" '
        f'role="img"><title>{escape(title)}</title><style>{STYLE}</style>{_DEFS}'
        f'<rect class="page" width="{WIDTH}" height="{total:.0f}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


_DEFS: Final = (
    '<defs><pattern id="gone" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line class="redline" x1="0" y1="0" x2="0" y2="7" stroke-width="2.4"/></pattern>'
    '<linearGradient id="danger-below" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#c62f2f" stop-opacity="0"/>'
    '<stop offset="1" stop-color="#c62f2f" stop-opacity=".38"/></linearGradient>'
    '<linearGradient id="danger-above" x1="0" y1="1" x2="0" y2="0"><stop offset="0" stop-color="#c62f2f" stop-opacity="0"/>'
    '<stop offset="1" stop-color="#c62f2f" stop-opacity=".38"/></linearGradient></defs>'
)


def _height(picture: Picture) -> float:
    return HEAD + max(HEIGHT_LEAST, ROW * (len(picture.labels) + 0.5)) + FOOT + NOTE_ROW * len(picture.notes)


class _Axis:
    """From prices to places on the page."""

    def __init__(self, picture: Picture, top: float, height: float) -> None:
        self.picture = picture
        self.top, self.bottom = top + HEAD, top + height - FOOT - NOTE_ROW * len(picture.notes)

    def y(self, price: Decimal) -> float:
        return self.bottom - float(self.picture.height_of(price)) * (self.bottom - self.top)


def _panel(picture: Picture, top: float, height: float) -> Iterator[str]:
    axis = _Axis(picture, top, height)
    yield f'<text class="ink title" x="{MARGIN}" y="{top + 30:.1f}">{escape(picture.title)}</text>'
    yield f'<text class="soft number" x="{MARGIN}" y="{top + 49:.1f}">{escape(picture.subtitle)}</text>'
    yield from _grid(picture, axis)
    yield from _danger(picture, axis)
    for way, marks in picture.left:
        yield from _body(way, marks, axis)
    places = spread([axis.y(label.price) for label in picture.labels], ROW, axis.top + 8, axis.bottom - 12)
    for label, place in zip(picture.labels, places, strict=True):
        yield from _label(label, place, picture, axis)
    for index, note in enumerate(picture.notes):
        y = axis.bottom + FOOT + NOTE_ROW * index
        yield f'<text class="soft" x="{MARGIN}" y="{y:.1f}">{escape(_fitted(note, WIDTH - 2 * MARGIN))}</text>'
    yield f'<line class="grid" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{top + height:.1f}" y2="{top + height:.1f}"/>'


def _grid(picture: Picture, axis: _Axis) -> Iterator[str]:
    for price in _round_prices(picture.low, picture.high):
        y = axis.y(price)
        if y < axis.top + 8:
            continue
        yield f'<line class="grid" x1="{AXIS}" x2="{BODY + BODY_WIDTH:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="soft number" x="{AXIS - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{_axis_text(price)}</text>'


def _round_prices(low: Decimal, high: Decimal) -> list[Decimal]:
    """Short numbers between the two."""
    raw = (high - low) / TICKS
    scale = Decimal(1).scaleb(raw.adjusted())
    stride = next(scale * factor for factor in (1, 2, 5, 10) if scale * factor >= raw)
    first = int(low / stride) + 1
    return [index * stride for index in range(first, int(high / stride) + 1)]


def _axis_text(price: Decimal) -> str:
    """As short as it is exact."""
    text = f"{price:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _danger(picture: Picture, axis: _Axis) -> Iterator[str]:
    if picture.liquidation is None:
        return
    mark, gone = axis.y(picture.mark), axis.y(picture.liquidation)
    high, low = sorted((mark, gone))
    name = "danger-below" if picture.hurts_below else "danger-above"
    yield _rect(BODY, high, BODY_WIDTH, low - high, f'fill="url(#{name})"')
    if picture.hurts_below:
        yield _rect(BODY, gone, BODY_WIDTH, axis.bottom - gone, 'fill="url(#gone)"')
    else:
        yield _rect(BODY, axis.top, BODY_WIDTH, gone - axis.top, 'fill="url(#gone)"')


def _body(way: Way, marks: tuple[tuple[Decimal, Decimal], ...], axis: _Axis) -> Iterator[str]:
    """As wide as what is left, from the mark to the end of the way; what nothing ends goes on to the edge."""
    edge = axis.picture.high if way is Way.UP else axis.picture.low
    for (start, share), (end, _) in pairwise([*marks, (edge, Decimal(0))]):
        high, low = sorted((axis.y(start), axis.y(end)))
        width = BODY_WIDTH * float(share)
        if width > 0 and low > high:
            yield _rect(BODY, high, width, low - high, 'class="body"')


def _label(label: Label, place: float, picture: Picture, axis: _Axis) -> Iterator[str]:
    faint = ' class="faint"' if label.faint else ""
    y = axis.y(label.price)
    yield f"<g{faint}>"
    colour = _LINES[label.glyph]
    dashed = ' stroke-dasharray="5 4"' if label.glyph is Glyph.ENTRY else ""
    thick = 2.4 if label.glyph in (Glyph.MARK, Glyph.LIQUIDATION) else 1.4
    if not label.beyond:
        yield (
            f'<line class="{colour}" x1="{BODY - 4:.1f}" x2="{BODY + BODY_WIDTH + 8:.1f}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke-width="{thick}"{dashed}/>'
        )
    bend, end = BODY + BODY_WIDTH + 8, GLYPHS - 12
    yield (
        f'<path class="{colour}" fill="none" stroke-width="1" opacity=".7" '
        f'd="M{bend:.1f} {y:.1f}L{bend + 12:.1f} {y:.1f}L{end - 6:.1f} {place:.1f}L{end:.1f} {place:.1f}"/>'
    )
    yield _glyph(label.glyph, GLYPHS, place, float(label.share))
    away = "" if label.glyph is Glyph.MARK else picture.away(label.price)
    number = picture.text_of(label.price)
    arrow = (" ↑" if label.price > picture.mark else " ↓") if label.beyond else ""
    head = f'<tspan class="number">{escape(number + arrow)}</tspan> <tspan class="soft number" font-weight="400">{away}</tspan>'
    title = _fitted(label.title, 260)
    tall = place if not label.detail else place - 4
    yield f'<text class="ink name" x="{TEXT}" y="{tall + 4:.1f}">{head}  {escape(title)}</text>'
    if label.detail:
        yield f'<text class="soft" x="{TEXT}" y="{tall + 20:.1f}">{escape(_fitted(label.detail, WIDTH - TEXT - MARGIN))}</text>'
    yield "</g>"


_LINES: Final = {
    Glyph.MARK: "inkline",
    Glyph.ENTRY: "line",
    Glyph.LIQUIDATION: "redline",
    Glyph.TELL: "amberline",
    Glyph.REDUCE: "amberline",
    Glyph.CLOSE: "redline",
    Glyph.STOP: "redline",
    Glyph.PROFIT: "greenline",
    Glyph.ADD: "greenline",
    Glyph.CANCEL: "amberline",
    Glyph.REFUSED: "amberline",
}


def _glyph(glyph: Glyph, x: float, y: float, share: float) -> str:
    """Shapes that differ without their colours."""
    match glyph:
        case Glyph.MARK:
            return f'<path class="ink" d="M{x - 8:.1f} {y:.1f}L{x + 6:.1f} {y - 7:.1f}L{x + 6:.1f} {y + 7:.1f}Z"/>'
        case Glyph.ENTRY:
            return f'<circle class="soft" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        case Glyph.LIQUIDATION:
            cross = f"M{x - 7:.1f} {y - 7:.1f}L{x + 7:.1f} {y + 7:.1f}M{x - 7:.1f} {y + 7:.1f}L{x + 7:.1f} {y - 7:.1f}"
            return f'<path class="redline" fill="none" stroke-width="3.2" d="{cross}"/>'
        case Glyph.TELL:
            return f'<circle class="hollow amberline" cx="{x:.1f}" cy="{y:.1f}" r="6.5" stroke-width="2"/>'
        case Glyph.REDUCE:
            return _pie(x, y, share)
        case Glyph.CLOSE:
            return _rect(x - 7, y - 7, 14, 14, 'class="red"')
        case Glyph.STOP:
            corners = ((-3, -7.5), (3, -7.5), (7.5, -3), (7.5, 3), (3, 7.5), (-3, 7.5), (-7.5, 3), (-7.5, -3))
            points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
            return f'<polygon class="red" points="{points}"/>' + _rect(x - 4, y - 1.5, 8, 3, 'class="hollow"')
        case Glyph.PROFIT:
            return f'<path class="green" d="M{x:.1f} {y - 8:.1f}L{x + 8:.1f} {y:.1f}L{x:.1f} {y + 8:.1f}L{x - 8:.1f} {y:.1f}Z"/>'
        case Glyph.ADD:
            upright = _rect(x - 1.6, y - 7, 3.2, 14, 'class="green"')
            return _rect(x - 7, y - 1.6, 14, 3.2, 'class="green"') + upright
        case Glyph.REFUSED:
            return _rect(x - 6, y - 6, 12, 12, 'class="hollow amberline" stroke-width="2"')
        case Glyph.CANCEL:
            return f'<path class="amberline" fill="none" stroke-width="2.4" d="M{x - 6:.1f} {y + 6:.1f}L{x + 6:.1f} {y - 6:.1f}"/>'


def _pie(x: float, y: float, share: float) -> str:
    """A disc from which the part that goes is cut out, clockwise from the top."""
    share = min(max(share, 0.04), 0.96)
    angle = 2 * math.pi * share
    ex, ey = x + 7.5 * math.sin(angle), y - 7.5 * math.cos(angle)
    large = 1 if share < 0.5 else 0
    ring = f'<circle class="hollow amberline" cx="{x:.1f}" cy="{y:.1f}" r="7.5" stroke-width="1.4"/>'
    rest = f"M{x:.1f} {y:.1f}L{ex:.1f} {ey:.1f}A7.5 7.5 0 {large} 1 {x:.1f} {y - 7.5:.1f}Z"
    return ring + f'<path class="amber" d="{rest}"/>'


def _rect(x: float, y: float, width: float, height: float, look: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" {look}/>'


def _legend(top: float) -> Iterator[str]:
    x, y = MARGIN + 8, top + ROW / 2 + 4
    yield _rect(x - 6, y - 7, 14, 14, 'class="body"')
    yield f'<text class="soft" x="{x + 14:.1f}" y="{y + 4:.1f}">what is left</text>'
    x += 14 + LETTER * 14 + 14
    for glyph, words in MEANING:
        yield _glyph(glyph, x, y, 0.35)
        yield f'<text class="soft" x="{x + 14:.1f}" y="{y + 4:.1f}">{words}</text>'
        x += 14 + LETTER * len(words) + 26
    yield f'<text class="soft" opacity=".55" x="{x - 6:.1f}" y="{y + 4:.1f}">pale: another acts first</text>'


def _fitted(text: str, width: float) -> str:
    """The text, or as much of it as fits."""
    letters = int(width / LETTER)
    return text if len(text) <= letters else text[: letters - 1] + "…"

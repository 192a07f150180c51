"""The picture of a policy in a terminal: the same axis, body and labels, in rows of text."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from rich.text import Text

from guardd.cli.picture import Glyph, Label, Picture, spread

ROWS_LEAST: Final = 15
BODY_WIDTH: Final = 16
NUMBER_WIDTH: Final = 12
SIGNS: Final = {
    Glyph.MARK: ("◀", "bold"),
    Glyph.ENTRY: ("·", "dim"),
    Glyph.LIQUIDATION: ("✕", "bold red"),
    Glyph.TELL: ("○", "yellow"),
    Glyph.REDUCE: ("◔", "yellow"),
    Glyph.CLOSE: ("■", "red"),
    Glyph.STOP: ("⬣", "red"),
    Glyph.PROFIT: ("◆", "green"),
    Glyph.ADD: ("+", "green"),
    Glyph.CANCEL: ("╱", "yellow"),
    Glyph.REFUSED: ("□", "yellow"),
}


def sketch(picture: Picture) -> Iterator[Text]:
    """Line by line, from the highest price down."""
    rows = max(ROWS_LEAST, len(picture.labels) + 2)
    wanted = [float(1 - picture.height_of(label.price)) * (rows - 1) for label in picture.labels]
    places = [round(place) for place in spread([float(round(place)) for place in wanted], 1.0, 0.0, float(rows - 1))]
    labels = dict(zip(places, picture.labels, strict=True))
    for row in range(rows):
        yield _line(picture, row, rows, labels.get(row))
    for note in picture.notes:
        yield Text(f"  {note}", style="dim")


def _line(picture: Picture, row: int, rows: int, label: Label | None) -> Text:
    at = picture.high - (picture.high - picture.low) * row / (rows - 1)
    line = Text(f"{picture.text_of(at):>{NUMBER_WIDTH}} ", style="dim")
    line.append("▕", style="dim")
    line.append_text(_body(picture, at, on_mark=label is not None and label.glyph is Glyph.MARK))
    if label is None:
        return line
    sign, style = SIGNS[label.glyph]
    dim = " dim" if label.faint else ""
    line.append(f" {sign} ", style=style + dim)
    away = "" if label.glyph is Glyph.MARK else f" {picture.away(label.price)}"
    arrow = "" if not label.beyond else (" ↑" if label.price > picture.mark else " ↓")
    line.append(f"{picture.text_of(label.price)}{arrow}", style="bold" + dim)
    line.append(away, style="dim")
    line.append(f"  {label.title}", style="bold" + dim)
    if label.detail:
        line.append(f"  {label.detail}", style="dim" if label.faint else "")
    return line


def _body(picture: Picture, at: Decimal, *, on_mark: bool) -> Text:
    """As many blocks as are left of the position when the mark is there; hatched where only the venue acts."""
    gone = picture.liquidation is not None and (
        at <= picture.liquidation if picture.hurts_below else at >= picture.liquidation
    )
    blocks = round(float(_left_at(picture, at)) * BODY_WIDTH)
    if gone:
        return Text("╱" * BODY_WIDTH, style="red")
    if on_mark:
        return Text("━" * BODY_WIDTH, style="bold")
    body = Text("█" * blocks, style="blue")
    body.append("░" * (BODY_WIDTH - blocks), style="dim red" if picture.hurts_below == (at < picture.mark) else "dim")
    return body


def _left_at(picture: Picture, at: Decimal) -> Decimal:
    """Of the way that leads there from the mark."""
    share = Decimal(1)
    for _, marks in picture.left:
        for price, left in marks[1:]:
            between = (picture.mark > price >= at) or (picture.mark < price <= at)
            if between:
                share = min(share, left)
    return share

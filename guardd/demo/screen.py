"""The demo on a terminal: one picture that changes. Colours go where NO_COLOR is set; words say the same without them."""

from collections import deque
from typing import Final

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from guardd.demo import scenario, story
from guardd.demo.frame import Frame, act_of, legs_of, marks_of
from guardd.demo.story import Line, Tone
from guardd.demo.summary import print_verdict
from guardd.demo.verdict import Verdict

LINES_MAX: Final = 200
SIDE_BY_SIDE: Final = 160
"""Columns of the terminal from which the two accounts stand beside each other; below it one stands under the other."""
MIN_WIDTHS: Final = {"position": 17, "size": 5, "distance": 8, "liq. price": 10, "stop": 8}
"""Everything but the next rule is always shown whole, in 80 columns too."""
_STYLES: Final = {Tone.ACT: "green", Tone.TALK: "cyan", Tone.HURT: "bold red", Tone.NOTE: "dim"}


class Screen:
    """A `Show` that redraws itself with each frame."""

    def __init__(self, console: Console, address: str) -> None:
        self._console = console
        self._address = address
        self._lines: deque[tuple[int, Line]] = deque(maxlen=LINES_MAX)
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._started = False

    def words(self, text: str) -> None:
        if not self._started:
            self._console.print(text, style="dim", highlight=False, markup=False)

    def line(self, line: Line, offset_ms: int) -> None:
        self._lines.append((offset_ms, line))

    def frame(self, frame: Frame) -> None:
        if not self._started:
            self._live.start()
            self._started = True
        self._live.update(self._picture(frame), refresh=True)

    def end(self) -> None:
        if self._started:
            self._live.stop()
            self._started = False

    def verdict(self, verdict: Verdict, *, observe: bool) -> None:
        print_verdict(self._console, verdict, observe=observe)

    def _picture(self, frame: Frame) -> RenderableType:
        wide = self._console.width >= SIDE_BY_SIDE
        guarded = _account(frame, scenario.GUARDED, "guarded", "green")
        twin = _account(frame, scenario.TWIN, "nobody guards it", "yellow")
        legs = len(scenario.LEGS)
        accounts: RenderableType = Columns([guarded, twin], equal=True, expand=True) if wide else Group(guarded, twin)
        used = 3 + (legs + 3) * (1 if wide else 2) + 3
        room = max(self._console.height - used - 1, 3)
        return Group(_market(frame), accounts, self._events(room), Text(f"status page: {self._address}/", style="dim"))

    def _events(self, room: int) -> RenderableType:
        text = Table.grid(padding=(0, 1))
        text.add_column(justify="right", no_wrap=True, min_width=7)
        text.add_column(no_wrap=True, min_width=5)
        text.add_column(no_wrap=True, overflow="ellipsis")
        for offset_ms, line in list(self._lines)[-room:]:
            style = _STYLES[line.tone]
            text.add_row(f"{offset_ms / 1000:.1f} s", Text(line.who, style=style), Text(line.text, style=style))
        for _ in range(room - len(self._lines)):
            text.add_row("", "", "")
        return Panel(text, title="what happens", title_align="left", border_style="dim", padding=(0, 1))


def _market(frame: Frame) -> RenderableType:
    text = Text()
    for base, mark, change in marks_of(frame):
        text.append(f"{base} ", style="bold")
        text.append(f"{mark} ")
        text.append(f"{story.percent(change, signed=True)}   ", style="red" if change < 0 else "green")
    seconds, end = max(frame.offset_ms, 0) / 1000, frame.play.end_ms / 1000
    title = f"guardd demo: {act_of(frame)} ({min(seconds, end):.0f} of {end:.0f} s)"
    return Panel(text, title=title, title_align="left", padding=(0, 1))


def _account(frame: Frame, uid: str, what: str, style: str) -> RenderableType:
    headings = ("position", "size", "distance", "liq. price", "stop", "next rule" if uid == scenario.GUARDED else "")
    table = Table.grid(padding=(0, 1), pad_edge=False)
    for heading in headings[:-1]:
        table.add_column(
            no_wrap=True, justify="left" if heading == "position" else "right", min_width=MIN_WIDTHS[heading]
        )
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_row(*(Text(heading, style="dim") for heading in headings))
    for leg in legs_of(frame, uid):
        if not leg.size:
            table.add_row(leg.name, Text("gone", style="dim"))
            continue
        distance = Text(leg.distance, style="bold red" if leg.danger else "")
        stop = Text(leg.stop, style="red" if leg.stop == "no stop" else "green")
        table.add_row(leg.name, leg.size, distance, leg.liquidation, stop, Text(leg.next_rule, style="cyan"))
    equity = story.money(frame.venue.accounts[uid].balance.equity)
    return Panel(
        table, title=f"{uid} ({what})   equity {equity} USDT", title_align="left", border_style=style, padding=(0, 1)
    )

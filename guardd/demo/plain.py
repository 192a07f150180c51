"""The demo where there is no terminal: a line an event, and the state of things every few seconds."""

from typing import Final

from rich.console import Console

from guardd.demo import scenario, story
from guardd.demo.frame import Frame, act_of, legs_of, marks_of
from guardd.demo.story import Line
from guardd.demo.summary import print_verdict
from guardd.demo.verdict import Verdict

EVERY_MS: Final = 4_000


class Plain:
    """A `Show` that only ever adds lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._due_ms = 0
        self._act = ""

    def words(self, text: str) -> None:
        self._print(text)

    def line(self, line: Line, offset_ms: int) -> None:
        self._print(f"{_at(offset_ms)} {line.who:<6} {line.text}")

    def frame(self, frame: Frame) -> None:
        act = act_of(frame)
        if frame.offset_ms < 0 or (frame.offset_ms < self._due_ms and act == self._act):
            return
        self._due_ms, self._act = frame.offset_ms + EVERY_MS, act
        marks = ", ".join(
            f"{base} {mark} ({story.percent(change, signed=True)})" for base, mark, change in marks_of(frame)
        )
        self._print(f"{_at(frame.offset_ms)} market {act}: {marks}")
        for uid in (scenario.GUARDED, scenario.TWIN):
            equity = story.money(frame.venue.accounts[uid].balance.equity)
            legs = "; ".join(
                f"{leg.name} {leg.distance} from liquidation, {_stop(leg.stop)}"
                for leg in legs_of(frame, uid)
                if leg.size
            )
            self._print(f"{_at(frame.offset_ms)} {uid:<6} equity {equity} USDT; {legs or 'no position left'}")

    def end(self) -> None:
        pass

    def verdict(self, verdict: Verdict, *, observe: bool) -> None:
        print_verdict(self._console, verdict, observe=observe)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _at(offset_ms: int) -> str:
    return f"{offset_ms / 1000:6.1f} s"


def _stop(trigger: str) -> str:
    return trigger if trigger == "no stop" else f"stop at {trigger}"

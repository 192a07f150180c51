"""Counts work instead of timing it: bytecode instructions and calls, which no machine's load changes.

Counted is what guardd does and whatever it has the libraries do; not the simulated venue, the virtual loop or the tape itself.
On one Python version with one hash seed the same tape counts the same, to the last instruction.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import guardd

_OWN: Final = str(Path(guardd.__file__).parent)
_TESTS: Final = Path(__file__).parents[1]
_APART: Final = (str(Path(_OWN, "simulator")), str(_TESTS / "simulation"), str(_TESTS / "bench"), str(_TESTS / "live"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """`own`: instructions in guardd's code; `all`: the libraries' with them; `calls`: of Python and of C functions alike."""

    own: float
    all: float
    calls: float

    def __add__(self, other: "Work") -> "Work":
        return Work(own=self.own + other.own, all=self.all + other.all, calls=self.calls + other.calls)

    def __sub__(self, other: "Work") -> "Work":
        return Work(own=self.own - other.own, all=self.all - other.all, calls=self.calls - other.calls)

    def __truediv__(self, parts: float) -> "Work":
        return Work(own=self.own / parts, all=self.all / parts, calls=self.calls / parts)

    def __mul__(self, times: float) -> "Work":
        return Work(own=self.own * times, all=self.all * times, calls=self.calls * times)


class Counter:
    """Counts this thread while `on`; `paused` is for the venue's own doings in the middle of it."""

    def __init__(self) -> None:
        self._counts = [0, 0, 0]
        self._counting = False
        self._switch = _monitored(self._counts) if sys.version_info >= (3, 12) else _traced(self._counts)

    @property
    def so_far(self) -> Work:
        own, other, calls = self._counts
        return Work(own=own, all=own + other, calls=calls)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Count what runs from here on. No garbage is collected meanwhile: when it is would be chance."""
        collects = gc.isenabled()
        gc.disable()
        self._start()
        try:
            yield
        finally:
            self._stop()
            if collects:
                gc.enable()

    @contextmanager
    def paused(self) -> Iterator[None]:
        was = self._counting
        if was:
            self._stop()
        try:
            yield
        finally:
            if was:
                self._start()

    def _start(self) -> None:
        self._counting = True
        self._switch(True)

    def _stop(self) -> None:
        self._switch(False)
        self._counting = False


Trace = Callable[[FrameType, str, Any], Any]
Switch = Callable[[bool], None]


def _kinds() -> Callable[[CodeType], int]:
    kinds: dict[CodeType, int] = {}

    def kind_of(code: CodeType) -> int:
        """0: guardd's own; 1: a library's; 2: not counted."""
        kind = kinds.get(code)
        if kind is None:
            name = code.co_filename
            kind = kinds[code] = 2 if name.startswith(_APART) else 0 if name.startswith(_OWN) else 1
        return kind

    return kind_of


def _monitored(counts: list[int]) -> Switch:
    """From 3.12 on: tracing by instruction isn't what it was there. A call counts where it is made."""
    watch: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    tool, kind_of, counting = watch.PROFILER_ID, _kinds(), [False]
    events = watch.events.INSTRUCTION | watch.events.CALL

    def instruction(code: CodeType, offset: int) -> object:
        kind = kind_of(code)
        if kind == 2:
            return watch.DISABLE
        if counting[0]:
            counts[kind] += 1
        return None

    def call(code: CodeType, offset: int, function: object, first: object) -> object:
        if kind_of(code) == 2:
            return watch.DISABLE
        if counting[0]:
            counts[2] += 1
        return None

    def switch(on: bool) -> None:
        if on and watch.get_tool(tool) is None:
            watch.use_tool_id(tool, "guardd-bench")
        if on:  # another counter may have had the tool before
            watch.register_callback(tool, watch.events.INSTRUCTION, instruction)
            watch.register_callback(tool, watch.events.CALL, call)
            if watch.get_events(tool) != events:
                watch.set_events(tool, events)
        counting[0] = on

    return switch


def _traced(counts: list[int]) -> Switch:
    """Closures over one list: they run once an instruction, so there is no attribute to look up."""
    kind_of = _kinds()

    def own(frame: FrameType, event: str, arg: object) -> Trace:
        if event == "opcode":
            counts[0] += 1
        return own

    def other(frame: FrameType, event: str, arg: object) -> Trace:
        if event == "opcode":
            counts[1] += 1
        return other

    def entered(frame: FrameType, event: str, arg: object) -> Trace | None:
        kind = kind_of(frame.f_code)
        if kind == 2:
            return None
        counts[2] += 1
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return other if kind else own

    def profiled(frame: FrameType, event: str, arg: object) -> None:
        if event == "c_call" and kind_of(frame.f_code) != 2:
            counts[2] += 1

    def switch(on: bool) -> None:
        sys.setprofile(profiled if on else None)
        sys.settrace(entered if on else None)

    return switch

"""`guardd run` with a stamp at each stage of a reaction: `python -m tests.bench.traced OUT run -c guardd.yaml --confirm CONFIRM`.

A measuring tool, not a test: it wraps functions of guardd's by name, notes when each was entered and left (monotonic ns) and
the CPU time of its thread, and writes all of it to OUT at the end. `tests.bench.stages` reads it.
"""

import atexit
import importlib
import inspect
import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

STAGES: Final = (
    "guardd.venues.bitget.talk:PublicTalk.on_frame",
    "guardd.daemon.inbox:Inbox.post",
    "guardd.daemon.guard:Guard.hear",
    "guardd.daemon.guard:Guard._handle",
    "guardd.daemon.guard:Guard._react",
    "guardd.daemon.guard:Guard._review",
    "guardd.daemon.guard:Guard._decide",
    "guardd.daemon.guard:Guard._aim",
    "guardd.daemon.showing:Showing.show",
    "guardd.daemon.guard:react",
    "guardd.daemon.guard:decide",
    "guardd.daemon.hands:Hands.act",
    "guardd.daemon.hands:approve",
    "guardd.daemon.telling:Teller.decided",
    "guardd.execution.executor:Executor.start",
    "guardd.execution.executor:Executor._carry_out",
    "guardd.execution.executor:Executor._make_durable",
    "guardd.execution.executor:Executor._move",
    "guardd.journal.sqlite:SqliteJournal._hand_over",
    "guardd.journal.sqlite:SqliteJournal._append",
    "guardd.journal.sqlite:SqliteJournal._came_back",
    "guardd.telemetry.fanout:Afterwards._hand_on",
    "guardd.venues.bitget.classic.venue:ClassicVenue.send",
    "guardd.venues.limiter:Limiter.acquire",
    "guardd.venues.transport:Transport._request",
    "guardd.venues.network:NetworkWire.http",
    "guardd.venues.http1:Connection.send",
)
_noted: list[tuple[str, int, int, int]] = []


def _timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    clock = time.monotonic_ns
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def waited(*args: Any, **more: Any) -> Any:
            began = clock()
            try:
                return await function(*args, **more)
            finally:
                _noted.append((name, began, clock(), 0))

        return waited

    @wraps(function)
    def called(*args: Any, **more: Any) -> Any:
        began, spent = clock(), time.thread_time_ns()
        try:
            return function(*args, **more)
        finally:
            _noted.append((name, began, clock(), time.thread_time_ns() - spent))

    return called


def wrap(stage: str) -> None:
    """Put the stopwatch around one function, by `module:Class.name`."""
    module, _, path = stage.partition(":")
    owner: Any = importlib.import_module(module)
    *above, name = path.split(".")
    for each in above:
        owner = getattr(owner, each)
    setattr(owner, name, _timed(path, getattr(owner, name)))


def _dump(place: str) -> None:
    with open(place, "w", encoding="utf-8") as file:
        json.dump(_noted, file)


if __name__ == "__main__":
    out = sys.argv.pop(1)
    for known in STAGES:
        try:
            wrap(known)
        except AttributeError:
            sys.stderr.write(f"{known} isn't there any more\n")
    atexit.register(_dump, out)
    from guardd.cli import main

    main()

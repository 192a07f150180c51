"""How guardd writes its log: one line an event, for people on a terminal, JSON elsewhere, and never a secret (I26)."""

import logging
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO, TypeAlias

import structlog

from guardd.model.instant import MS_PER_S, Instant
from guardd.telemetry.redaction import MASK, Redactor, is_secret_name

EventDict: TypeAlias = MutableMapping[str, Any]
QUIET: Final = {"aiohttp.access": logging.WARNING, "apscheduler": logging.WARNING, "asyncio": logging.WARNING}
"""Libraries that talk at every turn; `telemetry.narrate` tells the same with an account and a reason."""


def configure_log(
    *,
    level: str,
    form: str,
    now: Callable[[], Instant],
    redactor: Redactor,
    stream: TextIO | None = None,
) -> None:
    """Set up structlog and the standard library's logging, for the whole process.

    `level`: debug, info, warning or error. `form`: console, json, or auto (console on a terminal). The time is taken from `now`:
    UTC in JSON, local with its offset on a console. Goes to standard error: results are for standard output.
    """
    out = stream if stream is not None else sys.stderr
    console = form == "console" or (form == "auto" and out.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        _Stamp(now, local=console),
        _mask_named,
        structlog.processors.UnicodeDecoder(),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(_formatter(shared, console=console, colors=console and out.isatty(), redactor=redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, floor in QUIET.items():
        logging.getLogger(name).setLevel(max(floor, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _formatter(
    shared: list[structlog.typing.Processor], *, console: bool, colors: bool, redactor: Redactor
) -> structlog.stdlib.ProcessorFormatter:
    render: structlog.typing.Processor
    if console:
        # The default shows the values of local variables beside a traceback, secrets among them.
        render = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
        before: list[structlog.typing.Processor] = []
    else:
        render = structlog.processors.JSONRenderer(sort_keys=False)
        before = [structlog.processors.format_exc_info]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *before,
            render,
            _Mask(redactor),
        ],
    )


class _Stamp:
    """Adds the time."""

    def __init__(self, now: Callable[[], Instant], *, local: bool) -> None:
        self._now = now
        self._local = local

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        at = datetime.fromtimestamp(self._now().wall_ms / MS_PER_S, tz=UTC)
        if self._local:
            event["timestamp"] = at.astimezone().isoformat(sep=" ", timespec="milliseconds")
        else:
            event["timestamp"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event


def _mask_named(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A field whose name says secret is masked whatever it holds."""
    for name in event:
        if is_secret_name(name):
            event[name] = MASK
    return event


class _Mask:
    """Last of all: the line as it will be written, tracebacks included, goes through the redactor."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, _logger: Any, _method: str, line: Any) -> str:
        return self._redactor(str(line))

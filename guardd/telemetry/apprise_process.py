"""The process that speaks for Apprise: one request a line on stdin, one answer a line on stdout, until stdin ends.

A process of its own, because Apprise blocks, loads some hundred modules (0.6 s, 40 MB) and hands addresses to libraries that log
them: here it can hold up no tick, and nothing it writes is seen (I26). `courier` starts it; it loads Apprise when first asked.
"""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, TextIO

from guardd.telemetry.errand import NO_APPRISE, NOT_TAKEN, SENT, UNKNOWN_ADDRESS, Errand

NICENESS: Final = 10
"""A message may wait for a moment; the guard beside it may not."""
_KIND_OF: Final[Mapping[str, str]] = {"info": "info", "warning": "warning", "critical": "failure"}


def main() -> None:
    """Answer until stdin ends. Nothing but answers reaches stdout, and nothing at all stderr."""
    with suppress(OSError):
        os.nice(NICENESS)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    serve(sys.stdin, answers, deliver)


def serve(errands: TextIO, answers: TextIO, carry: Callable[[Errand], str]) -> None:
    """Carry one errand after another, in their order."""
    for line in errands:
        answers.write(carry(Errand.read(line)) + "\n")
        answers.flush()


def deliver(errand: Errand) -> str:
    """One of the answers that `errand` lists. Apprise catches what its plugins raise and says false."""
    try:
        import apprise
    except ImportError:
        return NO_APPRISE
    asset = apprise.AppriseAsset(app_id="guardd", app_desc="guardd", app_url="", async_mode=False)
    plugin = apprise.Apprise.instantiate(errand.url, asset=asset, suppress_exceptions=True)
    if plugin is None:
        return UNKNOWN_ADDRESS
    if errand.look_only:
        return SENT
    way = apprise.Apprise(asset=asset)
    way.add(plugin)
    kind = _KIND_OF[errand.severity]
    took = way.notify(body=errand.text, title=errand.title, notify_type=kind, body_format="text")
    return SENT if took else NOT_TAKEN


if __name__ == "__main__":
    main()

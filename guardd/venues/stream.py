"""What every dialect's socket needs: connect with backoff, log in, subscribe, ping, notice silence, and come back.

A dialect supplies a `Conversation`: what to say and what the frames mean, without any I/O. A `Link` holds it over a `Wire`, and
`keep_connected` merges the events of several links.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from guardd.model.event import Event
from guardd.model.instant import Instant
from guardd.model.names import Symbol


class Conversation(Protocol):
    """One connection's talk, made anew for each connection; plain state, no I/O."""

    @property
    def admitted(self) -> bool:
        """True once the login was acknowledged; from the start where there is none."""
        ...

    @property
    def waiting(self) -> Collection[str]:
        """Topics that were asked for and not yet acknowledged."""
        ...

    @property
    def failed(self) -> str | None:
        """Why this connection is of no use (login refused, a topic refused that it can't do without), else None."""
        ...

    def opening(self, now: Instant) -> Sequence[str]:
        """Frames sent as soon as the socket is open: the login, stamped with `now`."""
        ...

    def wanted(self, symbols: frozenset[Symbol]) -> Sequence[str]:
        """Frames that take this connection's subscriptions to what it should carry for `symbols`, each within the venue's
        frame limit; empty when they are that already. Called once after admission and on each change of `symbols`."""
        ...

    def on_frame(self, frame: str | bytes, at: Instant) -> Sequence[Event]:
        """Take in one frame: acknowledgements change the state, everything else becomes events. An error raised here (a
        `PayloadError`) ends the connection, so that the next one begins from a snapshot."""
        ...

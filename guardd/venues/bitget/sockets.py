"""How Bitget's sockets want to be treated (Bitget reference, 13.1; the same for V3), and a link that does."""

from collections.abc import Callable
from typing import Final

from guardd.model.event import StreamName
from guardd.venues.bitget.api import USER_AGENT
from guardd.venues.bitget.connection import VENUE, Access
from guardd.venues.bitget.frames import PING_FRAME
from guardd.venues.stream import Conversation, Link, LinkTerms

PING_EVERY_S: Final = 25.0
"""Protocol pings don't count here, and after two minutes without this text the venue closes (13.1, 19.38)."""
SILENCE_S: Final = 35.0
"""A pong is the least that arrives in this time."""
ACKNOWLEDGE_WITHIN_S: Final = 10.0
MESSAGES_PER_S_MAX: Final = 8
"""The venue takes 10 in a second, and its seconds aren't ours."""
RENEW_AFTER_S: Final = 22 * 3_600.0
"""The venue cuts each connection after 24 h."""
RENEW_SPREAD_S: Final = 3_600.0
"""The connections of a daemon that began together don't renew together."""


def link(
    access: Access,
    *,
    stream: StreamName,
    path: str,
    conversation: Callable[[], Conversation],
    keep_away_s: Callable[[], float] = lambda: 0.0,
) -> Link:
    """One socket of the account; `path` is one of `hosts.*_SOCKET`, `keep_away_s` the private one's `Admission.pause_s`."""
    return Link(
        terms=terms(access, stream=stream, path=path, keep_away_s=keep_away_s),
        conversation=conversation,
        wire=access.wire,
        clock=access.clock,
        random=access.random,
        account=access.account,
        venue=VENUE,
        listener=access.listener,
    )


def terms(access: Access, *, stream: StreamName, path: str, keep_away_s: Callable[[], float]) -> LinkTerms:
    return LinkTerms(
        stream=stream,
        url=f"{access.hosts.stream}{path}",
        headers={"User-Agent": USER_AGENT},
        ping_frame=PING_FRAME,
        ping_every_s=PING_EVERY_S,
        silence_s=SILENCE_S,
        acknowledge_within_s=ACKNOWLEDGE_WITHIN_S,
        messages_per_s_max=MESSAGES_PER_S_MAX,
        renew_after_s=RENEW_AFTER_S + RENEW_SPREAD_S * access.random.random(),
        keep_away_s=keep_away_s,
    )

"""Price frames encoded beforehand, written straight to the sockets that asked for them: a tape for load.

A price move of the engine costs a hundred microseconds and more; what a frame of the feed costs is one `join` and its share of a
write. The engine's own prices don't follow: whoever plays a tape moves them (`SimulatorServer.set_price`) wherever a frame says
something that a read must confirm, and keeps everything else near enough to be told apart by nobody (I28, I29).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from guardd.simulator.dialects.bitget.dialect import BitgetDialect
from guardd.simulator.records import Quote
from guardd.simulator.server import SimulatorServer

TEXT_FRAME = 0x81
"""RFC 6455, 5.2: the last fragment of a text message. What a server sends is not masked."""
_LEN_16, _LEN_64 = 126, 127


class Frame(Struct, frozen=True, kw_only=True):
    """One ticker as it goes over the wire, with gaps where the venue's time stands (milliseconds, always of 13 digits)."""

    symbol: str
    pieces: tuple[bytes, ...]

    def at(self, stamp: bytes) -> bytes:
        return stamp.join(self.pieces)


class Feed:
    """The public tickers of a Bitget classic simulator, by tape. Look up who listens (`listen`) before playing."""

    def __init__(self, server: SimulatorServer, dialect: BitgetDialect, *, now_ms: Callable[[], int]) -> None:
        self._server = server
        self._dialect = dialect
        self._now_ms = now_ms
        self._listeners: Mapping[str, tuple[asyncio.WriteTransport, ...]] = {}

    def frame(self, symbol: str, quote: Quote) -> Frame:
        """The frame that a subscriber is sent at these prices."""
        now_ms = self._now_ms()
        payload = self._dialect.streams.ticker_text(symbol, quote, now_ms).encode()
        pieces = payload.split(str(now_ms).encode())
        return Frame(symbol=symbol, pieces=(_header(len(payload)) + pieces[0], *pieces[1:]))

    def listen(self) -> int:
        """See who has subscribed to which ticker by now; the number of symbols that anybody listens to."""
        found: dict[str, list[asyncio.WriteTransport]] = {}
        for session, transport in self._server.open_sockets():
            for topic in self._dialect.streams.held_by(session):
                if topic.channel == "ticker" and not transport.is_closing():
                    found.setdefault(topic.selector, []).append(transport)
        self._listeners = {symbol: tuple(transports) for symbol, transports in found.items()}
        return len(found)

    def send(self, frames: Sequence[Frame]) -> int:
        """One write for each socket, its frames in this order; the number of frames written."""
        stamp = str(self._now_ms()).encode()
        batches: dict[asyncio.WriteTransport, list[bytes]] = {}
        count = 0
        for frame in frames:
            for transport in self._listeners.get(frame.symbol, ()):
                batches.setdefault(transport, []).append(frame.at(stamp))
                count += 1
        for transport, batch in batches.items():
            if not transport.is_closing():
                transport.write(b"".join(batch))
        return count

    def unsent_bytes(self) -> int:
        """What the sockets' buffers didn't take: a client that doesn't keep up."""
        sockets = {transport for transports in self._listeners.values() for transport in transports}
        return sum(transport.get_write_buffer_size() for transport in sockets)


def _header(length: int) -> bytes:
    if length < _LEN_16:
        return bytes((TEXT_FRAME, length))
    if length < 1 << 16:
        return bytes((TEXT_FRAME, _LEN_16)) + length.to_bytes(2, "big")
    return bytes((TEXT_FRAME, _LEN_64)) + length.to_bytes(8, "big")

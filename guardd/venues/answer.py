"""An HTTP/1.1 answer as it comes in, piece by piece: bounded in every direction, and whole or broken. No I/O.

The bytes are read by llhttp in its strict mode: an answer that two readers could take for two different things is broken.
"""

import zlib
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from guardd.venues.wire import BODY_BYTES_MAX, Ambiguous

HEAD_BYTES_MAX: Final = 2**16
"""Status line and headers, interim answers included."""
ANSWER_BYTES_MAX: Final = 2 * BODY_BYTES_MAX + HEAD_BYTES_MAX
"""All that may come for one request, with the framing of chunks and their trailers."""

_BODILESS: Final = frozenset({204, 304})
_TOO_LONG: Final = Ambiguous(why=f"an answer of more than {BODY_BYTES_MAX} bytes")
_HEAD_TOO_LONG: Final = Ambiguous(why=f"an answer whose head has more than {HEAD_BYTES_MAX} bytes")
_NO_HTTP: Final = Ambiguous(why="what came isn't an HTTP answer")
_GARBLED: Final = Ambiguous(why="an answer whose gzip is broken")


class Incoming:
    """What has come for one request; `begin` for the next one. Header names are in lower case; the last of several counts."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.whole = False
        self.last = False
        """Whether nothing may follow it on its connection: it said so, it isn't clean, or more came than was asked for."""
        self._parser = HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._came = 0
        self._body_bytes = 0
        self._headed = False
        self._until_end = False

    def begin(self) -> None:
        """Empty, for the next answer on the same connection."""
        self.status = 0
        self.headers = {}
        self.whole = self.last = False
        self._pieces = []
        self._came = self._body_bytes = 0
        self._headed = self._until_end = False

    def feed(self, data: bytes) -> Ambiguous | None:
        """Take in what came; what is wrong with it, if it can't become an answer any more."""
        self._came += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.last = True
            return None if self.whole else _NO_HTTP
        if self.whole:
            return None
        if self._came > ANSWER_BYTES_MAX or self._body_bytes > BODY_BYTES_MAX:
            return _TOO_LONG
        return _HEAD_TOO_LONG if self._came > HEAD_BYTES_MAX and not self._headed else None

    def end(self) -> bool:
        """Nothing more comes; whether that is how this answer ends."""
        self.whole, self.last = self._until_end, True
        return self.whole

    def body(self) -> bytes | Ambiguous:
        """Of a whole answer, as it was meant. In a coding that nobody asked for it stays packed: then its status speaks."""
        packed = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if len(packed) > BODY_BYTES_MAX:
            return _TOO_LONG
        coding = self.headers.get("content-encoding")
        return packed if coding is None or coding.strip().lower() not in {"gzip", "x-gzip"} else _unpacked(packed)

    # What the parser says.

    def on_message_begin(self) -> None:
        self.last = self.whole  # a second answer to one request: what stands in this stream belongs to nobody

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.whole:
            self.headers[name.lower().decode("latin-1")] = value.strip(b" \t").decode("latin-1")

    def on_headers_complete(self) -> None:
        if self.whole:
            return
        self.status = self._parser.get_status_code()
        self._headed = self.status >= 200
        coding = self.headers.get("transfer-encoding")
        unbounded = "content-length" not in self.headers if coding is None else not _ends_chunked(coding)
        self._until_end = self._headed and self.status not in _BODILESS and unbounded

    def on_body(self, piece: bytes) -> None:
        if not self.whole:
            self._pieces.append(piece)
            self._body_bytes += len(piece)

    def on_message_complete(self) -> None:
        if self.whole:
            return
        if self._headed:
            self.whole = True
            self.last = not self._parser.should_keep_alive()
        else:  # 100 and its like: the answer is still to come
            self.headers = {}


def _unpacked(packed: bytes) -> bytes | Ambiguous:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(packed, BODY_BYTES_MAX + 1)
    except zlib.error:
        return _GARBLED
    if len(plain) > BODY_BYTES_MAX:
        return _TOO_LONG
    if unpacker.eof:
        return plain if not unpacker.unused_data else _GARBLED
    return _GARBLED if packed else b""


def _ends_chunked(coding: str) -> bool:
    """Chunks tell their own end; any other transfer coding lasts until the connection ends (RFC 9112, 6.3)."""
    return coding.rpartition(",")[2].strip().lower() == "chunked"

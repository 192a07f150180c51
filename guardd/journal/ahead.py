"""Intents on their way into the journal: a small file that a sync takes a tenth of what it takes a database.

An order waits until its intent is in here, synced; the journal's own file takes it over a moment later, and whatever a crash
leaves in here is taken over by the next start. The file keeps its size, so a sync never waits for the file system's own records.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from guardd.errors import JournalError

FILE_NAME: Final = "intents.ahead"
BYTES: Final = 2**18
"""Some three hundred intents: they are in here for milliseconds, seconds while the disk is slow."""
_HEAD: Final = struct.Struct("<4sIII")
"""Magic, round, length and CRC-32 of one text. What an earlier round left behind the last text is of another round."""
_MAGIC: Final = b"gda1"
_NOTHING: Final = bytes(4)


class AheadLog:
    """One writer, one place at a time. Every method but `read` may raise `OSError`."""

    def __init__(self, descriptor: int, *, sync: bool) -> None:
        self._descriptor = descriptor
        self._sync = sync
        self._at = 0
        self._round = 0

    @classmethod
    def open(cls, file: Path, *, sync: bool) -> Self | None:
        """Open the file, made at its full size if it is missing; None where the disk has no room for it.

        Raises `JournalError` when it is there and can't be opened.
        """
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"{file}: {error}; it may hold what the last run was sending") from None
        try:
            if os.fstat(descriptor).st_size < BYTES:
                os.pwrite(descriptor, bytes(BYTES), 0)
                os.fsync(descriptor)
        except OSError:
            os.close(descriptor)
            return None
        return cls(descriptor, sync=sync)

    def read(self) -> list[bytes]:
        """The texts that a last run left here, in order. What was torn ends them: it was promised to nobody."""
        whole, at = os.pread(self._descriptor, BYTES, 0), 0
        found: list[bytes] = []
        while at + _HEAD.size <= len(whole):
            magic, number, length, check = _HEAD.unpack_from(whole, at)
            text = whole[at + _HEAD.size : at + _HEAD.size + length]
            self._round = self._round if found else number
            if magic != _MAGIC or number != self._round or len(text) != length or zlib.crc32(text) != check:
                break
            if not length:  # a head torn after its round: the zeros behind it are the length and the sum of nothing
                break
            found.append(text)
            at += _HEAD.size + length
        return found

    def append(self, texts: Sequence[bytes]) -> bool:
        """All of them, durable when this returns; false when there is no room for them."""
        whole = b"".join(_HEAD.pack(_MAGIC, self._round, len(text), zlib.crc32(text)) + text for text in texts)
        if self._at + len(whole) > BYTES:
            return False
        os.pwrite(self._descriptor, whole, self._at)
        if self._sync:
            os.fdatasync(self._descriptor)
        self._at += len(whole)
        return True

    def clear(self) -> None:
        """Everything in here is in the journal's own file. Not synced: what comes back is known there."""
        if self._at:
            self._at, self._round = 0, (self._round + 1) % 2**32
            os.pwrite(self._descriptor, _HEAD.pack(_NOTHING, self._round, 0, 0), 0)

    def close(self) -> None:
        os.close(self._descriptor)

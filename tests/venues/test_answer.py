"""An answer as it comes in, whatever the pieces it comes in."""

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.venues.answer import HEAD_BYTES_MAX, Incoming
from guardd.venues.wire import BODY_BYTES_MAX, Ambiguous

FORMS = {
    "length": b'HTTP/1.1 200 OK\r\nX-A:  b \r\nContent-Length: 10\r\n\r\n{"code":1}',
    "chunks": b'HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"co\r\n6\r\nde":1}\r\n0\r\nX-T: u\r\n\r\n',
    "interim": b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 10\r\n\r\n{"code":1}',
    "gzip": b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
    % (len(gzip.compress(b'{"code":1}', mtime=0)), gzip.compress(b'{"code":1}', mtime=0)),
}


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


@given(form=st.sampled_from(sorted(FORMS)), cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(form: str, cuts: list[int]) -> None:
    incoming = Incoming()
    fed = pieces(FORMS[form], cuts)
    for piece in fed[:-1]:
        assert incoming.feed(piece) is None
        assert not incoming.whole
    assert incoming.feed(fed[-1]) is None
    assert (incoming.whole, incoming.last, incoming.status, incoming.headers["x-a"]) == (True, False, 200, "b")
    assert incoming.body() == b'{"code":1}'


@given(form=st.sampled_from(sorted(FORMS)), data=st.data())
def test_an_answer_that_was_cut_off_is_never_whole(form: str, data: st.DataObject) -> None:
    answer = FORMS[form]
    incoming = Incoming()
    incoming.feed(answer[: data.draw(st.integers(0, len(answer) - 1))])
    assert not incoming.whole
    assert not incoming.end()


@given(form=st.sampled_from(sorted(FORMS)), more=st.binary(min_size=1, max_size=60))
def test_what_follows_an_answer_changes_nothing_of_it_and_spoils_its_connection(form: str, more: bytes) -> None:
    incoming = Incoming()
    assert incoming.feed(FORMS[form] + more) is None
    assert incoming.whole
    assert incoming.body() == b'{"code":1}'
    assert incoming.last or not more.strip(b"\r\n")


@given(junk=st.lists(st.binary(max_size=200), max_size=6))
def test_junk_raises_nothing(junk: list[bytes]) -> None:
    incoming = Incoming()
    for piece in junk:
        broken = incoming.feed(piece)
        if broken is not None or incoming.whole:
            break
    else:
        incoming.end()
    assert isinstance(incoming.body(), bytes | Ambiguous)


@given(form=st.sampled_from(sorted(FORMS)), at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte_raises_nothing_and_never_makes_another_body_of_the_packed_one(
    form: str, at: int, byte: int
) -> None:
    answer = bytearray(FORMS[form])
    answer[at % len(answer)] = byte
    incoming = Incoming()
    incoming.feed(bytes(answer))
    body = incoming.body()
    if form == "gzip" and incoming.whole and b"gzip" in answer and isinstance(body, bytes) and body.startswith(b"{"):
        assert body == b'{"code":1}'


def test_one_reader_serves_answer_after_answer() -> None:
    incoming = Incoming()
    for form in (*FORMS.values(), *FORMS.values()):
        incoming.begin()
        assert incoming.feed(form) is None
        assert incoming.whole
        assert incoming.body() == b'{"code":1}'


def test_a_head_without_an_end_is_cut_off() -> None:
    incoming = Incoming()
    incoming.feed(b"HTTP/1.1 200 OK\r\n")
    fed = 0
    while (broken := incoming.feed(b"X-%d: y\r\n" % fed)) is None:
        fed += 1
        assert fed < HEAD_BYTES_MAX
    assert "head" in broken.why


@pytest.mark.parametrize(
    "packed", [zlib.compress(b"{}"), gzip.compress(b"{}", mtime=0) * 2, gzip.compress(b"{}", mtime=0) + b"x"]
)
def test_a_body_that_is_not_one_gzip_stream_is_no_answer(packed: bytes) -> None:
    incoming = Incoming()
    incoming.feed(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)
    assert incoming.whole
    assert isinstance(incoming.body(), Ambiguous)


def test_a_body_without_an_end_is_cut_off_while_it_comes() -> None:
    incoming = Incoming()
    incoming.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    fed = next(count for count in range(1, 40) if incoming.feed(chunk) is not None)
    assert fed == BODY_BYTES_MAX // 2**20 + 1

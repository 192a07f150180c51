"""What crosses the network never shows its parts: not in its text, and not to a library that prints values its own way (I26)."""

import pytest
from msgspec import Struct

from guardd.model.instant import Instant
from guardd.venues.transport import Call, Reply
from guardd.venues.wire import WireRequest

CANARY = "canary-7f3a"
HEADERS = {CANARY: CANARY}
VALUES = (
    WireRequest(method="POST", url=f"https://venue.test/?sign={CANARY}", headers=HEADERS, body=CANARY.encode()),
    Call(
        endpoint="order",
        method="POST",
        path="/order",
        deadline_s=1.0,
        query=((CANARY, CANARY),),
        body=CANARY,
        headers=HEADERS,
    ),
    Reply(status=200, code="0", body=CANARY.encode(), headers=HEADERS, sent_ns=0, received=Instant(0, 0)),
)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_I26_neither_the_text_nor_the_rich_form_of_what_is_sent_or_answered_shows_its_parts(value: Struct) -> None:
    assert CANARY not in repr(value)
    assert CANARY not in repr((value,))
    assert CANARY not in repr(value.__rich_repr__())
    assert repr(value).startswith(f"{type(value).__name__}(")

"""The wrapping of every REST answer (reference, section 2): judged by `code`, never by the HTTP status alone."""

from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.names import OrderId
from guardd.venues.bitmart.errors import SUCCESS
from guardd.venues.rows import Row, as_row, json_value, shown


class Envelope(Struct, frozen=True, kw_only=True):
    """One answer of the API: `data` None where it is absent, null or (on a failure) empty. `trace` is what support asks for."""

    code: int
    text: str
    trace: str
    data: object

    @property
    def ok(self) -> bool:
        return self.code == SUCCESS


def envelope(where: str, body: bytes | str) -> Envelope:
    """Raises `PayloadError` when the body isn't JSON or carries no code: such an answer is nobody's verdict (16.3)."""
    row = as_row(where, json_value(where, body))
    return Envelope(
        code=row.integer("code"),
        text=_words(row, "message") or _words(row, "msg"),
        trace=_words(row, "trace"),
        data=row.get("data"),
    )


def accepted_order_id(data: object) -> OrderId | None:
    """The id in the answer to a write. Code 1000 alone decides that it was taken, so a strange id is no id, not an error."""
    if not isinstance(data, dict):
        return None
    try:
        return Row("answer.data", data).optional_order_id("order_id")
    except PayloadError:
        return None


def _words(row: Row, name: str) -> str:
    """A text for people; a gateway's failure says `msg` where others say `message`, and any of them may be missing."""
    value = row.get(name)
    return value if isinstance(value, str) else "" if value is None else shown(value)

"""The wrapping of every REST answer (Bitget reference, 2; UTA reference, 1), and what it says of an order that was taken.

Judged by `code`, a text, whatever the HTTP status. `msg` is translated and parameterised: it is shown and never decided on.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.names import OrderId
from guardd.venues.bitget.errors import SUCCESS
from guardd.venues.rows import Row, as_row, json_value, shown


class Envelope(Struct, frozen=True, kw_only=True):
    """One answer of the API; `data` is None where it is absent or null, as on a failure."""

    code: str
    text: str
    data: object

    @property
    def ok(self) -> bool:
        return self.code == SUCCESS


class Leg(Struct, frozen=True, kw_only=True):
    """One part of an answer to a call that names several orders or positions: refused though the whole was taken."""

    code: str
    """Empty where the venue gives only words: `cancel-plan-order` documents no `errorCode` (Bitget reference, 12.6). Words are
    never decided on, and a write that is refused by no known code is one of unknown outcome (15): it is looked up (I7). Where the
    lists prove that a plan order had ended before, `classic.writes` makes that of it."""
    text: str


def envelope(where: str, body: bytes | str) -> Envelope:
    """Raises `PayloadError` when the body isn't JSON or carries no code: such an answer is nobody's verdict (2)."""
    row = as_row(where, json_value(where, body))
    code = row.get("code")
    if isinstance(code, bool) or not isinstance(code, str | int) or code == "":
        raise row.wrong("code", "the venue's code as text")
    return Envelope(code=str(code), text=_words(row, "msg"), data=row.get("data"))


def envelope_of_rows(where: str, body: bytes | str) -> Envelope:
    """The same around a list, whose rows stay as they came (`list[msgspec.Raw]`): most of them may be known already."""
    try:
        fields = _FIELDS.decode(body)
        plain = {name: json_value(where, bytes(raw)) for name, raw in fields.items() if name in ("code", "msg")}
        data: object = _ROWS.decode(fields["data"]) if "data" in fields else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return envelope(where, body)  # it says in words what is wrong, and a failure may carry anything
    sealed = envelope(where, msgspec.json.encode(plain))
    return Envelope(code=sealed.code, text=sealed.text, data=data)


_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw] | None)


def accepted_order_id(data: object) -> OrderId | None:
    """The id in the answer to a write, that of its only leg where it has legs. Code 00000 alone decides that it was taken, so a
    strange id is no id, not an error; a reduce-only order may be acknowledged without one (fact 6)."""
    rows = tuple(_legs(data)) if _has_legs(data) else (data,)
    if len(rows) != 1 or not isinstance(rows[0], dict):
        return None
    try:
        return Row("answer.data", rows[0]).optional_order_id("orderId")
    except PayloadError:
        return None


def refused_legs(data: object) -> tuple[Leg, ...]:
    """What an answer with 00000 refuses all the same (2): V2 keeps a `failureList`, V3 puts a code into the leg."""
    if isinstance(data, dict) and isinstance(failures := data.get("failureList"), list):
        return tuple(_leg(each, "errorCode", "errorMsg") for each in failures)
    legs = (_leg(each, "code", "msg") for each in _legs(data))
    return tuple(leg for leg in legs if leg.code not in {"", "0", SUCCESS})


def _has_legs(data: object) -> bool:
    if isinstance(data, dict):
        return isinstance(data.get("list"), list) or isinstance(data.get("successList"), list)
    return isinstance(data, list)


def _legs(data: object) -> Iterator[object]:
    """V3 has `data.list` or a bare array, V2 a `successList`."""
    found = data
    if isinstance(data, dict):
        found = data.get("list") or data.get("successList")
    if isinstance(found, list):
        yield from found


def _leg(value: object, code_name: str, text_name: str) -> Leg:
    if not isinstance(value, dict):
        return Leg(code="", text=shown(value))
    row = Row("answer.data", value)
    return Leg(code=_words(row, code_name), text=_words(row, text_name))


def _words(row: Row, name: str) -> str:
    """A text for people; any of them may be missing."""
    value = row.get(name)
    return value if isinstance(value, str) else "" if value is None else shown(value)

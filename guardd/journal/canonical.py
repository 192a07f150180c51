"""Values as canonical JSON and back, exactly: the same value gives the same text on any machine, which the hash chain needs.

Decimals keep every digit and their exponent. A member of a union carries its tag under `is`; tags are part of the file
format and outlive a renamed class. A field that an older record lacks takes its default.
"""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Final, NewType, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct, structs

from guardd.errors import JournalError
from guardd.model.intent import (
    AddMargin,
    CancelOrder,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    TransferToFutures,
)
from guardd.model.outcome import Accepted, Outcome, Rejected, Unknown

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
T = TypeVar("T")

_TAGS: Final[Mapping[type, str]] = {
    CloseAtMarket: "close_at_market",
    PlaceProtection: "place_protection",
    ModifyProtection: "modify_protection",
    CancelOrder: "cancel_order",
    SetLeverage: "set_leverage",
    AddMargin: "add_margin",
    TransferToFutures: "transfer_to_futures",
    Accepted: "accepted",
    Rejected: "rejected",
    Unknown: "unknown",
}
_TAGGED: Final[Mapping[str, type]] = {tag: cls for cls, tag in _TAGS.items()}


def text_of(value: Json) -> str:
    """Sorted keys, no blanks, ASCII: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def encoded(value: object) -> Json:
    """A value of the model as JSON. Raises `TypeError` for a type that the journal has no form for."""
    return _encoder(type(value))(value)


def decoded(kind: type[T], value: object) -> T:
    """The struct or named tuple that `encoded` made this of. Raises `JournalError` where it doesn't fit."""
    return cast(T, _decoder(cast(object, kind))(value))


def decoded_outcome(value: object) -> Outcome:
    return cast(Outcome, _decoder(Outcome)(value))


def compact(intent: Intent) -> bytes:
    """An intent for the log ahead, which an order waits for: ten times as fast, and no text that a hash could be of.

    Raises `TypeError` or `ValueError` for a value that has no form.
    """
    return msgspec.json.encode((_TAGS[type(intent.write)], intent))


def of_compact(text: bytes) -> Intent:
    """What `compact` made this of. Raises `JournalError` or `ValueError` where it is something else."""
    tag, fields_of_it = msgspec.json.decode(text, type=tuple[str, dict[str, object]])
    write = fields_of_it.get("write")
    if isinstance(write, dict):
        write["is"] = tag
    return decoded(Intent, fields_of_it)


_Encoder: TypeAlias = Callable[[object], Json]


_ENCODERS: Final[dict[type, _Encoder]] = {}


def _encoder(cls: type) -> _Encoder:
    """How to write one type; composed once. An order waits for this, so a field costs one look-up."""
    made = _ENCODERS.get(cls)
    if made is None:
        made = _ENCODERS[cls] = _composed(cls)
    return made


def _composed(cls: type) -> _Encoder:
    if issubclass(cls, Enum):
        return lambda value: cast(Json, cast(Enum, value).value)
    if issubclass(cls, bool | int | float | str | NoneType):
        return lambda value: cast(Json, value)
    if issubclass(cls, Decimal):
        return _decimal_text
    if issubclass(cls, Struct) or hasattr(cls, "_fields"):
        return _record_encoder(cls)
    if issubclass(cls, tuple | list):
        return lambda value: [_encoder(type(item))(item) for item in cast(list[object], value)]
    if issubclass(cls, frozenset):
        return lambda value: sorted(
            (_encoder(type(item))(item) for item in cast(frozenset[object], value)), key=text_of
        )
    raise TypeError(f"the journal has no form for {cls.__name__}")


def _record_encoder(cls: type) -> _Encoder:
    names: tuple[str, ...] = cls.__struct_fields__ if issubclass(cls, Struct) else getattr(cls, "_fields", ())
    tag = _TAGS.get(cls)

    def write(value: object) -> Json:
        made: dict[str, Json] = {}
        for name in names:
            item = getattr(value, name)
            made[name] = _encoder(type(item))(item)
        if tag is not None:
            made["is"] = tag
        return made

    return write


def _decimal_text(value: object) -> Json:
    if not cast(Decimal, value).is_finite():
        raise TypeError(f"the journal keeps no {value} (I19)")
    return str(value)


_Decoder: TypeAlias = Callable[[object], object]


@cache
def _decoder(hint: object) -> _Decoder:
    """How to read one type; composed once, from its annotations."""
    if isinstance(hint, NewType):
        return _decoder(hint.__supertype__)
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _union(get_args(hint))
    if origin is tuple:
        return _sequence(get_args(hint))
    if origin is frozenset:
        sequence = _sequence((*get_args(hint), Ellipsis))
        return lambda value: frozenset(cast(tuple[object, ...], sequence(value)))
    if isinstance(hint, type):
        if issubclass(hint, Enum) or hint is Decimal:
            return _from_text(hint)
        if issubclass(hint, Struct) or hasattr(hint, "_fields"):
            return _record(hint)
        return _plain(hint)
    raise TypeError(f"the journal has no form for {hint!r}")


def _record(cls: type) -> _Decoder:
    hints = get_type_hints(cls)
    defaults: dict[str, object]
    if issubclass(cls, Struct):
        defaults = {each.name: each.default for each in structs.fields(cls) if each.default is not NODEFAULT}
    else:
        defaults = dict(getattr(cls, "_field_defaults", {}))

    def read(value: object) -> object:
        if (
            isinstance(value, list) and len(value) == len(hints) and not issubclass(cls, Struct)
        ):  # a named tuple in compact form
            value = dict(zip(hints, value, strict=True))
        if not isinstance(value, dict):
            raise _misfit(cls.__name__, value)
        given: dict[str, object] = {}
        for name, hint in hints.items():
            if name in value:
                given[name] = _decoder(hint)(value[name])
            elif name in defaults:
                given[name] = defaults[name]
            else:
                raise JournalError(f"journal: a record of {cls.__name__} lacks {name}")
        return cls(**given)

    return read


def _union(members: tuple[object, ...]) -> _Decoder:
    plain = [member for member in members if member is not NoneType]
    # An enum has few words, a Decimal takes any number, text takes all: the narrowest is asked first.
    plain.sort(key=_breadth)

    def read(value: object) -> object:
        if value is None and NoneType in members:
            return None
        if isinstance(value, dict) and "is" in value:
            tagged = _TAGGED.get(str(value["is"]))
            if tagged is None or tagged not in members:
                raise _misfit("a known kind of write or outcome", value["is"])
            return _decoder(tagged)({name: item for name, item in value.items() if name != "is"})
        for member in plain:
            try:
                return _decoder(member)(value)
            except JournalError:
                continue
        raise _misfit(" or ".join(str(member) for member in plain), value)

    return read


def _breadth(member: object) -> int:
    if isinstance(member, type) and issubclass(member, Enum):
        return 0
    return 2 if member is str else 1


def _sequence(arguments: tuple[object, ...]) -> _Decoder:
    def read(value: object) -> object:
        if not isinstance(value, list):
            raise _misfit("a list", value)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_decoder(arguments[0])(item) for item in value)
        if len(value) != len(arguments):
            raise _misfit(f"{len(arguments)} items", value)
        return tuple(_decoder(hint)(item) for hint, item in zip(arguments, value, strict=True))

    return read


def _from_text(cls: type) -> _Decoder:
    def read(value: object) -> object:
        if not isinstance(value, str):
            raise _misfit(cls.__name__, value)
        try:
            made: object = cls(value)
        except (ValueError, ArithmeticError):
            raise _misfit(cls.__name__, value) from None
        if isinstance(made, Decimal) and not made.is_finite():
            raise _misfit("a finite number", value)
        return made

    return read


def _plain(cls: type) -> _Decoder:
    def read(value: object) -> object:
        if cls is float and isinstance(value, int) and not isinstance(value, bool):
            return value / 1
        if type(value) is not cls:
            raise _misfit(cls.__name__, value)
        return value

    return read


def _misfit(expected: str, found: object) -> JournalError:
    return JournalError(f"journal: found {str(found)[:60]!r}, expected {expected}")

"""A value with other fields, whichever kind it is: guardd's are structs, the tests' own are dataclasses."""

import dataclasses
from typing import Any, TypeVar, cast

from msgspec import Struct, structs

T = TypeVar("T")


def replace(value: T, /, **changes: Any) -> T:
    if isinstance(value, Struct):
        return cast(T, structs.replace(value, **changes))
    return cast(T, dataclasses.replace(cast(Any, value), **changes))

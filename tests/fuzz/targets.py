"""Every target, by name."""

from types import MappingProxyType
from typing import Final

from tests.fuzz import bitget_classic, bitget_unified, bitmart
from tests.fuzz.target import Target

ALL: Final[tuple[Target, ...]] = (*bitmart.TARGETS, *bitget_classic.TARGETS, *bitget_unified.TARGETS)
BY_NAME: Final = MappingProxyType({each.name: each for each in ALL})

"""Every target, by name."""

from types import MappingProxyType
from typing import Final

from tests.fuzz import bitget_classic, bitget_unified, bitmart, files, gate, inputs, journal_rows
from tests.fuzz.target import Target

ALL: Final[tuple[Target, ...]] = (
    *bitmart.TARGETS,
    *bitget_classic.TARGETS,
    *bitget_unified.TARGETS,
    *gate.TARGETS,
    *files.TARGETS,
    *journal_rows.TARGETS,
    *inputs.TARGETS,
)
BY_NAME: Final = MappingProxyType({each.name: each for each in ALL})

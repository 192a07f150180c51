"""Who may know whom: the import table of the architecture, and the finer grains below it."""

import sys
from collections.abc import Iterator, Mapping

from tests.house.source import House, Module, Rule, within

# What each room may import from guardd, besides itself and `errors`. The order is that of the architecture's table.
MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "errors": frozenset(),
    "clock": frozenset({"model.instant"}),
    "config": frozenset({"model"}),
    "model": frozenset(),
    "risk": frozenset({"model"}),
    "policy": frozenset({"model", "risk"}),
    "venues": frozenset({"model", "clock"}),
    "journal": frozenset({"model"}),
    "execution": frozenset({"model", "risk", "venues.base", "venues.limiter", "journal.base", "clock"}),
    "telemetry": frozenset({"model"}),
    "http": frozenset({"model"}),
    "simulator": frozenset({"model", "clock"}),
}
# These rooms join others: anything but what is named.
MAY_NOT_IMPORT: Mapping[str, frozenset[str]] = {
    "daemon": frozenset({"cli", "demo"}),
    "cli": frozenset(),
    "demo": frozenset(),
    "guardd": frozenset(),
    "__main__": frozenset(),
}
ROOMS = frozenset(MAY_IMPORT) | frozenset(MAY_NOT_IMPORT)

STANDARD_LIBRARY_ONLY = frozenset({"model", "risk", "clock", "errors"})
SHAPES_OF_VALUES = ("msgspec.Struct", "msgspec.structs")  # all of msgspec that the quiet rooms may know
PROMETHEUS_LIVES_IN = "telemetry"


def _known_rooms(house: House, module: Module) -> Iterator[tuple[int, str]]:
    if module.room not in ROOMS:
        yield 1, f"guardd/{module.room} isn't in the architecture"


def _import_table(house: House, module: Module) -> Iterator[tuple[int, str]]:
    for imported in module.imports:
        if imported.top != "guardd" or not _is_room(imported.target):
            continue
        inner = imported.target.removeprefix("guardd.")
        if within(inner, module.room, "errors"):
            continue
        if not _table_allows(module.room, inner):
            yield imported.line, f"`{module.room}` imports `{imported.target}`"


def _is_room(target: str) -> bool:
    """`from guardd import __version__` names no room: the package's own file is free to all."""
    inner = target.removeprefix("guardd.")
    return target != "guardd" and (inner.split(".")[0] in ROOMS or "." in inner)


def _table_allows(room: str, inner: str) -> bool:
    if room in MAY_NOT_IMPORT:
        return not within(inner, *MAY_NOT_IMPORT[room])
    return within(inner, *MAY_IMPORT.get(room, frozenset()))


def _no_dialect_imports_another(house: House, module: Module) -> Iterator[tuple[int, str]]:
    for root in ("guardd.venues", "guardd.simulator.dialects"):
        ours = _dialect(house, root, module.dotted, is_package=module.is_package)
        if ours is None:
            continue
        for imported in module.imports:
            theirs = _dialect(house, root, imported.target)
            if theirs and not within(theirs, ours) and not within(ours, theirs) and not shared_by_venue(theirs, ours):
                yield imported.line, f"dialect `{ours}` imports dialect `{theirs}`"


def shared_by_venue(folder: str, dialect: str) -> bool:
    """`bitget_common` holds what the dialects of one venue, `bitget` and `bitget_unified`, say alike."""
    venue = folder.removesuffix("_common")
    return venue != folder and (dialect == venue or dialect.startswith(f"{venue}_"))


def _dialect(house: House, root: str, dotted: str, *, is_package: bool = False) -> str | None:
    """The innermost folder below `root` that `dotted` lies in; files that stand in `root` itself are shared.

    A folder in a dialect's folder (bitget/classic) is a dialect of its own that may use its parent's files.
    """
    candidate = dotted
    while within(candidate, root) and candidate != root:
        if candidate in house.packages:
            return candidate
        candidate = candidate.rpartition(".")[0]
    return None


def _quiet_libraries(house: House, module: Module) -> Iterator[tuple[int, str]]:
    for imported in module.imports:
        foreign = imported.top not in sys.stdlib_module_names and imported.top != "guardd"
        if module.room in STANDARD_LIBRARY_ONLY and foreign and not within(imported.target, *SHAPES_OF_VALUES):
            yield imported.line, f"`{module.room}` imports `{imported.top}`"
        elif imported.top == "prometheus_client" and module.room != PROMETHEUS_LIVES_IN:
            yield imported.line, f"`{module.room}` imports `prometheus_client`"


RULES = (
    Rule(
        name="known-rooms",
        reason="a folder that the architecture doesn't name has no place in the import table, so nothing would hold it",
        remedy="move the code to the room that the architecture's list of questions names",
        check=_known_rooms,
    ),
    Rule(
        name="import-table",
        reason="the event flows one way through the rooms; an import against it makes two rooms one",
        remedy="take what you need as an argument, or move the shared type to `model`",
        check=_import_table,
    ),
    Rule(
        name="no-dialect-imports-another",
        reason="a venue can end: its folder must be deletable without touching another venue's",
        remedy="move what both need to the room's shared files, in no venue's words",
        check=_no_dialect_imports_another,
    ),
    Rule(
        name="quiet-libraries",
        reason="`model` and `risk` need the standard library and the shape of values only, and instrumentation listens to facts",
        remedy="use the standard library; let `telemetry` translate a fact into a metric",
        check=_quiet_libraries,
    ),
)

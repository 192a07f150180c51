"""How the code is cut: sizes, names, inheritance, front pages, and what stands at the top of the repository."""

import ast
import builtins
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch

from tests.house.source import Breach, House, Module, Rule, within

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
KINDS_OF_THING = frozenset(
    {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc", "stuff", "shared"}
)
DIALECTS = "guardd.simulator.dialects"
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bfor now\b")
# Bases that make a class a declaration rather than a machine; one may build on another of the same sort.
DECLARATIONS = (
    "typing.Protocol",
    "enum",
    "pydantic.BaseModel",
    "pydantic.RootModel",
    "pydantic_settings.BaseSettings",
    "msgspec.Struct",
)
TOP_LEVEL = frozenset({"pyproject.toml", "README.md", "guardd", "config", "tests", "deploy"})


def _function_size(house: House, module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield node.lineno, f"`{node.name}` has {lines} lines, {FUNCTION_LINES_MAX} are allowed"


def _file_size(house: House, module: Module) -> Iterator[tuple[int, str]]:
    lines = len(module.text.splitlines())
    if lines > FILE_LINES_MAX:
        yield FILE_LINES_MAX + 1, f"{lines} lines, {FILE_LINES_MAX} are allowed"


def _idea_names(house: House, module: Module) -> Iterator[tuple[int, str]]:
    parent, _, name = module.dotted.rpartition(".")
    if module.is_package and parent == DIALECTS:
        name = name.removesuffix("_common")  # what the dialects of one venue share
    if not KINDS_OF_THING.isdisjoint(name.strip("_").split("_")):
        yield 1, f"module `{name}`"


def _composition(house: House, module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        if not isinstance(node, ast.ClassDef):
            continue
        for base in node.bases:
            dotted = _base_name(module, base)
            if dotted and within(dotted, "guardd") and not _is_declaration(house, dotted, frozenset()):
                yield node.lineno, f"class `{node.name}` inherits from `{dotted}`"


def _frozen_values(house: House, module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue  # a private one may be what a frame is decoded into
        said = {ast.unparse(keyword) for keyword in node.keywords}
        if any(module.resolve(base) == "msgspec.Struct" for base in node.bases) and "frozen=True" not in said:
            yield node.lineno, f"struct `{node.name}` can be changed"


def _base_name(module: Module, base: ast.expr) -> str | None:
    """The dotted origin of a base class: imported, builtin, or defined in the same file."""
    while isinstance(base, ast.Subscript):
        base = base.value
    if isinstance(base, ast.Name) and _class_in(module, base.id):
        return f"{module.dotted}.{base.id}"
    return module.resolve(base)


def _class_in(module: Module, name: str) -> ast.ClassDef | None:
    return next((node for node in module.nodes if isinstance(node, ast.ClassDef) and node.name == name), None)


def _is_declaration(house: House, dotted: str, seen: frozenset[str]) -> bool:
    """Whether the class `dotted` is an exception, a Protocol, an enum or a data model, by itself or by its bases."""
    if within(dotted, *DECLARATIONS):
        return True
    if dotted.startswith("builtins."):
        found = getattr(builtins, dotted.removeprefix("builtins."))
        return isinstance(found, type) and issubclass(found, BaseException)
    owner_name, _, name = dotted.rpartition(".")
    owner = house.module(owner_name)
    if owner is None or dotted in seen:
        return False
    seen |= {dotted}
    if (definition := _class_in(owner, name)) is not None:
        bases = (_base_name(owner, base) for base in definition.bases)
        return any(base is not None and _is_declaration(house, base, seen) for base in bases)
    return name in owner.origins and _is_declaration(house, owner.origins[name], seen)


def _front_pages(house: House, module: Module) -> Iterator[tuple[int, str]]:
    if module.is_package and not ast.get_docstring(module.tree):
        yield 1, f"`{module.package}` doesn't say what it is for"


def _finished(house: House, module: Module) -> Iterator[tuple[int, str]]:
    for dotted, line in module.references():
        if dotted == "builtins.NotImplementedError":
            yield line, "`NotImplementedError`"
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type == tokenize.COMMENT and (mark := UNFINISHED.search(token.string)):
            yield token.start[0], f"`{mark.group()}` in a comment"


def top_level_breaches(names: Iterable[str], ignored: Iterable[str]) -> Iterator[Breach]:
    """What stands at the top of the repository and shouldn't. `ignored` are the patterns of .gitignore."""
    patterns = [pattern.strip().rstrip("/") for pattern in ignored if pattern.strip()]
    for name in sorted(names):
        known = name in TOP_LEVEL or name.startswith(".")
        if not known and not any(fnmatch(name, pattern) for pattern in patterns):
            yield Breach(
                path=name,
                line=1,
                rule="top-level",
                found="it isn't one of " + ", ".join(sorted(TOP_LEVEL)),
                remedy="move it into one of them",
            )


RULES = (
    Rule(
        name="function-size",
        reason="a function fits a screen",
        remedy="divide it: branches gather in the parent, what it calls are straight lines (aim at 40)",
        check=_function_size,
    ),
    Rule(
        name="file-size",
        reason="a file is one idea of the domain; one that outgrows the limit holds two",
        remedy="divide it by idea (aim at 400)",
        check=_file_size,
    ),
    Rule(
        name="idea-names",
        reason="a module named for a kind of thing collects everything and means nothing",
        remedy="name it for its idea (`margin`, `limiter`), or move each piece to the idea it belongs to",
        check=_idea_names,
    ),
    Rule(
        name="composition",
        reason="behaviour inherited from our own classes grows out of sight; a seam is a small Protocol",
        remedy="hold the other object, or write a function over a Protocol (errors, enums, data models are free)",
        check=_composition,
    ),
    Rule(
        name="frozen-values",
        reason="a value that others hold must not change under them",
        remedy="write `class Name(Struct, frozen=True, kw_only=True)`; what does change is a `@dataclass(slots=True)`",
        check=_frozen_values,
    ),
    Rule(
        name="front-pages",
        reason="a reader who opens a folder learns from its first line what it is for",
        remedy="begin its __init__.py with a docstring",
        check=_front_pages,
    ),
    Rule(
        name="finished",
        reason="what is merged is complete; what isn't there yet is an issue, not a comment",
        remedy="finish it, or leave it out and refuse it with an error that says so",
        check=_finished,
    ),
)

"""The package as the house rules see it: parsed modules, and where each name in them comes from."""

import ast
import builtins
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Breach:
    """One line that breaks one rule, and what to do about it."""

    path: str
    line: int
    rule: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}] {self.found} → {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported thing: `from guardd.venues import base` has the target `guardd.venues.base`."""

    target: str
    line: int

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Module:
    """One source file. `path` is relative to the repository: `guardd/venues/bitmart/parse.py`."""

    path: PurePosixPath
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> "Module":
        return cls(path=PurePosixPath(path), text=text, tree=ast.parse(text, filename=path))

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @cached_property
    def dotted(self) -> str:
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if self.is_package else parts)

    @cached_property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @cached_property
    def package(self) -> str:
        """The dotted folder this file stands in."""
        return ".".join(self.path.parent.parts)

    @cached_property
    def room(self) -> str:
        """`venues` for everything below guardd/venues, `clock` for guardd/clock.py, `guardd` for its own file."""
        return "guardd" if self.dotted == "guardd" else self.dotted.split(".")[1]

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(imported for imported, _ in self._imports())

    @cached_property
    def origins(self) -> Mapping[str, str]:
        """What each imported local name stands for, wherever in the file it was imported."""
        return {local: dotted for _, bindings in self._imports() for local, dotted in bindings}

    def _imports(self) -> Iterator[tuple[Import, tuple[tuple[str, str], ...]]]:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    binding = (alias.asname, alias.name) if alias.asname else (top, top)
                    yield Import(target=alias.name, line=node.lineno), (binding,)
            elif isinstance(node, ast.ImportFrom):
                origin = self._absolute(node)
                for alias in node.names:
                    target = origin if alias.name == "*" else f"{origin}.{alias.name}"
                    yield Import(target=target, line=node.lineno), ((alias.asname or alias.name, target),)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        base = self.package.split(".")
        base = base[: len(base) - (node.level - 1)]
        return ".".join([*base, node.module] if node.module else base)

    def resolve(self, node: ast.expr) -> str | None:
        """The dotted origin of a name or attribute chain that starts at an import or a builtin, else None."""
        match node:
            case ast.Name(id=name) if name in self.origins:
                return self.origins[name]
            case ast.Name(id=name) if hasattr(builtins, name):
                return f"builtins.{name}"
            case ast.Attribute(value=value, attr=attr):
                base = self.resolve(value)
                return f"{base}.{attr}" if base else None
            case _:
                return None

    def references(self) -> Iterator[tuple[str, int]]:
        """Every use of an imported or builtin name, calls and mere mentions alike, by dotted origin.

        `time.monotonic` yields itself and also `time`; rules match exact names or prefixes with a dot.
        """
        for node in self.nodes:
            if isinstance(node, ast.Name | ast.Attribute) and (dotted := self.resolve(node)):
                yield dotted, node.lineno


@dataclass(frozen=True, kw_only=True)
class House:
    """All modules of the package."""

    modules: tuple[Module, ...]
    _by_dotted: dict[str, Module] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_dotted", {module.dotted: module for module in self.modules})

    @classmethod
    def of(cls, sources: Mapping[str, str]) -> "House":
        return cls(modules=tuple(Module.of(path, text) for path, text in sorted(sources.items())))

    @classmethod
    def read(cls, root: Path = REPOSITORY) -> "House":
        files = sorted((root / "guardd").rglob("*.py"))
        return cls.of({file.relative_to(root).as_posix(): file.read_text(encoding="utf-8") for file in files})

    def module(self, dotted: str) -> Module | None:
        return self._by_dotted.get(dotted)

    @cached_property
    def packages(self) -> frozenset[str]:
        """Dotted names of all folders that hold code."""
        return frozenset(module.package for module in self.modules)


Check = Callable[[House, Module], Iterator[tuple[int, str]]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A law of the house. `check` yields (line, what was found) for each breach in one module."""

    name: str
    reason: str
    remedy: str
    check: Check

    def breaches(self, house: House) -> Iterator[Breach]:
        for module in house.modules:
            for line, found in self.check(house, module):
                yield Breach(path=str(module.path), line=line, rule=self.name, found=found, remedy=self.remedy)


def within(dotted: str, *prefixes: str) -> bool:
    """Whether `dotted` is one of `prefixes` or lies below one."""
    return any(dotted == prefix or dotted.startswith(f"{prefix}.") for prefix in prefixes)

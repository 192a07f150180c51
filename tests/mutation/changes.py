"""Every small change that a mistake could make to a module: operators, comparisons, constants, results, lost lines.

What only words for people are made of is left alone: reasons, notes, texts with a space in them.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, TypeAlias

WORDS: Final = frozenset({"why", "text", "reason", "note", "detail", "hint", "said"})
"""Arguments and names that hold words for people."""
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_COMPARED: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_RECKONED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_NAMES: Final = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "ROUND_FLOOR": "ROUND_CEILING",
    "ROUND_CEILING": "ROUND_FLOOR",
    "price_up": "price_down",
    "price_down": "price_up",
    "size_up": "size_down",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`new` in the place of one node of a module's tree. `lines` are those of the statement's head that it stands in."""

    file: str
    function: str
    """The outermost function or method; empty for a constant of the module."""
    constant: str
    lines: frozenset[int]
    what: str
    parent: ast.AST
    field: str
    index: int | None
    new: ast.AST

    @property
    def name(self) -> str:
        return f"{self.file}:{min(self.lines)} {self.function or self.constant}: {self.what}"

    def make(self) -> None:
        """In the tree itself: only ever done in a process of its own."""
        if self.index is None:
            setattr(self.parent, self.field, self.new)
        else:
            getattr(self.parent, self.field)[self.index] = self.new


def changes(file: Path, tree: Path) -> tuple[ast.Module, tuple[Change, ...]]:
    """The tree of a module and all changes to it, in the order in which they stand."""
    module = ast.parse(file.read_text())
    search = _Search(str(file.relative_to(tree)))
    for node in module.body:
        search.top(node, "")
    return module, tuple(search.found)


class _Search:
    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Change] = []
        self.function = self.constant = ""
        self.lines: frozenset[int] = frozenset()
        self._seen: Counter[tuple[str, str]] = Counter()

    def top(self, node: ast.stmt, path: str) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.function = path + node.name
                self._block(node.body)
                self.function = ""
            case ast.ClassDef():
                for each in node.body:
                    if isinstance(each, Function | ast.ClassDef):
                        self.top(each, f"{path}{node.name}.")
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if not path:
                self.constant, self.lines = name, _lines(node)
                self._value(value, node, "value", None, numbers_only=True)
                self.constant = ""
            case _:
                pass

    def _block(self, body: list[ast.stmt]) -> None:
        for index, statement in enumerate(body):
            self._statement(statement, body, index)

    def _statement(self, node: ast.stmt, body: list[ast.stmt], index: int) -> None:
        self.lines = _lines(node)
        holder = _Body(body)
        match node:
            case ast.Expr(value=ast.Constant()):
                return
            case ast.Expr() | ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign():
                self._add(node, ast.Pass(), holder, "body", index, "gone")
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript() | ast.Tuple()]):
                self._add(node, ast.Pass(), holder, "body", index, "gone")
            case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
                self._add(node, ast.Return(value=ast.Constant(None)), holder, "body", index)
            case ast.If(test=test) | ast.While(test=test) if not isinstance(test, ast.Compare | ast.UnaryOp):
                self._add(node.test, ast.UnaryOp(op=ast.Not(), operand=node.test), node, "test", None)
            case _:
                pass
        if isinstance(node, ast.Assign) and all(isinstance(t, ast.Name) and t.id in WORDS for t in node.targets):
            return
        self._within(node)

    def _within(self, node: ast.AST) -> None:
        if isinstance(node, ast.match_case) and node.guard is not None:
            self.lines = frozenset(range(node.guard.lineno, (node.guard.end_lineno or node.guard.lineno) + 1))
        for field, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                self._value(value, node, field, None)
            elif isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                self._block(value)
            elif isinstance(value, list):
                for index, each in enumerate(value):
                    if isinstance(each, ast.expr):
                        self._value(each, node, field, index)
                    elif isinstance(each, ast.AST):
                        self._within(each)

    def _value(
        self, node: ast.expr, parent: ast.AST, field: str, index: int | None, *, numbers_only: bool = False
    ) -> None:
        if isinstance(node, ast.JoinedStr | ast.Lambda) or field == "annotation":
            return
        for new in _others(node):
            number = isinstance(node, ast.Constant | ast.Call)
            if number or not numbers_only:
                self._add(node, new, parent, field, index)
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                self._value(value, node, name, None, numbers_only=numbers_only)
            elif isinstance(value, list):
                for place, each in enumerate(value):
                    if isinstance(each, ast.keyword) and each.arg not in WORDS:
                        self._value(each.value, each, "value", None, numbers_only=numbers_only)
                    elif isinstance(each, ast.comprehension):
                        self._within(each)
                    elif isinstance(each, ast.expr):
                        self._value(each, node, name, place, numbers_only=numbers_only)

    def _add(self, old: ast.AST, new: ast.AST, parent: ast.AST, field: str, index: int | None, told: str = "") -> None:
        what = f"{_shown(old)} → {told or _shown(new)}"
        self._seen[self.function or self.constant, what] += 1
        nth = self._seen[self.function or self.constant, what]
        made = Change(
            file=self.file,
            function=self.function,
            constant=self.constant,
            lines=self.lines,
            what=what if nth == 1 else f"{what} #{nth}",
            parent=parent,
            field=field,
            index=index,
            new=ast.fix_missing_locations(ast.copy_location(new, old)),
        )
        self.found.append(made)


class _Body(ast.AST):
    """A list of statements as a node has it."""

    def __init__(self, body: list[ast.stmt]) -> None:
        super().__init__()
        self.body = body


def _others(node: ast.expr) -> Iterator[ast.expr]:
    """What could stand in the place of an expression by mistake."""
    match node:
        case ast.Compare(ops=[op]):
            for kind in _COMPARED[type(op)]:
                yield ast.Compare(left=node.left, ops=[kind()], comparators=node.comparators)
        case ast.Compare():
            for place, op in enumerate(node.ops):
                ops = [*node.ops[:place], _COMPARED[type(op)][0](), *node.ops[place + 1 :]]
                yield ast.Compare(left=node.left, ops=ops, comparators=node.comparators)
        case ast.BoolOp():
            yield ast.BoolOp(op=ast.Or() if isinstance(node.op, ast.And) else ast.And(), values=node.values)
            if len(node.values) > 1:
                for place in range(len(node.values)):
                    rest = node.values[:place] + node.values[place + 1 :]
                    yield rest[0] if len(rest) == 1 else ast.BoolOp(op=node.op, values=rest)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.BinOp() if type(node.op) in _RECKONED:
            yield ast.BinOp(left=node.left, op=_RECKONED[type(node.op)](), right=node.right)
        case ast.IfExp():
            yield ast.IfExp(test=node.test, body=node.orelse, orelse=node.body)
        case ast.Constant(value=bool() as flag):
            yield ast.Constant(not flag)
        case ast.Constant(value=int() | float() as number):
            yield ast.Constant(number + 1)
        case ast.Call(func=ast.Name(id="Decimal"), args=[ast.Constant(value=str() as text)]) if _is_number(text):
            yield ast.Call(func=node.func, args=[ast.Constant(str(Decimal(text) * 2))], keywords=[])
        case ast.Call(func=ast.Name(id=name)) if name in _NAMES:
            yield ast.Call(func=ast.Name(id=_NAMES[name], ctx=ast.Load()), args=node.args, keywords=node.keywords)
        case ast.Call(func=ast.Attribute(value=holder, attr=name)) if name in _NAMES:
            func = ast.Attribute(value=holder, attr=_NAMES[name], ctx=ast.Load())
            yield ast.Call(func=func, args=node.args, keywords=node.keywords)
        case _:
            pass


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
    return text if len(text) <= 110 else f"{text[:70]} … {text[-35:]}"


def _lines(node: ast.stmt) -> frozenset[int]:
    """Of a simple statement all, of a compound one those of its head."""
    body = getattr(node, "body", None)
    cases = getattr(node, "cases", None)
    end = (
        body[0].lineno - 1
        if isinstance(body, list) and body
        else cases[0].pattern.lineno - 1
        if cases
        else node.end_lineno
    )
    return frozenset(range(node.lineno, max(end or node.lineno, node.lineno) + 1))

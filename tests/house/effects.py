"""Where effects may happen: time, chance, I/O, tasks, and the catching of everything."""

import ast
from collections.abc import Iterator

from tests.house.source import House, Module, Rule, within

CLOCK_FILE = "guardd/clock.py"
QUIET_ROOMS = frozenset({"model", "risk", "policy"})
QUIET_FILES = frozenset({"parse", "retry", "approve", "reconcile"})
DECIMAL_ROOMS = frozenset({"model", "risk", "policy", "execution"})
CATCHES_EVERYTHING = frozenset({"guardd/daemon/supervisor.py", "guardd/venues/stream.py"})
STARTS_TASKS = frozenset({"guardd/daemon/supervisor.py"})

READS_A_CLOCK = (
    "time",
    "asyncio.sleep",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
)
LOOP_CLOCK_METHODS = frozenset({"time", "call_later", "call_at"})
CHANCE = ("random", "uuid.uuid1", "uuid.uuid4", "secrets", "os.urandom")
NOT_CHANCE = ("random.Random", "secrets.compare_digest")
NOISY_LIBRARIES = (
    *("asyncio", "threading", "multiprocessing", "concurrent", "subprocess", "signal"),
    *("random", "uuid", "secrets", "time"),
    *("os", "pathlib", "shutil", "tempfile", "glob", "fileinput", "importlib"),
    *("socket", "ssl", "select", "selectors", "http", "urllib.request", "aiohttp", "sqlite3"),
    *("logging", "structlog", "rich", "warnings"),
)
# `Instant` and the unit constants are values; the clock itself isn't.
CLOCK_OBJECTS = ("guardd.clock.Clock", "guardd.clock.SystemClock", "guardd.clock.ManualClock")
NOISY_CALLS = (
    *("builtins.open", "builtins.print", "builtins.input", "builtins.breakpoint", "builtins.exec", "builtins.eval"),
    *("sys.stdout", "sys.stderr", "sys.stdin"),
)
NOISY_METHODS = frozenset({"read_text", "read_bytes", "write_text", "write_bytes"})
CATCH_ALL = ("builtins.Exception", "builtins.BaseException")


def _one_clock(house: House, module: Module) -> Iterator[tuple[int, str]]:
    if str(module.path) == CLOCK_FILE:
        return
    for dotted, line in module.references():
        if within(dotted, *READS_A_CLOCK) and dotted != "time":
            yield line, f"`{dotted}`"
    for imported in module.imports:
        if within(imported.target, *READS_A_CLOCK) and imported.target != "time":
            yield imported.line, f"import of `{imported.target}`"
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr in LOOP_CLOCK_METHODS and _is_event_loop(node.value):
            yield node.lineno, f"`{ast.unparse(node)}`"


def _is_event_loop(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower().strip("_").endswith("loop")
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in {"get_running_loop", "get_event_loop", "new_event_loop"}
        case _:
            return False


def _seeded_chance(house: House, module: Module) -> Iterator[tuple[int, str]]:
    for dotted, line in module.references():
        if within(dotted, *CHANCE) and dotted not in {"random", "secrets"} and not within(dotted, *NOT_CHANCE):
            yield line, f"`{dotted}`"
    for node in module.nodes:
        if isinstance(node, ast.Call) and module.resolve(node.func) == "random.Random" and not node.args:
            yield node.lineno, "`random.Random()` without a seed"


def is_quiet(module: Module) -> bool:
    return module.room in QUIET_ROOMS or not QUIET_FILES.isdisjoint(module.dotted.split("."))


def _quiet_rooms(house: House, module: Module) -> Iterator[tuple[int, str]]:
    if not is_quiet(module):
        return
    for imported in module.imports:
        if within(imported.target, *NOISY_LIBRARIES, *CLOCK_OBJECTS):
            yield imported.line, f"import of `{imported.target}`"
    for dotted, line in module.references():
        if within(dotted, *NOISY_CALLS) or dotted in CLOCK_OBJECTS:
            yield line, f"`{dotted}`"
    for node in module.nodes:
        match node:
            case ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
                yield node.lineno, "`async` or `await`"
            case ast.comprehension(is_async=1, target=target):
                yield target.lineno, "`async for` in a comprehension"
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in NOISY_METHODS:
                yield node.lineno, f"`.{attr}()`"
            case _:
                pass


def _no_float(house: House, module: Module) -> Iterator[tuple[int, str]]:
    if module.room not in DECIMAL_ROOMS:
        return
    for node in module.nodes:
        match node:
            case (
                ast.arg(arg=name, annotation=annotation)
                | ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name), annotation=annotation)
            ):
                if annotation is not None and _says_float(annotation) and not _is_seconds(name):
                    yield node.lineno, f"`{name}: float`"
            case ast.FunctionDef(name=name, returns=returns) | ast.AsyncFunctionDef(name=name, returns=returns):
                if returns is not None and _says_float(returns) and not _is_seconds(name):
                    yield node.lineno, f"`{name}() -> float`"
            case _:
                pass
    yield from _float_calls(module)


def _float_calls(module: Module) -> Iterator[tuple[int, str]]:
    seconds = {id(value) for node in module.nodes for value in _values_named_seconds(node)}
    for node in module.nodes:
        if isinstance(node, ast.Call) and module.resolve(node.func) == "builtins.float" and id(node) not in seconds:
            yield node.lineno, f"`{ast.unparse(node)}`"


def _values_named_seconds(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that this node gives to a name that says seconds."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value) if _is_seconds(name):
            yield value
        case ast.keyword(arg=str(name), value=value) if _is_seconds(name):
            yield value
        case ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name), value=ast.expr() as value):
            if _is_seconds(name):
                yield value
        case ast.FunctionDef(name=name) if _is_seconds(name):
            yield from (each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value)
        case _:
            pass


def _says_float(annotation: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "float" for node in ast.walk(annotation))


def _is_seconds(name: str) -> bool:
    return name.endswith("_s") or "seconds" in name.split("_")


def _catch_all(house: House, module: Module) -> Iterator[tuple[int, str]]:
    if str(module.path) in CATCHES_EVERYTHING:
        return
    for node in module.nodes:
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield node.lineno, "bare `except:`"
            elif caught := _catches_everything(module, node.type):
                yield node.lineno, f"`except {caught}`"
        elif isinstance(node, ast.Call) and module.resolve(node.func) == "contextlib.suppress":
            for argument in node.args:
                if caught := _catches_everything(module, argument):
                    yield node.lineno, f"`suppress({caught})`"


def _catches_everything(module: Module, caught: ast.expr) -> str | None:
    classes = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    names = [module.resolve(each) for each in classes]
    return next((name.removeprefix("builtins.") for name in names if name in CATCH_ALL), None)


def _tasks(house: House, module: Module) -> Iterator[tuple[int, str]]:
    if str(module.path) in STARTS_TASKS:
        return
    for dotted, line in module.references():
        if dotted in {"asyncio.create_task", "asyncio.ensure_future"}:
            yield line, f"`{dotted}`"
    for node in module.nodes:
        match node:
            case ast.Attribute(attr="create_task" | "ensure_future", value=owner):
                if module.resolve(owner) != "asyncio" and not _is_task_group(owner):
                    yield node.lineno, f"`{ast.unparse(node)}`"
            case _:
                pass


def _is_task_group(owner: ast.expr) -> bool:
    match owner:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_").split("_")[-1] in {"tg", "group"}
        case _:
            return False


RULES = (
    Rule(
        name="one-clock",
        reason="a day must take seconds on a virtual clock, so only guardd/clock.py knows the machine's time and sleep",
        remedy="take a `Clock` and use `now()`, `monotonic_ns()`, `sleep()`; in a quiet room, the event's own time",
        check=_one_clock,
    ),
    Rule(
        name="seeded-chance",
        reason="a seed reproduces any run: chance that nobody seeded can't be repeated",
        remedy="take a seeded `random.Random` as an argument",
        check=_seeded_chance,
    ),
    Rule(
        name="quiet-rooms",
        reason="decisions are pure functions and can be replayed: no async, clock, chance, I/O or logging there",
        remedy="return the effect as a value and let the workshop perform it",
        check=_quiet_rooms,
    ),
    Rule(
        name="no-float",
        reason="money, price and size are Decimal end to end (I19); only durations may be floats",
        remedy="use Decimal; a duration says so: `…_s`, `…_seconds`",
        check=_no_float,
    ),
    Rule(
        name="catch-all",
        reason="a caught `Exception` hides a broken invariant: only the supervisor and a stream's reconnect loop may",
        remedy="name the errors that this line can handle, and let the others reach the supervisor",
        check=_catch_all,
    ),
    Rule(
        name="supervised-tasks",
        reason="a task that nobody holds dies unseen: only the supervisor starts tasks, or a TaskGroup does",
        remedy="use `async with asyncio.TaskGroup() as tg` and `tg.create_task(…)`, or the supervisor",
        check=_tasks,
    ),
)

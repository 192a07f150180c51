"""Each rule catches a small planted breach, at the right line, and lets the lawful neighbour of that breach pass."""

from dataclasses import dataclass

import pytest

from tests.house import shape
from tests.house.source import Breach, House
from tests.house.test_house import RULES


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A small source with one breach. `line` is where it must be found; None: nothing may be found."""

    rule: str
    path: str
    text: str
    line: int | None

    def __str__(self) -> str:
        first = next(iter(self.text.strip().splitlines()), "empty").strip()
        return f"{self.rule}-{self.path}-{first}"


def caught(rule: str, path: str, text: str, line: int = 1) -> Plant:
    return Plant(rule=rule, path=path, text=text, line=line)


def free(rule: str, path: str, text: str) -> Plant:
    return Plant(rule=rule, path=path, text=text, line=None)


# The folders that the planted files stand in, and a few classes for them to inherit from.
NEIGHBOURS = {
    "guardd/__init__.py": '"""guardd."""\n',
    "guardd/errors.py": "class GuarddError(Exception):\n    pass\n",
    "guardd/model/__init__.py": '"""Model."""\nfrom guardd.model.shapes import Seam\n',
    "guardd/model/shapes.py": (
        "from enum import StrEnum\nfrom typing import Protocol\n"
        "class Seam(Protocol):\n    pass\n"
        "class Side(StrEnum):\n    pass\n"
        "class Machine:\n    pass\n"
    ),
    "guardd/venues/__init__.py": '"""Venues."""\n',
    "guardd/venues/bitmart/__init__.py": '"""BitMart."""\n',
    "guardd/venues/bitget/__init__.py": '"""Bitget."""\n',
    "guardd/venues/bitget/classic/__init__.py": '"""Classic."""\n',
    "guardd/venues/bitget/unified/__init__.py": '"""Unified."""\n',
    "guardd/simulator/dialects/__init__.py": '"""Dialects."""\n',
    "guardd/simulator/dialects/bitmart/__init__.py": '"""BitMart."""\n',
    "guardd/simulator/dialects/bitget/__init__.py": '"""Bitget."""\n',
    "guardd/simulator/dialects/bitget_common/__init__.py": '"""Both families."""\n',
}

LONG_BODY = "    x = 1\n"

PLANTS = (
    caught("known-rooms", "guardd/engine/core.py", "X = 1\n"),
    free("known-rooms", "guardd/risk/tiers.py", "X = 1\n"),
    # the import table
    caught("import-table", "guardd/model/fold.py", "import decimal\nfrom guardd.risk import margin\n", 2),
    caught("import-table", "guardd/model/fold.py", "from guardd import clock\n"),
    caught("import-table", "guardd/model/fold.py", "from ..clock import Instant\n"),
    caught("import-table", "guardd/model/fold.py", "def f():\n    import guardd.journal.sqlite\n", 2),
    caught("import-table", "guardd/risk/tiers.py", "from guardd.policy.decide import decide\n"),
    caught("import-table", "guardd/policy/decide.py", "from guardd.venues.base import Venue\n"),
    caught("import-table", "guardd/venues/limiter.py", "from guardd.execution import executor\n"),
    caught("import-table", "guardd/journal/sqlite.py", "from guardd.clock import Clock\n"),
    caught("import-table", "guardd/execution/executor.py", "from guardd.venues.transport import Transport\n"),
    caught("import-table", "guardd/execution/executor.py", "from guardd.venues.bitmart.venue import BitMart\n"),
    caught("import-table", "guardd/execution/executor.py", "from guardd.venues import Venue\n"),
    caught("import-table", "guardd/execution/executor.py", "from guardd.policy.decide import decide\n"),
    caught("import-table", "guardd/telemetry/metrics.py", "from guardd.daemon.guard import Guard\n"),
    caught("import-table", "guardd/http/page.py", "from guardd.telemetry import metrics\n"),
    caught("import-table", "guardd/simulator/engine.py", "from guardd.risk.margin import tiers\n"),
    caught("import-table", "guardd/simulator/engine.py", "from guardd.venues.bitmart import sign\n"),
    caught("import-table", "guardd/daemon/wiring.py", "from guardd.cli import main\n"),
    caught("import-table", "guardd/daemon/wiring.py", "import guardd.demo.view\n"),
    caught("import-table", "guardd/venues/retry.py", "from guardd.config import Settings\n"),
    caught("import-table", "guardd/errors.py", "from guardd.model import names\n"),
    free(
        "import-table",
        "guardd/model/fold.py",
        "from guardd.errors import GuarddError\nfrom guardd.model import event\n",
    ),
    free("import-table", "guardd/model/fold.py", "from guardd import __version__\nfrom . import event\n"),
    free("import-table", "guardd/execution/executor.py", "from guardd.venues.base import Venue\nimport guardd.clock\n"),
    caught("import-table", "guardd/execution/executor.py", "from guardd.journal.sqlite import SqliteJournal\n"),
    free("import-table", "guardd/execution/executor.py", "from guardd.journal.base import Journal\n"),
    free("import-table", "guardd/execution/executor.py", "from guardd.venues import limiter\n"),
    free(
        "import-table", "guardd/simulator/engine.py", "from guardd.clock import Clock\nfrom guardd.model import Side\n"
    ),
    free(
        "import-table", "guardd/daemon/wiring.py", "from guardd.config import Settings\nfrom guardd.http import page\n"
    ),
    free("import-table", "guardd/cli/run.py", "from guardd.daemon import wiring\nfrom guardd.demo import view\n"),
    # dialects
    caught("no-dialect-imports-another", "guardd/venues/bitmart/parse.py", "from guardd.venues.bitget.sign import f\n"),
    caught("no-dialect-imports-another", "guardd/venues/bitget/classic/parse.py", "from ..unified import parse\n"),
    caught("no-dialect-imports-another", "guardd/simulator/dialects/bitmart/rest.py", "from ..bitget import rest\n"),
    free("no-dialect-imports-another", "guardd/venues/bitget/classic/venue.py", "from ..sign import f\n"),
    free(
        "no-dialect-imports-another", "guardd/venues/bitget/sign.py", "from guardd.venues.bitget.classic import venue\n"
    ),
    free("no-dialect-imports-another", "guardd/venues/bitmart/venue.py", "from guardd.venues import base\n"),
    free(
        "no-dialect-imports-another", "guardd/simulator/dialects/bitget/rest.py", "from ..bitget_common import auth\n"
    ),
    caught(
        "no-dialect-imports-another", "guardd/simulator/dialects/bitmart/r.py", "from ..bitget_common import auth\n"
    ),
    caught("no-dialect-imports-another", "guardd/simulator/dialects/bitget_common/r.py", "from ..bitget import rest\n"),
    # libraries
    caught("quiet-libraries", "guardd/model/event.py", "import msgspec\n"),
    free("quiet-libraries", "guardd/model/event.py", "from msgspec import Struct\n"),
    caught("quiet-libraries", "guardd/risk/tiers.py", "from msgspec import Struct, json\n"),
    caught("quiet-libraries", "guardd/risk/tiers.py", "from pydantic import BaseModel\n"),
    caught("quiet-libraries", "guardd/execution/executor.py", "import prometheus_client\n"),
    free("quiet-libraries", "guardd/telemetry/metrics.py", "from prometheus_client import Gauge\n"),
    free("quiet-libraries", "guardd/policy/read.py", "from ruamel.yaml import YAML\n"),
    # time
    caught("one-clock", "guardd/venues/transport.py", "import time\n\nSTARTED = time.monotonic()\n", 3),
    caught("one-clock", "guardd/venues/transport.py", "from time import time_ns as now\n"),
    caught("one-clock", "guardd/venues/transport.py", "import time as t\nread = t.time\n", 2),
    caught("one-clock", "guardd/daemon/inbox.py", "import asyncio\nasync def f():\n    await asyncio.sleep(1)\n", 3),
    caught("one-clock", "guardd/cli/status.py", "from datetime import UTC, datetime\nX = datetime.now(UTC)\n", 2),
    caught("one-clock", "guardd/cli/status.py", "import datetime as d\nX = d.date.today()\n", 2),
    caught("one-clock", "guardd/demo/view.py", "def f(loop):\n    return loop.time()\n", 2),
    caught("one-clock", "guardd/demo/view.py", "import asyncio\nX = asyncio.get_running_loop().time()\n", 2),
    free("one-clock", "guardd/clock.py", "import time\nX = time.time_ns()\n"),
    free("one-clock", "guardd/cli/status.py", "from datetime import datetime\nX = datetime.fromtimestamp(1)\n"),
    free(
        "one-clock",
        "guardd/venues/transport.py",
        "async def f(clock, mark):\n    await clock.sleep(1)\n    mark.time()\n",
    ),
    # chance
    caught("seeded-chance", "guardd/venues/transport.py", "import random\nX = random.uniform(0, 1)\n", 2),
    caught("seeded-chance", "guardd/venues/transport.py", "from random import choice\nX = choice([1])\n", 2),
    caught("seeded-chance", "guardd/venues/transport.py", "import random\nX = random.Random()\n", 2),
    caught("seeded-chance", "guardd/execution/executor.py", "import uuid\nX = uuid.uuid4()\n", 2),
    caught("seeded-chance", "guardd/execution/executor.py", "import os\nX = os.urandom(8)\n", 2),
    caught("seeded-chance", "guardd/http/token.py", "import secrets\nX = secrets.token_hex()\n", 2),
    free(
        "seeded-chance",
        "guardd/simulator/prices.py",
        "import random\ndef f(r: random.Random):\n    return r.random()\n",
    ),
    free("seeded-chance", "guardd/daemon/wiring.py", "from random import Random\nX = Random(7)\n"),
    free("seeded-chance", "guardd/http/token.py", "import secrets\nX = secrets.compare_digest('a', 'b')\n"),
    # quiet rooms
    caught("quiet-rooms", "guardd/model/fold.py", "async def fold():\n    pass\n"),
    caught("quiet-rooms", "guardd/policy/read.py", "def f(p):\n    return open(p)\n", 2),
    caught("quiet-rooms", "guardd/policy/read.py", "def f(p):\n    return p.read_text()\n", 2),
    caught("quiet-rooms", "guardd/policy/read.py", "from pathlib import Path\n"),
    caught("quiet-rooms", "guardd/risk/tiers.py", "import logging\n"),
    caught("quiet-rooms", "guardd/risk/tiers.py", "import structlog\n"),
    caught("quiet-rooms", "guardd/risk/tiers.py", "print(1)\n"),
    caught("quiet-rooms", "guardd/risk/tiers.py", "from random import Random\n"),
    caught("quiet-rooms", "guardd/execution/approve.py", "import uuid\n"),
    caught("quiet-rooms", "guardd/execution/reconcile.py", "import asyncio\n"),
    caught("quiet-rooms", "guardd/venues/retry.py", "from guardd.clock import Clock\n"),
    caught("quiet-rooms", "guardd/venues/bitmart/parse.py", "import os\n"),
    caught("quiet-rooms", "guardd/venues/bitmart/parse/orders.py", "async def f():\n    pass\n"),
    caught("quiet-rooms", "guardd/simulator/dialects/bitmart/parse.py", "import sqlite3\n"),
    free("quiet-rooms", "guardd/venues/retry.py", "from guardd.clock import NS_PER_S, Instant\n"),
    free("quiet-rooms", "guardd/policy/read.py", "import io\nX = io.StringIO('a')\n"),
    free("quiet-rooms", "guardd/venues/transport.py", "import logging\nasync def f():\n    print(open('x'))\n"),
    # floats
    caught("no-float", "guardd/risk/tiers.py", "def f(x):\n    return float(x)\n", 2),
    caught("no-float", "guardd/execution/executor.py", "price = float('1')\n"),
    caught("no-float", "guardd/model/mark.py", "class M:\n    price: float\n", 2),
    caught("no-float", "guardd/policy/rule.py", "def f(ratio: float | None):\n    pass\n"),
    caught("no-float", "guardd/policy/rule.py", "def ratio(x) -> float:\n    pass\n"),
    caught("no-float", "guardd/policy/rule.py", "prices: dict[str, float] = {}\n"),
    free(
        "no-float", "guardd/execution/executor.py", "deadline_s = float('1')\ndef f(wait_s: float = 0.5):\n    pass\n"
    ),
    free("no-float", "guardd/model/fact.py", "class F:\n    reaction_seconds: float\n    age_s: float | None\n"),
    free("no-float", "guardd/execution/executor.py", "async def f(c, ns):\n    await c.wait(wait_s=float(ns))\n"),
    free("no-float", "guardd/model/instant.py", "def seconds_since(a) -> float:\n    return float(a)\n"),
    free("no-float", "guardd/telemetry/metrics.py", "def f(x):\n    return float(x)\n"),
    # catching everything
    caught("catch-all", "guardd/venues/transport.py", "try:\n    f()\nexcept Exception:\n    pass\n", 3),
    caught("catch-all", "guardd/venues/transport.py", "try:\n    f()\nexcept:\n    pass\n", 3),
    caught(
        "catch-all", "guardd/daemon/guard.py", "try:\n    f()\nexcept (OSError, BaseException) as e:\n    pass\n", 3
    ),
    caught("catch-all", "guardd/venues/bitmart/stream.py", "try:\n    f()\nexcept Exception:\n    pass\n", 3),
    caught(
        "catch-all", "guardd/demo/view.py", "from contextlib import suppress\nwith suppress(Exception):\n    f()\n", 2
    ),
    free("catch-all", "guardd/venues/stream.py", "try:\n    f()\nexcept Exception:\n    pass\n"),
    free("catch-all", "guardd/daemon/supervisor.py", "try:\n    f()\nexcept Exception:\n    pass\n"),
    free("catch-all", "guardd/venues/transport.py", "try:\n    f()\nexcept (OSError, ValueError):\n    pass\n"),
    # tasks
    caught("supervised-tasks", "guardd/daemon/guard.py", "import asyncio\nT = asyncio.create_task(f())\n", 2),
    caught(
        "supervised-tasks", "guardd/daemon/guard.py", "from asyncio import ensure_future\nT = ensure_future(f())\n", 2
    ),
    caught("supervised-tasks", "guardd/http/server.py", "def f(loop):\n    loop.create_task(g())\n", 2),
    free("supervised-tasks", "guardd/daemon/guard.py", "def f(tg):\n    tg.create_task(g(), name='x')\n"),
    free("supervised-tasks", "guardd/daemon/guard.py", "def f(self):\n    self._task_group.create_task(g())\n"),
    free("supervised-tasks", "guardd/daemon/supervisor.py", "import asyncio\nT = asyncio.create_task(f())\n"),
    # sizes
    caught("function-size", "guardd/cli/run.py", "X = 1\ndef f():\n" + LONG_BODY * 70, 2),
    caught("function-size", "guardd/cli/run.py", "class A:\n    async def f(self):\n" + f"    {LONG_BODY}" * 70, 2),
    free("function-size", "guardd/cli/run.py", "def f():\n" + LONG_BODY * 69),
    caught("file-size", "guardd/cli/run.py", "X = 1\n" * 601, 601),
    free("file-size", "guardd/cli/run.py", "X = 1\n" * 600),
    # names
    caught("idea-names", "guardd/venues/utils.py", "X = 1\n"),
    caught("idea-names", "guardd/daemon/order_manager.py", "X = 1\n"),
    caught("idea-names", "guardd/daemon/_helpers/__init__.py", '"""X."""\n'),
    free("idea-names", "guardd/risk/margin.py", "X = 1\n"),
    free("idea-names", "guardd/simulator/dialects/bitget_common/__init__.py", '"""X."""\n'),
    caught("idea-names", "guardd/simulator/dialects/bitget/common.py", "X = 1\n"),
    # inheritance
    caught("composition", "guardd/risk/tiers.py", "class A:\n    pass\nclass B(A):\n    pass\n", 3),
    caught(
        "composition",
        "guardd/risk/tiers.py",
        "from guardd.model.shapes import Machine\nclass B(Machine):\n    pass\n",
        2,
    ),
    caught(
        "composition",
        "guardd/risk/tiers.py",
        "from guardd.model import shapes\nclass B(shapes.Machine):\n    pass\n",
        2,
    ),
    caught(
        "composition",
        "guardd/risk/tiers.py",
        "import typing\nclass A(typing.Generic[int]):\n    pass\nclass B(A[int]):\n    pass\n",
        4,
    ),
    free(
        "composition",
        "guardd/risk/tiers.py",
        "from guardd.errors import GuarddError\nclass E(GuarddError):\n    pass\n",
    ),
    free("composition", "guardd/risk/tiers.py", "from guardd.model import Seam\nclass B(Seam):\n    pass\n"),
    free("composition", "guardd/risk/tiers.py", "from guardd.model.shapes import Side\nclass B(Side):\n    pass\n"),
    free(
        "composition",
        "guardd/config.py",
        "from pydantic import BaseModel\nclass A(BaseModel):\n    pass\nclass B(A):\n    pass\n",
    ),
    free(
        "composition",
        "guardd/venues/wire.py",
        "import msgspec\nclass A(msgspec.Struct):\n    pass\nclass B(A):\n    pass\n",
    ),
    free("composition", "guardd/cli/run.py", "import json\nclass B(json.JSONEncoder):\n    pass\n"),
    # values
    caught(
        "frozen-values",
        "guardd/model/event.py",
        "from msgspec import Struct\nclass A(Struct, kw_only=True):\n    pass\n",
        2,
    ),
    caught("frozen-values", "guardd/cli/run.py", "import msgspec\nclass A(msgspec.Struct):\n    pass\n", 2),
    free(
        "frozen-values",
        "guardd/model/event.py",
        "from msgspec import Struct\nclass A(Struct, frozen=True):\n    pass\n",
    ),
    free("frozen-values", "guardd/cli/run.py", "import msgspec\nclass _A(msgspec.Struct):\n    pass\n"),
    # front pages
    caught("front-pages", "guardd/risk/__init__.py", ""),
    free("front-pages", "guardd/risk/__init__.py", '"""How near is the end."""\n'),
    # finished
    caught("finished", "guardd/risk/tiers.py", "X = 1\n# TODO later\n", 2),
    caught("finished", "guardd/risk/tiers.py", "def f():\n    raise NotImplementedError\n", 2),
    caught("finished", "guardd/risk/tiers.py", "X = 1  # good enough for now\n"),
    free("finished", "guardd/risk/tiers.py", "X = 'TODO'\n"),
)


def breaches_of(plant: Plant) -> list[Breach]:
    rule = next(rule for rule in RULES if rule.name == plant.rule)
    house = House.of({**NEIGHBOURS, plant.path: plant.text})
    return [breach for breach in sorted(set(rule.breaches(house))) if breach.path == plant.path]


@pytest.mark.parametrize("plant", [plant for plant in PLANTS if plant.line is not None], ids=str)
def test_a_planted_breach_is_caught_at_its_line(plant: Plant) -> None:
    assert [breach.line for breach in breaches_of(plant)] == [plant.line]


@pytest.mark.parametrize("plant", [plant for plant in PLANTS if plant.line is None], ids=str)
def test_the_lawful_neighbour_of_a_breach_passes(plant: Plant) -> None:
    assert [str(breach) for breach in breaches_of(plant)] == []


def test_every_rule_has_a_plant_that_it_catches_and_one_that_it_lets_pass() -> None:
    names = {rule.name for rule in RULES}
    assert {plant.rule for plant in PLANTS if plant.line is not None} == names
    assert {plant.rule for plant in PLANTS if plant.line is None} == names


def test_a_breach_says_where_it_is_and_what_to_do() -> None:
    breach = Breach(path="guardd/a.py", line=3, rule="one-clock", found="`time.time`", remedy="take a `Clock`")
    assert str(breach) == "guardd/a.py:3: [one-clock] `time.time` → take a `Clock`"


def test_a_stray_file_at_the_top_of_the_repository_is_caught() -> None:
    names = ["guardd", "README.md", ".gitignore", "guardd.egg-info", "notes.txt", "scripts"]
    caught_names = [breach.path for breach in shape.top_level_breaches(names, ["*.egg-info/", ".venv/", ""])]
    assert caught_names == ["notes.txt", "scripts"]

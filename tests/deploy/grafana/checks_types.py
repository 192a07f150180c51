"""Dashboards and alerts as constants of Grafana's own types, judged by the TypeScript compiler."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.grafana.alerting import GRAFANA_FILE
from tests.deploy.grafana.files import DASHBOARDS, dashboards
from tests.deploy.grafana.panels import Kind
from tests.deploy.prometheus.rules import read_yaml
from tests.deploy.tools import ran, tool

PACKAGES: Final = ("@grafana/schema@13.2.3", "@grafana/grafana-foundation-sdk@0.0.21", "typescript@5.9.3")
COMPILER: Final = {
    "strict": True, "noEmit": True, "skipLibCheck": True, "types": [], "target": "es2022",
    "module": "nodenext", "moduleResolution": "nodenext",
}  # fmt: skip
MISTAKES: Final[dict[str, tuple[Kind | None, tuple[str, ...], object]]] = {
    "schema": (None, ("schemaVersion",), "41"),
    "panel": (Kind.TIMESERIES, ("titel",), "Distance"),
    "option": (Kind.STATE_TIMELINE, ("options", "showValue"), "sometimes"),
    "custom": (Kind.TIMESERIES, ("fieldConfig", "defaults", "custom", "drawStyle"), "lines"),
    "query": (Kind.STAT, ("targets",), [{"refId": "A", "expr": "up", "format": "matrix"}]),
    "threshold": (Kind.TIMESERIES, ("fieldConfig", "defaults", "thresholds", "mode"), "relative"),
}
HEAD: Final = """\
import type { AnnotationQuery, Dashboard, FieldConfigSource, Panel, RowPanel, VariableModel } from '@grafana/schema';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as timeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Query, Rule } from '@grafana/grafana-foundation-sdk/alerting';
import type { TypeMath, TypeThreshold } from '@grafana/grafana-foundation-sdk/expr';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';

// JSON has words where TypeScript has enumerations, and a type of its own for nothing.
type Json<T> = unknown extends T ? T : T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends Array<infer U> ? Json<U>[] : T extends object
  ? { [K in keyof T as K extends '_implementsDataqueryVariant' ? never : K]: Json<T[K]> } : T;
type Alert = Omit<Rule, 'data'> & { data: (Omit<Query, 'model'> & { model: Dataquery | TypeMath | TypeThreshold })[] };
"""
OPTIONS: Final = {
    Kind.TIMESERIES: "timeseries.Options",
    Kind.STATE_TIMELINE: "timeline.Options",
    Kind.STAT: "stat.Options",
    Kind.TABLE: "table.Options",
    Kind.BAR_GAUGE: "bargauge.Options",
}
CUSTOM: Final = {Kind.TIMESERIES: "timeseries.FieldConfig", Kind.STATE_TIMELINE: "timeline.FieldConfig"}


def complaints(place: Path, programs: Mapping[str, str]) -> dict[str, list[str]]:
    """What the compiler says of each program; one run, most of which is reading Grafana's types."""
    (place / "package.json").write_text('{"type": "module", "private": true}')
    done = ran(tool("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, text in programs.items():
        (place / f"{name}.ts").write_text(HEAD + text)
    files = [f"{name}.ts" for name in programs]
    (place / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILER, "files": files}))
    said = ran(tool("node"), "node_modules/typescript/bin/tsc", "--pretty", "false", cwd=place).stdout.splitlines()
    found = {name: [line for line in said if line.startswith(f"{name}.ts(")] for name in programs}
    stray = [line for line in said if "error" in line and not line.startswith(tuple(f"{file}(" for file in files))]
    assert stray == []
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    programs = {uid: program(json.loads((DASHBOARDS / f"{uid}.json").read_text())) for uid in dashboards()}
    programs["alerts"] = "\n".join(_constant(f"rule{n}", "Alert", rule) for n, rule in enumerate(rules()))
    programs |= {name: program(planted(name)) for name in MISTAKES}
    programs["rule"] = _constant("rule", "Alert", {**rules()[0], "execErrState": "Ignore"})
    return complaints(tmp_path_factory.mktemp("types"), programs)


def program(made: dict[str, Any]) -> str:
    """One dashboard: itself, and each of its parts as what it is, since a union of types forgives what a type doesn't."""
    marks = made["annotations"]["list"]
    lines = [_constant("dashboard", "Dashboard", {**made, "annotations": {"list": []}})]
    lines += [
        _constant(f"mark{n}", "AnnotationQuery<Json<Dataquery> & {refId: string}>", each)
        for n, each in enumerate(marks)
    ]
    for panel in made["panels"]:
        name = f"panel{panel['id']}"
        if panel["type"] == "row":
            lines.append(_constant(name, "RowPanel", panel))
            continue
        kind = Kind(panel["type"])
        lines.append(_constant(name, "Panel", panel))
        lines.append(_constant(f"{name}queries", "Dataquery[]", panel["targets"]))
        lines.append(_constant(f"{name}options", OPTIONS[kind], panel["options"]))
        lines.append(_constant(f"{name}fields", "FieldConfigSource", panel["fieldConfig"]))
        if kind in CUSTOM:
            lines.append(_constant(f"{name}custom", CUSTOM[kind], panel["fieldConfig"]["defaults"]["custom"]))
    lines += [_constant(f"variable{n}", "VariableModel", each) for n, each in enumerate(made["templating"]["list"])]
    return "\n".join(lines)


def rules() -> list[dict[str, Any]]:
    """Each provisioned alert as the type has it: a few names differ between the file and the programming interface."""
    found = []
    for group in read_yaml(GRAFANA_FILE)["groups"]:
        for rule in group["rules"]:
            named = {key: value for key, value in rule.items() if key not in ("dashboardUid", "panelId")}
            named["missingSeriesEvalsToResolve"] = named.pop("missing_series_evals_to_resolve")
            found.append({**named, "folderUID": group["folder"], "ruleGroup": group["name"], "orgID": group["orgId"]})
    return found


def _constant(name: str, kind: str, content: object) -> str:
    return f"export const {name}: Json<{kind}> = {json.dumps(content, indent=1)};"


def planted(name: str) -> dict[str, Any]:
    """The overview with one mistake in it."""
    made: dict[str, Any] = json.loads((DASHBOARDS / "guardd-overview.json").read_text())
    kind, way, value = MISTAKES[name]
    place = made if kind is None else next(each for each in made["panels"] if each["type"] == kind)
    *steps, key = way
    for step in steps:
        place = place[step]
    place[key] = value
    return made


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*sorted(dashboards()), "alerts"])
def test_what_grafana_is_given_is_what_its_types_say(name: str, found: dict[str, list[str]]) -> None:
    assert found[name] == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*MISTAKES, "rule"])
def test_a_planted_mistake_is_found(name: str, found: dict[str, list[str]]) -> None:
    assert found[name] != []

"""What dashboards are built of: panels with an id that stays, a question each, and their place in rows of 24 columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

COLUMNS: Final = 24
SCHEMA_VERSION: Final = 41
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "text"


class Kind(StrEnum):
    TIMESERIES = "timeseries"
    STATE_TIMELINE = "state-timeline"
    STAT = "stat"
    TABLE = "table"
    BAR_GAUGE = "bargauge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """`steps`: colours from a value on, the first from the lowest. `words`: a value's word and colour."""

    id: int
    kind: Kind
    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),)
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    width: int = 12
    height: int = 8
    min: float | None = None
    max: float | None = None
    bars: bool = False
    columns: Sequence["Column"] = ()
    """Of a table, in order; labels and values that aren't among them are hidden."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`name` is a label's, or `Value #A` of the first query and so on."""

    name: str
    title: str
    unit: str = "short"
    steps: Sequence[tuple[float | None, str]] = ()
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    decimals: int | None = None


def dashboard(
    *, uid: str, title: str, description: str, other: tuple[str, str], rows: Mapping[str, Sequence[Panel]]
) -> dict[str, Any]:
    """The JSON that Grafana reads. `other`: uid and title of the dashboard that it links to."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["guardd"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [_link(*other)],
        "annotations": {"list": [_alerts_as_marks()]},
        "templating": {"list": _variables()},
        "panels": _placed(rows),
    }


def _link(uid: str, title: str) -> dict[str, Any]:
    return {
        "title": title, "type": "link", "url": f"/d/{uid}", "icon": "dashboard", "tooltip": "", "tags": [],
        "asDropdown": False, "includeVars": True, "keepTime": True, "targetBlank": False,
    }  # fmt: skip


def _alerts_as_marks() -> dict[str, Any]:
    return {
        "name": "Critical alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": RED,
        "target": {
            "refId": "alerts",
            "expr": 'ALERTS{alertname=~"Guardd.*",alertstate="firing",severity="critical"}',
            "legendFormat": "{{alertname}} {{account}} {{symbol}} {{side}}",
        },
    }


def _variables() -> list[dict[str, Any]]:
    return [
        {
            "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
            "current": {"text": "guardd", "value": "guardd-prometheus"},
        },
        {
            "name": "account", "label": "Account", "type": "query", "datasource": DATASOURCE,
            "query": {"query": "label_values(guardd_account_state, account)", "refId": "accounts"},
            "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
    ]  # fmt: skip


def _placed(rows: Mapping[str, Sequence[Panel]]) -> list[dict[str, Any]]:
    """Each row under its heading; panels fill it from left to right."""
    made: list[dict[str, Any]] = []
    y = 0
    for number, (title, panels) in enumerate(rows.items()):
        made.append({
            "id": 1000 + number, "type": "row", "title": title, "collapsed": False, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        })  # fmt: skip
        y, x, tallest = y + 1, 0, 0
        for panel in panels:
            if x + panel.width > COLUMNS:
                y, x, tallest = y + tallest, 0, 0
            made.append({**_panel(panel), "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height}})
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return made


def _panel(panel: Panel) -> dict[str, Any]:
    instant = panel.kind in (Kind.TABLE, Kind.STAT, Kind.BAR_GAUGE)
    shown = {
        "id": panel.id,
        "type": str(panel.kind),
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [_target(chr(ord("A") + n), query, panel, instant) for n, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [_override(column) for column in panel.columns]},
        "options": _options(panel),
    }
    if panel.kind is Kind.TABLE:
        shown["transformations"] = _as_table(panel)
    return shown


def _target(ref: str, query: Query, panel: Panel, instant: bool) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": instant,
        "range": not instant,
        "format": "table" if panel.kind is Kind.TABLE else "time_series",
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    stepped = len(panel.steps) > 1
    made: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": _thresholds(panel.steps),
        "mappings": _mappings(panel.words),
        "color": {
            "mode": "thresholds"
            if panel.kind is not Kind.TIMESERIES and (stepped or panel.words)
            else "palette-classic"
        },
    }
    if panel.min is not None:
        made["min"] = panel.min
    if panel.max is not None:
        made["max"] = panel.max
    match panel.kind:
        case Kind.TIMESERIES:
            made["custom"] = {
                "drawStyle": "bars" if panel.bars else "line",
                "lineWidth": 1,
                "fillOpacity": 60 if panel.bars else 8,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if panel.bars else "none", "group": "A"},
                "thresholdsStyle": {"mode": "line" if stepped else "off"},
            }
        case Kind.STATE_TIMELINE:
            made["custom"] = {"lineWidth": 0, "fillOpacity": 80}
        case _:
            pass
    return made


def _thresholds(steps: Sequence[tuple[float | None, str]]) -> dict[str, Any]:
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


def _mappings(words: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    if not words:
        return []
    named = {
        value: {"text": text, "color": color, "index": n} for n, (value, (text, color)) in enumerate(words.items())
    }
    return [{"type": "value", "options": named}]


def _override(column: Column) -> dict[str, Any]:
    properties: list[dict[str, Any]] = [{"id": "unit", "value": column.unit}]
    if column.decimals is not None:
        properties.append({"id": "decimals", "value": column.decimals})
    if column.words:
        properties.append({"id": "mappings", "value": _mappings(column.words)})
    if column.steps:
        properties.append({"id": "thresholds", "value": _thresholds(column.steps)})
    if column.steps or column.words:
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
        properties.append({"id": "color", "value": {"mode": "thresholds"}})
    return {"matcher": {"id": "byName", "options": column.title}, "properties": properties}


def _as_table(panel: Panel) -> list[dict[str, Any]]:
    """One line for each set of labels, with the columns that are named."""
    names = [column.name for column in panel.columns]
    return [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"names": names}}},
        {
            "id": "organize",
            "options": {
                "indexByName": {name: n for n, name in enumerate(names)},
                "renameByName": {column.name: column.title for column in panel.columns},
                "excludeByName": {},
            },
        },
    ]


def _options(panel: Panel) -> dict[str, Any]:
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    tooltip = {"mode": "multi", "sort": "desc"}
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case Kind.TIMESERIES:
            return {"legend": legend, "tooltip": tooltip}
        case Kind.STATE_TIMELINE:
            return {"legend": legend, "tooltip": tooltip, "showValue": "auto", "rowHeight": 0.8, "mergeValues": True}
        case Kind.STAT:
            return {
                "reduceOptions": last, "orientation": "auto", "colorMode": "value", "graphMode": "none",
                "justifyMode": "auto", "textMode": "auto", "wideLayout": True, "showPercentChange": False,
                "percentChangeColorMode": "standard",
            }  # fmt: skip
        case Kind.BAR_GAUGE:
            return {
                "reduceOptions": last, "orientation": "horizontal", "displayMode": "basic",
                "legend": {**legend, "showLegend": False},
                "namePlacement": "left", "showUnfilled": True, "sizing": "auto", "valueMode": "color",
                "minVizHeight": 16, "minVizWidth": 8, "maxVizHeight": 300,
            }  # fmt: skip
        case Kind.TABLE:
            return {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}

"""The alerts of the rule file as Grafana provisions its own, and as the Prometheus operator's PrometheusRule."""

from collections.abc import Mapping
from io import StringIO
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from tests.deploy.prometheus.rules import RULES, Alert, Group, groups, read_yaml, spelled_out
from tests.deploy.tools import DEPLOY

GRAFANA_FILE: Final = DEPLOY / "grafana" / "provisioning" / "alerting" / "guardd.yaml"
OPERATOR_FILE: Final = DEPLOY / "prometheus" / "prometheusrule.yaml"
DATASOURCE_UID: Final = "guardd-prometheus"
"""As provisioning/datasources/guardd.yaml names it."""
TICK_S: Final = 10
"""Grafana evaluates at multiples of it."""
WINDOW_S: Final = 600
HEAD: Final = f"# Made from {RULES.parent.name}/{RULES.name} by `python -m tests.deploy.grafana`; edit that one.\n"


def grafana_alerting() -> str:
    """provisioning/alerting/guardd.yaml. Recording rules are spelled out: nothing but the metrics is needed."""
    made = [_group(group) for group in groups() if group.alerts]
    return HEAD + _text({"apiVersion": 1, "groups": made})


def operator_rule() -> str:
    """prometheusrule.yaml for a cluster."""
    rules = read_yaml(RULES)["groups"]
    head = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "guardd", "labels": {"app.kubernetes.io/name": "guardd"}},
    }
    return HEAD + _text({**head, "spec": {"groups": rules}})


def _group(group: Group) -> dict[str, Any]:
    return {
        "orgId": 1,
        "name": group.name,
        "folder": "guardd",
        "interval": f"{max(int(group.interval.removesuffix('s')) // TICK_S, 1) * TICK_S}s",
        "rules": [_rule(alert) for alert in group.alerts],
    }


def _rule(alert: Alert) -> dict[str, Any]:
    """A series that the query returns is a finding, whatever its value, 0 included; so the math asks whether there is one."""
    dashboard, panel = alert.panel
    return {
        "uid": alert.name.lower(),
        "title": alert.name,
        "condition": "firing",
        "data": [
            _query(
                "value", DATASOURCE_UID, {"expr": _one_line(spelled_out(alert.expr)), "instant": True, "range": False}
            ),
            _query("found", "__expr__", {"type": "math", "expression": "is_number($value) || is_inf($value)"}),
            _query("firing", "__expr__", {"type": "threshold", "expression": "found", "conditions": [_above_zero()]}),
        ],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.wait or "0s",
        "missing_series_evals_to_resolve": 1,
        "dashboardUid": dashboard,
        "panelId": panel,
        "labels": dict(alert.labels),
        "annotations": {name: _in_grafana(text) for name, text in alert.annotations.items()},
    }


def _query(name: str, datasource: str, model: Mapping[str, Any]) -> dict[str, Any]:
    window_s = WINDOW_S if datasource == DATASOURCE_UID else 0
    return {
        "refId": name,
        "datasourceUid": datasource,
        "relativeTimeRange": {"from": window_s, "to": 0},
        "model": {"refId": name, **model},
    }


def _above_zero() -> dict[str, Any]:
    return {"evaluator": {"type": "gt", "params": [0]}}


def _in_grafana(text: str) -> str:
    """There `$value` is a text of all values; that of the query has a name."""
    return text.replace("$value", "$values.value.Value")


def _one_line(expr: str) -> str:
    return " ".join(expr.split())


def _text(content: object) -> str:
    yaml = YAML()
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = StringIO()
    yaml.dump(_readable(content), out)
    return out.getvalue()


def _readable(content: object) -> object:
    """Texts of several lines as such."""
    match content:
        case dict():
            return {key: _readable(value) for key, value in content.items()}
        case list():
            return [_readable(value) for value in content]
        case str() if "\n" in content:
            return LiteralScalarString(content)
        case _:
            return content

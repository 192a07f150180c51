"""The rule file as tests and generators see it: the one source of every alert."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from tests.deploy.tools import DEPLOY

RULES: Final = DEPLOY / "prometheus" / "guardd.rules.yaml"
RUNBOOKS: Final = DEPLOY / "runbooks"
RUNBOOK_URL: Final = "https://guardd.example/runbooks/"
PANEL_URL: Final = re.compile(r"https://grafana\.example/d/(?P<dashboard>[a-z-]+)\?viewPanel=(?P<panel>[0-9]+)")
_METRIC: Final = re.compile(r"\b(?:guardd_[a-z0-9_]+|process_[a-z0-9_]+)\b(?!:)")
_STRING: Final = re.compile(r'"[^"]*"')
_RECORDED: Final = re.compile(r"\b[a-z_]+:guardd_[a-z0-9_]+:[a-z0-9_]+\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    name: str
    expr: str
    wait: str
    """`for`; empty where it doesn't wait."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def panel(self) -> tuple[str, int]:
        """Dashboard and panel that show what it is about."""
        found = PANEL_URL.match(self.annotations["dashboard_url"])
        assert found is not None, f"{self.name}: dashboard_url is {self.annotations['dashboard_url']!r}"
        return found["dashboard"], int(found["panel"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    name: str
    interval: str
    alerts: Sequence[Alert]


def read_yaml(file: Path) -> Any:
    return YAML(typ="safe", pure=True).load(file)


@cache
def groups() -> list[Group]:
    """Every group of the rule file; recording rules left out."""
    return [
        Group(
            name=group["name"],
            interval=group["interval"],
            alerts=[
                Alert(
                    name=rule["alert"],
                    expr=rule["expr"],
                    wait=rule.get("for", ""),
                    labels=rule["labels"],
                    annotations=rule["annotations"],
                )
                for rule in group["rules"]
                if "alert" in rule
            ],
        )
        for group in read_yaml(RULES)["groups"]
    ]


def alerts() -> list[Alert]:
    return [alert for group in groups() for alert in group.alerts]


@cache
def recorded() -> dict[str, str]:
    """Recording rules: name to expression."""
    rules = [rule for group in read_yaml(RULES)["groups"] for rule in group["rules"]]
    return {rule["record"]: rule["expr"] for rule in rules if "record" in rule}


def spelled_out(expr: str) -> str:
    """The expression without recording rules, for a place where they may not be loaded."""
    while found := _RECORDED.search(expr):
        expr = f"{expr[: found.start()]}({recorded()[found.group()]}){expr[found.end() :]}"
    return expr


def metrics_in(expr: str) -> Iterator[str]:
    """Names of guardd's metrics in an expression, recording rules spelled out."""
    yield from _METRIC.findall(_STRING.sub('""', spelled_out(expr)))

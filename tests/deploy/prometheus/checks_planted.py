"""promtool's cases, seen to fail: each alert once made to fire never, and once always."""

from pathlib import Path
from typing import Final

import pytest
from ruamel.yaml import YAML

from tests.deploy.prometheus.rules import RULES, alerts, read_yaml
from tests.deploy.prometheus.test_rules import ALWAYS, CASES
from tests.deploy.tools import ran, tool

PLANTED: Final = {"never": "vector(1) > 2", "always": "vector(1)"}


@pytest.mark.parametrize("name", [alert.name for alert in alerts()])
@pytest.mark.parametrize("way", PLANTED)
def test_an_alert_that_fires_wrongly_fails_its_cases(name: str, way: str, tmp_path: Path) -> None:
    if (name, way) == (ALWAYS, "always"):
        pytest.skip("it is meant to")
    rules = read_yaml(RULES)
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if rule.get("alert") == name):
        rule["expr"] = PLANTED[way]
    yaml = YAML(typ="safe", pure=True)
    yaml.dump(rules, tmp_path / "rules.yaml")
    failed = False
    for file in CASES:
        cases = read_yaml(file)
        cases["tests"] = [each for each in cases["tests"] if each["alert_rule_test"][0]["alertname"] == name]
        if cases["tests"]:
            cases["rule_files"] = ["rules.yaml"]
            yaml.dump(cases, tmp_path / file.name)
            failed |= ran(tool("promtool"), "test", "rules", tmp_path / file.name).returncode != 0
    assert failed

"""promtool's cases, seen to fail: every alert made to fire never, and every alert made to fire always."""

import json
import re
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.prometheus.rules import RULES, alerts, read_yaml
from tests.deploy.prometheus.test_rules import ALWAYS, CASES
from tests.deploy.tools import ran, tool

PLANTED: Final = {"never": ("vector(1) > 2", set()), "always": ("vector(1)", {ALWAYS})}
"""What takes the place of each expression, and for whom it is no mistake."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", PLANTED)
def test_an_alert_that_fires_wrongly_fails_its_cases(way: str, tmp_path: Path) -> None:
    expr, meant = PLANTED[way]
    rules = read_yaml(RULES)
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule):
        rule["expr"] = expr
    (tmp_path / "rules.yaml").write_text(json.dumps(rules))
    said = ""
    for file in CASES:
        cases = read_yaml(file)
        cases["rule_files"] = ["rules.yaml"]
        (tmp_path / file.name).write_text(json.dumps(cases))
        done = ran(tool("promtool"), "test", "rules", tmp_path / file.name)
        said += done.stdout + done.stderr
    assert set(re.findall(r"alertname: (\w+)", said)) == {alert.name for alert in alerts()} - meant

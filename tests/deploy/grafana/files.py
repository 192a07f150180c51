"""What is made from the rule file and from the dashboards' description, and where it lies."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.deploy.grafana.alerting import GRAFANA_FILE, OPERATOR_FILE, grafana_alerting, operator_rule
from tests.deploy.grafana.internals import internals
from tests.deploy.grafana.overview import overview
from tests.deploy.tools import DEPLOY

DASHBOARDS: Final = DEPLOY / "grafana" / "dashboards"


@cache
def dashboards() -> dict[str, dict[str, Any]]:
    """By uid."""
    return {made["uid"]: made for made in (overview(), internals())}


@cache
def files() -> dict[Path, str]:
    """Every made file and what must be in it."""
    made = {GRAFANA_FILE: grafana_alerting(), OPERATOR_FILE: operator_rule()}
    for uid, content in dashboards().items():
        made[DASHBOARDS / f"{uid}.json"] = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return made

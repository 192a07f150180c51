"""Dashboards and provisioned alerts: as made, and fit for each other."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.deploy.grafana.alerting import DATASOURCE_UID, GRAFANA_FILE, OPERATOR_FILE
from tests.deploy.grafana.files import DASHBOARDS, dashboards, files
from tests.deploy.grafana.panels import COLUMNS
from tests.deploy.prometheus.exposed import exposed
from tests.deploy.prometheus.rules import RULES, Alert, alerts, groups, metrics_in, read_yaml, spelled_out
from tests.deploy.tools import DEPLOY, TREE, good, tool

UID_LETTERS_MAX = 40


def panels(uid: str) -> dict[int, dict[str, Any]]:
    made = json.loads((DASHBOARDS / f"{uid}.json").read_text())
    return {panel["id"]: panel for panel in made["panels"]}


def expressions(uid: str) -> list[str]:
    return [target["expr"] for panel in panels(uid).values() for target in panel.get("targets", [])]


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(TREE)))
def test_a_made_file_is_what_its_source_makes(file: Path) -> None:
    assert file.read_text() == files()[file], "run: python -m tests.deploy.grafana"


def test_the_provisioned_alerts_are_the_rules_alerts() -> None:
    """Read back, so that no mistake of the maker goes unseen: the same names, waits, labels, words and questions."""
    provisioned = {
        rule["title"]: rule for group in read_yaml(GRAFANA_FILE)["groups"] for rule in group["rules"]
    }  # fmt: skip
    assert provisioned.keys() == {alert.name for alert in alerts()}
    for alert in alerts():
        rule = provisioned[alert.name]
        asked = [query for query in rule["data"] if query["datasourceUid"] == DATASOURCE_UID]
        assert [query["model"]["expr"].split() for query in asked] == [spelled_out(alert.expr).split()]
        assert rule["for"] == (alert.wait or "0s")
        assert rule["labels"] == alert.labels
        told = {name: text.replace("$values.value.Value", "$value") for name, text in rule["annotations"].items()}
        assert told == alert.annotations
        assert (rule["dashboardUid"], rule["panelId"]) == alert.panel


def test_the_operator_s_rule_is_the_rule_file() -> None:
    assert read_yaml(OPERATOR_FILE)["spec"] == read_yaml(RULES)


def test_a_provisioned_alert_has_a_uid_that_grafana_takes_and_asks_a_datasource_that_is_provisioned() -> None:
    rules = [rule for group in read_yaml(GRAFANA_FILE)["groups"] for rule in group["rules"]]
    uids = [rule["uid"] for rule in rules]
    assert len(set(uids)) == len(uids)
    assert max(map(len, uids)) <= UID_LETTERS_MAX
    known = read_yaml(DEPLOY / "grafana" / "provisioning" / "datasources" / "guardd.yaml")["datasources"]
    assert [source["uid"] for source in known] == [DATASOURCE_UID]
    assert {query["datasourceUid"] for rule in rules for query in rule["data"]} == {DATASOURCE_UID, "__expr__"}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_an_alert_links_to_a_panel_that_shows_what_it_is_about(alert: Alert) -> None:
    uid, number = alert.panel
    panel = panels(uid)[number]
    shown = {name for target in panel["targets"] for name in metrics_in(target["expr"])}
    asked = set(metrics_in(alert.expr))
    family = {"guardd_venue_requests_total": "guardd_rate_limit_tokens", "guardd_venue_closing": "guardd_account_state"}
    assert not asked or shown & {*asked, *(family.get(name, name) for name in asked)}


@pytest.mark.parametrize("uid", dashboards())
def test_every_metric_that_a_dashboard_names_exists(uid: str) -> None:
    assert {name for expr in expressions(uid) for name in metrics_in(expr)} - exposed() == set()


def test_every_metric_of_the_interface_is_on_a_dashboard() -> None:
    shown = {name for uid in dashboards() for expr in expressions(uid) for name in metrics_in(expr)}
    counted = {name for name in exposed() if not name.endswith(("_sum", "_count"))}
    assert counted - shown == {"guardd_venue_closing"}  # seldom more than 0: told by its alert


@pytest.mark.parametrize("uid", dashboards())
def test_promtool_reads_every_expression(uid: str, tmp_path: Path) -> None:
    exprs = [expr.replace("$__rate_interval", "1m").replace("$account", ".*") for expr in expressions(uid)]
    rules = [{"record": f"expression:{number}", "expr": expr} for number, expr in enumerate(exprs)]
    YAML().dump({"groups": [{"name": uid, "rules": rules}]}, tmp_path / "rules.yaml")
    good(tool("promtool"), "check", "rules", tmp_path / "rules.yaml")


@pytest.mark.parametrize("uid", dashboards())
def test_panels_have_ids_of_their_own_and_don_t_lie_on_each_other(uid: str) -> None:
    made = json.loads((DASHBOARDS / f"{uid}.json").read_text())["panels"]
    assert len({panel["id"] for panel in made}) == len(made)
    taken: set[tuple[int, int]] = set()
    for panel in made:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < COLUMNS
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_groups_of_grafana_are_evaluated_at_its_pace() -> None:
    intervals = {group["name"]: group["interval"] for group in read_yaml(GRAFANA_FILE)["groups"]}
    assert intervals == {group.name: "10s" for group in groups() if group.alerts}

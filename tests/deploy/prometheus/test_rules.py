"""The rule file: by promtool, and by what interfaces and operators count on."""

from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.prometheus.exposed import exposed
from tests.deploy.prometheus.rules import RULES, RUNBOOK_URL, Alert, alerts, groups, metrics_in, read_yaml, recorded
from tests.deploy.tools import DEPLOY, good, ran, tool

CASES: Final = sorted((Path(__file__).parent / "cases").glob("*.test.yaml"))
SEVERITIES: Final = {"critical", "warning", "info"}
ALWAYS: Final = "GuarddWatchdog"
MUST_EXIST: Final = (
    *("Down", "Absent", "AccountBlind", "NotEnforcing", "PositionUnprotected", "NearLiquidation", "ActionFailed"),
    *("OutcomeUnknownTooLong", "ForcedExit", "CloudflareBlocked", "RateLimited", "ClockSkew", "StreamSilent"),
    *("JournalNotDurable", "PolicyReloadFailed", "VenueClosing", "NotificationFailing", "LiquidationDrift"),
    *("LoopLag", "Watchdog"),
)
SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


def test_promtool_finds_nothing_to_say_about_the_rules_and_the_configuration() -> None:
    good(tool("promtool"), "check", "rules", "--lint=all", "--lint-fatal", RULES)
    good(tool("promtool"), "check", "config", DEPLOY / "prometheus" / "prometheus.yaml")


def test_a_rule_that_promtool_can_t_read_is_found(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(RULES.read_text().replace("min without (symbol, side) (", "min without (symbol, side) ((", 1))
    assert ran(tool("promtool"), "check", "rules", "--lint=all", "--lint-fatal", broken).returncode != 0


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    assert len(CASES) == 3
    good(tool("promtool"), "test", "rules", *CASES)


def test_every_alert_has_cases_in_which_it_fires_and_in_which_it_doesn_t() -> None:
    fires: dict[str, set[bool]] = defaultdict(set)
    for file in CASES:
        for case in read_yaml(file)["tests"]:
            for each in case["alert_rule_test"]:
                fires[each["alertname"]].add(bool(each["exp_alerts"]))
    assert fires == {alert.name: {True} if alert.name == ALWAYS else {True, False} for alert in alerts()}


@pytest.mark.parametrize("name", MUST_EXIST)
def test_what_an_operator_must_hear_of_has_an_alert(name: str) -> None:
    assert f"Guardd{name}" in {alert.name for alert in alerts()}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_an_alert_tells_how_grave_it_is_what_it_means_and_where_to_read_on(alert: Alert) -> None:
    assert alert.name.startswith("Guardd")
    assert alert.labels.keys() == {"severity"}
    assert alert.labels["severity"] in SEVERITIES
    assert alert.annotations.keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    assert alert.annotations["runbook_url"] == f"{RUNBOOK_URL}{alert.name}.md"
    assert alert.panel[0] in {"guardd-overview", "guardd-internals"}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_what_is_critical_waits_a_minute_at_most_except_for_a_start(alert: Alert) -> None:
    wait_s = int(alert.wait[:-1]) * SECONDS[alert.wait[-1]] if alert.wait else 0
    if alert.labels["severity"] == "critical":
        assert wait_s <= (120 if alert.name == "GuarddAccountNotStarted" else 60)
    else:
        assert wait_s <= 600


def test_every_metric_that_a_rule_names_exists() -> None:
    exprs = [*(alert.expr for alert in alerts()), *recorded().values()]
    assert {name for expr in exprs for name in metrics_in(expr)} - exposed() == set()


def test_a_metric_that_doesn_t_exist_would_be_found() -> None:
    assert set(metrics_in('guardd_position_protect{side="guardd_long"} == 0')) - exposed() == {
        "guardd_position_protect"
    }


def test_ages_are_reckoned_where_they_are_asked_for() -> None:
    """Time stamps are exported: an age would stand still in a guard that hangs."""
    assert [name for name in exposed() if "age_seconds" in name] == []
    assert {group.interval for group in groups()} <= {"5s", "15s"}

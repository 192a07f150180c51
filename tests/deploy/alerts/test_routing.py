"""Who hears of which alert, by amtool."""

from pathlib import Path
from typing import Final

import pytest

from tests.deploy.prometheus.rules import Alert, alerts, read_yaml
from tests.deploy.tools import DEPLOY, good, ran, tool

CONFIG: Final = DEPLOY / "alertmanager" / "alertmanager.yaml"
HEARS: Final = {"critical": "pager", "warning": "chat", "info": "nobody"}


def receiver(config: Path, alert: Alert) -> str:
    labels = {"alertname": alert.name, "job": "guardd", "account": "main", "venue": "bitmart", **alert.labels}
    words = [f"{name}={value}" for name, value in labels.items()]
    return good(tool("amtool"), "config", "routes", "test", f"--config.file={config}", *words).strip()


def test_amtool_reads_the_configuration() -> None:
    good(tool("amtool"), "check-config", CONFIG)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_an_alert_goes_to_who_should_hear_of_it(alert: Alert) -> None:
    assert receiver(CONFIG, alert) == ("deadman" if alert.name == "GuarddWatchdog" else HEARS[alert.labels["severity"]])


def test_an_alert_of_no_known_severity_is_heard_all_the_same() -> None:
    odd = Alert(name="GuarddOdd", expr="", wait="", labels={"severity": "odd"}, annotations={})
    assert receiver(CONFIG, odd) == "chat"


def test_a_route_that_lost_its_matcher_would_be_found(tmp_path: Path) -> None:
    broken = tmp_path / "alertmanager.yaml"
    broken.write_text(CONFIG.read_text().replace("severity = critical", "severity = crucial"))
    critical = next(alert for alert in alerts() if alert.labels["severity"] == "critical")
    assert receiver(broken, critical) == "chat"
    broken.write_text(CONFIG.read_text().replace("receiver: pager", "receiver: pagers"))
    assert ran(tool("amtool"), "check-config", broken).returncode != 0


def test_what_wakes_somebody_doesn_t_wait_and_is_never_inhibited_but_by_what_explains_it() -> None:
    config = read_yaml(CONFIG)
    pager = next(route for route in config["route"]["routes"] if route["receiver"] == "pager")
    assert pager["group_wait"] == "0s"
    hidden = " ".join(matcher for rule in config["inhibit_rules"] for matcher in rule["target_matchers"])
    critical = {alert.name for alert in alerts() if alert.labels["severity"] == "critical"}
    assert {name for name in critical if name in hidden} == {"GuarddSnapshotOld"}
